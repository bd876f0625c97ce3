"""Kafka to the lake: scrubbed complaints as Parquet in landing, from where flatten takes them.

A partition is cut into buckets of fixed offsets, one object each, always built from the bucket's
first offset: what is read again overwrites itself with the same rows. A flush writes the objects
whose rows changed, then one batch manifest, then commits; killed anywhere, the next run ends the
same.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import duckdb
import obstore.exceptions
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from lakehouse import landing
from lakehouse.catalog import LAKE_GROUP
from lakehouse.complaint import landed_table, utc_now
from lakehouse.errors import ServiceUnavailable
from lakehouse.landing import Batch as LandedBatch
from lakehouse.landing import LandedFile
from lakehouse.settings import Settings
from streaming import broker
from streaming.batch_write import BatchWriter
from streaming.broker import Topic
from streaming.consume import require_table
from streaming.dead_letters import Outbox
from streaming.first_wins import decide
from streaming.landed import BEFORE_THE_STREAM, SOURCE, Landed, source_file
from streaming.reading import HEALTH_SECONDS, Batch, Reader
from streaming.received import DeadLetter, Received, receive
from streaming.table import to_item

BUCKET = 10_000
"""Offsets of one object: some hundred kilobytes."""
FLUSH_SECONDS = 30.0
FLUSH_RECORDS = 20_000
LINGER = 0.5
LAKE_PATIENCE = 4.0
"""Seconds that a request to the lake may take: the flush is repeated, and a stop waits for it."""
# Neither a broker nor a store that is away ends the sink: it waits and commits nothing.
_LAKE_AWAY = (obstore.exceptions.BaseError, duckdb.IOException, duckdb.HTTPException)
_TROUBLE = (KafkaError, ServiceUnavailable, *_LAKE_AWAY)


@dataclass
class Sunk:
    """What one run did: messages read, complaints landed, repeated, refused; batches written."""

    read: int = 0
    landed: int = 0
    repeated: int = 0
    dead_letters: int = 0
    batches: int = 0


@dataclass
class Bucket:
    """One bucket of one partition, while it fills."""

    start: int
    rows: dict[int, Received] = field(default_factory=dict)
    """Complaints by offset; only the first under an id."""
    refused: set[int] = field(default_factory=set)
    """Offsets that went to dead letters."""


@dataclass
class Reading:
    """How far a partition was read, and what isn't flushed yet."""

    committed: int
    next_offset: int
    buckets: dict[int, Bucket] = field(default_factory=dict)
    unsettled: list[Received] = field(default_factory=list)
    refused: list[DeadLetter] = field(default_factory=list)

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was committed before was read again: less would shrink its object."""
        return self.next_offset >= self.committed

    def bucket(self, offset: int) -> Bucket:
        """The bucket of an offset."""
        start = bucket_start(offset)
        return self.buckets.setdefault(start, Bucket(start))


def bucket_start(offset: int) -> int:
    """The first offset of the bucket that holds ``offset``."""
    return offset - offset % BUCKET


def sink(
    settings: Settings,
    until_idle: bool = False,
    *,
    stop: threading.Event | None = None,
    flush_seconds: float = FLUSH_SECONDS,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Sunk], None] = lambda _: None,
) -> Sunk:
    """Bring the topic's complaints into landing, until asked to stop or to the topic's end.

    Raises:
        ServiceUnavailable: the broker or the lake does not answer at the start, or, with
            ``until_idle``, for too long.

    """
    stop = stop or threading.Event()
    patience = min(LAKE_PATIENCE, settings.lake_patience)
    settings = settings.model_copy(update={"lake_patience": patience})
    landing.require_lake(settings)
    topic, _ = broker.require_topics(settings)
    health_at = time.monotonic() + HEALTH_SECONDS
    with (
        broker.consumer(settings, topic.group(LAKE_GROUP)) as consumer,
        Outbox(settings) as outbox,
    ):
        lake = Lake(settings, topic, consumer, outbox)
        reader = Reader(
            consumer,
            topic,
            settings,
            stop=stop,
            until_idle=until_idle,
            linger=LINGER,
            batch_size=FLUSH_RECORDS // 4,
            start_at=lake.start_at,
            forget=lake.forget,
            unfinished=lake.is_unfinished,
            say=say,
        )
        for batch in reader.batches():
            lake.add(batch, reader.positions)
            if lake.is_due(0 if reader.is_idle else flush_seconds):
                if not reader.until_done(partial(lake.flush, reader), _TROUBLE):
                    return lake.done
                on_progress(lake.done)
            if time.monotonic() > health_at:
                health_at += HEALTH_SECONDS
                say(f"{lake.done.landed:,} landed, {lake.done.dead_letters:,} dead letters")
        # Asked to stop, one attempt: what isn't flushed is read again next time.
        reader.until_done(partial(lake.flush, reader), _TROUBLE)
        on_progress(lake.done)
    return lake.done


class Lake:
    """What was read and what has landed, brought together flush by flush."""

    def __init__(
        self, settings: Settings, topic: Topic, consumer: KafkaConsumer, outbox: Outbox
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._consumer = consumer
        self._outbox = outbox
        self._folder = f"stream-{topic.identity[-12:]}"
        self._readings: dict[TopicPartition, Reading] = {}
        self._unflushed_since: float | None = None
        self._landed = Landed(settings)
        self.done = Sunk()

    def start_at(self, partition: TopicPartition, committed: int) -> int:
        """Where to read from: the first offset of the bucket that the committed one stands in.

        Raises:
            ServiceUnavailable: the lake, which may have to be asked, does not answer.

        """
        beginning: int = self._consumer.beginning_offsets([partition], timeout_ms=2_000)[partition]
        start = max(bucket_start(committed), beginning)
        reading = Reading(committed=max(committed, beginning), next_offset=start)
        if start > bucket_start(start):
            # The topic has forgotten the bucket's first messages; the lake has not.
            try:
                with landing.landing_alone(self._settings, SOURCE, seconds=5):
                    self._landed.refresh()
                    kept = self._landed.rows_of(self._key(partition, bucket_start(start)))
            except _LAKE_AWAY as error:
                raise ServiceUnavailable(
                    f"the lake does not answer ({type(error).__name__})",
                    "start it: discover up seaweedfs",
                ) from None
            bucket = reading.bucket(start)
            bucket.rows = {row.place.offset: row for row in kept if row.place.offset < start}
        self._readings[partition] = reading
        return start

    def forget(self, partition: TopicPartition) -> None:
        """Drop what was read of a partition: whoever gets it reads it anew."""
        self._readings.pop(partition, None)

    def add(self, batch: Batch, positions: Mapping[TopicPartition, int]) -> None:
        """Take in records, in the order of their offsets; ``positions`` is where they end."""
        now = utc_now()
        for partition, records in batch.items():
            reading = self._readings.get(partition)
            if reading is None:
                # Given up; whoever owns it now reads it anew.
                continue
            for record in records:
                result = receive(record, self._topic.identity, now)
                is_new = record.offset >= reading.committed
                self.done.read += is_new
                if isinstance(result, Received):
                    reading.unsettled.append(result)
                else:
                    reading.bucket(record.offset).refused.add(record.offset)
                    if is_new:
                        reading.refused.append(result)
                reading.next_offset = record.offset + 1
        for partition, reading in self._readings.items():
            # What was committed before may be no message, so no record leads up to it.
            reading.next_offset = max(reading.next_offset, positions.get(partition, 0))
        if batch and self._unflushed_since is None:
            self._unflushed_since = time.monotonic()

    def is_unfinished(self) -> bool:
        """Whether something was read that isn't flushed."""
        return self._unflushed_since is not None

    def is_due(self, flush_seconds: float) -> bool:
        """Whether enough was read, or long enough ago, for a flush."""
        if self._unflushed_since is None:
            return False
        caught_up = self._caught_up()
        if not caught_up:
            return False
        unflushed = sum(len(reading.unsettled) for reading in caught_up.values())
        waited = time.monotonic() - self._unflushed_since
        return unflushed >= FLUSH_RECORDS or waited >= flush_seconds

    def flush(self, reader: Reader) -> None:
        """Land what was read and commit it. Fails without harm: done again, it ends the same."""
        if self._unflushed_since is None:
            return
        landing.require_lake(self._settings)
        readings = self._caught_up()
        if not readings:
            return
        with landing.landing_alone(self._settings, SOURCE, seconds=5):
            # Who slept through its own exclusion must not overwrite its successor's objects.
            if not reader.commit({tp: reading.committed for tp, reading in readings.items()}):
                self._give_up()
                return
            self._landed.refresh()
            self._settle(readings)
            files = [
                file
                for partition, reading in readings.items()
                for bucket in reading.buckets.values()
                if (file := self._write(partition, bucket)) is not None
            ]
            if files:
                self._publish(files)
        if not reader.commit({tp: reading.next_offset for tp, reading in readings.items()}):
            self._give_up()
            return
        for reading in readings.values():
            reading.committed = reading.next_offset
            current = bucket_start(reading.next_offset)
            reading.buckets = {s: b for s, b in reading.buckets.items() if s >= current}
        is_left = any(reading.unsettled for reading in self._readings.values())
        self._unflushed_since = time.monotonic() if is_left else None

    def _caught_up(self) -> dict[TopicPartition, Reading]:
        return {tp: reading for tp, reading in self._readings.items() if reading.is_caught_up}

    def _give_up(self) -> None:
        """Somebody else has the partitions: forget all, and read what comes back from its start."""
        self._readings = {}
        self._unflushed_since = None

    def _settle(self, readings: Mapping[TopicPartition, Reading]) -> None:
        """Decide which of the new complaints come first under their ids; refuse the others."""
        incoming = [row for reading in readings.values() for row in reading.unsettled]
        incoming.sort(key=lambda row: row.place.received_at)
        standing = self._landed.elsewhere(incoming)
        decision = decide(incoming, standing)
        refused = [letter for reading in readings.values() for letter in reading.refused]
        committed = {tp.partition: reading.committed for tp, reading in readings.items()}
        # Those before the committed offset too: one of them may have stood in the lake until now.
        # A letter is known by its place, so that one sent again is still one.
        self._outbox.send(refused + decision.dead_letters)
        self._correct_dynamodb(incoming, standing)
        by_partition = {tp.partition: reading for tp, reading in readings.items()}
        for row in decision.store:
            bucket = by_partition[row.place.partition].bucket(row.place.offset)
            bucket.rows[row.place.offset] = row
            self.done.landed += row.place.offset >= committed[row.place.partition]
        for letter in decision.dead_letters:
            if (
                letter.place.topic == self._topic.identity
                and letter.place.partition in by_partition
            ):
                bucket = by_partition[letter.place.partition].bucket(letter.place.offset)
                if letter.place.offset not in bucket.rows:
                    bucket.refused.add(letter.place.offset)
        self.done.dead_letters += len(refused) + sum(
            letter.place.topic != self._topic.identity
            or letter.place.offset >= committed.get(letter.place.partition, 0)
            for letter in decision.dead_letters
        )
        self.done.repeated += sum(
            row.place.offset >= committed[row.place.partition] for row in decision.repeated
        )
        for reading in readings.values():
            reading.unsettled, reading.refused = [], []

    def _correct_dynamodb(
        self, incoming: Iterable[Received], standing: Mapping[str, Received]
    ) -> None:
        """Let DynamoDB have what a file says, where the stream says otherwise.

        The table's readers see the stream only, and may have stored what came second.
        """
        first = {
            row.complaint.feedback_id: found
            for row in incoming
            if (found := standing.get(row.complaint.feedback_id))
            and found.place.received_at == BEFORE_THE_STREAM
            and found.same_content != row.same_content
        }
        if not first:
            return
        endpoint = self._settings.aws_endpoint or "AWS"
        with BatchWriter(require_table(self._settings), endpoint=endpoint, patience=5) as writer:
            writer.write([to_item(row) for row in first.values()])

    def _write(self, partition: TopicPartition, bucket: Bucket) -> LandedFile | None:
        """Write a bucket's object if its rows are not what has landed under its name."""
        rows = [bucket.rows[offset] for offset in sorted(bucket.rows)]
        key = self._key(partition, bucket.start)
        digest = content_digest(rows)
        if not rows or self._landed.digests.get(key) == digest:
            return None
        landing.write_parquet(
            self._settings,
            SOURCE,
            self._folder,
            self._name(partition, bucket.start),
            self._table(partition, rows),
        )
        return LandedFile(
            file=self._name(partition, bucket.start),
            sha256=digest,
            rows_in=len(rows) + len(bucket.refused),
            landed=len(rows),
            quarantined=len(bucket.refused),
            object=key,
        )

    def _publish(self, files: list[LandedFile]) -> None:
        now = landing.next_moment(self._settings, SOURCE).replace(tzinfo=None)
        batch = LandedBatch(
            batch_id=landing.new_batch_id(now, ",".join(file.sha256 for file in files)),
            source=SOURCE,
            landed_at=f"{now.isoformat()}Z",
            snapshot=False,
            files=tuple(files),
        )
        landing.write_batch(self._settings, batch)
        self._landed.add(
            batch,
            (
                row.complaint.feedback_id
                for reading in self._readings.values()
                for bucket in reading.buckets.values()
                for row in bucket.rows.values()
            ),
        )
        self.done.batches += 1

    def _table(self, partition: TopicPartition, rows: list[Received]) -> pa.Table:
        return landed_table(
            [row.complaint for row in rows],
            source_file=source_file(self._topic.identity, partition.partition),
            source_rows=[row.place.offset for row in rows],
            batch_id=self._folder,
            ingested_at=[row.place.received_at for row in rows],
        )

    def _name(self, partition: TopicPartition, start: int) -> str:
        return f"{partition.partition:03d}-{start:015d}"

    def _key(self, partition: TopicPartition, start: int) -> str:
        return landing.parquet_key(SOURCE, self._folder, self._name(partition, start))


def content_digest(rows: Iterable[Received]) -> str:
    """SHA-256 of what a bucket holds: equal for a bucket that was built again."""
    digest = hashlib.sha256()
    for row in rows:
        line = f"{row.place.offset} {row.complaint.feedback_id} {row.complaint.content_hash}\n"
        digest.update(line.encode())
    return digest.hexdigest()
