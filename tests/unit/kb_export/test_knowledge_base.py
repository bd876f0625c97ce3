"""Against a Bedrock that misbehaves as the emulator never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kb_export import knowledge_base
from lakehouse import catalog, clients
from lakehouse.errors import DiscoverError


class Bedrock:
    """Control plane and retrieval in one; every answer can be replaced before a test."""

    def __init__(self) -> None:
        self.chunking = {"chunkingStrategy": "NONE"}
        self.knowledge_base_states = ["ACTIVE"]
        self.job_states = ["STARTING", "IN_PROGRESS", "COMPLETE"]
        self.statistics: dict[str, int] = {"numberOfDocumentsScanned": 7}
        self.refusals: list[str] = []
        self.results: list[dict[str, Any]] = []
        self.filters: list[Any] = []

    def get_paginator(self, operation: str) -> Any:
        pages = {
            "list_knowledge_bases": {
                "knowledgeBaseSummaries": [
                    {"name": "another", "status": "ACTIVE", "knowledgeBaseId": "KB0"},
                    {
                        "name": catalog.KNOWLEDGE_BASE_NAME,
                        "status": self.knowledge_base_states[0],
                        "knowledgeBaseId": "KB1",
                    },
                ]
            },
            "list_data_sources": {
                "dataSourceSummaries": [
                    {"name": knowledge_base.DATA_SOURCE_NAME, "dataSourceId": "DS1"}
                ]
            },
        }
        return type("Paginator", (), {"paginate": lambda _self, **_: [pages[operation]]})()

    def get_knowledge_base(self, **_: Any) -> dict[str, Any]:
        states = self.knowledge_base_states
        status = states.pop(0) if len(states) > 1 else states[0]
        return {"knowledgeBase": {"status": status, "failureReasons": ["the role is missing"]}}

    def get_data_source(self, **_: Any) -> dict[str, Any]:
        ingestion = {"chunkingConfiguration": self.chunking}
        return {"dataSource": {"vectorIngestionConfiguration": ingestion}}

    def start_ingestion_job(self, **_: Any) -> dict[str, Any]:
        if self.refusals:
            raise ClientError({"Error": {"Code": self.refusals.pop(0)}}, "StartIngestionJob")
        return {"ingestionJob": {"ingestionJobId": "J1", "status": "STARTING"}}

    def get_ingestion_job(self, **_: Any) -> dict[str, Any]:
        job = {
            "ingestionJobId": "J1",
            "status": self.job_states.pop(0),
            "statistics": self.statistics,
            "failureReasons": ["a reason"],
        }
        return {"ingestionJob": job}

    def retrieve(self, retrievalConfiguration: Any, **_: Any) -> dict[str, Any]:  # noqa: N803
        search = retrievalConfiguration["vectorSearchConfiguration"]
        self.filters.append(search.get("filter"))
        return {"retrievalResults": self.results}


def _result(customer_id: int | None, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {
        "content": {"text": f"# {customer_id}\n"},
        "location": {"s3Location": {"uri": f"s3://b/{customer_id}.md"}},
        "score": score,
    }
    # Numbers come back as doubles.
    return (
        result if customer_id is None else result | {"metadata": {"customer_id": 1.0 * customer_id}}
    )


@pytest.fixture
def bedrock(monkeypatch: pytest.MonkeyPatch) -> Bedrock:
    fake = Bedrock()
    monkeypatch.setattr(knowledge_base, "require_own", lambda *_: None)
    monkeypatch.setattr(clients, "bedrock_agent", lambda _settings: fake)
    monkeypatch.setattr(clients, "bedrock_agent_runtime", lambda _settings: fake)
    monkeypatch.setattr(knowledge_base.time, "sleep", lambda _seconds: None)
    return fake


def test_it_waits_behind_another_job_and_through_its_own(bedrock, settings) -> None:
    bedrock.refusals = ["ConflictException", "ThrottlingException"]
    told: list[str] = []
    report = knowledge_base.sync(settings, lambda status, _scanned: told.append(status))
    assert told == ["WAITING", "WAITING", "STARTING", "IN_PROGRESS", "COMPLETE"]
    assert (report.status, report.scanned, report.created) == ("COMPLETE", 7, False)
    assert (report.knowledge_base_id, report.data_source_id) == ("KB1", "DS1")


def test_any_other_refusal_is_not_waited_for(bedrock, settings) -> None:
    bedrock.refusals = ["AccessDeniedException"]
    with pytest.raises(ClientError, match="AccessDenied"):
        knowledge_base.sync(settings)


def test_a_failed_job_says_why(bedrock, settings) -> None:
    bedrock.job_states = ["FAILED"]
    with pytest.raises(DiscoverError, match=r"J1 ended FAILED.*a reason"):
        knowledge_base.sync(settings)


def test_documents_that_failed_are_an_error_though_the_job_completed(bedrock, settings) -> None:
    bedrock.statistics["numberOfDocumentsFailed"] = 2
    with pytest.raises(DiscoverError, match="2 of 7 documents failed"):
        knowledge_base.sync(settings)


def test_a_data_source_that_would_cut_documents_up_is_refused(bedrock, settings) -> None:
    bedrock.chunking = {"chunkingStrategy": "FIXED_SIZE"}
    with pytest.raises(DiscoverError, match="one document one chunk"):
        knowledge_base.sync(settings)


def test_a_knowledge_base_that_could_not_be_made_says_why(bedrock, settings) -> None:
    bedrock.knowledge_base_states = ["CREATING", "CREATING", "FAILED"]
    with pytest.raises(DiscoverError, match="KB1 is FAILED: the role is missing"):
        knowledge_base.sync(settings)


def test_a_filter_never_names_more_than_a_hundred_customers(
    bedrock, settings, publish: Callable[..., None], make_marts
) -> None:
    publish(make_marts())
    knowledge_base.retrieve(settings, "x", range(1, 251))
    sizes = [len(filter_["in"]["value"]) for filter_ in bedrock.filters]
    assert sizes == [100, 100, 50]


def test_no_customers_means_no_call(bedrock, settings) -> None:
    assert knowledge_base.retrieve(settings, "x", []) == []
    assert bedrock.filters == []


def test_what_a_filter_should_have_kept_out_is_dropped(
    bedrock, settings, publish: Callable[..., None], make_marts
) -> None:
    """A portfolio document, another customer, and one who has left, all despite the filter."""
    publish(make_marts())
    bedrock.results = [_result(None, 0.9), _result(3, 0.8), _result(99, 0.7), _result(7, 0.6)]
    found = knowledge_base.retrieve(settings, "x", [7, 99])
    assert [passage.customer_id for passage in found] == [7]
    everyone = knowledge_base.retrieve(settings, "x")
    assert [passage.customer_id for passage in everyone] == [None, 3, 7]
