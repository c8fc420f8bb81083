"""What can be wrong with a presentation: each kind changes one and returns the sentence the manifest's notes carry.

Kinds are grouped by the verdict a careful examiner gives (UCP 600 and everyday practice). A kind may need a trade of a
certain sort, for example one that the seller insures.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from .catalogue import Party, Trade, countries, trades
from .presentation import Insurance, Origin, Packing, Presentation, covered, money, moved, packages_of, reship

Change = Callable[[Presentation, random.Random], str]


def _any_trade(_: Trade) -> bool:
    return True


def _insured(trade: Trade) -> bool:
    return trade.insured_by_seller


@dataclass(frozen=True)
class Kind:
    """A kind of discrepancy; ``documents`` must be among those the credit asks for."""

    name: str
    change: Change
    fits: Callable[[Trade], bool] = _any_trade
    documents: tuple[str, ...] = ()


def _packing(shown: Presentation) -> Packing:
    assert shown.packing_list is not None
    return shown.packing_list


def _insurance(shown: Presentation) -> Insurance:
    assert shown.insurance is not None
    return shown.insurance


def _coo(shown: Presentation) -> Origin:
    assert shown.coo is not None
    return shown.coo


def nothing(shown: Presentation, rng: random.Random) -> str:
    """Leave the presentation as it is."""
    del shown, rng
    return "compliant presentation"


# --- expected reject ------------------------------------------------------------------------------------------------


def late_shipment(shown: Presentation, rng: random.Random) -> str:
    """Ship some days after the latest date; what follows moves with it."""
    assert shown.bl.on_board
    late = shown.lc.latest + timedelta(days=rng.choice((1, 2, 3, 6, 11)))
    by = late - shown.bl.on_board
    shown.bl.on_board, shown.bl.dated = late, late
    shown.invoice.presented += by
    shown.lc.expiry = max(shown.lc.expiry, shown.invoice.presented + timedelta(days=2))
    return f"on board {late}, latest shipment {shown.lc.latest}"


def late_presentation(shown: Presentation, rng: random.Random) -> str:
    """Present after the period, but before expiry."""
    assert shown.bl.on_board
    shown.invoice.presented = shown.bl.on_board + timedelta(days=shown.lc.period + rng.choice((1, 2, 4)))
    shown.lc.expiry = max(shown.lc.expiry, shown.invoice.presented + timedelta(days=3))
    return f"presented {shown.invoice.presented}, more than {shown.lc.period} days after shipment"


def presented_after_expiry(shown: Presentation, rng: random.Random) -> str:
    """Present within the period, but after the credit has expired."""
    assert shown.bl.on_board
    shown.lc.latest = min(shown.lc.latest, shown.bl.on_board + timedelta(days=2))
    shown.lc.expiry = shown.lc.latest + timedelta(days=rng.randint(4, 6))
    shown.invoice.presented = shown.lc.expiry + timedelta(days=rng.choice((1, 2, 3)))
    return f"presented {shown.invoice.presented}, credit expired {shown.lc.expiry}"


def overdrawn(shown: Presentation, rng: random.Random) -> str:
    """Ship and invoice more than amount and tolerance allow."""
    count, share = packages_of(shown.lc.quantity, shown.trade), Decimal(rng.choice((3, 6, 12)))
    reship(shown, int(count * (100 + shown.lc.tolerance + share) / 100) + 1)
    return f"drawn {shown.invoice.amount}, credit {shown.lc.amount} +{shown.lc.tolerance} %"


def invoice_currency(shown: Presentation, rng: random.Random) -> str:
    """Invoice in another currency than the credit's."""
    other = rng.choice([code for code in ("USD", "EUR", "GBP") if code != shown.lc.currency])
    shown.invoice.currency = other
    return f"invoice in {other}, credit in {shown.lc.currency}"


def _other_port(port: str) -> str:
    country = port.split(", ")[-1]
    found = next((item for item in countries().values() if item.name == country), None)
    name = found.other_port if found else countries()["ET"].other_port
    return f"{name}, {country}"


def loading_port(shown: Presentation, rng: random.Random) -> str:
    """Load at another port of the country."""
    del rng
    shown.bl.loading = _other_port(shown.lc.loading)
    return f"loaded at {shown.bl.loading}, credit {shown.lc.loading}"


