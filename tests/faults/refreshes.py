"""Refreshes that die: a process with everything imported forks one for each line it is told.

A refresh's imports cost ten times what its work on a few rows costs. Nothing but modules stands in
the parent: no client, no thread, no engine, so that a child is what a fresh process would be.

``python -m tests.faults.refreshes`` reads JSON lines ``{"home", "inputs", "point"?, "seconds"?}``
and answers each with ``{"ended": exit code or -signal, "seconds"}``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse.settings import REPOSITORY

MODULES = (
    "boto3",
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "discover.build",
    "discover.refresh",
    "expectations.marts",
    "expectations.raw",
    "great_expectations.expectations",
    "ingest.flatten",
    "ingest.land",
    "kb_export.knowledge_base",
    "kb_export.upload",
    "pandas",
    "pyarrow.parquet",
    "pyspark.sql.connect.session",
    "pyspark.sql.pandas.types",
)

Point = tuple[str, str, int]
"""``module:name`` or ``module:class:name``, ``before`` or ``after``, and the how-manieth call."""


class Refreshes:
    """Runs refreshes of one home, each in a process of its own, and kills them where asked."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._log = log.open("a")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.refreshes"],
            cwd=REPOSITORY,
            env={**os.environ, "DISCOVER_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def run(
        self,
        inputs: Mapping[str, Sequence[str]],
        *,
        point: Point | None = None,
        seconds: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[int, float]:
        """One refresh, killed at ``point`` or after ``seconds``; exit code (or -9), and seconds."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        asked = {"home": str(self.home), "inputs": inputs, "point": point, "seconds": seconds}
        self._server.stdin.write(json.dumps(asked | {"options": options or {}}) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return answer["ended"], answer["seconds"]

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._log.close()


def plant(point: Point) -> None:
    """Make a function kill its process, as if the power had gone, before or after one call."""
    target, when, count = point
    module, *path, name = target.split(":")
    owner = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    call, left = getattr(owner, name), [count]

    def dies(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        if left[0] == 0 and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dies)


def _child(asked: Mapping[str, Any]) -> int:
    from discover.refresh import refresh
    from lakehouse.settings import load

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Standard output is the parent's answers.
    os.dup2(2, 1)
    if asked["point"]:
        target, when, count = asked["point"]
        plant((target, when, count))
    report = refresh(load(Path(asked["home"]), "local"), asked["inputs"], **asked["options"])
    for failure in report.failures:
        sys.stderr.write(f"{failure}\n")
    return report.exit_code


def _serve() -> None:
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _child(asked)
            except BaseException:  # noqa: BLE001 - a fork must never go on as its parent
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        if asked["seconds"] is not None:
            time.sleep(asked["seconds"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        ended = os.waitstatus_to_exitcode(status)
        answer = {"ended": ended, "seconds": round(time.monotonic() - started, 3)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
