"""What each gate takes in whole cases, and how likely a system of a known accuracy passes the plan.

No number of a gate stands here. What a gate counts is learnt by asking ``gates.measure`` about runs of a single case,
and what it says to each count by asking ``gates.judge``: simulating ten thousand systems is then looking up counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from math import exp, fsum, lgamma, log, log1p, sqrt
from typing import TYPE_CHECKING, Any

from . import gates, metrics
from .check import Status
from .clock import stamp
from .gates import Facts, Kind, Measurement, Pair
from .metrics import UNKNOWN, VERDICTS, Tally
from .policy import GateSpec, Policy

if TYPE_CHECKING:  # numpy comes with the simulation only
    import numpy as np
    from numpy.typing import NDArray

    from .manifest import Label

    Flags = NDArray[np.bool_]
    Codes = NDArray[np.intp]

#: Of the drawing: the same systems whoever draws them.
SEED = 20260301
#: How many systems are drawn for one chance, which is then known to within 1.4 points at 95 %.
SYSTEMS = 5000
STATUS_OF = {"unprocessable": 422, "rate_limited": 429, "client_error": 400}
#: Nothing was amiss, wherever it was looked for.
WHOLE = Tally((), 5)
COUNTED = (Kind.SHARE, Kind.BOUND, Kind.COUNT)

#: Pairs of expected verdict and answer.
Cells = frozenset[tuple[str, str]]
#: A system: expected verdict to the chance of each answer.
Answers = Mapping[str, Mapping[str, float]]


def run_power(n: int, hits_needed: int, accuracies: Sequence[float]) -> dict[float, float]:
    """Return the chance of at least so many right answers among *n* independent cases, by true accuracy; exact."""
    return {accuracy: fsum(_binomial(n, accuracy)[max(hits_needed, 0) :]) for accuracy in accuracies}


def _binomial(n: int, share: float) -> list[float]:
    """Return the chance of 0 … n hits of *n* independent cases."""
    if share <= 0 or share >= 1:
        return [float(hits == (n if share >= 1 else 0)) for hits in range(n + 1)]
    at, off = log(share), log1p(-share)
    ways = lgamma(n + 1)
    return [exp(ways - lgamma(k + 1) - lgamma(n - k + 1) + k * at + (n - k) * off) for k in range(n + 1)]


# --- cases and systems ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cases:
    """The cases of a data set, side by side: the verdict each must earn, its parent, whether the smoke draws it."""

    expected: tuple[str, ...]
    parents: tuple[str, ...]
    drawn: tuple[bool, ...]

    def of(self, kind: str) -> list[int]:
        """Return the places of the cases that a run of that kind is over."""
        return [place for place, drawn in enumerate(self.drawn) if drawn or kind != "smoke"]

    def sizes(self, kind: str) -> list[int]:
        """Return how many cases of such a run come from each parent, most first."""
        return sorted(Counter(self.parents[place] for place in self.of(kind)).values(), reverse=True)

    def classes(self, kind: str) -> dict[str, int]:
        """Return how many cases of such a run must earn each verdict."""
        counted = Counter(self.expected[place] for place in self.of(kind))
        return {verdict: counted[verdict] for verdict in VERDICTS}

    def alone(self) -> Cases:
        """Return the same cases, each made from a parent of its own."""
        return self.shared(len(self.expected))

    def shared(self, parents: int) -> Cases:
        """Return the same cases, made in turn from so many parents."""
        return replace(self, parents=tuple(f"P{place % parents}" for place in range(len(self.expected))))


def planned(policy: Policy) -> Cases:
    """Return the cases that the policy asks for, each made from a parent of its own."""
    expected: list[str] = []
    drawn: list[bool] = []
    for scenario, entry in policy.dataset["scenarios"].items():
        expected += [entry["expected"]] * entry["count"]
        drawn += [number < policy.smoke["strata"].get(scenario, 0) for number in range(entry["count"])]
    return Cases(tuple(expected), ("",) * len(expected), tuple(drawn)).alone()


def labelled(labels: Sequence[Label], drawn: Collection[str]) -> Cases:
    """Return the cases of a data set, of which the smoke draws those ids."""
    return Cases(
        tuple(label.expected for label in labels),
        tuple(label.parent for label in labels),
        tuple(label.case_id in drawn for label in labels),
    )


def spread(accuracy: float) -> Answers:
    """Return a system that is right that often in every class, its wrong answers alike among the other verdicts."""
    wrong = (1 - accuracy) / (len(VERDICTS) - 1)
    return {name: {answer: accuracy if answer == name else wrong for answer in VERDICTS} for name in VERDICTS}


def careful(accuracy: float) -> Answers:
    """Return the same system, but one that never passes what must be rejected."""
    wrong = (1 - accuracy) / (len(VERDICTS) - 2)
    rejects = {answer: accuracy if answer == "reject" else wrong for answer in VERDICTS}
    return {**spread(accuracy), "reject": {**rejects, "pass": 0.0}}


# --- the plan, asked -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One count that a gate compares: the answers that are its hits, and what the gate says to 0 … n of them.

    :param expected: the class of the cases it is over, empty for all of them
    :param hits: the pairs of expected verdict and answer that count; none where the agreement of two smokes counts
    :param passes: by the number of hits, whether the gate passes
    :param carries: by the number of hits, whether the phase may pass
    """

    expected: str
    n: int
    hits: Cells
    passes: tuple[bool, ...]
    carries: tuple[bool, ...]

    def need(self) -> str:
        """Return what passes, in whole cases; the gates of the plan rise or fall with their hits."""
        passing = [hits for hits, passes in enumerate(self.passes) if passes]
        if not passing:
            return f"no result of {self.n} passes"
        if passing[0]:
            return f"{passing[0]} of {self.n}"
        return f"at most {passing[-1]} of {self.n}" if passing[-1] else f"none of {self.n}"


