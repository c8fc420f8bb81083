"""JSON on disk: canonical bytes, digests, atomic replacement, plain values."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from .errors import BadInput, InfrastructureStop, IntegrityError
from .text import visible

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def to_plain(value: Any) -> Any:
    """Return *value* built from ``dict, list, str, int, float, bool, None`` only; NaN and infinity become None.

    Scalars of numpy and pandas break Ansible's results, so everything that leaves the core passes here.
    """
    if isinstance(value, Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [to_plain(item) for item in items]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        return to_plain(value.item())
    raise TypeError(f"{type(value).__name__} has no plain form")


def canonical(value: Any) -> bytes:
    """Return the one byte sequence that stands for *value*: sorted keys, no spaces, ASCII only, no NaN."""
    return canonical_plain(to_plain(value))


def canonical_plain(value: Any) -> bytes:
    """Return :func:`canonical` of a value that is plain already, as what JSON gave is: in half the time."""
    return _ENCODER.encode(value).encode("ascii")


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of *data* in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file in hex, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes of *value* in hex."""
    return sha256_bytes(canonical(value))


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace *path* by *data* so that a reader sees the old file or the new one, never a part; fsynced.

    :raises InfrastructureStop: the disk does not take it; the old file stays
    """
    try:
        _replace(path, data, mode)
    except OSError as error:
        raise not_taken(path, error) from error


def not_taken(path: Path, error: OSError) -> InfrastructureStop:
    """Return the error of a disk that refuses to write a file."""
    return InfrastructureStop(
        str(path),
        found=f"a disk that does not take it ({error.strerror})",
        need="a writable disk with free space",
        next_step="make room or permit writing, then run the same command again",
    )


def _replace(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a rename or an unlink inside *path* durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write *value* as indented JSON with sorted keys, atomically."""
    text = json.dumps(to_plain(value), sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    write_bytes(path, text.encode("ascii") + b"\n", mode)


def loads(raw: bytes) -> Any:
    """Return the JSON of UTF-8 bytes; a BOM is accepted, another encoding is not guessed.

    :raises ValueError: they are none, or are nested deeper than the decoder goes
    """
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def require_names(*paths: Path | None) -> None:
    """Pass when the system can look for each path, whether or not anything is there.

    :raises BadInput: one is too long, has a NUL byte, or leads through a folder that is closed to us
    """
    for path in filter(None, paths):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            found = str(error.strerror if isinstance(error, OSError) else error)
            raise BadInput(
                visible(str(path), 100), found=found, need="a path that can be read", next_step="correct the path"
            ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object a file of ours holds.

    :raises BadInput: the file is missing or cannot be read
    :raises IntegrityError: the file is not a JSON object in UTF-8
    """
    try:
        value = loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(
            str(path), found="no file", need="a JSON file", next_step="run the phase that writes it"
        ) from error
    except OSError as error:
        raise BadInput(
            str(path),
            found="a folder" if isinstance(error, IsADirectoryError) else f"no readable file ({error.strerror})",
            need="a JSON file",
            next_step="restore it, or permit reading it, then run the same command again",
        ) from error
    except ValueError as error:
        raise IntegrityError(
            str(path),
            found=f"text that is not JSON ({error})",
            need="the file as it was written",
            next_step="restore it or start a new cycle: invoke go --new-cycle",
        ) from error
    if not isinstance(value, dict):
        raise IntegrityError(
            str(path),
            found=f"a JSON {type(value).__name__}",
            need="a JSON object",
            next_step="restore it or start a new cycle: invoke go --new-cycle",
        )
    return value


def read_json_or_none(path: Path) -> dict[str, Any] | None:
    """Return the object a file holds, or None when there is no such file."""
    return read_json(path) if path.exists() else None


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file; a UTF-8 BOM and CRLF are accepted.

    :raises IntegrityError: a line is not a JSON object; the line is named
    """
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
            if not line:
                continue
            try:
                value = loads(line)
            except ValueError as error:
                raise IntegrityError(
                    f"{path} line {number}",
                    found="text that is not JSON",
                    need="one JSON object a line",
                    next_step="restore the file from its evidence bundle",
                ) from error
            if not isinstance(value, dict):
                raise IntegrityError(
                    f"{path} line {number}",
                    found=f"a JSON {type(value).__name__}",
                    need="one JSON object a line",
                    next_step="restore the file from its evidence bundle",
                )
            yield value
