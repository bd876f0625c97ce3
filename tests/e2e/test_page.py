"""The page as a person uses it: figures on four tabs, filters, and a chat that agrees with both."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from dashboard.figures import charts, mart_rows
from lakehouse.business_calendar import last
from lakehouse.duck import connect_published
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from tests.e2e.conftest import Site, Watched

# Superset's first drawing takes seconds on a small machine.
expect.set_options(timeout=60_000)

TABS = tuple(dict.fromkeys(chart.tab for chart in charts()))
TILES = {
    "customer_count": "{:,.0f}",
    "average_credit_score": "{:.1f}",
    "delinquency_total": "{:,.0f}",
    "loan_total": "${:,.0f}",
    "loan_count": "{:,.0f}",
    "borrower_count": "{:,.0f}",
    "uncounted_credit_count": "{:,.0f}",
    "average_loan_amount": "${:,.0f}",
    "transaction_count": "{:,.0f}",
    "deposit_total": "${:,.0f}",
    "withdrawal_total": "${:,.0f}",
    "net_flow": "${:,.0f}",
    "complaint_count": "{:,.0f}",
}


NEXT_VERSION = "29990101T000000.000000Z"


@contextlib.contextmanager
def next_version(site: Site) -> Iterator[None]:
    """Another version is published, in which every loan is twice as high; then the first again."""
    versions = Versions(site.settings.home)
    published = versions.require_current()
    candidate = versions.candidate(NEXT_VERSION)
    candidate.chmod(0o644)
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("update fct_loans set amount = amount * 2")
    semantic = versions.semantic_manifest_file
    shutil.copy(semantic(published.run_id), semantic(NEXT_VERSION))
    versions.publish(published.model_copy(update={"run_id": NEXT_VERSION}))
    try:
        yield
    finally:
        versions.publish(published)
        versions.discard(NEXT_VERSION)


@pytest.fixture
def marts(site: Site) -> Iterator[duckdb.DuckDBPyConnection]:
    versions = Versions(site.settings.home)
    with connect_published(versions.marts_file(versions.require_current().run_id)) as connection:
        yield connection


def one(marts: duckdb.DuckDBPyConnection, sql: str) -> Any:
    (row,) = marts.execute(sql).fetchall()
    return row[0]


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("#dashboard iframe")


def show(page: Page, tab: str) -> None:
    frame(page).get_by_role("tab", name=tab).click()


def tile(page: Page, title: str) -> Locator:
    """The big number of the chart with this title, on the tab that is shown."""
    heading = frame(page).get_by_text(title, exact=True)
    holder = frame(page).locator(".dashboard-chart:visible, .chart-slice:visible")
    return holder.filter(has=heading).locator(".header-line").first


def ask(page: Page, question: str) -> Locator:
    """Ask, and wait for the answer; the newest answer's element."""
    before = page.locator(".answer").count()
    page.fill("#question", question)
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_count(before + 1)
    return page.locator(".answer").last


def settled_filters(page: Page) -> None:
    """Wait until the bar has moved what it has no room for, and what it opened is in place."""
    places = "fields => fields.map(field => JSON.stringify(field.getBoundingClientRect()))"
    fields = frame(page).locator('[data-test="form-item-value"]')
    expect(fields.first).to_be_attached()
    before, now = None, fields.evaluate_all(places)
    while now != before:
        page.wait_for_timeout(500)
        before, now = now, fields.evaluate_all(places)


def open_filters(page: Page) -> None:
    """Show the filters that the bar had no room for."""
    settled_filters(page)
    more = frame(page).get_by_text("More filters")
    if more.count():
        more.click()
        settled_filters(page)


def choose(page: Page, title: str, value: str) -> None:
    """Choose one value in the dashboard's filter of this title; it takes effect by ``apply``."""
    settled_filters(page)
    named = frame(page).locator(".ant-form-item").filter(has_text=re.compile(f"^{title}"))
    field = named.locator('[data-test="form-item-value"] .ant-select input')
    if not field.count():
        open_filters(page)
    field.first.click(force=True)
    field.first.fill(value)
    # By keyboard: the list moves while the bar of filters makes room, and a click misses it.
    active = frame(page).locator(".ant-select-item-option-active:visible")
    expect(active.filter(has_text=value).first).to_be_attached()
    field.first.press("Enter")
    field.first.press("Escape")


def choose_last(page: Page, unit: str) -> None:
    """Choose "Last week", say, in the date filter."""
    open_filters(page)
    frame(page).get_by_text("No filter", exact=True).first.click()
    popover = frame(page).locator(".time-range-popover")
    popover.locator(".ant-select").first.click()
    option = frame(page).locator(".ant-select-item-option:visible")
    option.filter(has_text=re.compile("^Last$")).click()
    popover.get_by_text(f"Last {unit}", exact=True).click()
    popover.get_by_role("button", name="Apply").click()
    page.keyboard.press("Escape")


