"""Raw files to Iceberg with Polars and PyIceberg: explicit schemas, streamed where it can."""

from __future__ import annotations

import os
import sys

import polars as pl
import polars_hash as plh
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.transforms import MonthTransform

MONEY = pl.Decimal(18, 2)


def connect() -> Catalog:
    """The lake's catalog."""
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    catalog = os.environ["LAKE_CATALOG"]
    return load_catalog(
        "lake",
        **{
            "type": "rest",
            "uri": catalog,
            "warehouse": "s3://lake",
            "credential": f"{key}:{secret}",
            "oauth2-server-uri": f"{catalog}/v1/oauth/tokens",
            "s3.endpoint": os.environ["LAKE_S3"],
            "s3.region": "us-east-1",
        },
    )


def main(folder: str, namespace: str) -> None:
    """Write the four tables of ``folder``'s deliveries into ``namespace``."""
    catalog = connect()
    catalog.create_namespace_if_not_exists(namespace)

    def write(name: str, frame: pl.DataFrame, month_of: str | None = None) -> None:
        arrow = frame.to_arrow()
        table = catalog.create_table(f"{namespace}.{name}", arrow.schema)
        if month_of:
            with table.update_spec() as update:
                update.add_field(month_of, MonthTransform(), f"{month_of}_month")
        table.append(arrow)

    write(
        "customers",
        pl.read_csv(
            f"{folder}/core_banking/customers.csv",
            schema={
                "customer_id": pl.Int64,
                "name": pl.String,
                "email": pl.String,
                "city": pl.String,
            },
        ),
    )

    credit = pl.read_json(
        f"{folder}/credit_bureau/credit_data.json",
        schema={
            "customer_id": pl.Int64,
            "credit_score": pl.Int32,
            "delinquencies": pl.Int32,
            "outstanding_loans": pl.List(pl.Struct({"type": pl.String, "amount": pl.Float64})),
        },
    )
    write("credit_profiles", credit.select("customer_id", "credit_score", "delinquencies"))
    loans = (
        credit.lazy()
        .select("customer_id", "outstanding_loans")
        .filter(pl.col("outstanding_loans").list.len() > 0)
        .with_columns(loan_number=pl.int_ranges(1, pl.col("outstanding_loans").list.len() + 1))
        .explode("outstanding_loans", "loan_number")
        .select(
            "customer_id",
            pl.col("loan_number").cast(pl.Int32),
            loan_type=pl.col("outstanding_loans").struct.field("type"),
            amount=pl.col("outstanding_loans").struct.field("amount").round(2).cast(MONEY),
        )
        .collect()
    )
    write("loans", loans)

    fields = ("atm_id", "timestamp", "amount", "transaction_type", "customer_id")
    local = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    transactions = (
        pl.scan_csv(
            f"{folder}/atm/atm_activity.csv",
            schema={
                "atm_id": pl.Int64,
                "timestamp": pl.String,
                "amount": pl.String,
                "transaction_type": pl.String,
                "customer_id": pl.Int64,
            },
        )
        .with_columns(at=local, amount=pl.col("amount").cast(MONEY))
        .select(
            plh.concat_str(*fields, pl.lit("1"), separator="|")
            .chash.sha2_256()
            .str.head(32)
            .alias("transaction_id"),
            "atm_id",
            transacted_at_local="at",
            transacted_at_utc=pl.col("at")
            .dt.replace_time_zone("America/Toronto", ambiguous="earliest")
            .dt.convert_time_zone("UTC")
            .dt.replace_time_zone(None),
            transaction_date=pl.col("at").dt.date(),
            transaction_hour=pl.col("at").dt.hour().cast(pl.Int32),
            transaction_weekday=pl.col("at").dt.weekday().cast(pl.Int32),
            amount="amount",
            transaction_type="transaction_type",
            customer_id="customer_id",
        )
        .collect(engine="streaming")
    )
    write("transactions", transactions, month_of="transacted_at_local")


if __name__ == "__main__":
    main(*sys.argv[1:])
