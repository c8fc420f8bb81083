"""Roles keep their promises: spec and defaults agree, pages are written from the spec, names carry their role."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(path: Path):
    return yaml.safe_load(path.read_text("utf-8"))


def options(role: str) -> dict:
    spec = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for entry in spec.values() for name, option in entry.get("options", {}).items()}


@pytest.mark.parametrize("role", ROLES)
def test_every_optional_input_has_its_default_and_every_default_its_spec(role):
    defaults = set(load(ROOT / "roles" / role / "defaults" / "main.yml") or {})
    optional = {name for name, option in options(role).items() if not option.get("required")}
    assert optional == defaults


@pytest.mark.parametrize("role", ROLES)
def test_required_inputs_have_no_default_but_stand_in_the_defaults_file_as_a_comment(role):
    text = (ROOT / "roles" / role / "defaults" / "main.yml").read_text("utf-8")
    commented = " ".join(re.findall(r"^# (.*)$", text, re.MULTILINE))
    required = [name for name, option in options(role).items() if option.get("required")]
    assert [name for name in required if name not in commented] == []


@pytest.mark.parametrize("role", ROLES)
def test_values_stand_in_the_defaults_never_in_the_spec(role):
    assert [name for name, option in options(role).items() if "default" in option] == []


@pytest.mark.parametrize("role", ROLES)
def test_inputs_carry_the_name_of_their_role_and_say_what_they_do(role):
    for name, option in options(role).items():
        assert name.startswith(f"{role}_")
        assert len(option["description"]) > 4


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_is_a_file_and_every_file_that_others_import_is_an_entry_point(role):
    spec = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    for entry in spec:
        assert (ROOT / "roles" / role / "tasks" / f"{entry}.yml").is_file()
    used = set()
    for path in [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        for match in re.finditer(rf"name: {role}\n\s+tasks_from: (\w+)", path.read_text("utf-8")):
            used.add(match[1])
    assert used <= set(spec)


def test_task_files_stay_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in ROOT.glob("roles/*/tasks/*.yml")
        if (lines := len(path.read_text("utf-8").splitlines())) > 75
    }
    assert long == {}


@pytest.mark.parametrize("script", ["role_readme.py", "plan_page.py"])
def test_pages_that_scripts_write_are_up_to_date(script):
    done = subprocess.run(
        [sys.executable, f"scripts/{script}", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("playbook", sorted(path.name for path in ROOT.glob("playbooks/*.yml")))
def test_playbooks_are_plays_and_roles_only(playbook):
    text = (ROOT / "playbooks" / playbook).read_text("utf-8")
    assert "gather_facts: false" in text or "import_playbook" in text
    for word in ("when:", "register:", "set_fact", "shell:", "loop:"):
        assert word not in text


@pytest.mark.parametrize("number", range(6))
def test_every_phase_begins_rescues_and_concludes(number):
    (path,) = ROOT.glob(f"playbooks/phase{number}_*.yml")
    plays = [play for play in load(path) if play["hosts"] == "day3_targets"]
    for play in plays:
        assert play["vars"]["cycle_phase"] == number
        (block,) = play["tasks"]
        assert block["rescue"][0]["ansible.builtin.import_role"] == {"name": "cycle", "tasks_from": "broken"}
    begun = [play["pre_tasks"][0]["ansible.builtin.import_role"] for play in plays]
    assert begun == [{"name": "cycle", "tasks_from": "begin"}, {"name": "cycle", "tasks_from": "go_on"}][: len(plays)]
    assert plays[-1]["post_tasks"][-1]["ansible.builtin.import_role"] == {"name": "cycle", "tasks_from": "conclude"}


def test_a_part_of_a_run_is_sent_as_the_whole_would_be():
    def sent(name):
        tasks = load(ROOT / "roles" / "batch" / "tasks" / name)
        return next(task["day3_batch"] for task in tasks if "day3_batch" in task)

    whole, part = sent("send.yml"), sent("shard_send.yml")
    # What only the cycle's own data root has: all cases, a journal, somebody who may see labels.
    here = {"cases", "journal", "early_stop"}
    assert set(whole) - here == set(part) - {"run_id", "shard", "early_stop"}
    paced = {name: value for name, value in whole.items() if "batch_pacing" in str(value)}
    assert {name: part[name].replace("__batch_part.pacing", "batch_pacing") for name in paced} == paced


def test_root_playbooks_are_shims():
    for name in ("go.yml", "rollback.yml"):
        assert len((ROOT / name).read_text("utf-8").splitlines()) == 3


def test_nothing_prompts_or_pauses():
    for path in [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        assert not re.search(r"vars_prompt|ansible\.builtin\.pause", path.read_text("utf-8")), path
