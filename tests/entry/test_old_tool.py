"""The old command lines as somebody uses them: real processes against an API on loopback."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from solidgreen import cycle, jsonio, ledger, metrics
from solidgreen.clock import SystemClock
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "scripts")]

from dataset import row, write_documents, write_manifest  # noqa: E402 - the folders are on the path only now
from day3_tool import here  # noqa: E402
from simple_api import Answer, SimpleApi, passing  # noqa: E402
from validation_commands import quoted  # noqa: E402

COUNTS = {"pass": 20, "warn": 20, "reject": 20, "ocr_noise": 15, "sanctions_tbml_shell": 15}
COPIED = ("metrics_summary.json", "confusion_matrix.csv", "failed_cases.csv", "rate_limit_stats.json")
QUICK = ("--min-interval", "0.01", "--base-backoff-seconds", "0.01")
CASE_LINE = re.compile(r" *(\d+)/(\d+)  (D3-\d{3})  HTTP 200  (pass|warn|reject|blocked)  1 attempt")
#: A name that every shell would stumble over.
HARD = "b1 it's, $HOME; a\"b"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with the counts of the policy."""
    root = tmp_path_factory.mktemp("made")
    scenarios = [scenario for scenario, count in COUNTS.items() for _ in range(count)]
    for number in range(1, len(scenarios) + 1):
        write_documents(root, number)
    (root / "bundles" / "b1").rename(root / "bundles" / HARD)
    rows: list[Mapping[str, Any]] = [row(number, scenario) for number, scenario in enumerate(scenarios, start=1)]
    rows[0] = {**rows[0], "cleaned_path": f"bundles/{HARD}"}
    write_manifest(root, rows)
    return root


