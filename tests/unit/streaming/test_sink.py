"""Buckets are the same however often they are built."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.complaint import Complaint
from streaming.received import Place, Received
from streaming.sink import BUCKET, bucket_start, content_digest

NOW = datetime.fromisoformat("2026-11-24T12:00:00")


def row(offset: int, text: str = "x") -> Received:
    feedback_id = f"{offset:08d}-0000-4000-8000-000000000000"
    complaint = Complaint(feedback_id, "ATM Issue", text, None)
    return Received(complaint, Place("topic", 0, offset, NOW))


@given(st.integers(min_value=0, max_value=10**15))
def test_every_offset_has_one_bucket(offset: int) -> None:
    start = bucket_start(offset)
    assert start % BUCKET == 0
    assert start <= offset < start + BUCKET
    assert bucket_start(start) == start


def test_a_digest_tells_contents_apart_and_nothing_else() -> None:
    assert content_digest([row(1), row(2)]) == content_digest([row(1), row(2)])
    assert content_digest([row(1), row(2)]) != content_digest([row(1)])
    assert content_digest([row(1)]) != content_digest([row(1, "y")])
