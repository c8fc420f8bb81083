"""The rehearsal stack as its command line runs it: real PostgreSQL, Redis and edge, with a tiny API."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from rehearsal import processes

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("postgres", "redis", "api", "edge")
Report = dict[str, Any]


class Cli:
    """The command line on one state folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def command(self, verb: str, *words: str) -> list[str]:
        options = ["--json", "--state-dir", str(self.home), "--app", "tests.rehearsal.tiny.api:create_app"]
        return [sys.executable, "-m", "rehearsal", verb, *options, *words]

    def __call__(self, verb: str, *words: str, code: int = 0, **environment: str) -> Report:
        done = subprocess.run(
            self.command(verb, *words),
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def left(self) -> list[str]:
        """Return what still runs for this folder, found without the record."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str((entry / "fd" / "1").readlink()).startswith(f"{self.home}/") and processes.birth(
                    int(entry.name)
                ):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
        return found


def pids(report: Report) -> dict[str, int]:
    return {name: row["pid"] for name, row in report["services"].items()}


def reasons(report: Report) -> list[str]:
    return [row["name"] for row in report["reasons"]]


def environment_of(report: Report) -> dict[str, str]:
    return httpx.get(report["endpoints"]["api_url"] + "/health/live").json()["environment"]


def post_job(report: Report) -> int:
    return httpx.post(report["endpoints"]["api_url"] + "/api/validate/", content="a job").json()["jobs"]


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def ended(home: Path) -> Iterator[Cli]:
    """Yield the command line on a folder, and see that its end leaves nothing."""
    home.parent.mkdir(parents=True)
    cli = Cli(home)
    yield cli
    cli("down", "--volumes")
    assert cli.left() == []


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cli]:
    """Return the command line on a folder where no stack has been."""
    with ended(tmp_path / "a clone with spaces" / ("long" * 30) / 'it\'s "here"') as cli:
        yield cli


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with ended(tmp_path_factory.mktemp("shared") / "a clone" / "state") as cli:
        yield cli


@pytest.fixture
def cli(shared: Cli) -> Iterator[Cli]:
    """Return the command line on a stack that other tests have used: ``up`` makes it whole whatever they did."""
    yield shared
    for name in (".env", "override.env"):
        (shared.home / name).unlink(missing_ok=True)


def test_first_up_starts_everything_and_the_second_changes_nothing(fresh: Cli) -> None:
    first = fresh("up")
    assert first["changed"]
    assert first["healthy"]
    began = time.monotonic()
    second = fresh("up")
    assert time.monotonic() - began < 2, "a healthy stack answers fast"
    assert (second["changed"], second["reasons"]) == (False, [])
    assert pids(second) == pids(first)
    assert second["stack_id"] == first["stack_id"]
    assert fresh("status")["healthy"]
    assert {row["state"] for row in second["services"].values()} == {"running"}
    assert all(len(row["image_id"]) == 64 for row in second["services"].values())


def test_down_leaves_no_process_and_no_port_but_the_data(fresh: Cli) -> None:
    up = fresh("up")
    assert post_job(up) == 1
    down = fresh("down")
    assert down["changed"]
    assert fresh.left() == []
    assert not any(is_open(row["port"]) for row in up["services"].values())
    assert not any(processes.birth(pid) for pid in pids(up).values())
    assert fresh("down")["changed"] is False
    assert fresh("status", code=12)["healthy"] is False
    again = fresh("up")
    assert again["stack_id"] == up["stack_id"]
    assert [row["port"] for row in again["services"].values()] == [row["port"] for row in up["services"].values()]
    assert post_job(again) == 2
    fresh("down", "--volumes")
    assert not (fresh.home / "volumes").exists()
    assert post_job(fresh("up")) == 1


def test_down_of_a_stack_that_never_was_makes_no_folder(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "nothing")
    assert cli("down", "--volumes")["changed"] is False
    assert cli("status", code=12)["services"]["api"]["state"] == "absent"
    assert cli("up", "--check")["changed"] is True
    assert list(tmp_path.iterdir()) == []


def test_a_killed_service_is_replaced_and_the_others_are_left_alone(cli: Cli) -> None:
    before = cli("up")
    jobs = post_job(before)
    for name in SERVICES:
        os.kill(before["services"][name]["pid"], signal.SIGKILL)
        while processes.birth(before["services"][name]["pid"]):
            time.sleep(0.01)
        assert cli("status", code=12)["services"][name]["state"] == "dead"
        assert reasons(cli("up", "--check")) == [f"{name}: state"]
        after = cli("up")
        assert [key for key in SERVICES if pids(after)[key] != pids(before)[key]] == [name]
        assert after["services"][name]["restarts"] == before["services"][name]["restarts"] + 1
        before = after
    assert post_job(before) == jobs + 1


def test_a_service_that_hangs_is_replaced(cli: Cli) -> None:
    before = cli("up")
    os.kill(before["services"]["redis"]["pid"], signal.SIGSTOP)
    after = cli("up")
    assert reasons(after) == ["redis: state"]
    assert "no answer" in after["reasons"][0]["current"]
    assert not processes.birth(before["services"]["redis"]["pid"])


@pytest.mark.parametrize("record", [b'{"schema": "rehearsal/sta', None], ids=["torn record", "lost record"])
def test_a_stack_without_its_record_is_taken_over(cli: Cli, record: bytes | None) -> None:
    before = cli("up")
    jobs = post_job(before)
    (cli.home / "state.json").unlink()
    if record is not None:
        (cli.home / "state.json").write_bytes(record)
    after = cli("up")
    assert after["healthy"]
    assert not set(pids(before).values()) & set(pids(after).values())
    assert not any(processes.birth(pid) for pid in pids(before).values())
    assert post_job(after) == jobs + 1


def test_a_pid_that_the_system_gave_to_someone_else_is_not_touched(cli: Cli) -> None:
    cli("up")
    cli("down")
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            state = json.loads((cli.home / "state.json").read_text())
            state["services"]["api"].update(pid=innocent.pid, born=processes.birth(os.getpid()))
            (cli.home / "state.json").write_text(json.dumps(state))
            # PostgreSQL itself would take that pid for a server of its own and refuse to start.
            (cli.home / "volumes" / "postgres" / "postmaster.pid").write_text(f"{innocent.pid}\n")
            assert cli("status", code=12)["services"]["api"]["state"] == "dead"
            assert cli("up")["healthy"]
            cli("down")
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_an_up_that_was_killed_half_way_is_completed(fresh: Cli) -> None:
    for seconds in (0.25, 0.4, 0.6):
        with subprocess.Popen(fresh.command("up"), cwd=ROOT, stdout=subprocess.DEVNULL) as half:
            time.sleep(seconds)
            half.kill()
    assert post_job(fresh("up")) == 1
    assert len([line for line in fresh.left() if "bin/postgres" in line]) == 1


def test_two_commands_at_once_make_one_stack(cli: Cli) -> None:
    cli("down")
    with contextlib.ExitStack() as both:
        running = [
            both.enter_context(subprocess.Popen(cli.command("up"), cwd=ROOT, stdout=subprocess.PIPE)) for _ in range(2)
        ]
        reports = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert sorted(report["changed"] for report in reports) == [False, True]
    assert pids(reports[0]) == pids(reports[1])


def test_two_clones_do_not_meet_even_when_one_was_copied_from_the_other(tmp_path: Path) -> None:
    one, two = Cli(tmp_path / "one"), Cli(tmp_path / "two")
    try:
        first = one("up")
        shutil.copytree(one.home, two.home, ignore=shutil.ignore_patterns("volumes"))
        assert two("down")["changed"] is False
        second = two("up")
        assert second["stack_id"] != first["stack_id"]
        ports = [row["port"] for report in (first, second) for row in report["services"].values()]
        assert len(set(ports)) == 8
        two("down")
        assert one("status")["healthy"]
        assert pids(one("up")) == pids(first)
    finally:
        one("down", "--volumes")
        two("down", "--volumes")


def test_a_configured_port_is_kept_and_refused_when_it_is_taken(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = cli("up", "--port", f"api={port}", code=13)
        assert f"port {port} of api: found another process that listens on it" in refused["msg"]
        assert "--port api=N" in refused["msg"]
    assert cli("up", "--port", f"api={port}")["services"]["api"]["port"] == port
    assert cli("up")["changed"] is False
    cli("down")
    with socket.create_server(("127.0.0.1", port)):
        cli("up", code=13)
        assert cli("up", "--port", "api=0")["services"]["api"]["port"] != port


def test_a_port_on_record_that_someone_took_is_replaced_for_all_who_use_it(cli: Cli) -> None:
    before = cli("up")
    os.kill(before["services"]["redis"]["pid"], signal.SIGKILL)
    port = before["services"]["redis"]["port"]
    while is_open(port):
        time.sleep(0.01)
    with socket.create_server(("127.0.0.1", port)):
        after = cli("up")
    assert after["services"]["redis"]["port"] != port
    assert [name for name in SERVICES if pids(after)[name] == pids(before)[name]] == ["postgres", "edge"]
    assert str(after["services"]["redis"]["port"]) in after["services"]["api"]["settings"]["REDIS_URL"]


def test_a_service_that_cannot_start_ends_in_one_sentence_with_its_last_words(cli: Cli) -> None:
    cli("up")
    refused = cli("up", code=12, REHEARSAL_FAULTS="refuse")
    assert refused["msg"].startswith("service api: found it ended with code 1")
    assert "api: found unknown fault refuse, need one it has" in refused["msg"]
    assert "Next: " in refused["msg"]
    assert "\n" not in refused["msg"]
    healed = cli("up")
    assert healed["healthy"]
    assert reasons(healed) == ["api: state"]


def test_a_fault_of_the_edge_restarts_the_edge_alone(cli: Cli) -> None:
    before = cli("up")
    after = cli("up", REHEARSAL_FAULTS="edge_404")
    assert [name for name in SERVICES if pids(after)[name] != pids(before)[name]] == ["edge"]
    assert after["reasons"] == [{"name": "edge: EDGE_FAULTS", "current": "", "desired": "edge_404"}]


@pytest.mark.parametrize("fault", ["edge_x", "edge_404@3", "gremlins", "slow@0"])
def test_an_unknown_fault_is_bad_input_and_touches_nothing_that_runs(cli: Cli, fault: str) -> None:
    before = cli("up")
    command = [word for word in cli.command("up") if word not in ("--app", "tests.rehearsal.tiny.api:create_app")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "REHEARSAL_FAULTS": fault}, capture_output=True, text=True, timeout=120
    )
    refused = json.loads(done.stdout)
    assert (done.returncode, refused["exit_code"]) == (13, 13)
    assert refused["msg"].startswith(f"REHEARSAL_FAULTS: found {fault}, need names out of all_blocked, database_gone, ")
    assert "edge_404, edge_html_on_api" in refused["msg"]
    assert pids(cli("status")) == pids(before)


def test_environment_files_go_before_defaults_and_the_command_goes_before_the_files(cli: Cli) -> None:
    assert environment_of(cli("up"))["USE_STUBS"] == "false"
    example = (cli.home / ".env.example").read_text()
    assert f"DAY3_API_URL={cli('status')['endpoints']['api_url']}/api/validate/" in example
    (cli.home / ".env").write_text("USE_STUBS=true\nENVIRONMENT=production\nDAY3_API_TOKEN=canary\nAPI_KEY=canary\n")
    report = cli("up")
    assert reasons(report) == ["api: API_KEY", "api: ENVIRONMENT", "api: USE_STUBS"]
    assert "canary" not in json.dumps(report)
    assert environment_of(report) == {
        "USE_STUBS": "true",
        "ENVIRONMENT": "production",
        "REHEARSAL_FAULTS": "",
        "RATE_LIMIT_ANONYMOUS": "6000",
        "DAY3_API_TOKEN": None,
    }
    (cli.home / "override.env").write_text("USE_STUBS=false\n")
    assert environment_of(cli("up"))["USE_STUBS"] == "false"
    assert environment_of(cli("up", USE_STUBS="true"))["USE_STUBS"] == "true"


def test_the_processes_are_detached_from_their_caller(cli: Cli) -> None:
    cli("down")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    with subprocess.Popen(cli.command("up"), cwd=ROOT, stdout=subprocess.PIPE, close_fds=False) as process:
        report = json.loads(process.communicate(timeout=60)[0])
    os.close(write)
    assert os.read(read, 1) == b"", "a service still holds a descriptor of the caller"
    os.close(read)
    assert all(os.getsid(pid) == pid for pid in pids(report).values())


def test_nobody_else_can_read_the_password_or_log_in_without_it(cli: Cli) -> None:
    report = cli("up")
    secret = (cli.home / "password").read_text()
    assert stat.S_IMODE((cli.home / "password").stat().st_mode) == 0o600
    shown = json.dumps(report) + (cli.home / "state.json").read_text() + "".join(cli.left())
    assert secret not in shown
    place = report["endpoints"]["postgres"]
    words = f"host=127.0.0.1 port={place['port']} user={place['user']} dbname={place['dbname']}"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"{words} password=wrong")
    with psycopg.connect(words, password=secret) as session:
        assert session.execute("show listen_addresses").fetchone() == ("127.0.0.1",)


def test_dump_writes_the_jobs_and_wakes_a_sleeping_database_for_it(cli: Cli, tmp_path: Path) -> None:
    nothing = Cli(tmp_path / "never up")("dump", str(tmp_path / "dump.sql"), code=13)
    assert "dump of lcopilot: found no database" in nothing["msg"]
    post_job(cli("up"))
    for target in (tmp_path / "dump.sql", tmp_path / "new folder" / "dump 2.sql"):
        report = cli("dump", str(target))
        assert "a job" in target.read_text()
        assert report["bytes"] == target.stat().st_size
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        cli("down")
    assert cli.left() == []


def test_restart_of_one_service_leaves_the_others_alone(cli: Cli) -> None:
    before = cli("up")
    assert pids(cli("restart", "--service", "api", "--check")) == pids(before)
    after = cli("restart", "--service", "api")
    assert after["changed"]
    assert [name for name in SERVICES if pids(after)[name] != pids(before)[name]] == ["api"]
    assert after["services"]["api"]["restarts"] == before["services"]["api"]["restarts"]
    assert after["services"]["api"]["log_offset"] > 0


def test_a_lost_password_is_said_before_anything_is_started(cli: Cli) -> None:
    cli("up")
    cli("down")
    (cli.home / "password").rename(cli.home / "kept")
    said = cli("up", code=13)["msg"]
    assert "found no file, but a database that was made with it" in said
    assert "down --volumes" in said
    assert cli.left() == []
    (cli.home / "kept").rename(cli.home / "password")
    assert cli("up")["healthy"]
