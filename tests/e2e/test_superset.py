"""Superset itself: figures equal to mart and chat, rows by grant, always the published version."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from chat.answer import ask, read_scope
from dashboard.check import check, superset_rows
from dashboard.client import Refused, Superset, as_account
from dashboard.figures import Rows, charts, mart_rows
from dashboard.guest import GuestTokens
from dashboard.load import load
from dashboard.scopes import CheckedScope
from lakehouse.duck import connect_published
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

CHARTS = {chart.key: chart for chart in charts()}


def seen(site: Site, key: str, user: str = "analyst", version: str = "") -> Rows:
    guest = Superset(site.settings.superset_url)
    guest.be_guest(GuestTokens(site.settings).mint(user, site.loaded, version))
    return superset_rows(guest, site.loaded, CHARTS[key])


def test_every_chart_equals_its_mart_and_the_chat_under_every_scope(site: Site) -> None:
    report = check(
        site.settings,
        lambda question, scope: ask(
            site.settings, question, user="analyst", scope=read_scope(scope)
        ),
    )
    different = [(one["scope"], one["chart"]) for one in report["charts"] if not one["equal"]]
    assert different == []
    assert len(report["charts"]) == len(CHARTS) * len(report["scopes"])
    assert len(report["scopes"]) >= 10


def test_a_user_without_a_grant_sees_no_row(site: Site) -> None:
    for key in ("customers", "loans", "transactions", "complaints"):
        assert seen(site, key, "stranger") == {(): Decimal(0)}, key


def test_a_token_without_row_rules_is_refused(site: Site) -> None:
    body = {
        "user": {"username": "analyst"},
        "resources": [{"type": "dashboard", "id": site.loaded.embedded}],
        "rls": [],
    }
    with pytest.raises(Refused):
        as_account(site.settings, "embed").post("/api/v1/security/guest_token/", body)


def test_loading_again_changes_nothing(site: Site) -> None:
    assert load(site.settings) == site.loaded


def test_a_new_version_shows_without_a_restart(site: Site) -> None:
    published = Versions(site.settings.home).require_current().run_id
    before = seen(site, "complaints")[()]
    assert before is not None
    twice = "insert into fct_complaints select * from fct_complaints limit 1"
    with changed(site, (twice, {})):
        assert seen(site, "complaints")[()] == before + 1
        # A page that was opened before asks with a token of its own version.
        assert seen(site, "complaints", version=published)[()] == before
    assert seen(site, "complaints")[()] == before


@contextmanager
def changed(site: Site, *statements: tuple[str, dict[str, Any]]) -> Iterator[Path]:
    """Another version, published for a moment, in which these statements have run."""
    versions = Versions(site.settings.home)
    published = versions.require_current()
    candidate = versions.candidate("29990101T000000Z")
    candidate.chmod(0o644)
    with duckdb.connect(str(candidate)) as connection:
        for sql, parameters in statements:
            connection.execute(sql, parameters)
    try:
        versions.publish(published.model_copy(update={"run_id": "29990101T000000Z"}))
        yield candidate
    finally:
        versions.publish(published)
        versions.discard("29990101T000000Z")


AWKWARD = (
    *("back\\slash", "x' OR 1=1 --\\", "\\", 'Quo"te', "D'Arcy O''Neil", "100% Sure_Thing", "%%"),
    *("%(name)s :colon", "{{ 1+1 }}", "Emo 😀 Ji", "é" * 100, " blanks ", "$1; select 2 -- /*"),
)


def test_a_customers_awkward_name_is_a_name_and_no_sql(site: Site) -> None:
    busy = "select customer_id as id from fct_atm_transactions group by 1 having count(*) > 1"
    rename = (
        "update fct_customers set customer_label = $name || ' · #' || customer_id"
        f" where customer_id = (select list(id order by id)[$place] from ({busy}))"
    )
    renames = [(rename, {"name": name, "place": at}) for at, name in enumerate(AWKWARD, start=1)]
    chart = CHARTS["transactions"]
    guest = Superset(site.settings.superset_url)
    guest.be_guest(GuestTokens(site.settings).mint("analyst", site.loaded))
    with changed(site, *renames) as file, connect_published(file) as marts:
        for name in AWKWARD:
            sql = (
                "select customer_label from fct_customers where starts_with(customer_label, $name)"
            )
            ((label,),) = marts.execute(sql, {"name": f"{name} · #"}).fetchall()
            scope = CheckedScope(name, {"customer": [label]})
            wanted = mart_rows(marts, chart, "analyst", scope.chosen)
            assert wanted[()], name
            assert superset_rows(guest, site.loaded, chart, scope) == wanted, name


@pytest.mark.parametrize("row_limit", [1_000, 100_000])
def test_an_exported_cell_is_no_formula(site: Site, row_limit: int) -> None:
    """Superset writes a long file, by its row limit, with other code than a short one."""
    cells = ["=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "Plain"]
    moved = "update fct_customers set city = $city where customer_id = (select min(customer_id)"
    moves = [
        (f"{moved} + $place from fct_customers)", {"city": city, "place": at})
        for at, city in enumerate(cells)
    ]
    with changed(site, *moves):
        found = exported(site, row_limit)
    escaped = {f"'{cell}".replace("\r", "\n") for cell in cells[:-1]}
    assert escaped | {"Plain"} <= found
    assert not found & set(cells[:-1])


def exported(site: Site, row_limit: int) -> set[str]:
    """The cities of the CSV file that an administrator downloads, one a customer."""
    body = {
        "datasource": {"id": site.loaded.datasets["customers"], "type": "table"},
        "queries": [{"columns": ["city"], "metrics": ["customer_count"], "row_limit": row_limit}],
        "form_data": {"row_limit": row_limit},
        "result_format": "csv",
        "result_type": "full",
    }
    admin = as_account(site.settings, "admin")
    request = admin._request("/api/v1/chart/data", json.dumps(body).encode())
    for name, value in {**admin._headers, "Content-Type": "application/json"}.items():
        request.add_header(name, value)
    with admin._opener.open(request) as answer:
        text = answer.read().decode()
    return {row[0] for row in csv.reader(io.StringIO(text, newline=""))}


RANGES = [
    "Last day",
    "Last week",
    "Last month",
    "previous calendar week",
    "Current quarter",
    "Last 30 days",
    'DATEADD(DATETIME("now"), -7, day) : now',
    "No filter",
]


def test_superset_means_the_same_days_as_the_page(site: Site) -> None:
    guest = Superset(site.settings.superset_url)
    guest.be_guest(GuestTokens(site.settings).mint("analyst", site.loaded))
    last_day = Versions(site.settings.home).require_current().last_business_day
    custom = f"{last_day - timedelta(days=6)}T00:00:00 : {last_day}T00:00:00"
    for words in (*RANGES, custom):
        url = f"{site.settings.page_url}/api/days?range={urllib.parse.quote(words)}"
        with urllib.request.urlopen(url) as answer:
            page = json.load(answer)
        quoted = words.replace("!", "!!").replace("'", "!'")
        (label,) = guest.get("/api/v1/time_range/", q=f"'{quoted}'")["result"]
        # Superset's label says that it ends before that moment: the midnight after the last day.
        until = datetime.fromisoformat(label["until"]) if label["until"] else None
        ends = (until - timedelta(days=1)).date().isoformat() if until else None
        assert (label["since"][:10] or None, ends) == (page["from"], page["to"]), words
    assert (page["from"], page["to"]) == (str(last_day - timedelta(days=6)), str(last_day))


@pytest.mark.parametrize("words", ["Next week", "Last 3 hours", "2999-01-01 : 2999-02-01"])
def test_a_range_without_days_is_refused_by_tile_filter_and_page(site: Site, words: str) -> None:
    guest = Superset(site.settings.superset_url)
    guest.be_guest(GuestTokens(site.settings).mint("analyst", site.loaded))
    scope = CheckedScope("dates", dates=words)
    for key in ("transactions", "complaints_per_day"):
        with pytest.raises(Refused, match="Dates: "):
            superset_rows(guest, site.loaded, CHARTS[key], scope)
    with pytest.raises(Refused, match="Dates: "):
        guest.get("/api/v1/time_range/", q=f"'{words}'")
    url = f"{site.settings.page_url}/api/days?range={urllib.parse.quote(words)}"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(url)


def test_a_foreign_host_name_is_turned_away(site: Site) -> None:
    request = urllib.request.Request(f"{site.settings.page_url}/api/about")
    request.add_header("Host", "evil.example")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_an_account_is_refused_after_ten_failed_logins_and_others_are_not(site: Site) -> None:
    superset = Superset(site.settings.superset_url)
    seen = []
    # Superset takes the name in any case.
    for name in (*["stranger"] * 5, *["STRANGER"] * 5, "Stranger", "\ud800"):
        with pytest.raises(Refused) as refused:
            superset.log_in(name, "wrong")
        seen.append(refused.value.status)
    assert seen == [401] * 10 + [429, 400]
    assert as_account(site.settings, "embed")
