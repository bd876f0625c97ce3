"""Starting, repairing, stopping and looking at the services of a home."""

from __future__ import annotations

import importlib
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from lakehouse import secrets_store
from lakehouse.console import note
from lakehouse.errors import DiscoverError, ServiceUnavailable, UsageError
from lakehouse.services import registry
from lakehouse.services.choose_ports import choose
from lakehouse.services.service import (
    Service,
    bound,
    end,
    is_alive,
    listens,
    rss_mb,
    same_process,
    spawn,
)
from lakehouse.settings import DEFAULT_PORTS, load, local_values, ports

CLASSES = {
    "seaweedfs": "lakehouse.services.seaweedfs:Seaweedfs",
    "postgres": "lakehouse.services.postgres:Postgres",
    "ministack": "lakehouse.services.ministack:Ministack",
    "kafka": "lakehouse.services.kafka:Kafka",
    "apache-kafka": "lakehouse.services.apache_kafka:ApacheKafka",
    "trino": "lakehouse.services.trino:Trino",
    "athena": "lakehouse.services.athena:Athena",
    "superset": "lakehouse.services.superset:Superset",
    "page": "lakehouse.services.page:Page",
}
"""Every service that can be started: its name, and its class, imported only when needed."""

BATCH_SERVICES = ("seaweedfs", "postgres", "ministack", "kafka")
"""What the pipeline needs; the dashboard's two and the warehouses are started by name."""

WITH_JAVA = ("apache-kafka", "trino")
"""What is fetched only when it is asked for by name: nothing on the default path needs Java."""

DISK_FLOOR = 512 * 1024 * 1024
"""Bytes that must be free before anything is started: below that a store may break half-way."""

START_ATTEMPTS = 3
"""Another program may take a port between our look and the service's start."""

PATIENCE_SECONDS = 6
"""How long a service that worked before may be silent before it is started again."""

State = Literal["running", "starting", "failing", "dead", "stopped"]


@dataclass(frozen=True)
class ServiceState:
    """One line of ``status``.

    ``running`` answers its probe; ``starting`` isn't through its start; ``failing`` has a process
    that doesn't answer; ``dead`` had one that is gone although nobody stopped it; ``stopped`` has
    none.
    """

    name: str
    url: str
    pid: int | None
    state: State
    rss_mb: float
    detail: str = ""


def up(home: Path, names: Sequence[str] | None = None) -> list[ServiceState]:
    """Start what isn't running and wait until each service answers; running ones are left alone.

    When one fails, what this call started is stopped again.

    Raises:
        UsageError: no such service.
        ServiceUnavailable: a service didn't start; names its log.
        DiscoverError: the disk is nearly full, or a package is missing.

    """
    wanted = _with_needs(_checked(names or BATCH_SERVICES))
    with registry.lock(home):
        _require_disk(home)
        secrets_store.ensure(home)
        started = _bring_up([_make(home, name) for name in wanted])
        if "seaweedfs" in wanted:
            _equip_duckdb(home, renew=bool(started))
    return status(home, wanted)


def down(home: Path, names: Sequence[str] | None = None) -> list[str]:
    """Stop services, those that need others first; returns which were stopped.

    Raises:
        UsageError: no such service.

    """
    wanted = _checked(names) if names else list(CLASSES)
    remaining = [_make(home, name) for name in wanted if _known(home, name)]
    stopped: list[str] = []
    if not remaining:
        return stopped
    with registry.lock(home):
        while remaining:
            needed = {need for service in remaining for need in service.needs}
            wave = [service for service in remaining if service.name not in needed]
            with ThreadPoolExecutor(len(wave)) as pool:
                ended = list(pool.map(_stop, wave))
            stopped += [service.name for service, was in zip(wave, ended, strict=True) if was]
            remaining = [service for service in remaining if service not in wave]
    return stopped


def status(home: Path, names: Sequence[str] | None = None) -> list[ServiceState]:
    """How each service is right now, by its process and its probe.

    Without names: those of the batch, and any other that was ever started in this home.

    Raises:
        UsageError: no such service.

    """
    listed = [name for name in CLASSES if name in BATCH_SERVICES or _known(home, name)]
    services = [_make(home, name) for name in (_checked(names) if names else listed)]
    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(_state, services))


