"""Study the judgement by simulation: does the interval cover what it says, and who passes that should not.

Prints the tables of docs/statistics.md; ``--write`` puts them into it. The seeds are fixed: whoever runs it gets the
same tables.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats  # type: ignore[import-untyped]
from solidgreen import gates, policy, power
from solidgreen.check import Status
from solidgreen.metrics import VERDICTS
from solidgreen.power import Answers, Plan
from solidgreen.stats import Interval, clustered, effective_n, wilson

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "statistics.md"
SEED = 20260301
#: Simulated samples of a point of the grid; simulated systems of a gate.
SAMPLES, SYSTEMS = 10_000, 10_000
CORRELATION = 0.3
ACCURACIES = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.97, 0.99)
#: Cases and parents; twenty cases of thirty parents there are not.
SHAPES = ((20, 9), (20, 15), (90, 9), (90, 15), (90, 30))

Reals = NDArray[np.float64]
Counts = NDArray[np.intp]
Table = list[list[str]]


# --- whole cases ---------------------------------------------------------------------------------------------------


def needs(plan: Plan) -> Table:
    """Return what each gate takes that counts cases, and what its zero leaves possible."""
    rows = [["gate", "compares", "takes", "each one a", "what a zero leaves possible"]]
    for rule in (rule for rules in plan.rules.values() for rule in rules if rule.parts):
        compares = f"{rule.gate.operator} {rule.gate.threshold_text}"
        rows.append([f"`{rule.name}`", compares, rule.need(), rule.noun, rule.perfect.exposure])
    return rows


# --- coverage ------------------------------------------------------------------------------------------------------


def parents(n: int, count: int, *, even: bool) -> Counts:
    """Return the sizes of so many parents of *n* cases: alike, or each about three quarters of the one before."""
    weights = np.ones(count) if even else 0.75 ** np.arange(count)
    shares = weights / weights.sum() * (n - count)
    extra = np.floor(shares).astype(int)
    extra[np.argsort(extra - shares, kind="stable")[: n - count - extra.sum()]] += 1
    return np.asarray(1 + extra)


def beta_binomial(rng: np.random.Generator, accuracy: float, sizes: Counts) -> Counts:
    """Each parent has an accuracy of its own."""
    spread = (1 - CORRELATION) / CORRELATION
    own = rng.beta(accuracy * spread, (1 - accuracy) * spread, (SAMPLES, len(sizes)))
    return rng.binomial(sizes, own)


def shared_luck(rng: np.random.Generator, accuracy: float, sizes: Counts) -> Counts:
    """Each case takes the outcome of its parent with the root of the correlation as the chance, else its own."""
    copies = rng.binomial(sizes, sqrt(CORRELATION), (SAMPLES, len(sizes)))
    right = rng.random(copies.shape) < accuracy
    return np.asarray(copies * right + rng.binomial(sizes - copies, accuracy))


def all_alike(rng: np.random.Generator, accuracy: float, sizes: Counts) -> Counts:
    """All cases of a parent are alike with the correlation as the chance, else each is its own."""
    shape = (SAMPLES, len(sizes))
    alike, right = rng.random(shape) < CORRELATION, rng.random(shape) < accuracy
    return np.where(alike, sizes * right, rng.binomial(sizes, accuracy, shape))


def copula(rng: np.random.Generator, accuracy: float, sizes: Counts) -> Counts:
    """A case is right where a normal variable that its parent shares in is low enough."""
    latent, edge = _latent(accuracy), special.ndtri(accuracy)
    own = special.ndtr((edge - sqrt(latent) * rng.standard_normal((SAMPLES, len(sizes)))) / sqrt(1 - latent))
    return rng.binomial(sizes, own)


@cache
def _latent(accuracy: float) -> float:
    """Return the correlation of the normal variables whose outcomes correlate as declared."""
    edge = special.ndtri(accuracy)

    def off(latent: float) -> float:
        both = stats.multivariate_normal.cdf([edge, edge], cov=[[1, latent], [latent, 1]])
        return float((both - accuracy**2) / (accuracy * (1 - accuracy)) - CORRELATION)

    return float(optimize.brentq(off, 0.01, 0.99, xtol=1e-6))


MODELS: tuple[Callable[[np.random.Generator, float, Counts], Counts], ...] = (
    beta_binomial,
    shared_luck,
    all_alike,
    copula,
)


def ends(intervals: Sequence[Interval | None]) -> tuple[Reals, Reals]:
    """Return lower and upper ends by the number of hits."""
    known = [interval for interval in intervals if interval]
    return np.array([one.lower for one in known]), np.array([one.upper for one in known])


def with_t(n: int, sizes: Sequence[int]) -> tuple[Reals, Reals]:
    """Return Wilson's ends at the effective n, with the t quantile of so few parents in place of the normal one."""
    level = 2 * special.ndtr(special.stdtrit(len(sizes) - 1, 0.975)) - 1
    size = effective_n(sizes, CORRELATION)
    return ends([wilson(hits * size / n, size, level) for hits in range(n + 1)])


