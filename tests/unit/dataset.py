"""A small data set on disk: real PDFs, a manifest in the columns of the plan."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reportlab.pdfgen.canvas import Canvas
from solidgreen.manifest import COLUMNS

EXPECTED = {
    "pass": "pass",
    "warn": "warn",
    "reject": "reject",
    "ocr_noise": "blocked",
    "sanctions_tbml_shell": "reject",
}
DATASET = {"scenarios": {name: {"count": 2, "expected": verdict} for name, verdict in EXPECTED.items()}}
SMOKE = {"size": 5, "seed": 7, "strata": dict.fromkeys(EXPECTED, 1)}


def pdf(*lines: str, title: str = "") -> bytes:
    """Return a PDF of one page with these lines."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True)
    canvas.setTitle(title)
    for number, line in enumerate(lines):
        canvas.drawString(72, 720 - 14 * number, line)
    canvas.save()
    return buffer.getvalue()


def row(number: int, scenario: str, **changes: Any) -> dict[str, Any]:
    """Return a row of the manifest; its documents lie in ``bundles/b<number>``."""
    values = dict.fromkeys(COLUMNS, "") | {
        "case_id": f"D3-{number:03d}",
        "source_type": "synthetic",
        "bundle_id": f"b{number}",
        "scenario": scenario,
        "expected_verdict": EXPECTED[scenario],
        "contains_pii": "false",
        "language": "en",
        "cleaned_path": f"bundles/b{number}",
        "synthetic_parent_id": f"P{number}",
        "run_enabled": "true",
    }
    return values | changes


def write_documents(root: Path, number: int, **files: bytes) -> None:
    """Write the documents of a case, two little ones unless *files* says otherwise."""
    folder = root / "bundles" / f"b{number}"
    folder.mkdir(parents=True, exist_ok=True)
    default = {
        "lc": pdf("Irrevocable documentary credit", f"Number {number}", "Amount USD 1000"),
        "invoice": pdf("Commercial invoice", f"Number {number}", "Total USD 1000"),
    }
    for name, data in (files or default).items():
        (folder / f"{name}.pdf").write_bytes(data)


def write_manifest(root: Path, rows: list[Mapping[str, Any]], *, newline: str = "\n", bom: str = "") -> Path:
    """Write the manifest and return its path."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    path = root / "manifest.csv"
    path.write_bytes((bom + text.getvalue()).encode())
    return path


def rows_of_all() -> list[dict[str, Any]]:
    """Return two rows of each scenario."""
    scenarios = [scenario for scenario in EXPECTED for _ in range(2)]
    return [row(number, scenario) for number, scenario in enumerate(scenarios, start=1)]


def write_all(root: Path) -> Path:
    """Write a data set of two cases a scenario and return its manifest."""
    rows = rows_of_all()
    for number in range(1, len(rows) + 1):
        write_documents(root, number)
    return write_manifest(root, rows)
