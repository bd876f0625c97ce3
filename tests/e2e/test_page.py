"""The page as a person uses it: figures on four tabs, filters, and a chat that agrees with both."""

from __future__ import annotations

import re
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
    "average_loan_amount": "${:,.0f}",
    "transaction_count": "{:,.0f}",
    "deposit_total": "${:,.0f}",
    "withdrawal_total": "${:,.0f}",
    "net_flow": "${:,.0f}",
    "complaint_count": "{:,.0f}",
}


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


def open_filters(page: Page) -> None:
    """Show the filters that the bar had no room for."""
    more = frame(page).get_by_text("More filters")
    if more.count():
        more.click()


def choose(page: Page, title: str, value: str) -> None:
    """Choose one value in the dashboard's filter of this title; it takes effect by ``apply``."""
    named = frame(page).locator(".ant-form-item").filter(has_text=re.compile(f"^{title}"))
    field = named.locator('[data-test="form-item-value"] .ant-select input')
    if not field.count():
        open_filters(page)
    field.first.click(force=True)
    field.first.fill(value)
    option = frame(page).locator(".ant-select-item-option:visible")
    option.filter(has_text=value).first.click()
    page.keyboard.press("Escape")


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
    page.set_viewport_size({"width": 400, "height": 800})
    expect(page.locator("#question")).to_be_hidden()
    page.get_by_role("button", name="Ask", exact=True).first.click()
    expect(page.locator("#question")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
