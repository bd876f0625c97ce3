"""The dbt project as dbt users know it, on a lake of five customers that one can count by hand."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from dbt.cli.main import dbtRunner

from discover import orphans
from discover.build import PROJECT, BuildReport, build, build_docs, release_dbt_files
from lakehouse import catalog, services
from lakehouse.duck import connect_lake, connect_published
from lakehouse.settings import Settings, load
from lakehouse.users import Grant

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)

CUSTOMERS = [
    (1, "Wendy Zhao", "wendy@example.com", "Toronto"),
    (2, "Wendy Zhao", "zhao@example.com", "Calgary"),
    (3, "Ann Roy", "ann@example.com", "Springfield"),
    (4, "Bo Li", "bo@example.com", None),
]
CREDIT = [
    (1, "present", 724, 0),
    (2, "quarantined", None, None),
    (3, "present", 559, 4),
]
LOANS = [
    (1, 1, "car", "10000.50"),
    (1, 2, "house", "250000.00"),
    (9, 1, "student", "77.77"),  # core banking knows no customer 9
]
# id, customer, local time, type, amount
TRANSACTIONS = [
    ("a", 1, "2026-09-30 23:59:59.999999", "deposit", "100.10"),
    ("b", 1, "2026-10-01 00:00:00", "withdrawal", "60.05"),
    ("c", 3, "2026-10-01 09:30:00", "withdrawal", "20.00"),
    ("d", 9, "2026-10-02 09:30:00", "deposit", "5.00"),
]
COMPLAINTS = [
    ("f1", "ATM Issue", "The machine kept my card.", "2026-10-01 12:00:00"),
    ("f2", "Card Issue", "No card yet.", None),
]


class Lake:
    """Raw tables with the columns that the sources declare."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.columns = {
            f"{source['schema']}.{table['name']}": {
                column["name"]: column["data_type"] for column in table["columns"]
            }
            for file in PROJECT.glob("models/staging/*/_*__sources.yml")
            for source in yaml.safe_load(file.read_text())["sources"]
            for table in source["tables"]
        }

    def put(self, table: str, rows: list[tuple[Any, ...]], ingested_at: datetime = NOW) -> None:
        """Replace the rows of one raw table."""
        columns = self.columns[table]
        namespace = table.partition(".")[0]
        with connect_lake(self.settings) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{namespace}")
            connection.execute(f"DROP TABLE IF EXISTS lake.{table}")
            types = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
            connection.execute(f"CREATE TABLE lake.{table} ({types})")
            marks = ", ".join(f"cast(? AS {type_})" for type_ in columns.values())
            for number, row in enumerate(rows, start=1):
                lineage = ("delivered", number, "batch", ingested_at)
                connection.execute(f"INSERT INTO lake.{table} SELECT {marks}", [*row, *lineage])

    def put_transactions(self, rows: list[tuple[str, int, str, str, str]]) -> None:
        def landed(row: tuple[str, int, str, str, str]) -> tuple[Any, ...]:
            key, customer, local, kind, amount = row
            time = datetime.fromisoformat(local)
            utc = time + timedelta(hours=4)
            of_day = (time.date(), time.hour, time.isoweekday())
            return (key, 7, time, utc, *of_day, amount, kind, customer, False, False)

        self.put("raw_atm.transactions", [landed(row) for row in rows])

    def put_all(self) -> None:
        self.put("raw_core_banking.customers", CUSTOMERS)
        self.put("raw_credit_bureau.credit_profiles", CREDIT)
        self.put("raw_credit_bureau.loans", LOANS)
        self.put_transactions(TRANSACTIONS)
        self.put("raw_feedback.complaints", COMPLAINTS)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake of this module's own: other tests flatten into the session's."""
    home = tmp_path_factory.mktemp("home")
    services.up(home, ["seaweedfs"])
    try:
        lake = Lake(load(home, "local"))
        lake.put_all()
        yield lake
    finally:
        services.down(home, ["seaweedfs"])


class Project:
    """A copy of the dbt project, in which someone works by hand."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        shutil.copytree(
            PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", "*.duckdb")
        )
        self.folder = folder
        self.settings = settings

    def type_dbt(self, *args: str) -> subprocess.CompletedProcess[str]:
        """What a person gets who types ``dbt …`` in the project's folder."""
        known = ("PATH", "HOME", "LANG", "TMPDIR")
        environment = {name: os.environ[name] for name in known if name in os.environ}
        return subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), *args],
            cwd=self.folder,
            env=environment | {"DISCOVER_HOME": str(self.settings.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    def dbt(self, *args: str) -> Any:
        """The same in this process, without the seconds that imports take."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setenv("DISCOVER_HOME", str(self.settings.home))
            try:
                return dbtRunner().invoke(["--quiet", *args])
            finally:
                release_dbt_files()

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Put both of the target's files back as they were."""
        names = ("dev.duckdb", "dev_marts.duckdb")
        home = self.settings.home
        for name in names:
            shutil.copyfile(home / name, home / f"kept_{name}")
        try:
            yield
        finally:
            for name in names:
                (home / f"kept_{name}").replace(home / name)

    def artifact(self, name: str) -> Any:
        return json.loads((self.folder / "target" / name).read_text())

    def outcomes(self) -> dict[str, str]:
        """Status by node name, of the last command."""
        return {
            result["unique_id"].split(".")[2]: result["status"]
            for result in self.artifact("run_results.json")["results"]
        }


@pytest.fixture(scope="module")
def project(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, built once by hand on target dev."""
    project = Project(tmp_path_factory.mktemp("work") / "dbt_project", lake.settings)
    built = project.type_dbt("build")
    assert built.returncode == 0, built.stdout
    return project


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with connect_published(file) as connection:
        return connection.execute(sql).fetchall()


def test_a_hand_run_build_makes_the_marts_and_publishes_nothing(project: Project) -> None:
    marts = project.settings.home / "dev_marts.duckdb"
    assert {name for (name,) in rows(marts, "SHOW TABLES")} == {*catalog.MARTS, "time_spine_daily"}
    assert not (project.settings.home / "published.json").exists()
    assert not (project.settings.home / "versions").exists()
    assert rows(
        marts,
        "SELECT customer_id, customer_label, city, province, atm_transaction_count, net_flow,"
        " last_transaction_date::varchar FROM fct_customers ORDER BY customer_id",
    ) == [
        (1, "Wendy Zhao · #1", "Toronto", "Ontario", 2, Decimal("40.05"), "2026-10-01"),
        (2, "Wendy Zhao · #2", "Calgary", "Alberta", 0, Decimal("0.00"), None),
        (3, "Ann Roy · #3", "Springfield", None, 1, Decimal("-20.00"), "2026-10-01"),
        (4, "Bo Li · #4", None, None, 0, Decimal("0.00"), None),
    ]
    nothing = Decimal("0.00")
    assert rows(
        marts,
        "SELECT customer_id, credit_record_status, credit_score, credit_band, loan_count,"
        " loan_total, car_loan_total FROM fct_customers ORDER BY customer_id",
    ) == [
        (1, "present", 724, "660–724 Good", 2, Decimal("260000.50"), Decimal("10000.50")),
        (2, "quarantined", None, None, None, None, None),
        (3, "present", 559, "300–559 Poor", 0, nothing, nothing),
        (4, "absent", None, None, 0, nothing, nothing),
    ]
    assert rows(
        marts,
        "SELECT transaction_date::varchar, transaction_hour, transaction_type, city,"
        " transaction_count, amount_total FROM fct_atm_daily ORDER BY ALL",
    ) == [
        ("2026-09-30", 23, "deposit", "Toronto", 1, Decimal("100.10")),
        ("2026-10-01", 0, "withdrawal", "Toronto", 1, Decimal("60.05")),
        ("2026-10-01", 9, "withdrawal", "Springfield", 1, Decimal("20.00")),
        ("2026-10-02", 9, "deposit", None, 1, Decimal("5.00")),
    ]
    assert rows(
        marts, "SELECT feedback_id, complaint_date::varchar FROM fct_complaints ORDER BY ALL"
    ) == [("f1", "2026-10-01"), ("f2", None)]


def test_customers_unknown_to_core_banking_are_kept_counted_and_only_warned_of(
    project: Project,
) -> None:
    warned = {name for name, status in project.outcomes().items() if status == "warn"}
    assert warned == {
        "fct_atm_transactions_of_unknown_customers",
        "fct_loans_of_unknown_customers",
        "assert_every_city_has_a_province",
    }
    marts = project.settings.home / "dev_marts.duckdb"
    assert rows(marts, "SELECT count(*) FROM fct_loans WHERE customer_id = 9") == [(1,)]
    assert rows(marts, "SELECT count(*) FROM fct_atm_transactions WHERE customer_id = 9") == [(1,)]
    assert rows(
        marts,
        "SELECT customer_id, credit_record_status, loan_count, loan_total, atm_transaction_count,"
        " deposit_total, withdrawal_total, last_transaction_date::varchar"
        " FROM fct_unknown_customers",
    ) == [(9, "absent", 1, Decimal("77.77"), 1, Decimal("5.00"), Decimal("0.00"), "2026-10-02")]
    assert orphans.count(marts) == {
        "customers": 1,
        "credit_records": 0,
        "loans": 1,
        "transactions": 1,
    }


def test_an_email_goes_no_further_than_staging(project: Project) -> None:
    emails = {email for _, _, email, _ in CUSTOMERS}
    with duckdb.connect() as connection:
        for name in ("dev", "dev_marts"):
            connection.execute(
                f"ATTACH '{project.settings.home}/{name}.duckdb' AS {name} (READ_ONLY)"
            )
        tables = connection.execute(
            "SELECT database_name, schema_name, table_name, column_name FROM duckdb_columns()"
            " WHERE database_name IN ('dev', 'dev_marts') AND data_type = 'VARCHAR'"
            " AND schema_name NOT LIKE 'raw_%' AND schema_name NOT LIKE '%staging'"
        ).fetchall()
        assert {schema for _, schema, _, _ in tables} >= {"main", "main_seeds"}
        for database, schema, table, column in tables:
            assert "mail" not in column
            if database == "dev_marts":
                found = connection.execute(f"SELECT {column} FROM {database}.{schema}.{table}")
                assert emails.isdisjoint(value for (value,) in found.fetchall())


def test_docs_hold_the_lineage_from_sources_to_exposures(project: Project) -> None:
    assert project.dbt("docs", "generate").success
    children = project.artifact("manifest.json")["child_map"]

    def reached(node: str) -> set[str]:
        return {node}.union(*(reached(child) for child in children.get(node, [])))

    exposures = {f"exposure.discover.{name}" for name in ("dashboard", "chat", "knowledge_base")}
    assert exposures <= reached("source.discover.core_banking.customers")
    assert exposures <= reached("source.discover.atm.transactions")
    described = project.artifact("catalog.json")
    assert "source.discover.credit_bureau.loans" in described["sources"]
    columns = described["nodes"]["model.discover.fct_customers"]["columns"]
    assert columns["loan_total"]["type"] == "DECIMAL(18,2)"
    assert "NULL" in columns["loan_total"]["comment"]


def test_show_prints_a_model(project: Project) -> None:
    shown = project.dbt("show", "--select", "fct_loans", "--limit", "1")
    assert shown.success
    assert shown.result.results[0].agate_table.column_names == (
        "customer_id",
        "loan_number",
        "loan_type",
        "amount",
    )


def test_only_what_was_modified_and_what_hangs_on_it_is_built(
    project: Project, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    shutil.copytree(project.folder / "target", state)
    arguments = ("build", "--select", "state:modified+", "--defer", "--state", str(state))
    assert project.dbt(*arguments).success
    assert project.outcomes() == {}, "nothing was modified"

    model = project.folder / "models" / "marts" / "fct_loans.sql"
    before = model.read_text()
    model.write_text(before.replace("from loans", "from loans\n\nwhere amount > 0"))
    try:
        assert project.dbt(*arguments).success
    finally:
        model.write_text(before)
    built = project.outcomes()
    assert built["fct_loans"] == "success"
    assert "assert_customer_totals_match_the_facts" in built
    assert "fct_customers" not in built


def test_stale_sources_are_told_from_fresh_ones(project: Project, lake: Lake) -> None:
    old = NOW - timedelta(days=30)
    lake.put("raw_credit_bureau.loans", LOANS, ingested_at=old)
    lake.put("raw_core_banking.customers", CUSTOMERS, ingested_at=NOW - timedelta(days=3))
    try:
        assert not project.dbt("source", "freshness").success
    finally:
        lake.put("raw_credit_bureau.loans", LOANS)
        lake.put("raw_core_banking.customers", CUSTOMERS)
    assert {
        result["unique_id"].removeprefix("source.discover."): result["status"]
        for result in project.artifact("sources.json")["results"]
    } == {
        "core_banking.customers": "warn",
        "credit_bureau.credit_profiles": "pass",
        "credit_bureau.loans": "error",
        "atm.transactions": "pass",
        "feedback.complaints": "pass",
    }


FAULTS = {
    # a fault in the marts → the tests that must see it
    "INSERT INTO dim_customers SELECT * FROM dim_customers WHERE customer_id = 1": {
        "unique_dim_customers_customer_id",
        "unique_dim_customers_customer_label",
    },
    "UPDATE dim_customers SET customer_label = NULL WHERE customer_id = 3": {
        "not_null_dim_customers_customer_label"
    },
    "UPDATE dim_customers SET city = 'TORONTO' WHERE customer_id = 1": {
        "assert_every_city_has_one_spelling"
    },
    "ALTER TABLE dim_customers ADD COLUMN contact_email varchar": {"assert_no_email_after_staging"},
    "UPDATE fct_customers SET loan_count = 0, loan_total = 0"
    " WHERE credit_record_status = 'quarantined'": {"fct_customers_refused_is_never_no_loans"},
    "UPDATE fct_customers SET credit_record_status = 'unknown' WHERE customer_id = 4": {
        "fct_customers_refused_is_never_no_loans",
        "assert_nobody_is_absent_beside_an_unnamed_record",
    },
    "UPDATE fct_customers SET credit_score = 600 WHERE customer_id = 4": {
        "fct_customers_score_only_with_a_record",
        "fct_customers_every_score_has_a_band",
    },
    "UPDATE fct_customers SET credit_score = 901 WHERE customer_id = 1": {
        "fct_customers_credit_score_within_scale"
    },
    "UPDATE fct_customers SET net_flow = net_flow + 0.01 WHERE customer_id = 1": {
        "fct_customers_flows_add_up",
        "assert_customer_totals_match_the_facts",
    },
    "UPDATE fct_customers SET car_loan_total = 300000 WHERE customer_id = 1": {
        "fct_customers_loan_types_within_total"
    },
    "INSERT INTO fct_loans SELECT * FROM fct_loans LIMIT 1": {
        "unique_combination_of_columns_fct_loans_customer_id__loan_number"
    },
    "INSERT INTO fct_atm_transactions SELECT * FROM fct_atm_transactions LIMIT 1": {
        "unique_fct_atm_transactions_transaction_id",
        "assert_every_transaction_is_in_the_fact",
        "assert_daily_totals_match_the_transactions",
    },
    "UPDATE fct_atm_transactions SET transaction_type = 'transfer', transaction_hour = 24,"
    " transaction_weekday = 0, amount = -1 WHERE transaction_id = 'c'": {
        "accepted_values_fct_atm_transactions_transaction_type__deposit__withdrawal",
        "expression_is_true_fct_atm_transactions_transaction_hour__between_0_and_23",
        "expression_is_true_fct_atm_transactions_transaction_weekday__between_1_and_7",
        "expression_is_true_fct_atm_transactions_amount___0",
    },
    "UPDATE fct_complaints SET category = 'Weather'": {
        "accepted_values_fct_complaints_category__ATM_Issue__Account_Problem__Card_Issue__Service_Feedback"
    },
    "UPDATE fct_unknown_customers SET customer_id = 1": {"assert_every_orphan_is_flagged"},
    "UPDATE entitlements SET group_type = 'everyone'": {
        "accepted_values_entitlements_group_type__all__customer__city"
    },
    "UPDATE fct_credit_history SET credit_score = 723 WHERE customer_id = 1": {
        "assert_credit_history_ends_in_the_present"
    },
    "INSERT INTO fct_credit_history SELECT * FROM fct_credit_history WHERE customer_id = 3": {
        "unique_combination_of_columns_fct_credit_history_customer_id__valid_from_utc",
        "assert_credit_history_ends_in_the_present",
    },
    "UPDATE fct_credit_history SET valid_to_utc = valid_from_utc WHERE customer_id = 2": {
        "fct_credit_history_ranges_run_forward"
    },
    "INSERT INTO main_snapshots.snap_core_banking__customers"
    " SELECT * FROM main_snapshots.snap_core_banking__customers": {
        "snap_core_banking__customers_one_open_range"
    },
    "INSERT INTO main_snapshots.snap_credit_bureau__credit_profiles"
    " SELECT * FROM main_snapshots.snap_credit_bureau__credit_profiles": {
        "snap_credit_bureau__credit_profiles_one_open_range"
    },
}


def test_every_rule_is_seen_failing(project: Project) -> None:
    with project.restored():
        with duckdb.connect(str(project.settings.home / "dev_marts.duckdb")) as connection:
            for fault in FAULTS:
                connection.execute(fault)
        with duckdb.connect(str(project.settings.home / "dev.duckdb")) as connection:
            connection.execute(
                "UPDATE main_seeds.credit_bands SET score_minimum = 561 WHERE score_minimum = 560"
            )
        assert not project.dbt("test", "--exclude-resource-type", "unit_test").success
    failed = {name for name, status in project.outcomes().items() if status == "fail"}
    expected = set().union(*FAULTS.values())
    expected |= {
        "assert_credit_bands_cover_every_score_once",
        "credit_bands_label_shows_its_limits",
    }
    assert expected - failed == set()


def test_an_empty_build_proves_the_schema_alone(project: Project) -> None:
    with project.restored():
        assert project.dbt("build", "--empty", "--exclude-resource-type", "unit_test").success
        marts = project.settings.home / "dev_marts.duckdb"
        assert rows(marts, "SELECT count(*) FROM fct_customers") == [(0,)]
        kept = rows(marts, "SELECT customer_id FROM main_snapshots.snap_core_banking__customers")
        assert len(kept) == len(CUSTOMERS), "nobody has left"


HISTORY = (
    "SELECT customer_id, valid_from_utc, valid_to_utc, city, credit_record_status, credit_score,"
    " loan_count, loan_total::varchar FROM fct_credit_history ORDER BY customer_id, valid_from_utc"
)


def test_history_keeps_what_was_known_before_and_forgets_who_left(
    project: Project, lake: Lake
) -> None:
    marts = project.settings.home / "dev_marts.duckdb"
    build = ("build", "--exclude-resource-type", "unit_test")
    later, last = NOW + timedelta(days=30), NOW + timedelta(days=31)
    with project.restored():
        assert rows(marts, HISTORY) == [
            (1, NOW, None, "Toronto", "present", 724, 2, "260000.50"),
            (2, NOW, None, "Calgary", "quarantined", None, None, None),
            (3, NOW, None, "Springfield", "present", 559, 0, "0.00"),
            (4, NOW, None, None, "absent", None, 0, "0.00"),
        ]
        try:
            # 1 pays a loan back, 2's record is mended, 3 stays, 4 gets a record.
            scores = [(1, "present", 730, 0), (2, "present", 600, 1), CREDIT[2]]
            lake.put("raw_credit_bureau.credit_profiles", [*scores, (4, "present", 700, 0)], later)
            lake.put("raw_credit_bureau.loans", LOANS[1:], later)
            assert project.dbt(*build).success
            second = [
                (1, NOW, later, "Toronto", "present", 724, 2, "260000.50"),
                (1, later, None, "Toronto", "present", 730, 1, "250000.00"),
                (2, NOW, later, "Calgary", "quarantined", None, None, None),
                (2, later, None, "Calgary", "present", 600, 0, "0.00"),
                (3, NOW, None, "Springfield", "present", 559, 0, "0.00"),
                (4, NOW, later, None, "absent", None, 0, "0.00"),
                (4, later, None, None, "present", 700, 0, "0.00"),
            ]
            assert rows(marts, HISTORY) == second
            assert project.dbt(*build, "--full-refresh").success
            assert rows(marts, HISTORY) == second, "a history can't be built anew"
            # 1 leaves, 3 moves, and the bureau no longer names 4.
            moved = (3, "Ann Roy", "ann@example.com", "Toronto")
            lake.put("raw_core_banking.customers", [CUSTOMERS[1], moved, CUSTOMERS[3]], last)
            lake.put("raw_credit_bureau.credit_profiles", scores, last)
            assert project.dbt(*build).success
            assert rows(marts, HISTORY) == [
                *second[2:4],
                (3, NOW, last, "Springfield", "present", 559, 0, "0.00"),
                (3, last, None, "Toronto", "present", 559, 0, "0.00"),
                second[5],
                (4, later, last, None, "present", 700, 0, "0.00"),
                (4, last, None, None, "absent", None, 0, "0.00"),
            ]
            for table in ("core_banking__customers", "credit_bureau__credit_profiles"):
                left = f"SELECT * FROM main_snapshots.snap_{table} WHERE customer_id = 1"
                assert rows(marts, left) == []
        finally:
            lake.put_all()


def test_a_refused_record_that_names_nobody_may_be_anybodys(project: Project, lake: Lake) -> None:
    marts = project.settings.home / "dev_marts.duckdb"
    build = ("build", "--exclude-resource-type", "unit_test")
    later, last = NOW + timedelta(days=30), NOW + timedelta(days=31)
    statuses = "SELECT customer_id, credit_record_status, loan_count, loan_total::varchar FROM"
    unnamed = (None, "quarantined", None, None)
    with project.restored():
        try:
            lake.put("raw_credit_bureau.credit_profiles", [*CREDIT, unnamed, unnamed], later)
            assert project.dbt(*build).success
            assert rows(marts, f"{statuses} fct_customers ORDER BY customer_id") == [
                (1, "present", 2, "260000.50"),
                (2, "quarantined", None, None),
                (3, "present", 0, "0.00"),
                (4, "unknown", None, None),
            ]
            assert rows(marts, f"{statuses} fct_unknown_customers") == [(9, "unknown", None, None)]
            assert [row[1:] for row in rows(marts, HISTORY) if row[0] == 4] == [
                (NOW, later, None, "absent", None, 0, "0.00"),
                (later, None, None, "unknown", None, None, None),
            ]
            # A clean snapshot clears all of it.
            clean = [CREDIT[0], (2, "present", 600, 0), CREDIT[2]]
            lake.put("raw_credit_bureau.credit_profiles", clean, last)
            assert project.dbt(*build).success
            found = rows(marts, "SELECT credit_record_status FROM fct_customers ORDER BY ALL")
            assert found == [("absent",), ("present",), ("present",), ("present",)]
            assert rows(marts, "SELECT credit_record_status FROM fct_unknown_customers") == [
                ("absent",)
            ]
        finally:
            lake.put_all()


@pytest.mark.parametrize("target", ["trino", "athena"])
def test_the_project_parses_for_the_warehouses(project: Project, target: str) -> None:
    assert project.dbt("parse", "--target", target, "--target-path", f"target_{target}").success


# What `discover refresh` does: the same project, in process, into a candidate.


GRANTS = [Grant("ann", "city", "St. John's"), Grant("bo", "customer", "3")]


class Candidate:
    """One marts file that is built on; dbt parses once for all builds of one path."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.settings = lake.settings
        self.file = folder / "candidate.duckdb"
        self.work_dir = folder / "work"
        self.files = (self.file, self.work_dir / "work.duckdb")

    def build(self, *args: str, entitlements: list[Grant] = GRANTS) -> BuildReport:
        return build(
            self.settings,
            marts_file=self.file,
            work_dir=self.work_dir,
            args=args,
            entitlements=entitlements,
        )

    def start_again(self) -> None:
        for file in self.files:
            file.unlink(missing_ok=True)

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        return {mart: rows(self.file, f"FROM {mart} ORDER BY ALL") for mart in catalog.MARTS}

    def stored_transactions(self) -> str:
        """Ids in the order in which the file holds them."""
        stored = rows(self.file, "SELECT transaction_id FROM fct_atm_transactions ORDER BY rowid")
        return "".join(key for (key,) in stored)


@pytest.fixture(scope="module")
def candidate(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return Candidate(lake, tmp_path_factory.mktemp("candidate"))


@pytest.fixture(scope="module")
def first_build(candidate: Candidate) -> tuple[BuildReport, Path]:
    """A first build's report and a folder that keeps its files."""
    candidate.start_again()
    report = candidate.build()
    kept = candidate.file.parent / "kept"
    kept.mkdir()
    for file in candidate.files:
        shutil.copyfile(file, kept / file.name)
    return report, kept


@pytest.fixture
def built(candidate: Candidate, first_build: tuple[BuildReport, Path]) -> BuildReport:
    """The first build's report, with the candidate as that build left it."""
    report, kept = first_build
    for file in candidate.files:
        shutil.copyfile(kept / file.name, file)
    return report


@contextlib.contextmanager
def restored(lake: Lake) -> Iterator[None]:
    try:
        yield
    finally:
        lake.put_all()


def test_whatever_arrives_late_an_increment_equals_a_build_from_scratch(
    lake: Lake, candidate: Candidate, built: BuildReport
) -> None:
    assert built.failures == []
    assert built.tables["fct_atm_transactions"] == 4
    assert [line.partition(":")[0] for line in sorted(built.warnings)] == [
        "assert_every_city_has_a_province",
        "fct_atm_transactions_of_unknown_customers",
        "fct_loans_of_unknown_customers",
    ]
    with restored(lake):
        late = ("e", 4, "2026-09-02 08:00:00", "deposit", "1.00")
        new = ("f", 2, "2026-11-03 08:00:00", "withdrawal", "2.00")
        lake.put_transactions([late, *TRANSACTIONS, new])
        arrived = [(9, "Late Comer", "late@example.com", "Halifax")]
        lake.put("raw_core_banking.customers", CUSTOMERS[:2] + arrived)
        lake.put("raw_credit_bureau.credit_profiles", [*CREDIT[:1], (2, "present", 800, 1)])

        assert candidate.build().failures == []
        increment = candidate.marts()
        assert candidate.stored_transactions() == "abcdef", "added, nothing rewritten"
        customers = [row[0] for row in increment["fct_customers"]]
        assert customers == [1, 2, 9]
        assert rows(candidate.file, "SELECT city FROM fct_atm_daily WHERE amount_total = 5") == [
            ("Halifax",)
        ]
        candidate.start_again()
        assert candidate.build().failures == []
        assert candidate.marts() == increment
        assert candidate.stored_transactions() == "aebcdf", "sorted by customer within month"


def test_a_build_that_finds_a_fault_names_it_and_no_customer(
    lake: Lake, candidate: Candidate, built: BuildReport
) -> None:
    with restored(lake):
        lake.put("raw_core_banking.customers", [*CUSTOMERS, CUSTOMERS[0]])
        lake.put_transactions(TRANSACTIONS[1:])
        report = candidate.build()
        names = {line.partition(":")[0] for line in report.failures}
        assert {
            "unique_stg_core_banking__customers_customer_id",
            "assert_every_transaction_is_in_the_fact",
        } <= names
        assert not any("Wendy" in line for line in report.failures)

        lake.put("raw_core_banking.customers", CUSTOMERS)
        healed = candidate.build("--full-refresh")
        assert healed.failures == []
        assert healed.tables["fct_atm_transactions"] == 3


def test_grants_reach_the_rules_as_they_are(candidate: Candidate, built: BuildReport) -> None:
    assert rows(candidate.file, "FROM entitlements ORDER BY ALL") == [
        ("ann", "city", "St. John's"),
        ("bo", "customer", "3"),
    ]


def test_a_source_that_never_delivered_leaves_its_marts_empty_and_no_grant_means_nobody(
    lake: Lake, candidate: Candidate
) -> None:
    candidate.start_again()
    with restored(lake):
        with connect_lake(lake.settings) as connection:
            connection.execute("DROP TABLE lake.raw_feedback.complaints")
            connection.execute("DROP TABLE lake.raw_credit_bureau.loans")
        report = candidate.build(entitlements=[])
    assert report.failures == []
    assert report.tables["fct_complaints"] == report.tables["fct_loans"] == 0
    assert report.tables["entitlements"] == 0
    assert rows(candidate.file, "SELECT sum(loan_count) FROM fct_customers") == [(0,)]


def test_every_metric_renders_and_agrees_with_the_lake(
    candidate: Candidate, built: BuildReport
) -> None:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    from chat.metricflow import engine

    manifest = candidate.work_dir / "target" / "semantic_manifest.json"
    metricflow = engine(manifest)

    def ask(metric: str, by: list[str] | None = None, where: list[str] | None = None) -> Any:
        request = MetricFlowQueryRequest.create(
            metric_names=[metric], group_by_names=by, where_constraints=where
        )
        return rows(candidate.file, metricflow.explain(request).sql_statement.sql)

    names = [metric["name"] for metric in json.loads(manifest.read_text())["metrics"]]
    figures = {name: ask(name)[0][0] for name in names}
    then = {name: figures.pop(name) for name in names if name.endswith("_then")}
    # Only what is known now has been known yet. Loans of strangers are in no customer's history.
    assert then == {
        "customer_count_then": figures["customer_count"],
        "average_credit_score_then": figures["average_credit_score"],
        "delinquency_total_then": figures["delinquency_total"],
        "borrower_count_then": figures["borrower_count"],
        "uncounted_credit_count_then": figures["uncounted_credit_count"],
        "loan_count_then": 2,
        "loan_total_then": Decimal("260000.50"),
        "average_loan_amount_then": pytest.approx(260000.50 / 2),
    }
    assert figures == {
        "customer_count": 4,
        "average_credit_score": 641.5,
        "delinquency_total": 4,
        "borrower_count": 1,
        "uncounted_credit_count": 1,
        "loan_count": 3,
        "loan_total": Decimal("260078.27"),
        "average_loan_amount": pytest.approx(260078.27 / 3),
        "transaction_count": 4,
        "transaction_amount_total": Decimal("185.15"),
        "deposit_count": 2,
        "deposit_total": Decimal("105.10"),
        "withdrawal_count": 2,
        "withdrawal_total": Decimal("80.05"),
        "net_flow": Decimal("25.05"),
        "average_withdrawal": pytest.approx(80.05 / 2),
        "complaint_count": 2,
    }
    good = "{{ Dimension('customer__credit_score') }} > 600"
    assert ask("loan_total", ["customer"], [good]) == [(1, Decimal("260000.50"))]
    own = "{{ Entity('customer') }} IN (1, 3)"
    assert sorted(ask("transaction_count", ["customer__city"], [own])) == [
        ("Springfield", 1),
        ("Toronto", 2),
    ]
    months = sorted(ask("transaction_count", ["metric_time__month"]))
    assert [(month.date().isoformat(), count) for month, count in months] == [
        ("2026-09-01", 1),
        ("2026-10-01", 3),
    ]
    assert sorted(ask("complaint_count", ["complaint__category"])) == [
        ("ATM Issue", 1),
        ("Card Issue", 1),
    ]


def test_the_documentation_is_one_page_with_its_lineage(lake: Lake) -> None:
    page = (build_docs(lake.settings) / "index.html").read_text()
    assert "exposure.discover.knowledge_base" in page
    assert "Grain: one row per customer of core banking" in page
