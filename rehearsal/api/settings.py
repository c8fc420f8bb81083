"""What the process is told by its environment, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .faults import Onsets, UnknownFault, parse


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
    faults: Onsets = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings a process environment states.

        :raises SettingsError: a value is missing or unusable; the sentence names the variable
        """
        try:
            onsets = parse(environment.get("REHEARSAL_FAULTS", ""))
        except UnknownFault as error:
            raise SettingsError(f"REHEARSAL_FAULTS: {error}.") from error
        return cls(
            database_url=_required(environment, "DATABASE_URL"),
            redis_url=_required(environment, "REDIS_URL"),
            use_stubs=_switch(environment, "USE_STUBS") or "stub_mode" in onsets,
            environment=environment.get("ENVIRONMENT") or "development",
            anonymous_per_minute=_count(environment, "RATE_LIMIT_ANONYMOUS", 10),
            authenticated_per_minute=_count(environment, "RATE_LIMIT_AUTHENTICATED", 120),
            faults=onsets,
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
