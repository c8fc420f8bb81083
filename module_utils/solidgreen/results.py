"""Reads results files of any size, ours or the old tool's, into a frame a run.

A file is read block by block, each parsed by Arrow in a thread of its own into the columns of ``columns.FIELDS``; a
block with anything unusual in it (a line that is no object, a number given as text, half a surrogate pair) is read line
by line instead, into the same columns. What a row must have is looked at by column, once, whichever way it came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from os import SEEK_END, cpu_count, fsencode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import columns, jsonio
from .errors import BadInput
from .metrics import SEEN, UNKNOWN, VERDICTS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa  # type: ignore[import-untyped]

BLOCK = 4 << 20
#: Bytes that are looked at in one go, within the processor's cache.
PAGE = 1 << 17
BOM = b"\xef\xbb\xbf"
#: The old tool wrote no outcome; the status of the answer tells it.
_OUTCOMES = {429: "rate_limited", 422: "unprocessable", 503: "infra_unavailable", 200: "malformed"}
#: Outcomes that a status can tell; the first for none said.
OUTCOMES = ("", "answer", "transport_error", *_OUTCOMES.values(), "server_error", "client_error")


@dataclass(frozen=True, eq=False)  # a frame is not equal or unequal
class Run:
    """One run of a results file; what its rows do not tell, or not all the same, is None."""

    run_id: str | None
    kind: str | None
    ordinal: int | None
    frame: pd.DataFrame


def read(path: Path) -> list[Run]:
    """Return the runs of a results file, in the order in which they begin; none of a file without rows.

    Rows belong together that name the same run; of rows that name none, a case id that comes again begins a new run.

    :raises BadInput: there is no such file; a line is no JSON object, lacks a case id or a known expected verdict, or
        holds a case that its run has already; the first such line is named
    """
    try:
        tables = list(_parsed(path))
    except OSError as error:
        raise BadInput(
            str(path),
            found="no file" if isinstance(error, FileNotFoundError) else f"no readable file ({error.strerror})",
            need="a day3_results.jsonl",
            next_step="name it with --results",
        ) from error
    frame = columns.to_frame(tables)
    tables.clear()
    runs = _runs(frame)
    _require_a_row_a_case(path, frame, runs)
    order = dict.fromkeys(runs.tolist())
    parts = [frame] if len(order) == 1 else [frame[runs == run].reset_index(drop=True) for run in order]
    return [_run(part) for part in parts]


def _run(frame: pd.DataFrame) -> Run:
    run_id, kind, ordinal = (_same(frame[name]) for name in ("run_id", "run_kind", "ordinal"))
    return Run(run_id or None, kind or None, None if ordinal is None else int(ordinal), frame)


def _same(values: pd.Series[Any]) -> Any:
    known = values.dropna().unique()
    return known[0] if len(known) == 1 else None


def _runs(frame: pd.DataFrame) -> np.ndarray:
    """Return a number a row: the same for rows of one run."""
    import numpy as np
    import pandas as pd

    names = frame["run_id"].cat
    runs = np.where((frame["run_id"] == "").to_numpy(bool), -1, names.codes).astype("int64")
    unnamed = np.flatnonzero(runs < 0)
    if unnamed.size:
        cases = pd.factorize(frame["case_id"].iloc[unnamed])[0]
        number, began, latest = len(names.categories), 0, [-1] * len(cases)
        for at, case in enumerate(cases.tolist()):
            if latest[case] >= began:
                number, began = number + 1, at
            latest[case] = at
            runs[unnamed[at]] = number
    return runs


# --- blocks --------------------------------------------------------------------------------------------------------


def _parsed(path: Path) -> Iterator[pa.Table]:
    """Yield the table of each block of a file, in its order; only as many blocks as threads are held at a time."""
    threads = cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        under_way: deque[Future[pa.Table]] = deque()
        try:
            for start, end in _blocks(path):
                under_way.append(pool.submit(_table, path, start, end))
                if len(under_way) > threads:
                    import pandas  # noqa: F401 - half a second, while others parse

                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _blocks(path: Path) -> Iterator[tuple[int, int]]:
    """Yield where blocks of whole lines begin and end in a file, each about :data:`BLOCK` bytes; not its BOM."""
    with path.open("rb") as handle:
        size = handle.seek(0, SEEK_END)
        handle.seek(0)
        start = len(BOM) if handle.read(len(BOM)) == BOM else 0
        while start < size:
            handle.seek(start + BLOCK)
            handle.readline()
            end = min(handle.tell(), size)
            yield start, end
            start = end


def _table(path: Path, start: int, end: int) -> pa.Table:
    """Return the rows of a block, checked, in the columns of a frame."""
    import pyarrow as pa

    with pa.OSFile(fsencode(path)) as handle:  # into memory of Arrow's, which goes from block to block
        handle.seek(start)
        block = handle.read_buffer(end - start)
    quick = _quick(block)
    if quick is not None:
        with suppress(_Wrong):
            return columns.encoded(_adopted(quick))
    return columns.encoded(_line_by_line(path, start, block.to_pybytes()))


def _line_by_line(path: Path, start: int, block: bytes) -> pa.Table:
    """Return the rows of a block that has something unusual in it.

    :raises BadInput: a line is not what it must be; the first such line is named
    """
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    stop: int | None = None
    for place, line in enumerate(block.split(b"\n")):
        if not line.strip():
            continue
        try:
            row = jsonio.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            stop = place
            break
        rows.append(row)
        places.append(place)
    try:  # what is wrong with an earlier line is said first
        found = _adopted(columns.table(rows))
    except _Wrong as wrong:
        raise _fault(path, _line(path, start, places[wrong.row]), wrong.found, wrong.need) from None
    if stop is not None:
        raise _fault(path, _line(path, start, stop), "text that is no JSON object", "one JSON object a line")
    return found


def _line(path: Path, start: int, place: int) -> int:
    """Return the number of a line of the file, given its place in the block that begins at *start*."""
    with path.open("rb") as handle:
        before = sum(handle.read(min(BLOCK, start - at)).count(b"\n") for at in range(0, start, BLOCK))
    return before + place + 1


def _quick(block: pa.Buffer) -> pa.Table | None:
    """Return what Arrow makes of a block, None where it has to be read line by line.

    The first line has to begin an object (over a bare ``null`` there, Arrow ends the process), and each line has to be
    one (Arrow takes two objects on a line).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.json as pj  # type: ignore[import-untyped]

    letters = np.frombuffer(block, np.uint8)
    if letters[0] != ord("{"):
        return None
    try:
        if letters.max() > 127:
            block.to_pybytes().decode()  # Arrow would take what is no text
        table = pj.read_json(
            pa.BufferReader(block),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(letters) + 1),
            parse_options=pj.ParseOptions(explicit_schema=_read(), unexpected_field_behavior="ignore"),
            # Arrow's own asks for huge pages, which the kernel clears for every block anew: a tenth of all time.
            memory_pool=pa.system_memory_pool(),
        )
    except ValueError:
        return None
    ends = sum(int(np.count_nonzero(letters[at : at + PAGE] == ord("\n"))) for at in range(0, len(letters), PAGE))
    return table if table.num_rows == ends + int(letters[-1] != ord("\n")) else None


