"""What the process is told by its environment, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Faults that can be switched on by name, and what each does to every validation.
FAULTS = {
    "all_blocked": "every document reads as empty, so every validation answers blocked",
    "false_pass": "findings are thrown away, so whatever can be read passes",
    "slow": "every validation takes SLOW_SECONDS longer",
    "server_error": "every validation answers 500",
    "unprocessable": "every validation answers 422",
    "rate_limited": "every request that counts answers 429 with a Retry-After",
    "quota_exceeded": "every validation answers the quota's 429, which has no Retry-After",
}
SLOW_SECONDS = 5.0


class SettingsError(ValueError):
    """The environment cannot be used; the process refuses to start."""


@dataclass(frozen=True)
class Settings:
    """The configuration of one API process; limits are requests per minute and client."""

    database_url: str
    redis_url: str
    use_stubs: bool = False
    environment: str = "development"
    anonymous_per_minute: int = 10
    authenticated_per_minute: int = 120
    faults: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings a process environment states.

        :raises SettingsError: a value is missing or unusable; the sentence names the variable
        """
        faults = frozenset(name.strip() for name in environment.get("REHEARSAL_FAULTS", "").split(",") if name.strip())
        if unknown := sorted(faults - FAULTS.keys()):
            raise SettingsError(
                f"REHEARSAL_FAULTS: found {', '.join(unknown)}, need names out of {', '.join(sorted(FAULTS))}."
            )
        return cls(
            database_url=_required(environment, "DATABASE_URL"),
            redis_url=_required(environment, "REDIS_URL"),
            use_stubs=_switch(environment, "USE_STUBS"),
            environment=environment.get("ENVIRONMENT") or "development",
            anonymous_per_minute=_count(environment, "RATE_LIMIT_ANONYMOUS", 10),
            authenticated_per_minute=_count(environment, "RATE_LIMIT_AUTHENTICATED", 120),
            faults=faults,
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name, "").strip():
        return value
    raise SettingsError(f"{name}: found nothing, need a URL.")


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower() or "false"
    if value not in {"true", "false", "1", "0"}:
        raise SettingsError(f"{name}: found {value!r}, need true or false.")
    return value in {"true", "1"}


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "").strip() or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise SettingsError(f"{name}: found {value!r}, need a number of requests per minute, 1 or more.")
    return int(value)
