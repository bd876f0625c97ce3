"""Apache Kafka as a service: loopback only, and a cluster made anew is another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from lakehouse import services
from lakehouse.settings import Settings
from streaming import broker
from streaming.consume import consume
from streaming.produce import produce
from streaming.sink import sink
from streaming.status import status
from tests.faults.test_stream_outages import assert_said_once


def test_it_listens_on_loopback_only(settings: Settings, broker_service: str) -> None:
    (state,) = services.status(settings.home, [broker_service])
    heard = {
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.Process(state.pid).net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert heard == {"127.0.0.1"}


def test_a_broker_that_is_frozen_is_said_once(
    settings: Settings, broker_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)
    assert_said_once(settings, broker_service)


def test_of_a_broker_made_anew_everything_is_read_and_nothing_of_before_is_lost(
    settings: Settings, broker_service: str
) -> None:
    """Positions of the old topic say nothing about the new one, whose offsets begin at 0 again."""
    produce(settings, 80, rate=0, seed=4_001)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    before = status(settings)
    old, _ = broker.require_topics(settings)
    services.down(settings.home, [broker_service])
    shutil.rmtree(Path(settings.home) / "services" / broker_service)
    services.up(settings.home, [broker_service])
    new, _ = broker.require_topics(settings)
    assert new.identity != old.identity
    produce(settings, 40, rate=0, seed=4_002)
    assert consume(settings, until_idle=True).stored == 40
    assert sink(settings, until_idle=True).landed == 40
    after = status(settings)
    assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == 40
    assert after["lake"]["rows"] - before["lake"]["rows"] == 40
