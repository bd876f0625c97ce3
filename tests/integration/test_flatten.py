"""Landed Parquet to Iceberg on Sail: two deliveries of a bank that fits on one page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow as pa
import pytest

from discover import cli
from expectations import raw
from expectations.report import Check
from ingest import flatten as job
from ingest import raw_tables, table_upkeep
from ingest.flatten import FLAT_TABLES, flatten
from ingest.raw_tables import iceberg_schema
from ingest.sources import REGISTRY
from lakehouse import catalog, clients, landing, services
from lakehouse.errors import DiscoverError
from lakehouse.landing import Batch, LandedFile
from lakehouse.settings import Settings, load
from lakehouse.spark import session
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CUSTOMERS = [
    {"customer_id": 1, "name": "Ana Roy", "email": "ana@example.com", "city": "Toronto"},
    {"customer_id": 2, "name": "Bo Lee", "email": "bo@example.com", "city": "Calgary"},
    {"customer_id": 3, "name": "Cy Fox", "email": "cy@example.com", "city": "Regina"},
]
CREDIT = [
    {
        "customer_id": 1,
        "record_status": "present",
        "credit_score": 700,
        "delinquencies": 0,
        "outstanding_loans": [
            {"type": "house", "amount": Decimal("250000.00")},
            {"type": "car", "amount": Decimal("9999.99")},
        ],
    },
    {
        "customer_id": 2,
        "record_status": "present",
        "credit_score": 580,
        "delinquencies": 2,
        "outstanding_loans": [],
    },
    {"customer_id": 3, "record_status": "quarantined"},
]
FEEDBACK = [
    {
        "feedback_id": "aaaaaaaa-0000-4000-8000-000000000001",
        "category": "ATM Issue",
        "description": "It kept my card.",
        "occurred_at_utc": datetime.fromisoformat("2026-03-01T12:00:00.000005"),
    },
    {
        "feedback_id": "aaaaaaaa-0000-4000-8000-000000000002",
        "category": "Card Issue",
        "description": "Too slow.",
        "occurred_at_utc": None,
    },
]


def transaction(name: str, local: str, amount: str, **changed: Any) -> dict[str, Any]:
    when = datetime.fromisoformat(local)
    return {
        "transaction_id": name * 64,
        "atm_id": 7,
        "transacted_at_local": when,
        "transacted_at_utc": when,
        "transaction_date": when.date(),
        "transaction_hour": when.hour,
        "transaction_weekday": when.isoweekday(),
        "amount": Decimal(amount),
        "transaction_type": "deposit",
        "customer_id": 1,
        "is_ambiguous_local_time": False,
        "is_twin": False,
        **changed,
    }


JANUARY = transaction("a", "2026-01-31T23:59:59.999999", "20.10")
FEBRUARY = transaction("b", "2026-02-01T00:00:00", "0.01", transaction_type="withdrawal")
MARCH = transaction("c", "2026-03-08T03:00:00", "1000000.00", customer_id=2)


def put(
    settings: Settings, source: str, *files: list[dict[str, Any]], ingested: datetime | None = None
) -> Batch:
    """Land files as landing would: typed Parquet, then the manifest."""
    module = REGISTRY[source]
    now = datetime.now(UTC)
    batch_id = landing.new_batch_id(now, source)
    landed = []
    for number, rows in enumerate(files, start=1):
        name = f"{source}-{number}"
        lineage = {
            "_source_file": name,
            "_batch_id": batch_id,
            "_ingested_at": ingested or now.replace(tzinfo=None),
        }
        table = pa.Table.from_pylist(
            [{**row, **lineage, "_source_row": line} for line, row in enumerate(rows, start=2)],
            schema=module.schema(),
        )
        good = sum(row.get("record_status") != "quarantined" for row in rows)
        key = landing.write_parquet(settings, source, batch_id, name, table)
        landed.append(LandedFile(name, name, len(rows), good, len(rows) - good, key))
    batch = Batch(batch_id, source, now.isoformat(), module.SNAPSHOT, tuple(landed))
    landing.write_batch(settings, batch)
    return batch


def rows_of(settings: Settings, table: catalog.RawTable) -> list[dict[str, Any]]:
    loaded = clients.iceberg(settings).load_table(table.identifier).scan().to_arrow()
    return sorted(loaded.to_pylist(), key=lambda row: str(list(row.values())))


@pytest.fixture(scope="module")
def lake() -> Iterator[Settings]:
    """A lake of this module's own: its tests wipe it."""
    with tempfile.TemporaryDirectory(prefix="discover-lake-") as folder:
        services.up(Path(folder), ["seaweedfs"])
        try:
            yield load(folder, "local")
        finally:
            services.down(Path(folder))


