"""The letter of credit as it was read: MT700 fields, labelled forms, or a letter in plain prose.

Each field is looked for in that order, and the first place that gives a value of the right kind counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

from .extract import Reading
from .form import Form
from .values import Money, currencies, dates, monies, name_words, number

_Value = TypeVar("_Value")

#: MT700 tags with the names they are printed under; a bare number counts as a tag only before its name.
_TITLES = {
    "27": r"SEQUENCE\s+OF\s+TOTAL",
    "40A": r"FORM\s+OF\s+(?:DOCUMENTARY\s+|DOC\.?\s+)?CREDIT",
    "20": r"(?:DOCUMENTARY\s+|DOC\.?\s+)?(?:LETTER\s+OF\s+)?(?:CREDIT|LC|L/C)\s*(?:NUMBER|NO\.?)|SENDER'?S?\s+REF\w*",
    "23": r"REFERENCE\s+TO\s+PRE-?ADVICE",
    "31C": r"DATE\s+OF\s+ISSUE",
    "40E": r"APPLICABLE\s+RULES",
    "31D": r"DATE\s+(?:AND|&)\s+PLACE\s+OF\s+EXPIRY|EXPIRY(?:\s+DATE)?(?:\s+AND\s+PLACE)?",
    "51A": r"APPLICANT\s+BANK[^\n:]*",
    "50": r"APPLICANT",
    "59": r"BENEFICIARY(?:\s*-\s*NAME\s+(?:AND|&)\s+ADDRESS)?",
    "32B": r"CURRENCY(?:\s+CODE)?\s*(?:,|AND|&|/)?\s*AMOUNT|AMOUNT",
    "39A": r"(?:PERCENTAGE\s+)?(?:CREDIT\s+)?(?:AMOUNT\s+)?(?:TOLERANCE|PERCENTAGE\s+CREDIT)(?:\s*\(%\))?",
    "39B": r"MAXIMUM\s+CREDIT\s+AMOUNT",
    "39C": r"ADDITIONAL\s+AMOUNTS?\s+COVERED",
    "41A": r"AVAILABLE\s+WITH[^\n:]*",
    "41D": r"AVAILABLE\s+WITH[^\n:]*",
    "42C": r"DRAFTS?\s+AT[^\n:]*",
    "42A": r"DRAWEE[^\n:]*",
    "42D": r"DRAWEE[^\n:]*",
    "42P": r"(?:DEFERRED|NEGOTIATION/DEFERRED)\s+PAYMENT[^\n:]*",
    "43P": r"PARTIAL\s+SHIPMENTS?",
    "43T": r"TRANS?-?\s?SHIPMENTS?",
    "44A": r"PLACE\s+OF\s+(?:TAKING|RECEIPT)[^\n:]*|ON\s+BOARD/DISP[^\n:]*",
    "44E": r"PORT\s+OF\s+LOADING(?:\s*/\s*AIRPORT\s+OF\s+(?:DEPARTURE|DEP\.?))?",
    "44F": r"PORT\s+OF\s+DISCHARGE(?:\s*/\s*AIRPORT\s+OF\s+(?:DESTINATION|DEST\.?))?",
    "44B": r"PLACE\s+OF\s+(?:FINAL|DELIVERY)[^\n:]*|FOR\s+TRANSPORTATION\s+TO",
    "44C": r"LATEST\s+(?:DATE\s+OF\s+|DATE\s+FOR\s+)?SHIPMENT(?:\s+DATE)?",
    "44D": r"SHIPMENT\s+PERIOD",
    "45A": r"DESCRIPTION\s+OF\s+GOODS(?:\s*(?:AND/OR|AND|&)\s*/?(?:OR)?\s*SERVICES)?|GOODS(?:\s+DESCRIPTION)?",
    "46A": r"DOCUMENTS?\s+REQUIRED|REQUIRED\s+DOCUMENTS?",
    "47A": r"ADDITIONAL\s+CONDITIONS?",
    "71B": r"CHARGES",
    "71D": r"CHARGES",
    "48": r"PERIOD\s+(?:FOR|OF)\s+PRESENTATION(?:\s+IN\s+DAYS)?",
    "49": r"CONFIRMATION(?:\s+INSTRUCTIONS?)?",
    "52A": r"ISSUING\s+BANK[^\n:]*",
    "53A": r"REIMBURS\w+\s+BANK[^\n:]*",
    "57A": r"(?:ADVISE\s+THROUGH|ADVISING)[^\n:]*",
    "57D": r"(?:ADVISE\s+THROUGH|ADVISING)[^\n:]*",
    "78": r"INSTRUCTIONS?\s+TO[^\n:]*",
    "72": r"SENDER\s+TO\s+RECEIVER[^\n:]*",
    "72Z": r"SENDER\s+TO\s+RECEIVER[^\n:]*",
}  # fmt: skip
_TAG = re.compile(
    r"^[ \t]*(?:(?P<mark>[:\[(]|(?:SWIFT\s+)?(?:FIELD|TAG)\s*:?\s*|F(?=\d))\s*)?(?P<tag>\d\d[A-Z]?)"
    r"(?P<close>\s*[:\])]|\s*[.\-–]\s|[ \t]+|$)",
    re.M | re.I,
)
_BANNED = re.compile(
    r"\bNOT?\s+(?:BE\s+)?(?:ALLOWED|PERMITTED|ACCEPTABLE)|PROHIBIT|FORBID|\bNOT\b|NONE\b|\bNO\b|WITHOUT", re.I
)
_ALLOWED = re.compile(r"(?<!NOT )(?<!NOT BE )(?:ALLOWED|PERMITTED|ACCEPTABLE|CONDITIONAL)", re.I)
_COMPANY_FORM = r"(?:CO|LTD|LIMITED|INC|LLC|CORP|GMBH|S\.?A|S\.?P\.?A|B\.?V|N\.?V|PLC|PTE|PVT|PTY|KG|AG|SRL|A\.?S)\b\.?"
_NAME_END = re.compile(rf",\s+(?!{_COMPANY_FORM})|\s{{2,}}|\s(?=\d+[A-Z]?[,/\- ])|\s(?=P\.?\s?O\.?\s?BOX)", re.I)
_WRAPPED = re.compile(
    r"((?:(?:PRIVATE|PVT\.?|PTE\.?|JOINT|STOCK|AND|&|SDN|FOR|CO\.?,?)\s+)*"
    r"(?:COMPANY(?: LIMITED)?|LIMITED|LTD|INC|LLC|CORPORATION|CORP|GMBH|CO|BHD|PLC|S\.A|S\.P\.A|B\.V|KG)\.?)"
    r"(?=,|$|\s{2})",
    re.I,
)
_AFTER_PARTY = (
    r"\s+(?:YOURSELVES\s*,?\s*)?(?:MESSRS\.?\s+|M/S\.?\s+)?(?P<v>.{3,160}?)"
    r"(?=(?<!\bPTE)(?<!\bPVT)(?<!\bPTY)(?<!\bCO)(?<!\bSDN)(?<!\bNO)\.\s+[A-Z]|;"
    r"|\s(?:FOR (?:THE )?ACCOUNT|IN (?:YOUR )?FAVOU?R|UP TO|FOR (?:AN|THE|A)\b|COVERING|AVAILABLE|WE\b"
    r"|BY ORDER|WHICH|TO THE EXTENT|AT THE REQUEST)|\s\(|$)"
)
#: How letters lead to a value, by the label that forms would give it.
_PROSE = {
    "lc_number": r"(?:CREDIT|L/C|LC|D/C)\s*(?:NUMBER|NO\.?|REF\w*\.?)?\s*[:#]?\s*(?P<v>[^\s,;]+)",
    "expiry": r"(?:EXPIR\w+|VALID(?:ITY)?\s+(?:UNTIL|TILL|TO|UP TO|THROUGH)|AVAILABLE UNTIL)(?P<v>.{0,90})",
    "amount": r"(?:AMOUNT|SUM|VALUE|TOTAL|EXCEEDING|UP TO|AGGREGATE)(?P<v>(?:[^.;]|\.(?=\d)){0,80})",
    "applicant": (
        r"(?:FOR (?:THE )?ACCOUNT OF|AT THE REQUEST OF|BY ORDER (?:AND FOR ACCOUNT )?OF"
        r"|(?:UP)?ON (?:THE )?INSTRUCTIONS? OF|ON BEHALF OF)" + _AFTER_PARTY
    ),
    "beneficiary": r"(?:IN|TO) (?:THE )?FAVOU?R OF" + _AFTER_PARTY,
    "latest_shipment": (
        r"(?:LATEST (?:DATE (?:OF|FOR) )?SHIP\w+|(?:NOT|NO) LATER THAN"
        r"|SHIP\w*[^.;]{0,150}?(?:LATEST|ON OR BEFORE|\bBY))(?P<v>.{0,40})"
    ),
    "goods": (
        r"(?:EVIDENCING (?:THE )?SHIPMENT OF|COVER(?:S|ING)(?: THE)?(?: SHIPMENT OF)?|GOODS\s*:|SHIPMENT OF"
        r"|DESCRIPTION OF GOODS)(?P<v>(?:[^.;]|\.(?=\d)){5,220})"
    ),
}
_SHIPMENTS = {
    "partial": r"PARTIAL\s*-?SHIPMENTS?|PART\s*-?SHIPMENTS?|PARTIAL (?:SHIPMENTS? )?(?:AND|OR|NOR)",
    "transhipment": r"TRANS?-?\s?SHIP(?:MENT|PING)S?",
}
_ROUTE = re.compile(
    r"\bFROM\s+([A-Z][^.;]{2,60}?)\s+(?:TO|AND DISCHARGED? AT)\s+([A-Z][^.;]{2,60}?)"
    r"(?=\.|;|,?\s+(?:(?:NOT?\s+LATER|LATEST|ON OR|BY|(?:NO\s+)?PARTIAL|TRANS?-?SHIP|WITH|UNDER|DURING|AND)\b|\d)|$)",
    re.I,
)
_HEADINGS = {
    "documents": r"ACCOMPANIED BY|DOCUMENTS REQUIRED|(?:THE )?FOLLOWING DOCUMENTS?|AGAINST PRESENTATION OF",
    "conditions": r"(?:ADDITIONAL|SPECIAL|OTHER) (?:CONDITIONS|TERMS|INSTRUCTIONS)",
}
_HEADING_AFTER = (
    r"(?:ADDITIONAL|SPECIAL|OTHER) (?:CONDITIONS|TERMS|INSTRUCTIONS)|PERIOD (?:FOR|OF) PRESENTATION"
    r"|DOCUMENTS (?:MUST|ARE TO|SHALL|TO) BE PRESENTED|ALL DOCUMENTS|CHARGES|WE (?:HEREBY )?(?:ENGAGE|UNDERTAKE)"
    r"|CONFIRMATION|YOURS|SHIPMENT FROM|PARTIAL SHIP|THIS CREDIT IS SUBJECT|SUBJECT TO"
)
_DAYS_AFTER = re.compile(
    r"(\d{1,2})\)?\s*(?:CALENDAR\s+|WORKING\s+|BANKING\s+)?DAYS?[^.;\d]{0,25}(?:AFTER|FROM|OF)\s+(?:THE\s+)?"
    r"(?:DATE\s+OF\s+)?(?:THE\s+)?(?:ISSUANCE\s+OF\s+|DATE\s+OF\s+)?(?:THE\s+)?"
    r"(?:SHIPMENT|BILLS?\s+OF\s+LADING|B/L|TRANSPORT|SHIPPING|ON\s+BOARD)",
    re.I,
)
_PERCENT = r"(?:%|PCT|PER\s?CENT)"
_MORE_OR_LESS = re.compile(
    r"(?:\+\s?/\s?-|PLUS\s*(?:/|OR|AND)\s*MINUS|±|MORE\s+OR\s+LESS|TOLERANCE\s*(?:OF)?)[^\d.;]{0,20}(\d{1,2})\s*"
    rf"{_PERCENT}|(\d{{1,2}})\s*{_PERCENT}[^\d.;]{{0,12}}(?:MORE\s+OR\s+LESS|PLUS\s*(?:/|OR)\s*MINUS|TOLERANCE)",
    re.I,
)
_ABOUT = re.compile(r"\b(?:ABOUT|APPROXIMATELY|CIRCA)\s+(?:US\$|[A-Z]{3})\s?\d", re.I)
_COURTESY = re.compile(r"^\W*(?:M/?S\.?\s|MESSRS\.?:?\s|NAME\s*:|TO\s+THE\s+ORDER\s+OF|TO:)\s*", re.I)


@dataclass(frozen=True)
class Party:
    """A company as the document writes it: its name, and the address lines that follow."""

    name: str
    address: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The words that make the name."""
        return name_words(self.name)


