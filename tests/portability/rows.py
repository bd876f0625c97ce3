"""Rows of several engines side by side: one spelling a value, one hash a row, made outside them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

Table = tuple[Mapping[str, str], Sequence[Sequence[Any]]]
"""Contract's type by column, in order, and the rows that an engine answered."""


def spelled(value: Any, data_type: str) -> str | None:
    """A value as text, by its contract: a decimal's scale and a time's microseconds count.

    Raises:
        TypeError: the engine's type is another than the contract's.

    """
    if value is None:
        return None
    if data_type in {"bigint", "integer"} and type(value) is int:
        return str(value)
    if data_type.startswith("decimal") and isinstance(value, Decimal):
        return f"{value:f}"
    if data_type == "double" and isinstance(value, float):
        return repr(value)
    if data_type == "varchar" and isinstance(value, str):
        return value
    if data_type == "date" and type(value) is date:
        return value.isoformat()
    if data_type == "timestamp(6)" and isinstance(value, datetime) and value.tzinfo is None:
        return value.isoformat(" ", "microseconds")
    raise TypeError(f"{type(value).__name__} is no {data_type}")


def row_hash(row: Sequence[Any], types: Iterable[str]) -> str:
    """Of all columns in their order; NULL is no text."""
    values = [spelled(value, data_type) for value, data_type in zip(row, types, strict=True)]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def differing_rows(left: Table, right: Table) -> int:
    """Rows that stand on one side only, counted as often as they do."""
    return sum(abs(number) for number in _minus(_hashes(left), _hashes(right)).values())


def differing_columns(left: Table, right: Table, key: Sequence[str]) -> dict[str, int]:
    """For whoever looks for the reason: rows of equal key by the column in which they differ."""
    columns = list(left[0])
    positions = [columns.index(name) for name in key]

    def by_key(table: Table) -> dict[tuple[str | None, ...], list[str | None]]:
        rows = [
            [spelled(value, kind) for value, kind in zip(row, table[0].values(), strict=True)]
            for row in table[1]
        ]
        return {tuple(row[position] for position in positions): row for row in rows}

    first, second = by_key(left), by_key(right)
    found = Counter({"(key)": len(first.keys() ^ second.keys())})
    for same in first.keys() & second.keys():
        for name, one, other in zip(columns, first[same], second[same], strict=True):
            found[name] += one != other
    return {name: number for name, number in found.items() if number}


def _hashes(table: Table) -> Counter[str]:
    types, rows = table
    return Counter(row_hash(row, types.values()) for row in rows)


def _minus(left: Counter[str], right: Counter[str]) -> dict[str, int]:
    return {row: left[row] - right[row] for row in left.keys() | right.keys()}


def figure(value: Any) -> str | None:
    """A metric's figure or grouping as text; here engines may differ in type, not in value.

    A mean is a double, whose last digits follow the order in which an engine adds: 12 are compared.
    """
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return value.date().isoformat()
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, int | Decimal):
        return f"{Decimal(value).normalize():f}"
    return None if value is None else str(value)
