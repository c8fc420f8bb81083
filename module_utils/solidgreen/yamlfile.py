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
#: Levels of nesting that are read; ours have seven.
DEEPEST = 50
TEXT = "tag:yaml.org,2002:str"
#: What PyYAML raises over ``2026-99-99``, ``!!int ""``, ``!!bool maybe``, ``!!timestamp now`` or 5000 digits.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Wrong(ValueError):
    """What is wrong with a line of YAML."""

    def __init__(self, line: int, found: str, need: str) -> None:
        super().__init__(f"line {line}: {found}, need {need}")
        self.line, self.found, self.need = line, found, need


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

    :raises BadInput: the file is missing, is nothing that :func:`safe_load` takes, has a number that is not finite, or
        breaks the schema; the line is named
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{noun} {path}", found=error.strerror or "no file", need=f"a {noun} file", next_step="correct its path"
        ) from error
    blank = Document(path, noun, repair, jsonio.sha256_bytes(raw), None, None)
    try:
        node, data = _loaded(raw)
    except Wrong as wrong:
        raise blank.fault_in(wrong.line, found=wrong.found, need=wrong.need) from wrong
    document = Document(path, noun, repair, blank.sha256, data, node)
    for steps, value in scalars(data):
        if isinstance(value, float) and not isfinite(value):
            raise document.fault(*steps, found=str(value), need="a finite number")
    schema = jsonio.read_json(schema_path)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(data), key=lambda e: [str(p) for p in e.path])
    if errors:
        line, found = _locate(node, errors[0])
        raise document.fault_in(line, found=found, need=f"what {schema_path.name} allows")
    return document


def safe_load(raw: bytes) -> Any:
    """Return the one document of some YAML, None of none.

    :raises ValueError: it is no YAML, is nested over 50 levels deep, has an alias, a key that is no text or is there
        twice, or a value that only looks like a number or a time; the line is named
    """
    return _loaded(raw)[1]


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


def _loaded(raw: bytes) -> tuple[yaml.Node | None, Any]:
    """Return the document of some bytes as nodes and as values.

    :raises Wrong: :func:`safe_load` refuses them
    """
    try:
        _require_plain(raw)
        node = yaml.compose(raw, Loader=LOADER)
        _require_keys(node)
        return node, None if node is None else LOADER(b"").construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise Wrong(_line(error.problem_mark), error.problem or "text", "YAML") from error
    except yaml.YAMLError as error:
        raise Wrong(1, "bytes that are no text", "YAML in UTF-8") from error
    except Wrong:
        raise
    except _UNREADABLE as error:
        raise _unreadable(node) from error


def _require_plain(raw: bytes) -> None:
    """Pass when nothing is nested deeper than :data:`DEEPEST`, over which the parser in C dies, and nothing in itself.

    :raises Wrong: something is
    """
    depth = 0
    for event in yaml.parse(raw, Loader=LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise Wrong(_line(event.start_mark), f"the alias *{event.anchor}", "each value where it stands")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise Wrong(_line(event.start_mark), f"{depth} levels", f"at most {DEEPEST} levels")


def _require_keys(node: yaml.Node | None) -> None:
    """Pass when each key of each mapping is a text, and there once.

    :raises Wrong: one is not
    """
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.tag != TEXT:
                found = f"the key {key.value}" if isinstance(key, yaml.ScalarNode) else "a key of several values"
                raise Wrong(_line(key.start_mark), found, "a text as key, in quotes where it looks like a number")
            if key.value in seen:
                raise Wrong(_line(key.start_mark), f"the key {key.value!r} twice", "each key once")
            seen.add(key.value)
            _require_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _require_keys(value)


def _unreadable(node: yaml.Node | None) -> Wrong:
    """Return what is wrong with the first scalar that looks like a number or a time and is none."""
    for scalar in _scalar_nodes(node):
        try:
            LOADER(b"").construct_document(scalar)
        except _UNREADABLE:
            kind = scalar.tag.rpartition(":")[2]
            return Wrong(_line(scalar.start_mark), f"{scalar.value[:40]!r} as {kind}", "a value, or a text in quotes")
    return Wrong(_line(node.start_mark if node else None), "a value that cannot be read", "YAML")


def _scalar_nodes(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalar_nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _scalar_nodes(value)


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 1


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
