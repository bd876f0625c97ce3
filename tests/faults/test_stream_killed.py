"""kill -9 at every point where a reader has done half of something: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lakehouse import clients
from lakehouse.catalog import COMPLAINTS_TABLE
from lakehouse.settings import Settings
from streaming import broker
from streaming.consume import consume
from streaming.landed import Landed
from streaming.produce import produce
from streaming.sink import sink
from streaming.status import status
from streaming.table import from_item

# Runs a reader that dies by kill -9 right before or after the n-th call of a function.
DIES = """
import importlib, os, signal, sys
from lakehouse.settings import load
from streaming import broker

command, target, when, count = sys.argv[1:]
broker.SESSION_TIMEOUT_MS = 1_500
module, *path, name = target.split(":")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
call, left = getattr(owner, name), [int(count)]

def dies(*arguments, **options):
    left[0] -= 1
    is_last = left[0] == 0
    if when == "before" and is_last:
        os.kill(os.getpid(), signal.SIGKILL)
    result = call(*arguments, **options)
    if when == "after" and is_last:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, dies)
run = getattr(importlib.import_module("streaming." + command), command)
run(load(), until_idle=True)
"""

POINTS = [
    ("consume", "streaming.batch_write:BatchWriter:_write", "after", 3),
    ("consume", "streaming.dead_letters:Outbox:send", "after", 1),
    ("consume", "streaming.reading:Reader:commit", "before", 1),
    ("consume", "streaming.reading:Reader:commit", "after", 1),
    ("sink", "streaming.dead_letters:Outbox:send", "after", 1),
    ("sink", "lakehouse.landing:write_parquet", "after", 2),
    ("sink", "lakehouse.landing:write_batch", "before", 1),
    ("sink", "lakehouse.landing:write_batch", "after", 1),
    ("sink", "streaming.reading:Reader:commit", "before", 2),
    ("sink", "streaming.reading:Reader:commit", "after", 2),
]


@pytest.fixture(autouse=True)
def _short_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining a group takes half the session's time-out on the embedded broker."""
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)


def test_readers_killed_half_way_end_as_if_nothing_had_happened(settings: Settings) -> None:
    broker.require_topics(settings)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    before = status(settings)
    sent = 0
    for round_, (command, target, when, count) in enumerate(POINTS):
        produce(settings, 400, rate=0, seed=9_000 + round_)
        with broker.producer(settings) as sender:
            sender.send("customer_feedback", value=b"not json").get(10)
        sent += 400
        arguments = [sys.executable, "-c", DIES, command, target, when, str(count)]
        environment = {**os.environ, "DISCOVER_HOME": str(settings.home)}
        done = subprocess.run(arguments, env=environment, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, (command, target, when)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    after = status(settings)
    assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == sent
    assert after["lake"]["rows"] - before["lake"]["rows"] == sent
    assert after["dead_letters"] - before["dead_letters"] == len(POINTS)
    assert after["groups"] == {"dynamodb": {"lag": 0}, "lake": {"lag": 0}}
    pages = clients.dynamodb(settings).get_paginator("scan").paginate(TableName=COMPLAINTS_TABLE)
    table = [from_item(item).complaint for page in pages for item in page["Items"]]
    landed = [row.complaint for row in Landed(settings).first_of_each()]
    assert sorted(table, key=str) == sorted(landed, key=str)
