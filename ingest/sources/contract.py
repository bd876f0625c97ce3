"""What a source's contract is made of. Pure data: SQL texts and names, no engine imported."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_ID = 2_147_483_647
"""Ids are ``int`` at the source, so 32 bits."""
LARGEST_AMOUNT = Decimal("9999999999999.99")
"""Of one record: a thousand of them still sum up within the marts' decimal(18, 2)."""
ORDER = ("_ingested_at", "_source_file", "_source_row")
"""Of landed records under one id the first by these counts, wherever they are compared."""


@dataclass(frozen=True)
class Rule:
    """A condition on a delivered row, in DuckDB's SQL, and what to say where it doesn't hold."""

    good: str
    reason: str


@dataclass(frozen=True)
class Plain:
    """How a column's values are written nearly always: what can be taken in bulk by its bytes.

    It must allow only what the column's rules allow; other values are left to the rules.
    """

    kind: Literal["whole_number", "money", "local_time", "one_of"]
    words: tuple[str, ...] = ()
    """What ``one_of`` allows."""
    years: tuple[int, int] = (1970, 2099)
    """First and last year of a ``local_time``."""


@dataclass(frozen=True)
class Column:
    """One delivered CSV column.

    ``typed`` turns the delivered text (column ``name``) into the value that lands (``t_<name>``),
    NULL where it can't. ``rules`` are asked in order and may use both. They have to be exact: an
    engine's cast alone takes more than a contract does ("1.5" as 2, "24:00:00" as tomorrow), so
    every cast is compared with the text it came from.
    """

    name: str
    typed: str
    rules: tuple[Rule, ...]
    plain: Plain | None = None


@dataclass(frozen=True)
class CsvContract:
    """A source delivered as CSV with a header."""

    columns: tuple[Column, ...]
    landed: tuple[tuple[str, str], ...]
    """Landed column and the SQL that gives it from the typed ones, in order, without lineage."""
    rows: tuple[tuple[str, str], ...]
    """Delivered name and the SQL that shows a landed row in the source's own terms."""
    unique: tuple[str, ...] = ()
    """Columns that no two rows of one snapshot may share."""
    normal: str = ""
    """SQL of a row's normal form, from the typed columns; of a plain row it is its fields, joined
    by ``|``. Equal rows have equal normal forms."""
    numbered: tuple[str, ...] = ()
    """Landed columns that depend on ``normal`` and ``occurrence`` alone: the how-many-th of equal
    rows in its file a row is."""
    local_time: str | None = None
    """Column in the bank's local time. Its rules and landed columns may use ``utc_offset`` (seconds
    east of UTC), ``is_ambiguous_local_time`` and ``is_skipped_local_time``."""

    @property
    def names(self) -> list[str]:
        """The header, in the contract's order."""
        return [column.name for column in self.columns]


def whole_number(name: str) -> Column:
    """A positive 32-bit id, written as plain digits: no sign, blank, fraction or leading zero."""
    return Column(
        name,
        f"try_cast({name} AS INTEGER)",
        (
            Rule(
                f"CAST(t_{name} AS VARCHAR) = {name} AND t_{name} >= 1",
                f"not a whole number from 1 to {LARGEST_ID} in plain digits",
            ),
        ),
        Plain("whole_number"),
    )


def money(name: str) -> Column:
    """An amount above zero in plain digits, with no, one or two decimals after a point."""
    point = f"strpos({name}, '.')"
    padded = (
        f"CASE {point} WHEN 0 THEN {name} || '.00'"
        f" WHEN length({name}) - 1 THEN {name} || '0' ELSE {name} END"
    )
    return Column(
        name,
        f"try_cast({name} AS DECIMAL(18, 2))",
        (
            Rule(
                f"CAST(t_{name} AS VARCHAR) = {padded}",
                "not an amount in plain digits with at most two decimals after a point",
            ),
            Rule(f"t_{name} > 0", "not above zero"),
            Rule(f"t_{name} <= {LARGEST_AMOUNT}", f"above {LARGEST_AMOUNT}"),
        ),
        Plain("money"),
    )


def optional_text(name: str, longest: int) -> Column:
    """Text of up to ``longest`` characters, kept as delivered; NULL where only blanks are given."""
    return Column(
        name,
        f"CASE WHEN regexp_matches({name}, '[^\\s\\p{{Z}}\\p{{C}}]') THEN {name} END",
        (
            Rule(f"length({name}) <= {longest}", f"longer than {longest} characters"),
            Rule(
                rf"NOT regexp_matches({name}, '[\x00-\x1f\x7f\x{{80}}-\x{{9f}}]')",
                "holds control characters",
            ),
        ),
    )


def with_lineage(fields: list[pa.Field]) -> pa.Schema:
    """A landed schema: the source's columns, then where each row came from."""
    import pyarrow as pa

    from lakehouse.landing import lineage_fields

    return pa.schema([*fields, *lineage_fields()])
