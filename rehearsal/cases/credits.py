"""Letters of credit in five layouts: teleprinter text, printed MT700, labelled values, boxed form, letter in prose."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from .catalogue import Party
from .presentation import Credit, amount_in_words, bank_of
from .sheet import Box, Sheet
from .wording import Hand, new_hand, write_date, write_number

ESSENTIAL = (
    "Documentary Credit Number",
    "Currency Code, Amount",
    "Date and Place of Expiry",
)


def _asked(lc: Credit, rng: random.Random) -> list[str]:
    freight = "COLLECT" if lc.term.startswith("FOB") else "PREPAID"
    bank = bank_of(lc.issuing).upper()
    texts = {
        "invoice": (
            "SIGNED COMMERCIAL INVOICE IN THREE COPIES",
            "BENEFICIARY'S MANUALLY SIGNED COMMERCIAL INVOICE IN TRIPLICATE CERTIFYING GOODS AS PER THIS CREDIT",
            "COMMERCIAL INVOICES IN 1 ORIGINAL AND 2 COPIES",
        ),
        "bl": (
            f"FULL SET (3/3) OF CLEAN ON BOARD OCEAN BILLS OF LADING MADE OUT TO ORDER OF {bank}, "
            f"MARKED FREIGHT {freight} AND NOTIFY APPLICANT",
            f"COMPLETE SET CLEAN SHIPPED ON BOARD MARINE BILLS OF LADING TO ORDER OF {bank}, "
            f"NOTIFYING APPLICANT, FREIGHT {freight}",
        ),
        "insurance": (
            f"INSURANCE POLICY OR CERTIFICATE IN DUPLICATE FOR {lc.cover} PERCENT OF INVOICE VALUE, "
            "INSTITUTE CARGO CLAUSES (A)",
            f"MARINE INSURANCE CERTIFICATE COVERING ALL RISKS FOR AT LEAST {lc.cover} PCT OF THE CIF VALUE "
            "IN THE CURRENCY OF THE CREDIT",
        ),
        "packing_list": ("PACKING LIST IN TWO COPIES", "DETAILED PACKING AND WEIGHT LIST IN DUPLICATE"),
        "coo": (
            f"CERTIFICATE OF ORIGIN ISSUED BY A CHAMBER OF COMMERCE CERTIFYING {lc.origin.upper()} ORIGIN",
            f"CERTIFICATE OF ORIGIN STATING THAT THE GOODS ARE OF {lc.origin.upper()} ORIGIN",
        ),
    }
    return [rng.choice(texts[role]) for role in lc.required]


def _goods(lc: Credit, hand: Hand) -> str:
    figure = write_number(lc.quantity, "comma" if hand.numbers == "swift" else hand.numbers)
    price = write_number(
        lc.price, "comma" if hand.numbers == "swift" else hand.numbers, 0 if lc.currency == "JPY" else 2
    )
    about = "ABOUT " if lc.tolerance == 10 else ""
    return (
        f"{about}{figure} {lc.unit} OF {lc.goods}, HS CODE {lc.hs}, AT {lc.currency} {price} PER {lc.unit}, "
        f"{lc.term.upper()} INCOTERMS 2020, ORIGIN {lc.origin.upper()}"
    )


def _tolerance(lc: Credit) -> str:
    return f"{lc.tolerance:02d}/{lc.tolerance:02d}" if lc.tolerance else ""


def _allowed(value: bool) -> str:
    return "ALLOWED" if value else "NOT ALLOWED"


def _presentation(lc: Credit, rng: random.Random) -> str:
    return rng.choice(
        (
            f"WITHIN {lc.period} DAYS AFTER THE DATE OF SHIPMENT BUT WITHIN THE VALIDITY OF THE CREDIT",
            f"{lc.period} DAYS AFTER DATE OF TRANSPORT DOCUMENT, WITHIN CREDIT VALIDITY",
        )
    )


def _rows(lc: Credit, hand: Hand, rng: random.Random) -> list[tuple[str, str, str]]:
    """Return the credit as (tag, name, value), in the order of an MT700."""

    def block(party: Party) -> str:
        return f"{party.name.upper()}\n{party.address.upper()}"

    asked = "\n".join(f"{number}. {text}." for number, text in enumerate(_asked(lc, rng), start=1))
    conditions = "\n".join(f"{number}) {text}" for number, text in enumerate(lc.conditions, start=1))
    amount = (
        f"{lc.currency}{write_number(lc.amount, 'swift', 0 if lc.currency == 'JPY' else 2)}"
        if hand.numbers == "swift"
        else hand.money(lc.currency, lc.amount)
    )
    rows = [
        ("27", "Sequence of Total", "1/1"),
        ("40A", "Form of Documentary Credit", "IRREVOCABLE"),
        ("20", "Documentary Credit Number", lc.number),
        ("31C", "Date of Issue", hand.date(lc.issued)),
        ("40E", "Applicable Rules", "UCP LATEST VERSION"),
        ("31D", "Date and Place of Expiry", f"{hand.date(lc.expiry)} {lc.beneficiary.country.upper()}"),
        ("52A", "Issuing Bank", f"{lc.issuing.bic}\n{bank_of(lc.issuing).upper()}"),
        ("50", "Applicant", block(lc.applicant)),
        ("59", "Beneficiary", block(lc.beneficiary)),
        ("32B", "Currency Code, Amount", amount),
        ("39A", "Percentage Credit Amount Tolerance", _tolerance(lc)),
        ("41D", "Available With ... By ...", "ANY BANK BY NEGOTIATION"),
        ("42C", "Drafts at ...", rng.choice(("SIGHT", "60 DAYS AFTER B/L DATE", "90 DAYS SIGHT"))),
        ("43P", "Partial Shipments", _allowed(lc.partial)),
        ("43T", "Transhipment", _allowed(lc.transhipment)),
        ("44E", "Port of Loading", lc.loading.upper()),
        ("44F", "Port of Discharge", lc.discharge.upper()),
        ("44C", "Latest Date of Shipment", hand.date(lc.latest)),
        ("45A", "Description of Goods", _goods(lc, hand)),
        ("46A", "Documents Required", asked),
        ("47A", "Additional Conditions", conditions),
        ("48", "Period for Presentation in Days", _presentation(lc, rng)),
        ("49", "Confirmation Instructions", "WITHOUT"),
    ]
    return [row for row in rows if row[2]]


def _teleprinter(lc: Credit, hand: Hand, rng: random.Random, size: float) -> Sheet:
    hand = replace(hand, dates="swift", numbers="swift")
    sheet = Sheet("Courier", size)
    sheet.mono(f"{{1:F01{lc.advising.bic}AXXX0000000000}}{{2:I700{lc.issuing.bic}XXXXN}}{{4:")
    for tag, _, value in _rows(lc, hand, rng):
        text = value
        if tag == "31D":
            text = f"{write_date(lc.expiry, 'swift')}{lc.beneficiary.country.upper()}"
        if tag == "52A":
            text = lc.issuing.bic
        if tag == "48":
            text = f"{lc.period}/AFTER SHIPMENT DATE"
        sheet.mono(f":{tag}:{text}")
    sheet.mono("-}")
    return sheet


def _printed(lc: Credit, hand: Hand, rng: random.Random, size: float) -> Sheet:
    hand = replace(hand, dates=rng.choice(("swift", "iso", "dashed")), numbers=rng.choice(("swift", "comma")))
    sheet = Sheet(rng.choice(("Courier", "Helvetica")), size, hand.space)
    sheet.title("MT 700  ISSUE OF A DOCUMENTARY CREDIT", centred=False, scale=1.25)
    sheet.fields([("Sender", lc.issuing.bic), ("Receiver", lc.advising.bic)], "lines")
    sheet.rule()
    how = rng.choice(("lines", "stacked", "columns"))
    mark = rng.choice(("{tag}: {name}", "F{tag}: {name}", ":{tag}: {name}"))
    sheet.fields([(mark.format(tag=tag, name=name), value) for tag, name, value in _rows(lc, hand, rng)], how)
    return sheet


NAMES = {
    "20": ("Documentary Credit No.", "Credit number", "Our reference / L/C No.", "Letter of credit number"),
    "31C": ("Date of issue", "Issue date", "Issued on", "Date issued"),
    "31D": ("Date and place of expiry", "Expiry date and place", "Valid until", "Expires on / at"),
    "50": ("Applicant", "Applicant (opener)", "Account party", "Applicant"),
    "59": ("Beneficiary", "Beneficiary", "Beneficiary (seller)", "Beneficiary (exporter)"),
    "32B": ("Amount", "Credit amount", "Currency and amount", "Maximum amount"),
    "39A": ("Tolerance (+/- %)", "Amount tolerance", "Percentage tolerance", "Credit amount tolerance"),
    "43P": ("Partial shipments", "Partial shipment", "Part shipments", "Partial shipments"),
    "43T": ("Transhipment", "Transshipment", "Transhipment", "Trans-shipment"),
    "44E": ("Port of loading", "Loading port", "Shipment from", "Port of loading"),
    "44F": ("Port of discharge", "Discharge port", "Shipment to", "Port of discharge"),
    "44C": ("Latest date of shipment", "Latest shipment date", "Shipment not later than", "Last date for shipment"),
    "45A": ("Description of goods", "Goods", "Covering", "Description of goods and/or services"),
    "46A": ("Documents required", "Required documents", "Documents to be presented", "Documents required"),
    "47A": ("Additional conditions", "Special conditions", "Other terms", "Additional conditions"),
    "48": ("Period for presentation", "Presentation period", "Time for presentation", "Period for presentation"),
}


def _named(lc: Credit, hand: Hand, rng: random.Random) -> list[tuple[str, str]]:
    """Return the credit under the names of a bank's own form."""
    own = rng.randrange(4)
    rows = [row for row in _rows(lc, hand, rng) if row[0] not in ("27", "49")]
    return [(NAMES[tag][own] if tag in NAMES else name, value) for tag, name, value in rows]


