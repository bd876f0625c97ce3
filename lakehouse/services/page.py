"""The host page: dashboard and chat in one window, and the web service behind it."""

from __future__ import annotations

import sys
import urllib.request
from typing import ClassVar

from lakehouse.services.service import Launch, Service


class Page(Service):
    """Our own web service. It is made of the stages above; here it is known by its command only."""

    name = "page"
    start_seconds = 60
    takes: ClassVar[tuple[str, ...]] = (
        "user",
        "timezone",
        "region",
        "chat_model",
        "chat_model_input_usd",
        "chat_model_output_usd",
    )

    def url(self) -> str:
        """Where to point the browser."""
        return f"http://127.0.0.1:{self.ports['http']}"

    def install(self) -> None:
        """Nothing: it runs in this environment."""

    def launch(self) -> Launch:
        """The same web service as ``discover chat serve``, in the background."""
        arguments = [sys.executable, "-m", "discover.serve"]
        return Launch(arguments, {"DISCOVER_HOME": str(self.home), "DISCOVER_PROFILE": "local"})

    def probe(self) -> None:
        """Ask for the page itself."""
        with urllib.request.urlopen(f"{self.url()}/", timeout=3) as answer:  # noqa: S310
            if answer.status != 200:
                raise OSError(f"the page answered {answer.status}")
