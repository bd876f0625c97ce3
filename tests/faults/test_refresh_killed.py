"""A refresh killed anywhere: readers see whole versions only, and the end is a clean run's."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_export.upload import ensure_bucket
from lakehouse import catalog, clients, services
from lakehouse.catalog import KNOWLEDGE_BASE_BUCKET
from lakehouse.settings import Settings, load
from tests.faults import deliveries
from tests.faults.refreshes import Point, Refreshes

SEED = 20261124
RANDOM_KILLS = 26
WHOLE_RUN = 9.0
"""Seconds that a refresh of so few rows takes, about; a slower machine is killed earlier in it."""
# Every boundary between two stages, and the steps inside those that write.
POINTS: list[Point] = [
    ("ingest.land:write_batch", "before", 1),
    ("ingest.land:write_batch", "after", 1),
    ("ingest.land:write_batch", "before", 2),
    ("ingest.land:write_batch", "after", 2),
    ("ingest.land:write_batch", "before", 3),
    ("ingest.land:write_batch", "after", 3),
    ("ingest.flatten:write", "after", 1),
    ("ingest.flatten:write", "after", 3),
    ("ingest.flatten:write", "after", 4),
    ("lakehouse.landing:mark_flattened", "before", 1),
    ("lakehouse.landing:mark_flattened", "after", 1),
    ("ingest.flatten:tidy", "before", 1),
    ("ingest.flatten:flatten", "after", 1),
    ("expectations.raw:check_raw", "after", 1),
    ("discover.build:run_dbt", "before", 1),
    ("discover.build:build", "after", 1),
    ("expectations.marts:check_marts", "after", 1),
    ("lakehouse.versions:_write_atomically", "before", 1),
    ("lakehouse.versions:_write_atomically", "after", 1),
    ("lakehouse.versions:_write_atomically", "after", 2),
    ("lakehouse.versions:Versions:sweep", "before", 1),
    ("kb_export.upload:_Export:_mark", "after", 1),
    ("kb_export.upload:_Export:_put", "after", 1),
    ("kb_export.upload:_Export:_delete_gone", "before", 1),
    ("kb_export.upload:export", "after", 1),
    ("kb_export.knowledge_base:sync", "after", 1),
]


@contextlib.contextmanager
def home_of_its_own(factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = factory.mktemp("h")
    services.up(home, ["seaweedfs", "ministack"])
    try:
        yield load(home, "local")
    finally:
        services.down(home)


class Reader(threading.Thread):
    """Reads the published version all the while, and keeps what isn't whole."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.home = home
        self.seen: Counter[int] = Counter()
        self.mixes: list[object] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            try:
                found = deliveries.read(self.home)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets counts
                self.mixes.append(repr(error))
                continue
            if found is None:
                continue
            number = deliveries.number_of(found[1])
            if number is None:
                self.mixes.append(found)
            else:
                self.seen[number] += 1

    def stop(self) -> None:
        self._over.set()
        self.join(timeout=30)


def documents(settings: Settings) -> dict[str, bytes]:
    """Every object of the knowledge base's bucket that isn't the export's own book-keeping."""
    ensure_bucket(settings)
    store = clients.knowledge_base_store(settings, KNOWLEDGE_BASE_BUCKET)
    return {
        entry["path"]: bytes(store.get(entry["path"]).bytes())
        for page in store.list()
        for entry in page
        if not entry["path"].startswith("export/")
    }


class Story:
    """One home, one delivery after the other, a reader all the while."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.delivered = folder / "delivered"
        self.log = folder / "log.txt"
        self.refreshes = Refreshes(settings.home, self.log)
        self.reader = Reader(settings.home)
        self.number = 0
        self.killed = 0
        self.whole_run = 0.0

    def refresh(self, *, point: Point | None = None, seconds: float | None = None) -> int:
        """Refresh with the next delivery; exit code, or -9."""
        self.number += 1
        inputs = deliveries.write(self.delivered, self.number)
        ended, self.whole_run = self.refreshes.run(inputs, point=point, seconds=seconds)
        self.killed += ended == -signal.SIGKILL
        return ended

    def said(self) -> str:
        return self.log.read_text()[-2_000:]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with home_of_its_own(tmp_path_factory) as settings:
        told = Story(settings, tmp_path_factory.mktemp("story"))
        try:
            assert told.refresh() == 0, told.said()
            told.reader.start()
            yield told
        finally:
            told.reader.stop()
            told.refreshes.close()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_killed_at_a_point(story: Story, point: Point) -> None:
    assert story.refresh(point=point) == -signal.SIGKILL, story.said()
    assert story.reader.mixes == []


@pytest.mark.parametrize("share", [random.Random(SEED + n).random() for n in range(RANDOM_KILLS)])
def test_killed_at_any_moment(story: Story, share: float) -> None:
    assert story.refresh(seconds=0.05 + share * WHOLE_RUN) in (0, -signal.SIGKILL), story.said()
    assert story.reader.mixes == []


def test_after_all_kills_one_refresh_ends_where_a_clean_run_does(
    story: Story, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert story.refresh() == 0, story.said()
    found = deliveries.read(story.settings.home)
    assert found is not None
    assert deliveries.number_of(found[1]) == story.number
    assert found[0].documents_complete
    assert len(story.reader.seen) > 3
    assert story.killed >= len(POINTS) + RANDOM_KILLS // 2
    kept = {path.name for path in (story.settings.home / "versions").iterdir()}
    assert len(kept) <= story.settings.versions_kept
    incremental = deliveries.business_rows(story.settings.home, catalog.MARTS)
    inputs = deliveries.write(story.delivered, story.number)
    assert story.refreshes.run(inputs, options={"full": True})[0] == 0, story.said()
    assert deliveries.business_rows(story.settings.home, catalog.MARTS) == incremental
    with home_of_its_own(tmp_path_factory) as clean:
        straight = Story(clean, tmp_path_factory.mktemp("straight"))
        for number in range(1, story.number):
            deliveries.write(straight.delivered, number)
        straight.number = story.number - 1
        assert straight.refresh() == 0, straight.said()
        straight.refreshes.close()
        assert deliveries.business_rows(clean.home, catalog.MARTS) == incremental
        assert documents(story.settings) == documents(clean)


def test_a_mix_of_two_deliveries_is_seen() -> None:
    whole = deliveries.expected(7)
    assert deliveries.number_of(whole) == 7
    assert deliveries.number_of(deliveries.expected(8)) == 8
    for field in ("customers", "transactions", "wide_loan_total", "daily_amount"):
        mixed = {**vars(whole), field: getattr(deliveries.expected(8), field)}
        assert deliveries.number_of(deliveries.Figures(**mixed)) is None
