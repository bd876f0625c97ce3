"""Plans from a language model: Bedrock Converse with tools, through the same validation.

The model never sees a figure and never writes SQL. It names a metric, groupings and filters of the
registry; what the registry doesn't have is refused just as it is for the parser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from chat.phrases import FindPeople, Person
from chat.plan import NotCovered, Plan, Unclear, from_json
from chat.question import Understood
from chat.registry import Registry, describe
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings
from lakehouse.text import key

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

TURNS = 5
"""Calls of the model for one question, looking up customers included."""


@dataclass
class Ledger:
    """What one question cost."""

    tokens: int = 0
    cost_usd: float | None = 0


@dataclass
class _Conversation:
    messages: list[dict[str, Any]]
    people: list[Person] = field(default_factory=list)


def plan(
    settings: Settings,
    registry: Registry,
    today: date,
    question: str,
    *,
    people: FindPeople,
    earlier: Plan | None,
    ledger: Ledger,
    client: BedrockRuntimeClient | None = None,
) -> Understood:
    """The plan that the configured model makes of one question.

    Raises:
        NotCovered: the model found nothing that answers it, or its plan did not validate.
        Unclear: the model asks back.
        ServiceUnavailable: Bedrock doesn't answer.

    """
    if client is None:
        from lakehouse.clients import bedrock_runtime

        client = bedrock_runtime(settings)
    asked = {"question": question, "earlier_plan": earlier.to_json() if earlier else None}
    talk = _Conversation([{"role": "user", "content": [{"text": json.dumps(asked)}]}])
    for _ in range(TURNS):
        reply = _converse(settings, client, registry, today, talk, ledger)
        results = []
        for block in reply["content"]:
            if call := block.get("toolUse"):
                outcome = _tool(call["name"], call["input"], registry, people, talk)
                if isinstance(outcome, Plan):
                    return Understood(outcome, tuple(talk.people))
                content = [{"json": outcome}]
                results.append({"toolResult": {"toolUseId": call["toolUseId"], "content": content}})
        if not results:
            raise NotCovered("the model made no plan of it")
        talk.messages += [dict(reply), {"role": "user", "content": results}]
    raise NotCovered(f"the model made no valid plan of it in {TURNS} turns")


def tools(registry: Registry) -> list[dict[str, Any]]:
    """The tools, with the registry's names as the only ones that can be said."""
    schema = Plan.model_json_schema(by_alias=True)
    schema["properties"]["metric"]["enum"] = sorted(registry.metrics)
    schema["$defs"]["Condition"]["properties"]["metric"]["enum"] = sorted(registry.metrics)
    schema["$defs"]["Filter"]["properties"]["field"]["enum"] = sorted(registry.dimensions)
    text = {"type": "string"}
    return [
        _spec("answer_with_plan", "Answers the question by computing this plan.", schema),
        _spec(
            "find_customers",
            "Ids of the customers whom a full name can mean, among those the asker may see.",
            {"type": "object", "properties": {"name": text}, "required": ["name"]},
        ),
        _spec(
            "not_covered",
            "The registry can't answer it: says what is missing.",
            {"type": "object", "properties": {"missing": text}, "required": ["missing"]},
        ),
        _spec(
            "ask_back",
            "The question can be read in several ways: asks which.",
            {"type": "object", "properties": {"question": text}, "required": ["question"]},
        ),
    ]


def _tool(
    name: str,
    given: Mapping[str, Any],
    registry: Registry,
    people: FindPeople,
    talk: _Conversation,
) -> Plan | dict[str, Any]:
    if name == "answer_with_plan":
        try:
            return from_json(given, registry)
        except NotCovered as error:
            # The model may mend a misspelt value; it gets the same words as a person would.
            return {"refused": str(error)}
    if name == "find_customers":
        found = people([key(str(given.get("name", "")))], False)
        matches = [person for persons in found.values() for person in persons]
        talk.people += matches
        return {"customers": [{"id": p.customer_id, "label": p.label} for p in matches]}
    if name == "ask_back":
        raise Unclear(str(given.get("question", "What do you mean?")))
    raise NotCovered(str(given.get("missing", "the registry doesn't have it")))


def _converse(
    settings: Settings,
    client: BedrockRuntimeClient,
    registry: Registry,
    today: date,
    talk: _Conversation,
    ledger: Ledger,
) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    assert settings.chat_model is not None
    try:
        response: Any = client.converse(
            modelId=settings.chat_model,
            system=[{"text": _instructions(registry, today)}],
            messages=talk.messages,  # type: ignore[arg-type]
            toolConfig={"tools": tools(registry), "toolChoice": {"any": {}}},  # type: ignore[typeddict-item]
            inferenceConfig={"temperature": 0, "maxTokens": 1_000},
        )
    except (BotoCoreError, ClientError) as error:
        raise ServiceUnavailable(
            f"Bedrock model {settings.chat_model} does not answer: {error}",
            "check DISCOVER_CHAT_MODEL and access to it, or unset it to use the parser",
        ) from None
    usage = response["usage"]
    _book(settings, ledger, int(usage["inputTokens"]), int(usage["outputTokens"]))
    message: dict[str, Any] = response["output"]["message"]
    return message


def _book(settings: Settings, ledger: Ledger, read: int, written: int) -> None:
    """Adds a call's tokens; the cost is unknown (None) where no prices are set."""
    ledger.tokens += read + written
    prices = (settings.chat_model_input_usd, settings.chat_model_output_usd)
    if prices[0] is None or prices[1] is None or ledger.cost_usd is None:
        ledger.cost_usd = None
        return
    ledger.cost_usd += (read * prices[0] + written * prices[1]) / 1_000_000


def _instructions(registry: Registry, today: date) -> str:
    return (
        "You turn one question about a bank's published figures into one plan, by calling a tool."
        " Every restriction in the question must stand in the plan; if the registry lacks one, call"
        " not_covered. Never guess a customer's id: find it. Lists of customers have"
        " show=customers, metric=customer_count, group_by=[customer]. Metrics with history_from are"
        " states: as_of asks for the end of an earlier day, since for the change from the end of a"
        f" day. Days are ISO dates; today is {today.isoformat()}."
        f" The registry: {json.dumps(describe(registry))}"
    )


def _spec(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}}
