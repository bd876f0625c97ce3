"""The whole path: it publishes once, does nothing twice, and stops before it publishes a fault."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from discover.build import PROJECT, build
from discover.refresh import refresh
from lakehouse.duck import connect_published
from lakehouse.users import read_grants
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from tests.conftest import Published


DISCOVER = Path(sys.executable).with_name("discover")


def query(published: Published, sql: str) -> list[tuple]:
    versions = Versions(published.settings.home)
    file = versions.marts_file(versions.require_current().run_id)
    with connect_published(file) as connection:
        return connection.execute(sql).fetchall()


def test_every_stage_ran_and_the_version_is_complete(published: Published) -> None:
    assert published.report.state == "published"
    assert {stage.state for stage in published.report.stages} == {"done"}
    assert published.report.tables["dim_customers"] == 60
    assert published.report.tables["fct_complaints"] == published.complaints >= 40
    assert published.report.documents["written"] >= 60
    document = published.report.to_json()
    assert document["orphans"] == {
        "customers": 0,
        "credit_records": 0,
        "loans": 0,
        "transactions": 0,
    }
    assert document["warnings"] == []


def test_money_in_the_marts_equals_the_delivered_file_to_the_cent(published: Published) -> None:
    with (published.delivered / "atm" / "atm_activity.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    delivered = {
        kind: (
            len([row for row in rows if row["transaction_type"] == kind]),
            sum(Decimal(row["amount"]) for row in rows if row["transaction_type"] == kind),
        )
        for kind in ("deposit", "withdrawal")
    }
    for table in ("fct_atm_transactions", "fct_atm_daily"):
        count, total = (
            ("count(*)", "sum(amount)")
            if table == "fct_atm_transactions"
            else ("sum(transaction_count)", "sum(amount_total)")
        )
        found = query(
            published,
            f"SELECT transaction_type, {count}, {total} FROM {table} GROUP BY 1",
        )
        assert {kind: (int(n), amount) for kind, n, amount in found} == delivered


def test_loans_in_the_wide_table_equal_the_delivered_json(published: Published) -> None:
    path = published.delivered / "credit_bureau" / "credit_data.json"
    records = json.loads(path.read_text(), parse_float=Decimal)
    delivered = {
        record["customer_id"]: (
            len(record["outstanding_loans"]),
            sum((Decimal(loan["amount"]) for loan in record["outstanding_loans"]), Decimal(0)),
        )
        for record in records
    }
    found = query(
        published,
        "SELECT customer_id, loan_count, loan_total FROM fct_customers"
        " WHERE credit_record_status = 'present'",
    )
    assert {customer: (count, total) for customer, count, total in found} == delivered


def test_the_same_again_is_unchanged(published: Published) -> None:
    before = Versions(published.settings.home).require_current()
    report = refresh(published.settings, published.inputs)
    assert report.state == "unchanged"
    assert report.run_id == before.run_id
    assert report.documents["puts"] == 0
    assert report.orphans == published.report.orphans
    assert Versions(published.settings.home).require_current() == before


def test_where_nothing_is_new_nothing_heavy_is_imported(published: Published) -> None:
    """An unchanged refresh runs every few minutes in some places: imports are what it costs."""
    sources = [
        f"--source={name}={path}" for name, paths in published.inputs.items() for path in paths
    ]
    command = ["discover", "--home", str(published.settings.home), "refresh", "--json", *sources]
    code = (
        "import sys\n"
        f"sys.argv = {command!r}\n"
        "from discover.cli import main\n"
        "try: main()\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["state"] == "unchanged", done.stderr
    imported = set(done.stderr.splitlines()[-1].split())
    assert imported.isdisjoint({"dbt", "great_expectations", "pyspark", "pandas", "superset"})
    assert "duckdb" in imported


def test_what_a_terminal_would_obey_is_spelled_out(published: Published) -> None:
    command = [str(DISCOVER), "sql", "SELECT chr(27) || '[31mred' AS x"]
    done = subprocess.run(
        [*command, "--home", str(published.settings.home)], capture_output=True, check=True
    )
    assert b"<U+001B>[31mred" in done.stdout
    assert b"\x1b[31mred" not in done.stdout


def test_a_second_build_parses_nothing_that_is_as_it_was_and_where_it_was(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "checkout" / "dbt_project"
    shutil.copytree(PROJECT, elsewhere, ignore=shutil.ignore_patterns("target", "logs"))
    written = []
    for run, project in (("moved", elsewhere), ("first", PROJECT), ("second", PROJECT)):
        monkeypatch.setattr("discover.build.PROJECT", project)
        (tmp_path / run).mkdir()
        built = build(
            published.settings,
            # Every run builds into another file.
            marts_file=tmp_path / run / "marts.duckdb",
            work_dir=tmp_path / "work",
            entitlements=read_grants(published.settings.home),
        )
        assert (built.failures, built.tables) == ([], published.report.tables)
        semantic = json.loads((tmp_path / "work/target/semantic_manifest.json").read_text())
        parsed = {file: file.stat().st_mtime_ns for file in tmp_path.glob("work_parsed_*")}
        written.append((parsed, semantic))
        shutil.rmtree(tmp_path / "work")
        shutil.rmtree(elsewhere, ignore_errors=True)
    assert written[2] == written[1]


def test_a_part_is_built_aside_without_the_rest(published: Published) -> None:
    before = Versions(published.settings.home).require_current()
    # As a user would, in a process of its own: dbt keeps a project's state inside its process.
    built = subprocess.run(
        [
            str(Path(sys.executable).with_name("discover")),
            *("build", "--json", "--home", str(published.settings.home)),
            *("--", "--select", "fct_loans"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    document = json.loads(built.stdout)
    assert document["failures"] == []
    assert document["tables"] == before.tables
    assert Versions(published.settings.home).require_current() == before


def test_a_failed_gate_publishes_nothing(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    import expectations.marts
    from expectations.report import Check, CheckReport

    def broken(settings: object, marts_file: object) -> CheckReport:
        return CheckReport((Check("planted", "fct_customers", False, {"unexpected": 1}),))

    monkeypatch.setattr(expectations.marts, "check_marts", broken)
    before = Versions(published.settings.home).require_current()
    report = refresh(published.settings, published.inputs, force=True)
    assert (report.state, report.exit_code) == ("stopped", 4)
    assert "planted" in report.failures[0]
    page = published.settings.home / "quality" / report.run_id / "check-marts" / "index.html"
    assert str(page) in report.failures[0]
    assert "fct_customers" in page.read_text()
    assert Versions(published.settings.home).require_current() == before
    kept = {path.name for path in (published.settings.home / "versions").iterdir()}
    assert report.run_id not in kept


def test_a_refresh_that_is_told_to_end_leaves_neither_lock_nor_candidate(
    published: Published,
) -> None:
    versions = Versions(published.settings.home)
    before = versions.require_current()
    folders = set(versions.folder.iterdir())
    refreshing = subprocess.Popen(
        [
            str(DISCOVER),
            *("refresh", "--force", "--json", "--home", str(published.settings.home)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while set(versions.folder.iterdir()) == folders:
            assert refreshing.poll() is None, refreshing.communicate()
            time.sleep(0.02)
        refreshing.terminate()
        said = refreshing.communicate(timeout=60)
    finally:
        refreshing.kill()
    assert refreshing.returncode == 128 + signal.SIGTERM, said
    assert set(versions.folder.iterdir()) == folders
    assert versions.require_current() == before
    assert (published.settings.home / "refresh.lock").read_text() == ""
    with versions.lock("next"):
        pass
