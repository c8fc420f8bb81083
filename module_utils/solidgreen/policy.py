"""The policy: every number of the plan as data, checked before anything is judged by it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from . import jsonio
from .errors import BadInput

OPERATORS = (">=", ">", "<=", "<", "==")
SEVERITIES = ("advisory", "review", "hard")
#: Digest of what the shipped policy/day3.yml says, whatever its comments: an edited file cannot pass for it.
SHIPPED = "b0125f1262925fa662a703ed8461e07c3bd19b17bbe45c7b02cc60e5f59aacf8"

#: Every phase reads the policy; the parser in C does it in a tenth of the time, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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

    @property
    def key(self) -> tuple[str, str]:
        """What names the gate within the policy."""
        return self.scope, self.id


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
    """The plan's numbers; ``data`` is the document as written, for the sections other parts read."""

    sha256: str
    data: Mapping[str, Any]
    level: float
    phases: tuple[PhaseSpec, ...]
    gates: tuple[GateSpec, ...]

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
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"policy {path}", found=error.strerror or "no file", need="a policy file", next_step="correct its path"
        ) from error
    try:
        node = yaml.compose(raw, Loader=LOADER)
        data = yaml.load(raw, Loader=LOADER)  # noqa: S506 - a safe loader, in C or in Python
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _bad(path, line, f"{error.problem or 'text'}", "YAML") from error
    except yaml.YAMLError as error:
        raise _bad(path, 1, "bytes that are no text", "YAML in UTF-8") from error
    for steps, value in _walk(data):
        if isinstance(value, float) and not isfinite(value):
            raise _bad(path, _line(node, steps), str(value), "a finite number")
    for line, key in _duplicates(node):
        raise _bad(path, line, f"the key {key!r} twice", "each key once")
    schema = jsonio.read_json(schema_path)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(data), key=lambda e: [str(p) for p in e.path])
    if errors:
        line, found = _locate(node, errors[0])
        raise _bad(path, line, found, f"what {schema_path.name} allows")
    _consistent(path, node, data)
    return Policy(
        sha256=jsonio.sha256_bytes(raw),
        data=data,
        level=float(data["confidence"]["level"]),
        phases=tuple(_phase(entry) for entry in data["phases"]),
        gates=tuple(_gate(entry) for entry in data["gates"]),
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
    for section in ("dataset", "smoke", "pacing", "confidence", "freshness"):
        before, after = _leaves(shipped.data[section]), _leaves(policy.data[section])
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                text = f"{section}.{key} is {after.get(key)}, the plan has {before.get(key)}"
                yield Deviation(text, loosens=True)


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
    if (mine.exit_code, mine.group, mine.rehearsal) != (plan.exit_code, plan.group, plan.rehearsal):
        yield Deviation(f"{name} has another group, exit code or rehearsal severity than the plan", loosens=True)


def _leaves(section: Any) -> dict[str, Any]:
    return {".".join(str(step) for step in steps): value for steps, value in _walk(section)}


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
        next_step="correct the line, or take the shipped policy/day3.yml",
        line=line,
    )


def _walk(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every scalar of the document with the steps that lead to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*steps, index))
    else:
        yield steps, value


def _duplicates(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, str(key.value)
            seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)


def _line(node: yaml.Node | None, steps: tuple[Any, ...]) -> int:
    """Return the line of the value that *steps* lead to, or of the last of them that exists."""
    line = node.start_mark.line + 1 if node else 1
    for step in steps:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
            line = child.start_mark.line + 1
        node = child
    return line


def _locate(node: yaml.Node | None, error: jsonschema.ValidationError) -> tuple[int, str]:
    """Return line and description of a schema error; an unknown key is named at its own line."""
    steps = tuple(error.absolute_path)
    where = ".".join(str(step) for step in steps) or "the document"
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        unknown = [key for key in error.instance if key not in known]
        if unknown:
            return _line(node, (*steps, unknown[0])), f"the unknown key {unknown[0]!r} in {where}"
    return _line(node, steps), f"{where}: {error.message[:200]}"


def _consistent(path: Path, node: yaml.Node | None, data: Mapping[str, Any]) -> None:
    """Refuse what the schema cannot see: names used twice, sums that do not add up, phases out of order."""
    scenarios, strata = data["dataset"]["scenarios"], data["smoke"]["strata"]
    total = sum(entry["count"] for entry in scenarios.values())
    if total != data["dataset"]["cases"]:
        line = _line(node, ("dataset", "cases"))
        raise _bad(path, line, f"{data['dataset']['cases']} cases", f"{total}, the sum of the scenarios")
    if sum(strata.values()) != data["smoke"]["size"]:
        line = _line(node, ("smoke", "size"))
        raise _bad(path, line, f"{data['smoke']['size']} cases", f"{sum(strata.values())}, the sum of the strata")
    for name, count in strata.items():
        available = scenarios.get(name, {"count": 0})["count"]
        if count > available:
            line = _line(node, ("smoke", "strata", name))
            raise _bad(path, line, f"{count} cases of {name}", f"at most {available}, what the data set has")
    if [entry["number"] for entry in data["phases"]] != [0, 1, 2, 3, 4, 5]:
        raise _bad(path, _line(node, ("phases",)), "phases out of order", "0 to 5 in their order")
    seen: dict[tuple[str, str], int] = {}
    for index, gate in enumerate(data["gates"]):
        line = _line(node, ("gates", index))
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
