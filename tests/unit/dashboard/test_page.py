"""The host page as files and as a web service; how it looks and works is tested in a browser."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict

import pytest
import uvicorn
from fastapi import FastAPI

from dashboard.app import FILES, PAGE, current, router
from dashboard.figures import charts
from dashboard.load import Loaded, fingerprint
from lakehouse.settings import Settings


@pytest.fixture
def page(bank: Settings) -> Iterator[str]:
    """The page's address, with a published version and no Superset."""
    app = FastAPI()
    app.include_router(router(bank))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def fetch(url: str, **options: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **options)) as answer:  # type: ignore[arg-type]
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_it_says_what_is_published_and_what_can_be_asked(page: str) -> None:
    status, body = fetch(f"{page}/api/about")
    about = json.loads(body)
    assert status == 200
    assert about["user"] == "analyst"
    assert about["version"]["data_through"] == "2026-11-01"
    assert about["dashboard"] is None
    assert len(about["questions"]) == len(charts())


def test_without_a_loaded_dashboard_there_is_no_token(page: str) -> None:
    status, body = fetch(f"{page}/api/token", method="POST")
    assert status == 503
    assert "discover dashboard up" in json.loads(body)["detail"]


def test_there_is_a_token_for_the_published_version_only(page: str) -> None:
    status, body = fetch(f"{page}/api/token?version=20261101T000000Z", method="POST")
    assert status == 409
    assert json.loads(body)["detail"].startswith("version 20261101T000000Z is not the published")
    assert fetch(f"{page}/api/token?version=20261102T000000Z", method="POST")[0] == 503


def test_it_follows_superset_to_a_port_that_was_chosen_later(page: str, bank: Settings) -> None:
    ports = {"superset": {"ports": {"http": 23456}}}
    (bank.home / "services.json").write_text(json.dumps(ports))
    moved = current(bank)
    assert moved.superset_url == "http://127.0.0.1:23456"
    loaded = Loaded(moved.superset_url, "e", 1, {}, {}, fingerprint(moved))
    memory = bank.home / "services" / "superset" / "loaded.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps(asdict(loaded)))
    about = json.loads(fetch(f"{page}/api/about")[1])
    assert about["dashboard"] == {"superset": "http://127.0.0.1:23456", "id": "e"}


def test_it_serves_its_own_files_and_no_others(page: str) -> None:
    for name in FILES:
        assert fetch(f"{page}/static/{name}")[0] == 200, name
    for name in ("index.html", "vendor/README.md", "../app.py", "%2e%2e/app.py", "nothing.js"):
        assert fetch(f"{page}/static/{name}")[0] == 404, name


def test_the_page_loads_nothing_from_other_hosts() -> None:
    for name in ("index.html", "style.css", "app.js", "answer.js", "scope.js"):
        text = (PAGE / name).read_text()
        assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import|https?://", text), name


def test_every_file_that_the_page_names_is_served() -> None:
    named = set(re.findall(r"/static/([^\"]+)", (PAGE / "index.html").read_text()))
    imported = set(re.findall(r"from \"\./([^\"]+)\"", (PAGE / "app.js").read_text()))
    assert named | imported == FILES.keys()


def test_answers_enter_the_page_as_text_never_as_markup() -> None:
    for name in ("app.js", "answer.js", "scope.js"):
        text = (PAGE / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), name


def test_the_vendored_file_is_the_one_that_was_recorded() -> None:
    name = "superset-embedded-sdk.js"
    digest = hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest()
    recorded = (PAGE / "vendor" / "README.md").read_text()
    assert digest in recorded
    assert (PAGE / "vendor" / "LICENSE-superset-embedded-sdk.txt").exists()
