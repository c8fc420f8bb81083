"""Gates: a number of the plan against what a run measured, with the sentence that says why and what would change it.

Everything here is a function of its arguments. No data is inconclusive, never a pass.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

from .check import Check, Status, overall
from .errors import ExitCode, worst
from .metrics import UNKNOWN, VERDICTS, Tally, drift
from .policy import GateSpec, Policy
from .stats import Interval, clustered, exact_upper, wilson
from .text import plural, visible

SCHEMA = "solidgreen/gates/1"
#: Starts are timed where they are sent: so much earlier is the clock's doing, not the pacer's.
CLOCK_S = 0.05


class Kind(StrEnum):
    """What a measurement is: a share, the lower bound of one, a count, or an amount with a unit."""

    SHARE = "share"
    BOUND = "bound"
    COUNT = "count"
    AMOUNT = "amount"


@dataclass(frozen=True)
class Measurement:
    """What a gate compares.

    :param n: how many things were looked at; 0 means nothing was measured
    :param hits: how many of them count (shares, bounds, counts)
    :param amount: the value itself (amounts)
    :param noun: what a hit is called, singular; for amounts the unit
    :param base: what one of the *n* is called, singular
    :param detail: names what was seen, for example the case ids
    :param worst: hits and n if every unanswered case had been answered in the worst way
    :param others: what must hold as well, each by itself; the one that fares worst counts
    :param sampled: a count over a sample of cases: zero of few says little about the next ones, which is said
    :param families: sizes of the groups of cases that were made from one parent, to how many groups have it; the bound
        is then that of the effective n at the declared ``correlation``
    """

    kind: Kind
    n: int
    hits: int = 0
    amount: float | Fraction = 0.0
    noun: str = "record"
    base: str = "record"
    detail: str = ""
    worst: tuple[int, int] | None = None
    others: tuple[Measurement, ...] = ()
    sampled: bool = False
    families: Mapping[str, int] | None = None
    correlation: float = 0.0

    def interval(self, hits: int, level: float) -> Interval | None:
        """Return the interval around *hits* in place of what was seen, None where the measurement has none."""
        if self.kind is Kind.COUNT and self.sampled:
            return exact_upper(hits, self.n, level)
        if self.kind not in (Kind.SHARE, Kind.BOUND):
            return None
        if self.families is not None:
            return clustered(hits, self.families, self.correlation, level) if self.n else None
        return wilson(hits, self.n, level)


@dataclass(frozen=True)
class Facts:
    """What the rows of a run do not tell by themselves; None means that nobody established it.

    :param ledger: damage in the hash chain
    :param registration: inputs that differ from what the cycle registered
    :param pacing: the run's own settings, ``min_interval`` in seconds and ``retries_429``
    :param active_minutes: the run's time without what lay between its sessions; else the time between its ends counts
    :param prior: summary of the run before of the same kind
    :param known_errors: kinds of infrastructure error that the smokes showed
    :param rehearsal_pacing: the target is a rehearsal, which may be paced faster and says so
    :param verdicts: verdicts that do not follow again from what was recorded of their answers
    :param smallest_gap_s: between the two starts of requests that were closest; what was kept counts, not what was said
    """

    ledger: Tally | None = None
    registration: Tally | None = None
    pacing: Mapping[str, Any] | None = None
    active_minutes: float | None = None
    prior: Mapping[str, Any] | None = None
    known_errors: Collection[str] | None = None
    rehearsal_pacing: bool = False
    verdicts: Tally | None = None
    smallest_gap_s: float | None = None


@dataclass(frozen=True)
class Pair:
    """The two smokes against each other."""

    consistency: Mapping[str, Any]
    dependence: Tally


@dataclass(frozen=True)
class GateResult:
    """One gate's outcome. ``value``, ``interval`` and ``hits`` are None where the gate has none.

    ``exposure`` says what a zero that was seen leaves possible; ``waiver`` by whom a failed gate was waived, and until
    when.
    """

    id: str
    subject: str
    title: str
    phase: int
    scope: str
    metric: str
    status: Status
    severity: str
    group: str
    seen: str
    needed: str
    operator: str
    threshold: float
    value: float | None
    hits: int | None
    n: int
    min_n: int
    interval: Interval | None
    counterfactual: str
    source: str
    next_step: str
    exit_code: int
    detail: str = ""
    exposure: str = ""
    waiver: str = ""
    beyond_plan: bool = False

    @property
    def name(self) -> str:
        """Name of the gate within the cycle, for example ``smoke1:accuracy``."""
        return f"{self.subject}:{self.id}"

    @property
    def fired(self) -> bool:
        """Whether it failed and only says so."""
        return self.severity == "advisory" and self.status is Status.FAIL

    @property
    def effect(self) -> Status:
        """What the gate does to its phase.

        A failed hard gate fails it, a hard gate without evidence or a fired review gate leaves it inconclusive. A
        review gate without data (no run before to compare with) and an advisory gate do nothing.
        """
        if self.status is Status.WAIVED:
            return Status.PASS
        if self.severity == "hard":
            return self.status
        if self.severity == "review" and self.status is Status.FAIL:
            return Status.INCONCLUSIVE
        return Status.PASS

    def sentence(self) -> str:
        """Return the outcome as one line a person reads."""
        verb = {Status.PASS: "passed", Status.FAIL: "failed"}.get(self.status, self.status.value)
        line = f'gate "{self.name}" {verb}: {self.seen}, need {self.needed}'
        for more in (self.counterfactual, self.exposure, self.waiver):
            line += f"; {more}" if more else ""
        return line if self.status in (Status.PASS, Status.WAIVED) else f"{line}. Next: {self.next_step}"

    def check(self, owner: str, at: str) -> Check:
        """Return the gate as a check of its phase, with its effect as the status."""
        effect = self.effect
        return Check(
            id=self.name,
            title=self.title,
            status=effect,
            seen=f"{self.waiver}: {self.seen}" if self.waiver else self.seen,
            needed=self.needed,
            next_step="" if effect is Status.PASS else self.next_step,
            owner=owner,
            at=at,
            exit_code=self.exit_code if effect is Status.FAIL else None,
            facts={"gate": self.status.value, "severity": self.severity, "counterfactual": self.counterfactual},
        )


# --- measuring -----------------------------------------------------------------------------------------------------


def measure(
    summary: Mapping[str, Any], facts: Facts, classes: Sequence[str], correlation: float
) -> dict[str, Measurement]:
    """Return everything a run's gates compare, by metric name.

    :param summary: what ``metrics.summarise`` returned
    :param classes: expected verdicts that must be present
    :param correlation: of the outcomes of cases made from one parent, as the policy declares it
    """
    rows: Mapping[str, Mapping[str, int]] = summary["confusion"]
    expected = {name: sum(rows[name].values()) for name in VERDICTS}
    open_cases = {name: rows[name][UNKNOWN] for name in VERDICTS}
    answered = {name: expected[name] - open_cases[name] for name in VERDICTS}
    total, comparable, matched = summary["total"], summary["comparable"], summary["matched"]
    blocked = summary["actual_blocked"]
    agreement = Measurement(Kind.SHARE, comparable, matched, 0.0, "right answer", "comparable record")
    at_worst = (matched, total)
    missing = [name for name in classes if not answered.get(name)]
    measured = {
        "comparable": Measurement(
            Kind.SHARE, total, comparable, noun="comparable record", detail=_kinds(summary["outcomes"])
        ),
        "accuracy": replace(agreement, worst=at_worst),
        "accuracy_lower": replace(agreement, kind=Kind.BOUND, worst=at_worst),
        "accuracy_strict": Measurement(Kind.SHARE, total, matched, noun="right answer"),
        "accuracy_lower_effective": _effective(agreement, summary["parents"]["sizes"], correlation),
        "accuracy_over_baseline": _over_baseline(summary, answered),
        "first_try_gap": _first_try(summary),
        "pass_recall": Measurement(
            Kind.SHARE, expected["pass"], rows["pass"]["pass"], noun="passed case", base="case expected to pass"
        ),
        "critical_false_pass": Measurement(
            Kind.COUNT,
            answered["reject"],
            rows["reject"]["pass"],
            noun="false pass",
            base="answered case expected to be rejected",
            detail=", ".join(summary["critical_false_pass_cases"]),
            worst=(rows["reject"]["pass"] + open_cases["reject"], expected["reject"]),
            sampled=True,
        ),
        "http_422": Measurement(Kind.COUNT, total, summary["http_422"], noun="answer with 422", sampled=True),
        "secrets": Measurement(
            Kind.COUNT, 0 if summary["secrets"] is None else total, summary["secrets"] or 0, noun="answer with a secret"
        ),
        "http_429_exhaustion": Measurement(Kind.SHARE, total, summary["http_429_exhausted"], noun="case given up"),
        "pass_blocked": Measurement(
            Kind.SHARE,
            answered["pass"],
            rows["pass"]["blocked"],
            noun="blocked answer",
            base="answered case expected to pass",
            worst=(rows["pass"]["blocked"] + open_cases["pass"], expected["pass"]),
        ),
        "blocked_share": Measurement(
            Kind.SHARE,
            comparable,
            blocked,
            noun="blocked answer",
            base="comparable record",
            worst=(blocked + total - comparable, total),
        ),
        "blocked_share_by_class": _blocked_by_class(rows, answered, expected),
        "classes_missing": Measurement(
            Kind.COUNT,
            len(classes) if total else 0,
            len(missing),
            noun="missing class",
            base="class",
            detail=", ".join(missing),
        ),
        "drift": _drift(summary, facts.prior),
        "new_errors": _new_errors(summary, facts.known_errors),
        "ledger_damage": _tally(facts.ledger, "damaged place", "ledger record"),
        "registration_changes": _tally(facts.registration, "changed input", "registered input"),
        "verdict_faults": _tally(facts.verdicts, "verdict without its answer", "recorded answer"),
    }
    pacing = facts.pacing or {}
    minutes = summary["duration_minutes"] if facts.active_minutes is None else facts.active_minutes
    amounts = {
        "duration_minutes": (minutes if total else None, "min"),
        "min_interval": (_interval(pacing.get("min_interval"), facts.smallest_gap_s), "s"),
        "retries_429": (pacing.get("retries_429"), "retries"),
    }
    for name, (amount, unit) in amounts.items():
        known = amount if isinstance(amount, (int, float)) else None
        measured[name] = Measurement(Kind.AMOUNT, 0 if known is None else 1, amount=float(known or 0), noun=unit)
    return measured


def _interval(stated: object, kept: float | None) -> object:
    """Return the interval to judge: what was stated, or what was kept where that is clearly less."""
    if isinstance(stated, (int, float)) and kept is not None and kept < stated - CLOCK_S:
        return kept
    return stated


def _kinds(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()) if name != "answer")


def _blocked_by_class(
    rows: Mapping[str, Mapping[str, int]], answered: Mapping[str, int], expected: Mapping[str, int]
) -> Measurement:
    """Return the largest blocked share among the classes that must not be blocked, the others, and the worst case."""
    names = [name for name in VERDICTS if name != "blocked"]
    seen = [(rows[n]["blocked"], answered[n], n) for n in names if answered[n]]
    if not seen:
        return Measurement(Kind.SHARE, 0, noun="blocked answer", base="answered case of the class")
    at_worst = [(rows[n]["blocked"] + rows[n][UNKNOWN], expected[n]) for n in names if expected[n]]
    seen.sort(key=lambda entry: (-Fraction(entry[0], entry[1]), entry[1]))
    first, *others = (
        Measurement(
            Kind.SHARE,
            n,
            hits,
            noun="blocked answer",
            base="answered case of the class",
            detail=f"expected {name}" if hits else "",
        )
        for hits, n, name in seen
    )
    return replace(first, worst=max(at_worst, key=lambda entry: Fraction(*entry)), others=tuple(others))


def _effective(agreement: Measurement, sizes: Mapping[str, int], correlation: float) -> Measurement:
    """Return the bound over the agreement at its effective n; nothing where a record does not name its parent."""
    named = sum(int(size) * parents for size, parents in sizes.items())
    if named != agreement.n:
        return Measurement(Kind.BOUND, 0, noun=agreement.noun, base="run whose every record names its parent")
    return replace(agreement, kind=Kind.BOUND, families=sizes, correlation=correlation)


def _over_baseline(summary: Mapping[str, Any], answered: Mapping[str, int]) -> Measurement:
    """Return by how much the agreement beats a system that always gives the verdict most often expected."""
    n = summary["comparable"]
    if not n:
        return Measurement(Kind.AMOUNT, 0, noun="", base="comparable record")
    name, hits = max(answered.items(), key=lambda entry: entry[1])
    detail = f"always {name} would agree in {hits} of {n}"
    return Measurement(Kind.AMOUNT, n, amount=Fraction(summary["matched"] - hits, n), noun="", detail=detail)


def _first_try(summary: Mapping[str, Any]) -> Measurement:
    """Return how far the agreement at the first try lies from that after retries, whichever is the higher."""
    first, retried = summary["first_try"], summary["retried"]
    n = min(first["comparable"], retried["comparable"])
    if not n:
        return Measurement(Kind.AMOUNT, 0, noun="", base="answer after a retry")
    told = [f"{side['matched']} of {side['comparable']}" for side in (first, retried)]
    gap = Fraction(first["matched"], first["comparable"]) - Fraction(retried["matched"], retried["comparable"])
    return Measurement(Kind.AMOUNT, n, amount=abs(gap), noun="", detail="first try {}, retried {}".format(*told))


def _drift(summary: Mapping[str, Any], prior: Mapping[str, Any] | None) -> Measurement:
    drops = drift(prior, summary) if prior else {}
    if not drops:
        return Measurement(Kind.AMOUNT, 0, noun="", base="run before of this kind")
    name, drop = max(drops.items(), key=lambda entry: entry[1])
    return Measurement(
        Kind.AMOUNT, len(drops), amount=max(drop, 0.0), noun="", detail=f"expected {name}" if drop > 0 else ""
    )


def _new_errors(summary: Mapping[str, Any], known: Collection[str] | None) -> Measurement:
    if known is None:
        return _tally(None, "new kind of error", "run to compare with")
    new = sorted(set(summary["error_classes"]) - set(known))
    return _tally(Tally(tuple(new), summary["total"]), "new kind of error", "record")


def _tally(tally: Tally | None, noun: str, base: str) -> Measurement:
    if tally is None:
        return Measurement(Kind.COUNT, 0, noun=noun, base=base)
    return Measurement(Kind.COUNT, tally.n, len(tally.faults), noun=noun, base=base, detail="; ".join(tally.faults))


def measure_pair(pair: Pair) -> dict[str, Measurement]:
    """Return what the gates between the two smokes compare."""
    same, total = pair.consistency["same"], pair.consistency["total"]
    flips = [f"{flip['case_id']} {flip['first']} then {flip['second']}" for flip in pair.consistency["flips"]]
    return {
        "consistency": Measurement(
            Kind.SHARE, total, same, noun="agreeing case", base="case", detail=", ".join(flips[:5])
        ),
        "flips": Measurement(Kind.COUNT, total, len(flips), noun="flip", base="case", detail=", ".join(flips[:5])),
        "dependence": _tally(pair.dependence, "sign of dependence", "sign to look for"),
    }


# --- judging -------------------------------------------------------------------------------------------------------


def judge(gate: GateSpec, measured: Measurement, subject: str, level: float, phase: int | None = None) -> GateResult:
    """Return the outcome of one gate over one measurement.

    Shares are compared as exact fractions, so that a value at its threshold is at it. A count that breaks a zero
    tolerance fails at any n; everything else below the minimum n is inconclusive.

    :param subject: whose gate it is, for example ``smoke1``
    :param level: confidence level of the interval
    """
    if measured.others:
        each = [judge(gate, one, subject, level, phase) for one in (replace(measured, others=()), *measured.others)]
        status = overall(result.status for result in each)
        return next(result for result in each if result.status is status)
    interval = measured.interval(measured.hits, level)
    holds = measured.n > 0 and _holds(gate, measured, measured.hits, level)
    broken_at_once = measured.n > 0 and not holds and measured.kind is Kind.COUNT
    enough = measured.n >= gate.min_n
    status = Status.INCONCLUSIVE
    if broken_at_once or (enough and not holds):
        status = Status.FAIL
    elif enough:
        status = Status.PASS
    return GateResult(
        id=gate.id,
        subject=subject,
        title=gate.title,
        phase=gate.phase or phase or 0,
        scope=gate.scope,
        metric=gate.metric,
        status=status,
        severity=gate.severity,
        group=gate.group,
        seen=_seen(measured, level),
        needed=_needed(gate, measured),
        operator=gate.operator,
        threshold=float(gate.threshold),
        value=_value(measured, level),
        hits=None if measured.kind is Kind.AMOUNT else measured.hits,
        n=measured.n,
        min_n=gate.min_n,
        interval=interval,
        counterfactual=_counterfactual(gate, measured, status, level),
        source=gate.source,
        next_step=gate.next_step,
        exit_code=gate.exit_code,
        detail=visible(measured.detail),
        exposure=_exposure(measured, interval),
        beyond_plan=gate.beyond_plan,
    )


def _holds(gate: GateSpec, measured: Measurement, hits: int, level: float) -> bool:
    """Tell whether the gate's comparison holds with *hits* in place of what was seen."""
    match measured.kind:
        case Kind.SHARE:
            return gate.holds(Fraction(hits, measured.n))
        case Kind.BOUND:
            interval = measured.interval(hits, level)
            return interval is not None and gate.holds(interval.lower)
        case Kind.COUNT:
            return gate.holds(Fraction(hits))
        case Kind.AMOUNT:
            return gate.holds(measured.amount)


