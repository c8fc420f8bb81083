"""The faults of the rehearsal API by themselves: how they are named, when they begin, whom they strike."""

from __future__ import annotations

import pytest

from rehearsal.api.faults import FAULTS, Faults, UnknownFault, digest, parse, unreadable

PRESENTED = [digest([str(number).encode()]) for number in range(300)]


def test_every_fault_says_what_it_does() -> None:
    assert all(len(text) > 20 for text in FAULTS.values())


def test_faults_are_named_with_the_validation_they_begin_with() -> None:
    assert parse(" slow , database_gone@60,") == {"slow": 1, "database_gone": 60}
    assert parse("") == {}
    assert Faults(parse("slow,database_gone@60")).names == ["database_gone@60", "slow"]


@pytest.mark.parametrize(
    "item", ["gremlins", "slow@", "slow@0", "slow@-1", "slow@1@2", "slow@x", "@3", "SLOW", "edge_404"]
)
def test_an_unknown_fault_is_refused_with_the_known_ones(item: str) -> None:
    with pytest.raises(UnknownFault) as refused:
        parse(f"hang,{item}")
    assert str(refused.value).startswith(f"found {item}, need names out of all_blocked, database_gone, ")
    assert refused.value.item == item


def test_a_fault_begins_with_its_validation_and_stays() -> None:
    faults = Faults({"slow": 1, "hang": 3})
    assert faults.met(arrives=False) == {"slow"}
    assert [sorted(faults.met(arrives=True)) for _ in range(4)] == [
        ["slow"],
        ["slow"],
        ["hang", "slow"],
        ["hang", "slow"],
    ]
    assert faults.met(arrives=False) == {"slow", "hang"}


def test_flaky_verdicts_are_one_in_ten_and_others_in_each_run() -> None:
    faults, met = Faults({"flaky": 1}), frozenset({"flaky"})
    runs = [[faults.verdict("pass", name, met) for name in PRESENTED] for _ in range(2)]
    turned = [{name for name, verdict in zip(PRESENTED, run, strict=True) if verdict == "warn"} for run in runs]
    assert all(0.06 < len(found) / len(PRESENTED) < 0.14 for found in turned)
    assert len(turned[0] & turned[1]) < 12
    again = Faults({"flaky": 1})
    assert [again.verdict("pass", name, met) for name in PRESENTED] == runs[0]


def test_a_flaky_verdict_never_turns_a_reject_into_a_pass() -> None:
    faults, met = Faults({"flaky": 1}), frozenset({"flaky"})
    found = {
        said: {faults.verdict(said, name, met) for name in PRESENTED} for said in ("pass", "warn", "reject", "blocked")
    }
    assert found == {
        "pass": {"pass", "warn"},
        "warn": {"warn", "reject"},
        "reject": {"reject", "warn"},
        "blocked": {"blocked"},
    }


def test_every_second_presentation_cannot_be_read_and_always_the_same() -> None:
    found = [name for name in PRESENTED if unreadable(name, frozenset({"ocr_failed"}))]
    assert 0.42 < len(found) / len(PRESENTED) < 0.58
    assert found == [name for name in PRESENTED if unreadable(name, frozenset({"ocr_failed"}))]
    assert all(unreadable(name, frozenset({"all_blocked"})) for name in PRESENTED)
    assert not any(unreadable(name, frozenset({"slow"})) for name in PRESENTED)


def test_a_presentation_is_known_by_its_documents_in_any_order() -> None:
    assert digest([b"a", b"b"]) == digest([b"b", b"a"]) != digest([b"ab"])
