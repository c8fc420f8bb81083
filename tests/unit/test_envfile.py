"""An environment file is made from its example once, and only the named entries change."""

from __future__ import annotations

import pytest
from solidgreen import envfile
from solidgreen.errors import BadInput


def test_a_missing_file_comes_from_its_example(tmp_path):
    (tmp_path / ".env.example").write_text("# settings\nA=1\nB=two words\n")
    plan = envfile.plan(tmp_path / ".env", example=tmp_path / ".env.example", entries={"A": "9"})
    assert (plan.created, plan.changed_names) == (True, ("A",))
    envfile.apply(tmp_path / ".env", plan)
    assert envfile.read(tmp_path / ".env") == {"A": "9", "B": "two words"}
    assert "# settings" in (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_a_second_plan_changes_nothing(tmp_path):
    path = tmp_path / ".env"
    envfile.apply(
        path, envfile.plan(path, example=None, entries={"URL": "http://127.0.0.1:8000/api/validate/", "T": ""})
    )
    before = path.read_bytes()
    again = envfile.plan(path, example=None, entries={"URL": "http://127.0.0.1:8000/api/validate/", "T": ""})
    assert again.changed is False
    envfile.apply(path, again)
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", ["plain", "two words", "a#b", "it's", 'say "x"', "$HOME", "a=b", ""])
def test_every_value_comes_back_as_it_was_set(tmp_path, value):
    path = tmp_path / ".env"
    envfile.apply(path, envfile.plan(path, example=None, entries={"V": value}))
    assert envfile.read(path) == {"V": value}


def test_neither_file_nor_example_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"no such file and no .env.example beside it"):
        envfile.plan(tmp_path / ".env", example=tmp_path / ".env.example", entries={})
