"""Every listener, attacked by another user of this machine and by a web page of another origin."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser

from lakehouse import clients, services
from lakehouse.catalog import COMPLAINTS_TABLE, KNOWLEDGE_BASE_BUCKET, LAKE_BUCKET
from lakehouse.settings import REPOSITORY, Settings, ports
from tests.e2e.conftest import Site

INTRUDER = Path(__file__).with_name("intruder.py")
GRPC = 10_000
"""How far above its HTTP port each part of SeaweedFS speaks gRPC."""
SAY_NOTHING = {
    ("seaweedfs", "s3", "/status"),
    ("seaweedfs", "iceberg", "/v1/config"),
    ("seaweedfs", "master", "/"),
    ("seaweedfs", "master", "/ui/index.html"),
    ("seaweedfs", "volume", "/status"),
    ("seaweedfs", "admin", "/metrics"),
    ("superset", "http", "/login/"),
    ("page", "http", "/"),
}
"""What may be answered to anybody: no data of a customer is in it."""
READABLE = {("s3", "/status")}
"""What a page of another origin may read as well; its answer is empty."""
SERVE_ANYBODY = {"kafka": "embedded Kafka broker"}
"""Services that know no password, and the words by which docs/security.md warns of them."""
FORGED = (
    "AWS4-HMAC-SHA256 Credential={}/20261130/us-east-1/{}/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
DYNAMODB = {"X-Amz-Target": "DynamoDB_20120810.Scan", "Content-Type": "application/x-amz-json-1.0"}
PATHS = (
    "/",
    "/status",
    "/metrics",
    "/login/",
    "/v1/config",
    "/v1/namespaces",
    f"/buckets/{LAKE_BUCKET}/?pretty=y",
    f"/{LAKE_BUCKET}?list-type=2",
    f"/{KNOWLEDGE_BASE_BUCKET}?list-type=2",
    f"/{KNOWLEDGE_BASE_BUCKET}/documents/1.json",
    "/dir/assign",
    "/dir/lookup?volumeId=1",
    f"/col/delete?collection={LAKE_BUCKET}",
    "/submit",
    "/ui/index.html",
    "/api/v1/chart/",
    "/api/v1/database/",
    "/_ministack/health",
    "/_ministack/reset",
)
EVIL = "http://evil.example"


@dataclass(frozen=True)
class Listener:
    """A port on which a service listens, by the service's own name for it."""

    service: str
    name: str
    number: int


def listeners(settings: Settings) -> list[Listener]:
    """All ports on which this home's services listen; one that nobody declared has no name."""
    found = set()
    for state in services.status(settings.home):
        if state.pid is None:
            continue
        declared = {number: name for name, number in ports(settings.home)[state.name].items()}
        shadows = {number + GRPC: f"{name}.grpc" for number, name in declared.items()}
        process = psutil.Process(state.pid)
        for member in [process, *process.children(recursive=True)]:
            connections = []
            with contextlib.suppress(psutil.NoSuchProcess):
                connections = member.net_connections(kind="inet")
            for connection in connections:
                if connection.status == psutil.CONN_LISTEN:
                    number = connection.laddr.port
                    name = declared.get(number) or shadows.get(number, "")
                    found.add(Listener(state.name, name, number))
    return sorted(found, key=lambda listener: listener.number)


def as_nobody(asked: dict[str, Any]) -> dict[str, Any]:
    """Run the intruder; as root, in the name of ``nobody`` and with a Python that it may run."""
    is_root = os.geteuid() == 0
    python = shutil.which("python3", path="/usr/bin:/bin") if is_root else sys.executable
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    done = subprocess.run(
        [python or sys.executable, "-c", INTRUDER.read_text()],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={},
        **(other if is_root else {}),
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    assert not is_root or answers["user"] != 0
    return answers


def speaks_http(listener: Listener) -> bool:
    return listener.service in ("seaweedfs", "ministack", "superset", "page") and "." not in (
        listener.name
    )


def attempts(listener: Listener, key_id: str) -> list[list[Any]]:
    """Requests by which somebody may try to read, write or delete."""
    plain = [[method, path, {}, ""] for method in ("GET", "POST", "DELETE") for path in PATHS]
    page = [["GET", path, {"Origin": EVIL}, ""] for path in PATHS]
    written = [
        ["PUT", f"/{LAKE_BUCKET}/planted", headers, "x"] for headers in ({}, {"Origin": EVIL})
    ]
    before = [
        ["OPTIONS", path, {"Origin": EVIL, "Access-Control-Request-Method": "PUT"}, ""]
        for path in PATHS
    ]
    scan = json.dumps({"TableName": COMPLAINTS_TABLE})
    # An id isn't a secret: it is in every request.
    signed = [
        ["POST", "/", {**DYNAMODB, "Authorization": FORGED.format(key, "dynamodb")}, scan]
        for key in ("test", "000000000000", key_id)
    ]
    stolen = {"Authorization": FORGED.format(key_id, "s3"), "x-amz-content-sha256": "0"}
    read = [["GET", f"/{KNOWLEDGE_BASE_BUCKET}?list-type=2", stolen, ""]]
    query = f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key_id}%2F20261130"
    presigned = [["GET", f"/{KNOWLEDGE_BASE_BUCKET}/documents/1.json{query}", {}, ""]]
    everything = [*plain, *page, *written, *before, ["POST", "/", DYNAMODB, scan]]
    return [[listener.number, *r] for r in [*everything, *signed, *read, *presigned]]


