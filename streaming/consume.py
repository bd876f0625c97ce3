"""Kafka to DynamoDB: every complaint once, whatever is repeated, throttled or killed on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from kafka.errors import KafkaError

from lakehouse import clients
from lakehouse.catalog import DYNAMODB_GROUP
from lakehouse.complaint import utc_now
from lakehouse.errors import ServiceUnavailable
from lakehouse.services.own import require_own
from lakehouse.settings import Settings
from streaming import broker, table
from streaming.batch_write import BatchWriter, Stopped
from streaming.dead_letters import Outbox
from streaming.first_wins import decide
from streaming.reading import HEALTH_SECONDS, Batch, Reader
from streaming.received import DeadLetter, Received, receive

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LINGER = 2.0
"""Seconds that a batch waits to fill. No complaint waits longer than five until it is stored."""
BATCH_SIZE = 500
PATIENCE = 60
"""Seconds that a run with an end waits for a DynamoDB that takes nothing."""


@dataclass
class Consumed:
    """What one run did, in messages."""

    read: int = 0
    stored: int = 0
    repeated: int = 0
    dead_letters: int = 0
    retries: int = 0


def consume(
    settings: Settings,
    until_idle: bool = False,
    *,
    stop: threading.Event | None = None,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Consumed], None] = lambda _: None,
) -> Consumed:
    """Bring the topic's complaints into DynamoDB, until asked to stop or to the topic's end.

    A position is committed only after everything before it is stored or in dead letters. What is
    read again after a crash finds itself stored.

    Raises:
        ServiceUnavailable: the broker or DynamoDB does not answer at the start, or, with
            ``until_idle``, for too long.

    """
    stop = stop or threading.Event()
    topic, _ = broker.require_topics(settings)
    client = require_table(settings)
    done = Consumed()
    health_at = time.monotonic() + HEALTH_SECONDS

    def on_trouble(trouble: str | None) -> None:
        say(f"{trouble}: waiting, nothing is committed" if trouble else "DynamoDB answers again")

    with (
        broker.consumer(settings, topic.group(DYNAMODB_GROUP)) as consumer,
        Outbox(settings) as outbox,
        BatchWriter(
            client,
            endpoint=settings.aws_endpoint or "AWS",
            stop=stop,
            patience=PATIENCE if until_idle else None,
            on_trouble=on_trouble,
        ) as writer,
    ):
        reader = Reader(
            consumer,
            topic,
            settings,
            stop=stop,
            until_idle=until_idle,
            linger=LINGER,
            batch_size=BATCH_SIZE,
            say=say,
        )
        for batch in reader.batches():
            if batch:
                ends = {
                    tp: reader.positions.get(tp, records[-1].offset + 1)
                    for tp, records in batch.items()
                }
                try:
                    is_done = reader.until_done(
                        partial(store, batch, topic.identity, writer, outbox, done),
                        (KafkaError,),
                    ) and reader.until_done(partial(reader.commit, ends), (KafkaError,))
                except Stopped:
                    break
                if not is_done:
                    break
                done.retries = writer.retries
                on_progress(done)
            if time.monotonic() > health_at:
                health_at += HEALTH_SECONDS
                say(
                    f"{done.stored:,} stored, {done.dead_letters:,} dead letters,"
                    f" {done.retries:,} requests repeated"
                )
    return done


def store(batch: Batch, topic: str, writer: BatchWriter, outbox: Outbox, done: Consumed) -> None:
    """Store one batch and send its dead letters; returns once both are safe."""
    now = utc_now()
    results = [receive(record, topic, now) for records in batch.values() for record in records]
    complaints = [result for result in results if isinstance(result, Received)]
    complaints.sort(key=lambda received: received.place.received_at)
    found = writer.read(received.complaint.feedback_id for received in complaints)
    decision = decide(complaints, {name: table.from_item(item) for name, item in found.items()})
    refused = [result for result in results if isinstance(result, DeadLetter)]
    # Letters first: one may be about a stored complaint that the write below replaces.
    outbox.send(refused + decision.dead_letters)
    writer.write([table.to_item(received) for received in decision.store])
    done.read += len(results)
    done.stored += len(decision.store)
    done.dead_letters += len(refused) + len(decision.dead_letters)
    done.repeated += len(decision.repeated)


def require_table(settings: Settings) -> DynamoDBClient:
    """DynamoDB's client, with the table there.

    Raises:
        ServiceUnavailable: DynamoDB does not answer.

    """
    require_own(settings, "ministack", settings.aws_endpoint)
    client = clients.dynamodb(settings)
    try:
        table.ensure(client)
    except BotoCoreError as error:
        raise ServiceUnavailable(
            f"DynamoDB at {settings.aws_endpoint or 'AWS'} does not answer"
            f" ({type(error).__name__})",
            "start it: discover up ministack",
        ) from None
    return client
