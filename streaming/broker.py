"""The Kafka side: the topics, a client of each kind, and what to say when the broker is away."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
)

from lakehouse.catalog import COMPLAINTS_TOPIC, DEAD_LETTERS_TOPIC
from lakehouse.errors import ServiceUnavailable
from lakehouse.services.own import is_own, require_own
from lakehouse.settings import Settings
from streaming.unreadable import stand_in_for_unreadable

PARTITIONS = 4
SESSION_TIMEOUT_MS = 6000
"""The embedded broker lets a joining group wait for half of it."""
BOOTSTRAP_TIMEOUT_MS = 5000
COORDINATOR_SECONDS = 20
READ_SECONDS = 30
"""Longest silence of a broker that has more to send."""
_AWAY = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError)

# The client warns at every attempt to connect; we say it once, in our own words.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Topic:
    """A topic as it stands. ``identity`` differs for one that was made anew under the same name."""

    name: str
    identity: str
    partitions: tuple[TopicPartition, ...]

    def group(self, name: str) -> str:
        """The consumer group ``name`` for this very topic.

        A committed position says nothing about a topic, or a cluster, that was made anew, where
        offsets begin at 0 again. So a group belongs to one identity, and starts with it.
        """
        return f"{name}.{self.identity}"


def require_topics(settings: Settings) -> tuple[Topic, Topic]:
    """The complaints' topic and that of their dead letters, made where missing.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    with admin(settings) as client:
        missing = {COMPLAINTS_TOPIC, DEAD_LETTERS_TOPIC} - set(client.list_topics())
        for name in sorted(missing):
            # Kept for good: nothing that was refused may vanish by age.
            options = {"retention.ms": "-1"} if name == DEAD_LETTERS_TOPIC else {}
            # -1 is the broker's own choice; another process may make the topic at the same time.
            with contextlib.suppress(TopicAlreadyExistsError):
                client.create_topics([NewTopic(name, PARTITIONS, -1, topic_configs=options)])
        if missing:
            client.wait_for_topics([COMPLAINTS_TOPIC, DEAD_LETTERS_TOPIC])
        cluster = client.describe_cluster()["cluster_id"]
        described = {
            found["name"]: found
            for found in client.describe_topics([COMPLAINTS_TOPIC, DEAD_LETTERS_TOPIC])
        }
    return (
        _topic(described[COMPLAINTS_TOPIC], cluster),
        _topic(described[DEAD_LETTERS_TOPIC], cluster),
    )


@contextlib.contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An administration client.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    require_broker(settings)
    with unavailable(settings):
        client = KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap,
            bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
            request_timeout_ms=10_000,
        )
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    """A producer that waits for all replicas and repeats what was not confirmed, in order.

    It is idempotent on every broker but the embedded one. That one, killed in the middle of a
    write, may keep a batch's sequence number without its records, and would confirm the repetition
    as known. There a message may stand twice; whoever reads it tells that by its key.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    require_broker(settings)
    with unavailable(settings):
        client = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
            acks="all",
            enable_idempotence=not is_own(settings, "kafka", settings.kafka_bootstrap),
            max_in_flight_requests_per_connection=1,
            linger_ms=5,
            max_block_ms=5_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=30_000,
        )
    try:
        yield client
    finally:
        try:
            client.close(timeout=2)
        except KafkaTimeoutError:
            # It gave up before it ended its thread, which would go on sending, and complain later.
            client._sender.force_close()
            client.close(timeout=2)
            raise


@contextlib.contextmanager
def consumer(settings: Settings, group: str | None = None) -> Iterator[KafkaConsumer]:
    """A consumer that never commits by itself; without a group, for ``assign`` and ``seek``.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    require_broker(settings)
    options: dict[str, Any] = {}
    if group is not None:
        options = {
            "group_id": group,
            "session_timeout_ms": SESSION_TIMEOUT_MS,
            "heartbeat_interval_ms": SESSION_TIMEOUT_MS // 3,
        }
    with unavailable(settings):
        client = KafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # An aborted transaction's messages were never sent.
            isolation_level="read_committed",
            reconnect_backoff_max_ms=1_000,
            request_timeout_ms=10_000,
            # A whole topic of small messages in few polls.
            max_poll_records=2_000,
            **options,
        )
    stand_in_for_unreadable(client)
    try:
        yield client
    finally:
        client.close(autocommit=False, timeout_ms=3_000)


def committed(settings: Settings, *groups: str) -> list[dict[TopicPartition, int]]:
    """The positions that these groups have committed, by partition.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    deadline = time.monotonic() + COORDINATOR_SECONDS
    with admin(settings) as client:
        while True:
            try:
                found = client.list_group_offsets(dict.fromkeys(groups))
            except KafkaError as error:
                # A broker that has just started first makes, or reads, the topic of all positions.
                if not error.retriable or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return [{tp: at.offset for tp, at in found[group].items()} for group in groups]


def revive(settings: Settings, group: str) -> bool:
    """Make a group anew that gives nobody its partitions, at its positions if the broker lets us.

    The embedded broker lets a group wait for ever for a leader that left while the group was
    changing, as when two members stop together. What is read again then is stored once, as
    ever: no position here says what is stored.

    Returns:
        False where nothing was done: on any broker but the embedded one.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    if not is_own(settings, "kafka", settings.kafka_bootstrap):
        return False
    with admin(settings) as client:
        positions = client.list_group_offsets({group: None})[group]
        client.delete_groups([group])
        if positions:
            # A member that is back already forbids it, and has begun at the topic's first message.
            with contextlib.suppress(KafkaError):
                client.alter_group_offsets(group, positions)
    return True


