"""Column types of three dialects: Trino's, Hive's (Athena's DDL and Glue) and Iceberg's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lakehouse.services.athena.aws_error import QueryRefused

_HIVE_TO_TRINO = {
    "string": "varchar",
    "int": "integer",
    "integer": "integer",
    "long": "bigint",
    "bigint": "bigint",
    "float": "real",
    "double": "double",
    "boolean": "boolean",
    "binary": "varbinary",
    "date": "date",
    "timestamp": "timestamp(6)",
    "uuid": "uuid",
}
_ICEBERG_TO_HIVE = {
    "long": "bigint",
    "timestamptz": "timestamp",
    "uuid": "string",
    "time": "string",
}
_STORED_BY_ICEBERG = frozenset(
    (
        *("boolean", "integer", "bigint", "real", "double", "decimal"),
        *("varchar", "varbinary", "date", "uuid", "unknown"),
        *("array", "map", "row"),
    )
)
_TRINO = re.compile(
    r"([a-z][\w ]*?)\s*(?:\((.*)\))?(\s+with(?:out)? time zone)?", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class TrinoType:
    """``row(a integer, b varchar)`` is base ``row``, fields ``((a, integer), (b, varchar))``."""

    base: str
    numbers: tuple[int, ...] = ()
    fields: tuple[tuple[str, TrinoType], ...] = ()

    def parts(self) -> Iterator[TrinoType]:
        """This type and all that it holds."""
        yield self
        for _, inner in self.fields:
            yield from inner.parts()


def trino_type(text: str) -> TrinoType:
    """A type as Trino writes it in a result's header.

    Raises:
        ValueError: that is none.

    """
    match = _TRINO.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a type: {text}")
    base, inside, zone = match.groups()
    base = base.lower()
    if zone and zone.strip() == "with time zone":
        base += " with time zone"
    if inside is None:
        return TrinoType(base)
    listed = _split(inside)
    if base in ("array", "map"):
        names = ("element",) if base == "array" else ("key", "value")
        pairs = tuple((name, trino_type(t)) for name, t in zip(names, listed, strict=True))
        return TrinoType(base, fields=pairs)
    if base == "row":
        return TrinoType(base, fields=tuple(_field(n, item) for n, item in enumerate(listed)))
    return TrinoType(base, tuple(int(number) for number in listed))


def require_iceberg_can_store(columns: list[tuple[str, str]]) -> None:
    """Refuse what Athena's Iceberg tables can't hold; newer Trino would change such types silently.

    Raises:
        QueryRefused: in the words of Athena's engine.

    """
    for _, text in columns:
        for part in trino_type(text).parts():
            if part.base in ("timestamp", "timestamp with time zone", "time"):
                precision = part.numbers[0] if part.numbers else 3
                if precision != 6:
                    kind, _, zone = part.base.partition(" ")
                    instead = f"{kind}(6){' ' if zone else ''}{zone}"
                    raise QueryRefused(
                        "NOT_SUPPORTED",
                        f"{kind.capitalize()} precision ({precision}) not supported for Iceberg. "
                        f'Use "{instead}" instead.',
                    )
            elif part.base not in _STORED_BY_ICEBERG:
                raise QueryRefused("NOT_SUPPORTED", f"Type not supported for Iceberg: {text}")


def hive_to_trino(text: str) -> str:
    """A column's type in Athena's DDL as Trino writes it.

    Raises:
        QueryRefused: Iceberg tables have no such type.

    """
    plain = " ".join(text.lower().split())
    if plain in _HIVE_TO_TRINO:
        return _HIVE_TO_TRINO[plain]
    if re.fullmatch(r"decimal\s*\(\s*\d+\s*(,\s*\d+\s*)?\)", plain):
        return plain.replace(" ", "")
    if match := re.fullmatch(r"(array|map|struct)\s*<(.*)>", plain, re.DOTALL):
        outer, inside = match.groups()
        listed = _split(inside)
        if outer == "struct":
            pairs = [item.partition(":") for item in listed]
            fields = (f'"{name.strip()}" {hive_to_trino(kind)}' for name, _, kind in pairs)
            return f"row({', '.join(fields)})"
        return f"{outer}({', '.join(hive_to_trino(item) for item in listed)})"
    raise QueryRefused("NOT_SUPPORTED", f"Type not supported for Iceberg: {plain}")


def iceberg_to_hive(kind: str | dict[str, Any]) -> str:
    """A type of an Iceberg schema's JSON as Glue names it."""
    if isinstance(kind, str):
        plain = kind.replace(" ", "")
        return "binary" if plain.startswith("fixed") else _ICEBERG_TO_HIVE.get(plain, plain)
    if kind["type"] == "list":
        return f"array<{iceberg_to_hive(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{iceberg_to_hive(kind['key'])},{iceberg_to_hive(kind['value'])}>"
    fields = (f"{field['name']}:{iceberg_to_hive(field['type'])}" for field in kind["fields"])
    return f"struct<{','.join(fields)}>"


def _field(number: int, text: str) -> tuple[str, TrinoType]:
    match = re.fullmatch(r'(?:"((?:[^"]|"")*)"|(\w+))\s+(.+)', text, re.DOTALL)
    if match is None or (match.group(2) in ("timestamp", "time") and match.group(3)[0] == "w"):
        return f"field{number}", trino_type(text)
    quoted, plain, kind = match.groups()
    return (plain if quoted is None else quoted.replace('""', '"')), trino_type(kind)


def _split(text: str) -> list[str]:
    """Cut at the commas outside brackets and quotes."""
    depth, quoted, start, parts = 0, False, 0, []
    for position, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "(<":
            depth += 1
        elif letter in ")>":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]
