"""What in the text of a document tells its label, where prose full of the same words tells nothing.

A document may say "pass", "reject" or "warning" in a sentence, as banks and carriers do. It tells where somebody left
the label itself: the name of a scenario, a label stated as a value ("expected: reject"), or a label that stands alone,
as a line or as a mark set apart by its size or its angle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import normalize

from .verdict import VERDICTS
from .words import SCENARIOS

_LABELS = "|".join(
    name.replace("_", r"[\W_]?") for name in sorted({*VERDICTS, *SCENARIOS}, key=lambda name: (-len(name), name))
)
#: A label as a word; "passport", "warning" and "rejected" are other words.
LABEL = re.compile(rf"(?<![^\W_])(?:{_LABELS})(?![^\W_])", re.IGNORECASE)
#: Names that no language has, in any spelling that keeps them names; "OCR noise" and "expected verdict" are words.
_NAMES = re.compile(
    r"(?<![a-z])(?:sanctions[\W_]{0,3}tbml[\W_]{0,3}shell|ocr_?noise|expected_verdict|synthetic_parent_id)(?![a-z])"
)
#: A label as the value of what only a test set has; followed by more words it is a sentence after a colon.
_STATED = re.compile(
    r"(?<![a-z])(?:"
    r"(?:expected|verdict|scenario|label|ground[\W_]?truth)[\"')\]]*[ \t]*(?:[:=]|[-=]+>|→)"
    r"|expected[ \t_-](?:verdict|outcome|result|status|label|class|decision)[ \t]*(?:[:=]|[-=]*>|→|-|\bis\b)?"
    rf")[ \t]*[\"'(\[]*(?:{_LABELS})(?![^\W_])(?=[\"')\]]*[ \t]*(?:$|[.,;|]))",
    re.MULTILINE,
)
#: Characters that show nothing and would part a word.
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
#: No column of prose is narrower, in signs.
_COLUMN = 30
_SIGNS = re.compile(r"[\W_]+")
_SPACED_LETTERS = re.compile(r"(?:\w ){3,}\w")


def tellings(text: str) -> Iterator[str]:
    """Yield what in the text of a document tells a label, each as a person would quote it."""
    cleaned = _INVISIBLE.sub("", normalize("NFKC", text)).replace("\r", "")
    folded = cleaned.casefold()
    for found in _NAMES.finditer(folded):
        yield f"the name {found[0]!r}"
    for found in _STATED.finditer(folded):
        yield f"{found[0]!r}"
    yield from (f"the line {line!r}" for line in _lines_of_a_label(cleaned.splitlines()))


def _lines_of_a_label(lines: list[str]) -> Iterator[str]:
    """Yield the lines that are a label and nothing else, but not the last word of a paragraph that was wrapped."""
    said = [line.strip() for line in lines if line.strip()]
    full = max(_COLUMN, 0.6 * max(map(len, said), default=0))
    before = ""
    for line in said:
        letters = line.replace(" ", "") if _SPACED_LETTERS.fullmatch(line) else _SIGNS.sub(" ", line).strip()
        # A sentence goes on behind a full line without an end, and in the same kind of letters.
        goes_on = len(before) >= full and before[-1] not in ".:;!?" and line.isupper() == before.isupper()
        if LABEL.fullmatch(letters) and not (goes_on and line != line.title()):
            yield line
        before = line


def holds(text: str, name: str) -> bool:
    """Tell whether a text holds the name of a case or a folder, not only as a piece of a longer word or number.

    :param name: one that is no word and no number: letters and digits, five signs or more; others are never held
    """
    distinct = len(name) >= 5 and re.search(r"\d", name) and re.search(r"[^\W\d_]", name)
    folded, sought = text.casefold(), name.casefold()
    if not distinct or sought not in folded:
        return False
    return re.search(rf"(?<![^\W_]){re.escape(sought)}(?![^\W_])", folded) is not None
