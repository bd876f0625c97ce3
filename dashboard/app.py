"""The web face of the dashboard: the host page, guest tokens, and what the page must know."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict

from dashboard.figures import charts
from dashboard.guest import GuestTokens, keep_filters
from dashboard.load import loaded
from lakehouse.business_calendar import NoPeriod, days_of_range
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings, load
from lakehouse.users import read_grants
from lakehouse.versions import Versions

PAGE = Path(__file__).parent / "page"
FILES = {
    "app.js": "text/javascript",
    "answer.js": "text/javascript",
    "scope.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "vendor/superset-embedded-sdk.js": "text/javascript",
}
"""What the page loads; nothing else of the folder is served."""


class KeptFilters(BaseModel):
    """The state of the dashboard's filters, as Superset tells it."""

    model_config = ConfigDict(extra="forbid")

    mask: dict[str, dict[str, Any]]


def router(settings: Settings) -> APIRouter:
    """The page and its API, for the one user that the settings name."""
    routes = APIRouter()
    tokens = cache(GuestTokens)

    @routes.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @routes.get("/static/{name:path}", include_in_schema=False)
    def file(name: str) -> FileResponse:
        if name not in FILES:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-cache"}
        return FileResponse(PAGE / name, media_type=FILES[name], headers=headers)

    @routes.get("/api/about")
    def about() -> dict[str, Any]:
        """Who looks at what: user, published version, where the dashboard is, questions to ask."""
        at_hand = current(settings)
        now = loaded(at_hand)
        manifest = Versions(settings.home).current()
        return {
            "user": settings.user,
            "granted": any(g.user_name == settings.user for g in read_grants(settings.home)),
            "timezone": settings.timezone,
            "version": manifest
            and {
                "run_id": manifest.run_id,
                "published_at": manifest.published_at,
                "data_through": manifest.data_through,
            },
            "dashboard": now and {"superset": now.superset, "id": now.embedded},
            "questions": [{"tab": c.tab, "chart": c.title, "ask": c.question} for c in charts()],
        }

    @routes.post("/api/token")
    def token(response: Response, version: str | None = None) -> dict[str, str]:
        """A guest token for the user, good for five minutes; the page asks again in time.

        It reads ``version`` until it ends. Only the published one is given out: an older one may
        hold grants that were taken back since.
        """
        published = Versions(settings.home).current_run_id()
        if version is not None and version != published:
            raise HTTPException(409, f"version {version} is not the published one any more")
        response.headers["Cache-Control"] = "no-store"
        return {"token": _mint(published)}

    @routes.post("/api/filters")
    def filters(kept: KeptFilters) -> dict[str, str]:
        """Keep the dashboard's filters in Superset while the page loads another version."""
        at_hand = current(settings)
        token = _mint()
        now = loaded(at_hand)
        assert now is not None, "no token without a loaded dashboard"
        try:
            key = keep_filters(at_hand.superset_url, token, now.dashboard, kept.mask)
        except DiscoverError as error:
            raise HTTPException(503, str(error)) from None
        return {"key": key}

    @routes.get("/api/days")
    def range_days(
        within: Annotated[str, Query(alias="range", max_length=200)],
    ) -> dict[str, str | None]:
        """The first and last day, both included, of a range as the date filter words it."""
        try:
            last_day = Versions(settings.home).require_current().last_business_day
            days = days_of_range(within, last_day)
        except NoPeriod as error:
            raise HTTPException(400, f"Dates: {error}.") from None
        except DiscoverError as error:
            raise HTTPException(503, str(error)) from None
        named = zip(("from", "to"), days, strict=True)
        return {name: day.isoformat() if day else None for name, day in named}

    def _mint(version: str | None = None) -> str:
        at_hand = current(settings)
        now = loaded(at_hand)
        if not settings.user:
            raise HTTPException(503, "the page was started for nobody — set DISCOVER_USER")
        if now is None:
            raise HTTPException(503, "no dashboard is loaded — run: discover dashboard up")
        try:
            return tokens(at_hand).mint(settings.user, now, version or "")
        except DiscoverError as error:
            raise HTTPException(503, str(error)) from None

    return routes


def current(settings: Settings) -> Settings:
    """The settings with Superset's address of this moment.

    Superset starts after the page and, where its port is taken, moves then.
    """
    address = load(settings.home, settings.profile).superset_url
    return settings.model_copy(update={"superset_url": address})
