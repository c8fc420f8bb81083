"""The picture of the README is drawn from a real decision, never from a made-up one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from solidgreen.errors import BadInput
from solidgreen.paths import DataRoot

from scripts import picture
from scripts.bench import waits

LINES = [
    "0  freeze          passed        9 checks   1 s",
    "=> REHEARSAL NO-GO   (asked for: solid, not reached, exit 10)",
]


def words(svg: str) -> str:
    return re.sub(r"&#160;|\s+", " ", " ".join(re.findall(r">([^<]+)</text>", svg)))


def test_the_picture_shows_the_command_and_every_line() -> None:
    text = words(picture.draw(LINES))
    for part in ("$ ./run go", "freeze", "passed", "9 checks", "REHEARSAL NO-GO"):
        assert part in text


def test_the_picture_loads_nothing_from_anywhere() -> None:
    assert not re.search(r"url\((?!#)", picture.draw(LINES))


def test_a_line_that_is_too_long_is_wrapped_not_cut() -> None:
    assert "the-end" in words(picture.draw(["word " * 40 + "the-end"]))


def test_without_a_decision_there_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        picture.screen(DataRoot(tmp_path))


def test_without_results_only_the_menu_and_the_status_are_timed(tmp_path: Path) -> None:
    assert [name for name, _ in waits.works(DataRoot(tmp_path))] == ["the menu: ./run", "./run status"]


def test_the_best_of_the_rounds_counts() -> None:
    calls: list[int] = []
    assert waits.best(lambda: calls.append(1), 3) >= 0
    assert len(calls) == 3
