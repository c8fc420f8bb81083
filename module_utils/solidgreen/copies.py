"""Which texts are copies of each other but for a few words.

Two texts are as alike as the share of their words that both have in the same order: 2·LCS/(n + m), the normalised
InDel similarity over words. Near copies are joined directly or through others, so that the order in which texts come
changes nothing.

Not every pair is compared. Two texts that are t alike share at least t·(n + m)/2 words, so that among the rarest
1 - t/(2 - t) of the words of each there is one that both have (prefix filtering, Chaudhuri et al. 2006): only texts
that share such a word are candidates, and nothing alike is missed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from math import ceil
from unicodedata import normalize

#: A word, or one sign of a script that writes words without blanks between them.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
#: Rounding must not lose a pair that is exactly as alike as asked for.
_EPSILON = 1e-9


class Groups:
    """Things that are joined in pairs and fall into groups by that (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def of(self, thing: Hashable) -> Hashable:
        """Return what stands for the group of a thing."""
        root = thing
        while (above := self._above.get(root, root)) != root:
            root = above
        while thing != root:
            self._above[thing], thing = root, self._above.get(thing, root)
        return root

    def join(self, one: Hashable, other: Hashable) -> None:
        """Make the groups of both one."""
        self._above[self.of(one)] = self.of(other)


def words(text: str) -> list[str]:
    """Return the words of a text as they count for copies: compatible forms, case folded, no signs, no blanks."""
    return _WORD.findall(normalize("NFKC", text).casefold())


def alike(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Return how alike two texts are, 0 to 1; two empty ones are alike."""
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_similarity(one, other))


def near(texts: Iterable[Sequence[str]], likeness: float) -> dict[tuple[str, ...], int]:
    """Return the number of its group for each text (as a tuple of words); near copies have the same.

    :param texts: lists of words
    :param likeness: from which on two texts are near copies, above 0 to 1
    """
    from rapidfuzz.distance import LCSseq

    # Short ones first: a text then meets only those that are no longer than itself, and is met with by fewer words.
    ordered = sorted({tuple(text) for text in texts}, key=lambda text: (len(text), text))
    count = Counter(word for text in ordered for word in text)
    # A word that is there once matches nothing; the others as numbers, rare ones low, compare fast.
    number = {word: n for n, word in enumerate(sorted(count, key=lambda word: (count[word], word)))}
    once = sum(times == 1 for times in count.values())
    groups = Groups()
    #: For each word the texts it is a rare one of, by group: a group that a text has joined need not be met again.
    holders = defaultdict[int, dict[Hashable, list[int]]](dict)
    coded: list[str | list[int]] = []

    def meets(place: int, other: int) -> bool:
        lengths = len(ordered[place]), len(ordered[other])
        needed = ceil(likeness * sum(lengths) / 2 - _EPSILON)
        return min(lengths) >= needed and LCSseq.similarity(coded[place], coded[other], score_cutoff=needed) > 0

    for place, text in enumerate(ordered):
        numbers = sorted(number[word] for word in text)
        own = [number[word] - once for word in text if number[word] >= once]
        # As signs of a text they compare three times as fast as numbers do; so many different ones there hardly are.
        coded.append("".join(map(chr, own)) if len(count) - once <= sys.maxunicode else own)
        met: set[int] = set()
        for code in _rarest(numbers, likeness / (2 - likeness), once):
            for group, others in holders[code].items():
                if groups.of(group) == groups.of(place):
                    continue
                new = [other for other in others if other not in met]
                met.update(new)
                if any(meets(place, other) for other in new):
                    groups.join(place, group)
        for code in _rarest(numbers, likeness, once):
            holders[code].setdefault(groups.of(place), []).append(place)
    order: dict[Hashable, int] = {}
    return {text: order.setdefault(groups.of(place), len(order)) for place, text in enumerate(ordered)}


def _rarest(numbers: Sequence[int], share: float, once: int) -> list[int]:
    """Return the rare words of a text, of which one is in each text that has *share* of its words."""
    return sorted(
        {code for code in numbers[: len(numbers) - ceil(share * len(numbers) - _EPSILON) + 1] if code >= once}
    )