def estimated(right: Counts, sizes: Counts) -> tuple[Reals, Reals]:
    """Return the ends of ``stats.clustered`` with the correlation that each sample itself suggests.

    The estimate is that of the analysis of variance (Ridout, Demétrio and Firth 1999), cut to 0 … 1; a sample without
    any spread suggests none.
    """
    n, count = sizes.sum(), len(sizes)
    each, whole = right / sizes, right.sum(axis=1, keepdims=True) / n
    between = (sizes * (each - whole) ** 2).sum(axis=1) / (count - 1)
    within = (right * (1 - each)).sum(axis=1) / (n - count)
    typical = (n - (sizes**2).sum() / n) / (count - 1)
    spread = between + (typical - 1) * within
    guess = np.divide(between - within, spread, out=np.zeros(len(right)), where=spread > 0).clip(0, 1)
    size = n / (1 + ((sizes**2).sum() / n - 1) * guess)
    seen = whole[:, 0] * size
    with np.errstate(invalid="ignore"):
        lower = np.where(seen > 0, special.betaincinv(seen, size - seen + 1, 0.025), 0.0)
        upper = np.where(seen < size, special.betaincinv(seen + 1, size - seen, 0.975), 1.0)
    return lower, upper


METHODS = ("declared, exact", "declared, Wilson t", "declared, Wilson", "estimated, exact", "parents ignored, Wilson")


def coverage() -> Iterator[tuple[tuple[int, int, str], str, float, dict[str, float], dict[str, float]]]:
    """Yield shape, model and accuracy with the coverage and the mean width of each method, in %."""
    rng = np.random.default_rng(SEED)
    for (n, count), even in product(SHAPES, (True, False)):
        sizes = parents(n, count, even=even)
        plain, size = [int(one) for one in sizes], effective_n(sizes.tolist(), CORRELATION)
        by_hits = {
            METHODS[0]: ends([clustered(hits, plain, CORRELATION) for hits in range(n + 1)]),
            METHODS[1]: with_t(n, plain),
            METHODS[2]: ends([wilson(hits * size / n, size) for hits in range(n + 1)]),
            METHODS[4]: ends([wilson(hits, n) for hits in range(n + 1)]),
        }
        for model, accuracy in product(MODELS, ACCURACIES):
            right = model(rng, accuracy, sizes)
            hits = right.sum(axis=1)
            found = {name: (lower[hits], upper[hits]) for name, (lower, upper) in by_hits.items()}
            found[METHODS[3]] = estimated(right, sizes)
            covered = {
                name: 100 * float(((lower <= accuracy) & (accuracy <= upper)).mean())
                for name, (lower, upper) in found.items()
            }
            widths = {name: 100 * float((upper - lower).mean()) for name, (lower, upper) in found.items()}
            yield (n, count, "alike" if even else "unequal"), model.__name__, accuracy, covered, widths