@dataclass
class Site:
    """A directory with ``data/day3`` in it, and an API that can be told what to answer."""

    folder: Path
    api: SimpleApi
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> DataRoot:
        return DataRoot(self.folder / "data" / "day3")

    @property
    def runs(self) -> list[str]:
        return sorted((path.name for path in self.root.runs.glob("batch-*")), key=lambda name: self.head(name)["at"])

    def head(self, run: str) -> dict[str, Any]:
        return next(jsonio.read_jsonl(self.root.run(run) / "observations.jsonl"))

    def sent(self, run: str) -> list[str]:
        return [r["case_id"] for r in ledger.read(self.root.run(run) / "observations.jsonl").observations]

    def top(self, name: str) -> Any:
        return json.loads((self.root.results / name).read_text())

    def start(self, script: str, *options: str, **environ: str) -> subprocess.Popen[str]:
        # Without a word on buffering, so that the order of what two processes print is the real one.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DAY3_") and k != "PYTHONUNBUFFERED"}
        return subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / script), *options],
            cwd=self.folder,
            env={**clean, "DAY3_API_URL": self.api.url, **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.start(script, *options, **environ)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(options, process.returncode, out, err)

    def batch(self, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("run_batch_day3.py", *QUICK, *options, **environ)

    def broken_off(self, *options: str, number: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
        """Start a batch and end it by a signal when some of its cases are on record."""
        process = self.start("run_batch_day3.py", "--min-interval", "0.1", *options)
        deadline = time.monotonic() + 60
        while len(self.api.received) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(options, process.returncode, out, err)


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Iterator[Site]:
    """A site whose path holds a blank and a quote."""
    folder = tmp_path / "the client's files"
    shutil.copytree(made, folder / "data" / "day3")
    api = SimpleApi()
    yield Site(folder, api)
    api.close()


@pytest.fixture
def answering(site: Site) -> Iterator[Callable[[Callable[[int, bytes], Answer]], Site]]:
    """The same site with an API that answers as it is told."""
    apis = []

    def tell(answer: Callable[[int, bytes], Answer]) -> Site:
        apis.append(SimpleApi(answer))
        return Site(site.folder, apis[-1])

    yield tell
    for api in apis:
        api.close()


@dataclass
class Twice:
    """A site after the plan's two smokes: what each printed, and the results file between them."""

    site: Site
    first: subprocess.CompletedProcess[str]
    between: bytes
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def twice(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twice]:
    folder = tmp_path_factory.mktemp("twice")
    shutil.copytree(made, folder / "data" / "day3")
    site = Site(folder, SimpleApi())
    first = site.batch("--smoke20")
    between = site.root.day3_results.read_bytes()
    yield Twice(site, first, between, site.batch("--smoke20"))
    site.api.close()


@pytest.fixture
def after(twice: Twice, tmp_path: Path) -> Site:
    """A copy of it, to be spoiled."""
    shutil.copytree(twice.site.folder, tmp_path / "after")
    return Site(tmp_path / "after", twice.site.api)


# --- a run -----------------------------------------------------------------------------------------------------------


def test_two_smokes_are_two_independent_runs(twice: Twice) -> None:
    assert (twice.first.returncode, twice.second.returncode) == (0, 0), twice.second.stderr
    site = twice.site
    one, two = site.runs
    assert sorted(site.sent(one)) == sorted(site.sent(two))
    assert len(site.api.received) == 40
    rows = [list(jsonio.read_jsonl(site.root.run(run) / "results.jsonl")) for run in (one, two)]
    assert metrics.dependence(rows[0], rows[1]) == metrics.Tally((), 5)
    assert site.root.day3_results.read_bytes().startswith(twice.between)
    assert [r["run_id"] for r in jsonio.read_jsonl(site.root.day3_results)] == [one] * 20 + [two] * 20


def test_a_run_prints_forecast_then_a_line_a_case_then_its_figures_and_files(twice: Twice) -> None:
    lines = twice.first.stdout.splitlines()
    landed = [found for line in lines if (found := CASE_LINE.fullmatch(line))]
    assert [int(found[1]) for found in landed] == list(range(1, 21))
    begins = [
        next(n for n, line in enumerate(lines) if line.startswith(word))
        for word in (
            "data set: 90 cases",
            "forecast: 20 cases",
            "run batch-smoke-",
            " 1/20",
            "finished: 20 of 20 cases",
            "comparable=20/20",
            "accuracy=",
            "files:",
            "  data/day3/results/metrics_summary.json",
            "gates: ",
        )
    ]
    assert begins == sorted(begins)


def test_nothing_printed_while_a_run_goes_on_tells_whether_a_verdict_was_right(twice: Twice) -> None:
    under_way = twice.first.stdout[: twice.first.stdout.index("finished:")]
    assert len(CASE_LINE.findall(under_way)) == 20
    assert not re.search("accura|match|expected|correct|agree", under_way)


def test_the_old_files_are_those_of_the_latest_run(twice: Twice) -> None:
    site, run = twice.site, twice.site.runs[1]
    summary = site.top("metrics_summary.json")
    assert (summary["run_id"], summary["total"], summary["comparable"], summary["ordinal"]) == (run, 20, 20, 0)
    assert f"accuracy={summary['accuracy']:.3f}" in twice.second.stdout
    assert (site.root.results / "confusion_matrix.csv").read_text().startswith("expected\\actual,pass,warn,reject")
    assert (site.root.results / "failed_cases.csv").read_text().startswith("case_id,scenario,expected_verdict")
    assert site.top("rate_limit_stats.json")["total_requests"] == 20
    for name in COPIED:
        assert (site.root.results / name).read_bytes() == (site.root.run(run) / name).read_bytes()


def test_the_smoke_is_drawn_over_every_scenario(twice: Twice) -> None:
    scenarios = [json.loads(line)["scenario"] for line in twice.between.splitlines()]
    drawn = {name: scenarios.count(name) for name in COUNTS}
    assert drawn == {"pass": 5, "warn": 5, "reject": 4, "sanctions_tbml_shell": 3, "ocr_noise": 3}


def test_the_command_it_ends_with_judges_the_second_smoke_against_the_first(twice: Twice) -> None:
    command = shlex.split(twice.second.stdout.splitlines()[-1].removeprefix("gates: "))
    done = subprocess.run(command, cwd=twice.site.folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 10, 11), done.stderr
    assert re.search(r"^pass +pair:independent ", done.stdout, re.MULTILINE)
    assert re.search(r"^pass +pair:consistency +1.000 \(20 of 20\)", done.stdout, re.MULTILINE)


def test_the_process_that_sends_holds_no_label() -> None:
    code = "import sys, run_batch_day3; print(*sorted(m for m in sys.modules if m.startswith('solidgreen.')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    held = {name.removeprefix("solidgreen.") for name in done.stdout.split()}
    assert "batch" in held
    assert not held & {
        "manifest",
        "qualify",
        "inputs",
        "metrics",
        "gates",
        "judgement",
        "report",
        "decision",
        "selection",
    }


def test_a_token_is_sent_and_never_shown_or_kept(site: Site) -> None:
    done = site.batch("--limit", "1", DAY3_API_TOKEN=" canary-7f3a\n")
    assert site.api.headers[0]["Authorization"] == "Bearer canary-7f3a"
    assert "canary" not in done.stdout + done.stderr
    written = b"".join(path.read_bytes() for path in site.root.results.rglob("*") if path.is_file())
    assert b"canary" not in written


def test_without_a_token_none_is_sent(site: Site) -> None:
    site.batch("--limit", "1", DAY3_API_TOKEN="")
    assert "Authorization" not in site.api.headers[0]


def test_a_pause_is_one_line_and_counted(answering: Any) -> None:
    def once_429(number: int, body: bytes) -> Answer:
        return (429, {"detail": "Too many requests."}, {"Retry-After": "0"}) if number == 1 else passing(number, body)

    site = answering(once_429)
    done = site.batch("--limit", "3")
    assert done.returncode == 0, done.stderr
    pauses = [line for line in done.stdout.splitlines() if line.startswith("pause")]
    assert len(pauses) == 1
    assert re.fullmatch(
        r"pause  D3-\d+ got 429 on attempt 1: everyone waits 1.0 s \(Retry-After 0 s and a guard\)", pauses[0]
    )
    stats = site.top("rate_limit_stats.json")
    assert (stats["http_429"], stats["exhausted"], stats["total_requests"]) == (1, 0, 4)


@pytest.mark.parametrize(
    ("answer", "options", "code", "words"),
    [
        pytest.param(
            (429, {"detail": {"error_code": "QUOTA_EXCEEDED"}}, {}), (), 11, "found a used-up quota", id="quota"
        ),
        pytest.param((503, {"error": "database_unavailable"}, {}), (), 12, "found no answer to any of 2", id="all 503"),
        pytest.param((422, {"detail": {"error_code": "x"}}, {}), (), 0, "", id="all 422"),
    ],
)
def test_how_a_run_ended_is_its_exit_code(answering: Any, answer: Answer, options: Any, code: int, words: str) -> None:
    site = answering(lambda _number, _body: answer)
    done = site.batch("--limit", "2", *options)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert site.top("metrics_summary.json")["comparable"] == 0


def test_a_run_that_does_not_fit_its_budget_sends_nothing(site: Site) -> None:
    done = site.run("run_batch_day3.py", "--min-interval", "60")
    assert done.returncode == 11
    assert "does not fit" in done.stdout
    assert "nothing was sent" in done.stderr
    assert (site.api.received, site.runs) == ([], [])


def test_an_api_that_does_not_listen_is_12_before_a_run_is_begun(site: Site) -> None:
    site.api.close()
    done = site.batch("--smoke20")
    assert done.returncode == 12
    assert "no connection (Connection refused), need the API listening" in done.stderr
    assert site.runs == []


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_and_sends_no_recorded_case_again(site: Site) -> None:
    assert site.broken_off("--smoke20").returncode == -signal.SIGKILL
    (run,) = site.runs
    recorded, before = site.sent(run), len(site.api.received)
    assert 0 < len(recorded) < 20

    done = site.run("run_batch_day3.py", "--smoke20", "--min-interval", "0.1")
    assert done.returncode == 0, done.stderr
    assert f"run {run}: goes on, {len(recorded)} of 20 cases are recorded" in done.stdout
    assert site.runs == [run]
    assert len(site.api.received) - before == 20 - len(recorded)
    assert sorted(site.sent(run)) == sorted(set(site.sent(run)))
    assert len(CASE_LINE.findall(done.stdout)) == 20 - len(recorded)
    assert len(list(jsonio.read_jsonl(site.root.day3_results))) == 20


def test_ctrl_c_is_11_and_the_record_is_whole(site: Site) -> None:
    done = site.broken_off("--smoke20", number=signal.SIGINT)
    assert done.returncode == 11, done.stderr
    assert "Next: the same command; the run goes on where it stood" in done.stderr
    (run,) = site.runs
    found = ledger.verify(site.root.run(run) / "observations.jsonl")
    assert 0 < found.done < 20
    # What has not ended has no metrics, and nobody is told any.
    assert not site.root.day3_results.exists()
    unfinished = site.run("metrics_day3.py", "--run", run)
    assert (unfinished.returncode, unfinished.stdout) == (11, "")
    assert f"{found.done} of 20 cases and no end" in unfinished.stderr


def edit_document(root: DataRoot) -> None:
    path = root.root / "bundles" / "b90" / "invoice.pdf"
    path.write_bytes(path.read_bytes() + b"% edited\n")


def edit_manifest(root: DataRoot) -> None:
    root.manifest.write_text(root.manifest.read_text().replace(",en,", ",fr,", 1))


@pytest.mark.parametrize(
    ("edit", "options", "words"),
    [
        pytest.param(edit_document, (), "cases_sha256 changed: a new run begins", id="a document"),
        pytest.param(edit_manifest, (), "cases_sha256, remarks changed: a new run begins", id="the manifest"),
        pytest.param(None, ("--retries-429", "7"), "pacing changed: a new run begins", id="the pacing"),
        pytest.param(None, ("--no-resume",), "begins", id="--no-resume"),
    ],
)
def test_another_run_is_never_gone_on_with(site: Site, edit: Any, options: tuple[str, ...], words: str) -> None:
    site.broken_off("--smoke20", "--limit", "6")
    if edit:
        edit(site.root)
    done = site.run("run_batch_day3.py", "--smoke20", "--limit", "6", "--min-interval", "0.1", *options)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    old, new = site.runs
    assert ledger.read(site.root.run(old) / "observations.jsonl").end is None
    assert len(site.sent(new)) == 6


# --- what marks a run ------------------------------------------------------------------------------------------------


def test_guardrails_warn_and_mark_the_run(site: Site) -> None:
    done = site.run("run_batch_day3.py", "--smoke20", "--limit", "1", "--min-interval", "2", "--retries-429", "4")
    reasons = [
        "--min-interval 2, the plan needs 2.5 or more",
        "--retries-429 4, the plan needs 6 or more",
        "--limit 1 cuts the selection",
    ]
    assert done.returncode == 0
    for reason in reasons:
        assert f"warning: {reason}; the run is marked as no decision evidence\n" in done.stderr
    assert f"decision_grade=false: {'; '.join(reasons)}" in done.stdout
    remarks = site.head(site.runs[0])["remarks"]
    assert (remarks["decision_grade"], remarks["reasons"]) == (False, reasons)
    for name in ("metrics_summary.json", "rate_limit_stats.json"):
        assert (site.top(name)["decision_grade"], site.top(name)["not_decision_grade"]) == (False, reasons)


def test_a_run_as_the_plan_has_it_is_not_marked(site: Site) -> None:
    process = site.start("run_batch_day3.py", "--smoke20", "--min-interval", "3.0", "--retries-429", "8")
    deadline = time.monotonic() + 60
    while not site.api.received and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert "warning" not in err
    head = site.head(site.runs[0])
    assert (head["remarks"]["decision_grade"], head["remarks"]["reasons"]) == (True, [])
    assert (head["pacing"]["min_interval"], head["pacing"]["retries_429"], head["ordinal"]) == (3.0, 8, 0)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        pytest.param(("--min-interval", "nan"), {}, "--min-interval: found 'nan', need a number of seconds", id="nan"),
        pytest.param(("--min-interval", "-1"), {}, "found '-1', need a number of seconds, 0 or more", id="negative"),
        pytest.param(("--retries-429", "many"), {}, "found 'many', need a whole number, 0 or more", id="text"),
        pytest.param(("--limit", "0"), {}, "found '0', need a whole number, 1 or more", id="none at all"),
        pytest.param(("--smoke",), {}, "unrecognized arguments: --smoke", id="half a flag"),
        pytest.param(
            (), {"DAY3_API_URL": ""}, "DAY3_API_URL: found nothing, need the validation endpoint", id="no url"
        ),
        pytest.param((), {"DAY3_API_URL": "localhost:8000"}, "found no http or https address", id="no scheme"),
        pytest.param((), {"DAY3_API_URL": "http://localhost:99999/"}, "DAY3_API_URL: found", id="no such port"),
        pytest.param((), {"DAY3_API_TOKEN": "tök"}, "DAY3_API_TOKEN: found characters that no header", id="token"),
        pytest.param((), {"DAY3_DRY_RUN": "perhaps"}, "DAY3_DRY_RUN: found 'perhaps', need 1 or true", id="dry or not"),
        pytest.param(("--data-root", "elsewhere"), {}, "found no such folder, need the folder that", id="no data"),
    ],
)
def test_bad_input_is_13_and_a_sentence(
    site: Site, options: tuple[str, ...], environ: Mapping[str, str], words: str
) -> None:
    done = site.batch("--limit", "1", *options, **environ)
    assert done.returncode == 13
    assert words in done.stderr
    assert "Next: " in done.stderr
    assert "tök" not in done.stderr
    assert (site.api.received, site.runs) == ([], [])


def test_both_spellings_of_the_data_root_are_refused(site: Site) -> None:
    (site.folder / "Data" / "day3").mkdir(parents=True)
    done = site.batch("--smoke20")
    assert done.returncode == 13
    assert "found both data/day3 and Data/day3" in done.stderr


def test_a_failed_check_of_the_data_set_ends_it_before_a_request(site: Site) -> None:
    shutil.rmtree(site.root.root / "bundles" / "b3")
    shutil.copytree(site.root.root / "bundles" / "b2", site.root.root / "bundles" / "b3")
    done = site.batch("--smoke20")
    assert done.returncode == 13
    assert 'check "dataset-no-copies" fail: ' in done.stderr
    assert "D3-002 (pass) and D3-003 (pass): the same documents" in done.stderr
    assert site.api.received == []


def test_a_cycle_at_work_is_refused_and_one_at_rest_is_not(site: Site) -> None:
    me, clock = cycle.Holder.of(os.getpid()), SystemClock()
    cycle.open_cycle(
        site.root,
        env="rehearsal",
        inventory="inventories/rehearsal",
        holder=me,
        minutes=60,
        snapshot=None,
        new=False,
        fix=None,
        digests={},
        clock=clock,
    )
    held = site.batch("--limit", "1")
    assert held.returncode == 13
    assert f"process {os.getpid()}, at work on it, need a data root that nobody works on" in held.stderr
    assert site.api.received == []
    before = site.root.cycle.read_bytes()
    cycle.release(site.root, me)
    assert site.root.cycle.read_bytes() != before
    before = site.root.cycle.read_bytes()
    assert site.batch("--limit", "1").returncode == 0
    assert site.root.cycle.read_bytes() == before


def test_two_at_once_are_refused(site: Site) -> None:
    with FileLock(site.root.root / ".run_batch_day3.lock"):
        done = site.batch("--smoke20", "--no-resume")
    assert done.returncode == 13
    assert "found another run_batch_day3.py at work on it, need one at a time" in done.stderr
    assert site.api.received == []


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_are_recomputed_to_the_byte_from_the_record(after: Site) -> None:
    one, two = after.runs
    paths = [after.root.results / name for name in COPIED] + [after.root.run(two) / name for name in COPIED]
    paths.append(after.root.day3_results)
    before = [path.read_bytes() for path in paths]
    for path in paths[:-1]:
        path.unlink()
    paths[-1].write_bytes(before[-1][: len(before[-1]) // 2 + 100])  # as a kill while it was appended to leaves it
    done = after.run("metrics_day3.py")
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in paths] == before
    assert done.stdout.startswith(f"run {two}: smoke, finished\ncomparable=20/20\naccuracy=")
    assert after.run("metrics_day3.py", "--run", one).stdout.startswith(f"run {one}: smoke, finished\n")
    assert after.top("metrics_summary.json")["run_id"] == one
    assert paths[-1].read_bytes() == before[-1]


def test_all_blocked_is_an_alert(answering: Any) -> None:
    site = answering(lambda number, _body: (200, {"status": "blocked", "block_reason": "no_lc_found", "n": number}, {}))
    done = site.batch("--limit", "4")
    assert "ALERT all-blocked signature: 4 of 4 answers are blocked, at most 0.7" in done.stdout


def change_a_byte(root: DataRoot, run: str) -> None:
    path = root.run(run) / "observations.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"verdict":"warn"', b'"verdict":"pass"', 1))
    assert path.read_bytes() != data


def edit_labels(root: DataRoot, _run: str) -> None:
    root.labels.write_text(root.labels.read_text().replace('"expected": "warn"', '"expected": "pass"', 1))


@pytest.mark.parametrize(
    ("spoil", "options", "code", "words"),
    [
        pytest.param(None, ("--run", "smoke1-x"), 13, "no run of run_batch_day3.py by that name", id="unknown"),
        pytest.param(edit_labels, (), 13, "found others than the run was registered with", id="labels edited"),
        pytest.param(change_a_byte, (), 14, "observations.jsonl line", id="a byte of the record changed"),
        pytest.param(
            lambda root, _run: shutil.rmtree(root.runs), (), 13, "none of run_batch_day3.py that", id="no run"
        ),
    ],
)
def test_metrics_of_what_is_not_so_are_refused(
    after: Site, spoil: Any, options: tuple[str, ...], code: int, words: str
) -> None:
    if spoil:
        spoil(after.root, after.runs[1])
    done = after.run("metrics_day3.py", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


# --- dry run ---------------------------------------------------------------------------------------------------------

Sent = list[tuple[dict[str, str], bytes]]


def parts(body: bytes) -> Sent:
    """Return headers and content of the parts of a body; the first line of it is its boundary."""
    boundary = body.split(b"\r\n", 1)[0]
    found = []
    for block in (b"\r\n" + body).split(b"\r\n" + boundary)[1:-1]:
        head, content = block.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        found.append((dict(line.split(": ", 1) for line in head.decode().split("\r\n")), content))
    return found


@pytest.fixture
def commands(site: Site) -> tuple[Path, Path]:
    """Both scripts of a dry run over the whole data set, which sent nothing."""
    done = site.batch(DAY3_DRY_RUN="1", DAY3_API_URL="", DAY3_API_TOKEN="canary")
    assert done.returncode == 0, done.stderr
    assert "dry run: nothing was sent. 90 cases as commands in:" in done.stdout
    assert (site.api.received, site.runs) == ([], [])
    found = site.root.results / "validation_commands.sh", site.root.results / "validation_commands.ps1"
    assert all(
        b"canary" not in path.read_bytes() and str(site.folder).encode() not in path.read_bytes() for path in found
    )
    return found


@pytest.mark.parametrize("token", ["", "canary-7f3a"], ids=["no token", "token"])
def test_the_shell_commands_send_what_the_client_sends(
    site: Site, commands: tuple[Path, Path], tmp_path: Path, token: str
) -> None:
    environ = {"PATH": os.environ["PATH"], "DAY3_API_URL": site.api.url, "DAY3_API_TOKEN": token}
    done = subprocess.run(
        ["sh", str(commands[0])], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^D3-\d{3} HTTP 200$", done.stdout, re.MULTILINE)) == 90
    by_hand, their_headers = list(site.api.received), list(site.api.headers)
    del site.api.received[:], site.api.headers[:]

    site.batch(DAY3_API_TOKEN=token)
    assert len(by_hand) == len(site.api.received) == 90
    # The client lets requests overlap, so that two may arrive in the other order.
    assert sorted(map(parts, by_hand), key=repr) == sorted(map(parts, site.api.received), key=repr)
    assert any(b"%PDF" in content for _, content in parts(by_hand[0]))
    names = {"Accept", "User-Agent", "Authorization"}
    mine = [{name: value for name, value in headers.items() if name in names} for headers in site.api.headers]
    assert [{n: v for n, v in headers.items() if n in names} for headers in their_headers] == mine


def test_the_shell_commands_say_when_no_answer_came(site: Site, commands: tuple[Path, Path]) -> None:
    site.api.close()
    environ = {"PATH": os.environ["PATH"], "DAY3_API_URL": site.api.url}
    done = subprocess.run(["sh", str(commands[0])], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 12
    assert done.stderr.endswith("90 of 90 calls got no answer\n")
    without = subprocess.run(
        ["sh", str(commands[0])], env={"PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    assert without.returncode == 13


def test_the_powershell_commands_name_the_same_parts(site: Site, commands: tuple[Path, Path]) -> None:
    """There is no PowerShell here; its literals are read back by its own rule and compared with what is sent."""
    text = commands[1].read_bytes().decode("utf-8-sig")
    calls = re.findall(r"^Send-Case '(D3-\d{3})' @\(\n(.*?)^\)$", text, re.MULTILINE | re.DOTALL)
    assert len(calls) == 90
    literal = r"'((?:[^'‘’‚‛]|''|‘‘|’’|‚‚|‛‛)*)'"
    table = re.compile(
        rf"    @{{ Disposition = {literal}(?:; Type = {literal}; File = {literal}|; Value = {literal}) }}\n"
    )
    named = []
    for _, body in calls:
        found = [[word.replace("''", "'") for word in match.groups(default="")] for match in table.finditer(body)]
        assert len(found) == body.count("\n")
        named.append(
            [
                (
                    {"Content-Disposition": disposition, **({"Content-Type": kind} if kind else {})},
                    (site.root.root / path).read_bytes() if path else value.encode(),
                )
                for disposition, kind, path, value in found
            ]
        )
    site.batch()
    assert sorted(named, key=repr) == sorted(map(parts, site.api.received), key=repr)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", "'plain'"),
        ("it's", "'it''s'"),
        ('say "$x" `n', "'say \"$x\" `n'"),
        ("it’s ‘so’", "'it’’s ‘‘so’’'"),
        ("", "''"),
    ],
)
def test_a_powershell_literal_is_taken_word_for_word(text: str, literal: str) -> None:
    assert quoted(text) == literal


def test_a_dry_run_of_the_smoke_is_its_twenty_cases(site: Site) -> None:
    done = site.batch("--dry-run", "--smoke20", "--limit", "7")
    text = (site.root.results / "validation_commands.sh").read_text()
    smoke = jsonio.read_json(site.root.smoke_selection)["case_ids"]
    assert done.returncode == 0
    assert re.findall(r"^send (\S+)", text, re.MULTILINE) == smoke[:7]


def test_help_shows_every_flag_and_variable() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "run_batch_day3.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    flags = "--limit --smoke20 --dry-run --no-resume --min-interval --retries-429 --base-backoff-seconds"
    for word in (*flags.split(), "--max-backoff-seconds", "DAY3_API_URL", "DAY3_API_TOKEN", "DAY3_DRY_RUN"):
        assert word in done.stdout


@pytest.mark.parametrize("script", ["run_batch_day3.py", "metrics_day3.py"])
def test_a_python_without_the_environment_is_told_where_it_is(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "scripts" / script)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (13, "")
    assert "need the environment of this repository. Next: ./run setup" in done.stderr


@pytest.mark.parametrize(
    ("core", "said"),
    [
        ("correct it, then invoke go", "correct it, then the same command"),
        ("start over: invoke go --new-cycle", "start over: run_batch_day3.py --no-resume"),
        ('or invoke go --new-cycle --fix "what was changed"', "or run_batch_day3.py --no-resume"),
        ("export DAY3_API_URL", "export DAY3_API_URL"),
    ],
)
def test_a_sentence_of_the_core_leads_on_with_these_commands(core: str, said: str) -> None:
    assert here(core) == said
