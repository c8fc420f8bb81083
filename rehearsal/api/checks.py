"""Documentary-credit checks: what was read is held against the credit, each finding names its UCP 600 article.

A check speaks only about what was read on both sides. ``critical`` and ``major`` findings make a bank refuse,
``minor`` ones make it ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property

from rapidfuzz import fuzz

from .credit import Credit, Party
from .papers import Paper
from .places import COUNTRIES, country, same_port
from .values import likeness, name_words, words

SEVERITIES = ("critical", "major", "medium", "minor")
TITLES = {
    "letter_of_credit": "Letter of Credit",
    "commercial_invoice": "Commercial Invoice",
    "bill_of_lading": "Bill of Lading",
    "insurance_certificate": "Insurance Certificate",
    "packing_list": "Packing List",
    "certificate_of_origin": "Certificate of Origin",
}
#: Every rule: its title, its severity and the article of UCP 600 it stands on.
RULES = {
    "UCP-LATE-SHIPMENT": ("Late Shipment", "critical", "20(a)(ii)"),
    "UCP-CREDIT-EXPIRED": ("Presentation after Expiry", "critical", "6(e)"),
    "UCP-LATE-PRESENTATION": ("Late Presentation", "major", "14(c)"),
    "UCP-CURRENCY": ("Invoice Currency Differs", "critical", "18(a)(iii)"),
    "UCP-OVERDRAWN": ("Drawing Exceeds the Credit", "critical", "30(a)"),
    "UCP-UNDERDRAWN": ("Drawing Well Below the Credit", "minor", "30(c)"),
    "UCP-PORT-LOADING": ("Port of Loading Differs", "major", "20(a)(iii)"),
    "UCP-PORT-DISCHARGE": ("Port of Discharge Differs", "major", "20(a)(iii)"),
    "UCP-BENEFICIARY": ("Beneficiary Is Another Company", "critical", "18(a)(i)"),
    "UCP-APPLICANT": ("Applicant Is Another Company", "critical", "18(a)(ii)"),
    "UCP-GOODS": ("Goods Description Does Not Correspond", "critical", "18(c)"),
    "UCP-INSURANCE-CURRENCY": ("Insurance in Another Currency", "major", "28(f)(i)"),
    "UCP-INSURANCE-COVER": ("Insurance Cover Too Low", "critical", "28(f)(ii)"),
    "UCP-CLAUSED-BL": ("Bill of Lading Is Not Clean", "critical", "27"),
    "UCP-NOT-ON-BOARD": ("Shipment on Board Not Shown", "critical", "20(a)(ii)"),
    "UCP-TRANSHIPMENT": ("Transhipment Shown Although Prohibited", "critical", "20(b)"),
    "UCP-PARTIAL-SHIPMENT": ("Partial Shipment Shown Although Prohibited", "critical", "31(a)"),
    "DOC-MISSING": ("Missing Required Document", "critical", "14(a)"),
    "NAME-BENEFICIARY": ("Spelling of the Beneficiary's Name", "minor", "14(d)"),
    "NAME-APPLICANT": ("Spelling of the Applicant's Name", "minor", "14(d)"),
    "ADDRESS-BENEFICIARY": ("Beneficiary's Address Differs", "minor", "14(j)"),
    "ADDRESS-APPLICANT": ("Applicant's Address Differs", "minor", "14(j)"),
    "REF-LC-NUMBER": ("Credit Number Missing or Different", "minor", "14(d)"),
    "DATA-GROSS-WEIGHT": ("Gross Weight Differs", "minor", "14(d)"),
    "DATA-PACKAGES": ("Package Count Differs", "minor", "14(d)"),
    "DATA-ORIGIN": ("Country of Origin Differs", "major", "14(d)"),
    "DATA-ORIGIN-FORM": ("Country of Origin in Another Form", "minor", "14(d)"),
    "FORM-UNSIGNED": ("Document Is Not Signed", "minor", "14(f)"),
    "FORM-UNDATED": ("Document Is Not Dated", "minor", "14(i)"),
    "SANCTIONS-PLACE": ("Sanctioned Place, Party or Flag", "critical", "14(a)"),
    "TBML-DUAL-USE": ("Dual-Use Goods to a High-Risk Destination", "critical", "14(a)"),
    "TBML-SAME-ADDRESS": ("Applicant and Beneficiary Share an Address", "critical", "14(a)"),
    "TBML-SHELL-ADDRESS": ("Party at a Registered Agent's Address", "critical", "14(a)"),
    "TBML-VAGUE-GOODS": ("Vague Goods at a High Value", "critical", "18(c)"),
    "TBML-UNIT-PRICE": ("Price Far from the Usual", "critical", "14(d)"),
    "TBML-WEIGHT": ("Impossible Weight", "critical", "14(d)"),
    "TBML-THIRD-PARTY": ("Payment to a Third Party", "critical", "18(a)(i)"),
}

#: How a credit asks for a document, by the type that satisfies it; None where the API knows no such type.
_REQUIRED: tuple[tuple[str | None, str, str], ...] = (
    ("commercial_invoice", "Commercial Invoice", r"INVOICE"),
    ("bill_of_lading", "Bill of Lading", r"BILLS?\s+OF\s+LADING|\bB\s?/\s?L\b"),
    (
        "insurance_certificate",
        "Insurance Certificate",
        r"INSURANCE\s+(?:POLICY|CERTIFICATE|DOCUMENT)|(?:CERTIFICATE|POLICY)\s+OF\s+INSURANCE|MARINE\s+(?:CARGO\s+)?INSURANCE",
    ),
    ("packing_list", "Packing List", r"PACKING\s+LIST|WEIGHT\s+LIST"),
    ("certificate_of_origin", "Certificate of Origin", r"CERTIFICATES?\s+OF\s+ORIGIN|ORIGIN\s+CERTIFICATE"),
    (None, "Beneficiary Certificate", r"BENEFICIARY(?:'?S)?\s+(?:SIGNED\s+)?(?:CERTIFICATE|STATEMENT)"),
    (None, "Inspection Certificate", r"INSPECTION\s+CERTIFICATE|CERTIFICATE\s+OF\s+(?:INSPECTION|QUALITY|ANALYSIS)"),
)
_DAMAGE = re.compile(
    r"\b(TORN|WET|STAIN\w*|DAMAGED?|BROKEN|LEAK\w*|RUST\w*|DENT(?:S|ED)?|CRUSHED|MOULD\w*|MOLD\w*|INSUFFICIENT\w*|"
    r"INADEQUATE\w*|DEFECTIVE|SECOND[- ]?HAND|RE-?USED|BURST|SOILED|SHORT[- ]SHIPPED|FRAYED|PUNCTURED|HOLES)\b"
)
#: Broken rice and broken tea are grades.
_GRADE = re.compile(
    r"\d\s*(?:%|PCT|PER\s?CENT)\s*(?:MAX\w*\s+)?BROKENS?|BROKEN\s+(?:ORANGE|PEKOE|RICE|KERNELS?|GRAINS?)"
)
#: Words that turn a line into small print or a ban, so that what it names is not what happened.
DISCLAIMER = re.compile(
    r"\b(?:NOT|NO|WITHOUT|LIAB\w*|RESPONSIB\w*|UNLESS|IF|FREE\s+(?:OF|FROM)|CLAIMS?|NOTICE|ANY|CLAUSE|PROHIBIT\w*|"
    r"EXCLUD\w*|NONE|NIL|NEVER|AGAINST|RISKS?|COVER\w*)\b",
    re.I,
)
_DENIED = re.compile(r"\b(?:NOT|NO|NIL|NONE|WITHOUT|PROHIBITED|FORBIDDEN|N/?A|DIRECT)\b", re.I)
#: "Via" is also a street: then a house number follows the name.
_STREET = r"(?:[^\W\d][\w.'’]* ){0,2}[^\W\d][\w.'’]*,? (?:N[.R]* ?)?\d{1,4}[A-Z]?\b(?! *(?:[A-Z]{3,9}\W*20|[-/.]\d))"
_TRANSHIPPED = re.compile(
    rf"TRANS?-?\s?SHIP(?:MENT|PED)[^\n]{{0,60}}|\bVIA (?!{_STREET})[A-Z][^\n]{{2,40}}"
    r"|SECOND\s+(?:OCEAN\s+)?VESSEL[^\n]{0,40}",
    re.I,
)
_PART = re.compile(
    r"PART(?:IAL)?\s+(?:SHIPMENT|CONSIGNMENT|DELIVERY|LOT)[^\n]{0,60}"
    r"|(?:FIRST|SECOND|1ST|2ND)\s+(?:\w+\s+)?(?:SHIPMENT|LOT|CONSIGNMENT|INSTALMENT)[^\n]{0,40}"
    r"|(?:SHIPMENT|LOT|CONSIGNMENT)\s+(?:NO\.?\s*)?\d\s+OF\s+\d"
    r"|BALANCE\s+(?:QUANTITY\s+|OF\s+[^\n]{0,30})?(?:TO\s+FOLLOW|WILL\s+(?:BE|FOLLOW)|TO\s+BE\s+SHIPPED)",
    re.I,
)
_QUOTE_NUMBER = re.compile(
    r"(?:QUOTE|SHOW|BEAR|INDICAT\w+|STATE|MENTION|CARRY)[^.;]{0,40}(?:CREDIT|L/?C|DC)\b[^.;]{0,20}(?:NUMBER|NO\b|REF)"
    r"|(?:CREDIT|L/?C|DC)\s+(?:NUMBER|NO)[^.;]{0,60}(?:ALL\s+DOCUMENTS|APPEAR)",
    re.I,
)
_PERCENT = re.compile(r"\b(1\d\d)\s*(?:%|PCT|PER\s?CENT)", re.I)
_GOODS_END = re.compile(
    r"\b(?:QUANTITY|QTY|UNIT\s+PRICE|AS\s+PER|PRICE|H\.?S\.?\s*CODE|COUNTRY\s+OF\s+ORIGIN|ORIGIN|PACKING|CFR|CIF|FOB|CIP|FCA)\b"
)
_GOODS_NOISE = frozenset(
    """AS PER PROFORMA INVOICE NUMBER DATED DATE QUANTITY UNIT PRICE TOTAL AMOUNT CODE ORIGIN PCS PIECES KGS TONS METRIC
    CARTONS BAGS SETS UNITS EACH WITH FOR FROM USD EUR GBP INCOTERMS PACKED PACKING GOODS SERVICES DESCRIPTION SHIPMENT
    CONTRACT ORDER SALES DOZEN YARDS METERS METRES NET GROSS WEIGHT ROLLS DRUMS PAIRS PCT PERCENT QTY THE AND""".split()  # noqa: SIM905 - a list of words reads better as text
)


@dataclass(frozen=True)
class Finding:
    """One discrepancy: what the credit expects and what a document shows; its rule says the rest."""

    id: str
    document: str
    expected: str
    actual: str
    subject: str = ""

    @property
    def title(self) -> str:
        """The rule's title, with what it is about where the rule covers several things."""
        return RULES[self.id][0] + (f": {self.subject}" if self.subject else "")

    @property
    def severity(self) -> str:
        """How grave the finding is."""
        return RULES[self.id][1]

    @property
    def article(self) -> str:
        """The article of UCP 600 the rule stands on."""
        return f"UCP600 Article {RULES[self.id][2]}"

    @property
    def suggestion(self) -> str:
        """What to do about it."""
        if self.id.startswith(("SANCTIONS", "TBML")):
            return "Stop and refer the presentation to compliance."
        if self.id == "DOC-MISSING":
            return f"Add the {self.subject}."
        return "Have the document corrected, or ask the applicant for a waiver."


