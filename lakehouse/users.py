"""Who may see which customers, and what a question's scope narrows that to."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lakehouse.errors import UsageError
from lakehouse.settings import read_json

GroupType = Literal["all", "customer", "city"]


@dataclass(frozen=True)
class Grant:
    """One row of the ``entitlements`` mart: a user may see one group of customers."""

    user_name: str
    group_type: GroupType
    group_value: str


def parse_grants(user: str, customers: str) -> list[Grant]:
    """Grants from the command's words: ``all``, ``3,17`` or ``city:Calgary``.

    Raises:
        UsageError: the user's name or the group can't be read.

    """
    if not user or not all(c.isalnum() or c in "._-@" for c in user):
        raise UsageError(f"user name {user!r}", "use letters, digits and . _ - @")
    if customers == "all":
        return [Grant(user, "all", "*")]
    if customers.startswith("city:") and customers.removeprefix("city:").strip():
        return [Grant(user, "city", customers.removeprefix("city:").strip())]
    ids = [part.strip() for part in customers.split(",")]
    if all(part.isascii() and part.isdigit() for part in ids):
        return [Grant(user, "customer", str(int(part))) for part in ids]
    raise UsageError(f"customers {customers!r}", "write all, ids such as 3,17, or city:Calgary")


def read_grants(home: Path) -> list[Grant]:
    """All grants of this home, by user; without any, one analyst sees everyone."""
    users = read_json(home / "users.json")
    if not users:
        return [Grant("analyst", "all", "*")]
    return [
        Grant(user, group["group_type"], group["group_value"])
        for user in sorted(users)
        for group in users[user]
    ]


def add_user(home: Path, user: str, customers: str) -> list[Grant]:
    """Replace what ``user`` may see; returns all grants.

    The chat obeys at once, the dashboard's tiles at the next refresh.
    """
    grants = [grant for grant in read_grants(home) if grant.user_name != user]
    grants += parse_grants(user, customers)
    by_user: dict[str, list[dict[str, str]]] = {}
    for grant in grants:
        row = asdict(grant)
        by_user.setdefault(row.pop("user_name"), []).append(row)
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f"users.json.{os.getpid()}"
    temporary.write_text(json.dumps(by_user, indent=1, sort_keys=True))
    temporary.chmod(0o600)
    temporary.replace(home / "users.json")
    return read_grants(home)
