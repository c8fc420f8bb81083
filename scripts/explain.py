"""Explain the gates before a request is spent: what each takes in whole cases, and who is likely to pass them.

Without a data set the cases are those that the policy asks for; with one its real classes, smoke and parents.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from solidgreen import jsonio, manifest, policy, power, selection
from solidgreen.errors import BadInput, ExitCode, SolidGreenError
from solidgreen.paths import DataRoot
from solidgreen.policy import Policy
from solidgreen.power import Answers, Cases, Plan
from solidgreen.stats import clustered, effective_n
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "solidgreen/explain/1"
KINDS = ("smoke", "full")
#: Gates that are drawn one by one.
DRAWN = ("accuracy_lower", "critical_false_pass", "consistency")
#: Columns of what is printed where there is no terminal.
WIDTH = 120
#: How many parents the cases of a plan without a data set are made from, to show what that does.
PARENTS = (30, 15, 9)
MODELS = {
    "any": (power.spread, "a wrong answer is any of the other verdicts, all alike"),
    "no_false_pass": (power.careful, "the same, but what must be rejected is never passed"),
}
RUNS = {
    "same": "a case is answered alike in all three runs",
    "fresh": "the answers of each run are drawn anew",
}


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


def cases_of(options: argparse.Namespace, rules: Policy) -> tuple[Cases, str]:
    """Return the cases to explain for, and what they are.

    :raises BadInput: the manifest or its documents cannot be read, or a smoke cannot be drawn from them
    """
    if options.manifest is None and options.data_root is None:
        return power.planned(rules), "the cases that the policy asks for"
    path = options.manifest or DataRoot(options.data_root).manifest
    found = manifest.load(path, options.data_root or path.parent)
    drawn = selection.draw(found.labels, rules.smoke["strata"], rules.smoke["seed"])
    return power.labelled(found.labels, set(drawn)), f"the cases of {path}"


def explain(plan: Plan, cases: Cases, source: str) -> dict[str, Any]:
    """Return everything that is shown, as one plain document; chances by true accuracy, in the order of the policy.

    :param plan: the gates over these cases as if each had a parent of its own
    """
    rules = plan.policy
    accuracies = [float(accuracy) for accuracy in rules.data["power"]["true_accuracy"]]
    exact = [plan.exact(power.spread(accuracy)) for accuracy in accuracies]
    known = len(set(cases.parents)) < len(cases.parents)
    structures = [cases] if known else [cases.shared(parents) for parents in PARENTS]
    return {
        "schema": SCHEMA,
        "policy_sha256": rules.sha256,
        "cases": {
            "source": source,
            **{kind: {"total": len(cases.of(kind)), "expected": cases.classes(kind)} for kind in KINDS},
        },
        "gates": list(_gates(plan)),
        "true_accuracy": accuracies,
        "chances": {
            "of": "one run, its answers independent; exact, where " + MODELS["any"][1],
            "gates": {name: [each[name] for each in exact] for name in exact[0]},
        },
        "together": {
            "of": "both smokes, what is between them, and the full run, every gate",
            "systems": power.SYSTEMS,
            "seed": power.SEED,
            "wrong_answers": {name: words for name, (_, words) in MODELS.items()},
            "runs": RUNS,
            **{name: _together(plan, accuracies, model) for name, (model, _) in MODELS.items()},
        },
        "shared_parents": {
            "correlation": rules.correlation,
            "of": "in each run a case takes its parent's luck with the root of the correlation as the chance",
            "known": known,
            "structures": [_shared(Plan(rules, shared, like=plan), accuracies) for shared in structures],
        },
    }


def _gates(plan: Plan) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        for rule in plan.rules[kind]:
            gate = rule.gate
            yield {
                "gate": rule.name,
                "id": gate.id,
                "run": "pair" if gate.scope == "pair" else kind,
                "title": gate.title,
                "severity": gate.severity,
                "threshold": f"{gate.operator} {gate.threshold_text}",
                "needs": rule.need(),
                "counts": rule.noun,
                "n": sum(part.n for part in rule.parts) or None,
                "source": gate.source,
            }


def _together(
    plan: Plan, accuracies: Sequence[float], model: Callable[[float], Answers], correlation: float = 0.0
) -> dict[str, list[float]]:
    found = [plan.together(model(accuracy), correlation=correlation) for accuracy in accuracies]
    return {name: [each[name] for each in found] for name in (*RUNS, *_bounds(plan))}


def _bounds(plan: Plan) -> list[str]:
    """Return the gates that compare the lower bound of the agreement."""
    return [rule.name for kind in KINDS for rule in plan.rules[kind] if rule.gate.metric.startswith("accuracy_lower")]


def _shared(plan: Plan, accuracies: Sequence[float]) -> dict[str, Any]:
    rho = plan.policy.correlation
    entry: dict[str, Any] = {"parents": len(set(plan.cases.parents))}
    for kind in KINDS:
        sizes = plan.cases.sizes(kind)
        needed = next(rule for rule in plan.rules[kind] if rule.gate.metric == "accuracy_lower").parts[0].passes
        hits = needed.index(True) if True in needed else len(needed) - 1
        interval = clustered(hits, sizes, rho, plan.policy.level)
        entry[kind] = {
            "parents": len(sizes),
            "largest": sizes[0],
            "effective_n": effective_n(sizes, rho),
            "at_the_gate": {"hits": hits, "n": sum(sizes), "lower": interval.lower if interval else None},
        }
    return entry | _together(plan, accuracies, power.spread, rho)


# --- shown ---------------------------------------------------------------------------------------------------------


def show(told: Mapping[str, Any], out: Console) -> None:
    """Print everything for people."""
    header = ["true accuracy", *(f"{accuracy:.0%}" for accuracy in told["true_accuracy"])]
    chances, together, shared = told["chances"], told["together"], told["shared_parents"]
    out.print(f"For {visible(told['cases']['source'])}; policy {told['policy_sha256'][:12]}")
    _head(out, "What each gate takes")
    _table(out, list(_needs(told["gates"])), right=False)
    _head(out, "Chance to pass a gate, in %", chances["of"])
    shown = {name: row for name, row in chances["gates"].items() if min(row) < 0.9995}
    _table(out, [header, *([name, *map(_percent, row)] for name, row in shown.items())])
    _head(out, f"Chance to pass the plan, in % of {together['systems']} drawn systems", together["of"])
    for name, words in {**together["wrong_answers"], **together["runs"]}.items():
        out.print(f"  {_words(name)}: {words}")
    rows = [[f"{_words(model)}, {run}", *map(_percent, together[model][run])] for model in MODELS for run in RUNS]
    _table(out, [header, *rows])
    _head(out, "What shared parents do, in % of as many systems", shared["of"])
    for entry in shared["structures"]:
        _head(out, f"{plural(entry['parents'], 'parent')}, declared correlation {shared['correlation']:g}")
        for kind in KINDS:
            out.print(_structure(kind, entry[kind]))
        names = {**{run: f"the plan (any, {run})" for run in RUNS}, **{name: name for name in entry if ":" in name}}
        _table(out, [header, *([shown, *map(_percent, entry[name])] for name, shown in names.items())])


def _head(out: Console, title: str, words: str = "") -> None:
    out.print(f"\n{title}: {words}" if words else f"\n{title}")


def _needs(gates: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Yield a row a gate: what it takes in a smoke, or between the two, and in the full run."""
    yield ["gate", "in a smoke", "in the full run", "each one a", "severity"]
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for gate in gates:
        found.setdefault(gate["id"], {})[gate["run"]] = gate
    for name, runs in found.items():
        smoke, full = runs.get("smoke") or runs.get("pair"), runs.get("full")
        either = smoke or full or {}
        yield [name, _need(smoke), _need(full), either["counts"], either["severity"]]


