"""The DynamoDB table of complaints: one definition for AWS and the emulator, and its items.

Read patterns:

* one complaint: ``GetItem`` by ``feedback_id``;
* a category's complaints of a day, by time: ``Query`` the index ``by_category_and_day`` once for
  each of its shards, ``category_day = "ATM Issue#2026-11-24#0"`` to ``#3``. That day is of UTC, as
  the times beside it; figures are made from the marts, by the bank's days.

The table's key is spread evenly by itself. The index would have four hot keys on a busy day, one a
category, hence the day and the shard in its key. A complaint of unknown time stands in no day, so
not in the index.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakehouse.catalog import COMPLAINTS_TABLE
from lakehouse.complaint import Complaint, iso
from streaming.received import Place, Received

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "by_category_and_day"
SHARDS = 4
DEFINITION: dict[str, Any] = {
    "TableName": COMPLAINTS_TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "feedback_id", "AttributeType": "S"},
        {"AttributeName": "category_day", "AttributeType": "S"},
        {"AttributeName": "occurred_at", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "feedback_id", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "category_day", "KeyType": "HASH"},
                {"AttributeName": "occurred_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "SSESpecification": {"Enabled": True},
}


def ensure(client: DynamoDBClient) -> None:
    """Make the table where there is none, and wait until it takes writes."""
    try:
        client.describe_table(TableName=COMPLAINTS_TABLE)
        return
    except client.exceptions.ResourceNotFoundException:
        pass
    # Another process may be faster.
    with contextlib.suppress(client.exceptions.ResourceInUseException):
        client.create_table(**DEFINITION)
    client.get_waiter("table_exists").wait(
        TableName=COMPLAINTS_TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def to_item(received: Received) -> dict[str, Any]:
    """The item of one complaint, in DynamoDB's typed form."""
    complaint, place = received.complaint, received.place
    item = {
        "feedback_id": {"S": complaint.feedback_id},
        "category": {"S": complaint.category},
        "description": {"S": complaint.description},
        "content_hash": {"S": complaint.content_hash},
        "topic": {"S": place.topic},
        "partition": {"N": str(place.partition)},
        "offset": {"N": str(place.offset)},
        "received_at": {"S": iso(place.received_at)},
    }
    if complaint.occurred_at_utc is not None:
        shard = int(complaint.feedback_id[:8], 16) % SHARDS
        day = complaint.occurred_at_utc.date().isoformat()
        item["occurred_at"] = {"S": iso(complaint.occurred_at_utc)}
        item["category_day"] = {"S": f"{complaint.category}#{day}#{shard}"}
    return item


def from_item(item: dict[str, Any]) -> Received:
    """The complaint of an item that :func:`to_item` made."""
    text = {name: next(iter(value.values())) for name, value in item.items()}
    complaint = Complaint(
        feedback_id=text["feedback_id"],
        category=text["category"],
        description=text["description"],
        occurred_at_utc=_moment(text["occurred_at"]) if "occurred_at" in text else None,
    )
    place = Place(
        topic=text["topic"],
        partition=int(text["partition"]),
        offset=int(text["offset"]),
        received_at=_moment(text["received_at"]),
    )
    return Received(complaint, place)


def query_keys(category: str, day: str) -> list[str]:
    """The index keys that together hold a category's complaints of a day (ISO)."""
    return [f"{category}#{day}#{shard}" for shard in range(SHARDS)]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))
