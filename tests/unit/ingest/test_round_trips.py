"""What is written well, landing reads exactly, in whatever form it is written."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.generate import ATM_FILE, COMPLAINTS_FILE, CREDIT_FILE, CUSTOMERS_FILE, generate
from ingest.land import land
from ingest.sources.contract import LARGEST_AMOUNT
from lakehouse.complaint import CATEGORIES
from lakehouse.scrub import scrub
from lakehouse.settings import load
from tests.unit.ingest import reference

few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
ids = st.integers(1, 2_147_483_647)
counts = st.integers(0, 2_147_483_647)
cents = st.integers(1, int(LARGEST_AMOUNT * 100))


def landed(source: str, data: bytes) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        (file,) = land(load(folder, "local"), source, [str(path)], check=True, rows=True).files
    assert file.rejects == []
    assert file.rows is not None
    assert file.rows_in == len(file.rows)
    return file.rows


def money(value: int) -> str:
    return f"{value // 100}.{value % 100:02d}"


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, str]:
    """An amount as delivered and as landed: trailing zeros of the cents may be left out."""
    exact = money(draw(cents))
    short = exact.removesuffix(".00")
    if "." in short and short.endswith("0") and draw(st.booleans()):
        return short[:-1], exact
    return (short if draw(st.booleans()) else exact), exact


@st.composite
def times(draw: st.DrawFn) -> tuple[str, str]:
    """A local time that exists, as delivered and as landed."""
    moment = draw(
        st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)).filter(  # noqa: DTZ001
            reference.exists
        )
    )
    digits = draw(st.integers(0, 6))
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    shown = f"{moment:%Y-%m-%d %H:%M:%S}"
    kept = fraction.rstrip("0").rstrip(".")
    return shown + fraction, shown + kept


atm_rows = st.tuples(ids, times(), amounts(), st.sampled_from(["deposit", "withdrawal"]), ids)
ATM = ["atm_id", "timestamp", "amount", "transaction_type", "customer_id"]
forms = st.tuples(
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)


def written(names: list[str], rows: list[list[str]], form: tuple[str, Any, bool]) -> bytes:
    ending, quoting, marked = form
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=ending, quoting=quoting)
    writer.writerow(names)
    writer.writerows(rows)
    return (b"\xef\xbb\xbf" if marked else b"") + stream.getvalue().encode()


@few
@given(st.lists(atm_rows, min_size=1, max_size=40), st.permutations(ATM), forms)
def test_atm_rows(rows: list[Any], names: list[str], form: tuple[str, Any, bool]) -> None:
    delivered = [
        dict(zip(ATM, (str(machine), when[0], amount[0], kind, str(customer)), strict=True))
        for machine, when, amount, kind, customer in rows
    ]
    data = written(names, [[row[name] for name in names] for row in delivered], form)
    assert landed("atm", data) == [
        dict(zip(ATM, (machine, when[1], amount[1], kind, customer), strict=True))
        for machine, when, amount, kind, customer in rows
    ]


letters = st.characters(exclude_categories=("Cc", "Cs"))


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(letters, min_size=1, max_size=longest).filter(lambda found: found.strip())


mail_letters = st.characters(
    exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="@"
)
mails = st.tuples(
    st.text(mail_letters, min_size=1, max_size=30), st.text(mail_letters, min_size=1, max_size=30)
).map("@".join)
customers = st.lists(
    st.tuples(ids, texts(100), mails, texts(50)),
    min_size=1,
    max_size=25,
    unique_by=(lambda row: row[0], lambda row: row[2]),
)
CUSTOMERS = ["customer_id", "name", "email", "city"]


@few
@given(customers, st.permutations(CUSTOMERS), forms)
def test_customers(rows: list[Any], names: list[str], form: tuple[str, Any, bool]) -> None:
    delivered = [dict(zip(CUSTOMERS, row, strict=True)) for row in rows]
    data = written(names, [[str(row[name]) for name in names] for row in delivered], form)
    assert landed("core_banking", data) == delivered


loans = st.lists(
    st.tuples(st.sampled_from(["car", "house", "business", "student", "personal"]), amounts()),
    max_size=5,
)
records = st.lists(
    st.tuples(ids, st.integers(300, 900), counts, loans),
    min_size=1,
    max_size=15,
    unique_by=lambda row: row[0],
)


@few
@given(records, st.sampled_from([None, 0, 2, "\t"]), st.booleans(), st.booleans(), st.randoms())
def test_credit_records(
    rows: list[Any], indent: Any, in_lines: bool, sort_keys: bool, draws: Any
) -> None:
    texts_, expected = [], []
    for customer, score, late, owed in rows:
        spelled = [f'{{"type": "{kind}", "amount": {amount[0]}}}' for kind, amount in owed]
        pairs = [
            f'"customer_id": {customer}',
            f'"credit_score": {score}',
            f'"delinquencies": {late}',
            f'"outstanding_loans": [{", ".join(spelled)}]',
        ]
        if sort_keys:
            draws.shuffle(pairs)
        texts_.append("{" + ", ".join(pairs) + "}")
        expected.append(
            {
                "customer_id": customer,
                "credit_score": score,
                "delinquencies": late,
                "outstanding_loans": [{"type": kind, "amount": a[1]} for kind, a in owed],
            }
        )
    blank = "\n" + " " * indent if isinstance(indent, int) else (indent or "")
    array = "[" + f",{blank}".join(text.replace(", ", f",{blank}") for text in texts_) + blank + "]"
    data = "\n".join(texts_) if in_lines else array
    assert landed("credit_bureau", data.encode()) == expected


said = st.text(
    st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from('\n\t"\\'),
    min_size=1,
    max_size=200,
).filter(lambda found: found.strip())
moments = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1))  # noqa: DTZ001
complaints = st.lists(
    st.tuples(st.uuids(), st.sampled_from(CATEGORIES), said, moments),
    min_size=1,
    max_size=15,
    unique_by=lambda row: row[0],
)


@few
@given(complaints, st.booleans())
def test_complaints(rows: list[Any], ascii_only: bool) -> None:
    lines, expected = [], []
    for key, category, text, moment in rows:
        found = {"feedback_id": str(key), "category": category, "description": text}
        expected.append({**found, "description": scrub(text), "occurred_at": None})
        if moment:
            found["occurred_at"] = f"{moment.isoformat()}Z"
            expected[-1]["occurred_at"] = f"{moment.isoformat(timespec='microseconds')}Z"
        lines.append(json.dumps(found, ensure_ascii=ascii_only) + "\n")
    assert landed("feedback", "".join(lines).encode()) == expected


@pytest.mark.parametrize(("customers", "days", "seed"), [(1, 1, 0), (60, 20, 1), (700, 6, 2)])
def test_what_generate_writes_is_read_exactly(
    customers: int, days: int, seed: int, tmp_path: Path
) -> None:
    generate(customers, days, seed, tmp_path, date(2026, 11, 3), complaints=50)
    with (tmp_path / CUSTOMERS_FILE).open(encoding="utf-8", newline="") as stream:
        rows = [{**row, "customer_id": int(row["customer_id"])} for row in csv.DictReader(stream)]
    assert landed("core_banking", (tmp_path / CUSTOMERS_FILE).read_bytes()) == rows
    with (tmp_path / ATM_FILE).open(encoding="utf-8", newline="") as stream:
        rows = [
            {**row, "atm_id": int(row["atm_id"]), "customer_id": int(row["customer_id"])}
            for row in csv.DictReader(stream)
        ]
    assert landed("atm", (tmp_path / ATM_FILE).read_bytes()) == rows
    text = (tmp_path / CREDIT_FILE).read_text()
    records_ = json.loads(text, parse_float=lambda found: f"{Decimal(found):.2f}")
    assert landed("credit_bureau", text.encode()) == records_
    lines = (tmp_path / COMPLAINTS_FILE).read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert landed("feedback", "\n".join(lines).encode() + b"\n") == found
