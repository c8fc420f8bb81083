"""A file that is no JSON of ours ends in one sentence, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from solidgreen import jsonio
from solidgreen.errors import BadInput, IntegrityError

NO_JSON = {
    "deep": b"[" * 100_000,
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a long number": b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("raw", NO_JSON.values(), ids=NO_JSON)
def test_bytes_that_are_no_json_in_utf_8_are_an_integrity_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    for read in (jsonio.read_json, jsonio.read_json_or_none, lambda path: list(jsonio.read_jsonl(path))):
        with pytest.raises(IntegrityError, match="text that is not JSON"):
            read(path)


def test_a_folder_in_place_of_a_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="found a folder"):
        jsonio.read_json_or_none(tmp_path)


def test_a_name_with_a_nul_byte_is_bad_input() -> None:
    with pytest.raises(BadInput, match="found embedded null byte"):
        jsonio.require_names(None, Path("absent"), Path("x\0y"))


def test_a_bom_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert jsonio.read_json(tmp_path / "x.json") == {"a": 1}
