"""Each kind of discrepancy over every trade it fits: it breaks what it says, and a compliant draft breaks nothing."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

import pytest

from rehearsal.cases.catalogue import Trade, trades
from rehearsal.cases.discrepancies import REJECT, SIGNALS, WARN, Kind
from rehearsal.cases.presentation import Presentation, amount_in_words, draft
from rehearsal.cases.wording import COMMON_DATES, ODD_DATES, write_date, write_number

KINDS = {kind.name: kind for kind in (*REJECT, *WARN, *SIGNALS)}


def drafted(trade: Trade, kind: Kind | None = None) -> Presentation:
    return draft(trade, random.Random(f"{trade.trade_id}"), kind.documents if kind else ())


def broken(shown: Presentation) -> set[str]:
    """Return the rules of the credit that the presentation breaks, told from the model, not from the drawn pages."""
    lc, invoice, bl = shown.lc, shown.invoice, shown.bl
    shipped = bl.on_board or bl.dated
    low, high = (lc.amount * (100 + sign * lc.tolerance) / 100 for sign in (-1, 1))
    rules = {
        "late_shipment": shipped > lc.latest,
        "late_presentation": invoice.presented > shipped + timedelta(days=lc.period),
        "presented_after_expiry": invoice.presented > lc.expiry,
        "overdrawn": invoice.amount > high,
        "underdrawn": invoice.amount < low * Decimal("0.9") and lc.partial,
        "shipped_in_part": invoice.amount < low * Decimal("0.9") and not lc.partial,
        "invoice_currency": invoice.currency != lc.currency,
        "loading_port": bl.loading != lc.loading,
        "discharge_port": bl.discharge != lc.discharge,
        "other_goods": invoice.goods != lc.goods,
        "document_missing": not set(lc.required) <= set(shown.roles),
        "claused": bool(bl.clause),
        "not_on_board": bl.on_board is None,
        "transhipped": bool(bl.via) and not lc.transhipment,
        "words_and_figures": invoice.words != invoice.amount,
        "other_beneficiary": invoice.seller.name != lc.beneficiary.name,
        "other_applicant": invoice.buyer.country != lc.applicant.country,
    }
    if shown.insurance:
        insured = shown.insurance
        rules["under_insured"] = insured.amount * 100 < invoice.amount * lc.cover
        rules["insurance_currency"] = insured.currency != lc.currency
    if shown.packing_list:
        packed = shown.packing_list
        rules["weight_differs"] = packed.gross != bl.gross
        rules["package_count"] = packed.packages != bl.packages
        rules["weight_impossible"] = packed.net >= packed.gross or 0 < len(bl.containers) * 90_000 < bl.gross
        rules["packing_unsigned"] = not packed.signed
        rules["packing_undated"] = packed.dated is None
    return {name for name, held in rules.items() if held}


@pytest.mark.parametrize("trade", trades(), ids=lambda trade: trade.trade_id)
def test_a_draft_breaks_nothing(trade: Trade) -> None:
    for number in range(20):
        shown = draft(trade, random.Random(number))
        assert broken(shown) == set()
        assert not shown.bl.containers or shown.bl.gross / len(shown.bl.containers) <= 24_000
        assert shown.lc.issued < shown.invoice.dated <= shown.bl.dated <= shown.invoice.presented <= shown.lc.expiry
        assert abs(shown.invoice.amount - shown.invoice.quantity * shown.invoice.price) < 1


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_changes_what_its_name_says_in_every_trade_it_fits(name: str) -> None:
    kind = KINDS[name]
    fitting = [trade for trade in trades() if kind.fits(trade)]
    assert len(fitting) >= 10
    for trade in fitting:
        clean, shown = drafted(trade, kind), drafted(trade, kind)
        note = kind.change(shown, random.Random(trade.trade_id))
        assert note
        assert shown != clean, trade.trade_id
        if name in broken(shown):
            assert broken(shown) - {name} <= {"underdrawn"}, trade.trade_id


@pytest.mark.parametrize(
    "name",
    [kind.name for kind in REJECT]
    + ["underdrawn", "words_and_figures", "weight_differs", "package_count", "packing_unsigned"],
)
def test_a_kind_really_breaks_its_rule(name: str) -> None:
    for trade in trades():
        if KINDS[name].fits(trade):
            shown = drafted(trade, KINDS[name])
            KINDS[name].change(shown, random.Random(trade.trade_id))
            assert name in broken(shown), trade.trade_id


@pytest.mark.parametrize(
    ("value", "currency", "words"),
    [
        ("123456.78", "USD", "US Dollars one hundred twenty-three thousand four hundred fifty-six and 78/100 only"),
        ("2000000", "EUR", "Euro two million and 00/100 only"),
        ("40017", "JPY", "Japanese Yen forty thousand seventeen only"),
    ],
    ids=["cents", "round", "yen"],
)
def test_amounts_are_spelt_out(value: str, currency: str, words: str) -> None:
    assert amount_in_words(Decimal(value), currency) == words


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("comma", "1,234,567.50"),
        ("point", "1.234.567,50"),
        ("space", "1 234 567.50"),
        ("tick", "1'234'567.50"),
        ("plain", "1234567.50"),
        ("swift", "1234567,50"),
    ],
)
def test_numbers_follow_the_writers_habit(form: str, text: str) -> None:
    assert write_number(Decimal("1234567.5"), form, 2) == text


def test_no_date_can_be_read_two_ways() -> None:
    day = date(2026, 3, 4)
    texts = {form: write_date(day, form) for form in (*COMMON_DATES, *ODD_DATES)}
    assert "04/03/2026" not in texts.values()
    assert texts["ordinal"] == "4th day of March 2026"
    assert texts["roman"] == "4.III.2026"
