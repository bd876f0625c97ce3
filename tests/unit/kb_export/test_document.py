from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_export import rows
from kb_export.document import (
    CHARACTER_LIMIT,
    Customer,
    CustomerFacts,
    Loan,
    LoanTypeTotal,
    MonthTotal,
    Transaction,
    build,
    to_json,
    to_markdown,
    to_sidecar,
)
from lakehouse.duck import connect_published

WENDY = CustomerFacts(
    Customer(
        customer_id=3,
        customer_name="Wendy Zhao",
        customer_label="Wendy Zhao · #3",
        city="Calgary",
        province="Alberta",
        credit_record_status="present",
        credit_score=712,
        credit_band="660–724 Good",
        delinquencies=1,
        loan_count=3,
        loan_total=Decimal("329000.00"),
        atm_transaction_count=3,
        deposit_count=1,
        deposit_total=Decimal("404.10"),
        withdrawal_count=2,
        withdrawal_total=Decimal("120.50"),
        net_flow=Decimal("283.60"),
        first_transaction_date=date(2026, 9, 30),
        last_transaction_date=date(2026, 10, 5),
    ),
    [
        LoanTypeTotal("house", 1, Decimal("310000.00")),
        LoanTypeTotal("car", 2, Decimal("19000.00")),
    ],
    [
        Loan(2, "house", Decimal("310000.00")),
        Loan(1, "car", Decimal("18000.10")),
        Loan(3, "car", Decimal("999.90")),
    ],
    [
        MonthTotal("2026-10", 0, Decimal("0.00"), 2, Decimal("120.50")),
        MonthTotal("2026-09", 1, Decimal("404.10"), 0, Decimal("0.00")),
    ],
    [
        Transaction(
            datetime.fromisoformat("2026-09-30 23:59:59"), "deposit", Decimal("404.10"), 41
        ),
        Transaction(
            datetime.fromisoformat("2026-10-05 12:30:00"), "withdrawal", Decimal("100.50"), 42
        ),
        Transaction(
            datetime.fromisoformat("2026-10-01 00:00:00"), "withdrawal", Decimal("20.00"), 41
        ),
    ],
)

WENDY_MARKDOWN = """\
# Wendy Zhao · #3

Customer 3, Wendy Zhao, lives in Calgary, Alberta.

## Credit

Credit score 712 (660–724 Good), 1 delinquency.

## Loans

3 loans, 329,000.00 in all.

| Loan type | Loans | Total |
| --- | ---: | ---: |
| house | 1 | 310,000.00 |
| car | 2 | 19,000.00 |

Largest: house 310,000.00, car 18,000.10, car 999.90.

## ATM activity

3 transactions from 2026-09-30 to 2026-10-05: 1 deposit of 404.10, 2 withdrawals of 120.50; \
net flow 283.60.

| Month | Deposits | Deposited | Withdrawals | Withdrawn |
| --- | ---: | ---: | ---: | ---: |
| 2026-10 | 0 | 0.00 | 2 | 120.50 |
| 2026-09 | 1 | 404.10 | 0 | 0.00 |

Largest transactions:
- 2026-09-30 23:59:59: deposit of 404.10 at ATM 41
- 2026-10-05 12:30:00: withdrawal of 100.50 at ATM 42
- 2026-10-01 00:00:00: withdrawal of 20.00 at ATM 41

Amounts in Canadian dollars; dates and times are the bank's local ones.
"""


def test_the_marts_rows_of_a_customer_become_these_facts(make_marts):
    with connect_published(make_marts()) as connection:
        assert next(rows.facts(connection, [3])) == WENDY


def test_the_markdown_reads_as_a_banker_would_write_it():
    assert to_markdown(build(WENDY)) == WENDY_MARKDOWN


def test_the_json_has_a_fixed_key_order_and_exact_decimals():
    text = to_json(build(WENDY))
    document = json.loads(text, parse_float=lambda digits: pytest.fail(f"a float: {digits}"))
    assert list(document) == [
        "schema_version",
        "document_type",
        "customer_id",
        "customer_name",
        "customer_label",
        "location",
        "credit",
        "loans",
        "atm_activity",
        "currency",
    ]
    assert document["schema_version"] == 1
    assert document["loans"]["total"] == "329000.00"
    assert document["atm_activity"]["by_month"][1]["deposit_total"] == "404.10"
    assert text == to_json(build(WENDY))


