"""The chat's web interface: ask, and what can be asked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from chat.answer import ask, read_scope
from chat.published import opened
from chat.registry import describe
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings

HISTORY = 20


class Asked(BaseModel):
    """One question from the page. Who asks is the server's to know, never the request's."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=2_000)
    scope: dict[str, Any] = {}
    history: list[dict[str, Any]] = Field([], max_length=HISTORY)


def router(settings: Settings) -> APIRouter:
    """``POST /api/chat`` and ``GET /api/metrics`` over one home's published version."""
    routes = APIRouter(prefix="/api")

    @routes.post("/chat")
    def chat(asked: Asked) -> dict[str, Any]:
        try:
            return ask(
                settings,
                asked.question,
                user=settings.user,
                scope=read_scope(asked.scope),
                history=asked.history,
            )
        except DiscoverError as error:
            status = 400 if error.exit_code == 2 else 503
            raise HTTPException(status, str(error)) from None

    @routes.get("/metrics")
    def metrics() -> dict[str, Any]:
        try:
            return describe(opened(settings.home).registry)
        except DiscoverError as error:
            raise HTTPException(503, str(error)) from None

    return routes
