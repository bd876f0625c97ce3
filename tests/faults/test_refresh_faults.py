"""What surrounds a refresh fails: it says so, changes nothing that is read, and goes on after."""

from __future__ import annotations

import itertools
import resource
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import lakehouse.landing
import lakehouse.versions
from chat.answer import ask
from discover.refresh import refresh, rollback
from lakehouse import services
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.settings import Settings, load
from lakehouse.versions import Versions
from tests.faults import deliveries, faulty_s3
from tests.faults.faulty_s3 import Fault
from tests.faults.killed import documents


class Story:
    """One home, one delivery after the other."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.number = 0

    def refresh(self, settings: Settings | None = None) -> str:
        """Refresh with the next delivery; the run's state."""
        self.number += 1
        inputs = deliveries.write(self.folder, self.number)
        return refresh(settings or self.settings, inputs).state

    def version(self) -> int | None:
        """The delivery whose version is published; None for a mix."""
        found = deliveries.read(self.settings.home)
        assert found is not None
        return deliveries.number_of(found[1])

    def must_go_on(self, published: int | None) -> None:
        """Nothing was published by what failed, and the next refresh ends well."""
        assert self.version() == published
        assert self.refresh() == "published"
        assert self.version() == self.number


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home = tmp_path_factory.mktemp("h")
    services.up(home, ["seaweedfs", "ministack"])
    try:
        told = Story(load(home, "local"), tmp_path_factory.mktemp("delivered"))
        assert told.refresh() == "published"
        yield told
    finally:
        services.down(home)


@pytest.mark.parametrize(
    ("faults", "every"), [(("error", "cut"), 5), (("slow",), 15)], ids=["error or cut", "slow"]
)
def test_a_store_that_fails_now_and_then_changes_nothing(
    story: Story, faults: tuple[Fault, ...], every: int
) -> None:
    assert story.settings.lake_endpoint
    with faulty_s3.before(story.settings.lake_endpoint) as store:
        store.fault_of = lambda n: faults[n // every % len(faults)] if n % every == 0 else None
        assert story.refresh(through(story.settings, store)) == "published"
        assert store.faults > 3
    assert story.version() == story.number


def test_a_store_that_fails_for_good_stops_the_run(story: Story) -> None:
    assert story.settings.lake_endpoint
    published = story.version()
    faults: tuple[Fault, ...] = ("error", "cut")
    impatient = story.settings.model_copy(update={"lake_patience": 1})
    for fault, first in itertools.product(faults, (1, 25)):
        with faulty_s3.before(story.settings.lake_endpoint) as store:
            store.fault_of = lambda n, fault=fault, first=first: fault if n >= first else None
            with pytest.raises(ServiceUnavailable, match="failed"):
                story.refresh(through(impatient, store))
            assert store.faults > 0, (fault, first)
        assert story.version() == published
    story.must_go_on(published)


def test_a_knowledge_base_that_fails_leaves_the_version_and_is_made_up_for(story: Story) -> None:
    assert story.settings.knowledge_base_endpoint
    story.number += 1
    delivered = deliveries.write(story.folder, story.number)
    for first in (4, 1):
        with faulty_s3.before(story.settings.knowledge_base_endpoint) as store:
            store.fault_of = lambda n, first=first: "error" if n >= first else None
            failing = story.settings.model_copy(update={"knowledge_base_endpoint": store.endpoint})
            with pytest.raises(ServiceUnavailable, match="is published, its documents are not"):
                refresh(failing, delivered)
            assert store.faults > 0
    assert story.version() == story.number
    assert not Versions(story.settings.home).require_current().documents_complete
    same = refresh(story.settings, delivered)
    assert (same.state, same.run_id) == ("published", story_run(story))
    assert Versions(story.settings.home).require_current().documents_complete


def test_a_rollback_takes_the_documents_along_and_lasts_until_something_is_new(
    story: Story,
) -> None:
    before, older = documents(story.settings), story_run(story)
    published = story.number
    assert story.refresh() == "published"
    left = story_run(story)
    assert documents(story.settings) != before
    assert rollback(story.settings, None).run_id == older
    assert story.version() == published
    assert documents(story.settings) == before
    assert (
        refresh(story.settings, deliveries.write(story.folder, story.number)).state == "unchanged"
    )
    assert story_run(story) == older
    assert left in {manifest.run_id for manifest in Versions(story.settings.home).all()}
    story.must_go_on(published)


def test_after_a_rollback_one_new_file_brings_back_what_was_rolled_back(story: Story) -> None:
    assert story.refresh() == "published"
    left = story.number
    rollback(story.settings, None)
    story.number += 1
    new = deliveries.write(story.folder, story.number)
    standing = deliveries.write(story.folder, left)
    assert refresh(story.settings, standing | {"atm": new["atm"]}).state == "published"
    found = deliveries.read(story.settings.home)
    assert found is not None
    assert found[1].scores == found[1].history_scores == [300 + left]
    assert found[1].transactions == deliveries.ROWS * story.number
    assert found[1].wide_amount == found[1].daily_amount == found[1].amount
    assert story.refresh() == "published"


def through(settings: Settings, store: faulty_s3.FaultyS3) -> Settings:
    return settings.model_copy(update={"lake_endpoint": store.endpoint})


def test_postgres_away_is_named_and_nothing_is_published(story: Story) -> None:
    published = story.version()
    with pytest.raises(ServiceUnavailable, match="discover up"):
        refresh(story.settings, {})
    assert story.version() == published


def test_a_disk_that_takes_no_more_stops_the_run(story: Story) -> None:
    published = story.version()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow fails as on a full disk, in the middle of a write.
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, before[1]))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises((DiscoverError, OSError)):
            story.refresh()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    story.must_go_on(published)


def test_a_second_refresh_is_told_who_is_at_it(story: Story) -> None:
    with (
        Versions(story.settings.home).lock("the first"),
        pytest.raises(DiscoverError, match="the first holds the lock"),
    ):
        story.refresh()


def test_a_clock_that_goes_back_loses_no_delivery(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift_clock(monkeypatch, timedelta(hours=-3))
    newest = Versions(story.settings.home).require_current().run_id
    assert story.refresh() == "published"
    assert story.version() == story.number
    assert Versions(story.settings.home).require_current().run_id > newest
    assert Versions(story.settings.home).before(story_run(story)).run_id == newest


def test_what_was_known_is_told_when_later_deliveries_say_otherwise(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = story.number
    today = datetime.now(ZoneInfo(story.settings.timezone)).date()
    shift_clock(monkeypatch, timedelta(days=40))
    assert story.refresh() == "published"
    assert story.version() == story.number == known + 1
    then = ask(story.settings, f"average credit score as of {today}", user="analyst")
    assert then["rows"] == [[f"{300 + known}.00"]], then["answer"]
    moved = ask(story.settings, f"how did scores move since {today}", user="analyst")
    assert moved["rows"] == [[f"{300 + known}.00", f"{301 + known}.00", "1.00"]], moved["answer"]


def shift_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Landings and runs are told another time."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + by

    for module in (lakehouse.landing, lakehouse.versions):
        monkeypatch.setattr(module, "datetime", Shifted)


def story_run(story: Story) -> str:
    return Versions(story.settings.home).require_current().run_id
