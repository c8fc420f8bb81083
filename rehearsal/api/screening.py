"""Sanctions and trade-based money laundering: signals that no article forbids and no bank lets pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from .checks import DISCLAIMER, Check, Finding, Presentation, address_words
from .credit import party_of
from .places import (
    COUNTRIES,
    DUAL_USE,
    HIGH_RISK,
    SANCTIONED,
    SANCTIONED_PLACES,
    SHELL_ADDRESS,
    USD_PER_KG,
    VAGUE_GOODS,
    countries,
)
from .values import likeness, words

#: From this value on, goods that cannot be told are a signal.
VAGUE_VALUE_USD = 50_000
#: A price is far off when it leaves the usual band by more than this factor.
PRICE_FACTOR = 4
#: No container on a ship weighs more, its cargo included.
MAX_KG_PER_CONTAINER = 33_000


def _plain(text: str) -> str:
    return " ".join(words(text))


def _sanctions(seen: Presentation) -> Iterator[Finding]:
    credit = seen.credit
    parties = [
        line for party in (credit.applicant, credit.beneficiary) if party for line in (party.name, *party.address)
    ]
    fields = "\n".join(filter(None, (credit.loading, credit.discharge, *parties)))
    lc = seen.lc.filename if seen.lc else "letter_of_credit"
    for document, text in ((lc, fields), *((paper.filename, paper.text) for paper in seen.secondary)):
        for line in text.splitlines():
            plain = _plain(line)
            code = next((one for one in sorted(countries(line)) if one in SANCTIONED), None)
            place = (
                COUNTRIES[code][0]
                if code
                else next((one for one in SANCTIONED_PLACES if f" {one} " in f" {plain} "), None)
            )
            if place and not DISCLAIMER.search(plain):
                yield Finding("SANCTIONS-PLACE", document, "No link with a sanctioned territory", place.title())
                break


def _goods_and_places(seen: Presentation) -> Iterator[Finding]:
    credit, invoice = seen.credit, seen.invoice
    lc = seen.lc.filename if seen.lc else "letter_of_credit"
    goods = _plain(credit.goods or "")
    address = credit.applicant.address if credit.applicant else ()
    risky = sorted(countries("\n".join((credit.discharge or "", *address))) & set(HIGH_RISK))
    item = DUAL_USE.search(goods) or DUAL_USE.search(_plain(invoice.text) if invoice else "")
    if risky and item:
        actual = f"{item[0].title()} to {COUNTRIES[risky[0]][0].title()}"
        yield Finding("TBML-DUAL-USE", lc, "An export licence and a known end user", actual)
    vague = VAGUE_GOODS.search(goods)
    if vague and len(seen.goods) <= 4 and credit.amount and credit.amount.in_usd() >= VAGUE_VALUE_USD:
        yield Finding("TBML-VAGUE-GOODS", lc, "Goods that can be told and priced", vague[0].title())


def _addresses(seen: Presentation) -> Iterator[Finding]:
    credit = seen.credit
    lc = seen.lc.filename if seen.lc else "letter_of_credit"
    first, second = address_words(credit.applicant), address_words(credit.beneficiary)
    shared = first & second
    numbered = any(word.isdigit() for word in shared)  # "P.O. Box 12, Dubai": two words, and still a place of its own
    if len(shared) >= (2 if numbered else 3) and len(shared) >= 0.9 * max(len(first), len(second)):
        yield Finding("TBML-SAME-ADDRESS", lc, "Two unrelated parties", "One address")
    for party in filter(None, (credit.applicant, credit.beneficiary)):
        if agent := SHELL_ADDRESS.search(_plain(" ".join((party.name, *party.address)))):
            yield Finding("TBML-SHELL-ADDRESS", lc, "A place of business", agent[0].title(), party.name)


def _weights(seen: Presentation) -> Iterator[Finding]:
    invoice, listed = seen.invoice, seen.packing_list
    gross = next((paper.gross for paper in (listed, seen.bl) if paper and paper.gross), None)
    if not gross:
        return
    if invoice and invoice.total:
        goods = _plain(seen.credit.goods or "")
        usual = ((low, high) for kind, low, high in USD_PER_KG if re.search(rf"\b(?:{kind})\b", goods))
        low, high = next(usual, (0.05, 20_000.0))
        price = invoice.total.in_usd() / float(gross)
        if not low / PRICE_FACTOR <= price <= high * PRICE_FACTOR:
            needed = f"USD {low:g} to {high:g} a kilogram"
            yield Finding("TBML-UNIT-PRICE", invoice.filename, needed, f"about USD {price:,.2f} a kilogram")
    net = listed.net if listed else None
    containers = re.search(r"\b(\d{1,2}) ?X ?(?:20|40|45)\b", _plain(" ".join(paper.text for paper in seen.papers)))
    too_heavy = containers and int(containers[1]) and gross > MAX_KG_PER_CONTAINER * int(containers[1])
    if too_heavy or (net and net > gross * Decimal("1.005")):
        document = listed.filename if listed else ""
        yield Finding("TBML-WEIGHT", document, "A weight that can be carried", f"gross {gross} kg, net {net} kg")


def _payment(seen: Presentation) -> Iterator[Finding]:
    invoice, beneficiary = seen.invoice, seen.credit.beneficiary
    if not invoice or not beneficiary or not beneficiary.words:
        return
    for block in invoice.form.blocks("account_name"):  # "Any Bank, account of Any Company": the holder is the payee
        holder = re.search(r"\b(?:ACCOUNT|A/C)\s+(?:OF|NAME)\b[\s:]*(?P<v>.+)", " ".join(block), re.I)
        payee = party_of([holder["v"]] if holder else block)
        bank = payee and not holder and re.search(r"BANK|\bBAN(?:CO|CA|QUE)\b", payee.name, re.I)
        if payee and payee.words and not bank and not any(likeness(beneficiary.words, payee.words)):
            yield Finding("TBML-THIRD-PARTY", invoice.filename, beneficiary.name, payee.name)
            return
    third = re.search(r"[^.;\n]{0,80}\bTHIRD[- ]PARTY\b[^.;\n]{0,60}", invoice.text, re.I)
    if third and re.search(r"PAY|REMIT|ACCOUNT|SETTLE|PROCEEDS", third[0], re.I) and not DISCLAIMER.search(third[0]):
        yield Finding("TBML-THIRD-PARTY", invoice.filename, beneficiary.name, "A third party")


SCREENING: tuple[Check, ...] = (_sanctions, _goods_and_places, _addresses, _weights, _payment)
