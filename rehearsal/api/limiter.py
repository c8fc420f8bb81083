"""The sliding-window rate limit, kept in Redis so that a restart of the API does not forget it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

import redis.asyncio as redis

WINDOW_SECONDS = 60.0
_EXEMPT = ("/health", "/metrics", "/docs", "/openapi.json")

#: Admits a request and returns nothing, or returns the time of the oldest request that still counts.
#: A refused request does not count.
_SCRIPT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2]))
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2]) * 1000))
  return false
end
return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
"""


def exempt(path: str) -> bool:
    """Tell whether requests for *path* are not counted."""
    return path.startswith(_EXEMPT)


class Limiter:
    """Counts the requests of each client over the last minute."""

    def __init__(
        self,
        url: str,
        *,
        anonymous: int,
        authenticated: int,
        window: float = WINDOW_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._script = self._redis.register_script(_SCRIPT)
        self._limits = {False: anonymous, True: authenticated}
        self._window = window
        self._now = now
        self._log = logging.getLogger("rehearsal.api.limiter")

    async def retry_after(self, client: str, *, authenticated: bool) -> int | None:
        """Return None when the request may pass, else the seconds to wait, rounded down as the real API does.

        Without Redis every request passes: the limit protects the API, it must not be what takes it down.
        """
        now = self._now()
        key = f"rehearsal:rate:{'authenticated' if authenticated else 'anonymous'}:{client}"
        arguments: list[str | float] = [repr(now), self._window, self._limits[authenticated], uuid.uuid4().hex]
        try:
            oldest = await self._script(keys=[key], args=arguments)
        except redis.RedisError as error:
            self._log.warning("Rate limiter unavailable", extra={"facts": {"error_type": type(error).__name__}})
            return None
        return None if oldest is None else max(0, int(float(oldest) + self._window - now))

    async def healthy(self) -> bool:
        """Tell whether Redis answers."""
        try:
            return bool(await cast(Awaitable[Any], self._redis.ping()))
        except redis.RedisError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
