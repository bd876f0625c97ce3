"""Complaints a CPU second from Kafka to DynamoDB, beside the loops that most people write.

``make bench ONLY=stream``
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any

from benchmarks.bench import PYTHON, Bench, bench, report
from lakehouse import clients
from lakehouse.catalog import COMPLAINTS_TABLE
from lakehouse.complaint import delivered, fake, parse, utc_now
from lakehouse.scrub import scrub
from lakehouse.settings import Settings
from streaming import broker, table
from streaming.batch_write import READ_KEYS, chunks_of
from streaming.produce import produce, to_value
from streaming.received import Received, receive

RECORDS, SINGLY, SEED = 20_000, 2_000, 1
HISTORY = {"days": 60, "end_date": date(2026, 6, 20)}
RUNS = 3
NOTE = """{records:,} complaints from the embedded broker into the emulated DynamoDB; {singly:,} \
for the loop that puts one at a time. CPU is that of the reading process from its start to its \
end; the broker's and the emulator's isn't counted. The median of {runs} runs. Afterwards every \
table holds each complaint once. The loops (`benchmarks/peers/stream_loop.py`) parse JSON and \
put: no check, no scrubbing, no dead letters; of two complaints under one id the last one stands. \
`make bench ONLY=stream`.

The goal is three times the loop in batches of 25. It is not reached: {verdict}

Where a complaint's {total:.0f} microseconds go, each step measured alone, in one thread:

{costs}"""


def main() -> None:
    """Measure the three readers, then the steps of ours."""
    with bench("seaweedfs", "ministack", "kafka") as here:
        _send(here.settings, SEED)
        rows = [
            _measured("poll one, put_item one", SINGLY, _loop(here, 1, SINGLY)),
            _measured("the same in batches of 25", RECORDS, _loop(here, 25, RECORDS)),
            _measured("discover stream consume", RECORDS, _ours(here)),
        ]
        batched = rows[1]["a CPU second"]
        for row in rows:
            row["beside batches of 25"] = f"{row['a CPU second'] / batched:.2f}×"
        costs = _costs(here.settings)
    total = sum(costs.values())
    write = costs["DynamoDB: BatchWriteItem of 25 through boto3"]
    verdict = (
        f"of the {total:.0f} microseconds below, {write:.0f} are boto3's BatchWriteItem. The rest"
        f" of the {1e6 / rows[2]['a CPU second']:.0f} that a complaint takes in all is the"
        " process's start and its threads."
    )
    lines = [f"- {name}: {cost:.0f}" for name, cost in costs.items()]
    note = NOTE.format(
        records=RECORDS,
        singly=SINGLY,
        runs=RUNS,
        verdict=verdict,
        total=total,
        costs="\n".join(lines),
    )
    report("stream", "Complaints from Kafka to DynamoDB", note, rows)


def _loop(here: Bench, size: int, count: int) -> Callable[[int], float]:
    def run(number: int) -> float:
        name = f"loop_{size}_{number}"
        arguments = (str(here.home), name, str(size), str(count))
        used = here.run(PYTHON, "-m", "benchmarks.peers.stream_loop", *arguments)
        _require_items(here.settings, name, count)
        return used.cpu_seconds

    return run


def _ours(here: Bench) -> Callable[[int], float]:
    def run(number: int) -> float:
        if number:
            # Other complaints each time: those that are known already cost less.
            _send(here.settings, SEED + number)
        used = here.discover("stream", "consume", "--until-idle")
        _require_items(here.settings, COMPLAINTS_TABLE, RECORDS * (number + 1))
        return used.cpu_seconds

    return run


def _send(settings: Settings, seed: int) -> None:
    produce(settings, RECORDS, rate=0, seed=seed, **HISTORY)  # type: ignore[arg-type]


def _measured(name: str, count: int, run: Callable[[int], float]) -> dict[str, Any]:
    cpu = sorted(run(number) for number in range(RUNS))[RUNS // 2]
    return {"reader": name, "complaints": count, "CPU s": cpu, "a CPU second": round(count / cpu)}


def _require_items(settings: Settings, name: str, count: int) -> None:
    pages = (
        clients.dynamodb(settings).get_paginator("scan").paginate(TableName=name, Select="COUNT")
    )
    if (found := sum(page["Count"] for page in pages)) != count:
        raise RuntimeError(f"{name} holds {found} items, not {count}")


def _costs(settings: Settings) -> dict[str, float]:
    """Microseconds of CPU that each step of ours takes for one complaint."""
    complaints = list(fake(5_000, SEED + 100, **HISTORY))  # type: ignore[arg-type]
    values = [to_value(delivered(complaint)) for complaint in complaints]
    now, client = utc_now(), clients.dynamodb(settings)
    rows = [row for row in map(_received, enumerate(values)) if isinstance(row, Received)]
    items = [table.to_item(row) for row in rows]
    chunks = list(chunks_of(items))
    keys = [item["feedback_id"] for item in items]

    def fetch() -> None:
        topic, _ = broker.require_topics(settings)
        with broker.consumer(settings) as consumer:
            consumer.assign(topic.partitions)
            consumer.seek_to_beginning()
            read = 0
            while read < len(rows):
                read += sum(map(len, consumer.poll(timeout_ms=500, max_records=2_000).values()))

    def write() -> None:
        for chunk in chunks:
            puts: Any = [{"PutRequest": {"Item": item}} for item in chunk]
            client.batch_write_item(RequestItems={COMPLAINTS_TABLE: puts})

    def read() -> None:
        for start in range(0, len(keys), READ_KEYS):
            asked: Any = [{"feedback_id": key} for key in keys[start : start + READ_KEYS]]
            client.batch_get_item(
                RequestItems={COMPLAINTS_TABLE: {"Keys": asked, "ConsistentRead": True}}
            )

    texts = [complaint.description for complaint in complaints]
    scrubbing = _cost(lambda: [scrub(text) for text in texts], values)
    return {
        "Kafka: fetch, check, decode": _cost(fetch, values),
        "strict JSON and the contract": _cost(lambda: [parse(v, now) for v in values], values)
        - scrubbing,
        "scrubbing": scrubbing,
        "DynamoDB: BatchGetItem of 100, is the id known?": _cost(read, values),
        "items and their sizes": _cost(
            lambda: list(chunks_of([table.to_item(row) for row in rows])), values
        ),
        "DynamoDB: BatchWriteItem of 25 through boto3": _cost(write, values),
    }


def _received(numbered: tuple[int, bytes]) -> object:
    offset, value = numbered
    record = SimpleNamespace(
        partition=0, offset=offset, timestamp=int(time.time() * 1000), value=value
    )
    return receive(record, "topic", utc_now())


def _cost(work: Callable[[], object], items: Sequence[object]) -> float:
    began = time.process_time()
    work()
    return 1e6 * (time.process_time() - began) / len(items)


if __name__ == "__main__":
    main()
