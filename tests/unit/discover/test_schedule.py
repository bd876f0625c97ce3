"""A repeating refresh keeps its times."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from discover.commands import batch
from discover.schedule import SPREAD_AT_MOST, after
from lakehouse.errors import ServiceUnavailable, UsageError

DUE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_the_time_a_run_takes_does_not_shift_the_next() -> None:
    found = after(DUE, DUE + timedelta(minutes=12), HOUR, draw=0.0)
    assert (found.due, found.wait, found.missed) == (DUE + HOUR, timedelta(minutes=48), 0)


def test_runs_are_spread_but_their_times_do_not_drift() -> None:
    found = after(DUE, DUE, HOUR, draw=0.5)
    assert (found.due, found.wait) == (DUE + HOUR, HOUR + SPREAD_AT_MOST / 2)
    assert after(DUE, DUE, timedelta(seconds=10), draw=0.5).wait == timedelta(seconds=10.5)


def test_missed_runs_are_made_up_by_one_at_once() -> None:
    found = after(DUE, DUE + timedelta(hours=3, minutes=20), HOUR, draw=0.9)
    assert (found.due, found.wait, found.missed) == (DUE + 3 * HOUR, timedelta(0), 3)


def test_a_clock_that_went_back_does_not_stop_the_runs() -> None:
    found = after(DUE, DUE - timedelta(days=300), HOUR, draw=0.0)
    assert (found.wait, found.missed) == (HOUR, 0)


def test_a_failed_run_does_not_end_a_repeating_refresh() -> None:
    ran: list[int] = []

    def once() -> int:
        ran.append(1)
        if len(ran) == 2:
            raise ServiceUnavailable("the lake is away", "wait")
        if len(ran) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0

    assert batch._repeat(once, timedelta(milliseconds=10)) == 0
    assert len(ran) == 3


@pytest.mark.parametrize("fails_in", [1, 2])
@pytest.mark.parametrize("error", [ServiceUnavailable("the lake is away", "wait"), OSError(28)])
def test_whatever_a_run_fails_of_the_next_one_comes(fails_in: int, error: Exception) -> None:
    ran: list[int] = []

    def once() -> int:
        ran.append(1)
        if len(ran) == fails_in:
            raise error
        if len(ran) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0

    assert batch._repeat(once, timedelta(milliseconds=10)) == 0
    assert len(ran) == 3


def test_who_asks_twice_does_not_wait_for_the_run_to_end() -> None:
    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    def once() -> int:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the second one was not heard")

    signal.signal(signal.SIGTERM, end)
    with pytest.raises(SystemExit, match="143"):
        batch._repeat(once, timedelta(milliseconds=10))


def test_a_machine_that_slept_has_not_to_wait_as_long_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits doesn't run while the machine sleeps, the wall's clock does."""

    class Wall(datetime):
        times = iter([DUE, DUE + HOUR])

        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return next(cls.times)

    monkeypatch.setattr(batch, "datetime", Wall)
    monkeypatch.setattr(batch, "CLOCK_CHECK_SECONDS", 0.01)
    assert not batch._stopped_while_waiting(threading.Event(), HOUR)
    assert next(Wall.times, None) is None


def test_words_that_are_off_end_it_at_once() -> None:
    def once() -> int:
        raise UsageError("no such file", "name one")

    with pytest.raises(UsageError):
        batch._repeat(once, timedelta(milliseconds=10))
