"""Texts are compared by `text_key` alone: this lists what else changes case or letters.

A new line here is either a comparison that belongs to `lakehouse.text` or dbt's `text_key`, or text
that isn't data of the bank; then it gets a reason below.
"""

from __future__ import annotations

import re
from pathlib import Path

from lakehouse.settings import REPOSITORY

PACKAGES = ("chat", "dashboard", "discover", "expectations", "ingest", "kb_export", "lakehouse")
PACKAGES += ("streaming", "dbt_project")
OTHERWISE = re.compile(
    r"\b(?:lower|upper|casefold|strip_accents|unaccent|nfc_normalize|normalize)\s*\("
    r"|\bi?like\s+'|\bilike\b|\bcollate\b|unicodedata",
    re.IGNORECASE,
)
ALLOWED = {
    # The one rule.
    "dbt_project/macros/text_key.sql": "the rule",
    "dbt_project/macros/engines/unaccented.sql": "the rule",
    # Names of settings, tables, columns, services and statements.
    "dbt_project/macros/engines/drop_left_tables.sql": "names of tables",
    "dbt_project/tests/assert_no_email_after_staging.sql": "names of columns",
    "discover/commands/knowledge.py": "a status of Bedrock, for display",
    "discover/context.py": "names of settings",
    "discover/land_report.py": "names of characters, for display",
    "ingest/land.py": "names of settings",
    "lakehouse/jvm.py": "true and false in a configuration",
    "lakehouse/duck.py": "true and false in a configuration",
    "lakehouse/spark.py": "true and false in a configuration",
    "lakehouse/secrets_store.py": "letters of a generated key",
    "lakehouse/settings.py": "names of settings",
    "lakehouse/console.py": "names of encodings",
    "lakehouse/services/athena": "SQL words and names of tables",
    "ingest/delivery.py": "suffixes of files and names of sources",
    "ingest/sql_script.py": "names of tables",
    "lakehouse/services/lifecycle.py": "names of settings",
    "lakehouse/services/ministack_guard.py": "names of headers",
    "dashboard/superset_config.py": "names of accounts, as Superset compares them",
    "lakehouse/services/service.py": "names of settings",
    "ingest/bank.py": "a file's suffix",
    # Nothing is compared.
    "chat/wording.py": "labels within a sentence",
    "dbt_project/models/staging/core_banking/stg_core_banking__customers.sql": "e-mail",
    "ingest/people.py": "invented e-mail addresses",
    "ingest/defects.py": "invented faults",
    # Words of a language, not of the data.
    "chat/dates.py": "names of months",
    "lakehouse/business_calendar.py": "the dashboard's words for a range of days",
    "lakehouse/scrub.py": "patterns in complaints, before anything is stored",
    "lakehouse/complaint.py": "ids in hexadecimal and names of fields",
}


def compared(root: Path) -> dict[str, list[str]]:
    """Lines outside the allowed files that change the case or the letters of a text."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix not in (".py", ".sql") or "/target/" in name:
                continue
            if name in ALLOWED or any(name.startswith(f"{folder}/") for folder in ALLOWED):
                continue
            # A metric's label within a sentence is no data.
            text = path.read_text().replace("label.lower()", "label")
            lines = [line.strip() for line in text.splitlines() if OTHERWISE.search(line)]
            if lines:
                found[name] = lines
    return found


def test_no_text_is_compared_by_another_rule() -> None:
    assert compared(REPOSITORY) == {}


def test_every_reason_is_still_needed() -> None:
    for name in ALLOWED:
        place = REPOSITORY / name
        files = [place] if place.is_file() else list(place.rglob("*.py"))
        assert any(OTHERWISE.search(file.read_text()) for file in files if file.exists()), name


def test_a_second_rule_is_found(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "answer.py").write_text('narrow("lower(city) = ANY($s_cities)")\n')
    (tmp_path / "chat" / "plan2.py").write_text("spelled = value.casefold()\n")
    (tmp_path / "dbt_project" / "models").mkdir(parents=True)
    (tmp_path / "dbt_project" / "models" / "dim.sql").write_text("where city ilike 'tor%'\n")
    assert set(compared(tmp_path)) == {
        "chat/answer.py",
        "chat/plan2.py",
        "dbt_project/models/dim.sql",
    }
