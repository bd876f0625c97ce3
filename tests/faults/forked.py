"""Processes that die: one with everything imported forks a child for each line it is told.

Imports cost ten times what a child's work on a few rows costs. Nothing but modules stands in the
parent: no client, no thread, no engine, so that a child is what a fresh process would be.

A module that serves reads JSON lines, of which ``"seconds"`` kills the child after that time, and
answers each with ``{"ended": exit code or -signal, "seconds"}``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse.settings import REPOSITORY

Point = tuple[str, str, int]
"""``module:name`` or ``module:class:name``, ``before`` or ``after``, and the how-manieth call."""


class Forked:
    """The caller's side: a server, ``python -m`` of a module that calls :func:`serve`."""

    def __init__(self, module: str, home: Path, log: Path) -> None:
        self._log = log.open("a")
        self._server = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=REPOSITORY,
            env={**os.environ, "DISCOVER_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, asked: Mapping[str, Any]) -> tuple[int, float]:
        """One child; its exit code (or -9), and the seconds that it lived."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
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
        is_last = left[0] == 0
        if is_last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        if is_last and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dies)


def serve(modules: Sequence[str], child: Callable[[Mapping[str, Any]], int]) -> None:
    """The server's side: fork for every line, and let the child end with what ``child`` says."""
    for module in modules:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            code = 70
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                # Standard output is the parent's answers.
                os.dup2(2, 1)
                if asked["point"]:
                    target, when, count = asked["point"]
                    plant((target, when, count))
                code = child(asked)
            except BaseException:  # noqa: BLE001 - a fork must never go on as its parent
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        if asked["seconds"] is not None:
            time.sleep(asked["seconds"])
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        ended = os.waitstatus_to_exitcode(status)
        answer = {"ended": ended, "seconds": round(time.monotonic() - started, 3)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
