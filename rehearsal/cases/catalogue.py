"""The world the cases play in: trades, countries, banks, ships. Every company, bank and ship is invented."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Party:
    """A company as documents print it; the address is one line, parts divided by commas."""

    name: str
    address: str
    country: str


@dataclass(frozen=True)
class Country:
    """What documents say about a country; ``other_form`` is an unusual way to write its name."""

    code: str
    name: str
    other_form: str
    bank: str
    bank_city: str
    bic: str
    other_port: str
    chamber: str


@dataclass(frozen=True)
class Trade:
    """Who sells what to whom, and by which way; the parent of one or more cases.

    ``quantity`` in ``unit``, ``price`` in ``currency`` a unit, ``kg_per_unit`` net. ``other_words`` are general terms
    that do not conflict with ``goods``; ``substitute`` are other goods. ``via`` is a port
    of transhipment that lies on the way. ``person``: a natural person is named.
    """

    trade_id: str
    goods: str
    other_words: str
    substitute: str
    hs: str
    unit: str
    price: Decimal
    quantity: Decimal
    package: str
    per_package: Decimal
    kg_per_unit: Decimal
    seller: Party
    buyer: Party
    incoterm: str
    currency: str
    loading: str
    discharge: str
    via: str
    person: bool

    @property
    def insured_by_seller(self) -> bool:
        """Whether the term of delivery makes the seller insure."""
        return self.incoterm in ("CIF", "CIP")


@cache
def countries() -> dict[str, Country]:
    """Return the countries by their two-letter code."""
    with (HERE / "countries.csv").open(encoding="utf-8", newline="") as handle:
        return {row["code"]: Country(**row) for row in csv.DictReader(handle)}


@cache
def trades() -> tuple[Trade, ...]:
    """Return the catalogue in its order."""
    with (HERE / "trades.csv").open(encoding="utf-8", newline="") as handle:
        return tuple(_trade(row) for row in csv.DictReader(handle))


def _trade(row: dict[str, str]) -> Trade:
    numbers = {key: Decimal(row[key]) for key in ("price", "quantity", "per_package", "kg_per_unit")}
    parties = {
        side: Party(row[side], row[f"{side}_address"], countries()[row[f"{side}_country"]].name)
        for side in ("seller", "buyer")
    }
    rest = {key: value for key, value in row.items() if key in Trade.__dataclass_fields__}
    return Trade(**{**rest, **numbers, **parties, "person": row["person"] == "yes"})  # type: ignore[arg-type]


SHIPS = (
    "MV Aurelia Bay",
    "MV Baltic Heron",
    "MV Cape Verity",
    "MV Coral Meridian",
    "MV Delta Navigator",
    "MV Eastern Lark",
    "MV Ever Constance",
    "MV Fjord Trader",
    "MV Gulf Harmony",
    "MV Hansa Lübeck",
    "MV Iberian Star",
    "MV Jade Horizon",
    "MV Kestrel Spirit",
    "MV Laguna Express",
    "MV Marina Azzurra",
    "MV Northern Tern",
    "MV Ocean Tapestry",
    "MV Pacific Juniper",
    "MV Queen of Madeira",
    "MV Rio Dourado",
    "MV Southern Petrel",
    "MV Tamarind",
    "MV Umbria",
    "MV Vega Lindström",
    "MV Westerly",
    "MV Zuiderkruis",
)
FLAGS = ("Panama", "Liberia", "Marshall Islands", "Malta", "Singapore", "Hong Kong", "Denmark", "Portugal", "Bahamas")
CARRIERS = (
    "Meridian Ocean Lines",
    "Trident Container Service",
    "Polaris Liner Agencies",
    "Orient & Levant Shipping",
    "Nordsund Maritime",
    "Bluewater Feeder Lines",
)
INSURERS = (
    "Albion Marine Insurance Company Ltd",
    "Seguros del Istmo S.A.",
    "Union Cargo Assurance",
    "Orion General Insurance Berhad",
    "Transmare Versicherung AG",
)
SIGNATORIES = ("Export Manager", "Managing Director", "Export Documentation")
OFFICERS = ("Registrar", "Documentation Officer", "Duly Authorised Officer")
