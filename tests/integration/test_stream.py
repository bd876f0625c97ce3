"""The stream on a real broker and a real table: nothing lost, nothing twice, nobody named."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.structs import MemberState

import streaming.sink
from ingest.flatten import flatten
from ingest.land import land
from lakehouse import clients, duck, landing
from lakehouse.catalog import (
    COMPLAINTS_TABLE,
    COMPLAINTS_TOPIC,
    DEAD_LETTERS_TOPIC,
    LAKE_BUCKET,
    TABLE_BUCKET,
    landing_prefix,
)
from lakehouse.complaint import iso, utc_now
from lakehouse.errors import UsageError
from lakehouse.settings import Settings
from streaming import broker, dead_letters, reading
from streaming.consume import consume
from streaming.produce import produce
from streaming.reading import Reader
from streaming.rebuild import rebuild
from streaming.received import ALREADY_USED, DeadLetter
from streaming.sink import sink
from streaming.status import status
from streaming.table import INDEX, from_item, query_keys
from tests.faults.streams import lag

# Nobody of this name is in any other test's data.
PERSONAL = (
    "zebulon.q@example.ca",
    "647-555-0187",
    "4539578763621486",
    "578763621486",
    "4539*5787",
    "Zebulon Quarrington",
    "Zebulon%20Quarrington",
    "zebulon.q%40example.ca",
    "90817263",
    "H2X 1Y4",
)


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


BAD = {
    "message: not JSON": b"not json",
    "message: not a JSON object": b"[1]",
    "message: no value (tombstone)": None,
    "message: not UTF-8": b'{"feedback_id": "\xff"}',
    "feedback_id: missing": {"feedback_id": ...},
    "feedback_id: not a string": {"feedback_id": 17},
    "feedback_id: not a UUID": {"feedback_id": "17"},
    "category: not one of": {"category": "Other"},
    "description: empty": {"description": " "},
    "description: not a string": {"description": ["x"]},
    "description: longer than": {"description": "x" * 990_000},
    "description: control character": {"description": "a\u0000b"},
    "description: lone surrogate": {"description": "\ud800"},
    "occurred_at: in the future": {"occurred_at": "2126-01-01T00:00:00Z"},
    "occurred_at: not a UTC time": {"occurred_at": "yesterday"},
}


def test_a_bad_record_is_set_aside_and_stops_nobody(
    settings: Settings, sender: KafkaProducer
) -> None:
    """Each with its reason, partition and offset; a good one after them all arrives."""
    sent = {}
    for reason, value in BAD.items():
        if isinstance(value, dict):
            fields = json.loads(message(**{k: v for k, v in value.items() if v is not ...}))
            fields = {name: fields[name] for name in fields if value.get(name) is not ...}
            value = json.dumps(fields).encode()
        at = sender.send(COMPLAINTS_TOPIC, key=b"k", value=value, partition=2).get(10)
        sent[at.offset] = reason
    good = message()
    sender.send(COMPLAINTS_TOPIC, value=good, partition=2).get(10)
    before = letters(settings)
    assert consume(settings, until_idle=True).dead_letters == len(BAD)
    assert sink(settings, until_idle=True).dead_letters == len(BAD)
    new = [letter for key, letter in letters(settings).items() if key not in before]
    said = {letter.place.offset: f"{letter.field}: {letter.reason}" for letter in new}
    assert {letter.place.partition for letter in new} == {2}
    assert said.keys() == sent.keys()
    for offset, reason in sent.items():
        assert said[offset].startswith(reason), (said[offset], reason)
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


def test_no_store_and_no_log_holds_what_identifies_a_person(
    settings: Settings, sender: KafkaProducer, tmp_path: Path
) -> None:
    """Planted in good and bad messages and files; looked for in everything but the topic itself."""
    fields = {
        "description": "Mail zebulon.q@example.ca, call 647-555-0187, card 4539578763621486\n"
        "customer id 90817263\n4539*5787*6362*1486\nzebulon.q%40example.ca\nH2X 1Y4",
        "name": "Zebulon Quarrington",
        "customer_id": 90817263,
    }
    taken = message(**fields)
    coded = base64.b64encode(message(**fields))
    bad = (
        message(**fields, category="Other"),
        message(**{**fields, "feedback_id": "zebulon.q@example.ca"}),
        message(**{**fields, "description": fields}),
        message(**{**fields, "feedback_id": "90817263"}),
        message(**fields)[:-1],
        message(**fields, customer_ids=[["a"], [90817263]])[:-1],
        message(**fields).replace(b"4539", b"4539\xff"),
        coded,
        quote(message(**fields)).encode(),
        b"call 647-555-0187 " + message(**fields),
    )
    other = message(
        **{**fields, "feedback_id": json.loads(taken)["feedback_id"], "category": "ATM Issue"}
    )
    for value in (taken, *bad, other):
        sender.send(COMPLAINTS_TOPIC, key=b"k", value=value)
    sender.flush(30)
    file = tmp_path / "complaints.jsonl"
    file.write_bytes(b"\n".join((*(message(**fields) for _ in range(40)), bad[0], other)))
    assert consume(settings, until_idle=True).dead_letters == len(bad) + 1
    sink(settings, until_idle=True)
    assert land(settings, "feedback", [str(file)]).files[0].quarantined == 2
    flatten(settings)
    table = json.dumps(list(scan(settings)))
    landed = json.dumps(rows_of_landing(settings), default=str)
    assert "[e-mail], call [phone], card [card]" in table
    assert "[e-mail], call [phone], card [card]" in landed
    held = {"DynamoDB": table.encode(), "dead letters": dead_letters_as_stored(settings)}
    held |= dict(objects(settings)) | dict(files_of_home(settings))
    assert len(held) > 10
    found = {
        (name, secret)
        for name, content in held.items()
        for secret in (*PERSONAL, coded.decode()[:40])
        if secret.encode() in content
    }
    assert found == set()
    # Other tests compare the two stores; what was landed from a file is in one of them so far.
    rebuild(settings)


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
    before = messages(settings)
    process = start(settings, command, *(["--flush-seconds", "1"] if command == "sink" else []))
    if command == "produce":
        wait_until(lambda: messages(settings) > before)
    else:
        produce(settings, 5, rate=0)
        group = {"consume": "dynamodb", "sink": "lake"}[command]
        wait_until(lambda: lag(settings, group) == 0)
    assert process.poll() is None
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - asked < 10
    if command != "produce":
        assert lag(settings, group) == 0


def test_a_bucket_that_is_read_again_is_never_landed_short(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every poll is a flush, and a poll brings less than was committed of a bucket before."""
    sink(settings, until_idle=True)
    produce(settings, 3_000, rate=0)
    assert sink(settings, until_idle=True).landed == 3_000
    rows = status(settings)["lake"]["rows"]
    commits: dict[TopicPartition, list[int]] = defaultdict(list)
    commit = Reader.commit

    def noted(reader: Reader, offsets: Mapping[TopicPartition, int]) -> bool:
        for partition, offset in offsets.items():
            commits[partition].append(offset)
        return commit(reader, offsets)

    monkeypatch.setattr(Reader, "commit", noted)
    monkeypatch.setattr(streaming.sink, "FLUSH_RECORDS", 4)
    produce(settings, 4, rate=0)
    done = sink(settings, until_idle=True, flush_seconds=0)
    assert (done.read, done.landed) == (4, 4)
    assert commits
    assert all(offsets == sorted(offsets) for offsets in commits.values())
    assert status(settings)["lake"]["rows"] == rows + 4