class Presentation:
    """A credit and the documents presented under it."""

    def __init__(self, credit: Credit, papers: list[Paper]) -> None:
        self.credit = credit
        self.papers = papers
        by_type: dict[str, Paper] = {}
        for paper in papers:
            by_type.setdefault(paper.type, paper)
        self.lc = by_type.get("letter_of_credit")
        self.invoice = by_type.get("commercial_invoice")
        self.bl = by_type.get("bill_of_lading")
        self.insurance = by_type.get("insurance_certificate")
        self.packing_list = by_type.get("packing_list")
        self.origin = by_type.get("certificate_of_origin")
        self.secondary = [paper for paper in papers if paper.type != "letter_of_credit"]

    @cached_property
    def goods(self) -> list[str]:
        """The words that tell the credit's goods from others."""
        parts = _GOODS_END.split((self.credit.goods or "").upper())
        first = next((found for part in parts if (found := words(part))), [])
        kept = (word for word in first if word not in _GOODS_NOISE and word.isalpha() and len(word) > 2)
        return list(dict.fromkeys(kept))[:12]


Check = Callable[[Presentation], Iterator[Finding]]


def findings(seen: Presentation, checks: tuple[Check, ...]) -> list[Finding]:
    """Return what the checks find, the gravest first; one finding per rule, document and subject."""
    found = {(one.id, one.document, one.subject): one for check in checks for one in check(seen)}
    return sorted(found.values(), key=lambda one: SEVERITIES.index(one.severity))