def agreement_needed(policy: Policy, kind: str, n: int) -> int:
    """Return the fewest right answers among *n* that meet every hard gate over the agreement; n + 1 where none do."""
    kinds = {"accuracy": Kind.SHARE, "accuracy_lower": Kind.BOUND}
    asked = [gate for gate in policy.gates_for(kind, 1) if gate.metric in kinds and gate.severity == "hard"]

    def met(hits: int) -> bool:
        return all(_holds(gate, Measurement(kinds[gate.metric], n), hits, policy.level) for gate in asked)

    return bisect_left(range(n + 1), True, key=met) if n else 1


def _value(measured: Measurement, level: float) -> float | None:
    if measured.n == 0:
        return None
    match measured.kind:
        case Kind.SHARE:
            return measured.hits / measured.n
        case Kind.BOUND:
            interval = measured.interval(measured.hits, level)
            return interval.lower if interval else None
        case Kind.COUNT:
            return float(measured.hits)
        case Kind.AMOUNT:
            return float(measured.amount)


def _seen(measured: Measurement, level: float) -> str:
    if measured.n == 0:
        return f"nothing to measure (no {measured.base})"
    value, tally = _value(measured, level), f"{measured.hits} of {measured.n}"
    match measured.kind:
        case Kind.SHARE:
            text = f"{value:.3f} ({tally})"
        case Kind.BOUND:
            interval = measured.interval(measured.hits, level)
            text = f"lower bound {value:.3f} ({tally}, {interval.method if interval else ''} {level:.0%})"
        case Kind.COUNT:
            text = tally
        case Kind.AMOUNT:
            text = f"{float(measured.amount):.3g} {measured.noun}".strip()
    return f"{text}: {visible(measured.detail)}" if measured.detail else text


