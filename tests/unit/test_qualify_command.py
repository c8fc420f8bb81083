"""``invoke qualify`` as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from batch_world import ROOT
from dataset import pdf, rows_of_all, write_all, write_documents, write_manifest, write_policy
from jsonschema import Draft202012Validator

CHECKS = ("counts", "types", "readable", "not-stubs", "no-copies", "near-copies", "blind", "parents", "smoke")


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "day3"
    root.mkdir(parents=True)
    write_all(root)
    return root


def qualify(root: Path, *arguments: object, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run the command over the small data set, with a policy that asks for it."""
    path = write_policy(root.parent.parent / "policy.yml", **changes)
    command = [sys.executable, ROOT / "scripts" / "qualify.py", "--data-root", root, "--policy", path, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT)


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_good_data_set_is_a_line_a_check_and_ends_with_0(root: Path) -> None:
    before = files(root)
    done = qualify(root)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, empty, last = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["pass", f"dataset-{name}"]
        for name in [
            "counts",
            "types",
            "readable",
            "not-stubs",
            "no-copies",
            "near-copies",
            "blind",
            "parents",
            "smoke",
        ]
    ]
    assert (empty, last) == ("", "PASS: the data set qualifies, 9 checks passed")
    assert files(root) == before


def test_a_bad_document_ends_with_13_and_is_named(root: Path) -> None:
    write_documents(root, 3, lc=pdf("stub"))
    done = qualify(root)
    assert done.returncode == 13
    assert "FAIL          dataset-not-stubs" in done.stdout
    assert "bundles/b3/lc.pdf (1 line), need none" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        "FAIL: 1 of 9 checks not passed: dataset-not-stubs. Next: correct the data set, then invoke qualify"
    )


def test_a_verdict_from_one_parent_ends_with_11(root: Path) -> None:
    rows = rows_of_all()
    rows[1]["synthetic_parent_id"] = rows[0]["synthetic_parent_id"]
    write_manifest(root, rows)
    done = qualify(root)
    assert done.returncode == 11
    assert done.stdout.splitlines()[-1].startswith("INCONCLUSIVE: 1 of 9 checks not passed: dataset-parents. Next: add")
    write_documents(root, 3, lc=pdf("stub"))
    assert qualify(root).returncode == 13


@pytest.mark.parametrize("spoilt", [False, True])
def test_one_json_document_is_all_of_standard_output(root: Path, spoilt: bool) -> None:
    if spoilt:
        write_documents(root, 3, lc=pdf("stub"))
    done = qualify(root, "--json")
    found = json.loads(done.stdout)
    assert (found["exit_code"], found["status"]) == ((13, "fail") if spoilt else (0, "pass"))
    assert done.returncode == found["exit_code"]
    assert "dataset-counts" in done.stderr
    schema = json.loads((ROOT / "schemas" / "qualification.schema.json").read_text())
    Draft202012Validator(schema).validate(found)


def test_the_report_is_written_where_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    done = qualify(root, "--json", "--out", tmp_path / "new" / "folder")
    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["qualification.json"]
    written = json.loads((tmp_path / "new" / "folder" / "qualification.json").read_text())
    assert written | {"exit_code": 0} == json.loads(done.stdout)


def test_a_report_that_cannot_be_written_is_one_sentence_and_ends_with_12(root: Path) -> None:
    done = qualify(root, "--out", "/dev/null/x")
    assert (done.returncode, done.stdout) == (12, "")
    assert "/dev/null/x" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--manifest", "gone.csv"), "manifest gone.csv: found no readable file"),
        (("--policy", "gone.yml"), "policy gone.yml: found No such file or directory"),
        (("--speed", "9"), "unrecognized arguments: --speed 9"),
    ],
    ids=["no manifest", "no policy", "no such option"],
)
def test_what_cannot_be_used_is_one_sentence_and_ends_with_13(
    root: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = qualify(root, *arguments)
    assert (done.returncode, done.stdout) == (13, "")
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_manifest_that_is_not_the_policys_is_one_sentence(root: Path) -> None:
    write_manifest(root, rows_of_all()[1:])
    done = qualify(root, "--json")
    assert (done.returncode, done.stdout) == (13, "")
    assert "found 9 enabled cases, 1 pass, need 10 cases, 2 pass" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_numbers_are_those_of_the_policy(root: Path) -> None:
    rows = rows_of_all()
    rows[2]["synthetic_parent_id"] = rows[0]["synthetic_parent_id"]
    write_manifest(root, rows)
    done = qualify(root, dependence={"intra_parent_correlation": 1.0})
    assert "10 cases of 9 parents, 2 of the largest, count as 8.3 independent ones" in done.stdout
    done = qualify(root, qualification={"near_copy": 0.7})
    assert "FAIL          dataset-near-copies" in done.stdout


def test_what_a_document_says_is_shown_harmless(root: Path) -> None:
    write_documents(root, 3, lc=pdf("Letter of credit", "Amount USD 9", title="for reject"))
    (root / "bundles" / "b4\x1b[31m").mkdir()
    (root / "bundles" / "b4").rename(root / "bundles" / "moved")
    (root / "bundles" / "moved" / "lc.pdf").rename(root / "bundles" / "b4\x1b[31m" / "lc.doc")
    rows = rows_of_all()
    rows[3]["cleaned_path"] = "bundles/b4\x1b[31m"
    write_manifest(root, rows)
    done = qualify(root)
    assert done.returncode == 13
    assert "\x1b" not in done.stdout + done.stderr
    assert "bundles/b4\\u001b[31m/lc.doc holds application/pdf" in done.stdout