@dataclass(frozen=True)
class Rule:
    """A gate over the runs of one kind.

    :param parts: what it counts over the cases; nothing where it looks at something else
    :param measured: what it compares when no answer is wrong, None where it counts other gates
    :param perfect: what it says to that
    """

    gate: GateSpec
    parts: tuple[Part, ...]
    measured: Measurement | None
    perfect: gates.GateResult

    @property
    def name(self) -> str:
        """Name of the gate and of the runs it judges, for example ``smoke:accuracy``."""
        subject = self.perfect.subject.rstrip("12")
        return f"{subject}:{self.gate.id}"

    @property
    def noun(self) -> str:
        """What is counted, in the singular; empty for what is no count of cases."""
        if not self.parts or self.measured is None:
            return ""
        return "agreeing case" if self.gate.scope == "pair" else self.measured.noun

    def need(self) -> str:
        """Return what the gate takes, in whole cases where it counts them."""
        if not self.parts:
            amount = self.measured and self.measured.kind is Kind.AMOUNT
            return self.perfect.needed if amount else self.perfect.counterfactual
        classes: dict[str, list[str]] = {}
        for part in self.parts:
            classes.setdefault(part.need(), []).append(part.expected)
        if len(self.parts) == 1:
            return self.parts[0].need()
        return ", ".join(f"{need} ({', '.join(names)})" for need, names in classes.items())