def verdict(found: list[Finding]) -> str:
    """Return ``reject`` for a critical or major finding, ``warn`` for minor ones only, else ``pass``."""
    severities = {one.severity for one in found}
    return "reject" if severities & {"critical", "major"} else "warn" if severities else "pass"


def _dates(seen: Presentation) -> Iterator[Finding]:
    credit, bl, invoice = seen.credit, seen.bl, seen.invoice
    shipped = bl.on_board if bl else None
    presented = invoice.presented if invoice else None
    if bl and shipped and credit.latest_shipment and shipped > credit.latest_shipment:
        yield Finding("UCP-LATE-SHIPMENT", bl.filename, f"On board by {credit.latest_shipment}", f"On board {shipped}")
    if invoice and presented and credit.expiry and presented > credit.expiry:
        yield Finding("UCP-CREDIT-EXPIRED", invoice.filename, f"Presented by {credit.expiry}", f"Presented {presented}")
    if invoice and presented and shipped:
        days = credit.presentation_days or 21
        last = shipped + timedelta(days=days)
        if presented > last:
            needed = f"Presented within {days} days, by {last}"
            yield Finding("UCP-LATE-PRESENTATION", invoice.filename, needed, f"Presented {presented}")


def _drawing(seen: Presentation) -> Iterator[Finding]:
    credit, invoice = seen.credit, seen.invoice
    asked, drawn = credit.amount, invoice.total if invoice else None
    if not invoice or not asked or not drawn:
        return
    most = asked.amount * (1 + credit.above / 100)
    least = asked.amount * (1 - max(credit.below, Decimal(10)) / 100)
    if asked.currency and drawn.currency and asked.currency != drawn.currency:
        yield Finding("UCP-CURRENCY", invoice.filename, asked.currency, drawn.currency)
    elif drawn.amount > most + 1:
        yield Finding("UCP-OVERDRAWN", invoice.filename, f"At most {asked.currency} {most:,.2f}", str(drawn))
    elif drawn.amount < least - 1:
        yield Finding("UCP-UNDERDRAWN", invoice.filename, f"About {asked}", str(drawn))


