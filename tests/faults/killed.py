"""One home, one delivery after the other, each refresh killed, readers all the while.

What the test of some kills and the benchmark of many share.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path

from kb_export.upload import ensure_bucket
from lakehouse import catalog, clients
from lakehouse.catalog import KNOWLEDGE_BASE_BUCKET
from lakehouse.settings import Settings
from tests.faults import deliveries
from tests.faults.refreshes import Point, Refreshes

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


class Reader(threading.Thread):
    """Reads the published version all the while, and keeps what isn't whole."""

    def __init__(self, home: Path, pause: float = 0.2) -> None:
        super().__init__(daemon=True)
        self.home = home
        self.pause = pause
        self.seen: Counter[int] = Counter()
        self.mixes: list[object] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self.pause):
            try:
                found = deliveries.read(self.home)
                number = deliveries.number_of(found[1]) if found else None
            except Exception as error:  # noqa: BLE001 - whatever a reader meets counts
                self.mixes.append(repr(error))
                continue
            if found is None:
                continue
            if number is None:
                self.mixes.append(found)
            else:
                self.seen[number] += 1

    def stop(self) -> None:
        self._over.set()
        self.join(timeout=30)


class Story:
    """One home, and the refreshes in it: each has a delivery more than the one before."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.delivered = folder / "delivered"
        self.log = folder / "log.txt"
        self.refreshes = Refreshes(settings.home, self.log)
        self.number = 0
        self.killed = 0
        self.whole_run = 0.0
        """Seconds that the last refresh took that came to its end."""

    def refresh(
        self, *, point: Point | None = None, seconds: float | None = None, again: bool = False
    ) -> int:
        """Refresh with the next delivery, or the last one again; exit code, or -9."""
        self.number += not again
        inputs = deliveries.write(self.delivered, self.number)
        ended, took = self.refreshes.run(inputs, point=point, seconds=seconds)
        self.killed += ended == -signal.SIGKILL
        if ended == 0:
            self.whole_run = took
        return ended

    def said(self) -> str:
        """The end of what the refreshes wrote to standard error."""
        return self.log.read_text()[-2_000:] if self.log.exists() else ""

    def close(self) -> None:
        """End the process that forks the refreshes."""
        self.refreshes.close()


def unlike_a_clean_run(story: Story, clean: Settings, folder: Path) -> list[str]:
    """What one more refresh, and a full one after it, have that a clean home hasn't; or lack.

    ``clean`` is an empty home: it gets all deliveries at once.
    """
    home, found = story.settings.home, []
    if story.refresh() != 0:
        return [f"the refresh after all kills failed: {story.said()}"]
    seen = deliveries.read(home)
    if seen is None or deliveries.number_of(seen[1]) != story.number:
        found.append(f"the version after all kills isn't of delivery {story.number}: {seen}")
    elif not seen[0].documents_complete:
        found.append("the documents after all kills aren't complete")
    kept = list((home / "versions").iterdir())
    if len(kept) > story.settings.versions_kept:
        found.append(f"{len(kept)} versions are left of {story.settings.versions_kept}")
    incremental = deliveries.business_rows(home, catalog.MARTS)
    inputs = deliveries.write(story.delivered, story.number)
    if story.refreshes.run(inputs, options={"full": True})[0] != 0:
        return [*found, f"the full refresh failed: {story.said()}"]
    if deliveries.business_rows(home, catalog.MARTS) != incremental:
        found.append("a full refresh made other rows")
    straight = Story(clean, folder)
    try:
        for number in range(1, story.number):
            deliveries.write(straight.delivered, number)
        straight.number = story.number - 1
        if straight.refresh() != 0:
            return [*found, f"the clean home's refresh failed: {straight.said()}"]
    finally:
        straight.close()
    lasting = tuple(set(catalog.MARTS) - catalog.HISTORIES)
    if deliveries.business_rows(clean.home, lasting) != {
        name: incremental[name] for name in lasting
    }:
        found.append("a clean home has other rows")
    if documents(story.settings) != documents(clean):
        found.append("a clean home has other documents")
    return found


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