class Plan:
    """The gates of a policy over the cases of a data set.

    :param like: a plan of the same policy, gates apart, whose learning is taken over: what a metric counts, and over
        the same cases what the same gates say, unless they ask for parents
    """

    def __init__(self, policy: Policy, cases: Cases, like: Plan | None = None) -> None:
        self.policy, self.cases = policy, cases
        self._cells: dict[str, Cells] = like._cells if like else self._learn()
        same = like and (like.cases.expected, like.cases.drawn) == (cases.expected, cases.drawn)
        known: Mapping[str, list[Rule]] = like.rules if like and same else {"smoke": [], "full": []}
        self.rules: dict[str, list[Rule]] = {kind: list(self._rules(kind, known[kind])) for kind in known}

    # --- what a gate counts, and what it says

    def summary(self, expected: Sequence[str], answers: Sequence[str], parents: Sequence[str] = ()) -> dict[str, Any]:
        """Return the summary of a run with these answers; what is no verdict is the outcome of a case without one."""
        own = [f"P{place}" for place in range(len(expected))]
        rows = _rows(expected, answers, parents or own, self.policy.pacing["min_interval"])
        return metrics.summarise(rows, self.policy.level)

    def facts(self, prior: Mapping[str, Any] | None = None) -> Facts:
        """Return the facts of a run in which all but the answers is as it must be."""
        return Facts(
            ledger=WHOLE,
            registration=WHOLE,
            pacing={name: self.policy.pacing[name] for name in ("min_interval", "retries_429")},
            prior=prior,
            known_errors=(),
            verdicts=WHOLE,
        )

    def pair(self, same: int, total: int) -> Pair:
        """Return two independent smokes that agree in so many cases."""
        flip = {"case_id": "", "first": "warn", "second": "pass", "expected": "warn", "scenario": "warn"}
        return Pair({"same": same, "total": total, "flips": [flip] * (total - same)}, WHOLE)

    def _measure(self, summary: Mapping[str, Any], prior: Mapping[str, Any] | None = None) -> dict[str, Measurement]:
        return gates.measure(summary, self.facts(prior), self.policy.classes, self.policy.correlation)

    def _learn(self) -> dict[str, Cells]:
        """Return by metric which answers are its hits, for the metrics that are a sum over the cases."""
        alone = {cell: self._measure(self.summary([cell[0]], [cell[1]])) for cell in product(VERDICTS, VERDICTS)}
        # Asked again about many cases at once, another number of each kind: what is no sum is not as foretold.
        mixed = [cell for place, cell in enumerate(alone) for _ in range(1 + place % 5)]
        asked = self._measure(self.summary([expected for expected, _ in mixed], [answer for _, answer in mixed]))
        return {
            metric: frozenset(cell for cell in alone if alone[cell][metric].hits)
            for metric, measured in asked.items()
            if _is_sum(measured, [(cell[0], alone[cell][metric]) for cell in mixed])
        }

    def _rules(self, kind: str, known: Sequence[Rule]) -> Iterator[Rule]:
        """Yield the rules of a kind, those of the second smoke for both; *known* are those over other parents."""
        told = {rule.gate.key: rule for rule in known if not rule.measured or rule.measured.families is None}
        places = self.cases.of(kind)
        n, ordinal = len(places), 2 if kind == "smoke" else 1
        expected = [self.cases.expected[place] for place in places]
        perfect = self.summary(expected, expected, [self.cases.parents[place] for place in places])
        prior, pair = (perfect, self.pair(n, n)) if ordinal == 2 else (None, None)
        facts = self.facts(prior)
        results = gates.evaluate(self.policy, kind=kind, ordinal=ordinal, summary=perfect, facts=facts, pair=pair)
        measured = self._measure(perfect, prior) | (gates.measure_pair(pair) if pair else {})
        agreeing = [gates.measure_pair(self.pair(same, n)) for same in range(n + 1)] if pair else []
        for gate, result in zip(self.policy.gates_for(kind, ordinal), results, strict=True):
            before = told.get(gate.key)
            if before and before.gate == gate:
                yield before
                continue
            parts: list[Part] = []
            if gate.scope == "pair":
                part = self._part(gate, [each[gate.metric] for each in agreeing], "", frozenset())
                # What no answer changes is no count: the signs that the second smoke is a copy.
                parts = [part] if len(set(part.passes)) > 1 else []
            elif gate.metric in self._cells:
                for name, one in self._apart(gate.metric, measured[gate.metric], expected):
                    counted = [replace(one, hits=hits, others=(), worst=None) for hits in range(one.n + 1)]
                    cells = frozenset(cell for cell in self._cells[gate.metric] if name in ("", cell[0]))
                    parts.append(self._part(gate, counted, name, cells))
            yield Rule(gate, tuple(parts), measured.get(gate.metric), result)

    def _apart(self, metric: str, measured: Measurement, expected: Sequence[str]) -> Iterator[tuple[str, Measurement]]:
        """Yield what the gate compares; where each class must hold by itself, each with its name."""
        if not measured.others:
            yield "", measured
            return
        for name in dict.fromkeys(expected):
            own = [verdict for verdict in expected if verdict == name]
            one = self._measure(self.summary(own, own))[metric]
            if one.n:
                yield name, one

    def _part(self, gate: GateSpec, counted: Sequence[Measurement], expected: str, hits: Cells) -> Part:
        said = [gates.judge(gate, measured, "", self.policy.level) for measured in counted]
        passes = tuple(result.status is Status.PASS for result in said)
        return Part(expected, len(said) - 1, hits, passes, tuple(result.effect is Status.PASS for result in said))

    # --- chances

    def exact(self, answers: Answers) -> dict[str, float]:
        """Return by gate the chance that one run of such a system passes it, its answers independent of each other.

        For the gates between the two smokes that is the chance of two runs whose answers are drawn anew.
        """
        import numpy as np

        chances: dict[str, float] = {}
        for kind, rules in self.rules.items():
            cases = self.cases.classes(kind)
            for rule in rules:
                for part in rule.parts:
                    spread_out = np.ones(1)
                    for name, n in cases.items():
                        if rule.gate.scope == "pair":
                            share = fsum(chance * chance for chance in answers[name].values())
                        else:
                            share = fsum(
                                chance for answer, chance in answers[name].items() if (name, answer) in part.hits
                            )
                        spread_out = np.convolve(spread_out, _binomial(n, share))
                    passing = fsum(chance for chance, passes in zip(spread_out, part.passes, strict=False) if passes)
                    chances[rule.name] = chances.get(rule.name, 1.0) * min(passing, 1.0)
        return chances

    def draw(self, rng: np.random.Generator, answers: Answers, systems: int, correlation: float = 0.0) -> Codes:
        """Return the answers of so many systems to every case, as places in ``VERDICTS``; shape (systems, cases).

        With a correlation a case takes the luck of its parent with the chance of its root, else its own: the outcomes
        of two cases of one parent correlate by just that much.
        """
        import numpy as np

        luck = rng.random((systems, len(self.cases.expected)))
        if correlation:
            codes = {parent: code for code, parent in enumerate(dict.fromkeys(self.cases.parents))}
            parents = rng.random((systems, len(codes)))[:, [codes[parent] for parent in self.cases.parents]]
            luck = np.where(rng.random(luck.shape) < sqrt(correlation), parents, luck)
        drawn = np.empty(luck.shape, dtype=np.intp)
        for name in set(self.cases.expected):
            places = [place for place, expected in enumerate(self.cases.expected) if expected == name]
            # The right answer first, so that good luck is a right answer in every class.
            order = sorted(VERDICTS, key=lambda answer: answer != name)
            steps = np.cumsum([answers[name][answer] for answer in order])[:-1]
            passed = sum((luck[:, places] >= step for step in steps), np.zeros((systems, len(places)), dtype=np.intp))
            drawn[:, places] = np.array([VERDICTS.index(answer) for answer in order])[passed]
        return drawn

    def passed(self, first: Codes, second: Codes, full: Codes) -> dict[str, Flags]:
        """Return who passes each gate and each run (``smoke1``, ``smoke2``, ``full1``), from the answers to all cases.

        :param first: answers of the systems in the first smoke; of all cases, of which the smoke's are looked at
        """
        import numpy as np

        smoke, every = self.cases.of("smoke"), self.cases.of("full")
        tables = {
            "smoke1": self._table(first, smoke),
            "smoke2": self._table(second, smoke),
            "full1": self._table(full, every),
        }
        agreeing = (first[:, smoke] == second[:, smoke]).sum(axis=1)
        found: dict[str, Flags] = {}
        for run, table in tables.items():
            carried = np.ones(len(first), dtype=bool)
            for rule in self.rules["full" if run == "full1" else "smoke"]:
                paired = rule.gate.scope == "pair"
                if run == "smoke1" and (paired or rule.gate.metric == "drift"):
                    continue
                name = f"{'pair' if paired else run}:{rule.gate.id}"
                if rule.gate.metric == "drift" and run == "smoke2":
                    found[name], carries = self._drifts(rule, tables["smoke1"], table)
                    carried &= carries
                elif not rule.parts:
                    carried &= rule.perfect.effect is Status.PASS
                for part in rule.parts:
                    cells = np.array([[(row, column) in part.hits for column in VERDICTS] for row in VERDICTS])
                    hits = agreeing if paired else np.tensordot(table, cells.astype(int), 2)
                    found[name] = found.get(name, True) & np.array(part.passes)[hits]
                    carried &= np.array(part.carries)[hits]
            found[run] = carried
        return found

    def _table(self, answers: Codes, places: Sequence[int]) -> Codes:
        """Return the confusion matrix of each system, shape (systems, expected, answers)."""
        import numpy as np

        size = len(VERDICTS)
        rows = np.array([VERDICTS.index(self.cases.expected[place]) for place in places])
        cells = (np.arange(len(answers))[:, None] * size + rows) * size + answers[:, places]
        return np.bincount(cells.ravel(), minlength=len(answers) * size * size).reshape(-1, size, size)

    def _drifts(self, rule: Rule, first: Codes, second: Codes) -> tuple[Flags, Flags]:
        """Return who passes the drift gate of the second smoke, and whom it lets pass the phase."""
        import numpy as np

        kept = [place for place, name in enumerate(VERDICTS) if name != "blocked" and first[0, place].sum()]
        falls = [(first[:, place, place] - second[:, place, place]) / first[:, place].sum(axis=1) for place in kept]
        drops, which = np.unique(np.round(np.max(falls, axis=0), 12), return_inverse=True)
        said = [
            gates.judge(rule.gate, replace(rule.measured, amount=max(float(drop), 0.0)), "", self.policy.level)
            for drop in drops
            if rule.measured
        ]
        passes = np.array([result.status is Status.PASS for result in said])
        return passes[which], np.array([result.effect is Status.PASS for result in said])[which]

    def together(
        self, answers: Answers, *, correlation: float = 0.0, systems: int = SYSTEMS, seed: int = SEED
    ) -> dict[str, float]:
        """Return the simulated chance of the whole plan: of a system that answers a case the ``same`` each time, and of
        one whose three runs are drawn ``fresh``; beside them of each gate in one run, by name."""
        import numpy as np

        rng = np.random.default_rng(seed)
        first, second, full = (self.draw(rng, answers, systems, correlation) for _ in range(3))
        chances = {}
        for name, runs in {"same": (first, first, first), "fresh": (first, second, full)}.items():
            found = self.passed(*runs)
            chances[name] = float((found["smoke1"] & found["smoke2"] & found["full1"]).mean())
        alone = {
            f"{run.rstrip('12')}:{gate}": float(flags.mean())
            for run, _, gate, flags in ((*name.partition(":"), flags) for name, flags in found.items())
            if gate and run != "smoke2"
        }
        return chances | alone


