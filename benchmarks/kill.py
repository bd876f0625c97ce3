"""Refreshes killed with kill -9: what readers saw meanwhile, and how it ended.

``make bench ONLY=kill``; what a mix is, and where the named points are, stands in ``tests/faults``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import Bench, bench, report
from tests.faults.killed import POINTS, Reader, Story, unlike_a_clean_run
from tests.faults.refreshes import Point

KILLS, NAMED, HOMES, READERS = 500, 250, 2, 1
ROUND = 100
"""Kills before fresh homes take over: a delivery repeats all files of those before it."""
PAUSE = 0.2
"""Seconds between two reads: reading more would leave the refreshes too little of two cores."""
SERVICES = ("seaweedfs", "ministack")
STAGES = {
    "ingest.land": "land",
    "ingest.flatten": "flatten",
    "lakehouse.landing": "flatten",
    "expectations.raw": "check raw",
    "discover.build": "build",
    "expectations.marts": "check marts",
    "lakehouse.versions": "publish",
    "kb_export.upload": "export documents",
    "kb_export.knowledge_base": "sync knowledge base",
}
"""In which stage a point lies, by the module that it is in."""
NOTE = """{kills} refreshes of {homes} homes, two side by side, each with a new delivery of all \
sources (24 customers, 15 transactions), killed with kill -9: {named} right before or after one of \
{points} named steps, {random} after a time drawn evenly from a whole run's. {refreshes} refreshes \
in all: those that were not hit in time came to their end. Meanwhile {readers} reader of each \
home opened the published version {reads:,} times in all and saw {states} states.

A **mix** is whatever a reader meets that isn't exactly one delivery's figures in all marts, or an \
error. **End**: after a home's last kill one refresh, then a full one, beside a clean home that \
got all deliveries at once; all rows of all marts and all documents are compared. It took \
{minutes} minutes. `make bench ONLY=kill`; the deliveries and the points: `tests/faults`."""


@dataclass
class Told:
    """What became of the refreshes of one home."""

    killed: Counter[str] = field(default_factory=Counter)
    mixes: Counter[str] = field(default_factory=Counter)
    """By the stage that was killed last."""
    met: list[object] = field(default_factory=list)
    refreshes: int = 0
    reads: int = 0
    states: int = 0
    unlike: list[str] = field(default_factory=list)


