"""A batch of the topic that can't be read becomes one stand-in for each of its messages.

kafka-python raises at such a batch without naming it, never gets past it, and so stops all
partitions. A stand-in goes the way of every other refused message instead: into dead letters, with
its partition and offset. The message itself stays in the topic for as long as the broker keeps it,
so ``discover stream replay-dead-letters`` can fetch it once it can be read.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import UnsupportedCodecError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

_CODECS = {0: "uncompressed", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_OFFSET = struct.Struct(">q")
_MOST_MESSAGES = 1_000_000
"""More than any producer puts into one batch."""


class Unreadable(str):
    """Takes the place of a message's value; says why the message can't be read."""

    __slots__ = ()


def stand_in_for_unreadable(client: KafkaConsumer) -> None:
    """Let ``client`` hand out stand-ins where it would raise at a batch."""
    client._fetcher.PartitionRecords = PartitionRecords


def runs(records: Iterable[Any]) -> Iterator[tuple[int, int, str]]:
    """Runs of stand-ins among one partition's records: first offset, last offset, reason."""
    found = [record for record in records if isinstance(record.value, Unreadable)]
    for (_, why), run in itertools.groupby(
        enumerate(found), key=lambda numbered: (numbered[1].offset - numbered[0], numbered[1].value)
    ):
        offsets = [record.offset for _, record in run]
        yield offsets[0], offsets[-1], str(why)


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """One partition's part of a broker's answer."""

    def __init__(
        self, fetch_offset: int, tp: TopicPartition, records: MemoryRecords, **options: Any
    ) -> None:
        batches = Batches(records, fetch_offset)
        if not records.has_next():
            # The fetcher would raise at bytes that hold no complete batch; they are ours now.
            records._buffer = b""
        super().__init__(fetch_offset, tp, batches, **options)


class Batches:
    """The batches of one answer, in the form in which kafka-python's fetcher takes them.

    Args:
        records: the answer's bytes, cut into batches.
        fetch_offset: the offset that was asked for; every stand-in leads beyond it.

    """

    def __init__(self, records: MemoryRecords, fetch_offset: int) -> None:
        self._records = records
        self._fetch_offset = fetch_offset
        self._cut = b"" if records.has_next() else bytes(records._buffer)

    def next_batch(self) -> Any:
        """The next batch, or stand-ins for it; None after the last."""
        if self._cut:
            header, self._cut = self._cut, b""
            return self._stand_ins(header, "the batch is cut short")
        here = self._records._next_slice
        try:
            batch = self._records.next_batch()
        except Exception:  # noqa: BLE001 - whatever the bytes are, they are no batch
            # The library doesn't get past it; the next fetch does.
            self._records._next_slice = None
            return self._stand_ins(here, "the batch is too short to be one")
        if batch is None:
            return None
        if not batch.validate_crc():
            return self._stand_ins(here, "the batch's checksum doesn't match its content")
        if batch.magic == 2 and batch.is_control_batch:
            return batch
        return _Checked(batch)

    def _stand_ins(self, found: bytes | memoryview, reason: str) -> StandIns:
        """Stand-ins for the offsets of a batch whose header is all there is to go by."""
        first = last = self._fetch_offset
        if len(found) >= _OFFSET.size:
            first = last = _OFFSET.unpack_from(found)[0]
        if len(found) >= DefaultRecordBatch.HEADER_STRUCT.size:
            last = DefaultRecordBatch(found).last_offset
        following = self._records._next_slice
        if following is not None:
            # The header may be what is broken: the next batch says where this one ends.
            last = _OFFSET.unpack_from(following)[0] - 1
        elif last - first >= len(found):
            # No uncompressed message takes less than a byte, so this number is broken as well.
            last = first
        # The fetch asked for nothing earlier; no checksum covers where a batch begins.
        first = max(first, self._fetch_offset)
        if last - first > _MOST_MESSAGES:
            last = first
        return StandIns(first, max(first, last, self._fetch_offset), reason)


class StandIns:
    """Looks like a batch of the fetcher's; holds one stand-in an offset."""

    magic = 2
    leader_epoch = -1
    is_control_batch = False
    is_transactional = False

    def __init__(self, first: int, last: int, reason: str, timestamp: int = -1) -> None:
        self.base_offset = first
        self.last_offset = last
        self.next_offset = last + 1
        self._reason = Unreadable(reason)
        self._timestamp = timestamp

    def has_producer_id(self) -> bool:
        """Whether it belongs to a producer: nobody knows."""
        return False

    def validate_crc(self) -> bool:
        """Nothing is left to check."""
        return True

    def __iter__(self) -> Iterator[DefaultRecord]:
        for offset in range(self.base_offset, self.next_offset):
            yield DefaultRecord(0, offset, self._timestamp, 0, None, self._reason, [])


class _Checked:
    """A batch whose checksum matches: all of its records, or a stand-in for each."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """It was checked before."""
        return True

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        try:
            # Complete before the first is handed out: a cut batch shows only at its end.
            records: Sequence[Any] = list(batch)
        except Exception as error:  # noqa: BLE001 - each codec has exceptions of its own kind
            # Their texts may quote the message, which nobody has scrubbed yet.
            return iter(StandIns(*_span(batch), _why(batch, error), _time(batch)))
        return iter(records)


def _span(batch: Any) -> tuple[int, int]:
    last = batch.last_offset if batch.magic == 2 else batch.base_offset
    return batch.base_offset, max(last, batch.base_offset)


def _time(batch: Any) -> int:
    return int(batch.first_timestamp) if batch.magic == 2 else -1


def _why(batch: Any, error: Exception) -> str:
    codec = batch.compression_type
    if codec not in _CODECS:
        return f"the batch's compression (codec {codec}) is unknown"
    if isinstance(error, UnsupportedCodecError):
        return f"the batch's compression ({_CODECS[codec]}) needs a package that isn't installed"
    return f"the batch can't be decoded ({_CODECS[codec]}, {type(error).__name__})"
