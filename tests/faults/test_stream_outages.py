"""Brokers and stores that go away, and readers that come and go: they wait, and lose nothing."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse import services
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings
from streaming import broker, reading
from streaming.produce import produce
from streaming.status import status
from tests.faults.streams import READERS, Kills, Sent, finish, lag, stores

SEED = 411_000
STOPS_WITHIN = 10


@pytest.fixture(autouse=True)
def _short_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining a group takes half the session's time-out on the embedded broker."""
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)


class Running(threading.Thread):
    """One reader that goes on until told to stop, and what it said."""

    def __init__(self, command: str, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._read, self._settings = READERS[command], settings
        self._options: dict[str, Any] = {"flush_seconds": 0.5} if command == "sink" else {}
        self._stop_it = threading.Event()
        self.said: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._read(self._settings, stop=self._stop_it, say=self.said.append, **self._options)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def stop(self) -> float:
        """Ask it to stop; the seconds that it took."""
        asked = time.monotonic()
        self._stop_it.set()
        self.join(timeout=60)
        assert not self.is_alive()
        assert self.error is None
        return time.monotonic() - asked


@contextlib.contextmanager
def running(settings: Settings, *commands: str) -> Iterator[list[Running]]:
    readers = [Running(command, settings) for command in commands]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stop()


@contextlib.contextmanager
def frozen(settings: Settings, name: str) -> Iterator[None]:
    """A service that still takes connections and answers none."""
    process = service(settings, name)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def service(settings: Settings, name: str) -> psutil.Process:
    (state,) = services.status(settings.home, [name])
    assert state.pid is not None
    return psutil.Process(state.pid)


def test_a_broker_that_was_killed_is_waited_for(settings: Settings, broker_service: str) -> None:
    finish(settings)
    before = status(settings)
    producing = Producing(settings, count=200, rate=60)
    with running(settings, "consume", "sink") as readers:
        produce(settings, 20, rate=0)
        wait_until(lambda: lag(settings, "dynamodb") == 0 and lag(settings, "lake") == 0)
        producing.start()
        wait_until(lambda: producing.handed_over > 40)
        service(settings, broker_service).kill()
        wait_until(lambda: all(reader.said for reader in readers))
        services.up(settings.home, [broker_service])
        producing.join(timeout=60)
        assert producing.sent == 200
        wait_until(lambda: lag(settings, "dynamodb") == 0 and lag(settings, "lake") == 0)
    for reader in readers:
        assert len(reader.said) == 2, reader.said
        assert "does not answer" in reader.said[0]
    after = status(settings)
    assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == 220
    assert after["lake"]["rows"] - before["lake"]["rows"] == 220
    assert after["dead_letters"] == before["dead_letters"]


def test_one_that_is_away_is_said_once_nothing_is_committed_and_stopping_takes_seconds(
    settings: Settings,
) -> None:
    """A frozen DynamoDB; of a frozen broker the same is asked where Apache Kafka runs."""
    assert_said_once(settings, "ministack")


def test_a_producer_is_not_held_up_by_a_broker_that_confirms_nothing(
    settings: Settings, broker_service: str
) -> None:
    stop = threading.Event()
    handed_over: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        producing = pool.submit(
            produce, settings, rate=50, stop=stop, on_progress=handed_over.append
        )
        wait_until(lambda: len(handed_over) > 40)
        with frozen(settings, broker_service):
            before = len(handed_over)
            wait_until(lambda: len(handed_over) > before)
            asked = time.monotonic()
            stop.set()
            # What it sent last was not confirmed, and that it says.
            with pytest.raises(ServiceUnavailable, match="does not answer"):
                producing.result(timeout=60)
            assert time.monotonic() - asked < STOPS_WITHIN


def test_readers_that_come_and_go_hand_over_without_double_writes(
    settings: Settings, tmp_path: Path
) -> None:
    """Two of each group; the second is killed in the middle of its partitions, again and again."""
    finish(settings)
    before = stores(settings, tmp_path, mart=False)
    sent = Sent()
    with (
        running(settings, "consume", "sink"),
        Kills(settings, tmp_path / "readers.log", SEED) as kills,
    ):
        for number in range(3):
            sent.more(settings, 100, SEED + number)
            kills.round({"consume": None, "sink": None})
        sent.more(settings, 100, SEED + 3)
        wait_until(lambda: lag(settings, "dynamodb") == 0 and lag(settings, "lake") == 0)
    after = stores(settings, tmp_path, mart=False)
    expected = Counter(
        (complaint.feedback_id, complaint.content_hash) for complaint in sent.complaints.values()
    )
    for store in ("dynamodb", "landing", "raw"):
        was, now = Counter(getattr(before, store)), Counter(getattr(after, store))
        assert now - was == expected, store
        assert was - now == Counter(), store
    assert after.dead_letters - before.dead_letters == sent.refused


def test_readers_that_stop_together_leave_a_group_that_the_next_one_can_join(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded broker may wait for ever for the leader that left while the group changed."""
    monkeypatch.setattr(reading, "STUCK_SECONDS", 4)
    shares: dict[reading.Reader, int] = {}
    assigned = reading.Reader.on_partitions_assigned

    def noted(reader: reading.Reader, partitions: Any) -> None:
        assigned(reader, partitions)
        shares[reader] = len(partitions)

    monkeypatch.setattr(reading.Reader, "on_partitions_assigned", noted)
    finish(settings)
    for order in (1, -1):
        before = status(settings)
        shares.clear()
        with running(settings, "consume", "consume") as readers:
            produce(settings, 20, rate=0)
            wait_until(lambda: lag(settings, "dynamodb") == 0)
            # Two have to be in it before they leave.
            wait_until(lambda: list(shares.values()) == [2, 2])
            # Whichever of them leads the group is the first to go in one of the rounds.
            for reader in readers[::order]:
                reader.stop()
        produce(settings, 20, rate=0)
        finish(settings)
        after = status(settings)
        assert after["groups"] == {"dynamodb": {"lag": 0}, "lake": {"lag": 0}}
        assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == 40


def assert_said_once(settings: Settings, away: str) -> None:
    """While a service is frozen, its readers say so once, commit nothing, and stop in seconds."""
    finish(settings)
    before = status(settings)
    sent = 20
    with running(settings, "consume", "sink") as (consumer, sink):
        produce(settings, sent, rate=0)
        wait_until(lambda: lag(settings, "dynamodb") == 0 and lag(settings, "lake") == 0)
        with frozen(settings, away):
            if away == "ministack":
                produce(settings, 60, rate=0)
                sent += 60
                wait_until(lambda: bool(consumer.said))
                wait_until(lambda: lag(settings, "lake") == 0)
                assert lag(settings, "dynamodb") == 60
            else:
                wait_until(lambda: bool(consumer.said and sink.said))
            for reader in (consumer, sink):
                assert reader.stop() < STOPS_WITHIN
    for said in (consumer.said, consumer.said if away == "ministack" else sink.said):
        assert len(said) == 1, said
        assert "does not answer" in said[0]
        assert said[0].endswith("waiting, nothing is committed")
    finish(settings)
    after = status(settings)
    assert after["groups"] == {"dynamodb": {"lag": 0}, "lake": {"lag": 0}}
    assert after["dynamodb"]["items"] - before["dynamodb"]["items"] == sent
    assert after["lake"]["rows"] - before["lake"]["rows"] == sent


class Producing(threading.Thread):
    """Complaints at a rate, beside what else happens."""

    def __init__(self, settings: Settings, count: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._settings, self._count, self._rate = settings, count, rate
        self.handed_over = self.sent = 0

    def run(self) -> None:
        self.sent = produce(self._settings, self._count, self._rate, on_progress=self._note).sent

    def _note(self, handed_over: int) -> None:
        self.handed_over = handed_over


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.4)