def _labelled(lc: Credit, hand: Hand, rng: random.Random, size: float) -> Sheet:
    sheet = Sheet(hand.font, size, hand.space)
    sheet.title(bank_of(lc.issuing).upper(), hand.centred, 1.2)
    sheet.title("IRREVOCABLE DOCUMENTARY LETTER OF CREDIT", hand.centred)
    sheet.rule()
    sheet.fields(_named(lc, hand, rng), rng.choice(("lines", "columns", "stacked")))
    sheet.gap()
    sheet.prose(
        "This credit is subject to the Uniform Customs and Practice for Documentary Credits (2007 Revision), ICC 600."
    )
    return sheet


def _form(lc: Credit, hand: Hand, rng: random.Random, size: float) -> Sheet:
    sheet = Sheet("Helvetica", size)
    sheet.title("APPLICATION AND ISSUE OF IRREVOCABLE LETTER OF CREDIT", True, 1.2)
    sheet.title(bank_of(lc.issuing), True, 1.1)
    sheet.gap(4)
    pairs = _named(lc, hand, rng)
    sheet.fields([pair for pair in pairs if len(pair[1]) <= 120], "boxes")
    for pair in pairs:
        if len(pair[1]) > 120:
            sheet.fields([pair], "boxes")
    return sheet