def coverage_tables() -> tuple[Table, Table]:
    """Return the lowest coverage of each method by shape, and its lowest of all with its mean width."""
    points = list(coverage())
    rows = [["cases", "parents", "sizes", "effective n", *METHODS]]
    for shape in dict.fromkeys(point[0] for point in points):
        n, count, how = shape
        size = effective_n(parents(n, count, even=how == "alike").tolist(), CORRELATION)
        lowest = [min(point[3][name] for point in points if point[0] == shape) for name in METHODS]
        rows.append([str(n), str(count), how, f"{size:.1f}", *(f"{value:.1f}" for value in lowest)])
    whole = [["interval", "lowest coverage", "where", "points below 94 %", "mean width"]]
    for name in METHODS:
        (n, count, how), model, accuracy, covered, _ = min(points, key=lambda point: point[3][name])
        below = sum(point[3][name] < 94 for point in points)
        width = sum(point[4][name] for point in points) / len(points)
        where = f"{n} cases, {count} parents, {how}, {model}, {accuracy:g}"
        whole.append([name, f"{covered[name]:.1f}", where, f"{below} of {len(points)}", f"{width:.1f}"])
    return rows, whole


# --- false GO ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Boundary:
    """A system that is exactly at what a gate forbids.

    :param gate: name of the gate, for example ``smoke:accuracy``
    :param answers: what it answers in the first smoke, the second and the full run
    :param fault: what happens to cases beside their verdict: an outcome without a verdict, ``secret`` or ``healed``
    :param rate: share of all cases that it happens to, those expected to be a warning first
    """

    gate: str
    words: str
    answers: tuple[Answers, Answers, Answers]
    fault: str = ""
    rate: float = 0.0


#: The wrong answers that the fewest gates see: what a system at a boundary does worst is what lets most of it pass.
QUIET = {"pass": "warn", "warn": "reject", "reject": "warn", "blocked": "reject"}
#: Gates over what is looked at whole, not sampled: one fault is seen with certainty, so there is nothing to draw.
CERTAIN = (
    "duration",
    "independent",
    "classes_present",
    "unanswered",
    "min_interval",
    "retries_429",
    "ledger",
    "registration",
    "verdicts_blind",
)


def wrong(shares: Mapping[str, float], answer: Mapping[str, str] = QUIET) -> Answers:
    """Return a system whose answers to those classes are wrong so often, each class in one way, and else right."""
    answers = {name: {verdict: float(verdict == name) for verdict in VERDICTS} for name in VERDICTS}
    for name, share in shares.items():
        answers[name] |= {name: 1 - share, answer[name]: share}
    return answers


def boundaries(plan: Plan) -> Iterator[Boundary]:
    """Yield a system at the boundary of every gate that chance can pass, from the thresholds of the policy."""
    perfect = wrong({})
    for kind in ("smoke", "full"):
        cases, total = plan.cases.classes(kind), len(plan.cases.of(kind))
        for rule in plan.rules[kind]:
            gate, limit, name = rule.gate, float(rule.gate.threshold), rule.name
            if gate.severity == "advisory" or gate.id in CERTAIN or (gate.scope == "run" and kind == "full"):
                continue
            match gate.metric:
                case "accuracy" | "accuracy_lower" | "accuracy_strict":
                    system = wrong(dict.fromkeys(VERDICTS, 1 - limit))
                    yield Boundary(name, f"right in {limit:g} of all cases", (system,) * 3)
                case "pass_recall":
                    yield Boundary(name, f"passes {limit:g} of what must pass", (wrong({"pass": 1 - limit}),) * 3)
                case "critical_false_pass":
                    system = wrong({"reject": 1 / cases["reject"]}, {"reject": "pass"})
                    yield Boundary(name, f"passes 1 in {cases['reject']} of what must be rejected", (system,) * 3)
                case "pass_blocked":
                    system = wrong({"pass": limit}, {"pass": "blocked"})
                    yield Boundary(name, f"blocks {limit:g} of what must pass", (system,) * 3)
                case "blocked_share":
                    # What must be blocked is; so many of the others that the share of all is at the limit.
                    share = (limit * total - cases["blocked"]) / (total - cases["blocked"])
                    others = [verdict for verdict in VERDICTS if verdict != "blocked"]
                    system = wrong(dict.fromkeys(others, share), dict.fromkeys(others, "blocked"))
                    yield Boundary(name, f"blocks {limit:g} of all cases", (system,) * 3)
                case "blocked_share_by_class":
                    system = wrong({"warn": limit}, {"warn": "blocked"})
                    yield Boundary(name, f"blocks {limit:g} of the warnings", (system,) * 3)
                case "consistency":
                    other = wrong(dict.fromkeys(VERDICTS, 1 - limit))
                    yield Boundary(
                        name, f"answers {1 - limit:g} of the second smoke otherwise", (perfect, other, perfect)
                    )
                case "drift":
                    other = wrong({"warn": limit})
                    yield Boundary(
                        name, f"loses {limit:g} of the warnings in the second smoke", (perfect, other, perfect)
                    )
                case "comparable":
                    words = f"leaves {1 - limit:.3g} of all cases without an answer"
                    yield Boundary(name, words, (perfect,) * 3, "client_error", 1 - limit)
                case "http_429_exhaustion":
                    yield Boundary(
                        name, f"gives up {limit:g} of all cases on 429", (perfect,) * 3, "rate_limited", limit
                    )
                case "http_422":
                    yield Boundary(name, f"answers 1 in {total} with 422", (perfect,) * 3, "unprocessable", 1 / total)
                case "secrets":
                    yield Boundary(name, f"has a secret in 1 of {total} answers", (perfect,) * 3, "secret", 1 / total)
                case "new_errors":
                    words = f"has an error healed by a retry in 1 of {total} cases"
                    yield Boundary(name, words, (perfect,) * 3, "healed", 1 / total)
                case other:
                    raise ValueError(f"no boundary is known for the metric {other} of {name}")


