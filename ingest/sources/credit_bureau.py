"""Credit records: JSON, one array or one object a line; one full snapshot.

A record is taken whole or not at all: one bad loan quarantines all of it, so that no total is
partial. A quarantined record lands as a row with ``record_status`` "quarantined", the customer whom
its text names (NULL where it names nobody, see ``ingest.attribution``) and nothing else. So it
never looks like a customer without loans.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ingest.flat_table import LINEAGE, FlatTable
from ingest.sources.contract import LARGEST_AMOUNT, LARGEST_ID, with_lineage
from ingest.strict_json import Number, Problem
from lakehouse.catalog import CREDIT_PROFILES, LOANS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

NAME = "credit_bureau"
SNAPSHOT = True
KEYS = ("customer_id", "credit_score", "delinquencies", "outstanding_loans")
LOAN_KEYS = ("type", "amount")

_WHOLE = re.compile(r"0|[1-9][0-9]{0,9}")
_MONEY = re.compile(r"(0|[1-9][0-9]{0,15})(\.[0-9]{1,2})?")


def typed(
    record: Any, *, loan_types: tuple[str, ...], score_minimum: int, score_maximum: int
) -> dict[str, Any]:
    """The landed form of one decoded record: ids and counts int, amounts Decimal.

    Raises:
        Problem: the first rule that the record breaks, with its field.

    """
    if not isinstance(record, dict):
        raise Problem("", "not an object")
    _expect_keys(record, KEYS, "")
    score = _whole(record["credit_score"], "credit_score", score_maximum)
    if score < score_minimum:
        raise Problem("credit_score", f"not from {score_minimum} to {score_maximum}")
    loans = record["outstanding_loans"]
    if not isinstance(loans, list):
        raise Problem("outstanding_loans", "not an array")
    return {
        "customer_id": _customer_id(record["customer_id"]),
        "credit_score": score,
        "delinquencies": _whole(record["delinquencies"], "delinquencies", LARGEST_ID),
        "outstanding_loans": [
            _loan(loan, f"outstanding_loans[{position}]", loan_types)
            for position, loan in enumerate(loans)
        ],
    }


def _customer_id(value: Any) -> int:
    found = _whole(value, "customer_id", LARGEST_ID)
    if found < 1:
        raise Problem("customer_id", f"not a whole number from 1 to {LARGEST_ID}")
    return found


def _loan(loan: Any, where: str, loan_types: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(loan, dict):
        raise Problem(where, "not an object")
    _expect_keys(loan, LOAN_KEYS, where)
    if not isinstance(loan["type"], str) or loan["type"] not in loan_types:
        raise Problem(f"{where}.type", f"not one of {', '.join(loan_types)}")
    amount = loan["amount"]
    if not isinstance(amount, Number) or not _MONEY.fullmatch(amount):
        raise Problem(f"{where}.amount", "not a number in plain digits with at most two decimals")
    value = Decimal(amount)
    if value <= 0:
        raise Problem(f"{where}.amount", "not above zero")
    if value > LARGEST_AMOUNT:
        raise Problem(f"{where}.amount", f"above {LARGEST_AMOUNT}")
    return {"type": loan["type"], "amount": value}


def _whole(value: Any, where: str, largest: int) -> int:
    if not isinstance(value, Number) or not _WHOLE.fullmatch(value) or int(value) > largest:
        raise Problem(where, f"not a whole number up to {largest}")
    return int(value)


def _expect_keys(found: dict[str, Any], expected: tuple[str, ...], where: str) -> None:
    prefix = f"{where}." if where else ""
    for key in expected:
        if key not in found:
            raise Problem(f"{prefix}{key}", "missing")
    for key in found:
        if key not in expected:
            raise Problem(where, f"unknown key {key[:60]!r}")


def schema() -> pa.Schema:
    """Landed schema. A "quarantined" record has at most its customer, and NULL in the rest."""
    import pyarrow as pa

    loan = pa.struct([pa.field("type", pa.string()), pa.field("amount", pa.decimal128(18, 2))])
    return with_lineage(
        [
            pa.field("customer_id", pa.int64()),
            pa.field("record_status", pa.string()),
            pa.field("credit_score", pa.int32()),
            pa.field("delinquencies", pa.int32()),
            pa.field("outstanding_loans", pa.list_(loan)),
        ]
    )


def fake() -> list[dict[str, Any]]:
    """Delivered records that land."""
    return [
        {
            "customer_id": 1,
            "credit_score": 640,
            "delinquencies": 1,
            "outstanding_loans": [
                {"type": "car", "amount": 12500.5},
                {"type": "personal", "amount": 900},
            ],
        },
        {"customer_id": 2, "credit_score": 811, "delinquencies": 0, "outstanding_loans": []},
    ]


def flatten_credit_profiles(landed: DataFrame) -> DataFrame:
    """One row a credit record, the quarantined ones too."""
    return landed.select("customer_id", "record_status", "credit_score", "delinquencies", *LINEAGE)


def flatten_loans(landed: DataFrame) -> DataFrame:
    """One row a loan; ``loan_number`` is its position in the customer's record, from 1."""
    from pyspark.sql.functions import col, posexplode

    exploded = landed.select(
        "customer_id", posexplode("outstanding_loans").alias("position", "loan"), *LINEAGE
    )
    return exploded.select(
        "customer_id",
        (col("position") + 1).cast("int").alias("loan_number"),
        col("loan.type").alias("loan_type"),
        col("loan.amount").alias("amount"),
        *LINEAGE,
    )


FLAT_TABLES = (
    FlatTable(
        table=CREDIT_PROFILES,
        columns={
            "customer_id": "bigint",
            "record_status": "string",
            "credit_score": "int",
            "delinquencies": "int",
        },
        flatten=flatten_credit_profiles,
    ),
    FlatTable(
        table=LOANS,
        columns={
            "customer_id": "bigint",
            "loan_number": "int",
            "loan_type": "string",
            "amount": "decimal(18,2)",
        },
        flatten=flatten_loans,
    ),
)
