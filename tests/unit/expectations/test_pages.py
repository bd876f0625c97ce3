"""What a failed check leaves to read: counts and keys, no value, nothing from another host."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from expectations import pages
from expectations.report import CheckReport, RowKeys
from expectations.suite import Suite


@pytest.fixture(scope="module")
def report() -> CheckReport:
    from great_expectations import expectations as gxe

    suite = Suite()
    emails = pa.table({"email": ["wendy@example.com", None, "omar@example.com"]}).to_pandas()
    suite.on_pandas(
        "customers",
        emails,
        {
            "email is known": gxe.ExpectColumnValuesToBeInSet(column="email", value_set=["nobody"]),
            "there are rows": gxe.ExpectTableRowCountToBeBetween(min_value=1),
        },
    )
    loans = pa.table({"amount": [1, 2]}).to_pandas()
    suite.on_pandas(
        "loans",
        loans,
        {
            "amounts": gxe.ExpectColumnValuesToNotBeNull(column="amount"),
            "few": gxe.ExpectColumnMaxToBeBetween(column="amount", max_value=1),
        },
        notes={"few": "allowed by <nobody>"},
        keys={"few": RowKeys(("customer_id", "loan_number"), ((17, 1), (17, 2)), 1234)},
    )
    return suite.report()


def test_the_index_names_what_failed_first_and_leads_to_its_page(
    report: CheckReport, tmp_path: Path
) -> None:
    index = pages.write(report, tmp_path / "run" / "raw", "check raw").read_text()
    assert "2 of 4 checks failed" in index
    rows = re.findall(r'<tr class="(\w+)"><td>\w+</td><td>(\w+)</td><td><a href="([^"]+)">', index)
    assert rows[0] == ("failed", "customers", "1.html")
    assert ("holds", "loans", "2.html") in rows
    assert "unexpected 2" in index


def test_the_index_names_the_rows_at_fault_and_says_how_many_they_are(
    report: CheckReport, tmp_path: Path
) -> None:
    index = pages.write(report, tmp_path / "run" / "raw", "check raw").read_text()
    assert "found 2; allowed by &lt;nobody&gt;" in index
    assert "1,234 rows at fault, the first 2:" in index
    assert "<th>customer_id</th><th>loan_number</th>" in index
    assert "<tr><td>17</td><td>2</td></tr>" in index
    (few,) = [check for check in report.to_json()["checks"] if check["name"] == "few"]
    assert few["keys"] == {
        "columns": ["customer_id", "loan_number"],
        "rows": [[17, 1], [17, 2]],
        "total": 1234,
    }


def test_pages_hold_no_value_and_fetch_nothing(report: CheckReport, tmp_path: Path) -> None:
    folder = pages.write(report, tmp_path / "run" / "raw", "check raw").parent
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(written) == {"index.html", "1.html", "2.html"}
    for text in written.values():
        assert "example.com" not in text
        assert not re.search(r"(src|href)=.https?://", text)
        assert "<script" not in text
    assert "email" in written["1.html"]


def test_pages_of_old_runs_are_swept(report: CheckReport, tmp_path: Path) -> None:
    for run in range(pages.PAGES_KEPT + 2):
        pages.write(CheckReport(report.checks), tmp_path / f"{run:03}" / "raw", "check raw")
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "002"
