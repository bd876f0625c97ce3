"""Malformed deliveries as data: what is delivered, what has to land of it, what has to be rejected.

``test_malformed_input.py`` lands every one of them; ``docs/strict-landing.md`` is written from what
they then say. Write it anew: ``.venv/bin/python -m tests.unit.ingest.malformed``
"""

from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ingest.assess import Assessment
from ingest.land import FileReport, LandReport, land
from lakehouse.scratch import scratch_folder
from lakehouse.settings import REPOSITORY, load

DOCUMENT = REPOSITORY / "docs/strict-landing.md"

HEADER = b"atm_id,timestamp,amount,transaction_type,customer_id\n"
FIRST = b"12,2026-03-02 08:15:00,404.1,withdrawal,3\n"
LAST = b"7,2026-03-02 18:40:11.250000,80.00,deposit,17\n"
GOOD = HEADER + FIRST + LAST
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
CUSTOMERS = b"customer_id,name,email,city\n"
ONE = "1,Siobhán O'Brien,siobhan@example.com,St. John's\n".encode()
TWO = b'2,"Zhao, Wendy",wendy@example.com,Calgary\n'
ONE_ROW = {
    "customer_id": 1,
    "name": "Siobhán O'Brien",
    "email": "siobhan@example.com",
    "city": "St. John's",
}
TWO_ROW = {
    "customer_id": 2,
    "name": "Zhao, Wendy",
    "email": "wendy@example.com",
    "city": "Calgary",
}
RECORD: dict[str, Any] = {
    "customer_id": 2,
    "credit_score": 700,
    "delinquencies": 0,
    "outstanding_loans": [{"type": "car", "amount": 404.1}],
}
BEFORE = {**RECORD, "customer_id": 1}
AFTER = {**RECORD, "customer_id": 3}
COMPLAINT = {
    "feedback_id": "1f0c6c1e-3b0a-4f57-9a53-0d1b5f6d2a10",
    "category": "ATM Issue",
    "description": "It kept my card.",
    "occurred_at": "2026-03-02T08:15:00Z",
}


@dataclass(frozen=True, eq=False)
class Case:
    """One delivered file. ``bad``: line, field and a part of the reason of each reject."""

    group: str
    name: str
    source: str
    data: bytes
    rows: tuple[Any, ...]
    bad: tuple[tuple[int, str, str], ...] = ()
    whole: bool = False
    """The file is quarantined as a whole."""

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class Story:
    """What takes more than one file, or a look at more than the rows. ``run`` says what it saw."""

    group: str
    name: str
    run: Callable[[Path], str]
    seen: str

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


GROUPS = {
    "Encoding and compression": (
        "Text is UTF-8. Anything else would have to be guessed, and a wrong guess is another name. "
        "A byte that is no text spoils its own line; a file that is no text is told from its first "
        "bytes."
    ),
    "Columns of a CSV file": (
        "Columns are taken by name, so their order is free. A name that is missing, unknown or "
        "there twice means that the file is not the one agreed on: none of it can be trusted."
    ),
    "Lines of a CSV file": (
        "No field may hold a line break, so a damaged line spoils itself and no other. The "
        "exception is a lone field: if it and the row beside it would also be one valid row, "
        "nobody can say that the row is whole. A file that stops without a line ending "
        "may have been cut inside its last field (customer 17 would be customer 1): its last line, "
        "and only that, waits in quarantine until somebody ends it."
    ),
    "Amounts": (
        "Engines read `1e3` as 1000, `20,50` as 2050.00 and round a third decimal. Here an amount "
        "has one spelling: digits, and one or two decimals after a point."
    ),
    "Ids": (
        "An engine's cast makes 2 of `1.5` and 4 of `0004`, which is how two customers become one."
    ),
    "Times": (
        "A time is compared with its own text after conversion: engines move hour 24 to the next "
        "day, drop an offset, and take a number for seconds since 1970. A local time that the "
        "clocks skipped never was."
    ),
    "Words": (
        "Known types in their one spelling. To lower the case or trim is to guess; a letter that "
        "only looks the same is another letter."
    ),
    "Text": (
        "Text lands exactly as delivered, whatever it looks like to a spreadsheet or a database; "
        "nothing ever runs it. Without control characters, and not longer than in the bank. A "
        "name, address or city that is empty or blank lands as NULL: the bank allows it, and the "
        "customer's loans and transactions count."
    ),
    "Repeated records": (
        "An ATM row carries no id: equal rows in one file are two withdrawals, equal rows in two "
        "files are one delivered twice. In a snapshot nobody may stand twice: of equal records the "
        "first lands, of contradicting ones none. Of complaints that contradict each other the "
        "first lands, in whichever landing or message it came; an equal one is the same complaint "
        "delivered again, and counts once."
    ),
    "Frame of a JSON file": (
        "One array, or one object a line. An array that is cut or not closed may lack records "
        "anywhere, so none of it lands. In lines, each stands for itself."
    ),
    "JSON records": (
        "A credit record lands whole or not at all: one bad loan among good ones would be a wrong "
        "total. JSON as the standard says it, one reading or none; a number is kept as written, "
        "never rounded. A refused record must not look like a customer without loans. So the "
        "customer is read from its raw text, more leniently than anything that lands, but only "
        "where the text names one id and no other. That customer's credit is unknown then. Where "
        "a refused record names nobody, it may belong to any customer without a record: the "
        "credit of all of these is unknown. Where a customer has a valid and a refused record, "
        "neither counts."
    ),
    "Complaints": (
        "The same rules for messages on the topic and in a file. What isn't part of the contract "
        "is dropped, because it may name somebody, but never a time under another name."
    ),
}


# ---- ATM file


def atm_row(**changed: bytes) -> bytes:
    fields = {
        "atm_id": b"5",
        "timestamp": b"2026-03-02 12:00:00",
        "amount": b"20.00",
        "transaction_type": b"deposit",
        "customer_id": b"9",
    }
    return b",".join((fields | changed).values()) + b"\n"


def bad_line(group: str, name: str, line: bytes, field: str, reason: str) -> Case:
    """A bad line between two good ones."""
    data = HEADER + FIRST + line + LAST
    return Case(group, name, "atm", data, (FIRST_ROW, LAST_ROW), ((3, field, reason),))


