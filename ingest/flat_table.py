"""What a source says about each table that flattening makes of its landed rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.catalog import RawTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LINEAGE = {
    "_source_file": "string",
    "_source_row": "bigint",
    "_batch_id": "string",
    "_ingested_at": "timestamp_ntz",
}
"""The last columns of every flat table: file, line or record in it, batch, when (UTC)."""


@dataclass(frozen=True)
class FlatTable:
    """One Iceberg table: its columns, how landed rows become its rows, and how they get in.

    With a ``key`` the table grows: a key that stands already wins over one that lands later (see
    ``first_by``). Without a key the newest batch replaces all rows.
    """

    table: RawTable
    columns: dict[str, str]
    """Spark SQL type by name, without the lineage columns."""
    flatten: Callable[[DataFrame], DataFrame]
    key: str | None = None
    month_of: str | None = None
    """Timestamp column whose month partitions the table; equal keys have equal timestamps."""
    first_by: tuple[str, ...] = ()
    """Rows of one key may say different things: the first by these counts, whenever it lands."""
    unique_in_file: bool = False
    """Landing made the key unique inside a file: one file alone needs no second look."""

    @property
    def schema(self) -> dict[str, str]:
        """Spark SQL type by column name, lineage included, in the table's order."""
        return self.columns | LINEAGE
