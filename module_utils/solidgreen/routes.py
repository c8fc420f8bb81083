"""Routes of the production edge: status and type of every answer, over several cycles, and where ``/api/*`` leads.

A site that answers 200 with its own page on an API path is not up. So each route needs its type as well as its status,
and a rewrite is proven by comparing what both hosts say to the same request, also for a path that nobody can have
deployed: only one that reaches the API gets the API's own refusal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from .check import Check, Status
from .clock import Clock, stamp
from .errors import BadInput
from .probe import NEXT_STEPS, Answer, Finding, Probe, ProbeFailure, exchange, judge, split_address, split_url

MEDIA_TYPES = {"json": "application/json", "html": "text/html", "any": ""}
RATE_GUARD_S = 1.0  # the API rounds Retry-After down

Exchange = Callable[..., Answer]


@dataclass(frozen=True)
class RouteSpec:
    """One route: its URL, the ``host:port`` to connect to instead, the statuses and the type it must answer with."""

    id: str
    url: str
    method: str = "GET"
    connect_to: str = ""
    expect_status: Sequence[int] = (200,)
    kind: str = "json"
    keys: Sequence[str] = ()
    allow: str = ""
    owner: str = ""
    next_step: str = ""

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RouteSpec:
        """Return the route a mapping describes; keys whose value is None count as left out.

        :raises BadInput: no id, an unknown key or type, a URL or address that is none
        """
        spec = cls(**_known(cls, value, "route"))
        if spec.kind not in MEDIA_TYPES:
            raise BadInput(
                f'route "{spec.id}"', found=f"kind {spec.kind!r}", need=" or ".join(MEDIA_TYPES), next_step="correct it"
            )
        split_url(spec.url, f'route "{spec.id}"')
        split_address(spec.connect_to, f'route "{spec.id}"')
        return spec

    def probe(self) -> Probe:
        """Return what judges an answer of this route."""
        return Probe(
            self.id,
            "http",
            url=self.url,
            expect_status=self.expect_status,
            expect_json_keys=self.keys,
            expect_content_type=MEDIA_TYPES[self.kind],
            allow=self.allow,
        )


@dataclass(frozen=True)
class RewriteSpec:
    """A path prefix that the app's host must hand to the API: both URLs, with the same path, must be answered alike.

    ``connect_to`` holds for both hosts. The path must end with a slash for the unknown path below it to be tried.
    """

    id: str
    app_url: str
    api_url: str
    connect_to: str = ""
    owner: str = ""
    next_step: str = ""

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RewriteSpec:
        """Return the rewrite a mapping describes.

        :raises BadInput: as for a route
        """
        spec = cls(**_known(cls, value, "rewrite"))
        for url in (spec.app_url, spec.api_url):
            split_url(url, f'rewrite "{spec.id}"')
        split_address(spec.connect_to, f'rewrite "{spec.id}"')
        return spec


@dataclass(frozen=True)
class Seen:
    """One answer in one cycle; ``cause`` is empty when it is what was needed."""

    route: str
    cycle: int
    at: str
    url: str
    seen: str
    cause: str = ""
    status: int | None = None
    media_type: str = ""
    elapsed_ms: int | None = None
    certificate_until: str = ""
    fingerprint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """Everything seen, in order, and the checks it comes to."""

    checks: tuple[Check, ...]
    seen: tuple[Seen, ...]
    started_at: str
    finished_at: str


def _known(cls: type[Any], value: Mapping[str, Any], noun: str) -> dict[str, Any]:
    given = {key: item for key, item in value.items() if item is not None}
    unknown = sorted(set(given) - {item.name for item in fields(cls)})
    name = f'{noun} "{given.get("id", "")}"'
    if unknown or not given.get("id"):
        found = f"unknown {', '.join(unknown)}" if unknown else "no id"
        raise BadInput(name, found=found, need=f"options of a {noun}", next_step="correct it in the inventory")
    return given


def fingerprint(answer: Answer) -> str:
    """Return what tells a service by one answer: status, type, allowed methods and the body's keys or fixed text."""
    body = answer.json() if "json" in answer.media_type else None
    shape: Any = body
    if isinstance(body, Mapping):
        shape = {key: body[key] if key in ("detail", "error") else type(body[key]).__name__ for key in sorted(body)}
    allow = sorted(word.strip().upper() for word in answer.headers.get("allow", "").split(",") if word.strip())
    text = json.dumps([answer.status, answer.media_type, allow, shape], sort_keys=True, default=str)
    return f"{answer.status} {answer.media_type} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def survey(
    routes: Sequence[RouteSpec],
    rewrites: Sequence[RewriteSpec],
    *,
    clock: Clock,
    cycles: int = 3,
    delay: float = 0.0,
    timeout: float = 10.0,
    min_days: float = 14.0,
    nonce: str = "rewrite-probe",
    ca_file: str = "",
    ask: Exchange = exchange,
) -> Survey:
    """Ask every route in every cycle and return what was seen.

    :param delay: seconds between two cycles; the API counts requests a minute
    :param min_days: days that a certificate must still be valid
    :param nonce: last part of a path that nobody has deployed
    """
    started = stamp(clock.now())
    seen: list[Seen] = []

    def get(route: str, cycle: int, url: str, method: str, connect_to: str) -> tuple[Seen, Answer | None]:
        address = split_address(connect_to, route)
        for last in (False, True):
            at = stamp(clock.now())
            try:
                answer = ask(url, method=method, timeout=timeout, connect_to=address, ca_file=ca_file)
            except ProbeFailure as failure:
                return Seen(route, cycle, at, url, str(failure), failure.cause), None
            pause = answer.headers.get("retry-after", "")
            if answer.status != 429 or last or not pause.isdigit() or int(pause) > 60:
                break
            clock.sleep(int(pause) + RATE_GUARD_S)
        until = stamp(answer.certificate_until) if answer.certificate_until else ""
        return Seen(
            route, cycle, at, url, f"{answer.status} {answer.media_type}".strip(), "", answer.status,
            answer.media_type, round(answer.elapsed_s * 1000), until, fingerprint(answer),
        ), answer  # fmt: skip

    for cycle in range(1, cycles + 1):
        if cycle > 1:
            clock.sleep(delay)
        for route in routes:
            row, answer = get(route.id, cycle, route.url, route.method, route.connect_to)
            finding = judge(answer, route.probe()) if answer else Finding(row.seen, row.cause)
            seen.append(_with(row, finding))
        for rewrite in rewrites:
            for path in ("", nonce) if urlsplit(rewrite.app_url).path.endswith("/") else ("",):
                app, _ = get(rewrite.id, cycle, rewrite.app_url + path, "GET", rewrite.connect_to)
                api, _ = get(rewrite.id, cycle, rewrite.api_url + path, "GET", rewrite.connect_to)
                seen += [_with(app, _compare(app, api, unknown=bool(path))), _with(api, Finding(api.seen, api.cause))]
    specs: list[RouteSpec | RewriteSpec] = [*routes, *rewrites]
    checks = [_check(spec, [row for row in seen if row.route == spec.id], cycles, clock) for spec in specs]
    urls = {rewrite.app_url for rewrite in rewrites} | {rewrite.api_url for rewrite in rewrites}
    checks += _certificates(seen, urls | {route.url for route in routes}, min_days, clock)
    return Survey(tuple(checks), tuple(seen), started, stamp(clock.now()))


