"""One small published version, made once through the whole path, for all that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from discover.refresh import Report, refresh
from ingest.bank import load as load_bank
from ingest.generate import generate
from lakehouse.settings import Settings
from streaming.consume import consume
from streaming.produce import produce
from streaming.sink import sink

CUSTOMERS, DAYS, COMPLAINTS, SEED = 60, 20, 40, 7
LAST_DAY = date(2026, 6, 20)


@dataclass(frozen=True)
class Published:
    """The settings of the home, what was delivered to it, and what the first refresh said."""

    settings: Settings
    delivered: Path
    inputs: dict[str, list[str]]
    report: Report


@pytest.fixture(scope="session")
def published(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Published:
    delivered = tmp_path_factory.mktemp("delivered")
    generate(CUSTOMERS, DAYS, SEED, delivered, LAST_DAY)
    load_bank(settings, delivered / "core_banking" / "customers.csv", replace=True)
    produce(settings, count=COMPLAINTS, rate=0, seed=SEED)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    inputs = {
        "credit_bureau": [str(delivered / "credit_bureau" / "credit_data.json")],
        "atm": [str(delivered / "atm" / "atm_activity.csv")],
    }
    report = refresh(settings, inputs)
    assert report.failures == []
    return Published(settings, delivered, inputs, report)
