"""A bank of eight customers, published by hand: small enough to check every answer by eye."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chat.answer import ask
from chat.plan import Scope
from lakehouse.settings import REPOSITORY, Settings, load
from lakehouse.text import key_sql
from lakehouse.versions import Manifest, Versions

Change = Callable[[duckdb.DuckDBPyConnection], None]

RUN_ID = "20261124T060000.000000Z"
BANDS = {
    "Poor": "300–559 Poor",
    "Fair": "560–659 Fair",
    "Good": "660–724 Good",
    "Very Good": "725–759 Very Good",
    "Excellent": "760–900 Excellent",
}
CUSTOMERS = [
    (1, "Wendy Zhao", "Toronto", "Ontario", "present", 712, "Good", 0),
    (2, "Omar Haddad", "Toronto", "Ontario", "present", 640, "Fair", 2),
    (3, "Ana Silva", "Calgary", "Alberta", "present", 801, "Excellent", 0),
    (4, "Mia O'Neil", "Halifax", "Nova Scotia", "present", 590, "Fair", 1),
    (5, "Liam Roy", "Montreal", "Quebec", "present", 655, "Fair", 0),
    (6, "Liam Roy", "Calgary", "Alberta", "quarantined", None, None, None),
    (7, "Zoé Côté", "Quebec City", "Quebec", "absent", None, None, None),
    (8, "Victor Hamilton", "Hamilton", "Ontario", "present", 733, "Very Good", 0),
]
BEFORE = "2026-09-01"
"""The first day of the history."""
HISTORY = [
    # What was known before: customer, from, to, then as in CUSTOMERS; and loans, their total.
    (1, BEFORE, "2026-10-20", "Calgary", "Alberta", "present", 700, "Good", 1, 1, "20000.50"),
    (1, "2026-10-20", "2026-11-01", *CUSTOMERS[0][2:5], 706, "Good", 0, 2, "270000.50"),
    (2, BEFORE, "2026-11-10", "Toronto", "Ontario", "quarantined", None, None, *[None] * 3),
    (7, BEFORE, "2026-11-10", "Quebec City", "Quebec", "present", 500, "Poor", 3, 1, "800.00"),
    # Landed after the last business day.
    (8, BEFORE, "2026-11-24", *CUSTOMERS[7][2:5], 730, "Very Good", 0, 1, "100000.00"),
]
LOANS = [
    (1, 1, "house", "250000.00"),
    (1, 2, "car", "20000.50"),
    (2, 1, "car", "15000.00"),
    (4, 1, "student", "9000.25"),
    (5, 1, "personal", "5000.00"),
    (8, 1, "business", "100000.00"),
]
TRANSACTIONS = [
    # customer, type, amount, local time; 99 is unknown to core banking.
    (1, "withdrawal", "100.00", "2026-10-05 09:15:00"),
    (1, "withdrawal", "60.25", "2026-11-22 18:30:00"),
    (1, "deposit", "500.00", "2026-10-05 09:20:00"),
    (2, "withdrawal", "40.00", "2026-10-31 23:59:59"),
    (2, "deposit", "1000.10", "2026-11-01 00:00:00"),
    (3, "deposit", "2500.00", "2026-11-23 12:00:00"),
    (4, "withdrawal", "20.00", "2026-09-30 10:00:00"),
    (8, "withdrawal", "300.00", "2026-11-23 09:00:00"),
    (99, "withdrawal", "80.00", "2026-11-20 09:00:00"),
]
COMPLAINTS = [
    ("ATM Issue", "2026-11-20"),
    ("ATM Issue", "2026-10-02"),
    ("Card Issue", "2026-11-22"),
    ("Service Feedback", None),
]


@pytest.fixture(scope="session")
def semantic_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The metrics as the dbt project defines them now."""
    folder = tmp_path_factory.mktemp("dbt")
    places = ("--target-path", str(folder / "target"), "--log-path", str(folder / "logs"))
    project = str(REPOSITORY / "dbt_project")
    subprocess.run(
        [
            *(Path(sys.executable).with_name("dbt"), "parse", "--quiet", "--target", "offline"),
            *("--project-dir", project, "--profiles-dir", project, *places),
        ],
        check=True,
    )
    return folder / "target" / "semantic_manifest.json"


@pytest.fixture(scope="session")
def bank_home(tmp_path_factory: pytest.TempPathFactory, semantic_manifest: Path) -> Path:
    """A home with one published version of the eight customers."""
    home = tmp_path_factory.mktemp("home")
    publish_bank(home, semantic_manifest)
    return home


