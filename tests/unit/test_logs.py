"""Logs as the services write them: coloured, torn, restarted, empty."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from solidgreen.check import Check, Status
from solidgreen.clock import SystemClock
from solidgreen.errors import BadInput
from solidgreen.logs import Expectation, Source, Text, look, moment, parse_since, read, redact, strip_ansi

START = (
    "\x1b[2m2026-03-01T12:00:00.123456Z\x1b[0m [\x1b[32m\x1b[1minfo     \x1b[0m] "
    "\x1b[1mApplication configuration\x1b[0m \x1b[36mstub_mode\x1b[0m=\x1b[35mFalse\x1b[0m"
)
LINES = [
    START,
    "2026-03-01T12:00:01Z [info] Database connection established",
    "INFO:     Application startup complete.",
    "2026-03-01 12:05:00,500 [error] All OCR providers failed for LC.pdf",
    "Traceback (most recent call last):",
    "  RuntimeError: no engine",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "api.log"
    path.write_text("\n".join(LINES) + "\n", "utf-8")
    return path


def checks(text: Text, *, expect: tuple[Any, ...] = (), critical: tuple[Any, ...] = ()) -> list[Check]:
    return look(
        [text],
        [Expectation.from_value(value, "expect") for value in expect],
        [Expectation.from_value(value, "critical") for value in critical],
        SystemClock(),
    )


def test_colour_codes_do_not_hide_what_a_line_says(log: Path) -> None:
    (check,) = checks(read(Source("api", log)), expect=("Application configuration.*stub_mode=False",))
    assert check.status is Status.PASS
    assert "\x1b" not in check.seen
    assert check.id == "log:application-configuration-stub_mo-1a73d4"


def test_long_patterns_that_begin_alike_have_ids_of_their_own() -> None:
    start = "the service has read its configuration and "
    ids = {Expectation.from_value(start + rest, "expect").id for rest in ("knows the database", "knows the cache")}
    assert len(ids) == 2
    assert {len(name) for name in ids} == {len("log:") + 40}


def test_a_pattern_that_is_missing_fails_and_no_line_at_all_is_inconclusive(log: Path, tmp_path: Path) -> None:
    (missing,) = checks(read(Source("api", log)), expect=("Redis connected",))
    assert (missing.status, missing.seen) == (Status.FAIL, "none of 6 lines")
    assert missing.next_step
    (tmp_path / "empty.log").touch()
    for name, seen in (("empty.log", "no line in"), ("none.log", "no log: No such file or directory")):
        text = read(Source("api", tmp_path / name))
        for check in checks(text, expect=("x",), critical=("x",)):
            assert check.status is Status.INCONCLUSIVE
            assert check.seen.startswith(seen)


def test_critical_lines_are_counted_and_shown_once_a_service(log: Path) -> None:
    (check,) = checks(read(Source("api", log)), critical=({"id": "ocr", "pattern": "OCR providers"}, "Traceback"))
    assert (check.id, check.status) == ("log-clean:api", Status.FAIL)
    assert check.seen == "2 critical lines, first: 2026-03-01 12:05:00,500 [error] All OCR providers failed for LC.pdf"
    assert check.facts["counts"] == {"ocr": 1, "log:traceback": 1}
    (clean,) = checks(read(Source("api", log)), critical=("Startup issues detected",))
    assert (clean.status, clean.seen, clean.next_step) == (Status.PASS, "none in 6 lines", "")


def test_a_pattern_of_another_service_is_not_looked_for_here(log: Path) -> None:
    text = read(Source("api", log))
    assert checks(text, critical=({"pattern": "Traceback", "service": "redis"},)) == []
    (check,) = checks(text, expect=({"pattern": "Application", "service": "redis"},))
    assert (check.status, check.seen) == (Status.INCONCLUSIVE, "no log was given")


def test_reading_goes_on_where_it_ended_and_starts_over_when_the_log_did(log: Path) -> None:
    first = read(Source("api", log))
    assert first.offset == log.stat().st_size
    with log.open("a") as handle:
        handle.write("new line\n")
    second = read(Source("api", log, offset=first.offset))
    assert second.lines == ("new line",)
    log.write_text("after rotation\n")
    third = read(Source("api", log, offset=second.offset))
    assert (third.lines, third.restarted) == (("after rotation",), True)


def test_only_the_tail_or_what_is_recent_is_read(log: Path) -> None:
    assert read(Source("api", log, tail=2)).lines == ("Traceback (most recent call last):", "  RuntimeError: no engine")
    since = read(Source("api", log), parse_since("2026-03-01T12:00:01Z")).lines
    assert since[0].endswith("Database connection established")
    assert since[1] == "INFO:     Application startup complete.", "a line without a time belongs to the one before"
    assert read(Source("api", log), parse_since("2026-03-01T12:06:00Z")).problem.startswith("no line in")


def test_bytes_that_are_no_text_do_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"\xff\xfe broken \x00\nDatabase connection established\n")
    (check,) = checks(read(Source("api", tmp_path / "x.log")), expect=("Database connection established",))
    assert check.status is Status.PASS


MOMENTS = {
    "zulu": ("2026-03-01T12:00:00Z x", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    "postgres": ("2026-03-01 12:00:00.123 UTC [7] LOG: x", datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)),
    "offset": ("2026-03-01T13:00:00+01:00 x", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    "python logging": ("2026-03-01 12:00:00,500 x", datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)),
    "nearly JSON": ("{'timestamp': '2026-03-01T12:00:00Z', x}", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    "no time": ("INFO:     Started server process [1]", None),
    "no date": ("2026-13-99T12:00:00Z", None),
}


@pytest.mark.parametrize(("line", "at"), MOMENTS.values(), ids=MOMENTS)
def test_the_time_of_a_line_is_read_in_the_forms_services_write(line: str, at: datetime | None) -> None:
    assert moment(line) == at


SECRETS = {
    "url": ("connect postgresql://me:hunter2@db/x", "connect postgresql://me:***@db/x"),
    "bearer": ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
    "key": ("api_key=hunter2 next=1", "api_key=*** next=1"),
    "json": ('{"password": "hunter2", "a": 1}', '{"password": "***", "a": 1}'),
    "nothing": ("GET /healthz 200", "GET /healthz 200"),
}


@pytest.mark.parametrize(("line", "kept"), SECRETS.values(), ids=SECRETS)
def test_no_secret_leaves_a_log(line: str, kept: str) -> None:
    assert redact(line) == kept


def test_codes_of_every_kind_are_stripped() -> None:
    assert strip_ansi("\x1b[31mred\x1b[0m \x1b]0;title\x07x\x1b[2K\x1b(Bend".replace("\x1b(B", "")) == "red xend"


BAD = {
    "no regular expression": ("(", 'expect "(": found missing ), unterminated subpattern at position 0'),
    "no pattern": ({"id": "a"}, "expect {'id': 'a'}: found no pattern"),
    "a number": (5, "expect 5: found no pattern"),
    "unknown key": ({"pattern": "a", "sevice": "api"}, 'expect "a": found unknown sevice'),
}


@pytest.mark.parametrize(("value", "words"), BAD.values(), ids=BAD)
def test_a_pattern_that_cannot_be_used_is_refused_in_one_sentence(value: Any, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        Expectation.from_value(value, "expect")
    assert str(refused.value).startswith(words)


def test_a_since_that_is_no_time_is_refused() -> None:
    assert parse_since("") is None
    with pytest.raises(BadInput, match="found no time, need an ISO time in UTC"):
        parse_since("yesterday")