@dataclass(frozen=True)
class Span:
    """The offsets of a partition that can be read: from ``first`` up to, without, ``end``."""

    first: int
    end: int
    written: int
    """The next offset to be written. Beyond ``end`` when a transaction is still open there."""


def spans(settings: Settings, topic: Topic) -> dict[TopicPartition, Span]:
    """What every partition holds now.

    Asked by fetching, as the embedded broker's ``end_offsets`` are too low; and with a separate
    client, because one that paused partitions may not fetch them again.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    with unavailable(settings), consumer(settings) as client:
        client.assign(topic.partitions)
        beginnings = client.beginning_offsets(topic.partitions)
        for partition in topic.partitions:
            client.seek(partition, beginnings[partition])
        waiting = set(topic.partitions)
        for _ in range(100):
            client.poll(timeout_ms=100, max_records=1)
            # The records of one that answered would be handed out before the next is looked at.
            client.pause(*(tp for tp in waiting if client.highwater(tp) is not None))
            waiting -= client.paused()
            if not waiting:
                written = {tp: client.highwater(tp) for tp in topic.partitions}
                ends = committed_ends(settings, client, written)
                return {tp: Span(beginnings[tp], ends[tp], written[tp]) for tp in topic.partitions}
    raise _unavailable(settings)


def committed_ends(
    settings: Settings, client: KafkaConsumer, written: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Where the first open transaction of each partition begins, or what is written ends.

    Raises:
        KafkaError: the broker doesn't answer.

    """
    if is_own(settings, "kafka", settings.kafka_bootstrap):
        # It knows no transactions, and its end_offsets are too low.
        return dict(written)
    found = client.end_offsets(list(written), timeout_ms=5_000)
    return {partition: min(found[partition], end) for partition, end in written.items()}


def count(
    settings: Settings, spans: Mapping[TopicPartition, Span], starts: Mapping[TopicPartition, int]
) -> int:
    """Count the messages from ``starts`` on.

    Offsets can't say: a transaction's end takes one too, and so does each message that was taken
    back.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    if is_own(settings, "kafka", settings.kafka_bootstrap):
        # It knows no transactions: each offset is a message.
        return sum(max(spans[tp].end - max(at, spans[tp].first), 0) for tp, at in starts.items())
    return sum(1 for _ in records(settings, spans, starts))


def records(
    settings: Settings, spans: Mapping[TopicPartition, Span], starts: Mapping[TopicPartition, int]
) -> Iterator[Any]:
    """Read the records from ``starts`` up to the spans' ends, in order within a partition.

    Raises:
        ServiceUnavailable: no broker answers.

    """
    behind = {tp: max(at, spans[tp].first) for tp, at in starts.items()}
    behind = {tp: at for tp, at in behind.items() if at < spans[tp].end}
    if not behind:
        return
    with unavailable(settings), consumer(settings) as client:
        client.assign(list(behind))
        for partition, at in behind.items():
            client.seek(partition, at)
        silent_until = time.monotonic() + READ_SECONDS
        while any(client.position(tp) < spans[tp].end for tp in behind):
            polled = client.poll(timeout_ms=500)
            if polled:
                silent_until = time.monotonic() + READ_SECONDS
            elif time.monotonic() > silent_until:
                raise KafkaTimeoutError
            for partition, found in polled.items():
                yield from (record for record in found if record.offset < spans[partition].end)


def require_broker(settings: Settings) -> None:
    """Ask once whether a broker listens.

    Raises:
        ServiceUnavailable: none does.

    """
    require_own(settings, "kafka", settings.kafka_bootstrap)
    if not listens(settings):
        raise _unavailable(settings)


def listens(settings: Settings) -> bool:
    """Whether one of the brokers takes a connection."""
    for address in settings.kafka_bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except (OSError, ValueError):
            continue
        return True
    return False


@contextlib.contextmanager
def unavailable(settings: Settings) -> Iterator[None]:
    """Turn the client's ways of finding no broker into the one error that users see."""
    try:
        yield
    except _AWAY:
        raise _unavailable(settings) from None


def _unavailable(settings: Settings) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"the Kafka broker at {settings.kafka_bootstrap} does not answer",
        "start it: discover up kafka",
    )


def _topic(described: dict[str, Any], cluster: str) -> Topic:
    name = described["name"]
    # Brokers before 2.8 give topics no id; there the cluster's has to do.
    identity = str(described["topic_id"] or cluster).replace("-", "")
    numbers = sorted(partition["partition_index"] for partition in described["partitions"])
    return Topic(name, identity, tuple(TopicPartition(name, number) for number in numbers))