@cache
def _read() -> pa.Schema:
    """Return the fields that are read; what matched is worked out."""
    whole = columns.schema()
    return whole.remove(whole.get_field_index("matched"))


# --- what a row must have ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wrong(Exception):
    """What is wrong with a row, by its place in a table."""

    row: int
    found: str
    need: str


def _fault(path: Path, line: int, found: str, need: str) -> BadInput:
    return BadInput(f"{path} line {line}", found=found, need=need, next_step="judge a day3_results.jsonl")


def _adopted(raw: pa.Table) -> pa.Table:
    """Return rows with what follows from them: verdicts in our words, what can be compared, what matched, outcomes.

    :raises _Wrong: one has no case id, or no known expected verdict
    """
    import numpy as np
    import pyarrow as pa

    expected = _verdicts(raw["expected_verdict"])
    unnamed = ~_given(raw["case_id"])
    wrong = np.flatnonzero(unnamed | (expected < 0))
    if wrong.size:
        row = int(wrong[0])
        case, verdict = raw["case_id"][row].as_py(), raw["expected_verdict"][row].as_py()
        found = f"case_id {case!r} and expected_verdict {verdict!r}"
        raise _Wrong(row, found, f"a case id and one of {', '.join(VERDICTS)}")
    outcome, names = _named(raw["outcome"], OUTCOMES)
    actual = _verdicts(raw["actual_verdict"])
    comparable = (actual >= 0) & raw["comparable"].fill_null(True).to_numpy() & ~_given(raw["error"])
    comparable &= (outcome == OUTCOMES.index("")) | (outcome == OUTCOMES.index("answer"))
    unsaid = np.flatnonzero(outcome == OUTCOMES.index(""))
    if unsaid.size:
        outcome[unsaid] = _told_by_status(raw["http_status"].take(pa.array(unsaid)), comparable[unsaid])
    made = {
        "expected_verdict": pa.DictionaryArray.from_arrays(expected, list(SEEN)),
        "actual_verdict": pa.DictionaryArray.from_arrays(np.where(comparable, actual, SEEN.index(UNKNOWN)), list(SEEN)),
        "comparable": pa.array(comparable),
        "matched": pa.array(comparable & (actual == expected)),
        "outcome": pa.DictionaryArray.from_arrays(outcome, names),
    }
    return pa.table({name: made[name] if name in made else raw[name] for name in columns.FIELDS})


