"""Trino, the engine that runs what the gateway translates."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.services.athena.aws_error import QueryRefused
from lakehouse.services.athena.results import Column
from lakehouse.services.athena.sql import CATALOG

SOURCE = "athena"
_REQUEST_SECONDS = 60
_ROWS_A_FETCH = 1000


class Cancelled(Exception):
    """The query was stopped."""


class Engine:
    """Where Trino is."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def ping(self) -> None:
        """Cheap, so that a busy engine still answers.

        Raises:
            OSError: it isn't there, or not ready.

        """
        import requests

        answer = requests.get(f"http://{self._host}:{self._port}/v1/info", timeout=2)
        answer.raise_for_status()
        if answer.json()["starting"]:
            raise OSError("Trino is starting")

    def ask(self, statement: str) -> list[list[Any]]:
        """All rows of a small question."""
        run = Run(self, None, {})
        return list(run.execute(statement))

    def connect(self, schema: str | None, session: Mapping[str, str]) -> Any:
        """A DBAPI connection whose values come as Trino's JSON has them."""
        from trino import dbapi as untyped

        dbapi: Any = untyped

        return dbapi.connect(
            host=self._host,
            port=self._port,
            user="athena",
            source=SOURCE,
            catalog=CATALOG,
            schema=schema,
            timezone="UTC",
            session_properties=dict(session),
            legacy_primitive_types=True,
            request_timeout=_REQUEST_SECONDS,
        )

    def end_orphans(self) -> int:
        """End what a gateway that was killed had begun: nothing of it may commit any more."""
        found = self.ask(
            "select query_id from system.runtime.queries where source = '" + SOURCE + "'"
            " and state not in ('FINISHED', 'FAILED')"
            " and query not like '%system.runtime.queries%'"
        )
        for (query_id,) in found:
            # It may have ended by itself since.
            with contextlib.suppress(QueryRefused):
                self.ask(
                    f"call system.runtime.kill_query('{query_id}', 'Its gateway was restarted')"
                )
        return len(found)


class Run:
    """The statements of one query, one after the other; :meth:`cancel` works from any thread."""

    def __init__(self, engine: Engine, schema: str | None, session: Mapping[str, str]) -> None:
        self._engine, self._schema, self._session = engine, schema, session
        self._lock = threading.Lock()
        self._cursor: Any = None
        self._cancelled = False
        self._totals = {"physicalInputBytes": 0, "elapsedTimeMillis": 0, "queuedTimeMillis": 0}
        self.columns: list[Column] = []

    def execute(self, statement: str) -> Iterator[list[Any]]:
        """Run one statement; ``columns`` are known as soon as the first row or the end is.

        Raises:
            QueryRefused: it failed, or Trino can't be reached.
            Cancelled: it was stopped.

        """
        from trino.exceptions import Error, TrinoQueryError

        try:
            # Trino's client raises what requests raises where the server is gone.
            with self._engine.connect(self._schema, self._session) as connection:
                cursor = connection.cursor()
                with self._lock:
                    if self._cancelled:
                        raise Cancelled
                    self._cursor = cursor
                try:
                    cursor.execute(statement)
                    self.columns = [Column(c[0], c[1]) for c in cursor.description or ()]
                    while rows := cursor.fetchmany(_ROWS_A_FETCH):
                        yield from rows
                        if self._cancelled:
                            raise Cancelled
                finally:
                    self._count(cursor.stats)
        except TrinoQueryError as error:
            if self._cancelled:
                raise Cancelled from None
            raise QueryRefused(
                error.error_name or "GENERIC_INTERNAL_ERROR", error.message
            ) from None
        except (Error, OSError) as error:
            if self._cancelled:
                raise Cancelled from None
            raise QueryRefused(
                "GENERIC_INTERNAL_ERROR", f"the engine can't be reached ({type(error).__name__})"
            ) from None

    def cancel(self) -> None:
        """End it, whatever it is at."""
        with self._lock:
            self._cancelled = True
            cursor = self._cursor
        if cursor is not None:
            # It may be at its end, or the server gone: either way it doesn't run on.
            with contextlib.suppress(Exception):
                cursor.cancel()

    def statistics(self) -> dict[str, int]:
        """Trino's sums over the statements: bytes scanned, milliseconds of execution and queue."""
        return dict(self._totals)

    def _count(self, stats: Mapping[str, Any] | None) -> None:
        for name in self._totals:
            self._totals[name] += int((stats or {}).get(name) or 0)