def values(group: str, field: str, reason: str, **cases: bytes) -> Iterator[Case]:
    for name, value in cases.items():
        shown = f"{field}, {name.replace('_', ' ')}"
        if value:
            shown += f": `{value.decode('utf-8')}`"
        yield bad_line(group, shown, atm_row(**{field: value}), field, reason)


def atm_cases() -> Iterator[Case]:
    amount = "plain digits"
    yield from values(
        "Amounts",
        "amount",
        amount,
        NaN=b"NaN",
        infinity=b"Infinity",
        negative_infinity=b"-inf",
        exponent=b"1e3",
        currency_sign=b"$20.50",
        currency_after=b"20.50 CAD",
        hexadecimal=b"0x14",
        digits_of_another_script="٢٠".encode(),
        wide_digits="２０".encode(),
        three_decimals=b"20.505",
        third_decimal_is_zero=b"20.500",
        plus_sign=b"+20",
        leading_zero=b"020.00",
        point_first=b".50",
        point_last=b"20.",
        two_points=b"20.5.0",
        underscore=b"1_000",
        accountants_negative=b"(20.00)",
        blank_before=b" 20",
        blank_after=b"20 ",
        no_break_space="20\u00a0".encode(),
        minus_sign_of_typesetters="\u221220".encode(),
        out_of_range=b"99999999999999999.00",
        formula=b"=1+1",
        letters=b"twenty",
        null=b"NULL",
        empty=b"",
    )
    yield from values(
        "Amounts",
        "amount",
        "not above zero",
        zero=b"0",
        zero_with_decimals=b"0.00",
        negative=b"-20.00",
    )
    yield from values(
        "Amounts", "amount", "above 9999999999999.99", above_the_largest=b"10000000000000.00"
    )
    for name, value in (("decimal comma", b"20,50"), ("thousands comma", b"1,234.50")):
        line = atm_row(amount=value)
        yield bad_line("Amounts", f"{name}: `{value.decode()}`", line, "", "6 fields where 5")
        line = atm_row(amount=b'"%b"' % value)
        yield bad_line("Amounts", f'{name} in quotes: `"{value.decode()}"`', line, "amount", amount)
    yield from values(
        "Ids",
        "atm_id",
        "whole number",
        fraction=b"1.5",
        fraction_of_zero=b"1.0",
        leading_zeros=b"0004",
        negative=b"-1",
        negative_zero=b"-0",
        plus_sign=b"+1",
        zero=b"0",
        out_of_range=b"2147483648",
        far_out_of_range=b"99999999999999999999999999",
        digits_of_another_script="٤".encode(),
        exponent=b"1e1",
        hexadecimal=b"0x1",
        SQL_injection=b"1 OR 1=1",
        empty=b"",
    )
    yield from values(
        "Ids",
        "customer_id",
        "whole number",
        fraction=b"9.0",
        null=b"NULL",
        boolean=b"true",
        SQL_injection=b"9; DROP TABLE customers",
        formula=b"=9",
        blank_after=b"9 ",
        empty=b"",
    )
    yield bad_line(
        "Ids", "20 MB of digits", atm_row(customer_id=b"9" * 20_000_000), "customer_id", "whole"
    )
    yield from values(
        "Times",
        "timestamp",
        "YYYY-MM-DD",
        impossible_date=b"2026-02-30 12:00:00",
        no_leap_year=b"2026-02-29 12:00:00",
        month_13=b"2026-13-01 12:00:00",
        day_zero=b"2026-03-00 12:00:00",
        hour_24=b"2026-03-02 24:00:00",
        minute_60=b"2026-03-02 12:60:00",
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
        afternoon=b"2026-03-02 01:00:00 PM",
        one_digit_month=b"2026-3-02 12:00:00",
        seven_digits_of_fraction=b"2026-03-02 12:00:00.1234567",
        point_without_fraction=b"2026-03-02 12:00:00.",
        fraction_after_comma=b'"2026-03-02 12:00:00,5"',
        digits_of_another_script="٢٠٢٦-03-02 12:00:00".encode(),
        infinity=b"infinity",
        five_digit_year=b"20260-03-02 12:00:00",
        year_zero=b"0000-03-02 12:00:00",
        blank_before=b" 2026-03-02 12:00:00",
        two_blanks=b"2026-03-02  12:00:00",
        empty=b"",
    )
    yield from values(
        "Times",
        "timestamp",
        "not a year",
        year_1066=b"1066-10-14 12:00:00",
        year_2100=b"2100-01-01 12:00:00",
    )
    yield from values(
        "Times",
        "timestamp",
        "skipped",
        begin_of_the_skipped_hour=b"2026-03-08 02:00:00",
        inside_the_skipped_hour=b"2026-03-08 02:30:00",
        end_of_the_skipped_hour=b"2026-03-08 02:59:59.999999",
    )
    yield from values(
        "Words",
        "transaction_type",
        "not deposit or withdrawal",
        unknown=b"transfer",
        capital=b"Deposit",
        capitals=b"WITHDRAWAL",
        blank_before=b" deposit",
        blank_after=b"deposit ",
        look_alike="depоsit".encode(),  # a Cyrillic letter
        zero_width_blank="deposit\u200b".encode(),
        plural=b"deposits",
        single_quotes=b"'deposit'",
        empty=b"",
    )
    yield from atm_lines()
    yield from atm_files()


