"""Cuts secrets out of what an answer says before any of it is kept: our own token, and what looks like another's.

A pattern names what only a secret looks like. Answers quote trade documents, where "bearer", "token" and "secret" are
words like any other: an alarm over one of them would end a sound run.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MARK = "[redacted]"
#: A shorter token of ours is cut out of refusals only: in an answer it could be a word, or a part of one.
_WORD = 8

#: Each pattern begins where no earlier one of its kind can be under way, so that a long text takes linear time; what is
#: outside of its group stays readable.
_SECRETS = re.compile(
    r"""
      (?P<jwt> (?<![\w-]) eyJ[\w-]{8,} \. eyJ[\w-]{8,} \. [\w-]* )
    | (?P<access_key> (?<![A-Za-z0-9]) A[KS]IA[0-9A-Z]{16} (?![A-Za-z0-9]) )
    | (?P<api_key> (?<![\w-]) sk- (?=[\w-]*[0-9]) [\w-]{16,} )
    | (?P<host_token> (?<![\w-]) (?: gh[opsur]_ (?=[A-Za-z]*[0-9]) [A-Za-z0-9]{30,} | github_pat_ \w{22,}
           | glpat- [\w-]{20,} | xox[abeprs]- (?=[0-9]) [\w-]{20,} | AIza [\w-]{35} (?![\w-]) ) )
    | (?P<private_key> -----BEGIN\ [A-Z0-9\ ]*PRIVATE\ KEY----- .*? (?: -----END\ [A-Z0-9\ ]*PRIVATE\ KEY----- | \Z ) )
    | :// [^\s:/?\#@]* : (?! \[redacted\]@ | \*+@ ) (?P<of_url> [^\s/@]+ ) @
    | (?i: \b authorization ["']? \s? [:=] \s? ["']? (?: bearer | basic ) \s (?P<header> [\w.~+/=-]{8,} ) )
    | (?i: \b bearer \s (?P<bearer> (?=[\w.~+/=-]*[0-9]) [\w.~+/=-]{16,} ) )
    | (?i: (?: password | passwd | passphrase | pwd ) [\w-]{0,20} (?: = ["']? | ["']:\s?["'] )
           (?! \[redacted\] | none\b | null\b ) (?P<password> (?=[^\s"',;&]*\w) [^\s"',;&]{4,} ) )
    | (?i: (?: password | passwd | passphrase | pwd ) [\w-]{0,20} :\s
           (?! \[redacted\] ) (?= \S{0,60} [0-9] ) (?= \S{0,60} [a-z] ) (?P<password_line> [^\s"',;&]{8,} ) )
    | (?i: (?: secret | token (?!s) | api[_-]?key | access[_-]?key ) [\w-]{0,20} (?: = ["']? | ["']:\s?["'] )
           (?! \[redacted\] ) (?P<key> (?=[^\s"',;&]*\w) [^\s"',;&]{8,} ) )
    """,
    re.VERBOSE | re.DOTALL,
)
#: In lower case: a text with none of these holds no match of the pattern, and most texts have none.
_SIGNS = (
    *("eyj", "akia", "asia", "sk-", "private key", "://", "authorization", "bearer"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "aiza"),
    *("passw", "passphrase", "pwd", "secret", "token", "key"),
)
#: What a value is called that is a secret by its name, if it does not look like a word or a number of a document.
_NAMED = re.compile(
    r"(?i) (?: (?P<password> password | passwd | passphrase | pwd ) | (?P<login> authorization )"
    r" | secret | (?<!page)(?<!page[_-])(?<!next[_-]) token | (?: api | access | secret | private ) [_-]?key ) \Z",
    re.VERBOSE,
)
_PASSWORD = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])\S{4,200}")
_LOGIN = re.compile(r"(?i:bearer|basic)\s(?=.*[0-9=])\S{8,8000}")
_KEY = re.compile(r"(?=.*[0-9])(?=.*[a-z])\S{12,8000}|(?=.*[0-9])(?=.*[A-Z])[A-Za-z0-9+/=_]{20,8000}")


def redact(text: str, token: str = "") -> tuple[str, int]:
    """Return *text* with each secret as ``[redacted]``, and how many there were.

    :param token: our own, cut out in each form it may come back in
    """
    count = 0
    if token:
        text, count = _forms(token).subn(MARK, text)
    lower = text.lower()
    for sign in _SIGNS:
        if sign in lower:
            text, others = _SECRETS.subn(_marked, text)
            return text, count + others
    return text, count


def redact_json(value: Any, token: str = "") -> tuple[Any, int]:
    """Return a value of JSON with each secret in its texts and key names cut out, and how many there were.

    It is changed where it is. A secret that stands where a verdict should leaves a word that no verdict map knows.
    """
    token = token if len(token) >= _WORD else ""
    root, count = [value], 0
    containers: list[Any] = [root]
    while containers:  # no recursion: an answer may be nested as deep as a decoder goes
        inside = containers.pop()
        for key, item in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
            if isinstance(item, str):
                inside[key], found = (MARK, 1) if _is_secret(key, item) else redact(item, token)
                count += found
            elif isinstance(item, dict | list):
                containers.append(item)
        if isinstance(inside, dict):
            for key in list(inside):
                name, found = redact(key, token)
                if found:
                    inside[name] = inside.pop(key)
                    count += found
    return root[0], count


def _is_secret(key: str | int, text: str) -> bool:
    """Say whether a text is a secret by what it is called: ``{"api_key": "abcd1234efgh5678"}``."""
    named = _NAMED.search(key) if isinstance(key, str) else None
    if named is None or MARK in text:
        return False
    forms = (_PASSWORD,) if named["password"] else (_LOGIN, _KEY) if named["login"] else (_KEY,)
    return any(form.fullmatch(text) for form in forms)


def _marked(found: re.Match[str]) -> str:
    assert found.lastgroup is not None, "each alternative has a group"
    whole, (start, end) = found.start(), found.span(found.lastgroup)
    return found[0][: start - whole] + MARK + found[0][end - whole :]


@lru_cache(maxsize=4)
def _forms(token: str) -> re.Pattern[str]:
    """Return a pattern of what *token* looks like: as it is, in an address, in base64 with and without ``Bearer``."""
    forms = {token, quote(token, safe="")}
    for text in (token, f"Bearer {token}"):
        forms |= {encode(text.encode()).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))), re.IGNORECASE)
