"""A lake of its own with Trino beside it, for the tests of what stands on both."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.flatten import flatten
from ingest.generate import generate
from ingest.land import land
from lakehouse import services
from lakehouse.catalog import RAW_TABLES
from lakehouse.settings import Settings, load, ports

CUSTOMERS, DAYS, COMPLAINTS, SEED = 60, 75, 40, 7
LAST_DAY = date(2026, 6, 20)


@dataclass(frozen=True)
class Warehouse:
    """A home whose raw tables are flattened and whose Trino answers."""

    settings: Settings

    @property
    def port(self) -> int:
        """Trino's."""
        return ports(self.settings.home)["trino"]["http"]

    def sql(self, statement: str) -> list[list[Any]]:
        """Run one statement on Trino, in catalog ``lake``."""
        from trino.dbapi import connect

        with connect(host="127.0.0.1", port=self.port, user="test", catalog="lake") as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Put the raw tables back to the snapshots that they show now."""
        latest = "SELECT snapshot_id FROM {} ORDER BY committed_at DESC LIMIT 1"
        before = {
            table: self.sql(latest.format(f'{table.namespace}."{table.name}$snapshots"'))
            for table in RAW_TABLES
        }
        try:
            yield
        finally:
            for table, ((snapshot,),) in before.items():
                back = f"EXECUTE rollback_to_snapshot({snapshot})"
                self.sql(f"ALTER TABLE {table.identifier} {back}")


@dataclass(frozen=True)
class Delivery:
    """The arguments of one generated delivery; unequal seeds share no transaction."""

    customers: int = CUSTOMERS
    days: int = DAYS
    seed: int = SEED
    last_day: date = LAST_DAY
    complaints: int = COMPLAINTS

    def day_after(self) -> Delivery:
        """What comes a day later: new transactions, profiles and complaints; one more customer."""
        return replace(
            self,
            customers=self.customers + 1,
            days=1,
            seed=self.seed + 1,
            last_day=self.last_day + timedelta(days=1),
            complaints=3,
        )


def deliver(settings: Settings, folder: Path, delivery: Delivery) -> None:
    """Generate into ``folder``, land all four sources and flatten them; needs SeaweedFS alone."""
    generate(
        delivery.customers,
        delivery.days,
        delivery.seed,
        folder,
        delivery.last_day,
        complaints=delivery.complaints,
    )
    for source in ("core_banking", "credit_bureau", "atm", "feedback"):
        landed = land(settings, source, [str(path) for path in (folder / source).iterdir()])
        assert not landed.stopped
    flatten(settings)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The first delivery, flattened; Trino up. Tests that change raw tables put them back."""
    with tempfile.TemporaryDirectory(prefix="discover-jvm-") as folder:
        home = Path(folder).resolve()
        try:
            services.up(home, ["trino"])
            settings = load(home, "local")
            deliver(settings, tmp_path_factory.mktemp("delivered"), Delivery())
            yield Warehouse(settings)
        finally:
            services.down(home)
