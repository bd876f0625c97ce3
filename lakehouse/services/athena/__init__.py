"""Athena's API on this machine: a thin, strict translation to Trino and the lake's own catalog.

It takes the Athena, Glue and STS calls of dbt-athena and PyAthena, refuses what Athena refuses, and
names what it doesn't know. It is no engine: Trino runs every statement, and what Glue would know is
read from the Iceberg catalog. IAM, Lake Formation, Hive tables and cost are AWS's alone.
"""

from __future__ import annotations

import sys
import urllib.request
from typing import ClassVar

from lakehouse.services.service import Launch, Service


class Athena(Service):
    """The gateway, a process of its own."""

    name = "athena"
    needs: ClassVar[tuple[str, ...]] = ("seaweedfs", "trino")
    start_seconds = 60

    def url(self) -> str:
        """The endpoint of Athena, Glue and STS."""
        return f"http://127.0.0.1:{self.ports['http']}"

    def install(self) -> None:
        """Nothing: it runs in this environment."""

    def launch(self) -> Launch:
        """This package's own program."""
        arguments = [sys.executable, "-m", "lakehouse.services.athena"]
        return Launch(arguments, {"DISCOVER_HOME": str(self.home), "DISCOVER_PROFILE": "local"})

    def probe(self) -> None:
        """Have it ask its engine and its catalog."""
        with urllib.request.urlopen(f"{self.url()}/health", timeout=3) as answer:  # noqa: S310
            if answer.status != 200:
                raise OSError(f"the gateway answered {answer.status}")
