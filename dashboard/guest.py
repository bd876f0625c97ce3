"""Guest tokens: who looks at the embedded dashboard, and which rows that person may see."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

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

    def mint(self, user: str, loaded: Loaded, version: str = "") -> str:
        """A token for ``user``, good for the dashboard alone and for five minutes.

        Args:
            user: whose rows it shows.
            loaded: what the dashboard is called in this Superset.
            version: run id that it reads; without one, each query reads what is published then.

        Raises:
            UsageError: the user's name can't be used.
            DiscoverError: Superset refuses or doesn't answer.

        """
        rules = row_rules(user)
        body = {
            "user": {"username": user, "first_name": user, "last_name": version},
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


def keep_filters(superset_url: str, token: str, dashboard: int, mask: Mapping[str, object]) -> str:
    """Leave the state of the dashboard's filters with Superset, for a day; the key to it.

    In an address the names of customers would be in histories and logs, and many don't fit.
    """
    guest = Superset(superset_url, timeout=10)
    guest.be_guest(token)
    guest.take_csrf_token()
    state = {"value": json.dumps(mask)}
    key: str = guest.post(f"/api/v1/dashboard/{dashboard}/filter_state", state)["key"]
    return key
