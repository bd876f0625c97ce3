"""The contract of one complaint: fields, the strict parser, what lands, and invented ones.

Pure. A :class:`Complaint` is anonymous by construction: the parser is the only way to one from
delivered bytes; it drops every field beyond the contract and scrubs the text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import random
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from lakehouse.scrub import scrub

CATEGORIES = ("ATM Issue", "Account Problem", "Card Issue", "Service Feedback")
FIELDS = ("feedback_id", "category", "description", "occurred_at")
DESCRIPTION_LIMIT = 10_000
"""Characters; far more than anybody writes, far less than what a DynamoDB item may hold."""
MESSAGE_LIMIT = 1_000_000
"""Bytes; a longer message isn't parsed at all."""
RAW_LIMIT = 1_000
"""Characters that are kept of a rejected message, after scrubbing."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a sender's clock may run ahead."""

LANDED_SCHEMA = pa.schema(
    [
        pa.field("feedback_id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("description", pa.string(), nullable=False),
        pa.field("occurred_at_utc", pa.timestamp("us")),
        pa.field("_source_file", pa.string(), nullable=False),
        pa.field("_source_row", pa.int64(), nullable=False),
        pa.field("_batch_id", pa.string(), nullable=False),
        pa.field("_ingested_at", pa.timestamp("us"), nullable=False),
    ]
)

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_UTC_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d{1,6})?(?:Z|\+00:00)?", re.ASCII
)
_TIME_INSIDE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}:\d{2}:\d{2}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HARMLESS = {
    "feedback_id": _UUID,
    # Any category in words, so that one that becomes known can be replayed.
    "category": re.compile(r"[^\W\d_]+(?:[ &/\-]{1,3}[^\W\d_]+){0,4}"),
    "occurred_at": re.compile(
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(?:Z|[+\-]\d{2}:?\d{2})?",
        re.ASCII,
    ),
}
"""What a refused message's values may look like to be kept; another may be anybody's number."""
_KINDS = {dict: "object", list: "list", bool: "true or false"}


@dataclass(frozen=True)
class Complaint:
    """One complaint, scrubbed. ``occurred_at_utc`` has no zone and is None in older records."""

    feedback_id: str
    category: str
    description: str
    occurred_at_utc: datetime | None

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything but the id: equal hashes under one id are the same complaint."""
        content = [self.category, self.description, iso(self.occurred_at_utc)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Reject:
    """A message that isn't a complaint.

    ``raw`` is what may be kept of it, scrubbed: of one that isn't a JSON object, nothing.
    """

    field: str
    reason: str
    raw: str


class _NotAComplaint(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def parse(message: bytes | None, received_at: datetime) -> Complaint | Reject:
    """Read one JSON message.

    Args:
        message: the bytes as delivered: one JSON object. None is a tombstone.
        received_at: UTC without zone; ``occurred_at`` may not lie after it (and five minutes).
            For a Kafka record take its own time, so that a replay decides the same.

    Returns:
        The complaint, or why it is none: the field (``message`` for the whole) and the reason.

    """
    document: Any = None
    try:
        document = _document(message)
        return Complaint(
            feedback_id=_feedback_id(document),
            category=_category(document),
            description=_description(document),
            occurred_at_utc=_occurred_at(document, received_at),
        )
    except _NotAComplaint as problem:
        return Reject(problem.field, problem.reason, _keepable(document, problem))


def iso(moment: datetime | None) -> str | None:
    """``2026-11-24T13:45:01.123456Z``, the one spelling under which times are stored as text."""
    return None if moment is None else f"{moment.isoformat(timespec='microseconds')}Z"


def delivered(complaint: Complaint) -> dict[str, str]:
    """The complaint in the source's own field names; without ``occurred_at`` where unknown."""
    document = {
        "feedback_id": complaint.feedback_id,
        "category": complaint.category,
        "description": complaint.description,
    }
    occurred_at = iso(complaint.occurred_at_utc)
    return document | ({"occurred_at": occurred_at} if occurred_at else {})


