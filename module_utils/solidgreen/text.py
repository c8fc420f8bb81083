"""Text from outside, made harmless for where it is shown: a terminal, a spreadsheet, Markdown."""

from __future__ import annotations

import re
import unicodedata

#: Control and format characters, lone surrogates, private use, and the separators that some readers take for a newline.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: What a spreadsheet takes for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_MARKDOWN = re.compile(r"([\\`*_\[\]|<>~&])")


def visible(text: object, limit: int = 300) -> str:
    """Return *text* on one line: whatever a reader cannot see is written as ``\\u001b`` and the like.

    :param limit: characters kept; a longer text ends in ``...``
    """
    line = str(text)
    cut = line if len(line) <= limit else line[: limit - 3] + "..."
    return "".join(_shown(character) for character in cut)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def cell(text: object) -> str:
    """Return *text* for a CSV cell: visible, and never the start of a formula."""
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def markdown(text: object) -> str:
    """Return *text* so that Markdown shows it letter by letter inside a line, in a table as well."""
    return _MARKDOWN.sub(r"\\\1", visible(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def plural(count: int, noun: str) -> str:
    """Return ``1 answer``, ``2 answers``, ``0 false passes``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"
