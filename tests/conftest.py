"""What all tests share: one home whose services run for the session, one small version in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from lakehouse import services
from lakehouse.settings import Settings, load

if TYPE_CHECKING:
    from xdist.remote import Producer

    from discover.refresh import Report

CUSTOMERS, DAYS, COMPLAINTS, SEED = 60, 20, 40, 7
LAST_DAY = date(2026, 6, 20)
HURT_REFRESHES = ("test_histories.py", "test_refresh_faults.py", "test_refresh_killed.py")
"""They take about as long as all the rest."""

# A developer's exports must not decide what a test talks to.
for _name in [name for name in os.environ if name.startswith("DISCOVER_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """An empty home of this session alone, below a short path."""
    with tempfile.TemporaryDirectory(prefix="discover-test-") as folder:
        yield Path(folder).resolve()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--broker apache-kafka`` runs the stream's tests on Apache Kafka, which needs Java."""
    parser.addoption("--broker", choices=("kafka", "apache-kafka"), default="kafka")


class TwoHalves(LoadScopeScheduling):
    """Two workers: one hurts refreshes in homes of their own, one does the rest, in their order.

    pytest-xdist 3.8's own ``--dist loadgroup`` writes a private name of pytest's that pytest 9.2
    no longer reads: without an error it deals out tests one by one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0]).name
        return "refreshes" if file in HURT_REFRESHES else "rest"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TwoHalves:
    """What deals out the tests where there are workers."""
    return TwoHalves(config, log)


@pytest.fixture(autouse=True)
def _no_command_line_of_another_test() -> Iterator[None]:
    """A command leaves what its global options said to its process."""
    yield
    for name in ("DISCOVER_HOME", "DISCOVER_PROFILE"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def broker_service(request: pytest.FixtureRequest) -> str:
    """The service that is the broker."""
    name: str = request.config.getoption("--broker")
    return name


@pytest.fixture(scope="session")
def settings(home: Path, broker_service: str) -> Iterator[Settings]:
    """Settings of a home whose services are up: all but Superset. Stopped at the end."""
    try:
        if broker_service == "kafka":
            services.up(home)
        else:
            states = services.up(home, ["seaweedfs", "ministack", broker_service])
            # As a user would, so that commands which a test starts find it as well.
            os.environ["DISCOVER_KAFKA_BOOTSTRAP"] = states[-1].url
        yield load(home, "local")
    finally:
        os.environ.pop("DISCOVER_KAFKA_BOOTSTRAP", None)
        services.down(home)


@dataclass(frozen=True)
class Published:
    """The settings of the home, what was delivered to it, and what the first refresh said."""

    settings: Settings
    delivered: Path
    inputs: dict[str, list[str]]
    complaints: int
    """In the lake when it was published: tests of the stream may have come before."""
    report: Report


@pytest.fixture(scope="session")
def published(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """One small published version, made once through the whole path, for all that reads it."""
    # Unit tests must not pay for these.
    from discover.refresh import refresh
    from ingest.bank import load as load_bank
    from ingest.generate import generate
    from streaming.consume import consume
    from streaming.produce import produce
    from streaming.sink import sink
    from streaming.status import status

    delivered = tmp_path_factory.mktemp("delivered")
    generate(CUSTOMERS, DAYS, SEED, delivered, LAST_DAY)
    load_bank(settings, delivered / "core_banking" / "customers.csv", replace=True)
    produce(settings, count=COMPLAINTS, rate=0, seed=SEED)
    consume(settings, until_idle=True)
    sink(settings, until_idle=True)
    inputs = {
        "credit_bureau": [str(delivered / "credit_bureau" / "credit_data.json")],
        "atm": [str(delivered / "atm" / "atm_activity.csv")],
    }
    complaints = status(settings)["lake"]["rows"]
    report = refresh(settings, inputs)
    assert report.failures == []
    return Published(settings, delivered, inputs, complaints, report)
