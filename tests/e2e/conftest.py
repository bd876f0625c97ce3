"""A real browser on the real page, over the version that the whole path published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.load import Loaded, ensure_loaded
from lakehouse import services
from lakehouse.settings import Settings, load

if TYPE_CHECKING:
    from tests.conftest import Published

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Site:
    """Page and Superset, running and loaded."""

    settings: Settings
    loaded: Loaded


@dataclass
class Watched:
    """A page, and what went wrong while it was open."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@pytest.fixture(scope="session")
def site(published: Published) -> Site:
    home = published.settings.home
    services.up(home, ["page", "superset"])
    settings = load(home, "local")
    return Site(settings, ensure_loaded(settings))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("no Chromium on this machine; on Debian: apt-get install chromium")
    # Chromium's own sandbox refuses to run as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def watched(site: Site, browser: Browser) -> Iterator[Watched]:
    """The page, opened, its dashboard drawn. Errors and foreign hosts fail the test at its end."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    seen = Watched(context.new_page())
    seen.page.set_default_timeout(60_000)
    seen.page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).hostname or ""))
    seen.page.on(
        "console",
        lambda message: seen.troubles.append(message.text) if message.type == "error" else None,
    )
    seen.page.on(
        "response",
        lambda answer: (
            seen.troubles.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        ),
    )
    seen.page.goto(site.settings.page_url)
    yield seen
    context.close()
    assert seen.troubles == []
    # Data and blob addresses have no host.
    assert seen.hosts <= {"127.0.0.1", ""}
