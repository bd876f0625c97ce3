"""One flatten code, two engines: Sail and Apache Spark make the same rows of the same landing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.flatten import pending_batches
from lakehouse import catalog, clients, landing, services
from lakehouse.duck import connect_lake
from lakehouse.settings import REPOSITORY, Settings, load
from tests.jvm.spark import deliveries
from tests.jvm.spark.one_run import TABLES_BEFORE_DEATH
from tests.jvm.spark.row_hashes import differing, hashes_of

EQUAL = {table.identifier: 0 for table in catalog.RAW_TABLES}
OTHER = {"sail": "spark", "spark": "sail"}


@pytest.fixture(scope="module")
def lake() -> Iterator[Settings]:
    """A lake of this module's own, into which the first delivery has landed."""
    with tempfile.TemporaryDirectory(prefix="discover-jvm-") as folder:
        services.up(Path(folder), ["seaweedfs"])
        try:
            settings = load(folder, "local", bad_share_limit=0.5)
            deliveries.first(settings, Path(folder) / "first")
            yield settings
        finally:
            services.down(Path(folder))


@pytest.fixture(scope="module")
def by_sail(lake: Settings) -> Any:
    """The rows that Sail makes of the first delivery."""
    start_over(lake)
    discover_flatten(lake, "sail")
    return hashes_of(lake)


def start_over(settings: Settings) -> None:
    """Only what landed stays."""
    iceberg = clients.iceberg(settings)
    for table in catalog.RAW_TABLES:
        if iceberg.namespace_exists(table.namespace) and iceberg.table_exists(table.identifier):
            iceberg.drop_table(table.identifier)
    store = clients.lake_store(settings, catalog.LAKE_BUCKET)
    for page in store.list("landing/_flattened/"):
        store.delete([found["path"] for found in page])


def discover_flatten(settings: Settings, engine: str) -> dict[str, dict[str, Any]]:
    """What a person gets who types the command, without having prepared a Spark."""
    done = run("-m", "discover", *("flatten", "--engine", engine, "--json"), settings=settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Spark's own log is not for people"
    return {table["table"]: table for table in json.loads(done.stdout)["tables"]}


def one_run(settings: Settings, engine: str, how: str) -> subprocess.CompletedProcess[str]:
    home = str(settings.home)
    return run("-m", "tests.jvm.spark.one_run", home, engine, how, settings=settings)


def run(*arguments: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "SPARK" not in name}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment | {"DISCOVER_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )


def nothing_is_pending(settings: Settings) -> bool:
    return all(pending_batches(settings, source) == [] for source in catalog.SOURCES)


def test_the_delivery_holds_what_engines_could_differ_on(lake: Settings, by_sail: Any) -> None:
    with connect_lake(lake) as connection:
        found = connection.execute(
            "SELECT count(*) FILTER (is_twin), count(*) FILTER (is_ambiguous_local_time),"
            " count(*) FILTER (amount IS NULL), count(DISTINCT transaction_date)"
            " FROM lake.raw_atm.transactions"
        ).fetchall()[0]
        assert min(found) >= 1, found
        assert connection.execute(
            "SELECT count(*) FILTER (record_status = 'quarantined') >= 1,"
            " count(*) FILTER (credit_score > 0) >= 100 FROM lake.raw_credit_bureau.credit_profiles"
        ).fetchall() == [(True, True)]
        assert connection.execute(
            "SELECT count(*) FILTER (occurred_at_utc IS NULL) >= 1,"
            " count(*) FILTER (description = '') >= 1 FROM lake.raw_feedback.complaints"
        ).fetchall() == [(True, True)]


def test_every_function_makes_the_same_rows_of_the_same_types(lake: Settings) -> None:
    sail, spark = (
        json.loads(one_run(lake, engine, "functions").stdout) for engine in ("sail", "spark")
    )
    hashes = [{table: side[table]["hashes"] for table in side} for side in (sail, spark)]
    assert differing(*hashes) == EQUAL
    assert all(hashes[0].values()), "a table without rows proves nothing"
    assert {table: found["types"] for table, found in sail.items()} == {
        table: found["types"] for table, found in spark.items()
    }


def test_spark_writes_the_tables_that_sail_writes(lake: Settings, by_sail: Any) -> None:
    start_over(lake)
    done = discover_flatten(lake, "spark")
    by_spark = hashes_of(lake)
    assert differing(by_sail, by_spark) == EQUAL
    assert {table: len(rows) for table, rows in by_spark.items()} == {
        table: found["rows_out"] for table, found in done.items()
    }
    assert nothing_is_pending(lake)


def test_a_cent_of_difference_is_seen(lake: Settings, by_sail: Any) -> None:
    start_over(lake)
    discover_flatten(lake, "sail")
    with connect_lake(lake) as connection:
        connection.execute(
            "UPDATE lake.raw_credit_bureau.loans SET amount = amount + 0.01"
            " WHERE loan_number = 1 AND customer_id ="
            " (SELECT min(customer_id) FROM lake.raw_credit_bureau.loans)"
        )
        connection.execute("DELETE FROM lake.raw_atm.transactions WHERE transaction_id = 'odd 1'")
    assert differing(by_sail, hashes_of(lake)) == {
        **EQUAL,
        "raw_credit_bureau.loans": 2,
        "raw_atm.transactions": 1,
    }


@pytest.mark.parametrize(
    ("engine", "how", "standing"),
    [
        ("sail", "die-before-the-marker", len(catalog.RAW_TABLES)),
        ("spark", "die-between-tables", TABLES_BEFORE_DEATH),
    ],
)
def test_what_one_engine_left_half_done_the_other_completes(
    lake: Settings, by_sail: Any, engine: str, how: str, standing: int
) -> None:
    start_over(lake)
    died = one_run(lake, engine, how)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert sum(bool(rows) for rows in hashes_of(lake).values()) == standing
    assert landing.flattened_batch_ids(lake, "atm") == set()

    discover_flatten(lake, OTHER[engine])

    assert differing(by_sail, hashes_of(lake)) == EQUAL
    assert nothing_is_pending(lake)


def test_a_second_delivery_is_appended_by_the_engine_that_did_not_write_the_table(
    lake: Settings, tmp_path: Path
) -> None:
    """Last of all: from here on a second delivery has landed."""
    start_over(lake)
    discover_flatten(lake, "sail")
    written_by_sail = hashes_of(lake)
    deliveries.second(lake, tmp_path, lake.home / "first")

    appended = discover_flatten(lake, "spark")
    mixed = hashes_of(lake)
    assert appended["raw_atm.transactions"]["rows_out"] == 3
    assert appended["raw_feedback.complaints"]["rows_out"] == 1
    for table in ("raw_atm.transactions", "raw_feedback.complaints"):
        assert written_by_sail[table] <= mixed[table], "rows that stood are untouched"

    again = discover_flatten(lake, "spark")
    assert not any(found["changed"] for found in again.values())
    assert hashes_of(lake) == mixed

    start_over(lake)
    discover_flatten(lake, "sail")
    assert differing(mixed, hashes_of(lake)) == EQUAL
