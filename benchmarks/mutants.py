"""Good files damaged at random: how many are caught, and how many are taken silently (must be 0).

``make bench ONLY=mutants``; what the verdicts mean stands in ``tests/unit/ingest/mutants.py``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.bench import report
from tests.unit.ingest.mutants import VERDICTS, deliveries, verdicts

MUTANTS = 12_000
NOTE = """Good files with one to three places damaged (a bit, a byte, a few bytes replaced, \
inserted, deleted, swapped or doubled; one in twenty also cut), landed, and judged by a reader \
that was written apart.

- **unchanged**: all original rows land, nothing is quarantined (CRLF for LF, `20.50` for `20.5`).
- **caught**: something is quarantined, and every landed row equals an original row.
- **indistinguishable**: the damaged records read as whole valid records by that reader, too, and \
land with what they say: `20.50` became `29.50`, a letter of a name another one, or the file was \
cut between two lines. Nothing in such a file tells.
- **beside**: a line break moved by a character. One of the two lines is quarantined, with all its \
fields; the other is valid and lands. That is what a bad row beside a good one looks like.
- **silent**: anything else. Must be 0.

The whole definition: `tests/unit/ingest/mutants.py`; the other reader: \
`tests/unit/ingest/reference.py`."""


def main() -> None:
    """Land the mutants of every kind of file and report; fails where one is silent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=MUTANTS, help="mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    files = deliveries()
    each = -(-chosen.count // len(files))
    totals: Counter[str] = Counter()
    rows = []
    for name, delivery in files.items():
        start = time.process_time()
        found, silent = verdicts(delivery, each, chosen.seed)
        totals += found
        rows.append(_row(name, each, found) | {"CPU s": round(time.process_time() - start)})
        for mutant in silent:
            sys.stderr.write(f"silent in {name}: {mutant.stretches}\n")
    spent = sum(row["CPU s"] for row in rows)
    rows.append(_row("all", each * len(files), totals) | {"CPU s": spent})
    title = f"{each * len(files):,} damaged files, seed {chosen.seed}"
    report("mutants", title, NOTE, rows)
    if totals["silent"]:
        raise SystemExit(f"{totals['silent']} mutants were taken silently")


def _row(name: str, count: int, found: Counter[str]) -> dict[str, Any]:
    return {"file": name, "mutants": count, **{verdict: found[verdict] for verdict in VERDICTS}}


if __name__ == "__main__":
    main()
