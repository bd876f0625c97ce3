"""Raw files to Iceberg over S3: land + flatten beside scripts as they are usually written.

Ours checks every value, keeps the original bytes and the typed landing, and then writes Iceberg
tables; the scripts trust their input and write the tables alone. All write the same business
columns; their equality is checked by hashes of all rows.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from benchmarks.bench import DISCOVER, PYTHON, Bench, Measured, bench, report
from lakehouse import jvm
from lakehouse.duck import connect_lake
from lakehouse.services import environments
from lakehouse.settings import REPOSITORY, Settings

CUSTOMERS, DAYS, SEED, LAST_DAY = 500_000, 12, 1, date(2026, 6, 25)
PEERS = REPOSITORY / "benchmarks" / "peers"
TUNED = ("spark.driver.extraJavaOptions", "spark.driver.memory", "spark.sql.shuffle.partitions")
"""Settings that ``spark_plain`` doesn't get."""
OURS = "land + flatten, as a refresh does"
NAMESPACES = {
    "customers": "raw_core_banking",
    "credit_profiles": "raw_credit_bureau",
    "loans": "raw_credit_bureau",
    "transactions": "raw_atm",
}
COLUMNS = {
    "customers": "customer_id, name, email, city",
    "credit_profiles": "customer_id, credit_score, delinquencies",
    "loans": "customer_id, loan_number, loan_type, amount",
    "transactions": (
        "atm_id, CAST(transacted_at_local AS TIMESTAMP), CAST(transacted_at_utc AS TIMESTAMP),"
        " transaction_date, transaction_hour, transaction_weekday, amount, transaction_type,"
        " customer_id"
    ),
}


def main() -> None:
    """Measure all contenders on one delivery, and compare their tables."""
    with bench("seaweedfs") as small:
        # Not measured: whatever Python has to compile is compiled once.
        few = _delivery(small, 50)
        _ours(small, few)
        for script in ("duckdb", "polars"):
            _peer(small, script, few)
    with bench("seaweedfs") as lake:
        data = _delivery(lake, CUSTOMERS)
        delivered = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
        runs = {OURS: _ours(lake, data)}
        hashes = {OURS: _hashes(lake.settings, NAMESPACES)}
        for name, script in (
            ("DuckDB script", "duckdb"),
            ("Polars script", "polars"),
            ("Spark 3.5 script, tuned", "spark"),
            ("Spark 3.5 script, as usual", "spark_plain"),
        ):
            runs[name] = _peer(lake, script, data)
            hashes[name] = _hashes(lake.settings, dict.fromkeys(NAMESPACES, f"bench_{script}"))
    ours = runs[OURS]
    rows = [
        {
            "contender": name,
            "CPU s": run.cpu_seconds,
            "ours / it": round(ours.cpu_seconds / run.cpu_seconds, 2),
            "peak MB": run.peak_mb,
            "wall s": run.seconds,
            "SeaweedFS CPU s": run.services_cpu_seconds,
            "transactions": hashes[name]["transactions"][0],
            "distinct ids": hashes[name]["transactions"][2],
            "rows equal ours": "yes" if _rows(hashes[name]) == _rows(hashes[OURS]) else "NO",
        }
        for name, run in runs.items()
    ]
    report(
        "flatten",
        "Raw files to Iceberg over S3",
        f"{CUSTOMERS:,} customers, {hashes[OURS]['transactions'][0]:,} transactions,"
        f" {delivered / 1e6:,.0f} MB of raw files. `make bench ONLY=flatten`: one run each, one"
        " after the other on the same store. CPU is of the whole process tree, without SeaweedFS,"
        " whose share stands beside it; memory is of the tree. Python's bytecode stood from a"
        " run on 50 customers. Rows are compared by hashes over all business columns. An id is the"
        " hash of a row's fields: only ours tells true twins apart.",
        rows,
    )


def _delivery(lake: Bench, customers: int) -> Path:
    data = lake.home / "data"
    size = ["--customers", str(customers), "--days", str(DAYS), "--seed", str(SEED)]
    lake.run(DISCOVER, "generate", *size, "--out", str(data), "--end-date", str(LAST_DAY))
    return data


def _ours(lake: Bench, data: Path) -> Measured:
    return lake.run(PYTHON, "-m", "benchmarks.land_and_flatten", str(lake.home), str(data))


def _peer(lake: Bench, script: str, data: Path) -> Measured:
    settings = lake.settings
    secret = settings.lake_secret_access_key
    assert secret is not None
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": settings.lake_access_key_id or "",
        "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
        "DUCKDB_EXTENSIONS": str(lake.home / "duckdb_extensions"),
        "LAKE_CATALOG": settings.catalog_uri or "",
        "LAKE_S3": settings.lake_endpoint or "",
    }
    python = PYTHON
    if script == "polars":
        python = str(environments.ensure("bench", megabytes=700) / "python")
    if script.startswith("spark"):
        conf = lake.home / script
        environment |= jvm.spark_environment(settings, conf)
        if script == "spark_plain":
            defaults = conf / "spark-defaults.conf"
            lines = defaults.read_text().splitlines(keepends=True)
            defaults.write_text("".join(line for line in lines if not line.startswith(TUNED)))
    path = PEERS / f"{script}_script.py"
    return lake.run(python, str(path), str(data), f"bench_{script}", environment=environment)


def _hashes(settings: Settings, namespaces: dict[str, str]) -> dict[str, tuple[int, int, int]]:
    """Of each table: rows, the sum of their hashes, and distinct ids (0 where it has none)."""
    found = {}
    with connect_lake(settings) as reader:
        for table, namespace in namespaces.items():
            ids = "count(DISTINCT transaction_id)" if table == "transactions" else "0"
            row = reader.execute(
                f"SELECT count(*), sum(CAST(hash(concat_ws('|', {COLUMNS[table]})) AS HUGEINT)),"
                f" {ids} FROM lake.{namespace}.{table}"
            ).fetchone()
            assert row is not None
            found[table] = row
    return found


def _rows(hashes: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, int]]:
    return {table: (count, total) for table, (count, total, _) in hashes.items()}
