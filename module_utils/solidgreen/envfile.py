"""Environment files: made from their example when missing, single entries set, the rest left as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values, set_key

from . import jsonio
from .errors import BadInput


@dataclass(frozen=True)
class Ensured:
    """What an environment file needed: ``created`` from its example, and the names whose value was changed."""

    created: bool
    changed_names: tuple[str, ...]
    text: str

    @property
    def changed(self) -> bool:
        """Tell whether the file has to be written."""
        return self.created or bool(self.changed_names)


def read(path: Path) -> dict[str, str | None]:
    """Return the entries of an environment file; an empty mapping when there is none."""
    return dict(dotenv_values(path, interpolate=False)) if path.is_file() else {}


def plan(path: Path, *, example: Path | None, entries: Mapping[str, str]) -> Ensured:
    """Return what the file at *path* would hold with *entries* set; nothing is written.

    :param example: copied first where *path* does not exist; None starts from an empty file
    :raises BadInput: neither the file nor its example exists
    """
    created = not path.is_file()
    if created and example is not None and not example.is_file():
        raise BadInput(
            str(path),
            found=f"no such file and no {example.name} beside it",
            need="one of them",
            next_step=f"put the settings of the service into {path}",
        )
    source = example if created else path
    text = source.read_text() if source is not None else ""
    current = dotenv_values(stream=StringIO(text), interpolate=False)
    changed = tuple(name for name, value in entries.items() if current.get(name) != value)
    if changed:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "env"
            scratch.write_text(text)
            for name in changed:
                set_key(scratch, name, entries[name], quote_mode="auto")
            text = scratch.read_text()
    return Ensured(created, changed, text)


def apply(path: Path, ensured: Ensured) -> None:
    """Write what :func:`plan` returned, atomically and for the owner only."""
    if ensured.changed:
        jsonio.write_bytes(path, ensured.text.encode(), mode=0o600)
