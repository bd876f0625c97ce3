"""ATM activity: CSV files that append; a row carries no id of its own.

``transaction_id`` is the first half (128 bits, as hex) of the SHA-256 of the row's normal form and
its occurrence number in the file, joined by ``|``: atm_id, local time, amount, type, customer_id,
occurrence. In the normal form an amount has two decimals and a time's fraction no trailing zeros,
so ``404.1`` delivered again as ``404.10`` is the same transaction. The first of equal rows is
occurrence 1; later ones are twins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.flat_table import LINEAGE, FlatTable
from ingest.sources.contract import (
    Column,
    CsvContract,
    Plain,
    Rule,
    money,
    whole_number,
    with_lineage,
)
from lakehouse.catalog import TRANSACTIONS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

NAME = "atm"
SNAPSHOT = False
TRANSACTION_TYPES = ("deposit", "withdrawal")
FIRST_YEAR, LAST_YEAR = 1970, 2099

_TYPES = ", ".join(f"'{name}'" for name in TRANSACTION_TYPES)
_SHORTENED = (
    "CASE WHEN length(timestamp) = 19 THEN timestamp"
    " WHEN length(timestamp) BETWEEN 21 AND 26 AND substr(timestamp, 20, 1) = '.'"
    " THEN rtrim(rtrim(timestamp, '0'), '.') END"
)
_NORMAL = (
    "concat_ws('|', t_atm_id, CAST(t_timestamp AS VARCHAR), t_amount, t_transaction_type,"
    " t_customer_id)"
)
# It is the column that weighs most, everywhere: half a hash still tells 10^15 rows apart.
_TRANSACTION_ID = "left(sha256(normal || '|' || occurrence), 32)"

CONTRACT = CsvContract(
    columns=(
        whole_number("atm_id"),
        Column(
            "timestamp",
            "try_cast(timestamp AS TIMESTAMP)",
            (
                Rule(
                    f"CAST(t_timestamp AS VARCHAR) = {_SHORTENED}",
                    "not a local time YYYY-MM-DD HH:MM:SS[.ffffff]",
                ),
                Rule(
                    f"year(t_timestamp) BETWEEN {FIRST_YEAR} AND {LAST_YEAR}",
                    f"not a year from {FIRST_YEAR} to {LAST_YEAR}",
                ),
                Rule("NOT is_skipped_local_time", "a local time that the clocks skipped"),
            ),
            Plain("local_time", years=(FIRST_YEAR, LAST_YEAR)),
        ),
        money("amount"),
        Column(
            "transaction_type",
            "transaction_type",
            (Rule(f"transaction_type IN ({_TYPES})", "not deposit or withdrawal"),),
            Plain("one_of", words=TRANSACTION_TYPES),
        ),
        whole_number("customer_id"),
    ),
    landed=(
        ("transaction_id", _TRANSACTION_ID),
        ("atm_id", "t_atm_id"),
        ("transacted_at_local", "t_timestamp"),
        ("transacted_at_utc", "t_timestamp - to_seconds(utc_offset)"),
        ("transaction_date", "CAST(t_timestamp AS DATE)"),
        ("transaction_hour", "CAST(hour(t_timestamp) AS INTEGER)"),
        ("transaction_weekday", "CAST(isodow(t_timestamp) AS INTEGER)"),
        ("amount", "t_amount"),
        ("transaction_type", "t_transaction_type"),
        ("customer_id", "t_customer_id"),
        ("is_ambiguous_local_time", "is_ambiguous_local_time"),
        ("is_twin", "occurrence > 1"),
    ),
    local_time="timestamp",
    normal=_NORMAL,
    numbered=("transaction_id", "is_twin"),
    rows=(
        ("atm_id", "atm_id"),
        ("timestamp", "CAST(transacted_at_local AS VARCHAR)"),
        ("amount", "CAST(amount AS VARCHAR)"),
        ("transaction_type", "transaction_type"),
        ("customer_id", "customer_id"),
    ),
)


def schema() -> pa.Schema:
    """Landed schema; times are plain (no zone), the local one as delivered."""
    import pyarrow as pa

    return with_lineage(
        [
            pa.field("transaction_id", pa.string()),
            pa.field("atm_id", pa.int64()),
            pa.field("transacted_at_local", pa.timestamp("us")),
            pa.field("transacted_at_utc", pa.timestamp("us")),
            pa.field("transaction_date", pa.date32()),
            pa.field("transaction_hour", pa.int32()),
            pa.field("transaction_weekday", pa.int32()),
            pa.field("amount", pa.decimal128(18, 2)),
            pa.field("transaction_type", pa.string()),
            pa.field("customer_id", pa.int64()),
            pa.field("is_ambiguous_local_time", pa.bool_()),
            pa.field("is_twin", pa.bool_()),
        ]
    )


def fake() -> list[dict[str, Any]]:
    """Delivered rows that land, as text by column."""
    return [
        {
            "atm_id": "12",
            "timestamp": "2026-03-02 08:15:00",
            "amount": "404.1",
            "transaction_type": "withdrawal",
            "customer_id": "3",
        },
        {
            "atm_id": "7",
            "timestamp": "2026-03-02 18:40:11.250000",
            "amount": "80.00",
            "transaction_type": "deposit",
            "customer_id": "17",
        },
    ]


def flatten_transactions(landed: DataFrame) -> DataFrame:
    """One row a transaction."""
    return landed.select(
        "transaction_id",
        "atm_id",
        "transacted_at_local",
        "transacted_at_utc",
        "transaction_date",
        "transaction_hour",
        "transaction_weekday",
        "amount",
        "transaction_type",
        "customer_id",
        "is_ambiguous_local_time",
        "is_twin",
        *LINEAGE,
    )


FLAT_TABLES = (
    FlatTable(
        table=TRANSACTIONS,
        columns={
            "transaction_id": "string",
            "atm_id": "bigint",
            "transacted_at_local": "timestamp_ntz",
            "transacted_at_utc": "timestamp_ntz",
            "transaction_date": "date",
            "transaction_hour": "int",
            "transaction_weekday": "int",
            "amount": "decimal(18,2)",
            "transaction_type": "string",
            "customer_id": "bigint",
            "is_ambiguous_local_time": "boolean",
            "is_twin": "boolean",
        },
        flatten=flatten_transactions,
        key="transaction_id",
        month_of="transacted_at_local",
        unique_in_file=True,
    ),
)
