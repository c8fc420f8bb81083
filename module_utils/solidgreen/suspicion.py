"""What a results file gives away about itself: the marks that the false GOs of the past left behind, each by name.

Functions of frames only, as ``columns`` makes them: one row a record. A column that a file does not have says nothing,
and a file without a mark is not cleared by that: only the record of the run does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .errors import ExitCode
from .metrics import VERDICTS, Tally
from .text import plural, visible

if TYPE_CHECKING:
    import pandas as pd

#: Records from which on a pattern is none of chance: of a scenario, and of a run.
FEW, SOME = 3, 5
#: Runs of each kind that a cycle has.
RUNS = {"smoke": 2, "full": 1}
#: What is held against the same case of another run.
COMPARED = ("case_id", "expected_verdict", "started_at", "finished_at", "duration_seconds", "body_sha256")
#: Marks that only verdicts leave which do not come from the answers.
NOT_BLIND = ("labels-copied", "status-overruled", "one-answer-many-verdicts")


@dataclass(frozen=True)
class Callout:
    """A mark and what it means.

    :param exit_code: what it alone makes a judgement end with: 11 where the numbers cannot carry a decision as they
        stand, 13 where the data set could not, 14 where no honest run leaves such a mark
    """

    id: str
    text: str
    exit_code: int


# --- one run -------------------------------------------------------------------------------------------------------


#: The columns that the marks within one run are read from.
READ = [
    "case_id",
    "scenario",
    "expected_verdict",
    "actual_verdict",
    "status",
    "error",
    "http_status",
    "job_id",
    "body_sha256",
    "content_sha256",
    "finished_at",
]


def of_run(frame: pd.DataFrame, *, blind: bool = False) -> list[Callout]:
    """Return the marks within one run.

    :param blind: that the verdicts were read without labels is known from the record of the run
    """
    frame = frame[READ]  # taking a part of the rows copies all columns
    found = [*_answers(frame)]
    told = [mark.text for mark in found]
    if _follows_labels(frame) and told:
        text = "every scenario has one verdict only, yet the answers tell another story: the verdicts are the labels'"
        found.insert(0, Callout("labels-copied", f"{text} ({'; '.join(told)})", ExitCode.INTEGRITY))
    elif not blind and _follows_labels(frame):
        text = (
            "the verdicts follow the scenarios perfectly: a file alone cannot tell a perfect system from labels that"
            " were copied into the verdicts; the run's observations can (invoke judge --results RUN/observations.jsonl)"
        )
        found.append(Callout("follows-labels", text, ExitCode.INCONCLUSIVE))
    return [*found, *_cases(frame)]


def _follows_labels(frame: pd.DataFrame) -> bool:
    """Tell whether the scenario of a case says its verdict, over several scenarios and verdicts."""
    answered = frame[frame["actual_verdict"].isin(VERDICTS)]
    scenarios = _known(answered, "scenario")
    if len(scenarios) < len(answered):
        scenarios = answered["expected_verdict"]
    by = answered["actual_verdict"].groupby(scenarios).agg(["nunique", "size"])
    several = int((by["size"] >= FEW).sum()) > 1
    return several and bool((by["nunique"] == 1).all()) and answered["actual_verdict"].nunique() > 1


def _answers(frame: pd.DataFrame) -> Iterator[Callout]:
    """Yield what the answers themselves say against their verdicts."""
    answered = frame[frame["actual_verdict"].isin(VERDICTS)]
    said = _words(answered, "status")
    said = said[said.isin(VERDICTS)]
    other = said[said != answered.loc[said.index, "actual_verdict"].astype(str)]
    if len(other):
        first = other.index[0]
        text = f"{plural(len(other), 'row')} with another verdict than the status of the answer, the first"
        case = f"{_case(frame, first)} ({other.loc[first]}, written as {frame.loc[first, 'actual_verdict']})"
        yield Callout("status-overruled", f"{text} {case}", ExitCode.INTEGRITY)
    status = _numbers(answered, "http_status")
    refused = status[(status < 200) | (status > 299)]
    if len(refused):
        text = f"{plural(len(refused), 'verdict')} on an answer that was an error, the first"
        case = f"{_case(frame, refused.index[0])} (HTTP {int(refused.iloc[0])})"
        yield Callout("verdict-of-an-error", f"{text} {case}", ExitCode.INCONCLUSIVE)
    errors = _known(frame, "error")
    fine = _words(frame.loc[errors.index], "status")
    fine = fine[fine.isin(("ok", "success", *VERDICTS))]
    if len(fine):
        text = f"{plural(len(fine), 'row')} with status ok and an error, the first"
        case = f"{_case(frame, fine.index[0])} ({visible(errors.loc[fine.index[0]], 80)})"
        yield Callout("error-in-an-answer", f"{text} {case}", ExitCode.INCONCLUSIVE)
    yield from _bodies(answered)


def _bodies(answered: pd.DataFrame) -> Iterator[Callout]:
    bodies = _known(answered, "body_sha256")
    verdicts = answered.loc[bodies.index, "actual_verdict"]
    again = _repeated(bodies)
    if again.empty:
        return
    several = verdicts.loc[again.index].groupby(again).nunique()
    several = several[several > 1]
    if len(several):
        text = f"one answer, byte for byte, has several verdicts ({plural(len(several), 'answer')}), the first"
        first = again.index[again == several.index[0]][0]
        yield Callout("one-answer-many-verdicts", f"{text} that of {_case(answered, first)}", ExitCode.INTEGRITY)
        return
    # What cannot be read is blocked in the same words every time; any other answer carries its own ids and times.
    read = bodies[verdicts != "blocked"]
    kinds = verdicts.loc[read.index].nunique()
    if len(read) >= SOME and read.nunique() <= max(kinds, 1) < len(read) / FEW:
        text = f"{len(read)} cases got {plural(read.nunique(), 'answer')}, byte for byte: canned, not worked out"
        yield Callout("canned-answers", text, ExitCode.INCONCLUSIVE)


def _cases(frame: pd.DataFrame) -> Iterator[Callout]:
    """Yield what is wrong with the cases of a run, whatever their verdicts."""
    expected = frame["expected_verdict"].unique()
    if len(expected) == 1 and len(frame) > 1:
        text = f"all {len(frame)} cases are expected to be {expected[0]}: no gate over another class can fail"
        yield Callout("one-class", text, ExitCode.INCONCLUSIVE)
    jobs = _repeated(_known(frame, "job_id"))
    if len(jobs):
        text = f"{len(jobs)} rows with the job id of another case, the first {visible(jobs.iloc[0])}"
        yield Callout("job-id-twice", text, ExitCode.INTEGRITY)
    copies = _repeated(_known(frame, "content_sha256"))
    if len(copies):
        labels = frame.loc[copies.index, "expected_verdict"].groupby(copies).nunique()
        names = ", ".join(visible(name, 60) for name in frame.loc[copies.index, "case_id"].iloc[:2])
        if (labels > 1).any():
            of = copies.index[copies == labels.index[labels > 1][0]][:2]
            names = ", ".join(visible(name, 60) for name in frame.loc[of, "case_id"])
            text = f"the same documents under two expected verdicts, for example {names}"
            yield Callout("conflicting-labels", text, ExitCode.BAD_INPUT)
        else:
            text = f"{len(copies)} cases are {plural(copies.nunique(), 'set')} of documents, for example {names}"
            yield Callout("copied-cases", text, ExitCode.BAD_INPUT)
    ends = _known(frame, "finished_at")
    if len(frame) >= SOME and len(ends) == len(frame) and ends.min() == ends.max():
        text = f"all {len(frame)} records ended at one moment ({ends.iloc[0]}): they were written at once, not as met"
        yield Callout("one-moment", text, ExitCode.INCONCLUSIVE)


# --- between runs --------------------------------------------------------------------------------------------------


def of_pair(first: pd.DataFrame, second: pd.DataFrame, *, itself: bool = False) -> list[Callout]:
    """Return the marks of a second run that is not one of its own.

    :param itself: both are the same run of the same file
    """
    found = []
    names = [set(_known(frame, "run_id").unique()) for frame in (first, second)]
    if itself or names[0] & names[1]:
        which = visible(", ".join(sorted(map(str, names[0] & names[1]))) or "the run")
        found.append(Callout("against-itself", f"{which} is compared with itself", ExitCode.INTEGRITY))
    jobs = [_known(frame, "job_id") for frame in (first, second)]
    shared = jobs[1][jobs[1].isin(jobs[0])]
    if len(shared):
        text = f"{plural(len(shared), 'job id')} in both runs, the first {visible(shared.iloc[0])}"
        found.append(Callout("shared-job-ids", text, ExitCode.INTEGRITY))
    replay = replayed(first, second)
    if replay:
        text = f"the second run only replays the first: {'; '.join(replay)}"
        found.append(Callout("replayed-run", text, ExitCode.INTEGRITY))
    both = _both(first, second)
    other = both[both["expected_verdict_1"].astype(str) != both["expected_verdict_2"].astype(str)]
    if len(other):
        text = f"the expected verdict of {plural(len(other), 'case')} changed between the runs, the first"
        found.append(Callout("changed-labels", f"{text} {visible(other['case_id'].iloc[0])}", ExitCode.INCONCLUSIVE))
    return found


def replayed(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Return the signs that the second run repeats what the first one wrote down, in words.

    Two runs share no moment. They share a duration or an answer here and there, but never all of them; where a run has
    hardly any two that differ, sharing them says nothing.
    """
    both = _both(first, second)
    signs = []
    for name, noun in (("started_at", "start"), ("finished_at", "end")):
        left, right = _pair(both, name)
        same = int((left == right).sum())
        if same:
            signs.append(f"{plural(same, 'case')} with the same {noun}")
    if not signs:
        signs += _moved(both)
    for name, noun in (("duration_seconds", "durations"), ("body_sha256", "answers")):
        left, right = _pair(both, name)
        if len(left) >= SOME and left.nunique() >= FEW and bool((left == right).all()):
            signs.append(f"all {len(left)} {noun} are the same")
    return signs