def discharge_port(shown: Presentation, rng: random.Random) -> str:
    """Discharge at another port of the country."""
    del rng
    shown.bl.discharge = _other_port(shown.lc.discharge)
    return f"discharged at {shown.bl.discharge}, credit {shown.lc.discharge}"


def other_goods(shown: Presentation, rng: random.Random) -> str:
    """Invoice goods of the same family that the credit does not describe."""
    shown.invoice.goods = shown.trade.substitute
    if shown.packing_list and rng.random() < 0.5:
        shown.packing_list.goods = shown.trade.substitute
    return f"invoice describes {shown.trade.substitute}"


def under_insured(shown: Presentation, rng: random.Random) -> str:
    """Insure less than the credit asks for."""
    document = _insurance(shown)
    document.amount = covered(shown.invoice.amount, shown.lc.currency, rng.choice((100, 100, 105, 90)))
    return f"insured {document.amount}, need {shown.lc.cover} % of {shown.invoice.amount}"


def insurance_currency(shown: Presentation, rng: random.Random) -> str:
    """Insure in another currency than the credit's."""
    document = _insurance(shown)
    document.currency = rng.choice([code for code in ("USD", "EUR", "CHF") if code != shown.lc.currency])
    return f"insured in {document.currency}, credit in {shown.lc.currency}"


def document_missing(shown: Presentation, rng: random.Random) -> str:
    """Leave out a document the credit asks for."""
    role = rng.choice([name for name in ("insurance", "packing_list", "coo") if name in shown.lc.required])
    setattr(shown, role, None)
    return f"{role} is required and not presented"


def claused(shown: Presentation, rng: random.Random) -> str:
    """Let the carrier note damage to goods or packaging."""
    count = rng.randint(3, 40)
    shown.bl.clause = rng.choice(
        (
            f"{count} {shown.trade.package} WET AND STAINED BEFORE LOADING",
            f"{count} {shown.trade.package} TORN, CONTENTS EXPOSED",
            f"{count} {shown.trade.package} BROKEN AND RE-STRAPPED ON THE QUAY",
            "PACKAGING INSUFFICIENT FOR SEA VOYAGE, SOME UNITS DENTED",
        )
    )
    return f"bill of lading claused: {shown.bl.clause}"


def not_on_board(shown: Presentation, rng: random.Random) -> str:
    """Show goods received for shipment without an on board notation."""
    del rng
    shown.bl.on_board = None
    return "received for shipment, no on board notation"


def other_beneficiary(shown: Presentation, rng: random.Random) -> str:
    """Let another company issue the invoice."""
    stranger = rng.choice([item for item in trades() if item.seller.country != shown.trade.seller.country]).seller
    shown.invoice.seller = moved(stranger, country=shown.lc.beneficiary.country)
    shown.invoice.pay_to = shown.invoice.pay_to.replace(shown.lc.beneficiary.name, stranger.name)
    return f"invoice issued by {stranger.name}"


def other_applicant(shown: Presentation, rng: random.Random) -> str:
    """Make the invoice out to another company."""
    stranger = rng.choice([item for item in trades() if item.buyer.country != shown.trade.buyer.country]).buyer
    shown.invoice.buyer = stranger
    return f"invoice made out to {stranger.name}"


def transhipped(shown: Presentation, rng: random.Random) -> str:
    """Tranship where the credit prohibits it."""
    del rng
    shown.lc.transhipment = False
    shown.bl.via = shown.trade.via
    return f"transhipped at {shown.bl.via}, prohibited"


def shipped_in_part(shown: Presentation, rng: random.Random) -> str:
    """Ship a part where the credit prohibits it."""
    shown.lc.partial, shown.lc.tolerance = False, 0
    reship(shown, max(1, int(packages_of(shown.lc.quantity, shown.trade) * rng.choice((0.4, 0.5, 0.6)))))
    shown.invoice.remark = rng.choice(("FIRST PART SHIPMENT, BALANCE TO FOLLOW", "PARTIAL SHIPMENT 1 OF 2"))
    return "partial shipment, prohibited"


# --- expected warn --------------------------------------------------------------------------------------------------


