"""What arrives, day by day, with everything in it that an incremental model can get wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.flatten import flatten
from ingest.generate import generate
from ingest.land import land
from lakehouse import catalog, clients
from lakehouse.settings import Settings

CUSTOMERS, DAYS, COMPLAINTS, SEED = 60, 75, 40, 7
LAST_DAY = date(2026, 6, 20)
"""So that the first day is one of April."""

ATM = "atm/atm_activity.csv"
BANK = "core_banking/customers.csv"
BUREAU = "credit_bureau/credit_data.json"
FEEDBACK = "feedback/complaints.jsonl"

LATE = [
    "153,2026-04-30 23:59:59.999999,0.01,deposit,20",
    "153,2025-12-31 23:59:59,60.00,withdrawal,20",
]
"""Of a month that is long built, and of one that was never seen."""
NEW = ["7,2026-06-21 00:00:00,9999999.99,deposit,61", "7,2026-07-01 12:00:00,20.00,withdrawal,1"]
UNKNOWN = ["7,2026-06-21 08:00:00,5.00,deposit,9999"]
"""Of a customer whom core banking doesn't know."""

CORRECTED = (
    '{"customer_id": 1, "credit_score": 900, "delinquencies": 7, "outstanding_loans":'
    ' [{"type": "student", "amount": 0.01}]}'
)
SPOILED = '{"customer_id": 2, "credit_score": 9999, "delinquencies": 0, "outstanding_loans": []}'
"""Was a valid record the day before."""

AT = datetime.fromisoformat("2026-06-22 06:00:00.000001")
LONG_AGO = datetime.fromisoformat("1899-12-31 23:59:59.999999")
NULL_HEAVY: dict[catalog.RawTable, list[tuple[Any, ...]]] = {
    catalog.CUSTOMERS: [
        (1001, None, None, None),
        (1002, "", "", "   "),
        (1003, '  Zoë "Zed" O\'Neil\t', "Z@Example.COM ", "İzmir\u00a0"),
        (1004, "客户 👩‍💻\\N", None, "\u00a0toronto\t"),
        (1005, "NULL", None, "québec CITY"),
    ],
    catalog.CREDIT_PROFILES: [
        (1001, "present", None, None),
        (1002, "quarantined", None, None),
        (1002, "present", 300, 0),
        (1003, "present", 900, 2**31 - 1),
        (None, "quarantined", None, None),
    ],
    catalog.LOANS: [
        (1003, 1, "car", Decimal("0.01")),
        (1003, 2, "yacht", Decimal("9999999999999.99")),
        (1004, 1, "house", None),
        (8888, 1, None, None),
    ],
    catalog.TRANSACTIONS: [
        # id, machine, local, UTC, date, hour, weekday, amount, type, customer, ambiguous, twin
        ("n1", None, LONG_AGO, None, LONG_AGO.date(), None, None, None, None, 1001, None, None),
        ("n2", None, AT, None, AT.date(), None, None, Decimal("1.10"), None, None, None, None),
        ("n3", 0, AT, AT, AT.date(), 0, 1, Decimal("-0.01"), "deposit", 1003, False, True),
    ],
    catalog.COMPLAINTS: [
        ("c1", None, None, None),
        ("c2", "Card Issue", "It says: \"no\",\n\ttwice; ça, 'là' – \\", LONG_AGO),
    ],
}
"""Raw rows that landing would refuse or never sees; beside lineage, in the tables' order."""


def first(settings: Settings, folder: Path) -> None:
    """A delivery in whose transactions a customer stands who isn't in core banking yet."""
    generate(CUSTOMERS, DAYS, SEED, folder, LAST_DAY, complaints=COMPLAINTS)
    bank = folder / BANK
    lines = bank.read_text().splitlines()
    assert lines[-1].startswith(f"{CUSTOMERS},")
    bank.write_text("\n".join(lines[:-1]) + "\n")
    assert f",{CUSTOMERS}\n" in (folder / ATM).read_text()
    _deliver(settings, folder)


def second(settings: Settings, folder: Path, before: Path) -> None:
    """Everything again and late, corrected, spoiled, deleted and empty beside it."""
    generate(CUSTOMERS + 1, DAYS, SEED, folder, LAST_DAY, complaints=COMPLAINTS + 3)
    old = (before / ATM).read_text()
    # The same file under another name, and its rows again in a file with new ones.
    (folder / ATM).write_text(old + "\n".join([*LATE, *NEW, *UNKNOWN]) + "\n")
    (folder / "atm" / "again.csv").write_text(old)

    bank = (folder / BANK).read_text().splitlines()
    deleted = [line for line in bank if not line.startswith("5,")]
    assert len(deleted) == len(bank) - 1
    (folder / BANK).write_text("\n".join(deleted) + "\n")

    records = (folder / BUREAU).read_text().splitlines()[1:-1]
    changed = {1: CORRECTED, 2: SPOILED}
    kept = [record.rstrip(",") for record in records if '"customer_id": 3,' not in record]
    kept[0], kept[1] = changed[1], changed[2]
    (folder / BUREAU).write_text("[\n" + ",\n".join(kept) + "\n]\n")
    _deliver(settings, folder)
    for table, rows in NULL_HEAVY.items():
        _append(settings, table, rows)


def _deliver(settings: Settings, folder: Path) -> None:
    for source in catalog.SOURCES:
        landed = land(settings, source, sorted(str(path) for path in (folder / source).iterdir()))
        assert not landed.stopped
    flatten(settings)


def _append(settings: Settings, raw: catalog.RawTable, rows: list[tuple[Any, ...]]) -> None:
    table = clients.iceberg(settings).load_table(raw.identifier)
    schema = table.schema().as_arrow()
    lineage = ("null_heavy", 1, "null_heavy", datetime.now(UTC).replace(tzinfo=None))
    columns = zip(*[(*row, *lineage) for row in rows], strict=True)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    table.append(pa.Table.from_arrays(arrays, schema=schema))
