"""Raw files to Iceberg with Apache Spark 3.5, as most people write it: types are inferred.

Settings are Spark's own but for what reaches the lake, which comes from ``SPARK_CONF_DIR``.
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
        f"file://{folder}/core_banking/customers.csv", header=True, inferSchema=True
    )
    customers.writeTo(f"lake.{namespace}.customers").create()

    credit = spark.read.json(f"file://{folder}/credit_bureau/credit_data.json", multiLine=True)
    profiles = credit.select("customer_id", "credit_score", "delinquencies")
    profiles.writeTo(f"lake.{namespace}.credit_profiles").create()
    loans = credit.select(
        "customer_id", F.posexplode("outstanding_loans").alias("position", "loan")
    ).select(
        "customer_id",
        (F.col("position") + 1).alias("loan_number"),
        F.col("loan.type").alias("loan_type"),
        F.col("loan.amount").cast("decimal(18, 2)").alias("amount"),
    )
    loans.writeTo(f"lake.{namespace}.loans").create()

    delivered = spark.read.csv(
        f"file://{folder}/atm/atm_activity.csv", header=True, inferSchema=True
    ).withColumn("amount", F.col("amount").cast("decimal(18, 2)"))
    fields = ["atm_id", "timestamp", "amount", "transaction_type", "customer_id"]
    transactions = delivered.select(
        F.left(F.sha2(F.concat_ws("|", *fields, F.lit(1)), 256), F.lit(32)).alias("transaction_id"),
        "atm_id",
        F.col("timestamp").alias("transacted_at_local"),
        F.to_utc_timestamp("timestamp", "America/Toronto").alias("transacted_at_utc"),
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
        .create()
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
