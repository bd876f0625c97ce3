"""The dbt project on a warehouse, as a person at a shell runs it, and in process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discover.build import PROJECT, run_dbt
from lakehouse.catalog import MARTS
from lakehouse.services.exports import exports
from tests.jvm.conftest import Warehouse

GOOD = {"success", "pass", "no-op"}


@dataclass(frozen=True)
class Project:
    """The project on one target; artifacts and logs go to ``folder``."""

    warehouse: Warehouse
    target: str
    folder: Path

    def start(self, *args: str) -> subprocess.Popen[str]:
        """``dbt …`` in the project's folder, with what ``discover env`` prints exported."""
        known = ("PATH", "HOME", "LANG", "TMPDIR")
        environment = {name: os.environ[name] for name in known if name in os.environ}
        environment |= exports(self.warehouse.settings)
        environment |= {
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
        }
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("dbt")), *args, "--target", self.target],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type_dbt(self, *args: str, seconds: float = 300) -> tuple[int, str]:
        """The same to its end: exit code and all that it said."""
        process = self.start(*args)
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return process.returncode, said

    def dbt(self, *args: str) -> list[Any]:
        """The same in this process, without the seconds that imports take: a result a node."""
        return run_dbt(
            self.warehouse.settings,
            args,
            target=self.target,
            work_dir=self.folder,
            environment=exports(self.warehouse.settings),
        )

    def artifact(self, name: str) -> Any:
        """A file of dbt's last command."""
        return json.loads((self.folder / "target" / name).read_text())

    def marts(self) -> dict[str, list[str]]:
        """All rows of every mart, in an order of their own."""
        return {
            mart: sorted(
                str(row) for row in self.warehouse.sql(f"SELECT * FROM lake.discover.{mart}")
            )
            for mart in MARTS
        }


def not_good(results: list[Any]) -> dict[str, str]:
    """Nodes that failed, warned or were skipped, with what dbt says of them."""
    return {
        result.node.name: f"{result.status}: {result.message}"
        for result in results
        if str(result.status) not in GOOD
    }


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return as soon as it holds.

    Raises:
        TimeoutError: it didn't.

    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
