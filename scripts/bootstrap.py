"""Make ``.venv`` and ``collections`` what the pinned files say, and nothing when they already are.

Standard library only: it runs before anything is installed. What is written last is the stamp, so that an
installation that failed or was killed is never taken for a finished one; a lock keeps two starts apart.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BAD_CONFIGURATION = 13
#: Galaxy answers in a second or is not to be had; the wheel is the other way to the same files.
GALAXY_TIMEOUT_S = 30
RUNTIME, DEVELOPMENT, WHEEL, GALAXY = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-collections.txt",
    "requirements.yml",
)

Call = Callable[..., subprocess.CompletedProcess[str]]


class SetupFailed(Exception):
    """An installation step failed; the text is the sentence to print."""


@dataclass(frozen=True)
class Setup:
    """What a repository needs, where it lies, and how commands are started."""

    root: Path
    call: Call = subprocess.run

    @property
    def venv(self) -> Path:
        """The virtual environment, beside ``run``."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.venv / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """What ``.venv`` was made from; inside it, so that removing one removes both."""
        return self.venv / "solidgreen.json"

    @property
    def unfinished(self) -> Path:
        """Lies there while pip writes: found at a start, it means that pip was killed."""
        return self.venv / "solidgreen-unfinished"

    @property
    def collections_stamp(self) -> Path:
        """What ``collections`` was made from."""
        return self.root / "collections" / "solidgreen.json"

    def digest(self, *names: str) -> str:
        """Return the SHA-256 over the named files of the repository, in hex."""
        state = hashlib.sha256()
        for name in names:
            data = (self.root / name).read_bytes()
            state.update(f"{name} {len(data)}\n".encode() + data)
        return state.hexdigest()

    def wanted(self, *, dev: bool) -> dict[str, str]:
        """Return the stamp of an environment that needs nothing: its place, its interpreter, and digests."""
        return {
            "path": str(self.venv),
            "interpreter": str(self.python.resolve()),
            "core": self.digest("pyproject.toml"),
            RUNTIME: self.digest(RUNTIME),
            **({DEVELOPMENT: self.digest(DEVELOPMENT)} if dev else {}),
        }

    def missing(self, *, dev: bool) -> list[str]:
        """Return what has to be made, by name; empty when all is as the pinned files say."""
        have = read_stamp(self.stamp)
        parts = [key for key, value in self.wanted(dev=dev).items() if have.get(key) != value]
        if self.unfinished.exists():
            parts.append("unfinished")
        if read_stamp(self.collections_stamp).get("digest") != self.digest(GALAXY, WHEEL):
            parts.append("collections")
        return parts

    def run(self, what: str, command: list[str | Path], *, timeout_s: float | None = None) -> None:
        """Run *command*; what it prints goes to standard error.

        :raises SetupFailed: it ended with another code than 0, or was not there
        """
        try:
            ended = self.call([str(part) for part in command], cwd=self.root, stdout=sys.stderr, timeout=timeout_s)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupFailed(f"{what}: {error}") from error
        if ended.returncode:
            raise SetupFailed(f"{what}: {Path(str(command[0])).name} ended with {ended.returncode}")

    def make(self, *, dev: bool) -> None:
        """Make what is missing. The caller holds the lock."""
        parts = set(self.missing(dev=dev))
        if parts - {"collections"}:
            have = read_stamp(self.stamp)
            # Moved, on another interpreter, or left by a kill: its files cannot be trusted.
            if (have and {"path", "interpreter"} & parts) or "unfinished" in parts or not self.works():
                say(f"makes {self.venv}")
                self.run("virtual environment", [sys.executable, "-m", "venv", "--clear", self.venv])
            # Once there, the development tools stay: they are brought along with every change.
            self.install(dev=dev or DEVELOPMENT in have)
        if "collections" in parts:
            self.make_collections()

    def works(self) -> bool:
        """Tell whether the environment's interpreter starts and has pip."""
        if not self.python.exists():
            return False
        command = [str(self.python), "-I", "-c", "import pip"]
        return self.call(command, capture_output=True, text=True).returncode == 0

    def install(self, *, dev: bool) -> None:
        """Install the pinned packages and the core, editable; the stamp comes last."""
        files = [RUNTIME, *([DEVELOPMENT] if dev else [])]
        say(f"installs {' and '.join(files)} (a minute the first time)")
        pip: list[str | Path] = [self.python, "-m", "pip", "install", "--quiet", "--no-input"]
        pip.append("--disable-pip-version-check")
        wanted = [part for name in files for part in ("--requirement", name)]
        self.unfinished.touch()
        try:
            self.run("packages", [*pip, "--require-hashes", *wanted])
            self.run("core", [*pip, "--no-deps", "--no-build-isolation", "--editable", "."])
        except SetupFailed:
            self.unfinished.unlink()  # pip has put back what it began
            raise
        self.unfinished.unlink()
        write_stamp(self.stamp, self.wanted(dev=dev))

    def make_collections(self) -> None:
        """Put the pinned collections under ``collections``: from Galaxy, else out of the pinned wheel."""
        say("makes community.docker available")
        work = self.root / ".solidgreen" / "collections"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            source = "galaxy"
            if not self.from_galaxy(work):
                shutil.rmtree(work)
                source = self.from_wheel(work)
            versions = check_versions(work / "ansible_collections", pinned(self.root / GALAXY))
            target = self.root / "collections"
            shutil.rmtree(target, ignore_errors=True)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        stamp = {"digest": self.digest(GALAXY, WHEEL), "source": source, **versions}
        write_stamp(self.collections_stamp, stamp)

    def from_galaxy(self, work: Path) -> bool:
        """Ask Galaxy; False when it cannot be reached, which is no failure."""
        command = [self.python, "-m", "ansible", "galaxy", "collection", "install", "--no-cache", "--timeout", "5"]
        command += ["--requirements-file", self.root / GALAXY, "--collections-path", work]
        with tempfile.TemporaryFile("w+") as output:
            try:
                ended = self.call(
                    [str(part) for part in command],
                    cwd=self.root,
                    stdout=output,
                    stderr=output,
                    timeout=GALAXY_TIMEOUT_S,
                )
            except (OSError, subprocess.TimeoutExpired):
                return False
        return ended.returncode == 0

    def from_wheel(self, work: Path) -> str:
        """Unpack the pinned collections, and only those, from the pinned wheel; return the wheel's name."""
        prefixes = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in pinned(self.root / GALAXY))
        with tempfile.TemporaryDirectory() as download:
            command: list[str | Path] = [self.python, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
            command += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
            self.run("collections", [*command, "--requirement", WHEEL, "--dest", download])
            (wheel,) = Path(download).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                members = [name for name in archive.namelist() if name.startswith(prefixes)]
                archive.extractall(work, members)
            return wheel.name


def pinned(requirements: Path) -> dict[str, str]:
    """Return name and version of each collection of a ``requirements.yml`` of ours, read without a YAML library."""
    text = requirements.read_text(encoding="utf-8")
    return dict(re.findall(r"^\s*- name:\s*(\S+)\n\s*version:\s*(\S+)$", text, flags=re.MULTILINE))


def check_versions(folder: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the versions found below *folder*.

    :raises SetupFailed: one is missing or differs from the pin
    """
    for name, version in wanted.items():
        path = folder / name.replace(".", "/") / "MANIFEST.json"
        found = json.loads(path.read_bytes())["collection_info"]["version"] if path.exists() else "nothing"
        if found != version:
            raise SetupFailed(f"collection {name}: found {found}, need {version}")
    return dict(wanted)


def read_stamp(path: Path) -> dict[str, Any]:
    """Return what a stamp holds; a missing or torn one holds nothing."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_stamp(path: Path, value: Mapping[str, str]) -> None:
    """Write a stamp so that a reader sees all of it or none."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def say(text: str) -> None:
    """Print one line about the setup; standard output belongs to the verb."""
    print(f"setup {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None, setup: Setup | None = None) -> int:
    """Set up, or find that nothing is missing; return 0, or 13 after a sentence."""
    parser = argparse.ArgumentParser(prog="bootstrap", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what test, lint and bench need")
    dev = parser.parse_args(arguments).dev
    setup = setup or Setup(ROOT)
    if not setup.missing(dev=dev):
        return 0
    started = time.monotonic()
    lock = setup.root / ".solidgreen" / "setup.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with lock.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waits for another setup of this folder")
                fcntl.flock(handle, fcntl.LOCK_EX)
            setup.make(dev=dev)
    except SetupFailed as failed:
        print(f"setup failed: {failed}. Next: see the lines above, then the same command again", file=sys.stderr)
        return BAD_CONFIGURATION
    except KeyboardInterrupt:
        print("setup stopped. Next: the same command again goes on", file=sys.stderr)
        return 130
    say(f"done in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
