"""A refresh killed anywhere: readers see whole versions only, and the end is a clean run's."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Iterator

import pytest

from lakehouse import services
from lakehouse.settings import Settings, load
from tests.faults import deliveries
from tests.faults.killed import POINTS, Reader, Story, unlike_a_clean_run
from tests.faults.refreshes import Point

SEED = 20261124
RANDOM_KILLS = 26
RESUMED = POINTS[POINTS.index(("kb_export.upload:_Export:_mark", "after", 1)) + 1 :]
"""Points that a run comes to which goes on with the documents of a version that is published."""


@contextlib.contextmanager
def home_of_its_own(factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = factory.mktemp("h")
    services.up(home, ["seaweedfs", "ministack"])
    try:
        yield load(home, "local")
    finally:
        services.down(home)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with home_of_its_own(tmp_path_factory) as settings:
        told = Story(settings, tmp_path_factory.mktemp("story"))
        try:
            assert told.refresh() == 0, told.said()
            yield told
        finally:
            told.close()


@pytest.fixture(scope="module")
def reader(story: Story) -> Iterator[Reader]:
    reads = Reader(story.settings.home)
    reads.start()
    yield reads
    reads.stop()


@pytest.fixture(scope="module")
def whole_run(story: Story, reader: Reader) -> float:
    """Seconds that a whole refresh takes now, beside whatever else this machine does."""
    assert story.refresh() == 0, story.said()
    assert reader.mixes == []
    return story.whole_run


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_killed_at_a_point(story: Story, reader: Reader, point: Point) -> None:
    assert story.refresh(point=point, again=point in RESUMED) == -signal.SIGKILL, story.said()
    assert reader.mixes == []


@pytest.mark.parametrize("share", [random.Random(SEED + n).random() for n in range(RANDOM_KILLS)])
def test_killed_at_any_moment(story: Story, reader: Reader, whole_run: float, share: float) -> None:
    assert story.refresh(seconds=0.05 + share * whole_run) in (0, -signal.SIGKILL), story.said()
    assert reader.mixes == []


def test_after_all_kills_one_refresh_ends_where_a_clean_run_does(
    story: Story, reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert story.killed >= len(POINTS), "these tests share one home, so they need one worker"
    while story.killed < len(POINTS) + RANDOM_KILLS:
        # Some of the moments came after the end.
        assert story.refresh(seconds=1.0) in (0, -signal.SIGKILL), story.said()
    assert reader.mixes == []
    assert len(reader.seen) > 3
    with home_of_its_own(tmp_path_factory) as clean:
        assert unlike_a_clean_run(story, clean, tmp_path_factory.mktemp("straight")) == []


def test_a_mix_of_two_deliveries_is_seen() -> None:
    whole = deliveries.expected(7)
    assert deliveries.number_of(whole) == 7
    assert deliveries.number_of(deliveries.expected(8)) == 8
    for field in ("customers", "transactions", "wide_loan_total", "daily_amount", "history_scores"):
        mixed = {**vars(whole), field: getattr(deliveries.expected(8), field)}
        assert deliveries.number_of(deliveries.Figures(**mixed)) is None
