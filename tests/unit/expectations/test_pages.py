"""What a failed check leaves to read: counts and limits, no value, nothing from another host."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from expectations import pages
from expectations.report import CheckReport
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
    suite.on_pandas("loans", loans, {"amounts": gxe.ExpectColumnValuesToNotBeNull(column="amount")})
    return suite.report()


def test_the_index_names_what_failed_first_and_leads_to_its_page(
    report: CheckReport, tmp_path: Path
) -> None:
    index = pages.write(report, tmp_path / "run" / "raw", "check raw").read_text()
    assert "1 of 3 checks failed" in index
    rows = re.findall(r'<tr class="(\w+)"><td>\w+</td><td>(\w+)</td><td><a href="([^"]+)">', index)
    assert rows[0] == ("failed", "customers", "1.html")
    assert ("holds", "loans", "2.html") in rows
    assert "unexpected 2" in index


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
