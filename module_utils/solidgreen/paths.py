"""Where things lie below the data root: every path of the plan stands here once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import BadInput

SNAPSHOT_PREFIX = "rollback_prefix_"
#: In the folder of a run: its record, and the mark of whoever may see labels that it cannot end well any more.
OBSERVATIONS, MARK = "observations.jsonl", "early_stop.json"


@dataclass(frozen=True)
class DataRoot:
    """The folder ``data/day3`` of a target and what lies in it."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The data set: one row a case."""
        return self.root / "manifest.csv"

    @property
    def results(self) -> Path:
        """Everything a cycle writes."""
        return self.root / "results"

    @property
    def waivers(self) -> Path:
        """One file a waiver."""
        return self.root / "waivers"

    @property
    def restore_points(self) -> Path:
        """One folder a restore point, with its own manifest; 0700, it holds the environment file."""
        return self.root / "restore_points"

    @property
    def cycle(self) -> Path:
        """The cycle: who holds it, what was registered, which runs it has."""
        return self.results / "cycle.json"

    @property
    def phases(self) -> Path:
        """One verdict file a phase."""
        return self.results / "phases"

    def phase(self, number: int) -> Path:
        """Verdict file of a phase."""
        return self.phases / f"phase{number}.json"

    def triage(self, number: int) -> Path:
        """Likely causes of a phase that did not pass."""
        return self.phases / f"phase{number}.triage.json"

    def journal(self, number: int) -> Path:
        """Checks of a phase while it runs, one a line."""
        return self.phases / f"phase{number}.journal.jsonl"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.results / "runs"

    def run(self, run_id: str) -> Path:
        """Folder of a run."""
        return self.runs / run_id

    @property
    def qualified(self) -> Path:
        """Cases without labels, sealed labels, the smoke selection and the qualification report."""
        return self.results / "qualified"

    @property
    def cases(self) -> Path:
        """Cases without labels: all that the batch may read."""
        return self.qualified / "cases.jsonl"

    @property
    def labels(self) -> Path:
        """Labels, read only after the observations are on disk."""
        return self.qualified / "labels.json"

    @property
    def verdict_map(self) -> Path:
        """The map the verdicts of the cycle are read by, as it was registered."""
        return self.qualified / "verdict_map.yml"

    @property
    def smoke_selection(self) -> Path:
        """Case ids of the smoke, in their order."""
        return self.qualified / "smoke20.json"

    @property
    def qualification(self) -> Path:
        """What the data set was checked for."""
        return self.qualified / "qualification.json"

    @property
    def day3_results(self) -> Path:
        """Joined records of every run of the cycle; append-only."""
        return self.results / "day3_results.jsonl"

    @property
    def decision(self) -> Path:
        """The decision."""
        return self.results / "decision.json"

    @property
    def signoff(self) -> Path:
        """The page the CTO reads."""
        return self.results / "DAY3_SIGNOFF.md"

    @property
    def checklist(self) -> Path:
        """The plan's checklist, ticked by evidence."""
        return self.results / "EXECUTION_CHECKLIST.md"

    @property
    def report(self) -> Path:
        """The same as one HTML page."""
        return self.results / "report.html"

    @property
    def junit(self) -> Path:
        """The gates for CI systems."""
        return self.results / "gates.junit.xml"

    @property
    def evidence(self) -> Path:
        """Manifest of the bundle and signatures."""
        return self.results / "evidence"

    def snapshot(self, utc: str) -> Path:
        """Folder of a phase 0 snapshot taken at that compact UTC time."""
        return self.results / f"{SNAPSHOT_PREFIX}{utc}"


def find_data_root(base: Path) -> DataRoot:
    """Return the data root below *base*: an existing ``Data/day3`` is used where there is no ``data/day3``."""
    lower, upper = base / "data" / "day3", base / "Data" / "day3"
    return DataRoot(upper if upper.is_dir() and not lower.is_dir() else lower)


def require_one_data_root(root: DataRoot) -> None:
    """Refuse a data root that exists under both of its spellings.

    :raises BadInput: ``data/day3`` and ``Data/day3`` are two different folders
    """
    base = root.root.parent.parent
    lower, upper = base / "data" / "day3", base / "Data" / "day3"
    if lower.is_dir() and upper.is_dir() and not lower.samefile(upper):
        raise BadInput(
            f"data root below {base}",
            found="both data/day3 and Data/day3",
            need="one of them",
            next_step="move what is wanted into one folder and remove the other",
        )
