"""Shards: what may be merged becomes one whole record, what may not is named, and the merge can be made again."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import judged
import pytest
from batch_world import steady
from clocks import TurnedClock
from hypothesis import given
from hypothesis import strategies as st
from solidgreen import bundle, cases, cycle, gates, jsonio, judgement, ledger, report, shards
from solidgreen.cases import Case, Document
from solidgreen.clock import parse, stamp
from solidgreen.errors import BadInput, Inconclusive, InfrastructureStop, IntegrityError, Refused
from solidgreen.ledger import Writer
from solidgreen.pacing import Shard
from solidgreen.paths import DataRoot

RUN = "full1-x"
IDS = [f"D3-{number:03d}" for number in range(1, 8)]
PACING = {"min_interval": 3.0, "retries_429": 8}
COMMON = {"run_id": RUN, "kind": "full", "ordinal": 1, "cases_sha256": "c" * 64, "pacing": PACING}
Sessions = Sequence[Sequence[float]]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A property test writes thousands of records; what fsync adds is time alone."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def attempt(clock: TurnedClock, n: int = 1, reason: str = "ok") -> dict[str, Any]:
    started = stamp(clock.now())
    return {"n": n, "started_at": started, "at_s": 0.0, "duration_s": 0.5, "wait_s": 0.0, "reason": reason}


def send(
    folder: Path,
    shard: Shard,
    sessions: Sessions,
    *,
    end: str | None = "finished",
    ids: Sequence[str] = IDS,
    name: str = "",
    **changes: Any,
) -> Path:
    """Write the record of a shard: in each session its start, then one moment a case; a request takes half a second."""
    path = folder / "shards" / (name or shards.file_name(shard))
    registration = {**COMMON, "selection": ids[shard.index - 1 :: shard.of]}
    registration |= {"shard": {"index": shard.index, "of": shard.of}, **changes}
    todo = iter(registration["selection"])
    clock = TurnedClock()
    for number, (begin, *moments) in enumerate(sessions, start=1):
        clock.elapsed = begin
        with Writer(path, registration, clock=clock) as writer:
            for moment in moments:
                clock.elapsed = moment
                tried = attempt(clock)
                observed = {"type": "observation", "seq": writer.ledger.done + 1, "case_id": next(todo)}
                observed |= {"attempts": [tried], "outcome": "answer", "verdict": "pass"}
                clock.sleep(0.5)
                writer.append({**observed, "finished_at": stamp(clock.now())})
            if end and number == len(sessions):
                writer.append({"type": "end", "at": stamp(clock.now()), "state": end})
    return path


def run_folder(root: Path, of: int = 2) -> Path:
    folder = root / RUN
    jsonio.write_json(folder / "shards" / "plan.json", {"schema": shards.SCHEMA, "run_id": RUN, "of": of})
    return folder


def two(root: Path) -> Path:
    """Write a whole run: shard 1 starts at 0, 6, 12 and 18, shard 2 at 3, 9 and 15."""
    folder = run_folder(root)
    send(folder, Shard(1, 2), [[0, 0, 6, 12, 18]])
    send(folder, Shard(2, 2), [[0.5, 3, 9, 15]])
    return folder


def lines(folder: Path) -> list[dict[str, Any]]:
    return list(jsonio.read_jsonl(folder / "observations.jsonl"))


def test_two_shards_become_one_record_that_the_ordinary_ledger_reads(tmp_path: Path) -> None:
    folder = two(tmp_path)
    merged = shards.merge(folder, IDS)
    found = ledger.closed(folder / "observations.jsonl", "finished")
    assert (merged.changed, merged.state, found.selection, found.missing) == (True, "finished", IDS, [])
    assert [record["case_id"] for record in found.observations] == IDS
    assert [record["seq"] for record in found.observations] == list(range(1, 8))
    assert [record["shard"] for record in found.observations] == [1, 2, 1, 2, 1, 2, 1]
    assert [record["attempts"][0]["at_s"] for record in found.observations] == [0, 3, 6, 9, 12, 15, 18]
    assert (found.active_s, found.smallest_gap_s) == (18.5, 3.0)


def test_each_record_names_the_one_it_was_and_each_shard_its_head(tmp_path: Path) -> None:
    folder = two(tmp_path)
    shards.merge(folder, IDS)
    first, *rest, end = lines(folder)
    assert end["state"] == "finished"
    assert (end["done"], end["unsent"]) == (7, 0)
    for told in first["shards"]:
        part = folder / "shards" / f"{told['index']}of{told['of']}.jsonl"
        own = list(jsonio.read_jsonl(part))
        assert (told["head_sha256"], told["records"]) == (own[-1]["sha256"], len(own))
        assert [r["shard_sha256"] for r in rest if r["shard"] == told["index"]] == [r["sha256"] for r in own[1:-1]]


def test_the_merge_gives_the_same_bytes_again_and_writes_nothing(tmp_path: Path) -> None:
    folder = two(tmp_path)
    shards.merge(folder, IDS)
    before = (folder / "observations.jsonl").read_bytes(), (folder / "observations.jsonl").stat().st_mtime_ns
    assert not shards.merge(folder, IDS).changed
    shards.require_merged(folder)
    assert before == ((folder / "observations.jsonl").read_bytes(), (folder / "observations.jsonl").stat().st_mtime_ns)
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["observations.jsonl", "shards"]


@pytest.mark.parametrize(
    ("first", "second", "active", "resumes"),
    [
        ([[0, 0, 6, 12, 18]], [[0.5, 3, 9, 15]], 18.5, []),
        ([[0, 0, 6], [100, 112, 118]], [[0.5, 3, 9, 15]], 15.5 + 18.5, [100.0]),
        ([[0, 0, 6, 12, 18]], [[0.5, 3], [9, 9, 15]], 18.5, []),
        ([[0, 0, 6, 12, 18]], [[50, 53, 59, 65]], 18.5 + 15.5, [50.0]),
        ([[0], [100, 100, 106, 112, 118]], [[0.5, 3], [100.5, 103, 109]], 3.0 + 18.5, [0.5, 100.0]),
        ([[0, 0, 6, 12, 18]], [[0.5], [0.7], [30, 33, 39, 45]], 18.5 + 15.5, [30.0]),
    ],
    ids=["side by side", "one resumed alone", "one resumed beside the other", "one after the other", "both", "thrice"],
)
def test_the_time_of_the_run_is_the_time_somebody_worked_on_it(
    tmp_path: Path, first: Sessions, second: Sessions, active: float, resumes: list[float]
) -> None:
    folder = run_folder(tmp_path)
    send(folder, Shard(1, 2), first)
    send(folder, Shard(2, 2), second)
    found = shards.merge(folder, IDS).ledger
    assert found.active_s == pytest.approx(active)
    assert [r["at"] for r in found.resumes] == [stamp(TurnedClock().start + timedelta(seconds=at)) for at in resumes]


def test_attempts_without_an_end_yet_and_what_is_known_of_the_limit_are_kept_in_their_order(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, 1)
    path, clock = folder / "shards" / "1of1.jsonl", TurnedClock()
    registration = {**COMMON, "selection": ["A"], "shard": {"index": 1, "of": 1}}
    with Writer(path, registration, clock=clock) as writer:
        clock.sleep(2)
        refused = attempt(clock, reason="http_429")
        writer.append({"type": "attempt", "case_id": "A", **refused, "at": stamp(clock.now())})
        writer.append(
            {
                "type": "pace",
                "at": stamp(clock.now()),
                "limit": {"requests": 1, "window_s": 60.0},
                "source": "s",
                "certain": True,
            }
        )
        clock.sleep(60)
        given = {"type": "observation", "seq": 1, "case_id": "A", "attempts": [refused, attempt(clock, 2)]}
        writer.append({**given, "outcome": "answer", "verdict": None, "finished_at": stamp(clock.now())})
        writer.append({"type": "end", "at": stamp(clock.now()), "state": "finished"})
    found = shards.merge(folder, ["A"]).ledger
    assert (found.requests, found.http_429, found.smallest_gap_s) == (2, 1, 60.0)
    assert [record["type"] for record in lines(folder)] == ["registration", "attempt", "pace", "observation", "end"]
    assert lines(folder)[1]["at_s"] == lines(folder)[3]["attempts"][0]["at_s"] == 2.0


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [
        ("finished", "exhausted", "exhausted"),
        ("quota", "exhausted", "quota"),
        ("early_stop", "quota", "early_stop"),
        ("finished", "early_stop", "early_stop"),
    ],
)
def test_the_run_ends_as_its_worst_shard_and_says_what_was_not_sent(
    tmp_path: Path, one: str, other: str, state: str
) -> None:
    folder = run_folder(tmp_path)
    send(folder, Shard(1, 2), [[0, 0, 6, 12, 18]], end=one)
    send(folder, Shard(2, 2), [[0.5, 3]], end=other)
    merged = shards.merge(folder, IDS)
    end = merged.ledger.end or {}
    assert (merged.state, end["done"], end["unsent"]) == (state, 5, 2)
    assert merged.ledger.missing == ["D3-004", "D3-006"]
    assert merged.in_cycle == {"early_stop": "early_stop"}.get(state, "stopped")
    ledger.closed(folder / "observations.jsonl", merged.in_cycle)


# --- what is refused -------------------------------------------------------------------------------------------------


def put_aside(folder: Path) -> None:
    (folder / "shards" / "2of2.jsonl").unlink()


def leave_open(folder: Path) -> None:
    put_aside(folder)
    send(folder, Shard(2, 2), [[0.5, 3]], end=None)


def leave_nothing(folder: Path) -> None:
    (folder / "shards" / "2of2.jsonl").write_bytes(b'{"at":"2026-03')


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (put_aside, "found no record (worker-b: unreachable), need the end of every shard"),
        (leave_open, "found 1 of 3 cases (worker-b: unreachable)"),
        (leave_nothing, "found no record (worker-b: unreachable)"),
    ],
)
def test_a_shard_that_is_missing_or_did_not_end_is_named_with_its_worker(
    tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    folder = two(tmp_path)
    harm(folder)
    with pytest.raises(Inconclusive) as caught:
        shards.merge(folder, IDS, {2: "worker-b: unreachable"})
    assert f"shard 2 of 2 of run {RUN}: {words}" in str(caught.value)
    assert "a shard that ended sends nothing again" in str(caught.value)
    assert not (folder / "observations.jsonl").exists()


def again(folder: Path, **changes: Any) -> None:
    put_aside(folder)
    send(folder, Shard(2, 2), [[0.5, 3, 9, 15]], **changes)


def copy_first(folder: Path) -> None:
    (folder / "shards" / "2of2.jsonl").write_bytes((folder / "shards" / "1of2.jsonl").read_bytes())


def of_three(folder: Path) -> None:
    put_aside(folder)
    send(folder, Shard(2, 3), [[0.5, 3, 9]], name="2of2.jsonl")


def change_a_byte(folder: Path) -> None:
    path = folder / "shards" / "2of2.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"pass"', b'"verdict":"warn"', 1))


def append_a_byte(folder: Path) -> None:
    path = folder / "shards" / "2of2.jsonl"
    path.write_bytes(path.read_bytes() + b"{")


def lose_the_plan(folder: Path) -> None:
    (folder / "shards" / "plan.json").unlink()


def finish_early(folder: Path) -> None:
    put_aside(folder)
    send(folder, Shard(2, 2), [[0.5, 3, 9]])


HARMS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "twice": (copy_first, "found the record of shard 1 of 2 of run full1-x, need that of shard 2 of 2"),
    "of another run": (lambda f: again(f, run_id="full1-y"), "found the record of shard 2 of 2 of run full1-y"),
    "of another number": (of_three, "found the record of shard 2 of 3"),
    "other inputs": (lambda f: again(f, cases_sha256="d" * 64), "found another cases_sha256 than in shard 1"),
    "other pacing": (lambda f: again(f, pacing={**PACING, "retries_429": 6}), "found another pacing than in shard 1"),
    "more inputs": (lambda f: again(f, template="x"), "found another template than in shard 1"),
    "overlap": (lambda f: again(f, selection=["D3-002", "D3-004", "D3-005"]), "found 1 cases twice"),
    "other cases": (lambda f: again(f, selection=["D3-002", "D3-004", "D3-009"]), "found 2 cases that only one"),
    "another order": (lambda f: again(f, selection=["D3-004", "D3-002", "D3-006"]), "found another order of its cases"),
    "changed": (change_a_byte, "2of2.jsonl line 2: found a record changed after it was written"),
    "after the end": (append_a_byte, "found 1 bytes after its end"),
    "unknown end": (lambda f: again(f, end="wonderful"), "found the end 'wonderful'"),
    "finished too early": (finish_early, "found 1 cases without a record at its end"),
    "no plan": (lose_the_plan, "plan.json: found no plan of this run"),
}


@pytest.mark.parametrize("name", HARMS)
def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path, name: str) -> None:
    harm, words = HARMS[name]
    folder = two(tmp_path)
    harm(folder)
    with pytest.raises(IntegrityError) as caught:
        shards.merge(folder, IDS)
    assert words in str(caught.value)
    assert not (folder / "observations.jsonl").exists()


def test_a_shard_with_too_few_cases_is_refused(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    send(folder, Shard(1, 2), [[0, 0, 6, 12, 18]])
    send(folder, Shard(2, 2), [[0.5, 3]], selection=["D3-002"])
    with pytest.raises(IntegrityError, match=r"1of2.jsonl: found 4 of 5 cases, need its share of the run"):
        shards.merge(folder, IDS)


def change_the_merged(folder: Path) -> None:
    """Change a verdict in the merged ledger and chain it anew, as a hand that knows how would."""
    path, previous = folder / "observations.jsonl", ledger.GENESIS
    rows = lines(folder)
    rows[2]["verdict"] = "warn"
    for record in rows:
        record["prev_sha256"] = previous
        previous = record["sha256"] = jsonio.digest({k: v for k, v in record.items() if k != "sha256"})
    path.write_bytes(b"".join(jsonio.canonical(record) + b"\n" for record in rows))
    ledger.verify(path)


def cut_the_merged(folder: Path) -> None:
    path = folder / "observations.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def lose_the_shards(folder: Path) -> None:
    (folder / "shards").rename(folder / "gone")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (change_the_merged, "observations.jsonl line 3: found another record than its shards give"),
        (cut_the_merged, "observations.jsonl line 9: found another record than its shards give"),
        (put_aside, "shard 2 of 2 of run full1-x: found no record"),
        (change_a_byte, "found a record changed after it was written"),
        (lose_the_shards, "shards: found nothing, need the records that the ledger of the run was merged from"),
        (lose_the_plan, "plan.json: found no plan of this run"),
    ],
)
def test_a_ledger_that_its_shards_do_not_give_is_refused(
    tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    folder = two(tmp_path)
    shards.merge(folder, IDS)
    harm(folder)
    with pytest.raises(IntegrityError) as caught:
        shards.require_merged(folder)
    assert words in str(caught.value)
    with pytest.raises((IntegrityError, Inconclusive)):
        shards.merge(folder, IDS)


def test_a_run_of_one_process_and_one_that_is_not_merged_yet_are_left_alone(tmp_path: Path) -> None:
    folder = two(tmp_path)
    shards.require_merged(folder)
    alone = tmp_path / "smoke1-x"
    with Writer(alone / "observations.jsonl", {**COMMON, "selection": IDS}, clock=TurnedClock()):
        shards.require_merged(alone)


@pytest.mark.parametrize(
    ("start", "status", "words"),
    [
        (9.0, "pass", "7 cases from 2 workers (4 + 3) in 18 s, starts 3.000 s apart at the closest"),
        (8.9992, "pass", "starts 2.999 s apart"),
        (8.75, "inconclusive", "starts 2.750 s apart at the closest"),
    ],
)
def test_the_smallest_gap_over_all_shards_is_judged(tmp_path: Path, start: float, status: str, words: str) -> None:
    folder = run_folder(tmp_path)
    send(folder, Shard(1, 2), [[0, 0, 6, 12, 18]])
    send(folder, Shard(2, 2), [[0.5, 3, start, 15]])
    check = shards.check(shards.merge(folder, IDS), "QA Lead")
    assert (check.id, check.status) == ("full1:shards", status)
    assert words in check.seen
    assert bool("NTP" in check.next_step) is (status != "pass")


def test_a_repaired_line_of_a_shard_is_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    path = send(folder, Shard(1, 2), [[0, 0, 6]], end=None)
    path.write_bytes(path.read_bytes() + b'{"at":')
    registration = {**COMMON, "selection": IDS[::2], "shard": {"index": 1, "of": 2}}
    clock = TurnedClock()
    clock.elapsed = 7
    with Writer(path, registration, clock=clock) as writer:
        writer.append({"type": "end", "at": stamp(clock.now()), "state": "exhausted"})
    send(folder, Shard(2, 2), [[0.5, 3, 9, 15]])
    assert "a torn line of 6 bytes repaired" in shards.check(shards.merge(folder, IDS), "QA Lead").seen


@pytest.fixture(name="judged_root")
def judged_root_fixture(tmp_path: Path) -> DataRoot:
    """Return a judged cycle whose full run two shards sent."""
    root = judged.write_root(tmp_path)
    folder = root.run("full1-c")
    whole = ledger.read(folder / "observations.jsonl")
    (folder / "observations.jsonl").unlink()
    jsonio.write_json(folder / "shards" / "plan.json", {"schema": shards.SCHEMA, "run_id": "full1-c", "of": 2})
    own = {"type", "schema", "at", "prev_sha256", "sha256"}
    for shard in (Shard(1, 2), Shard(2, 2)):
        registration = {key: value for key, value in whole.registration.items() if key not in own}
        registration |= {"selection": whole.selection[shard.index - 1 :: 2], "shard": {"index": shard.index, "of": 2}}
        path, clock = folder / "shards" / shards.file_name(shard), TurnedClock(parse(whole.registration["at"]))
        with Writer(path, registration, clock=clock) as writer:
            for seq, record in enumerate(whole.observations[shard.index - 1 :: 2], start=1):
                bare = {key: value for key, value in record.items() if key not in ("prev_sha256", "sha256")}
                writer.append({**bare, "seq": seq})
            writer.append({"type": "end", "at": whole.observations[-1]["finished_at"], "state": "finished"})
    shards.merge(folder, whole.selection)
    return root


def ledger_gate(root: DataRoot, *, write: bool = True) -> gates.GateResult:
    named: dict[str, Any] = {"run_id": "full1-c", "kind": "full", "ordinal": 1, "cycle": cycle.load(root)}
    found = judgement.judge_run(root, judged.shipped(), **named)
    if write:
        judgement.write(root, found)
    return next(result for result in found.results if result.id == "ledger")


def test_a_sharded_run_is_judged_like_any_other(judged_root: DataRoot) -> None:
    gate = ledger_gate(judged_root)
    assert (gate.status, gate.seen) == ("pass", "0 of 91")
    assert "full1" not in judgement.doubts(judged_root, judged.shipped(), cycle.load(judged_root))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (change_the_merged, "line 3: another record than its shards give"),
        (change_a_byte, "2of2.jsonl line 2: a record changed after it was written"),
        (lose_the_shards, "shards: nothing"),
    ],
)
def test_the_judgement_does_not_trust_the_merged_record_alone(
    judged_root: DataRoot, harm: Callable[[Path], None], words: str
) -> None:
    ledger_gate(judged_root)
    harm(judged_root.run("full1-c"))
    assert "full1-c" in judgement.doubts(judged_root, judged.shipped(), cycle.load(judged_root))["full1"]
    gate = ledger_gate(judged_root, write=False)
    assert gate.status == "fail"
    assert words in gate.sentence()


def test_the_records_of_the_shards_are_evidence(judged_root: DataRoot) -> None:
    ledger_gate(judged_root)
    made = bundle.make(judged_root, judged.shipped(), shipped=None, level_asked="local", now=judged.NOW)
    listed = {entry["path"]: entry["sha256"] for entry in report.manifest(judged_root, made.picture)["files"]}
    for name in ("1of2.jsonl", "2of2.jsonl", "plan.json"):
        path = judged_root.run("full1-c") / "shards" / name
        assert listed[f"runs/full1-c/shards/{name}"] == jsonio.sha256_file(path)


@st.composite
def sharded(draw: st.DrawFn) -> list[list[list[float]]]:
    """Return the sessions of up to three shards that share seven cases out among themselves."""
    of = draw(st.integers(1, 3))
    made = []
    for index in range(of):
        moment, sessions = draw(st.floats(0, 20)), []
        left = len(IDS[index::of])
        while left or not sessions:
            count = draw(st.integers(0, left))
            session = [moment]
            for _ in range(count):
                moment += draw(st.floats(0.6, 9))
                session.append(moment)
            moment += 0.5 + draw(st.floats(0, 30))
            sessions.append(session)
            left -= count
            if len(sessions) > 3 and left:
                sessions.append([moment, *(moment + 1 + n for n in range(left))])
                left = 0
        made.append(sessions)
    return made


@steady
@given(sharded())
def test_whatever_the_shards_did_the_whole_is_theirs(tmp_path_factory: Any, made: list[list[list[float]]]) -> None:
    folder = run_folder(tmp_path_factory.mktemp("run"), len(made))
    for index, sessions in enumerate(made, start=1):
        send(folder, Shard(index, len(made)), sessions)
    found = shards.merge(folder, IDS).ledger
    shards.require_merged(folder)
    assert (found.done, found.missing, sorted(found.selection)) == (7, [], IDS)
    spans = sorted((s[0], max(s[-1] + 0.5, s[0]) if len(s) > 1 else s[0]) for sessions in made for s in sessions)
    worked, until = 0.0, -1.0
    for begin, end in spans:
        worked += max(0.0, end - max(begin, until))
        until = max(until, end)
    assert found.active_s == pytest.approx(worked, abs=1e-4)


# --- before ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([("a", ""), ("b", "")], {"a": "1/2", "b": "2/2"}),
        ([("a", "2/2"), ("b", "1/2")], {"a": "2/2", "b": "1/2"}),
        ([("a", "2/3"), ("b", "1/3"), ("c", "")], {"a": "2/3", "b": "1/3", "c": "3/3"}),
        ([], {}),
    ],
)
def test_a_worker_gets_the_shard_of_its_place_unless_it_states_one(
    workers: list[tuple[str, str]], expected: dict[str, str]
) -> None:
    assert {name: f"{s.index}/{s.of}" for name, s in shards.assign(workers).items()} == expected


@pytest.mark.parametrize("stated", [("1/2", "1/2"), ("2/2", ""), ("1/3", "2/3"), ("", "1/1")])
def test_shards_that_are_not_each_once_are_refused(stated: tuple[str, str]) -> None:
    with pytest.raises(Refused, match=r"need each of 1/2 to 2/2 once\. Next: correct batch_shard"):
        shards.assign([("a", stated[0]), ("b", stated[1])])


def test_a_shard_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="3/2"):
        shards.assign([("a", "3/2"), ("b", "")])


def test_workers_serve_one_target(tmp_path: Path) -> None:
    shards.require_one_target(PAIR, 1)
    shards.require_one_target({}, 2)
    with pytest.raises(Refused, match="found 2 workers and 2 targets in one play, need one target"):
        shards.require_one_target(PAIR, 2)


def data_root(tmp_path: Path) -> DataRoot:
    """Return a data root with seven cases, in a cycle whose smokes have finished."""
    root = DataRoot(tmp_path / "data")
    made = []
    for number, case_id in enumerate(IDS):
        data = f"%PDF-{number}".encode()
        path = root.root / "bundles" / str(number) / "lc.pdf"
        jsonio.write_bytes(path, data)
        name = str(path.relative_to(root.root))
        documents = (Document(name, "lc", "application/pdf", jsonio.sha256_bytes(data), len(data)),)
        made.append(Case(case_id, cases.content_digest(documents), False, documents))
    jsonio.write_bytes(root.cases, cases.payload(made, manifest_sha256="m" * 64))
    jsonio.write_json(root.labels, {"labels": {case_id: {"expected": "pass"} for case_id in IDS}})
    runs = [{"run_id": f"smoke{n}", "kind": "smoke", "ordinal": n, "state": "finished"} for n in (1, 2)]
    about = {"schema": cycle.SCHEMA, "cycle_id": "cycle-1", "barred": None, "demonstration": None}
    jsonio.write_json(root.cycle, {**about, "registration": {"at": "x", "digests": {}}, "runs": runs})
    for run in runs:
        jsonio.write_bytes(root.run(str(run["run_id"])) / "observations.jsonl", b"{}\n")
    return root


PAIR = shards.assign([("a", ""), ("b", "")])


def test_the_run_is_opened_once_and_gone_on_with(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    plan = shards.begin(root, PAIR, clock=TurnedClock())
    later = shards.begin(root, PAIR, clock=TurnedClock())
    assert plan == later
    assert plan is not None
    assert [run["kind"] for run in cycle.require(root)["runs"]] == ["smoke", "smoke", "full"]
    assert plan.home("b") == root.run(plan.run_id) / "shards" / "2of2.jsonl"
    assert not plan.done("a")


def test_a_shard_that_is_home_and_ended_is_done_and_one_that_is_not_is_not(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    plan = shards.begin(root, PAIR, clock=TurnedClock())
    assert plan is not None
    send(plan.folder, Shard(1, 2), [[0, 0, 6, 12, 18]], run_id=plan.run_id)
    send(plan.folder, Shard(2, 2), [[0.5, 3]], run_id=plan.run_id, end=None)
    assert (plan.done("a"), plan.done("b")) == (True, False)
    change_a_byte(plan.folder)
    with pytest.raises(IntegrityError, match="changed after it was written"):
        plan.done("b")


def test_without_workers_there_is_no_plan_and_nothing_is_written(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    before = root.cycle.read_bytes()
    assert shards.begin(root, {}, clock=TurnedClock()) is None
    assert root.cycle.read_bytes() == before
    assert not list(root.runs.glob("full*"))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ([], "found one process without workers for a run that was begun by 2 workers"),
        ([("a", "")], "found 1 worker for a run that was begun by 2 workers"),
        ([("a", ""), ("b", ""), ("c", "")], "found 3 workers for a run that was begun by 2 workers"),
    ],
)
def test_a_run_under_way_keeps_its_number_of_workers(tmp_path: Path, now: list[tuple[str, str]], words: str) -> None:
    root = data_root(tmp_path)
    shards.begin(root, PAIR, clock=TurnedClock())
    with pytest.raises(Refused) as caught:
        shards.begin(root, shards.assign(now), clock=TurnedClock())
    assert words in str(caught.value)
    assert "make the group batch_workers 2 workers again" in str(caught.value)


def test_a_run_that_one_process_began_is_not_shared_out(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    entry = cycle.open_run(root, "full", 1, clock=TurnedClock())
    jsonio.write_bytes(root.run(entry.run_id) / "observations.jsonl", b"")
    with pytest.raises(Refused, match="found 2 workers for a run that was begun by one process without workers"):
        shards.begin(root, PAIR, clock=TurnedClock())


@pytest.mark.parametrize("workers", [PAIR, {}])
def test_a_run_that_ended_is_nobodys_any_more(tmp_path: Path, workers: Mapping[str, Shard]) -> None:
    root = data_root(tmp_path)
    plan = shards.begin(root, PAIR, clock=TurnedClock())
    assert plan is not None
    cycle.finish_run(root, plan.run_id, clock=TurnedClock())
    ended = shards.begin(root, workers, clock=TurnedClock())
    assert ended is not None
    assert (ended.run_id, ended.ended) == (plan.run_id, True)
    assert all(ended.done(name) for name in workers)


def test_a_pack_holds_all_cases_the_documents_of_its_shard_and_no_label(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    template = tmp_path / "t.yml"
    template.write_text("x: 1\n")
    archive = tmp_path / "packs" / "1of2.tar"
    shards.pack(archive, root, Shard(1, 2), {"policy/request_template.yml": template})
    first = archive.read_bytes()
    shards.pack(archive, root, Shard(1, 2), {"policy/request_template.yml": template})
    assert (archive.read_bytes(), archive.stat().st_mode & 0o777) == (first, 0o600)
    with tarfile.open(archive) as tar:
        held = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    documents = {f"bundles/{number}/lc.pdf" for number in (0, 2, 4, 6)}
    smokes = {f"results/runs/smoke{number}/observations.jsonl" for number in (1, 2)}
    assert set(held) == {"results/qualified/cases.jsonl", "policy/request_template.yml", *documents, *smokes}
    assert held["results/qualified/cases.jsonl"] == root.cases.read_bytes()
    assert held["bundles/4/lc.pdf"] == b"%PDF-4"
    assert "expected" not in json.dumps({name: data.decode() for name, data in held.items()})


def test_a_document_that_is_gone_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    (root.root / "bundles" / "2" / "lc.pdf").unlink()
    shards.pack(tmp_path / "2of2.tar", root, Shard(2, 2), {})
    with pytest.raises(Refused, match=r"bundles/2/lc\.pdf: found no readable file \(No such file or directory\)"):
        shards.pack(tmp_path / "1of2.tar", root, Shard(1, 2), {})


def test_a_disk_that_takes_no_pack_is_told(tmp_path: Path) -> None:
    root = data_root(tmp_path)
    (tmp_path / "packs").write_text("in the way")
    with pytest.raises(InfrastructureStop, match=r"1of2\.tar: found a disk that does not take it \(File exists\)"):
        shards.pack(tmp_path / "packs" / "1of2.tar", root, Shard(1, 2), {})


def test_a_disk_that_takes_no_merged_ledger_is_told(tmp_path: Path) -> None:
    folder = two(tmp_path)
    (folder / ".observations.jsonl.merging").mkdir()
    with pytest.raises(InfrastructureStop, match=r"observations\.jsonl: found a disk that does not take it \(Is a dir"):
        shards.merge(folder, IDS)
