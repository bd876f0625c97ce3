"""Complaints as a file: the same messages as on the Kafka topic, one JSON object a line.

Their contract lives in ``lakehouse.complaint``, because the stream and landing both need it. No
unscrubbed byte is kept anywhere: neither the original file nor the raw text of a rejected line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.flat_table import LINEAGE, FlatTable
from ingest.sources.contract import ORDER
from lakehouse.catalog import COMPLAINTS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

NAME = "feedback"
SNAPSHOT = False


def schema() -> pa.Schema:
    """Landed schema; ``occurred_at_utc`` is NULL for records from before it was delivered."""
    from lakehouse.complaint import LANDED_SCHEMA

    return LANDED_SCHEMA


def fake() -> list[dict[str, Any]]:
    """Delivered messages that land; the second is older than ``occurred_at``."""
    return [
        {
            "feedback_id": "1f0c6c1e-3b0a-4f57-9a53-0d1b5f6d2a10",
            "category": "ATM Issue",
            "description": "The machine on the corner kept my card.",
            "occurred_at": "2026-03-02T08:15:00Z",
        },
        {
            "feedback_id": "7b4f7a52-9f83-4a0f-8d4e-4c1f3b8f0c21",
            "category": "Service Feedback",
            "description": "The branch closed before the time on its door.",
        },
    ]


def flatten_complaints(landed: DataFrame) -> DataFrame:
    """One row a complaint."""
    return landed.select("feedback_id", "category", "description", "occurred_at_utc", *LINEAGE)


FLAT_TABLES = (
    FlatTable(
        table=COMPLAINTS,
        columns={
            "feedback_id": "string",
            "category": "string",
            "description": "string",
            "occurred_at_utc": "timestamp_ntz",
        },
        flatten=flatten_complaints,
        key="feedback_id",
        # By the time of a message, not of its reading: partitions are read at their own pace.
        first_by=ORDER,
    ),
)