@pytest.fixture
def empty_lake(lake: Settings) -> Settings:
    """No landed batch and no raw table."""
    iceberg = clients.iceberg(lake)
    for table in catalog.RAW_TABLES:
        if iceberg.namespace_exists(table.namespace) and iceberg.table_exists(table.identifier):
            iceberg.drop_table(table.identifier)
    store = clients.lake_store(lake, catalog.LAKE_BUCKET)
    for page in store.list("landing/"):
        store.delete([found["path"] for found in page])
    return lake


def test_all_tables_stand_before_anything_was_landed_and_no_spark_starts(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "session", lambda *_: pytest.fail("Spark was started"))
    done = flatten(empty_lake)
    assert [(table.rows_in, table.rows_out, table.changed) for table in done] == [(0, 0, False)] * 5
    iceberg = clients.iceberg(empty_lake)
    for flat in FLAT_TABLES:
        table = iceberg.load_table(flat.table.identifier)
        assert {f.name: str(f.field_type) for f in table.schema().fields} == {
            f.name: str(f.field_type) for f in iceberg_schema(flat).fields
        }
        assert table.scan().to_arrow().num_rows == 0


def test_the_first_delivery_arrives_row_for_row(empty_lake: Settings) -> None:
    put(empty_lake, "core_banking", CUSTOMERS)
    put(empty_lake, "credit_bureau", CREDIT)
    put(empty_lake, "atm", [JANUARY, FEBRUARY])
    put(empty_lake, "feedback", FEEDBACK)

    done = {table.table: table for table in flatten(empty_lake)}

    assert json.loads(json.dumps([asdict(table) for table in done.values()]))
    assert {name: (t.rows_in, t.rows_out, t.changed) for name, t in done.items()} == {
        "raw_core_banking.customers": (3, 3, True),
        "raw_credit_bureau.credit_profiles": (2, 3, True),
        "raw_credit_bureau.loans": (2, 2, True),
        "raw_atm.transactions": (2, 2, True),
        "raw_feedback.complaints": (2, 2, True),
    }
    loans = rows_of(empty_lake, catalog.LOANS)
    assert [
        (row["customer_id"], row["loan_number"], row["loan_type"], row["amount"]) for row in loans
    ] == [(1, 1, "house", Decimal("250000.00")), (1, 2, "car", Decimal("9999.99"))]
    profiles = rows_of(empty_lake, catalog.CREDIT_PROFILES)
    assert [
        (row["customer_id"], row["record_status"], row["credit_score"]) for row in profiles
    ] == [
        (1, "present", 700),
        (2, "present", 580),
        (3, "quarantined", None),
    ]
    january, february = rows_of(empty_lake, catalog.TRANSACTIONS)
    assert january["transacted_at_local"] == datetime.fromisoformat("2026-01-31T23:59:59.999999")
    assert january["transaction_date"] == date(2026, 1, 31)
    assert january["_source_row"] == 2
    assert february["amount"] == Decimal("0.01")
    first, second = rows_of(empty_lake, catalog.COMPLAINTS)
    assert first["occurred_at_utc"] == datetime.fromisoformat("2026-03-01T12:00:00.000005")
    assert second["occurred_at_utc"] is None
    assert raw.check_raw(empty_lake).failed == ()


