"""What every local service is, and the handling of its process.

A service is one class in one file. It says how it is installed, with which command it runs, how
one sees that it answers, and what it needs once it does; starting, stopping, repairing and
recording are the same for all and stand in :mod:`lakehouse.services.lifecycle`.

A process is known by its pid *and* its creation time, so that a pid which the system gave to
somebody else is never mistaken for ours. Its environment carries the home and the service's name:
what a killed command left behind is found by that.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import psutil

from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings, load, local_values, ports

MARK = "DISCOVER_SERVICE_OF"
"""Environment variable of every process that belongs to a service: ``<home>:<service>``."""

LOG_LIMIT = 10 * 1024 * 1024
"""Bytes after which `up` sets a log aside; one old log is kept."""


@dataclass(frozen=True)
class Launch:
    """How one process is started."""

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to a small base environment and to the settings that the service takes.

    Nothing else of the caller's environment is passed on.
    """
    user: str | None = None
    """Operating-system user, for a program that refuses to run as root."""


class Service(ABC):
    """One local service of one home.

    Subclasses set ``name`` and write ``launch``, ``probe`` and ``url``; the rest has defaults.
    """

    name: ClassVar[str]
    shadowed_ports: ClassVar[tuple[str, ...]] = ()
    """Names of ports whose neighbour 10,000 above is used too."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Services that must answer before this one starts."""
    start_seconds: ClassVar[float] = 60
    """How long it may take from its start until it answers."""
    stop_seconds: ClassVar[float] = 20
    """How long it may take to end by itself; killed after that."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    takes: ClassVar[tuple[str, ...]] = ()
    """Settings that it takes from whoever starts it. They are recorded: no secret among them."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()

    # What it is

    @abstractmethod
    def url(self) -> str:
        """Where it answers."""

    @abstractmethod
    def install(self) -> None:
        """Bring what the service needs to run; returns at once when it is all there.

        Raises:
            DiscoverError: something is missing and can't be brought; says what to do.

        """

    def prepare(self) -> None:
        """Make folders and configuration; runs before each start, also after a broken one."""
        self.data.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def launch(self) -> Launch:
        """The command of the foreground process. It must listen on 127.0.0.1 only, on ``ports``."""

    @abstractmethod
    def probe(self) -> None:
        """Ask it for something that only a working service can do, within about three seconds.

        Raises:
            Exception: of any kind, when it doesn't answer as it should.

        """

    def settle(self) -> None:  # noqa: B027 - most services need nothing of the kind
        """Create what must exist inside once it answers (buckets, users). Safe to repeat."""

    def leftovers(self) -> list[psutil.Process]:
        """Living processes that belong to this service of this home, whoever started them."""
        return [process for process in psutil.process_iter() if _marked(process, self.mark)]

    # What it may use

    @property
    def mark(self) -> str:
        """The value of :data:`MARK` in its processes' environment."""
        return f"{self.home}:{self.name}"

    @property
    def data(self) -> Path:
        """Folder of its data."""
        return self.home / "services" / self.name

    @property
    def log(self) -> Path:
        """File of its standard output and error."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def ports(self) -> dict[str, int]:
        """Its ports by name, as chosen for this home."""
        return ports(self.home)[self.name]

    @property
    def settings(self) -> Settings:
        """Settings of the home's local profile, whatever the caller's environment says."""
        return load(self.home, "local", **local_values(self.home))

    @property
    def given(self) -> dict[str, str]:
        """The values of the settings in ``takes``, by name, as the caller has them now."""
        caller = load(self.home, "local") if self.takes else None
        values = {name: getattr(caller, name) for name in self.takes}
        return {name: str(value) for name, value in values.items() if value is not None}


def spawn(service: Service) -> psutil.Process:
    """Start the service's process in a session of its own, so that it outlives the caller.

    Raises:
        DiscoverError: the program can't be run.

    """
    launch = service.launch()
    service.log.parent.mkdir(parents=True, exist_ok=True)
    bound(service.log)
    given = {f"DISCOVER_{name.upper()}": value for name, value in service.given.items()}
    environment = {**base_environment(), MARK: service.mark, **given, **launch.environment}
    with service.log.open("ab") as log:
        try:
            child = subprocess.Popen(
                launch.arguments,
                env=environment,
                cwd=service.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=launch.user,
                group=pwd.getpwnam(launch.user).pw_gid if launch.user else None,
                extra_groups=[] if launch.user else None,
            )
        except OSError as error:
            raise DiscoverError(
                f"{service.name} can't be run: {error}", "run: make setup, then discover doctor"
            ) from None
    return psutil.Process(child.pid)


def bound(log: Path) -> None:
    """Empty a log that has grown too long; what it held becomes the one old log.

    Safe while its service runs, which goes on appending to the same file.
    """
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        shutil.copy(log, log.with_suffix(".old.log"))
        os.truncate(log, 0)


def base_environment() -> dict[str, str]:
    """What any program needs of the caller's environment and nothing more: no key, no setting."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "LOGNAME", "SYSTEMROOT")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "DO_NOT_TRACK": "1",
    }


def same_process(pid: int | None, started: float | None) -> psutil.Process | None:
    """The living process of this pid, if it is the one that was created then."""
    if pid is None or started is None:
        return None
    try:
        process = psutil.Process(pid)
        # Creation time is counted from the boot time, which moves when the clock is set.
        if abs(process.create_time() - started) < 2 and is_alive(process):
            return process
    except psutil.Error:
        pass
    return None


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended but was not waited for doesn't."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def listens(process: psutil.Process, numbers: set[int]) -> bool:
    """Whether this process and its children together listen on all these ports."""
    heard: set[int] = set()
    for member in family(process):
        try:
            connections = member.net_connections(kind="tcp")
        except psutil.Error:
            continue
        heard |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return numbers <= heard


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that descend from it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def rss_mb(process: psutil.Process) -> float:
    """Resident memory of the process and its descendants, in MB (2**20 bytes)."""
    total = 0
    for member in family(process):
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return round(total / 2**20, 1)


def end(
    processes: list[psutil.Process],
    *,
    asking: signal.Signals = signal.SIGTERM,
    seconds: float = 20,
) -> None:
    """Ask the processes to end, wait, then kill what is left of them and of their descendants."""
    everyone = {member.pid: member for process in processes for member in family(process)}
    for process in processes:
        _send(process, asking)
        # A stopped process acts on no signal until it continues.
        _send(process, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(is_alive(process) for process in processes):
        _reap(processes)
        time.sleep(0.05)
    remaining = [member for member in everyone.values() if is_alive(member)]
    for member in remaining:
        _send(member, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(is_alive(member) for member in remaining):
        time.sleep(0.02)
    _reap(processes)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        # psutil compares creation times before it sends.
        process.send_signal(number)


def _reap(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            continue


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and is_alive(process)
    except (psutil.Error, OSError):
        return False


def program(name: str, package: str) -> str:
    """The path of a program that a wheel put beside this Python.

    Raises:
        DiscoverError: the wheel is not installed.

    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise DiscoverError(f"{package} is not installed: {path} is missing", "run: make setup")
    return str(path)
