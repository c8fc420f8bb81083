"""Values as trade documents write them: dates, money, quantities, names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rapidfuzz.distance import OSA

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = (
    r"(?P<{0}>JAN(?:UARY)?|FEB(?:RUARY)?|MAR(?:CH)?|APR(?:IL)?|MAY|JUNE?|JULY?|AUG(?:UST)?|SEPT?(?:EMBER)?|"
    r"OCT(?:OBER)?|NOV(?:EMBER)?|DEC(?:EMBER)?)"
)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_DATE = re.compile(
    r"(?<![\d.,])(?:"
    r"(?P<y1>20\d\d)[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})"
    r"|(?P<d2>\d{1,2})(?:ST|ND|RD|TH)?(?:\s+DAY)?[\s\-./]*(?:OF\s+)?"
    + _MONTH.format("m2")
    + r"[\s\-./,]*(?P<y2>20\d\d|\d\d)"
    r"|(?P<d4>\d{1,2})[-/.](?P<m4>\d{1,2})[-/.](?P<y4>20\d\d)"
    r"|(?P<d6>\d{1,2})\.\s?(?P<m6>[IVX]{1,4})\.\s?(?P<y6>20\d\d)"
    r"|(?P<y5>\d\d)(?P<m5>0[1-9]|1[0-2])(?P<d5>0[1-9]|[12]\d|3[01])"
    r")(?![\d]|[.,]\d)"
    r"|\b" + _MONTH.format("m3") + r"\.?\s+(?P<d3>\d{1,2})(?:ST|ND|RD|TH)?,?\s+(?P<y3>20\d\d)\b",
    re.IGNORECASE,
)
_CURRENCY = (
    r"USD|US\s?\$|EUR|€|GBP|£|JPY|CNY|RMB|CHF|AED|SGD|HKD|AUD|CAD|INR|BDT|PKR|LKR|TRY|KRW|THB|MYR|SAR|ZAR|SEK|NOK|DKK"
    r"|NZD|\$"
)
_ALIASES = {"US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "RMB": "CNY"}
#: Order-of-magnitude rates to USD, for thresholds that are factors, never for an amount that is compared.
USD_RATES = {
    "USD": 1.0, "EUR": 1.1, "GBP": 1.3, "JPY": 0.007, "CNY": 0.14, "CHF": 1.1, "AED": 0.27, "SGD": 0.75, "HKD": 0.13,
    "AUD": 0.66, "CAD": 0.73, "INR": 0.012, "BDT": 0.0085, "PKR": 0.0036, "LKR": 0.0033, "TRY": 0.03, "KRW": 0.0007,
    "THB": 0.028, "MYR": 0.22, "SAR": 0.27, "ZAR": 0.055, "SEK": 0.1, "NOK": 0.1, "DKK": 0.15, "NZD": 0.6,
}  # fmt: skip
NUMBER = (
    r"(?:\d{1,3}(?:[,.'’]\s?\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,3}(?:\s\d{3})+[.,]\d{1,2}(?!\d)|\d+(?:[.,]\d{1,3})?)"
)
#: Thousands parted by spaces and no decimals: a number only where a currency or a unit says so.
_SPACED = r"(?<![\d.,])\d{1,3}(?:\s\d{3})+(?!\d|[.,]\d|\s\d{3}\b)"
_MONEY = re.compile(
    rf"(?<![A-Z])(?P<before>{_CURRENCY})[\s.:]*(?P<n1>{_SPACED}|{NUMBER})|(?P<n2>{_SPACED}|{NUMBER})\s*(?P<after>{_CURRENCY})(?![A-Z])",
    re.I,
)
_WEIGHT = re.compile(
    rf"(?P<n>{_SPACED}|{NUMBER})\s*(?P<unit>KGS?|KILOS?|KILOGRAMS?|MTS?|M/T"
    rf"|TONNES?|TONS?|METRIC\s+TONS?|LBS?)\b",
    re.I,
)
PACKAGES = (
    r"CARTONS?|CTNS?|BAGS?|DRUMS?|PACKAGES?|PKGS?|PALLETS?|PLTS?|ROLLS?|CASES?|BALES?|CRATES?|BOXES|BOX|SACKS?"
    r"|BUNDLES?|"
    r"REELS?|COILS?|JERRYCANS?|IBCS?|BIG\s+BAGS?|FLEXITANKS?|CHESTS?"
)
_PACKAGES = re.compile(rf"(?P<n>{NUMBER})\s*(?:\([A-Z\s]+\)\s*)?(?:[A-Z]+\s+)?(?:{PACKAGES})\b", re.I)

#: Legal forms and courtesies: they tell two companies apart for a registrar, not for a typist.
_FORMS = frozenset(
    """LTD LIMITED LLC INC INCORPORATED CORP CORPORATION CO COMPANY GMBH AG KG SA SPA SRL SARL SAS BV NV PLC PTE PVT
    PRIVATE OY AB AS APS LDA LTDA FZE FZCO FZC DMCC JSC PJSC BHD SDN TBK PT KK PTY SL SLU DOO STI SIRKETI ANONIM MESSRS
    JOINT STOCK THE AND OF""".split()  # noqa: SIM905 - a list of words reads better as text
)
_ABBREVIATIONS = {
    "INTL": "INTERNATIONAL", "MFG": "MANUFACTURING", "BROS": "BROTHERS", "INDS": "INDUSTRIES", "IND": "INDUSTRIES",
    "EXP": "EXPORT", "IMP": "IMPORT", "TRDG": "TRADING", "ENT": "ENTERPRISES", "ST": "STREET", "RD": "ROAD",
    "AVE": "AVENUE", "AV": "AVENUE", "BLVD": "BOULEVARD", "BLDG": "BUILDING", "FL": "FLOOR", "STE": "SUITE",
    "STR": "STRASSE", "LN": "LANE", "DR": "DRIVE", "SQ": "SQUARE", "EST": "ESTATE", "DIST": "DISTRICT", "NO": "",
    "NR": "", "HWY": "HIGHWAY", "PKWY": "PARKWAY",
}  # fmt: skip


@dataclass(frozen=True)
class Money:
    """An amount; ``currency`` is the ISO code, or empty where the document leaves it to a heading."""

    currency: str
    amount: Decimal

    def __str__(self) -> str:
        return f"{self.currency} {self.amount:,.2f}".strip()

    def in_usd(self) -> float:
        """Return a rough value in USD."""
        return float(self.amount) * USD_RATES.get(self.currency, 1.0)


def dates(text: str, *, swift: bool = False) -> list[date]:
    """Return the dates in *text* in their order; day before month; YYMMDD only where *swift* says so."""
    return [found for found, _ in dated(text, swift=swift)]


def dated(text: str, *, swift: bool = False) -> Iterator[tuple[date, int]]:
    """Yield each date in *text* with the position where it starts."""
    for match in _DATE.finditer(text):
        form = next(n for n in "123456" if match[f"d{n}"])
        if form == "5" and not swift:
            continue
        year, month, day = match[f"y{form}"], match[f"m{form}"], int(match[f"d{form}"])
        if form == "6":
            number = _ROMAN.index(month.upper()) + 1 if month.upper() in _ROMAN else 0
        else:
            number = _MONTHS.index(month[:3].upper()) + 1 if month.isalpha() else int(month)
        if form == "4" and number > 12:
            number, day = day, number
        try:
            yield date(int(year) + (2000 if len(year) == 2 else 0), number, day), match.start()
        except ValueError:
            continue


def number(text: str) -> Decimal:
    """Return the number *text* spells, whichever sign parts its thousands and its decimals."""
    digits = re.sub(r"[\s'’]", "", text).rstrip(".,")
    signs = [sign for sign in digits if sign in ".,"]
    if not signs:
        return Decimal(digits)
    head, tail = (
        digits[: max(digits.rfind("."), digits.rfind(","))],
        digits[max(digits.rfind("."), digits.rfind(",")) + 1 :],
    )
    thousands = len(set(signs)) == 1 and len(tail) == 3 and (len(signs) > 1 or len(head) <= 3)
    return Decimal(re.sub(r"[.,]", "", head) + ("" if thousands else ".") + tail)


def monies(text: str) -> list[Money]:
    """Return the amounts in *text* that carry a currency, in their order."""
    return [
        Money(_currency(match["before"] or match["after"]), number(match["n1"] or match["n2"]))
        for match in _MONEY.finditer(text)
    ]


def currencies(text: str) -> list[str]:
    """Return the ISO codes named in *text*, in their order."""
    return [_currency(found) for found in re.findall(rf"(?<![A-Za-z])(?:{_CURRENCY})(?![A-Za-z])", text)]


def _currency(written: str) -> str:
    code = re.sub(r"\s", "", written.upper())
    return _ALIASES.get(code, code)


def numbers(text: str) -> set[Decimal]:
    """Return every number *text* holds."""
    return {number(found) for found in re.findall(NUMBER, text)}


def weights(text: str) -> list[Decimal]:
    """Return the weights in *text* in kilograms."""
    found = []
    for match in _WEIGHT.finditer(text):
        unit = match["unit"].upper()
        factor = Decimal(1) if unit.startswith("K") else Decimal("0.4536") if unit.startswith("L") else Decimal(1000)
        found.append(number(match["n"]) * factor)
    return found


def packages(text: str) -> list[int]:
    """Return the counts of packages in *text*."""
    return [int(number(match["n"])) for match in _PACKAGES.finditer(text)]


def words(text: str) -> list[str]:
    """Return *text* as upper-case words without accents or punctuation; ``S.p.A.`` is one word."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().upper()
    plain = re.sub(r"\b(?:[A-Z]\.){2,}[A-Z]?\b", lambda match: match[0].replace(".", ""), plain)
    plain = re.sub(r"(?<=[A-Z])'(?=[A-Z])", "", plain)
    return re.findall(r"[A-Z0-9]+", plain)