def atm_lines() -> Iterator[Case]:
    group, row = "Lines of a CSV file", atm_row
    for name, line, reason in (
        ("field missing", b"5,2026-03-02 12:00:00,20.00,deposit\n", "4 fields where 5 belong"),
        ("field too many", row(customer_id=b"9,1"), "6 fields where 5 belong"),
        ("comma at the end", row(customer_id=b"9,"), "6 fields where 5 belong"),
        ("semicolons on one line", row().replace(b",", b";"), "1 fields where 5 belong"),
        ("tabs on one line", row().replace(b",", b"\t"), "1 fields where 5 belong"),
        ("garbage", b"%%% end of page %%%\n", "1 fields where 5 belong"),
        ("a comment", b"# corrected on Monday\n", "1 fields where 5 belong"),
        ("blanks alone", b"   \n", "1 fields where 5 belong"),
        ("unclosed quote", row(transaction_type=b'"deposit'), "quote"),
        ("quote inside a field", row(transaction_type=b'de"po"sit'), "quote"),
        ("text after a quote", row(transaction_type=b'"deposit"x'), "quote"),
        ("escaped by a backslash", row(transaction_type=b'"dep\\"osit"'), "quote"),
        ("line break inside a quoted field", row(transaction_type=b'"dep\nosit"'), "line break"),
        ("carriage return inside a field", row(transaction_type=b"dep\rosit"), "carriage return"),
    ):
        yield bad_line(group, name, line, "", reason)
    yield bad_line(group, "header again", HEADER, "atm_id", "whole number")
    lone = "1 fields where 5 belong"
    yield Case(
        group,
        "line break inside the last field (customer `9` of `9⏎1`)",
        "atm",
        HEADER + FIRST + row(customer_id=b"9\n1") + LAST,
        (FIRST_ROW,),
        ((3, "customer_id", "may be torn"), (4, "", lone), (5, "atm_id", "may be torn")),
    )
    yield Case(
        group,
        "line break inside the first field (machine `5` of `1⏎5`)",
        "atm",
        HEADER + row(atm_id=b"1\n5") + LAST,
        (LAST_ROW,),
        ((2, "", lone), (3, "atm_id", "may be torn")),
    )
    for name, field, pieces in (
        ("line break inside the amount", b"2\n0.00", ("3 fields", "3 fields")),
        ("line break inside the time", None, ("2 fields", "4 fields")),
    ):
        line = row(amount=field) if field else row(timestamp=b"2026-03-02\n12:00:00")
        bad = tuple((3 + n, "", reason) for n, reason in enumerate(pieces))
        yield Case(group, name, "atm", HEADER + FIRST + line + LAST, (FIRST_ROW, LAST_ROW), bad)
    yield Case(
        group,
        "two lines in one, the line ending is gone",
        "atm",
        HEADER + FIRST + row().rstrip() + row() + LAST,
        (FIRST_ROW, LAST_ROW),
        ((3, "", "9 fields where 5 belong"),),
    )
    encoding = "Encoding and compression"
    yield bad_line(encoding, "NUL byte", row(customer_id=b"9\0"), "", "NUL")
    yield bad_line(encoding, "invalid UTF-8", row(customer_id=b"9\xff"), "", "not UTF-8")
    yield bad_line(encoding, "Latin-1", row(transaction_type=b"d\xe9p\xf4t"), "", "not UTF-8")
    yield bad_line(encoding, "overlong UTF-8", row(customer_id=b"\xc0\xb9"), "", "not UTF-8")
    yield bad_line(encoding, "encoded surrogate", row(customer_id=b"\xed\xa0\x80"), "", "not UTF-8")
    yield bad_line(
        encoding, "byte-order mark inside", b"\xef\xbb\xbf" + row(), "atm_id", "whole number"
    )
    yield Case(
        encoding,
        "byte-order mark before the first row",
        "atm",
        HEADER + b"\xef\xbb\xbf" + FIRST + LAST,
        (LAST_ROW,),
        ((2, "atm_id", "whole number"),),
    )


def atm_files() -> Iterator[Case]:
    both = (FIRST_ROW, LAST_ROW)
    lines, encoding, columns = (
        "Lines of a CSV file",
        "Encoding and compression",
        "Columns of a CSV file",
    )
    quoted = b"".join(
        b",".join(b'"%b"' % field for field in line.split(b",")) + b"\n"
        for line in GOOD.splitlines()
    )
    for group, name, data in (
        (lines, "as agreed", GOOD),
        (encoding, "byte-order mark", b"\xef\xbb\xbf" + GOOD),
        (lines, "CRLF", GOOD.replace(b"\n", b"\r\n")),
        (lines, "CR", GOOD.replace(b"\n", b"\r")),
        (lines, "mixed endings", HEADER + FIRST.replace(b"\n", b"\r\n") + LAST),
        (lines, "empty lines", HEADER + b"\n" + FIRST + b"\n\n" + LAST + b"\n"),
        (lines, "all fields quoted", quoted),
        (lines, "some fields quoted", GOOD.replace(b"deposit", b'"deposit"')),
    ):
        yield Case(group, name, "atm", data, both)
    yield Case(
        columns,
        "reordered",
        "atm",
        b"customer_id,amount,atm_id,timestamp,transaction_type\n"
        b"3,404.1,12,2026-03-02 08:15:00,withdrawal\n",
        (FIRST_ROW,),
    )
    yield Case(columns, "header alone", "atm", HEADER, ())
    yield Case(
        lines,
        "no final newline",
        "atm",
        GOOD.removesuffix(b"\n"),
        (FIRST_ROW,),
        ((3, "", "no line ending: the file may be cut here"),),
    )
    yield Case(
        lines,
        "cut inside the last field (customer `1` of `17`)",
        "atm",
        GOOD.removesuffix(b"7\n"),
        (FIRST_ROW,),
        ((3, "", "no line ending: the file may be cut here"),),
    )
    utf16 = GOOD.decode()
    for group, name, data, reason in (
        (lines, "empty file", b"", "empty"),
        (lines, "file of blanks", b"\n \n", "no text"),
        (lines, "semicolons throughout", GOOD.replace(b",", b";"), "semicolons"),
        (lines, "tabs throughout", GOOD.replace(b",", b"\t"), "header"),
        (encoding, "UTF-16", utf16.encode("utf-16"), "UTF-16"),
        (encoding, "UTF-16, big end first", b"\xfe\xff" + utf16.encode("utf-16-be"), "UTF-16"),
        (encoding, "UTF-16 without a mark", utf16.encode("utf-16-le"), "UTF-16"),
        (encoding, "UTF-32", utf16.encode("utf-32"), "UTF"),
        (encoding, "gzip under a .csv name", gzip.compress(GOOD, mtime=0), "gzip"),
        (encoding, "a zip archive", b"PK\x03\x04" + GOOD, "zip"),
        (encoding, "Parquet under a .csv name", b"PAR1" + GOOD, "Parquet"),
        (columns, "missing", GOOD.replace(b"amount,", b"", 1), "without amount"),
        (columns, "extra", GOOD.replace(b"amount,", b"amount,fee,", 1), "unknown 'fee'"),
        (columns, "renamed", GOOD.replace(b"amount,", b"amt,", 1), "without amount"),
        (columns, "in capitals", GOOD.replace(b"amount,", b"Amount,", 1), "without amount"),
        (
            columns,
            "blank before a name",
            GOOD.replace(b",amount", b", amount", 1),
            "without amount",
        ),
        (columns, "duplicated", GOOD.replace(b"amount,", b"amount,amount,", 1), "twice"),
        (columns, "no header", FIRST + LAST, "missing"),
        (columns, "text above the header", b"ATM report\n" + GOOD, "without"),
        (columns, "line break in the header", GOOD.replace(b"r_id", b"r_\nid", 1), "without"),
    ):
        yield Case(group, name, "atm", data, (), ((1, "*", reason),), whole=True)
    unknown = {**LAST_ROW, "customer_id": 999999}
    yield Case(
        "Ids",
        "a customer whom core banking doesn't know: kept, flagged in `fct_unknown_customers`,"
        " counted by every refresh",
        "atm",
        HEADER + FIRST + LAST.replace(b",17", b",999999"),
        (FIRST_ROW, unknown),
    )