def test_transactions_are_partitioned_by_the_month_of_the_plain_local_time(
    empty_lake: Settings,
) -> None:
    put(empty_lake, "atm", [JANUARY, FEBRUARY, MARCH])
    flatten(empty_lake)
    table = clients.iceberg(empty_lake).load_table(catalog.TRANSACTIONS.identifier)
    (field,) = table.spec().fields
    assert str(field.transform) == "month"
    assert str(table.schema().find_type(field.source_id)) == "timestamp"
    assert len(list(table.scan().plan_files())) == 3
    assert table.properties["write.metadata.delete-after-commit.enabled"] == "true"


def test_of_a_complaint_that_came_twice_the_first_that_landed_stays(empty_lake: Settings) -> None:
    again = FEEDBACK[0] | {"description": "again"}
    put(empty_lake, "feedback", [again], ingested=datetime.fromisoformat("2026-03-02T00:00:01"))
    put(empty_lake, "feedback", [FEEDBACK[0]], ingested=datetime.fromisoformat("2026-03-02"))
    flatten(empty_lake)
    (complaint,) = rows_of(empty_lake, catalog.COMPLAINTS)
    assert complaint["description"] == "It kept my card."


def test_a_delivery_that_overlaps_adds_only_what_is_new(empty_lake: Settings) -> None:
    put(empty_lake, "atm", [JANUARY, FEBRUARY])
    flatten(empty_lake)
    first_batch = rows_of(empty_lake, catalog.TRANSACTIONS)[0]["_batch_id"]

    put(empty_lake, "atm", [FEBRUARY, MARCH], [MARCH])
    put(empty_lake, "feedback", [FEEDBACK[0]], [FEEDBACK[0] | {"description": "again"}])
    done = {table.table: table for table in flatten(empty_lake)}

    assert done["raw_atm.transactions"].rows_in == 3
    assert done["raw_atm.transactions"].rows_out == 1
    rows = rows_of(empty_lake, catalog.TRANSACTIONS)
    assert [row["transaction_id"][0] for row in rows] == ["a", "b", "c"]
    assert rows[1]["_batch_id"] == first_batch
    assert rows[2]["_source_file"] == "atm-1"
    (complaint,) = rows_of(empty_lake, catalog.COMPLAINTS)
    assert complaint["description"] == "It kept my card."
    assert raw.check_raw(empty_lake).failed == ()

    put(empty_lake, "atm", [JANUARY])
    done = {table.table: table for table in flatten(empty_lake)}
    assert not done["raw_atm.transactions"].changed


def test_the_newest_snapshot_replaces_the_older_ones(empty_lake: Settings) -> None:
    put(empty_lake, "core_banking", CUSTOMERS)
    put(empty_lake, "credit_bureau", CREDIT)
    flatten(empty_lake)
    put(empty_lake, "core_banking", CUSTOMERS)
    put(empty_lake, "core_banking", CUSTOMERS[1:])
    put(empty_lake, "credit_bureau", CREDIT[1:])

    done = {table.table: table for table in flatten(empty_lake)}

    assert done["raw_core_banking.customers"].rows_in == 2
    assert [row["customer_id"] for row in rows_of(empty_lake, catalog.CUSTOMERS)] == [2, 3]
    assert rows_of(empty_lake, catalog.LOANS) == []
    assert job.pending_batches(empty_lake, "core_banking") == []
    assert raw.check_raw(empty_lake).failed == ()


