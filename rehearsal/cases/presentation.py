"""A presentation: what a credit asks for and what each document says, before anything is drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal

from .catalogue import CARRIERS, FLAGS, INSURERS, SHIPS, Country, Party, Trade, countries

CENT = Decimal("0.01")
CURRENCY_NAMES = {
    "USD": "US Dollars",
    "EUR": "Euro",
    "GBP": "Pounds Sterling",
    "JPY": "Japanese Yen",
    "CAD": "Canadian Dollars",
    "AUD": "Australian Dollars",
    "CHF": "Swiss Francs",
}


@dataclass
class Credit:
    """The letter of credit; ``tolerance`` both ways and ``cover`` in percent, ``period`` in days after shipment."""

    number: str
    issued: date
    expiry: date
    applicant: Party
    beneficiary: Party
    issuing: Country
    advising: Country
    currency: str
    amount: Decimal
    tolerance: int
    partial: bool
    transhipment: bool
    loading: str
    discharge: str
    latest: date
    goods: str
    hs: str
    unit: str
    quantity: Decimal
    price: Decimal
    term: str
    origin: str
    period: int
    required: tuple[str, ...]
    cover: int = 110
    conditions: list[str] = field(default_factory=list)


@dataclass
class Invoice:
    """The commercial invoice; ``words`` is the amount it spells out, ``remark`` a free line."""

    number: str
    dated: date
    credit_number: str
    seller: Party
    buyer: Party
    goods: str
    hs: str
    unit: str
    quantity: Decimal
    price: Decimal
    currency: str
    amount: Decimal
    words: Decimal
    term: str
    loading: str
    discharge: str
    origin: str
    presented: date
    pay_to: str
    packages: str
    remark: str = ""


@dataclass
class Lading:
    """The bill of lading; weights in kg, ``measure`` in m3, ``via`` a port of transhipment.

    No containers: the goods travel as break bulk.
    """

    number: str
    dated: date
    on_board: date | None
    shipper: Party
    consignee: str
    notify: Party
    carrier: str
    vessel: str
    flag: str
    imo: str
    voyage: str
    loading: str
    discharge: str
    goods: str
    packages: str
    containers: list[str]
    gross: Decimal
    measure: Decimal
    freight: str
    credit_number: str
    via: str = ""
    clause: str = ""


@dataclass
class Insurance:
    """The insurance certificate."""

    number: str
    dated: date
    insurer: str
    insured: Party
    currency: str
    amount: Decimal
    vessel: str
    voyage: str
    loading: str
    discharge: str
    goods: str
    credit_number: str


@dataclass
class Packing:
    """The packing list; weights in kg."""

    number: str
    dated: date | None
    seller: Party
    buyer: Party
    goods: str
    packages: str
    net: Decimal
    gross: Decimal
    marks: str
    credit_number: str
    signed: bool = True


@dataclass
class Origin:
    """The certificate of origin."""

    number: str
    dated: date | None
    exporter: Party
    consignee: Party
    country: str
    goods: str
    hs: str
    packages: str
    gross: Decimal
    chamber: str
    vessel: str
    credit_number: str
    signed: bool = True


@dataclass
class Presentation:
    """A credit and the documents presented under it; a document that was not presented is None."""

    trade: Trade
    lc: Credit
    invoice: Invoice
    bl: Lading
    packing_list: Packing | None
    insurance: Insurance | None
    coo: Origin | None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles present, in the order of a bundle."""
        names = ("lc", "invoice", "bl", "insurance", "packing_list", "coo")
        return tuple(name for name in names if getattr(self, name) is not None)


def money(value: Decimal, currency: str) -> Decimal:
    """Return *value* rounded as the currency is: cents, whole yen."""
    return value.quantize(Decimal(1) if currency == "JPY" else CENT, ROUND_HALF_UP)


def covered(value: Decimal, currency: str, percent: int) -> Decimal:
    """Return the insured amount, rounded up so that it is never below *percent* of *value*."""
    return (value * percent / 100).quantize(Decimal(1) if currency == "JPY" else CENT, ROUND_UP)


