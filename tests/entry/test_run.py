"""The first thing a stranger types: ./run, from any folder, on a machine with nothing but Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts import bootstrap

ROOT = Path(__file__).resolve().parents[2]
PINS = {"community.docker": "4.8.5", "community.library_inventory_filtering_v1": "1.1.5"}


def copy(tmp_path: Path) -> Path:
    """Lay what ./run needs into a folder with a space in its name."""
    root = tmp_path / "a clone"
    (root / "scripts").mkdir(parents=True)
    for name in ("run", "scripts/bootstrap.py", "pyproject.toml", "requirements.yml", "requirements-collections.txt"):
        shutil.copy(ROOT / name, root / name)
    (root / "requirements.txt").write_text("# runtime\n")
    (root / "requirements-dev.txt").write_text("# development\n")
    return root


class Commands:
    """Stands for pip, venv and Galaxy: keeps what was asked for and does as little as they would have to."""

    def __init__(self, root: Path, *, failing: str = "", seconds: float = 0, version: str = "4.8.5") -> None:
        self.root, self.failing, self.seconds, self.version = root, failing, seconds, version
        self.asked: list[str] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        words = " ".join(command)
        kind = next(
            name
            for name, sign in {
                "venv": "-m venv",
                "works": "import pip",
                "core": "--editable",
                "galaxy": "galaxy",
                "wheel": "pip download",
                "packages": "pip install",
            }.items()
            if sign in words
        )
        if kind == "packages" and "requirements-dev.txt" in words:
            kind = "packages+dev"
        self.asked.append(kind + ("!" if "--clear" in command else ""))
        time.sleep(self.seconds)
        if kind == self.failing:
            return subprocess.CompletedProcess(command, 1)
        if kind == "venv":
            python = self.root / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)
            (self.root / ".venv" / "solidgreen-unfinished").unlink(missing_ok=True)
        if kind == "wheel":
            self._wheel(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 1 if kind == "galaxy" else 0)

    def _wheel(self, folder: Path) -> None:
        with zipfile.ZipFile(folder / "ansible-1-py3-none-any.whl", "w") as archive:
            for name, version in {**PINS, "community.docker": self.version, "community.dockerish": "9"}.items():
                info = {"collection_info": {"version": version}}
                archive.writestr(f"ansible_collections/{name.replace('.', '/')}/MANIFEST.json", json.dumps(info))
            archive.writestr("ansible_collections/cisco/ios/MANIFEST.json", "{}")


def start(root: Path, *arguments: str, **options: Any) -> tuple[int, list[str]]:
    commands = Commands(root, **options)
    return bootstrap.main(list(arguments), bootstrap.Setup(root, call=commands)), commands.asked


ALL = ["works", "venv!", "packages", "core", "galaxy", "wheel"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy(tmp_path)


def test_the_first_start_makes_everything_and_the_second_nothing(clone: Path) -> None:
    assert start(clone) == (0, ALL[1:])
    assert start(clone) == (0, [])


def test_development_tools_come_only_when_asked_for_and_then_stay(clone: Path) -> None:
    start(clone)
    assert start(clone, "--dev") == (0, ["works", "packages+dev", "core"])
    (clone / "requirements.txt").write_text("# changed\n")
    assert start(clone) == (0, ["works", "packages+dev", "core"])
    assert start(clone, "--dev") == (0, [])


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("requirements.txt", ["works", "packages", "core"]),
        ("pyproject.toml", ["works", "packages", "core"]),
        ("requirements.yml", ["galaxy", "wheel"]),
        ("requirements-collections.txt", ["galaxy", "wheel"]),
        ("requirements-dev.txt", []),
    ],
)
def test_only_what_changed_is_made_again(clone: Path, name: str, asked: list[str]) -> None:
    start(clone)
    with (clone / name).open("a") as handle:
        handle.write("\n# a change\n")
    assert start(clone) == (0, asked)


@pytest.mark.parametrize("step", ["venv", "packages", "core", "wheel"])
def test_a_step_that_failed_says_so_and_is_done_by_the_next_start(
    clone: Path, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = start(clone, failing=step)
    assert code == 13
    assert re.search(r"setup failed: .* ended with 1\. Next: .*the same command again", capsys.readouterr().err)
    code, asked = start(clone)
    assert code == 0
    assert step in [name.rstrip("!") for name in asked]
    assert start(clone) == (0, [])


def test_an_environment_that_was_left_by_a_kill_is_made_from_nothing(clone: Path) -> None:
    start(clone)
    (clone / ".venv" / "solidgreen-unfinished").touch()
    assert start(clone) == (0, ["venv!", "packages", "core"])


def test_a_moved_folder_gets_an_environment_of_its_own(clone: Path) -> None:
    start(clone)
    moved = clone.rename(clone.with_name("another place"))
    assert start(moved) == (0, ["venv!", "packages", "core"])


def test_a_stamp_that_is_torn_counts_for_nothing(clone: Path) -> None:
    start(clone)
    (clone / ".venv" / "solidgreen.json").write_text('{"path": "')
    assert start(clone) == (0, ["works", "packages", "core"])


def test_of_the_wheel_only_what_is_pinned_is_unpacked(clone: Path) -> None:
    start(clone)
    manifests = sorted((clone / "collections").rglob("MANIFEST.json"))
    assert [".".join(path.parts[-3:-1]) for path in manifests] == sorted(PINS)


def test_a_wheel_with_another_version_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = start(clone, version="4.8.1")
    assert code == 13
    assert "collection community.docker: found 4.8.1, need 4.8.5" in capsys.readouterr().err
    assert not (clone / "collections").exists()


def test_two_starts_at_once_install_once(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[tuple[int, list[str]]] = []
    workers = [threading.Thread(target=lambda: ended.append(start(clone, seconds=0.1))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(ended) == [(0, []), (0, ALL[1:])]
    assert "waits for another setup of this folder" in capsys.readouterr().err


# ── the script itself ──


def shell(root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(root / "run"), *arguments],
        cwd=cwd or root,
        env={"PATH": os.environ["PATH"], "HOME": str(root), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


INVOKE = """#!/bin/sh
echo "HOME=$HOME"
echo "CONFIG=$ANSIBLE_CONFIG"
for word in "$@"; do echo "[$word]"; done
"""


@pytest.fixture
def made(clone: Path) -> Path:
    """A folder that is set up, with an invoke that only tells how it was called."""
    start(clone, "--dev")
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(
        '#!/bin/sh\necho "HOME=$HOME"\necho "CONFIG=$ANSIBLE_CONFIG"\nfor word in "$@"; do echo "[$word]"; done\n'
    )
    python.chmod(0o755)
    stamp = clone / ".venv" / "solidgreen.json"
    stamp.write_text(json.dumps(bootstrap.Setup(clone).wanted(dev=True)))
    return clone


def empty_path(tmp_path: Path, **programs: str) -> str:
    """Return a PATH with the few tools the script itself needs and the given programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "dirname", "readlink", "mkdir"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("programs", "sentence"),
    [
        ({}, "Python: found none on PATH, need Python >= 3.11 with venv. Next: install Python 3.11 or newer"),
        ({"python3": "exit 1"}, "Python: found none on PATH, need Python >= 3.11 with venv."),
        ({"python3": "exit 127", "python3.12": "exit 1"}, "Python: found none on PATH"),
        ({"python3": "exit 3"}, "Python: found python3 without the venv module, need Python >= 3.11 with venv."),
    ],
    ids=["no python", "an old python", "a shim without a version", "a python without venv"],
)
def test_without_a_python_that_will_do_one_sentence_says_so(
    made: Path, tmp_path: Path, programs: dict[str, str], sentence: str
) -> None:
    done = shell(made, "go", PATH=empty_path(tmp_path, **programs))
    assert (done.returncode, done.stdout) == (13, "")
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr


