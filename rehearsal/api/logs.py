"""Log lines as the real API writes them: coloured even in a file, and a JSON look in production that is no JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

_COLOURS = {"DEBUG": 36, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 31}


class _Formatter(logging.Formatter):
    def __init__(self, production: bool) -> None:
        super().__init__()
        self._production = production

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, event and the record's ``facts`` as ``key=value``."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        facts: dict[str, Any] = getattr(record, "facts", {})
        if self._production:
            line = str({"event": record.getMessage(), "level": record.levelname.lower(), "timestamp": at, **facts})
        else:
            level = f"\x1b[{_COLOURS[record.levelname]}m\x1b[1m{record.levelname.lower():<9}\x1b[0m"
            pairs = " ".join(f"\x1b[36m{key}\x1b[0m=\x1b[35m{value}\x1b[0m" for key, value in facts.items())
            line = f"\x1b[2m{at}\x1b[0m [{level}] \x1b[1m{record.getMessage():<30}\x1b[0m {pairs}".rstrip()
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


def configure(environment: str) -> logging.Logger:
    """Return the API's logger, writing to standard output and nowhere else."""
    logger = logging.getLogger("rehearsal.api")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter(environment == "production"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return logger
