"""Processes that outlive the command that started them: start, recognise, end.

A process is recognised by its pid *and* the moment it was born, so a pid that the system gave away again is nobody of
ours. On Linux every process that still writes to a service's log belongs to that service, recorded or not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LINUX = sys.platform.startswith("linux")
ROTATE_AT = 5_000_000


def birth(pid: int) -> str:
    """Return a text that only this process of this boot has, or an empty one when there is no such live process."""
    if pid <= 0:
        return ""
    if not LINUX:
        import psutil  # /proc tells the same without loading it

        try:
            process = psutil.Process(pid)
            return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
        except psutil.Error:
            return ""
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if words[0] in "ZX" else f"{boot}:{words[19]}"


def alive(pid: int, born: str) -> bool:
    """Tell whether the process that was recorded still runs."""
    return bool(born) and birth(pid) == born


def writers(log: Path) -> list[int]:
    """Return the processes whose standard output is that log, also when it was removed meanwhile; Linux only."""
    found = []
    names = {str(log), f"{log} (deleted)"}
    for entry in Path("/proc").glob("[0-9]*") if LINUX else ():
        with contextlib.suppress(OSError):
            if str((entry / "fd" / "1").readlink()) in names and birth(int(entry.name)):
                found.append(int(entry.name))
    return found


def spawn(
    command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str], stdin: str = "", demoted: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that holds nothing of ours but its log.

    :param stdin: text it may read once, for what should stand neither in its arguments nor on disk
    :param demoted: when we are root, run it as ``nobody``
    """
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own services
            list(command),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
            preexec_fn=demotion() if demoted else None,
        )
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin.encode())
    return process


def end(log: Path, pid: int, born: str, *, how: signal.Signals = signal.SIGTERM, patience: float = 8.0) -> bool:
    """End a recorded process and every other that writes to its log; return whether there was one.

    It is asked first, then, when *patience* seconds are over, killed.
    """
    asked: dict[int, str] = {}
    deadline = time.monotonic() + patience
    killed = False
    while True:
        left = {number: birth(number) for number in writers(log)}
        if alive(pid, born):
            left[pid] = born
        if not left:
            return bool(asked)
        if not killed and time.monotonic() > deadline:
            killed, how, asked = True, signal.SIGKILL, dict.fromkeys(asked, "")
        # Children get no request of their own while their parent still winds down.
        targets = [pid] if pid in left and not killed else list(left)
        for number in targets:
            if left[number] and asked.get(number) != left[number]:
                asked[number] = left[number]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, how)
                    os.kill(number, signal.SIGCONT)  # a stopped process hears nothing but this and SIGKILL
        if killed and time.monotonic() > deadline + patience:
            return True
        time.sleep(0.01)


def rotate(log: Path) -> None:
    """Put a log that has grown large aside; the one before is dropped."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > ROTATE_AT:
            log.replace(log.with_name(f"{log.name}.1"))


def last_lines(log: Path, count: int = 3, offset: int = 0) -> str:
    """Return the last lines written after *offset* on one line, at most 600 characters; indented ones tell less."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(offset, log.stat().st_size - 8192))
            lines = handle.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return " | ".join([line.strip() for line in lines if line.strip() and not line[0].isspace()][-count:])[-600:]


def unprivileged_ids() -> tuple[int, int] | None:
    """Return user and group of ``nobody`` when we are root, else None."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def demotion() -> Callable[[], None] | None:
    """Return what a child of root does to become ``nobody`` before it runs its program; None when we are not root.

    PostgreSQL refuses to run as root, yet its program and data may lie where only root may look, below ``/root`` for
    instance. So the child keeps one capability, to pass file permissions, instead of our opening those folders to all
    or adding a user to the machine.
    """
    ids = unprivileged_ids()
    if ids is None:
        return None
    libc = ctypes.CDLL(None, use_errno=True) if LINUX else None
    dac_override = 1 << 1
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (ctypes.c_uint32 * 6)(dac_override, dac_override, dac_override, 0, 0, 0)

    def become_nobody() -> None:
        if libc:
            libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        os.setgroups([])
        os.setgid(ids[1])
        os.setuid(ids[0])
        if libc and libc.capset(header, sets) == 0:
            libc.prctl(47, 2, 1, 0, 0)  # PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE

    return become_nobody
