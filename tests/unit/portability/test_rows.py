"""The comparison itself: one changed value, one type, one row too many are all seen."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.portability.rows import differing_columns, differing_rows, figure, spelled

TYPES = {
    "id": "bigint",
    "name": "varchar",
    "amount": "decimal(18, 2)",
    "at": "timestamp(6)",
    "day": "date",
    "latitude": "double",
}
AT = datetime.fromisoformat("2026-06-21 08:00:00.000001")
ROW = (1, "NULL", Decimal("5.00"), AT, date(2026, 6, 21), 43.7064)


def changed(**values: Any) -> tuple[Any, ...]:
    return tuple(values.get(name, value) for name, value in zip(TYPES, ROW, strict=True))


def test_the_same_rows_in_another_order_are_equal() -> None:
    rows = [ROW, changed(id=2)]
    assert differing_rows((TYPES, rows), (TYPES, rows[::-1])) == 0


@pytest.mark.parametrize(
    "value",
    [
        {"id": 2},
        {"name": None},
        {"name": "NULL "},
        {"amount": Decimal("5.01")},
        {"amount": Decimal("5.0")},
        {"at": AT.replace(microsecond=0)},
        {"day": date(2026, 6, 22)},
        {"latitude": 43.70640000000001},
    ],
)
def test_one_changed_value_is_two_rows_and_its_column_is_named(value: dict[str, Any]) -> None:
    left, right = (TYPES, [ROW]), (TYPES, [changed(**value)])
    assert differing_rows(left, right) == 2
    named = differing_columns(left, right, ["id"])
    assert named in ({"(key)": 2}, dict.fromkeys(value, 1))


def test_a_row_that_stands_twice_is_one_too_many() -> None:
    assert differing_rows((TYPES, [ROW]), (TYPES, [ROW, ROW])) == 1


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (1.0, "bigint"),
        (True, "bigint"),
        (5.0, "decimal(18, 2)"),
        (Decimal(1), "double"),
        (AT, "date"),
        (date(2026, 6, 21), "timestamp(6)"),
        (AT.replace(tzinfo=UTC), "timestamp(6)"),
        ("2026-06-21", "date"),
    ],
)
def test_another_type_than_the_contracts_is_no_equal_value(value: Any, data_type: str) -> None:
    with pytest.raises(TypeError, match="is no"):
        spelled(value, data_type)


def test_a_figure_is_its_value_whatever_its_type() -> None:
    assert figure(Decimal("120.50")) == figure(Decimal("120.5")) == "120.5"
    assert figure(100) == figure(Decimal("1E+2")) == "100"
    assert figure(datetime.fromisoformat("2026-06-01")) == figure(date(2026, 6, 1)) == "2026-06-01"
    assert figure(1 / 3) == figure(0.1 + 1 / 3 - 0.1)
    assert figure(0.3333) != figure(1 / 3)
    assert figure(None) is None
