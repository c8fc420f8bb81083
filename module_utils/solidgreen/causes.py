"""Known causes of a failed phase, as data: what speaks for each, whose it is and what to type next.

A cause has signs, each looked for in one place: the records of a run, its settings, the checks that did not pass, the
logs. One sign is enough, unless some are ``required``: then it takes all of those.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import symptoms
from .yamlfile import Document, read

#: How errors lie in a run: in every case, from one on to the end, only at first, for a while, here and there.
TIMINGS = ("every", "onward", "at_first", "a_while", "scattered")
#: Where a sign is looked for, with the keys that mean something there.
PLACES: Mapping[str, tuple[str, ...]] = {
    "records": ("min_share", "timing"),
    "run": (),
    "check": ("seen",),
    "log": ("service", "startup", "min_share"),
}
_REPAIR = "correct the line, or take the shipped policy/triage.yml"


@dataclass(frozen=True)
class Condition:
    """What the value of a fact must be; of a list, one of its items is enough. None, the unknown, is never enough.

    :param one_of: one of these, texts without case
    :param matches: a text in which the pattern is found
    :param at_least: a number of at least this, a list of at least so many items; ``below`` likewise
    :param lacks: a list without this item
    """

    one_of: tuple[Any, ...] = ()
    matches: re.Pattern[str] | None = None
    at_least: float | None = None
    below: float | None = None
    lacks: str | None = None

    def met(self, value: Any) -> bool:
        """Tell whether *value* is such."""
        if value is None:
            return False
        if self.one_of:
            return not self._wanted.isdisjoint(map(_key, value if isinstance(value, list) else (value,)))
        return bool(self.hits(value))

    @cached_property
    def _wanted(self) -> frozenset[Any]:
        return frozenset(map(_key, self.one_of))

    def hits(self, value: Any) -> list[str]:
        """Return the parts of *value* that meet it, as they may be shown: of a text only what the pattern matched."""
        items = value if isinstance(value, list) else [] if value is None else [value]
        if self.one_of:
            return [str(item) for item in items if _key(item) in self._wanted]
        if self.matches:
            return [found[0] for item in items if isinstance(item, str) and (found := self.matches.search(item))]
        if self.lacks is not None:
            return [f"without {self.lacks}"] if isinstance(value, list) and self.lacks not in value else []
        size = len(value) if isinstance(value, list) else value
        if isinstance(size, bool) or not isinstance(size, int | float):
            return []
        if size < (-float("inf") if self.at_least is None else self.at_least):
            return []
        if self.below is not None and size >= self.below:
            return []
        return [str(item) for item in items] or ["none"]


@dataclass(frozen=True)
class Sign:
    """One piece of evidence that would speak for a cause; what is not of its ``place`` is empty.

    :param place: a key of :data:`PLACES`
    :param required: the cause is no candidate without it
    :param conditions: of the records or the run: fact to what it must be, all of them at once
    :param ids: of the checks: shell patterns of their ids
    :param pattern: what a line of the log, or what the check saw, must hold
    :param service: the log it must be in, any where empty
    :param startup: a line that the service writes once, when it starts
    :param min_share: of the records, how many at least; of the log, how many lines a record
    :param timing: how the records must lie in the run, anyhow where empty
    """

    place: str
    required: bool = False
    conditions: Mapping[str, Condition] | None = None
    ids: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    service: str = ""
    startup: bool = False
    min_share: float = 0.0
    timing: tuple[str, ...] = ()

    @property
    def terms(self) -> int:
        """How much it asks for at once; of two signs that hold alike, the one that asks for more tells more."""
        return len(self.conditions or ()) + bool(self.ids) + (self.pattern is not None)


@dataclass(frozen=True)
class Cause:
    """A known cause.

    :param phases: those it can be found in
    :param rest: it counts only records that no other cause explains
    """

    id: str
    cause: str
    owner: str
    next_step: str
    phases: tuple[int, ...]
    rest: bool
    signs: tuple[Sign, ...]


@dataclass(frozen=True)
class Causes:
    """The known causes in the order of their file, and its digest."""

    sha256: str
    causes: tuple[Cause, ...]


def load(path: Path, schema_path: Path, owners: Collection[str]) -> Causes:
    """Return the causes a YAML file holds.

    :param owners: roles of the plan; a cause is one of theirs
    :raises BadInput: the file is missing, is no YAML, breaks the schema or contradicts itself; the line is named
    """
    document = read(path, schema_path, noun="triage", repair=_REPAIR)
    found: dict[str, Cause] = {}
    for index, entry in enumerate(document.data["causes"]):
        if entry["id"] in found:
            raise document.fault("causes", index, found=f"the cause {entry['id']} again", need="each cause once")
        if entry["owner"] not in owners:
            need = f"one of {', '.join(sorted(owners))}"
            raise document.fault("causes", index, "owner", found=f"the owner {entry['owner']!r}", need=need)
        signs = tuple(_sign(document, index, number) for number in range(len(entry["signs"])))
        found[entry["id"]] = Cause(
            id=entry["id"],
            cause=entry["cause"],
            owner=entry["owner"],
            next_step=entry["next_step"],
            phases=tuple(entry.get("phases", range(1, 6))),
            rest=entry.get("rest", False),
            signs=signs,
        )
    return Causes(document.sha256, tuple(found.values()))


def _sign(document: Document, index: int, number: int) -> Sign:
    steps = ("causes", index, "signs", number)
    entry = document.data["causes"][index]["signs"][number]
    places = [place for place in PLACES if place in entry]
    if len(places) != 1:
        found = f"a sign with {' and '.join(places) or 'nothing to look for'}"
        raise document.fault(*steps, found=found, need=f"one of {', '.join(PLACES)}")
    (place,) = places
    astray = sorted(set(entry) - {place, "required", *PLACES[place]})
    if astray:
        need = f"only what a sign in {place} knows: {', '.join(('required', *PLACES[place]))}"
        raise document.fault(*steps, astray[0], found=f"the key {astray[0]!r}", need=need)
    known: Collection[str] = {"records": symptoms.RECORD, "run": symptoms.RUN}.get(place, ())
    conditions = {}
    for name, wanted in entry[place].items() if known else ():
        if name not in known:
            need = f"one of {', '.join(known)}"
            raise document.fault(*steps, place, name, found=f"the unknown fact {name!r}", need=need)
        conditions[name] = _condition(document, (*steps, place, name), wanted)
    text = {"log": entry.get("log"), "check": entry.get("seen")}.get(place)
    return Sign(
        place=place,
        required=entry.get("required", False),
        conditions=conditions or None,
        ids=_items(entry["check"]) if place == "check" else (),
        pattern=None if text is None else _pattern(document, (*steps, "log" if place == "log" else "seen"), text),
        service=entry.get("service", ""),
        startup=entry.get("startup", False),
        min_share=float(entry.get("min_share", 0.0)),
        timing=_items(entry.get("timing", ())),
    )


def _condition(document: Document, steps: tuple[Any, ...], wanted: Any) -> Condition:
    if not isinstance(wanted, Mapping):
        return Condition(one_of=_items(wanted))
    if "matches" in wanted:
        return Condition(matches=_pattern(document, (*steps, "matches"), wanted["matches"]))
    return Condition(at_least=wanted.get("at_least"), below=wanted.get("below"), lacks=wanted.get("lacks"))


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _pattern(document: Document, steps: tuple[Any, ...], text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        need = "a regular expression"
        raise document.fault(*steps, found=f"{text!r}, which is none ({error})", need=need) from error


def _key(item: Any) -> Any:
    """Return what two values share that are the same here: texts without case; true is not 1, a container nothing."""
    if isinstance(item, str):
        return item.casefold()
    return (isinstance(item, bool), item if isinstance(item, int | float) else None)