def _misspelt(name: str, rng: random.Random) -> str:
    words = name.split()
    longest = max(range(len(words)), key=lambda index: len(words[index]))
    word = words[longest]
    at = rng.randint(2, len(word) - 2)
    how = rng.choice(("swap", "double", "drop"))
    changed = {
        "swap": word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        "double": word[:at] + word[at - 1] + word[at:],
        "drop": word[:at] + word[at + 1 :],
    }[how]
    words[longest] = changed if changed != word else word[:at] + word[at - 1] + word[at:]
    return " ".join(words)


def name_spelling(shown: Presentation, rng: random.Random) -> str:
    """Spell the name of a party a little differently in one document."""
    choices = ["invoice", "bl", *(["packing_list"] if shown.packing_list else [])]
    role = rng.choice(choices)
    side = {"invoice": "buyer", "bl": "shipper", "packing_list": "buyer"}[role]
    document = getattr(shown, role)
    party: Party = getattr(document, side)
    setattr(document, side, moved(party, name=_misspelt(party.name, rng)))
    return f"{role}: {getattr(document, side).name} for {party.name}"


def address_differs(shown: Presentation, rng: random.Random) -> str:
    """Give another street for a party in one document; name and country agree."""
    role, side = rng.choice((("invoice", "buyer"), ("invoice", "seller"), ("bl", "notify"), ("bl", "shipper")))
    document = getattr(shown, role)
    party: Party = getattr(document, side)
    parts = party.address.split(", ")
    street = rng.choice(
        ("14 Riverside Court", "Suite 502, Trade Tower", "3rd Floor, Commerce House", "27 Station Square")
    )
    setattr(document, side, moved(party, address=", ".join([street, *parts[-2:]])))
    return f"{role}: address of {party.name} differs"


def weight_differs(shown: Presentation, rng: random.Random) -> str:
    """Let the gross weight of the packing list differ a little from the bill of lading."""
    document = _packing(shown)
    by = Decimal(rng.choice((8, 13, 18, 27))) / 1000
    document.gross = (document.gross * (1 + by)).quantize(Decimal("0.1"))
    return f"gross weight {document.gross} kg, bill of lading {shown.bl.gross} kg"


def package_count(shown: Presentation, rng: random.Random) -> str:
    """Let the packing list count other packages than the bill of lading."""
    document = _packing(shown)
    count = int(document.packages.split()[0]) + rng.choice((-2, -1, 1, 2, 5))
    document.packages = f"{max(1, count)} {shown.trade.package}"
    return f"{document.packages} on the packing list, {shown.bl.packages} on the bill of lading"


def _secondary(shown: Presentation, rng: random.Random) -> str:
    return rng.choice([role for role in shown.roles if role in ("packing_list", "coo", "insurance")])


def number_missing(shown: Presentation, rng: random.Random) -> str:
    """Leave out the credit's number on a secondary document though the credit asks for it."""
    role = _secondary(shown, rng)
    getattr(shown, role).credit_number = ""
    _ask_for_number(shown)
    return f"{role}: number of the credit missing"


def number_mistyped(shown: Presentation, rng: random.Random) -> str:
    """Mistype the credit's number on a secondary document."""
    role = _secondary(shown, rng)
    number = shown.lc.number
    places = [
        index
        for index in range(len(number) - 1)
        if number[index] != number[index + 1] and number[index : index + 2].isdigit()
    ]
    at = rng.choice(places) if places else 0
    wrong = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    getattr(shown, role).credit_number = wrong
    _ask_for_number(shown)
    return f"{role}: {wrong} for {number}"


def _ask_for_number(shown: Presentation) -> None:
    text = "ALL DOCUMENTS MUST BEAR THE NUMBER OF THIS CREDIT."
    if text not in shown.lc.conditions:
        shown.lc.conditions.append(text)


def packing_unsigned(shown: Presentation, rng: random.Random) -> str:
    """Present a packing list that nobody signed."""
    del rng
    _packing(shown).signed = False
    return "packing list not signed"


def packing_undated(shown: Presentation, rng: random.Random) -> str:
    """Present a packing list without a date."""
    del rng
    _packing(shown).dated = None
    return "packing list not dated"


def origin_unsigned(shown: Presentation, rng: random.Random) -> str:
    """Present a certificate of origin that is not signed, or not dated."""
    if rng.random() < 0.5:
        _coo(shown).signed = False
        return "certificate of origin not signed"
    _coo(shown).dated = None
    return "certificate of origin not dated"


