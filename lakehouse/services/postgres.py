"""Postgres: the bank's own database, reached by TCP with a password."""

from __future__ import annotations

import hashlib
import shutil
import signal
from pathlib import Path
from typing import ClassVar

import psutil

from lakehouse import secrets_store
from lakehouse.catalog import BANK_DATABASE
from lakehouse.postgres_wheel import initialise, let_in, program, run, system_user
from lakehouse.services.service import Launch, Service, is_alive

ROLE = "bank"
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
        program("postgres")

    def prepare(self) -> None:
        """Make the cluster, completely or not at all, and give the role today's password."""
        super().prepare()
        user = system_user()
        if user is not None:
            let_in(user, self.data)
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
        arguments = [program("postgres"), "-D", str(self.cluster)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        return Launch(arguments, user=system_user())

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
        # "reject" until our own rules are there: nobody gets in without a password at any moment.
        initialise(half, user, superuser="postgres", auth="reject")
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
    run(
        [program("postgres"), "--single", "-j", "-D", str(cluster), "postgres"],
        user,
        text="".join(f"{statement};\n\n" for statement in statements),
    )
