from __future__ import annotations

import json
from decimal import Decimal

from kb_export import rows
from kb_export.document import CHARACTER_LIMIT, to_json
from kb_export.portfolio import PortfolioFacts, build_all, to_markdown, to_sidecar
from lakehouse.duck import connect_published


def test_the_loans_of_all_customers_are_told_to_the_cent(make_marts):
    with connect_published(make_marts()) as connection:
        document = build_all(rows.portfolio_facts(connection))["loans"]
    section = document["sections"][0]
    assert section["sentence"] == (
        "4 loans of 2 customers: 329,000.01 in all, 82,250.00 on average."
        " 1 customer isn't counted: the bureau's record was refused."
    )
    assert section["rows"] == [
        ["house", 1, 1, "310000.00", "310000.00"],
        ["car", 2, 1, "19000.00", "9500.00"],
        ["student", 1, 1, "0.01", "0.01"],
    ]
    assert "| car | 2 | 1 | 19,000.00 | 9,500.00 |" in to_markdown(document)


def test_every_topic_is_told(make_marts):
    with connect_published(make_marts()) as connection:
        documents = build_all(rows.portfolio_facts(connection))
    text = {name: to_markdown(document) for name, document in documents.items()}
    assert list(text) == ["customers", "credit", "loans", "atm_activity", "complaints"]
    assert "| Ontario | 2 |" in text["customers"]
    assert "3 customers with a score: average score 698.33, delinquencies 5." in text["credit"]
    assert "| quarantined | 1 |" in text["credit"]
    assert "2 deposits of 464.10, 2 withdrawals of 120.50; net flow 343.60" in text["atm_activity"]
    assert "| Wednesday | 1 | 404.10 |" in text["atm_activity"]
    assert "| 23:00 | 1 | 404.10 |" in text["atm_activity"]
    assert "| ATM Issue | 2 |" in text["complaints"]
    assert "| no date | 1 |" in text["complaints"]


def test_customers_whose_credit_is_unknown_are_said_to_be_left_out(make_marts):
    unknown = "UPDATE credit SET credit_record_status = 'unknown' WHERE customer_id = 11"
    with connect_published(make_marts(unknown)) as connection:
        documents = build_all(rows.portfolio_facts(connection))
    for name in ("credit", "loans"):
        sentence = documents[name]["sections"][0]["sentence"]
        assert "1 customer isn't counted: the bureau's record was refused." in sentence
        assert "1 customer isn't counted: a refused record that names nobody may be" in sentence
    assert "| unknown | 1 |" in to_markdown(documents["credit"])


def test_a_portfolio_sidecar_carries_no_customer(make_marts):
    with connect_published(make_marts()) as connection:
        documents = build_all(rows.portfolio_facts(connection))
    for document in documents.values():
        attributes = json.loads(to_sidecar(document))["metadataAttributes"]
        assert attributes["document_type"] == "portfolio"
        assert "customer_id" not in attributes


def test_an_empty_bank_has_documents_too(make_marts):
    with connect_published(make_marts(rows="SELECT 1")) as connection:
        documents = build_all(rows.portfolio_facts(connection))
    assert documents["loans"]["sections"][0]["sentence"] == "0 loans of 0 customers: 0.00 in all."


def test_a_bank_of_any_size_fits_into_one_chunk_a_topic():
    amount = Decimal("99999999999999999999.99")
    many = 10**9
    facts = PortfolioFacts(
        customer_count=many,
        provinces=[("Newfoundland and Labrador" * 2, many)] * 60,
        cities=[("x" * 50, 10)] * 20,
        record_statuses=[("quarantined", many)] * 3,
        bands=[("760–900 Excellent", many, many * 900, many)] * 5,
        loan_types=[("business", many, many, amount)] * 10,
        borrower_count=many,
        months=[("2026-10", many, amount, many, amount)] * 100,
        hours=[(hour, many, amount) for hour in range(24)],
        weekdays=[(day, many, amount) for day in range(1, 8)],
        complaint_categories=[("Service Feedback", many)] * 4,
        complaint_months=[("2026-10", many)] * 100,
    )
    for document in build_all(facts).values():
        assert len(to_markdown(document)) <= CHARACTER_LIMIT
        assert len(to_json(document)) <= CHARACTER_LIMIT