def apply(page: Page) -> None:
    frame(page).locator('[data-test="filter-bar__apply-button"]').click()


def test_all_four_tabs_show_the_published_figures(
    watched: Watched, marts: duckdb.DuckDBPyConnection
) -> None:
    page = watched.page
    for tab in TABS:
        show(page, tab)
        for chart in (chart for chart in charts() if chart.tab == tab):
            expect(frame(page).get_by_text(chart.title, exact=True).first).to_be_visible()
            if chart.kind == "big_number_total":
                figure = mart_rows(marts, chart, "analyst")[()]
                shown = TILES[chart.metric].format(figure).replace("$-", "-$")
                expect(tile(page, chart.title)).to_have_text(shown)
        expect(frame(page).locator("canvas:visible").first).to_be_visible()
        expect(frame(page).get_by_text(re.compile("error", re.IGNORECASE))).to_have_count(0)


def test_the_map_is_drawn(watched: Watched) -> None:
    provinces = frame(watched.page).locator(".superset-legacy-chart-country-map path")
    expect(provinces.first).to_be_visible()


def test_the_chat_says_what_the_tile_shows(
    watched: Watched, marts: duckdb.DuckDBPyConnection
) -> None:
    page = watched.page
    show(page, "Loans")
    total = one(marts, "select sum(amount) from fct_loans")
    expect(tile(page, "Amount lent")).to_have_text(f"${total:,.0f}")
    answer = ask(page, "What is the total loan amount?")
    expect(answer).to_contain_text(f"{total:,.2f}")
    expect(answer.locator(".reading")).to_be_visible()
    expect(answer.locator(".citation").first).to_be_visible()
    expect(answer.locator(".foot")).to_contain_text("ms")
    expect(page.locator("#version")).to_contain_text(" old")


def test_a_customer_filter_narrows_tiles_and_chat_but_never_complaints(
    watched: Watched, marts: duckdb.DuckDBPyConnection
) -> None:
    page = watched.page
    label, loans = marts.execute(
        "select customer_label, loan_count from fct_customers where loan_count > 0"
        " order by customer_id limit 1"
    ).fetchall()[0]
    everyone = one(marts, "select count(*) from fct_customers")
    expect(tile(page, "Customers")).to_have_text(f"{everyone:,}")

    choose(page, "Customer", label)
    apply(page)

    expect(page.locator("#scope")).to_contain_text(label.split(" · ")[0])
    expect(tile(page, "Customers")).to_have_text("1")
    answer = ask(page, "How many loans are there?")
    expect(answer.locator(".sentence")).to_contain_text(str(loans))
    expect(answer.locator(".foot")).to_contain_text("1 customer")

    page.get_by_role("button", name="Ask without the dashboard’s filters").last.click()
    expect(page.locator(".answer")).to_have_count(2)
    total = one(marts, "select count(*) from fct_loans")
    expect(page.locator(".answer").last.locator(".sentence")).to_contain_text(f"{total:,}")

    show(page, "Complaints (anonymous)")
    complaints = one(marts, "select count(*) from fct_complaints")
    expect(tile(page, "Complaints")).to_have_text(f"{complaints:,}")


def test_an_open_page_moves_to_each_newly_published_version_as_one(
    site: Site, watched: Watched, marts: duckdb.DuckDBPyConnection
) -> None:
    page = watched.page
    label, total = marts.execute(
        "select customer_label, loan_total from fct_customers where loan_count > 0"
        " order by customer_id limit 1"
    ).fetchall()[0]
    first = site_version(site)
    show(page, "Loans")
    choose(page, "Customer", label)
    apply(page)
    expect(tile(page, "Amount lent")).to_have_text(f"${total:,.0f}")
    expect(ask(page, "What is the total loan amount?")).to_contain_text(f"{total:,.2f}")
    expect(page.locator(".of-other")).to_have_count(0)

    with next_version(site):
        # The page needn't have looked since: the answer is what shows it that there is news.
        answer = ask(page, "What is the total loan amount?")
        expect(page.locator("#version")).to_contain_text("29990101T000000", timeout=1)
        expect(answer).to_contain_text(f"{total * 2:,.2f}")
        expect(answer.locator(".of-other")).to_have_count(0)
        expect(page.locator(".of-other")).to_contain_text(f"From version {first}")
        expect(tile(page, "Amount lent")).to_have_text(f"${total * 2:,.0f}")
        # Filter, tab and conversation are those from before.
        assert_filtered_by(page, label)
        expect(frame(page).get_by_role("tab", name="Loans")).to_have_attribute(
            "aria-selected", "true"
        )
        expect(page.locator(".answer")).to_have_count(2)

    # Back to the older version, found without a question.
    expect(page.locator("#version")).to_contain_text(first)
    expect(tile(page, "Amount lent")).to_have_text(f"${total:,.0f}")
    assert_filtered_by(page, label)
    expect(page.locator(".of-other")).to_have_count(1)
    expect(page.locator(".of-other")).to_contain_text("From version 29990101T000000")


