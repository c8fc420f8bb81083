"""How an office writes: dates, amounts and labels differ from document to document, the meaning does not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .catalogue import Party

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")

COMMON_DATES = ("iso", "long", "long", "upper", "dashed", "american", "dotted_long")
ODD_DATES = ("ordinal", "roman", "year_dots", "slashes", "short_ordinal")


def ordinal(day: int) -> str:
    """Return ``1st``, ``2nd``, ``11th``."""
    suffix = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


def write_date(day: date, form: str) -> str:
    """Return the date in one of the forms; a slashed date that could be read two ways is written out instead."""
    month = MONTHS[day.month - 1]
    if form == "slashes" and day.day > 12:
        return f"{day.day:02d}/{day.month:02d}/{day.year}"
    forms = {
        "iso": f"{day:%Y-%m-%d}",
        "long": f"{day.day} {month} {day.year}",
        "upper": f"{month.upper()} {day.day:02d}, {day.year}",
        "dashed": f"{day.day:02d}-{month[:3].upper()}-{day.year}",
        "american": f"{month} {day.day}, {day.year}",
        "dotted_long": f"{day.day:02d} {month[:3]}. {day.year}",
        "ordinal": f"{ordinal(day.day)} day of {month} {day.year}",
        "short_ordinal": f"{month[:3]} {ordinal(day.day)}, {day.year}",
        "roman": f"{day.day}.{ROMAN[day.month - 1]}.{day.year}",
        "year_dots": f"{day:%Y.%m.%d}",
        "slashes": f"{day.day:02d} {month[:3].upper()} {day.year}",
        "swift": f"{day:%y%m%d}",
    }
    return forms[form]


def write_number(value: Decimal, form: str, places: int | None = None) -> str:
    """Return a number as *form* has it: ``comma``, ``point``, ``space``, ``tick``, ``plain`` or ``swift``."""
    if places is None:
        places = max(0, -int(value.normalize().as_tuple().exponent))
    text = f"{value:,.{places}f}"
    table = {"comma": ",.", "point": ".,", "space": " .", "tick": "'.", "plain": "\0.", "swift": "\0,"}[form]
    swapped = text.translate({ord(","): table[0], ord("."): table[1]}).replace("\0", "")
    return f"{swapped}," if form == "swift" and "," not in swapped else swapped


@dataclass(frozen=True)
class Hand:
    """The habits of one writer, drawn once a document so that a document agrees with itself."""

    dates: str
    numbers: str
    fields: str
    font: str
    size: float
    centred: bool
    upper: bool
    label: int
    space: float

    def date(self, day: date | None) -> str:
        """Return a date; nothing for an undated document."""
        return write_date(day, self.dates) if day else ""

    def money(self, currency: str, value: Decimal) -> str:
        """Return an amount with its currency."""
        return f"{currency} {write_number(value, self.numbers, 0 if currency == 'JPY' else 2)}"

    def number(self, value: Decimal, places: int | None = None) -> str:
        """Return a quantity or weight."""
        return write_number(value, self.numbers, places)

    def party(self, party: Party, sep: str = "\n") -> str:
        """Return name and address as a block."""
        name = party.name.upper() if self.upper else party.name
        return f"{name}{sep}{party.address}"

    def say(self, *choices: str) -> str:
        """Return one of several labels that mean the same, always the same one for this writer."""
        return choices[self.label % len(choices)]


def new_hand(rng: random.Random, odd: float = 0.10) -> Hand:
    """Return a writer; *odd* is the share of unusual ways to write a date."""
    return Hand(
        dates=rng.choice(ODD_DATES if rng.random() < odd else COMMON_DATES),
        numbers=rng.choices(("comma", "point", "space", "tick", "plain"), (82, 7, 2, 3, 6))[0],
        fields=rng.choice(("lines", "lines", "columns", "columns", "stacked", "boxes", "boxes")),
        font=rng.choice(("Helvetica", "Helvetica", "Times-Roman", "Courier")),
        size=rng.choice((9.0, 9.5, 10.0)),
        centred=rng.random() < 0.7,
        upper=rng.random() < 0.45,
        label=rng.randrange(12),
        space=rng.choice((1.5, 4.0, 6.0, 8.0)),
    )
