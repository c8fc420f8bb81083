"""``day3_manifest_info`` and ``day3_qualify`` over a data set on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batch_setting import ROOT, TEMPLATE
from dataset import pdf, rows_of_all, write_all, write_documents, write_manifest, write_policy

SCHEMA = ROOT / "schemas" / "policy.schema.json"
FILES = ["cases.jsonl", "labels.json", "probe.json", "qualification.json", "smoke20.json"]


def params(root: Path, module: str = "day3_qualify") -> dict[str, Any]:
    """Return the arguments of the module with a policy that asks for the small data set."""
    path = write_policy(root.parent / "policy.yml")
    common = {"data_root": str(root), "policy": str(path), "policy_schema": str(SCHEMA)}
    return common | ({"request_template": str(TEMPLATE)} if module == "day3_qualify" else {})


def written(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "results").rglob("*") if path.is_file())


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> Path:
    root = tmp_path / "day3"
    root.mkdir()
    write_all(root)
    return root


def test_check_do_check_do_modify(root: Path, run_module: Any) -> None:
    arguments = params(root)
    foreseen = run_module("day3_qualify", arguments, check=True, diff=True)
    assert (foreseen["changed"], written(root)) == (True, [])
    assert sorted(reason["name"] for reason in foreseen["reasons"]) == FILES

    done = run_module("day3_qualify", arguments)
    assert (done["changed"], done["status"], written(root)) == (True, "pass", FILES)
    assert [check["status"] for check in done["checks"]] == ["pass"] * 9

    for check in (True, False):
        again = run_module("day3_qualify", arguments, check=check)
        assert (again["changed"], again["reasons"]) == (False, [])

    write_documents(root, 1, lc=pdf("Another credit", "of another amount"))
    modified = run_module("day3_qualify", arguments, diff=True)
    assert modified["changed"] is True
    assert [reason["name"] for reason in modified["reasons"]] == ["cases.jsonl"]
    assert set(modified["diff"]["before"]) == set(modified["diff"]["after"]) == {"cases.jsonl"}


def test_labels_and_cases_lie_apart(root: Path, run_module: Any) -> None:
    files = run_module("day3_qualify", params(root))["files"]
    labels = json.loads(Path(files["labels"]).read_text())["labels"]
    assert {label["expected"] for label in labels.values()} == {"pass", "warn", "reject", "blocked"}
    assert "sanctions_tbml_shell" not in Path(files["cases"]).read_text()


def test_a_data_set_that_fails_its_checks_is_told_not_raised(root: Path, run_module: Any) -> None:
    write_documents(root, 3, lc=pdf("stub"))
    result = run_module("day3_qualify", params(root))
    assert (result["failed"], result["status"]) == (False, "fail")
    failed = [check for check in result["checks"] if check["status"] == "fail"]
    assert [(check["id"], check["exit_code"]) for check in failed] == [("dataset-not-stubs", 13)]


@pytest.mark.parametrize("module", ["day3_qualify", "day3_manifest_info"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda root: (root / "manifest.csv").unlink(), "no readable file", id="missing"),
        pytest.param(lambda root: (root / "manifest.csv").write_text(""), "an empty file", id="empty"),
        pytest.param(lambda root: (root / "manifest.csv").write_text("a,b\n"), "no column case_id", id="wrong column"),
        pytest.param(
            lambda root: write_manifest(root, [rows_of_all()[0] | {"cleaned_path": "../x"}, *rows_of_all()[1:]]),
            "outside the data root",
            id="path outside",
        ),
        pytest.param(
            lambda root: write_manifest(root, rows_of_all()[1:]),
            "found 9 enabled cases, 1 pass, need 10 cases, 2 pass",
            id="a row less",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_one_sentence_and_nothing_written(
    root: Path, run_module: Any, module: str, spoil: Any, words: str
) -> None:
    spoil(root)
    result = run_module(module, params(root, module))
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert words in result["msg"]
    assert "\n" not in result["msg"]
    assert written(root) == []


@pytest.mark.parametrize("check", [False, True])
def test_the_manifest_is_counted_in_check_mode_too(root: Path, run_module: Any, check: bool) -> None:
    result = run_module("day3_manifest_info", params(root, "day3_manifest_info"), check=check)
    assert (result["changed"], result["cases"], result["parents"]) == (False, 10, 10)
    assert result["verdicts"] == {"pass": 2, "warn": 2, "reject": 4, "blocked": 2}
    assert [item["id"] for item in result["checks"]] == ["dataset-counts"]


def test_a_count_before_a_run_is_called_after_it(root: Path, run_module: Any) -> None:
    result = run_module("day3_manifest_info", {**params(root, "day3_manifest_info"), "run": "smoke2"})
    assert [item["id"] for item in result["checks"]] == ["smoke2:dataset-counts"]