# ---- customers


def customer_cases() -> Iterator[Case]:
    text = "Text"
    for name, line, row in (
        (
            "a formula, and SQL",
            b"3,=cmd|'/c calc'!A1,x@example.com,\"Robert'); DROP TABLE customers;--\"\n",
            ("=cmd|'/c calc'!A1", "x@example.com", "Robert'); DROP TABLE customers;--"),
        ),
        (
            "markup",
            b"3,<b onload=x()>,x@example.com,${city}\n",
            ("<b onload=x()>", "x@example.com", "${city}"),
        ),
        (
            "commas and quotes",
            b'3,"Li, ""Annie""",x@example.com,Calgary\n',
            ('Li, "Annie"', "x@example.com", "Calgary"),
        ),
        (
            "other scripts",
            "3,李小龙,x@example.com,Montréal\n".encode(),
            ("李小龙", "x@example.com", "Montréal"),
        ),
        ("blanks around", b"3, X ,x@example.com,Calgary \n", (" X ", "x@example.com", "Calgary ")),
        ("no name", b"3,,x@example.com,Calgary\n", (None, "x@example.com", "Calgary")),
        (
            "name of no-break spaces",
            "3,\u00a0,x@example.com,Calgary\n".encode(),
            (None, "x@example.com", "Calgary"),
        ),
        ("no e-mail and no city", b"3,X,,\n", ("X", None, None)),
        ("e-mail and city of blanks", b'3,X, ,"  "\n', ("X", None, None)),
    ):
        found = dict(zip(ONE_ROW, (3, *row), strict=True))
        yield Case(
            text, name, "core_banking", CUSTOMERS + ONE + line + TWO, (ONE_ROW, found, TWO_ROW)
        )
    for name, line, field, reason in (
        ("name too long", b"3,%b,x@example.com,Calgary\n" % (b"x" * 101), "name", "longer"),
        ("control character", b"3,X\x07Y,x@example.com,Calgary\n", "name", "control"),
        ("no e-mail address", b"3,X,example.com,Calgary\n", "email", "not an e-mail"),
        ("blank in an address", "3,X,x@\u00a0example.com,Calgary\n".encode(), "email", "not an"),
        ("city too long", b"3,X,x@example.com,%b\n" % (b"x" * 51), "city", "longer"),
        ("customer_id with zeros", b"003,X,x@example.com,Calgary\n", "customer_id", "whole"),
    ):
        data = CUSTOMERS + ONE + line + TWO
        yield Case(text, name, "core_banking", data, (ONE_ROW, TWO_ROW), ((3, field, reason),))
    lines = "Lines of a CSV file"
    yield Case(
        lines,
        "line break inside a city without quotes (`St. John's` of `St. John's⏎ East`)",
        "core_banking",
        CUSTOMERS + ONE + b" East\n" + TWO,
        (TWO_ROW,),
        ((2, "city", "may be torn"), (3, "", "1 fields")),
    )
    repeated = "Repeated records"
    yield Case(
        repeated,
        "two customers without an address",
        "core_banking",
        CUSTOMERS + b"1,X,,Calgary\n" + b"2,Y,,Calgary\n",
        (
            {"customer_id": 1, "name": "X", "email": None, "city": "Calgary"},
            {"customer_id": 2, "name": "Y", "email": None, "city": "Calgary"},
        ),
    )
    other = b"1,Somebody Else,else@example.com,Regina\n"
    third = b"3,X,siobhan@example.com,Regina\n"
    differ = "given in several records that differ"
    for name, line, rows, bad in (
        (
            "a customer twice, equal",
            ONE,
            (ONE_ROW, TWO_ROW),
            ((4, "customer_id", "the same record as on line 2"),),
        ),
        (
            "a customer twice, different",
            other,
            (TWO_ROW,),
            ((2, "customer_id", differ), (4, "customer_id", differ)),
        ),
        (
            "two customers with one address",
            third,
            (TWO_ROW,),
            ((2, "email", differ), (4, "email", differ)),
        ),
    ):
        yield Case(repeated, name, "core_banking", CUSTOMERS + ONE + TWO + line, rows, bad)