def contents(settings: Settings) -> tuple[int, int, int]:
    """Objects of the lake, documents, and complaints in the table."""
    lake = clients.lake_s3(settings).list_objects_v2(Bucket=LAKE_BUCKET)["KeyCount"]
    documents = clients.knowledge_base_s3(settings).list_objects_v2(Bucket=KNOWLEDGE_BASE_BUCKET)
    complaints = clients.dynamodb(settings).scan(TableName=COMPLAINTS_TABLE, Select="COUNT")
    return lake, documents["KeyCount"], complaints["Count"]


def test_no_listener_is_unknown(site: Site) -> None:
    assert [found for found in listeners(site.settings) if not found.name] == []


def test_another_user_of_the_machine_gets_nothing(site: Site) -> None:
    before = contents(site.settings)
    assert min(before) > 0
    key_id = site.settings.lake_access_key_id or ""
    found = listeners(site.settings)
    spoken = [found_ for found_ in found if speaks_http(found_)]
    grpc = [found_ for found_ in found if found_.name.endswith(".grpc")]
    banks = [found_.number for found_ in found if found_.service == "postgres"]
    requests = [request for listener in spoken for request in attempts(listener, key_id)]
    answers = as_nobody(
        {"http": requests, "grpc": [each.number for each in grpc], "postgres": banks}
    )
    names = {listener.number: listener for listener in found}
    let_in = set()
    for (port, method, path, *_), (status, readable_by) in zip(
        requests, answers["http"], strict=True
    ):
        listener = names[port]
        if isinstance(status, int) and status < 300 and method != "OPTIONS":
            assert readable_by is None or (listener.name, path) in READABLE
            let_in.add((listener.service, listener.name, method, path))
    assert {(service, name, path) for service, name, _, path in let_in} <= SAY_NOTHING
    assert len(grpc) >= 5
    assert answers["grpc"] == [["refuses", "refuses"]] * len(grpc)
    assert answers["postgres"] == [10]
    assert contents(site.settings) == before
    # Whatever is left is named where a reader looks for it.
    spoken_to = {each.service for each in [*spoken, *grpc]} | {"postgres"}
    left = {each.service for each in found} - spoken_to
    assert left <= SERVE_ANYBODY.keys()
    warned = (REPOSITORY / "docs" / "security.md").read_text()
    assert all(SERVE_ANYBODY[service] in warned for service in left)


@pytest.fixture
def foreign_origin() -> Iterator[str]:
    """A web site of somebody else, on this machine as far as the browser knows."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title>")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


ATTACK = """
async ([ports, paths]) => {
  const read = [];
  for (const port of ports)
    for (const path of paths)
      for (const [mode, method] of [["cors", "GET"], ["cors", "PUT"], ["cors", "DELETE"],
                                    ["no-cors", "GET"], ["no-cors", "POST"]]) {
        try {
          const url = `http://127.0.0.1:${port}${path}`;
          const body = method === "GET" || method === "DELETE" ? undefined : "{}";
          const answer = await fetch(url, {mode, method, body, signal: AbortSignal.timeout(5000)});
          // The volume server lets any page read that it refuses.
          if (answer.type !== "opaque" && answer.status < 400)
            read.push([port, mode, method, path, answer.status]);
        } catch (error) { /* refused, as it should be */ }
      }
  return read;
}
"""


def test_a_page_of_another_origin_reads_and_changes_nothing(
    site: Site, browser: Browser, foreign_origin: str
) -> None:
    before = contents(site.settings)
    spoken = {each.number: each.name for each in listeners(site.settings) if speaks_http(each)}
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(foreign_origin)
        read = page.evaluate(ATTACK, [list(spoken), list(PATHS)])
    finally:
        context.close()
    assert [got for got in read if (spoken[got[0]], got[3]) not in READABLE] == []
    assert contents(site.settings) == before


def test_a_name_that_points_here_opens_nothing(site: Site) -> None:
    """DNS rebinding: the page's own name leads to this machine, so its requests have no Origin."""
    spoken = [each for each in listeners(site.settings) if speaks_http(each)]
    host = {"Host": "evil.example"}
    requests = [[each.number, "GET", path, host, ""] for each in spoken for path in PATHS]
    answers = as_nobody({"http": requests, "grpc": [], "postgres": []})["http"]
    names = {each.number: each for each in spoken}
    let_in = {
        (names[port].service, names[port].name, path)
        for (port, _, path, *_), (status, _) in zip(requests, answers, strict=True)
        if isinstance(status, int) and status < 300
    }
    # The page serves whoever reaches it, so it must not be reached by another name.
    assert let_in <= SAY_NOTHING - {("page", "http", "/")}
