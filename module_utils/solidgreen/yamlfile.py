"""YAML that people edit: read once, checked against its JSON Schema, every fault named by its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from . import jsonio
from .errors import BadInput

#: The parser in C reads in a tenth of the time, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A YAML file that keeps its schema: ``data`` as written, and what leads from a value back to its line.

    :param noun: what the file is called in a sentence: ``policy``
    :param repair: what to do about a fault in it
    """

    path: Path
    noun: str
    repair: str
    sha256: str
    data: Any
    node: yaml.Node | None

    def line(self, *steps: Any) -> int:
        """Return the line of the value that *steps* lead to, or of the last of them that exists."""
        return line_of(self.node, steps)

    def fault(self, *steps: Any, found: str, need: str) -> BadInput:
        """Return the error of a value that cannot be, which its line names."""
        return self.fault_in(self.line(*steps), found=found, need=need)

    def fault_in(self, line: int, *, found: str, need: str) -> BadInput:
        """Return the error of a line that cannot be."""
        return BadInput(
            f"{self.noun} {self.path} line {line}", found=found, need=need, next_step=self.repair, line=line
        )


def read(path: Path, schema_path: Path, *, noun: str, repair: str) -> Document:
    """Return a YAML file that keeps the schema.

    :raises BadInput: the file is missing, is no YAML, has a key twice or a number that is not finite, or breaks the
        schema; the line is named
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{noun} {path}", found=error.strerror or "no file", need=f"a {noun} file", next_step="correct its path"
        ) from error
    blank = Document(path, noun, repair, jsonio.sha256_bytes(raw), None, None)
    try:
        node = yaml.compose(raw, Loader=LOADER)
        data = yaml.load(raw, Loader=LOADER)  # noqa: S506 - a safe loader, in C or in Python
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise blank.fault_in(line, found=f"{error.problem or 'text'}", need="YAML") from error
    except yaml.YAMLError as error:
        raise blank.fault_in(1, found="bytes that are no text", need="YAML in UTF-8") from error
    document = Document(path, noun, repair, blank.sha256, data, node)
    for steps, value in scalars(data):
        if isinstance(value, float) and not isfinite(value):
            raise document.fault(*steps, found=str(value), need="a finite number")
    for line, key in _duplicates(node):
        raise document.fault_in(line, found=f"the key {key!r} twice", need="each key once")
    schema = jsonio.read_json(schema_path)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(data), key=lambda e: [str(p) for p in e.path])
    if errors:
        line, found = _locate(node, errors[0])
        raise document.fault_in(line, found=found, need=f"what {schema_path.name} allows")
    return document


def scalars(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every scalar of a document with the steps that lead to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from scalars(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*steps, index))
    else:
        yield steps, value


def line_of(node: yaml.Node | None, steps: tuple[Any, ...]) -> int:
    """Return the line of the value that *steps* lead to, or of the last of them that exists."""
    line = node.start_mark.line + 1 if node else 1
    for step in steps:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
            line = child.start_mark.line + 1
        node = child
    return line


def _duplicates(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, str(key.value)
            seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)


def _locate(node: yaml.Node | None, error: jsonschema.ValidationError) -> tuple[int, str]:
    """Return line and description of a schema error; an unknown key is named at its own line."""
    steps = tuple(error.absolute_path)
    where = ".".join(str(step) for step in steps) or "the document"
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        unknown = [key for key in error.instance if key not in known]
        if unknown:
            return line_of(node, (*steps, unknown[0])), f"the unknown key {unknown[0]!r} in {where}"
    return line_of(node, steps), f"{where}: {error.message[:200]}"
