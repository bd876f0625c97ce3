"""How far the stream is: what stands in the topic, who has read what, what is stored where."""

from __future__ import annotations

from typing import Any

from lakehouse import duck, landing
from lakehouse.catalog import COMPLAINTS_TABLE, DYNAMODB_GROUP, LAKE_GROUP
from lakehouse.settings import Settings
from streaming import broker
from streaming.broker import Topic
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
    with broker.unavailable(settings), broker.consumer(settings) as consumer:
        ends = broker.highwaters(consumer, topic)
        beginnings = consumer.beginning_offsets(topic.partitions)
        letters = len(open_letters(consumer, letters_topic))
        groups = {
            name: {"lag": _lag(settings, topic, topic.group(group), beginnings, ends)}
            for name, group in (("dynamodb", DYNAMODB_GROUP), ("lake", LAKE_GROUP))
        }
    pages = client.get_paginator("scan").paginate(
        TableName=COMPLAINTS_TABLE, Select="COUNT", ConsistentRead=True
    )
    return {
        "topic": {
            "partitions": len(topic.partitions),
            "messages": sum(ends[tp] - beginnings[tp] for tp in topic.partitions),
        },
        "groups": groups,
        "dynamodb": {"items": sum(page["Count"] for page in pages)},
        "lake": {"rows": landed_rows(settings)},
        "dead_letters": letters,
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


def _lag(
    settings: Settings,
    topic: Topic,
    group: str,
    beginnings: dict[Any, int],
    ends: dict[Any, int],
) -> int:
    with broker.admin(settings) as admin:
        committed = admin.list_group_offsets({group: None})[group]
    lag = 0
    for partition in topic.partitions:
        position = committed.get(partition)
        done = position.offset if position is not None and position.offset >= 0 else 0
        lag += ends[partition] - max(done, beginnings[partition])
    return lag
