"""The other documents of a presentation as they were read: one paper, whatever its role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from .credit import Party, party_of, read_credit
from .extract import Reading
from .form import Form
from .values import NUMBER, Money, currencies, dated, dates, monies, name_words, number, packages, weights

#: Role tags of a request, the document types they stand for, and what such a document calls itself.
TYPES = {
    "lc": "letter_of_credit",
    "invoice": "commercial_invoice",
    "bl": "bill_of_lading",
    "insurance": "insurance_certificate",
    "packing_list": "packing_list",
    "coo": "certificate_of_origin",
}
_OWN_NAMES = (
    ("certificate_of_origin", r"CERTIFICATE\s+OF\s+ORIGIN"),
    ("packing_list", r"PACKING\s+(?:LIST|NOTE)|WEIGHT\s+(?:AND|&)\s+PACKING"),
    (
        "insurance_certificate",
        r"INSURANCE\s+(?:CERTIFICATE|POLICY)|(?:CERTIFICATE|POLICY)\s+OF\s+(?:MARINE\s+)?INSURANCE"
        r"|MARINE\s+(?:CARGO\s+)?(?:POLICY|INSURANCE)",
    ),
    ("bill_of_lading", r"BILL\s+OF\s+LADING|SEA\s?WAYBILL|AIR\s?WAYBILL|\bB/L\s+NO"),
    ("commercial_invoice", r"(?:COMMERCIAL\s+|TAX\s+)?INVOICE\b"),
    ("letter_of_credit", r"DOCUMENTARY\s+(?:LETTER\s+OF\s+)?CREDIT|LETTER\s+OF\s+CREDIT|MT\s?700"),
)
_OTHER_DATE = re.compile(
    r"\b(?:INVOICE|L\s?/?\s?C|CREDIT|B\s?/\s?L|LADING|SHIPMENT|SHIPPED|BOARD|ORDER|CONTRACT|EXPIR\w+|PROFORMA"
    r"|SAIL\w*|ETD|ETA|POLICY|P\.?O)\b[^\n]{0,30}$",
    re.I,
)
_NOT_MONEY = re.compile(
    r"WEIGHT|\bKGS?\b|PACKAGES|CARTONS|PIECES|\bQTY\b|QUANTITY|VOLUME|\bCBM\b|FREIGHT|INSURANCE\s+(?:PREMIUM"
    r"|COST)|DISCOUNT|PREMIUM",
    re.I,
)


@dataclass(frozen=True)
class Paper:
    """One document with its type and what was read of it; fields are found when they are asked for."""

    filename: str
    type: str
    reading: Reading

    @property
    def text(self) -> str:
        """The text as it was read."""
        return self.reading.text

    @cached_property
    def flow(self) -> str:
        """The text as one line."""
        return re.sub(r"\s+", " ", self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words of the text, as names are compared."""
        return name_words(self.text)

    @cached_property
    def form(self) -> Form:
        """The labelled values."""
        return Form(self.reading)

    def party(self, *labels: str) -> Party | None:
        """Return the first company that stands under one of the labels."""
        return next((party for block in self.form.blocks(*labels) if (party := party_of(block)) and party.words), None)

    @cached_property
    def total(self) -> Money | None:
        """The amount an invoice asks for: the last total it states, else its largest amount."""
        currency = next(iter(currencies(self.text)), "")
        stated: list[Money] = []
        for row in self.reading.rows:
            line = "  ".join(one.text for one in row)
            if not re.search(r"\bTOTAL\b|\bINVOICE\s+(?:VALUE|AMOUNT)\b|AMOUNT\s+(?:DUE|PAYABLE)", line, re.I):
                continue
            if found := monies(line):
                stated.append(found[-1])
            elif (last := re.search(rf"(?:{NUMBER})$", line)) and (
                not _NOT_MONEY.search(line) or re.search(r"[.,]\d\d$", line)
            ):
                stated.append(Money(currency, number(last[0])))
        if stated:
            return stated[-1]
        return max(monies(self.text), key=lambda money: money.amount, default=None)

    @cached_property
    def sum_insured(self) -> Money | None:
        """The amount an insurance document covers."""
        for block in self.form.blocks("sum_insured"):
            if found := monies(block[0]):
                return found[0]
        prose = re.search(
            r"(?:INSURED|INSURANCE|COVER\w*|SUM)\b[^.;]{0,40}?\b(?:FOR|OF|VALUE|AMOUNT)\b(?P<v>.{0,40})",
            self.flow,
            re.I,
        )
        return next(iter(monies(prose["v"]) if prose else []), None) or max(
            monies(self.text), key=lambda money: money.amount, default=None
        )

    @cached_property
    def on_board(self) -> date | None:
        """The date of shipment: the on-board notation, else the date of issue (UCP 600 article 20(a)(ii))."""
        after = re.search(r"\bON\s*-?\s*BOARD\b(?!\s+BILLS?)(?P<v>.{0,80})", self.flow, re.I)
        before = re.search(r"(?P<v>.{30})\s*(?:SHIPPED|LADEN|LOADED)\s+ON\s*-?\s*BOARD", self.flow, re.I)
        texts = [
            *("\n".join(block[:1]) for block in self.form.blocks("on_board")),
            *(match["v"] for match in (after, before) if match),
            *(block[0] for block in self.form.blocks("issue_date")),
        ]
        return next((found[0] for text in texts if (found := dates(text))), None)

    @cached_property
    def presented(self) -> date | None:
        """The date of presentation an invoice states."""
        texts = [block[0] for block in self.form.blocks("presentation")]
        prose = re.search(r"PRESENT(?:ED|ATION)\b(?P<v>.{0,60})", self.flow, re.I)
        return next((found[0] for text in [*texts, prose["v"] if prose else ""] if (found := dates(text))), None)

    def port(self, label: str) -> str | None:
        """Return the port under a label, without the vessel or date that may share its line."""
        return next((block[0] for block in self.form.blocks(label) if re.search(r"[A-Za-z]{3}", block[0])), None)

    @cached_property
    def gross(self) -> Decimal | None:
        """The gross weight in kilograms."""
        return self._weight("gross", r"GROSS\s*(?:WEIGHT|WT)?|G\.\s?W(?:T|EIGHT)?")

    @cached_property
    def net(self) -> Decimal | None:
        """The net weight in kilograms."""
        return self._weight("net", r"NET(?:T)?\s*(?:WEIGHT|WT)|N\.\s?W(?:T|EIGHT)?")

    def _weight(self, label: str, name: str) -> Decimal | None:
        texts = [match["v"] for match in re.finditer(rf"(?:TOTAL\s+)(?:{name})\b(?P<v>.{{0,40}})", self.flow, re.I)]
        texts += [block[0] for block in self.form.blocks(label)]
        texts += [
            match["v"] for match in re.finditer(rf"(?:{name})\b[\s.:]*(?P<v>\d[\d.,' ]*[A-Z/]+)", self.flow, re.I)
        ]
        for text in texts:
            if found := weights(text):
                return found[0]
        # A heading: the figure is beside it, or at the foot of its column as the largest; the unit stands with either.
        column = [text.strip() for text in self.form.column(label)]
        bare = [block[0].strip() for block in self.form.blocks(label) if re.fullmatch(NUMBER, block[0].strip())]
        if bare and bare[0] not in column:
            return number(bare[0])
        cells = [found[0] for text in column if (found := weights(text))]
        return max(cells or (number(text) for text in column if re.fullmatch(NUMBER, text)), default=None)

    @cached_property
    def count(self) -> int | None:
        """The number of packages: the total where one is stated."""
        total = re.search(r"TOTAL[^.;]{0,60}", self.flow, re.I)
        stated = [block[0] for block in self.form.blocks("packages")]
        for text in (*stated, *([total[0]] if total else [])):
            if found := packages(text) or ([int(text)] if text.strip().isdecimal() else []):
                return found[0]
        return max(packages(self.text), default=None)

    @cached_property
    def origin(self) -> str | None:
        """The country of origin as it is written."""
        for block in self.form.blocks("origin"):
            return re.split(r"[,;(]|\s{2,}", block[0])[0].strip(" .")
        prose = re.search(
            r"\b(?:ORIGIN(?:ATE|ATED|ATING)?|PRODUCED|MANUFACTURED|MADE)\s+(?:IN|OF"
            r"|FROM)?\s*:?\s*(?P<v>[A-Z][A-Za-z.' ]{1,40})",
            self.flow,
        )
        return prose["v"].strip(" .") if prose else None

    @property
    def signed(self) -> bool:
        """Whether a name, a mark or a company stands where a signature belongs."""
        if re.search(r"\bUNSIGNED\b|NOT\s+SIGNED|\[\s*(?:NO\s+SIGNATURE|BLANK)\s*\]", self.text, re.I):
            return False
        place = re.compile(
            r"(?:AUTHORI[SZ]ED\s+)?SIGNAT(?:URE|ORY)|\bSIGNED\b(?:\s+BY)?|FOR\s+AND\s+ON\s+BEHALF\s+OF|/S/"
            r"|\bSTAMP\b|\bSEAL\b(?!\s+NO)|CERTIF(?:Y|IED)\s+BY",
            re.I,
        )
        for match in place.finditer(self.text):
            after = re.sub(place, "", "\n".join(self.text[match.end() : match.end() + 90].split("\n")[:2]))
            before = self.text[max(0, match.start() - 80) : match.start()].rsplit("\n", 2)[-2:]
            if re.search(
                r"[A-Za-z]{3}",
                re.sub(r"\b(?:DATE|PLACE|NAME|TITLE|STAMP|AND|COMPANY|OF|THE)\b|[_.:\s]", "", after, flags=re.I),
            ):
                return True
            if before and re.search(r"/S/|\bFOR\b|[A-Z]\.\s?[A-Z][a-z]+", " ".join(before)):
                return True
        return False

    @property
    def has_own_date(self) -> bool:
        """Whether a date stands on it that is not the date of another document."""
        return any(
            not _OTHER_DATE.search(self.text[max(0, at - 45) : at].rsplit("\n", 1)[-1]) for _, at in dated(self.text)
        )


def type_of(filename: str, tag: str | None, reading: Reading) -> str:
    """Return the document's type: the role the sender gave it, else what it calls itself, else its file name."""
    if tag in TYPES:
        return TYPES[tag]
    head = reading.text[:400]
    named = [(match.start(), kind) for kind, pattern in _OWN_NAMES if (match := re.search(pattern, head, re.I))]
    if named:
        return min(named)[1]
    if len(read_credit(reading).tags) >= 4:
        return "letter_of_credit"
    stem = re.sub(r"[^A-Z]+", " ", filename.upper()).split()
    known = {
        "LC": "lc",
        "INVOICE": "invoice",
        "BL": "bl",
        "LADING": "bl",
        "INSURANCE": "insurance",
        "PACKING": "packing_list",
        "COO": "coo",
        "ORIGIN": "coo",
    }
    return next((TYPES[known[word]] for word in stem if word in known), "supporting_document")
