"""The first complaint under an id counts, whatever the order in which they are read."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from lakehouse.complaint import Complaint
from streaming import table
from streaming.first_wins import decide
from streaming.received import (
    ALREADY_USED,
    DeadLetter,
    Place,
    Received,
    conflict,
    from_json,
    receive,
    to_json,
)

START = datetime.fromisoformat("2026-11-24T12:00:00")
ID = "3f0c9d6e-8f5b-4c1a-9a52-0d2c0f6f1b11"
NOW = START + timedelta(hours=1)


def received(text: str, *, offset: int, partition: int = 0, seconds: int | None = None) -> Received:
    moment = START + timedelta(seconds=offset if seconds is None else seconds)
    complaint = Complaint(ID, "ATM Issue", text, START)
    return Received(complaint, Place("topic", partition, offset, moment))


def test_a_new_complaint_is_stored() -> None:
    first = received("a", offset=0)
    assert decide([first], {}) == decide([first], {})
    assert decide([first], {}).store == [first]


def test_the_same_again_changes_nothing() -> None:
    first, again = received("a", offset=0), received("a", offset=5)
    assert decide([first, again], {}).store == [first]
    decision = decide([again], {ID: first})
    assert (decision.store, decision.dead_letters, decision.repeated) == ([], [], [again])


def test_a_message_is_no_contradiction_of_itself() -> None:
    """Read again after the rules of scrubbing changed, it says something else."""
    stored, again = received("my card 4111…", offset=3), received("my [card]", offset=3)
    decision = decide([again], {ID: stored})
    assert (decision.store, decision.dead_letters, decision.repeated) == ([], [], [again])


def test_other_content_under_a_stored_id_goes_to_dead_letters() -> None:
    first, other = received("a", offset=0), received("b", offset=1)
    decision = decide([other], {ID: first})
    assert decision.store == []
    assert decision.dead_letters == [conflict(other)]
    assert decision.dead_letters[0].reason == ALREADY_USED


def test_a_stored_complaint_gives_way_to_the_first() -> None:
    first = received("a", offset=7, partition=0, seconds=1)
    stored = received("b", offset=2, partition=1, seconds=2)
    decision = decide([first], {ID: stored})
    assert decision.store == [first]
    assert decision.dead_letters == [conflict(stored)]


def test_all_orders_of_reading_end_alike() -> None:
    messages = [
        received("a", offset=9, partition=2, seconds=1),
        received("b", offset=0, partition=1, seconds=2),
        received("c", offset=3, partition=0, seconds=3),
    ]
    for order in itertools.permutations(messages):
        stored: dict[str, Received] = {}
        letters: set[str] = set()
        for message in order:
            decision = decide([message], stored)
            stored |= {row.complaint.feedback_id: row for row in decision.store}
            letters |= {letter.place.key for letter in decision.dead_letters}
        assert stored[ID] == messages[0]
        assert letters == {messages[1].place.key, messages[2].place.key}


def test_in_a_partition_offsets_decide_even_against_a_wrong_clock() -> None:
    first, second = received("a", offset=1, seconds=50), received("b", offset=2, seconds=0)
    assert decide([second, first], {}).store == [first]


def test_an_item_holds_the_whole_complaint() -> None:
    row = received("a", offset=4, partition=3)
    assert table.from_item(table.to_item(row)) == row
    older = Received(Complaint(ID, "ATM Issue", "a", None), row.place)
    item = table.to_item(older)
    assert table.from_item(item) == older
    assert "category_day" not in item


def test_an_items_day_is_found_through_one_of_the_documented_keys() -> None:
    item = table.to_item(received("a", offset=0))
    assert item["category_day"]["S"] in table.query_keys("ATM Issue", "2026-11-24")


@pytest.mark.parametrize("value", [b"{", None, b'{"feedback_id": 1}'])
def test_a_bad_record_is_a_dead_letter_with_its_place(value: bytes | None) -> None:
    record = SimpleNamespace(partition=2, offset=17, timestamp=1795522800000, value=value)
    letter = receive(record, "topic", NOW)
    assert isinstance(letter, DeadLetter)
    assert letter.place.key == "topic/2/17"
    assert letter.reason
    assert from_json(to_json(letter)) == letter
    assert {"partition", "offset", "reason", "field", "raw"} <= set(json.loads(to_json(letter)))


@pytest.mark.parametrize("timestamp", [10**15, 10**13, 4_102_444_800_000])
def test_a_message_whose_own_time_is_in_the_future_is_a_dead_letter(timestamp: int) -> None:
    """Its sender may set it to any number: to one that no calendar has, too."""
    message = {"feedback_id": ID, "category": "Card Issue", "description": "x"}
    value = json.dumps(message).encode()
    record = SimpleNamespace(partition=0, offset=3, timestamp=timestamp, value=value)
    letter = receive(record, "topic", NOW)
    assert isinstance(letter, DeadLetter)
    assert (letter.place.key, letter.field) == ("topic/0/3", "message")
    assert "its own time" in letter.reason
    assert from_json(to_json(letter)) == letter


def test_time_of_receipt_is_the_records_own() -> None:
    message = {"feedback_id": ID, "category": "Card Issue", "description": "x"}
    future = {**message, "occurred_at": "2026-11-24T12:30:00Z"}
    record = SimpleNamespace(
        partition=0, offset=0, timestamp=1795521600000, value=json.dumps(future).encode()
    )
    letter = receive(record, "topic", NOW)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "in the future"
