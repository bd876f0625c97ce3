"""What a boundary's checks found. Counts only: no value of any row ever stands in a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One sentence about one table, and whether it holds."""

    name: str
    table: str
    passed: bool
    observed: dict[str, Any]
    validation: int = 0
    """Which of the report's validations it was part of, from 1."""


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
            }
            for check in self.checks
        ]
        return {"passed": self.passed, "checks": checks}
