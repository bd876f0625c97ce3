"""Superset itself: figures equal to mart and chat, rows by grant, always the published version."""

from __future__ import annotations

import json
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest

from chat.answer import ask
from dashboard.check import check, superset_rows
from dashboard.client import Refused, Superset, as_account
from dashboard.figures import Rows, charts
from dashboard.guest import GuestTokens
from dashboard.load import load
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

CHARTS = {chart.key: chart for chart in charts()}


def seen(site: Site, key: str, user: str = "analyst", version: str = "") -> Rows:
    guest = Superset(site.settings.superset_url)
    guest.be_guest(GuestTokens(site.settings).mint(user, site.loaded, version))
    return superset_rows(guest, site.loaded, CHARTS[key])


def test_every_chart_equals_its_mart_and_the_chat(site: Site) -> None:
    report = check(site.settings, lambda question: ask(site.settings, question, user="analyst"))
    assert [chart["chart"] for chart in report["charts"] if not chart["equal"]] == []
    assert len(report["charts"]) == len(CHARTS)


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
    versions = Versions(site.settings.home)
    published = versions.require_current()
    before = seen(site, "complaints")[()]
    assert before is not None
    candidate = versions.candidate("29990101T000000Z")
    candidate.chmod(0o644)
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("insert into fct_complaints select * from fct_complaints limit 1")
    try:
        versions.publish(published.model_copy(update={"run_id": "29990101T000000Z"}))
        assert seen(site, "complaints")[()] == before + 1
        # A page that was opened before asks with a token of its own version.
        assert seen(site, "complaints", version=published.run_id)[()] == before
    finally:
        versions.publish(published)
        versions.discard("29990101T000000Z")
    assert seen(site, "complaints")[()] == before


def test_the_page_reads_date_ranges_as_the_tiles_do(site: Site) -> None:
    url = f"{site.settings.page_url}/api/days?range=2026-06-01%20%3A%202026-06-11"
    with urllib.request.urlopen(url) as answer:
        assert json.load(answer) == {"from": "2026-06-01", "to": "2026-06-10"}


def test_a_foreign_host_name_is_turned_away(site: Site) -> None:
    request = urllib.request.Request(f"{site.settings.page_url}/api/about")
    request.add_header("Host", "evil.example")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_an_account_is_refused_after_ten_failed_logins_and_others_are_not(site: Site) -> None:
    superset = Superset(site.settings.superset_url)
    seen = []
    for _ in range(11):
        with pytest.raises(Refused) as refused:
            superset.log_in("stranger", "wrong")
        seen.append(refused.value.status)
    assert seen == [401] * 10 + [429]
    assert as_account(site.settings, "embed")
