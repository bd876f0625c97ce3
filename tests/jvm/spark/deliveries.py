"""Two deliveries with everything in them that engines are known to treat differently."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.generate import generate
from ingest.land import land
from ingest.sources import REGISTRY
from lakehouse import catalog, landing
from lakehouse.landing import Batch, LandedFile
from lakehouse.settings import Settings

CUSTOMERS, DAYS, COMPLAINTS, SEED = 200, 40, 60, 5
LAST_DAY = date(2026, 11, 20)
"""So that the clocks go back in the middle of it."""
INGESTED_AT = datetime.fromisoformat("2026-01-01")
TWIN = b"7,2026-11-01 01:30:00.000001,20.00,withdrawal,3\n"
"""In the hour that exists twice."""
NEW = b"7,2026-12-01 00:00:00,0.01,deposit,1\n9,2026-12-31 23:59:59.999999,9999999.99,deposit,2\n"
UNKNOWN_CUSTOMER = b"7,2026-12-01 00:00:01,5.00,deposit,123456\n"
FILES = {
    "core_banking": "core_banking/customers.csv",
    "credit_bureau": "credit_bureau/credit_data.json",
    "atm": "atm/atm_activity.csv",
    "feedback": "feedback/complaints.jsonl",
}


def first(settings: Settings, folder: Path) -> None:
    """Odd rows that could only come of another landing, then a delivery with defects."""
    for source in catalog.SOURCES:
        land_odd_rows(settings, source)
    generate(CUSTOMERS, DAYS, SEED, folder, LAST_DAY, complaints=COMPLAINTS, defects=0.02)
    atm = folder / FILES["atm"]
    # Bytes: some of the defects are no text.
    atm.write_bytes(atm.read_bytes() + 2 * TWIN)
    land_all(settings, folder)


def second(settings: Settings, folder: Path, before: Path) -> None:
    """Files that overlap the first, snapshots that lost a customer, a spoiled credit record."""
    for name in FILES.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    header, *rows = (before / FILES["atm"]).read_bytes().splitlines(keepends=True)
    again = rows[len(rows) // 2 :]
    (folder / FILES["atm"]).write_bytes(b"".join([header, *again, NEW, UNKNOWN_CUSTOMER]))
    customers = (before / FILES["core_banking"]).read_bytes().splitlines(keepends=True)
    (folder / FILES["core_banking"]).write_bytes(b"".join(customers[:-1]))
    records = [
        {
            "customer_id": number,
            "credit_score": 600 + number,
            "delinquencies": number % 3,
            "outstanding_loans": [{"type": "car", "amount": amount}] * (number % 4),
        }
        for number, amount in enumerate((1, 20.5, 0.01, 9999.99, "spoiled", 7, 7, 7), start=1)
    ]
    (folder / FILES["credit_bureau"]).write_text(json.dumps(records))
    complaints = (before / FILES["feedback"]).read_bytes().splitlines(keepends=True)
    fresh = {**REGISTRY["feedback"].fake()[1], "description": "Ça va — «enfin» 🎉"}
    (folder / FILES["feedback"]).write_bytes(
        b"".join(complaints[:20]) + json.dumps(fresh).encode() + b"\n"
    )
    land_all(settings, folder)


def land_all(settings: Settings, folder: Path) -> None:
    for source, name in FILES.items():
        assert land(settings, source, [str(folder / name)]).stopped is None


def land_odd_rows(settings: Settings, source: str) -> None:
    """A row of NULLs, one of the smallest and empty values, one of the largest."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    schema: pa.Schema = REGISTRY[source].schema()
    batch_id = landing.new_batch_id(now, source)
    lineage = {"_source_file": "odd", "_batch_id": batch_id, "_ingested_at": INGESTED_AT}
    rows = []
    for number in range(3):
        row = {field.name: _odd_value(field, number) for field in schema}
        row |= {name: f"odd {number}" for name in ("transaction_id", "feedback_id") if name in row}
        rows.append({**row, **lineage, "_source_row": number})
    key = landing.write_parquet(
        settings, source, batch_id, "odd", pa.Table.from_pylist(rows, schema=schema)
    )
    file = LandedFile("odd", f"odd {source}", len(rows), len(rows), 0, key)
    snapshot = REGISTRY[source].SNAPSHOT
    landing.write_batch(settings, Batch(batch_id, source, now.isoformat(), snapshot, (file,)))


def _odd_value(field: pa.Field, number: int) -> Any:
    if number == 0 and field.nullable:
        return None
    smallest, largest = _limits(field.type)
    return largest if number == 2 else smallest


def _limits(kind: pa.DataType) -> tuple[Any, Any]:
    if pa.types.is_list(kind):
        loans = [{"type": "", "amount": None}, None, {"type": None, "amount": Decimal("0.01")}]
        return [], loans
    return {
        pa.string(): ("", " Ünïcode, \"quotes\" 'and' \\ 漢字\tand a\nline break "),
        pa.int64(): (-(2**63), 2**63 - 1),
        pa.int32(): (-(2**31), 2**31 - 1),
        pa.decimal128(18, 2): (Decimal("-9999999999999999.99"), Decimal("9999999999999999.99")),
        pa.bool_(): (False, True),
        pa.date32(): (date(1970, 1, 1), date(2099, 12, 31)),
        pa.timestamp("us"): (
            datetime.fromisoformat("1970-01-01"),
            datetime.fromisoformat("2099-12-31T23:59:59.999999"),
        ),
    }[kind]
