"""The Bedrock knowledge base over the exported documents: create or reuse, ingest, retrieve."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse import catalog, clients
from lakehouse.duck import connect_published
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.services.own import require_own
from lakehouse.settings import Settings
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agent import AgentsforBedrockClient
    from mypy_boto3_bedrock_agent.type_defs import IngestionJobTypeDef

DATA_SOURCE_NAME = "customer-documents"
EMBEDDING_MODEL = "amazon.titan-embed-text-v2:0"

FILTER_VALUES = 100
"""Constraints a retrieval filter may hold with S3 Vectors; each value of an ``in`` counts."""
RESULTS = 5
START_ATTEMPTS = 360
"""Ten polls apart: with one poll a second, an hour behind another job."""
FINISHED = ("COMPLETE", "FAILED", "STOPPED")

Progress = Callable[[str, int], None]
"""Told (the job's status, documents scanned so far)."""


@dataclass(frozen=True)
class SyncReport:
    """One ingestion job, finished; the counts are the knowledge base's own statistics."""

    knowledge_base_id: str
    data_source_id: str
    ingestion_job_id: str
    created: bool
    """The knowledge base or its data source was made by this call."""
    status: str
    scanned: int
    metadata_scanned: int
    indexed: int
    modified: int
    deleted: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class Passage:
    """One retrieved document, whole: a document is one chunk."""

    text: str
    uri: str
    score: float
    customer_id: int | None
    """None for a portfolio document."""
    title: str


def sync(
    settings: Settings, on_progress: Progress | None = None, poll_seconds: float = 1.0
) -> SyncReport:
    """Create or reuse the knowledge base, ingest the exported documents, wait until done.

    Raises:
        DiscoverError: the job failed, or documents could not be indexed; says the first reason.
        ServiceUnavailable: Bedrock does not answer.

    """
    started = time.monotonic()
    with _reachable(settings):
        agent = clients.bedrock_agent(settings)
        knowledge_base_id, made = _knowledge_base(agent, settings)
        data_source_id, made_source = _data_source(agent, knowledge_base_id)
        job = _ingest(agent, knowledge_base_id, data_source_id, on_progress, poll_seconds)
    counts: dict[str, Any] = dict(job.get("statistics") or {})
    report = SyncReport(
        knowledge_base_id=knowledge_base_id,
        data_source_id=data_source_id,
        ingestion_job_id=job["ingestionJobId"],
        created=made or made_source,
        status=job["status"],
        scanned=counts.get("numberOfDocumentsScanned", 0),
        metadata_scanned=counts.get("numberOfMetadataDocumentsScanned", 0),
        indexed=counts.get("numberOfNewDocumentsIndexed", 0),
        modified=counts.get("numberOfModifiedDocumentsIndexed", 0),
        deleted=counts.get("numberOfDocumentsDeleted", 0),
        failed=counts.get("numberOfDocumentsFailed", 0),
        seconds=round(time.monotonic() - started, 3),
    )
    if report.status != "COMPLETE" or report.failed:
        reasons = job.get("failureReasons") or ["no reason given"]
        raise DiscoverError(
            f"ingestion job {report.ingestion_job_id} ended {report.status},"
            f" {report.failed} of {report.scanned} documents failed: {reasons[0]}",
            "mend that, then run: discover sync-kb",
        )
    return report


def retrieve(
    settings: Settings, text: str, customers: Sequence[int] | None = None, results: int = RESULTS
) -> list[Passage]:
    """The passages nearest to ``text``, best first.

    ``customers`` is what the asker may see: None means everyone, portfolio documents included; a
    list lets through these customers' documents and nothing else. Beyond ``FILTER_VALUES``
    customers it takes one call for every hundred. Documents of customers who are not in the
    published version are dropped: an index forgets a deleted document only at its next ingestion.

    Raises:
        DiscoverError: nothing is published, or no knowledge base exists yet.
        ServiceUnavailable: Bedrock does not answer.

    """
    if customers is not None and not customers:
        return []
    with _reachable(settings):
        agent = clients.bedrock_agent(settings)
        knowledge_base_id = _find_knowledge_base(agent)
        if knowledge_base_id is None:
            raise DiscoverError("there is no knowledge base yet", "run: discover sync-kb")
        runtime = clients.bedrock_agent_runtime(settings)
        found: list[Passage] = []
        for filter_ in _filters(customers):
            search: dict[str, Any] = {"numberOfResults": results}
            if filter_ is not None:
                search["filter"] = filter_
            answer = runtime.retrieve(
                knowledgeBaseId=knowledge_base_id,
                retrievalQuery={"text": text},
                retrievalConfiguration={"vectorSearchConfiguration": search},  # type: ignore[typeddict-item]
            )
            found += [_passage(dict(result)) for result in answer["retrievalResults"]]
    found.sort(key=lambda passage: (-passage.score, passage.uri))
    return _only_published(settings, found, customers)[:results]


def _filters(customers: Sequence[int] | None) -> Iterator[dict[str, Any] | None]:
    if customers is None:
        yield None
        return
    ids = sorted(set(customers))
    for start in range(0, len(ids), FILTER_VALUES):
        chosen: list[int] = ids[start : start + FILTER_VALUES]
        yield {"in": {"key": "customer_id", "value": chosen}}


def _passage(result: dict[str, Any]) -> Passage:
    metadata = result.get("metadata") or {}
    text = result["content"].get("text", "")
    customer_id = metadata.get("customer_id")
    return Passage(
        text=text,
        uri=result["location"]["s3Location"]["uri"],
        score=float(result.get("score", 0)),
        customer_id=None if customer_id is None else int(customer_id),
        title=text.partition("\n")[0].removeprefix("# "),
    )


def _only_published(
    settings: Settings, passages: list[Passage], customers: Sequence[int] | None
) -> list[Passage]:
    """Drop what isn't published and, should a filter have failed, who isn't allowed."""
    versions = Versions(settings.home)
    file = versions.marts_file(versions.require_current().run_id)
    asked = [passage.customer_id for passage in passages if passage.customer_id is not None]
    with connect_published(file) as connection:
        rows = connection.execute(
            "SELECT customer_id FROM dim_customers"
            " WHERE customer_id IN (SELECT unnest($ids::BIGINT[]))",
            {"ids": asked},
        ).fetchall()
    published = {int(row[0]) for row in rows}
    allowed = published if customers is None else published & set(customers)
    return [
        passage
        for passage in passages
        if (passage.customer_id in allowed) or (passage.customer_id is None and customers is None)
    ]


def _find_knowledge_base(agent: AgentsforBedrockClient) -> str | None:
    pages = agent.get_paginator("list_knowledge_bases").paginate()
    for page in pages:
        for summary in page["knowledgeBaseSummaries"]:
            if summary["name"] == catalog.KNOWLEDGE_BASE_NAME and summary["status"] in (
                "ACTIVE",
                "CREATING",
                "UPDATING",
            ):
                return summary["knowledgeBaseId"]
    return None


def _knowledge_base(agent: AgentsforBedrockClient, settings: Settings) -> tuple[str, bool]:
    found = _find_knowledge_base(agent)
    made = found is None
    if found is None:
        answer = agent.create_knowledge_base(
            name=catalog.KNOWLEDGE_BASE_NAME,
            description="One document a customer, and documents about all customers together.",
            roleArn=settings.knowledge_base_role_arn,
            knowledgeBaseConfiguration={
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {
                    "embeddingModelArn": f"arn:aws:bedrock:{settings.region}::foundation-model/"
                    f"{EMBEDDING_MODEL}"
                },
            },
            storageConfiguration={
                "type": "S3_VECTORS",
                "s3VectorsConfiguration": {"indexArn": settings.knowledge_base_index_arn},
            },
        )
        found = answer["knowledgeBase"]["knowledgeBaseId"]
    while True:
        state = agent.get_knowledge_base(knowledgeBaseId=found)["knowledgeBase"]
        if state["status"] == "ACTIVE":
            return found, made
        if state["status"] not in ("CREATING", "UPDATING"):
            reasons = state.get("failureReasons") or ["no reason given"]
            raise DiscoverError(
                f"knowledge base {found} is {state['status']}: {reasons[0]}",
                "delete it, then run: discover sync-kb",
            )
        time.sleep(1)


def _data_source(agent: AgentsforBedrockClient, knowledge_base_id: str) -> tuple[str, bool]:
    wanted: dict[str, Any] = {
        "bucketArn": f"arn:aws:s3:::{catalog.KNOWLEDGE_BASE_BUCKET}",
        "inclusionPrefixes": [catalog.RENDITIONS_PREFIX],
    }
    chunking: dict[str, Any] = {"chunkingStrategy": "NONE"}
    pages = agent.get_paginator("list_data_sources").paginate(knowledgeBaseId=knowledge_base_id)
    for page in pages:
        for summary in page["dataSourceSummaries"]:
            if summary["name"] != DATA_SOURCE_NAME:
                continue
            source = agent.get_data_source(
                knowledgeBaseId=knowledge_base_id, dataSourceId=summary["dataSourceId"]
            )["dataSource"]
            ingestion: dict[str, Any] = dict(source.get("vectorIngestionConfiguration") or {})
            if ingestion.get("chunkingConfiguration") != chunking:
                # Fixed at creation: another strategy would cut the documents into pieces.
                raise DiscoverError(
                    f"data source {summary['dataSourceId']} does not keep one document one chunk",
                    "delete it, then run: discover sync-kb",
                )
            return summary["dataSourceId"], False
    request: dict[str, Any] = {
        "dataSourceConfiguration": {"type": "S3", "s3Configuration": wanted},
        "vectorIngestionConfiguration": {"chunkingConfiguration": chunking},
    }
    made = agent.create_data_source(
        knowledgeBaseId=knowledge_base_id,
        name=DATA_SOURCE_NAME,
        dataDeletionPolicy="DELETE",
        **request,
    )
    return made["dataSource"]["dataSourceId"], True


def _ingest(
    agent: AgentsforBedrockClient,
    knowledge_base_id: str,
    data_source_id: str,
    on_progress: Progress | None,
    poll_seconds: float,
) -> IngestionJobTypeDef:
    from botocore.exceptions import ClientError

    for attempt in itertools.count():
        try:
            job = agent.start_ingestion_job(
                knowledgeBaseId=knowledge_base_id, dataSourceId=data_source_id
            )["ingestionJob"]
            break
        except ClientError as error:
            # One job at a time; one that runs may have begun before our documents: ours follows it.
            code = error.response["Error"]["Code"]
            if (
                code not in ("ConflictException", "ThrottlingException")
                or attempt == START_ATTEMPTS
            ):
                raise
            if on_progress:
                on_progress("WAITING", 0)
            time.sleep(10 * poll_seconds)
    while True:
        job = agent.get_ingestion_job(
            knowledgeBaseId=knowledge_base_id,
            dataSourceId=data_source_id,
            ingestionJobId=job["ingestionJobId"],
        )["ingestionJob"]
        scanned = (job.get("statistics") or {}).get("numberOfDocumentsScanned", 0)
        if on_progress:
            on_progress(job["status"], scanned)
        if job["status"] in FINISHED:
            return job
        time.sleep(poll_seconds)


@contextmanager
def _reachable(settings: Settings) -> Iterator[None]:
    from botocore.exceptions import EndpointConnectionError, HTTPClientError

    require_own(settings, "ministack", settings.aws_endpoint)
    try:
        yield
    except (EndpointConnectionError, HTTPClientError) as error:
        where = settings.aws_endpoint or f"Amazon Bedrock in {settings.region}"
        raise ServiceUnavailable(
            f"Bedrock ({where}) does not answer",
            "start it: discover up ministack"
            if settings.profile == "local"
            else "check DISCOVER_AWS_ENDPOINT and the network",
        ) from error
