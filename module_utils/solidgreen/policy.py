"""The policy: every number of the plan as data, checked before anything is judged by it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from . import jsonio
from .errors import BadInput
from .stats import wilson
from .yamlfile import line_of, read, scalars

OPERATORS = (">=", ">", "<=", "<", "==")
SEVERITIES = ("advisory", "review", "hard")
#: Sections of numbers beside the gates and the phases.
SECTIONS = ("dataset", "smoke", "pacing", "confidence", "qualification", "dependence", "power", "freshness")
#: What else of a gate decides what becomes of its outcome.
BEARINGS = ("group", "exit_code", "rehearsal", "beyond_plan")
#: Digest of what the shipped policy/day3.yml says, whatever its comments: an edited file cannot pass for it.
SHIPPED = "6fffcf4d6a121882b22e3dd64b2e150ff62f032d14fb57ea26ed36f55f922409"

#: Expected verdict whose cases a metric is counted over, None for all cases; metrics that are counted otherwise are not
#: here, and nothing is known of what they can reach.
SHARES: Mapping[str, str | None] = {
    "comparable": None,
    "accuracy": None,
    "accuracy_strict": None,
    "accuracy_lower": None,
    "accuracy_lower_effective": None,
    "pass_recall": "pass",
    "pass_blocked": "pass",
    "http_429_exhaustion": None,
    "blocked_share": None,
    "consistency": None,
}
COUNTS: Mapping[str, str | None] = {
    "critical_false_pass": "reject",
    "http_422": None,
    "new_errors": None,
    "secrets": None,
    "flips": None,
    "verdict_faults": None,
    "accuracy_over_baseline": None,
    "first_try_gap": None,
}
#: Lower ends of an interval; at their best each case has a parent of its own, and Wilson's is the highest there is.
BOUNDS = ("accuracy_lower", "accuracy_lower_effective")
#: How many things the other metrics look at, at the most: a run has one duration, five signs of dependence, three
#: classes whose recall may drop; of chain and registration what any run has of them, so that none stays open for ever.
LOOKED_AT: Mapping[str, int] = {
    "duration_minutes": 1,
    "min_interval": 1,
    "retries_429": 1,
    "drift": 3,
    "dependence": 5,
    "registration_changes": 8,
    "ledger_damage": 1,
    "unanswered": 1,
}

_REPAIR = "correct the line, or take the shipped policy/day3.yml"


@dataclass(frozen=True)
class GateSpec:
    """One gate of the plan; ``phase`` is None where the gate holds for every run."""

    id: str
    title: str
    phase: int | None
    scope: str
    metric: str
    operator: str
    threshold: Fraction
    threshold_text: str
    min_n: int
    severity: str
    group: str
    source: str
    next_step: str
    exit_code: int
    rehearsal: str | None
    beyond_plan: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What names the gate within the policy."""
        return self.scope, self.id

    @property
    def waivable(self) -> bool:
        """Whether a signed waiver may carry it: what bears on a decision and is about quality, never about trust."""
        return self.group == "quality" and self.severity != "advisory"

    def holds(self, value: Fraction | float) -> bool:
        """Tell whether *value* meets the threshold; fractions are compared exactly."""
        limit = self.threshold if isinstance(value, Fraction) else float(self.threshold)
        return {
            ">=": value >= limit,
            ">": value > limit,
            "<=": value <= limit,
            "<": value < limit,
            "==": value == limit,
        }[self.operator]


@dataclass(frozen=True)
class Box:
    """One box of the execution checklist and the check ids (shell patterns) that tick it.

    A phase passes only when every pattern has a check; ``managed_only`` boxes are asked of stacks that are run from
    here, whose environment and logs can be read.
    """

    text: str
    evidence: tuple[str, ...]
    managed_only: bool = False

    def unseen(self, checks: Iterable[str]) -> list[str]:
        """Return the patterns that no id of *checks* matches."""
        ids = list(checks)
        return [pattern for pattern in self.evidence if not fnmatch.filter(ids, pattern)]


@dataclass(frozen=True)
class PhaseSpec:
    """One phase of the plan: who owns it and what its checklist asks."""

    number: int
    name: str
    title: str
    owners: tuple[str, ...]
    checklist: tuple[Box, ...]

    def unseen(self, checks: Iterable[str], *, managed: bool) -> list[tuple[Box, str]]:
        """Return the boxes, each with a pattern of it, that no id of *checks* answers."""
        ids = list(checks)
        asked = [box for box in self.checklist if managed or not box.managed_only]
        return [(box, pattern) for box in asked for pattern in box.unseen(ids)]


