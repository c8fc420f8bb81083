"""Snapshots of results and restore points: what a rollback needs, taken before anything is changed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import jsonio
from .check import Check, Status
from .clock import Clock, compact, stamp
from .errors import BadInput, IntegrityError
from .paths import SNAPSHOT_PREFIX, DataRoot

POINTS = ("R1", "R2", "R3")
POINT_SCHEMA = "solidgreen/restore-point/1"
SNAPSHOT_SCHEMA = "solidgreen/snapshot/1"
#: Settings whose values may be shown; every other value of an environment file counts as secret.
PLAIN_SETTINGS = re.compile(r"^(DAY3_API_URL|USE_STUBS|ENVIRONMENT|DEBUG|REHEARSAL_\w+|RATE_LIMIT_\w+|\w+_PORT)$")


# --- snapshots -----------------------------------------------------------------------------------------------------


def _result_files(results: Path) -> Iterator[Path]:
    """Yield the files of *results* without earlier snapshots, sorted."""
    for path in sorted(results.rglob("*")):
        top = path.relative_to(results).parts[0]
        if top.startswith((SNAPSHOT_PREFIX, ".")) or path.name.endswith(".journal.jsonl"):
            continue
        if path.is_file():
            yield path


def take_snapshot(root: DataRoot, *, clock: Clock) -> Path:
    """Copy ``results/`` to ``rollback_prefix_<UTC>/`` with a digest a file and return that folder.

    It appears under its name only when it is whole. A missing results folder gives an empty, stated snapshot.
    """
    now = clock.now()
    taken = sum(1 for _ in root.results.glob(f"{SNAPSHOT_PREFIX}{compact(now)}*"))
    target = root.snapshot(compact(now) + (f"-{taken + 1}" if taken else ""))  # two within one second
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    files = {}
    for path in _result_files(root.results):
        relative = path.relative_to(root.results)
        (partial / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, partial / relative)
        files[relative.as_posix()] = {"sha256": jsonio.sha256_file(path), "bytes": path.stat().st_size}
    jsonio.write_json(
        partial / "snapshot.json", {"schema": SNAPSHOT_SCHEMA, "at": stamp(now), "files": files, "empty": not files}
    )
    partial.replace(target)
    jsonio.sync_directory(root.results)
    return target


def verify_snapshot(folder: Path, *, clock: Clock) -> Check:
    """Read every file of a snapshot back and compare it with the digest taken from the original."""
    stated = jsonio.read_json(folder / "snapshot.json")["files"]
    wrong = [
        name
        for name, expected in stated.items()
        if not (folder / name).is_file() or jsonio.sha256_file(folder / name) != expected["sha256"]
    ]
    size = f"{len(stated)} files" if stated else "empty: there were no results yet"
    return Check(
        id="snapshot",
        title="Results are snapshotted",
        status=Status.FAIL if wrong else Status.PASS,
        seen=f"{folder.name}: {len(wrong)} of {len(stated)} files differ, first {wrong[0]}"
        if wrong
        else f"{folder.name} ({size}), every digest read back",
        needed="a copy of results/ whose every digest matches",
        next_step="check the disk, then invoke phase --only 0" if wrong else "",
        owner="CTO",
        at=stamp(clock.now()),
        facts={"snapshot": folder.name, "files": len(stated)},
    )


# --- restore points ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A restore point: its folder and what its manifest says."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]


def folder_of(root: DataRoot, name: str) -> Path:
    """Return the folder of a restore point.

    :raises BadInput: there is no point of that name
    """
    if name not in POINTS:
        raise BadInput(
            "rollback point", found=repr(name), need="one of R1, R2, R3", next_step="invoke rollback --point R2"
        )
    return root.restore_points / name


def take_point(
    root: DataRoot, name: str, *, files: Mapping[str, Path], facts: Mapping[str, Any], cycle_id: str, clock: Clock
) -> bool:
    """Keep *files* and *facts* as restore point *name*; tell whether it was taken now.

    The point of a cycle is taken once: a later call in the same cycle leaves it, or a rollback would come back to the
    very change it should undo. A file that does not exist is noted as absent, so that a rollback removes it again.

    :param files: role (``env``, ``override``) to path
    """
    folder = folder_of(root, name)
    manifest = folder / "manifest.json"
    known = jsonio.read_json_or_none(manifest)
    if known is not None and known["cycle_id"] == cycle_id:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    root.restore_points.chmod(0o700)
    kept = {}
    for role, path in files.items():
        if path.is_file():
            jsonio.write_bytes(folder / role, path.read_bytes(), mode=0o600)
            kept[role] = {"path": str(path), "present": True, "sha256": jsonio.sha256_file(folder / role)}
        else:
            kept[role] = {"path": str(path), "present": False, "sha256": None}
    jsonio.write_json(
        manifest,
        {
            "schema": POINT_SCHEMA,
            "point": name,
            "cycle_id": cycle_id,
            "at": stamp(clock.now()),
            "files": kept,
            **dict(facts),
        },
        mode=0o600,
    )
    return True


def require_point(root: DataRoot, name: str) -> Point:
    """Return the restore point, every kept file checked against its digest.

    :raises BadInput: it was never taken
    :raises IntegrityError: a kept file is not what was kept
    """
    folder = folder_of(root, name)
    manifest = jsonio.read_json_or_none(folder / "manifest.json")
    if manifest is None:
        raise BadInput(
            f"rollback {name}",
            found=f"no restore point in {folder}",
            need="the one that phase 0 takes",
            next_step="nothing was changed yet; start with invoke phase --only 0",
        )
    for role, kept in manifest["files"].items():
        if kept["present"] and (not (folder / role).is_file() or jsonio.sha256_file(folder / role) != kept["sha256"]):
            raise IntegrityError(
                f"restore point {name}",
                found=f"{role} differs from its digest",
                need="the file as it was kept",
                next_step=f"restore {kept['path']} by hand, then run the rollback with the next cycle's point",
            )
    return Point(name, folder, manifest)


def restore_files(point: Point, roles: Sequence[str] = ("env", "override")) -> list[str]:
    """Put the kept files back; return the paths that changed. What was absent then is removed."""
    changed = []
    for role in roles:
        kept = point.manifest["files"].get(role)
        if kept is None:
            continue
        path = Path(kept["path"])
        if not kept["present"]:
            if path.exists():
                path.unlink()
                changed.append(str(path))
        elif not path.is_file() or jsonio.sha256_file(path) != kept["sha256"]:
            jsonio.write_bytes(path, (point.folder / role).read_bytes(), mode=0o600)
            changed.append(str(path))
    return changed


# --- diagnostics ---------------------------------------------------------------------------------------------------


def redact_env(text: str) -> str:
    """Return an environment file with every value hidden that is not known to be harmless."""
    lines = []
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        key = name.removeprefix("export ").strip()
        if equals and not key.startswith("#") and not PLAIN_SETTINGS.match(key):
            lines.append(f"{key}=<hidden, {len(value)} characters>" if value else f"{key}=")
        elif line.lstrip().startswith("#") and "=" in line:
            lines.append("# <comment hidden>")  # a commented-out secret is a secret
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def freeze_state(
    target: Path,
    *,
    environment: Sequence[Path],
    copies: Sequence[Path],
    facts: Mapping[str, Any],
    clock: Clock,
) -> Path:
    """Keep the state of a failing target in *target*: environment files redacted, *copies* whole, *facts* as JSON.

    It appears under its name only when it is whole.
    """
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in environment:
        if path.is_file():
            jsonio.write_bytes(partial / f"{path.name.lstrip('.')}.redacted", redact_env(path.read_text()).encode())
    for path in copies:
        if path.is_file():
            shutil.copy2(path, partial / path.name)
    jsonio.write_json(partial / "state.json", {"at": stamp(clock.now()), **dict(facts)})
    partial.replace(target)
    return target
