"""The loops that most people write: poll, put into DynamoDB, commit. One at a time, or 25.

What they leave out, ours doesn't: bad records, personal data, ids that are used already.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3
from kafka import KafkaConsumer

from lakehouse.catalog import COMPLAINTS_TOPIC
from lakehouse.settings import load


def main(home: str, name: str, size: str, count: str) -> None:
    """Bring ``count`` messages into a table, ``size`` at a time."""
    settings = load(Path(home), "local")
    secret = settings.lake_secret_access_key
    assert secret is not None
    dynamodb = boto3.resource(
        "dynamodb",
        endpoint_url=settings.aws_endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.lake_access_key_id,
        aws_secret_access_key=secret.get_secret_value(),
    )
    table = dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "feedback_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "feedback_id", "KeyType": "HASH"}],
    )
    consumer = KafkaConsumer(
        COMPLAINTS_TOPIC,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
    )
    items = []
    for read, record in enumerate(consumer, start=1):
        items.append(json.loads(record.value))
        if len(items) == int(size) or read == int(count):
            if size == "1":
                table.put_item(Item=items[0])
            else:
                with table.batch_writer() as batch:
                    for item in items:
                        batch.put_item(Item=item)
            consumer.commit()
            items = []
        if read == int(count):
            break
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
