"""A Postgres server that lives for one task: no network, no data to lose, gone afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lakehouse.catalog import BANK_DATABASE
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.postgres_wheel import group_of, initialise, let_in, program, system_user

ROLE = "postgres"
"""May create what it likes in its database, but is no superuser: no files, programs or network.

It has the name that dumps give as the owner, so that ``OWNER TO postgres`` works.
"""
ADMIN = "scratch_admin"

_START_SECONDS = 30
_SETTINGS = {
    "listen_addresses": "",
    # Relative to the data folder: an absolute path may be longer than a socket's name can be.
    "unix_socket_directories": ".",
    "max_connections": "10",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # Of other roles that the script creates, its own role is a member.
    "createrole_self_grant": "set, inherit",
    # Customers must not appear in a log.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_SETUP = (
    f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE",
    f"CREATE DATABASE {BANK_DATABASE} OWNER {ROLE}",
    # Dumps of data alone switch triggers off.
    f"GRANT SET ON PARAMETER session_replication_role TO {ROLE}",
)
_SET_PARENT_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class ScratchPostgres:
    """A server that runs, with an empty database ``banking_data`` that belongs to ``ROLE``."""

    data: Path
    user: str | None

    def psql(
        self,
        *arguments: str,
        role: str = ROLE,
        database: str = BANK_DATABASE,
        settings: str = "",
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start psql; its standard error is a pipe. ``settings``: options such as ``-c x=y``."""
        # The socket is in psql's working folder, and this is a short name for that.
        words = [program("psql"), "--host=/proc/self/cwd", f"--username={role}"]
        words += ["--no-psqlrc", "--quiet", f"--dbname={database}", *arguments]
        return _start(
            words,
            self.data,
            self.user,
            signal.SIGKILL,
            {"PGCLIENTENCODING": "UTF8", "PGOPTIONS": settings},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def run(
        self,
        sql: str,
        *,
        settings: str = "",
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.PIPE,
    ) -> bytes:
        """Run one statement to its end; returns its bare result, where ``stdout`` doesn't take it.

        Raises:
            DiscoverError: it failed.

        """
        words = ("--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", f"--command={sql}")
        process = self.psql(*words, settings=settings, stdin=stdin, stdout=stdout)
        printed, errors = process.communicate()
        if process.returncode:
            raise DiscoverError(f"the scratch Postgres failed: {_first_line(errors)}")
        return printed or b""


@contextlib.contextmanager
def scratch_postgres(data: Path) -> Iterator[ScratchPostgres]:
    """Create a cluster in the new folder ``data``, start it, and stop it at the end.

    Raises:
        ServiceUnavailable: it doesn't start.

    """
    data.mkdir(mode=0o700)
    user = system_user()
    if user is not None:
        # Passing through only: the folder can't be listed.
        data.parent.chmod(0o711)
        let_in(user, data)
    # The data folder is its owner's alone, and with it the socket.
    initialise(data, user, superuser=ADMIN, auth="trust")
    words = [program("postgres"), "-D", str(data)]
    for name, value in _SETTINGS.items():
        words += ["-c", f"{name}={value}"]
    log_file = data.with_name(f"{data.name}.log")
    with log_file.open("wb") as log:
        # SIGQUIT: at once. Nothing of it is kept.
        server = _start(words, data, user, signal.SIGQUIT, {}, stdout=log, stderr=log)
    try:
        postgres = ScratchPostgres(data, user)
        _set_up(postgres, server, log_file)
        yield postgres
    finally:
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _set_up(postgres: ScratchPostgres, server: subprocess.Popen[bytes], log: Path) -> None:
    words = [f"--command={statement}" for statement in _SETUP]
    deadline = time.monotonic() + _START_SECONDS
    while True:
        process = postgres.psql("--set=ON_ERROR_STOP=1", *words, role=ADMIN, database="postgres")
        _, errors = process.communicate()
        if process.returncode == 0:
            return
        # 2: it doesn't answer yet.
        if process.returncode != 2 or server.poll() is not None or time.monotonic() > deadline:
            reason = _first_line(log.read_bytes()) or _first_line(errors)
            raise ServiceUnavailable(
                f"a scratch Postgres can't be started: {reason}", "run: discover doctor"
            )
        time.sleep(0.05)


def _start(
    words: list[str],
    folder: Path,
    user: str | None,
    at_end: signal.Signals,
    variables: dict[str, str],
    **options: Any,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        cwd=folder,
        # Nothing of the caller's: PGPORT, say, is for another server.
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"} | variables,
        user=user,
        group=group_of(user),
        extra_groups=[] if user else None,
        preexec_fn=_ended_with_its_parent(at_end),
        **{"stdin": subprocess.DEVNULL, **options},
    )


def _ended_with_its_parent(number: signal.Signals) -> Callable[[], None]:
    """Let the kernel end the process when this command is killed, so that no server stays."""
    library = ctypes.CDLL(None)

    def ask_for_it() -> None:
        library.prctl(_SET_PARENT_DEATH_SIGNAL, number, 0, 0, 0)

    return ask_for_it


def _first_line(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[0][:300] if lines else ""
