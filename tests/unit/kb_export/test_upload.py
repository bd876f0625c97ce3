from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from obstore.store import MemoryStore

from kb_export import rows, upload
from kb_export.upload import customer_paths, export_to
from lakehouse import catalog
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import load

DOCUMENTS = 5 + 5
"""Customers and portfolio topics."""


def _paths(store: MemoryStore) -> set[str]:
    return {entry["path"] for page in store.list() for entry in page}


def _bodies(store: MemoryStore) -> dict[str, bytes]:
    return {
        path: bytes(store.get(path).bytes())
        for path in _paths(store)
        if not path.startswith("export/")
    }


def _killed_at(put: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the export die just before its ``put``-th batch of objects."""
    real, calls = upload._put_all, iter(range(1000))

    def put_all(store, objects):
        if next(calls) == put:
            raise KeyboardInterrupt
        return real(store, objects)

    monkeypatch.setattr(upload, "_put_all", put_all)


def test_every_customer_gets_three_objects(make_marts):
    store = MemoryStore()
    report = export_to(store, make_marts())
    assert (report.written, report.unchanged, report.deleted) == (DOCUMENTS, 0, 0)
    assert report.puts == 3 * DOCUMENTS + len(["marker", "manifest"])
    assert set(customer_paths(3)) == {
        "documents/customers/3.json",
        "bedrock/customers/3.md",
        "bedrock/customers/3.md.metadata.json",
    }
    assert set(customer_paths(3)) <= _paths(store)
    assert catalog.EXPORT_MARKER not in _paths(store)
    assert json.loads(_bodies(store)["documents/customers/3.json"])["customer_name"] == "Wendy Zhao"


def test_unchanged_documents_cost_no_put_and_are_not_even_read(make_marts, monkeypatch):
    store, file = MemoryStore(), make_marts()
    export_to(store, file)
    monkeypatch.setattr(
        rows, "facts", lambda _connection, ids: pytest.fail("read") if ids else iter(())
    )
    report = export_to(store, file)
    assert (report.written, report.unchanged, report.deleted, report.puts) == (0, DOCUMENTS, 0, 0)


def test_only_the_changed_customer_is_written(make_marts):
    store = MemoryStore()
    export_to(store, make_marts())
    before = _bodies(store)
    report = export_to(
        store, make_marts("UPDATE credit SET delinquencies = 2 WHERE customer_id = 3")
    )
    # Delinquencies are also a figure of the portfolio's credit document; no sidecar tells them.
    assert (report.written, report.unchanged) == (2, DOCUMENTS - 2)
    assert report.puts == 2 * 2 + len(["marker", "manifest"])
    after = _bodies(store)
    assert {path for path in after if after[path] != before[path]} == {
        "documents/customers/3.json",
        "bedrock/customers/3.md",
        "documents/portfolio/credit.json",
        "bedrock/portfolio/credit.md",
    }


def test_rows_that_change_no_word_change_no_document(make_marts):
    """Coordinates are a mart's columns, but no document tells them."""
    store = MemoryStore()
    export_to(store, make_marts())
    moved = make_marts("UPDATE dim_customers SET latitude = 51.06 WHERE customer_id = 3")
    report = export_to(store, moved)
    assert (report.written, report.unchanged) == (0, DOCUMENTS)
    assert report.puts == len(["manifest"])
    assert export_to(store, moved).puts == 0


def test_a_customer_who_leaves_is_gone(make_marts):
    store = MemoryStore()
    export_to(store, make_marts())
    report = export_to(
        store,
        make_marts(
            "DELETE FROM dim_customers WHERE customer_id = 7",
            "DELETE FROM fct_loans WHERE customer_id = 7",
        ),
    )
    assert report.deleted == 1
    assert not set(customer_paths(7)) & _paths(store)
    assert set(customer_paths(3)) <= _paths(store)
    manifest = bytes(store.get(catalog.DOCUMENTS_MANIFEST).bytes())
    assert pq.read_table(io.BytesIO(manifest))["customer_id"].to_pylist() == [3, 11, 17, 23]


@pytest.mark.parametrize("put", [0, 1, 2])
def test_an_export_cut_at_any_batch_is_completed_by_the_next(make_marts, monkeypatch, put):
    first, second = (
        make_marts(),
        make_marts(
            "UPDATE credit SET credit_score = 900 WHERE customer_id IN (3, 23)",
            "DELETE FROM dim_customers WHERE customer_id = 7",
            "DELETE FROM fct_loans WHERE customer_id = 7",
        ),
    )
    clean = MemoryStore()
    export_to(clean, second)
    store = MemoryStore()
    export_to(store, first)
    with monkeypatch.context() as patch:
        _killed_at(put, patch)
        with pytest.raises(KeyboardInterrupt):
            export_to(store, second)
    export_to(store, second)
    assert _bodies(store) == _bodies(clean)
    assert catalog.EXPORT_MARKER not in _paths(store)
    assert export_to(store, second).puts == 0


def test_a_cut_export_is_not_mistaken_for_the_version_before_it(make_marts, monkeypatch):
    """The cut run has written Wendy's new score; going back must write the old one again."""
    first = make_marts()
    second = make_marts("UPDATE credit SET credit_score = 900 WHERE customer_id = 3")
    store = MemoryStore()
    export_to(store, first)
    want = _bodies(store)
    with monkeypatch.context() as patch:
        _killed_at(1, patch)
        with pytest.raises(KeyboardInterrupt):
            export_to(store, second)
    assert _bodies(store) != want
    export_to(store, first)
    assert _bodies(store) == want


def test_other_code_writes_only_what_it_changes(make_marts, monkeypatch):
    store, file = MemoryStore(), make_marts()
    export_to(store, file)
    monkeypatch.setattr(upload, "_code_fingerprint", lambda: "another version of this package")
    report = export_to(store, file)
    assert (report.written, report.puts) == (0, len(["manifest"]))


def test_a_manifest_of_another_form_costs_a_listing_and_no_document(make_marts, monkeypatch):
    """Before each object had a hash of its own, a document had one for all."""
    # S3's entity tags are MD5, this store's are counters.
    monkeypatch.setattr(
        upload, "_list", lambda store: {p: upload._tag(b) for p, b in _bodies(store).items()}
    )
    store, file = MemoryStore(), make_marts()
    export_to(store, file)
    table = pq.read_table(io.BytesIO(bytes(store.get(catalog.DOCUMENTS_MANIFEST).bytes())))
    older = io.BytesIO()
    pq.write_table(table.rename_columns(["customer_id", "fingerprint", "digest"]), older)
    store.put(catalog.DOCUMENTS_MANIFEST, older.getvalue())
    report = export_to(store, file)
    assert (report.written, report.unchanged, report.deleted) == (0, DOCUMENTS, 0)
    assert report.puts == len(["manifest"])
    assert export_to(store, file).puts == 0


def test_objects_of_another_name_are_written_although_their_bytes_are_the_same(
    make_marts, monkeypatch
):
    store, file = MemoryStore(), make_marts()
    export_to(store, file)
    before = upload._paths
    monkeypatch.setattr(
        upload, "_paths", lambda name: tuple(path.replace(".md", ".txt") for path in before(name))
    )
    monkeypatch.setattr(upload, "_code_fingerprint", lambda: "another version of this package")
    report = export_to(store, file)
    assert report.puts == 2 * DOCUMENTS + len(["marker", "manifest"])
    assert set(customer_paths(3)) <= _paths(store)


def test_many_chunks_and_batches_give_the_same_objects(make_marts, monkeypatch):
    file = make_marts()
    whole, pieces = MemoryStore(), MemoryStore()
    export_to(whole, file)
    monkeypatch.setattr(upload, "BATCH", 1)
    monkeypatch.setattr(rows.chunks, "__defaults__", (2,))
    seen: list[tuple[int, int]] = []
    export_to(pieces, file, lambda done, total: seen.append((done, total)))
    assert _bodies(pieces) == _bodies(whole)
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_without_a_published_version_it_says_what_to_do(settings):
    from lakehouse.errors import DiscoverError

    with pytest.raises(DiscoverError, match="discover refresh"):
        upload.export(settings)


def test_a_store_that_is_away_is_named(make_marts, settings):
    from lakehouse.errors import ServiceUnavailable

    away = settings.model_copy(update={"knowledge_base_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9.*discover up ministack"):
        upload.export(away, make_marts())


def test_the_document_command_prints_the_exported_bytes(make_marts, settings, publish):
    from kb_export.upload import customer_objects, published_facts

    file, store = make_marts(), MemoryStore()
    publish(file)
    export_to(store, file)
    facts = published_facts(settings, 11)
    assert facts is not None
    assert customer_objects(facts) == {path: _bodies(store)[path] for path in customer_paths(11)}
    assert published_facts(settings, 12) is None


def test_a_bucket_that_answers_with_500_is_a_service_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def head_bucket(self, **_: object) -> None:
            raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "HeadBucket")

    monkeypatch.setattr(upload, "require_own", lambda *_: None)
    monkeypatch.setattr(upload.clients, "knowledge_base_s3", lambda _: Failing())
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        upload.ensure_bucket(load(tmp_path, "local"))
