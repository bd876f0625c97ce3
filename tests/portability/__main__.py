"""``python -m tests.portability``: all SQL of the project, written for Trino and for Athena.

Needs no engine. Ends with 1 and a line for each finding.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.portability.compiled import compiled, metric_queries
from tests.portability.dialect import ENGINES, findings


def main() -> int:
    """Print what isn't portable; how many statements were read where there is nothing."""
    failed = 0
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            project = compiled(engine, Path(folder))
            of_metrics = list(metric_queries(engine, project.semantic_manifest))
        statements = [*project.statements, *of_metrics]
        for statement in statements:
            for finding in findings(statement.sql, engine, project.columns):
                failed += 1
                print(f"{engine}: {statement.name}: {finding}")
        print(
            f"{engine}: {len(project.statements)} models and tests,"
            f" {len(of_metrics)} queries of metrics read"
        )
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
