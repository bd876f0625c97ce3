"""Under one id the first complaint counts, in every store, wherever the two came from."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from ingest import quarantine
from ingest.flatten import flatten
from ingest.land import LandReport, land
from lakehouse import clients, duck
from lakehouse.catalog import COMPLAINTS, COMPLAINTS_TABLE, COMPLAINTS_TOPIC
from lakehouse.settings import Settings
from streaming import broker, dead_letters
from streaming.consume import consume
from streaming.landed import Landed
from streaming.rebuild import rebuild
from streaming.received import ALREADY_USED
from streaming.sink import sink


@pytest.fixture(autouse=True)
def _short_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining a group takes half the session's time-out on the embedded broker."""
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)


@pytest.fixture(autouse=True, scope="module")
def _files_in_dynamodb_too(settings: Settings) -> Iterator[None]:
    """Other tests compare it with the lake, which has what was landed from files."""
    yield
    rebuild(settings)


@pytest.fixture
def sender(settings: Settings) -> Iterator[KafkaProducer]:
    broker.require_topics(settings)
    with broker.producer(settings) as client:
        yield client


def test_a_file_that_contradicts_an_earlier_landing_is_quarantined(
    settings: Settings, tmp_path: Path
) -> None:
    feedback_id = str(uuid.uuid4())
    by_file(settings, tmp_path / "first.jsonl", complaint(feedback_id, "First."))
    others = [complaint(str(uuid.uuid4()), "Another.") for _ in range(30)]
    report = by_file(
        settings,
        tmp_path / "second.jsonl",
        *others,
        complaint(feedback_id, "Second."),
        # The same as the first once more: no news, and no fault.
        complaint(feedback_id, "First."),
    )
    (file,) = report.files
    assert (file.rows_in, file.landed, file.quarantined) == (32, 31, 1)
    (reject,) = file.rejects
    assert (reject.line, reject.field) == (31, "feedback_id")
    assert "landed before" in reject.reason
    flatten(settings)
    assert in_raw(settings, feedback_id) == ["First."]
    listed = [found for found in quarantine.listing(settings, "feedback") if found["line"] == 31]
    assert [json.loads(found["raw"])["description"] for found in listed] == ["Second."]


def test_a_message_that_contradicts_a_file_is_a_dead_letter_and_dynamodb_has_the_file(
    settings: Settings, sender: KafkaProducer, tmp_path: Path
) -> None:
    """Also where the consumer met the message before the file was there."""
    early, late = str(uuid.uuid4()), str(uuid.uuid4())
    for feedback_id in (early, late):
        sender.send(COMPLAINTS_TOPIC, value=message(feedback_id, "By the stream.")).get(10)
    consume(settings, until_idle=True)
    by_file(settings, tmp_path / "file.jsonl", complaint(early, "By file."))
    known = letters(settings)
    sink(settings, until_idle=True)
    by_file(
        settings,
        tmp_path / "late.jsonl",
        complaint(late, "By file."),
        *(complaint(str(uuid.uuid4()), "Another.") for _ in range(30)),
    )
    flatten(settings)
    assert everywhere(settings, early) == {"By file."}
    assert everywhere(settings, late) == {"By the stream."}
    new = [letter for key, letter in letters(settings).items() if key not in known]
    assert [(letter.reason, json.loads(letter.raw)["feedback_id"]) for letter in new] == [
        (ALREADY_USED, early)
    ]


def test_a_message_that_is_read_late_but_came_first_replaces_the_second_everywhere(
    settings: Settings, sender: KafkaProducer
) -> None:
    """Senders without keys: the two stand in different partitions, read at their own pace."""
    feedback_id = str(uuid.uuid4())
    now = int(time.time() * 1000)
    send(sender, message(feedback_id, "Second."), partition=2, at=now)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    flatten(settings)
    assert everywhere(settings, feedback_id) == {"Second."}
    known = letters(settings)
    send(sender, message(feedback_id, "First."), partition=1, at=now - 60_000)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    (table,) = [done for done in flatten(settings) if done.table == COMPLAINTS.identifier]
    assert table.changed
    assert everywhere(settings, feedback_id) == {"First."}
    new = [letter for key, letter in letters(settings).items() if key not in known]
    assert [json.loads(letter.raw)["description"] for letter in new] == ["Second."]


def complaint(feedback_id: str, description: str) -> dict[str, Any]:
    return {"feedback_id": feedback_id, "category": "Card Issue", "description": description}


def message(feedback_id: str, description: str) -> bytes:
    return json.dumps(complaint(feedback_id, description)).encode()


def send(sender: KafkaProducer, value: bytes, *, partition: int, at: int) -> None:
    sender.send(COMPLAINTS_TOPIC, value=value, partition=partition, timestamp_ms=at).get(10)


def by_file(settings: Settings, path: Path, *complaints: dict[str, Any]) -> LandReport:
    path.write_text("".join(json.dumps(one) + "\n" for one in complaints))
    return land(settings, "feedback", [str(path)])


def letters(settings: Settings) -> dict[str, Any]:
    _, topic = broker.require_topics(settings)
    return dead_letters.open_letters(settings, topic)


def in_raw(settings: Settings, feedback_id: str) -> list[str]:
    sql = f"SELECT description FROM lake.{COMPLAINTS.identifier} WHERE feedback_id = ?"
    with duck.connect_lake(settings) as lake:
        return [description for (description,) in lake.execute(sql, [feedback_id]).fetchall()]


def everywhere(settings: Settings, feedback_id: str) -> set[str]:
    """What the stores say under one id; one text where they agree."""
    key = {"feedback_id": {"S": feedback_id}}
    item = clients.dynamodb(settings).get_item(TableName=COMPLAINTS_TABLE, Key=key)["Item"]
    landed = [
        row.complaint.description
        for row in Landed(settings).first_of_each()
        if row.complaint.feedback_id == feedback_id
    ]
    raw = in_raw(settings, feedback_id)
    assert len(landed) == len(raw) == 1
    return {item["description"]["S"], *landed, *raw}
