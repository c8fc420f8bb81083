"""``python -m rehearsal VERB``: the rehearsal stack and its cases on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solidgreen.errors import BadInput, ExitCode, InfrastructureStop, SolidGreenError
from solidgreen.jsonio import to_plain

from rehearsal.stack import APP, SERVICES, Stack

PROJECT = Path(__file__).resolve().parents[1]


def port(text: str) -> tuple[str, int]:
    """Return service and port of ``service=port``.

    :raises BadInput: it is something else
    """
    name, _, number = text.partition("=")
    if name not in SERVICES or not number.isdecimal() or int(number) > 65535:
        need = f"NAME=PORT with {', '.join(SERVICES)} and 0 to 65535"
        raise BadInput("--port", found=repr(text), need=need, next_step="correct it")
    return name, int(number)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state-dir", type=Path, default=PROJECT / ".solidgreen" / "stack" / "rehearsal", metavar="DIR"
    )
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("--app", default=APP, metavar="MODULE:FACTORY", help="the API (default: %(default)s)")
    common.add_argument("--timeout", type=float, default=40, metavar="S", help="a service may take to answer")
    changing = argparse.ArgumentParser(add_help=False)
    changing.add_argument("--check", action="store_true", help="say what would change, change nothing")
    top = argparse.ArgumentParser(prog="python -m rehearsal", description="The rehearsal stack and its cases.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", parents=[common, changing], help="start what does not run as it should")
    up.add_argument("--port", action="append", default=[], metavar="NAME=PORT", help="0 takes a free one")
    down = verbs.add_parser("down", parents=[common, changing], help="end every process, keep the data")
    down.add_argument("--volumes", action="store_true", help="remove the data as well")
    restart = verbs.add_parser("restart", parents=[common, changing], help="end and start services")
    restart.add_argument("--service", choices=SERVICES, help="one service instead of all")
    verbs.add_parser("status", parents=[common], help="say what runs; code 12 when something is missing")
    dump = verbs.add_parser("dump", parents=[common], help="write the jobs database as SQL")
    dump.add_argument("file", type=Path, metavar="FILE")
    generate = verbs.add_parser("generate", parents=[common], help="write the labelled cases")
    generate.add_argument("--data-root", type=Path, default=PROJECT / "data" / "day3", metavar="DIR")
    generate.add_argument("--seed", type=int, metavar="N", help="same seed, same bytes")
    return top


def act(options: argparse.Namespace) -> dict[str, Any]:
    """Run the verb and return its result."""
    if options.verb == "generate":
        from rehearsal.cases import DEFAULT_SEED, generate  # it loads a PDF library no other verb needs

        seed = DEFAULT_SEED if options.seed is None else options.seed
        return {"changed": True, **to_plain(generate(options.data_root, seed))}
    stack = Stack(PROJECT, options.state_dir, app=options.app, patience=options.timeout)
    if options.verb == "up":
        return stack.up(dict(map(port, options.port)), check=options.check)
    if options.verb == "down":
        return stack.down(volumes=options.volumes, check=options.check)
    if options.verb == "restart":
        return stack.restart(options.service, check=options.check)
    if options.verb == "dump":
        return stack.dump(options.file)
    return stack.status()


def lines(result: dict[str, Any]) -> list[str]:
    """Return a result as lines a person reads."""
    if "services" not in result:
        return [f"{key}: {value}" for key, value in result.items()]
    told = [f"{row['name']}: {row['current']} -> {row['desired']}" for row in result["reasons"]]
    for name, row in result["services"].items():
        place = f"127.0.0.1:{row['port']}" if row["port"] else "no port yet"
        told.append(f"{name:9} {row['state']:10} {place:16} {row['log']}")
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        try:
            result = act(options)
        except OSError as error:
            raise InfrastructureStop(
                f"python -m rehearsal {options.verb}",
                found=f"{error.strerror} ({error.filename})" if error.filename else str(error),
                need="files and ports that this user may use",
                next_step="give --state-dir a folder of your own, or end what holds the resource",
            ) from error
        except ImportError as error:
            raise BadInput(
                f"python -m rehearsal {options.verb}",
                found=str(error),
                need="it installed",
                next_step="run ./run setup",
            ) from error
    except SolidGreenError as error:
        if options.json:
            report = {"failed": True, "msg": str(error), "exit_code": int(error.exit_code), "error": error.facts()}
            print(json.dumps(to_plain(report)))
        else:
            print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(json.dumps(to_plain(result)) if options.json else "\n".join(lines(result)))
    return int(ExitCode.STOP) if options.verb == "status" and not result["healthy"] else int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