def _need(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return ""
    stated = gate["threshold"]
    return (
        f"{gate['needs']} ({stated})"
        if gate["n"] and "(" not in gate["needs"] and stated != "== 0" and " of " not in stated
        else gate["needs"]
    )


def _structure(kind: str, entry: Mapping[str, Any]) -> str:
    seen = entry["at_the_gate"]
    return (
        f"  {kind}: {seen['n']} cases of {plural(entry['parents'], 'parent')} count as {entry['effective_n']:.1f}; "
        f"{seen['hits']} right show a lower bound of {seen['lower']:.3f}"
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _percent(chance: float) -> str:
    if chance < 0.0005:
        return "<0.1"
    return ">99.9" if chance >= 0.9995 else f"{100 * chance:.1f}"


def _table(out: Console, rows: Sequence[Sequence[str]], *, right: bool = True) -> None:
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if right and place else "left")
    for row in rows[1:]:
        table.add_row(*row)
    out.print(table)


def plot(told: Mapping[str, Any], plan: Plan, path: Path) -> None:
    """Draw the chances over the true accuracy, single gates beside the plan.

    :raises BadInput: no picture of that name can be written
    """
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update({"svg.hashsalt": SCHEMA, "svg.fonttype": "none"})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    single, whole = figure.subplots(1, 2, sharey=True)
    grid = [0.5 + 0.5 * step / 100 for step in range(101)]
    chances = [plan.exact(power.spread(accuracy)) for accuracy in grid]
    for name in (name for name in chances[0] if name.partition(":")[2] in DRAWN):
        kind, gate = name.split(":")
        row = [100 * each[name] for each in chances]
        single.plot(grid, row, "--" if kind == "full" else "-", color=f"C{DRAWN.index(gate)}", label=name)
    single.set_title("one gate, one run (exact)")
    together, fewest = told["together"], told["shared_parents"]["structures"][-1]
    rows = {(model, run): (_words(model), together[model][run]) for model in MODELS for run in RUNS}
    rows |= {("parents", run): (f"any, {plural(fewest['parents'], 'parent')}", fewest[run]) for run in RUNS}
    for place, ((_, run), (label, row)) in enumerate(rows.items()):
        style = "o-" if run == "same" else "s--"
        shown = [100 * chance for chance in row]
        whole.plot(told["true_accuracy"], shown, style, color=f"C{place // len(RUNS)}", label=f"{label}, {run}")
    whole.set_title(f"the whole plan ({together['systems']} drawn systems)")
    for axes in (single, whole):
        axes.set(xlabel="true accuracy", ylim=(-2, 102))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    single.set_ylabel("chance to pass, in %")
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    except OSError as error:
        raise _unwritten(path, error.strerror or "no file") from error


def _unwritten(path: Path, found: str) -> BadInput:
    return BadInput(f"plot {path}", found=found, need="a file that can be written", next_step="name another")


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain, print, and return the exit code."""
    parser = Parser(prog="invoke explain", description=__doc__)
    parser.add_argument("--policy", type=Path, default=ROOT / "policy" / "day3.yml")
    parser.add_argument("--data-root", type=Path, help="folder that holds manifest.csv and its documents")
    parser.add_argument(
        "--manifest", type=Path, help="another manifest; its paths lie below the data root, else beside it"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--plot", type=Path, help="also draw the chances, into a .svg or .png file")
    options = parser.parse_args(arguments)
    if options.plot and options.plot.suffix not in (".svg", ".png"):
        parser.error(f"argument --plot: found {str(options.plot)!r}, need a name that ends in .svg or .png")
    try:
        if options.plot and not options.plot.absolute().parent.is_dir():
            raise _unwritten(options.plot, "no folder of that name")
        rules = policy.load(options.policy, ROOT / "schemas" / "policy.schema.json")
        cases, source = cases_of(options, rules)
        plan = Plan(rules, cases.alone())
        told = explain(plan, cases, source)
        if options.plot:
            plot(told, plan, options.plot)
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    people = sys.stderr if options.json else sys.stdout
    show(told, Console(file=people, width=None if people.isatty() else WIDTH, markup=False, highlight=False))
    if options.json:
        print(json.dumps(jsonio.to_plain(told), indent=2, allow_nan=False))
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