class Faulty:
    """Judges perfect answers of which some cases came to a fault, by the gates themselves, each sum of faults once."""

    def __init__(self, plan: Plan, fault: str) -> None:
        self.plan, self.fault = plan, fault
        self.summary = cache(self._summary)
        self.judged = cache(self._judged)

    def _summary(self, kind: str, count: int) -> dict[str, Any]:
        expected = [self.plan.cases.expected[place] for place in self.plan.cases.of(kind)]
        if self.fault == "secret":
            return self.plan.summary(expected, expected) | {"secrets": count}
        if self.fault == "healed":
            return self.plan.summary(expected, expected) | {"error_classes": {"healed": count} if count else {}}
        # Of the warnings first: there an answer that is missing hides the least.
        hit = sorted(range(len(expected)), key=lambda place: expected[place] != "warn")[:count]
        answers = [self.fault if place in hit else verdict for place, verdict in enumerate(expected)]
        return self.plan.summary(expected, answers)

    def _judged(self, run: str, count: int, prior: int, same: int, known: bool) -> tuple[bool, dict[str, bool]]:
        """Return whether the run passes, and by gate whether it does."""
        kind, ordinal = run[:-1], int(run[-1])
        first = self.summary(kind, prior) if run == "smoke2" else None
        facts = replace(self.plan.facts(first), known_errors=("healed",) if known else ())
        pair = self.plan.pair(same, len(self.plan.cases.of(kind))) if run == "smoke2" else None
        summary = self.summary(kind, count)
        results = gates.evaluate(self.plan.policy, kind=kind, ordinal=ordinal, summary=summary, facts=facts, pair=pair)
        passes = {result.id: result.status is Status.PASS for result in results}
        return all(result.effect is Status.PASS for result in results), passes

    def passed(self, gate: str, first: Counts, second: Counts, full: Counts, same: Counts) -> dict[str, Reals]:
        """Return who passes the gate and each run, from the number of faults in each."""
        healed = self.fault == "healed"
        columns: dict[str, list[bool]] = {"gate": [], "smoke1": [], "smoke2": [], "full1": []}
        for one, two, all_, alike in zip(first, second, full, same, strict=True):
            known = healed and bool(one or two)
            runs = {
                "smoke1": self.judged("smoke1", int(one), 0, 0, healed and bool(one)),
                "smoke2": self.judged("smoke2", int(two), int(one), int(alike), known),
                "full1": self.judged("full1", int(all_), 0, 0, known),
            }
            kind, _, name = gate.partition(":")
            columns["gate"].append(runs[f"{kind}1"][1][name])
            for run, (passes, _) in runs.items():
                columns[run].append(passes)
        return {name: np.array(column, dtype=float) for name, column in columns.items()}


