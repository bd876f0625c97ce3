"""Both readers of the complaint stream killed with kill -9: what is lost, doubled or invented.

``make bench ONLY=stream-kill``; the points and the throttling DynamoDB stand in ``tests/faults``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.bench import bench, report
from tests.faults.streams import POINTS, Kills, Sent, Stores, finish, stores

KILLS, RECORDS = 200, 20_000
NOTE = """`stream consume` and `stream sink` killed {kills} times with kill -9 while {records:,} \
complaints came in: {named} times right before or after one of {points} named steps, {random} \
times after a time drawn evenly from 0.2 to 4 seconds. DynamoDB refused one request in ten and \
left one item in ten undone all the while. Among the messages were {refused} that have to be \
refused: not JSON, or under a used id with other content; {letters} stand in dead letters.

After the last kill both readers ran to the topic's end, then flatten and dbt. Every row of every \
store is compared, by id and content hash. It took {minutes} minutes. \
`make bench ONLY=stream-kill`."""


def main() -> None:
    """Kill and report; fails where a store holds anything but each complaint once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rounds = -(-chosen.kills // len(POINTS))
    each = -(-chosen.records // rounds)
    began = time.monotonic()
    sent, named = Sent(), 0
    turns = {command: itertools.cycle(points) for command, points in POINTS.items()}
    with bench("seaweedfs", "ministack", "kafka") as here:
        with Kills(here.settings, here.home / "readers.log", chosen.seed) as kills:
            for number in range(rounds):
                sent.more(here.settings, each, chosen.seed * 1_000_000 + number)
                is_named = number % 2 == 0
                named += is_named * len(POINTS)
                kills.round(
                    {command: next(turn) if is_named else None for command, turn in turns.items()}
                )
                sys.stderr.write(f"\r{sum(kills.killed.values())} killed")
        finish(here.settings)
        found = stores(here.settings, here.home / "work", mart=True)
    total = sum(kills.killed.values())
    note = NOTE.format(
        kills=total,
        records=len(sent.complaints),
        named=named,
        random=total - named,
        points=sum(map(len, POINTS.values())),
        refused=sent.refused,
        letters=found.dead_letters,
        minutes=round((time.monotonic() - began) / 60),
    )
    rows = _compared(found, sent)
    report("stream_kill", f"The complaint stream, {total} times killed", note, rows)
    if found.dead_letters != sent.refused or any(
        row[what] for row in rows for what in ("lost", "duplicated", "extra")
    ):
        raise SystemExit("not every store holds each complaint once")


def _compared(found: Stores, sent: Sent) -> list[dict[str, Any]]:
    expected = {(row.feedback_id, row.content_hash) for row in sent.complaints.values()}
    names = {
        "dynamodb": "DynamoDB",
        "landing": "landing",
        "raw": "raw_feedback.complaints",
        "mart": "fct_complaints",
    }
    rows = []
    for store, name in names.items():
        counts = Counter(getattr(found, store))
        rows.append(
            {
                "store": name,
                "rows": sum(counts.values()),
                "lost": len(expected - counts.keys()),
                "duplicated": sum(count - 1 for count in counts.values()),
                "extra": len(counts.keys() - expected),
            }
        )
    return rows


if __name__ == "__main__":
    main()
