"""DynamoDB in batches: as large as it allows, retried until everything is stored, or not at all."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from lakehouse.catalog import COMPLAINTS_TABLE
from lakehouse.errors import ServiceUnavailable
from streaming.table import ensure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WRITE_ITEMS = 25
WRITE_BYTES = 16 * 1024 * 1024
READ_KEYS = 100
FIRST_WAIT = 0.05
LONGEST_WAIT = 5.0
THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "LimitExceededException",
    }
)
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500
# What the client raises when nobody answers, or a proxy does: retried like throttling.
AWAY = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    ResponseParserError,
)
Item = dict[str, Any]


class Stopped(Exception):
    """Asked to stop while waiting; nothing of the batch may be committed."""


class BatchWriter:
    """Reads and writes items of the complaints' table, many at a time.

    Args:
        client: DynamoDB's.
        endpoint: where it should be, for the message.
        stop: set it to give up waiting.
        patience: seconds without any progress that it waits; None is for ever.
        on_trouble: is told once that it waits, and why, and once that it goes on (None).
        workers: requests under way at a time.

    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        endpoint: str,
        stop: threading.Event | None = None,
        patience: float | None = 60,
        on_trouble: Callable[[str | None], None] | None = None,
        workers: int = 4,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._stop = stop or threading.Event()
        self._patience = patience
        self._on_trouble = on_trouble or (lambda _: None)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="dynamodb")
        self._lock = threading.Lock()
        self._in_trouble = False
        self._progress_at = 0.0
        self.retries = 0
        """Requests that had to be repeated, wholly or in part."""

    def __enter__(self) -> BatchWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, feedback_ids: Iterable[str]) -> dict[str, Item]:
        """The items that stand under these ids, as the last write left them."""
        self._progress_at = time.monotonic()
        keys = list(dict.fromkeys(feedback_ids))
        chunks = [keys[start : start + READ_KEYS] for start in range(0, len(keys), READ_KEYS)]
        found: dict[str, Item] = {}
        for items in self._pool.map(self._read, chunks):
            found |= {item["feedback_id"]["S"]: item for item in items}
        return found

    def write(self, items: Sequence[Item]) -> None:
        """Store items with distinct ids; returns once all are stored.

        Raises:
            Stopped: asked to stop before that.
            ServiceUnavailable: no progress within the patience.

        """
        self._progress_at = time.monotonic()
        # All of them end before the first failure shows: none writes on in the background.
        results = [self._pool.submit(self._write, chunk) for chunk in chunks_of(items)]
        errors = [error for error in (result.exception() for result in results) if error]
        if errors:
            raise errors[0]

    def _read(self, keys: Sequence[str]) -> list[Item]:
        found: list[Item] = []

        def attempt(pending: Any) -> Any:
            answer = self._client.batch_get_item(RequestItems={COMPLAINTS_TABLE: pending})
            found.extend(answer["Responses"].get(COMPLAINTS_TABLE, []))
            return answer.get("UnprocessedKeys", {}).get(COMPLAINTS_TABLE, {})

        self._until_done(
            attempt,
            {"Keys": [{"feedback_id": {"S": key}} for key in keys], "ConsistentRead": True},
            size=lambda pending: len(pending["Keys"]) if pending else 0,
        )
        return found

    def _write(self, items: Sequence[Item]) -> None:
        def attempt(pending: Any) -> Any:
            answer = self._client.batch_write_item(RequestItems={COMPLAINTS_TABLE: pending})
            return answer.get("UnprocessedItems", {}).get(COMPLAINTS_TABLE, [])

        self._until_done(attempt, [{"PutRequest": {"Item": item}} for item in items], size=len)

    def _until_done(
        self, attempt: Callable[[Any], Any], pending: Any, size: Callable[[Any], int]
    ) -> None:
        tries = 0
        while size(pending):
            before = size(pending)
            trouble = "throttled"
            try:
                pending = attempt(pending)
            except ClientError as error:
                if _is_missing(error):
                    trouble = (
                        f"the table {COMPLAINTS_TABLE} is gone (what it held comes back by:"
                        " discover stream rebuild-dynamodb)"
                    )
                    self._make_anew()
                elif not _is_passing(error):
                    raise
            except AWAY as error:
                trouble = f"DynamoDB at {self._endpoint} does not answer ({type(error).__name__})"
            if size(pending) < before:
                self._tell(None)
                tries, self._progress_at = 0, time.monotonic()
            if not size(pending):
                return
            self.retries += 1
            if size(pending) == before:
                if self._patience and time.monotonic() - self._progress_at > self._patience:
                    raise ServiceUnavailable(
                        f"DynamoDB at {self._endpoint} takes nothing",
                        "start it: discover up ministack",
                    )
                if trouble != "throttled" or tries > 5:
                    self._tell(trouble)
            # Full jitter: many writers that were throttled together don't come back together.
            if self._stop.wait(random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**tries))):
                raise Stopped
            tries += 1

    def _make_anew(self) -> None:
        """Make the table where it went away under us; what it held is in the lake."""
        with contextlib.suppress(ClientError, exceptions.WaiterError, *AWAY):
            ensure(self._client)

    def _tell(self, trouble: str | None) -> None:
        with self._lock:
            if (trouble is not None) == self._in_trouble:
                return
            self._in_trouble = trouble is not None
        self._on_trouble(trouble)


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ResourceNotFoundException"


def _is_passing(error: ClientError) -> bool:
    """Whether the same request may succeed later: throttled, or the service is in trouble."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return (
        error.response["Error"]["Code"] in THROTTLED
        or status == TOO_MANY_REQUESTS
        or status >= SERVER_ERROR
    )


def chunks_of(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Cut items into requests that DynamoDB takes: at most 25 items and 16 MB each."""
    chunk: list[Item] = []
    size = 0
    for item in items:
        item_size = sum(
            len(name) + len(text.encode())
            for name, value in item.items()
            for text in value.values()
        )
        if chunk and (len(chunk) == WRITE_ITEMS or size + item_size > WRITE_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item_size
    if chunk:
        yield chunk
