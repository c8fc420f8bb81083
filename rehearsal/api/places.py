"""Countries and ports as documents write them, and what screening lists say of places and goods.

Excerpts for a rehearsal, enough to exercise the checks; a bank screens against full, current lists.
"""

from __future__ import annotations

import re

from rapidfuzz import fuzz

from .values import words

#: First the usual form, then other forms of the same name.
COUNTRIES = {
    "BD": ("BANGLADESH", "BANGLA DESH", "B DESH", "BDESH", "BGD", "BD"),
    "CN": ("CHINA", "PEOPLES REPUBLIC OF CHINA", "P R CHINA", "PR CHINA", "P R C", "PRC", "CHN", "CN"),
    "IN": ("INDIA", "REPUBLIC OF INDIA", "IND"),
    "VN": ("VIETNAM", "VIET NAM", "SOCIALIST REPUBLIC OF VIETNAM", "S R VIETNAM", "VNM", "VN"),
    "PK": ("PAKISTAN", "ISLAMIC REPUBLIC OF PAKISTAN", "PAK", "PK"),
    "LK": ("SRI LANKA", "DEMOCRATIC SOCIALIST REPUBLIC OF SRI LANKA", "LKA", "LK"),
    "ID": ("INDONESIA", "REPUBLIC OF INDONESIA", "INDON", "IDN", "RI"),
    "TH": ("THAILAND", "KINGDOM OF THAILAND", "THA", "TH"),
    "MY": ("MALAYSIA", "MYS"),
    "SG": ("SINGAPORE", "SGP", "SG"),
    "PH": ("PHILIPPINES", "THE PHILIPPINES", "REPUBLIC OF THE PHILIPPINES", "PHL"),
    "KH": ("CAMBODIA", "KINGDOM OF CAMBODIA", "KHM"),
    "MM": ("MYANMAR", "BURMA", "MMR"),
    "JP": ("JAPAN", "JPN", "JP"),
    "KR": ("SOUTH KOREA", "REPUBLIC OF KOREA", "KOREA", "R O K", "ROK", "S KOREA", "KOR", "KR"),
    "TW": ("TAIWAN", "CHINESE TAIPEI", "TWN", "TW"),
    "HK": ("HONG KONG", "HONG KONG SAR", "HKG", "HK"),
    "TR": ("TURKEY", "TURKIYE", "REPUBLIC OF TURKEY", "TUR", "TR"),
    "AE": ("UNITED ARAB EMIRATES", "U A E", "UAE", "ARE"),
    "SA": ("SAUDI ARABIA", "KINGDOM OF SAUDI ARABIA", "K S A", "KSA"),
    "EG": ("EGYPT", "ARAB REPUBLIC OF EGYPT", "A R E", "EGY"),
    "MA": ("MOROCCO", "KINGDOM OF MOROCCO", "MAR"),
    "TN": ("TUNISIA", "TUN"),
    "KE": ("KENYA", "REPUBLIC OF KENYA", "KEN"),
    "ET": ("ETHIOPIA", "ETH"),
    "TZ": ("TANZANIA", "UNITED REPUBLIC OF TANZANIA", "TZA"),
    "GH": ("GHANA", "REPUBLIC OF GHANA", "GHA"),
    "CI": ("IVORY COAST", "COTE D IVOIRE", "COTE DIVOIRE", "CIV"),
    "NG": ("NIGERIA", "FEDERAL REPUBLIC OF NIGERIA", "NGA"),
    "ZA": ("SOUTH AFRICA", "REPUBLIC OF SOUTH AFRICA", "R S A", "RSA", "ZAF"),
    "US": ("UNITED STATES OF AMERICA", "UNITED STATES", "U S A", "USA", "U S", "US"),
    "CA": ("CANADA", "CAN"),
    "MX": ("MEXICO", "UNITED MEXICAN STATES", "MEX"),
    "BR": ("BRAZIL", "BRASIL", "FEDERATIVE REPUBLIC OF BRAZIL", "BRA", "BR"),
    "AR": ("ARGENTINA", "ARGENTINE REPUBLIC", "ARG"),
    "CL": ("CHILE", "REPUBLIC OF CHILE", "CHL"),
    "CO": ("COLOMBIA", "REPUBLIC OF COLOMBIA", "COL"),
    "EC": ("ECUADOR", "REPUBLIC OF ECUADOR", "ECU"),
    "PE": ("PERU", "REPUBLIC OF PERU", "PER"),
    "GB": ("UNITED KINGDOM", "GREAT BRITAIN", "ENGLAND", "U K", "UK", "GBR", "GB"),
    "DE": ("GERMANY", "FEDERAL REPUBLIC OF GERMANY", "DEUTSCHLAND", "F R G", "FRG", "DEU"),
    "FR": ("FRANCE", "FRENCH REPUBLIC", "FRA"),
    "IT": ("ITALY", "ITALIA", "ITALIAN REPUBLIC", "ITA"),
    "ES": ("SPAIN", "ESPANA", "KINGDOM OF SPAIN", "ESP"),
    "PT": ("PORTUGAL", "PRT"),
    "NL": ("NETHERLANDS", "THE NETHERLANDS", "HOLLAND", "NLD"),
    "BE": ("BELGIUM", "KINGDOM OF BELGIUM", "BEL"),
    "GR": ("GREECE", "HELLENIC REPUBLIC", "GRC"),
    "PL": ("POLAND", "REPUBLIC OF POLAND", "POL"),
    "SE": ("SWEDEN", "KINGDOM OF SWEDEN", "SWE"),
    "NO": ("NORWAY", "KINGDOM OF NORWAY", "NOR"),
    "DK": ("DENMARK", "KINGDOM OF DENMARK", "DNK"),
    "FI": ("FINLAND", "FIN"),
    "CH": ("SWITZERLAND", "SWISS CONFEDERATION", "CHE"),
    "AT": ("AUSTRIA", "AUT"),
    "AU": ("AUSTRALIA", "COMMONWEALTH OF AUSTRALIA", "AUS"),
    "NZ": ("NEW ZEALAND", "NZL"),
    "IR": ("IRAN", "ISLAMIC REPUBLIC OF IRAN", "IRN"),
    "KP": ("NORTH KOREA", "DEMOCRATIC PEOPLES REPUBLIC OF KOREA", "D P R K", "DPRK", "DPR KOREA", "PRK"),
    "SY": ("SYRIA", "SYRIAN ARAB REPUBLIC", "SYR"),
    "CU": ("CUBA", "REPUBLIC OF CUBA", "CUB"),
    "RU": ("RUSSIA", "RUSSIAN FEDERATION", "RUS"),
    "BY": ("BELARUS", "REPUBLIC OF BELARUS", "BLR"),
    "SD": ("SUDAN", "REPUBLIC OF SUDAN", "SDN"),
    "YE": ("YEMEN", "REPUBLIC OF YEMEN", "YEM"),
    "LY": ("LIBYA", "STATE OF LIBYA", "LBY"),
    "LB": ("LEBANON", "LEBANESE REPUBLIC", "LBN"),
    "IQ": ("IRAQ", "REPUBLIC OF IRAQ", "IRQ"),
    "AF": ("AFGHANISTAN", "AFG"),
    "VE": ("VENEZUELA", "VEN"),
    "SO": ("SOMALIA", "SOM"),
    "ZW": ("ZIMBABWE", "ZWE"),
}
_BY_FORM = {form: code for code, forms in COUNTRIES.items() for form in forms}
_IN_TEXT = re.compile(
    r"\b("
    + "|".join(
        sorted((form for form in _BY_FORM if len(form) > 3 or form in {"UAE", "USA", "KSA"}), key=len, reverse=True)
    )
    + r")\b"
)

