"""A batch that can't be read becomes one stand-in a message, and what is around it is read."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.protocol.consumer import FetchResponse
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from lakehouse.complaint import utc_now
from streaming.received import DeadLetter, Received, receive
from streaming.unreadable import PartitionRecords, Unreadable, runs

P = TopicPartition("customer_feedback", 2)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
SECRET = b"my card is 4539578763621486"


def batch(first: int, values: list[bytes], codec: int = 0, producer: int = -1) -> bytes:
    """A batch as a broker stores it, from offset ``first`` on."""
    builder = DefaultRecordBatchBuilder(2, codec, producer >= 0, producer, 0, 0, 10**6)
    for number, value in enumerate(values):
        builder.append(number, 1_700_000_000_000, None, value, [])
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, first)
    return bytes(built)


def sealed(content: bytes | bytearray) -> bytes:
    """The batch with length and checksum that match its content, as a sender would compute them."""
    again = bytearray(content)
    struct.pack_into(">i", again, 8, len(again) - DefaultRecordBatch.AFTER_LEN_OFFSET)
    crc = calc_crc32c(memoryview(again)[DefaultRecordBatch.ATTRIBUTES_OFFSET :])
    struct.pack_into(">I", again, DefaultRecordBatch.CRC_OFFSET, crc)
    return bytes(again)


def flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 0xFF]) + content[-2:]


def with_codec(content: bytes, codec: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(">h", changed, DefaultRecordBatch.ATTRIBUTES_OFFSET, codec)
    return sealed(changed)


def header_key_is_no_text(content: bytes) -> bytes:
    """Its sender wrote a header whose key is no UTF-8: the error would quote it."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, 0, 0, 10**6)
    for number in range(3):
        builder.append(number, 0, None, SECRET, [("\x01" * 8, b"")])
    built = bytearray(builder.build())
    built[:8] = content[:8]
    return sealed(built.replace(b"\x01" * 8, b"\xff" * 8))


def read(answer: bytes, fetch_offset: int = 0, aborted: Any = None) -> tuple[list[Any], int]:
    """What a consumer gets of a broker's answer, and where it reads on."""
    part = PartitionRecords(
        fetch_offset,
        P,
        MemoryRecords(answer),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=aborted,
    )
    return part.take(10**6), part.next_fetch_offset


VALUES = [SECRET, b"second", b"third"]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_codec_of_kafka_is_read(codec: int) -> None:
    records, reads_on = read(batch(7, [value * 50 for value in VALUES], codec), 7)
    assert [(r.offset, r.value) for r in records] == [(7 + i, v * 50) for i, v in enumerate(VALUES)]
    assert reads_on == 10


BROKEN = {
    "checksum": (flipped, "the batch's checksum doesn't match its content"),
    "unknown codec": (
        lambda found: with_codec(found, 6),
        "the batch's compression (codec 6) is unknown",
    ),
    "says gzip, is none": (
        lambda found: with_codec(found, 1),
        "the batch can't be decoded (gzip, BadGzipFile)",
    ),
    "says snappy, is none": (lambda found: with_codec(found, 2), "(snappy, "),
    "says lz4, is none": (lambda found: with_codec(found, 3), "(lz4, "),
    "says zstd, is none": (lambda found: with_codec(found, 4), "(zstd, "),
    "cut inside its last message": (
        lambda found: sealed(found[:-2]),
        "the batch can't be decoded (uncompressed, CorruptRecordError)",
    ),
    "more bytes than messages": (lambda found: sealed(found + b"\0\0"), "(uncompressed, "),
    "header key": (header_key_is_no_text, "(uncompressed, CorruptRecordError)"),
}


@pytest.mark.parametrize(("damage", "reason"), BROKEN.values(), ids=BROKEN)
def test_each_message_of_a_broken_batch_is_named_and_its_neighbours_are_read(
    damage: Any, reason: str
) -> None:
    before, after = batch(10, [b"a", b"b"]), batch(15, [b"c"])
    records, reads_on = read(before + damage(batch(12, VALUES)) + after, 10)
    assert [record.offset for record in records] == [10, 11, 12, 13, 14, 15]
    assert [r.value for r in records if not isinstance(r.value, Unreadable)] == [b"a", b"b", b"c"]
    assert reads_on == 16
    ((first, last, why),) = runs(records)
    assert (first, last) == (12, 14)
    assert reason in why
    assert "4539" not in why