# ---- credit records


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
    "score below 300": (record(credit_score=299), "credit_score", "300"),
    "score above 900": (record(credit_score=901), "credit_score", "900"),
    "score negative": (record(credit_score=-700), "credit_score", "whole number"),
    "score with a decimal": (record(credit_score=700.0), "credit_score", "whole number"),
    "score as a string": (record(credit_score="700"), "credit_score", "whole number"),
    "score null": (record(credit_score=None), "credit_score", "whole number"),
    "score is true": (record(credit_score=True), "credit_score", "whole number"),
    "score with exponent": (text(b"700", b"7e2"), "credit_score", "whole number"),
    "score with a leading zero": (text(b"700", b"0700"), "", "not JSON"),
    "score with a plus sign": (text(b"700", b"+700"), "", "not JSON"),
    "score in another script's digits": (text(b"700", "٧٠٠".encode()), "", "not JSON"),
    "score NaN": (text(b"700", b"NaN"), "", "NaN"),
    "score Infinity": (text(b"700", b"-Infinity"), "", "Infinity"),
    "score hexadecimal": (text(b"700", b"0x2BC"), "", "not JSON"),
    "customer_id as a string": (record(customer_id="2"), "customer_id", "whole number"),
    "customer_id with a decimal": (record(customer_id=1.5), "customer_id", "whole number"),
    "customer_id zero": (record(customer_id=0), "customer_id", "whole number"),
    "customer_id negative": (record(customer_id=-1), "customer_id", "whole number"),
    "customer_id true": (record(customer_id=True), "customer_id", "whole number"),
    "customer_id out of range": (record(customer_id=2**31), "customer_id", "2147483647"),
    "customer_id of 5,000 digits": (text(b'd": 2', b'd": ' + b"9" * 5_000), "customer_id", "whole"),
    "delinquencies negative": (record(delinquencies=-1), "delinquencies", "whole number"),
    "delinquencies false": (record(delinquencies=False), "delinquencies", "whole number"),
    "key missing": (without("delinquencies"), "delinquencies", "missing"),
    "loans missing": (without("outstanding_loans"), "outstanding_loans", "missing"),
    "key unknown": (record(note="x"), "", "unknown key"),
    "key given twice": (text(b'"delinq', b'"credit_score": 650, "delinq'), "credit_score", "twice"),
    "key given twice, once escaped": (
        text(b'"delinq', b'"credit_\\u0073core": 650, "delinq'),
        "credit_score",
        "twice",
    ),
    "key of a lone surrogate, twice": (
        text(b'"delinq', b'"\\ud800": 1, "\\ud800": 1, "delinq'),
        "\\ud800",
        "twice",
    ),
    "key with a NUL escape": (text(b'"delinq', b'"\\u0000delinq'), "delinquencies", "missing"),
    "key in capitals": (text(b'"delinq', b'"Delinq'), "delinquencies", "missing"),
    "key without quotes": (text(b'"delinquencies"', b"delinquencies"), "", "not JSON"),
    "loans null": (record(outstanding_loans=None), "outstanding_loans", "not an array"),
    "loans an object": (record(outstanding_loans={}), "outstanding_loans", "not an array"),
    "loans a string": (record(outstanding_loans="[]"), "outstanding_loans", "not an array"),
    "loans zero": (record(outstanding_loans=0), "outstanding_loans", "not an array"),
    "a loan null": (record(outstanding_loans=[None]), "outstanding_loans[0]", "not an object"),
    "a loan in a list of its own": (
        record(outstanding_loans=[RECORD["outstanding_loans"]]),
        "outstanding_loans[0]",
        "not an object",
    ),
    "loan type unknown": (loan(type="boat"), "outstanding_loans[1].type", "not one of"),
    "loan type in capitals": (loan(type="Car"), "outstanding_loans[1].type", "not one of"),
    "loan type with a blank": (loan(type="car "), "outstanding_loans[1].type", "not one of"),
    "loan type a number": (loan(type=5), "outstanding_loans[1].type", "not one of"),
    "loan type null": (loan(type=None), "outstanding_loans[1].type", "not one of"),
    "loan type with a NUL escape": (loan(type="car\0"), "outstanding_loans[1].type", "not one of"),
    "loan type a lone surrogate": (loan(type="\ud800"), "outstanding_loans[1].type", "not one of"),
    "loan type SQL": (loan(type="car' OR '1'='1"), "outstanding_loans[1].type", "not one of"),
    "one loan's amount zero": (loan(amount=0), AMOUNT, "not above zero"),
    "one loan's amount negative": (loan(amount=-5), AMOUNT, "plain digits"),
    "one loan's amount with three decimals": (loan(amount=1.005), AMOUNT, "two decimals"),
    "one loan's amount as a string": (loan(amount="5"), AMOUNT, "plain digits"),
    "one loan's amount true": (loan(amount=True), AMOUNT, "plain digits"),
    "one loan's amount null": (loan(amount=None), AMOUNT, "plain digits"),
    "one loan's amount too large": (loan(amount=10**13), AMOUNT, "above 9999999999999.99"),
    "one loan's amount far too large": (loan(amount=10**17), AMOUNT, "plain digits"),
    "one loan's amount NaN": (loan(amount=float("nan")), "", "NaN"),
    "loan amount with exponent": (text(b"404.1", b"4e2"), "outstanding_loans[0].amount", "plain"),
    "loan amount with a comma": (text(b"404.1", b"404,1"), "", "not JSON"),
    "loan key missing": (
        record(outstanding_loans=[{"type": "car"}]),
        "outstanding_loans[0].amount",
        "missing",
    ),
    "loan key unknown": (loan(rate=1), "outstanding_loans[1]", "unknown key"),
    "loan key given twice": (text(b'"amount"', b'"type": "car", "amount"'), "type", "twice"),
    "loan amount given twice, equal": (
        text(b'"amount": 404.1', b'"amount": 404.1, "amount": 404.1'),
        "amount",
        "twice",
    ),
    "trailing comma": (text(b"]}", b"],}"), "", "not JSON"),
    "comment": (text(b"{", b"{/* x */"), "", "not JSON"),
    "single quotes": (record().replace(b'"', b"'"), "", "not JSON"),
    "a number alone": (b"5", "", "not an object"),
    "null alone": (b"null", "", "not an object"),
    "a string alone": (b'"x, {y}"', "", "not an object"),
    "garbage": (b"garbage", "", "not JSON"),
    "an array": (b"[]", "", "not an object"),
    "two objects without a comma": (record() + record(customer_id=4), "", "not JSON"),
    "100,000 deep": (text(b"700", b"[" * 100_000 + b"]" * 100_000), "", "nested too deep"),
    "100,000 deep, objects": (
        text(b"700", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "",
        "nested",
    ),
    "invalid UTF-8": (text(b'"car"', b'"c\xffr"'), "", "not UTF-8"),
    "NUL byte": (text(b"700", b"70\x000"), "", "not JSON"),
    "control character in a string": (text(b'"car"', b'"c\x01ar"'), "", "not JSON"),
    "20 MB": (
        text(b'"car"', b'"' + b"x" * 20_000_000 + b'"'),
        "outstanding_loans[0].type",
        "not one",
    ),
}


