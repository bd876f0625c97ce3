"""Values, headers and files of a result as Athena gives them, and the spool of its pages.

A result is written row by row to a file of the gateway's own, so that none has to fit in memory,
and beside it as the CSV that Athena leaves at the output location.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from lakehouse.services.athena.aws_error import invalid_request
from lakehouse.services.athena.column_types import TrinoType, trino_type

MAX_PAGE = 1000
_PRECISION = {
    "boolean": 0,
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "float": 17,
    "double": 17,
    "varchar": 2_147_483_647,
    "varbinary": 1_073_741_824,
    "timestamp": 3,
    "timestamp with time zone": 3,
    "time": 3,
}
_NAMES = {"real": "float", "unknown": "unknown"}
_DOUBLE_DIGITS_FROM, _DOUBLE_DIGITS_TO = Decimal("1e-3"), Decimal("1e7")


@dataclass(frozen=True)
class Column:
    """One column of a result; ``kind`` as Trino writes it."""

    name: str
    kind: str


def column_info(column: Column) -> dict[str, Any]:
    """Athena's ``ColumnInfo`` of a column."""
    kind = trino_type(column.kind)
    name = _NAMES.get(kind.base, kind.base)
    precision, scale = _PRECISION.get(name, 0), 0
    if name == "decimal":
        precision, scale = kind.numbers
    elif name in ("varchar", "char") and kind.numbers:
        precision = kind.numbers[0]
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": name in ("varchar", "char"),
    }


def printed(value: Any, kind: TrinoType) -> str | None:
    """A value, as it came in Trino's JSON, in Athena's text; a NULL has none."""
    if value is None:
        return None
    if kind.base == "array":
        ((_, inner),) = kind.fields
        return f"[{', '.join(_inner(item, inner) for item in value)}]"
    if kind.base == "map":
        (_, key_kind), (_, value_kind) = kind.fields
        pairs = value.items() if isinstance(value, dict) else value
        return _braces((_inner(k, key_kind), _inner(v, value_kind)) for k, v in pairs)
    if kind.base == "row":
        named = zip(value, kind.fields, strict=True)
        return _braces((name, _inner(item, inner)) for item, (name, inner) in named)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _double(value)
    if kind.base in ("double", "real") and isinstance(value, int):
        return _double(float(value))
    if kind.base == "varbinary":
        return base64.b64decode(value).hex(" ")
    return str(value)


def csv_line(cells: Iterable[str | None]) -> str:
    """A line of Athena's CSV: every value in quotes, an empty text too; a NULL is nothing."""
    return ",".join("" if c is None else '"' + c.replace('"', '""') + '"' for c in cells) + "\n"


def described(name: str, kind: str, comment: str) -> str:
    """A line of ``DESCRIBE``: padded and tabbed, in one cell."""
    return "\t".join(f"{cell:<20}" for cell in (name, kind, comment))


class Spool:
    """Writes a result: rows as JSON lines into ``rows``, and Athena's own file into ``file``."""

    def __init__(self, rows: TextIO, file: TextIO | None, columns: Sequence[Column]) -> None:
        self._rows, self._file = rows, file
        self._kinds = [trino_type(column.kind) for column in columns]

    def header(self, names: Sequence[str]) -> None:
        """A first row of names, as results of SELECT have it."""
        self._write(list(names))

    def add(self, values: Sequence[Any]) -> None:
        """One row as it came from Trino."""
        self._write([printed(v, kind) for v, kind in zip(values, self._kinds, strict=True)])

    def add_text(self, text: str) -> None:
        """One line of a plain text result."""
        self._rows.write(json.dumps([text]) + "\n")
        if self._file is not None:
            self._file.write(text + "\n")

    def _write(self, cells: list[str | None]) -> None:
        self._rows.write(json.dumps(cells, ensure_ascii=False) + "\n")
        if self._file is not None:
            self._file.write(csv_line(cells))


def page(path: Path, query_id: str, limit: int, token: str | None) -> tuple[list[Any], str | None]:
    """Rows of a spooled result as Athena's ``Rows``, and the token of the next page.

    Raises:
        AwsError: the token belongs to another query.

    """
    with path.open("rb") as rows:
        if token is not None:
            rows.seek(_position(token, query_id))
        lines = [line for line in (rows.readline() for _ in range(limit)) if line]
        position = rows.tell()
        more = bool(rows.readline())
    found = [{"Data": [_datum(cell) for cell in json.loads(line)]} for line in lines]
    return found, _token(position, query_id) if more else None


def _datum(cell: str | None) -> dict[str, str]:
    return {} if cell is None else {"VarCharValue": cell}


def _token(position: int, query_id: str) -> str:
    return base64.urlsafe_b64encode(f"{query_id}:{position}".encode()).decode()


def _position(token: str, query_id: str) -> int:
    try:
        owner, _, position = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except (binascii.Error, UnicodeError):
        owner, position = "", ""
    if owner != query_id or not position.isdigit():
        raise invalid_request("Invalid NextToken", "INVALID_INPUT")
    return int(position)


def _inner(value: Any, kind: TrinoType) -> str:
    text = printed(value, kind)
    return "null" if text is None else text


def _braces(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}={text}" for name, text in pairs) + "}"


def _double(value: float) -> str:
    """As Java prints it: 1.0E7 from ten million on, at least one digit after the point."""
    if value != value or value in (float("inf"), float("-inf")) or value == 0:
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), str(value))
    exact = Decimal(repr(value))
    if _DOUBLE_DIGITS_FROM <= abs(exact) < _DOUBLE_DIGITS_TO:
        text = format(exact, "f")
        return text if "." in text else f"{text}.0"
    sign, digits, exponent = exact.normalize().as_tuple()
    assert isinstance(exponent, int)
    fraction = "".join(map(str, digits[1:])) or "0"
    power = exponent + len(digits) - 1
    return f"{'-' if sign else ''}{digits[0]}.{fraction}E{power}"