def _given(texts: pa.ChunkedArray) -> np.ndarray:
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    given: np.ndarray = pc.not_equal(texts, "").fill_null(False).to_numpy()
    return given


def _verdicts(texts: pa.ChunkedArray) -> np.ndarray:
    """Return verdicts as places in :data:`VERDICTS`, -1 for anything else."""
    import numpy as np

    places, _ = _named(texts, ("", *VERDICTS))
    found: np.ndarray = np.where(places <= len(VERDICTS), places - 1, -1)
    return found


def _named(texts: pa.ChunkedArray, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return texts as places in a list of names that begins with *names*, the first for what is missing."""
    import numpy as np

    coded = texts.combine_chunks().dictionary_encode()
    known = [text.strip().lower() for text in coded.dictionary.to_pylist()]
    every = list(dict.fromkeys([*names, *known]))
    places = np.array([*(every.index(text) for text in known), 0], dtype="int32")
    found: np.ndarray = places[coded.indices.fill_null(-1).to_numpy()]
    return found, every


def _told_by_status(status: pa.ChunkedArray, comparable: np.ndarray) -> np.ndarray:
    """Return how cases ended whose rows do not say it, as places in :data:`OUTCOMES`."""
    import numpy as np

    codes = status.fill_null(0).to_numpy()
    said = {"answer": comparable, "transport_error": codes == 0}
    said |= {name: codes == code for code, name in _OUTCOMES.items()}
    said["server_error"] = codes >= 500
    places = [OUTCOMES.index(name) for name in said]
    return np.select(list(said.values()), places, default=OUTCOMES.index("client_error"))


def _require_a_row_a_case(path: Path, frame: pd.DataFrame, runs: np.ndarray) -> None:
    """Pass when no run has a case twice.

    :raises BadInput: one has; the file is read again to name the line
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    cases = pa.array(frame["case_id"])
    if pc.all(pc.less(cases[:-1], cases[1:])).as_py() or frame["case_id"].is_unique:  # in order is told at once
        return
    again = pd.DataFrame({"run": runs, "case": pd.factorize(frame["case_id"])[0]}).duplicated().to_numpy()
    if not again.any():
        return
    row = int(again.argmax())
    with path.open("rb") as handle:
        lines = (number for number, line in enumerate(handle, start=1) if line.removeprefix(BOM).strip())
        at = next(islice(lines, row, None))
    case, run = frame["case_id"].iloc[row], frame["run_id"].iloc[row]
    raise _fault(path, at, f"case {case} a second time in run {run}", "one record a case and run")
