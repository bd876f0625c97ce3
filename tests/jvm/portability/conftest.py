"""A lake of these tests' own, on which nothing has landed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse import services
from lakehouse.settings import Settings, load


@pytest.fixture(scope="session")
def lake() -> Iterator[Settings]:
    """Trino and Athena's API over empty raw tables; other tests have another, with rows."""
    with tempfile.TemporaryDirectory(prefix="discover-jvm-") as folder:
        home = Path(folder).resolve()
        try:
            services.up(home, ["athena"])
            yield load(home, "local", bad_share_limit=0.5)
        finally:
            services.down(home)
