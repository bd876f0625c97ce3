"""Our side of the comparison: a refresh's first stages, in one process as the scripts are."""

from __future__ import annotations

import sys
from pathlib import Path

from ingest.flatten import flatten
from ingest.land import land
from lakehouse.settings import load

FILES = {
    "core_banking": "core_banking/customers.csv",
    "credit_bureau": "credit_bureau/credit_data.json",
    "atm": "atm/atm_activity.csv",
}


def main(home: str, folder: str) -> None:
    """Land ``folder``'s deliveries into the lake of ``home``, and flatten them."""
    settings = load(Path(home), "local")
    for source, file in FILES.items():
        report = land(settings, source, [f"{folder}/{file}"])
        if report.stopped:
            raise SystemExit(report.stopped)
    flatten(settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
