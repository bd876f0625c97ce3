"""DynamoDB's limits are kept, its refusals retried, and nothing half stored counts as stored."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lakehouse.catalog import COMPLAINTS_TABLE
from lakehouse.errors import ServiceUnavailable
from streaming import batch_write
from streaming.batch_write import BatchWriter, Stopped, chunks_of


class Table:
    """DynamoDB as it can be: takes a part, throttles, goes away, refuses what is too large."""

    def __init__(
        self, *, refuse: float = 0, throttle: float = 0, away: int = 0, status: int = 0
    ) -> None:
        self.items: dict[str, Any] = {}
        self.writes = 0
        self.largest = 0
        self._refuse, self._throttle, self._away = refuse, throttle, away
        self._status, self.is_gone = status, False
        self._draws = random.Random(7)

    def batch_write_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        puts = RequestItems[COMPLAINTS_TABLE]
        self.writes += 1
        self.largest = max(self.largest, len(puts))
        if len(puts) > 25 or len(
            {put["PutRequest"]["Item"]["feedback_id"]["S"] for put in puts}
        ) < len(puts):
            raise _error("ValidationException")
        if self._away:
            self._away -= 1
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        if self._status and self.writes <= 3:
            raise _error(str(self._status), self._status)
        if self.is_gone:
            raise _error("ResourceNotFoundException", 400)
        if self._draws.random() < self._throttle:
            raise _error("ProvisionedThroughputExceededException")
        left = [put for put in puts if self._draws.random() < self._refuse]
        for put in puts:
            if put not in left:
                item = put["PutRequest"]["Item"]
                self.items[item["feedback_id"]["S"]] = item
        return {"UnprocessedItems": {COMPLAINTS_TABLE: left} if left else {}}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        keys = RequestItems[COMPLAINTS_TABLE]["Keys"]
        assert len(keys) <= 100
        left = [key for key in keys if self._draws.random() < self._refuse]
        found = [
            self.items[key["feedback_id"]["S"]]
            for key in keys
            if key not in left and key["feedback_id"]["S"] in self.items
        ]
        unprocessed = {COMPLAINTS_TABLE: {"Keys": left}} if left else {}
        return {"Responses": {COMPLAINTS_TABLE: found}, "UnprocessedKeys": unprocessed}


def _error(code: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "injected"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "BatchWriteItem")


def items(count: int, text: str = "x") -> list[dict[str, Any]]:
    return [
        {"feedback_id": {"S": f"{number:08d}"}, "description": {"S": text}}
        for number in range(count)
    ]


def writer(table: Any, **options: Any) -> BatchWriter:
    return BatchWriter(table, endpoint="test", **options)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_write, "FIRST_WAIT", 0.0005)
    monkeypatch.setattr(batch_write, "LONGEST_WAIT", 0.002)


def test_no_request_is_over_the_limits() -> None:
    assert [len(chunk) for chunk in chunks_of(items(60))] == [25, 25, 10]
    large = items(50, "ä" * 190_000)
    sizes = [len(chunk) for chunk in chunks_of(large)]
    assert sum(sizes) == 50
    assert max(sizes) * 380_000 <= batch_write.WRITE_BYTES
    assert list(chunks_of([])) == []


@pytest.mark.parametrize("faults", [{}, {"refuse": 0.4}, {"throttle": 0.6}, {"away": 9}])
def test_everything_is_stored_whatever_is_refused_at_first(faults: dict[str, Any]) -> None:
    table = Table(**faults)
    with writer(table) as subject:
        subject.write(items(333))
        assert len(table.items) == 333
        assert table.largest == 25
        assert set(subject.read(item["feedback_id"]["S"] for item in items(400))) == set(
            table.items
        )
        assert (subject.retries > 0) == bool(faults)


def test_it_says_once_that_it_waits_and_once_that_it_goes_on() -> None:
    said: list[str | None] = []
    with writer(Table(away=7), on_trouble=said.append, workers=1) as subject:
        subject.write(items(50))
    assert len(said) == 2
    assert said[0] is not None
    assert "does not answer" in said[0]
    assert said[1] is None


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_a_proxy_answers_for_dynamodb_is_retried(status: int) -> None:
    table = Table(status=status)
    with writer(table) as writes:
        writes.write(items(60))
    assert len(table.items) == 60


def test_a_table_that_went_away_is_made_anew_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, said = Table(), []

    def ensure(client: Any) -> None:
        client.is_gone = False

    monkeypatch.setattr(batch_write, "ensure", ensure)
    table.is_gone = True
    with writer(table, on_trouble=said.append) as writes:
        writes.write(items(60))
    assert len(table.items) == 60
    assert said[0].startswith(f"the table {COMPLAINTS_TABLE} is gone")
    assert "rebuild-dynamodb" in said[0]
    assert said[1:] == [None]


def test_other_errors_are_not_retried() -> None:
    table = Table()
    with writer(table) as subject, pytest.raises(ClientError):
        subject.write(items(1) * 2)
    assert table.writes == 1


def test_patience_ends() -> None:
    with writer(Table(away=10**9), patience=0.05) as subject, pytest.raises(ServiceUnavailable):
        subject.write(items(3))


def test_asked_to_stop_it_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_write, "FIRST_WAIT", 60)
    monkeypatch.setattr(batch_write, "LONGEST_WAIT", 60)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()
    with writer(Table(away=10**9), stop=stop, patience=None) as subject, pytest.raises(Stopped):
        subject.write(items(3))
    assert time.monotonic() - started < 5