_PORT_NAMES = {
    "CHATTOGRAM": "CHITTAGONG", "BOMBAY": "MUMBAI", "MADRAS": "CHENNAI", "CALCUTTA": "KOLKATA", "COCHIN": "KOCHI",
    "PUSAN": "BUSAN", "RANGOON": "YANGON", "SAIGON": "HO CHI MINH", "JNPT": "NHAVA SHEVA", "ANTWERPEN": "ANTWERP",
    "GENUA": "GENOA", "GENOVA": "GENOA", "LEGHORN": "LIVORNO",
}  # fmt: skip
_PORT_NOISE = frozenset(
    {"PORT", "OF", "SEAPORT", "SEA", "ANY", "IN", "THE", "CITY", "TERMINAL", "CONTAINER", "AIRPORT", "MAIN"}
)

SANCTIONED = ("IR", "KP", "SY", "CU")
SANCTIONED_PLACES = (
    "BANDAR ABBAS", "BANDAR IMAM KHOMEINI", "BUSHEHR", "CHABAHAR", "KHARG ISLAND", "TEHRAN", "IRANIAN", "NAMPO",
    "WONSAN", "CHONGJIN", "PYONGYANG", "LATAKIA", "TARTUS", "TARTOUS", "BANIYAS", "DAMASCUS", "HAVANA", "MARIEL",
    "CRIMEA", "SEVASTOPOL", "KERCH", "FEODOSIA", "DONETSK", "LUHANSK", "MARIUPOL",
)  # fmt: skip
HIGH_RISK = (*SANCTIONED, "RU", "BY", "MM", "SD", "YE", "LY", "LB", "IQ", "AF", "VE", "SO", "ZW", "PK")
DUAL_USE = re.compile(
    r"\b(?:CENTRIFUG\w+|MARAGING|CARBON FIB\w+|GYROSCOP\w+|ACCELEROMETERS?|THERMAL IMAG\w+|NIGHT VISION"
    r"|SPARK GAPS?|UAVS?|DRONES?|"
    r"UNMANNED AERIAL|FREQUENCY (?:CONVERTERS?|CHANGERS?|INVERTERS?)|PRESSURE TRANSDUCERS?|VACUUM PUMPS?"
    r"|(?:FIVE|5) AXIS|ISOSTATIC|"
    r"TRITIUM|HEAVY WATER|BERYLLIUM|ZIRCONIUM|HAFNIUM|THIONYL|HYDROGEN FLUORIDE|SODIUM CYANIDE|TRIETHANOLAMINE"
    r"|PHOSPHORUS (?:TRI|OXY)\w+|"
    r"MASS SPECTROMET\w+|LASER (?:RANGE|GUID)\w+|RADIATION HARD\w+|FPGAS?|INERTIAL|TITANIUM ALLOY"
    r"|ALUMINI?UM ALLOY 7075|ENCRYPTION|"
    r"DUAL USE|MACHINE TOOLS? CNC|CNC (?:MILLING|LATHE|MACHINING))\b"
)  # fmt: skip
VAGUE_GOODS = re.compile(
    r"\b(?:GENERAL (?:MERCHANDISE|CARGO|GOODS)|(?:ASSORTED|VARIOUS|MISCELLANEOUS|SUNDRY"
    r"|MIXED) (?:\w+ )?(?:GOODS|ITEMS|MERCHANDISE|PRODUCTS|"
    r"ARTICLES|CARGO|COMMODITIES)|SUNDRIES|GOODS AS PER (?:PROFORMA|CONTRACT|AGREEMENT)|CONSUMER GOODS)\b"
)
SHELL_ADDRESS = re.compile(
    r"\b(?:REGISTERED AGENTS?|NOMINEE|CORPORATE SERVICES|COMPANY FORMATION\w*|TRUST (?:NET|COMPANY) CHAMBERS"
    r"|TRUSTNET CHAMBERS|VIRTUAL OFFICE|"
    r"ROAD TOWN|TORTOLA|AJELTAKE|MAJURO|VICTORIA MAHE|MAHE SEYCHELLES|CHARLESTOWN NEVIS|OFFSHORE)\b"
)
#: USD per kilogram that such goods usually cost, low and high, goods before the materials they are
#: made of; a price is far off beyond a factor of four.
USD_PER_KG = (
    (r"BATTER(?:Y|IES)|LITHIUM|ACCUMULATORS?", 2.0, 300.0),
    (r"SHOES?|FOOTWEAR|BOOTS?", 3.0, 120.0),
    (r"RICE|WHEAT|MAIZE|CORN|SOYA\w*|BARLEY|SUGAR|FLOUR", 0.15, 3.0),
    (r"CEMENT|CLINKER|GRAVEL|LIMESTONE|GYPSUM|SALT|COAL", 0.02, 0.6),
    (r"UREA|FERTILI[SZ]ER\w*|PHOSPHATE", 0.1, 2.0),
    (r"SCRAP|STEEL|IRON|REBAR\w*|BILLETS?", 0.2, 6.0),
    (r"COPPER|BRASS", 4.0, 20.0),
    (r"ALUMINI?UM", 1.2, 12.0),
    (r"TILES?|CERAMIC\w*|MARBLE|GRANITE", 0.1, 5.0),
    (r"TIMBER|LUMBER|PLYWOOD|PAPER|PULP|CARDBOARD", 0.2, 5.0),
    (r"SHIRTS?|GARMENTS?|KNITWEAR|TROUSERS|JEANS|JACKETS?|APPAREL|SWEATERS?|HOSIERY|SOCKS", 3.0, 90.0),
    (r"YARN|FABRICS?|TEXTILES?|COTTON|JUTE|TOWELS?|LINEN", 0.4, 30.0),
    (r"TEA|COFFEE|COCOA|SPICES?|PEPPER|CASHEWS?|NUTS", 1.0, 40.0),
    (r"SHRIMPS?|PRAWNS?|FISH|TUNA|SEAFOOD|MEAT|BEEF|CHICKEN", 1.0, 35.0),
    (r"FRUIT\w*|BANANAS?|ORANGES?|MANGO\w*|TOMATO\w*|VEGETABLES?|ONIONS?|POTATO\w*", 0.1, 8.0),
    (r"TYRES?|TIRES?|RUBBER", 0.8, 15.0),
    (r"RESINS?|POLYMERS?|POLYETHYLENE|POLYPROPYLENE|PVC|PLASTICS?", 0.5, 12.0),
    (r"FURNITURE|CHAIRS?|TABLES?|SOFAS?", 0.8, 30.0),
    (r"LEATHER", 3.0, 120.0),
)