@dataclass(frozen=True)
class Policy:
    """The plan's numbers; ``data`` is the document as written, for the sections other parts read.

    ``approvers`` lists whose signature may carry a failed gate: this project's own list, wherever the policy lies, so
    that nobody brings one.
    """

    sha256: str
    data: Mapping[str, Any]
    level: float
    phases: tuple[PhaseSpec, ...]
    gates: tuple[GateSpec, ...]
    approvers: Path

    @property
    def dataset(self) -> Mapping[str, Any]:
        """Counts and expected verdict per scenario."""
        section: Mapping[str, Any] = self.data["dataset"]
        return section

    @property
    def smoke(self) -> Mapping[str, Any]:
        """Size, seed and strata of the smoke selection."""
        section: Mapping[str, Any] = self.data["smoke"]
        return section

    @property
    def pacing(self) -> Mapping[str, Any]:
        """Floors and defaults of the batch."""
        section: Mapping[str, Any] = self.data["pacing"]
        return section

    @property
    def classes(self) -> tuple[str, ...]:
        """Expected verdicts that the data set must hold, in the order of the policy."""
        return tuple(dict.fromkeys(entry["expected"] for entry in self.dataset["scenarios"].values()))

    @property
    def correlation(self) -> float:
        """Correlation of the outcomes of cases that were made from one parent."""
        return float(self.data["dependence"]["intra_parent_correlation"])

    def expiry_minutes(self, phase: int) -> float:
        """Return how long a pass of the phase holds."""
        return float(self.data["freshness"]["phase_minutes"][str(phase)])

    def gates_for(self, kind: str, ordinal: int) -> tuple[GateSpec, ...]:
        """Return the gates a run is judged by; the second smoke also carries those between the two."""
        scopes = {kind, "run"} | ({"pair"} if (kind, ordinal) == ("smoke", 2) else set())
        return tuple(gate for gate in self.gates if gate.scope in scopes)


@dataclass(frozen=True)
class Deviation:
    """A number that is not the shipped policy's; ``loosens`` tells whether it caps the decision."""

    text: str
    loosens: bool


def load(path: Path, schema_path: Path) -> Policy:
    """Return the policy a YAML file holds.

    :raises BadInput: the file is missing, is no YAML, has a key twice, breaks the schema or contradicts itself; the
        line is named
    """
    document = read(path, schema_path, noun="policy", repair=_REPAIR)
    data, node = document.data, document.node
    _consistent(path, node, data)
    return Policy(
        sha256=document.sha256,
        data=data,
        level=float(data["confidence"]["level"]),
        phases=tuple(_phase(entry) for entry in data["phases"]),
        gates=tuple(_gate(entry) for entry in data["gates"]),
        approvers=schema_path.absolute().parent.parent / "policy" / "approvers",
    )


def deviations(policy: Policy, shipped: Policy | None) -> list[Deviation]:
    """Return everything in which *policy* differs from the *shipped* one, gates first.

    A gate is loosened by an easier threshold, a smaller minimum n, a milder severity, another metric, or by being left
    out, a checklist by evidence that it no longer asks for; what was tightened is said and caps nothing. Any other
    changed number counts as loosened. Words are not compared number by number, only said to differ.

    :param shipped: None, or a policy that is not :data:`SHIPPED` either, cannot tell what was changed: that loosens
    """
    mine = jsonio.digest(policy.data)
    if mine == SHIPPED:
        return []
    if shipped is None or jsonio.digest(shipped.data) != SHIPPED:
        return [Deviation(f"the policy is not the shipped one (digest {mine[:12]})", loosens=True)]
    found = [*_gates(policy, shipped), *_phases(policy, shipped), *_sections(policy, shipped)]
    return found or [Deviation("the policy has other words than the shipped one", loosens=False)]


def _gates(policy: Policy, shipped: Policy) -> Iterator[Deviation]:
    mine, theirs = ({gate.key: gate for gate in p.gates} for p in (policy, shipped))
    for key, gate in theirs.items():
        name = f"gate {key[0]}:{key[1]}"
        if key not in mine:
            yield Deviation(f"{name} is left out", loosens=True)
        elif mine[key] != gate:
            yield from _gate_deviations(name, mine[key], gate)
    yield from (Deviation(f"gate {key[0]}:{key[1]} is added", loosens=False) for key in mine if key not in theirs)