def main() -> None:
    """Kill refreshes and report; fails where a mix was seen or the end is another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=KILLS, help="kills in all")
    parser.add_argument("--minutes", type=float, help="kill no more after so long")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.monotonic()
    last_moment = began + 60 * (chosen.minutes or math.inf)
    kills = list(_kills(chosen.count, chosen.seed))
    homes: list[Told] = []
    for first in range(0, len(kills), ROUND):
        if time.monotonic() > last_moment:
            break
        _round(homes, kills[first : first + ROUND], last_moment)
    killed = sum((told.killed for told in homes), Counter())
    mixes = sum((told.mixes for told in homes), Counter())
    rows: list[dict[str, Any]] = [
        {"killed in": stage, "kills": count, "mixes seen": mixes[stage]}
        for stage, count in killed.items()
    ]
    rows.append({"killed in": "all", "kills": killed.total(), "mixes seen": mixes.total()})
    note = NOTE.format(
        kills=killed.total(),
        homes=len(homes),
        named=killed.total() - killed[ANY_MOMENT],
        points=len(POINTS),
        random=killed[ANY_MOMENT],
        refreshes=sum(told.refreshes for told in homes),
        readers=READERS,
        reads=sum(told.reads for told in homes),
        states=sum(told.states for told in homes),
        minutes=round((time.monotonic() - began) / 60),
    )
    unlike = [found for told in homes for found in told.unlike]
    verdict = "; ".join(unlike) or f"equal to a clean home's, {len(homes)} times"
    goal = "met" if not (unlike or mixes.total()) else "missed"
    note += f"\n\nGoal, no mix and an end equal to a clean run's: **{goal}**. The end: {verdict}."
    report("kill", f"{killed.total()} refreshes killed, seed {chosen.seed}", note, rows)
    for mix in (mix for told in homes for mix in told.met):
        sys.stderr.write(f"mix: {mix}\n")
    if goal == "missed":
        raise SystemExit("a mix was seen, or the end is another than a clean run's")


def _round(
    homes: list[Told], kills: list[tuple[str, Point | None, float]], last_moment: float
) -> None:
    """Kill refreshes of two fresh homes, side by side; adds what became of them to ``homes``."""
    # Named points and random moments take turns, so each home gets its pairs of them.
    shares = [
        [kill for number, kill in enumerate(kills) if number // 2 % HOMES == home]
        for home in range(HOMES)
    ]
    mine = [Told() for _ in range(HOMES)]
    homes += mine
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(HOMES) as pool:
        # Home by home: what two start at once may want the same port.
        places = [
            (stack.enter_context(bench(*SERVICES)), stack.enter_context(bench(*SERVICES)))
            for _ in range(HOMES)
        ]
        list(pool.map(functools.partial(_tell, homes, last_moment), mine, shares, places))


def _tell(
    homes: list[Told],
    last_moment: float,
    told: Told,
    kills: list[tuple[str, Point | None, float]],
    place: tuple[Bench, Bench],
) -> None:
    """Kill one home's refreshes, then compare its end with a clean home's."""
    home, clean = place
    story = Story(home.settings, home.home / "story")
    with contextlib.closing(story), _readers(story) as readers:
        _whole(story)
        for stage, point, share in kills:
            if time.monotonic() > last_moment:
                break
            seen = sum(len(reader.mixes) for reader in readers)
            # One that wasn't hit in time says how long a whole run takes now.
            while not _kill(story, point, share):
                pass
            told.killed[stage] += 1
            told.mixes[stage] += sum(len(reader.mixes) for reader in readers) - seen
            killed = sum(each.killed.total() for each in homes)
            mixes = sum(each.mixes.total() for each in homes)
            sys.stderr.write(f"\r{killed} killed, {mixes} mixes")
        told.refreshes = story.number
        told.unlike = unlike_a_clean_run(story, clean.settings, clean.home / "story")
        if not all(reader.is_alive() and len(reader.seen) > 1 for reader in readers):
            raise RuntimeError("a reader has ended, or saw one state alone: it can't tell of mixes")
    for reader in readers:
        told.met += reader.mixes
        told.reads += sum(reader.seen.values()) + len(reader.mixes)
    told.states = len(set().union(*(reader.seen for reader in readers)))


ANY_MOMENT = "any stage, at a random moment"


def _kills(count: int, seed: int) -> Iterator[tuple[str, Point | None, float]]:
    """By turns: at the next of the points, and after a random share of a whole run."""
    draw = random.Random(seed)
    named = min(NAMED, count // 2)
    for number in range(count):
        if number % 2 == 0 and number // 2 < named:
            point = POINTS[number // 2 % len(POINTS)]
            yield STAGES[point[0].partition(":")[0]], point, 0.0
        else:
            yield ANY_MOMENT, None, draw.random()


def _kill(story: Story, point: Point | None, share: float) -> bool:
    """One refresh with the next delivery; whether it was killed."""
    seconds = None if point else 0.05 + share * story.whole_run
    ended = story.refresh(point=point, seconds=seconds)
    if ended not in (0, -signal.SIGKILL) or (point and ended == 0):
        raise RuntimeError(f"a refresh ended {ended}, to be killed at {point}: {story.said()}")
    return ended != 0


def _whole(story: Story) -> None:
    if story.refresh() != 0:
        raise RuntimeError(f"the first refresh failed: {story.said()}")


@contextlib.contextmanager
def _readers(story: Story) -> Iterator[list[Reader]]:
    readers = [Reader(story.settings.home, PAUSE) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stop()


if __name__ == "__main__":
    main()
