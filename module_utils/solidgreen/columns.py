"""Rows of a run held by column: typed arrays, a few hundred bytes a row, over which everything is counted.

A frame is a ``pandas.DataFrame`` with the columns of :data:`FIELDS`. Text that few rows share (a scenario, an outcome)
is a category, an id or a digest a string, a number that may be missing ``Int64`` or a float with NaN, a time
``datetime64[us, UTC]``; ``healed_errors`` are the names of a row, joined by ``;``. Rows as dicts are what JSON gives.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from .clock import stamp

if TYPE_CHECKING:  # pandas and pyarrow cost half a second; only the verbs that count pay for it
    import pandas as pd
    import pyarrow as pa  # type: ignore[import-untyped]

Row = dict[str, Any]

#: Fields of a row of ``day3_results.jsonl``, those of the old tool first, and what each holds: ``text`` that differs
#: from row to row, ``name`` that few share, ``count``, ``seconds``, ``flag``, ``moment``, or a list of ``names``.
KINDS = {
    "case_id": "text",
    "scenario": "name",
    "expected_verdict": "name",
    "actual_verdict": "name",
    "status": "name",
    "error": "text",
    "http_status": "count",
    "run_id": "name",
    "run_kind": "name",
    "ordinal": "count",
    "comparable": "flag",
    "matched": "flag",
    "outcome": "name",
    "attempts": "count",
    "healed_errors": "names",
    "retries_429": "count",
    "duration_seconds": "seconds",
    "wait_seconds": "seconds",
    "started_at": "moment",
    "finished_at": "moment",
    "job_id": "text",
    "body_sha256": "text",
    "content_sha256": "text",
    "verdict_source": "name",
    "disagreements": "count",
    "source_type": "name",
    "language": "name",
    "parent": "text",
    "secrets": "count",
}
FIELDS = tuple(KINDS)
#: Rows that are turned into columns at a time.
CHUNK = 8192
BETWEEN = ";"
#: Seconds beyond it (32 years) are none that a case took, and times outside of these none that a run was at.
LONGEST_S = 1e9
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 12, 31, tzinfo=UTC)


@cache
def schema() -> pa.Schema:
    """Return the Arrow types of the fields as JSON has them: a time is text, names are a list."""
    import pyarrow as pa

    types = {
        "count": pa.int64(),
        "seconds": pa.float64(),
        "flag": pa.bool_(),
        "names": pa.list_(pa.string()),
    }
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in KINDS.items()])


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of :func:`schema`; a value of another type becomes one of the right type, or null."""
    import pyarrow as pa

    made = []
    for field in schema():
        values = [row.get(field.name) for row in rows]
        try:
            if KINDS[field.name] == "count" and any(isinstance(value, float) for value in values):
                raise ValueError("Arrow would cut a fraction off")
            made.append(pa.array(values, field.type))
        except (ValueError, TypeError, OverflowError):  # text for a number, half a surrogate pair ...
            made.append(pa.array([_as(KINDS[field.name], value) for value in values], field.type))
    return pa.table(made, schema=schema())


def _as(kind: str, value: Any) -> Any:
    """Return a value of old or foreign JSON as one of that kind, None where it is none."""
    if value is None or (value is False and kind != "flag"):
        return None
    if kind == "flag":
        return {"true": True, "false": False}.get(str(value).strip().lower())
    if kind in ("count", "seconds"):
        return _number(value, whole=kind == "count")
    if kind == "names":
        return [_text(name) for name in value] if isinstance(value, list) else [_text(value)]
    return _text(value)


def _number(value: Any, *, whole: bool) -> float | None:
    try:
        found = float(str(value).strip())
    except ValueError:
        return None
    if not math.isfinite(found) or (whole and not (found.is_integer() and abs(found) < 2**53)):
        return None
    return int(found) if whole else found


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()


def encoded(raw: pa.Table) -> pa.Table:
    """Return a table of :func:`schema` with the types that a frame is made of; columns that have them already stay.

    Seconds and times that no run can have are null, as what is no number or time at all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    made = {}
    for name in raw.column_names:
        column, kind = raw[name], KINDS[name]
        if kind == "names" and pa.types.is_list(column.type):
            column = pc.binary_join(column, BETWEEN)
        if kind in ("name", "names") and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        elif kind == "flag":
            column = column.fill_null(False)
        elif kind == "seconds":
            column = pc.if_else(pc.less_equal(pc.abs(column), LONGEST_S), column, None)
        elif kind == "moment" and not pa.types.is_timestamp(column.type):
            column = _moments(column)
            after = pc.greater_equal(column, pa.scalar(EARLIEST, column.type))
            before = pc.less_equal(column, pa.scalar(LATEST, column.type))
            column = pc.if_else(pc.and_(after, before), column, None)
        made[name] = column
    return pa.table(made)


def _moments(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times in UTC, null for what is none; one without a zone is taken as UTC, wherever it is read."""
    import pyarrow as pa

    kind = pa.timestamp("us", "UTC")
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return pa.chunked_array([pa.array([_moment(text) for text in texts.to_pylist()], kind)])


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat((text or "").strip().replace("Z", "+00:00"))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def to_frame(tables: Iterable[pa.Table]) -> pd.DataFrame:
    """Return the frame of some tables that :func:`encoded` made, one after the other."""
    import pandas as pd
    import pyarrow as pa

    whole = pa.concat_tables([*tables] or [encoded(table([]))]).unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get, self_destruct=True)
    return frame


def frame(rows: pd.DataFrame | Rows | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the frame of rows: of dicts, or of what holds one already."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, Rows):
        return rows.frame
    left = iter(rows)
    return to_frame(encoded(table(chunk)) for chunk in iter(lambda: list(islice(left, CHUNK)), []))


def plain(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame as dicts of builtin values, None for what is missing."""
    made = {}
    for name in frame.columns:
        missing, values = frame[name].isna().tolist(), frame[name].tolist()
        made[name] = [None if gone else _plain(name, value) for gone, value in zip(missing, values, strict=True)]
    return [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]


def _plain(name: str, value: Any) -> Any:
    if KINDS.get(name) == "moment":
        return stamp(value)
    if KINDS.get(name) == "names":
        return value.split(BETWEEN) if value else []
    return value


class Rows(Sequence[Row]):
    """Rows held by column that read as dicts; ``frame`` is what they are counted over."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __len__(self) -> int:
        return len(self.frame)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return Rows(self.frame.iloc[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = index % len(self)
        return plain(self.frame.iloc[at : at + 1])[0]

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), CHUNK):
            yield from plain(self.frame.iloc[start : start + CHUNK])
