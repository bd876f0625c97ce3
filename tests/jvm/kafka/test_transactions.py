"""Transactions and damaged batches on Apache Kafka: only what was committed and can be read."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition

from lakehouse.catalog import COMPLAINTS_TOPIC, DYNAMODB_GROUP, LAKE_GROUP
from lakehouse.settings import Settings
from streaming import broker, dead_letters
from streaming.consume import consume
from streaming.sink import sink
from streaming.status import status
from tests.integration.test_stream import contents_of_landing, contents_of_table

P = TopicPartition(COMPLAINTS_TOPIC, 2)


@pytest.fixture
def transactions(settings: Settings) -> Iterator[KafkaProducer]:
    """A producer with transactions; the topic exists and is read to its end."""
    read_all(settings)
    client = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, transactional_id=str(uuid.uuid4())
    )
    client.init_transactions()
    yield client
    client.close()


def read_all(settings: Settings, said: list[str] | None = None) -> tuple[Any, Any]:
    say = (said if said is not None else []).append
    return consume(settings, until_idle=True, say=say), sink(settings, until_idle=True, say=say)


def complaint() -> tuple[str, bytes]:
    feedback_id = str(uuid.uuid4())
    message = {"feedback_id": feedback_id, "category": "Card Issue", "description": "Declined."}
    return feedback_id, json.dumps(message).encode()


def send(producer: KafkaProducer, count: int) -> set[str]:
    sent = [complaint() for _ in range(count)]
    for _, value in sent:
        producer.send(COMPLAINTS_TOPIC, value, partition=P.partition)
    producer.flush()
    return {feedback_id for feedback_id, _ in sent}


def counted(settings: Settings) -> tuple[int, int, int]:
    found = status(settings)
    groups = found["groups"]
    return found["topic"]["messages"], groups["dynamodb"]["lag"], groups["lake"]["lag"]


def stored(settings: Settings) -> set[str]:
    table, landed = set(contents_of_table(settings)), set(contents_of_landing(settings))
    assert table == landed
    return table


def test_what_was_taken_back_is_nowhere_and_the_ends_of_transactions_are_no_messages(
    settings: Settings, transactions: KafkaProducer
) -> None:
    before, (messages, *_) = stored(settings), counted(settings)
    transactions.begin_transaction()
    taken_back = send(transactions, 3)
    transactions.abort_transaction()
    transactions.begin_transaction()
    kept = send(transactions, 2)
    transactions.commit_transaction()
    assert counted(settings) == (messages + 2, 2, 2)
    consumed, sunk = read_all(settings)
    assert (consumed.read, consumed.stored, consumed.dead_letters) == (2, 2, 0)
    assert (sunk.read, sunk.landed, sunk.dead_letters) == (2, 2, 0)
    assert stored(settings) - before == kept
    assert not stored(settings) & taken_back
    assert counted(settings) == (messages + 2, 0, 0)
    # Nothing but ends of transactions is left: a second run ends at once.
    transactions.begin_transaction()
    send(transactions, 1)
    transactions.abort_transaction()
    consumed, sunk = read_all(settings)
    assert (consumed.read, sunk.read) == (0, 0)
    assert counted(settings) == (messages + 2, 0, 0)


def test_an_open_transaction_is_named_waited_for_by_nobody_and_read_once_it_ends(
    settings: Settings, transactions: KafkaProducer
) -> None:
    before, (messages, *_) = stored(settings), counted(settings)
    transactions.begin_transaction()
    kept = send(transactions, 2)
    with broker.producer(settings) as other:
        # It came later in the same partition, so it has to wait as well.
        kept |= send(other, 1)
    said: list[str] = []
    consumed, sunk = read_all(settings, said)
    assert (consumed.read, sunk.read) == (0, 0)
    held = status(settings)["topic"]["open_transactions"]
    assert [found["partition"] for found in held] == [P.partition]
    assert [f"from offset {held[0]['offset']} on" in line for line in said] == [True, True]
    assert counted(settings) == (messages, 0, 0)
    transactions.commit_transaction()
    assert counted(settings) == (messages + 3, 3, 3)
    read_all(settings)
    assert stored(settings) - before == kept
    assert status(settings)["topic"]["open_transactions"] == []


def test_a_position_behind_what_was_taken_back_does_not_hang_the_sink(
    settings: Settings, transactions: KafkaProducer
) -> None:
    """Readers of before this rule committed the offsets of such messages."""
    transactions.begin_transaction()
    send(transactions, 3)
    transactions.abort_transaction()
    topic, _ = broker.require_topics(settings)
    written = broker.spans(settings, topic)[P].written
    with broker.admin(settings) as admin:
        for group in (DYNAMODB_GROUP, LAKE_GROUP):
            at = {P: OffsetAndMetadata(written - 1, "", -1)}
            admin.alter_group_offsets(topic.group(group), at)
    consumed, sunk = read_all(settings)
    assert (consumed.read, sunk.read) == (0, 0)


def test_a_batch_that_the_disk_damaged_stops_neither_its_partition_nor_another(
    settings: Settings, broker_service: str
) -> None:
    read_all(settings)
    before, messages = stored(settings), counted(settings)[0]
    letters_before = status(settings)["dead_letters"]
    with broker.producer(settings) as sender:
        kept = send(sender, 1)
        lost = [complaint() for _ in range(3)]
        # Sent together they are one batch.
        waiting = [sender.send(COMPLAINTS_TOPIC, value, partition=P.partition) for _, value in lost]
        offsets = [sent.get(10).offset for sent in waiting]
        kept |= send(sender, 2)
        for partition in range(4):
            feedback_id, value = complaint()
            sender.send(COMPLAINTS_TOPIC, value, partition=partition).get(10)
            kept.add(feedback_id)
    damage(settings, broker_service, lost[0][0].encode())
    said: list[str] = []
    consumed, sunk = read_all(settings, said)
    assert (consumed.stored, sunk.landed) == (len(kept), len(kept))
    assert stored(settings) - before == kept
    _, letters_topic = broker.require_topics(settings)
    named = {
        letter.place.offset
        for letter in dead_letters.open_letters(settings, letters_topic).values()
        if letter.reason == "the batch's checksum doesn't match its content"
    }
    assert offsets[0] in named
    assert named <= set(offsets)
    assert status(settings)["dead_letters"] == letters_before + len(named)
    assert counted(settings) == (messages + len(kept) + len(lost), 0, 0)
    assert [line for line in said if f"partition {P.partition}, offsets {offsets[0]}" in line]
    # Once the disk is repaired, the messages come back.
    damage(settings, broker_service, lost[0][0].encode(), repair=True)
    replayed = dead_letters.replay(settings)
    assert replayed.replayed == len(named)
    read_all(settings)
    assert stored(settings) - before >= {feedback_id for feedback_id, _ in lost}
    assert status(settings)["dead_letters"] == letters_before


def damage(settings: Settings, service: str, text: bytes, *, repair: bool = False) -> None:
    """Change one letter of a message where the broker keeps it, or change it back."""
    log = Path(settings.home) / "services" / service / "log" / f"{P.topic}-{P.partition}"
    damaged = b"_" + text[1:]
    old, new = (damaged, text) if repair else (text, damaged)
    (segment,) = [path for path in log.glob("*.log") if old in path.read_bytes()]
    with segment.open("r+b") as stream:
        stream.seek(stream.read().index(old))
        stream.write(new)
