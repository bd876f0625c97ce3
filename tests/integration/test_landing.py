"""Landing against a real S3 and Postgres, in a home of its own: what it leaves behind counts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest import bank, land, quarantine
from ingest.generate import ATM_FILE, CREDIT_FILE, CUSTOMERS_FILE, generate
from ingest.sources import REGISTRY
from lakehouse import landing, services
from lakehouse.catalog import LAKE_BUCKET, quarantine_prefix, raw_prefix
from lakehouse.clients import lake_store
from lakehouse.errors import DiscoverError, InputRejected, ServiceUnavailable, UsageError
from lakehouse.postgres_wheel import program
from lakehouse.settings import REPOSITORY, Settings, load

OTHER_PEOPLE = REPOSITORY / "tests/fixtures/other_people"
HEADER = "atm_id,timestamp,amount,transaction_type,customer_id\n"


@pytest.fixture(scope="module")
def own() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="discover-landing-") as folder:
        home = Path(folder).resolve()
        services.up(home, ["seaweedfs", "postgres"])
        try:
            yield load(home, "local")
        finally:
            services.down(home)


def landed(settings: Settings, source: str) -> pa.Table:
    """Rows of the newest batch, in the order of delivery."""
    store = lake_store(settings, LAKE_BUCKET)
    tables = [
        pq.read_table(pa.BufferReader(bytes(store.get(key).bytes())))
        for key in landing.batches(settings, source)[-1].objects
    ]
    return pa.concat_tables(tables).sort_by("_source_row")


def keys(settings: Settings, prefix: str) -> list[str]:
    store = lake_store(settings, LAKE_BUCKET)
    return [found["path"] for page in store.list(prefix) for found in page]


def atm(folder: Path, name: str, *rows: str, header: str = HEADER) -> str:
    path = folder / name
    path.write_text(header + "".join(row + "\n" for row in rows))
    return str(path)


def minutes(count: int, hour: int = 9) -> list[str]:
    return [f"7,2026-03-02 {hour:02d}:{n:02d}:00,20,deposit,{n + 1}" for n in range(count)]


def with_limit(settings: Settings, limit: float) -> Settings:
    return settings.model_copy(update={"bad_share_limit": limit})


def test_input_of_other_people_lands_with_the_totals_counted_by_hand(own: Settings) -> None:
    """50 customers. No credit file: 13 and 37; no loan: every fifth of them, 10.

    Loans: 1,000 x id of the other 38 = 950,000.00; 404.10 more for 1, 6, … 46 (10 times); 250.75
    more for 3, 8, 18, … 48 (9 times). Customers 1 to 40 have one deposit (404.10 where odd, 60.00
    where even) and one withdrawal (120.55 where divisible by 4, else 20.00); 41 to 50 none.
    """
    assert bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True) == 50
    land.land_bank(own)
    customers = landed(own, "core_banking").to_pylist()
    assert [row["customer_id"] for row in customers] == list(range(1, 51))
    assert (customers[0]["name"], customers[16]["city"]) == ("Liam O'Brien", "St. John's")

    land.land(own, "credit_bureau", [str(OTHER_PEOPLE / "credit_data.json")])
    records = landed(own, "credit_bureau").to_pylist()
    assert len(records) == 48
    assert sum(not row["outstanding_loans"] for row in records) == 10
    loans = [loan for row in records for loan in row["outstanding_loans"]]
    assert len(loans) == 38 + 10 + 9
    assert sum(loan["amount"] for loan in loans) == Decimal("956297.75")

    land.land(own, "atm", [str(OTHER_PEOPLE / "atm_activity.csv")])
    transactions = landed(own, "atm").to_pylist()
    assert len(transactions) == 80
    assert {row["customer_id"] for row in transactions} == set(range(1, 41))
    for kind, total in (("deposit", "9282.00"), ("withdrawal", "1805.50")):
        amounts = [row["amount"] for row in transactions if row["transaction_type"] == kind]
        assert (len(amounts), sum(amounts)) == (40, Decimal(total))
    assert transactions[0]["transacted_at_local"] == datetime.fromisoformat(
        "2026-05-01 09:01:07.123457"
    )


def test_landed_files_have_the_schema_that_the_contract_says(own: Settings, tmp_path: Path) -> None:
    generate(50, 3, 1, tmp_path, date(2026, 3, 31), complaints=10)
    bank.load(own, tmp_path / CUSTOMERS_FILE, replace=True)
    land.land_bank(own)
    for file in (CREDIT_FILE, ATM_FILE, "feedback/complaints.jsonl"):
        land.land(own, file.partition("/")[0], [str(tmp_path / file)])
    for name, source in REGISTRY.items():
        table = landed(own, name)
        expected = [(field.name, plain(field.type)) for field in source.schema()]
        assert [(field.name, plain(field.type)) for field in table.schema] == expected
        (batch,) = set(table["_batch_id"].to_pylist())
        assert batch == landing.batches(own, name)[-1].batch_id


def plain(kind: pa.DataType) -> Any:
    """A type without the names and nullability that Parquet gives to list items."""
    return [plain(kind.value_type)] if pa.types.is_list(kind) else kind


def test_time_columns_are_computed_once_from_local_time(own: Settings, tmp_path: Path) -> None:
    path = atm(
        tmp_path,
        "times.csv",
        "7,2026-03-01 23:30:00,20,deposit,1",  # a Sunday, winter
        "7,2026-07-01 00:30:00.5,20,deposit,1",  # summer
        "7,2026-11-01 01:30:00,20,deposit,1",  # comes twice
    )
    land.land(own, "atm", [path])
    winter, summer, twice = landed(own, "atm").to_pylist()
    assert winter["transacted_at_utc"] == datetime.fromisoformat("2026-03-02 04:30:00")
    assert (winter["transaction_date"], winter["transaction_hour"]) == (date(2026, 3, 1), 23)
    assert (winter["transaction_weekday"], winter["is_ambiguous_local_time"]) == (7, False)
    assert summer["transacted_at_utc"] == datetime.fromisoformat("2026-07-01 04:30:00.500000")
    # The first of both: still summer time.
    assert twice["transacted_at_utc"] == datetime.fromisoformat("2026-11-01 05:30:00")
    assert twice["is_ambiguous_local_time"]


def test_a_row_delivered_again_is_the_same_transaction_a_twin_is_not(
    own: Settings, tmp_path: Path
) -> None:
    row = "7,2026-03-03 10:00:00.500000,404.1,deposit,3"
    land.land(own, "atm", [atm(tmp_path, "one.csv", *minutes(3, 11), row, row)])
    first = landed(own, "atm").to_pylist()
    reordered = "customer_id,transaction_type,amount,timestamp,atm_id\n"
    spelled = "3,deposit,404.10,2026-03-03 10:00:00.5,7"
    land.land(own, "atm", [atm(tmp_path, "two.csv", spelled, spelled, header=reordered)])
    again = landed(own, "atm").to_pylist()
    assert [r["transaction_id"] for r in again] == [r["transaction_id"] for r in first[3:]]
    assert [r["is_twin"] for r in first] == [False, False, False, False, True]
    assert len({r["transaction_id"] for r in first}) == 5


def test_same_bytes_again_change_nothing(own: Settings, tmp_path: Path) -> None:
    path = atm(tmp_path, "same.csv", *minutes(4, 12))
    land.land(own, "atm", [path])
    before = len(landing.batches(own, "atm"))
    copy = atm(tmp_path, "copy.csv", *minutes(4, 12))
    report = land.land(own, "atm", [path, copy])
    assert [file.state for file in report.files] == ["known", "known"]
    assert len(landing.batches(own, "atm")) == before


def test_what_is_known_is_not_read_a_second_time(
    own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = atm(tmp_path, "once.csv", "1,2026-03-06 10:00:00,40,withdrawal,6")
    land.land(own, "atm", [path])
    # Opening what assesses files would cost more than all else that a day without news does.
    monkeypatch.setattr(land, "Assessment", None)
    report = land.land(own, "atm", [path])
    assert [file.state for file in report.files] == ["known"]


def test_an_older_snapshot_delivered_again_is_news(own: Settings, tmp_path: Path) -> None:
    def deliver(score: int) -> str | None:
        path = tmp_path / f"{score}.json"
        record = {"customer_id": 1, "credit_score": score, "delinquencies": 0}
        path.write_text(json.dumps([{**record, "outstanding_loans": []}]))
        return land.land(own, "credit_bureau", [str(path)]).batch_id

    assert deliver(600)
    assert deliver(700)
    assert deliver(700) is None
    assert deliver(600)


def test_original_bytes_are_kept_but_not_those_of_feedback(own: Settings, tmp_path: Path) -> None:
    path = atm(tmp_path, "kept.csv", *minutes(2, 13))
    land.land(own, "atm", [path])
    sha256 = landing.batches(own, "atm")[-1].files[0].sha256
    (key,) = keys(own, f"{raw_prefix('atm')}{sha256}/")
    stored = pa.BufferReader(bytes(lake_store(own, LAKE_BUCKET).get(key).bytes()))
    assert pa.input_stream(stored, compression="zstd").read() == Path(path).read_bytes()
    complaint = tmp_path / "complaints.jsonl"
    complaint.write_text('{"feedback_id": "1", "description": "call 416-555-0134"}\n')
    land.land(with_limit(own, 1), "feedback", [str(complaint)])
    assert keys(own, raw_prefix("feedback")) == []
    assert "416" not in json.dumps(list(quarantine.listing(own, "feedback")))


def test_too_many_bad_rows_stop_the_batch_before_anything_is_visible(
    own: Settings, tmp_path: Path
) -> None:
    before = landing.batches(own, "atm")
    path = atm(tmp_path, "bad.csv", *minutes(10, 14), "7,2026-03-02 15:00:00,-1,deposit,1")
    report = land.land(own, "atm", [path])
    assert report.stopped is not None
    assert "1 of 11 records are bad" in report.stopped
    assert landing.batches(own, "atm") == before
    # The same file is taken where the bank allows more.
    assert land.land(with_limit(own, 0.1), "atm", [path]).batch_id


def test_a_broken_file_does_not_hold_back_others_of_a_source_that_appends(
    own: Settings, tmp_path: Path
) -> None:
    good = atm(tmp_path, "good.csv", *minutes(2, 16))
    bad = atm(tmp_path, "renamed.csv", *minutes(2, 17), header=HEADER.replace("amount", "amt"))
    report = land.land(own, "atm", [str(tmp_path / "*.csv")])
    assert {file.file: file.state for file in report.files} == {good: "landed", bad: "quarantined"}
    assert report.rejected
    assert [file.file for file in landing.batches(own, "atm")[-1].files] == [good]


def test_a_snapshot_with_a_broken_file_is_not_taken_in_part(own: Settings, tmp_path: Path) -> None:
    record = {"customer_id": 1, "credit_score": 500, "delinquencies": 0, "outstanding_loans": []}
    (tmp_path / "a.json").write_text(json.dumps([record]))
    (tmp_path / "b.json").write_text(json.dumps([{**record, "customer_id": 2}])[:-1])
    before = landing.batches(own, "credit_bureau")
    report = land.land(own, "credit_bureau", [str(tmp_path / "*.json")])
    assert report.stopped
    assert landing.batches(own, "credit_bureau") == before


def test_a_quarantined_credit_record_leaves_a_row_that_says_so(
    own: Settings, tmp_path: Path
) -> None:
    record = {"customer_id": 1, "credit_score": 500, "delinquencies": 0, "outstanding_loans": []}
    loans = [{"type": "car", "amount": 5}, {"type": "car", "amount": -5}]
    path = tmp_path / "credit.json"
    path.write_text(json.dumps([record, {**record, "customer_id": 2, "outstanding_loans": loans}]))
    report = land.land(with_limit(own, 1), "credit_bureau", [str(path)])
    assert (report.files[0].landed, report.files[0].quarantined) == (1, 1)
    _, quarantined = landed(own, "credit_bureau").to_pylist()
    assert (quarantined["customer_id"], quarantined["record_status"]) == (2, "quarantined")
    assert quarantined["credit_score"] is None
    assert quarantined["outstanding_loans"] is None


def test_a_replay_lands_what_was_mended_and_empties_the_quarantine(
    own: Settings, tmp_path: Path
) -> None:
    for key in keys(own, quarantine_prefix("atm")):
        lake_store(own, LAKE_BUCKET).delete(key)
    skipped = "7,2026-03-08 02:30:00,20,deposit,3"
    land.land(own, "atm", [atm(tmp_path, "zone.csv", *minutes(30, 18), skipped)])
    (found,) = quarantine.listing(own, "atm")
    assert (found["line"], found["field"], found["raw"]) == (32, "timestamp", skipped)
    before = len(landing.batches(own, "atm"))
    (unchanged,) = land.replay(own, "atm")
    assert (unchanged.files[0].quarantined, len(landing.batches(own, "atm"))) == (1, before)
    elsewhere = own.model_copy(update={"timezone": "America/Regina"})  # no clock changes there
    (mended,) = land.replay(elsewhere, "atm")
    assert (mended.files[0].landed, mended.files[0].quarantined) == (31, 0)
    assert list(quarantine.listing(own, "atm")) == []
    assert landed(own, "atm").num_rows == 31


def test_a_replay_also_finds_bytes_that_an_earlier_version_kept_as_they_were(
    own: Settings, tmp_path: Path
) -> None:
    skipped = "7,2026-03-08 02:30:00,20,deposit,3"
    path = Path(atm(tmp_path, "kept.csv", *minutes(30, 19), skipped))
    land.land(own, "atm", [str(path)])
    (key,) = keys(own, f"{raw_prefix('atm')}{sha256(path.read_bytes()).hexdigest()}/")
    store = lake_store(own, LAKE_BUCKET)
    store.delete(key)
    store.put(key.removesuffix(".zst"), path)
    elsewhere = own.model_copy(update={"timezone": "America/Regina"})
    assert land.replay(elsewhere, "atm")[-1].files[0].landed == 31


def test_files_come_from_s3_as_well(own: Settings, tmp_path: Path) -> None:
    store = lake_store(own, LAKE_BUCKET)
    for name, hour in (("inbox/a.csv", 19), ("inbox/b.csv", 20)):
        store.put(name, Path(atm(tmp_path, "x.csv", *minutes(2, hour))))
    report = land.land(own, "atm", [f"s3://{LAKE_BUCKET}/inbox/*.csv"])
    assert [file.file for file in report.files] == [
        f"s3://{LAKE_BUCKET}/inbox/a.csv",
        f"s3://{LAKE_BUCKET}/inbox/b.csv",
    ]
    assert [file.landed for file in report.files] == [2, 2]
    with pytest.raises(UsageError):
        land.land(own, "atm", [f"s3://{LAKE_BUCKET}/inbox/c.csv"])


def test_a_landing_that_dies_before_its_manifest_shows_nothing_and_is_done_again(
    own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = atm(tmp_path, "dies.csv", *minutes(3, 21))
    before = landing.batches(own, "atm")

    def die(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(land, "write_batch", die)
        with pytest.raises(KeyboardInterrupt):
            land.land(own, "atm", [path])
    assert landing.batches(own, "atm") == before
    assert land.land(own, "atm", [path]).files[0].state == "landed"


def test_a_missing_file_and_a_lake_that_is_down_are_told_apart(own: Settings) -> None:
    with pytest.raises(UsageError):
        land.land(own, "atm", ["/nowhere/*.csv"])
    down = own.model_copy(update={"lake_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(ServiceUnavailable):
        land.land(down, "atm", [str(OTHER_PEOPLE / "atm_activity.csv")])


# ---- the bank's Postgres


def customers_of(settings: Settings) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as connection:
        return connection.execute("SELECT * FROM customers ORDER BY customer_id").fetchall()


def test_a_load_twice_is_a_load_once(own: Settings) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    before = customers_of(own)
    again = bank.load_file(own, OTHER_PEOPLE / "customers.sql")
    assert (again.loaded, again.present) == (0, 50)
    assert customers_of(own) == before


def test_ids_go_on_after_those_of_a_csv(own: Settings, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("customer_id,name,email,city\n41,A,a@example.com,Regina\n")
    assert bank.load(own, path, replace=True) == 1
    path.write_text("name,email,city\nB,b@example.com,Regina\n")
    assert bank.load(own, path) == 1
    assert [row[0] for row in customers_of(own)] == [41, 42]


def test_a_customer_who_stands_there_differently_stops_the_load(
    own: Settings, tmp_path: Path
) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    before = customers_of(own)
    path = tmp_path / "c.csv"
    path.write_text(
        "name,email,city\nNew,new@example.com,Regina\nX,liam.obrien@example.com,Regina\n"
    )
    with pytest.raises(InputRejected, match="line 3 is in the bank already"):
        bank.load(own, path)
    assert customers_of(own) == before


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--inserts",
        "--column-inserts",
        "--create",
        "--clean",
        "--clean --if-exists --create",
        "--data-only",
        "--schema=public --no-owner",
        "--use-set-session-authorization",
    ],
)
def test_every_plain_form_of_pg_dump_loads(own: Settings, tmp_path: Path, options: str) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    before = customers_of(own)
    path = tmp_path / "dump.sql"
    dsn = own.postgres_dsn.get_secret_value()
    command = [program("pg_dump"), *options.split(), f"--file={path}", dsn]
    subprocess.run(command, check=True)
    again = bank.load_file(own, path)
    assert (again.loaded, again.present, again.notes) == (0, 50, [])
    assert bank.load_file(own, path, replace=True).loaded == 50
    assert customers_of(own) == before
    assert not any("restrict" in line for line in again.not_run)


def test_a_script_touches_the_bank_only_by_the_customers_it_leaves(
    own: Settings, tmp_path: Path
) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    before = customers_of(own)
    path = tmp_path / "evil.sql"
    path.write_text("DROP TABLE customers;\nDROP SCHEMA public CASCADE;")
    with pytest.raises(InputRejected, match="leaves no table"):
        bank.load(own, path, replace=True)
    assert customers_of(own) == before


@pytest.mark.parametrize("header", ["name,email,city", "customer_id,name,email,city"])
def test_a_file_without_customers_empties_nothing(
    own: Settings, tmp_path: Path, header: str
) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    before = customers_of(own)
    path = tmp_path / "empty.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(InputRejected, match="no customer in it"):
        bank.load(own, path, replace=True)
    assert customers_of(own) == before


def test_a_refused_row_of_a_script_keeps_its_number_free(own: Settings, tmp_path: Path) -> None:
    path = tmp_path / "shift.sql"
    people = [f"('N{n}', 'n{n}@example.com', 'Regina')" for n in range(1, 41)]
    people[1] = people[1].replace("N2", "N\n2")
    path.write_text("INSERT INTO customers (name, email, city) VALUES " + ",".join(people))
    report = bank.load_file(own, path, replace=True)
    assert [row[:2] for row in customers_of(own)][:2] == [(1, "N1"), (3, "N3")]
    (reject,) = report.rejects
    assert (reject.line, reject.field, report.unit) == (2, "name", "row")
    assert "customer_id 2" in reject.reason


def test_a_script_that_only_adds_numbers_customers_after_those_of_the_bank(
    own: Settings, tmp_path: Path
) -> None:
    bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
    path = tmp_path / "more.sql"
    insert = "INSERT INTO customers (name, email, city) VALUES"
    path.write_text(f"{insert} ('New', 'new@example.com', 'Regina');")
    report = bank.load_file(own, path)
    assert (report.loaded, report.present) == (1, 50)
    assert customers_of(own)[-1] == (51, "New", "new@example.com", "Regina")
    path.write_text("INSERT INTO customers VALUES (3, 'X', 'x@example.com', 'Regina');")
    with pytest.raises(InputRejected, match="customer in row 1 is in the bank already"):
        bank.load(own, path)


def test_columns_and_tables_that_are_not_loaded_are_named(own: Settings, tmp_path: Path) -> None:
    path = tmp_path / "more.sql"
    path.write_text(
        "CREATE SCHEMA old;\nCREATE TABLE old.customers (x int);\n"
        "CREATE TABLE customers (customer_id int, name text, email text, city text, phone text);\n"
        "INSERT INTO customers VALUES (1, 'A', 'a@example.com', 'Regina', '555');"
    )
    report = bank.load_file(own, path, replace=True)
    assert report.notes == [
        "table old.customers is not loaded",
        "columns that are not loaded: phone",
    ]


def test_a_pipe_is_read_once(own: Settings, tmp_path: Path) -> None:
    for script in (
        "customer_id,name,email,city\n7,A,a@example.com,Regina\n",
        "INSERT INTO customers VALUES (7, 'A', 'a@example.com', 'Regina');",
    ):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=(script,))
        writer.start()
        assert bank.load(own, pipe, replace=True) == 1
        writer.join()
        pipe.unlink()
        assert [row[0] for row in customers_of(own)] == [7]


@pytest.mark.parametrize(
    ("change", "undo", "reason", "reads"),
    [
        (
            "ALTER TABLE customers RENAME email TO mail",
            "ALTER TABLE customers RENAME mail TO email",
            "customers has no column email, only customer_id, name, mail, city",
            False,
        ),
        (
            (
                "ALTER TABLE customers ADD city2 date; ALTER TABLE customers RENAME city TO c;"
                " ALTER TABLE customers RENAME city2 TO city"
            ),
            "ALTER TABLE customers DROP city; ALTER TABLE customers RENAME c TO city",
            "column city of customers has type date, not text",
            False,
        ),
        (
            "ALTER TABLE customers RENAME TO people; CREATE VIEW customers AS TABLE people",
            "DROP VIEW customers; ALTER TABLE people RENAME TO customers",
            "customers is a view",
            True,
        ),
    ],
)
def test_a_bank_with_another_table_is_named(
    own: Settings, change: str, undo: str, reason: str, reads: bool
) -> None:
    script = OTHER_PEOPLE / "customers.sql"
    bank.load(own, script, replace=True)
    run_in_bank(own, change)
    try:
        with pytest.raises(InputRejected, match=reason):
            bank.load(own, script)
        if reads:
            assert land.land_bank(own).files[0].rows_in in (0, 50)
        else:
            with pytest.raises(InputRejected, match=reason):
                land.land_bank(own)
    finally:
        run_in_bank(own, undo)


def test_a_bank_that_refuses_a_row_says_why_in_one_line(own: Settings) -> None:
    run_in_bank(own, "ALTER TABLE customers ADD branch int NOT NULL DEFAULT 1")
    run_in_bank(own, "ALTER TABLE customers ALTER branch DROP DEFAULT")
    try:
        with pytest.raises(DiscoverError, match='null value in column "branch"') as caught:
            bank.load(own, OTHER_PEOPLE / "customers.sql", replace=True)
        assert "@" not in str(caught.value)
    finally:
        run_in_bank(own, "ALTER TABLE customers DROP branch")


def run_in_bank(settings: Settings, sql: str) -> None:
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as connection:
        connection.execute(sql)


def test_bad_customers_are_not_loaded_and_too_many_stop_it(own: Settings, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    good = "".join(f"{n},N{n},n{n}@example.com,Regina\n" for n in range(1, 31))
    path.write_text(f"customer_id,name,email,city\n{good}31,{'x' * 101},long@example.com,Regina\n")
    report = bank.load_file(own, path, replace=True)
    assert (report.loaded, report.rejected, report.rejects[0].line) == (30, 1, 32)
    path.write_text(f"customer_id,name,email,city\n1,{'x' * 101},long@example.com,Regina\n")
    with pytest.raises(InputRejected):
        bank.load_file(own, path, replace=True)
    assert len(customers_of(own)) == 30


def test_a_bad_row_among_rows_without_ids_stops_the_load(own: Settings, tmp_path: Path) -> None:
    """The next row would get its id, and every later one the id of another."""
    path = tmp_path / "c.csv"
    good = "".join(f"N{n},n{n}@example.com,Regina\n" for n in range(1, 100))
    for bad in (f"{'x' * 101},long@example.com,Regina\n", "N1,n1@example.com,Regina\n"):
        path.write_text(f"name,email,city\n{good}{bad}N,last@example.com,Regina\n")
        with pytest.raises(InputRejected, match=r"line 101: .*without customer_id"):
            bank.load_file(own, path, replace=True)
