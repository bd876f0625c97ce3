"""Readers of the stream that die, each in a process of its own, under a DynamoDB that throttles.

``python -m tests.faults.streams`` reads JSON lines ``{"home", "command", "point", "seconds",
"seed"}``: see ``forked``. What the test of some kills and the benchmark of many share.
"""

from __future__ import annotations

import functools
import random
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from botocore.exceptions import ClientError

from discover.build import build
from ingest.flatten import flatten
from lakehouse import clients, duck, landing
from lakehouse.catalog import (
    COMPLAINTS,
    COMPLAINTS_TABLE,
    COMPLAINTS_TOPIC,
    DYNAMODB_GROUP,
    LAKE_GROUP,
)
from lakehouse.complaint import Complaint, delivered, fake
from lakehouse.settings import Settings, load
from streaming import broker, consume, dead_letters, produce, sink
from streaming.table import from_item
from tests.faults.forked import Forked, Point, serve

MODULES = ("boto3", "lakehouse.duck", "phonenumbers", "pyarrow.parquet", "stdnum.luhn")
HISTORY = {"days": 60, "end_date": date(2026, 6, 20)}
READERS: dict[str, Callable[..., object]] = {"consume": consume.consume, "sink": sink.sink}
POINTS: dict[str, list[Point]] = {
    "consume": [
        ("streaming.batch_write:BatchWriter:_read", "after", 1),
        ("streaming.batch_write:BatchWriter:_write", "before", 1),
        ("streaming.batch_write:BatchWriter:_write", "after", 1),
        ("streaming.batch_write:BatchWriter:_write", "after", 4),
        ("streaming.dead_letters:Outbox:send", "before", 1),
        ("streaming.dead_letters:Outbox:send", "after", 1),
        ("streaming.consume:store", "after", 1),
        ("streaming.reading:Reader:commit", "before", 1),
        ("streaming.reading:Reader:commit", "after", 1),
    ],
    "sink": [
        ("streaming.sink:Lake:_settle", "before", 1),
        ("streaming.dead_letters:Outbox:send", "after", 1),
        ("lakehouse.landing:write_parquet", "before", 1),
        ("lakehouse.landing:write_parquet", "after", 1),
        ("lakehouse.landing:write_parquet", "after", 3),
        ("lakehouse.landing:write_batch", "before", 1),
        ("lakehouse.landing:write_batch", "after", 1),
        ("streaming.reading:Reader:commit", "after", 1),
        ("streaming.reading:Reader:commit", "before", 2),
        ("streaming.reading:Reader:commit", "after", 2),
    ],
}
"""Every point at which a reader has done half of something."""
BAD = b"not json"


class Throttled:
    """A DynamoDB client that now and then refuses a request, or does a part of it."""

    def __init__(self, client: Any, seed: int) -> None:
        self._client = client
        self._draws = random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        self._throttle("BatchWriteItem")
        ((table, puts),) = RequestItems.items()
        kept, left = self._parts(puts)
        if kept:
            self._client.batch_write_item(RequestItems={table: kept})
        return {"UnprocessedItems": {table: left} if left else {}}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        self._throttle("BatchGetItem")
        ((table, asked),) = RequestItems.items()
        kept, left = self._parts(asked["Keys"])
        answer = {"Responses": {table: []}, "UnprocessedKeys": {}}
        if kept:
            answer = self._client.batch_get_item(RequestItems={table: {**asked, "Keys": kept}})
        return answer | {"UnprocessedKeys": {table: {**asked, "Keys": left}} if left else {}}

    def _throttle(self, operation: str) -> None:
        if self._draws.random() < 0.1:
            code = "ProvisionedThroughputExceededException"
            raise ClientError({"Error": {"Code": code, "Message": "injected"}}, operation)

    def _parts(self, asked: list[Any]) -> tuple[list[Any], list[Any]]:
        left = [one for one in asked if self._draws.random() < 0.1]
        return [one for one in asked if one not in left], left


@dataclass
class Sent:
    """What stands in the topic: complaints by id, and messages that have to be refused."""

    complaints: dict[str, Complaint] = field(default_factory=dict)
    refused: int = 0

    def more(self, settings: Settings, count: int, seed: int) -> None:
        """Send ``count`` complaints; also one that is none, and one under a used id."""
        produce.produce(settings, count, rate=0, seed=seed, **HISTORY)  # type: ignore[arg-type]
        new = list(fake(count, seed, **HISTORY))  # type: ignore[arg-type]
        self.complaints |= {complaint.feedback_id: complaint for complaint in new}
        other = delivered(new[0]) | {"description": f"Something else, {seed}."}
        with broker.producer(settings) as client:
            client.send(COMPLAINTS_TOPIC, value=BAD)
            key = new[0].feedback_id.encode()
            client.send(COMPLAINTS_TOPIC, key=key, value=produce.to_value(other))
            client.flush(30)
        self.refused += 2


