"""What holds for any bytes at all, for each parser that meets bytes from outside.

Each target takes bytes and fails where its parser raises what it shouldn't, or reads them otherwise
than a second reader does. ``run.py`` searches for such bytes, guided by coverage.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ingest.csv_lines import read_csv
from ingest.frame import is_json_array, read_elements, read_lines
from ingest.rejects import FileRejected, shown
from ingest.strict_json import Number, Problem, decode
from lakehouse import complaint
from lakehouse.scrub import scrub
from tests.unit.ingest.mutants import deliveries
from tests.unit.ingest.reference import NOW

NAMES = ("a", "b", "c")
_CHUNK = 64


def csv_frame(data: bytes) -> None:
    """Every line is a row or a reject; a row's fields are those that Python's own reader finds."""
    path = _file(data)
    try:
        parts = list(read_csv(path, NAMES))
    except FileRejected as error:
        _storable(error.reject.reason, error.reject.raw)
        return
    for part in parts:
        lines = [part.lines.line(part.lines.first_line + n) for n in range(len(part.lines.ends))]
        filled = sum(1 for line in lines if line)
        broken_over_lines = any("line break" in reject.reason for reject in part.rejects)
        assert part.table.num_rows + len(part.rejects) <= filled
        assert broken_over_lines or part.table.num_rows + len(part.rejects) == filled
        for row in part.table.to_pylist():
            text = part.lines.line(row.pop("line")).decode("utf-8")
            (fields,) = csv.reader([text], strict=True)
            assert [row[name] for name in part.header] == fields
        for reject in part.rejects:
            _storable(reject.reason, reject.raw)


def json_frame(data: bytes) -> None:
    """Elements are those that Python's decoder finds, wherever the blocks of the file end."""
    path = _file(data)
    try:
        if is_json_array(path):
            found = [
                part.data[start:stop]
                for part in read_elements(path, chunk=_CHUNK)
                for start, stop in part.spans
            ]
        else:
            found = [
                line for part in read_lines(path, chunk=_CHUNK) for line in part.data.split(b"\n")
            ]
    except FileRejected as error:
        _storable(error.reject.reason, error.reject.raw)
        assert not isinstance(_loads(data.removeprefix(b"\xef\xbb\xbf")), list)
        return
    decoded = [value for value in map(json_value, found) if value is not None]
    whole = _loads(data.removeprefix(b"\xef\xbb\xbf"))
    if isinstance(whole, list):
        assert len(found) == len(whole)
        for raw, value in zip(found, whole, strict=True):
            ours = json_value(raw)
            assert ours is None or ours[0] == value
    assert len(decoded) <= len(found)


def json_value(data: bytes) -> tuple[Any] | None:
    """One value, and Python's decoder reads the same; None where it is refused."""
    try:
        value = _plain(decode(data))
    except Problem as problem:
        _storable(problem.reason, problem.field, shown(data))
        return None
    assert value == _loads(data)
    return (value,)


def complaint_message(data: bytes) -> None:
    """A complaint is what the message says, scrubbed; a reject can be stored and names nobody."""
    found = complaint.parse(data, NOW)
    if isinstance(found, complaint.Reject):
        _storable(found.reason, found.field, found.raw)
        assert scrub(found.raw) == found.raw or len(found.raw) == complaint.RAW_LIMIT
        return
    said = json.loads(data)
    assert found.feedback_id == said["feedback_id"].lower()
    assert (found.category, found.description) == (said["category"], scrub(said["description"]))
    assert (found.occurred_at_utc is None) == (said.get("occurred_at") is None)
    again = complaint.parse(json.dumps(complaint.delivered(found)).encode(), NOW)
    assert again == found


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "csv": csv_frame,
    "json": json_frame,
    "json-value": json_value,
    "complaint": complaint_message,
}


def seeds(target: str) -> list[bytes]:
    """Good input to start from."""
    files = {name: b"".join(one.pieces) for name, one in deliveries().items()}
    csv_lines = b'a,b,c\n1,2,3\n"x","y ""z""",\n\n\xc3\xa9,,"1,2"\r\n'
    return {
        "csv": [csv_lines, csv_lines.replace(b"\n", b"\r")],
        "json": [files["credit records, array"], files["credit records, lines"], b'[{"a":"]"},[]]'],
        "json-value": [
            files["credit records, lines"].split(b"\n")[0],
            b'{"a": [1.5e3, "\\ud83d"]}',
        ],
        "complaint": files["complaints"].splitlines(),
    }[target]


def _loads(data: bytes) -> Any:
    """As Python's decoder reads it, numbers as text; ``...`` where it doesn't."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return ...


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _storable(*texts: str) -> None:
    for text in texts:
        text.encode("utf-8")


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def _file(data: bytes) -> Path:
    path = Path(_folder().name) / "input"
    path.write_bytes(data)
    return path
