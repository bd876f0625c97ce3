"""The frame: whatever the size of the blocks in which a file is read, its lines stay the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ingest import frame
from ingest.csv_lines import read_csv
from ingest.rejects import FileRejected
from ingest.strict_json import Number, Problem, decode


def lines_of(path: Path, chunk: int) -> list[tuple[int, bytes]]:
    return [
        (number, lines.line(number))
        for lines in frame.read_lines(path, chunk=chunk)
        for number in range(lines.first_line, lines.first_line + lines.data.count(b"\n"))
    ]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lines_do_not_depend_on_where_blocks_end(ending: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        b"\xef\xbb\xbf" + ending.join([b"one", b"", "trois é".encode(), b"four"]) + ending
    )
    expected = [(1, b"one"), (2, b""), (3, "trois é".encode()), (4, b"four")]
    for chunk in (1, 2, 3, 7, 1000):
        assert lines_of(path, chunk) == expected


def test_elements_do_not_depend_on_where_blocks_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    records = [{"a": 'x,]}"\\'}, {"b": [1, [2, {"c": "\\\\"}]]}, [], "text, with [ marks", 5]
    path.write_bytes(b" \n" + json.dumps(records, indent=1).encode() + b"\n ")
    for chunk in (1, 2, 3, 7, 1000):
        found = [
            json.loads(elements.data[start:stop])
            for elements in frame.read_elements(path, chunk=chunk)
            for start, stop in elements.spans
        ]
        assert found == records


def test_an_element_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'\n[\n{"a":\n1},\n\n {"b": 2}, {"c": 3}\n]')
    for chunk in (1, 5, 1000):
        found = [
            elements.line(start)
            for elements in frame.read_elements(path, chunk=chunk)
            for start, _ in elements.spans
        ]
        assert found == [3, 6, 6]


def test_a_line_without_end_stops_at_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "LONGEST_RECORD", 1_000)
    path = tmp_path / "file"
    path.write_bytes(b"short\n" + b"x" * 5_000)
    with pytest.raises(FileRejected, match="longer than 1000"):
        list(frame.read_lines(path, chunk=500))
    path.write_bytes(b'[{"a": "' + b"x" * 5_000 + b'"}]')
    with pytest.raises(FileRejected, match="longer than 1000"):
        list(frame.read_elements(path, chunk=500))


def test_quoted_csv_reads_as_pythons_own_reader_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    rows = [
        ["a", "b"],
        ["plain", 'says ""hello"" twice'],
        ['"quoted"', ""],
        ["", ""],
        [",", 'ends with "'],
        ['"', '""'],
        ["é", " blank "],
    ]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    (found,) = read_csv(path, ["a", "b"])
    assert not found.rejects
    assert [[row["a"], row["b"]] for row in found.table.to_pylist()] == rows[1:]
    assert found.table.column("line").to_pylist() == [2, 3, 4, 5, 6, 7]


def test_lines_keep_their_numbers_when_others_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b'a,b\n1,2\n\n3\n4,"x\ny"\n5,\0\n6,"7\n8,9\n')
    (found,) = read_csv(path, ["a", "b"])
    assert found.table.to_pylist() == [
        {"a": "1", "b": "2", "line": 2},
        {"a": "8", "b": "9", "line": 9},
    ]
    assert {reject.line: reject.reason.split()[0] for reject in found.rejects} == {
        4: "1",  # fields where 2 belong
        5: "a",  # line break, over lines 5 and 6
        7: "holds",
        8: "a",  # quote
    }


def test_numbers_are_kept_as_written() -> None:
    assert decode(b'{"a": 1.10}') == {"a": Number("1.10")}
    assert isinstance(decode(b"1e3"), Number)


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":1}', b"NaN", b"[1,]", b"1 2", b"\xff", b"'a'", b"01"]
)
def test_what_is_not_one_strict_value_is_refused(text: bytes) -> None:
    with pytest.raises(Problem):
        decode(text)