def packages_of(quantity: Decimal, trade: Trade) -> int:
    """Return how many packages the quantity fills."""
    return int((quantity / trade.per_package).to_integral_value(ROUND_HALF_UP))


def imo_number(rng: random.Random) -> str:
    """Return a ship's number whose check digit is right."""
    digits = [rng.randint(8, 9), *(rng.randint(0, 9) for _ in range(5))]
    return "".join(map(str, digits)) + str(sum(d * w for d, w in zip(digits, range(7, 1, -1), strict=True)) % 10)


def bank_of(country: Country) -> str:
    """Return a bank as documents name it."""
    return f"{country.bank}, {country.bank_city}"


def _country(name: str) -> Country:
    return next(country for country in countries().values() if country.name == name)


def _credit_number(rng: random.Random, bic: str) -> str:
    n = rng.randint(10_000, 99_999)
    forms = (
        f"LC{rng.randint(24, 26)}{n}{rng.randint(10, 99)}",
        f"{bic[:4]}/IMP/{n}/26",
        f"ILC-{n}-{rng.randint(100, 999)}",
        f"DC{bic[4:6]}H{n}",
        f"{rng.randint(1000, 9999)}IM{n}",
        f"{bic[:3]}M{n}26",
    )
    return rng.choice(forms)


def _schedule(rng: random.Random) -> dict[str, date]:
    issued = date(2025, 10, 6) + timedelta(days=rng.randint(0, 110))
    shipped = issued + timedelta(days=rng.randint(24, 52))
    latest = shipped + timedelta(days=rng.choice((0, 1, 2, 4, 7, 9, 12)))
    presented = shipped + timedelta(days=rng.randint(3, 14))
    expiry = max(latest + timedelta(days=rng.choice((15, 21, 21, 21, 25))), presented + timedelta(days=1))
    return {"issued": issued, "shipped": shipped, "latest": latest, "presented": presented, "expiry": expiry}


def _conditions(rng: random.Random) -> list[str]:
    pool = (
        "ALL DOCUMENTS MUST BE ISSUED IN ENGLISH.",
        "ALL DOCUMENTS MUST BEAR THE NUMBER OF THIS CREDIT.",
        "DOCUMENTS ISSUED PRIOR TO THE DATE OF THIS CREDIT ARE NOT ACCEPTABLE.",
        "A FEE OF USD 75.00 OR EQUIVALENT IS DEDUCTED FOR EACH DISCREPANT SET OF DOCUMENTS.",
        "THIRD PARTY DOCUMENTS OTHER THAN INVOICE AND DRAFT ARE ACCEPTABLE.",
        "VESSEL MUST NOT FLY THE FLAG OF, NOR CALL AT ANY PORT OF, CUBA, IRAN, NORTH KOREA OR SYRIA.",
        "SHORT FORM BILLS OF LADING ARE NOT ACCEPTABLE.",
        "ALL BANKING CHARGES OUTSIDE THE COUNTRY OF THE ISSUING BANK ARE FOR BENEFICIARY'S ACCOUNT.",
    )
    return rng.sample(pool, rng.randint(2, 4))


