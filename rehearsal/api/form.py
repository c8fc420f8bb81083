"""Labels and their values on a page, wherever the layout puts the value: beside, below or in the same line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import pairwise

from .extract import Reading, Segment

#: What documents call their fields: patterns in which a space stands for any gap, ``~`` for a gap that may be missing,
#: and groups capture nothing. A label also ends the value before it, so there are more than are read.
_NAMES = {
    "lc_number": "(documentary |letter of )?credit~(number|no|ref(erence)?)|(l~/~c|lc|d~/~c|dc)~(number|no"
    "|ref(erence)?|#)"
    "|(irrevocable )?(documentary|letter of) credit|our ref(erence)?|drawn under( l/?c)?( no)?|l/c",
    "issue_date": "(place (and|&) )?date of issue|place (and|&) date of issue|issu(e|ing|ance) date|issued on|dated?"
    "|date of issuance|invoice date|(b~/~l|bl) date|date issued",
    "expiry": "date (and|&) place of expiry|place (and|&) date of expiry|expiry( date)?(~(and|&|/)~place)?"
    "|date of expiry"
    "|expir(es|ation)( (on|date))?|valid(ity)?~(until|till|to|date)?",
    "amount": "currency( code)?~(and|&|,|/)~amount|(l/?c|credit) (amount|value)|amount( of (the )?credit)?"
    "|value of (the )?credit|face value|maximum( credit)? amount",
    "tolerance": "(percentage )?(credit )?(amount )?tolerance",
    "applicant": "applicant(~/~buyer)?|account party|opener|ordering customer",
    "beneficiary": "beneficiary(~/~(seller|exporter))?('s)?( name)?",
    "partial": "partial~shipments?|part~shipments?",
    "transhipment": "trans?-?~shipments?",
    "transhipment_port": "(port|place) of trans?-?~shipment|trans?-?~shipment (port|place|point|at|via)",
    "loading": "port of (loading|shipment|lading)(~/~airport of departure)?|loading port|load port|pol|shipment from"
    "|shipped from",
    "discharge": "port of (discharge|destination|unloading|delivery)(~/~airport of destination)?|discharg(e"
    "|ing) port|pod"
    "|for transportation to|shipment to",
    "latest_shipment": "(latest|last) (date (of|for) shipment|shipment( date)?|shipping date)|shipment not later than"
    "|ship(ment)? by",
    "goods": "description of (the )?goods( and/or services)?|goods( description)?|covering|merchandise|commodity"
    "|description( of (packages and goods|merchandise))?|shipment of goods|nature of goods",
    "documents": "documents? required|required documents?|documents? to (be presented|accompany)[^:]{0,30}",
    "conditions": "(additional|special|other) (conditions?|terms|instructions?)",
    "presentation_period": "period (for|of) presentation|presentation period",
    "presentation": "date of (document )?presentation|presentation date|documents? presented( on)?"
    "|presented( to (the )?bank)? on|presented",
    "seller": "seller|exporter(~/~(seller|shipper))?|shipper(~/~(exporter|seller))?|consignor|supplier|sold by"
    "|vendor|from"
    "|(shipper|exporter)'?s? name( and address)?|goods consigned from",
    "buyer": "buyer(~/~(importer|consignee))?|sold to|bill(ed)? to|invoice to|importer|customer"
    "|for (the )?account (and risk )?of|to|messrs",
    "consignee": "consignee(~/~importer)?|goods consigned to|consigned to|ship to|deliver to",
    "notify": "(also )?notify( (party|address))?",
    "assured": "(the )?(assured|insured)( party)?|name of (the )?(assured|insured)",
    "on_board": "(shipped|laden|loaded) on~-?~board( (date|on))?|on~-?~board (date|notation)|shipment date"
    "|date of shipment"
    "|date (of )?shipped on board|date laden on board",
    "gross": "(total )?gross~(weight|wt)|g~\\.~w(eight|t)?",
    "net": "(total )?net~(weight|wt)|n~\\.~w(eight|t)?",
    "packages": "(total )?(number|no|quantity)~(and kind )?of (packages|cartons|pkgs|bags)|(total )?packages"
    "|total (cartons|packing)|packing",
    "sum_insured": "(total )?(sum|amount|value) insured|insured (amount|value|sum)|insurance (amount|value)"
    "|amount of insurance",
    "origin": "country of origin( of (the )?goods)?|origin( of (the )?goods)?|made in|origin criterion",
    "total": "(grand )?total( (invoice )?(amount|value|due|price))?( (cif|fob|cfr|cip|fca|cpt|dap))?"
    "|invoice (total|value|amount)|amount (due|payable)|total (cif|fob|cfr|cip|fca|cpt)[^:]{0,25}",
    "account_name": "(bank )?(account|a/c)~(name|holder)|payee|pay to( the order of)?|remit(tance)? to|payment to"
    "|in favou?r of",
    "flag": "(vessel'?s? )?flag( of (the )?vessel)?",
    "other": "invoice~(no|number|#)|(b~/~l|bl|bill of lading)~(no|number)|policy~(no|number)|certificate~(no|number)"
    "|(ocean )?vessel(~(/|and|&)~voy(age)?)?( name)?|voy(age)?( no)?|place of (receipt|delivery|issue)"
    "|final destination"
    "|incoterms?|terms( of (delivery|payment))?|payment( terms)?|container(~(no|nos|number))?|seal no"
    "|((shipping|case|package) )?marks?( (and|&) n(umber|o)s)?|(our |your )?ref(erence)?~(no|number)?|transport details"
    "|(p~/~l|packing list)~(no|number)|imo~(no|number)"
    "|h~\\.?~s~\\.?~(code|no)|quantity|qty|unit price|price|measurement|freight|tel"
    "|phone|fax"
    "|e-?mail|attn|attention|vat( no)?|swift( (code|bic))?|iban|issuing bank|advising bank|available with( by)?"
    "|drafts( at)?|drawee|charges|confirmation( instructions)?|form of (documentary )?credit|applicable rules"
    "|sequence of total|remarks?|signature|signed( by)?|authori[sz]ed signat(ure|ory)|conveyance|conditions"
    "|claims( payable)?( at)?|surveyor|premium|currency|contract( no)?|order (no|number)|proforma( invoice)?( no)?|page"
    "|bank|carrier|agent|means of transport",
}
LABELS = {
    field: "(?:" + re.sub(r"\((?!\?)", "(?:", names).replace(" ", r"\s+").replace("~", r"\s*") + ")"
    for field, names in _NAMES.items()
}
_LEAD = r"^\W*(?:(?:box|field)\s*)?(?:\(?\d{1,2}[A-Z]?[.):]+\s*)?(?:the\s+)?"
_TAIL = r"(?:\s*\([^)]{0,40}\))?\s*"
#: A label may end in the stop of an abbreviation ("No."); a stop after a whole word ends a sentence.
_END = r"(?<!\w{5}\.)$"
#: A line of running text that ends in one of these goes on in the next line.
_OPEN = re.compile(r"(?:\S+\s+){3,}(?:AND|OR|OF|THE|TO|BY|FOR|IN|AN?|ON|WITH|FROM|NOTIFY(?:ING)?|AS|IS)$", re.I)


@lru_cache(maxsize=256)
def _start(name: str) -> re.Pattern[str]:
    return re.compile(rf"{_LEAD}(?:{LABELS[name]})\b\.?{_TAIL}(?P<sign>[:#=]|\s-\s|{_END})?\s*(?P<rest>.*)$", re.I)


_ANY = re.compile(rf"{_LEAD}(?:{'|'.join(LABELS.values())})\b\.?{_TAIL}(?:[:#]|{_END})", re.I)
_BARE = re.compile(rf"{_LEAD}(?:{'|'.join(LABELS.values())})\b\.?{_TAIL}[:#]?{_END}", re.I)
_UNKNOWN = re.compile(r"^\W*[A-Z][A-Za-z&/'.]*(?: [A-Za-z&/'.]+){0,2} ?:(?:\s|$)")
_NUMBERED = re.compile(
    r"^\W*(?:l\s?/?\s?c|d/?c|b\s?/?\s?l|invoice|(?:documentary\s+)?credit|policy|order|contract|certificate"
    r"|date|vat|tel|phone|fax|e-?mail)"
    r"\b\W*(?:no|number|ref|nr|of)?\b.*\d",
    re.I,
)
_INLINE = re.compile(rf"(?<=[\w.,)])\s+(?=(?:{'|'.join(LABELS.values())})\b\.?(?:\s*\([^)]{{0,40}}\))?\s*:\s)", re.I)


class Form:
    """The labelled values of one document."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    @cached_property
    def segments(self) -> list[Segment]:
        """The segments, those with several ``label: value`` pairs taken apart."""
        parts: list[Segment] = []
        for one in self.reading.segments:
            cuts = [*_starts(one.text), len(one.text)]
            width = (one.right - one.left) / max(len(one.text), 1)
            for start, end in pairwise(cuts):
                left, right = one.left + start * width, one.left + end * width
                parts.append(Segment(one.text[start:end].strip(), left, right, one.top, one.bottom, one.page))
        return parts

    def value(self, *names: str) -> str | None:
        """Return the one-line value of the first label that has one."""
        block = self.block(*names)
        return block[0] if block else None

    def block(self, *names: str) -> list[str]:
        """Return the value's lines: the value itself, then what stands under it in the same column."""
        return next(self.blocks(*names), [])

    def blocks(self, *names: str) -> Iterator[list[str]]:
        """Yield the values of every place where one of the labels stands, surest places first."""
        for name in names:
            unsure = []
            for position, segment in enumerate(self.segments):
                match = _start(name).match(segment.text)
                if not match or (match["sign"] != ":" and self._continues(position)):
                    continue
                if match["sign"] is None:  # "Port of loading Chittagong": a label without its colon
                    if 0 < len(match["rest"].split()) <= 6 and (" " in segment.text[: match.start("rest")].strip()):
                        unsure.append([match["rest"]])
                elif match["rest"]:
                    yield [match["rest"], *self._under(position, segment.left, segment.right)]
                elif (first := self._neighbour(position)) is not None:
                    value = self.segments[first]
                    label = segment if value.beside(segment) else None
                    yield [value.text, *self._under(first, value.left - 4, value.left + 4, label)]
            yield from unsure

    def column(self, name: str) -> list[str]:
        """Return the texts under a column heading, down the page, without those nearer to another heading."""
        for position, head in enumerate(self.segments):
            if (match := _start(name).match(head.text)) and not match["rest"]:
                heads = [one for one in self.segments if one.beside(head)]
                below = [
                    one
                    for one in self.segments
                    if one.page == head.page
                    and one.top > head.bottom - 1
                    and one.left < head.right + 20
                    and one.right > head.left - 20
                    and max(heads, key=lambda heading: min(one.right, heading.right) - max(one.left, heading.left))
                    is head
                ]
                if below and position:
                    return [one.text for one in sorted(below, key=lambda one: one.top)]
        return []

    def _neighbour(self, position: int) -> int | None:
        """Return where the value of a bare label is: next in the document, else beside it, else under it."""
        label = self.segments[position]
        follower = position + 1
        if follower < len(self.segments) and self._adjacent(label, self.segments[follower]):
            return follower if not is_label(self.segments[follower].text) else None
        beside = [
            (one.left, index)
            for index, one in enumerate(self.segments)
            if one.beside(label) and one.left >= label.right - 1 and one is not label
        ]
        under = [
            (one.top, index)
            for index, one in enumerate(self.segments)
            if one.page == label.page
            and 0 <= one.top - label.bottom + 2 < 2.2 * label.height
            and label.left - 15 <= one.left <= label.right + 5
        ]
        for found in (min(beside, default=None), min(under, default=None)):
            if found and not is_label(self.segments[found[1]].text):
                return found[1]
        return None

    @staticmethod
    def _adjacent(label: Segment, value: Segment) -> bool:
        if label.page != value.page:
            return False
        right = value.left >= label.right - 2 and abs(value.top - label.top) < 5 * label.height
        below = 0 <= value.top - label.bottom + 2 < 2.2 * label.height and abs(value.left - label.left) < 15
        return right or below

    def _labelled(self, value: Segment) -> bool:
        """Tell whether a label stands before a segment in its own row."""
        return any(one.beside(value) and one.right <= value.left and _BARE.match(one.text) for one in self.segments)

    def _continues(self, position: int) -> bool:
        """Tell whether a segment goes on with the sentence of the line above it, and so is no label."""
        here, above = self.segments[position], self.segments[position - 1] if position else None
        return bool(above and above.page == here.page and above.bottom <= here.top + 2 and _OPEN.search(above.text))

    def _under(self, position: int, left: float, right: float, label: Segment | None = None) -> list[str]:
        """Return up to five lines that go on under a segment, until a gap or a label.

        Under a value that stands beside its *label*, whatever stands in the label's column is a label too.
        """
        lines: list[str] = []
        last = self.segments[position]
        below = [one for one in self.segments if one.page == last.page and one.top > last.top + 0.5 * last.height]
        for one in sorted(below, key=lambda one: (one.top, one.left)):
            if not left - 3 <= one.left <= right:
                continue
            if (
                one.top - last.bottom > 1.1 * last.height
                or len(lines) == 5
                or is_label(one.text)
                or self._labelled(one)
                or (label and any(abs(it.left - label.left) < 4 and it.beside(one) for it in self.segments))
            ):
                break
            if not one.beside(last):
                lines.append(one.text)
                last = one
        return lines


def _starts(text: str) -> list[int]:
    """Return where the ``label: value`` pairs of a line start: at its start, and after a value or a title."""
    starts = [0]
    for match in _INLINE.finditer(text):
        before = text[starts[-1] : match.start()]
        whole = text[starts[-1] : text.index(":", match.end())]  # "Shipment" and "to" are one label, not two
        if re.search(r"[:#\d]", before) or (len(before.split()) >= 3 and not _BARE.match(whole)):
            starts.append(match.end())
    return starts


def is_label(text: str) -> bool:
    """Tell whether a line starts a field of its own."""
    return bool(_ANY.match(text) or _NUMBERED.match(text) or _UNKNOWN.match(text)) or bool(
        re.match(r"^\W*\d{2}[A-Z]?\s*:", text)
    )
