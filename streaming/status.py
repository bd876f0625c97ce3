"""How far the stream is: what stands in the topic, who has read what, what is stored where."""

from __future__ import annotations

from typing import Any

from lakehouse import duck, landing
from lakehouse.catalog import COMPLAINTS_TABLE, DYNAMODB_GROUP, LAKE_GROUP
from lakehouse.settings import Settings
from streaming import broker
from streaming.consume import require_table
from streaming.dead_letters import open_letters
from streaming.landed import SOURCE


def status(settings: Settings) -> dict[str, Any]:
    """The stream in figures; counts, not estimates.

    Raises:
        ServiceUnavailable: the broker, DynamoDB or the lake does not answer.

    """
    landing.require_lake(settings)
    topic, letters_topic = broker.require_topics(settings)
    client = require_table(settings)
    spans = broker.spans(settings, topic)
    beginnings = {partition: span.first for partition, span in spans.items()}
    groups = [topic.group(DYNAMODB_GROUP), topic.group(LAKE_GROUP)]
    lags = [
        broker.count(settings, spans, beginnings | reached)
        for reached in broker.committed(settings, *groups)
    ]
    pages = client.get_paginator("scan").paginate(
        TableName=COMPLAINTS_TABLE, Select="COUNT", ConsistentRead=True
    )
    return {
        "topic": {
            "partitions": len(topic.partitions),
            "messages": broker.count(settings, spans, beginnings),
            "open_transactions": [
                {"partition": partition.partition, "offset": span.end}
                for partition, span in spans.items()
                if span.end < span.written
            ],
        },
        "groups": {"dynamodb": {"lag": lags[0]}, "lake": {"lag": lags[1]}},
        "dynamodb": {"items": sum(page["Count"] for page in pages)},
        "lake": {"rows": landed_rows(settings)},
        "dead_letters": len(open_letters(settings, letters_topic)),
    }


def landed_rows(settings: Settings) -> int:
    """Complaints that stand in landing, each counted once."""
    objects = {key for batch in landing.batches(settings, SOURCE) for key in batch.objects}
    if not objects:
        return 0
    with duck.connect_lake(settings, attach=False) as connection:
        found = connection.execute(
            "SELECT count(DISTINCT feedback_id) FROM read_parquet($urls)",
            {"urls": [landing.url(key) for key in sorted(objects)]},
        ).fetchone()
    return int(found[0]) if found else 0
