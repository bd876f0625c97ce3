"""Files that this project did not make go through the whole path, to totals counted by hand.

50 customers from a psql script; 48 credit records in a pretty-printed array (no file: 13 and 37),
38 of them with loans; 80 ATM rows with CRLF and six-digit fractions, of customers 1 to 40. How the
totals were counted stands in ``test_landing.py`` beside the landed rows.

All goes through the command, in processes of its own: as a user would, and because Sail keeps the
keys of the first lake that a process touches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chat.answer import ask
from lakehouse import services
from lakehouse.duck import connect_published
from lakehouse.settings import REPOSITORY, Settings, load
from lakehouse.versions import Versions

FILES = REPOSITORY / "tests" / "fixtures" / "other_people"
DISCOVER = Path(sys.executable).with_name("discover")


def discover(home: Path, *arguments: str) -> Any:
    """What one command printed as JSON; nothing else may stand on its standard output."""
    command = [str(DISCOVER), "--home", str(home), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="discover-others-") as folder:
        home = Path(folder).resolve()
        services.up(home, ["seaweedfs", "postgres", "ministack"])
        try:
            discover(home, "bank", "load", str(FILES / "customers.sql"))
            report = discover(
                home,
                "refresh",
                *("--source", f"credit_bureau={FILES / 'credit_data.json'}"),
                *("--source", f"atm={FILES / 'atm_activity.csv'}"),
            )
            assert (report["state"], report["quarantined"]) == ("published", 0)
            yield load(home, "local")
        finally:
            services.down(home)


def one_row(settings: Settings, sql: str) -> tuple:
    versions = Versions(settings.home)
    with connect_published(versions.marts_file(versions.require_current().run_id)) as connection:
        (row,) = connection.execute(sql).fetchall()
    return row


def test_the_wide_table_has_the_totals_counted_by_hand(settings: Settings) -> None:
    assert one_row(
        settings,
        "SELECT count(*), sum(loan_count), sum(loan_total), sum(deposit_count),"
        " sum(deposit_total), sum(withdrawal_count), sum(withdrawal_total), sum(net_flow),"
        " count(*) FILTER (WHERE credit_record_status = 'absent'),"
        " count(*) FILTER (WHERE loan_count > 0),"
        " count(*) FILTER (WHERE atm_transaction_count = 0) FROM fct_customers",
    ) == (
        *(50, 57, Decimal("956297.75"), 40, Decimal("9282.00"), 40, Decimal("1805.50")),
        *(Decimal("7476.50"), 2, 38, 10),
    )


def test_one_customer_is_as_delivered(settings: Settings) -> None:
    assert one_row(
        settings,
        "SELECT customer_label, city, credit_score, loan_count, loan_total, deposit_total,"
        " withdrawal_total FROM fct_customers WHERE customer_id = 1",
    ) == (
        *("Liam O'Brien · #1", "Toronto", 500, 2, Decimal("1404.10")),
        *(Decimal("404.10"), Decimal("20.00")),
    )


def test_the_chat_says_the_same(settings: Settings) -> None:
    answer = ask(settings, "What is the total loan amount?", user="analyst")
    assert (answer["status"], answer["rows"]) == ("answered", [["956297.75"]])