def install(names: Sequence[str] | None = None) -> None:
    """Bring what the named services need, without starting any; without names all but Java's.

    Raises:
        UsageError: no such service.
        DiscoverError: something is missing and can't be brought.

    """
    for name in _checked(names) if names else [name for name in CLASSES if name not in WITH_JAVA]:
        _make(Path(), name).install()


class _Cancelled(Exception):
    """Another service failed, or the user interrupted: this start is given up."""


def _bring_up(services: Sequence[Service]) -> list[Service]:
    """Start services in parallel, each as soon as what it needs answers; all or none."""
    ready = {service.name: threading.Event() for service in services}
    cancelled = threading.Event()
    started: list[Service] = []

    def bring(service: Service) -> None:
        try:
            for need in service.needs:
                while not ready[need].wait(0.05):
                    _check(cancelled)
            _ensure_running(service, started, cancelled)
            ready[service.name].set()
        except BaseException:
            cancelled.set()
            raise

    with ThreadPoolExecutor(len(services)) as pool:
        futures = [pool.submit(bring, service) for service in services]
        try:
            wait(futures)
            failures = [future.exception() for future in futures if future.exception()]
        except BaseException as interrupt:  # noqa: BLE001 - raised again below, after cleaning up
            cancelled.set()
            failures = [interrupt]
    if failures:
        for service in reversed(started):
            _stop(service)
        cause = next((error for error in failures if not isinstance(error, _Cancelled)), None)
        assert cause is not None
        raise cause
    return started


def _ensure_running(service: Service, started: list[Service], cancelled: threading.Event) -> None:
    """Leave a service that answers alone; repair or start any other."""
    service.install()
    bound(service.log)
    process = _recorded(service)
    if process is not None:
        settled = bool(registry.record(service.home, service.name).get("settled"))
        patience = PATIENCE_SECONDS if settled else service.start_seconds
        if _wait_for_answer(service, process, patience, cancelled) is None:
            _require_same_settings(service)
            if not settled:
                _settle(service)
            return
        note(f"{service.name}: has a process but doesn't answer; starting it again")
    started.append(service)
    _start(service, cancelled)


def _require_same_settings(service: Service) -> None:
    """Refuse a running service that other settings were given to, such as another user."""
    running = registry.record(service.home, service.name).get("settings", {})
    asked = service.given
    for name in service.takes:
        if running.get(name) != asked.get(name):
            words = [repr(found.get(name, "")) for found in (running, asked)]
            raise DiscoverError(
                f"{service.name} is running with DISCOVER_{name.upper()}={words[0]},"
                f" asked for was {words[1]}",
                f"run: discover down {service.name}, then this command again",
            )


def _start(service: Service, cancelled: threading.Event) -> None:
    began = time.monotonic()
    for attempt in range(1, START_ATTEMPTS + 1):
        _stop(service)
        chosen = _choose_ports(service)
        try:
            service.prepare()
        except OSError as error:
            raise ServiceUnavailable(
                f"{service.name} can't be prepared: {in_short(error)}", "run: discover doctor"
            ) from error
        process = spawn(service)
        created = process.create_time()
        registry.update(
            service.home,
            service.name,
            pid=process.pid,
            started=created,
            settings=service.given or None,
        )
        reason = _wait_for_answer(service, process, service.start_seconds, cancelled)
        if reason is None:
            break
        _stop(service)
        if attempt == START_ATTEMPTS or _choose_ports(service) == chosen:
            raise ServiceUnavailable(
                f"{service.name} didn't start: {reason}; {last_line(service.log)}",
                f"read {service.log}, then: discover doctor",
            )
    _settle(service)
    seconds = time.monotonic() - began
    note(f"{service.name}: ready in {seconds:.1f} s at {service.url()}")


def _wait_for_answer(
    service: Service, process: psutil.Process, seconds: float, cancelled: threading.Event
) -> str | None:
    """None as soon as the service answers on its own ports; else why it doesn't."""
    numbers = set(service.ports.values())
    began = time.monotonic()
    reason = "it never listened on its ports"
    while True:
        _check(cancelled)
        if not is_alive(process):
            return "its process ended"
        if listens(process, numbers):
            try:
                service.probe()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
                reason = f"it doesn't answer ({in_short(error)})"
            else:
                return None
        elapsed = time.monotonic() - began
        if elapsed > seconds:
            return f"{reason} within {seconds:.0f} s"
        time.sleep(0.05 if elapsed < 5 else 0.25)


