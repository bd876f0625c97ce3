"""What landing holds of the complaints, seen from the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse import duck, landing
from lakehouse.catalog import COMPLAINTS_TOPIC
from lakehouse.complaint import Complaint
from lakehouse.landing import Batch
from lakehouse.settings import Settings
from streaming.received import Place, Received

SOURCE = "feedback"
BEFORE_THE_STREAM = datetime.min  # noqa: DTZ901 - all times here are without zone
"""When a complaint that was landed from a file counts as received."""


def source_file(topic: str, partition: int) -> str:
    """The lineage of what came through the stream; the row in it is the offset."""
    return f"{COMPLAINTS_TOPIC}/{topic}/{partition}"


class Landed:
    """What landing holds of this source: contents by object, and whom it knows by id."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.digests: dict[str, str] = {}
        """Digest of the rows, by object; the newest batch's word counts."""
        self._batches: set[str] = set()
        self._known: set[int] = set()
        """First 64 bits of every landed id: only what may have landed is looked up."""

    def refresh(self) -> None:
        """Take note of what others have landed, files by hand among them; first of all, too.

        Only while nobody else lands: an object that is replaced meanwhile is read half old, half
        new.
        """
        changed: list[str] = []
        for batch_id in landing.batch_ids(self._settings, SOURCE):
            if batch_id not in self._batches:
                batch = landing.read_batch(self._settings, SOURCE, batch_id)
                self._note(batch)
                changed += batch.objects
        if changed:
            for rows in self._read("SELECT DISTINCT feedback_id FROM landed", objects=changed):
                self._known.update(map(_bits, rows["feedback_id"].to_pylist()))

    def add(self, batch: Batch, feedback_ids: Iterable[str]) -> None:
        """Note what this process just landed."""
        self._note(batch)
        self._known.update(map(_bits, feedback_ids))

    def elsewhere(self, incoming: list[Received]) -> dict[str, Received]:
        """The first landed complaint under each incoming id, other than the incoming itself."""
        ids = {row.complaint.feedback_id for row in incoming}
        candidates = [feedback_id for feedback_id in ids if _bits(feedback_id) in self._known]
        if not candidates:
            return {}
        places = {row.place.key for row in incoming}
        wanted = pa.table({"feedback_id": candidates})
        found: dict[str, Received] = {}
        for row in self._received(
            "SELECT * FROM landed SEMI JOIN wanted USING (feedback_id)", wanted
        ):
            standing = found.get(row.complaint.feedback_id)
            if row.place.key in places:
                continue
            if standing is None or row.place.before(standing.place):
                found[row.complaint.feedback_id] = row
        return found

    def first_of_each(self) -> Iterator[Received]:
        """Every landed complaint once; of several under one id the first."""
        with landing.landing_alone(self._settings, SOURCE):
            self.refresh()
        if not self.digests:
            return
        # A file's complaints before the stream's, and those in the order that readers agree on.
        for rows in self._read(
            f"SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY feedback_id ORDER BY"
            f" starts_with(_source_file, '{COMPLAINTS_TOPIC}/'), _ingested_at, _source_file,"
            " _source_row) = 1"
        ):
            yield from map(_landed_row, rows.to_pylist())

    def rows_of(self, key: str) -> list[Received]:
        """All rows of one object; none where it hasn't landed."""
        if key not in self.digests:
            return []
        return self._received("SELECT * FROM landed", objects=[key])

    def _note(self, batch: Batch) -> None:
        self._batches.add(batch.batch_id)
        self.digests |= {file.object: file.sha256 for file in batch.files if file.object}

    def _received(
        self, sql: str, wanted: pa.Table | None = None, objects: list[str] | None = None
    ) -> list[Received]:
        batches = self._read(sql, wanted, objects)
        return [_landed_row(row) for rows in batches for row in rows.to_pylist()]

    def _read(
        self, sql: str, wanted: pa.Table | None = None, objects: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The result of a query over these objects' rows (``landed``), or over all."""
        urls = [landing.url(key) for key in objects or sorted(self.digests)]
        with duck.connect_lake(self._settings, attach=False) as connection:
            if wanted is not None:
                connection.register("wanted", wanted)
            yield from connection.execute(
                f"WITH landed AS (SELECT * FROM read_parquet($urls)) {sql}", {"urls": urls}
            ).fetch_record_batch()


def _bits(feedback_id: str) -> int:
    return int(feedback_id.replace("-", "")[:16], 16)


def _landed_row(row: dict[str, Any]) -> Received:
    complaint = Complaint(
        feedback_id=row["feedback_id"],
        category=row["category"],
        description=row["description"],
        occurred_at_utc=row["occurred_at_utc"],
    )
    name, *rest = row["_source_file"].split("/")
    if name == COMPLAINTS_TOPIC and len(rest) == 2:
        topic, partition = rest
        place = Place(topic, int(partition), row["_source_row"], row["_ingested_at"])
    else:
        # A file's complaint has no place in the stream, and came before all that do.
        place = Place(row["_source_file"], 0, row["_source_row"], BEFORE_THE_STREAM)
    return Received(complaint, place)
