"""Credit records read by their bytes are the records that decoding and the rules give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import assess
from ingest.frame import Lines
from ingest.plain_records import Limits, plain_records
from ingest.rejects import Reject
from ingest.sources import credit_bureau
from lakehouse.scratch import scratch_folder
from lakehouse.settings import load

NOW = datetime(2026, 6, 20, tzinfo=UTC)
LIMITS = Limits(("car", "house", "car loan"), 300, 900)

ids = st.one_of(
    st.integers(0, 2_147_483_650).map(str),
    st.sampled_from(["1", "2", "007", "-1", "1.0", "1e3", '"5"', "null", "true", "9" * 30]),
)
scores = st.one_of(st.integers(290, 910).map(str), st.sampled_from(["600.0", "0600", "null"]))
amounts = st.one_of(
    st.decimals("0.01", "9999999999999999", places=2).map(str),
    st.integers(0, 10**16).map(str),
    st.sampled_from(["0", "0.0", "0.00", "5.5", "5.", ".5", "05.00", "5.000", "-5", "1e3", '"5"']),
)
kinds = st.sampled_from(['"car"', '"house"', '"Car"', '"c\\u0061r"', '"car "', "null", '"a\\"b"'])
blanks = st.sampled_from(["", " ", "\t", " \n "])


@st.composite
def objects(draw: st.DrawFn, fields: list[tuple[str, st.SearchStrategy[str]]]) -> str:
    """An object's text: nearly always plain, now and then with a key too many or too few."""
    parts = [f'"{name}"{draw(blanks)}:{draw(blanks)}{draw(value)}' for name, value in fields]
    change = draw(st.integers(0, 40))
    if change == 0:
        parts.pop()
    elif change == 1:
        parts.append(parts[0])
    elif change == 2:
        parts.append('"more": 1')
    comma = f"{draw(blanks)},{draw(blanks)}"
    return f"{{{draw(blanks)}{comma.join(parts)}{draw(blanks)}}}"


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file's text: an array, with the keys of records and loans in some order."""
    loan_fields = draw(st.permutations([("type", kinds), ("amount", amounts)]))
    loans = st.lists(objects(loan_fields), max_size=4).map(lambda found: f"[{', '.join(found)}]")
    fields = draw(
        st.permutations(
            [
                ("customer_id", ids),
                ("credit_score", scores),
                ("delinquencies", ids),
                ("outstanding_loans", st.one_of(loans, loans, st.sampled_from(["null", "{}"]))),
            ]
        )
    )
    comma = draw(st.sampled_from([",", ",\n", " , "]))
    return f"[{draw(blanks)}{comma.join(draw(st.lists(objects(fields), max_size=12)))}]\n"


def landed(text: str, folder: Path) -> tuple[pa.Table, list[Reject]]:
    """Landed rows, in order, and rejects of one credit file."""
    path = folder / "delivered.json"
    path.write_text(text)
    with (
        scratch_folder(folder, "land") as at_work,
        assess.Assessment(
            load(folder, "local"), "credit_bureau", "batch", NOW, at_work
        ) as assessment,
    ):
        file = assessment.read("delivered.json", path, "0" * 64)
        assessment.finish()
        parquet = assessment.write(file)
        table = pq.read_table(parquet) if parquet else credit_bureau.schema().empty_table()
        return table, sorted(file.rejects.listed, key=str)


def none_plain(part: Any, _: Limits) -> tuple[None, np.ndarray[Any, Any]]:
    starts = part.ends if isinstance(part, Lines) else part.starts
    return None, np.zeros(len(starts), dtype=bool)


@given(files())
@settings(max_examples=80, deadline=None)
def test_both_ways_land_the_same(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("both")
    rows, rejects = landed(text, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assess, "plain_records", none_plain)
        decoded, rejects_of_decoded = landed(text, folder)
    assert rows.to_pylist() == decoded.to_pylist()
    assert rejects == rejects_of_decoded


@pytest.mark.parametrize("order", [1, -1])
def test_the_good_path_is_taken_whatever_the_order_of_keys(order: int) -> None:
    loans = [{"type": "car loan", "amount": 12500.5}, {"type": "house", "amount": 9}]
    record = {
        "credit_score": 640,
        "outstanding_loans": [dict(list(loan.items())[::order]) for loan in loans],
        "delinquencies": 0,
        "customer_id": 2_147_483_647,
    }
    empty = record | {"outstanding_loans": [], "customer_id": 1}
    data = f"{json.dumps(record)}\n\n{json.dumps(empty)}\n".encode()
    table, plain = plain_records(Lines(data, 1), LIMITS)
    assert plain.tolist() == [True, False, True]
    assert [
        [(loan["type"], str(loan["amount"])) for loan in row]
        for row in table["outstanding_loans"].to_pylist()
    ] == [[("car loan", "12500.50"), ("house", "9.00")], []]
    assert table.select(["customer_id", "credit_score", "delinquencies", "line"]).to_pylist() == [
        {"customer_id": 2_147_483_647, "credit_score": 640, "delinquencies": 0, "line": 1},
        {"customer_id": 1, "credit_score": 640, "delinquencies": 0, "line": 3},
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"customer_id": 0, "credit_score": 640, "delinquencies": 0, "outstanding_loans": []}',
        '{"customer_id": 1, "credit_score": 299, "delinquencies": 0, "outstanding_loans": []}',
        '{"customer_id": 1, "credit_score": 901, "delinquencies": 0, "outstanding_loans": []}',
        '{"customer_id": 1, "credit_score": 640, "delinquencies": 3e0, "outstanding_loans": []}',
        '{"customer_id": 1, "credit_score": 640, "delinquencies": 0, "outstanding_loans": [{}]}',
        '{"customer_id": 1, "credit_score": 640, "delinquencies": 0, "outstanding_loans": []},',
        (
            '{"customer_id": 1, "credit_score": 640, "delinquencies": 0,'
            ' "outstanding_loans": [{"type": "car", "amount": 5}, {"type": "car", "amount": 0}]}'
        ),
    ],
)
def test_what_the_bytes_do_not_prove_is_left_to_the_rules(text: str) -> None:
    good = '{"customer_id": 7, "credit_score": 640, "delinquencies": 0, "outstanding_loans": []}'
    table, plain = plain_records(Lines(f"{good}\n{text}\n".encode(), 1), LIMITS)
    assert plain.tolist() == [True, False]
    assert table["customer_id"].to_pylist() == [7]


def test_loan_types_that_could_hide_a_digit_or_a_quote_have_no_good_path() -> None:
    text = '{"customer_id": 7, "credit_score": 640, "delinquencies": 0, "outstanding_loans": []}\n'
    for name in ("type 2", 'a"b', "a.b"):
        table, plain = plain_records(Lines(text.encode(), 1), Limits((name,), 300, 900))
        assert table is None
        assert not plain.any()
