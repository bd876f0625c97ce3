"""Secrets are drawn once, stay, and are their owner's alone."""

import json
from pathlib import Path

import pytest

from lakehouse import secrets_store
from lakehouse.settings import Settings


def test_secrets_are_drawn_once_and_stay(tmp_path: Path) -> None:
    first = secrets_store.ensure(tmp_path)
    assert secrets_store.ensure(tmp_path) == first
    assert set(first) == set(secrets_store.SECRET_NAMES)
    assert len(set(first.values())) == len(first)


def test_a_missing_secret_is_added_and_the_others_are_kept(tmp_path: Path) -> None:
    first = secrets_store.ensure(tmp_path)
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({k: v for k, v in first.items() if k != "superset_secret_key"}))
    second = secrets_store.ensure(tmp_path)
    assert second["superset_secret_key"] not in ("", first["superset_secret_key"])
    assert second["postgres_password"] == first["postgres_password"]


def test_nobody_else_can_read_them_even_after_somebody_loosened_the_rights(tmp_path: Path) -> None:
    secrets_store.ensure(tmp_path)
    path = tmp_path / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    secrets_store.ensure(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name", [n for n in secrets_store.SECRET_NAMES if n.startswith("superset")]
)
def test_every_secret_of_superset_has_its_setting(name: str) -> None:
    assert name in Settings.model_fields


def test_the_key_id_is_no_account_number(tmp_path: Path) -> None:
    assert not secrets_store.ensure(tmp_path)["lake_access_key_id"].isdigit()
