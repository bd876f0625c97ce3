"""The page's address is taken, or it is said why not."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from discover.serve import BODY_LIMIT, create_app, serve
from lakehouse.errors import DiscoverError
from lakehouse.settings import load


def test_a_taken_address_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(DiscoverError, match=r"can't be taken .* — the page may be running"):
            serve(load(tmp_path, "local", page_url=url))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"question": "\\ud800"}', 400, "not UTF-8"),
        (b'{"question": "\xff"}', 400, "not UTF-8"),
        (b"{", 400, "not JSON"),
        (b'{"question": NaN}', 400, "NaN"),
        (b'{"question": 1e999}', 400, "too large"),
        (b'{"question": "a", "scope": {"customers": [99999999999999999999]}}', 400, "too large"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b'{"question": 1}', 400, "question: "),
        (b'{"questions": "a"}', 400, "question"),
        (b'{"question": "' + b"a" * BODY_LIMIT + b'"}', 413, "longer than 1,000,000 bytes"),
    ],
)
def test_a_malformed_request_is_one_clear_line(
    tmp_path: Path, body: bytes, status: int, words: str
) -> None:
    answer, headers = post(create_app(load(tmp_path, "local")), body)
    assert answer["status"] == status
    assert words in answer["detail"]
    assert "\n" not in answer["detail"]
    assert headers["cross-origin-opener-policy"] == "same-origin"


def post(app: ASGIApp, body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What the application answers to this body: status and detail, and its headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/chat",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
    }
    asyncio.run(app(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return {"status": sent[0]["status"], **json.loads(content)}, headers
