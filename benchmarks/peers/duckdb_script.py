"""Raw files to Iceberg with DuckDB: a SQL script with explicit types."""

from __future__ import annotations

import os
import sys

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """A connection with the lake's catalog attached as ``lake``."""
    connection = duckdb.connect(config={"extension_directory": os.environ["DUCKDB_EXTENSIONS"]})
    connection.execute("SET TimeZone = 'UTC'")
    for extension in ("httpfs", "avro", "iceberg"):
        connection.execute(f"LOAD {extension}")
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    store, catalog = os.environ["LAKE_S3"], os.environ["LAKE_CATALOG"]
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1',"
        f" ENDPOINT '{store.removeprefix('http://')}', URL_STYLE 'path', USE_SSL false)"
    )
    connection.execute(
        f"ATTACH 'lake' AS lake (TYPE iceberg, ENDPOINT '{catalog}', CLIENT_ID '{key}',"
        f" CLIENT_SECRET '{secret}', OAUTH2_SERVER_URI '{catalog}/v1/oauth/tokens')"
    )
    return connection


def main(folder: str, namespace: str) -> None:
    """Write the four tables of ``folder``'s deliveries into ``namespace``."""
    lake = connect()
    lake.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{namespace}")
    lake.execute(
        f"""
        CREATE TABLE lake.{namespace}.customers AS
        SELECT *
        FROM read_csv('{folder}/core_banking/customers.csv', header = true,
            columns = {{customer_id: 'BIGINT', name: 'VARCHAR', email: 'VARCHAR', city: 'VARCHAR'}})
        """
    )
    lake.execute(
        f"""
        CREATE TEMP TABLE credit AS
        SELECT *
        FROM read_json('{folder}/credit_bureau/credit_data.json', format = 'array',
            columns = {{customer_id: 'BIGINT', credit_score: 'INTEGER', delinquencies: 'INTEGER',
                outstanding_loans: 'STRUCT(type VARCHAR, amount DECIMAL(18, 2))[]'}})
        """
    )
    lake.execute(
        f"""
        CREATE TABLE lake.{namespace}.credit_profiles AS
        SELECT customer_id, credit_score, delinquencies FROM credit
        """
    )
    lake.execute(
        f"""
        CREATE TABLE lake.{namespace}.loans AS
        SELECT customer_id, CAST(loan_number AS INTEGER) AS loan_number, loan.type AS loan_type,
            loan.amount AS amount
        FROM (
            SELECT customer_id, generate_subscripts(outstanding_loans, 1) AS loan_number,
                unnest(outstanding_loans) AS loan
            FROM credit
        )
        """
    )
    lake.execute(
        f"""
        CREATE TABLE lake.{namespace}.transactions (
            transaction_id VARCHAR, atm_id BIGINT, transacted_at_local TIMESTAMP,
            transacted_at_utc TIMESTAMP, transaction_date DATE, transaction_hour INTEGER,
            transaction_weekday INTEGER, amount DECIMAL(18, 2), transaction_type VARCHAR,
            customer_id BIGINT
        )
        PARTITIONED BY (month(transacted_at_local))
        """
    )
    lake.execute(
        f"""
        INSERT INTO lake.{namespace}.transactions
        SELECT
            left(sha256(concat_ws('|', atm_id, timestamp, amount, transaction_type,
                customer_id, 1)), 32),
            atm_id, timestamp, timezone('UTC', timezone('America/Toronto', timestamp)),
            CAST(timestamp AS DATE), hour(timestamp), isodow(timestamp), amount,
            transaction_type, customer_id
        FROM read_csv('{folder}/atm/atm_activity.csv', header = true,
            columns = {{atm_id: 'BIGINT', timestamp: 'TIMESTAMP', amount: 'DECIMAL(18, 2)',
                transaction_type: 'VARCHAR', customer_id: 'BIGINT'}})
        """
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
