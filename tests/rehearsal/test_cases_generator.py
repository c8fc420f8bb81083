"""The generated data set: its counts, its labels, and that no document gives a label away."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from pypdf import PdfReader
from solidgreen.errors import BadInput

from rehearsal.cases import Summary, generate
from rehearsal.cases.__main__ import main
from rehearsal.cases.build import COLUMNS, KINDS

SEED = 4711
TELLING = re.compile(
    r"pass|warn|reject|block|\bocr|noise|sanction|tbml|shell|expected|verdict|label|scenario", re.IGNORECASE
)
METADATA = {
    "/Title": "Document",
    "/Author": "Trade documents",
    "/Subject": "Presentation",
    "/Creator": "Trade documents",
    "/Producer": "Trade documents",
}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return generate(tmp_path_factory.mktemp("data") / "day3", SEED)


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The same data set, written where a run was killed before."""
    root = tmp_path_factory.mktemp("again") / "day3"
    (root / ".bundles.partial" / "0123456789ab").mkdir(parents=True)
    (root / "bundles").mkdir()
    return generate(root, SEED)


@pytest.fixture(scope="module")
def rows(summary: Summary) -> list[dict[str, str]]:
    with summary.manifest.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@dataclass(frozen=True)
class Opened:
    """A document as a reader sees it."""

    metadata: dict[str, str]
    pages: int
    text: str
    picture: bool


def opened(path: Path) -> Opened:
    reader = PdfReader(path)
    texts = [page.extract_text() for page in reader.pages]
    pictures = [bool(page.images) and not text.strip() for page, text in zip(reader.pages, texts, strict=True)]
    return Opened(
        {str(k): str(v) for k, v in (reader.metadata or {}).items()}, len(texts), "\n".join(texts), any(pictures)
    )


@pytest.fixture(scope="module")
def documents(summary: Summary) -> dict[Path, Opened]:
    return {path: opened(path) for path in sorted(summary.data_root.glob("bundles/*/*.pdf"))}


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_manifest_has_the_plans_columns_and_counts(summary: Summary, rows: list[dict[str, str]]) -> None:
    assert tuple(rows[0]) == COLUMNS
    assert len(COLUMNS) == 13
    assert Counter((row["scenario"], row["expected_verdict"]) for row in rows) == {
        ("pass", "pass"): 20,
        ("warn", "warn"): 20,
        ("reject", "reject"): 20,
        ("ocr_noise", "blocked"): 15,
        ("sanctions_tbml_shell", "reject"): 15,
    }
    assert [row["case_id"] for row in rows] == [f"D3-{number:03d}" for number in range(1, 91)]
    assert summary.cases == 90


def test_the_order_of_cases_tells_nothing(rows: list[dict[str, str]]) -> None:
    halves = [Counter(row["scenario"] for row in half) for half in (rows[:45], rows[45:])]
    assert all(len(half) == 5 for half in halves)


def test_cases_come_from_at_least_thirty_trades(rows: list[dict[str, str]]) -> None:
    parents = Counter(row["synthetic_parent_id"] for row in rows)
    assert len(parents) >= 30
    assert max(parents.values()) <= 4


def test_at_least_twelve_kinds_of_discrepancy_and_several_signals(rows: list[dict[str, str]]) -> None:
    kinds = defaultdict(set)
    for row in rows:
        kinds[row["scenario"]].add(row["notes"].split(":")[0])
    assert len(kinds["warn"] | kinds["reject"]) >= 12
    assert len(kinds["sanctions_tbml_shell"]) >= 6
    assert kinds["pass"] == {"compliant"}
    known = {kind.name for kinds_of in KINDS.values() for kind in kinds_of}
    assert set().union(*kinds.values()) <= known


def test_every_bundle_lies_where_the_manifest_says(summary: Summary, rows: list[dict[str, str]]) -> None:
    for row in rows:
        folder = summary.data_root / row["cleaned_path"]
        names = {path.name for path in folder.iterdir()}
        assert {"lc.pdf", "invoice.pdf", "bl.pdf"} <= names
        assert names <= {"lc.pdf", "invoice.pdf", "bl.pdf", "insurance.pdf", "packing_list.pdf", "coo.pdf"}
        assert re.fullmatch(r"bundles/[0-9a-f]{12}", row["cleaned_path"])


def test_no_name_metadata_or_text_tells_the_label(summary: Summary, documents: dict[Path, Opened]) -> None:
    for path, document in documents.items():
        assert not TELLING.search(str(path.relative_to(summary.data_root)))
        assert not TELLING.search(document.text), (path, TELLING.search(document.text))
        assert not re.search(r"\bD3-\d{3}|\bT-\d\d\b", document.text)


def test_metadata_is_the_same_in_every_document(documents: dict[Path, Opened]) -> None:
    dates = dict.fromkeys(("/CreationDate", "/ModDate"), "D:20000101000000+00'00'")
    for document in documents.values():
        assert document.metadata == METADATA | dates | {"/Keywords": "", "/Trapped": "/False"}


def test_no_document_is_in_two_bundles(documents: dict[Path, Opened]) -> None:
    seen = Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in documents)
    assert max(seen.values()) == 1


def test_only_noisy_bundles_hold_a_picture_and_they_hold_one(
    summary: Summary, rows: list[dict[str, str]], documents: dict[Path, Opened]
) -> None:
    for row in rows:
        folder = summary.data_root / row["cleaned_path"]
        pictures = [path.name for path, document in documents.items() if path.parent == folder and document.picture]
        assert pictures == (["lc.pdf"] if row["scenario"] == "ocr_noise" else [])
        if pictures:
            assert documents[folder / "lc.pdf"].pages == 1


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    summary: Summary, again: Summary, tmp_path: Path
) -> None:
    assert digests(again.data_root) == digests(summary.data_root)
    assert again.digest == summary.digest
    assert generate(tmp_path / "other", SEED + 1).digest != summary.digest


@pytest.mark.parametrize("held", ["manifest.csv", "bundles/0123456789ab/lc.pdf"], ids=["manifest", "bundle"])
def test_a_data_root_that_holds_data_is_refused_and_left_alone(tmp_path: Path, held: str) -> None:
    (tmp_path / held).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / held).write_bytes(b"kept")
    before = digests(tmp_path)
    with pytest.raises(
        BadInput, match=r"already there, need no manifest and no bundles: labelled data is never overwritten"
    ):
        generate(tmp_path)
    assert digests(tmp_path) == before


def test_what_a_killed_run_left_is_replaced(again: Summary) -> None:
    assert sorted(path.name for path in again.data_root.iterdir()) == ["bundles", "manifest.csv"]
    assert not (again.data_root / "bundles" / "0123456789ab").exists()


def test_the_command_line_writes_and_then_refuses_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data-root", str(tmp_path / "day3"), "--seed", "9"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("90 cases (20 pass, 20 warn, 20 reject, 15 ocr_noise, ")
    assert main(arguments) == 13
    assert capsys.readouterr().err.count("\n") == 1