def as_landed(found: dict[str, Any]) -> dict[str, Any]:
    loans = [
        {"type": one["type"], "amount": f"{one['amount']:.2f}"}
        for one in found["outstanding_loans"]
    ]
    return {**found, "outstanding_loans": loans}


BEFORE_ROW, RECORD_ROW, AFTER_ROW = (as_landed(found) for found in (BEFORE, RECORD, AFTER))


def credit_cases() -> Iterator[Case]:
    both = (BEFORE_ROW, AFTER_ROW)
    for name, (data, field, reason) in BAD_RECORDS.items():
        around = [json.dumps(BEFORE, indent=2).encode(), data, json.dumps(AFTER).encode()]
        array = b"[\n" + b",\n".join(around) + b"\n]\n"
        yield Case("JSON records", name, "credit_bureau", array, both, ((13, field, reason),))
        around[0] = json.dumps(BEFORE).encode()
        lines = b"\n".join(around)
        name = f"{name}, one record a line"
        yield Case("JSON records", name, "credit_bureau", lines, both, ((2, field, reason),))
    before, after = json.dumps(BEFORE).encode(), json.dumps(AFTER).encode()
    changed = json.dumps({**BEFORE, "credit_score": 500}).encode()
    differ = "given in several records that differ"
    same = "the same record as number 1"
    for name, records, rows, bad in (
        (
            "a credit record twice, equal",
            [before, after, before],
            both,
            ((1, "customer_id", same),),
        ),
        (
            "a credit record twice, different",
            [before, after, changed],
            (AFTER_ROW,),
            ((1, "customer_id", differ), (1, "customer_id", differ)),
        ),
    ):
        data = b"[" + b",".join(records) + b"]"
        yield Case("Repeated records", name, "credit_bureau", data, rows, bad)
    frame = "Frame of a JSON file"
    three = (BEFORE_ROW, RECORD_ROW, AFTER_ROW)
    indented = json.dumps([BEFORE, RECORD, AFTER], indent=2).encode()
    lines = b"\n".join([before, record(), after])
    for name, data in (
        ("an array, indented", indented),
        ("an array on one line", json.dumps([BEFORE, RECORD, AFTER]).encode()),
        ("one record a line", lines + b"\n"),
        ("one record a line, no final newline", lines),
        ("one record a line, CRLF", lines.replace(b"\n", b"\r\n")),
        ("one record a line, empty lines", lines.replace(b"\n", b"\n\n")),
        ("byte-order mark", b"\xef\xbb\xbf" + indented),
    ):
        yield Case(frame, name, "credit_bureau", data, three)
    for name, data, rows, bad in (
        (
            "a comma too many in an array",
            b"[" + record() + b",]",
            (RECORD_ROW,),
            ((1, "", "not JSON"),),
        ),
        (
            "two objects on one line",
            b"\n".join([before, record() + record(customer_id=4), after]),
            both,
            ((2, "", "not JSON"),),
        ),
        (
            "a comma after a record on its line",
            b"\n".join([before, record() + b",", after]),
            both,
            ((2, "", "not JSON"),),
        ),
        (
            "garbage lines",
            b"\n".join([before, b"%%%", after, b"-- 2 records"]),
            both,
            ((2, "", "not JSON"), (4, "", "not JSON")),
        ),
        (
            "comment lines",
            b"\n".join([before, b"// the next one is new", after]),
            both,
            ((2, "", "not JSON"),),
        ),
        (
            "one record a line, the last one cut",
            before + b"\n" + after[:-1],
            (BEFORE_ROW,),
            ((2, "", "not JSON"),),
        ),
        (
            "one record a line, a line break inside a record",
            b"\n".join([before, *record().split(b" ", 1), after]),
            both,
            ((2, "", "not JSON"), (3, "", "not JSON")),
        ),
        (
            "brackets, commas and escaped quotes inside a string",
            b"[" + before + b"," + loan(type='a "b" \\ ] } , [ {') + b"]",
            (BEFORE_ROW,),
            ((1, "outstanding_loans[1].type", "not one of"),),
        ),
    ):
        yield Case(frame, name, "credit_bureau", data, rows, bad)
    one, another = record(), record(customer_id=5)
    for name, data in (
        ("an array cut between records", b"[" + one + b",\n"),
        ("an array cut inside a record", b"[" + one + b",\n" + one[:40]),
        ("an array without its closing bracket", b"[" + one),
        ("a quote left open", b"[" + one + b',{"customer_id: 4},' + another + b"]"),
        ("a bracket left open", b"[" + one.replace(b"]", b"") + b"]"),
        ("text after the array", b"[" + one + b"] x"),
        ("two arrays", b"[" + one + b"][" + another + b"]"),
        ("an array closed by a brace", b"[" + one + b"}"),
        ("an empty file", b""),
        ("UTF-16", json.dumps([RECORD]).encode("utf-16")),
        ("gzip under a .json name", gzip.compress(b"[" + one + b"]", mtime=0)),
    ):
        yield Case(frame, name, "credit_bureau", data, (), ((1, "*", ""),), whole=True)
    for name, data in (
        ("an object around the array", b'{"customers": [' + one + b"]}"),
        ("null", b"null"),
        ("a string", b'"text"'),
        ("a comment alone", b"// all customers\n"),
        ("a number", b"5\n"),
    ):
        yield Case(frame, f"{name} instead of an array", "credit_bureau", data, (), ((1, "*", ""),))


# ---- complaints


OLDER = "0d7f1a6e-8c0b-4b57-9f3e-52a1c7d9e644"
"""Id of a complaint from before they had times."""


def complaint(**changed: Any) -> bytes:
    found = {**COMPLAINT, **changed}
    return json.dumps({name: value for name, value in found.items() if value != "absent"}).encode()


