"""Documents in S3 and the knowledge base over them, on the emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from kb_export import knowledge_base
from kb_export.upload import customer_paths, ensure_bucket, export
from lakehouse import catalog, clients
from lakehouse.duck import connect_published
from lakehouse.versions import Versions

if TYPE_CHECKING:
    from tests.conftest import Published

PORTFOLIO = 5
NOBODY = 987_654


@pytest.fixture
def exported(published: Published) -> Iterator[Published]:
    """The published version's documents stand in the store, before and after the test."""
    export(published.settings)
    yield published
    export(published.settings)


@pytest.fixture
def changed(exported: Published, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the published marts with changes that nobody published."""

    def make(*statements: str) -> Path:
        copy = tmp_path / "marts.duckdb"
        shutil.copyfile(_file(exported), copy)
        copy.chmod(0o644)
        with duckdb.connect(str(copy)) as connection:
            for statement in statements:
                connection.execute(statement)
        return copy

    return make


def _file(published: Published) -> Path:
    versions = Versions(published.settings.home)
    return versions.marts_file(versions.require_current().run_id)


def _customers(published: Published) -> list[tuple[int, str]]:
    with connect_published(_file(published)) as connection:
        return connection.execute(
            "SELECT customer_id, customer_label FROM dim_customers ORDER BY customer_id"
        ).fetchall()


def _objects(published: Published) -> dict[str, bytes]:
    store = clients.knowledge_base_store(published.settings, catalog.KNOWLEDGE_BASE_BUCKET)
    return {
        entry["path"]: bytes(store.get(entry["path"]).bytes())
        for page in store.list()
        for entry in page
        if not entry["path"].startswith("export/")
    }


def _discover(published: Published, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("discover")), *words]
    environment = os.environ | {"DISCOVER_HOME": str(published.settings.home)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_every_customer_has_a_document_with_rendition_and_sidecar(exported: Published) -> None:
    customers = _customers(exported)
    objects = _objects(exported)
    assert len(objects) == 3 * (len(customers) + PORTFOLIO)
    for customer_id, label in customers:
        document, rendition, sidecar = (objects[path] for path in customer_paths(customer_id))
        assert json.loads(document)["customer_label"] == label
        assert len(rendition.decode()) <= 6000
        attributes = json.loads(sidecar)["metadataAttributes"]
        assert attributes["customer_id"] == customer_id
        assert b"@" not in document + rendition + sidecar


def test_the_same_version_again_writes_nothing(exported: Published) -> None:
    report = export(exported.settings)
    assert (report.written, report.deleted, report.puts) == (0, 0, 0)


def test_only_what_changed_is_written_and_who_left_is_gone(
    exported: Published, changed: Callable[..., Path]
) -> None:
    (first, _), (second, _), *_ = _customers(exported)
    file = changed(
        f"UPDATE fct_customers SET delinquencies = 77 WHERE customer_id = {first}",
        *(
            f"DELETE FROM {table} WHERE customer_id = {second}"
            for table in ("dim_customers", "fct_customers", "fct_loans", "fct_atm_transactions")
        ),
    )
    before = _objects(exported)
    report = export(exported.settings, file)
    after = _objects(exported)
    assert report.deleted == 1
    assert set(before) - set(after) == set(customer_paths(second))
    touched = {path for path in after if after[path] != before[path] and "/customers/" in path}
    # The sidecar holds no delinquencies.
    assert touched == set(customer_paths(first)[:2])


def test_an_export_that_was_killed_is_repaired(exported: Published) -> None:
    """As a killed run leaves it: the marker, a stray document, a document of another version."""
    wanted = _objects(exported)
    store = clients.knowledge_base_store(exported.settings, catalog.KNOWLEDGE_BASE_BUCKET)
    (first, _), *_ = _customers(exported)
    for path in (catalog.EXPORT_MARKER, customer_paths(NOBODY)[0], customer_paths(first)[1]):
        store.put(path, b"of another version")
    report = export(exported.settings)
    assert (report.written, report.deleted) == (1, 1)
    assert _objects(exported) == wanted


def test_sync_ingests_every_document_as_one_chunk_and_reuses_the_knowledge_base(
    exported: Published,
) -> None:
    documents = len(_customers(exported)) + PORTFOLIO
    first = knowledge_base.sync(exported.settings)
    again = knowledge_base.sync(exported.settings)
    assert (again.scanned, again.metadata_scanned, again.failed) == (documents, documents, 0)
    assert again.status == "COMPLETE"
    assert not again.created
    assert again.knowledge_base_id == first.knowledge_base_id
    source = clients.bedrock_agent(exported.settings).get_data_source(
        knowledgeBaseId=again.knowledge_base_id, dataSourceId=again.data_source_id
    )["dataSource"]
    ingestion: Any = source["vectorIngestionConfiguration"]
    assert ingestion["chunkingConfiguration"] == {"chunkingStrategy": "NONE"}


def test_retrieval_finds_a_customer_and_obeys_the_filter(exported: Published) -> None:
    knowledge_base.sync(exported.settings)
    (first, label), (second, _), *_ = _customers(exported)
    question = f"{label} credit score loans"
    best = knowledge_base.retrieve(exported.settings, question)[0]
    assert (best.customer_id, best.title) == (first, label)
    document = _objects(exported)[customer_paths(first)[1]].decode()
    assert best.text == document
    only = knowledge_base.retrieve(exported.settings, question, [second])
    assert {passage.customer_id for passage in only} == {second}
    assert knowledge_base.retrieve(exported.settings, question, []) == []
    # More customers than one filter may name: several calls, still only these.
    many = [second, *range(100_000, 100_250)]
    wide = knowledge_base.retrieve(exported.settings, question, many)
    assert {passage.customer_id for passage in wide} == {second}


def test_only_who_may_see_everyone_retrieves_portfolio_documents(exported: Published) -> None:
    knowledge_base.sync(exported.settings)
    question = "All customers: loans by loan type, borrowers, total, average"
    everyone = knowledge_base.retrieve(exported.settings, question)
    assert everyone[0].customer_id is None
    assert everyone[0].title == "All customers: loans"
    ids = [customer_id for customer_id, _ in _customers(exported)]
    named = knowledge_base.retrieve(exported.settings, question, ids)
    assert named
    assert all(passage.customer_id is not None for passage in named)


def test_a_document_that_the_index_should_have_forgotten_is_not_retrieved(
    exported: Published,
) -> None:
    store = clients.knowledge_base_store(exported.settings, catalog.KNOWLEDGE_BASE_BUCKET)
    _, rendition, sidecar = customer_paths(NOBODY)
    store.put(rendition, b"# Quetzalcoatl Zzyzx\n\nzzyzx quetzalcoatl")
    attributes = {"document_type": "customer", "customer_id": NOBODY}
    store.put(sidecar, json.dumps({"metadataAttributes": attributes}).encode())
    knowledge_base.sync(exported.settings)
    store.delete([rendition, sidecar])
    knowledge_base.sync(exported.settings)
    raw = clients.bedrock_agent_runtime(exported.settings).retrieve(
        knowledgeBaseId=knowledge_base.sync(exported.settings).knowledge_base_id,
        retrievalQuery={"text": "zzyzx quetzalcoatl"},
    )["retrievalResults"]
    assert raw, "the emulator's index never forgets; else this test shows nothing"
    assert knowledge_base.retrieve(exported.settings, "zzyzx quetzalcoatl") == []


def test_a_failed_ingestion_is_an_error_with_its_reason(
    exported: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakehouse.errors import DiscoverError

    store = clients.knowledge_base_store(exported.settings, catalog.KNOWLEDGE_BASE_BUCKET)
    path = f"{catalog.RENDITIONS_PREFIX}customers/{NOBODY}.md"
    store.put(path, b"\xff\xfe not text")
    try:
        with pytest.raises(DiscoverError, match=r"1 of \d+ documents failed"):
            knowledge_base.sync(exported.settings)
    finally:
        store.delete([path])


def test_a_knowledge_base_that_is_away_is_named(exported: Published) -> None:
    from lakehouse.errors import ServiceUnavailable

    away = exported.settings.model_copy(update={"aws_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(ServiceUnavailable, match="discover up ministack"):
        knowledge_base.sync(away)


def test_the_bucket_is_made_once(exported: Published) -> None:
    ensure_bucket(exported.settings)
    ensure_bucket(exported.settings)


def test_the_commands_print_exactly_one_json_document(exported: Published) -> None:
    export_kb = _discover(exported, "export-kb", "--json")
    assert export_kb.returncode == 0, export_kb.stderr
    assert json.loads(export_kb.stdout)["puts"] == 0
    sync_kb = _discover(exported, "sync-kb", "--json")
    assert sync_kb.returncode == 0, sync_kb.stderr
    assert json.loads(sync_kb.stdout)["status"] == "COMPLETE"
    (first, label), *_ = _customers(exported)
    document = _discover(exported, "document", str(first))
    assert document.stdout.encode() == _objects(exported)[customer_paths(first)[0]]
    markdown = _discover(exported, "document", str(first), "--markdown")
    assert markdown.stdout.startswith(f"# {label}\n")
    missing = _discover(exported, "document", str(NOBODY))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert f"no customer {NOBODY}" in missing.stderr
