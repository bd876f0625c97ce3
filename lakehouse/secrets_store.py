"""Keys and passwords of one home: drawn at first start, kept where only their owner reads them."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from lakehouse.settings import read_json

SECRET_NAMES = (
    "lake_access_key_id",
    "lake_secret_access_key",
    "seaweedfs_signing_key",
    "postgres_password",
    "superset_admin_password",
    "superset_service_password",
    "superset_secret_key",
    "superset_guest_secret",
)


def ensure(home: Path) -> dict[str, str]:
    """The home's secrets; draws those that are missing and never changes one that exists.

    A file that others could read is shut again.
    """
    path = home / "secrets.json"
    known: dict[str, str] = read_json(path)
    if path.exists():
        path.chmod(0o600)
    missing = {name: _draw(name) for name in SECRET_NAMES if not known.get(name)}
    if missing:
        known |= missing
        _write(path, known)
    return known


def _draw(name: str) -> str:
    if name == "lake_access_key_id":
        # Twelve digits would be read as an AWS account number by the emulator.
        return f"DISCOVER{secrets.token_hex(6).upper()}"
    # Hexadecimal: safe in a URL, a shell and SQL without quoting.
    return secrets.token_hex(16 if name.endswith("password") else 32)


def _write(path: Path, content: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
