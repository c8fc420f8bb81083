"""Invoice, bill of lading, insurance certificate, packing list and certificate of origin, each in several layouts."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from .catalogue import OFFICERS, SIGNATORIES
from .credits import draw_credit
from .presentation import Insurance, Invoice, Lading, Origin, Packing, Presentation, amount_in_words
from .sheet import Sheet
from .wording import Hand, new_hand

CREDIT_LABELS = (
    "L/C No.",
    "Letter of Credit No.",
    "Documentary Credit No.",
    "Credit number",
    "LC Ref",
    "Drawn under L/C",
)


def _sheet(hand: Hand) -> Sheet:
    return Sheet(hand.font, hand.size, hand.space)


def _known(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(label, value) for label, value in pairs if value]


def _signature(sheet: Sheet, name: str, rng: random.Random, who: tuple[str, ...] = OFFICERS) -> None:
    sheet.gap(14)
    how = rng.choice(
        (
            "For and on behalf of {name}\n(signed) {who}",
            "{name}\nAuthorised signature: (signed)\n{who}",
            "Signed for {name}: {who}",
        )
    )
    sheet.prose(how.format(name=name, who=rng.choice(who)))


def draw_invoice(document: Invoice, rng: random.Random) -> Sheet:
    """Return the commercial invoice: letterhead and table, or labelled values throughout."""
    hand = new_hand(rng)
    sheet = _sheet(hand)
    places = 0 if document.currency == "JPY" else 2
    sheet.title(document.seller.name, hand.centred, 1.35)
    sheet.prose(document.seller.address)
    sheet.title("COMMERCIAL INVOICE", hand.centred, 1.3)
    sheet.rule()
    total = hand.money(document.currency, document.amount)
    sheet.fields(
        _known(
            [
                (hand.say("Invoice No.", "Commercial invoice number", "Invoice no."), document.number),
                (hand.say("Invoice date", "Date", "Dated"), hand.date(document.dated)),
                (hand.say("Seller", "Exporter", "Beneficiary / Seller"), hand.party(document.seller)),
                (hand.say("Buyer", "Sold to", "Buyer / Consignee", "Bill to"), hand.party(document.buyer)),
                (hand.say(*CREDIT_LABELS), document.credit_number),
                (hand.say("Terms of delivery", "Incoterms", "Delivery term"), document.term),
                (hand.say("Port of loading", "Loading port", "From"), document.loading),
                (hand.say("Port of discharge", "Discharge port", "To"), document.discharge),
                (hand.say("Country of origin", "Origin"), document.origin),
            ]
        ),
        hand.fields,
    )
    unit_price = f"{document.currency} {hand.number(document.price, places)}"
    quantity = f"{hand.number(document.quantity)} {document.unit}"
    if rng.random() < 0.7:
        sheet.table(
            ("Description of goods", "HS code", "Quantity", "Unit price", "Amount"),
            [(document.goods, document.hs, quantity, unit_price, total)],
            (42, 12, 15, 15, 18),
        )
    else:
        rows = [
            ("Description of goods", f"{document.goods}, HS code {document.hs}"),
            ("Quantity", quantity),
            ("Unit price", unit_price),
        ]
        sheet.fields(rows, "lines" if hand.fields == "boxes" else hand.fields)
    sheet.prose(f"{hand.say('Total amount', 'Total invoice value', 'TOTAL', 'Grand total')}: {total}", bold=True)
    sheet.prose(
        f"{hand.say('Say', 'Amount in words', 'In words')}: {amount_in_words(document.words, document.currency)}"
    )
    sheet.prose(f"{hand.say('Packing', 'Packages')}: {document.packages}")
    sheet.prose(f"{hand.say('Payment to', 'Please remit to', 'Bank details')}: {document.pay_to}")
    if document.remark:
        sheet.prose(document.remark)
    sheet.prose(f"Date of presentation: {hand.date(document.presented)}")
    sheet.prose("We certify that this invoice is true and correct.")
    _signature(sheet, document.seller.name, rng, SIGNATORIES)
    return sheet


def _on_board(document: Lading, hand: Hand) -> str:
    if document.on_board is None:
        return "RECEIVED FOR SHIPMENT"
    day = hand.date(document.on_board)
    return hand.say(
        f"SHIPPED ON BOARD {day}", f"CLEAN ON BOARD {day}", f"LADEN ON BOARD THE VESSEL {day}", f"ON BOARD DATE: {day}"
    )


def _containers(document: Lading, sep: str) -> str:
    """Return the containers with their count and kind, or how the goods travel without one."""
    if not document.containers:
        return "BREAK BULK"
    return f"{len(document.containers)} x 40' HC{sep}{sep.join(document.containers)}"


def draw_lading(document: Lading, rng: random.Random) -> Sheet:
    """Return the bill of lading: a liner form in boxes, or labelled values; the carrier's small print differs."""
    hand = new_hand(rng)
    sheet = _sheet(hand)
    sheet.title(document.carrier.upper(), hand.centred, 1.2)
    sheet.title(
        hand.say(
            "BILL OF LADING", "OCEAN BILL OF LADING", "MARINE BILL OF LADING", "BILL OF LADING FOR COMBINED TRANSPORT"
        ),
        hand.centred,
    )
    how = rng.choice(("boxes", "boxes", hand.fields))
    dated = (
        []
        if document.on_board is None
        else [("Place and date of issue", f"{document.loading.split(',')[0]}, {hand.date(document.dated)}")]
    )
    sheet.fields(
        _known(
            [
                (hand.say("B/L No.", "Bill of lading number", "B/L number"), document.number),
                (hand.say(*CREDIT_LABELS[:4]), document.credit_number),
                (hand.say("Shipper", "Shipper / Exporter"), hand.party(document.shipper)),
                ("Consignee", document.consignee),
                (hand.say("Notify party", "Notify"), hand.party(document.notify)),
                (hand.say("Vessel", "Ocean vessel", "Vessel name"), document.vessel),
                (hand.say("Voyage No.", "Voyage"), document.voyage),
                ("Flag", document.flag),
                ("IMO No.", document.imo),
                ("Port of loading", document.loading),
                ("Port of discharge", document.discharge),
            ]
        ),
        how,
    )
    gross = f"{hand.number(document.gross, 1)} KG"
    measure = f"{hand.number(document.measure, 2)} CBM"
    kind = f"{document.packages}\n{document.goods}"
    if rng.random() < 0.6:
        sheet.table(
            ("Container No.", "Number and kind of packages, description of goods", "Gross weight", "Measurement"),
            [(_containers(document, " "), kind.replace("\n", " "), gross, measure)],
            (22, 44, 17, 17),
        )
    else:
        sheet.fields(
            [
                ("Number of packages", document.packages),
                ("Description of goods", document.goods),
                ("Gross weight", gross),
                ("Measurement", measure),
                ("Containers", _containers(document, ", ")),
            ],
            "lines" if how == "boxes" else how,
        )
    if document.via:
        sheet.prose(
            hand.say("With transhipment at {}", "Transhipment port: {}", "To be transhipped at {}").format(document.via)
        )
    sheet.prose(document.freight)
    if document.clause:
        sheet.prose(document.clause, bold=rng.random() < 0.4)
    sheet.prose(_on_board(document, hand), bold=True)
    if document.on_board is None:
        sheet.fields(
            [("Place and date of issue", f"{document.loading.split(',')[0]}, {hand.date(document.dated)}")], "lines"
        )
    elif dated:
        sheet.fields(dated, "lines")
    print_below = (
        "Shipper's load, stow and count. Particulars furnished by shipper.",
        "Received by the carrier in apparent good order and condition unless otherwise stated herein.",
        "SHIPPED in apparent good order and condition, weight, quality and contents unknown.",
        "One of these original bills of lading being accomplished, the others to stand void.",
    )
    options = print_below[:2] + print_below[3:] if document.on_board is None else print_below
    sheet.prose(rng.choice(options))
    sheet.prose("Number of original bills of lading: THREE (3)")
    _signature(sheet, f"{document.carrier} as carrier", rng)
    return sheet