@dataclass(frozen=True)
class Credit:
    """What the credit asks for; None or empty where it was not found."""

    number: str | None = None
    expiry: date | None = None
    amount: Money | None = None
    above: Decimal = Decimal(0)
    below: Decimal = Decimal(0)
    applicant: Party | None = None
    beneficiary: Party | None = None
    partial_banned: bool = False
    transhipment_banned: bool = False
    loading: str | None = None
    discharge: str | None = None
    latest_shipment: date | None = None
    goods: str | None = None
    documents: str | None = None
    conditions: str | None = None
    presentation_days: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


def read_credit(reading: Reading) -> Credit:
    """Return the fields of the credit that *reading* holds."""
    return _Reader(reading).credit()


def tags_of(text: str) -> dict[str, str]:
    """Return the MT700 fields of *text* without their printed names; empty when it is no SWIFT message."""
    starts = []
    for match in _TAG.finditer(text):
        tag = match["tag"].upper()
        rest = text[match.end() :]
        if tag in _TITLES and (
            (match["mark"] and match["close"].strip()) or re.match(rf"\s*[:\-–]?\s*(?:{_TITLES[tag]})", rest, re.I)
            or (match["mark"] or "").strip().upper() in {"FIELD", "TAG"}
        ):  # fmt: skip
            starts.append((match.start(), match.end(), tag))
    if len(starts) < 4:
        return {}
    found: dict[str, str] = {}
    for (_, begin, tag), following in zip(starts, [*starts[1:], (len(text), 0, "")], strict=True):
        value = re.sub(
            rf"^\s*[:\-–]?\s*(?:(?:{_TITLES[tag]})\b\)?[ \t]*[:\-–]?)?\s*", "", text[begin : following[0]], flags=re.I
        )
        found.setdefault(tag, value.strip())
    return found


