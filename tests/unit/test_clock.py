"""Times are of a zone that they name, and inside the years that a stamp can hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from solidgreen.clock import parse, stamp

TIMES = {
    "after 9999": ("9999-12-31T23:59:59-05:00", "no time in UTC"),
    "before the year 1": ("0001-01-01T00:00:00+05:00", "no time in UTC"),
    "without a zone": ("2026-03-01T14:00:00", "names no time zone"),
}


@pytest.mark.parametrize(("text", "words"), TIMES.values(), ids=TIMES)
def test_a_time_that_is_none_in_utc_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(text)
    with pytest.raises(ValueError, match=words):
        stamp(datetime.fromisoformat(text))


def test_a_stamp_is_as_long_in_any_year_and_is_read_back() -> None:
    early = datetime(1, 1, 1, tzinfo=UTC)
    assert stamp(early) == "0001-01-01T00:00:00.000000Z"
    assert parse(stamp(early)) == early
