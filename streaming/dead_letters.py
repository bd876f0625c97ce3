"""Messages that were refused, in a topic of their own, and their way back.

A letter's key is its message's place, so the two readers of the stream, and any repetition, write
one letter. A letter that was settled is followed by an empty message under the same key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError

from lakehouse.catalog import COMPLAINTS_TOPIC, DEAD_LETTERS_TOPIC
from lakehouse.complaint import Complaint, delivered, parse, utc_now
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings
from streaming import broker
from streaming.broker import Topic
from streaming.produce import to_value
from streaming.received import ALREADY_USED, DeadLetter, from_json, receive, to_json
from streaming.unreadable import Unreadable

SEND_TIMEOUT = 30
"""Seconds until an unconfirmed letter fails the batch that it belongs to."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did: open letters read, sent again, and still refused."""

    read: int
    replayed: int
    kept: int


class Outbox:
    """Sends dead letters. Connects at the first one: most streams have none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = contextlib.ExitStack()
        self._client: KafkaProducer | None = None

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters; returns once the broker has them all.

        Raises:
            KafkaError: it does not have them all, or none answers. The batch must not be committed.

        """
        if not letters:
            return
        if self._client is None:
            try:
                self._client = self._open.enter_context(broker.producer(self._settings))
            except ServiceUnavailable as error:
                raise KafkaConnectionError(error.message) from None
        try:
            waiting = [_send(self._client, letter) for letter in letters]
            self._client.flush(timeout=SEND_TIMEOUT)
            for sent in waiting:
                sent.get(timeout=SEND_TIMEOUT)
        except KafkaError:
            # What it still holds would be sent beside the repetition.
            self._client = None
            self._open.close()
            raise


def _send(client: KafkaProducer, letter: DeadLetter) -> Any:
    return client.send(
        DEAD_LETTERS_TOPIC,
        key=letter.place.key.encode(),
        value=to_json(letter),
        headers=[
            ("reason", f"{letter.field}: {letter.reason}".encode()),
            ("partition", str(letter.place.partition).encode()),
            ("offset", str(letter.place.offset).encode()),
        ],
    )


def open_letters(settings: Settings, topic: Topic) -> dict[str, DeadLetter]:
    """All letters that are not settled, by key.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    spans = broker.spans(settings, topic)
    starts = {partition: span.first for partition, span in spans.items()}
    letters: dict[str, DeadLetter] = {}
    for record in broker.records(settings, spans, starts):
        if isinstance(record.value, Unreadable):
            # Nobody knows whose letter it is: it is one itself, and stays open.
            lost = receive(record, topic.identity, utc_now())
            assert isinstance(lost, DeadLetter)
            letters[lost.place.key] = lost
            continue
        if record.key is None:
            # Nobody's letter: whoever wrote it is none of the readers.
            continue
        key = record.key.decode()
        if record.value is None:
            letters.pop(key, None)
        else:
            letters[key] = from_json(record.value)
    return letters


def replay(settings: Settings) -> Replayed:
    """Send those dead letters again that today's rules accept, and settle them.

    The topic still has the message as delivered; where it has gone, the letter's own text has to
    do. A message whose id is taken by other content stays where it is.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    complaints, letters_topic = broker.require_topics(settings)
    letters = open_letters(settings, letters_topic)
    replayed = 0
    with broker.unavailable(settings), broker.producer(settings) as sender:
        for key, letter in letters.items():
            if letter.reason == ALREADY_USED:
                continue
            value = _original(settings, complaints, letter)
            result = parse(value or letter.raw.encode(), utc_now())
            if isinstance(result, Complaint):
                feedback_id = result.feedback_id.encode()
                value = to_value(delivered(result))
                sender.send(COMPLAINTS_TOPIC, key=feedback_id, value=value).get(SEND_TIMEOUT)
                sender.send(DEAD_LETTERS_TOPIC, key=key.encode(), value=None).get(SEND_TIMEOUT)
                replayed += 1
    return Replayed(len(letters), replayed, len(letters) - replayed)


def _original(settings: Settings, topic: Topic, letter: DeadLetter) -> bytes | None:
    """The refused message as the topic has it, or None where it is gone."""
    place = letter.place
    partition = TopicPartition(topic.name, place.partition)
    if place.topic != topic.identity or partition not in topic.partitions:
        return None
    with broker.consumer(settings) as client:
        client.assign([partition])
        if place.offset < client.beginning_offsets([partition])[partition]:
            return None
        client.seek(partition, place.offset)
        for _ in range(20):
            for record in client.poll(timeout_ms=500, max_records=1).get(partition, []):
                if record.offset != place.offset or isinstance(record.value, Unreadable):
                    return None
                value: bytes | None = record.value
                return value
    return None
