"""Services made of a few lines of Python, for the tests of what is the same for all services."""

import sys
import urllib.request
from pathlib import Path
from typing import ClassVar

from lakehouse.errors import DiscoverError
from lakehouse.services.service import Launch, Service

SERVER = """
import http.server, pathlib, signal, subprocess, sys, time
{extra}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        {answer}
        self.send_response(200); self.end_headers(); self.wfile.write(b"here")
    def log_message(self, *words):
        pass
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Web(Service):
    """A web server that answers ``here``."""

    name = "ministack"
    start_seconds: ClassVar[float] = 3
    stop_seconds: ClassVar[float] = 1
    extra: ClassVar[str] = ""
    answer: ClassVar[str] = "pass"
    settled: ClassVar[list[str]] = []

    def __init__(self, home: Path) -> None:
        super().__init__(home)

    def url(self) -> str:
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"

    def install(self) -> None:
        pass

    def launch(self) -> Launch:
        code = SERVER.format(extra=self.extra, answer=self.answer)
        return Launch([sys.executable, "-c", code, str(next(iter(self.ports.values())))])

    def probe(self) -> None:
        with urllib.request.urlopen(self.url(), timeout=0.5) as answer:
            assert answer.read() == b"here"

    def settle(self) -> None:
        self.settled.append(self.name)


class Dependent(Web):
    """One that needs the other."""

    name = "kafka"
    needs: ClassVar[tuple[str, ...]] = ("ministack",)


class Personal(Web):
    """One that is started for somebody."""

    name = "page"
    takes: ClassVar[tuple[str, ...]] = ("user", "chat_model")


class Broken(Web):
    """One that says why and ends."""

    name = "kafka"
    extra = "sys.exit('no space left on device')"


class Silent(Web):
    """One that listens and never answers."""

    name = "kafka"
    start_seconds: ClassVar[float] = 1
    answer = "time.sleep(60)"


class Late(Web):
    """One that lives but never listens."""

    start_seconds: ClassVar[float] = 1
    extra = "time.sleep(600)"


class Saving(Web):
    """One that writes its data only when it is asked to end."""

    extra = (
        "signal.signal(signal.SIGTERM, lambda *_: "
        "(pathlib.Path('saved').write_text('all'), sys.exit(0)))"
    )


class Stubborn(Web):
    """One that ignores the signal to end, and has a child that does too."""

    name = "kafka"
    extra = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )


class Uninstalled(Web):
    """One whose wheel is missing."""

    name = "kafka"

    def install(self) -> None:
        raise DiscoverError("some-wheel is not installed", "run: make setup")
