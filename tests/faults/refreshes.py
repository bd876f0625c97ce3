"""Refreshes that die, each in a process of its own: see ``forked``.

``python -m tests.faults.refreshes`` reads JSON lines ``{"home", "inputs", "point", "seconds"}``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.forked import Forked, Point, serve

MODULES = (
    "boto3",
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "dbt.task.build",
    # dbt imports whatever is called dbt_….
    "dbt_bouncer",
    "dbt_metricflow",
    "discover.build",
    "discover.refresh",
    "expectations.marts",
    "expectations.raw",
    "great_expectations.expectations",
    "ingest.flatten",
    "ingest.land",
    "kb_export.knowledge_base",
    "kb_export.upload",
    "obstore.store",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pyiceberg.catalog.rest",
    "pyiceberg.table",
    "pyspark.sql.connect.session",
    "pyspark.sql.pandas.types",
    "sqlparse",
)
VALIDATED = (
    "dbt.adapters.duckdb.credentials:DuckDBCredentials",
    "dbt.contracts.project:Configuration",
    "dbt.contracts.project:PackageConfig",
    "dbt.contracts.project:Project",
    "dbt.contracts.project:ProjectFlags",
)
"""What dbt makes a schema of before it runs anything: half a second, which a fork needn't spend."""


class Refreshes:
    """Runs refreshes of one home, each in a process of its own, and kills them where asked."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._forked = Forked("tests.faults.refreshes", home, log)

    def run(
        self,
        inputs: Mapping[str, Sequence[str]],
        *,
        point: Point | None = None,
        seconds: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[int, float]:
        """One refresh, killed at ``point`` or after ``seconds``; exit code (or -9), and seconds."""
        asked = {"home": str(self.home), "inputs": inputs, "point": point, "seconds": seconds}
        return self._forked.ask(asked | {"options": options or {}})

    def close(self) -> None:
        """End the server."""
        self._forked.close()


def _child(asked: Mapping[str, Any]) -> int:
    from discover.refresh import refresh
    from lakehouse.settings import load

    report = refresh(load(Path(asked["home"]), "local"), asked["inputs"], **asked["options"])
    for failure in report.failures:
        sys.stderr.write(f"{failure}\n")
    return report.exit_code


def _warm() -> None:
    for target in VALIDATED:
        module, _, name = target.partition(":")
        getattr(importlib.import_module(module), name).json_schema()


if __name__ == "__main__":
    _warm()
    serve(MODULES, _child)