def landed_table(
    complaints: Sequence[Complaint],
    *,
    source_file: str,
    source_rows: Sequence[int],
    batch_id: str,
    ingested_at: Sequence[datetime] | datetime,
) -> pa.Table:
    """Complaints as they land, in :data:`LANDED_SCHEMA`; ``ingested_at`` is UTC without zone."""
    count = len(complaints)
    moments = [ingested_at] * count if isinstance(ingested_at, datetime) else list(ingested_at)
    columns: list[list[Any]] = [
        [complaint.feedback_id for complaint in complaints],
        [complaint.category for complaint in complaints],
        [complaint.description for complaint in complaints],
        [complaint.occurred_at_utc for complaint in complaints],
        [source_file] * count,
        list(source_rows),
        [batch_id] * count,
        moments,
    ]
    arrays = [
        pa.array(values, type=field.type)
        for values, field in zip(columns, LANDED_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=LANDED_SCHEMA)


def fake(
    count: int, seed: int, *, days: int, end_date: date, timezone: str = "America/Toronto"
) -> Iterator[Complaint]:
    """Invented complaints, believable by category, over ``days`` days up to ``end_date``.

    Days and hours are the bank's, in its ``timezone``.
    Same arguments, same complaints; memory doesn't grow with ``count``.
    """
    first_day = datetime.combine(end_date, datetime.min.time()) - timedelta(days=days - 1)
    # Other days are other complaints: the same ids at other times would contradict the first ones.
    draws = random.Random(f"complaints/{seed}/{first_day.date()}/{days}")
    zone = ZoneInfo(timezone)
    for _ in range(count):
        day = first_day + timedelta(days=draws.randrange(days))
        hour = draws.choices(range(24), weights=_HOURS)[0]
        local = day + timedelta(hours=hour, seconds=draws.randrange(3600))
        moment = local.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
        yield fake_one(draws, moment)


def fake_one(draws: random.Random, occurred_at_utc: datetime) -> Complaint:
    """One invented complaint of that moment (UTC without zone)."""
    category = draws.choices(CATEGORIES, weights=_SHARES)[0]
    sentence = draws.choice(_SENTENCES[category])
    words = {name: draws.choice(choices) for name, choices in _WORDS.items()}
    ending = draws.choice(_ENDINGS)
    feedback_id = uuid.UUID(int=draws.getrandbits(128), version=4)
    return Complaint(
        feedback_id=str(feedback_id),
        category=category,
        description=f"{sentence.format(**words)} {ending}".strip(),
        occurred_at_utc=occurred_at_utc,
    )


def _document(message: bytes | None) -> Any:
    if message is None:
        raise _NotAComplaint("message", "no value (tombstone)")
    if len(message) > MESSAGE_LIMIT:
        raise _NotAComplaint("message", f"longer than {MESSAGE_LIMIT:,} bytes")
    try:
        text = message.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _NotAComplaint("message", f"not UTF-8 at byte {error.start}") from None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
            parse_int=_Number,
            parse_float=_Number,
        )
    except RecursionError:
        raise _NotAComplaint("message", "nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _NotAComplaint("message", f"not JSON at character {error.pos}") from None
    if not isinstance(document, dict):
        raise _NotAComplaint("message", "not a JSON object")
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        for name in FIELDS:
            if names.count(name) > 1:
                raise _NotAComplaint(name, "stands twice")
    return document


def _no_constant(name: str) -> Any:
    raise _NotAComplaint("message", f"{name} is not JSON")


class _Number(str):
    """A JSON number's text: told apart from a string, and never rounded."""

    __slots__ = ()


def _text(document: dict[str, Any], field: str) -> str:
    if field not in document:
        raise _NotAComplaint(field, "missing")
    value = document[field]
    if not isinstance(value, str) or isinstance(value, _Number):
        raise _NotAComplaint(field, "not a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _NotAComplaint(field, "lone surrogate") from None
    return value


def _feedback_id(document: dict[str, Any]) -> str:
    value = _text(document, "feedback_id")
    if not _UUID.fullmatch(value):
        raise _NotAComplaint("feedback_id", "not a UUID")
    return value.lower()


def _category(document: dict[str, Any]) -> str:
    value = _text(document, "category")
    if value not in CATEGORIES:
        raise _NotAComplaint("category", f"not one of {', '.join(CATEGORIES)}")
    return value


def _description(document: dict[str, Any]) -> str:
    value = _text(document, "description")
    if not value.strip():
        raise _NotAComplaint("description", "empty")
    if len(value) > DESCRIPTION_LIMIT:
        raise _NotAComplaint("description", f"longer than {DESCRIPTION_LIMIT:,} characters")
    if _CONTROL.search(value):
        raise _NotAComplaint("description", "control character")
    return scrub(value)


def _occurred_at(document: dict[str, Any], received_at: datetime) -> datetime | None:
    if document.get("occurred_at") is None:
        _expect_no_other_time(document)
        return None
    match = _UTC_TIME.fullmatch(_text(document, "occurred_at"))
    if match is None:
        raise _NotAComplaint("occurred_at", "not a UTC time such as 2026-11-24T13:45:01Z")
    day, clock, fraction = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        raise _NotAComplaint("occurred_at", "no such time") from None
    moment += timedelta(microseconds=int((fraction or ".0")[1:].ljust(6, "0")))
    if moment > received_at + CLOCK_TOLERANCE:
        raise _NotAComplaint("occurred_at", "in the future")
    return moment


def _expect_no_other_time(document: dict[str, Any]) -> None:
    """``occurred_at`` may be absent; under another name it would be lost without a trace."""
    for name, value in document.items():
        if name in FIELDS:
            continue
        likeness = difflib.SequenceMatcher(None, name.casefold()[:100], "occurred_at").ratio()
        if likeness > 0.75 or (isinstance(value, str) and _TIME_INSIDE.search(value[:100])):
            raise _NotAComplaint("occurred_at", "missing, and an unknown field looks like it")


def _keepable(document: Any, problem: _NotAComplaint) -> str:
    """What may be kept of a rejected message: of the contract's fields what is safe.

    Nothing of what isn't read as an object: no rule tells which of its parts are the contract's,
    nor how it is coded. Values are scrubbed as they were meant, before JSON escapes them, and
    whole, before anything is cut off.
    """
    if not isinstance(document, dict):
        return ""
    known = {name: _kept(name, document[name]) for name in FIELDS if name in document}
    if problem.field == "occurred_at" and known.get("occurred_at") is None:
        # Refused for a time under another name. Without it the letter would pass for a complaint.
        known["occurred_at"] = _removed("unknown field")
    text = json.dumps(known, ensure_ascii=False)
    # As JSON escapes them, lone surrogates can be stored and are still refused at a replay.
    text = text.encode("utf-8", "backslashreplace").decode()
    return scrub(text)[:RAW_LIMIT]


def _kept(field: str, value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, _Number):
        return _removed(_KINDS.get(type(value), "number"))
    if field == "description":
        # Longer ones are refused for their length, and scrubbing takes its time.
        return scrub(value) if len(value) <= DESCRIPTION_LIMIT else _removed("long text")
    return (
        value if _HARMLESS[field].fullmatch(value) and scrub(value) == value else _removed("text")
    )


def _removed(what: str) -> dict[str, str]:
    """Stands for a value that isn't kept: no text, so that no letter passes for a complaint."""
    return {"removed": what}


def utc_now() -> datetime:
    """Now, UTC, without zone, as all times of the lake are."""
    return datetime.now(UTC).replace(tzinfo=None)


_SHARES = (3, 2, 3, 2)
# People complain by day and in the evening (UTC, seen from Canada).
_HOURS = (6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 11, 10, 10, 9, 9, 8, 7)
_WORDS: dict[str, tuple[str, ...]] = {
    "amount": ("$20", "$40", "$60", "$80", "$100", "$200", "$300"),
    "place": (
        "on Main Street",
        "at the mall",
        "beside the station",
        "at the airport",
        "in the grocery store",
        "at my branch",
        "near the hospital",
    ),
    "when": ("yesterday", "this morning", "on the weekend", "last night", "twice this week"),
    "wait": ("twenty minutes", "half an hour", "over an hour", "three days", "two weeks"),
    "app": ("the mobile app", "online banking", "the website"),
    "shop": ("a restaurant", "the gas station", "a pharmacy", "an online store", "the supermarket"),
}
_SENTENCES: dict[str, tuple[str, ...]] = {
    "ATM Issue": (
        "The machine {place} kept my card {when}.",
        "I asked for {amount} {place}, got nothing, and my balance still went down.",
        "The ATM {place} was out of service {when}.",
        "The machine counted my deposit wrong: {amount} are missing.",
        "The screen of the ATM {place} is so dim that I could not read it.",
        "No receipt was printed for my withdrawal of {amount} {place}.",
        "The ATM {place} only had large bills {when}.",
        "The keypad {place} did not take my PIN although it is right.",
    ),
    "Account Problem": (
        "I was charged a fee of {amount} that nobody can explain.",
        "My deposit of {amount} still does not show in {app} after {wait}.",
        "I have been locked out of {app} since {when}.",
        "A transfer of {amount} left my account twice {when}.",
        "My statement is missing in {app}.",
        "The interest on my savings is lower than what I was promised.",
        "An automatic payment of {amount} was sent although I had cancelled it.",
        "Changing my address in {app} fails each time.",
    ),
    "Card Issue": (
        "My card was declined at {shop} {when} although there was money in the account.",
        "My new card has not come after {wait}.",
        "Tap stopped working at {shop} {when}.",
        "I was charged twice for one purchase of {amount} at {shop}.",
        "There is a payment of {amount} to {shop} that I never made.",
        "My card was blocked while I was travelling and nobody told me.",
        "The chip cannot be read at {shop} any more.",
        "I could not change my PIN {place}.",
    ),
    "Service Feedback": (
        "I waited on the line for {wait} before anyone answered.",
        "The teller {place} was very patient and solved it at once, thank you.",
        "The line-up {place} took {wait} {when}.",
        "Nobody called me back within {wait} as promised.",
        "The chat in {app} ended in the middle of my question.",
        "Three people gave me three different answers about a fee of {amount}.",
        "The branch closed early {when} without a notice on the door.",
        "The adviser took the time to explain my loan, which I liked.",
    ),
}
_ENDINGS = (
    "",
    "",
    "Please look into it.",
    "This is not the first time.",
    "I expect an answer.",
    "I am thinking of changing banks.",
    "Please fix this soon.",
)
