"""Good files damaged at random: how many are caught, and how many are taken silently (must be 0).

``make bench ONLY=mutants``; what the verdicts mean stands in ``tests/unit/ingest/mutants.py``.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.unit.ingest.mutants import VERDICTS, deliveries, verdicts

MUTANTS = 12_000


def main() -> None:
    """Land the mutants of every kind of file and print a table; fails where one is silent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=MUTANTS, help="mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    files = deliveries()
    each = -(-chosen.count // len(files))
    table = Table(title=f"{each * len(files):,} damaged files, seed {chosen.seed}")
    for name in ("file", "mutants", *VERDICTS, "CPU s"):
        table.add_column(name, justify="left" if name == "file" else "right")
    totals: Counter[str] = Counter()
    began = time.process_time()
    for name, delivery in files.items():
        start = time.process_time()
        found, silent = verdicts(delivery, each, chosen.seed)
        totals += found
        seconds = time.process_time() - start
        table.add_row(name, *_figures(each, found), f"{seconds:.0f}")
        for mutant in silent:
            print(f"silent in {name}: {mutant.stretches}")
    table.add_section()
    spent = time.process_time() - began
    table.add_row("all", *_figures(each * len(files), totals), f"{spent:.0f}")
    Console(width=120).print(table)
    if totals["silent"]:
        raise SystemExit(f"{totals['silent']} mutants were taken silently")


def _figures(count: int, found: Counter[str]) -> list[str]:
    return [f"{number:,}" for number in (count, *(found[verdict] for verdict in VERDICTS))]


if __name__ == "__main__":
    main()
