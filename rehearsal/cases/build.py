"""Writes the ninety bundles and the manifest that labels them."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solidgreen.errors import BadInput
from solidgreen.jsonio import write_bytes
from solidgreen.manifest import COLUMNS
from solidgreen.paths import DataRoot

from .catalogue import Trade, trades
from .credits import essential_boxes
from .discrepancies import COMPLIANT, REJECT, SIGNALS, WARN, Kind
from .documents import draw
from .presentation import draft
from .scans import Damage, faded, fax, moved_page, out_of_focus, scan, spilt, worn

DEFAULT_SEED = 20260301
SCENARIOS = {
    "pass": (20, "pass"),
    "warn": (20, "warn"),
    "reject": (20, "reject"),
    "ocr_noise": (15, "blocked"),
    "sanctions_tbml_shell": (15, "reject"),
}
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "pass": (COMPLIANT,),
    "warn": WARN,
    "reject": REJECT,
    "ocr_noise": (COMPLIANT,),
    "sanctions_tbml_shell": SIGNALS,
}
# Most scans cannot be read, two have lost only what matters, two can be made out with patience.
SCANS: tuple[Damage, ...] = (out_of_focus, fax, faded, moved_page) * 2 + (
    out_of_focus,
    fax,
    faded,
    spilt,
    spilt,
    worn,
    worn,
)


@dataclass(frozen=True)
class Summary:
    """What was written; ``digest`` covers the manifest and every document."""

    data_root: Path
    manifest: Path
    seed: int
    cases: int
    documents: int
    parents: int
    scenarios: Mapping[str, int]
    kinds: Mapping[str, int]
    digest: str

    def sentence(self) -> str:
        """Return the summary as one line a person reads."""
        parts = ", ".join(f"{count} {name}" for name, count in self.scenarios.items())
        return (
            f"{self.cases} cases ({parts}), {self.documents} documents of {self.parents} trades "
            f"written to {self.data_root} (seed {self.seed})."
        )


@dataclass(frozen=True)
class _Slot:
    """A case to be made, before it has a number."""

    scenario: str
    kind: Kind
    damage: Damage | None
    trade: Trade


def _plan(rng: random.Random) -> list[_Slot]:
    """Return the ninety cases in a shuffled order, trades spread evenly."""
    wanted: list[tuple[str, Kind, Damage | None]] = []
    for scenario, (count, _) in SCENARIOS.items():
        kinds = KINDS[scenario]
        rounds = [kinds[index % len(kinds)] for index in range(count - count % len(kinds))]
        rounds += rng.sample(kinds, count % len(kinds))
        scans: Sequence[Damage | None] = SCANS if scenario == "ocr_noise" else [None] * count
        wanted += [(scenario, kind, damage) for kind, damage in zip(rounds, scans, strict=True)]
    rng.shuffle(wanted)
    used: Counter[str] = Counter()
    slots: list[_Slot] = []
    # Kinds that fit few trades choose first; the final order is shuffled again.
    for scenario, kind, damage in sorted(wanted, key=lambda item: sum(item[1].fits(trade) for trade in trades())):
        fitting = [trade for trade in trades() if kind.fits(trade)]
        least = min(used[trade.trade_id] for trade in fitting)
        trade = rng.choice([trade for trade in fitting if used[trade.trade_id] == least])
        used[trade.trade_id] += 1
        slots.append(_Slot(scenario, kind, damage, trade))
    rng.shuffle(slots)
    return slots


def _make(slot: _Slot, rng: random.Random) -> tuple[dict[str, bytes], str]:
    """Return the documents of a case by role, and the note for the manifest."""
    shown = draft(slot.trade, rng, slot.kind.documents)
    note = slot.kind.change(shown, rng)
    sheets = draw(shown, rng, one_page_credit=slot.damage is not None)
    documents = {role: sheet.finish() for role, sheet in sheets.items()}
    if slot.damage:
        documents["lc"] = scan(documents["lc"], slot.damage, essential_boxes(sheets["lc"]), rng)
        note = f"letter of credit scanned: {slot.damage.__name__}"
    return documents, f"{slot.kind.name}: {note}"


def _refuse_to_overwrite(root: DataRoot, bundles: Path) -> None:
    held = root.manifest if root.manifest.exists() else bundles if bundles.exists() and any(bundles.iterdir()) else None
    if held:
        raise BadInput(
            f"data root {root.root}",
            found=f"{held.name} already there",
            need="no manifest and no bundles: labelled data is never overwritten",
            next_step="use the data that is there, move it away, or name another folder with --data-root",
        )


def generate(data_root: Path, seed: int = DEFAULT_SEED) -> Summary:
    """Write ninety bundles and their manifest below *data_root*; the same seed gives the same bytes.

    :raises BadInput: the data root holds a manifest or bundles already
    """
    root = DataRoot(data_root)
    bundles, staged = root.root / "bundles", root.root / ".bundles.partial"
    _refuse_to_overwrite(root, bundles)
    if staged.exists():  # left by a run that was killed
        shutil.rmtree(staged)
    rows: list[dict[str, str]] = []
    slots = _plan(random.Random(f"plan {seed}"))  # noqa: S311  test data, not secrets
    whole, written = hashlib.sha256(), 0
    for number, slot in enumerate(slots, start=1):
        rng = random.Random(f"case {seed} {number}")  # noqa: S311
        documents, note = _make(slot, rng)
        bundle = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:12]
        folder = staged / bundle
        folder.mkdir(parents=True)
        for role, data in documents.items():
            (folder / f"{role}.pdf").write_bytes(data)
            whole.update(data)
        written += len(documents)
        rows.append(
            {
                "case_id": f"D3-{number:03d}",
                "source_type": "synthetic",
                "source_path": f"bundles/{bundle}",
                "bundle_id": bundle,
                "scenario": slot.scenario,
                "expected_verdict": SCENARIOS[slot.scenario][1],
                "sensitivity_tag": "synthetic",
                "contains_pii": str(slot.trade.person).lower(),
                "language": "en",
                "notes": note,
                "cleaned_path": f"bundles/{bundle}",
                "synthetic_parent_id": slot.trade.trade_id,
                "run_enabled": "true",
            }
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    manifest = text.getvalue().encode()
    if bundles.exists():
        bundles.rmdir()
    staged.rename(bundles)
    write_bytes(root.manifest, manifest)  # last: a manifest stands for a whole data set
    whole.update(manifest)
    return Summary(
        data_root=data_root,
        manifest=root.manifest,
        seed=seed,
        cases=len(rows),
        documents=written,
        parents=len({row["synthetic_parent_id"] for row in rows}),
        scenarios={name: count for name, (count, _) in SCENARIOS.items()},
        kinds=dict(Counter(slot.kind.name for slot in slots)),
        digest=whole.hexdigest(),
    )