def draw_insurance(document: Insurance, rng: random.Random) -> Sheet:
    """Return the insurance certificate: labelled values, or a sentence of certification."""
    hand = new_hand(rng)
    sheet = _sheet(hand)
    sheet.title(document.insurer.upper(), hand.centred, 1.2)
    sheet.title(
        hand.say("MARINE INSURANCE CERTIFICATE", "CERTIFICATE OF INSURANCE", "MARINE CARGO INSURANCE POLICY"),
        hand.centred,
    )
    amount = hand.money(document.currency, document.amount)
    numbers = [
        (hand.say("Certificate No.", "Policy No.", "Certificate number"), document.number),
        (hand.say("Date of issue", "Date", "Issued on"), hand.date(document.dated)),
        (hand.say(*CREDIT_LABELS), document.credit_number),
    ]
    if rng.random() < 0.3:
        sheet.fields(_known(numbers), "lines")
        sheet.prose(
            f"This is to certify that we have insured under our open cover on behalf of {document.insured.name}, "
            f"{document.insured.address}, the sum of {amount} upon {document.goods} per {document.vessel}, "
            f"voyage {document.voyage}, from {document.loading} to {document.discharge}."
        )
    else:
        sheet.fields(
            _known(
                [
                    *numbers,
                    (hand.say("Insured", "Assured", "Name of assured"), hand.party(document.insured)),
                    (hand.say("Sum insured", "Insured amount", "Amount insured"), amount),
                    ("Vessel", f"{document.vessel} V.{document.voyage}"),
                    (hand.say("Voyage from", "From"), document.loading),
                    (hand.say("Voyage to", "To"), document.discharge),
                    (hand.say("Goods insured", "Interest insured", "Subject matter"), document.goods),
                ]
            ),
            hand.fields,
        )
    sheet.gap()
    sheet.prose(
        rng.choice(
            (
                "Conditions: Institute Cargo Clauses (A), War Clauses (Cargo), Strikes Clauses (Cargo).",
                "Covering all risks as per Institute Cargo Clauses (A) 1/1/09 including war and strikes.",
            )
        )
    )
    sheet.prose("Claims, if any, payable at destination in the currency of this certificate.")
    _signature(sheet, document.insurer, rng)
    return sheet