def draft(trade: Trade, rng: random.Random, must: tuple[str, ...] = ()) -> Presentation:
    """Return a presentation without discrepancy under a new credit of *trade* that asks at least for *must*."""
    days = _schedule(rng)
    applicant_bank, seller_bank = _country(trade.buyer.country), _country(trade.seller.country)
    scale = Decimal(rng.choice((60, 70, 80, 85, 100, 100, 110, 125, 140, 150))) / 100
    quantity = max(Decimal(1), (packages_of(trade.quantity * scale, trade)) * trade.per_package)
    price = (trade.price * Decimal(rng.randint(955, 1045)) / 1000).quantize(
        Decimal(10) if trade.currency == "JPY" else CENT
    )
    tolerance = rng.choice((0, 0, 0, 5, 5, 10))
    amount = money(quantity * price, trade.currency)
    drawn = quantity
    if tolerance and rng.random() < 0.6:
        packs = packages_of(quantity, trade)
        drawn = (packs + round(packs * rng.uniform(-0.7, 0.7) * tolerance / 100)) * trade.per_package
    required = ["invoice", "bl"]
    required += ["insurance"] if trade.insured_by_seller else []
    required += ["packing_list"] if rng.random() < 0.93 or "packing_list" in must else []
    required += ["coo"] if rng.random() < 0.82 or "coo" in must else []
    number = _credit_number(rng, applicant_bank.bic)
    place = trade.loading if trade.incoterm == "FOB" else trade.discharge
    term = f"{trade.incoterm} {place.split(',')[0]}"
    partial = rng.random() < 0.6
    lc = Credit(
        number=number,
        issued=days["issued"],
        expiry=days["expiry"],
        applicant=trade.buyer,
        beneficiary=trade.seller,
        issuing=applicant_bank,
        advising=seller_bank,
        currency=trade.currency,
        amount=amount,
        tolerance=tolerance,
        partial=partial,
        transhipment=rng.random() < 0.5,
        loading=trade.loading,
        discharge=trade.discharge,
        latest=days["latest"],
        goods=trade.goods,
        hs=trade.hs,
        unit=trade.unit,
        quantity=quantity,
        price=price,
        term=term,
        origin=trade.seller.country,
        period=rng.choice((21, 21, 21, 15)),
        required=tuple(required),
        conditions=_conditions(rng),
    )
    return _documents(trade, lc, drawn, days, rng)


def _documents(trade: Trade, lc: Credit, drawn: Decimal, days: dict[str, date], rng: random.Random) -> Presentation:
    shipped = days["shipped"]
    invoiced = shipped - timedelta(days=rng.randint(1, 6))
    value = money(drawn * lc.price, lc.currency)
    count = max(1, packages_of(drawn, trade))
    packages = f"{count} {trade.package}"
    net = (drawn * trade.kg_per_unit).quantize(Decimal("0.1"))
    gross = (net * Decimal(rng.randint(1015, 1065)) / 1000).quantize(Decimal("0.1"))
    boxes = int(gross / 24000) + 1
    vessel, voyage = rng.choice(SHIPS), f"{rng.randint(11, 689):03d}{rng.choice('EWNS')}"
    general = trade.other_words if rng.random() < 0.4 else trade.goods
    serial = rng.randint(1000, 9899)
    letters = "".join(word[0] for word in trade.seller.name.split() if word[0].isalpha())[:3].upper()
    invoice = Invoice(
        number=rng.choice((f"{letters}-{serial}/26", f"INV{serial}", f"EXP/{serial}/2025-26", f"{letters}{serial}")),
        dated=invoiced,
        credit_number=lc.number,
        seller=lc.beneficiary,
        buyer=lc.applicant,
        goods=lc.goods,
        hs=lc.hs,
        unit=lc.unit,
        quantity=drawn,
        price=lc.price,
        currency=lc.currency,
        amount=value,
        words=value,
        term=lc.term,
        loading=lc.loading,
        discharge=lc.discharge,
        origin=lc.origin,
        presented=days["presented"],
        pay_to=f"{bank_of(lc.advising)}, account of {lc.beneficiary.name}",
        packages=packages,
    )
    bl = Lading(
        number=f"{rng.choice(('MOL', 'TCS', 'PLA', 'OLS', 'NSM', 'BFL'))}U{rng.randint(1_000_000, 9_999_999)}",
        dated=shipped,
        on_board=shipped,
        shipper=lc.beneficiary,
        consignee=f"TO ORDER OF {bank_of(lc.issuing).upper()}",
        notify=lc.applicant,
        carrier=rng.choice(CARRIERS),
        vessel=vessel,
        flag=rng.choice(FLAGS),
        imo=imo_number(rng),
        voyage=voyage,
        loading=lc.loading,
        discharge=lc.discharge,
        goods=general,
        packages=packages,
        containers=[
            f"{rng.choice(('MRKU', 'TRDU', 'PLRU', 'NSMU'))}{rng.randint(1_000_000, 9_999_999)}"
            for _ in range(boxes if boxes <= 12 else 0)
        ],
        gross=gross,
        measure=(gross / Decimal(rng.randint(310, 560))).quantize(CENT),
        freight="FREIGHT COLLECT" if trade.incoterm == "FOB" else "FREIGHT PREPAID",
        credit_number=lc.number,
        via=trade.via if lc.transhipment and rng.random() < 0.4 else "",
    )
    packing = Packing(
        number=rng.choice((f"PL-{serial}", invoice.number, f"{letters}/PL/{serial}")),
        dated=invoiced,
        seller=lc.beneficiary,
        buyer=lc.applicant,
        goods=general,
        packages=packages,
        net=net,
        gross=gross,
        marks=f"{letters} / {lc.discharge.split(',')[0].upper()} / NO. 1-{count}",
        credit_number=lc.number,
    )
    insurance = Insurance(
        number=f"MC/{rng.randint(100_000, 999_999)}/{rng.randint(25, 26)}",
        dated=shipped - timedelta(days=rng.randint(0, 3)),
        insurer=rng.choice(INSURERS),
        insured=lc.beneficiary,
        currency=lc.currency,
        amount=covered(value, lc.currency, rng.choice((110, 110, 115, 120))),
        vessel=vessel,
        voyage=voyage,
        loading=lc.loading,
        discharge=lc.discharge,
        goods=general,
        credit_number=lc.number,
    )
    coo = Origin(
        number=f"{rng.randint(10_000, 99_999)}/{rng.choice('ABCDE')}",
        dated=shipped - timedelta(days=rng.randint(0, 2)),
        exporter=lc.beneficiary,
        consignee=lc.applicant,
        country=lc.origin,
        goods=general,
        hs=lc.hs,
        packages=packages,
        gross=gross,
        chamber=lc.advising.chamber,
        vessel=vessel,
        credit_number=lc.number,
    )
    return Presentation(
        trade=trade,
        lc=lc,
        invoice=invoice,
        bl=bl,
        packing_list=packing if "packing_list" in lc.required else None,
        insurance=insurance if "insurance" in lc.required else None,
        coo=coo if "coo" in lc.required else None,
    )