def country(text: str) -> tuple[str, str] | None:
    """Return the code of the one country *text* names and the form it is written in."""
    form = " ".join(words(text))
    if form == "ARE" and "." in text:  # the Arab Republic of Egypt; without stops it is the code of the Emirates
        form = "A R E"
    if form in _BY_FORM:
        return _BY_FORM[form], form
    found = _IN_TEXT.search(form)
    return (_BY_FORM[found[1]], found[1]) if found else None


def countries(text: str) -> set[str]:
    """Return the codes of all countries *text* names by more than an abbreviation."""
    return {_BY_FORM[found] for found in _IN_TEXT.findall(" ".join(words(text)))}


def _port(text: str) -> str:
    head = re.split(r"[,;(/]", text, maxsplit=1)[0]
    name = " ".join(word for word in words(head) if word not in _PORT_NOISE)
    for form in (form for form in _IN_TEXT.findall(name) if form != name):
        name = name.replace(form, "").strip()
    return " ".join(_PORT_NAMES.get(word, word) for word in name.split())


def same_port(asked: str, shown: str) -> bool:
    """Tell whether *shown* satisfies the port a credit asks for; ``any port in X`` is satisfied by X's ports."""
    if re.search(r"\bANY\b", asked, re.I):
        wanted, found = countries(asked), countries(shown)
        return not wanted or not found or bool(wanted & found)
    wanted_name, shown_name = _port(asked), _port(shown)
    if not wanted_name or not shown_name:
        return True
    choices = re.split(r"\s+OR\s+", wanted_name)
    return any(fuzz.token_set_ratio(choice, shown_name) >= 85 for choice in choices)