def draw_packing(document: Packing, rng: random.Random) -> Sheet:
    """Return the packing list."""
    hand = new_hand(rng)
    sheet = _sheet(hand)
    sheet.title(document.seller.name, hand.centred, 1.25)
    sheet.prose(document.seller.address)
    sheet.title(hand.say("PACKING LIST", "PACKING AND WEIGHT LIST", "DETAILED PACKING LIST"), hand.centred)
    sheet.fields(
        _known(
            [
                (hand.say("Packing list No.", "P/L No.", "Reference"), document.number),
                (hand.say("Date", "Dated", "Date of issue"), hand.date(document.dated)),
                (hand.say(*CREDIT_LABELS), document.credit_number),
                (hand.say("Buyer", "Consignee", "Sold to"), hand.party(document.buyer)),
                (hand.say("Marks and numbers", "Shipping marks"), document.marks),
            ]
        ),
        hand.fields,
    )
    net, gross = (f"{hand.number(value, 1)} KG" for value in (document.net, document.gross))
    if rng.random() < 0.6:
        sheet.table(
            ("Packages", "Description of goods", "Net weight", "Gross weight"),
            [(document.packages, document.goods, net, gross), ("TOTAL", document.packages, net, gross)],
            (22, 44, 17, 17),
        )
    else:
        sheet.fields(
            [
                ("Description of goods", document.goods),
                (hand.say("Number of packages", "Total packages"), document.packages),
                (hand.say("Net weight", "Total net weight"), net),
                (hand.say("Gross weight", "Total gross weight"), gross),
            ],
            "lines" if hand.fields == "boxes" else hand.fields,
        )
    if document.signed:
        _signature(sheet, document.seller.name, rng, SIGNATORIES)
    else:
        sheet.prose(rng.choice(("Page 1 of 1", "E. & O. E.", "Prepared by export department")))
    return sheet


def draw_origin(document: Origin, rng: random.Random) -> Sheet:
    """Return the certificate of origin."""
    hand = new_hand(rng)
    sheet = _sheet(hand)
    sheet.title("CERTIFICATE OF ORIGIN", hand.centred)
    sheet.title(document.chamber, hand.centred, 1.15)
    sheet.fields(
        _known(
            [
                (hand.say("Certificate No.", "Reference No.", "No."), document.number),
                (hand.say(*CREDIT_LABELS), document.credit_number),
                (hand.say("Exporter", "Consignor", "Exporter (name and address)"), hand.party(document.exporter)),
                (hand.say("Consignee", "Importer", "Consignee (name and address)"), hand.party(document.consignee)),
                (hand.say("Country of origin", "Origin of goods", "Country of origin"), document.country),
                (hand.say("Means of transport", "Transport details"), f"By sea per {document.vessel}"),
                (hand.say("Description of goods", "Goods"), f"{document.packages} {document.goods}"),
                ("HS code", document.hs),
                ("Gross weight", f"{hand.number(document.gross, 1)} KG"),
            ]
        ),
        hand.fields,
    )
    sheet.gap()
    sheet.prose(f"The undersigned certifies that the goods described above originate in {document.country}.")
    if document.dated:
        sheet.prose(f"{hand.say('Date of issue', 'Issued on', 'Date')}: {hand.date(document.dated)}")
    if document.signed:
        _signature(sheet, document.chamber, rng)
    return sheet


DRAW: Mapping[str, Callable[[Any, random.Random], Sheet]] = {
    "invoice": draw_invoice,
    "bl": draw_lading,
    "insurance": draw_insurance,
    "packing_list": draw_packing,
    "coo": draw_origin,
}


def draw(shown: Presentation, rng: random.Random, one_page_credit: bool = False) -> dict[str, Sheet]:
    """Return every document of the presentation by its role."""
    sheets = {"lc": draw_credit(shown.lc, rng, one_page_credit)}
    for role in shown.roles[1:]:
        sheets[role] = DRAW[role](getattr(shown, role), rng)
    return sheets
