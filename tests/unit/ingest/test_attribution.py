"""A refused credit record is attributed to the one customer whom its text names, or to nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import assess
from ingest.attribution import named_customer
from ingest.land import land
from ingest.sources.contract import LARGEST_ID
from lakehouse.settings import load
from tests.unit.ingest.test_plain_records import landed as landed_file
from tests.unit.ingest.test_plain_records import none_plain

GOOD = '{"customer_id": 20, "credit_score": 620, "delinquencies": 0, "outstanding_loans": []}'

NAMES_20 = {
    "NaN": GOOD.replace("[]", '[{"type": "car", "amount": NaN}]'),
    "Infinity": GOOD.replace("620", "-Infinity"),
    "id as text": GOOD.replace("20,", '"20",', 1),
    "id as text with blanks": GOOD.replace("20,", '" 20 ",', 1),
    "id as text with leading zeros": GOOD.replace("20,", '"0000020",', 1),
    "id with a fraction of zero": GOOD.replace("20,", "20.0,", 1),
    "id with an exponent": GOOD.replace("20,", "2e1,", 1),
    "id with an exponent in capitals": GOOD.replace("20,", "200E-1,", 1),
    "id with a plus": GOOD.replace("20,", "+20,", 1),
    "id with blanks around it": GOOD.replace(": 20,", " :\t20  ,", 1),
    "id on the next line": GOOD.replace(": 20,", ":\n20\n,", 1),
    "id in a list": GOOD.replace("20,", "[20],", 1),
    "id in an object": GOOD.replace("20,", '{"$numberInt": "20"},', 1),
    "id under customer": GOOD.replace('"customer_id": 20', '"customer": {"id": 20}'),
    "key given twice, equal": GOOD[:-1] + ', "customer_id": 20}',
    "another key given twice": GOOD[:-1] + ', "credit_score": 620}',
    "two commas": GOOD.replace("620,", "620,,"),
    "comma before the end": GOOD[:-1] + ",}",
    "comma after the id": GOOD.replace("20,", "20,,", 1),
    "no comma after the id": GOOD.replace("20,", "20", 1),
    "id at the end": '{"credit_score": 620, "customer_id": 20}',
    "single quotes": GOOD.replace('"', "'"),
    "single quotes, id as text": GOOD.replace("20,", '"20",', 1).replace('"', "'"),
    "keys without quotes": GOOD.replace('"', ""),
    "one quote lost": GOOD.replace('"customer_id"', 'customer_id"'),
    "equals for a colon": GOOD.replace(":", "="),
    "cut": GOOD[:40],
    "bytes that are no text": GOOD.replace("[]", '[{"type": "c\udcff", "amount": 5}]'),
    "NUL": GOOD.replace("620", "6\x002"),
    "key in capitals": GOOD.replace("customer_id", "CUSTOMER_ID"),
    "key in camel case": GOOD.replace("customer_id", "customerId"),
    "key with a hyphen": GOOD.replace("customer_id", "customer-id"),
    "key with blanks": GOOD.replace("customer_id", " customer_id "),
    "key with an escape": GOOD.replace("_id", "\\u005fid"),
    "in a wrapper": f'{{"record": {{"data": {GOOD}}}}}',
    "in a list": f"[{GOOD}]",
    "in a string": json.dumps(GOOD),
    "another id's key beside it": GOOD[:-1] + ', "old_customer_id": 19, "customer_id_type": 3}',
}

NAMES_NOBODY = {
    "two ids": GOOD[:-1] + ', "customer_id": 21}',
    "two ids, one escaped": GOOD[:-1] + ', "customer\\u005fid": 21}',
    "two ids, one key in capitals": GOOD[:-1] + ', "Customer_Id": 21}',
    "two ids, one inside": GOOD.replace("[]", '[{"customer_id": 21}]'),
    "two ids, one in a text": GOOD.replace("[]", json.dumps('{"customer_id": 21}')),
    "two ids, one unreadable": GOOD[:-1] + ', "customer_id": null}',
    "a part's id": GOOD.replace("customer_id", "cust").replace("[]", '[{"customer_id": 20}]'),
    "a part's id, first": GOOD.replace('"customer_id": 20', '"joint": {"customer_id": 20}'),
    "a part's id, with its score": (
        '{"joint": {"customer_id": 20, "credit_score": 7}, "cust": 21, "credit_score": 620}'
    ),
    "a part's id, in a cut record": (
        '{"cust": 21, "joint": {"customer_id": 20, "credit_score": 7}, "credit'
    ),
    "a part's id, first in a cut record": (
        '{"joint": {"customer_id": 20, "credit_score": 7}, "cust": 21, "credit'
    ),
    "an id in a text": GOOD.replace('"customer_id": 20', '"note": "see customer_id: 20, or so"'),
    "an id in a text, behind a comma": GOOD.replace(
        '"customer_id": 20', '"note": "so, customer_id: 20, or so"'
    ),
    "an id that begins a text": GOOD.replace('"customer_id": 20', '"note": "customer_id: 20, so"'),
    "an id in a text, like a record": GOOD.replace(
        '"customer_id": 20', '"note": "{customer_id: 20}"'
    ),
    "another record behind it": f'{GOOD} {{"cust": 21}}',
    "another record before it": f'{{"cust": 21}} {GOOD}',
    "a digit with an escape": GOOD.replace("20,", "2\\u00300,", 1),
    "two records": f"{GOOD} {GOOD.replace('20', '21', 1)}",
    "two records in a list": f"[{GOOD}, {GOOD.replace('20', '21', 1)}]",
    "no id": GOOD.replace('"customer_id": 20, ', ""),
    "id null": GOOD.replace("20,", "null,", 1),
    "id true": GOOD.replace("20,", "true,", 1),
    "id NaN": GOOD.replace("20,", "NaN,", 1),
    "id empty": GOOD.replace("20,", '"",', 1),
    "id zero": GOOD.replace("20,", "0,", 1),
    "id negative": GOOD.replace("20,", "-20,", 1),
    "id negative, as text": GOOD.replace("20,", '"-20",', 1),
    "id with a half": GOOD.replace("20,", "20.5,", 1),
    "id with a half, as text": GOOD.replace("20,", '"20.5",', 1),
    "id with a point at its end": GOOD.replace("20,", "20.,", 1),
    "id out of range": GOOD.replace("20,", f"{LARGEST_ID + 1},", 1),
    "id huge": GOOD.replace("20,", "2" * 5_000 + ",", 1),
    "id with a huge exponent": GOOD.replace("20,", "2e999999999,", 1),
    "id with a comma between thousands": GOOD.replace("20,", "20,000,", 1),
    "id with a comma between thousands, as text": GOOD.replace("20,", '"20,000",', 1),
    "id with a blank inside": GOOD.replace("20,", "2 0,", 1),
    "id with an underscore inside": GOOD.replace("20,", "20_1,", 1),
    "id hexadecimal": GOOD.replace("20,", "0x14,", 1),
    "id with letters": GOOD.replace("20,", '"C20",', 1),
    "id with a broken byte": GOOD.replace("20,", "2\udcff0,", 1),
    "id with a quote lost": GOOD.replace("20,", '"20,', 1),
    "several ids in a list": GOOD.replace("20,", "[20, 21],", 1),
    "several values in an object": GOOD.replace("20,", '{"id": 20, "was": 21},', 1),
    "cut in the id": GOOD[: GOOD.index("20") + 2],
    "cut before the id": GOOD[: GOOD.index("20")],
    "the rest of a cut record": GOOD[GOOD.index("20") :],
    "another key": GOOD.replace("customer_id", "client"),
    "another customer's key": GOOD.replace("customer_id", "parent_customer_id"),
    "a plain id": GOOD.replace("customer_id", "id"),
    "nothing": "",
    "a number": "20",
    "null": "null",
}


@pytest.mark.parametrize("text", NAMES_20.values(), ids=NAMES_20)
def test_a_record_names_its_customer(text: str) -> None:
    assert named_customer(text.encode("utf-8", "surrogateescape")) == 20


@pytest.mark.parametrize("text", NAMES_NOBODY.values(), ids=NAMES_NOBODY)
def test_a_record_that_leaves_a_doubt_names_nobody(text: str) -> None:
    assert named_customer(text.encode("utf-8", "surrogateescape")) is None


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_name_a_possible_customer_or_nobody(data: bytes) -> None:
    for raw in (data, b'{"customer_id": ' + data, data + GOOD.encode()):
        found = named_customer(raw)
        assert found is None or 1 <= found <= LARGEST_ID


@given(st.integers(1, LARGEST_ID), st.integers(0, 90))
@settings(deadline=None)
def test_a_cut_record_names_its_own_customer_or_nobody(customer: int, length: int) -> None:
    assert named_customer(GOOD.replace("20", str(customer), 1)[:length].encode()) in (
        None,
        customer,
    )


def landed(text: str, folder: Path) -> list[tuple[int | None, str]]:
    rows, _ = landed_file(text, folder)
    return [(row["customer_id"], row["record_status"]) for row in rows.to_pylist()]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("in_array", [True, False])
def test_every_way_of_landing_attributes_refused_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_array: bool, fast: bool
) -> None:
    records = [GOOD.replace("20", "7", 1), NAMES_20["NaN"], NAMES_NOBODY["id null"], "not JSON"]
    records.append(GOOD.replace("20", "8", 1))
    text = f"[{','.join(records)}]" if in_array else "\n".join(records) + "\n"
    if not fast:
        monkeypatch.setattr(assess, "plain_records", none_plain)
    assert landed(text, tmp_path) == [
        (7, "present"),
        (20, "quarantined"),
        (None, "quarantined"),
        (None, "quarantined"),
        (8, "present"),
    ]


def test_a_valid_record_beside_a_refused_one_of_the_same_customer_is_in_doubt(
    tmp_path: Path,
) -> None:
    """Nobody can say which of the two is right."""
    assert landed(f"[{GOOD}, {NAMES_20['id as text']}]", tmp_path) == [(20, "quarantined")]


def test_refused_records_that_name_nobody_leave_the_others_alone(tmp_path: Path) -> None:
    text = f"[{GOOD}, null, {GOOD}, null, {GOOD.replace('20', '21', 1)}]"
    assert landed(text, tmp_path) == [
        (20, "present"),
        (None, "quarantined"),
        (None, "quarantined"),
        (21, "present"),
    ]


def test_nobody_is_refused_between_two_commas(tmp_path: Path) -> None:
    """The commas are still named as an error of the file."""
    text = f"[{GOOD},,{GOOD.replace('20', '21', 1)},]"
    assert landed(text, tmp_path) == [(20, "present"), (21, "present")]
    assert len(landed_file(text, tmp_path)[1]) == 2


def test_a_report_says_whose_a_refused_record_is(tmp_path: Path) -> None:
    path = tmp_path / "credit.json"
    path.write_text(f"[{NAMES_20['NaN']}, null]")
    home = load(tmp_path, "local", bad_share_limit=1)
    (file,) = land(home, "credit_bureau", [str(path)], check=True).files
    named, unnamed = (reject.to_json() for reject in file.rejects)
    assert named["customer_id"] == 20
    assert "customer_id" not in unnamed


NESTED = {
    "an array of records": f"[{GOOD}, {GOOD.replace('20', '21', 1)}]",
    "the keys alone": '["customer_id", "credit_score", "delinquencies", "outstanding_loans"]',
    "mixed keys": '[1, "a", null, {"a": []}]',
    "an array as an id": GOOD.replace("20,", "[[20]],", 1),
    "arrays as loans": GOOD.replace("[]", "[[[]], [1, {}], {}]"),
    "an object as loans": GOOD.replace("[]", "{}"),
    "an object as a type": GOOD.replace("[]", '[{"type": {"a": []}, "amount": [1]}]'),
    "scalars": '1, -1.5e400, "a", true, false, null, NaN',
    "a huge number": GOOD.replace("620", "6" * 10_000),
    "deep": "[" * 10_000 + "]" * 10_000,
    "deep, as a score": GOOD.replace("620", '{"a":' * 10_000 + "1" + "}" * 10_000),
    "lone surrogates as keys": '{"\\ud800": 1, "\\ud800": 2}, {"\\udfff": []}',
}


@pytest.mark.parametrize("in_array", [True, False])
@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_mixed_types_anywhere_are_quarantined(tmp_path: Path, text: str, in_array: bool) -> None:
    path = tmp_path / "credit.json"
    path.write_text(f"[{text}]" if in_array else f"null\n{text}\n")
    report = land(load(tmp_path, "local"), "credit_bureau", [str(path)], check=True, rows=True)
    (file,) = report.files
    assert (file.state, file.landed, file.rows) == ("quarantined", 0, [])
    assert report.rejected, "the command ends with exit code 3"
    assert file.rejects
    for reject in file.rejects:
        assert reject.line in ((1,) if in_array else (1, 2))
        assert reject.reason
    json.dumps(report.to_json(), ensure_ascii=False).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["customer_id", "credit_score", "outstanding_loans", "type", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(json_values, min_size=1, max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_json_is_landed_or_quarantined(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], in_array: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    text = json.dumps(values) if in_array else "".join(f"{json.dumps(v)}\n" for v in values)
    (folder / "credit.json").write_text(text)
    report = land(load(folder, "local"), "credit_bureau", [str(folder / "credit.json")], check=True)
    (file,) = report.files
    assert file.rows_in == file.landed + file.quarantined
    assert len(file.rejects) == file.quarantined or file.state == "quarantined"
