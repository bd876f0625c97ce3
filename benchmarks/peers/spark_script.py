"""Raw files to Iceberg with Apache Spark 3.5, tuned: explicit schemas, no shuffle, a cached parse.

The session's settings (catalog, S3, jars) come from ``SPARK_CONF_DIR``.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as most people write it


def main(folder: str, namespace: str) -> None:
    """Write the four tables of ``folder``'s deliveries into ``namespace``."""
    spark = SparkSession.builder.appName("raw files to Iceberg").getOrCreate()
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS lake.{namespace}")

    customers = spark.read.csv(
        f"file://{folder}/core_banking/customers.csv",
        header=True,
        schema="customer_id BIGINT, name STRING, email STRING, city STRING",
    )
    customers.writeTo(f"lake.{namespace}.customers").create()

    credit = spark.read.json(
        f"file://{folder}/credit_bureau/credit_data.json",
        multiLine=True,
        schema="customer_id BIGINT, credit_score INT, delinquencies INT,"
        " outstanding_loans ARRAY<STRUCT<type: STRING, amount: DECIMAL(18, 2)>>",
    ).cache()
    profiles = credit.select("customer_id", "credit_score", "delinquencies")
    profiles.writeTo(f"lake.{namespace}.credit_profiles").create()
    loans = credit.select(
        "customer_id", F.posexplode("outstanding_loans").alias("position", "loan")
    ).select(
        "customer_id",
        (F.col("position") + 1).alias("loan_number"),
        F.col("loan.type").alias("loan_type"),
        F.col("loan.amount").alias("amount"),
    )
    loans.writeTo(f"lake.{namespace}.loans").create()
    credit.unpersist()

    delivered = spark.read.csv(
        f"file://{folder}/atm/atm_activity.csv",
        header=True,
        schema="atm_id BIGINT, timestamp TIMESTAMP_NTZ, amount DECIMAL(18, 2),"
        " transaction_type STRING, customer_id BIGINT",
    )
    fields = ["atm_id", "timestamp", "amount", "transaction_type", "customer_id"]
    transactions = delivered.select(
        F.left(F.sha2(F.concat_ws("|", *fields, F.lit(1)), 256), F.lit(32)).alias("transaction_id"),
        "atm_id",
        F.col("timestamp").alias("transacted_at_local"),
        F.to_utc_timestamp("timestamp", "America/Toronto")
        .cast("timestamp_ntz")
        .alias("transacted_at_utc"),
        F.to_date("timestamp").alias("transaction_date"),
        F.hour("timestamp").alias("transaction_hour"),
        (F.weekday("timestamp") + 1).alias("transaction_weekday"),
        "amount",
        "transaction_type",
        "customer_id",
    )
    (
        transactions.writeTo(f"lake.{namespace}.transactions")
        .partitionedBy(F.months("transacted_at_local"))
        # Else Iceberg shuffles all rows of a month into one task.
        .tableProperty("write.distribution-mode", "none")
        .tableProperty("write.spark.fanout.enabled", "true")
        .create()
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