def _with(row: Seen, finding: Finding) -> Seen:
    values = {item.name: getattr(row, item.name) for item in fields(Seen)}
    return Seen(**{**values, "seen": finding.seen, "cause": finding.cause})


def _compare(app: Seen, api: Seen, *, unknown: bool) -> Finding:
    if app.cause or api.cause:
        return Finding(app.seen if app.cause else f"the API's host: {api.seen}", app.cause or api.cause)
    if app.status == 429 or api.status == 429:
        return Finding("429: the rate limit answers, not the route", "answer")
    # Two hosts on which nothing is deployed answer alike as well; the path nobody deployed is 404 by design.
    if "json" not in api.media_type or (api.status == 404 and not unknown):
        return Finding(f"the API's host does not answer as the API: {api.seen}", "missing")
    if app.fingerprint == api.fingerprint:
        return Finding(f"{app.seen}, as the API's host")
    return Finding(f"{app.seen} where the API's host says {api.seen}", "missing")


def _check(spec: RouteSpec | RewriteSpec, rows: Sequence[Seen], cycles: int, clock: Clock) -> Check:
    bad = [row for row in rows if row.cause]
    held = cycles - len({row.cycle for row in bad})
    if isinstance(spec, RouteSpec):
        needed = f"{spec.probe().wanted()} in each of {cycles} cycles"
        title = f"{spec.method} {spec.url}"
    else:
        needed = f"the API's own answer on both hosts in each of {cycles} cycles"
        title = f"{spec.app_url} leads to {spec.api_url}"
    limited = bool(bad) and all(row.status == 429 for row in bad)
    status = Status.INCONCLUSIVE if limited or not rows else Status.FAIL if bad else Status.PASS
    said = (bad or rows)[0].seen if rows else "nothing asked"
    step = ""
    if limited:
        step = "wait a minute, or ask with a longer delay between the cycles"
    elif bad:
        step = spec.next_step or NEXT_STEPS[bad[0].cause]
    return Check(
        id=spec.id,
        title=title,
        status=status,
        seen=f"{said} ({held} of {cycles} cycles held)",
        needed=needed,
        next_step=step,
        owner=spec.owner,
        at=stamp(clock.now()),
        facts={
            "cycles": cycles,
            "held": held,
            "causes": sorted({row.cause for row in bad}),
            "slowest_ms": max((row.elapsed_ms or 0 for row in rows), default=0),
        },
    )


def _certificates(rows: Sequence[Seen], urls: Iterable[str], min_days: float, clock: Clock) -> list[Check]:
    """Return one check a host that is reached by TLS: how long its certificate is still valid."""
    now = clock.now()
    checks = []
    for host in sorted({urlsplit(url).netloc for url in urls if urlsplit(url).scheme == "https"}):
        ends = [row.certificate_until for row in rows if urlsplit(row.url).netloc == host and row.certificate_until]
        days = (datetime.fromisoformat(min(ends)) - now).total_seconds() / 86400 if ends else None
        passed = days is not None and days >= min_days
        checks.append(
            Check(
                id=f"tls:{host}",
                title=f"certificate of {host}",
                status=Status.PASS if passed else Status.FAIL,
                seen="no verified TLS connection" if days is None else f"{days:.1f} days left",
                needed=f"a valid certificate with at least {min_days:g} days left",
                next_step="" if passed else NEXT_STEPS["tls"],
                at=stamp(now),
                facts={"days_left": None if days is None else round(days, 2)},
            )
        )
    return checks
