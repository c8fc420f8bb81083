"""Faults that can be switched on by name: each shows one failure of the field, as small as it can be.

``NAME`` holds from the first validation on, ``NAME@N`` from the Nth, so that a run is under way when it begins. What a
fault does depends on the documents and on how often they came, never on chance: the same plan meets the same faults.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

#: Each fault and what it does.
FAULTS = {
    "all_blocked": "every document reads as empty, so every validation answers blocked",
    "database_gone": "every validation finds the database gone and answers 503",
    "false_pass": "findings are thrown away, so whatever can be read passes",
    "flaky": "one answer in ten has the verdict of a neighbouring class, another one each time",
    "hang": "no validation is ever answered",
    "lc_not_found": "no document is taken for a letter of credit, so every validation answers no_lc_found",
    "ocr_failed": "of every second presentation, by its digest, no document can be read",
    "one_false_pass": "the first presentation that has to be rejected passes, whenever it comes",
    "quota_exceeded": "every validation answers the quota's 429, which has no Retry-After",
    "rate_limited": "every request that counts answers 429 with a Retry-After, however long the client waited",
    "redirected": "the endpoint has moved: every request to it answers 307",
    "renamed_fields": "the objects that hold the verdict have other names",
    "schema_drift": "every validation misses a column of the database and answers 500 quota_error",
    "secret_in_answer": "every answer repeats the login it was sent and the address of the cache with its password",
    "server_error": "every validation answers 500",
    "slow": "every validation takes SLOW_SECONDS longer",
    "startup_issue": "the log of the start says that OCR is not configured",
    "stub_mode": "the API answers from stubs, whatever its environment says",
    "truncated": "every answer breaks off in the middle",
    "unknown_words": "verdicts are said in words that nobody knows",
    "unprocessable": "every validation answers 422",
}
SLOW_SECONDS = 5.0
#: Longer than any client waits.
HANG_SECONDS = 86_400.0
#: What a flaky verdict becomes; a blocked one has nothing to waver about.
_NEIGHBOUR = {"pass": "warn", "warn": "reject", "reject": "warn"}
_NAMES = {"structured_result": "validation_result", "authoritative_verdict": "assessment"}
_WORDS = {
    "pass": "clean",
    "warn": "discrepant",
    "reject": "refused",
    "blocked": "unclear",
    "SUBMIT": "GO_AHEAD",
    "CAUTION": "LOOK",
    "REJECT": "STOP",
    "BLOCKED": "WAIT",
}
Onsets = Mapping[str, int]


class UnknownFault(ValueError):
    """A name that no fault has, or one with something else than a number behind it."""

    def __init__(self, item: str) -> None:
        self.item = item
        super().__init__(
            f"found {item}, need names out of {', '.join(sorted(FAULTS))}, @N behind one if it begins late"
        )


def parse(text: str) -> dict[str, int]:
    """Return the faults that ``NAME,NAME@N`` names, each with the validation (1 is the first) it begins with.

    :raises UnknownFault: there is no such fault
    """
    onsets = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\w+)(?:@([1-9][0-9]{0,5}))?", item, re.ASCII)
        if not found or found[1] not in FAULTS:
            raise UnknownFault(item)
        onsets[found[1]] = int(found[2] or 1)
    return onsets


class Faults:
    """The faults of one process and what they remember; safe to use from several threads."""

    def __init__(self, onsets: Onsets) -> None:
        self._onsets = onsets
        self._arrived = 0
        self._seen: Counter[str] = Counter()
        self._first_reject = ""
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The faults as they were switched on."""
        return [name if onset == 1 else f"{name}@{onset}" for name, onset in sorted(self._onsets.items())]

    def always(self, name: str) -> bool:
        """Tell whether a fault was switched on that does not wait for a validation."""
        return name in self._onsets

    def met(self, *, arrives: bool) -> frozenset[str]:
        """Return the faults that a request meets, which may be a validation that *arrives*."""
        with self._lock:
            self._arrived += arrives
            return frozenset(name for name, onset in self._onsets.items() if max(self._arrived, 1) >= onset)

    def verdict(self, verdict: str, digest: str, met: frozenset[str]) -> str:
        """Return what becomes of a verdict over the presentation with that digest."""
        with self._lock:
            self._seen[digest] += 1
            if verdict == "reject":
                self._first_reject = self._first_reject or digest
            if "one_false_pass" in met and verdict == "reject" and digest == self._first_reject:
                return "pass"
            if "flaky" in met and _drawn(f"{digest}:{self._seen[digest]}", of=10):
                return _NEIGHBOUR.get(verdict, verdict)
            return verdict


def digest(documents: Iterable[bytes]) -> str:
    """Return a name for what was presented."""
    return hashlib.sha256("".join(sorted(hashlib.sha256(one).hexdigest() for one in documents)).encode()).hexdigest()


def unreadable(presented: str, met: frozenset[str]) -> bool:
    """Tell whether nothing can be read of a presentation, by its digest."""
    return "all_blocked" in met or ("ocr_failed" in met and _drawn(presented, of=2))


def _drawn(text: str, *, of: int) -> bool:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % of == 0


def distort(body: dict[str, Any], met: frozenset[str], *, login: str, cache: str) -> dict[str, Any]:
    """Return an answer as the faults leave it.

    :param login: the ``Authorization`` header of the request
    :param cache: the address of Redis
    """
    if "secret_in_answer" in met:
        result = body.get("structured_result", {})
        result["extraction_empty_reason"] = f"no connection to {cache}"
        body["debug"] = {"request": {"authorization": login}, "settings": {"REDIS_URL": cache}}
    if "unknown_words" in met:
        body = _reworded(body)
    if "renamed_fields" in met:
        body = {_NAMES.get(name, name): value for name, value in body.items()}
    return body


def _reworded(value: Any) -> Any:
    if isinstance(value, dict):
        # A flag that says blocked would be understood; what is meant here are words.
        kept = {name: item for name, item in value.items() if name not in ("validation_blocked", "can_proceed")}
        return {name: _reworded(item) for name, item in kept.items()}
    if isinstance(value, list):
        return [_reworded(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


class Truncated(JSONResponse):
    """An answer of which half is sent; then the connection ends."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Promise the whole body and send half of it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
