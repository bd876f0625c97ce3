"""An S3 endpoint that fails as it is told: a proxy on loopback before the real store."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["error", "slow", "cut"]
SLOW_SECONDS = 0.3
ERROR = (
    b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultyS3:
    """Passes requests on; ``fault_of(n)`` says what befalls the n-th (from 1), None for nothing."""

    def __init__(self, endpoint: str) -> None:
        self.fault_of: Callable[[int], Fault | None] = lambda _: None
        self.requests = 0
        self.faults = 0
        target = urlsplit(endpoint).netloc
        proxy, counting = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with counting:
                    proxy.requests += 1
                    fault = proxy.fault_of(proxy.requests)
                    proxy.faults += fault is not None
                if fault == "error":
                    self.answer(500, [("Content-Type", "application/xml")], ERROR)
                    return
                if fault == "slow":
                    time.sleep(SLOW_SECONDS)
                # The signature covers the host that the client asked for: it is passed on as it is.
                store = http.client.HTTPConnection(target, timeout=60)
                store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    store.putheader(name, value)
                store.endheaders(body or None)
                answer = store.getresponse()
                content = answer.read()
                store.close()
                sent = len(content)
                if fault == "cut":
                    sent //= 2
                    self.close_connection = True
                    # The client takes up an object where it broke off, but no listing.
                    if self.command != "GET" or not sent or "list-type" in self.path:
                        return
                self.answer(answer.status, answer.getheaders(), content, sent)

            def answer(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                sent: int | None = None,
            ) -> None:
                """Answer; of the body only the first ``sent`` bytes, whatever the header says."""
                self.send_response_only(status)
                length = str(len(body))
                for name, value in headers:
                    if self.command == "HEAD" and name.lower() == "content-length":
                        length = value
                    elif name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[:sent])

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def before(endpoint: str) -> Iterator[FaultyS3]:
    """A proxy before ``endpoint`` for the time of the block."""
    proxy = FaultyS3(endpoint)
    try:
        yield proxy
    finally:
        proxy.close()
