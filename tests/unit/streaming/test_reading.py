"""What a rebalance interrupts is read again, and nothing that wasn't stored is committed."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from kafka.structs import MemberState

from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import load
from streaming import reading
from streaming.broker import Topic
from streaming.reading import Reader
from streaming.unreadable import Unreadable

P = TopicPartition("customer_feedback", 0)


class Client:
    """A consumer of one partition that goes on where it was, as kafka-python does."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.at = 0
        self.stands = 0
        self.commits: list[int] = []
        self.listener: Any = None
        self.silent = 0
        self.failures: list[KafkaError] = []
        self.partitions = {P}
        self.state = MemberState.STABLE
        self.config = {"group_id": "the group"}
        self._coordinator = SimpleNamespace(request_rejoin=lambda: None)

    def subscribe(self, _topics: Any, listener: Any) -> None:
        self.listener = listener
        listener.on_partitions_assigned({P})

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {P.partition}

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """Ten records."""
        first, self.at = self.at, min(self.at + 10, self.end)
        records = [SimpleNamespace(offset=offset, value=b"") for offset in range(first, self.at)]
        return {P: records} if records else {}

    def rebalance(self) -> None:
        """The partition goes and comes back; the client keeps its position."""
        self.listener.on_partitions_revoked({P})
        self.listener.on_partitions_assigned({P})

    def committed(self, _partition: TopicPartition, timeout_ms: int) -> int | None:
        if self.silent:
            self.silent -= 1
            raise KafkaTimeoutError
        return self.stands or None

    def commit(self, offsets: Any, timeout_ms: int) -> None:
        if self.failures:
            raise self.failures.pop()
        self.stands = offsets[P].offset
        self.commits.append(self.stands)

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self.at = offset

    def assignment(self) -> set[TopicPartition]:
        return self.partitions

    def highwater(self, _partition: TopicPartition) -> int:
        return self.end

    def position(self, _partition: TopicPartition, timeout_ms: int) -> int:
        return self.at

    def group_metadata(self) -> Any:
        return SimpleNamespace(state=self.state)

    def beginning_offsets(self, _partitions: Any, timeout_ms: int) -> dict[TopicPartition, int]:
        return {P: 0}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reading.broker, "listens", lambda _: True)

    def made(client: Client, **options: Any) -> Reader:
        return Reader(
            client,
            Topic(P.topic, "topic", (P,)),
            load(tmp_path, "local"),
            stop=threading.Event(),
            **{"until_idle": True, "say": lambda _: None, "linger": 60, "batch_size": 1000}
            | options,
        )

    return made


def read(reader: Reader, *, during: Any = lambda _: None) -> list[int]:
    """Offsets that a consumer stored, in order; it commits each batch after that."""
    stored: list[int] = []
    for batch in reader.batches():
        for records in batch.values():
            stored += [record.offset for record in records]
            during(stored)
            reader.commit({P: records[-1].offset + 1})
    return stored


def test_what_waited_for_its_batch_is_read_again(make: Any) -> None:
    client = Client(50)
    polls = iter([None, None, client.rebalance])
    real = client.poll

    def poll(timeout_ms: int) -> Any:
        """The third one brings records that the client had fetched before it lost its place."""
        if step := next(polls, None):
            step()
        return real(timeout_ms)

    client.poll = poll  # type: ignore[method-assign]
    assert read(make(client)) == list(range(50))
    assert client.commits == [50]


def test_a_batch_that_a_rebalance_overtook_is_not_committed_and_comes_again(make: Any) -> None:
    client = Client(30)
    overtaken: list[int] = []

    def during(stored: list[int]) -> None:
        if not overtaken:
            overtaken.extend(stored)
            client.rebalance()

    stored = read(make(client, batch_size=10, linger=0), during=during)
    assert overtaken == list(range(10))
    assert stored == [*range(10), *range(30)]
    assert client.commits == [10, 20, 30]


def test_a_broker_that_does_not_tell_the_position_is_asked_again(make: Any) -> None:
    client = Client(20)
    client.stands, client.silent = 5, 3
    assert read(make(client)) == list(range(5, 20))


@pytest.mark.parametrize("away", [KafkaConnectionError, KafkaTimeoutError])
def test_a_broker_that_goes_away_in_a_commit_takes_no_partition_away(
    make: Any, away: type[KafkaError]
) -> None:
    """No rebalance follows that would bring it back: the same commit has to be tried again."""
    client = Client(20)
    client.failures.append(away("gone"))
    reader = make(client, batch_size=10, linger=0)
    assert next(filter(None, reader.batches()))
    with pytest.raises(away):
        reader.commit({P: 10})
    assert reader.commit({P: 10})
    assert client.commits == [10]