def _phases(policy: Policy, shipped: Policy) -> Iterator[Deviation]:
    """Yield the evidence a checklist no longer asks for, asks for of fewer stacks, or asks for in addition."""
    for mine, plan in zip(policy.phases, shipped.phases, strict=True):
        asked, planned = _evidence(mine), _evidence(plan)
        name = f"phase {plan.number} ({plan.name})"
        for pattern, managed_only in planned.items():
            if pattern not in asked:
                yield Deviation(f"{name} asks for no check {pattern}", loosens=True)
            elif asked[pattern] and not managed_only:
                yield Deviation(f"{name} asks for {pattern} of managed stacks only", loosens=True)
            elif managed_only and not asked[pattern]:
                yield Deviation(f"{name} asks for {pattern} of every stack", loosens=False)
        yield from (
            Deviation(f"{name} asks for a check {pattern} too", loosens=False) for pattern in asked.keys() - planned
        )
        if mine.owners != plan.owners:
            yield Deviation(f"{name} is owned by {', '.join(mine.owners)}", loosens=False)


def _evidence(phase: PhaseSpec) -> dict[str, bool]:
    """Return pattern to whether it is asked of managed stacks only."""
    asked: dict[str, bool] = {}
    for box in phase.checklist:
        for pattern in box.evidence:
            asked[pattern] = asked.get(pattern, True) and box.managed_only
    return asked


def _sections(policy: Policy, shipped: Policy) -> Iterator[Deviation]:
    for section in SECTIONS:
        before, after = _leaves(shipped.data[section]), _leaves(policy.data[section])
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                text = f"{section}.{key} is {after.get(key)}, the plan has {before.get(key)}"
                yield Deviation(text, loosens=section != "power")  # nothing is judged by it


def _gate_deviations(name: str, mine: GateSpec, plan: GateSpec) -> Iterator[Deviation]:
    if (mine.metric, mine.operator, mine.phase) != (plan.metric, plan.operator, plan.phase):
        yield Deviation(
            f"{name} compares {mine.metric} {mine.operator}, the plan {plan.metric} {plan.operator}", loosens=True
        )
    if mine.threshold != plan.threshold:
        easier = mine.threshold < plan.threshold if plan.operator in (">=", ">") else mine.threshold > plan.threshold
        yield Deviation(
            f"{name} needs {mine.operator} {mine.threshold_text}, the plan {plan.operator} {plan.threshold_text}",
            loosens=easier,
        )
    if mine.min_n != plan.min_n:
        yield Deviation(
            f"{name} asks for n >= {mine.min_n}, the plan for {plan.min_n}", loosens=mine.min_n < plan.min_n
        )
    if mine.severity != plan.severity:
        milder = SEVERITIES.index(mine.severity) < SEVERITIES.index(plan.severity)
        yield Deviation(f"{name} is {mine.severity}, in the plan {plan.severity}", loosens=milder)
    if any(getattr(mine, field) != getattr(plan, field) for field in BEARINGS):
        yield Deviation(f"{name} has another {' or '.join(BEARINGS)} than the plan", loosens=True)


def _leaves(section: Any) -> dict[str, Any]:
    return {".".join(str(step) for step in steps): value for steps, value in scalars(section)}


def _gate(entry: Mapping[str, Any]) -> GateSpec:
    return GateSpec(
        id=entry["id"],
        title=entry["title"],
        phase=entry.get("phase"),
        scope=entry["scope"],
        metric=entry["metric"],
        operator=entry["operator"],
        threshold=Fraction(str(entry["threshold"])),
        threshold_text=str(entry["threshold"]).replace("/", " of "),
        min_n=entry["min_n"],
        severity=entry["severity"],
        group=entry.get("group", "quality"),
        source=entry["source"],
        next_step=entry["next_step"],
        exit_code=entry.get("exit_code", 10),
        rehearsal=entry.get("rehearsal"),
        beyond_plan=entry.get("beyond_plan", False),
    )


def _phase(entry: Mapping[str, Any]) -> PhaseSpec:
    boxes = tuple(
        Box(box["text"], tuple(box["evidence"]), box.get("managed_only", False)) for box in entry["checklist"]
    )
    return PhaseSpec(entry["number"], entry["name"], entry["title"], tuple(entry["owners"]), boxes)


def _bad(path: Path, line: int, found: str, need: str) -> BadInput:
    return BadInput(
        f"policy {path} line {line}",
        found=found,
        need=need,
        next_step=_REPAIR,
        line=line,
    )


