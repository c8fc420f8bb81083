"""Results files: ours and old ones read alike, whatever is unusual in them, and the first fault named by its line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import FULL, SMOKE, counts, rows
from solidgreen import jsonio, metrics, results
from solidgreen.columns import FIELDS, Rows
from solidgreen.errors import BadInput

MOVES = ("warn>server_error 1", "pass>rate_limited 1", "reject>transport_error 1", "blocked>pass 1")
MINE = rows(counts(SMOKE, *MOVES))
OLD: list[dict[str, Any]] = [
    {"case_id": "A", "scenario": "pass", "expected_verdict": "PASS", "actual_verdict": "pass ", "status": "ok"},
    {"case_id": "B", "scenario": "warn", "expected_verdict": "warn", "actual_verdict": None, "http_status": 429},
    {"case_id": "C", "expected_verdict": "reject", "actual_verdict": "pass", "http_status": "200"},
    {"case_id": "D", "expected_verdict": "warn", "actual_verdict": "warn", "error": "timeout", "http_status": ""},
]


@pytest.fixture(params=[results.BLOCK, 700], ids=["one block", "a block a line or two"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "BLOCK", request.param)
    return tmp_path / "results.jsonl"


def lines(made: list[dict[str, Any]]) -> list[bytes]:
    return [jsonio.canonical(row) for row in made]


def read_one(path: Path, data: bytes) -> results.Run:
    path.write_bytes(data)
    (run,) = results.read(path)
    return run


def test_our_own_rows_are_read_as_they_were_written(path: Path) -> None:
    run = read_one(path, b"".join(line + b"\n" for line in lines(MINE)))
    assert (run.run_id, run.kind, run.ordinal) == ("smoke1-x", "smoke", 1)
    assert tuple(run.frame.columns) == FIELDS
    assert list(Rows(run.frame)) == MINE
    assert metrics.summarise(run.frame) == metrics.summarise(MINE)


@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(lambda made: b"\n".join(made), id="no newline at the end"),
        pytest.param(lambda made: b"\xef\xbb\xbf" + b"\n".join(made), id="BOM"),
        pytest.param(lambda made: b"\r\n".join(made) + b"\r\n", id="CRLF"),
        pytest.param(lambda made: b"\n \n".join(made) + b"\n\n\n", id="blank lines"),
        pytest.param(lambda made: b"\n\n" + b"\n".join(made), id="blank first"),
        pytest.param(lambda made: b"\n".join(b"  " + line for line in made), id="spaces before a line"),
        pytest.param(
            lambda made: b"\n".join(line.replace(b'{"', b'{"later":[{"a":[1,null,"x"]}],"', 1) for line in made),
            id="fields of a later version",
        ),
        pytest.param(
            lambda made: b"\n".join(line.replace(b'"http_status":500', b'"http_status":" 500 "') for line in made),
            id="a status as text",
        ),
        pytest.param(
            lambda made: b"\n".join(line.replace(b'"ordinal":1', b'"ordinal":1.0') for line in made), id="1.0 for 1"
        ),
        pytest.param(
            lambda made: b"\n".join(line.replace(b"true", b'"true"').replace(b"false", b'"False"') for line in made),
            id="flags as text",
        ),
        pytest.param(
            lambda made: b"\n".join(line.replace(b".000000Z", b"+00:00").replace(b"T12:", b" 12:") for line in made),
            id="times written otherwise",
        ),
        pytest.param(
            lambda made: b"\n".join(line.replace(b'"expected_verdict":"w', b'"expected_verdict":" W') for line in made),
            id="verdicts in capitals",
        ),
        pytest.param(
            lambda made: b"\n".join(json.dumps(json.loads(line), ensure_ascii=False).encode() for line in made),
            id="written by another tool",
        ),
    ],
)
def test_a_file_that_is_written_otherwise_says_the_same(path: Path, unusual: Any) -> None:
    run = read_one(path, unusual(lines(MINE)))
    assert metrics.summarise(run.frame) == metrics.summarise(MINE)


def test_an_old_file_with_bom_and_crlf_is_read(path: Path) -> None:
    run = read_one(path, b"\xef\xbb\xbf" + b"\r\n".join(lines(OLD)) + b"\r\n")
    assert (run.run_id, run.kind, run.ordinal) == (None, None, None)
    found = metrics.summarise(run.frame)
    assert (found["total"], found["comparable"], found["matched"], found["critical_false_pass"]) == (4, 2, 1, 1)
    assert found["outcomes"] == {"answer": 2, "rate_limited": 1, "transport_error": 1}
    assert (found["secrets"], found["parents"], found["first_try"]["total"]) == (None, {"count": 0, "sizes": {}}, 0)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "malformed"),
        ("422", "unprocessable"),
        (429, "rate_limited"),
        ("503", "infra_unavailable"),
        (500, "server_error"),
        (404, "client_error"),
        (None, "transport_error"),
        ("ERR", "transport_error"),
        (True, "transport_error"),
        (10**30, "transport_error"),
    ],
)
def test_the_status_tells_how_an_old_case_without_a_verdict_ended(path: Path, status: Any, outcome: str) -> None:
    run = read_one(path, json.dumps({"case_id": "A", "expected_verdict": "warn", "http_status": status}).encode())
    assert metrics.summarise(run.frame)["outcomes"] == {outcome: 1}


@pytest.mark.parametrize(
    "change",
    [{"error": "timeout"}, {"comparable": False}, {"actual_verdict": "approved"}, {"outcome": "server_error"}],
    ids=lambda change: next(iter(change)),
)
def test_a_verdict_that_something_speaks_against_does_not_count(path: Path, change: dict[str, Any]) -> None:
    given = {"case_id": "A", "expected_verdict": "warn", "actual_verdict": "warn", "matched": True}
    found = metrics.summarise(read_one(path, json.dumps(given | change).encode()).frame)
    assert (found["comparable"], found["matched"], found["confusion"]["warn"]["unknown"]) == (0, 0, 1)


def test_what_a_row_claims_to_have_matched_is_worked_out_anew(path: Path) -> None:
    lie = {"case_id": "A", "expected_verdict": "reject", "actual_verdict": "pass", "matched": True, "comparable": True}
    found = metrics.summarise(read_one(path, json.dumps(lie).encode()).frame)
    assert (found["matched"], found["critical_false_pass_cases"]) == (0, ["A"])


# --- runs ----------------------------------------------------------------------------------------------------------


def test_the_runs_of_a_file_are_told_apart_by_their_names(path: Path) -> None:
    runs = [MINE, rows(SMOKE, "smoke2-y", ordinal=2, minutes=10), rows(FULL, "full1-z", kind="full", minutes=20)]
    mixed = [*runs[0][:7], *runs[1][:5], *runs[0][7:], *runs[2], *runs[1][5:]]
    path.write_bytes(b"".join(line + b"\n" for line in lines(mixed)))
    found = results.read(path)
    assert [(run.run_id, run.kind, run.ordinal) for run in found] == [
        ("smoke1-x", "smoke", 1),
        ("smoke2-y", "smoke", 2),
        ("full1-z", "full", 1),
    ]
    assert [list(Rows(run.frame)) for run in found] == runs


def test_of_rows_that_name_no_run_a_case_that_comes_again_begins_one(path: Path) -> None:
    cases = ["A", "B", "C", "A", "C", "D", "D", "A"]
    made = [{"case_id": case, "expected_verdict": "warn", "run_id": ["", None][n % 2]} for n, case in enumerate(cases)]
    path.write_bytes(b"\n".join(lines(made)))
    assert ["".join(run.frame["case_id"]) for run in results.read(path)] == ["ABC", "ACD", "DA"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"], ids=repr)
def test_a_file_without_rows_has_no_runs(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert [len(run.frame) for run in results.read(path)] == []


# --- faults --------------------------------------------------------------------------------------------------------

GOOD = lines(MINE)


@pytest.mark.parametrize(
    ("given", "line", "words"),
    [
        pytest.param([b"null"], 1, "no JSON object", id="a bare null"),
        pytest.param([*GOOD[:2], b"null"], 3, "no JSON object", id="a null further down"),
        pytest.param([GOOD[0], b"[1]"], 2, "no JSON object", id="a list"),
        pytest.param([*GOOD[:6], b'{"case_id":'], 7, "no JSON object", id="a torn line"),
        pytest.param([b"", GOOD[0], b" ", GOOD[1] + GOOD[2]], 4, "no JSON object", id="two objects on a line"),
        pytest.param([GOOD[0], b'{"case_id": "\xff"}'], 2, "no JSON object", id="no UTF-8"),
        pytest.param([b'{"a":' * 100_000 + b"1" + b"}" * 100_000], 1, "no JSON object", id="a very deep one"),
        pytest.param([b'{"case_id": "A",', b'"expected_verdict": "warn"}'], 1, "no JSON object", id="over two lines"),
        pytest.param([*GOOD[:4], b"{}"], 5, "case_id None and expected_verdict None", id="an empty object"),
        pytest.param([GOOD[0], b'{"case_id":"A"}'], 2, "expected_verdict None", id="no label"),
        pytest.param(
            [b'{"case_id":"A","expected_verdict":"maybe"}'], 1, "'maybe', need a case id and one of pass", id="a label"
        ),
        pytest.param([b'{"expected_verdict":"pass"}'], 1, "case_id None", id="no case"),
        pytest.param([b'{"case_id":"","expected_verdict":"pass"}'], 1, "case_id ''", id="an empty case"),
        pytest.param([b"\r", b"{}", b"null"], 2, "case_id None", id="of two faults the first"),
        pytest.param([*GOOD[:9], b"null", b"{}"], 10, "no JSON object", id="of two faults the first, the other way"),
        pytest.param([*GOOD, b"", GOOD[4]], 22, "a second time in run smoke1-x", id="a case twice in a named run"),
    ],
)
def test_the_first_fault_is_named_by_its_line(path: Path, given: list[bytes], line: int, words: str) -> None:
    path.write_bytes(b"\n".join(given))
    with pytest.raises(BadInput) as told:
        results.read(path)
    assert f"results.jsonl line {line}: " in str(told.value)
    assert words in str(told.value)
    assert "Next: judge a day3_results.jsonl" in str(told.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.jsonl: found no file, need a day3_results\.jsonl"):
        results.read(tmp_path / "gone.jsonl")
    with pytest.raises(BadInput, match="found no readable file"):
        results.read(tmp_path)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"case_id": st.uuids().map(str), "expected_verdict": st.sampled_from(metrics.VERDICTS)},
            optional={name: _VALUES for name in FIELDS if name not in ("case_id", "expected_verdict", "run_id")},
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda row: row["case_id"],
    )
)
def test_whatever_else_a_row_holds_it_is_counted_and_only_a_verdict_counts_as_one(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.jsonl"
    run = read_one(path, b"\n".join(json.dumps(row).encode() for row in made))
    found = metrics.summarise(run.frame)
    verdicts = [row for row in made if str(row.get("actual_verdict")).strip().lower() in metrics.VERDICTS]
    assert (found["total"], found["comparable"] <= len(verdicts)) == (len(made), True)
    assert metrics.failed_csv(run.frame)
    assert metrics.rate_limit_stats(run.frame)
    assert metrics.consistency(run.frame, run.frame)["total"] == len(made)
    json.dumps(found, allow_nan=False)