def test_a_topic_that_was_made_anew_under_its_reader_ends_it(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = Topic(P.topic, "another", (P,))
    monkeypatch.setattr(reading.broker, "require_topics", lambda _: (anew, anew))
    reader = make(Client(0), until_idle=False)
    # The broker was away: what answers now may be another one.
    reader._silent_since, reader._checked_at = 0.0, 0.0
    with pytest.raises(ServiceUnavailable, match="made anew"):
        read(reader)


@pytest.mark.parametrize("partitions", [set(), {P}], ids=["no partition", "an old assignment"])
def test_a_rebalance_that_does_not_end_is_ended_or_given_up(
    make: Any, monkeypatch: pytest.MonkeyPatch, partitions: set[TopicPartition]
) -> None:
    asked: list[str] = []

    def revive(_settings: Any, group: str) -> bool:
        asked.append(group)
        return len(asked) == 1

    monkeypatch.setattr(reading.broker, "revive", revive)
    monkeypatch.setattr(reading, "STUCK_SECONDS", -1)
    monkeypatch.setattr(reading, "PATIENCE", 0.2)
    client = Client(0)
    client.partitions, client.state = partitions, MemberState.REBALANCING
    said: list[str] = []
    with pytest.raises(ServiceUnavailable, match="does not end"):
        read(make(client, say=said.append))
    assert set(asked) == {"the group"}
    assert said == ["the rebalance of the consumer group did not end: created the group again"]


def test_a_rebalance_is_polled_for_and_nothing_else_is_asked_meanwhile(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is at the end of an old assignment; another member has the other partition."""
    client = Client(0)
    asked: list[MemberState] = []
    timeouts: list[int] = []

    def others_are_done(_: Reader) -> bool:
        asked.append(client.state)
        return True

    def poll(timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        timeouts.append(timeout_ms)
        client.state = MemberState.STABLE if len(timeouts) > 3 else MemberState.REBALANCING
        return {}

    monkeypatch.setattr(Reader, "_others_are_done", others_are_done)
    client.poll = poll  # type: ignore[method-assign]
    read(make(client))
    assert asked == [MemberState.STABLE]
    assert timeouts == [300, 2_000, 2_000, 2_000]


def held_back(client: Client, begins_at: int) -> None:
    """Let a transaction that is still open begin there: nothing behind it is handed out."""
    written = client.end
    client.end = begins_at
    client.highwater = lambda _: written  # type: ignore[method-assign]
    client.end_offsets = lambda found, timeout_ms: dict.fromkeys(found, begins_at)  # type: ignore[attr-defined]


def test_an_open_transaction_is_the_end_of_the_topic_and_is_named_once(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.broker, "is_own", lambda *_: False)
    client = Client(30)
    held_back(client, 20)
    said: list[str] = []
    assert read(make(client, say=said.append, batch_size=10, linger=0)) == list(range(20))
    (line,) = said
    assert line.startswith("partition 0: a transaction that is still open")
    assert "from offset 20 on" in line


def test_what_is_merely_not_read_yet_is_not_taken_for_an_open_transaction(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.broker, "is_own", lambda *_: False)
    client = Client(50)
    client.end_offsets = lambda found, timeout_ms: dict.fromkeys(found, 50)  # type: ignore[attr-defined]
    polls = iter([10, 0, 0])
    real = client.poll

    def poll(timeout_ms: int) -> Any:
        return real(timeout_ms) if next(polls, 1) else {}

    client.poll = poll  # type: ignore[method-assign]
    said: list[str] = []
    assert read(make(client, say=said.append, batch_size=10, linger=0)) == list(range(50))
    assert said == []


def test_a_batch_that_can_not_be_read_is_named_where_it_is_new(make: Any) -> None:
    client = Client(20)
    real = client.poll

    def poll(timeout_ms: int) -> Any:
        found = real(timeout_ms)
        for record in found.get(P, []):
            if record.offset in (3, 4, 12, 13, 14):
                record.value = Unreadable("cut short")
        return found

    client.poll = poll  # type: ignore[method-assign]
    client.stands = 10
    said: list[str] = []
    # The lake's reader starts before what it committed.
    reader = make(client, say=said.append, start_at=lambda *_: 0)
    assert read(reader) == list(range(20))
    assert said == [
        "partition 0, offsets 12 to 14: cut short; put into dead letters, one for each message"
    ]


def test_the_end_of_a_transaction_behind_the_last_message_is_passed(make: Any) -> None:
    client = Client(10)
    real = client.poll

    def poll(timeout_ms: int) -> Any:
        found = real(timeout_ms)
        client.at += 1 if found else 0
        return found

    client.poll = poll  # type: ignore[method-assign]
    reader = make(client)
    assert next(filter(None, reader.batches()))
    assert reader.positions == {P: 11}
