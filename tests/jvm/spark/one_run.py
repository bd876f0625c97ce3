"""One flatten in a process of its own, which a test may let die: ``one_run.py HOME ENGINE HOW``.

HOW is ``whole``, ``die-between-tables`` (the first three stand) or ``die-before-the-marker``: then
the process kills itself as an operator would, without a chance to tidy up. ``functions`` prints a
hash of every row that each flatten function makes of all that landed, and its columns' types.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from typing import Any

from ingest import flatten as job
from ingest.flatten import FLAT_TABLES, flatten, read_landed
from lakehouse import landing
from lakehouse.settings import Settings, load
from lakehouse.spark import Engine, session
from tests.jvm.spark.row_hashes import row_hash

TABLES_BEFORE_DEATH = 3


def main(home: str, engine: Engine, how: str) -> None:
    settings = load(home, "local")
    if how == "functions":
        sys.stdout.write(json.dumps(functions(settings, engine)))
        return
    if how == "die-before-the-marker":
        landing.mark_flattened = die  # type: ignore[assignment]
    if how == "die-between-tables":
        write, written = job.write, iter(range(TABLES_BEFORE_DEATH))
        job.write = lambda *given: (  # type: ignore[assignment]
            write(*given) if next(written, None) is not None else die()
        )
    flatten(settings, engine)


def functions(settings: Settings, engine: Engine) -> dict[str, Any]:
    found = {}
    with session(settings, engine) as spark:
        for flat in FLAT_TABLES:
            source = flat.table.source
            rows = flat.flatten(read_landed(spark, source, landing.batches(settings, source)))
            hashes = Counter(row_hash(tuple(row)) for row in rows.collect())
            found[flat.table.identifier] = {"types": rows.dtypes, "hashes": hashes}
    return found


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
