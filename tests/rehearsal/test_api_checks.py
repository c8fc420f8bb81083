"""What the rehearsal API finds in documents written by hand, in layouts only these tests use."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from typesetter import NAMES, bundle, pdf, scan, text_of

from rehearsal.api.checks import CHECKS, RULES, Finding, Presentation, findings, verdict
from rehearsal.api.credit import read_credit
from rehearsal.api.extract import read
from rehearsal.api.gate import Gate, gate
from rehearsal.api.papers import TYPES, Paper, type_of
from rehearsal.api.places import country
from rehearsal.api.screening import SCREENING
from rehearsal.api.values import Money


def examine(documents: dict[str, bytes]) -> tuple[Gate, list[Finding]]:
    papers = [Paper(NAMES[role], TYPES[role], read("application/pdf", data)) for role, data in documents.items()]
    lc = next(paper for paper in papers if paper.type == "letter_of_credit")
    credit = read_credit(lc.reading)
    return gate(credit, lc, papers), findings(Presentation(credit, papers), (*CHECKS, *SCREENING))


@pytest.mark.parametrize("name", ["tea", "pumps", "tiles", "shrimps"])
def test_a_clean_presentation_passes_in_every_layout(name: str) -> None:
    passed, found = examine(bundle(name))
    assert (passed.block_reason, passed.missing_required, found) == (None, (), [])


def change(name: str, role: str, old: str, new: str, *ids: str) -> object:
    return pytest.param(name, role, (old, new), ids, id=f"{ids[0].lower()}-{name}")


DISCREPANCIES = [
    change("tea", "bl", "12 March 2026", "21 March 2026", "UCP-LATE-SHIPMENT"),
    change("pumps", "bl", "30 APR 2026", "11 MAY 2026", "UCP-LATE-SHIPMENT"),
    change("tea", "invoice", "24 March 2026", "28 March 2026", "UCP-LATE-PRESENTATION"),
    change("pumps", "invoice", "15 May 2026", "21 May 2026", "UCP-LATE-PRESENTATION"),
    change("tiles", "invoice", "17/04/2026", "24/04/2026", "UCP-LATE-PRESENTATION"),
    change("tea", "lc", "260430 COLOMBO", "260323 COLOMBO", "UCP-CREDIT-EXPIRED"),
    change("pumps", "lc", "15 June 2026", "14 May 2026", "UCP-CREDIT-EXPIRED"),
    change("shrimps", "invoice", "May 6, 2026", "May 9, 2026", "UCP-LATE-PRESENTATION"),
    change("tea", "invoice", "96,400.00", "101,300.00", "UCP-OVERDRAWN"),
    change("shrimps", "invoice", "21,450,000", "24,050,000", "UCP-OVERDRAWN"),
    change("tiles", "invoice", "58.900,00", "61.900,00", "UCP-OVERDRAWN"),
    change("tiles", "invoice", "58.900,00", "49.000,00", "UCP-UNDERDRAWN"),
    change("tiles", "invoice", "EUR", "USD", "UCP-CURRENCY"),
    change("tea", "bl", "Colombo | Hamburg", "Hambantota | Hamburg", "UCP-PORT-LOADING"),
    change("pumps", "bl", "ANTOFAGASTA | 30", "VALPARAISO | 30", "UCP-PORT-DISCHARGE"),
    change("tiles", "bl", "Cape Town, South Africa", "Durban, South Africa", "UCP-PORT-DISCHARGE"),
    change("tiles", "bl", "Valencia, Spain", "Lisbon, Portugal", "UCP-PORT-LOADING"),
    change("shrimps", "bl", "discharge: Osaka", "discharge: Nagoya", "UCP-PORT-DISCHARGE"),
    change("tiles", "invoice", "Azulejos Montesol S.L.", "Levante Gres Trading S.A.", "UCP-BENEFICIARY"),
    change("pumps", "invoice", "Minera Quebrada Honda Limitada", "Cobre del Norte S.A.", "UCP-APPLICANT"),
    change("tea", "bl", "Kontor Hansen Teeimport GmbH", "Elbe Spedition GmbH", "UCP-APPLICANT"),
    change("tea", "packing_list", "Kontor Hansen Teeimport", "Kontor Hanssen Teeimport", "NAME-APPLICANT"),
    change("tiles", "coo", "Azulejos Montesol", "Azulejos Montesal", "NAME-BENEFICIARY"),
    change("tea", "invoice", "Am Sandtorkai 41", "Am Sandtorkai 47", "ADDRESS-APPLICANT"),
    change("pumps", "invoice", "Calle Los Carrera 1520", "Avenida Brasil 88", "ADDRESS-APPLICANT"),
    change("tiles", "invoice", "glazed porcelain floor tiles", "sanitary ware in vitreous china", "UCP-GOODS"),
    change(
        "pumps",
        "invoice",
        "Centrifugal slurry pumps model BI-400 with spare impellers",
        "Gate valves DN 200",
        "UCP-GOODS",
    ),
    change("tea", "insurance", "106,040.00", "96,400.00", "UCP-INSURANCE-COVER"),
    change("pumps", "insurance", "350,625.00", "318,750.00", "UCP-INSURANCE-COVER"),
    change("shrimps", "insurance", "25,740,000", "23,595,000", "UCP-INSURANCE-COVER"),
    change("tea", "insurance", "EUR", "USD", "UCP-INSURANCE-CURRENCY"),
    change("tea", "bl", "Freight prepaid", "Remarks: 14 cartons torn and wet", "UCP-CLAUSED-BL"),
    change("pumps", "bl", "SHIPPED ON BOARD IN", "TWO CASES DENTED, OTHERWISE IN", "UCP-CLAUSED-BL"),
    change("tea", "bl", "CLEAN SHIPPED ON BOARD 12", "RECEIVED FOR SHIPMENT 12", "UCP-NOT-ON-BOARD"),
    change("tea", "bl", "Freight prepaid", "Transhipment at Jebel Ali", "UCP-TRANSHIPMENT"),
    change(
        "pumps",
        "invoice",
        "Documents presented",
        "First lot, balance to follow. Documents presented",
        "UCP-PARTIAL-SHIPMENT",
    ),
    change("tea", "coo", "NBH-DC-260318-77", "NBH-DC-260381-77", "REF-LC-NUMBER"),
    change("tea", "insurance", "Documentary credit no. NBH-DC-260318-77", "Open cover", "REF-LC-NUMBER"),
    change("tea", "packing_list", "12,532 kg", "12,582 kg", "DATA-GROSS-WEIGHT"),
    change("tiles", "packing_list", "400 pallets", "404 pallets", "DATA-PACKAGES"),
    change("shrimps", "packing_list", "18,150.00", "18,510.00", "DATA-GROSS-WEIGHT"),
    change("shrimps", "bl", "1,650 cartons", "1,560 cartons", "DATA-PACKAGES"),
    change("tea", "coo", "origin: Sri Lanka", "origin: LKA", "DATA-ORIGIN-FORM"),
    change("tea", "coo", "origin: Sri Lanka", "origin: Kenya", "DATA-ORIGIN"),
    change("pumps", "packing_list", "Signature: Paolo Ferrari", "Signature: ____________", "FORM-UNSIGNED"),
    change("tiles", "coo", "Date | 31/03/2026", "Date | ", "FORM-UNDATED"),
    change("tea", "bl", "118W | Liberia", "118W | Iran", "SANCTIONS-PLACE"),
    change("shrimps", "bl", "Flag: Panama", "Flag: DPR Korea", "SANCTIONS-PLACE"),
    change("shrimps", "lc", "Osaka or Kobe, Japan", "Nampo", "SANCTIONS-PLACE"),
    change(
        "pumps",
        "lc",
        "Brescia Idraulica S.p.A., Via Industriale 19",
        "Brescia Idraulica S.p.A., Registered Agent",
        "TBML-SHELL-ADDRESS",
    ),
    change(
        "tiles",
        "lc",
        "7 Foreshore Road, Cape Town 8001, South Africa",
        "Poligono Sur 33, 12200 Onda, Spain",
        "TBML-SAME-ADDRESS",
    ),
    change("tiles", "lc", "9,500 m2 glazed porcelain floor tiles 60x60", "Assorted goods", "TBML-VAGUE-GOODS"),
    change("tiles", "lc", "9,500 m2 glazed porcelain", "9,500 m2 glazed copper porcelain", "TBML-UNIT-PRICE"),
    change("tiles", "bl", "8 x 20' DC", "4 x 20' DC", "TBML-WEIGHT"),
    change(
        "tiles",
        "invoice",
        "Unit price | EUR 6,20",
        "Account name | Seabright Ventures Ltd, Vanuatu",
        "TBML-THIRD-PARTY",
    ),
]


@pytest.mark.parametrize(("name", "role", "edit", "ids"), DISCREPANCIES)
def test_one_changed_passage_gives_its_finding(
    name: str, role: str, edit: tuple[str, str], ids: tuple[str, ...]
) -> None:
    passed, found = examine(bundle(name, **{role: edit}))
    assert not passed.blocked
    assert ids[0] in {one.id for one in found}
    assert verdict(found) == ("warn" if RULES[ids[0]][1] == "minor" else "reject")


def test_dual_use_goods_are_a_matter_of_where_they_go() -> None:
    item = ("centrifugal slurry pumps model BI-400 with spare impellers", "inertial gyroscopes model BI-400")
    billed = ("Centrifugal slurry pumps model BI-400 with spare impellers", "Inertial gyroscopes model BI-400")
    harmless = examine(bundle("pumps", lc=item, invoice=billed))[1]
    assert "TBML-DUAL-USE" not in {one.id for one in harmless}
    documents = bundle("pumps", invoice=billed)
    documents["lc"] = pdf(text_of("pumps", "lc", item).replace("to Antofagasta, Chile", "to Umm Qasr, Iraq"))
    assert "TBML-DUAL-USE" in {one.id for one in examine(documents)[1]}


@pytest.mark.parametrize(
    ("role", "title"),
    [
        ("invoice", "Commercial Invoice"),
        ("bl", "Bill of Lading"),
        ("insurance", "Insurance Certificate"),
        ("packing_list", "Packing List"),
        ("coo", "Certificate of Origin"),
    ],
)
@pytest.mark.parametrize("name", ["tea", "pumps", "shrimps"])
def test_a_required_document_that_is_not_there_is_named(name: str, role: str, title: str) -> None:
    found = examine(bundle(name, **{role: None}))[1]
    assert [one.title for one in found if one.id == "DOC-MISSING"] == [f"Missing Required Document: {title}"]


def test_a_document_the_credit_does_not_ask_for_is_not_missed() -> None:
    assert "insurance" not in bundle("tiles")
    assert examine(bundle("tiles"))[1] == []


def test_small_print_about_damage_is_no_clause() -> None:
    assert "wet cargo" in text_of("tea", "bl")
    assert "UCP-CLAUSED-BL" not in {one.id for one in examine(bundle("tea"))[1]}


def test_broken_tea_is_a_grade_and_no_damage() -> None:
    change_ = ("482 cartons said to contain Ceylon black tea", "482 cartons Ceylon black tea broken orange pekoe")
    assert examine(bundle("tea", bl=change_))[1] == []


def test_a_legible_scan_of_the_credit_is_read_and_judged() -> None:
    documents = bundle("tiles")
    documents["lc"] = scan(documents["lc"], tilt=0.4, noise=8)
    reading = read("application/pdf", documents["lc"])
    assert (reading.ocr, reading.status) == (True, "success")
    passed, found = examine(documents)
    assert (passed.block_reason, found) == (None, [])


def test_a_scan_too_poor_to_rely_on_blocks_and_says_so() -> None:
    documents = bundle("tiles")
    documents["lc"] = scan(documents["lc"], blur=2.6, noise=18)
    passed, _ = examine(documents)
    assert passed.block_reason in {"low_extraction_confidence", "missing_critical_fields"}
    assert passed.rule
    assert passed.rule.startswith("LC-GATE-")


def test_an_empty_page_is_an_empty_extraction() -> None:
    passed, _ = examine({**bundle("tiles"), "lc": scan(pdf("@plain\n"))})
    assert (passed.empty, passed.critical_completeness) == (True, 0.0)
    assert len(passed.missing_required) == 11


def test_an_illegible_invoice_blocks_too() -> None:
    documents = bundle("tiles")
    documents["invoice"] = scan(pdf("@plain\n"))
    passed, _ = examine(documents)
    assert (passed.block_reason, passed.rule) == ("unreadable_document", "DOC-GATE-UNREADABLE")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"%PDF-1.7 nothing that follows", "PdfiumError"), (b"", "PdfiumError")],
    ids=["broken", "empty"],
)
def test_a_broken_file_reads_as_empty_with_its_reason(data: bytes, reason: str) -> None:
    reading = read("application/pdf", data)
    assert reading.status == "empty"
    assert reading.failure
    assert reason in reading.failure


@pytest.mark.parametrize("role", list(NAMES))
def test_a_document_is_known_by_what_it_calls_itself(role: str) -> None:
    reading = read("application/pdf", bundle("tea")[role])
    assert type_of("scan0001.pdf", None, reading) == TYPES[role]


def test_every_rule_names_an_article_of_ucp_600() -> None:
    for id_ in RULES:
        assert re.fullmatch(r"UCP600 Article \d{1,2}(\([a-z]+\))*", Finding(id_, "", "", "").article)


def paper(role: str, text: str) -> Paper:
    return Paper(NAMES[role], TYPES[role], read("application/pdf", pdf(text)))


def edited(name: str, role: str, *edits: tuple[str, str]) -> bytes:
    text = text_of(name, role)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return pdf(text)


def ids(documents: dict[str, bytes]) -> set[str]:
    return {one.id for one in examine(documents)[1]}


WEIGHT_TABLE = """@table
Drums | Contents | Net weight | Gross weight | Cube
24 | Rapeseed oil | 4,320.0 KG | 4,752.5 KG | 9.1
16 | Linseed oil<br/>cold pressed | 2,880.0 KG | 3,168.0 KG | 6.0
TOTAL | | 7,200.0 KG | 7,920.5 KG | 15.1
"""
CARGO_TABLE = """@table
Containers | Number and kind of packages | Gross weight | Measurement
2 x 20' DV<br/>ABCU1111110<br/>ABCU2222220<br/>ABCU3333330 | 40 drums of oils | 7,920.5 KG | 15.1 CBM
"""


@pytest.mark.parametrize(
    ("text", "net", "gross"),
    [
        (WEIGHT_TABLE, "7200", "7920.5"),
        (CARGO_TABLE, None, "7920.5"),
        (WEIGHT_TABLE.replace(",", " "), "7200", "7920.5"),
        ("@prose\nPACKING LIST\nTotal gross weight: 22 152.5 KG\nNet weight: 21\u00a0000 KG", "21000", "22152.5"),
        ("@prose\nPACKING LIST\nGross weight: 22\u202f152.5 KG", None, "22152.5"),
        ("@prose\nPACKING LIST\nGross weight 22.152,5 kg, net weight 21.000,0 kg", "21000", "22152.5"),
    ],
    ids=["columns", "beside-a-tall-cell", "columns-spaced", "spaces", "thin-space", "european"],
)
def test_weights_are_read_wherever_a_document_puts_them(text: str, net: str | None, gross: str) -> None:
    listed = paper("packing_list", text)
    assert (listed.net, listed.gross) == (net and Decimal(net), Decimal(gross))


@pytest.mark.parametrize(
    ("name", "amount", "shown"),
    [
        ("pumps", "USD 370.140,00", Money("USD", Decimal("370140.00"))),
        ("pumps", "USD 370,140.00", Money("USD", Decimal("370140.00"))),
        ("pumps", "USD 370 140,50", Money("USD", Decimal("370140.50"))),
        ("pumps", "JPY 29 306 340", Money("JPY", Decimal(29306340))),
        ("pumps", "JPY 29\u202f306\u202f340", Money("JPY", Decimal(29306340))),
    ],
    ids=["european", "english", "spaced-with-cents", "spaced-yen", "thin-spaced-yen"],
)
def test_an_amount_in_a_letter_is_read_whole(name: str, amount: str, shown: Money) -> None:
    credit = read_credit(read("application/pdf", edited(name, "lc", ("USD 318,750.00", amount))))
    assert credit.amount == shown


def test_a_figure_in_a_letter_does_not_end_the_goods() -> None:
    goods = ("covers twenty-five centrifugal", "covers ABOUT 18.000,5 kg of centrifugal")
    credit = read_credit(read("application/pdf", edited("pumps", "lc", goods)))
    assert credit.goods == "ABOUT 18.000,5 kg of centrifugal slurry pumps model BI-400 with spare impellers"


@pytest.mark.parametrize(
    "address",
    ["Handelsweg 140, 2988 DC Ridderkerk, Netherlands", "P.O. Box 4471, Dubai, U.A.E."],
    ids=["street", "post-box"],
)
def test_a_short_address_that_both_parties_share_is_seen_beside_labels_of_two_words(address: str) -> None:
    form = (
        "@plain\nIRREVOCABLE DOCUMENTARY CREDIT\nLetter of credit number: MB-204417\n"
        f"Applicant: VAN DAM FRUIT IMPORT B.V.\n{address}\n"
        f"Beneficiary (exporter): FRUTAS DEL SUR S.A.\n{address}\nMaximum amount: EUR 142.074,24\n"
        "Shipment from: CALLAO\nShipment to: ROTTERDAM\n"
    )
    assert "TBML-SAME-ADDRESS" in ids({"lc": pdf(form)})
    one_of_them = form.replace(address, "Jiron Ica 12, Lima", 1)
    assert "TBML-SAME-ADDRESS" not in ids({"lc": pdf(one_of_them)})


@pytest.mark.parametrize(
    ("loading", "discharge", "found"),
    [
        ("CALLAO, PERU", "ROTTERDAM, NETHERLANDS", set()),
        ("CALLAO, PERU", "VLISSINGEN, NETHERLANDS", {"UCP-PORT-DISCHARGE"}),
        ("PAITA, PERU", "ROTTERDAM, NETHERLANDS", {"UCP-PORT-LOADING"}),
    ],
    ids=["same", "other-discharge", "other-loading"],
)
def test_shipment_from_and_to_are_ports_on_either_side(loading: str, discharge: str, found: set[str]) -> None:
    lc = "Letter of credit number: MB-204417\nShipment from: CALLAO, PERU\nShipment to: ROTTERDAM, NETHERLANDS"
    bl = f"BILL OF LADING\nShipment from: {loading}\nShipment to: {discharge}\nSHIPPED ON BOARD 14 March 2026"
    seen = ids({"lc": pdf(f"@plain\n{lc}"), "bl": pdf(f"@plain\n{bl}")})
    assert {one for one in seen if one.startswith("UCP-PORT")} == found


@pytest.mark.parametrize(
    ("box", "banned"),
    [
        ("Transhipment port | Flag\nJEBEL ALI | Liberia", True),
        ("Port of transshipment | Flag\nJebel Ali, U.A.E. | Liberia", True),
        ("Transhipment port | Flag\nNONE | Liberia", False),
        ("Transhipment port | Flag\n --- | Liberia", False),
        ("Carrier's agent at destination | Flag\nVia Aurelia 310, 57121 Livorno | Liberia", False),
        ("Carrier's agent at destination | Flag\nDeluca S.r.l., Via dell'Industria 52 | Liberia", False),
        ("Routing | Flag\nColombo to Hamburg via Jebel Ali | Liberia", True),
        ("Routing | Flag\nVIA PORT SAID | Liberia", True),
    ],
    ids=["port", "port-of", "none", "dashes", "street", "street-in-a-line", "route", "route-alone"],
)
def test_transhipment_is_a_place_in_a_box_or_a_route_and_no_street(box: str, banned: bool) -> None:
    bl = edited("tea", "bl", ("Ocean vessel / Voyage | Flag\nMV Serendib Star / 118W | Liberia", box))
    assert ("UCP-TRANSHIPMENT" in ids({**bundle("tea"), "bl": bl})) is banned


@pytest.mark.parametrize("tail", ["NOTIFY\nAPPLICANT.", "FREIGHT PREPAID NOTIFY\nAPPLICANT"], ids=["stop", "no-stop"])
def test_a_wrapped_line_of_the_documents_required_is_no_label(tail: str) -> None:
    letter = (
        "@plain\nOur irrevocable documentary credit No. HB-80780 in favour of Meghna Weavers Limited, Narayanganj,\n"
        "for account of Nordlicht Textil GmbH, Hamburg, for an amount of EUR 95,880.00. Documents required:\n"
        f"1. FULL SET OF CLEAN ON BOARD BILLS OF LADING MADE OUT TO ORDER AND {tail}\n"
        "2. DETAILED PACKING LIST IN DUPLICATE.\n"
    )
    applicant = read_credit(read("application/pdf", pdf(letter))).applicant
    assert applicant
    assert applicant.name == "Nordlicht Textil GmbH"


def test_a_full_stop_in_a_company_form_does_not_end_the_company() -> None:
    letter = (
        "@prose\nWe open credit No. SB-441 for account of Golden Bay Liquors Pte. Ltd, 11 Pandan Crescent, Singapore."
    )
    applicant = read_credit(read("application/pdf", pdf(letter))).applicant
    assert applicant
    assert (applicant.name, applicant.address) == ("Golden Bay Liquors Pte. Ltd", ("11 Pandan Crescent, Singapore",))


@pytest.mark.parametrize(
    ("goods", "flagged"),
    [
        ("lithium iron phosphate battery cells 280 Ah", False),
        ("rock phosphate in bulk", True),
        ("safety shoes with steel toe cap", False),
    ],
    ids=["batteries", "phosphate", "shoes"],
)
def test_goods_are_priced_as_what_they_are_and_not_what_is_in_them(goods: str, flagged: bool) -> None:
    documents = bundle("tiles", lc=("9,500 m2 glazed porcelain floor tiles 60x60", goods))
    for role in ("bl", "packing_list"):  # 4,000 kg for EUR 58,900 are USD 16 a kilogram
        documents[role] = edited("tiles", role, ("209,000", "4,000"))
    documents["invoice"] = edited("tiles", "invoice", ("9,500 m2 glazed porcelain floor tiles 60x60", goods))
    assert ("TBML-UNIT-PRICE" in ids(documents)) is flagged


@pytest.mark.parametrize(
    ("line", "clause"),
    [("long grain rice 5% BROKEN", False), ("rice, 25 PCT brokens", False), ("2 bags broken, contents lost", True)],
    ids=["percent", "pct", "damage"],
)
def test_broken_rice_is_a_grade_even_where_the_credit_does_not_name_it(line: str, clause: bool) -> None:
    bl = edited("pumps", "bl", ("25 CASES CENTRIFUGAL PUMPS", f"25 CASES {line}"))
    assert ("UCP-CLAUSED-BL" in ids({**bundle("pumps"), "bl": bl})) is clause


@pytest.mark.parametrize("label", ["Shipping marks", "Shade card", "Colourway:"])
def test_what_stands_under_another_label_is_no_part_of_an_address(label: str) -> None:
    buyer = "Cape Horizon Ceramics (Pty) Ltd<br/>7 Foreshore Road, Cape Town 8001"
    listed = edited(
        "tiles", "packing_list", ("Cape Horizon Ceramics (Pty) Ltd", f"{buyer}\n{label} | KKR 114 / DURBAN")
    )
    party = Paper("", "packing_list", read("application/pdf", listed)).party("buyer")
    assert party
    assert party.address == ("7 Foreshore Road, Cape Town 8001",)
    assert not {"ADDRESS-APPLICANT"} & ids({**bundle("tiles"), "packing_list": listed})


def test_a_month_in_roman_figures_is_a_date() -> None:
    assert examine(bundle("tiles", coo=("31/03/2026", "31.III.2026")))[1] == []


@pytest.mark.parametrize(
    ("line", "third"),
    [
        ("Banco Levantino S.A., account of Azulejos Montesol S.L.", False),
        ("Banco Levantino S.A., Valencia", False),
        ("Banco Levantino S.A., account of Seabright Ventures Ltd", True),
    ],
    ids=["own-account", "bank", "other-account"],
)
def test_the_holder_of_the_account_is_paid_and_not_the_bank(line: str, third: bool) -> None:
    invoice = ("Unit price | EUR 6,20", f"Payment to | {line}")
    assert ("TBML-THIRD-PARTY" in ids(bundle("tiles", invoice=invoice))) is third


@pytest.mark.parametrize(("written", "code"), [("A.R.E.", "EG"), ("A. R. E.", "EG"), ("ARE", "AE"), ("U.A.E.", "AE")])
def test_the_stops_tell_egypt_from_the_emirates(written: str, code: str) -> None:
    found = country(written)
    assert found
    assert found[0] == code