def complaint_cases() -> Iterator[Case]:
    other = {**COMPLAINT, "feedback_id": "7b4f7a52-9f83-4a0f-8d4e-4c1f3b8f0c21"}
    lands = tuple(
        {**one, "occurred_at": "2026-03-02T08:15:00.000000Z"} for one in (COMPLAINT, other)
    )
    for name, line, field, reason in (
        ("id is no UUID", complaint(feedback_id="17"), "feedback_id", "not a UUID"),
        ("unknown category", complaint(category="Weather"), "category", "not one of"),
        ("category in capitals", complaint(category="ATM ISSUE"), "category", "not one of"),
        ("description missing", complaint(description="absent"), "description", "missing"),
        ("description a number", complaint(description=5), "description", "not a string"),
        ("description null", complaint(description=None), "description", "not a string"),
        ("description of blanks", complaint(description=" \t"), "description", "empty"),
        ("description with a NUL escape", complaint(description="a\0"), "description", "control"),
        (
            "description a lone surrogate",
            complaint(description="\ud800"),
            "description",
            "surrogate",
        ),
        ("description too long", complaint(description="x" * 10_001), "description", "longer"),
        (
            "impossible time",
            complaint(occurred_at="2026-02-30T08:15:00Z"),
            "occurred_at",
            "no such",
        ),
        (
            "time with an offset",
            complaint(occurred_at="2026-03-02T08:15:00-04:00"),
            "occurred_at",
            "UTC",
        ),
        ("time as a number", complaint(occurred_at=1772452800), "occurred_at", "not a string"),
        (
            "time in the future",
            complaint(occurred_at="2099-03-02T08:15:00Z"),
            "occurred_at",
            "future",
        ),
        (
            "time under a misspelled name",
            complaint(occurred_at="absent", occured_at="x"),
            "occurred_at",
            "missing",
        ),
        (
            "time under another name",
            complaint(occurred_at="absent", created="2026-03-02T08:15:00Z"),
            "occurred_at",
            "missing",
        ),
        ("key given twice", complaint()[:-1] + b', "category": "Card Issue"}', "category", "twice"),
        ("cut", complaint()[:-1], "message", "not JSON"),
        ("two objects on one line", complaint() + complaint(), "message", "not JSON"),
        ("an array", b"[" + complaint() + b"]", "message", "not a JSON object"),
        ("invalid UTF-8", complaint().replace(b"card", b"c\xffrd"), "message", "not UTF-8"),
        (
            "100,000 deep",
            b"{" + b'"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "message",
            "deep",
        ),
    ):
        around = [json.dumps(COMPLAINT).encode(), line, json.dumps(other).encode()]
        data = b"\n".join(around) + b"\n"
        yield Case("Complaints", name, "feedback", data, lands, ((2, field, reason),))
    first, second, third = json.dumps(COMPLAINT).encode(), complaint(), json.dumps(other).encode()
    yield Case(
        "Repeated records",
        "a complaint twice, equal",
        "feedback",
        b"\n".join([first, second, third]) + b"\n",
        (lands[0], *lands),
    )
    for name, line in (
        ("another text", complaint(description="It gave me nothing.")),
        ("another category", complaint(category="Card Issue")),
        ("no time", complaint(occurred_at="absent")),
        (
            "its id in capitals and another text",
            complaint(feedback_id=COMPLAINT["feedback_id"].upper(), description="Nothing."),
        ),
    ):
        yield Case(
            "Repeated records",
            f"a complaint twice, the second with {name}",
            "feedback",
            b"\n".join([first, line, third]) + b"\n",
            lands,
            ((2, "feedback_id", "says otherwise"),),
        )
    extended = complaint(customer_name="Wendy Zhao", customer_id=23)
    for name, line, row in (
        ("fields beyond the contract", extended, lands[0]),
        (
            "no time, as in older records",
            complaint(occurred_at="absent", feedback_id=OLDER),
            {**lands[0], "occurred_at": None, "feedback_id": OLDER},
        ),
    ):
        yield Case("Complaints", name, "feedback", line + b"\n", (row,))


# ---- what takes more than the rows of one file


def _landed(folder: Path, files: Sequence[bytes]) -> list[list[dict[str, Any]]]:
    """ATM files as they land, with the columns that landing adds."""
    import pyarrow.parquet as pq

    settings = load(folder, "local", bad_share_limit=1)
    with (
        scratch_folder(folder, "land") as at_work,
        Assessment(settings, "atm", "batch", datetime.now(UTC), at_work) as assessment,
    ):
        tables = []
        for number, data in enumerate(files):
            path = folder / f"{number}.csv"
            path.write_bytes(data)
            assessment.read(path.name, path, f"{number}" * 64)
        assessment.finish()
        for file in assessment.files:
            parquet = assessment.write(file)
            tables.append(pq.read_table(parquet).to_pylist() if parquet else [])
    return tables


def twins(folder: Path) -> str:
    (rows,) = _landed(folder, [HEADER + FIRST + LAST + FIRST])
    ids = {row["transaction_id"] for row in rows}
    marked = sum(row["is_twin"] for row in rows)
    return f"{len(rows)} rows land under {len(ids)} ids, {marked} of them marked as a twin"


def overlapping(folder: Path) -> str:
    first, second = _landed(folder, [HEADER + FIRST + LAST, HEADER + LAST + atm_row()])
    ids = {row["transaction_id"] for row in (*first, *second)}
    return f"{len(first)} and {len(second)} rows land under {len(ids)} ids; merged, {len(ids)} rows"


def spelled_otherwise(folder: Path) -> str:
    again = LAST.replace(b"80.00", b"80").replace(b".250000", b".25")
    first, second = _landed(folder, [HEADER + LAST, HEADER + again])
    same = first[0]["transaction_id"] == second[0]["transaction_id"]
    return "lands under the same id" if same else "lands under another id"


def overlap(folder: Path) -> str:
    (rows,) = _landed(folder, [HEADER + atm_row(timestamp=b"2026-11-01 01:30:00")])
    marked = "marked as ambiguous" if rows[0]["is_ambiguous_local_time"] else "not marked"
    return f"lands as the first of both ({rows[0]['transacted_at_utc']:%H:%M} UTC), {marked}"