def name_words(text: str) -> list[str]:
    """Return the words that make a name: abbreviations spelled out, legal forms left away."""
    spelled = [_ABBREVIATIONS.get(word, word) for word in words(text)]
    return [word for word in spelled if word and word not in _FORMS]


def likeness(name: Sequence[str], text: Sequence[str]) -> tuple[bool, str | None]:
    """Return whether *text* holds *name* as it is, and a near miss it holds besides (None when there is none).

    Both are lists of :func:`name_words`. A near miss differs by at most one letter in eight, over word limits.
    """
    wanted, size = "".join(name), len(name)
    exact = {start for start in range(len(text) - size + 1) if list(text[start : start + size]) == list(name)}
    taken = {position for start in exact for position in range(start, start + size)}
    allowed = max(len(wanted) // 8, int(len(wanted) >= 6))
    if not allowed:
        return bool(exact), None
    for width in (size, size - 1, size + 1):
        for start in range(len(text) - width + 1 if width > 0 else 0):
            window = text[start : start + width]
            joined = "".join(window)
            if taken.isdisjoint(range(start, start + width)) and abs(len(joined) - len(wanted)) <= allowed:
                distance = OSA.distance(wanted, joined, score_cutoff=allowed)
                if distance <= allowed and re.findall(r"\d+", joined) == re.findall(r"\d+", wanted):
                    if distance == 0:  # only the gaps between words differ
                        return True, None
                    return bool(exact), " ".join(window)
    return bool(exact), None
