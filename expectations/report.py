"""What a boundary's checks found: counts, limits, days and the keys of rows, no other value of one.

A key is an id that tells nothing of a person by itself: of a transaction, a complaint, a customer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

KEYS_SHOWN = 20
"""Rows that a failed check names; of the others it says how many they are."""


@dataclass(frozen=True)
class RowKeys:
    """Which rows a check found at fault: the keys of the first of them, and how many there are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int

    def to_json(self) -> dict[str, Any]:
        """Keys as JSON holds them: numbers as they are, days as text."""
        rows = [
            [key.isoformat() if isinstance(key, date) else key for key in row] for row in self.rows
        ]
        return {"columns": list(self.columns), "rows": rows, "total": self.total}

    def __str__(self) -> str:
        """Such as "customer_id 3; customer_id 17; and 5 more"."""
        named = [
            ", ".join(f"{name} {key}" for name, key in zip(self.columns, row, strict=True))
            for row in self.rows
        ]
        more = self.total - len(self.rows)
        return "; ".join([*named, *([f"and {more:,} more"] if more else [])])


@dataclass(frozen=True)
class Check:
    """One sentence about one table, and whether it holds."""

    name: str
    table: str
    passed: bool
    observed: dict[str, Any]
    validation: int = 0
    """Which of the report's validations it was part of, from 1."""
    note: str = ""
    """What a number alone doesn't say: the days that were compared, the setting that allows it."""
    keys: RowKeys | None = None
    """The rows at fault, of a check that failed on rows."""

    @property
    def found(self) -> str:
        """What was observed, as one line."""
        counts = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.observed.items()
        ]
        return "; ".join(part for part in (", ".join(counts), self.note) if part)


@dataclass(frozen=True)
class CheckReport:
    """All checks of one boundary."""

    checks: tuple[Check, ...]
    validations: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    """Great Expectations' own results, one a frame: what its pages are rendered from."""

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """The report as ``check --json`` prints it."""
        checks = [
            {
                "name": check.name,
                "table": check.table,
                "passed": check.passed,
                "observed": check.observed,
                **({"note": check.note} if check.note else {}),
                **({"keys": check.keys.to_json()} if check.keys else {}),
            }
            for check in self.checks
        ]
        return {"passed": self.passed, "checks": checks}
