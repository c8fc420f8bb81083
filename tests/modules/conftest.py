"""Runs a module of ``library/`` really, in this process, the way Ansible hands it its arguments."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "library"

# Ansible bundles module_utils/ under this package; here the folder joins its search path.
if str(ROOT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

RunModule = Callable[..., dict[str, Any]]


def execute(name: str, params: Mapping[str, Any], *, check: bool = False, diff: bool = False) -> dict[str, Any]:
    """Return what the module prints; ``rc`` is the exit code of its process, ``failed`` is always there."""
    arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
    printed = io.StringIO()
    code: Any = None
    with patch_module_args(arguments), contextlib.redirect_stdout(printed):
        try:
            runpy.run_path(str(LIBRARY / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code
    lines = printed.getvalue().strip().splitlines()
    assert lines, f"{name} ended without a result"
    result: dict[str, Any] = json.loads(lines[-1])
    result.setdefault("failed", False)
    return {**result, "rc": code}


@pytest.fixture(name="run_module")
def run_module_fixture() -> RunModule:
    """Return ``run_module(name, params, check=False, diff=False) -> dict``."""

    def run(name: str, params: Mapping[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
        return execute(name, params, check=check, diff=diff)

    return run
