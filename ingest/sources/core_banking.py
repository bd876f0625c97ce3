"""Customers of the core banking system: one full snapshot, from Postgres or as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.flat_table import LINEAGE, FlatTable
from ingest.sources.contract import (
    Column,
    CsvContract,
    Rule,
    optional_text,
    whole_number,
    with_lineage,
)
from lakehouse.catalog import CUSTOMERS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

NAME = "core_banking"
SNAPSHOT = True

_email = optional_text("email", 100)

CONTRACT = CsvContract(
    columns=(
        whole_number("customer_id"),
        # Only the id is required, as in the bank's own table: a customer without a name, an address
        # or a city has loans and transactions like everyone else.
        optional_text("name", 100),
        Column(
            "email",
            _email.typed,
            (
                *_email.rules,
                Rule(
                    r"t_email IS NULL OR regexp_full_match(email, '[^@\s\p{Z}]+@[^@\s\p{Z}]+')",
                    "not an e-mail address",
                ),
            ),
        ),
        optional_text("city", 50),
    ),
    landed=(
        ("customer_id", "CAST(t_customer_id AS BIGINT)"),
        ("name", "t_name"),
        ("email", "t_email"),
        ("city", "t_city"),
    ),
    rows=(
        ("customer_id", "customer_id"),
        ("name", "name"),
        ("email", "email"),
        ("city", "city"),
    ),
    unique=("customer_id", "email"),
)


def schema() -> pa.Schema:
    """Landed schema."""
    import pyarrow as pa

    return with_lineage(
        [
            pa.field("customer_id", pa.int64()),
            pa.field("name", pa.string()),
            pa.field("email", pa.string()),
            pa.field("city", pa.string()),
        ]
    )


def fake() -> list[dict[str, Any]]:
    """Delivered rows that land, as text by column."""
    return [
        {
            "customer_id": "1",
            "name": "Siobhán O'Brien",
            "email": "siobhan.obrien@example.com",
            "city": "St. John's",
        },
        {
            "customer_id": "2",
            "name": "Wendy Zhao",
            "email": "wendy.zhao@example.org",
            "city": "Calgary",
        },
    ]


def flatten_customers(landed: DataFrame) -> DataFrame:
    """One row a customer."""
    return landed.select("customer_id", "name", "email", "city", *LINEAGE)


FLAT_TABLES = (
    FlatTable(
        table=CUSTOMERS,
        columns={
            "customer_id": "bigint",
            "name": "string",
            "email": "string",
            "city": "string",
        },
        flatten=flatten_customers,
    ),
)