def _is_sum(measured: Measurement, each: Sequence[tuple[str, Measurement]]) -> bool:
    """Tell whether hits and n of many cases are those of each case added up, class by class where it has classes."""
    sums: dict[str, tuple[int, int]] = {}
    for expected, one in each:
        name = expected if measured.others else ""
        hits, n = sums.get(name, (0, 0))
        sums[name] = hits + one.hits, n + one.n
    seen = sorted((one.hits, one.n) for one in (measured, *measured.others))
    return measured.kind in COUNTED and seen == sorted(pair for pair in sums.values() if pair[1])


def _rows(
    expected: Sequence[str], answers: Sequence[str], parents: Sequence[str], interval: float
) -> list[dict[str, Any]]:
    """Return the rows of a run of cases that were answered at the first try."""
    start = datetime(2000, 1, 1, tzinfo=UTC)
    rows = []
    for number, (verdict, answer, parent) in enumerate(zip(expected, answers, parents, strict=True)):
        answered = answer in VERDICTS
        at = stamp(start + timedelta(seconds=interval * number))
        rows.append(
            {
                "case_id": f"c{number:04}",
                "scenario": verdict,
                "expected_verdict": verdict,
                "actual_verdict": answer if answered else UNKNOWN,
                "comparable": answered,
                "matched": answer == verdict,
                "outcome": "answer" if answered else answer,
                "http_status": 200 if answered else STATUS_OF.get(answer),
                "attempts": 1,
                "retries_429": 0,
                "started_at": at,
                "finished_at": at,
                "parent": parent,
                "secrets": 0,
            }
        )
    return rows