def passing(plan: Plan, boundary: Boundary, seed: Sequence[int]) -> dict[str, float]:
    """Return the shares, in %, of such systems that pass the gate in one run, both smokes, and the plan.

    ``same`` are systems that answer a case alike each time, ``fresh`` such as are drawn anew for each run.
    """
    rng = np.random.default_rng(seed)
    if boundary.fault:
        found = _passing_faulty(plan, boundary, rng)
    else:
        drawn = [plan.draw(rng, answers, SYSTEMS) for answers in boundary.answers]
        found = {"fresh": plan.passed(*drawn)}
        if boundary.answers[0] == boundary.answers[1]:
            found["same"] = plan.passed(drawn[0], drawn[0], drawn[0])
        kind, _, gate = boundary.gate.partition(":")
        run = "smoke2" if gate == "drift" else {"smoke": "smoke1", "full": "full1", "pair": "pair"}[kind]
        for flags in found.values():
            flags["gate"] = flags[f"{run}:{gate}"]
    shares = {"gate": 100 * float(found["fresh"]["gate"].mean())}
    for name, flags in found.items():
        smokes = flags["smoke1"].astype(bool) & flags["smoke2"].astype(bool)
        shares[f"smokes, {name}"] = 100 * float(smokes.mean())
        shares[f"plan, {name}"] = 100 * float((smokes & flags["full1"].astype(bool)).mean())
    return shares


def _passing_faulty(plan: Plan, boundary: Boundary, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    judge = Faulty(plan, boundary.fault)
    smoke, every = plan.cases.of("smoke"), plan.cases.of("full")
    verdictless = boundary.fault not in ("secret", "healed")
    hit = [rng.random((SYSTEMS, len(every))) < boundary.rate for _ in range(3)]
    found = {}
    for name, (first, second, full) in {"fresh": hit, "same": [hit[0]] * 3}.items():
        lost = (first | second)[:, smoke].sum(axis=1) if verdictless else np.zeros(SYSTEMS, dtype=int)
        one, two = (runs[:, smoke].sum(axis=1) for runs in (first, second))
        found[name] = judge.passed(boundary.gate, one, two, full[:, every].sum(axis=1), len(smoke) - lost)
    return found


COLUMNS = ("gate", "smokes, same", "smokes, fresh", "plan, same", "plan, fresh")


def false_go(plan: Plan) -> Table:
    """Return the share of systems at each gate's boundary that pass the gate, both smokes, and all of the plan."""
    rows = [["gate", "system at its boundary", "the gate, exact", "the gate", *COLUMNS[1:]]]
    for number, boundary in enumerate(boundaries(plan)):
        shares = passing(plan, boundary, [SEED, number])
        exact = {} if boundary.fault or boundary.answers[0] != boundary.answers[1] else plan.exact(boundary.answers[0])
        chance = f"{100 * exact[boundary.gate]:.1f}" if boundary.gate in exact else ""
        shown = [f"{shares[name]:.1f}" if name in shares else "" for name in COLUMNS]
        rows.append([f"`{boundary.gate}`", boundary.words, chance, *shown])
    return rows


# --- the page ------------------------------------------------------------------------------------------------------


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    head, *rows = table
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def tables(plan: Plan) -> Iterator[tuple[str, Table]]:
    """Yield every table with its name on the page."""
    yield "needs", needs(plan)
    shapes, whole = coverage_tables()
    yield "coverage", shapes
    yield "methods", whole
    yield "false-go", false_go(plan)


def placed(page: str, name: str, text: str) -> str:
    """Return the page with the text between the marks of that name.

    :raises ValueError: the page has no such marks
    """
    start, end = f"<!-- study:{name} -->", f"<!-- /study:{name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"{PAGE.name} has no place for the table {name!r}: need {start} and {end}, once")
    return pattern.sub(lambda _: f"{start}\n{text}\n{end}", page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    rules = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")
    page = PAGE.read_text("utf-8") if options.write else ""
    for name, table in tables(Plan(rules, power.planned(rules))):
        text = markdown(table)
        print(f"{name}\n{text}\n")
        page = placed(page, name, text) if options.write else page
    if options.write:
        PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