def underdrawn(shown: Presentation, rng: random.Random) -> str:
    """Draw clearly less than the credit's amount where partial shipment is allowed."""
    shown.lc.partial, shown.lc.tolerance = True, 0
    reship(shown, max(1, int(packages_of(shown.lc.quantity, shown.trade) * rng.choice((0.70, 0.78, 0.84)))))
    return f"drawn {shown.invoice.amount} of {shown.lc.amount}"


def origin_form(shown: Presentation, rng: random.Random) -> str:
    """Write the country of origin in an unusual form."""
    del rng
    country = next(item for item in countries().values() if item.name == shown.lc.origin)
    _coo(shown).country = country.other_form
    return f"origin written as {country.other_form}"


def words_and_figures(shown: Presentation, rng: random.Random) -> str:
    """Spell out another amount than the figures of the invoice say; neither exceeds the credit."""
    digits = str(int(shown.invoice.amount))
    at = rng.choice([index for index, digit in enumerate(digits) if digit != "0" and (index or digit != "1")])
    less = int(digits[:at] + str(int(digits[at]) - 1) + digits[at + 1 :])
    shown.invoice.words = money(Decimal(less) + shown.invoice.amount % 1, shown.invoice.currency)
    return f"amount in words {shown.invoice.words}, in figures {shown.invoice.amount}"


# --- sanctions and trade-based laundering: expected reject -----------------------------------------------------------

BARRED_PORTS = (
    "Bandar Abbas, Iran",
    "Latakia, Syria",
    "Nampo, North Korea",
    "Sevastopol, Crimea",
    "Tartus, Syria",
    "Bandar Imam Khomeini, Iran",
)
BARRED_FLAGS = ("Iran", "Democratic People's Republic of Korea", "Syrian Arab Republic")
DUAL_USE = (
    ("CARBON FIBRE ROVING HIGH MODULUS T800 12K", "6815.11", "KG", Decimal("96.50")),
    ("FREQUENCY CONVERTERS 600-2000 HZ 40 KVA", "8504.40", "SETS", Decimal("14800")),
    ("MARAGING STEEL BARS GRADE 350 DIA 80 MM", "7228.30", "KG", Decimal("48.20")),
    ("THERMAL IMAGING CAMERA CORES 640 X 512 UNCOOLED", "9027.50", "PCS", Decimal("3950")),
)
HIGH_RISK_BUYERS = (
    (
        Party("Zagros Sanat Pouya Company", "Unit 8, No. 41 Mirdamad Boulevard, Tehran, Iran", "Iran"),
        "Bandar Abbas, Iran",
    ),
    (Party("Al Furat Engineering Establishment", "Baghdad Street 112, Damascus, Syria", "Syria"), "Latakia, Syria"),
    (Party("OOO Severnaya Tekhnika", "Prospekt Lenina 44, Murmansk, Russia", "Russia"), "Murmansk, Russia"),
    (Party("Belpromtekhsnab OAO", "ul. Kozlova 17, Minsk, Belarus", "Belarus"), "Novorossiysk, Russia"),
)
FAR_ACCOUNTS = (
    "Halcyon Ventures FZE, Emirates Creek Bank, Dubai, United Arab Emirates",
    "Brightwater Holdings Inc., Banco del Canal, Panama City, Panama",
    "Lotus Nominees Ltd, Victoria Harbour Bank, Hong Kong",
    "Baltic Nova OU, Tallinna Krediidipank, Tallinn, Estonia",
)
MAILBOXES = (
    "c/o Harbourgate Registered Agents, P.O. Box 957, Road Town, Tortola, British Virgin Islands",
    "c/o Premier Corporate Services, P.O. Box 1344, Victoria, Mahe, Seychelles",
    "c/o Pacific Registered Agents, P.O. Box 405, Majuro, Marshall Islands",
)


def _set_discharge(shown: Presentation, port: str) -> None:
    shown.lc.discharge = shown.invoice.discharge = shown.bl.discharge = port
    if shown.lc.term[:3] != "FOB":
        shown.lc.term = shown.invoice.term = f"{shown.lc.term[:3]} {port.split(',')[0]}"
    if shown.insurance:
        shown.insurance.discharge = port


def _set_buyer(shown: Presentation, party: Party) -> None:
    shown.lc.applicant = shown.invoice.buyer = shown.bl.notify = party
    for document in (shown.packing_list, shown.coo):
        if isinstance(document, Packing):
            document.buyer = party
        elif document:
            document.consignee = party


