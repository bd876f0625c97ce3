"""Invented complaints onto the topic: at any rate, seeded, each confirmed by the broker."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from lakehouse.business_calendar import today
from lakehouse.catalog import COMPLAINTS_TOPIC
from lakehouse.complaint import Complaint, delivered, fake, fake_one, utc_now
from lakehouse.errors import DiscoverError, UsageError
from lakehouse.settings import Settings
from streaming import broker

DEFAULT_RATE = 0.2
"""One complaint every five seconds."""
HISTORY_DAYS = 60
FLUSH_SECONDS, STOP_SECONDS = 30, 3
"""How long the broker may take to confirm what was sent; and after a stop was asked for."""
_LIVE = uuid.UUID("6b0f2f5e-6a0c-4b7e-9d1b-3c5f0a8e9d10")


@dataclass(frozen=True)
class Produced:
    """How many messages the broker confirmed."""

    sent: int


def produce(
    settings: Settings,
    count: int | None = None,
    rate: float = DEFAULT_RATE,
    seed: int | None = None,
    *,
    days: int = HISTORY_DAYS,
    end_date: date | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Produced:
    """Send complaints to the topic, keyed by their id.

    Args:
        settings: says where the broker is.
        count: how many; None goes on until ``stop``.
        rate: messages a second. At a rate complaints happen now. 0 is as fast as it goes, and they
            spread over ``days`` days up to ``end_date`` (yesterday): with a seed the same ones
            every time, ids included, for the same days.
        seed: of the draws; None draws anew each time.
        days: how many days of history at rate 0.
        end_date: the last of those days.
        stop: set it to end early; everything sent so far is still confirmed.
        on_progress: is told how many were sent.

    Raises:
        UsageError: ``end_date`` is not over.
        ServiceUnavailable: no broker answers.
        DiscoverError: the broker did not confirm a message.

    """
    broker.require_topics(settings)
    stop = stop or threading.Event()
    draws_seed = random.SystemRandom().getrandbits(63) if seed is None else seed
    if rate > 0:
        complaints = _live(count, draws_seed, rate, stop)
    else:
        yesterday = today(settings.timezone) - timedelta(days=1)
        last_day = end_date or yesterday
        if last_day > yesterday:
            raise UsageError(
                f"complaints of all hours of {last_day} would be refused: they lie in the future",
                f"choose an end date up to {yesterday}",
            )
        endless = 10**12 if count is None else count
        zone = settings.timezone
        complaints = fake(endless, draws_seed, days=days, end_date=last_day, timezone=zone)
    failures: list[BaseException] = []
    sent = 0
    with broker.unavailable(settings), broker.producer(settings) as client:
        for complaint in complaints:
            if stop.is_set() or failures:
                break
            client.send(
                COMPLAINTS_TOPIC,
                key=complaint.feedback_id.encode(),
                value=to_value(delivered(complaint)),
            ).add_errback(failures.append)
            sent += 1
            if on_progress:
                on_progress(sent)
        _flush(client, stop)
    if failures:
        raise DiscoverError(
            f"the broker did not confirm a message ({type(failures[0]).__name__})",
            "see its log, then produce again: a repeated complaint changes nothing",
        )
    return Produced(sent)


def _flush(client: KafkaProducer, stop: threading.Event) -> None:
    """Wait until the broker confirmed everything: long, but not for one who asks to stop.

    Raises:
        KafkaTimeoutError: it did not.

    """
    started = time.monotonic()
    while True:
        try:
            client.flush(timeout=0.5)
        except KafkaTimeoutError:
            if time.monotonic() - started > (STOP_SECONDS if stop.is_set() else FLUSH_SECONDS):
                raise
        else:
            return


def to_value(document: dict[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    return json.dumps(document, ensure_ascii=False).encode()


def _live(count: int | None, seed: int, rate: float, stop: threading.Event) -> Iterator[Complaint]:
    """The seed draws what people say; ids are those of the moment, for no two may share one."""
    draws = random.Random(f"live/{seed}")
    started = time.monotonic()
    for number in itertools.count() if count is None else range(count):
        ahead = started + number / rate - time.monotonic()
        if ahead > 0 and stop.wait(ahead):
            return
        now = utc_now()
        feedback_id = uuid.uuid5(_LIVE, f"{seed}/{number}/{now.isoformat()}")
        yield replace(fake_one(draws, now), feedback_id=str(feedback_id))