def _exposure(measured: Measurement, interval: Interval | None) -> str:
    """Say what share the next cases may still have where none of the seen ones did."""
    if not measured.sampled or interval is None or measured.hits:
        return ""
    return f"0 of {measured.n}, so <= {interval.upper:.1%} at {interval.level:.0%}"


def _needed(gate: GateSpec, measured: Measurement) -> str:
    unit = f" {measured.noun}" if measured.kind is Kind.AMOUNT and measured.noun else ""
    return f"{gate.operator} {gate.threshold_text}{unit}"


def _counterfactual(gate: GateSpec, measured: Measurement, status: Status, level: float) -> str:
    """Say what would change the outcome, in whole cases."""
    if status is Status.INCONCLUSIVE:
        return f"can be judged from n = {gate.min_n}, has {measured.n}"
    if measured.kind is Kind.AMOUNT:
        gap = abs(float(measured.amount) - float(gate.threshold))
        unit = f" {measured.noun}" if measured.noun else ""
        verb = "passes at" if status is Status.FAIL else "holds at"
        return f"{verb} {gate.operator} {gate.threshold_text}{unit}; {gap:.3g}{unit} {_room(status)}"
    n, noun = measured.n, measured.noun
    rising = gate.operator in (">=", ">")
    # Monotone in the hits: the first count that holds (rising) or the last one (falling).
    turn = bisect_left(range(n + 1), True, key=lambda hits: _holds(gate, measured, hits, level) is rising)
    edge = turn if rising else turn - 1
    if not 0 <= edge <= n:
        return f"no result of {n} can pass"
    if status is Status.FAIL:
        limit, noun_more = (f"{edge} of {n}", f"more {noun}") if rising else (f"at most {edge} of {n}", f"fewer {noun}")
        return f"passes with {limit}; {plural(abs(edge - measured.hits), noun_more)}"
    if not rising and edge == 0:
        return f"a single {noun} fails it"
    spare = abs(measured.hits - edge)
    return f"holds {'down' if rising else 'up'} to {edge} of {n}; {spare} to spare"


