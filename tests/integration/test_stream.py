"""The stream on a real broker and a real table: nothing lost, nothing twice, nobody named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from lakehouse import clients, duck, landing
from lakehouse.catalog import COMPLAINTS_TABLE, COMPLAINTS_TOPIC, LAKE_BUCKET, landing_prefix
from lakehouse.complaint import iso, utc_now
from lakehouse.settings import Settings
from streaming import broker, dead_letters
from streaming.consume import consume
from streaming.produce import produce
from streaming.rebuild import rebuild
from streaming.received import ALREADY_USED, DeadLetter
from streaming.sink import sink
from streaming.status import landed_rows, status
from streaming.table import INDEX, from_item, query_keys

PERSONAL = ("wendy.zhao@example.ca", "416-555-0199", "4111111111111111", "Wendy Zhao", "87654321")


@pytest.fixture(autouse=True)
def _short_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining a group takes half the session's time-out on the embedded broker."""
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)


@pytest.fixture
def sender(settings: Settings) -> Iterator[KafkaProducer]:
    broker.require_topics(settings)
    with broker.producer(settings) as client:
        yield client


def test_every_store_has_what_was_sent_and_a_repetition_changes_nothing(settings: Settings) -> None:
    before = status(settings)
    produce(settings, 300, rate=0, seed=41)
    assert status(settings)["groups"]["dynamodb"]["lag"] == 300
    assert consume(settings, until_idle=True).stored == 300
    assert sink(settings, until_idle=True).landed == 300
    after = status(settings)
    assert after["topic"]["messages"] - before["topic"]["messages"] == 300
    assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == 300
    assert after["lake"]["rows"] - before["lake"]["rows"] == 300
    assert after["groups"] == {"dynamodb": {"lag": 0}, "lake": {"lag": 0}}
    assert after["dead_letters"] == before["dead_letters"]

    batches = landing.batches(settings, "feedback")
    produce(settings, 300, rate=0, seed=41)
    assert consume(settings, until_idle=True).repeated == 300
    assert sink(settings, until_idle=True).repeated == 300
    assert landing.batches(settings, "feedback") == batches
    again = status(settings)
    assert (again["dynamodb"], again["lake"]) == (after["dynamodb"], after["lake"])
    assert contents_of_table(settings) == contents_of_landing(settings)


def test_a_bad_record_is_set_aside_and_stops_nobody(
    settings: Settings, sender: KafkaProducer
) -> None:
    good, bad = message(), message(category="Other")
    for value in (b"not json", bad, None, message(description="x" * 900_000), good):
        sender.send(COMPLAINTS_TOPIC, key=b"k", value=value)
    sender.flush(30)
    before = letters(settings)
    assert consume(settings, until_idle=True).dead_letters == 4
    assert sink(settings, until_idle=True).dead_letters == 4
    new = {key: letter for key, letter in letters(settings).items() if key not in before}
    assert sorted(letter.field for letter in new.values()) == [
        "category",
        "description",
        "message",
        "message",
    ]
    assert json.loads(good)["feedback_id"] in contents_of_table(settings)
    assert contents_of_table(settings) == contents_of_landing(settings)


def test_the_first_under_an_id_wins_in_both_stores(
    settings: Settings, sender: KafkaProducer
) -> None:
    """Sent without a key: the two stand in different partitions."""
    first = message(description="I was first.")
    feedback_id = json.loads(first)["feedback_id"]
    second = message(feedback_id=feedback_id, description="I was not.")
    now = int(time.time() * 1000)
    sender.send(COMPLAINTS_TOPIC, value=second, partition=0, timestamp_ms=now + 5).get(10)
    sender.send(COMPLAINTS_TOPIC, value=first, partition=3, timestamp_ms=now).get(10)
    before = letters(settings)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    assert contents_of_table(settings)[feedback_id] == contents_of_landing(settings)[feedback_id]
    assert item(settings, feedback_id).complaint.description == "I was first."
    new = [letter for key, letter in letters(settings).items() if key not in before]
    assert [(letter.reason, letter.place.partition) for letter in new] == [(ALREADY_USED, 0)]


def test_no_store_holds_what_identifies_a_person(settings: Settings, sender: KafkaProducer) -> None:
    fields = {
        "description": "Mail wendy.zhao@example.ca, call 416-555-0199, card 4111111111111111",
        "name": "Wendy Zhao",
        "customer_id": 87654321,
    }
    for value in (message(**fields), message(**fields, category="Other"), message(**fields)[:-1]):
        sender.send(COMPLAINTS_TOPIC, value=value)
    sender.flush(30)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    table = json.dumps(list(scan(settings)))
    dead = json.dumps([letter.raw for letter in letters(settings).values()])
    landed = json.dumps(rows_of_landing(settings), default=str)
    assert "[e-mail], call [phone], card [card]" in table
    assert "[e-mail], call [phone], card [card]" in landed
    for secret in PERSONAL:
        assert secret not in table
        assert secret not in landed
        assert secret not in dead