def _ports(seen: Presentation) -> Iterator[Finding]:
    if not seen.bl:
        return
    for label, asked in (("loading", seen.credit.loading), ("discharge", seen.credit.discharge)):
        shown = seen.bl.port(label)
        if asked and not (same_port(asked, shown) if shown else _mentions(seen.bl, asked)):
            yield Finding(f"UCP-PORT-{label.upper()}", seen.bl.filename, asked, shown or "not shown")


def _mentions(paper: Paper, port: str) -> bool:
    head = [word for word in words(port.split(",")[0]) if word not in {"PORT", "OF", "ANY", "IN"}]
    return set(head) <= set(words(paper.text))


def _parties(seen: Presentation) -> Iterator[Finding]:
    """Who issued and who is named: a near miss is a spelling, a labelled company unknown to the credit another one."""
    for role, party, labels in (
        ("BENEFICIARY", seen.credit.beneficiary, ("seller",)),
        ("APPLICANT", seen.credit.applicant, ("buyer", "consignee", "notify")),
    ):
        for paper in seen.secondary if party and party.words else ():
            assert party is not None
            present, near = likeness(party.words, paper.words)
            if near:
                yield Finding(f"NAME-{role}", paper.filename, party.name, near.title())
                continue
            absent = "not named" if paper is seen.invoice and not present else None
            stranger = None if present and paper is not seen.bl else _stranger(seen, paper, labels)
            if stranger or absent:
                yield Finding(f"UCP-{role}", paper.filename, party.name, stranger or absent or "")


def _stranger(seen: Presentation, paper: Paper, labels: tuple[str, ...]) -> str | None:
    """Return a labelled company that the credit does not know."""
    for label in labels:
        named = paper.party(label)
        if named and seen.lc and not re.search(r"\b(?:ORDER|BANK|SAME|BEARER)\b", named.name, re.I):
            present, near = likeness(named.words, seen.lc.words)
            if not present and not near:
                return named.name
    return None


