"""What moved between two versions: metrics, rows of marts, customers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from chat.totals import totals
from lakehouse.catalog import MART_KEYS
from lakehouse.duck import attach_published
from lakehouse.scratch import scratch_folder
from lakehouse.versions import Versions

CUSTOMERS = "fct_customers"
SHOWN_CUSTOMERS = 20

Number = int | float | Decimal


@dataclass(frozen=True)
class MetricMoved:
    """One metric in both versions; None where a version has no figure or no such metric."""

    metric: str
    label: str
    unit: str
    before: Number | None
    after: Number | None

    @property
    def change(self) -> Number | None:
        """After less before; None unless both have a figure."""
        return _change(self.before, self.after)


@dataclass(frozen=True)
class TableMoved:
    """Rows of one mart, told apart by its key; ``changed`` have the key but other values."""

    table: str
    before: int
    after: int
    added: int
    removed: int
    changed: int
    columns: dict[str, int]
    """Changed rows by column, of the columns that both versions have."""
    new_columns: list[str]
    dropped_columns: list[str]

    @property
    def moved(self) -> bool:
        """Whether anything is different."""
        return bool(
            self.added or self.removed or self.changed or self.new_columns or self.dropped_columns
        )


@dataclass(frozen=True)
class CustomerMoved:
    """One customer who came, left, or has other values; named by id."""

    customer_id: int
    state: str
    """``added``, ``removed`` or ``changed``."""
    columns: dict[str, dict[str, Any]]
    """Of a changed customer: ``before`` and ``after`` by column, and ``change`` of a number."""


@dataclass(frozen=True)
class Difference:
    """What ``discover diff`` says; :meth:`to_json` is what it prints."""

    before: str
    after: str
    metrics: list[MetricMoved]
    tables: list[TableMoved]
    customers: list[CustomerMoved]
    customers_moved: int
    """How many there are; ``customers`` holds the first of them by id."""

    @property
    def equal(self) -> bool:
        """Whether every mart has the same rows."""
        return not any(table.moved for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """One document: what moved and what didn't, metric by metric and mart by mart."""
        document = asdict(self) | {"equal": self.equal}
        for metric, moved in zip(document["metrics"], self.metrics, strict=True):
            metric["change"] = moved.change
        return document


def diff(home: Path, before: str, after: str, customers: int = SHOWN_CUSTOMERS) -> Difference:
    """Compare two kept versions by run id; ``customers`` bounds how many are listed.

    Raises:
        DiscoverError: one of the versions isn't kept.

    """
    versions = Versions(home)
    older, newer = versions.get(before), versions.get(after)
    files = [versions.marts_file(manifest.run_id) for manifest in (older, newer)]
    with _connected(home, *files) as connection:
        tables = [
            _table(connection, name, key)
            for name, key in MART_KEYS.items()
            if any(_columns(connection, side, name) for side in ("before", "after"))
        ]
        moved = next(table for table in tables if table.table == CUSTOMERS)
        listed = _customers(connection, list(moved.columns), customers) if moved.moved else []
    old, new = totals(home, older), totals(home, newer)
    # The newer definition's label wins.
    described = {metric.name: metric for metric in [*old, *new]}
    figures = [{metric.name: value for metric, value in side.items()} for side in (old, new)]
    return Difference(
        before=before,
        after=after,
        metrics=[
            MetricMoved(name, metric.label, metric.unit, *(side.get(name) for side in figures))
            for name, metric in described.items()
        ],
        tables=tables,
        customers=listed,
        customers_moved=moved.added + moved.removed + moved.changed,
    )


@contextlib.contextmanager
def _connected(home: Path, before: Path, after: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        scratch_folder(home, "diff") as folder,
        duckdb.connect(config={"temp_directory": str(folder)}) as connection,
    ):
        for name, file in (("before", before), ("after", after)):
            attach_published(connection, file, name)
        yield connection


def _table(connection: duckdb.DuckDBPyConnection, table: str, key: Sequence[str]) -> TableMoved:
    columns = {side: _columns(connection, side, table) for side in ("before", "after")}
    shared = [name for name in columns["after"] if name in columns["before"] and name not in key]
    counted = "".join(
        f', count(*) FILTER (b.present AND a.present AND b."{name}" IS DISTINCT FROM a."{name}")'
        for name in shared
    )
    anything = " OR ".join(f'b."{name}" IS DISTINCT FROM a."{name}"' for name in shared) or "false"
    found = connection.execute(
        f"SELECT count(b.present), count(a.present),"
        f" count(*) FILTER (b.present IS NULL), count(*) FILTER (a.present IS NULL),"
        f" count(*) FILTER (b.present AND a.present AND ({anything})){counted}"
        f" FROM {_joined(connection, table, key)}"
    ).fetchall()[0]
    before, after, added, removed, changed, *by_column = found
    return TableMoved(
        table=table,
        before=before,
        after=after,
        added=added,
        removed=removed,
        changed=changed,
        columns={name: rows for name, rows in zip(shared, by_column, strict=True) if rows},
        new_columns=[name for name in columns["after"] if name not in columns["before"]],
        dropped_columns=[name for name in columns["before"] if name not in columns["after"]],
    )


def _customers(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[str], limit: int
) -> list[CustomerMoved]:
    """The first customers by id who came, left or differ in one of ``columns``."""
    different = "".join(f' OR b."{name}" IS DISTINCT FROM a."{name}"' for name in columns)
    values = "".join(f', b."{name}", a."{name}"' for name in columns)
    rows = connection.execute(
        f"SELECT coalesce(b.customer_id, a.customer_id) AS id, b.present, a.present{values}"
        f" FROM {_joined(connection, CUSTOMERS, MART_KEYS[CUSTOMERS])}"
        f" WHERE b.present IS NULL OR a.present IS NULL{different} ORDER BY id LIMIT {limit}"
    ).fetchall()
    moved = []
    for customer_id, was, stands, *pairs in rows:
        state = "changed" if was and stands else "added" if stands else "removed"
        sides = zip(columns, pairs[::2], pairs[1::2], strict=True)
        moved.append(
            CustomerMoved(
                customer_id,
                state,
                {
                    name: _values(old, new)
                    for name, old, new in sides
                    if state == "changed" and old != new
                },
            )
        )
    return moved


def _joined(connection: duckdb.DuckDBPyConnection, table: str, key: Sequence[str]) -> str:
    """Both versions' rows by key; the side of a version without the mart is empty."""
    # A key may hold NULL (the city of a day's totals), and NULL is then a value like others.
    on = " AND ".join(f'b."{name}" IS NOT DISTINCT FROM a."{name}"' for name in key)
    before, after = (
        f'(SELECT *, true AS present FROM "{side}".main."{table}")'
        if _columns(connection, side, table)
        else f'(SELECT *, true AS present FROM "{other}".main."{table}" WHERE false)'
        for side, other in (("before", "after"), ("after", "before"))
    )
    return f"{before} AS b FULL JOIN {after} AS a ON {on}"


def _columns(connection: duckdb.DuckDBPyConnection, side: str, table: str) -> list[str]:
    """Names of a mart's columns in their order; none where the version has no such mart."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = ? AND table_name = ?"
        " ORDER BY column_index",
        [side, table],
    ).fetchall()
    return [name for (name,) in rows]


def _values(before: Any, after: Any) -> dict[str, Any]:
    change = _change(before, after)
    return {"before": before, "after": after} | ({} if change is None else {"change": change})


def _change(before: Any, after: Any) -> Number | None:
    numbers = isinstance(before, Number) and isinstance(after, Number)
    return after - before if numbers else None
