"""What botocore signs passes the guard unchanged; anything else does not reach the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakehouse.services import sigv4
from lakehouse.services.ministack_guard import Guard

KEY, SECRET = "home-key", "home-secret"
HOST = "http://127.0.0.1:4566"
Sent = tuple[str, str, dict[str, str], bytes]


def signed(
    service: str, method: str, path: str, body: bytes = b"", key: str = KEY, secret: str = SECRET
) -> Sent:
    """A request as botocore sends it."""
    request = AWSRequest(method, HOST + path, {"Content-Type": "text/plain"}, body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(Credentials(key, secret), service, "us-east-1").add_auth(request)
    headers = {"Host": urlsplit(HOST).netloc, **dict(request.headers.items())}
    return method, path, headers, body


def answer(sent: Sent, kind: str = "http") -> tuple[int, bytes]:
    """The status, and the body that the emulator behind the guard got."""
    method, path, headers, body = sent
    arrived, answers = [], []
    half = len(body) // 2
    waiting = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]

    async def emulator(_scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            arrived.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0) if kind == "http" else {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": kind,
        "method": method,
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(emulator, sigv4, KEY, SECRET)(scope, receive, send))
    return answers[0].get("status") or answers[0]["code"], b"".join(arrived)


@pytest.mark.parametrize(
    "sent",
    [
        signed("dynamodb", "POST", "/", b'{"TableName": "x"}'),
        signed("s3", "GET", "/documents?list-type=2&prefix=a%2Fb%20c&encoding-type=url"),
        signed("s3", "PUT", "/documents/a%20b/%C3%A9%2B~.md", b"text"),
        signed("s3", "POST", "/documents?delete", b"<Delete/>"),
        signed("bedrock", "POST", "/model/arn%3Aaws%3Abedrock%2Fx%3A0/converse", b"{}"),
        signed("bedrock", "PUT", "/knowledgebases/ID/datasources/D/ingestionjobs/", b"{}"),
    ],
    ids=["dynamodb", "list", "put", "delete", "model", "job"],
)
def test_what_botocore_signs_reaches_the_emulator_as_it_was_sent(sent: Sent) -> None:
    assert answer(sent) == (200, sent[3])


def changed(sent: Sent, **headers: str | None) -> Sent:
    method, path, before, body = sent
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {name: value for name, value in {**before, **named}.items() if value is not None}
    return method, path, merged, body


DYNAMODB = signed("dynamodb", "POST", "/", b"{}")
DOCUMENT = signed("s3", "PUT", "/documents/a.md", b"text")
"""With the body's digest in a header."""


@pytest.mark.parametrize(
    "sent",
    [
        changed(DYNAMODB, Authorization=None),
        changed(DYNAMODB, Authorization="Bearer x"),
        changed(DYNAMODB, Origin="http://evil.example"),
        changed(DYNAMODB, Origin="null"),
        changed(DYNAMODB, **{"X-Amz-Date": "20000101T000000Z"}),
        changed(DYNAMODB, **{"X-Amz-Date": None}),
        changed(DYNAMODB, Host="evil.example"),
        (*DYNAMODB[:3], b'{"TableName": "other"}'),
        (*DOCUMENT[:3], b"other"),
        ("DELETE", *DYNAMODB[1:]),
        (DYNAMODB[0], "/other", *DYNAMODB[2:]),
        (DYNAMODB[0], "/?a=1", *DYNAMODB[2:]),
        signed("dynamodb", "POST", "/", b"{}", key="other-key"),
        signed("dynamodb", "POST", "/", b"{}", secret="other-secret"),
        ("GET", f"/documents/a?X-Amz-Credential={KEY}%2F20261130", {"Host": "127.0.0.1"}, b""),
    ],
)
def test_anything_else_is_refused_and_does_not_reach_it(sent: Sent) -> None:
    assert answer(sent) == (403, b"")


def test_a_web_socket_is_refused() -> None:
    assert answer(DYNAMODB, kind="websocket") == (1008, b"")