def party_of(lines: list[str]) -> Party | None:
    """Return the company a block of lines names; account numbers and courtesies before the name are dropped."""
    kept = [_COURTESY.sub("", line).strip(" .,:;") for line in lines]
    kept = [line for line in kept if line and not line.startswith("/")]
    if not kept or not re.search(r"[A-Za-z]{2}", kept[0]):
        return None
    if len(kept) > 1 and (wrapped := _WRAPPED.match(kept[1])):  # a narrow cell broke the line inside the name
        kept[:2] = [f"{kept[0]} {wrapped[1]}", *filter(None, [kept[1][wrapped.end() :].strip(" ,")])]
    end = _NAME_END.search(kept[0])
    name, rest = (kept[0][: end.start()], kept[0][end.end() :].strip()) if end else (kept[0], "")
    return Party(name.strip(" .,"), tuple(filter(None, (rest, *kept[1:]))))


class _Reader:
    """Looks for each field in tags, labels and prose of one reading."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.tags = tags_of(reading.text)
        self.form = Form(reading)
        self.flow = re.sub(r"\s+", " ", reading.text)

    def credit(self) -> Credit:
        above, below = self._tolerance()
        return Credit(
            number=self._first(("20",), "lc_number", _reference),
            expiry=self._first(("31D",), "expiry", _date),
            amount=self._amount(),
            above=above,
            below=below,
            applicant=self._party("50", "applicant"),
            beneficiary=self._party("59", "beneficiary") or self._addressee(),
            partial_banned=self._banned("43P", "partial"),
            transhipment_banned=self._banned("43T", "transhipment"),
            loading=self._port(("44E", "44A"), "loading", 1),
            discharge=self._port(("44F", "44B"), "discharge", 2),
            latest_shipment=self._first(("44C", "44D"), "latest_shipment", _date),
            goods=self._goods(),
            documents=self._section("46A", "documents"),
            conditions=self._section("47A", "conditions"),
            presentation_days=self._presentation(),
            tags=self.tags,
        )

    def _places(self, tags: tuple[str, ...], label: str) -> Iterator[str]:
        """Yield the texts where a field may stand: its tags, its labels, then the prose that leads to it."""
        yield from (self.tags[tag] for tag in tags if self.tags.get(tag))
        yield from ("\n".join(block) for block in self.form.blocks(label))
        if label in _PROSE:
            yield from (match["v"] for match in re.finditer(_PROSE[label], self.flow, re.I))

    def _first(self, tags: tuple[str, ...], label: str, kind: Callable[[str], _Value | None]) -> _Value | None:
        values = (kind(text) for text in self._places(tags, label))
        return next((value for value in values if value is not None), None)

    def _amount(self) -> Money | None:
        found = self._first(("32B",), "amount", lambda text: next(iter(monies(text)), None))
        if found is None and self.tags.get("32B"):  # the code and the figure in two cells, or the code lost
            figures = re.search(r"\d[\d.,' ]*", self.tags["32B"])
            found = Money(next(iter(currencies(self.tags["32B"])), ""), number(figures[0])) if figures else None
        return found or next(iter(monies(self.flow)), None)

    def _tolerance(self) -> tuple[Decimal, Decimal]:
        """Return how many percent the drawing may lie above and below the amount."""
        text = self.tags.get("39A") or self.form.value("tolerance") or ""
        if pair := re.search(r"(\d{1,2})\s*/\s*(\d{1,2})", text):
            return Decimal(pair[1]), Decimal(pair[2])
        if stated := _MORE_OR_LESS.search(f"{text}. {self.flow}"):
            percent = Decimal(stated[1] or stated[2])
            return percent, percent
        # UCP 600 article 30(a): "about" stands for ten percent
        return (Decimal(10), Decimal(10)) if _ABOUT.search(self.flow) else (Decimal(0), Decimal(0))

    def _party(self, tag: str, label: str) -> Party | None:
        return self._first((tag,), label, lambda text: party_of(text.split("\n")))

    def _addressee(self) -> Party | None:
        """Return whom a letter is written to, where it opens the credit "in your favour"."""
        head = re.search(r"^(?:TO|MESSRS)\b[.:\s]*(?P<v>.+?)\n+(?=DEAR|WE\b)", self.reading.text, re.I | re.M | re.S)
        return party_of(head["v"].split("\n")) if head and re.search(r"\bYOUR FAVOU?R\b", self.flow, re.I) else None

    def _banned(self, tag: str, label: str) -> bool:
        stated = self.tags.get(tag) or self.form.value(label)
        if stated is not None and (_BANNED.search(stated) or _ALLOWED.search(stated)):
            return bool(_BANNED.search(stated))
        clause = re.search(rf"(?P<before>[^.;]{{0,40}})(?:{_SHIPMENTS[label]})(?P<v>[^.;]{{0,60}})", self.flow, re.I)
        if clause is None:
            return False
        after, allowed = _BANNED.search(clause["v"]), _ALLOWED.search(clause["v"])
        if after and allowed:  # "partial shipments prohibited, transhipment allowed": the nearer word is meant
            return after.start() <= allowed.start()
        return bool(after or re.search(r"\b(?:NO|NEITHER|WITHOUT)\b[^.;]{0,20}$", clause["before"], re.I))

    def _port(self, tags: tuple[str, ...], label: str, group: int) -> str | None:
        for text in self._places(tags, label):
            if re.search(r"[A-Za-z]{3}", text):
                return text.split("\n")[0].strip(" .,;")
        route = _ROUTE.search(self.flow)
        return route[group].strip(" ,") if route else None

    def _goods(self) -> str | None:
        text = self._first(("45A",), "goods", lambda found: found if name_words(found) else None)
        return re.sub(r"\s+", " ", text).strip() if text else None

    def _section(self, tag: str, label: str) -> str | None:
        """Return a section's text; in letters it runs from its heading to the next heading."""
        if self.tags.get(tag):
            return self.tags[tag]
        match = re.search(rf"(?:{_HEADINGS[label]})\s*:?(?P<v>.{{10,1500}}?)(?={_HEADING_AFTER}|$)", self.flow, re.I)
        return match["v"].strip() if match else "\n".join(self.form.block(label)) or None

    def _presentation(self) -> int | None:
        text = self.tags.get("48") or self.form.value("presentation_period") or ""
        if (stated := re.search(r"\b(\d{1,2})\b", text)) and 1 <= int(stated[1]) <= 60:
            return int(stated[1])
        clause = _DAYS_AFTER.search(self.flow)
        return int(clause[1]) if clause else None


def _reference(text: str) -> str | None:
    """Return the reference a text starts with: one word or two, with a figure in it."""
    found = re.match(r"[\s:#.\-]*(?:NO\.?\s+|NUMBER\s+)?((?=[A-Z0-9/.\-]*\d)[A-Z0-9][A-Z0-9/.\-]{3,34})", text, re.I)
    return found[1].strip(".-/") if found else None


def _date(text: str) -> date | None:
    return next(iter(dates(text, swift=True)), None)
