"""Rows a second that ``discover generate`` writes, and whether twice is the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.bench import DISCOVER, bench, report

CUSTOMERS, DAYS = 500_000, 12


def main() -> None:
    """Measure one delivery, made twice."""
    with bench() as here:
        size = ["--customers", str(CUSTOMERS), "--days", str(DAYS), "--complaints", "10000"]
        fixed = ["--seed", "1", "--end-date", "2026-06-25"]
        folders = [here.home / name for name in ("first", "second")]
        run, _ = [
            here.run(DISCOVER, "generate", *size, *fixed, "--out", str(folder))
            for folder in folders
        ]
        contents = [_contents(folder) for folder in folders]
        if contents[0] != contents[1]:
            raise RuntimeError("the same arguments gave other bytes")
        rows = sum((folders[0] / file).read_bytes().count(b"\n") for file in contents[0])
        size_mb = sum((folders[0] / file).stat().st_size for file in contents[0]) / 1e6
    report(
        "generate",
        "Inventing a delivery",
        f"{CUSTOMERS:,} customers, {DAYS} days, 10,000 complaints. `make bench ONLY=generate`;"
        " twice with the same arguments gave the same bytes.",
        [
            {
                "lines": rows,
                "MB": round(size_mb),
                "CPU s": run.cpu_seconds,
                "wall s": run.seconds,
                "lines a CPU second": round(rows / run.cpu_seconds),
                "peak MB": run.peak_mb,
            }
        ],
    )


def _contents(folder: Path) -> dict[str, str]:
    found = {}
    for file in sorted(folder.rglob("*.*")):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found[str(file.relative_to(folder))] = digest
    return found
