"""What Sail is told about the lake, and that the environment is put back."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from lakehouse import jvm
from lakehouse.errors import ServiceUnavailable, UsageError
from lakehouse.settings import Settings
from lakehouse.spark import classic_variables, sail_environment, session

LOCAL = Settings(
    lake_endpoint="http://127.0.0.1:18333",
    lake_access_key_id="key",
    lake_secret_access_key=SecretStr('s"ecret'),
    catalog_uri="http://127.0.0.1:1",
)


def test_sail_gets_the_catalog_and_the_keys() -> None:
    environment = sail_environment(LOCAL, "tok")
    catalogs = tomllib.loads(f"list = {environment['SAIL_CATALOG__LIST']}")["list"]
    assert catalogs[1] == {
        "name": "lake",
        "type": "iceberg-rest",
        "uri": "http://127.0.0.1:1",
        "warehouse": "s3://lake",
        "bearer_access_token": "tok",
    }
    assert environment["AWS_ENDPOINT"] == "http://127.0.0.1:18333"
    assert environment["AWS_ALLOW_HTTP"] == "true"
    assert environment["AWS_SECRET_ACCESS_KEY"] == 's"ecret'
    assert environment["AWS_PROFILE"] is None


def test_on_aws_the_roles_of_the_machine_are_left_alone() -> None:
    environment = sail_environment(Settings(profile="aws", catalog_uri="https://glue"), None)
    assert "AWS_PROFILE" not in environment
    assert "AWS_ACCESS_KEY_ID" not in environment
    assert "AWS_ENDPOINT" not in environment
    assert "bearer_access_token" not in str(environment["SAIL_CATALOG__LIST"])


def test_a_catalog_that_does_not_answer_is_named_with_its_fix() -> None:
    before = dict(os.environ)
    with pytest.raises(ServiceUnavailable, match="discover up seaweedfs"), session(LOCAL):
        pass
    assert dict(os.environ) == before


def test_an_unknown_engine_is_wrong_usage() -> None:
    with pytest.raises(UsageError), session(LOCAL, "flink"):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("name", ["PYSPARK_GATEWAY_PORT", "SPARK_CONF_DIR", "SPARK_HOME"])
def test_a_spark_that_somebody_described_is_left_as_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "theirs")
    assert classic_variables(Settings(profile="aws")) == {}
    assert classic_variables(LOCAL) == {}


def test_without_one_the_local_profile_brings_its_own_and_others_are_told_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if "SPARK" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(jvm, "spark_variables", lambda _, folder: {"SPARK_CONF_DIR": str(folder)})
    home = Settings(home=tmp_path)
    assert classic_variables(home) == {"SPARK_CONF_DIR": str(tmp_path / "spark")}
    with pytest.raises(UsageError, match="spark-submit"):
        classic_variables(Settings(profile="aws"))
