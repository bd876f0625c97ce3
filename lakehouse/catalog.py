"""The name of every bucket, prefix, table and topic. A name is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

LAKE_BUCKET = "discover"
"""Bucket of original bytes, landing and quarantine."""

TABLE_BUCKET = "lake"
"""Bucket that the Iceberg catalog owns; also the catalog's name inside Spark and DuckDB."""

KNOWLEDGE_BASE_BUCKET = "discover-knowledge-base"
DOCUMENTS_PREFIX = "documents/"
"""Canonical JSON, one object a customer, in the knowledge-base bucket."""
RENDITIONS_PREFIX = "bedrock/"
"""Markdown with ``.metadata.json`` sidecars, in the knowledge-base bucket: what Bedrock reads."""
DOCUMENTS_MANIFEST = "export/manifest.parquet"
"""What the export last wrote, by content hash, in the knowledge-base bucket."""
EXPORT_MARKER = "export/unfinished"
"""Stands while an export writes: the manifest and the objects may disagree."""
KNOWLEDGE_BASE_NAME = "customer-insights"

COMPLAINTS_TABLE = "CustomerFeedback"
"""DynamoDB table."""
COMPLAINTS_TOPIC = "customer_feedback"
DEAD_LETTERS_TOPIC = "customer_feedback.dead_letters"
DYNAMODB_GROUP = "discover.dynamodb"
LAKE_GROUP = "discover.lake"

BANK_DATABASE = "banking_data"
CUSTOMERS_TABLE = "customers"

SOURCES = ("core_banking", "credit_bureau", "atm", "feedback")


@dataclass(frozen=True)
class RawTable:
    """One flattened Iceberg table: ``namespace.name`` in the lake's catalog."""

    source: str
    name: str

    @property
    def namespace(self) -> str:
        """Iceberg namespace, ``raw_<source>``."""
        return f"raw_{self.source}"

    @property
    def identifier(self) -> str:
        """``namespace.name``, as the catalog and dbt's ``source()`` know it."""
        return f"{self.namespace}.{self.name}"


CUSTOMERS = RawTable("core_banking", "customers")
CREDIT_PROFILES = RawTable("credit_bureau", "credit_profiles")
LOANS = RawTable("credit_bureau", "loans")
TRANSACTIONS = RawTable("atm", "transactions")
COMPLAINTS = RawTable("feedback", "complaints")
RAW_TABLES = (CUSTOMERS, CREDIT_PROFILES, LOANS, TRANSACTIONS, COMPLAINTS)

MART_KEYS = {
    "dim_customers": ("customer_id",),
    "dim_city_spellings": ("city_spelling",),
    "fct_customers": ("customer_id",),
    "fct_loans": ("customer_id", "loan_number"),
    "fct_atm_transactions": ("transaction_id",),
    "fct_atm_daily": ("transaction_date", "transaction_hour", "transaction_type", "city"),
    "fct_complaints": ("feedback_id",),
    "fct_credit_history": ("customer_id", "valid_from_utc"),
    "fct_unknown_customers": ("customer_id",),
    "entitlements": ("user_name", "group_type", "group_value"),
}
"""The marts, and what tells one row from another: the grain that dbt's tests hold."""

MARTS = tuple(MART_KEYS)

HISTORIES = frozenset({"fct_credit_history"})
"""Marts that tell when deliveries came: no other home has the same rows."""


def raw_prefix(source: str) -> str:
    """Prefix of original bytes; objects are ``raw/<source>/<sha256>/<file name>.zst``."""
    return f"raw/{source}/"


def landing_prefix(source: str) -> str:
    """Prefix of typed Parquet; objects are ``landing/<source>/<batch id>/<file>.parquet``."""
    return f"landing/{source}/"


def batches_prefix(source: str) -> str:
    """Prefix of batch manifests. A batch is visible once ``<batch id>.json`` stands here."""
    return f"landing/_batches/{source}/"


def flattened_prefix(source: str) -> str:
    """Prefix of empty markers, one a batch that stands in the raw tables."""
    return f"landing/_flattened/{source}/"


def quarantine_prefix(source: str) -> str:
    """Prefix of rejected records; objects are ``quarantine/<source>/<batch id>/<file>.jsonl``."""
    return f"quarantine/{source}/"