def _room(status: Status) -> str:
    return "off" if status is Status.FAIL else "to spare"


# --- a run ---------------------------------------------------------------------------------------------------------


def evaluate(
    policy: Policy,
    *,
    kind: str,
    ordinal: int,
    summary: Mapping[str, Any],
    facts: Facts,
    pair: Pair | None = None,
) -> list[GateResult]:
    """Return the outcome of every gate that holds for the run, in the order of the policy.

    :param kind: ``smoke`` or ``full``
    :param pair: the first smoke against this second one; without it the gates between them are inconclusive
    """
    phase = 3 if kind == "smoke" else 4
    measured = measure(summary, facts, policy.classes, policy.correlation)
    nobody = Pair({"same": 0, "total": 0, "flips": []}, Tally((), 0))
    measured |= measure_pair(pair or nobody)
    results: list[GateResult] = []
    for gate in policy.gates_for(kind, ordinal):
        subject = "pair" if gate.scope == "pair" else f"{kind}{ordinal}"
        if gate.metric == "unanswered":
            results.append(judge(gate, Measurement(Kind.COUNT, 0), subject, policy.level, phase))
            continue
        spec = gate
        if facts.rehearsal_pacing and gate.rehearsal:
            spec = replace(gate, severity=gate.rehearsal)
        results.append(judge(spec, measured[gate.metric], subject, policy.level, phase))
    return [
        judge(_spec(policy, result), _unanswered(policy, results, measured), result.subject, policy.level, phase)
        if result.metric == "unanswered"
        else result
        for result in results
    ]