def test_a_compressed_batch_that_is_cut_is_not_read_in_part() -> None:
    whole = batch(0, [str(number).encode() * 40 for number in range(200)], CODECS["gzip"])
    records, _ = read(sealed(whole[:-40]))
    assert len(records) == 200
    assert {type(record.value) for record in records} == {Unreadable}


def test_what_follows_says_where_a_batch_with_a_broken_header_ends() -> None:
    broken = bytearray(batch(12, VALUES))
    struct.pack_into(">i", broken, DefaultRecordBatch.ATTRIBUTES_OFFSET + 2, 2**31 - 1)
    records, reads_on = read(bytes(broken) + batch(15, [b"c"]), 12)
    assert [record.offset for record in records] == [12, 13, 14, 15]
    # With nothing behind it, the messages are named one by one, as the broker goes on finding it.
    records, reads_on = read(bytes(broken), 12)
    assert ([record.offset for record in records], reads_on) == ([12], 13)


@pytest.mark.parametrize("length", [1, 7, 11, 30, 60, 70])
@pytest.mark.parametrize("fetch_offset", [12, 13, 14])
def test_an_answer_without_one_complete_batch_still_leads_on(
    length: int, fetch_offset: int
) -> None:
    """kafka-python would ask for the same offset for ever."""
    records, reads_on = read(batch(12, VALUES)[:length], fetch_offset)
    assert reads_on > fetch_offset
    assert [r.offset for r in records] == list(range(fetch_offset, reads_on))
    assert {str(r.value) for r in records} == {"the batch is cut short"}


@pytest.mark.parametrize("begins", [0, 2**60])
def test_a_broken_beginning_makes_no_more_messages_than_there_are(begins: int) -> None:
    """No checksum covers it; the batch behind a broken one has one too."""
    broken = flipped(batch(7_000_000, VALUES))
    own = struct.pack(">q", begins) + broken[8:]
    found, after = read(own + batch(7_000_003, VALUES), 7_000_000)
    assert len(found) == 6 or begins
    assert after >= 7_000_003
    found, _ = read(broken + struct.pack(">q", begins) + batch(7_000_003, VALUES)[8:], 7_000_000)
    assert len([one for one in found if isinstance(one.value, Unreadable)]) <= 3


def test_a_batch_too_short_to_be_one_is_passed() -> None:
    records, reads_on = read(struct.pack(">qi", 5, 4) + b"\0\0\0\0", 5)
    assert ([r.offset for r in records], reads_on) == ([5], 6)


def test_reading_on_inside_a_broken_batch_names_the_rest_of_it() -> None:
    records, reads_on = read(with_codec(batch(12, VALUES), 6), 13)
    assert ([record.offset for record in records], reads_on) == ([13, 14], 15)


def test_a_broken_batch_of_an_aborted_transaction_is_no_message() -> None:
    aborted = [
        FetchResponse.FetchableTopicResponse.PartitionData.AbortedTransaction(
            producer_id=5, first_offset=0
        )
    ]
    broken = with_codec(batch(0, VALUES, producer=5), 0x10 | 6)
    records, reads_on = read(broken + batch(3, [b"c"]), 0, aborted)
    assert [(record.offset, record.value) for record in records] == [(3, b"c")]
    assert reads_on == 4


def test_the_library_alone_raises_and_does_not_get_on() -> None:
    """If this fails, kafka-python has learned it: see whether stand-ins are still needed."""
    broken = flipped(batch(0, VALUES))
    part = Fetcher.PartitionRecords(0, P, MemoryRecords(broken))
    with pytest.raises(Exception, match="failed crc check"):
        part.take(10)
    assert part.next_fetch_offset == 0


def test_a_stand_in_is_a_dead_letter_that_keeps_nothing() -> None:
    answer = flipped(batch(4, [SECRET])) + batch(5, [gzip.compress(b"x")])
    records, _ = read(answer, 4)
    letter, other = (receive(record, "topic", utc_now()) for record in records)
    assert isinstance(letter, DeadLetter)
    assert (letter.place.partition, letter.place.offset, letter.field) == (2, 4, "message")
    assert letter.reason == "the batch's checksum doesn't match its content"
    assert letter.raw == ""
    assert not isinstance(other, Received)
