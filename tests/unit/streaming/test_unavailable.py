"""A service that is away is named, with the command that starts it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from kafka.errors import KafkaConnectionError

from lakehouse import landing
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings, load
from streaming import broker
from streaming.consume import require_table
from streaming.dead_letters import Outbox
from streaming.received import DeadLetter, Place


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    nobody = "127.0.0.1:1"
    return load(
        tmp_path,
        "local",
        kafka_bootstrap=nobody,
        aws_endpoint=f"http://{nobody}",
        lake_access_key_id="key",
        lake_secret_access_key="secret",
    )


def test_no_broker(settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="discover up kafka"):
        broker.require_topics(settings)


def test_no_dynamodb(settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="discover up ministack"):
        require_table(settings)


def test_no_broker_for_a_dead_letter_is_what_a_batch_waits_for(settings: Settings) -> None:
    """Not the other service's, with whose patience a run ends."""
    place = Place("topic", 0, 0, datetime.fromisoformat("2026-11-24T12:00:00"))
    with Outbox(settings) as outbox, pytest.raises(KafkaConnectionError, match="does not answer"):
        outbox.send([DeadLetter(place, "message", "not JSON", "")])


def test_a_lake_that_takes_connections_and_answers_none(settings: Settings) -> None:
    with listening(answers=False) as port:
        frozen = settings.model_copy(update={"lake_endpoint": f"http://127.0.0.1:{port}"})
        with pytest.raises(ServiceUnavailable, match="does not answer"):
            landing.require_lake(frozen)


def test_a_lake_that_cuts_an_answer_off_is_there(settings: Settings) -> None:
    with listening(answers=True) as port:
        cutting = settings.model_copy(update={"lake_endpoint": f"http://127.0.0.1:{port}"})
        landing.require_lake(cutting)


@contextlib.contextmanager
def listening(*, answers: bool) -> Iterator[int]:
    """A port where connections are taken, and closed at once if it ``answers``."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def cut() -> None:
            connection, _ = server.accept()
            connection.recv(1024)
            connection.close()

        if answers:
            threading.Thread(target=cut, daemon=True).start()
        yield server.getsockname()[1]
