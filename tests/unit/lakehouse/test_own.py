"""A service of another home that took a freed port is not taken for this home's."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kb_export.knowledge_base import sync
from kb_export.upload import ensure_bucket
from lakehouse.errors import ServiceUnavailable
from lakehouse.services.own import require_own
from lakehouse.settings import Settings, load
from streaming.broker import require_broker
from streaming.consume import require_table


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """Something listens there; this home didn't start it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def settings_with(home: Path, port: int, **process: float) -> Settings:
    services = {
        "kafka": {"ports": {"kafka": port}, **process},
        "ministack": {"ports": {"aws": port}, **process},
    }
    (home / "services.json").write_text(json.dumps(services))
    return load(home, "local")


def test_nothing_is_sent_to_another_homes_service(tmp_path: Path, foreign_port: int) -> None:
    settings = settings_with(tmp_path, foreign_port)
    for reach in (require_broker, require_table, ensure_bucket, sync):
        with pytest.raises(ServiceUnavailable, match="is not running — start it: discover up"):
            reach(settings)


def test_a_dead_process_is_none(tmp_path: Path, foreign_port: int) -> None:
    settings = settings_with(tmp_path, foreign_port, pid=os.getpid(), started=1.0)
    with pytest.raises(ServiceUnavailable):
        require_own(settings, "kafka", settings.kafka_bootstrap)


def test_ones_own_and_a_given_address_pass(tmp_path: Path, foreign_port: int) -> None:
    me = psutil.Process()
    running = settings_with(tmp_path, foreign_port, pid=me.pid, started=me.create_time())
    require_own(running, "kafka", running.kafka_bootstrap)
    require_own(settings_with(tmp_path, foreign_port), "kafka", "127.0.0.1:1")
    require_own(load(tmp_path, "compose"), "kafka", f"127.0.0.1:{foreign_port}")