def _set_seller(shown: Presentation, party: Party) -> None:
    shown.invoice.pay_to = shown.invoice.pay_to.replace(shown.lc.beneficiary.name, party.name)
    shown.lc.beneficiary = shown.invoice.seller = shown.bl.shipper = party
    for document in (shown.packing_list, shown.insurance, shown.coo):
        if isinstance(document, Packing):
            document.seller = party
        elif isinstance(document, Insurance):
            document.insured = party
        elif document:
            document.exporter = party


def _set_goods(shown: Presentation, goods: str, hs: str) -> None:
    shown.lc.goods = goods
    shown.lc.hs = hs
    for role in shown.roles[1:]:
        document = getattr(shown, role)
        document.goods = goods
        if hasattr(document, "hs"):
            document.hs = hs


def _set_price(shown: Presentation, price: Decimal) -> None:
    shown.lc.price = shown.invoice.price = price
    shown.lc.amount = money(shown.lc.quantity * price, shown.lc.currency)
    shown.invoice.amount = shown.invoice.words = money(shown.invoice.quantity * price, shown.lc.currency)
    if shown.insurance:
        shown.insurance.amount = covered(shown.invoice.amount, shown.lc.currency, 110)


def barred_port(shown: Presentation, rng: random.Random) -> str:
    """Send the goods to a port under embargo, in every document alike."""
    port = rng.choice(BARRED_PORTS)
    _set_discharge(shown, port)
    return f"discharge at {port}"


def barred_flag(shown: Presentation, rng: random.Random) -> str:
    """Carry the goods on a ship under a barred flag."""
    shown.bl.flag = rng.choice(BARRED_FLAGS)
    return f"vessel flies the flag of {shown.bl.flag}"


def barred_origin(shown: Presentation, rng: random.Random) -> str:
    """Certify an origin under embargo for goods said to come from elsewhere."""
    _coo(shown).country = rng.choice(("North Korea", "Iran", "Syria"))
    return f"origin certified as {_coo(shown).country}"


def barred_call(shown: Presentation, rng: random.Random) -> str:
    """Route the goods over a port under embargo that lies on no sensible way."""
    shown.lc.transhipment = True
    shown.bl.via = rng.choice(("Bandar Abbas, Iran", "Chabahar, Iran", "Tartus, Syria"))
    return f"transhipped at {shown.bl.via}"


def dual_use(shown: Presentation, rng: random.Random) -> str:
    """Sell controlled goods to a destination of high risk."""
    goods, hs, unit, price = rng.choice(DUAL_USE)
    buyer, port = rng.choice(HIGH_RISK_BUYERS)
    _set_goods(shown, goods, hs)
    shown.lc.unit = shown.invoice.unit = unit
    _set_price(shown, price if shown.lc.currency != "JPY" else price * 150)
    _set_buyer(shown, buyer)
    _set_discharge(shown, port)
    return f"{goods} to {buyer.country}"


def shared_address(shown: Presentation, rng: random.Random) -> str:
    """Let applicant and beneficiary live at one address."""
    del rng
    _set_seller(shown, moved(shown.lc.beneficiary, address=shown.lc.applicant.address))
    return "applicant and beneficiary share an address"


def mailbox_companies(shown: Presentation, rng: random.Random) -> str:
    """Let both sides be companies behind a registered agent's mail box."""
    one, two = rng.sample(MAILBOXES, 2)
    _set_seller(
        shown,
        moved(shown.lc.beneficiary, address=one, name=f"{shown.lc.beneficiary.name.split()[0]} International Ltd"),
    )
    if rng.random() < 0.6:
        _set_buyer(shown, moved(shown.lc.applicant, address=two))
    return "party behind a registered agent's mail box"


def vague_goods(shown: Presentation, rng: random.Random) -> str:
    """Describe goods of high value in words that say nothing."""
    goods = rng.choice(
        ("GENERAL MERCHANDISE", "ASSORTED GOODS AS PER PROFORMA", "SUNDRY ITEMS, VARIOUS", "MISCELLANEOUS GOODS")
    )
    _set_goods(shown, goods, "9999.00")
    _set_price(shown, money(shown.lc.price * max(Decimal(1), Decimal(900_000) / shown.lc.amount), shown.lc.currency))
    return f"{goods} for {shown.lc.currency} {shown.invoice.amount}"