def test_a_run_killed_before_its_marker_is_done_again_and_changes_nothing(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(empty_lake, "core_banking", CUSTOMERS)
    put(empty_lake, "credit_bureau", CREDIT)
    put(empty_lake, "atm", [JANUARY, FEBRUARY], [FEBRUARY])
    put(empty_lake, "feedback", FEEDBACK)
    tables = catalog.RAW_TABLES

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(landing, "mark_flattened", killed)
        with pytest.raises(KeyboardInterrupt):
            flatten(empty_lake)
    committed = {table.identifier: rows_of(empty_lake, table) for table in tables}
    assert all(committed.values())

    flatten(empty_lake)

    assert {table.identifier: rows_of(empty_lake, table) for table in tables} == committed
    assert all(job.pending_batches(empty_lake, source) == [] for source in catalog.SOURCES)


def test_many_small_deliveries_leave_few_files_and_the_same_rows(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_upkeep, "SMALL_FILES_A_MONTH", 2)
    monkeypatch.setattr(table_upkeep, "SNAPSHOTS_KEPT", 2)
    monkeypatch.setattr(table_upkeep, "READERS_LIVE", timedelta(0))
    monkeypatch.setattr(table_upkeep, "WRITTEN_BEFORE", timedelta(0))
    monkeypatch.setitem(raw_tables.PROPERTIES, "write.metadata.previous-versions-max", "3")
    put(empty_lake, "atm", [JANUARY])
    put(empty_lake, "core_banking", CUSTOMERS)
    flatten(empty_lake)
    for day in (1, 2, 3):
        put(empty_lake, "atm", [transaction(str(day), f"2026-03-0{day}T12:00:00", f"{day}.00")])
        put(empty_lake, "core_banking", CUSTOMERS)
        flatten(empty_lake)

    assert [row["transaction_id"][0] for row in rows_of(empty_lake, catalog.TRANSACTIONS)] == [
        *("1", "2", "3", "a")
    ]
    table = clients.iceberg(empty_lake).load_table(catalog.TRANSACTIONS.identifier)
    assert len(list(table.scan().plan_files())) == 2, "one a month"
    assert len(table.snapshots()) == 2
    for raw_table in (catalog.TRANSACTIONS, catalog.CUSTOMERS):
        files = objects(empty_lake, raw_table)
        assert sum(name.endswith(".metadata.json") for name in files) <= 5, files
        table = clients.iceberg(empty_lake).load_table(raw_table.identifier)
        # Of the snapshots that are left every file stands, and of the others none.
        kept = table_upkeep._files_of(table)
        assert {name for name in files if not name.endswith(".metadata.json")} == kept
        for snapshot in table.snapshots():
            assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows > 0
    assert raw.check_raw(empty_lake).failed == ()


def test_what_may_belong_to_a_commit_under_way_is_left_alone(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_upkeep, "SNAPSHOTS_LIVE", timedelta(0))
    monkeypatch.setattr(table_upkeep, "READERS_LIVE", timedelta(0))
    put(empty_lake, "atm", [JANUARY])
    flatten(empty_lake)
    store = clients.lake_store(empty_lake, catalog.TABLE_BUCKET)
    theirs = "raw_atm/transactions/data/transacted_at_local_month=2026-01/theirs.parquet"
    store.put(theirs, b"half written")
    put(empty_lake, "atm", [FEBRUARY])
    flatten(empty_lake)
    assert len(snapshots(empty_lake)) == 1
    assert f"s3://{catalog.TABLE_BUCKET}/{theirs}" in objects(empty_lake, catalog.TRANSACTIONS)

    monkeypatch.setattr(table_upkeep, "WRITTEN_BEFORE", timedelta(0))
    put(empty_lake, "atm", [MARCH])
    flatten(empty_lake)
    assert f"s3://{catalog.TABLE_BUCKET}/{theirs}" not in objects(empty_lake, catalog.TRANSACTIONS)
    assert len(rows_of(empty_lake, catalog.TRANSACTIONS)) == 3
    assert raw.check_raw(empty_lake).failed == ()


def objects(settings: Settings, table: catalog.RawTable) -> set[str]:
    """URLs of all files in a table's folder; some stores list the folders in it too."""
    store = clients.lake_store(settings, catalog.TABLE_BUCKET)
    return {
        f"s3://{catalog.TABLE_BUCKET}/{found['path']}"
        for page in store.list(f"{table.namespace}/{table.name}/")
        for found in page
        if "." in found["path"].rpartition("/")[2]
    }


def snapshots(settings: Settings) -> list[Any]:
    return clients.iceberg(settings).load_table(catalog.TRANSACTIONS.identifier).snapshots()


def test_a_sail_that_dies_in_the_middle_is_told_at_once(lake: Settings) -> None:
    def count_twice() -> None:
        before = set(psutil.Process().children())
        with session(lake) as spark:
            assert spark.range(3).count() == 3
            (server,) = set(psutil.Process().children()) - before
            server.kill()
            spark.range(3).count()

    started = time.monotonic()
    with pytest.raises(DiscoverError, match="Sail ended in the middle"):
        count_twice()
    assert time.monotonic() - started < 60, "the usual retries take ten minutes"


def test_every_flatten_ends_in_the_columns_that_its_table_has(lake: Settings) -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    with session(lake) as spark:
        for flat in FLAT_TABLES:
            schema = from_arrow_schema(
                REGISTRY[flat.table.source].schema(), prefer_timestamp_ntz=True
            )
            flat_rows = flat.flatten(spark.createDataFrame([], schema))
            assert dict(flat_rows.dtypes) == flat.schema


# What is planted into one table's rows: a condition and the columns it changes, or a row that goes
# missing. Each plant names every check that has to see it, and no other may.
PLANTS: dict[str, list[tuple[str, dict[str, str] | None, set[str]]]] = {
    "customers": [
        ("customer_id = 2", {"customer_id": "1"}, {"customer_id is unique"}),
        ("customer_id = 2", {"customer_id": "NULL"}, {"customer_id is never null"}),
        ("customer_id = 2", {"customer_id": "-5"}, {"customer_id is positive"}),
        ("customer_id = 2", {"email": "'ana@example.com'"}, {"email is unique"}),
        ("customer_id = 2", None, {"rows agree with what landed"}),
    ],
    "credit_profiles": [
        ("customer_id = 2", {"customer_id": "NULL"}, {"customer_id is never null"}),
        ("customer_id = 3", {"record_status": "'lost'"}, {"record_status is known", "totals"}),
        ("customer_id = 2", {"credit_score": "299"}, {"credit_score is on the scale"}),
        ("customer_id = 2", {"credit_score": "901"}, {"credit_score is on the scale"}),
        ("customer_id = 2", {"credit_score": "NULL"}, {"credit_score is never null"}),
        ("customer_id = 2", {"delinquencies": "-1"}, {"delinquencies is not negative"}),
        ("customer_id = 2", {"delinquencies": "NULL"}, {"delinquencies is never null"}),
        ("customer_id = 2", {"customer_id": "1"}, {"customer_id is unique"}),
        ("customer_id = 2", None, {"rows agree with what landed", "totals"}),
    ],
    "loans": [
        ("loan_number = 2", {"customer_id": "NULL"}, {"customer_id is never null"}),
        ("loan_number = 2", {"loan_number": "NULL"}, {"loan_number is never null"}),
        ("loan_number = 2", {"loan_number": "0"}, {"loan_number counts from 1"}),
        ("loan_number = 2", {"loan_number": "1"}, {"customer_id, loan_number is unique"}),
        ("loan_number = 2", {"loan_type": "'boat'"}, {"loan_type is known", "totals"}),
        ("loan_number = 2", {"loan_type": "NULL"}, {"loan_type is never null", "totals"}),
        ("loan_number = 2", {"amount": "0"}, {"amount is above zero", "totals"}),
        ("loan_number = 2", {"amount": "NULL"}, {"amount is never null", "totals"}),
        ("loan_number = 2", {"amount": "amount + 0.01"}, {"totals"}),
        ("loan_number = 2", None, {"totals"}),
    ],
    "transactions": [
        ("customer_id = 2", {"transaction_id": "NULL"}, {"transaction_id is never null"}),
        ("customer_id = 2", {"customer_id": "NULL"}, {"customer_id is never null"}),
        ("customer_id = 2", {"atm_id": "NULL"}, {"atm_id is never null"}),
        ("customer_id = 2", {"amount": "NULL"}, {"amount is never null", "totals"}),
        ("customer_id = 2", {"amount": "-0.01"}, {"amount is above zero", "totals"}),
        ("customer_id = 2", {"amount": "amount - 0.01"}, {"totals"}),
        (
            "customer_id = 2",
            {"transacted_at_local": "NULL"},
            {"transacted_at_local is never null"},
        ),
        ("customer_id = 2", {"transacted_at_utc": "NULL"}, {"transacted_at_utc is never null"}),
        (
            "customer_id = 2",
            {"transaction_date": "NULL"},
            {"transaction_date is never null", "totals"},
        ),
        ("customer_id = 2", {"transaction_date": "DATE '2026-04-01'"}, {"totals"}),
        ("customer_id = 2", {"transaction_hour": "24"}, {"transaction_hour is an hour"}),
        ("customer_id = 2", {"transaction_weekday": "0"}, {"transaction_weekday is a weekday"}),
        (
            "customer_id = 2",
            {"transaction_type": "'fee'"},
            {"transaction_type is known", "totals"},
        ),
        (
            "transaction_hour = 3",
            {"transaction_id": "repeat('a', 64)"},
            {"transaction_id is unique"},
        ),
        ("customer_id = 2", None, {"all of an overlapping delivery stands"}),
        (
            "customer_id = 2",
            {"_batch_id": "'unknown'", "amount": "amount + 1"},
            {"totals", "all of an overlapping delivery stands"},
        ),
    ],
    "complaints": [
        ("category = 'Card Issue'", {"category": "'Other'"}, {"category is known"}),
        ("category = 'Card Issue'", {"category": "NULL"}, {"category is never null"}),
        ("category = 'Card Issue'", {"description": "NULL"}, {"description is never null"}),
        ("category = 'Card Issue'", {"feedback_id": "NULL"}, {"feedback_id is never null"}),
        (
            "category = 'Card Issue'",
            {"feedback_id": "'aaaaaaaa-0000-4000-8000-000000000001'"},
            {"feedback_id is unique"},
        ),
        ("category = 'Card Issue'", None, {"totals"}),
    ],
}


def test_every_raw_check_fails_on_its_fault_and_on_no_other(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(empty_lake, "core_banking", CUSTOMERS)
    put(empty_lake, "credit_bureau", CREDIT)
    put(empty_lake, "atm", [JANUARY, FEBRUARY, MARCH])
    put(empty_lake, "feedback", FEEDBACK)
    flatten(empty_lake)
    seen: set[tuple[str, str]] = set()
    read = raw._Raw._table

    with session(empty_lake) as spark:
        report = raw.check(empty_lake, spark)
        assert report.failed == ()
        for name, plants in PLANTS.items():
            for where, change, expected in plants:
                monkeypatch.setattr(
                    raw._Raw,
                    "_table",
                    lambda self, table, w=where, c=change: planted(read(self, table), w, c),
                )
                checks = raw._Raw(empty_lake, spark)
                getattr(checks, name)()
                failed = checks.suite.report().failed
                found = {check.name for check in failed}
                assert {short(check) for check in found} == expected, (name, where, change)
                seen |= {(name, check) for check in found}
                table = next(table for table in catalog.RAW_TABLES if table.name == name)
                row = read(checks, table).where(where).collect()[0].asDict()
                for check in failed:
                    assert names(check, row, raw.KEYS[table]), (name, where, change, check)

    everything = {(check.table.partition(".")[2], check.name) for check in report.checks}
    assert everything - seen == set(), "checks that were never seen failing"


def test_a_changed_row_of_an_overlapping_delivery_is_seen(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(empty_lake, "atm", [JANUARY, FEBRUARY])
    put(empty_lake, "atm", [FEBRUARY, MARCH])
    flatten(empty_lake)
    read = raw._Raw._table
    monkeypatch.setattr(
        raw._Raw,
        "_table",
        lambda self, table: planted(
            read(self, table), "transaction_hour = 3", {"amount": "amount + 0.01"}
        ),
    )
    with session(empty_lake) as spark:
        checks = raw._Raw(empty_lake, spark)
        checks.transactions()
    assert {check.name for check in checks.suite.report().checks if not check.passed} == {
        "all of an overlapping delivery stands",
        "nothing but what an overlapping delivery brought",
    }


def names(check: Check, row: dict[str, Any], key: tuple[str, ...]) -> bool:
    """Whether a failed check names a row: by its place where it says that, else by its key."""
    assert check.keys is not None, check
    assert set(check.keys.columns) <= {*key, *raw.PLACE, "fault"}
    assert check.keys.total >= len(check.keys.rows) > 0
    named = [dict(zip(check.keys.columns, keys, strict=True)) for keys in check.keys.rows]
    by = raw.PLACE if raw.PLACE[0] in check.keys.columns else key
    return any(all(keys[column] == row[column] for column in by) for keys in named)


def short(name: str) -> str:
    return "totals" if name.startswith("counts") else name


def planted(rows: DataFrame, where: str, change: dict[str, str] | None) -> DataFrame:
    """The rows with a fault where the condition holds; without a change those rows are gone."""
    if change is None:
        return rows.where(f"NOT ({where})")
    return rows.selectExpr(
        *(
            f"CASE WHEN {where} THEN {change[name]} ELSE {name} END AS {name}"
            if name in change
            else name
            for name in rows.columns
        )
    )


def test_a_lost_row_stops_the_command_with_exit_code_4(
    empty_lake: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(empty_lake, "core_banking", CUSTOMERS)
    flatten(empty_lake)
    with session(empty_lake) as spark:
        spark.sql("DELETE FROM lake.raw_core_banking.customers WHERE customer_id = 2").collect()
    monkeypatch.setattr(
        sys, "argv", ["discover", "check", "raw", "--json", "--home", str(empty_lake.home)]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 4
    output = capsys.readouterr().out
    document = json.loads(output)
    assert not document["passed"]
    (failed,) = [check for check in document["checks"] if not check["passed"]]
    assert failed == {
        "name": "rows agree with what landed",
        "table": "raw_core_banking.customers",
        "passed": False,
        "observed": {"found": 2},
        "keys": {"columns": ["customer_id", "fault"], "rows": [[2, "missing"]], "total": 1},
    }
    assert "Bo Lee" not in output


def test_a_young_snapshot_stays_however_many_follow_and_no_file_goes_by_another_spelling(
    empty_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for month in (JANUARY, FEBRUARY):
        put(empty_lake, "atm", [month])
        flatten(empty_lake)
    monkeypatch.setattr(table_upkeep, "SNAPSHOTS_KEPT", 0)
    monkeypatch.setattr(table_upkeep, "SNAPSHOTS_LIVE", timedelta(0))
    monkeypatch.setattr(table_upkeep, "WRITTEN_BEFORE", timedelta(0))
    table = clients.iceberg(empty_lake).load_table(catalog.TRANSACTIONS.identifier)
    assert len(table.snapshots()) == 2
    assert table_upkeep._expired(table) == []
    with monkeypatch.context() as later:
        later.setattr(table_upkeep, "READERS_LIVE", timedelta(0))
        assert len(table_upkeep._expired(table)) == 1
    named = table_upkeep._files_of(table)
    otherwise = {name.replace("s3://", "s3a://") for name in named}
    table_upkeep._remove_unnamed(empty_lake, table, "data/", ".parquet", otherwise)
    assert table.scan().to_arrow().num_rows > 0


def test_a_flatten_beside_another_is_told_to_wait(lake: Settings) -> None:
    command = [str(Path(sys.executable).with_name("discover")), "flatten"]
    environment = {**os.environ, "DISCOVER_HOME": str(lake.home)}
    with Versions(lake.home).lock("the first"):
        second = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
    assert second.returncode == 1
    assert "the first holds the lock" in second.stderr
