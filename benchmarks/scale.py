"""How time and memory of every stage grow from 50 customers to a million, by the same code."""

from __future__ import annotations

import shutil

from benchmarks.bench import Bench, Measured, bench, report

SIZES = ((50, 24), (10_000, 24), (100_000, 24), (1_000_000, 24))
"""Customers, and days of activity: 20 transactions a customer."""


def main() -> None:
    """Run the batch path for every size, each in a home of its own."""
    rows = []
    for customers, days in SIZES:
        with bench("seaweedfs") as lake:
            for stage, run in _stages(lake, customers, days).items():
                rows.append(
                    {
                        "customers": customers,
                        "transactions (about)": customers * 20,
                        "stage": stage,
                        "wall s": run.seconds,
                        "CPU s": run.cpu_seconds,
                        "peak MB": run.peak_mb,
                        "SeaweedFS CPU s": run.services_cpu_seconds,
                    }
                )
    report(
        "scale",
        "One machine, from 50 customers to a million",
        "`make bench ONLY=scale`; one run each, every size in an empty home. CPU and memory are of"
        " the whole process tree, without SeaweedFS, whose CPU stands beside it. Left out: Postgres"
        " (customers come as CSV) and the documents, whose time is that of the store they go to.",
        rows,
    )


def _stages(lake: Bench, customers: int, days: int) -> dict[str, Measured]:
    data = lake.home / "data"
    size = ["--customers", str(customers), "--days", str(days), "--seed", "1"]
    found = {
        "generate": lake.discover(
            "generate", *size, "--out", str(data), "--end-date", "2026-06-25"
        ),
        "land core_banking": lake.discover(
            "land", "core_banking", str(data / "core_banking/customers.csv")
        ),
        "land credit_bureau": lake.discover(
            "land", "credit_bureau", str(data / "credit_bureau/credit_data.json")
        ),
        "land atm": lake.discover("land", "atm", str(data / "atm/atm_activity.csv")),
    }
    # It stands in the lake now; a million customers are 1.4 GB.
    shutil.rmtree(data)
    return found | {
        "flatten": lake.discover("flatten"),
        "check raw": lake.discover("check", "raw"),
        "build": lake.discover("build"),
        "check marts": lake.discover("check", "marts"),
        "publish": lake.discover("publish"),
    }
