"""A decision with its reports: read from the results folder, written back to it, byte for byte the same each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from . import cycle as cycles
from . import jsonio, report
from .decision import Decision, decide
from .errors import ANOTHER_FORM, another_form
from .judgement import GATES, METRICS, document, doubts
from .paths import DataRoot
from .policy import Policy, deviations
from .report import Picture


@dataclass(frozen=True)
class Made:
    """A decision and the picture its reports are drawn from."""

    decision: Decision
    picture: Picture

    def screen(self, evidence: str) -> list[str]:
        """Return the last screen; *evidence* is the path of the sign-off as the reader would type it."""
        return report.screen(self.picture, evidence)


def make(root: DataRoot, policy: Policy, *, shipped: Policy | None, level_asked: str, now: datetime) -> Made:
    """Return the decision over what lies in the results folder; nothing is written.

    What was judged is judged again from its evidence: the decision rests on that, not on what a file says of it.

    :param shipped: the policy the numbers are compared with, where it can be read
    :raises IntegrityError: a file has another form than it was written in
    """
    try:
        return _made(root, policy, shipped, level_asked, now)
    except ANOTHER_FORM as error:
        raise another_form(f"evidence in {root.results}", error) from error


def _made(root: DataRoot, policy: Policy, shipped: Policy | None, level_asked: str, now: datetime) -> Made:
    cycle = cycles.load(root)
    phases = {phase.number: jsonio.read_json_or_none(root.phase(phase.number)) for phase in policy.phases}
    runs = {f"{run['kind']}{run['ordinal']}": root.run(run["run_id"]) for run in (cycle or {}).get("runs", [])}
    gate_files = _read(runs, GATES)
    decision = decide(
        phases,
        cycle=cycle,
        policy=policy,
        level_asked=level_asked,
        gate_files=gate_files,
        deviations=deviations(policy, shipped),
        now=now,
        doubts=doubts(root, policy, cycle),
    )
    picture = Picture(
        decision=jsonio.to_plain(decision),
        policy=policy,
        cycle=cycle,
        phases=phases,
        gate_files=gate_files,
        summaries=_read(runs, METRICS),
    )
    return Made(decision, picture)


def write(root: DataRoot, made: Made, plan: Path | None = None) -> bool:
    """Write decision, reports and the list of evidence files; tell whether a byte changed."""
    picture = made.picture
    changed = False
    for path, data in {
        root.decision: document(made.decision),
        root.signoff: report.signoff(picture).encode(),
        root.checklist: report.checklist(picture).encode(),
        root.report: report.html(picture).encode(),
        root.junit: report.junit(picture),
    }.items():
        changed |= _replace(path, data)
    # Last, because it lists the others.
    return _replace(root.evidence / "manifest.json", document(report.manifest(root, picture, plan))) or changed


def _read(runs: Mapping[str, Path], name: str) -> dict[str, dict[str, object]]:
    found = {label: jsonio.read_json_or_none(folder / name) for label, folder in runs.items()}
    return {label: value for label, value in found.items() if value is not None}


def _replace(path: Path, data: bytes) -> bool:
    if path.is_file() and path.read_bytes() == data:
        return False
    jsonio.write_bytes(path, data)
    return True
