"""A service that is away is named, with the command that starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings, load
from streaming import broker
from streaming.consume import require_table


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
