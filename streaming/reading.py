"""The loop that both readers of the topic share: batches, rebalances, a clean stop, waiting."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from types import FrameType
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaConnectionError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import MemberState

from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.settings import Settings
from streaming import broker
from streaming.broker import Topic
from streaming.unreadable import runs

POLL_SECONDS = 0.3
REBALANCE_SECONDS = 2
"""Length of a poll during a rebalance: kafka-python loses an assignment between two polls."""
PATIENCE = 60
"""Seconds that a run with an end waits for a broker that went away."""
HEALTH_SECONDS = 60
STUCK_SECONDS = 20
"""Longer than any rebalance takes."""
# Somebody else owns the partition now, and reads from where we last committed: nothing is lost.
_NOT_OURS = (
    CommitFailedError,
    IllegalGenerationError,
    UnknownMemberIdError,
    RebalanceInProgressError,
)
Batch = dict[TopicPartition, list[Any]]


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a consumer group, reading the complaints in batches.

    Args:
        client: a consumer of that group.
        topic: what to read.
        stop: set it to end after the batch under way.
        until_idle: end once everything that stands in the topic was read.
        unfinished: whether something that was read still waits for its commit; no end before that.
        linger: seconds that a batch waits to fill; none gets older.
        batch_size: records that end the waiting.
        start_at: where to begin in a partition, given its committed offset.
        forget: told of a partition that was taken away: whatever was read of it comes again.
        say: writes one line for people.

    """

    def __init__(
        self,
        client: KafkaConsumer,
        topic: Topic,
        settings: Settings,
        *,
        stop: threading.Event,
        until_idle: bool,
        linger: float,
        batch_size: int,
        start_at: Callable[[TopicPartition, int], int] = lambda _, committed: committed,
        forget: Callable[[TopicPartition], None] = lambda _: None,
        unfinished: Callable[[], bool] = lambda: False,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._topic = topic
        self._settings = settings
        self._stop = stop
        self._until_idle = until_idle
        self._linger = linger
        self._batch_size = batch_size
        self._start_at = start_at
        self._forget = forget
        self._unfinished = unfinished
        self._say = say
        self._pending: Batch = {}
        self._pending_since = 0.0
        self._silent_since: float | None = None
        self._checked_at = time.monotonic()
        self._topic_checked_at = time.monotonic()
        self._rebalancing_since: float | None = None
        self._rebalanced: SimpleQueue[tuple[bool, set[TopicPartition]]] = SimpleQueue()
        self._assignments = 0
        self._expelled_at = -1
        self._unplaced: set[TopicPartition] = set()
        self.is_idle = False
        """Everything that stands in the topic was read."""
        self.positions: dict[TopicPartition, int] = {}
        """Where to go on once the last batch is stored; behind the ends of transactions too."""
        self._begun_at: dict[TopicPartition, int] = {}
        self._held_back: dict[TopicPartition, int] = {}
        client.subscribe([topic.name], listener=self)
        # A leader that doesn't know the topic yet shares nothing out, and the group starts twice.
        with contextlib.suppress(KafkaError):
            client.partitions_for_topic(topic.name)

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Note them: this runs on the client's own thread, where it can't be asked anything."""
        self._rebalanced.put((False, set(revoked)))

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Note them as well."""
        self._rebalanced.put((True, set(assigned)))
        self._assignments += 1

    def batches(self) -> Iterator[Batch]:
        """Records by partition; an empty batch now and then while nothing comes.

        Ends when asked to stop, or at the end of the topic with ``until_idle``.

        Raises:
            ServiceUnavailable: the topic was made anew; or, with ``until_idle``, the broker was
                away, or gave no partition, for too long.

        """
        while not self._stop.is_set():
            for partition, records in self._poll().items():
                if not self._pending:
                    self._pending_since = time.monotonic()
                self._pending.setdefault(partition, []).extend(records)
            self.is_idle = self._until_idle and self._at_end()
            if self._pending and (self.is_idle or self._is_due()):
                batch, self._pending = self._pending, {}
                self._note_positions()
                self._name_unreadable(batch)
                yield batch
            elif not self._pending:
                self._note_positions()
                self._watch_broker()
                self._watch_group()
                yield {}
                if self.is_idle and not self._unfinished() and self._others_are_done():
                    return

    def _poll(self) -> Batch:
        seconds = POLL_SECONDS if self._is_stable() else REBALANCE_SECONDS
        try:
            records: Batch = self._client.poll(timeout_ms=int(seconds * 1000))
        except KafkaConnectionError:
            # The broker went away in the middle of an answer: what that means is told elsewhere.
            records = {}
            self._stop.wait(POLL_SECONDS)
        if self._client.group_metadata().state == MemberState.REBALANCING:
            # kafka-python applies a share that came between two polls only where the member still
            # wants to join. A leader that rejoins for a changed topic stopped wanting when it had
            # shared out, and would neither read nor be in the group ever after.
            self._client._coordinator.request_rejoin()
        while not self._rebalanced.empty():
            is_assigned, partitions = self._rebalanced.get()
            for partition in partitions:
                # The client goes on where it was in a partition that it keeps. What was read of it
                # and isn't committed is forgotten here, so it has to be read again.
                self._pending.pop(partition, None)
                self._forget(partition)
            self._unplaced = partitions if is_assigned else self._unplaced - partitions
        for partition in self._unplaced & records.keys():
            del records[partition]
        for partition in list(self._unplaced):
            self._place(partition)
        return records

    def _place(self, partition: TopicPartition) -> None:
        """Begin in a partition where its committed offset says; tried again until it is known."""
        if partition in self._client.assignment():
            try:
                committed = self._client.committed(partition, timeout_ms=2_000) or 0
                self._begun_at[partition] = committed
                self._client.seek(partition, self._start_at(partition, committed))
            except (KafkaError, ServiceUnavailable):
                return
        self._unplaced.discard(partition)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit next offsets; False where the partitions went to somebody else meanwhile.

        Raises:
            KafkaError: the broker doesn't answer.

        """
        assignments = self._assignments
        if not self._rebalanced.empty():
            # Who came back to the group may commit again, also what is another's by now.
            return False
        positions = {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()}
        try:
            self._client.commit(positions, timeout_ms=5_000)
        except _NOT_OURS:
            self._expelled_at = assignments
            return False
        return True

    def until_done(self, work: Callable[[], object], trouble: tuple[type[Exception], ...]) -> bool:
        """Do ``work``, again and again while ``trouble`` comes of it; False when asked to stop.

        Raises:
            ServiceUnavailable: with ``until_idle``, it went on for too long.

        """
        since: float | None = None
        told = False
        while True:
            try:
                work()
            except trouble as error:
                now = time.monotonic()
                if since is None:
                    since = now
                    # That the broker is away may have been said while nothing came.
                    told = self._silent_since is not None and isinstance(error, KafkaError)
                    if not told:
                        self._say(f"{_name(error)}: waiting, nothing is committed")
                if self._until_idle and now - since > PATIENCE:
                    raise _unavailable(error) from error
                if self._stop.wait(random.uniform(0.5, 2)):
                    return False
            else:
                if since is not None and not told:
                    self._say("going on")
                return True

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._pending_since
        return waited >= self._linger or self._count() >= self._batch_size

    def _count(self) -> int:
        return sum(map(len, self._pending.values()))

    def _at_end(self) -> bool:
        # During a rebalance, other requests wait until it ends. Then its result comes between two
        # polls and is lost.
        if not self._is_stable() or self._unplaced or not self._rebalanced.empty():
            return False
        if self._expelled_at == self._assignments:
            # Out of the group, until it gets partitions anew.
            return False
        assigned = self._client.assignment()
        if not assigned:
            # In a group of more members than partitions, somebody has nothing to do.
            return True
        behind: dict[TopicPartition, int] = {}
        for partition in assigned:
            end = self._client.highwater(partition)
            position = self._client.position(partition, timeout_ms=1_000)
            if end is None or position is None:
                return False
            if position < end:
                behind[partition] = position
        return not behind or self._are_held_back(behind)

    def _are_held_back(self, behind: dict[TopicPartition, int]) -> bool:
        """Whether nothing but open transactions keeps these partitions from their ends.

        Nobody knows when a transaction ends, or how. So an end of the topic is where it begins.
        """
        written = {partition: self._client.highwater(partition) for partition in behind}
        try:
            ends = broker.committed_ends(self._settings, self._client, written)
        except KafkaError:
            return False
        if any(at < ends[partition] for partition, at in behind.items()):
            return False
        for partition, at in behind.items():
            if self._held_back.get(partition) != at:
                self._held_back[partition] = at
                self._say(
                    f"partition {partition.partition}: a transaction that is still open holds back"
                    f" everything from offset {at} on; run this again once it has ended"
                )
        return True

    def _note_positions(self) -> None:
        positions = {}
        for partition in self._client.assignment() - self._unplaced:
            with contextlib.suppress(KafkaError):
                position = self._client.position(partition, timeout_ms=1_000)
                if position is not None:
                    positions[partition] = position
        self.positions = positions

    def _name_unreadable(self, batch: Batch) -> None:
        for partition, records in batch.items():
            new = (
                record for record in records if record.offset >= self._begun_at.get(partition, 0)
            )
            for first, last, why in runs(new):
                self._say(
                    f"partition {partition.partition}, offsets {first} to {last}: {why};"
                    " put into dead letters, one for each message"
                )

    def _others_are_done(self) -> bool:
        """Whether what other members of the group hold is committed to its end.

        One that died holds its partitions until its session ends: then they are read here.
        """
        others = list(set(self._topic.partitions) - set(self._client.assignment()))
        if not others:
            return True
        try:
            reached = {
                partition: self._client.committed(partition, timeout_ms=2_000) or 0
                for partition in others
            }
            spans = broker.spans(self._settings, self._topic)
            return broker.count(self._settings, spans, reached) == 0
        except (KafkaError, ServiceUnavailable):
            return False

    def _broker_answers(self) -> bool:
        """A frozen broker still takes connections: only an answer counts."""
        if not broker.listens(self._settings):
            return False
        try:
            self._client.beginning_offsets(self._topic.partitions, timeout_ms=2_000)
        except KafkaError:
            return False
        return True

    def _watch_broker(self) -> None:
        """Say once that the broker went away, and once that it is back."""
        now = time.monotonic()
        if now - self._checked_at < 2:
            return
        self._checked_at = now
        if self._broker_answers():
            if self._silent_since is not None or now - self._topic_checked_at > HEALTH_SECONDS:
                self._require_same_topic()
            if self._silent_since is not None:
                self._say("the Kafka broker answers again")
            self._silent_since = None
            return
        if self._silent_since is None:
            self._silent_since = now
            self._say("the Kafka broker does not answer: waiting, nothing is committed")
        if self._until_idle and now - self._silent_since > PATIENCE:
            raise ServiceUnavailable(
                f"the Kafka broker at {self._settings.kafka_bootstrap} does not answer",
                "start it: discover up kafka",
            )

    def _require_same_topic(self) -> None:
        """A topic made anew begins at offset 0 again, where nobody's position here leads."""
        self._topic_checked_at = time.monotonic()
        try:
            topic, _ = broker.require_topics(self._settings)
        except (KafkaError, ServiceUnavailable):
            return
        if topic.identity != self._topic.identity:
            raise ServiceUnavailable(
                f"the topic {topic.name} was made anew while it was read",
                "start the reader again: it reads the new one from its beginning",
            )

    def _watch_group(self) -> None:
        """Notice a rebalance that doesn't end although the broker answers."""
        if self._is_stable() or self._silent_since is not None:
            self._rebalancing_since = None
            return
        now = time.monotonic()
        if self._rebalancing_since is None:
            self._rebalancing_since = now
        waited = now - self._rebalancing_since
        if waited > STUCK_SECONDS and self._revive():
            self._say("the rebalance of the consumer group did not end: created the group again")
            self._rebalancing_since = now
        elif self._until_idle and waited > PATIENCE:
            raise ServiceUnavailable(
                "the rebalance of the consumer group does not end",
                "check which other readers are in the group, then try again",
            )

    def _revive(self) -> bool:
        try:
            return broker.revive(self._settings, self._client.config["group_id"])
        except (KafkaError, ServiceUnavailable):
            return False

    def _is_stable(self) -> bool:
        """Whether this member has its assignment and no rebalance is under way."""
        return bool(self._client.group_metadata().state == MemberState.STABLE)


def _name(error: Exception) -> str:
    if isinstance(error, DiscoverError):
        return error.message
    who = "the Kafka broker" if isinstance(error, KafkaError) else "the lake"
    return f"{who} does not answer ({type(error).__name__})"


def _unavailable(error: Exception) -> ServiceUnavailable:
    if isinstance(error, ServiceUnavailable):
        return error
    return ServiceUnavailable(
        f"gave up waiting: {_name(error)}", "start what is missing: discover up"
    )


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, for the time of the ``with`` block."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
