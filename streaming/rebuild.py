"""DynamoDB from the lake: after the table lost what it had confirmed, as an emulator may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kafka import OffsetAndMetadata
from kafka.errors import KafkaError

from lakehouse import landing
from lakehouse.catalog import DYNAMODB_GROUP, LAKE_GROUP
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings
from streaming import broker, table
from streaming.batch_write import BatchWriter
from streaming.consume import require_table
from streaming.landed import Landed
from streaming.received import Received

CHUNK = 5_000


@dataclass
class Rebuilt:
    """Complaints in the lake, and how many of them DynamoDB lacked or had otherwise."""

    landed: int = 0
    written: int = 0
    equal: int = 0


def rebuild(settings: Settings) -> Rebuilt:
    """Write every landed complaint that DynamoDB lacks; let ``consume`` go on where the lake ends.

    Of several under one id the first counts, as everywhere. Items that the lake lacks stay.

    Raises:
        ServiceUnavailable: the lake, DynamoDB or the broker does not answer.
        DiscoverError: a consumer is running, so its position can't be set back.

    """
    landing.require_lake(settings)
    client = require_table(settings)
    done = Rebuilt()
    _set_back(settings)
    with BatchWriter(client, endpoint=settings.aws_endpoint or "AWS") as writer:
        for rows in _chunks(Landed(settings)):
            found = writer.read(row.complaint.feedback_id for row in rows)
            stored = {name: table.from_item(item) for name, item in found.items()}
            lacking = [row for row in rows if not _stands(row, stored)]
            writer.write([table.to_item(row) for row in lacking])
            done.landed += len(rows)
            done.written += len(lacking)
            done.equal += len(rows) - len(lacking)
    return done


def _stands(row: Received, stored: dict[str, Received]) -> bool:
    standing = stored.get(row.complaint.feedback_id)
    return standing is not None and standing.same_content == row.same_content


def _chunks(landed: Landed) -> Iterator[list[Received]]:
    chunk: list[Received] = []
    for row in landed.first_of_each():
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _set_back(settings: Settings) -> None:
    """Let the table's readers begin where the lake's are, if they are further."""
    topic, _ = broker.require_topics(settings)
    table_group, lake_group = topic.group(DYNAMODB_GROUP), topic.group(LAKE_GROUP)
    reached, ends = broker.committed(settings, table_group, lake_group)
    if not reached:
        return
    positions = {
        partition: OffsetAndMetadata(min(offset, ends.get(partition, 0)), "", -1)
        for partition, offset in reached.items()
    }
    with broker.admin(settings) as admin:
        try:
            admin.alter_group_offsets(table_group, positions)
        except KafkaError as error:
            raise DiscoverError(
                f"the table's readers can't be set back ({type(error).__name__})",
                "stop `discover stream consume`, then try again",
            ) from None
