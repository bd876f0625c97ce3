"""The table ``customers`` in Postgres: its definition, its check against the contract, its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.sources.core_banking import CONTRACT
from lakehouse.catalog import CUSTOMERS_TABLE
from lakehouse.errors import DiscoverError, InputRejected, ServiceUnavailable, UsageError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import psycopg

CREATE = f"""
CREATE TABLE IF NOT EXISTS {CUSTOMERS_TABLE} (
    customer_id serial PRIMARY KEY,
    name varchar(100),
    email varchar(100) UNIQUE,
    city varchar(50)
)"""

_KINDS = {"r": "a table", "p": "a table", "v": "a view", "m": "a view", "f": "a foreign table"}
_TABLES = ("a table",)
_NUMBER, _TEXT = "N", ("S", "E")
"""Postgres' categories of types: numbers, strings, enumerations."""


def shape_query(table: str) -> str:
    """SQL for :func:`fault`: one JSON value, NULL where there is no such table."""
    return f"""
SELECT json_build_object('kind', relkind, 'columns', (
    SELECT coalesce(json_object_agg(
        attname, json_build_array(typcategory, format_type(atttypid, atttypmod)) ORDER BY attnum
    ), '{{}}')
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
)) FROM pg_class WHERE oid = to_regclass('{table}')"""


def fault(shape: dict[str, Any], *, must_be_table: bool) -> str | None:
    """What is wrong with a table of this shape, or None."""
    kind, columns = _KINDS.get(shape["kind"], "no table"), shape["columns"]
    if kind == "no table" or (must_be_table and kind not in _TABLES):
        return f"{CUSTOMERS_TABLE} is {kind}"
    for name in CONTRACT.names:
        if name not in columns:
            return f"{CUSTOMERS_TABLE} has no column {name}, only {', '.join(columns) or 'none'}"
        category, written = columns[name]
        if name == "customer_id" and category not in (_NUMBER, *_TEXT):
            return f"column {name} of {CUSTOMERS_TABLE} has type {written}, not integer"
        if name != "customer_id" and category not in _TEXT:
            return f"column {name} of {CUSTOMERS_TABLE} has type {written}, not text"
    return None


def other_columns(shape: dict[str, Any]) -> list[str]:
    """Columns that the contract doesn't have."""
    return [name for name in shape["columns"] if name not in CONTRACT.names]


@contextmanager
def bank(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """The bank's Postgres: one transaction.

    Raises:
        ServiceUnavailable: it doesn't answer.
        DiscoverError: it refused a statement; quotes its reason.

    """
    import psycopg

    try:
        connection = psycopg.connect(
            settings.postgres_dsn.get_secret_value(),
            connect_timeout=5,
            options="-c client_encoding=UTF8",
        )
    except psycopg.OperationalError:
        raise ServiceUnavailable(
            "the bank's Postgres does not answer", "start it: discover up postgres"
        ) from None
    try:
        with connection:
            yield connection
    except psycopg.OperationalError as error:
        raise ServiceUnavailable(
            f"the bank's Postgres failed: {_reason(error)}", "see: discover status"
        ) from None
    except psycopg.Error as error:
        raise DiscoverError(
            f"the bank's Postgres refused: {_reason(error)}",
            f"check the table {CUSTOMERS_TABLE} and its permissions",
        ) from None


def require_customers(connection: psycopg.Connection[Any], *, must_be_table: bool = False) -> None:
    """Make sure that the table has the contract's columns.

    Raises:
        UsageError: there is no such table.
        InputRejected: it has other columns or types, or is a view where a table is needed.

    """
    found = connection.execute(shape_query(CUSTOMERS_TABLE)).fetchone()
    if found is None:
        raise UsageError(
            f"the bank has no table {CUSTOMERS_TABLE}", "load it: discover bank load FILE"
        )
    if wrong := fault(found[0], must_be_table=must_be_table):
        table = "a table" if must_be_table else "a table or view"
        raise InputRejected(
            f"the bank's Postgres: {wrong}",
            f"make {CUSTOMERS_TABLE} {table} with the columns {', '.join(CONTRACT.names)}",
        )


def copy_out(connection: psycopg.Connection[Any], path: Path) -> None:
    """Write all customers as CSV, by one COPY: one statement sees one state of the table."""
    require_customers(connection)
    query = f"SELECT {', '.join(CONTRACT.names)} FROM {CUSTOMERS_TABLE} ORDER BY customer_id"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)") as copy,
        path.open("wb") as stream,
    ):
        for block in copy:
            stream.write(block)


def _reason(error: psycopg.Error) -> str:
    """The main line alone: others quote values."""
    return error.diag.message_primary or type(error).__name__