def _consistent(path: Path, node: yaml.Node | None, data: Mapping[str, Any]) -> None:
    """Refuse what the schema cannot see: names used twice, sums that do not add up, phases out of order."""
    scenarios, strata = data["dataset"]["scenarios"], data["smoke"]["strata"]
    total = sum(entry["count"] for entry in scenarios.values())
    if total != data["dataset"]["cases"]:
        line = line_of(node, ("dataset", "cases"))
        raise _bad(path, line, f"{data['dataset']['cases']} cases", f"{total}, the sum of the scenarios")
    if sum(strata.values()) != data["smoke"]["size"]:
        line = line_of(node, ("smoke", "size"))
        raise _bad(path, line, f"{data['smoke']['size']} cases", f"{sum(strata.values())}, the sum of the strata")
    for name, count in strata.items():
        available = scenarios.get(name, {"count": 0})["count"]
        if count > available:
            line = line_of(node, ("smoke", "strata", name))
            raise _bad(path, line, f"{count} cases of {name}", f"at most {available}, what the data set has")
    if [entry["number"] for entry in data["phases"]] != [0, 1, 2, 3, 4, 5]:
        raise _bad(path, line_of(node, ("phases",)), "phases out of order", "0 to 5 in their order")
    seen: dict[tuple[str, str], int] = {}
    for index, gate in enumerate(data["gates"]):
        line = line_of(node, ("gates", index))
        # A run is judged by the gates of its kind and by those of every run: one name must mean one gate there.
        scopes = ("smoke", "full", "pair") if gate["scope"] == "run" else (gate["scope"],)
        for scope in scopes:
            if (scope, gate["id"]) in seen:
                first = seen[scope, gate["id"]]
                raise _bad(path, line, f"gate {gate['id']} a second time (first in line {first})", "each gate once")
            seen[scope, gate["id"]] = line
        if gate["operator"] == "==" and Fraction(str(gate["threshold"])) != 0:
            raise _bad(path, line, f"gate {gate['id']} with == {gate['threshold']}", "== with 0 only")
        if (gate.get("phase") is None) != (gate["scope"] == "run"):
            raise _bad(path, line, f"gate {gate['id']} with scope {gate['scope']}", "a phase unless the scope is run")
        _reachable(path, node, index, data)


def _reachable(path: Path, node: yaml.Node | None, index: int, data: Mapping[str, Any]) -> None:
    """Refuse a gate that no run of the data set can pass, that none can fail, or that too few cases ever judge."""
    entry = data["gates"][index]
    gate = _gate(entry)
    for kind in ("smoke", "full") if gate.scope == "run" else ("full",) if gate.scope == "full" else ("smoke",):
        cases = _cases(gate.metric, kind, data)
        if cases is None:
            continue
        if gate.min_n > cases:
            line = line_of(node, ("gates", index, "min_n"))
            raise _bad(path, line, f"gate {gate.id} with min_n {gate.min_n}", f"at most {cases}, what a {kind} run has")
        if gate.metric not in SHARES:
            continue
        line = line_of(node, ("gates", index, "threshold"))
        none, all_ = (_reached(gate, hits, cases, data["confidence"]["level"]) for hits in (0, cases))
        said = f"gate {gate.id} with {gate.operator} {gate.threshold_text}"
        if not gate.holds(none) and not gate.holds(all_):
            rising = gate.operator in (">=", ">")
            best = f"{cases} of {cases} reach {float(all_):.4f}" if rising else f"0 of {cases} is {float(none):.4f}"
            raise _bad(path, line, said, f"a threshold that {cases} cases can reach ({best})")
        if gate.holds(none) and gate.holds(all_):
            raise _bad(path, line, said, f"a threshold that some result of {cases} cases misses")


def _cases(metric: str, kind: str, data: Mapping[str, Any]) -> int | None:
    """Return how many cases of a run of that kind a metric is counted over, None where that is not known."""
    scenarios = data["dataset"]["scenarios"]
    sizes = data["smoke"]["strata"] if kind == "smoke" else {name: s["count"] for name, s in scenarios.items()}
    per_class: dict[str, int] = {}
    for name, size in sizes.items():
        verdict = scenarios[name]["expected"] if name in scenarios else ""
        per_class[verdict] = per_class.get(verdict, 0) + size
    if metric == "classes_missing":
        return len({scenario["expected"] for scenario in scenarios.values()})
    if metric == "blocked_share_by_class":
        return max((size for verdict, size in per_class.items() if verdict != "blocked"), default=0)
    if metric in LOOKED_AT:
        return LOOKED_AT[metric]
    if metric not in SHARES and metric not in COUNTS:
        return None
    verdict = {**SHARES, **COUNTS}[metric]
    return sum(per_class.values()) if verdict is None else per_class.get(verdict, 0)


def _reached(gate: GateSpec, hits: int, cases: int, level: float) -> Fraction | float:
    """Return what the gate would compare for so many hits of all cases."""
    if gate.metric in BOUNDS:
        interval = wilson(hits, cases, level)
        return interval.lower if interval else 0.0
    return Fraction(hits, cases) if cases else Fraction(0)
