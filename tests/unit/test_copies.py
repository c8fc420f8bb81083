"""Near copies: what is found, against a plain comparison of all pairs, and that little is compared."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from unittest import mock

import pytest
from batch_world import steady
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq
from solidgreen import copies

LIKENESS = 0.95


def lcs(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by the table of the textbook."""
    row = [0] * (len(other) + 1)
    for word in one:
        above = row[:]
        for at, against in enumerate(other, start=1):
            row[at] = above[at - 1] + 1 if word == against else max(above[at], row[at - 1])
    return row[-1]


def plain(texts: Sequence[Sequence[str]], likeness: float) -> set[frozenset[tuple[str, ...]]]:
    """Return the groups that comparing every pair gives."""
    group = {text: {text} for text in map(tuple, texts)}
    for one, other in itertools.combinations(group, 2):
        words = len(one) + len(other)
        if one and other and 2 * lcs(one, other) / words >= likeness - 1e-12:
            joined = group[one] | group[other]
            for text in joined:
                group[text] = joined
    return {frozenset(members) for members in group.values()}


def found(texts: Sequence[Sequence[str]], likeness: float) -> set[frozenset[tuple[str, ...]]]:
    numbers = copies.near(texts, likeness)
    return {frozenset(text for text in numbers if numbers[text] == number) for number in numbers.values()}


WORDS = st.lists(st.sampled_from("abcdefg"), max_size=14)


@steady
@given(st.lists(WORDS, max_size=9), st.sampled_from([0.3, 0.5, 0.7, 0.8, 0.95, 1.0]))
def test_the_groups_are_those_of_every_pair_compared(texts: list[list[str]], likeness: float) -> None:
    assert found(texts, likeness) == plain(texts, likeness)


@steady
@given(st.integers(0, 10_000), st.sampled_from([0.6, 0.8, 0.9, 0.95]))
def test_amended_texts_fall_into_the_groups_of_every_pair_compared(seed: int, likeness: float) -> None:
    drawn = random.Random(seed)
    texts = [[f"w{drawn.randrange(40)}" for _ in range(drawn.randint(5, 40))] for _ in range(4)]
    for _ in range(8):
        text = list(drawn.choice(texts))
        for _ in range(drawn.randrange(4)):
            at = drawn.randrange(len(text))
            text[at : at + drawn.randrange(2)] = [f"n{drawn.randrange(50)}"] * drawn.randrange(2)
        texts.append(text or ["w"])
    assert found(texts, likeness) == plain(texts, likeness)
    drawn.shuffle(texts)
    assert found(texts, likeness) == plain(texts, likeness)


def test_at_the_likeness_is_near_and_one_word_below_it_is_not() -> None:
    text = [f"w{n}" for n in range(100)]
    five, six = text[:], text[:]
    five[::20], six[:90:15] = ["x1", "x2", "x3", "x4", "x5"], ["y1", "y2", "y3", "y4", "y5", "y6"]
    assert lcs(text, five) == 95
    assert lcs(text, six) == 94
    numbers = copies.near([text, five, six], LIKENESS)
    assert numbers[tuple(text)] == numbers[tuple(five)] != numbers[tuple(six)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Commercial  INVOICE\n1.250,00", "commercial invoice 1,250.00"),
        ("ﬁne ① Ａ", "fine 1 a"),
        ("Straße", "STRASSE"),
        ("L/C - no. 7_8", "l c no 7 8"),
        ("信用证 金额", "信 用 证 金额"),
    ],
    ids=["case, blanks and signs", "compatible forms", "folded letters", "signs between", "a script without blanks"],
)
def test_texts_are_compared_by_their_words(one: str, other: str) -> None:
    assert copies.words(one) == copies.words(other)


def test_a_figure_makes_another_word() -> None:
    assert copies.words("USD 1,000.00") != copies.words("USD 1,900.00")


def test_only_texts_that_share_a_rare_word_are_compared() -> None:
    """A thousand documents of one form, each with figures of its own: half a million pairs, hardly one compared."""
    drawn = random.Random(7)
    form = [f"form{n}" for n in range(120)]
    texts = []
    for _ in range(1000):
        text = form[:]
        for at in drawn.sample(range(120), 20):
            text[at] = str(drawn.randrange(10**9))
        texts.append(text)
    texts.append([*texts[0][:-1], "amended"])
    with mock.patch.object(LCSseq, "similarity", wraps=LCSseq.similarity) as compared:
        numbers = copies.near(texts, LIKENESS)
    assert len(set(numbers.values())) == 1000
    assert compared.call_count < 100


def test_a_text_is_not_compared_with_all_of_a_group_it_has_joined() -> None:
    form = [f"form{n}" for n in range(100)]
    with mock.patch.object(LCSseq, "similarity", wraps=LCSseq.similarity) as compared:
        numbers = copies.near([[*form, str(n)] for n in range(1000)], LIKENESS)
    assert set(numbers.values()) == {0}
    assert compared.call_count < 2000


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_things_that_are_joined_are_of_one_group(pairs: list[tuple[int, int]]) -> None:
    groups, group = copies.Groups(), {thing: {thing} for thing in range(10)}
    for one, other in pairs:
        groups.join(one, other)
        joined = group[one] | group[other]
        for thing in joined:
            group[thing] = joined
    for one, other in itertools.product(range(10), repeat=2):
        assert (groups.of(one) == groups.of(other)) is (other in group[one])
