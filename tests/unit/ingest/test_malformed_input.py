"""Malformed deliveries: the good rows beside a bad one land, and what is bad is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.land import FileReport, LandReport
from tests.unit.ingest.malformed import (
    CUSTOMERS,
    DOCUMENT,
    HEADER,
    STORIES,
    Case,
    Story,
    assess,
    cases,
    document,
    record,
    reports,
)


def report(folder: Path, source: str, data: bytes, name: str = "delivered") -> LandReport:
    path = folder / name
    path.write_bytes(data)
    return assess(folder, source, [path])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, FileReport]:
    return reports(tmp_path_factory.mktemp("malformed"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title[:120])
def test_what_is_bad_is_told_and_its_neighbours_land(
    case: Case, found: dict[Case, FileReport]
) -> None:
    file = found[case]
    assert tuple(file.rows or []) == case.rows
    assert len(file.rejects) == len(case.bad)
    for reject, (line, field, reason) in zip(file.rejects, case.bad, strict=True):
        assert field in ("*", reject.field)
        assert reject.line == line or field == "*"
        assert reason in reject.reason
        assert len(reject.raw) < 1_100
    if case.whole:
        assert (file.state, file.landed) == ("quarantined", 0)
        assert LandReport(case.source, [file]).rejected, "the command ends with exit code 3"
    elif not case.bad:
        assert file.state == "landed"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_what_takes_more_than_the_rows_of_a_file(story: Story, tmp_path: Path) -> None:
    assert story.run(tmp_path) == story.seen


def test_the_document_says_what_happens(found: dict[Case, FileReport]) -> None:
    page = document(found, {story: story.seen for story in STORIES})
    assert DOCUMENT.read_text(encoding="utf-8") == page, (
        "write it anew: .venv/bin/python -m tests.unit.ingest.malformed"
    )


def test_a_rejected_line_is_told_with_everything_that_is_wrong(tmp_path: Path) -> None:
    line = b"x,2026-03-02 12:00:00,-1.00,Deposit,9\n"
    (file,) = report(tmp_path, "atm", HEADER + line).files
    (reject,) = file.rejects
    assert (file.rows_in, reject.field) == (1, "atm_id")
    assert "amount: not above zero" in reject.reason
    assert "transaction_type: not deposit" in reject.reason
    assert reject.raw == line.decode().rstrip()


def test_a_record_in_an_array_is_told_by_number_and_line(tmp_path: Path) -> None:
    data = b"[" + record() + b",\n\n" + record(customer_id=0) + b"]"
    (reject,) = report(tmp_path, "credit_bureau", data).files[0].rejects
    assert (reject.record, reject.line) == (2, 3)


def test_an_empty_snapshot_stops(tmp_path: Path) -> None:
    assert report(tmp_path, "credit_bureau", b"[ ]").stopped
    assert report(tmp_path, "core_banking", CUSTOMERS).stopped
    assert report(tmp_path, "atm", HEADER).rejected is None


def test_a_raw_text_of_feedback_is_scrubbed(tmp_path: Path) -> None:
    line = b'{"feedback_id": "1", "description": "call 416-555-0134", "email": "a@example.com"}\n'
    (file,) = report(tmp_path, "feedback", line).files
    assert file.state == "quarantined"
    assert "416" not in file.rejects[0].raw
    assert "example.com" not in file.rejects[0].raw


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-32"])
def test_of_a_broken_file_of_feedback_no_byte_is_kept(tmp_path: Path, code: str) -> None:
    """Its first bytes would tell the number, each beside a NUL."""
    (file,) = report(tmp_path, "feedback", "call 416-555-0134".encode(code)).files
    assert [reject.raw for reject in file.rejects] == [""]


def test_a_row_torn_over_two_parts_of_a_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"7,2026-03-02 09:{n:02d}:00,20,deposit,{n + 10}\n" for n in range(40))
    torn = HEADER.decode() + rows.replace(",30\n", ",3\n0\n").replace(
        "\n7,2026-03-02 09:31", "\n1\n7,2026-03-02 09:31"
    )
    for size in (50, 64, 97, 131, 1 << 20):
        monkeypatch.setattr("ingest.frame.CHUNK", size)
        monkeypatch.setattr("ingest.frame.read_lines.__defaults__", (None, size))
        (file,) = report(tmp_path, "atm", torn.encode()).files
        landed = {row["customer_id"] for row in file.rows or []}
        assert landed == set(range(10, 50)) - {30, 40, 41}, size
        assert sum("torn" in reject.reason for reject in file.rejects) == 3


def test_a_test_fails_where_a_case_lands_silently(found: dict[Case, FileReport]) -> None:
    case = next(case for case in cases() if "exponent" in case.name)
    taken = FileReport(case.name, "landed", 3, 3, 0, [], [*case.rows, {"amount": "1000.00"}])
    with pytest.raises(AssertionError):
        test_what_is_bad_is_told_and_its_neighbours_land(case, {case: taken})
    assert document(found, {}) != document({**found, case: taken}, {})


def test_reports_are_json(found: dict[Case, FileReport]) -> None:
    for file in found.values():
        json.dumps(file.to_json(), ensure_ascii=False).encode()