def reship(shown: Presentation, count: int) -> None:
    """Let the shipment be *count* packages, in every document alike."""
    trade, invoice = shown.trade, shown.invoice
    invoice.quantity = count * trade.per_package
    invoice.amount = invoice.words = money(invoice.quantity * invoice.price, invoice.currency)
    invoice.packages = shown.bl.packages = f"{count} {trade.package}"
    net = (invoice.quantity * trade.kg_per_unit).quantize(Decimal("0.1"))
    shown.bl.gross = (net * Decimal("1.04")).quantize(Decimal("0.1"))
    if shown.packing_list:
        shown.packing_list.packages = invoice.packages
        shown.packing_list.net, shown.packing_list.gross = net, shown.bl.gross
        shown.packing_list.marks = shown.packing_list.marks.rsplit("-", 1)[0] + f"-{count}"
    if shown.coo:
        shown.coo.packages, shown.coo.gross = invoice.packages, shown.bl.gross
    if shown.insurance:
        shown.insurance.amount = covered(invoice.amount, invoice.currency, 110)


def moved(party: Party, **changes: str) -> Party:
    """Return the party with some parts changed."""
    return replace(party, **changes)


ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """Return a whole number below one thousand million in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {in_words(number % size)}" if number % size else ""
            return f"{in_words(number // size)} {name}{rest}"
    raise AssertionError(number)


def amount_in_words(value: Decimal, currency: str) -> str:
    """Return an amount as an invoice spells it, for example ``US Dollars one hundred and 50/100 only``."""
    whole, cents = int(value), int((value % 1) * 100)
    tail = "" if currency == "JPY" else f" and {cents:02d}/100"
    return f"{CURRENCY_NAMES[currency]} {in_words(whole)}{tail} only"
