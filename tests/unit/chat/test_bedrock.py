"""Plans from a model pass the same validation; what it cost is in the ledger."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chat import bedrock
from chat.phrases import Person
from chat.plan import NotCovered, Unclear
from chat.published import opened
from chat.question import Understood
from lakehouse.settings import Settings


class Model:
    """A stand-in that answers with the tool calls it was given, in order."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        self.calls = list(calls)
        self.seen: list[dict[str, Any]] = []

    def converse(self, **request: Any) -> dict[str, Any]:
        self.seen.append({**request, "messages": list(request["messages"])})
        name, given = self.calls.pop(0)
        block = {"toolUse": {"toolUseId": str(len(self.seen)), "name": name, "input": given}}
        return {
            "output": {"message": {"role": "assistant", "content": [block]}},
            "usage": {"inputTokens": 1_000, "outputTokens": 100},
        }


def planned(bank: Settings, model: Model, ledger: bedrock.Ledger, **prices: float) -> Understood:
    settings = bank.model_copy(update={"chat_model": "test.model", **prices})
    return bedrock.plan(
        settings,
        opened(bank.home).registry,
        date(2026, 11, 23),
        "how much does Wendy owe?",
        people=lambda names, _: {name: [Person(1, "Wendy Zhao · #1")] for name in names},
        earlier=None,
        ledger=ledger,
        client=model,  # type: ignore[arg-type]
    )


PLAN = {"metric": "loan_total", "filters": [{"field": "customer", "values": [1]}]}


def test_the_model_finds_a_customer_and_then_plans(bank: Settings) -> None:
    model = Model(("find_customers", {"name": "Wendy Zhao"}), ("answer_with_plan", PLAN))
    ledger = bedrock.Ledger()
    found = planned(bank, model, ledger, chat_model_input_usd=3.0, chat_model_output_usd=15.0)
    assert found.plan.to_json() == PLAN
    assert found.people == (Person(1, "Wendy Zhao · #1"),)
    assert (ledger.tokens, ledger.cost_usd) == (2_200, pytest.approx(0.009))
    told = model.seen[1]["messages"][-1]["content"][0]["toolResult"]["content"][0]["json"]
    assert told == {"customers": [{"id": 1, "label": "Wendy Zhao · #1"}]}


def test_a_plan_outside_the_registry_is_told_so_and_refused_in_the_end(bank: Settings) -> None:
    wrong = ("answer_with_plan", {"metric": "loan_total", "group_by": ["shoe_size"]})
    model = Model(*[wrong] * bedrock.TURNS)
    with pytest.raises(NotCovered):
        planned(bank, model, bedrock.Ledger())
    told = model.seen[1]["messages"][-1]["content"][0]["toolResult"]["content"][0]["json"]
    assert "shoe_size" in told["refused"]


def test_the_model_refuses_and_asks_back(bank: Settings) -> None:
    ledger = bedrock.Ledger()
    with pytest.raises(NotCovered, match="weather"):
        planned(bank, Model(("not_covered", {"missing": "the weather"})), ledger)
    with pytest.raises(Unclear, match="Which"):
        planned(bank, Model(("ask_back", {"question": "Which Wendy?"})), ledger)
    # Without prices the cost isn't known, and isn't said to be nothing.
    assert ledger.cost_usd is None
