"""The report for people who deliver files: the place and the characters that are wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from discover.land_report import explained, show
from ingest.land import land
from ingest.rejects import Reject
from lakehouse.settings import load

COLUMNS = ("atm_id", "timestamp", "amount", "transaction_type", "customer_id")
HEADER = ",".join(COLUMNS) + "\n"
GOOD = "".join(f"7,2026-03-02 09:{n:02d}:00,20,deposit,{n + 1}\n" for n in range(40))


def told(field: str, reason: str, raw: str, columns: tuple[str, ...] = COLUMNS) -> list[str]:
    return [line.plain for line in explained(Reject(42, field, reason, raw), columns)]


def test_the_field_is_marked_and_invisible_characters_are_spelled_out() -> None:
    assert told("amount", "not an amount", "7,2026-03-02 10:00:00,20\u00a0,deposit,1") == [
        "  line 42, amount: not an amount",
        "    7,2026-03-02 10:00:00,20<U+00A0>,deposit,1",
        "                          ^^^^^^^^^^",
        "    U+00A0 NO-BREAK SPACE",
    ]


def test_every_field_that_is_wrong_is_marked_and_look_alikes_are_named() -> None:
    reason = "not whole; transaction_type: not deposit or withdrawal"
    _, record, under, odd = told("atm_id", reason, "x,2026-03-02 10:00:00,20,depоsit,1")
    assert under == "    ^" + " " * 24 + "^" * 7
    assert record.endswith(",depоsit,1")
    assert odd == "    о is U+043E CYRILLIC SMALL LETTER O"


@pytest.mark.parametrize(
    ("field", "reason", "raw", "marked"),
    [
        ("", "not JSON: Expecting ',' delimiter (character 6)", '{"a":05}', "0"),
        ("", "not UTF-8 (byte 4 of the line)", "abc\\xff\\xfed", "\\xff\\xfe"),
        ("", "holds a NUL byte", "ab\0c", "<U+0000>"),
        ("", "a quote that doesn't enclose a whole field", '1,"x', '"'),
        (
            "credit_score",
            "not a whole number",
            '{"credit_score": "7", "x": 1}',
            '"credit_score": "7"',
        ),
        ("amount", "not an amount", '7,"a,b",20x,d,1', "20x"),
    ],
)
def test_the_place_is_marked(field: str, reason: str, raw: str, marked: str) -> None:
    columns = ("atm_id", "timestamp", "amount") if field == "amount" else ()
    _, record, under, *_ = told(field, reason, raw, columns)
    assert record[under.index("^") : len(under)] == marked


def test_a_line_that_may_be_cut_is_marked_behind_its_end() -> None:
    _, record, under = told("", "no line ending: the file may be cut here", "7,8")
    assert (record, under) == ("    7,8", "       ^")


def test_a_long_record_is_shown_around_the_place() -> None:
    raw = f"7,{'y' * 500},20x,deposit,{'1' * 500}"
    _, record, under = told("amount", "not an amount", raw)
    assert record.startswith("    …y")
    assert record.endswith("1…")
    assert len(record) < 200
    assert record[under.index("^") : len(under)] == "20x"


def test_wide_characters_take_two_places() -> None:
    _, _, under = told("amount", "not an amount", "７,２,20x,deposit,1")
    assert under == "    " + " " * 6 + "^^^"


def test_many_rejects_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "atm.csv"
    bad = "7,2026-03-02 10:00:00,0,deposit,1\n" * 30 + "7,2026-03-02 10:00:00,1e3,deposit,1\n"
    path.write_text(HEADER + GOOD + bad)
    report = land(load(tmp_path, "local"), "atm", [str(path)], check=True)
    printed = io.StringIO()
    show(report, check=True, limit=0.05, console=Console(file=printed, width=200))
    told = printed.getvalue()
    assert (
        "71 records in, 40 good but none lands, 31 quarantined (43.7 %; the limit is 5 %)" in told
    )
    assert "30 × amount: not above zero — first on line 42" in told
    assert "1 × amount: not an amount in plain digits" in told
    assert told.count("line ") < 30


def test_brackets_in_a_record_are_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "credit.json"
    path.write_text('{"customer_id": 1, "[red]": [/red]}\n')
    report = land(load(tmp_path, "local"), "credit_bureau", [str(path)], check=True)
    printed = io.StringIO()
    show(report, check=True, limit=0.05, console=Console(file=printed, width=200))
    assert "[red]" in printed.getvalue()


def test_a_source_may_have_a_limit_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "atm.csv"
    path.write_text(HEADER + GOOD + "7,2026-03-02 10:00:00,0,deposit,1\n")
    assert land(load(tmp_path, "local"), "atm", [str(path)], check=True).stopped is None
    monkeypatch.setenv("DISCOVER_BAD_SHARE_LIMITS", '{"atm": 0.01}')
    strict = load(tmp_path, "local")
    stopped = land(strict, "atm", [str(path)], check=True)
    assert stopped.stopped == (
        "1 of 41 records are bad (2.4 %, more than the 1 % of DISCOVER_BAD_SHARE_LIMITS)"
    )
    assert [file.state for file in stopped.files] == ["stopped"]
    assert strict.bad_share_limit_of("credit_bureau") == 0.05
