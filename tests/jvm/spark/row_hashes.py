"""One hash a row, made outside of the engines that are compared: each spells values its own way."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ingest.flatten import FLAT_TABLES
from lakehouse import clients
from lakehouse.settings import Settings

Hashes = Mapping[str, Mapping[str, int]]
"""By table: how often each row's hash stands there."""


def row_hash(values: tuple[Any, ...]) -> str:
    """Of all columns in the table's order: a Decimal's digits and a time's microseconds count."""
    return hashlib.sha256(repr(values).encode()).hexdigest()


def hashes_of(settings: Settings) -> dict[str, Counter[str]]:
    """The rows of every raw table, lineage included."""
    iceberg = clients.iceberg(settings)
    return {
        flat.table.identifier: Counter(
            row_hash(tuple(row[name] for name in flat.schema))
            for row in iceberg.load_table(flat.table.identifier).scan().to_arrow().to_pylist()
        )
        for flat in FLAT_TABLES
    }


def differing(left: Hashes, right: Hashes) -> dict[str, int]:
    """By table: rows that stand on one side only, counted as often as they do."""
    assert left.keys() == right.keys()
    return {
        table: sum(
            abs(left[table].get(row, 0) - right[table].get(row, 0))
            for row in left[table].keys() | right[table].keys()
        )
        for table in left
    }