def cuts(source: str, whole: bytes, delivered: Sequence[Any]) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        paths = []
        for size in range(1, len(whole)):
            paths.append(folder / f"cut-{size:04d}")
            paths[-1].write_bytes(whole[:size])
        # Only of a source that appends do files land together and yet each for itself.
        together = [paths] if source == "atm" else [[path] for path in paths]
        files = [file for some in together for file in assess(folder, source, some).files]
        foreign = sum(row not in delivered for file in files for row in file.rows or [])
        hidden = sum(
            file.state == "landed" and file.rows_in > 0 and whole[size - 1 : size] != b"\n"
            for size, file in enumerate(files, 1)
        )
        return (
            f"of all {len(files)} cuts, {foreign} land a row that was not delivered,"
            f" {hidden} hide that a row is cut"
        )

    return run


STORIES = (
    Story(
        "Repeated records",
        "true twins in a file",
        twins,
        "3 rows land under 3 ids, 1 of them marked as a twin",
    ),
    Story(
        "Repeated records",
        "overlapping deliveries: a row that an earlier file held as well",
        overlapping,
        "2 and 2 rows land under 3 ids; merged, 3 rows",
    ),
    Story(
        "Repeated records",
        "a row again with `80` for `80.00` and `.25` for `.250000`",
        spelled_otherwise,
        "lands under the same id",
    ),
    Story(
        "Times",
        "timestamp, an hour that the clocks repeat: `2026-11-01 01:30:00`",
        overlap,
        "lands as the first of both (05:30 UTC), marked as ambiguous",
    ),
    Story(
        "Lines of a CSV file",
        "cut anywhere",
        cuts("atm", GOOD, (FIRST_ROW, LAST_ROW)),
        f"of all {len(GOOD) - 1} cuts, 0 land a row that was not delivered,"
        " 0 hide that a row is cut",
    ),
    Story(
        "Frame of a JSON file",
        "an array cut anywhere",
        cuts("credit_bureau", b"[" + json.dumps(BEFORE).encode() + b"]", ()),
        f"of all {len(json.dumps(BEFORE)) + 1} cuts, 0 land a row that was not delivered,"
        " 0 hide that a row is cut",
    ),
)


# ---- landing them, and writing down what happens


@cache
def cases() -> tuple[Case, ...]:
    found = (*atm_cases(), *customer_cases(), *credit_cases(), *complaint_cases())
    assert len({case.title for case in found}) == len(found)
    return found


def assess(folder: Path, source: str, paths: Sequence[Path]) -> LandReport:
    # A limit of 1: a case of three rows has a large bad share.
    settings = load(folder, "local", bad_share_limit=1)
    found = land(settings, source, [str(path) for path in paths], check=True, rows=True)
    for file in found.files:
        assert file.rows_in == file.landed + file.quarantined
        assert len(file.rows or []) == file.landed
    return found


def reports(folder: Path) -> dict[Case, FileReport]:
    """What landing makes of every case."""
    found: dict[Case, FileReport] = {}
    for source in ("atm", "feedback", "core_banking", "credit_bureau"):
        mine = [case for case in cases() if case.source == source]
        paths = []
        for number, case in enumerate(mine):
            paths.append(folder / f"{source}-{number}")
            paths[-1].write_bytes(case.data)
        # Files of a snapshot landed together are one snapshot.
        together = [paths] if source in ("atm", "feedback") else [[path] for path in paths]
        files = [file for some in together for file in assess(folder, source, some).files]
        found |= dict(zip(mine, files, strict=True))
        for path in paths:
            path.unlink()
    return found


def document(found: dict[Case, FileReport], stories: dict[Story, str]) -> str:
    """The page that says what becomes of malformed input."""
    parts = [
        "# Strict landing: what becomes of malformed input\n",
        (
            "Written by `.venv/bin/python -m tests.unit.ingest.malformed` from what landing did"
            " with each of these files; a test compares. “Quarantined” means kept with file, line,"
            " field, reason and raw text, out of every total, until somebody mends it (`discover"
            " quarantine`). A bad row stands between two good ones: “2 land” are those.\n"
        ),
        f"{len(found) + len(stories)} cases.\n",
    ]
    for group, why in GROUPS.items():
        parts += [
            f"## {group}\n",
            f"{why}\n",
            "| Delivered | What happens | Reason given |",
            "|---|---|---|",
        ]
        parts += [
            _table_row(case.name, _happens(case, file), _reasons(file))
            for case, file in found.items()
            if case.group == group and not case.name.endswith(", one record a line")
        ]
        parts += [_table_row(s.name, seen, "") for s, seen in stories.items() if s.group == group]
        parts.append("")
    parts.append(
        "Every one of the JSON records above is tried in an array and as a line of its own.\n"
    )
    return "\n".join(parts)


def _happens(case: Case, file: FileReport) -> str:
    if file.state == "quarantined":
        return "the file is quarantined" if case.whole else "quarantined"
    if file.state == "landed":
        return "lands" if file.rows_in else "lands, without rows"
    bad = "quarantined" if file.quarantined == 1 else f"{file.quarantined} rows quarantined"
    if case.source == "credit_bureau" and file.quarantined == 1:
        customer = file.rejects[0].customer_id
        bad += f" as customer {customer}'s" if customer else ", names nobody"
    return f"{bad}; {file.landed} land" if file.landed else bad


def _reasons(file: FileReport) -> str:
    told = [
        one.reason if one.reason.startswith(one.field) else f"{one.field}: {one.reason}"
        for one in file.rejects
    ]
    return "; ".join(dict.fromkeys(told))


def _table_row(*cells: str) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    shown = "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)
    shown = shown.replace("|", "\\|")
    return shown if len(shown) <= 240 else f"{shown[:240]}…"


def main() -> None:
    with contextlib.ExitStack() as folders:
        new = lambda: Path(folders.enter_context(tempfile.TemporaryDirectory()))  # noqa: E731
        page = document(reports(new()), {story: story.run(new()) for story in STORIES})
    DOCUMENT.write_text(page, encoding="utf-8")
    print(f"{DOCUMENT}: {len(cases()) + len(STORIES)} cases")


if __name__ == "__main__":
    main()