def site_version(site: Site) -> str:
    """The published run id as the page shows it."""
    return Versions(site.settings.home).require_current().run_id.split(".")[0]


def assert_filtered_by(page: Page, label: str) -> None:
    """The filter is set in the dashboard and named beside the chat."""
    expect(page.locator("#scope")).to_contain_text(label.split(" · ")[0])
    chosen = frame(page).locator('[data-test="form-item-value"] .ant-select').first
    expect(chosen).to_contain_text(label)


def test_a_new_version_waits_for_a_superset_that_does_not_answer(
    site: Site, watched: Watched
) -> None:
    page = watched.page
    expect(tile(page, "Customers")).to_be_visible()
    down = {"detail": "Superset does not answer"}
    page.route("**/api/token*", lambda route: route.fulfill(status=503, json=down))
    with next_version(site):
        expect(page.locator("#cover-text")).to_contain_text("Superset does not answer")
        # No figure of the older version is left under the header of the new one.
        expect(page.locator("#version")).to_contain_text("29990101T000000")
        expect(page.locator("#dashboard iframe")).to_have_count(0)
        page.unroute("**/api/token*")
        expect(tile(page, "Customers")).to_be_visible()
        expect(page.locator("#cover")).to_be_hidden()
    watched.troubles[:] = [found for found in watched.troubles if "503" not in found]


def test_a_page_of_another_user_starts_from_scratch(watched: Watched) -> None:
    page = watched.page
    expect(tile(page, "Customers")).to_be_visible()
    expect(ask(page, "How many customers are there?")).to_be_visible()
    about = page.evaluate("fetch('/api/about').then(answer => answer.json())") | {"user": "calgary"}
    page.route("**/api/about", lambda route: route.fulfill(json=about))
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#user")).to_have_text("calgary")
    page.unroute_all(behavior="ignoreErrors")
    # A dashboard that is left while it draws tries to keep its colours, which no guest may.
    watched.troubles[:] = [found for found in watched.troubles if "403" not in found]


def test_last_week_is_the_same_week_in_filter_tile_and_chat(
    watched: Watched, marts: duckdb.DuckDBPyConnection, site: Site
) -> None:
    page = watched.page
    last_day = Versions(site.settings.home).require_current().last_business_day
    week = last("week", last_day)
    show(page, "Complaints (anonymous)")
    expect(tile(page, "Complaints")).to_be_visible()
    choose_last(page, "week")
    apply(page)
    expect(page.locator("#scope")).to_have_text(f"{week.first} – {week.last}")
    chart = next(chart for chart in charts() if chart.key == "complaints")
    count = mart_rows(marts, chart, "analyst", {}, week)[()]
    assert count
    expect(tile(page, "Complaints")).to_have_text(f"{count:,.0f}")
    for question in (chart.question, "How many complaints were there last week?"):
        expect(ask(page, question).locator(".sentence")).to_contain_text(f"{count:,.0f} complaint")
    before = last("week", week.first)
    answer = ask(page, f"How many complaints from {before.first} to {before.last}?")
    expect(answer.locator(".sentence")).to_contain_text("no day is in both")
    expect(answer.get_by_role("button", name="Ask without the dashboard’s filters")).to_be_visible()


def test_no_score_is_the_same_customers_on_the_tile_and_in_the_chat(
    watched: Watched, marts: duckdb.DuckDBPyConnection
) -> None:
    page = watched.page
    count = one(marts, "select count(*) from fct_customers where credit_band is null")
    assert count
    expect(tile(page, "Customers")).to_be_visible()
    choose(page, "Credit band", "No score")
    apply(page)
    expect(page.locator("#scope")).to_have_text("No score")
    expect(tile(page, "Customers")).to_have_text(f"{count:,}")
    answer = ask(page, "How many customers are there?")
    expect(answer.locator(".sentence")).to_contain_text(f"Customers: {count:,} customer")


def test_a_suggested_question_is_answered(watched: Watched) -> None:
    page = watched.page
    page.get_by_role("button", name="How many customers are there?").click()
    expect(page.locator(".answer.answered")).to_have_count(1)
    expect(page.locator("#welcome")).to_be_hidden()


def test_light_and_dark_are_kept(watched: Watched) -> None:
    page = watched.page
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    expect(frame(page).locator(".grid-container").first).to_be_visible()


def test_on_a_phone_one_sees_one_thing_at_a_time(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 375, "height": 800})
    expect(page.locator("#question")).to_be_hidden()
    page.get_by_role("button", name="Ask", exact=True).first.click()
    expect(page.locator("#question")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
