"""Refreshes killed with kill -9: what readers saw meanwhile, and how it ended.

``make bench ONLY=kill``; what a mix is, and where the named points are, stands in ``tests/faults``.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks.bench import bench, report
from tests.faults.killed import POINTS, Reader, Story, unlike_a_clean_run
from tests.faults.refreshes import Point

KILLS, NAMED, READERS = 500, 250, 2
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
NOTE = """{kills} refreshes of one home, each with a new delivery of all sources (24 customers, \
15 transactions), killed with kill -9: {named} right before or after one of {points} named steps, \
{random} after a time drawn evenly from a whole run's. {refreshes} refreshes in all: those that \
were not hit in time came to their end. Meanwhile {readers} readers opened the published version \
{reads:,} times and saw {versions} of its states.

A **mix** is whatever a reader meets that isn't exactly one delivery's figures in all marts, or an \
error. **End**: after the last kill one refresh, then a full one, beside a clean home that got all \
deliveries at once; all rows of all marts and all documents are compared. It took {minutes} \
minutes. `make bench ONLY=kill`; the deliveries and the points: `tests/faults`."""


def main() -> None:
    """Kill refreshes and report; fails where a mix was seen or the end is another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=KILLS, help="kills in all")
    parser.add_argument("--minutes", type=float, help="kill no more after so long")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    last_moment = time.monotonic() + 60 * (chosen.minutes or math.inf)
    began = time.monotonic()
    killed: Counter[str] = Counter()
    mixes: Counter[str] = Counter()
    with bench(*SERVICES) as home, bench(*SERVICES) as clean:
        story = Story(home.settings, home.home / "story")
        with contextlib.closing(story), _readers(story) as readers:
            _whole(story)
            for stage, point, share in _kills(chosen.count, chosen.seed):
                if time.monotonic() > last_moment:
                    break
                seen = sum(len(reader.mixes) for reader in readers)
                # One that wasn't hit in time says how long a whole run takes now.
                while not _kill(story, point, share):
                    pass
                killed[stage] += 1
                mixes[stage] += sum(len(reader.mixes) for reader in readers) - seen
                sys.stderr.write(f"\r{story.killed} killed, {sum(mixes.values())} mixes")
            last = f"{story.number} deliveries"
            unlike = unlike_a_clean_run(story, clean.settings, clean.home / "story")
    minutes = round((time.monotonic() - began) / 60)
    rows: list[dict[str, Any]] = [
        {"killed in": stage, "kills": count, "mixes seen": mixes[stage]}
        for stage, count in killed.items()
    ]
    rows.append({"killed in": "all", "kills": story.killed, "mixes seen": sum(mixes.values())})
    states = set().union(*(reader.seen for reader in readers))
    note = NOTE.format(
        kills=story.killed,
        named=story.killed - killed[ANY_MOMENT],
        points=len(POINTS),
        random=killed[ANY_MOMENT],
        refreshes=story.number,
        readers=len(readers),
        reads=sum(sum(reader.seen.values()) + len(reader.mixes) for reader in readers),
        versions=len(states),
        minutes=minutes,
    )
    verdict = "; ".join(unlike) or f"equal to the clean home's, after {last}"
    goal = "met" if not (unlike or sum(mixes.values())) else "missed"
    note += f"\n\nGoal, no mix and an end equal to a clean run's: **{goal}**. The end: {verdict}."
    report("kill", f"{story.killed} refreshes killed, seed {chosen.seed}", note, rows)
    for reader in readers:
        for mix in reader.mixes:
            sys.stderr.write(f"mix: {mix}\n")
    if goal == "missed":
        raise SystemExit("a mix was seen, or the end is another than a clean run's")


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
