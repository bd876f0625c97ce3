"""One message is a complaint, or a reject that says why; nothing personal survives either way."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import pytest

from lakehouse.business_calendar import day_of
from lakehouse.complaint import (
    CATEGORIES,
    LANDED_SCHEMA,
    Complaint,
    Reject,
    delivered,
    fake,
    landed_table,
    parse,
)
from lakehouse.scrub import scrub

NOW = datetime.fromisoformat("2026-11-24T12:00:00")
GOOD: dict[str, Any] = {
    "feedback_id": "3f0c9d6e-8f5b-4c1a-9a52-0d2c0f6f1b11",
    "category": "ATM Issue",
    "description": "The machine kept my card.",
    "occurred_at": "2026-11-24T11:59:58.250000Z",
}


def message(**changes: Any) -> bytes:
    fields = {**GOOD, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def accepted(raw: bytes | None) -> Complaint:
    result = parse(raw, NOW)
    assert isinstance(result, Complaint), result
    return result


def rejected(raw: bytes | None) -> Reject:
    result = parse(raw, NOW)
    assert isinstance(result, Reject), result
    return result


def test_a_good_message_is_read_exactly() -> None:
    assert accepted(message()) == Complaint(
        feedback_id="3f0c9d6e-8f5b-4c1a-9a52-0d2c0f6f1b11",
        category="ATM Issue",
        description="The machine kept my card.",
        occurred_at_utc=datetime.fromisoformat("2026-11-24T11:59:58.250000"),
    )


def test_an_older_record_has_no_time() -> None:
    assert accepted(message(occurred_at=...)).occurred_at_utc is None


def test_fields_beyond_the_contract_are_dropped() -> None:
    extended = message(customer_id=23, name="Wendy Zhao", email="w@x.ca", extra={"a": [1]})
    assert accepted(extended) == accepted(message())


def test_the_text_is_scrubbed() -> None:
    complaint = accepted(message(description="Mail w.zhao@example.ca, card 4111111111111111"))
    assert complaint.description == "Mail [e-mail], card [card]"


@pytest.mark.parametrize(
    "time",
    ["2026-11-24T11:00:00Z", "2026-11-24T11:00:00+00:00", "2026-11-24 11:00:00", None],
)
def test_spellings_of_utc_that_are_taken(time: str | None) -> None:
    expected = None if time is None else datetime.fromisoformat("2026-11-24T11:00:00")
    assert accepted(message(occurred_at=time)).occurred_at_utc == expected


BAD: list[tuple[str, bytes | None, str, str]] = [
    ("tombstone", None, "message", "tombstone"),
    ("nothing", b"", "message", "not JSON"),
    ("text", b"my card was eaten", "message", "not JSON"),
    ("cut", message()[:60], "message", "not JSON"),
    ("two objects", message() * 2, "message", "not JSON"),
    ("array", b"[" + message() + b"]", "message", "not a JSON object"),
    ("number", b"7", "message", "not a JSON object"),
    ("deep", b"[" * 100_000, "message", "nested too deeply"),
    ("not utf-8", message().replace(b"kept", b"k\xffpt"), "message", "not UTF-8 at byte"),
    ("utf-16", message().decode().encode("utf-16"), "message", "not UTF-8"),
    ("huge", message(description="x" * 1_100_000), "message", "longer than"),
    ("long text", message(description="x" * 10_001), "description", "longer than"),
    ("NaN", message()[:-1] + b', "score": NaN}', "message", "NaN is not JSON"),
    ("no id", message(feedback_id=...), "feedback_id", "missing"),
    ("id is a number", message(feedback_id=17), "feedback_id", "not a string"),
    ("id is no uuid", message(feedback_id="17"), "feedback_id", "not a UUID"),
    ("id twice", message()[:-1] + b', "feedback_id": "x"}', "feedback_id", "stands twice"),
    ("unknown category", message(category="Loan Issue"), "category", "not one of"),
    ("category's case", message(category="atm issue"), "category", "not one of"),
    ("category is null", message(category=None), "category", "not a string"),
    ("no description", message(description=...), "description", "missing"),
    ("blank description", message(description=" \n"), "description", "empty"),
    ("description is a list", message(description=["a"]), "description", "not a string"),
    ("description is a number", message(description=1.5), "description", "not a string"),
    ("NUL", message(description="a\x00b"), "description", "control character"),
    ("lone surrogate", message(description="a\ud800b"), "description", "lone surrogate"),
    ("future", message(occurred_at="2026-11-24T12:06:00Z"), "occurred_at", "in the future"),
    ("other zone", message(occurred_at="2026-11-24T12:00:00-05:00"), "occurred_at", "not a UTC"),
    ("epoch", message(occurred_at=1795522800), "occurred_at", "not a string"),
    ("impossible day", message(occurred_at="2026-02-30T12:00:00Z"), "occurred_at", "no such time"),
    ("hour 24", message(occurred_at="2026-02-20T24:00:00Z"), "occurred_at", "no such time"),
]


@pytest.mark.parametrize(("raw", "field", "reason"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_message_is_a_reject_with_field_and_reason(
    raw: bytes | None, field: str, reason: str
) -> None:
    reject = rejected(raw)
    assert reject.field == field
    assert reason in reject.reason
    assert len(reject.raw) <= 1_000
    reject.raw.encode("utf-8")


PERSONAL = {
    "customer_id": 234567,
    "name": "Wendy Zhao",
    "email": "wendy@example.ca",
    "home": {"street": "12 Elm Street", "names": ["Wendy Zhao", "Bob"]},
    "description": "Call 416-555-0199, wendy@example.ca",
}


LINES = (
    "Hello,\ncustomer id 90817263\nM5V 3L9\naccount 1234567890\tor\tDE89370400440532013000\n"
    "call\t416-555-0199 wendy@example.ca\n4539578763621486"
)
SECRETS = (
    "234567",
    "Wendy",
    "wendy",
    "Elm",
    "Bob",
    "example.ca",
    "0199",
    "90817263",
    "M5V",
    "1234567890",
    "DE89",
    "4539",
    "578763621486",
)
NESTED = message(**PERSONAL, customer_ids=[["a"], [90817263]], customer=["x]y", 90817263])


@pytest.mark.parametrize(
    "raw",
    [
        message(**PERSONAL, category="Other"),
        message(**PERSONAL)[:-1],
        message(**PERSONAL).replace(b'"', b"'"),
        b"[" + message(**PERSONAL) + b"]",
        message(**PERSONAL).decode().encode("utf-16"),
        message(**PERSONAL).replace(b"@", b"\\u0040")[:-1],
        message(**{**PERSONAL, "description": {"name": "Wendy Zhao"}}),
        message(description=LINES, category="Other"),
        message(description=LINES)[:-1],
        NESTED[:-1],
        NESTED.replace(b'"', b""),
        message(**{"k" * 200: 90817263})[:-1],
        message(description=["Wendy Zhao", 90817263])[:-1],
        base64.b64encode(message(**PERSONAL, extra=LINES)),
        quote(message(**PERSONAL, extra=LINES)).encode(),
        message(description=LINES).replace(b"4539", b"4539\xff"),
        message(feedback_id="90817263"),
        message(feedback_id=90817263),
        message(category="90817263"),
        message(category=90817263),
        message(category="wendy at example dot ca"),
        message(description=90817263),
        message(occurred_at="90817263"),
        message(occurred_at=90817263),
        message(occurred_at="416-555-0199"),
    ],
    ids=itertools.count(),
)
def test_what_is_kept_of_a_reject_names_nobody(raw: bytes) -> None:
    kept = rejected(raw).raw
    for encoded in (kept, unquote(kept), decoded(kept)):
        for secret in SECRETS:
            assert secret not in encoded


def decoded(kept: str) -> str:
    try:
        return base64.b64decode(kept[: len(kept) // 4 * 4]).decode("utf-8", "replace")
    except binascii.Error:
        return ""


@pytest.mark.parametrize("length", range(4_900, 5_100, 7))
def test_no_number_is_cut_apart_before_it_is_scrubbed(length: int) -> None:
    mails = f"{'x' * 50}@example.ca " * 90
    kept = rejected(message(description=mails[:length] + " 4539578763621486", category="O")).raw
    assert "45" not in kept
    assert len(kept) <= 1_000


def test_a_letter_keeps_what_a_replay_needs() -> None:
    feedback_id = "00000170-0000-4000-8000-000000000abc"
    raw = message(feedback_id=feedback_id, description="Hi,\n416-555-0199", category="Loan Issue")
    assert json.loads(rejected(raw).raw) == {
        "feedback_id": feedback_id,
        "category": "Loan Issue",
        "description": "Hi,\n[phone]",
        "occurred_at": GOOD["occurred_at"],
    }
    early = message(feedback_id=feedback_id, occurred_at="2026-11-24T12:30:00Z")
    later = parse(rejected(early).raw.encode(), NOW + timedelta(hours=1))
    assert isinstance(later, Complaint)
    assert later.feedback_id == feedback_id


@pytest.mark.parametrize(
    "raw",
    [
        message(description=["a"]),
        message(description={"a": 1}),
        message(description=1.5),
        message(description="a\x00b"),
        message(description="a\ud800b"),
        message(description="x" * 10_001),
        message(description="x " * 2_000, category="O"),
        message(occurred_at=..., happened_at="2026-11-24T11:00:00Z"),
        message(occurred_at=None, ocurred_at="noon"),
        message(occurred_at=["a"]),
        message(category=None),
    ],
    ids=itertools.count(),
)
def test_what_is_left_out_of_a_letter_does_not_make_it_acceptable(raw: bytes) -> None:
    assert isinstance(parse(rejected(raw).raw.encode(), NOW), Reject)


def test_equal_content_has_equal_hashes_whatever_the_id() -> None:
    other = message(feedback_id="00000000-0000-4000-8000-000000000001")
    assert accepted(message()).content_hash == accepted(other).content_hash
    assert accepted(message()).content_hash != accepted(message(occurred_at=...)).content_hash


def test_landed_rows_have_the_landed_schema() -> None:
    table = landed_table(
        [accepted(message()), accepted(message(occurred_at=...))],
        source_file="complaints.jsonl",
        source_rows=[1, 2],
        batch_id="b",
        ingested_at=NOW,
    )
    assert table.schema == LANDED_SCHEMA
    assert table.column("occurred_at_utc").to_pylist() == [
        datetime.fromisoformat("2026-11-24T11:59:58.250000"),
        None,
    ]


def test_invented_complaints_are_seeded_and_lie_in_their_days() -> None:
    end = date(2026, 11, 23)
    first = list(fake(400, 7, days=30, end_date=end))
    assert first == list(fake(400, 7, days=30, end_date=end))
    assert first[:100] == list(itertools.islice(fake(400, 7, days=30, end_date=end), 100))
    assert first != list(fake(400, 8, days=30, end_date=end))
    assert len({complaint.feedback_id for complaint in first}) == 400
    assert {complaint.category for complaint in first} == set(CATEGORIES)
    days = {
        day_of(complaint.occurred_at_utc, "America/Toronto")
        for complaint in first
        if complaint.occurred_at_utc
    }
    assert min(days) >= end - timedelta(days=29)
    assert max(days) <= end


def test_what_is_invented_is_read_back_unchanged() -> None:
    for complaint in fake(300, 1, days=5, end_date=date(2026, 11, 23)):
        assert scrub(complaint.description) == complaint.description
        assert accepted(json.dumps(delivered(complaint)).encode()) == complaint
