"""What ``make lint`` says of a statement is what the engines do with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from lakehouse.settings import Settings, ports
from tests.portability import examples
from tests.portability.dialect import trino_functions


@pytest.fixture(scope="module")
def on_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in examples.SETUP:
            connection.execute(statement)
        yield connection


@pytest.fixture(scope="module")
def on_trino(lake: Settings) -> Iterator[Any]:
    from trino.dbapi import connect

    port = ports(lake.home)["trino"]["http"]
    where = {"host": "127.0.0.1", "port": port, "catalog": "lake", "schema": "examples"}
    with connect(**where, user="test") as connection:
        cursor = connection.cursor()
        cursor.execute("create schema examples")
        for statement in examples.SETUP:
            cursor.execute(statement)
        yield cursor
        cursor.execute("drop schema examples cascade")


@pytest.mark.parametrize("sql", [*examples.ONLY_ON_DUCKDB, *examples.BY_ITS_ALIAS])
def test_duckdb_runs_it_and_trino_refuses(
    on_duckdb: duckdb.DuckDBPyConnection, on_trino: Any, sql: str
) -> None:
    from trino.exceptions import TrinoUserError

    on_duckdb.execute(sql).fetchall()
    with pytest.raises(TrinoUserError):
        on_trino.execute(sql)


@pytest.mark.parametrize("expression", examples.DIFFERENT)
def test_both_run_it_and_answer_otherwise(
    on_duckdb: duckdb.DuckDBPyConnection, on_trino: Any, expression: str
) -> None:
    ours = on_duckdb.execute(f"select {expression}").fetchall()[0][0]
    on_trino.execute(f"select {expression}")
    assert on_trino.fetchall()[0][0] != ours


@pytest.mark.parametrize("sql", examples.PORTABLE)
def test_both_answer_the_same_rows(
    on_duckdb: duckdb.DuckDBPyConnection, on_trino: Any, sql: str
) -> None:
    on_trino.execute(sql)
    assert [tuple(row) for row in on_trino.fetchall()] == on_duckdb.execute(sql).fetchall()


def test_the_list_of_functions_is_this_trinos(on_trino: Any) -> None:
    on_trino.execute("show functions")
    # The list of a schema holds what users defined in it as well: here nothing.
    assert {row[0] for row in on_trino.fetchall()} == trino_functions()