def _moved(both: pd.DataFrame) -> list[str]:
    """Return whether the times of the second run are those of the first, all moved by the same amount."""
    left, right = _pair(both, "finished_at")
    gaps = left.sort_values().diff().dropna()
    if len(left) < SOME or gaps.nunique() < FEW or (right - left).nunique() > 1:
        return []
    return [f"all {len(left)} times are moved by {(right - left).iloc[0].total_seconds():g} s"]


def independence(tally: Tally, first: pd.DataFrame, second: pd.DataFrame, *, itself: bool = False) -> Tally:
    """Return what the gate over the independence of the two smokes judges, with the marks that only a file leaves.

    :param tally: what ``metrics.dependence`` found
    """
    faults = [*tally.faults]
    if itself and not faults:
        faults.append("the run is compared with itself")
    faults += replayed(first, second)
    return Tally(tuple(faults), max(tally.n, len(faults)))


def verdict_faults(callouts: Iterable[Callout], frame: pd.DataFrame) -> Tally | None:
    """Return what the gate over blind verdicts judges of a file: its proof that they are not, None without any.

    A file never proves that they are.
    """
    faults = tuple(mark.text for mark in callouts if mark.id in NOT_BLIND)
    return Tally(faults, len(frame)) if faults else None


def of_file(runs: Sequence[tuple[str, pd.DataFrame]]) -> list[Callout]:
    """Return the marks of a file with several runs, given as kind and frame in the order in which they begin."""
    found = []
    for kind, most in RUNS.items():
        count = sum(name == kind for name, _ in runs)
        if count > most:
            text = f"{count} {kind} runs in one file, a cycle has {most}: whoever has more can pick"
            found.append(Callout("runs-to-pick-from", text, ExitCode.INCONCLUSIVE))
    for (_, first), (_, second) in combinations(runs, 2):
        found += of_pair(first, second)
    return found


