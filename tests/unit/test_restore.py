"""Snapshots and restore points hold what a rollback needs, and say so when they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from clocks import TurnedClock
from solidgreen import jsonio, restore
from solidgreen.check import Status
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.paths import DataRoot


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path / "data" / "day3")
    root.results.mkdir(parents=True)
    return root


@pytest.fixture(name="clock")
def clock_fixture() -> TurnedClock:
    return TurnedClock()


def test_a_snapshot_holds_every_file_but_earlier_snapshots(root, clock):
    jsonio.write_json(root.phase(0), {"status": "pass"})
    first = restore.take_snapshot(root, clock=clock)
    clock.sleep(1)
    second = restore.take_snapshot(root, clock=clock)
    assert first.name == "rollback_prefix_20260301T120000Z"
    assert sorted(p.relative_to(second).as_posix() for p in second.rglob("*") if p.is_file()) == [
        "phases/phase0.json",
        "snapshot.json",
    ]
    assert restore.verify_snapshot(second, clock=clock).status is Status.PASS


def test_two_snapshots_within_one_second_are_two(root, clock):
    jsonio.write_json(root.phase(0), {"status": "pass"})
    names = [restore.take_snapshot(root, clock=clock).name for _ in range(3)]
    assert names == [f"rollback_prefix_20260301T120000Z{suffix}" for suffix in ("", "-2", "-3")]


def test_missing_results_give_an_empty_stated_snapshot(tmp_path, clock):
    check = restore.verify_snapshot(restore.take_snapshot(DataRoot(tmp_path / "none"), clock=clock), clock=clock)
    assert check.status is Status.PASS
    assert "empty: there were no results yet" in check.seen


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_snapshot_is_named(root, clock, damage):
    jsonio.write_json(root.phase(0), {"status": "pass"})
    folder = restore.take_snapshot(root, clock=clock)
    copy = folder / "phases" / "phase0.json"
    copy.write_text("{}") if damage == "change" else copy.unlink()
    check = restore.verify_snapshot(folder, clock=clock)
    assert check.status is Status.FAIL
    assert "phases/phase0.json" in check.seen


def take(root, clock, env, cycle_id="c1"):
    return restore.take_point(root, "R1", files={"env": env}, facts={"images": {}}, cycle_id=cycle_id, clock=clock)


def test_a_restore_point_is_taken_once_a_cycle_and_brings_its_file_back(root, clock, tmp_path):
    env = tmp_path / ".env"
    env.write_text("TOKEN=first\n")
    assert take(root, clock, env) is True
    env.write_text("TOKEN=second\n")
    assert take(root, clock, env) is False
    point = restore.require_point(root, "R1")
    assert restore.restore_files(point) == [str(env)]
    assert env.read_text() == "TOKEN=first\n"
    assert restore.restore_files(point) == []
    assert env.stat().st_mode & 0o077 == 0
    assert root.restore_points.stat().st_mode & 0o077 == 0


def test_a_later_cycle_takes_its_own_point(root, clock, tmp_path):
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    take(root, clock, env)
    env.write_text("A=2\n")
    assert take(root, clock, env, cycle_id="c2") is True
    env.write_text("A=3\n")
    restore.restore_files(restore.require_point(root, "R1"))
    assert env.read_text() == "A=2\n"


def test_a_file_that_did_not_exist_is_removed_again(root, clock, tmp_path):
    env = tmp_path / ".env"
    take(root, clock, env)
    env.write_text("A=1\n")
    assert restore.restore_files(restore.require_point(root, "R1")) == [str(env)]
    assert not env.exists()


def test_a_point_that_was_never_taken_is_refused_with_the_next_step(root):
    with pytest.raises(BadInput, match=r"no restore point in .*R2.*Next: nothing was changed yet"):
        restore.require_point(root, "R2")


def test_an_unknown_point_is_refused(root):
    with pytest.raises(BadInput, match="found 'R9', need one of R1, R2, R3"):
        restore.require_point(root, "R9")


def test_a_changed_kept_file_is_not_put_back(root, clock, tmp_path):
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    take(root, clock, env)
    (root.restore_points / "R1" / "env").write_text("A=evil\n")
    with pytest.raises(IntegrityError, match="env differs from its digest"):
        restore.require_point(root, "R1")


def test_redaction_shows_names_and_hides_values():
    text = "# a note\n# OLD_TOKEN=abc\nUSE_STUBS=false\nDATABASE_URL=postgresql://u:p@h/d\nexport API_TOKEN=s3cret\n"
    text += "EMPTY=\n"
    shown = restore.redact_env(text)
    assert "USE_STUBS=false" in shown
    assert "EMPTY=\n" in shown
    assert "# a note" in shown
    for secret in ("postgresql", "s3cret", "abc"):
        assert secret not in shown


def test_frozen_state_keeps_no_secret(root, clock, tmp_path):
    env = tmp_path / ".env"
    env.write_text("TOKEN=s3cret\n")
    folder = restore.freeze_state(
        root.restore_points / "frozen", environment=[env], copies=[tmp_path / "missing"], facts={"a": 1}, clock=clock
    )
    assert sorted(p.name for p in folder.iterdir()) == ["env.redacted", "state.json"]
    assert all(b"s3cret" not in p.read_bytes() for p in folder.iterdir())