def _addresses(seen: Presentation) -> Iterator[Finding]:
    for role, party, labels in (
        ("BENEFICIARY", seen.credit.beneficiary, ("seller",)),
        ("APPLICANT", seen.credit.applicant, ("buyer", "consignee", "notify")),
    ):
        asked = address_words(party)
        for paper in seen.secondary if party and len(asked) >= 3 else ():
            for named in filter(None, (paper.party(label) for label in labels)):
                shown = address_words(named)
                if len(shown) < 3 or fuzz.ratio(" ".join(named.words), " ".join(party.words if party else ())) < 85:
                    continue
                strange = [word for word in shown - asked if all(fuzz.ratio(word, other) < 80 for other in asked)]
                figures = any(sign.isdigit() for word in shown - asked for sign in word)
                if figures or len(strange) >= 2:
                    expected = ", ".join(party.address if party else ())
                    yield Finding(f"ADDRESS-{role}", paper.filename, expected, ", ".join(named.address))
                break


def address_words(party: Party | None) -> set[str]:
    """Return the words of an address without its country, telephone lines and post-box signs."""
    no_address = re.compile(r"\b(?:TEL|PHONE|FAX|E-?MAIL|ATTN|VAT|WWW|REG)\b|@", re.I)
    lines = [line for line in (party.address if party else ()) if not no_address.search(line)]
    left_out = {word for forms in COUNTRIES.values() for form in forms for word in form.split()} | {
        "P",
        "O",
        "PO",
        "BOX",
    }
    return set(name_words(" ".join(lines))) - left_out


def _goods(seen: Presentation) -> Iterator[Finding]:
    if not seen.invoice or not seen.goods:
        return
    shown = set(words(seen.invoice.text))
    lost = [one for one in seen.goods if one not in shown and all(fuzz.ratio(one, other) < 84 for other in shown)]
    if len(lost) > 0.5 * len(seen.goods):
        actual = seen.invoice.form.value("goods") or f"a description without {' '.join(lost).lower()}"
        yield Finding("UCP-GOODS", seen.invoice.filename, seen.credit.goods or "", actual)


def _insurance(seen: Presentation) -> Iterator[Finding]:
    paper, asked = seen.insurance, seen.credit.amount
    covered, drawn = paper.sum_insured if paper else None, seen.invoice.total if seen.invoice else None
    if not paper or not covered:
        return
    stated = _PERCENT.search(f"{seen.credit.documents or ''} {seen.credit.conditions or ''}")
    percent = int(stated[1]) if stated else 110
    if asked and asked.currency and covered.currency and covered.currency != asked.currency:
        yield Finding("UCP-INSURANCE-CURRENCY", paper.filename, asked.currency, covered.currency)
    elif drawn and covered.amount < drawn.amount * percent / 100 - 1:
        needed = f"At least {drawn.currency} {drawn.amount * percent / 100:,.2f} ({percent} %)"
        yield Finding("UCP-INSURANCE-COVER", paper.filename, needed, str(covered))


def _required(seen: Presentation) -> Iterator[Finding]:
    types = {paper.type for paper in seen.papers}
    for kind, title, pattern in _REQUIRED:
        asked = re.search(pattern, seen.credit.documents or "", re.I)
        others = (paper.text[:300] for paper in seen.secondary if kind is None)
        presented = kind in types or any(re.search(pattern, text, re.I) for text in others)
        if asked and not presented:
            yield Finding("DOC-MISSING", title, f"{title} as the credit requires", "Document not provided", title)


def _bill_of_lading(seen: Presentation) -> Iterator[Finding]:
    bl = seen.bl
    if not bl:
        return
    described = set(
        words(f"{seen.credit.goods or ''} {seen.invoice.form.value('goods') or '' if seen.invoice else ''}")
    )
    for line in bl.text.upper().splitlines():
        defect = next((found for found in _DAMAGE.findall(_GRADE.sub("", line)) if found not in described), None)
        if defect and not DISCLAIMER.search(line):
            clause = f"A clause on the cargo's condition ({defect.lower()})"
            yield Finding("UCP-CLAUSED-BL", bl.filename, "A clean bill of lading", clause)
            break
    received = re.search(
        r"RECEIVED\s+FOR\s+SHIPMENT|NOT\s+(?:YET\s+)?(?:SHIPPED\s+|LADEN\s+|LOADED\s+)?ON\s+BOARD", bl.flow, re.I
    )
    shipped = re.search(
        r"(?<!NOT )(?<!NOT YET )(?:SHIPPED|LADEN|LOADED)\s+ON\s*-?\s*BOARD|ON\s*-?\s*BOARD\s+(?:DATE|NOTATION)",
        bl.flow,
        re.I,
    )
    if received and not shipped:
        yield Finding("UCP-NOT-ON-BOARD", bl.filename, "Shipped on board, with its date", "Received for shipment")


