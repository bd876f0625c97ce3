"""Who may see which customers, and what a question's scope narrows that to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lakehouse.duck import connect_published
from lakehouse.errors import UsageError
from lakehouse.settings import read_json
from lakehouse.text import spellings_of

GroupType = Literal["all", "customer", "city"]


@dataclass(frozen=True)
class Grant:
    """One row of the ``entitlements`` mart: a user may see one group of customers."""

    user_name: str
    group_type: GroupType
    group_value: str


_USER_NAME = re.compile(r"[A-Za-z0-9._@-]{1,100}")
_GROUPS = "all, customer or city"


def require_user_name(user: str) -> None:
    """Check a user's name by the one rule that the dashboard, the chat and the command share.

    Raises:
        UsageError: it is empty, longer than 100, or holds anything but letters, digits and . _ - @.

    """
    if not _USER_NAME.fullmatch(user):
        raise UsageError(
            f"the user name {user[:100]!r} can't be used",
            "use 1 to 100 of the letters a to z, digits and . _ - @",
        )


def parse_grants(user: str, customers: str) -> list[Grant]:
    """Grants from the command's words: ``all``, ``3,17`` or ``city:A,city:B``; each once.

    Raises:
        UsageError: the user's name or the group can't be read.

    """
    require_user_name(user)
    if customers == "all":
        return [Grant(user, "all", "*")]
    first, *cities = (city.strip() for city in re.split(r"(?:^|,)\s*city:", customers))
    if cities and not first and all(cities):
        return list(dict.fromkeys(Grant(user, "city", city) for city in cities))
    ids = [part.strip() for part in customers.split(",")]
    if all(part.isascii() and part.isdigit() for part in ids):
        return list(dict.fromkeys(Grant(user, "customer", str(int(part))) for part in ids))
    raise UsageError(
        f"customers {customers!r}", "write all, ids such as 3,17, or city:Calgary,city:Regina"
    )


def read_grants(home: Path) -> list[Grant]:
    """All grants of this home, by user and each once; without any, one analyst sees everyone.

    Raises:
        UsageError: ``users.json`` was edited and can't be read; the message names the user.

    """
    file = home / "users.json"
    users = read_json(file)
    if not users:
        return [Grant("analyst", "all", "*")]
    if not isinstance(users, dict):
        raise _unreadable(file, "it is not an object with a list of grants per user")
    return list(
        dict.fromkeys(
            _grant(file, user, group)
            for user in sorted(users)
            for group in _list(file, users, user)
        )
    )


def add_user(home: Path, user: str, customers: str) -> list[Grant]:
    """Replace what ``user`` may see; returns that user's grants.

    The chat obeys at once, the dashboard's tiles at the next refresh.
    """
    added = parse_grants(user, customers)
    grants = [grant for grant in read_grants(home) if grant.user_name != user]
    by_user: dict[str, list[dict[str, str]]] = {}
    for grant in grants + added:
        row = asdict(grant)
        by_user.setdefault(row.pop("user_name"), []).append(row)
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f"users.json.{os.getpid()}"
    temporary.write_text(json.dumps(by_user, indent=1, sort_keys=True))
    temporary.chmod(0o600)
    temporary.replace(home / "users.json")
    return added


def unknown_in(marts_file: Path, grants: Sequence[Grant]) -> list[str]:
    """Customers and cities of grants that a version doesn't have, such as ``customer 99``."""
    with connect_published(marts_file) as connection:
        rows = connection.execute("SELECT customer_id, city FROM dim_customers").fetchall()
    customers = {str(customer) for customer, _ in rows}
    cities = list({city for _, city in rows if city is not None})
    return [
        f"{grant.group_type} {grant.group_value}"
        for grant in grants
        if (grant.group_type == "customer" and grant.group_value not in customers)
        or (grant.group_type == "city" and not spellings_of(grant.group_value, cities))
    ]


def _list(file: Path, users: dict[str, Any], user: str) -> list[Any]:
    try:
        require_user_name(user)
    except UsageError as error:
        raise _unreadable(file, error.message) from None
    groups = users[user]
    if not isinstance(groups, list):
        raise _unreadable(file, f"the grants of {user} are not a list")
    return groups


def _grant(file: Path, user: str, group: Any) -> Grant:
    kind = group.get("group_type") if isinstance(group, dict) else None
    value = str(group.get("group_value", "")).strip() if isinstance(group, dict) else ""
    if kind == "all":
        return Grant(user, "all", "*")
    if kind == "city" and value:
        return Grant(user, "city", value)
    if kind == "customer" and value.isascii() and value.isdigit():
        return Grant(user, "customer", str(int(value)))
    if kind in ("city", "customer"):
        raise _unreadable(file, f"a grant of {user} names no {kind}: {value[:60]!r}")
    raise _unreadable(file, f"a grant of {user} has the group type {kind!r}, not {_GROUPS}")


def _unreadable(file: Path, fault: str) -> UsageError:
    return UsageError(
        f"{file}: {fault}",
        "correct the file, or delete it and run: discover users add NAME --customers …",
    )
