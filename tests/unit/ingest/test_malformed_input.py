"""Malformed deliveries: for each, what must happen and why. The good rows beside a bad one land."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest.land import FileReport, LandReport, land
from lakehouse.settings import load

HEADER = b"atm_id,timestamp,amount,transaction_type,customer_id\n"
FIRST = b"12,2026-03-02 08:15:00,404.1,withdrawal,3\n"
LAST = b"7,2026-03-02 18:40:11.250000,80.00,deposit,17\n"
FIRST_ROW = {
    "atm_id": 12,
    "timestamp": "2026-03-02 08:15:00",
    "amount": "404.10",
    "transaction_type": "withdrawal",
    "customer_id": 3,
}
LAST_ROW = {
    "atm_id": 7,
    "timestamp": "2026-03-02 18:40:11.25",
    "amount": "80.00",
    "transaction_type": "deposit",
    "customer_id": 17,
}
GOOD = HEADER + FIRST + LAST


def check(folder: Path, source: str, data: bytes, name: str = "delivered") -> FileReport:
    return report(folder, source, data, name).files[0]


def check_cuts(folder: Path, source: str, whole: bytes) -> list[FileReport]:
    """One report for each length at which a file can be cut."""
    paths = []
    for size in range(1, len(whole)):
        paths.append(folder / f"cut-{size:04d}")
        paths[-1].write_bytes(whole[:size])
    files = assess(folder, source, paths).files
    assert len(files) == len(whole) - 1
    return files


def report(folder: Path, source: str, data: bytes, name: str = "delivered") -> LandReport:
    path = folder / name
    path.write_bytes(data)
    return assess(folder, source, [path])


def assess(folder: Path, source: str, paths: list[Path]) -> LandReport:
    # A limit of 1: a case of three rows has a large bad share.
    settings = load(folder, "local", bad_share_limit=1)
    found = land(settings, source, [str(path) for path in paths], check=True, rows=True)
    for file in found.files:
        assert file.rows_in == file.landed + file.quarantined
        assert len(file.rows or []) == file.landed
    return found


def atm_row(**changed: bytes) -> bytes:
    fields = {
        "atm_id": b"5",
        "timestamp": b"2026-03-02 12:00:00",
        "amount": b"20.00",
        "transaction_type": b"deposit",
        "customer_id": b"9",
    }
    return b",".join((fields | changed).values()) + b"\n"


@dataclass(frozen=True)
class Bad:
    """One bad line between two good ones: ``field`` and a word of the reason."""

    name: str
    line: bytes
    field: str
    reason: str


def values(field: str, reason: str, **cases: bytes) -> Iterator[Bad]:
    for name, value in cases.items():
        yield Bad(f"{field}: {name.replace('_', ' ')}", atm_row(**{field: value}), field, reason)


BAD_ATM_LINES = [
    *values(
        "amount",
        "plain digits",
        empty=b"",
        NaN=b"NaN",
        infinity=b"Infinity",
        exponent=b"1e3",
        currency_sign=b"$20.50",
        hexadecimal=b"0x14",
        digits_of_another_script="２０".encode(),
        three_decimals=b"20.505",
        third_decimal_is_zero=b"20.500",
        plus_sign=b"+20",
        leading_zero=b"020.00",
        point_first=b".50",
        point_last=b"20.",
        underscore=b"1_000",
        blank_before=b" 20",
        blank_after=b"20 ",
        no_break_space="20\u00a0".encode(),
        out_of_range=b"99999999999999999.00",
        formula=b"=1+1",
        letters=b"twenty",
    ),
    *values("amount", "not above zero", zero=b"0", zero_with_decimals=b"0.00", negative=b"-20.00"),
    *values(
        "atm_id",
        "whole number",
        decimal=b"1.5",
        leading_zeros=b"0004",
        negative=b"-1",
        zero=b"0",
        out_of_range=b"2147483648",
        far_out_of_range=b"99999999999999999999999999",
        empty=b"",
        exponent=b"1e1",
        injection=b"1 OR 1=1",
    ),
    *values("customer_id", "whole number", decimal=b"9.0", null=b"NULL", boolean=b"true"),
    *values(
        "timestamp",
        "YYYY-MM-DD",
        impossible_date=b"2026-02-30 12:00:00",
        no_leap_year=b"2026-02-29 12:00:00",
        month_13=b"2026-13-01 12:00:00",
        hour_24=b"2026-03-02 24:00:00",
        leap_second=b"2026-06-30 23:59:60",
        epoch_number=b"1772452800",
        offset=b"2026-03-02 12:00:00-04:00",
        zulu=b"2026-03-02 12:00:00Z",
        zone_name=b"2026-03-02 12:00:00 America/Toronto",
        letter_T=b"2026-03-02T12:00:00",
        day_first=b"02-03-2026 12:00:00",
        slashes=b"2026/03/02 12:00:00",
        date_alone=b"2026-03-02",
        no_seconds=b"2026-03-02 12:00",
        one_digit_month=b"2026-3-02 12:00:00",
        seven_digit_fraction=b"2026-03-02 12:00:00.1234567",
        point_without_fraction=b"2026-03-02 12:00:00.",
        infinity=b"infinity",
        five_digit_year=b"20260-03-02 12:00:00",
        year_zero=b"0000-03-02 12:00:00",
        blank_before=b" 2026-03-02 12:00:00",
        two_blanks=b"2026-03-02  12:00:00",
        empty=b"",
    ),
    *values(
        "timestamp",
        "not a year",
        year_1066=b"1066-10-14 12:00:00",
        year_2100=b"2100-01-01 12:00:00",
    ),
    *values(
        "timestamp",
        "skipped",
        gap_of_spring=b"2026-03-08 02:30:00",
        gap_begins=b"2026-03-08 02:00:00",
    ),
    *values(
        "transaction_type",
        "not deposit or withdrawal",
        unknown=b"transfer",
        capital=b"Deposit",
        blank_after=b"deposit ",
        empty=b"",
        look_alike="depоsit".encode(),  # a Cyrillic letter
    ),
    Bad("decimal comma", atm_row(amount=b"20,50"), "", "6 fields where 5 belong"),
    Bad("thousands comma", atm_row(amount=b"1,234.50"), "", "6 fields where 5 belong"),
    Bad("decimal comma in quotes", atm_row(amount=b'"20,50"'), "amount", "plain digits"),
    Bad("field missing", b"5,2026-03-02 12:00:00,20.00,deposit\n", "", "4 fields where 5 belong"),
    Bad("field too many", atm_row(customer_id=b"9,1"), "", "6 fields where 5 belong"),
    Bad("semicolons", atm_row().replace(b",", b";"), "", "1 fields where 5 belong"),
    Bad("garbage", b"%%% end of page %%%\n", "", "1 fields where 5 belong"),
    Bad("blanks alone", b"   \n", "", "1 fields where 5 belong"),
    Bad("header again", HEADER, "atm_id", "whole number"),
    Bad("NUL byte", atm_row(customer_id=b"9\0"), "", "NUL"),
    Bad("invalid UTF-8", atm_row(customer_id=b"9\xff"), "", "not UTF-8"),
    Bad("overlong UTF-8", atm_row(customer_id=b"\xc0\xb9"), "", "not UTF-8"),
    Bad("encoded surrogate", atm_row(customer_id=b"\xed\xa0\x80"), "", "not UTF-8"),
    Bad("open quote", atm_row(transaction_type=b'"deposit'), "", "quote"),
    Bad("quote inside", atm_row(transaction_type=b'de"po"sit'), "", "quote"),
    Bad("text after a quote", atm_row(transaction_type=b'"deposit"x'), "", "quote"),
    Bad("line break in a field", atm_row(transaction_type=b'"dep\nosit"'), "", "line break"),
    Bad("single quotes", atm_row(transaction_type=b"'deposit'"), "transaction_type", "not deposit"),
    Bad("carriage return inside", atm_row(transaction_type=b"dep\rosit"), "", "carriage return"),
    Bad("20 MB line", atm_row(customer_id=b"9" * 20_000_000), "customer_id", "whole number"),
]


@pytest.mark.parametrize("case", BAD_ATM_LINES, ids=lambda case: case.name)
def test_a_bad_atm_line_is_quarantined_and_its_neighbours_land(case: Bad, tmp_path: Path) -> None:
    file = check(tmp_path, "atm", HEADER + FIRST + case.line + LAST)
    assert (file.state, file.rows_in) == ("partly", 3)
    assert file.rows == [FIRST_ROW, LAST_ROW]
    (reject,) = file.rejects
    assert (reject.line, reject.field) == (3, case.field)
    assert case.reason in reject.reason
    assert len(reject.raw) < 1_100


FILES_AS_GOOD = {
    "as it is": GOOD,
    "byte-order mark": b"\xef\xbb\xbf" + GOOD,
    "CRLF": GOOD.replace(b"\n", b"\r\n"),
    "CR": GOOD.replace(b"\n", b"\r"),
    "mixed endings": HEADER + FIRST.replace(b"\n", b"\r\n") + LAST,
    "empty lines": HEADER + b"\n" + FIRST + b"\n\n" + LAST + b"\n",
    "quoted fields": b"".join(
        b",".join(b'"%b"' % field for field in line.split(b",")) + b"\n"
        for line in GOOD.splitlines()
    ),
    "some fields quoted": HEADER + b'12,"2026-03-02 08:15:00",404.1,"withdrawal",3\n' + LAST,
}


@pytest.mark.parametrize("name", FILES_AS_GOOD)
def test_harmless_differences_of_form_change_nothing(name: str, tmp_path: Path) -> None:
    file = check(tmp_path, "atm", FILES_AS_GOOD[name])
    assert (file.state, file.rows) == ("landed", [FIRST_ROW, LAST_ROW])


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    data = (
        b"customer_id,amount,atm_id,timestamp,transaction_type\n"
        b"3,404.1,12,2026-03-02 08:15:00,withdrawal\n"
    )
    assert check(tmp_path, "atm", data).rows == [FIRST_ROW]


BROKEN_FILES = {
    "empty file": (b"", "empty"),
    "blanks alone": (b"\n \n", "no text"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), "UTF-16"),
    "gzip under a .csv name": (gzip.compress(GOOD), "gzip"),
    "missing column": (GOOD.replace(b"amount,", b"", 1), "without amount"),
    "extra column": (GOOD.replace(b"amount,", b"amount,fee,", 1), "unknown 'fee'"),
    "renamed column": (GOOD.replace(b"amount,", b"amt,", 1), "without amount"),
    "column in capitals": (GOOD.replace(b"amount,", b"Amount,", 1), "without amount"),
    "duplicated column": (GOOD.replace(b"amount,", b"amount,amount,", 1), "twice"),
    "no header": (FIRST + LAST, "missing"),
    "semicolons": (GOOD.replace(b",", b";"), "semicolons"),
    "a line of text before the header": (b"ATM report\n" + GOOD, "without"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_frame_quarantines_the_file(name: str, tmp_path: Path) -> None:
    data, reason = BROKEN_FILES[name]
    found = report(tmp_path, "atm", data, "atm.csv")
    (file,) = found.files
    assert (file.state, file.landed) == ("quarantined", 0)
    assert reason in file.rejects[0].reason
    assert found.rejected, "the command ends with exit code 3"


def test_a_header_alone_is_a_delivery_without_rows(tmp_path: Path) -> None:
    found = report(tmp_path, "atm", HEADER)
    assert (found.files[0].state, found.files[0].rows_in) == ("landed", 0)
    assert found.rejected is None


def test_a_file_cut_anywhere_lands_no_row_that_was_not_delivered(tmp_path: Path) -> None:
    for file in check_cuts(tmp_path, "atm", GOOD):
        assert all(row in (FIRST_ROW, LAST_ROW) for row in file.rows or []), file.file


def test_the_last_line_without_an_ending_may_be_cut(tmp_path: Path) -> None:
    file = check(tmp_path, "atm", GOOD.removesuffix(b"\n"))
    assert file.rows == [FIRST_ROW]
    assert (file.rejects[0].line, file.rejects[0].reason.split(":")[0]) == (3, "no line ending")


def test_a_rejected_line_is_told_with_everything_that_is_wrong(tmp_path: Path) -> None:
    file = check(tmp_path, "atm", HEADER + b"x,2026-03-02 12:00:00,-1.00,Deposit,9\n")
    (reject,) = file.rejects
    assert (file.rows_in, reject.field) == (1, "atm_id")
    assert "amount: not above zero" in reject.reason
    assert "transaction_type: not deposit" in reject.reason
    assert reject.raw == "x,2026-03-02 12:00:00,-1.00,Deposit,9"


# ---- credit records

RECORD: dict[str, Any] = {
    "customer_id": 2,
    "credit_score": 700,
    "delinquencies": 0,
    "outstanding_loans": [{"type": "car", "amount": 404.1}],
}
BEFORE = {**RECORD, "customer_id": 1}
AFTER = {**RECORD, "customer_id": 3}


def record(**changed: Any) -> bytes:
    return json.dumps({**RECORD, **changed}).encode()


def without(key: str) -> bytes:
    return json.dumps({name: RECORD[name] for name in RECORD if name != key}).encode()


def loan(**changed: Any) -> bytes:
    return record(
        outstanding_loans=[*RECORD["outstanding_loans"], {"type": "car", "amount": 5, **changed}]
    )


def text(old: bytes, new: bytes) -> bytes:
    assert old in record()
    return record().replace(old, new)


AMOUNT = "outstanding_loans[1].amount"
BAD_RECORDS: dict[str, tuple[bytes, str, str]] = {
    "score below the scale": (record(credit_score=299), "credit_score", "300"),
    "score above the scale": (record(credit_score=901), "credit_score", "900"),
    "score with a decimal": (record(credit_score=700.0), "credit_score", "whole number"),
    "score as a string": (record(credit_score="700"), "credit_score", "whole number"),
    "score null": (record(credit_score=None), "credit_score", "whole number"),
    "score is true": (record(credit_score=True), "credit_score", "whole number"),
    "score with exponent": (text(b"700", b"7e2"), "credit_score", "whole number"),
    "score with a leading zero": (text(b"700", b"0700"), "", "not JSON"),
    "score NaN": (text(b"700", b"NaN"), "", "NaN"),
    "score Infinity": (text(b"700", b"-Infinity"), "", "Infinity"),
    "score hexadecimal": (text(b"700", b"0x2BC"), "", "not JSON"),
    "customer_id as a string": (record(customer_id="2"), "customer_id", "whole number"),
    "customer_id with a decimal": (record(customer_id=1.5), "customer_id", "whole number"),
    "customer_id negative": (record(customer_id=-1), "customer_id", "whole number"),
    "customer_id out of range": (record(customer_id=2**31), "customer_id", "2147483647"),
    "customer_id of 5,000 digits": (text(b'd": 2', b'd": ' + b"9" * 5_000), "customer_id", "whole"),
    "delinquencies negative": (record(delinquencies=-1), "delinquencies", "whole number"),
    "delinquencies false": (record(delinquencies=False), "delinquencies", "whole number"),
    "key missing": (without("delinquencies"), "delinquencies", "missing"),
    "key unknown": (record(note="x"), "", "unknown key"),
    "key given twice": (text(b'"delinq', b'"credit_score": 650, "delinq'), "credit_score", "twice"),
    "key in capitals": (text(b'"delinq', b'"Delinq'), "delinquencies", "missing"),
    "loans null": (record(outstanding_loans=None), "outstanding_loans", "not an array"),
    "loans an object": (record(outstanding_loans={}), "outstanding_loans", "not an array"),
    "loans a string": (record(outstanding_loans="[]"), "outstanding_loans", "not an array"),
    "a loan null": (record(outstanding_loans=[None]), "outstanding_loans[0]", "not an object"),
    "loan type unknown": (loan(type="boat"), "outstanding_loans[1].type", "not one of"),
    "loan type in capitals": (loan(type="Car"), "outstanding_loans[1].type", "not one of"),
    "loan type a number": (loan(type=5), "outstanding_loans[1].type", "not one of"),
    "loan type with NUL": (loan(type="car\0"), "outstanding_loans[1].type", "not one of"),
    "loan type a lone surrogate": (loan(type="\ud800"), "outstanding_loans[1].type", "not one of"),
    "loan amount zero": (loan(amount=0), AMOUNT, "not above zero"),
    "loan amount negative": (loan(amount=-5), AMOUNT, "plain digits"),
    "loan amount with three decimals": (loan(amount=1.005), AMOUNT, "two decimals"),
    "loan amount as a string": (loan(amount="5"), AMOUNT, "plain digits"),
    "loan amount too large": (loan(amount=10**17), AMOUNT, "plain digits"),
    "loan amount with exponent": (text(b"404.1", b"4e2"), "outstanding_loans[0].amount", "plain"),
    "loan key missing": (
        record(outstanding_loans=[{"type": "car"}]),
        "outstanding_loans[0].amount",
        "missing",
    ),
    "loan key unknown": (loan(rate=1), "outstanding_loans[1]", "unknown key"),
    "loan key given twice": (text(b'"amount"', b'"type": "car", "amount"'), "type", "twice"),
    "trailing comma": (text(b"]}", b"],}"), "", "not JSON"),
    "comment": (text(b"{", b"{/* x */"), "", "not JSON"),
    "single quotes": (record().replace(b'"', b"'"), "", "not JSON"),
    "a number alone": (b"5", "", "not an object"),
    "null alone": (b"null", "", "not an object"),
    "a string alone": (b'"x, {y}"', "", "not an object"),
    "garbage": (b"garbage", "", "not JSON"),
    "an array": (b"[]", "", "not an object"),
    "100,000 deep": (text(b"700", b"[" * 100_000 + b"]" * 100_000), "", "nested too deep"),
    "invalid UTF-8": (text(b'"car"', b'"c\xffr"'), "", "not UTF-8"),
    "control character in a string": (text(b'"car"', b'"c\x01ar"'), "", "not JSON"),
    "20 MB": (
        text(b'"car"', b'"' + b"x" * 20_000_000 + b'"'),
        "outstanding_loans[0].type",
        "not one",
    ),
}


def landed_records(file: FileReport) -> list[int]:
    return [row["customer_id"] for row in file.rows or []]


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_in_an_array_is_quarantined_whole(name: str, tmp_path: Path) -> None:
    data, field, reason = BAD_RECORDS[name]
    around = [json.dumps(BEFORE, indent=2).encode(), data, json.dumps(AFTER).encode()]
    file = check(tmp_path, "credit_bureau", b"[\n" + b",\n".join(around) + b"\n]\n")
    assert (landed_records(file), file.quarantined) == ([1, 3], 1)
    (reject,) = file.rejects
    assert (reject.record, reject.line, reject.field) == (2, 13, field)
    assert reason in reject.reason
    assert len(reject.raw) < 1_100


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_on_its_line_is_quarantined_whole(name: str, tmp_path: Path) -> None:
    data, field, reason = BAD_RECORDS[name]
    around = [json.dumps(BEFORE).encode(), data, json.dumps(AFTER).encode()]
    file = check(tmp_path, "credit_bureau", b"\n".join(around))
    assert (landed_records(file), file.quarantined) == ([1, 3], 1)
    (reject,) = file.rejects
    assert (reject.line, reject.field) == (2, field)
    assert reason in reject.reason


def test_two_objects_on_one_line_are_no_record(tmp_path: Path) -> None:
    lines = [
        json.dumps(BEFORE),
        record().decode() + record(customer_id=4).decode(),
        json.dumps(AFTER),
    ]
    file = check(tmp_path, "credit_bureau", "\n".join(lines).encode())
    assert (landed_records(file), file.rejects[0].line) == ([1, 3], 2)


def test_a_comma_too_many_in_an_array_is_told(tmp_path: Path) -> None:
    file = check(tmp_path, "credit_bureau", b"[" + record() + b",]")
    assert (landed_records(file), file.quarantined) == ([2], 1)


BROKEN_ARRAYS = {
    "cut between records": b"[" + record() + b",\n",
    "cut inside a record": b"[" + record() + b",\n" + record()[:40],
    "cut before the bracket": b"[" + record(),
    "a quote left open": b"[" + record() + b',{"customer_id: 4},' + record(customer_id=5) + b"]",
    "a bracket left open": b"[" + record().replace(b"]", b"") + b"]",
    "text after the array": b"[" + record() + b"] x",
    "two arrays": b"[" + record() + b"][" + record(customer_id=5) + b"]",
    "closed by a brace": b"[" + record() + b"}",
}


@pytest.mark.parametrize("name", BROKEN_ARRAYS)
def test_a_broken_array_quarantines_the_file(name: str, tmp_path: Path) -> None:
    file = check(tmp_path, "credit_bureau", BROKEN_ARRAYS[name])
    assert (file.state, file.landed, file.rows) == ("quarantined", 0, [])


def test_an_array_cut_anywhere_lands_nothing(tmp_path: Path) -> None:
    whole = b"[" + json.dumps(BEFORE, indent=1).encode() + b"]"
    for file in check_cuts(tmp_path, "credit_bureau", whole):
        assert (file.state, file.landed) == ("quarantined", 0), file.file


@pytest.mark.parametrize(
    "data",
    [b'{"customers": [' + record() + b"]}", b"null", b'"text"', b"// all customers\n", b"5\n"],
    ids=["an object around", "null", "a string", "a comment", "a number"],
)
def test_a_file_that_is_no_array_and_no_lines_of_records_lands_nothing(
    data: bytes, tmp_path: Path
) -> None:
    assert check(tmp_path, "credit_bureau", data).state == "quarantined"


def test_brackets_commas_and_escaped_quotes_in_strings_are_text(tmp_path: Path) -> None:
    odd = loan(type='a "b" \\ ] } , [ {')
    file = check(tmp_path, "credit_bureau", b"[" + json.dumps(BEFORE).encode() + b"," + odd + b"]")
    assert (landed_records(file), file.quarantined) == ([1], 1)
    assert file.rejects[0].field == "outstanding_loans[1].type"


# ---- snapshots: what a record says against another

CUSTOMERS = "customer_id,name,email,city\n"
ONE = "1,Siobhán O'Brien,siobhan@example.com,St. John's\n"
TWO = '2,"Zhao, Wendy",wendy@example.com,Calgary\n'


def test_text_lands_as_delivered(tmp_path: Path) -> None:
    nasty = "3,=cmd|'/c calc'!A1,x@example.com,\"Robert'); DROP TABLE customers;--\"\n"
    file = check(tmp_path, "core_banking", (CUSTOMERS + ONE + TWO + nasty).encode())
    assert file.state == "landed"
    assert [(row["name"], row["city"]) for row in file.rows or []] == [
        ("Siobhán O'Brien", "St. John's"),
        ("Zhao, Wendy", "Calgary"),
        ("=cmd|'/c calc'!A1", "Robert'); DROP TABLE customers;--"),
    ]


BAD_CUSTOMERS = {
    "no name": ("3,,x@example.com,Calgary\n", "name"),
    "name of blanks": ("3,  ,x@example.com,Calgary\n", "name"),
    "name too long": (f"3,{'x' * 101},x@example.com,Calgary\n", "name"),
    "control character": ("3,X\x07Y,x@example.com,Calgary\n", "name"),
    "no address": ("3,X,example.com,Calgary\n", "email"),
    "city too long": (f"3,X,x@example.com,{'x' * 51}\n", "city"),
    "id with zeros": ("003,X,x@example.com,Calgary\n", "customer_id"),
}


@pytest.mark.parametrize("name", BAD_CUSTOMERS)
def test_a_bad_customer_is_quarantined(name: str, tmp_path: Path) -> None:
    line, field = BAD_CUSTOMERS[name]
    file = check(tmp_path, "core_banking", (CUSTOMERS + ONE + line + TWO).encode())
    assert [row["customer_id"] for row in file.rows or []] == [1, 2]
    assert [reject.field for reject in file.rejects] == [field]


def test_of_equal_customers_one_lands_of_contradicting_ones_none(tmp_path: Path) -> None:
    other = "1,Somebody Else,else@example.com,Regina\n"
    equal = check(tmp_path, "core_banking", (CUSTOMERS + ONE + TWO + ONE).encode())
    assert [row["customer_id"] for row in equal.rows or []] == [1, 2]
    assert [(r.line, r.reason) for r in equal.rejects] == [(4, "the same record as on line 2")]
    contradicting = check(tmp_path, "core_banking", (CUSTOMERS + ONE + TWO + other).encode())
    assert [row["customer_id"] for row in contradicting.rows or []] == [2]
    assert [r.line for r in contradicting.rejects] == [2, 4]


def test_customers_who_share_an_address_are_quarantined(tmp_path: Path) -> None:
    third = "3,X,siobhan@example.com,Regina\n"
    file = check(tmp_path, "core_banking", (CUSTOMERS + ONE + TWO + third).encode())
    assert [row["customer_id"] for row in file.rows or []] == [2]
    assert {r.field for r in file.rejects} == {"email"}


def test_of_equal_credit_records_one_lands_of_contradicting_ones_none(tmp_path: Path) -> None:
    before, after = json.dumps(BEFORE).encode(), json.dumps(AFTER).encode()
    equal = check(tmp_path, "credit_bureau", b"[" + b",".join([before, after, before]) + b"]")
    assert (landed_records(equal), [r.record for r in equal.rejects]) == ([1, 3], [3])
    changed = json.dumps({**BEFORE, "credit_score": 500}).encode()
    differ = check(tmp_path, "credit_bureau", b"[" + b",".join([before, after, changed]) + b"]")
    assert (landed_records(differ), [r.record for r in differ.rejects]) == ([3], [1, 3])


def test_an_empty_snapshot_stops(tmp_path: Path) -> None:
    assert report(tmp_path, "credit_bureau", b"[ ]").stopped
    assert report(tmp_path, "core_banking", CUSTOMERS.encode()).stopped


def test_a_raw_text_of_feedback_is_scrubbed(tmp_path: Path) -> None:
    line = b'{"feedback_id": "1", "description": "call 416-555-0134", "email": "a@example.com"}\n'
    file = check(tmp_path, "feedback", line)
    assert file.state == "quarantined"
    assert "416" not in file.rejects[0].raw
    assert "example.com" not in file.rejects[0].raw