def test_a_leader_whose_share_comes_between_two_polls_takes_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rejoins by itself when its topic grows, and then nobody tells it to do so again."""
    topic, _ = broker.require_topics(settings)
    with broker.consumer(settings, topic.group(f"between-polls-{uuid.uuid4()}")) as client:
        reader = Reader(
            client,
            topic,
            settings,
            stop=threading.Event(),
            until_idle=False,
            linger=0,
            batch_size=1,
            say=print,
        )
        batches = reader.batches()

        def is_in() -> bool:
            next(batches)
            return bool(client.group_metadata().state == MemberState.STABLE)

        wait_until(is_in)
        with monkeypatch.context() as hurry:
            hurry.setattr(reading, "POLL_SECONDS", 0.001)
            while is_in():
                # What a topic that grew leaves in the client of the leader.
                client._coordinator._assignment_snapshot = {}
        joining = client._coordinator._join_task
        wait_until(lambda: bool(joining.is_done))
        wait_until(is_in)


def test_no_complaints_are_sent_of_a_day_that_is_not_over(settings: Settings) -> None:
    before = messages(settings)
    with pytest.raises(UsageError, match="future"):
        produce(settings, 1, rate=0, end_date=utc_now().date())
    assert messages(settings) == before


def test_who_writes_among_the_dead_letters_is_passed_over(
    settings: Settings, sender: KafkaProducer
) -> None:
    before = letters(settings)
    sender.send(DEAD_LETTERS_TOPIC, value=b"nobody's letter").get(10)
    assert letters(settings) == before


def test_every_compression_of_kafka_is_read(settings: Settings) -> None:
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    sent = {codec: str(uuid.uuid4()) for codec in ("gzip", "snappy", "lz4", "zstd")}
    for codec, feedback_id in sent.items():
        client = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap, compression_type=codec, acks="all"
        )
        text = f"Sent with {codec}. " * 40
        value = message(feedback_id=feedback_id, description=text)
        client.send(COMPLAINTS_TOPIC, value, partition=0).get(10)
        client.close()
    assert consume(settings, until_idle=True).stored == len(sent)
    assert sink(settings, until_idle=True).landed == len(sent)
    assert set(sent.values()) <= set(contents_of_table(settings))
    assert set(sent.values()) <= set(contents_of_landing(settings))
    assert item(settings, sent["snappy"]).complaint.description.startswith("Sent with snappy.")


def test_rows_of_a_flush_carry_partition_and_offset(settings: Settings) -> None:
    rows = [row for row in rows_of_landing(settings) if row["_source_file"].startswith("customer_")]
    places = [(row["_source_file"], row["_source_row"]) for row in rows]
    assert len(set(places)) == len(places) == len({row["feedback_id"] for row in rows}) > 0


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


def messages(settings: Settings) -> int:
    topic, _ = broker.require_topics(settings)
    return sum(span.end - span.first for span in broker.spans(settings, topic).values())


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


def dead_letters_as_stored(settings: Settings) -> bytes:
    """Every message of their topic, settled or not: key, value and headers."""
    _, topic = broker.require_topics(settings)
    spans = broker.spans(settings, topic)
    stored: list[bytes] = []
    with broker.consumer(settings) as client:
        client.assign(topic.partitions)
        client.seek_to_beginning()
        while any(client.position(partition) < span.end for partition, span in spans.items()):
            for records in client.poll(timeout_ms=500).values():
                stored += [repr(record).encode() for record in records]
    assert stored
    return b"\n".join(stored)


def objects(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Every object of the lake, Parquet as its rows."""
    for bucket in (LAKE_BUCKET, TABLE_BUCKET):
        store = clients.lake_store(settings, bucket)
        for key in [found["path"] for page in store.list() for found in page]:
            content = bytes(store.get(key).bytes())
            if key.endswith(".parquet"):
                rows = pq.read_table(io.BytesIO(content)).to_pylist()
                content = json.dumps(rows, default=str).encode()
            yield f"{bucket}/{key}", content


def files_of_home(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Logs and all other files; not the stores' own, whose contents are read through them."""
    for path in settings.home.rglob("*"):
        if path.is_file() and not path.is_relative_to(settings.home / "services"):
            yield str(path), path.read_bytes()


def rows_of_landing(settings: Settings) -> list[dict[str, Any]]:
    pattern = f"s3://{LAKE_BUCKET}/{landing_prefix('feedback')}*/*.parquet"
    with duck.connect_lake(settings, attach=False) as connection:
        table = connection.execute(f"SELECT * FROM read_parquet('{pattern}')").fetch_arrow_table()
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
