"""Fields of a JSON answer by path: ``structured_result.issues[].severity``.

A path names keys, joined by dots; ``[]`` after a key means every item of its list. An answer of another shape than
expected is not an error here: what is not there is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: A path tree: key (or ``[]``) to subtree; an empty subtree is a leaf.
Tree = dict[str, Any]
MAX_ITEMS = 200
MAX_TEXT = 200


def lookup(value: Any, path: str) -> Any:
    """Return the value at a path without lists, None where there is none."""
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def present(value: Any, path: str) -> bool:
    """Tell whether the keys of a path without lists are there, whatever the last of them holds."""
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def tree(paths: Iterable[str]) -> Tree:
    """Return the paths as a tree."""
    root: Tree = {}
    for path in paths:
        node = root
        for key in path.replace("[]", ".[]").split("."):
            node = node.setdefault(key, {})
    return root


def pick(value: Any, wanted: Tree) -> Any:
    """Return what *wanted* names of *value*, in the same shape.

    Leaves are scalars, texts cut at 200 signs, lists at 200 items: a container where a scalar was expected becomes
    None, so that nothing unnamed slips through.
    """
    if not wanted:
        if isinstance(value, str):
            return value[:MAX_TEXT]
        return value if isinstance(value, bool | int | float) else None
    if isinstance(value, Mapping):
        return {key: pick(value[key], below) for key, below in wanted.items() if key in value}
    if isinstance(value, list) and "[]" in wanted:
        return [pick(item, wanted["[]"]) for item in value[:MAX_ITEMS]]
    return None


def blank(value: Any) -> Any:
    """Return the same shape with every leaf None."""
    if isinstance(value, Mapping):
        return {key: blank(item) for key, item in value.items()}
    if isinstance(value, list):
        return [blank(item) for item in value]
    return None


def names(value: Any) -> list[str]:
    """Return the sorted key names of an object, at most 200 of at most 200 signs; none of anything else."""
    return sorted(str(key)[:MAX_TEXT] for key in value)[:MAX_ITEMS] if isinstance(value, Mapping) else []