def unique(callouts: Iterable[Callout]) -> list[Callout]:
    """Return each mark once, in the order they were found."""
    return list(dict.fromkeys(callouts))


# --- columns -------------------------------------------------------------------------------------------------------


def _known(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column without its gaps; empty where the file does not have it."""
    import pandas as pd

    if name not in frame.columns:
        return frame["case_id"].iloc[:0]
    values = frame[name].dropna()
    typed = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
    return values if typed else values[values != ""]


def _words(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column of words as such, in small letters."""
    return _known(frame, name).astype(str).str.strip().str.lower()


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    import pandas as pd

    return pd.to_numeric(_known(frame, name), errors="coerce").dropna()


def _repeated(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the values that come more than once."""
    if values.nunique() == len(values):  # the usual case, at a third of the price
        return values.iloc[:0]
    return values[values.duplicated(keep=False)]


def _both(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return a row a case that is in both runs; columns end in ``_1`` and ``_2``."""
    one, two = (frame[[name for name in COMPARED if name in frame.columns]] for frame in (first, second))
    return one.merge(two, on="case_id", suffixes=("_1", "_2"))


def _pair(both: pd.DataFrame, name: str) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return a column of both runs where both have it."""
    columns = [f"{name}_1", f"{name}_2"]
    if not set(columns) <= {*both.columns}:
        return both["case_id"].iloc[:0], both["case_id"].iloc[:0]
    known = both[columns].dropna()
    return known[columns[0]], known[columns[1]]


def _case(frame: pd.DataFrame, at: Any) -> str:
    return visible(frame.loc[at, "case_id"], 60)
