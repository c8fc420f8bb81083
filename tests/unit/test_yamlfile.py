"""YAML that nobody can have meant is refused by its line, before a parser in C dies over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from solidgreen import yamlfile
from solidgreen.errors import BadInput

HOSTILE = {
    "deep": ("a: 1\nb: " + "[" * 100_000, 2, "51 levels"),
    "in itself": ("a: 1\nb: &x [*x]", 2, "the alias *x"),
    "a number as key": ("a: {0: 480}", 1, "the key 0"),
    "a date as key": ("a: 1\n2026-01-01: 1", 2, "the key 2026-01-01"),
    "a list as key": ("a: 1\n? [1]\n: 2", 2, "a key of several values"),
    "a key twice": ("a: 1\na: 2", 2, "the key 'a' twice"),
    "no date": ("a: 1\nb: 2026-99-99", 2, "'2026-99-99' as timestamp"),
    "5000 digits": ("a: [1,\n" + "9" * 5000 + "]", 2, "as int"),
    "no number": ('a: 1\nb: !!int ""', 2, "'' as int"),
    "no flag": ("b: !!bool maybe", 1, "'maybe' as bool"),
    "no time": ("b: !!timestamp now", 1, "'now' as timestamp"),
    "no tag of ours": ("a: 1\nb: !!python/name:os.system", 2, "could not determine a constructor"),
    "bytes": ("\0\0", 1, "bytes that are no text"),
}


@pytest.mark.parametrize(("text", "line", "words"), HOSTILE.values(), ids=HOSTILE)
def test_yaml_that_cannot_be_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        yamlfile.read(path, tmp_path / "no.schema.json", noun="policy", repair="correct it")
    assert f"x.yml line {line}: found " in str(caught.value)
    assert words in str(caught.value)
    with pytest.raises(ValueError, match=f"^line {line}: "):
        yamlfile.safe_load(text.encode())


def test_what_people_write_is_read() -> None:
    assert yamlfile.safe_load(b'a: [1, 0.5, yes, null]\n"0": {b: text}') == {
        "a": [1, 0.5, True, None],
        "0": {"b": "text"},
    }
    assert yamlfile.safe_load(b"") is None
