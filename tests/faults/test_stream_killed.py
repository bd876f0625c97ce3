"""kill -9 where a reader has done half of something, and anywhere: nothing lost, nothing twice."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from streaming import broker
from tests.faults.streams import POINTS, Kills, Sent, finish, stores

SEED = 20261124
NAMED = max(map(len, POINTS.values()))
RANDOM = 1
"""Rounds; each kills both readers."""
EACH_ROUND = 120
"""Complaints: more than what any point needs to be come to."""


@pytest.fixture(autouse=True)
def _short_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining a group takes half the session's time-out on the embedded broker."""
    monkeypatch.setattr(broker, "SESSION_TIMEOUT_MS", 1_500)


def test_killed_readers_end_as_if_nothing_had_happened(settings: Settings, tmp_path: Path) -> None:
    """DynamoDB throttles and leaves items all the while."""
    broker.require_topics(settings)
    finish(settings)
    before = stores(settings, tmp_path / "before", mart=False)
    sent = Sent()
    with Kills(settings, tmp_path / "readers.log", SEED) as kills:
        for number in range(NAMED + RANDOM):
            sent.more(settings, EACH_ROUND, SEED + number)
            is_named = number < NAMED
            kills.round(
                {
                    command: next(itertools.islice(itertools.cycle(points), number, None))
                    if is_named
                    else None
                    for command, points in POINTS.items()
                }
            )
        assert sum(kills.killed.values()) >= 20
    finish(settings)
    after = stores(settings, tmp_path / "after", mart=True)
    expected = Counter(
        (complaint.feedback_id, complaint.content_hash) for complaint in sent.complaints.values()
    )
    assert sum(expected.values()) == (NAMED + RANDOM) * EACH_ROUND
    for store in ("dynamodb", "landing", "raw"):
        was, now = Counter(getattr(before, store)), Counter(getattr(after, store))
        assert now - was == expected, store
        assert was - now == Counter(), store
    assert Counter(after.mart) == Counter(after.raw)
    assert after.dead_letters - before.dead_letters == sent.refused
