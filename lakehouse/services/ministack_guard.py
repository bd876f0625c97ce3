"""Start the AWS emulator behind a check of signatures, which it doesn't make itself.

Runs in the emulator's own environment: standard library, the emulator, and the module that it is
given. ``python -P ministack_guard.py PATH/sigv4.py``; the keys come from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """Lets through what was signed with this home's key, and nothing that a browser sends."""

    def __init__(self, app: App, sigv4: ModuleType, key_id: str, secret: str) -> None:
        self._app, self._sigv4, self._key_id, self._secret = app, sigv4, key_id, secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        claimed = self._sigv4.claim(headers.get("authorization", ""))
        # A page's request has an Origin; tools have none.
        if (
            "origin" in headers
            or claimed is None
            or not hmac.compare_digest(claimed.key_id.encode(), self._key_id.encode())
            or not {"host", "x-amz-date"} <= set(claimed.names)
            or not self._sigv4.is_recent(
                headers.get("x-amz-date", ""), claimed.day, datetime.now(UTC)
            )
        ):
            await _refuse(send)
            return
        body = await _body(receive)
        expected = self._sigv4.signature(
            claimed,
            self._secret,
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1").partition("?")[0],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        stated = headers.get("x-amz-content-sha256", "")
        # S3's senders may leave the body unsigned, with a word instead of a digest.
        is_other_body = len(stated) == 64 and stated != hashlib.sha256(body).hexdigest()
        if is_other_body or not hmac.compare_digest(expected, claimed.signature):
            await _refuse(send)
            return
        await self._app(scope, _again(body, receive), send)


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name; what comes twice is joined, as the signature wants it."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that was read already, then whatever follows it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _refuse(send: Send) -> None:
    body = b'{"__type": "AccessDeniedException", "message": "not signed with the key of this home"}'
    await send(
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [
                (b"content-type", b"application/x-amz-json-1.0"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _load(path: Path) -> ModuleType:
    """The module of this file, without its package, which this environment lacks."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up there.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run the emulator with the guard before it."""
    emulator = importlib.import_module("ministack.app")
    key_id, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    if not key_id or not secret:
        sys.exit("the keys are missing")
    emulator.app = Guard(emulator.app, _load(Path(sys.argv.pop(1))), key_id, secret)  # type: ignore[attr-defined]
    emulator.main()


if __name__ == "__main__":
    main()
