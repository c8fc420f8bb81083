"""The triage role in a real play: causes are said, what breaks it is said, and nothing it does fails the play."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml
from solidgreen import jsonio
from solidgreen.check import Check, Status
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
TASKS = [*ROOT.glob("roles/triage/tasks/*.yml"), *ROOT.glob("roles/cycle/tasks/*.yml")]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_every_template_of_a_task_can_be_read(path: Path) -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str):
            jinja2.Environment(autoescape=True).parse(value)

    walk(yaml.safe_load(path.read_text("utf-8")))


def play(folder: Path, **variables: object) -> tuple[int, str]:
    """Run the role over a phase 1 that failed over Redis; return exit code and output of ``ansible-playbook``."""
    root = DataRoot(folder / "data" / "day3")
    check = Check("redis", "Redis answers", Status.FAIL, "nothing listens on 127.0.0.1:6379", "PONG", "start it")
    verdict = {
        "phase": 1,
        "name": "infrastructure",
        "cycle_id": "c1",
        "status": "fail",
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:01:00Z",
        "checks": [check.to_dict()],
        "next": "start it",
    }
    jsonio.write_json(root.phase(1), verdict)
    role = {"ansible.builtin.include_role": {"name": "triage", "rolespec_validate": False}, "name": "Triage"}
    given = {"day3_data_root": str(root.root), "cycle_phase": 1, "stack_driver": "external", **variables}
    playbook = folder / "play.yml"
    playbook.write_text(
        json.dumps(
            [{"name": "Play", "hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [role]}],
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(playbook)],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_a_play_says_the_likely_cause_and_writes_it(tmp_path: Path) -> None:
    code, said = play(tmp_path)
    assert (code, "phase 1 (infrastructure), likely cause: Redis does not answer [Infra Lead]" in said) == (0, True)
    assert jsonio.read_json(DataRoot(tmp_path / "data" / "day3").triage(1))["causes"][0]["id"] == "cache-gone"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"triage_causes": "/nowhere/triage.yml"}, "triage /nowhere/triage.yml: found No such file or directory"),
        ({"triage_logs": "{{ no_such_thing }}"}, "no_such_thing"),
        ({"triage_logs": [{"path": "/x"}]}, "missing required arguments: service found in logs"),
    ],
    ids=["no causes", "an undefined input", "logs of another shape"],
)
def test_a_triage_that_breaks_is_said_and_the_play_goes_on(
    tmp_path: Path, variables: dict[str, object], words: str
) -> None:
    code, said = play(tmp_path, **variables)
    assert code == 0
    assert "no triage of phase 1, its verdict stands:" in said
    assert words in said.partition("its verdict stands:")[2]
