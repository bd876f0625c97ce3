"""One Kafka record becomes a complaint with its place in the stream, or a dead letter. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Protocol

from lakehouse.complaint import CLOCK_TOLERANCE, Complaint, Reject, delivered, iso, parse
from streaming.unreadable import Unreadable

ALREADY_USED = "already used with other content"
_EPOCH = datetime.fromisoformat("1970-01-01")
_LAST_MILLISECOND = 253_402_300_799_999
"""Of the year 9999: there is no later time."""


class Record(Protocol):
    """What is needed of a Kafka record; ``timestamp`` is milliseconds since 1970."""

    partition: int
    offset: int
    timestamp: int
    value: bytes | Unreadable | None


@dataclass(frozen=True)
class Place:
    """Where in the stream a message stands. ``topic`` is the topic's identity, not its name."""

    topic: str
    partition: int
    offset: int
    received_at: datetime
    """UTC without zone: the record's own time, so that a replay finds the same."""

    @property
    def key(self) -> str:
        """``topic/partition/offset``: one message's name, for good."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def before(self, other: Place) -> bool:
        """Whether this message came first.

        Keyed messages of one id share a partition, where offsets decide. For those of senders
        without keys the records' times do, and then the partition: everybody agrees whatever the
        order of reading.
        """
        if (self.topic, self.partition) == (other.topic, other.partition):
            return self.offset < other.offset
        return (self.received_at, self.partition, self.offset) < (
            other.received_at,
            other.partition,
            other.offset,
        )


@dataclass(frozen=True)
class Received:
    """A complaint and where it stands."""

    complaint: Complaint
    place: Place

    @property
    def same_content(self) -> tuple[str, str]:
        """Equal for two that say the same under the same id."""
        return self.complaint.feedback_id, self.complaint.content_hash


@dataclass(frozen=True)
class DeadLetter:
    """A message that was refused: where it stands, why, and what may be kept of it, scrubbed."""

    place: Place
    field: str
    reason: str
    raw: str


def receive(record: Record, topic: str, now: datetime) -> Received | DeadLetter:
    """Parse one record of the topic with identity ``topic``; ``now`` is UTC without zone."""
    # A broker may let the sender set it, to any number.
    milliseconds = min(max(record.timestamp, 0), _LAST_MILLISECOND)
    received_at = _EPOCH + timedelta(milliseconds=milliseconds)
    place = Place(topic, record.partition, record.offset, received_at)
    if isinstance(record.value, Unreadable):
        return DeadLetter(place, "message", str(record.value), "")
    result = parse(record.value, received_at)
    if isinstance(result, Reject):
        return DeadLetter(place, result.field, result.reason, result.raw)
    if received_at > now + CLOCK_TOLERANCE:
        # Measured against it, no time that the complaint says of itself would be in the future.
        return DeadLetter(place, "message", "its own time is in the future", _raw(result))
    return Received(result, place)


def conflict(loser: Received) -> DeadLetter:
    """The dead letter for a complaint whose id an earlier one holds with other content."""
    return DeadLetter(loser.place, "feedback_id", ALREADY_USED, _raw(loser.complaint))


def _raw(complaint: Complaint) -> str:
    return json.dumps(delivered(complaint), ensure_ascii=False)


def to_json(letter: DeadLetter) -> bytes:
    """A dead letter as it is stored."""
    place = asdict(letter.place) | {"received_at": iso(letter.place.received_at)}
    document = place | {"field": letter.field, "reason": letter.reason, "raw": letter.raw}
    return json.dumps(document, ensure_ascii=False).encode()


def from_json(value: bytes) -> DeadLetter:
    """A stored dead letter."""
    document = json.loads(value)
    moment = datetime.fromisoformat(document["received_at"].removesuffix("Z"))
    return DeadLetter(
        place=Place(document["topic"], document["partition"], document["offset"], moment),
        field=document["field"],
        reason=document["reason"],
        raw=document["raw"],
    )