def _spec(policy: Policy, result: GateResult) -> GateSpec:
    return next(gate for gate in policy.gates if gate.key == (result.scope, result.id))


def _unanswered(policy: Policy, results: Sequence[GateResult], measured: Mapping[str, Measurement]) -> Measurement:
    """Count the gates that passed and would not have, had every unanswered case been answered in the worst way.

    This is what keeps an error from turning a decision into a GO: the false pass that was never answered, the blocked
    answer that timed out.
    """
    judged = [(result, measured[result.metric]) for result in results if result.metric in measured]
    judged = [(result, seen) for result, seen in judged if result.status is Status.PASS and seen.worst]
    turned = []
    for result, seen in judged:
        hits, n = seen.worst or (seen.hits, seen.n)
        at_worst = replace(seen, hits=hits, n=n, worst=None, others=())
        if judge(_spec(policy, result), at_worst, result.subject, policy.level).status is not Status.PASS:
            turned.append(result.id)
    return Measurement(
        Kind.COUNT, len(judged), len(turned), noun="gate", base="passed gate", detail=", ".join(sorted(turned))
    )


@dataclass(frozen=True)
class Conclusion:
    """What a run's gates come to."""

    status: Status
    exit_code: int
    sentence: str
    deviations: tuple[str, ...]


