"""What is cut out of an answer as a secret, and what trade documents say that is none."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from batch_world import CONTRACT, steady
from hypothesis import given
from hypothesis import strategies as st
from solidgreen.redaction import MARK, redact, redact_json

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq8Zx\n-----END RSA PRIVATE KEY-----"

SECRETS = {
    "JWT": (f"token was {JWT}, expired", f"token was {MARK}, expired"),
    "JWT without a signature": (JWT.rpartition(".")[0] + ".", MARK),
    "AWS access key": ("key AKIAIOSFODNN7EXAMPLE of the bucket", f"key {MARK} of the bucket"),
    "AWS session key": ("ASIAIOSFODNN7EXAMPLE", MARK),
    "model API key": ("Incorrect API key: sk-proj-4fT9xQmL2pRv8sKd", f"Incorrect API key: {MARK}"),
    "private key": (f"cannot read {KEY} (line 3)", f"cannot read {MARK} (line 3)"),
    "private key that was cut": (KEY[:60], MARK),
    "connection URL": (
        'connection to "postgresql://lcopilot:hunter2@db:5432/lc" failed',
        f'connection to "postgresql://lcopilot:{MARK}@db:5432/lc" failed',
    ),
    "connection URL without a user": ("redis://:hunter2@cache:6379/0", f"redis://:{MARK}@cache:6379/0"),
    "DSN": ("host=db user=lc password=hunter2 dbname=lc", f"host=db user=lc password={MARK} dbname=lc"),
    "environment": ("DATABASE_PASSWORD='hunter2'", f"DATABASE_PASSWORD='{MARK}'"),
    "mapping": ("{'user': 'lc', 'password': 'hunter2'}", f"{{'user': 'lc', 'password': '{MARK}'}}"),
    "JSON in a text": ('{"client_secret": "9f8e7d6c5b4a"}', f'{{"client_secret": "{MARK}"}}'),
    "query": ("/download?access_token=9f8e7d6c5b4a&page=2", f"/download?access_token={MARK}&page=2"),
    "header": ("Authorization: Bearer abcdefgh", f"Authorization: Bearer {MARK}"),
    "basic login": ('"authorization": "Basic bGM6aHVudGVyMg=="', f'"authorization": "Basic {MARK}"'),
    "password on a line": ("user: lc, password: S3cr3tPassw0rd", f"user: lc, password: {MARK}"),
    "GitHub token": ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", MARK),
    "GitHub token of a project": ("github_pat_11ABCDEFG0abcdefghijklmn", MARK),
    "GitLab token": ("glpat-aB3dE5gH7jK9mN1pQ3sT", MARK),
    "Slack token": ("xoxb-123456789012-1234567890123-AbCdEfGhIjKl", MARK),
    "Google key": ("AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", MARK),
    "bearer token": ("sent bearer 9f8e7d6c5b4a39281706 twice", f"sent bearer {MARK} twice"),
}


@pytest.mark.parametrize(("said", "kept"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_cut_out_and_what_stands_around_it_stays(said: str, kept: str) -> None:
    assert redact(said) == (kept, 1)
    assert redact(kept) == (kept, 0)


NO_SECRETS = {
    "instrument": "Certificates payable to bearer; bearer 1,000 shares of Internationalization-Holdings",
    "words": "The password is required. Secret ballot. Token amount: USD 1.00. Authorization: required by the bank",
    "usage": "total_tokens=120000 max_tokens=4096 token=",
    "addresses": "https://api.trdrhub.rehearsal:8000/path@x, mailto:bank@example.com, ref://a/b:c@d",
    "field names": '{"password": null, "loc": ["body", "password"], "msg": "Field required"}',
    "what was redacted already": "password=[redacted] password=*** secret=[redacted] postgresql://u:***/x",
    "product codes": "RISK-12345678901234567890 task-sk-1 SK-12345678901234567890 sk-short-1",
    "numbers": "GNB2026EYJ0001 AKIA1234 eyJ.eyJ.eyJ",
    "base64": "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURlY29kZT4+",
}


@pytest.mark.parametrize("text", NO_SECRETS.values(), ids=NO_SECRETS)
def test_what_only_sounds_like_a_secret_stays(text: str) -> None:
    assert redact(text) == (text, 0)


NAMED = {
    "password": ("password", "S3cr3tPassw0rd!"),
    "api key": ("api_key", "abcd1234efgh5678ijkl"),
    "header of an API key": ("X-Api-Key", "abcd1234efgh5678ijkl"),
    "AWS": ("aws_secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "authorization": ("authorization", "Bearer abcdefgh12345678abcd"),
    "basic authorization": ("Authorization", "Basic bGM6aHVudGVyMg=="),
    "token": ("token", "9f8e7d6c5b4a39281706"),
}


@pytest.mark.parametrize(("name", "value"), NAMED.values(), ids=NAMED)
def test_a_value_is_a_secret_by_what_it_is_called(name: str, value: str) -> None:
    once = redact_json({"debug": {name: value}})
    assert once == ({"debug": {name: MARK}}, 1)
    assert redact_json(once[0]) == ({"debug": {name: MARK}}, 0)


NAMED_NO_SECRETS = {
    "verdict": ("token", "SUBMIT"),
    "usage": ("tokens", "120000abc120000abc"),
    "number": ("token", "20260301000012345"),
    "reference": ("token", "LC-2026-000123"),
    "form": ("password", "required"),
    "authorization of a bank": ("authorization", "Authorization number 2026-001 of the issuing bank"),
    "number of an authorization": ("authorization", "AUTH-2026-000123"),
    "model": ("tokenizer", "gpt-4o-2024-08-06"),
    "page": ("next_page_token", "9f8e7d6c5b4a39281706"),
    "key of a document": ("key", "abcd1234efgh5678ijkl"),
    "redacted already": ("password", "[redacted]1a"),
}


@pytest.mark.parametrize(("name", "value"), NAMED_NO_SECRETS.values(), ids=NAMED_NO_SECRETS)
def test_a_value_with_a_telling_name_may_be_a_word(name: str, value: str) -> None:
    assert redact_json({name: value}) == ({name: value}, 0)


@pytest.mark.parametrize("path", sorted(CONTRACT.glob("*.json")), ids=lambda path: path.stem)
def test_no_captured_answer_raises_an_alarm(path: Any) -> None:
    captured = json.loads(path.read_text())
    assert redact_json(json.loads(path.read_text())) == (captured, 0)


def test_every_text_and_key_name_of_an_answer_is_looked_at() -> None:
    answer = {
        "a": [{"b": ["password=hunter2", 1, None]}, "password=hunter2 password=hunter3"],
        "postgresql://u:hunter2@h": True,
        "verdict": "pass",
    }
    cleaned, count = redact_json(answer)
    assert count == 4
    assert "hunter" not in json.dumps(cleaned)
    assert cleaned["verdict"] == "pass"
    assert cleaned[f"postgresql://u:{MARK}@h"] is True


def test_our_own_token_is_cut_out_of_an_answer_unless_it_could_be_a_word() -> None:
    answer = {"message": "no access for t0ken-of-ours", "verdict": "pass"}
    assert redact_json(dict(answer), "t0ken-of-ours") == ({**answer, "message": f"no access for {MARK}"}, 1)
    assert redact_json(dict(answer), "pass") == (answer, 0)
    assert redact("pass", "pass") == (MARK, 1)


def test_an_answer_nested_as_deep_as_a_decoder_goes_is_looked_at() -> None:
    deep: Any = "password=hunter2"
    for _ in range(100_000):
        deep = [deep]
    cleaned, count = redact_json(deep)
    assert count == 1
    while isinstance(cleaned, list):
        (cleaned,) = cleaned
    assert cleaned == f"password={MARK}"


BEGINNINGS = (
    "eyJabcdefgh-",
    "eyJabcdefgh.",
    "sk-",
    "://a:",
    "://",
    "bearer ",
    "password=",
    "password: ",
    "password:a",
    "ghp_a",
    "xoxb-1",
    "AIzaa",
    "-----BEGIN ",
    "token",
    "A",
)


@pytest.mark.parametrize("piece", [*BEGINNINGS, "-----BEGIN PRIVATE KEY-----", "authorization: bearer "])
def test_no_text_takes_longer_than_its_length_deserves(piece: str) -> None:
    began = time.perf_counter()
    redact(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - began < 3


SAID = [*(said for said, _ in SECRETS.values()), *NO_SECRETS.values(), " ", "\n", "x"]


@given(st.lists(st.sampled_from(SAID), max_size=5))
@steady
def test_a_second_look_finds_nothing_that_the_first_left(pieces: list[str]) -> None:
    once, _ = redact("".join(pieces))
    assert redact(once) == (once, 0)
