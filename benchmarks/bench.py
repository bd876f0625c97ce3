"""What all benchmarks share: a home of their own, measured commands, and results as a table."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from benchmarks.supervise import written_bytes
from lakehouse import services
from lakehouse.settings import DEFAULT_HOME, REPOSITORY, Settings, load

RESULTS = REPOSITORY / "benchmarks" / "results"
PYTHON = sys.executable
DISCOVER = str(Path(PYTHON).with_name("discover"))


@dataclass(frozen=True)
class Measured:
    """One run of one command: its process tree, and what the services worked for it meanwhile."""

    cpu_seconds: float
    seconds: float
    peak_mb: int
    written_mb: float
    """What the tree wrote to files, as the kernel counts it: by pages, network and pipes apart."""
    services_cpu_seconds: float
    services_written_mb: float
    output: str
    """What it printed."""


class Bench:
    """Measures commands in a home whose services run."""

    def __init__(self, home: Path, names: Sequence[str]) -> None:
        self.home = home
        # Without names the services' own default would be started.
        states = services.up(home, names) if names else []
        self.services = [psutil.Process(state.pid) for state in states if state.pid]
        self.settings: Settings = load(home, "local")

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> Measured:
        """Run a command to its end.

        Raises:
            RuntimeError: it failed; says its last words.

        """
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            environment = _with_bytecode(environment or os.environ)
            before = self._services_used()
            done = subprocess.run(
                [PYTHON, "-m", "benchmarks.supervise", str(result), *command],
                env=environment,
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)[:200]}: {done.stderr[-2000:]}")
            cpu, written = (
                now - then for now, then in zip(self._services_used(), before, strict=True)
            )
            return Measured(
                **json.loads(result.read_text()),
                services_cpu_seconds=round(cpu, 2),
                services_written_mb=round(written / 1e6, 1),
                output=done.stdout,
            )

    def discover(self, *arguments: str) -> Measured:
        """Run a command of ours in this home."""
        return self.run(DISCOVER, "--home", str(self.home), *arguments)

    def _services_used(self) -> tuple[float, int]:
        """CPU seconds and bytes written of all services, since they were started."""
        times = [process.cpu_times() for process in self.services]
        cpu = sum(time.user + time.system for time in times)
        return cpu, sum(written_bytes(process.pid) for process in self.services)


@contextlib.contextmanager
def bench(*names: str) -> Iterator[Bench]:
    """A bench in a home of its own, which is gone afterwards. No service: none is started."""
    # Below a short path: some services listen on sockets in it.
    home = Path(tempfile.mkdtemp(prefix="discover-bench-", dir=os.environ.get("BENCH_DIR")))
    try:
        yield Bench(home, names)
    finally:
        services.down(home)
        shutil.rmtree(home, ignore_errors=True)


def _with_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep compiled Python from command to command, whatever this shell says about it."""
    kept = {**environment, "PYTHONPYCACHEPREFIX": str(DEFAULT_HOME / "bytecode")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def report(name: str, title: str, note: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows as a table, and keep them with the note in ``benchmarks/results``."""
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    lines += [f"| {' | '.join(_shown(row[column]) for column in head)} |" for row in rows]
    where = machine()
    text = [f"# {title}", "", note, "", f"{date.today():%B %Y}, {where}.", "", *lines, ""]  # noqa: DTZ011
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(text))
    document = {"title": title, "note": note, "machine": where, "rows": list(rows)}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    sys.stdout.write("\n".join(text))


def machine() -> str:
    """What the figures were measured on."""
    memory = round(psutil.virtual_memory().total / 2**30)
    load_average = psutil.getloadavg()[0]
    return (
        f"{psutil.cpu_count()} cores {platform.machine()}, {memory} GiB, Python"
        f" {platform.python_version()}, load average at the end {load_average:.1f}"
    )


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
