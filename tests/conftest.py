"""What all tests share: one home whose services run for the whole session."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse import services
from lakehouse.settings import Settings, load

# A developer's exports must not decide what a test talks to.
for _name in [name for name in os.environ if name.startswith("DISCOVER_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """An empty home of this session alone, below a short path."""
    with tempfile.TemporaryDirectory(prefix="discover-test-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def settings(home: Path) -> Iterator[Settings]:
    """Settings of a home whose services are up: all but Superset. Stopped at the end."""
    services.up(home)
    try:
        yield load(home, "local")
    finally:
        services.down(home)
