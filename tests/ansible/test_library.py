"""Modules are documentation first: what they take, return and support is said, and said truly."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(ROOT.glob("library/day3_*.py"))


def constants(path: Path) -> dict[str, str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_documents_itself_before_it_imports(path):
    told = constants(path)
    assert set(told) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    documentation = yaml.safe_load(told["DOCUMENTATION"])
    assert documentation["module"] == path.stem
    assert {"check_mode", "diff_mode"} <= set(documentation["attributes"])
    assert yaml.safe_load(told["EXAMPLES"])
    assert yaml.safe_load(told["RETURN"])


class Captured(Exception):
    """Carries the argument spec a module hands to Ansible."""


def arguments(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    def capture(argument_spec, **_):
        raise Captured(argument_spec)

    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule", capture)
    with pytest.raises(Captured) as caught:
        runpy.run_path(str(path), run_name="__main__")
    return caught.value.args[0]


def differences(spec: dict, documented: dict, where: str = "") -> list[str]:
    """Return every place where what a module takes and what it documents disagree."""
    found = [f"{where}{name}: only one of both" for name in set(spec) ^ set(documented)]
    for name in set(spec) & set(documented):
        taken, told = spec[name], documented[name]
        pairs = {
            "type": (taken.get("type", "str"), told.get("type", "str")),
            "elements": (taken.get("elements"), told.get("elements")),
            "required": (taken.get("required", False), told.get("required", False)),
            "default": (taken.get("default"), told.get("default")),
            "choices": (list(taken["choices"]) if "choices" in taken else None, told.get("choices")),
        }
        found += [f"{where}{name}.{key}: takes {a!r}, says {b!r}" for key, (a, b) in pairs.items() if a != b]
        found += differences(taken.get("options", {}), told.get("suboptions", {}), f"{where}{name}.")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_option_is_documented_as_it_is_taken(path, monkeypatch):
    documented = yaml.safe_load(constants(path)["DOCUMENTATION"]).get("options", {})
    assert differences(arguments(path, monkeypatch), documented) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_stays_thin(path):
    lines = path.read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(("from ", "import ")))
    assert len([line for line in lines[first:] if line.strip()]) <= 150
