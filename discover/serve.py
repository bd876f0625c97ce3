"""The web service: the chat's API, the dashboard's page and tokens, on loopback."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import chat.answer
import chat.app
import dashboard.app
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings, load

BODY_LIMIT = 1_000_000
"""Bytes of a request: a scope that lists 100,000 customers fits."""


def create_app(settings: Settings) -> FastAPI:
    """Page, chat and tokens as one application."""
    app = FastAPI(title="BMO Discover", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(dashboard.app.router(settings))
    app.include_router(chat.app.router(settings))
    # A foreign site can point its name at 127.0.0.1; it can't send our name with it.
    here = urlsplit(settings.page_url).hostname or "127.0.0.1"
    hosts = sorted({here, "127.0.0.1", "localhost"})
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)

    app.add_middleware(LimitedBodies)

    @app.exception_handler(RequestValidationError)
    async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        text = f"{where}: {first['msg']}" if where else str(first["msg"])
        return JSONResponse({"detail": text.encode("utf-8", "replace").decode()}, 400)

    @app.middleware("http")
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = content_security_policy(
            dashboard.app.current(settings).superset_url
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        # Superset compares the embedding page's address with those it was told.
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        return response

    return app


class LimitedBodies:
    """Reads each request's body first: one that is too long or isn't plain JSON goes no further."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 400, or pass the request on with its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > BODY_LIMIT:
                text = f"the request is longer than {BODY_LIMIT:,} bytes"
                await JSONResponse({"detail": text}, 413)(scope, receive, send)
                return
        reason = malformed(body)
        if reason:
            await JSONResponse({"detail": reason}, 400)(scope, receive, send)
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


def malformed(body: bytes) -> str | None:
    """Why a request's body is not JSON that every part behind can hold; None if it is."""
    if not body:
        return None
    try:
        read = json.loads(body.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
        # A lone surrogate is legal in JSON's escapes, but no text.
        json.dumps(read, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        return "the request is not JSON: it is nested too deeply"
    except UnicodeError:
        return "the request holds text that is not UTF-8"
    except ValueError as error:
        return f"the request is not JSON: {str(error).splitlines()[0]}"
    return None if _is_plain(read) else "the request holds a number that is too large"


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _is_plain(value: object) -> bool:
    """Whether all whole numbers fit into the 64 bits that the database has for them."""
    if isinstance(value, dict):
        return all(_is_plain(part) for part in value.values())
    if isinstance(value, list):
        return all(_is_plain(part) for part in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def content_security_policy(superset_url: str) -> str:
    """The page runs and loads its own files only, and frames Superset only."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" frame-src {superset_url}"
    )


def serve(settings: Settings) -> None:
    """Answer on the page's address until stopped.

    Raises:
        DiscoverError: something else answers there.

    """
    import uvicorn

    place = urlsplit(settings.page_url)
    try:
        socket.create_server((settings.page_bind, place.port or 80)).close()
    except OSError as error:
        raise DiscoverError(
            f"{settings.page_url} can't be taken ({error.strerror})",
            "the page may be running: discover status; stop it: discover down page",
        ) from None
    threading.Thread(target=_warm_up, args=(settings,), daemon=True).start()
    uvicorn.run(
        create_app(settings),
        host=settings.page_bind,
        port=place.port or 80,
        # Requests carry questions, and those name people.
        access_log=False,
        log_level="warning",
    )


def _warm_up(settings: Settings) -> None:
    """Import and render once, so that the first person to ask doesn't wait for that."""
    # Nothing may be published yet; whoever asks then is told so.
    with contextlib.suppress(DiscoverError):
        chat.answer.ask(settings, "How many customers are there?", user=settings.user)


if __name__ == "__main__":
    serve(load())