def test_the_sidecar_has_snake_case_keys_within_a_kilobyte():
    text = to_sidecar(build(WENDY))
    attributes = json.loads(text)["metadataAttributes"]
    assert attributes["customer_id"] == 3
    assert attributes["loan_types"] == ["house", "car"]
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", key) for key in attributes)
    assert len(text.encode()) <= 1024


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("quarantined", "The credit bureau's record was refused: score and loans are unknown."),
        ("unknown", "Score and loans are unknown: a refused record of the credit bureau"),
    ],
)
def test_a_refused_credit_record_never_looks_like_no_loans(status, said):
    faulty = WENDY.customer._replace(
        credit_record_status=status,
        credit_score=None,
        credit_band=None,
        delinquencies=None,
        loan_count=None,
        loan_total=None,
    )
    document = build(CustomerFacts(faulty))
    assert document["loans"] is None
    markdown = to_markdown(document)
    assert "No loans" not in markdown
    assert "has no record" not in markdown
    assert said in markdown
    assert "loan_count" not in to_sidecar(document)


def test_a_customer_without_a_credit_record_or_activity_is_told_as_such():
    bare = Customer(
        11, "Zoë Côté", "Zoë Côté · #11", "Montreal", "Quebec", "absent", None, None, None,
        0, Decimal(0), 0, 0, Decimal(0), 0, Decimal(0), Decimal(0), None, None,
    )  # fmt: skip
    markdown = to_markdown(build(CustomerFacts(bare)))
    assert "The credit bureau has no record of this customer." in markdown
    assert "No loans." in markdown
    assert "No ATM activity." in markdown


def test_a_name_can_not_draw_markdown():
    nasty = WENDY.customer._replace(customer_name="A | [x](y)\n# <b>", customer_label="A\n## B")
    markdown = to_markdown(build(WENDY._replace(customer=nasty)))
    assert "A \\| \\[x\\](y) # \\<b\\>" in markdown
    assert [line for line in markdown.splitlines() if line.startswith("#")] == [
        "# A ## B",
        "## Credit",
        "## Loans",
        "## ATM activity",
    ]


def test_the_heaviest_customer_fits_into_one_chunk_with_exact_totals(make_marts):
    """20,000 transactions over 8 years, 200 loans: what isn't listed is summed, to the cent."""
    file = make_marts(
        "INSERT INTO fct_loans SELECT 23, i,"
        " ['car', 'house', 'business', 'student', 'personal'][i % 5 + 1],"
        " 987654321.09 + i FROM range(1, 201) AS r(i)",
        "INSERT INTO fct_atm_transactions SELECT 'h' || i, 23, 900000 + i % 50,"
        " CASE WHEN i % 3 = 0 THEN 'deposit' ELSE 'withdrawal' END, 12345.67 + i,"
        " t, t + INTERVAL 5 HOUR, t::DATE, hour(t), isodow(t)"
        " FROM (SELECT i, TIMESTAMP '2018-11-01 00:00:00.123456' + INTERVAL (i * 210) MINUTE AS t"
        " FROM range(20000) AS r(i))",
    )
    with connect_published(file) as connection:
        facts = next(rows.facts(connection, [23]))
        loans = connection.execute(
            "SELECT count(*), sum(amount)::DECIMAL(18, 2) FROM fct_loans WHERE customer_id = 23"
        ).fetchone()
        withdrawn = connection.execute(
            "SELECT sum(amount)::DECIMAL(18, 2) FROM fct_atm_transactions"
            " WHERE customer_id = 23 AND transaction_type = 'withdrawal'"
        ).fetchone()
    document = build(facts)
    told = document["loans"]
    assert loans is not None
    assert told["count"] == loans[0] == 200
    listed = sum(Decimal(row["amount"]) for row in told["largest"])
    assert listed + Decimal(told["not_listed"]["total"]) == loans[1]
    assert len(told["largest"]) + told["not_listed"]["count"] == 200
    activity = document["atm_activity"]
    assert activity["transaction_count"] == 20_001
    assert withdrawn is not None
    months = sum(Decimal(row["withdrawal_total"]) for row in activity["by_month"])
    assert months + Decimal(activity["earlier"]["withdrawal_total"]) == withdrawn[0]
    assert len(to_json(document)) <= CHARACTER_LIMIT
    assert len(to_markdown(document)) <= CHARACTER_LIMIT
    assert len(to_sidecar(document).encode()) <= 1024