def _shipments(seen: Presentation) -> Iterator[Finding]:
    for id_, banned, pattern, papers in (
        ("UCP-TRANSHIPMENT", seen.credit.transhipment_banned, _TRANSHIPPED, (seen.bl,)),
        ("UCP-PARTIAL-SHIPMENT", seen.credit.partial_banned, _PART, (seen.bl, seen.invoice)),
    ):
        for paper in filter(None, papers if banned else ()):
            if id_ == "UCP-TRANSHIPMENT" and (port := _transhipment_port(paper)):
                yield Finding(id_, paper.filename, "None", port)
                continue
            for match in pattern.finditer(paper.text):
                said = re.sub(r"^TRANS?-?\s?SHIPMENT\s*(?:PORT)?\s*[:\-]?", "", match[0], flags=re.I)
                if re.search(r"[A-Za-z0-9]{2}", said) and not _DENIED.search(match[0]):
                    yield Finding(id_, paper.filename, "None", match[0].strip()[:60])
                    break


def _transhipment_port(paper: Paper) -> str | None:
    """Return the place of transhipment that a form names under or beside its label."""
    named = (block[0] for block in paper.form.blocks("transhipment_port", "transhipment"))
    return next((one for one in named if re.search(r"[A-Za-z]{3}", one) and not _DENIED.search(one)), None)


def _references(seen: Presentation) -> Iterator[Finding]:
    """The credit's number on the other documents: asked for by a condition, or carried by all but this one."""
    wanted = "".join(words(seen.credit.number or ""))
    if len(wanted) < 4:
        return
    asked = _QUOTE_NUMBER.search(re.sub(r"\s+", " ", f"{seen.credit.conditions or ''} {seen.credit.documents or ''}"))
    lacking = [paper for paper in seen.secondary if wanted not in "".join(words(paper.text))]
    alone = len(lacking) == 1 and len(seen.secondary) >= 4
    for paper in lacking:
        values = (block[0].split("  ")[0] for block in paper.form.blocks("lc_number"))
        stated = next((value for value in values if re.search(r"\d", value)), None)
        if stated or asked or alone:
            yield Finding("REF-LC-NUMBER", paper.filename, seen.credit.number or "", stated or "not shown")


def _weights_and_counts(seen: Presentation) -> Iterator[Finding]:
    bl, listed = seen.bl, seen.packing_list
    if not bl or not listed:
        return
    for id_, shown, other in (
        ("DATA-GROSS-WEIGHT", bl.gross, listed.gross),
        ("DATA-PACKAGES", bl.count, listed.count),
    ):
        if shown and other and shown != other:
            yield Finding(id_, listed.filename, f"{shown} as on the bill of lading", str(other))


def _formalities(seen: Presentation) -> Iterator[Finding]:
    for paper in filter(None, (seen.packing_list, seen.origin)):
        if not paper.signed:
            yield Finding("FORM-UNSIGNED", paper.filename, "A signature", "none shown", TITLES[paper.type])
        if not paper.has_own_date:
            yield Finding("FORM-UNDATED", paper.filename, "A date", "none shown", TITLES[paper.type])


def _origin(seen: Presentation) -> Iterator[Finding]:
    paper = seen.origin
    shown = country(paper.origin) if paper and paper.origin else None
    goods = re.search(r"\bORIGIN\b\s*(?:OF\s+GOODS)?\s*[:\-]?\s*(?P<v>[A-Z][A-Z.' ]+)", seen.credit.goods or "", re.I)
    stated = (goods["v"] if goods else None, seen.invoice.origin if seen.invoice else None)
    asked = next((found for text in stated if text and (found := country(text))), None)
    if not paper or not shown:
        return
    if asked and shown[0] != asked[0]:
        yield Finding("DATA-ORIGIN", paper.filename, asked[1].title(), shown[1].title())
    elif shown[1] not in {asked[1] if asked else None, COUNTRIES[shown[0]][0]}:
        yield Finding("DATA-ORIGIN-FORM", paper.filename, COUNTRIES[shown[0]][0].title(), shown[1])


CHECKS: tuple[Check, ...] = (
    _dates,
    _drawing,
    _ports,
    _parties,
    _addresses,
    _goods,
    _insurance,
    _required,
    _bill_of_lading,
    _shipments,
    _references,
    _weights_and_counts,
    _formalities,
    _origin,
)