def test_the_verb_reaches_the_menu_word_by_word_from_any_folder(made: Path, tmp_path: Path) -> None:
    done = shell(made, "go", "--fix", "two words", "--env", "$HOME", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = re.findall(r"^\[(.*)\]$", done.stdout, flags=re.MULTILINE)
    assert words == [f"{made}/scripts/program.py", "go", "--fix", "two words", "--env", "$HOME"]
    assert f"CONFIG={made}/ansible.cfg" in done.stdout
    assert done.stderr == ""


def test_a_link_to_the_script_finds_its_folder(made: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made / "run")
    (tmp_path / "run").symlink_to("link")
    done = shell(tmp_path, "status", cwd=Path("/"))
    assert f"[{made}/scripts/program.py]" in done.stdout


@pytest.mark.parametrize("home", ["", "/nowhere/at/all"], ids=["empty", "missing"])
def test_without_a_home_tools_write_beside_us(made: Path, home: str) -> None:
    done = shell(made, "status", HOME=home)
    assert f"HOME={made}/.solidgreen/home" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_verb_the_menu_is_printed(made: Path, arguments: tuple[str, ...]) -> None:
    assert shell(made, *arguments).stdout.endswith("[--list]\n")


def test_a_setup_that_failed_ends_the_script(made: Path) -> None:
    (made / "requirements.txt").unlink()
    done = shell(made, "go")
    assert done.returncode != 0
    assert "[go]" not in done.stdout


# ── what is pinned ──


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-collections.txt"])
def test_every_requirement_is_pinned_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    pinned = re.compile(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+")
    assert entries != []
    assert [entry for entry in entries if not pinned.fullmatch(entry)] == []
    assert not re.search(r"://|--index|--find-links|--trusted", text)


def test_both_ways_to_the_collections_carry_the_same_pins() -> None:
    assert bootstrap.pinned(ROOT / "requirements.yml") == PINS
    assert bootstrap.check_versions(ROOT / "collections" / "ansible_collections", PINS) == PINS
