"""The web service: the chat's API, the dashboard's page and tokens, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response

import chat.answer
import chat.app
import dashboard.app
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings, load


def create_app(settings: Settings) -> FastAPI:
    """Page, chat and tokens as one application."""
    app = FastAPI(title="BMO Discover", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(dashboard.app.router(settings))
    app.include_router(chat.app.router(settings))
    # A foreign site can point its name at 127.0.0.1; it can't send our name with it.
    here = urlsplit(settings.page_url).hostname or "127.0.0.1"
    hosts = sorted({here, "127.0.0.1", "localhost"})
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)

    @app.middleware("http")
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = content_security_policy(
            dashboard.app.current(settings).superset_url
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Superset compares the embedding page's address with those it was told.
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        return response

    return app


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