def _settle(service: Service) -> None:
    try:
        service.settle()
    except DiscoverError:
        raise
    except Exception as error:
        raise ServiceUnavailable(
            f"{service.name} answers but can't be set up: {in_short(error)}",
            f"read {service.log}, then: discover up",
        ) from error
    registry.update(service.home, service.name, settled=True)


def _stop(service: Service) -> bool:
    """End all processes of a service; whether there were any."""
    process = _recorded(service)
    if process is not None:
        end([process], asking=service.stop_signal, seconds=service.stop_seconds)
    leftovers = service.leftovers()
    if leftovers:
        end(leftovers, asking=service.stop_signal, seconds=service.stop_seconds)
    registry.update(service.home, service.name, pid=None, started=None, settled=None, settings=None)
    return process is not None or bool(leftovers)


def _state(service: Service) -> ServiceState:
    known = registry.record(service.home, service.name)
    process = _recorded(service)
    state: State
    detail = ""
    if process is not None:
        try:
            service.probe()
            state = "running" if known.get("settled") else "starting"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
            state = "failing" if known.get("settled") else "starting"
            detail = in_short(error)
    else:
        state = "dead" if "pid" in known else "stopped"
    return ServiceState(
        service.name,
        service.url(),
        process.pid if process else None,
        state,
        rss_mb(process) if process else 0.0,
        detail,
    )


def _choose_ports(service: Service) -> dict[str, int]:
    """Choose free ports and remember them; tells when they had to move."""
    home, name = service.home, service.name
    reserved = {
        number
        for other, numbers in ports(home).items()
        if other != name
        for number in numbers.values()
    }
    before = service.ports
    try:
        chosen = choose(
            registry.record(home, name).get("ports", {}),
            DEFAULT_PORTS[name],
            reserved=reserved,
            home=home,
            shadows=service.shadowed_ports,
        )
    except OSError as error:
        raise ServiceUnavailable(f"{name} can't start: {error}", "end what uses them") from None
    moved = [f"{key} {before[key]} → {chosen[key]}" for key in chosen if chosen[key] != before[key]]
    if moved:
        note(f"{name}: port taken, moved: {', '.join(moved)}")
    registry.update(home, name, ports=chosen)
    return chosen


def _equip_duckdb(home: Path, *, renew: bool) -> None:
    """Give dbt and hand-run DuckDB the extensions, and the secrets that open this home's lake."""
    import duckdb

    from lakehouse import duck

    directory = home / "duckdb_extensions"
    present = {
        path.name for path in (directory / f"v{duckdb.__version__}").glob("*/*.duckdb_extension")
    }
    if not {f"{name}.duckdb_extension" for name in duck.EXTENSIONS} <= present:
        duck.install_extensions(directory)
    secrets = home / "duckdb_secrets"
    if renew or not secrets.exists():
        duck.write_secrets(load(home, "local", **local_values(home)), secrets)


def _require_disk(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < DISK_FLOOR:
        raise DiscoverError(
            f"the disk of {home} is nearly full: {free >> 20} MB free, {DISK_FLOOR >> 20} needed",
            "free some space, or choose another place with --home",
        )


def _checked(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in CLASSES:
            raise UsageError(f"no service {name!r}", f"services: {', '.join(CLASSES)}")
    return list(dict.fromkeys(names))


def _with_needs(names: Sequence[str]) -> list[str]:
    """The names and what they need, needs first."""
    ordered: dict[str, None] = {}
    for name in names:
        for need in _with_needs(_class(name).needs):
            ordered[need] = None
        ordered[name] = None
    return list(ordered)


def _class(name: str) -> type[Service]:
    module, _, attribute = CLASSES[name].partition(":")
    found: type[Service] = getattr(importlib.import_module(module), attribute)
    return found


def _make(home: Path, name: str) -> Service:
    return _class(name)(home)


def _known(home: Path, name: str) -> bool:
    return name in registry.names(home)


def _recorded(service: Service) -> psutil.Process | None:
    known = registry.record(service.home, service.name)
    return same_process(known.get("pid"), known.get("started"))


def _check(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise _Cancelled


def in_short(error: Exception) -> str:
    """An error's kind and first line, for a message of one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def last_line(log: Path) -> str:
    """What a log says last, for an error message of one line."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4096))
            lines = stream.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return "it wrote no log"
    written = [line.strip() for line in lines if line.strip()]
    return f"its log ends: {written[-1][:300]}" if written else "its log is empty"
