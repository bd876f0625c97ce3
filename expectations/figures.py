"""Figures about marts: DuckDB computes the numbers, Great Expectations judges them by limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from expectations.report import KEYS_SHOWN, CheckReport, RowKeys
from expectations.suite import Suite
from lakehouse.errors import GateFailed


@dataclass(frozen=True)
class Figure:
    """A number about one mart that has to lie within limits."""

    name: str
    table: str
    sql: str
    """Gives one row; its first column is the number."""
    minimum: float = 0
    maximum: float | None = 0
    note: str = ""
    """Said beside the number; its braces take the query's columns, by name."""
    key: tuple[str, ...] = ()
    at_fault: str = ""
    """Query that gives ``key`` of the rows that make the number what it is."""

    def holds(self, value: float) -> bool:
        """Whether a value lies within the limits."""
        return value >= self.minimum and (self.maximum is None or value <= self.maximum)


@dataclass(frozen=True)
class Measured:
    """A figure's value and, where it is out of its limits, the keys of the rows at fault."""

    value: float
    note: str = ""
    keys: RowKeys | None = None


def measure(
    connection: duckdb.DuckDBPyConnection, figures: Iterable[Figure]
) -> dict[Figure, Measured]:
    """The figures' values on a connection whose current schema holds the marts beside ``lake``.

    Raises:
        GateFailed: a mart is missing.

    """
    found = {}
    for figure in figures:
        try:
            result = connection.execute(figure.sql)
            names = [column[0] for column in result.description or []]
            row = result.fetchone()
        except duckdb.CatalogException as error:
            what = str(error).splitlines()[0]
            raise GateFailed(
                f"{figure.table}: {figure.name}: {what}", "build all marts first: discover refresh"
            ) from None
        assert row is not None, figure.name
        value = float(row[0])
        said = {
            name: "none" if told is None else told for name, told in zip(names, row, strict=True)
        }
        keys = None if figure.holds(value) else _keys(connection, figure)
        found[figure] = Measured(value, figure.note.format(**said), keys)
    return found


def judge(found: Mapping[Figure, Measured]) -> CheckReport:
    """The report on figures, each expected within its limits. Touches no file."""
    import pyarrow as pa
    from great_expectations import expectations as untyped

    gxe: Any = untyped
    suite = Suite()
    for table in dict.fromkeys(figure.table for figure in found):
        mine = {figure: measured for figure, measured in found.items() if figure.table == table}
        row = pa.table({figure.name: [measured.value] for figure, measured in mine.items()})
        suite.on_pandas(
            table,
            row.to_pandas(),
            {
                figure.name: gxe.ExpectColumnMaxToBeBetween(
                    column=figure.name, min_value=figure.minimum, max_value=figure.maximum
                )
                for figure in mine
            },
            notes={figure.name: measured.note for figure, measured in mine.items()},
            keys={figure.name: measured.keys for figure, measured in mine.items()},
        )
    return suite.report()


def _keys(connection: duckdb.DuckDBPyConnection, figure: Figure) -> RowKeys | None:
    if not figure.at_fault:
        return None
    key = ", ".join(figure.key)
    distinct = f"(SELECT DISTINCT {key} FROM ({figure.at_fault}))"
    try:
        total = connection.execute(f"SELECT count(*) FROM {distinct}").fetchall()[0][0]
        rows = connection.execute(f"FROM {distinct} ORDER BY ALL LIMIT {KEYS_SHOWN}").fetchall()
    except duckdb.Error:
        # The check has failed whether or not its rows can be named.
        return None
    return RowKeys(figure.key, tuple(rows), total) if total else None
