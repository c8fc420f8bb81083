"""Reads the verdict of an answer by a map that is data; its only input is the answer.

The map (``policy/verdict_map.yml``) lists where an answer may state its verdict, highest authority first. The first
source that states one counts; sources that state another are counted as disagreements, so is a word of higher authority
that the map does not know. Where no source states a verdict it is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import fields, jsonio
from .errors import BadInput

MAP_SCHEMA = "solidgreen/verdict-map/1"
VERDICTS = ("pass", "warn", "reject", "blocked")
UNKNOWN = "unknown"
UNRECOGNISED = "unrecognised"


@dataclass(frozen=True)
class Source:
    """One place of an answer that may state a verdict.

    ``words`` maps texts (compared without case) to verdicts; or the value ``equals`` alone states ``verdict`` and any
    other says nothing. ``requires`` names a further field without which the source says nothing.
    """

    name: str
    path: str
    words: Mapping[str, str] | None = None
    equals: str | bool | None = None
    verdict: str | None = None
    requires: str | None = None

    def read(self, answer: Mapping[str, Any]) -> str | None:
        """Return the verdict it states, :data:`UNRECOGNISED` for a word the map does not know, None for nothing."""
        value = fields.lookup(answer, self.path)
        if self.requires is not None and fields.lookup(answer, self.requires) is None:
            return None
        if self.words is None:
            return self.verdict if type(value) is type(self.equals) and value == self.equals else None
        if not isinstance(value, str) or not value.strip():
            return None
        return self.words.get(value.strip().casefold(), UNRECOGNISED)


@dataclass(frozen=True)
class VerdictMap:
    """The sources in falling authority, what an observation keeps of an answer, and the digest of the file."""

    sha256: str
    sources: tuple[Source, ...]
    keep: fields.Tree
    key_names: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What an answer states: a verdict (None where it is no answer), the source that counted, all that spoke."""

    verdict: str | None
    source: str | None
    sources: Mapping[str, str]
    disagreements: int


def read(response: Mapping[str, Any] | None, status: int | None, vmap: VerdictMap) -> Reading:
    """Return the verdict of an answer; only a 200 with a JSON object can have one."""
    if status != 200 or response is None:
        return Reading(None, None, {}, 0)
    said = {source.name: word for source in vmap.sources if (word := source.read(response)) is not None}
    chosen = next((name for name, word in said.items() if word != UNRECOGNISED), None)
    if chosen is None:
        return Reading(UNKNOWN, None, said, 0)
    verdict = said[chosen]
    unread_above = list(said).index(chosen)
    others = sum(word not in (verdict, UNRECOGNISED) for word in said.values())
    return Reading(verdict, chosen, said, unread_above + others)


def follows(record: Mapping[str, Any], vmap: VerdictMap) -> bool:
    """Tell whether the verdict of an observation follows again from what it kept of its answer.

    Where values were kept, they are read again. Of a case with personal data there is only the shape: the places that
    are said to have spoken must be in it, and the verdict must be that of the highest of them. An answer has a verdict,
    if only an unknown one, nothing else has; and nothing is recorded that was not attempted.
    """
    response, status = record.get("response"), record.get("http_status")
    if not record.get("attempts") or (record.get("verdict") is None) is (record.get("outcome") == "answer"):
        return False
    stated = record.get("verdict"), record.get("verdict_source"), record.get("verdict_sources")
    if record.get("values_kept") is not False or response is None:
        reading = read(response, status, vmap)
        return stated == (reading.verdict, reading.source, dict(reading.sources))
    said = record.get("verdict_sources")
    if status != 200 or not isinstance(said, Mapping):
        return stated == (None, None, {})
    paths = {source.name: source.path for source in vmap.sources}
    if not all(name in paths and fields.present(response, paths[name]) for name in said):
        return False
    ordered = [(name, said[name]) for name in paths if said.get(name, UNRECOGNISED) != UNRECOGNISED]
    source, verdict = ordered[0] if ordered else (None, UNKNOWN)
    return stated[:2] == (verdict, source)


def kept(response: Mapping[str, Any], vmap: VerdictMap) -> dict[str, Any]:
    """Return the fields that the map and the triage read; reading the verdict of them gives the same verdict."""
    picked: dict[str, Any] = fields.pick(response, vmap.keep)
    return picked


def key_names(response: Mapping[str, Any], vmap: VerdictMap) -> dict[str, list[str]]:
    """Return the key names of the objects the map lists, ``.`` being the whole answer: names, no values."""
    return {path: fields.names(response if path == "." else fields.lookup(response, path)) for path in vmap.key_names}


def load_map(path: Path) -> VerdictMap:
    """Return the map of a YAML file.

    :raises BadInput: the file is missing or not such a map; the source concerned is named
    """
    try:
        raw = path.read_bytes()
        value = yaml.safe_load(raw)
    except OSError as error:
        raise _bad(path, f"no readable file ({error.strerror})", "the verdict map") from error
    except yaml.YAMLError as error:
        raise _bad(path, f"text that is not YAML ({' '.join(str(error).split())})", "YAML") from error
    if not isinstance(value, dict) or value.get("schema") != MAP_SCHEMA:
        raise _bad(path, "another kind of file", f"schema: {MAP_SCHEMA}")
    words = value.get("words", {})
    sources = tuple(_source(path, entry, words) for entry in value.get("sources", []))
    if not sources or len({source.name for source in sources}) != len(sources):
        raise _bad(path, f"{len(sources)} sources", "at least one, each name once")
    needed = [needs for source in sources for needs in (source.path, source.requires) if needs]
    keep = fields.tree([*needed, *value.get("keep", [])])
    return VerdictMap(jsonio.sha256_bytes(raw), sources, keep, tuple(value.get("key_names", [])))


def _source(path: Path, entry: Mapping[str, Any], tables: Mapping[str, Mapping[str, str]]) -> Source:
    name = entry.get("name")
    extra = set(entry) - {"name", "path", "words", "equals", "verdict", "requires"}
    if not isinstance(name, str) or not isinstance(entry.get("path"), str) or extra:
        raise _bad(path, f"the source {dict(entry)!r}", "name, path and either words or equals with verdict")
    if ("words" in entry) == ("equals" in entry):
        raise _bad(path, f"the source {name}", "either words or equals with verdict")
    table = tables.get(entry["words"], {}) if "words" in entry else None
    verdicts = [entry.get("verdict")] if table is None else list(table.values())
    if not verdicts or any(verdict not in VERDICTS for verdict in verdicts):
        raise _bad(path, f"the source {name} with the verdicts {verdicts}", f"verdicts of {', '.join(VERDICTS)}")
    return Source(
        name=name,
        path=entry["path"],
        words=None if table is None else {str(word).casefold(): verdict for word, verdict in table.items()},
        equals=entry.get("equals"),
        verdict=entry.get("verdict"),
        requires=entry.get("requires"),
    )


def _bad(path: Path, found: str, need: str) -> BadInput:
    return BadInput(f"verdict map {path}", found=found, need=need, next_step="correct the file")
