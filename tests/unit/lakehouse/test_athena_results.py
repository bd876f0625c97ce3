"""Values, headers, pages and CSV in Athena's form."""

import io
import json
from pathlib import Path

import pytest

from lakehouse.services.athena.aws_error import AwsError, QueryRefused
from lakehouse.services.athena.column_types import (
    hive_to_trino,
    iceberg_to_hive,
    require_iceberg_can_store,
    trino_type,
)
from lakehouse.services.athena.results import Column, Spool, column_info, csv_line, page, printed

VALUES = [
    ("boolean", True, "true"),
    ("bigint", 9_007_199_254_740_993, "9007199254740993"),
    ("decimal(18, 2)", "1.50", "1.50"),
    ("double", 1e7, "1.0E7"),
    ("double", 9_999_999.5, "9999999.5"),
    ("double", 0.001, "0.001"),
    ("double", 0.0001, "1.0E-4"),
    ("double", -1.5e22, "-1.5E22"),
    ("double", 100.0, "100.0"),
    ("double", -0.0, "-0.0"),
    ("double", "NaN", "NaN"),
    ("double", 3, "3.0"),
    ("real", 1.1, "1.1"),
    ("varchar", "", ""),
    ("varchar(3)", "a,b", "a,b"),
    ("varbinary", "3q0=", "de ad"),
    ("timestamp(6)", "2026-01-01 00:00:00.000000", "2026-01-01 00:00:00.000000"),
    ("timestamp(3) with time zone", "2026-01-01 00:00:00.000 UTC", "2026-01-01 00:00:00.000 UTC"),
    ("array(integer)", [1, None], "[1, null]"),
    ("map(varchar(1), row(integer, varchar(1)))", {"k": [1, "x"]}, "{k={field0=1, field1=x}}"),
    ('row(a integer, "B c" timestamp(3) with time zone)', [1, None], "{a=1, B c=null}"),
    ("array(array(double))", [[1e7], []], "[[1.0E7], []]"),
    ("INTERVAL DAY TO SECOND", "1 00:00:00.000", "1 00:00:00.000"),
    ("unknown", None, None),
]


@pytest.mark.parametrize(("kind", "value", "text"), VALUES)
def test_values_print_as_athenas(kind: str, value: object, text: str | None) -> None:
    assert printed(value, trino_type(kind)) == text


@pytest.mark.parametrize(
    ("kind", "name", "precision", "scale"),
    [
        ("bigint", "bigint", 19, 0),
        ("integer", "integer", 10, 0),
        ("real", "float", 17, 0),
        ("decimal(18, 2)", "decimal", 18, 2),
        ("varchar", "varchar", 2_147_483_647, 0),
        ("varchar(7)", "varchar", 7, 0),
        ("timestamp(6)", "timestamp", 3, 0),
        ("timestamp(3) with time zone", "timestamp with time zone", 3, 0),
        ("array(integer)", "array", 0, 0),
        ("row(a integer)", "row", 0, 0),
        ("date", "date", 0, 0),
    ],
)
def test_a_column_says_its_type(kind: str, name: str, precision: int, scale: int) -> None:
    info = column_info(Column("c", kind))
    assert (info["Type"], info["Precision"], info["Scale"]) == (name, precision, scale)
    assert (info["Name"], info["Label"], info["Nullable"]) == ("c", "c", "UNKNOWN")
    assert info["CaseSensitive"] is (name == "varchar")


def test_csv_tells_null_from_empty_text() -> None:
    assert csv_line(["a", None, "", 'say "x"', "1\n2"]) == '"a",,"","say ""x""","1\n2"\n'


def spooled(path: Path, rows: int) -> str:
    copy = io.StringIO()
    with path.open("w") as file:
        spool = Spool(file, copy, [Column("n", "integer"), Column("t", "varchar")])
        spool.header(["n", "t"])
        for number in range(rows):
            spool.add([number, None if number % 2 else ""])
    return copy.getvalue()


def test_pages_begin_with_the_header_once_and_lose_no_row(tmp_path: Path) -> None:
    csv = spooled(tmp_path / "rows", 5)
    token, pages = None, []
    while True:
        rows, token = page(tmp_path / "rows", "q", 2, token)
        pages.append(rows)
        if token is None:
            break
    assert [len(rows) for rows in pages] == [2, 2, 2]
    assert pages[0][0] == {"Data": [{"VarCharValue": "n"}, {"VarCharValue": "t"}]}
    assert pages[0][1] == {"Data": [{"VarCharValue": "0"}, {"VarCharValue": ""}]}
    assert pages[1][0] == {"Data": [{"VarCharValue": "1"}, {}]}
    assert csv == '"n","t"\n"0",""\n"1",\n"2",""\n"3",\n"4",""\n'


def test_a_result_without_rows_is_its_header(tmp_path: Path) -> None:
    spooled(tmp_path / "rows", 0)
    rows, token = page(tmp_path / "rows", "q", 1000, None)
    assert len(rows) == 1
    assert token is None


@pytest.mark.parametrize("token", ["17", "!", "cTI6MA==", ""])
def test_a_token_of_another_query_is_refused(tmp_path: Path, token: str) -> None:
    spooled(tmp_path / "rows", 5)
    with pytest.raises(AwsError, match="Invalid NextToken"):
        page(tmp_path / "rows", "q", 2, token)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("timestamp(3)", 'Timestamp precision (3) not supported for Iceberg. Use "timestamp(6)"'),
        ("timestamp(3) with time zone", 'Use "timestamp(6) with time zone" instead.'),
        ("array(timestamp(9))", "Timestamp precision (9) not supported"),
        ("row(a time(3))", "Time precision (3) not supported"),
        ("tinyint", "Type not supported for Iceberg: tinyint"),
        ("char(3)", "Type not supported for Iceberg: char(3)"),
        ("json", "Type not supported for Iceberg: json"),
    ],
)
def test_types_that_athenas_iceberg_has_not(kind: str, words: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        require_iceberg_can_store([("fine", "bigint"), ("c", kind)])
    assert refused.value.name == "NOT_SUPPORTED"
    assert words in str(refused.value)


def test_types_that_it_has() -> None:
    kinds = ["timestamp(6)", "decimal(18, 2)", "varchar(5)", "row(a array(date))", "double"]
    require_iceberg_can_store([("c", kind) for kind in kinds])


def test_types_change_their_names_between_dialects() -> None:
    hive = "struct<a:array<int>, b:map<string,decimal(18,2)>>"
    assert hive_to_trino(hive) == 'row("a" array(integer), "b" map(varchar, decimal(18,2)))'
    iceberg = json.loads(
        '{"type": "struct", "fields": [{"id": 1, "name": "a", "required": false, "type":'
        ' {"type": "list", "element": "long"}}, {"id": 2, "name": "b", "required": true,'
        ' "type": "decimal(18, 2)"}]}'
    )
    assert iceberg_to_hive(iceberg) == "struct<a:array<bigint>,b:decimal(18,2)>"
    assert iceberg_to_hive("timestamptz") == "timestamp"