def publish_bank(home: Path, semantic_manifest: Path, change: Change | None = None) -> None:
    """Publish the eight customers in ``home``, after ``change`` has run on their marts."""
    versions = Versions(home)
    marts = versions.candidate(RUN_ID)
    write_marts(marts)
    if change:
        with duckdb.connect(str(marts)) as connection:
            change(connection)
    shutil.copyfile(semantic_manifest, versions.semantic_manifest_file(RUN_ID))
    versions.publish(
        Manifest(
            run_id=RUN_ID,
            published_at="2026-11-24T06:00:00+00:00",
            inputs={},
            code="",
            tables={},
            data_through="2026-11-23",
        )
    )


@pytest.fixture
def bank(bank_home: Path) -> Settings:
    return load(bank_home, "local")


@pytest.fixture
def say(bank: Settings) -> Callable[..., dict[str, Any]]:
    """Asks as the analyst who sees everyone, unless told otherwise."""

    def asked(
        question: str,
        *,
        user: str | None = "analyst",
        history: list[Any] | None = None,
        **scope: Any,
    ) -> dict[str, Any]:
        narrowed = Scope.model_validate({name.rstrip("_"): value for name, value in scope.items()})
        return ask(bank, question, user=user, scope=narrowed, history=history or ())

    return asked


def write_marts(file: Path) -> None:
    """The marts of DESIGN §5, with the columns that questions read."""
    with duckdb.connect(str(file)) as marts:
        marts.execute(
            "CREATE TABLE fct_customers (customer_id BIGINT, customer_name VARCHAR,"
            " customer_label VARCHAR, city VARCHAR, province VARCHAR, credit_record_status VARCHAR,"
            " credit_score INTEGER, credit_band VARCHAR, delinquencies INTEGER, loan_count BIGINT,"
            " loan_total DECIMAL(18, 2), atm_transaction_count BIGINT)"
        )
        for number, name, city, province, status, score, band, late in CUSTOMERS:
            loans = [loan for loan in LOANS if loan[0] == number]
            total = sum(float(loan[3]) for loan in loans)
            known = status != "quarantined"
            moved = sum(row[0] == number for row in TRANSACTIONS)
            marts.execute(
                "INSERT INTO fct_customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(number, name, f"{name} · #{number}", city, province, status, score),
                    *(BANDS.get(band or ""), late, len(loans) if known else None),
                    *(total if known else None, moved),
                ],
            )
        marts.execute(
            f"CREATE TABLE dim_customers AS SELECT *, {key_sql('customer_name')} AS"
            " customer_name_key FROM fct_customers"
        )
        marts.execute(
            "CREATE TABLE fct_loans (customer_id BIGINT, loan_number INTEGER, loan_type VARCHAR,"
            " amount DECIMAL(18, 2))"
        )
        marts.executemany("INSERT INTO fct_loans VALUES (?, ?, ?, ?)", LOANS)
        marts.execute(
            "CREATE TABLE fct_atm_transactions (transaction_id VARCHAR, customer_id BIGINT,"
            " atm_id BIGINT, transaction_type VARCHAR, amount DECIMAL(18, 2),"
            " transacted_at_local TIMESTAMP, transaction_date DATE, transaction_hour INTEGER,"
            " transaction_weekday INTEGER)"
        )
        for index, (number, kind, amount, at) in enumerate(TRANSACTIONS):
            marts.execute(
                "INSERT INTO fct_atm_transactions SELECT ?, ?, ?, ?, ?, t, t::DATE, hour(t),"
                " isodow(t) FROM (SELECT ?::TIMESTAMP AS t)",
                [f"t{index}", number, index % 3, kind, amount, at],
            )
        _write_history(marts)
        marts.execute(
            "CREATE TABLE fct_complaints (feedback_id VARCHAR, category VARCHAR,"
            " complaint_date DATE)"
        )
        marts.executemany(
            "INSERT INTO fct_complaints VALUES (?, ?, ?)",
            [(f"c{index}", *complaint) for index, complaint in enumerate(COMPLAINTS)],
        )


def _write_history(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        "CREATE TABLE fct_credit_history AS"
        " SELECT customer_id, TIMESTAMP '2026-09-01' AS valid_from_utc,"
        " NULL::TIMESTAMP AS valid_to_utc, DATE '2026-09-01' AS valid_from_date,"
        " NULL::DATE AS valid_to_date,"
        " city, province, credit_record_status, credit_score, credit_band, delinquencies,"
        " loan_count, loan_total FROM fct_customers"
    )
    for number, start, end, city, province, status, score, band, *others in HISTORY:
        marts.execute(
            "INSERT INTO fct_credit_history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                *(start, end) * 2,
                city,
                province,
                status,
                score,
                BANDS.get(band or ""),
                *others,
            ],
        )
        # Ranges follow each other: what is known now began when the last of them ended.
        marts.execute(
            "UPDATE fct_credit_history SET valid_from_utc = ?, valid_from_date = ?"
            " WHERE customer_id = ? AND valid_to_date IS NULL",
            [end, end, number],
        )