def _letter(lc: Credit, hand: Hand, rng: random.Random, size: float) -> Sheet:
    sheet = Sheet(rng.choice(("Times-Roman", "Helvetica")), size)
    sheet.title(bank_of(lc.issuing), False, 1.4)
    sheet.prose(f"{lc.issuing.bank_city}, {hand.date(lc.issued)}")
    sheet.prose(f"To: {bank_of(lc.advising)}")
    sheet.prose(f"Our irrevocable documentary credit No. {lc.number}", bold=True)
    tolerance = f" (plus or minus {lc.tolerance} percent)" if lc.tolerance else ""
    sheet.prose(
        f"Dear Sirs, we hereby issue our irrevocable letter of credit number {lc.number} dated {hand.date(lc.issued)} "
        f"in favour of {lc.beneficiary.name}, {lc.beneficiary.address}, for account of {lc.applicant.name}, "
        f"{lc.applicant.address}, for an amount of {hand.money(lc.currency, lc.amount)} "
        f"({amount_in_words(lc.amount, lc.currency)}){tolerance}, available with any bank by negotiation of drafts "
        f"at sight and valid until {hand.date(lc.expiry)} in {lc.beneficiary.country}."
    )
    sheet.prose(f"The credit covers {_goods(lc, hand)}.")
    partial = "permitted" if lc.partial else rng.choice(("prohibited", "not permitted"))
    tranship = "permitted" if lc.transhipment else rng.choice(("prohibited", "not permitted"))
    sheet.prose(
        f"Shipment is to be effected from {lc.loading} to {lc.discharge} not later than {hand.date(lc.latest)}. "
        f"Partial shipments are {partial}. Transhipment is {tranship}."
    )
    sheet.prose("The following documents are required:")
    for number, text in enumerate(_asked(lc, rng), start=1):
        sheet.prose(f"{number}. {text.capitalize() if not hand.upper else text}.")
    sheet.prose("Additional conditions:")
    for text in lc.conditions:
        sheet.prose(f"- {text}")
    sheet.prose(
        f"Documents must be presented within {lc.period} days after the date of shipment but within the validity "
        "of this credit. We undertake to honour drawings made in conformity with its terms. "
        "This credit is subject to UCP 600."
    )
    sheet.prose(f"Yours faithfully, for {lc.issuing.bank}\n\nAuthorised signatures")
    return sheet


def essential_boxes(sheet: Sheet) -> list[Box]:
    """Return where number, amount and expiry stand; nothing for a layout that has no labels."""
    names = (*ESSENTIAL, *NAMES["20"], *NAMES["32B"], *NAMES["31D"])
    return [box for label, box in sheet.boxes.items() if any(label.endswith(name) for name in names)]


def draw_credit(lc: Credit, rng: random.Random, one_page: bool = False) -> Sheet:
    """Return the credit drawn in one of the layouts; set smaller until it fits where it must be one page."""
    hand = new_hand(rng)
    if lc.currency == "JPY" or lc.amount < Decimal(1000):
        hand = replace(hand, numbers="comma")
    draw = rng.choice((_teleprinter, _printed, _printed, _labelled, _labelled, _form, _letter))
    state = rng.getstate()
    size = 9.5
    while True:
        rng.setstate(state)
        sheet = draw(lc, hand, rng, size)
        if sheet.pages == 1 or not one_page:
            return sheet
        size, hand = size - 0.4, replace(hand, space=1.5)
