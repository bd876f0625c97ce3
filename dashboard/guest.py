"""Guest tokens: who looks at the embedded dashboard, and which rows that person may see."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from dashboard.client import Refused, Superset, as_account
from dashboard.load import Loaded
from lakehouse.settings import Settings
from lakehouse.users import require_user_name

CUSTOMER_DATASETS = ("customers", "loans", "atm_transactions")
ANONYMOUS_DATASETS = ("complaints", "credit_bands")


def row_rules(user: str) -> dict[str, str]:
    """The row-level clause of each dataset for one user, as sub-queries on ``entitlements``.

    Clauses are raw SQL, so the name is validated here, whoever calls. They hold no list of ids: a
    token must fit into a header. A user without a grant sees no row, not even anonymous ones.

    Raises:
        UsageError: the name holds anything but letters, digits and ``. _ - @``.

    """
    require_user_name(user)
    granted = f"select 1 from main.entitlements as e where e.user_name = '{user}'"
    everyone = f"exists ({granted} and e.group_type = 'all')"
    theirs = (
        "customer_id in (select c.customer_id from main.dim_customers as c"
        " inner join main.entitlements as e"
        " on (e.group_type = 'customer' and e.group_value = cast(c.customer_id as varchar))"
        " or (e.group_type = 'city' and e.group_value = c.city)"
        f" where e.user_name = '{user}')"
    )
    return {
        **dict.fromkeys(CUSTOMER_DATASETS, f"({everyone} or {theirs})"),
        **dict.fromkeys(ANONYMOUS_DATASETS, f"exists ({granted})"),
    }


class GuestTokens:
    """Mints guest tokens through the service account, whose session is kept between calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: Superset | None = None
        # One session holds one set of cookies; the web service calls from several threads.
        self._one_at_a_time = threading.Lock()

    def mint(self, user: str, loaded: Loaded) -> str:
        """A token for ``user``, good for the dashboard alone and for five minutes.

        Raises:
            UsageError: the user's name can't be used.
            DiscoverError: Superset refuses or doesn't answer.

        """
        rules = row_rules(user)
        body = {
            "user": {"username": user, "first_name": user, "last_name": ""},
            "resources": [{"type": "dashboard", "id": loaded.embedded}],
            "rls": [{"dataset": loaded.datasets[n], "clause": rules[n]} for n in loaded.datasets],
        }
        token: str = self._call("/api/v1/security/guest_token/", body)["token"]
        return token

    def _call(self, path: str, body: Mapping[str, object]) -> Mapping[str, str]:
        with self._one_at_a_time:
            session = self._session or self._log_in()
            try:
                return session.post(path, body)
            except Refused as refused:
                if refused.status not in (400, 401, 422):
                    raise
            # The service account's own token lasts a quarter of an hour.
            return self._log_in().post(path, body)

    def _log_in(self) -> Superset:
        self._session = as_account(self._settings, "embed")
        return self._session


def days(superset_url: str, token: str, time_range: str) -> tuple[str | None, str | None]:
    """First and last day (ISO) that Superset means by a range such as ``Last week``; None is open.

    Asked with the guest's own token, so that the page and the tiles can't read a range differently.
    """
    guest = Superset(superset_url, timeout=10)
    guest.be_guest(token)
    quoted = time_range.replace("!", "!!").replace("'", "!'")
    found = guest.get("/api/v1/time_range/", q=f"'{quoted}'")["result"][0]
    return first_day(found.get("since")), last_day(found.get("until"))


def first_day(since: str | None) -> str | None:
    """The first whole day of a range that begins then."""
    return since[:10] if since else None


def last_day(until: str | None) -> str | None:
    """The last day of a range whose end, which Superset gives, is no longer part of it."""
    if not until:
        return None
    end = datetime.fromisoformat(until)
    return (end - timedelta(microseconds=1)).date().isoformat()