def conclude(results: Sequence[GateResult]) -> Conclusion:
    """Return what the gates come to together; no gate at all is inconclusive."""
    status = overall(result.effect for result in results)
    codes = [result.exit_code for result in results if result.effect is Status.FAIL]
    codes += [int(ExitCode.INCONCLUSIVE) for result in results if result.effect is Status.INCONCLUSIVE]
    code = worst(codes) if results else int(ExitCode.INCONCLUSIVE)
    deciding = decisive(results)
    deviations = tuple(
        f"{result.name} is {result.seen}, the plan needs {result.needed}"
        for result in results
        if result.fired and not result.beyond_plan
    )
    return Conclusion(status, code, deciding.sentence() if deciding else "no gate was judged", deviations)


def decisive(results: Sequence[GateResult]) -> GateResult | None:
    """Return the gate whose number decided.

    That is the worst one where something failed or is open; where all passed, the lower bound closest to its threshold.
    """
    failed = [result for result in results if result.effect is Status.FAIL]
    if failed:
        code = worst([result.exit_code for result in failed])
        return next((result for result in failed if result.exit_code == code), failed[0])
    waiting = [result for result in results if result.effect is Status.INCONCLUSIVE]
    if waiting:
        return waiting[0]
    bounds = [result for result in results if result.metric == "accuracy_lower" and result.value is not None]
    if bounds:
        return min(bounds, key=lambda result: (result.value or 0.0) - result.threshold)
    return results[0] if results else None


def from_dict(entry: Mapping[str, Any]) -> GateResult:
    """Return the gate result that ``jsonio.to_plain`` wrote."""
    known = {key: entry[key] for key in GateResult.__dataclass_fields__ if key in entry}
    interval = Interval(**known["interval"]) if known.get("interval") else None
    return GateResult(**{**known, "status": Status(known["status"]), "interval": interval})
