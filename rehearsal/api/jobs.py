"""Validation jobs in PostgreSQL: what was asked, what came out; never what a document says."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg

_TABLE = """
CREATE TABLE IF NOT EXISTS validation_jobs (
    job_id      uuid PRIMARY KEY,
    request_id  text NOT NULL,
    status      text NOT NULL,
    documents   integer NOT NULL,
    verdict     text,
    issues      text[] NOT NULL DEFAULT '{}',
    seconds     double precision,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
)
"""


class Jobs:
    """The table of jobs. A connection lives for one statement, so a restarted database needs no repair here.

    Every method may raise :class:`psycopg.OperationalError` (the database is gone) or
    :class:`psycopg.ProgrammingError` (its schema is not ours).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._prepared = False
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Create the table unless this process has done so; a table dropped later is drift, and stays dropped."""
        with self._lock:
            if not self._prepared:
                self._execute(_TABLE)
                self._prepared = True

    def open(self, request_id: str, documents: int) -> str:
        """Record a job that starts and return its id."""
        self.prepare()
        job_id = str(uuid.uuid4())
        self._execute(
            "INSERT INTO validation_jobs (job_id, request_id, status, documents) VALUES (%s, %s, 'processing', %s)",
            (job_id, request_id, documents),
        )
        return job_id

    def close(self, job_id: str, verdict: str, issues: Sequence[str], seconds: float) -> None:
        """Record how a job ended."""
        self._execute(
            "UPDATE validation_jobs SET status = 'finished', verdict = %s, issues = %s, seconds = %s,"
            " finished_at = now() WHERE job_id = %s",
            (verdict, list(issues), seconds, job_id),
        )

    def healthy(self) -> bool:
        """Tell whether the database answers a query."""
        try:
            self._execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        with psycopg.connect(self._url, connect_timeout=3, autocommit=True) as connection:
            connection.execute(statement, values)