AMOUNTS = st.decimals(min_value=0, max_value=Decimal("9999999999999999.99"), places=2)
NAMES = st.text(min_size=0, max_size=100)


@given(name=NAMES, city=st.text(max_size=50), amount=AMOUNTS, count=st.integers(1, 10**9))
def test_no_extreme_value_breaks_the_limits(name: str, city: str, amount: Decimal, count: int):
    kinds = ["business", "personal", "student", "house", "car", "a", "b", "c", "d", "e"]
    moment = datetime.fromisoformat("2026-12-31 23:59:59.999999")
    customer = WENDY.customer._replace(
        customer_id=2**63 - 1,
        customer_name=name,
        customer_label=f"{name} · #{2**63 - 1}",
        city=city,
        loan_count=count * 20,
        loan_total=amount,
        atm_transaction_count=count * 20,
        deposit_count=count * 20,
        deposit_total=amount,
        withdrawal_count=count * 20,
        withdrawal_total=amount,
        net_flow=-amount,
    )
    document = build(
        CustomerFacts(
            customer,
            [LoanTypeTotal(kind, count, amount) for kind in kinds],
            [Loan(2**31 - 1, "business", amount)] * 5,
            [MonthTotal("2026-10", count, amount, count, amount)] * 12,
            [Transaction(moment, "withdrawal", amount, 2**63 - 1)] * 5,
        )
    )
    assert len(to_json(document)) <= CHARACTER_LIMIT
    assert len(to_markdown(document)) <= CHARACTER_LIMIT
    assert len(to_sidecar(document).encode()) <= 1024
    assert json.loads(to_json(document)) == document


def test_documents_say_nothing_personal_beyond_the_name_and_nothing_of_the_run(make_marts):
    file = make_marts()
    with connect_published(file) as connection:
        texts = [
            text
            for facts in rows.facts(connection, [3, 7, 11, 17, 23])
            for text in (to_json(build(facts)), to_markdown(build(facts)), to_sidecar(build(facts)))
        ]
    assert len(texts) == 15
    for text in texts:
        assert "@" not in text
        assert not re.search(r"days? (since|ago)|run_id|published|email", text)


def test_chunks_hold_every_customer_once_in_order(make_marts):
    with connect_published(make_marts()) as connection:
        assert list(rows.chunks(connection, 2)) == [(3, 7), (11, 17), (23, 23)]
        assert [key for key, _ in rows.fingerprints(connection, 3, 23)] == [3, 7, 11, 17, 23]


@pytest.mark.parametrize(
    ("change", "who"),
    [
        ("UPDATE credit SET credit_score = 713 WHERE customer_id = 3", {3}),
        ("UPDATE fct_loans SET amount = 0.02 WHERE customer_id = 7", {7}),
        ("DELETE FROM fct_loans WHERE customer_id = 7", {7}),
        ("UPDATE fct_atm_transactions SET atm_id = 99 WHERE transaction_id = 'a4'", {23}),
        ("UPDATE dim_customers SET city = 'Laval' WHERE customer_id = 11", {11}),
        ("INSERT INTO fct_complaints SELECT 'c9', 'ATM Issue', 'x', NULL, NULL", set()),
    ],
)
def test_a_customers_fingerprint_moves_with_any_of_their_rows_and_nobody_elses(
    make_marts, change: str, who: set[int]
):
    def read(file: Path) -> dict[int, int]:
        with connect_published(file) as connection:
            return dict(rows.fingerprints(connection, 0, 100))

    before, after = read(make_marts()), read(make_marts(change))
    assert {key for key in before if before[key] != after[key]} == who


def test_the_fixture_has_only_columns_of_the_marts_contract(make_marts):
    import yaml

    contract = yaml.safe_load(
        (Path(__file__).parents[3] / "dbt_project/models/marts/_marts__models.yml").read_text()
    )
    columns = {
        model["name"]: {column["name"] for column in model["columns"]}
        for model in contract["models"]
    }
    with duckdb.connect(str(make_marts()), read_only=True) as connection:
        found = connection.execute(
            "SELECT table_name, list(column_name) FROM information_schema.columns GROUP BY 1"
        ).fetchall()
    for table, names in found:
        assert set(names) <= columns[table], table
    assert set(Customer._fields) <= columns["fct_customers"]
