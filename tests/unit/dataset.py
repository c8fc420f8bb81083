"""A small data set on disk: real PDFs, a manifest in the columns of the plan."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
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


def write_policy(path: Path, **changes: Mapping[str, Any]) -> Path:
    """Write the shipped policy for the small data set: its gates need no more cases than that has.

    :param changes: sections and what is other in them
    """
    policy = yaml.safe_load((Path(__file__).resolve().parents[2] / "policy" / "day3.yml").read_text())
    policy["dataset"] |= {"cases": 10, **DATASET}
    policy["smoke"] |= SMOKE
    policy["gates"] = [gate | {"min_n": 1} for gate in policy["gates"] if gate["scope"] == "run"]
    for section, values in changes.items():
        policy[section] |= values
    path.write_text(yaml.safe_dump(policy))
    return path


def pdf(*lines: str, title: str = "", packed: bool = False) -> bytes:
    """Return a PDF of one page with these lines, which can be read in its bytes unless *packed*."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True, pageCompression=int(packed))
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