def price_far_off(shown: Presentation, rng: random.Random) -> str:
    """Price everyday goods far off what they cost."""
    factor = Decimal(rng.choice((45, 80, 120)))
    _set_price(shown, money(shown.lc.price * factor, shown.lc.currency))
    return f"unit price {factor} times the usual"


def weight_impossible(shown: Presentation, rng: random.Random) -> str:
    """State weights that cannot be."""
    document = _packing(shown)
    if rng.random() < 0.5:
        document.net = (document.gross * Decimal("1.9")).quantize(Decimal("0.1"))
        return f"net weight {document.net} kg above gross weight {document.gross} kg"
    shown.bl.containers = shown.bl.containers[:1] or ["MRKU4410982"]
    heavy = Decimal(rng.randint(96_000, 140_000))
    shown.bl.gross = document.gross = heavy
    document.net = heavy - 900
    if shown.coo:
        shown.coo.gross = heavy
    return f"{heavy} kg in one container"


def third_party_payment(shown: Presentation, rng: random.Random) -> str:
    """Direct the proceeds to a stranger in a country that has no part in the trade."""
    shown.invoice.pay_to = rng.choice(FAR_ACCOUNTS)
    shown.invoice.remark = "PLEASE REMIT PROCEEDS TO THE THIRD PARTY NAMED ABOVE"
    return f"proceeds to {shown.invoice.pay_to}"


EVERYDAY_CHAPTERS = ("03", "09", "10", "17", "44", "48", "52", "61", "69", "72", "74", "94")


def _everyday(trade: Trade) -> bool:
    """Tell whether the goods are of a chapter of the tariff whose prices everybody knows."""
    return trade.hs[:2] in EVERYDAY_CHAPTERS


def _not_singapore(trade: Trade) -> bool:
    return not trade.discharge.startswith("Singapore")


COMPLIANT = Kind("compliant", nothing)
REJECT = (
    Kind("late_shipment", late_shipment),
    Kind("late_presentation", late_presentation),
    Kind("presented_after_expiry", presented_after_expiry),
    Kind("overdrawn", overdrawn),
    Kind("invoice_currency", invoice_currency),
    Kind("loading_port", loading_port),
    Kind("discharge_port", discharge_port, _not_singapore),
    Kind("other_goods", other_goods),
    Kind("under_insured", under_insured, _insured, ("insurance",)),
    Kind("insurance_currency", insurance_currency, _insured, ("insurance",)),
    Kind("document_missing", document_missing, _insured, ("coo", "packing_list")),
    Kind("claused", claused),
    Kind("not_on_board", not_on_board),
    Kind("other_beneficiary", other_beneficiary),
    Kind("other_applicant", other_applicant),
    Kind("transhipped", transhipped),
    Kind("shipped_in_part", shipped_in_part),
)
WARN = (
    Kind("name_spelling", name_spelling),
    Kind("address_differs", address_differs),
    Kind("weight_differs", weight_differs, documents=("packing_list",)),
    Kind("package_count", package_count, documents=("packing_list",)),
    Kind("number_missing", number_missing, documents=("packing_list", "coo")),
    Kind("number_mistyped", number_mistyped, documents=("packing_list", "coo")),
    Kind("packing_unsigned", packing_unsigned, documents=("packing_list",)),
    Kind("packing_undated", packing_undated, documents=("packing_list",)),
    Kind("origin_unsigned", origin_unsigned, documents=("coo",)),
    Kind("underdrawn", underdrawn),
    Kind("origin_form", origin_form, documents=("coo",)),
    Kind("words_and_figures", words_and_figures),
)
SIGNALS = (
    Kind("barred_port", barred_port),
    Kind("shared_address", shared_address),
    Kind("vague_goods", vague_goods),
    Kind("dual_use", dual_use),
    Kind("barred_flag", barred_flag),
    Kind("barred_origin", barred_origin, documents=("coo",)),
    Kind("mailbox_companies", mailbox_companies),
    Kind("third_party_payment", third_party_payment),
    Kind("weight_impossible", weight_impossible, documents=("packing_list",)),
    Kind("price_far_off", price_far_off, _everyday),
    Kind("barred_call", barred_call),
)