@dataclass
class Stores:
    """What each store holds of the complaints: id and content hash, every row of it."""

    dynamodb: list[tuple[str, str]]
    landing: list[tuple[str, str]]
    raw: list[tuple[str, str]]
    mart: list[tuple[str, str]]
    dead_letters: int


class Kills:
    """Kills the two readers of one home side by side, each in a process of its own."""

    def __init__(self, settings: Settings, log: Path, seed: int) -> None:
        self._settings = settings
        self._draws = random.Random(seed)
        self._servers = {
            command: Forked("tests.faults.streams", settings.home, log) for command in READERS
        }
        self.killed = dict.fromkeys(READERS, 0)

    def __enter__(self) -> Kills:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.close()

    def round(self, points: Mapping[str, Point | None]) -> None:
        """Kill each reader once: at its point, or without one after a random time."""
        seeds = {command: self._draws.getrandbits(32) for command in points}
        times = {command: self._draws.uniform(0.2, 4) for command in points}

        def kill(command: str) -> None:
            asked = {
                "command": command,
                "home": str(self._settings.home),
                "point": points[command],
                "seconds": None if points[command] else times[command],
                "seed": seeds[command],
            }
            ended, _ = self._servers[command].ask(asked)
            assert ended == -9, (command, points[command], ended)
            self.killed[command] += 1

        with ThreadPoolExecutor(len(points)) as pool:
            list(pool.map(kill, points))


def stores(settings: Settings, work: Path, *, mart: bool) -> Stores:
    """All rows of all stores, after a last flatten and, if asked for, a build of the mart."""
    pages = clients.dynamodb(settings).get_paginator("scan").paginate(TableName=COMPLAINTS_TABLE)
    items = [from_item(item) for page in pages for item in page["Items"]]
    flatten(settings)
    columns = "feedback_id, category, description, occurred_at_utc"
    with duck.connect_lake(settings) as lake:
        raw = _hashed(lake, f"SELECT {columns} FROM lake.{COMPLAINTS.identifier}")
        keys = {key for batch in landing.batches(settings, "feedback") for key in batch.objects}
        urls = ", ".join(f"'{landing.url(key)}'" for key in sorted(keys))
        of_landing = f"SELECT {columns} FROM read_parquet([{urls}])"
        landed = _hashed(lake, of_landing) if keys else []
    built = []
    if mart:
        marts = work / "marts.duckdb"
        select = ("--select", "+fct_complaints")
        report = build(settings, marts_file=marts, work_dir=work, args=select, entitlements=[])
        assert report.failures == []
        with duckdb.connect(str(marts), read_only=True) as connection:
            built = _hashed(connection, f"SELECT {columns} FROM fct_complaints")
    _, letters = broker.require_topics(settings)
    return Stores(
        dynamodb=[(row.complaint.feedback_id, row.complaint.content_hash) for row in items],
        landing=landed,
        raw=raw,
        mart=built,
        dead_letters=len(dead_letters.open_letters(settings, letters)),
    )


def _hashed(connection: Any, sql: str) -> list[tuple[str, str]]:
    rows = connection.execute(sql).fetchall()
    return [(row[0], Complaint(*row).content_hash) for row in rows]


def finish(settings: Settings) -> None:
    """Let both readers come to the topic's end, undisturbed."""
    with ThreadPoolExecutor(len(READERS)) as pool:
        list(pool.map(lambda read: read(settings, until_idle=True), READERS.values()))


def lag(settings: Settings, group: str) -> int:
    """Messages that the readers into ``dynamodb`` or ``lake`` have not committed yet."""
    topic = _topic(settings)
    name = {"dynamodb": DYNAMODB_GROUP, "lake": LAKE_GROUP}[group]
    (committed,) = broker.committed(settings, topic.group(name))
    spans = broker.spans(settings, topic)
    return sum(span.end - max(committed.get(tp, 0), span.first) for tp, span in spans.items())


@functools.cache
def _topic(settings: Settings) -> broker.Topic:
    return broker.require_topics(settings)[0]


def _child(asked: Mapping[str, Any]) -> int:
    # Whoever never comes to its point would hang here.
    signal.alarm(120)
    settings = load(Path(asked["home"]), "local")
    # Joining a group takes half of it on the embedded broker.
    broker.SESSION_TIMEOUT_MS = 1_500
    real = clients.dynamodb
    clients.dynamodb = lambda settings: Throttled(real(settings), asked["seed"])
    options = {"flush_seconds": 0.5} if asked["command"] == "sink" else {}
    READERS[asked["command"]](settings, **options)
    return 0


if __name__ == "__main__":
    serve(MODULES, _child)