def test_dead_letters_that_became_acceptable_are_replayed_once(
    settings: Settings, sender: KafkaProducer
) -> None:
    early = utc_now() - timedelta(minutes=30)
    value = message(occurred_at=iso(early))
    sent_at = int((time.time() - 3600) * 1000)
    sender.send(COMPLAINTS_TOPIC, value=value, partition=1, timestamp_ms=sent_at).get(10)
    consume(settings, until_idle=True)
    feedback_id = json.loads(value)["feedback_id"]
    assert feedback_id not in contents_of_table(settings)
    before = letters(settings)
    assert dead_letters.replay(settings).replayed == 1
    assert dead_letters.replay(settings).replayed == 0
    assert len(letters(settings)) == len(before) - 1
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    assert item(settings, feedback_id).complaint.occurred_at_utc == early


def test_a_table_that_lost_items_is_rebuilt_from_the_lake(settings: Settings) -> None:
    produce(settings, 60, rate=0, seed=43)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    before = contents_of_table(settings)
    client = clients.dynamodb(settings)
    for feedback_id in list(before)[:20]:
        client.delete_item(TableName=COMPLAINTS_TABLE, Key={"feedback_id": {"S": feedback_id}})
    assert rebuild(settings).written == 20
    assert contents_of_table(settings) == before
    assert rebuild(settings).written == 0


def test_a_day_of_a_category_is_read_through_the_index(settings: Settings) -> None:
    rows = [from_item(found).complaint for found in scan(settings)]
    timed = next(row for row in rows if row.occurred_at_utc)
    assert timed.occurred_at_utc is not None
    day = timed.occurred_at_utc.date().isoformat()
    client = clients.dynamodb(settings)
    found = {
        entry["feedback_id"]["S"]
        for key in query_keys(timed.category, day)
        for entry in client.query(
            TableName=COMPLAINTS_TABLE,
            IndexName=INDEX,
            KeyConditionExpression="category_day = :key",
            ExpressionAttributeValues={":key": {"S": key}},
        )["Items"]
    }
    assert found == {
        row.feedback_id
        for row in rows
        if row.category == timed.category
        and row.occurred_at_utc
        and row.occurred_at_utc.date().isoformat() == day
    }


@pytest.mark.parametrize("command", ["consume", "sink", "produce"])
def test_sigterm_stops_within_ten_seconds(settings: Settings, command: str) -> None:
    before = status(settings)["topic"]["messages"]
    process = start(settings, command, *(["--flush-seconds", "1"] if command == "sink" else []))
    if command == "produce":
        wait_until(lambda: status(settings)["topic"]["messages"] > before)
    else:
        produce(settings, 5, rate=0)
        group = {"consume": "dynamodb", "sink": "lake"}[command]
        wait_until(lambda: status(settings)["groups"][group]["lag"] == 0)
    assert process.poll() is None
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - asked < 10
    if command != "produce":
        assert status(settings)["groups"][group]["lag"] == 0


def test_rows_of_a_flush_carry_partition_and_offset(settings: Settings) -> None:
    rows = [row for row in rows_of_landing(settings) if row["_source_file"].startswith("customer_")]
    places = [(row["_source_file"], row["_source_row"]) for row in rows]
    assert len(set(places)) == len(places) == landed_rows(settings)


def message(**changes: Any) -> bytes:
    fields = {
        "feedback_id": str(uuid.uuid4()),
        "category": "Card Issue",
        "description": "Declined twice.",
        **changes,
    }
    return json.dumps(fields).encode()


def start(settings: Settings, *command: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).parent / "discover"
    environment = {**os.environ, "DISCOVER_HOME": str(settings.home)}
    return subprocess.Popen(
        [str(program), "stream", *command], env=environment, stderr=subprocess.DEVNULL
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def letters(settings: Settings) -> dict[str, DeadLetter]:
    _, topic = broker.require_topics(settings)
    return dead_letters.open_letters(settings, topic)


def scan(settings: Settings) -> Iterator[dict[str, Any]]:
    for page in (
        clients.dynamodb(settings).get_paginator("scan").paginate(TableName=COMPLAINTS_TABLE)
    ):
        yield from page["Items"]


def item(settings: Settings, feedback_id: str) -> Any:
    found = clients.dynamodb(settings).get_item(
        TableName=COMPLAINTS_TABLE, Key={"feedback_id": {"S": feedback_id}}
    )
    return from_item(found["Item"])


def contents_of_table(settings: Settings) -> dict[str, str]:
    rows = [from_item(found).complaint for found in scan(settings)]
    return {row.feedback_id: row.content_hash for row in rows}


def contents_of_landing(settings: Settings) -> dict[str, str]:
    from streaming.landed import Landed

    return {
        row.complaint.feedback_id: row.complaint.content_hash
        for row in Landed(settings).first_of_each()
    }


def rows_of_landing(settings: Settings) -> list[dict[str, Any]]:
    pattern = f"s3://{LAKE_BUCKET}/{landing_prefix('feedback')}*/*.parquet"
    with duck.connect_lake(settings, attach=False) as connection:
        table = connection.execute(f"SELECT * FROM read_parquet('{pattern}')").fetch_arrow_table()
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
