"""What other tools need to reach a home's parts."""

from pathlib import Path

from lakehouse import secrets_store
from lakehouse.services import registry
from lakehouse.services.exports import exports
from lakehouse.settings import Settings, load, local_values


def local(home: Path) -> Settings:
    secrets_store.ensure(home)
    return load(home, "local", **local_values(home))


def test_each_tool_finds_its_endpoint_and_key(tmp_path: Path) -> None:
    settings = local(tmp_path)
    variables = exports(settings)
    assert variables["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:18333"
    assert variables["AWS_ENDPOINT_URL_DYNAMODB"] == "http://127.0.0.1:14566"
    assert variables["AWS_ACCESS_KEY_ID"] == settings.lake_access_key_id
    assert variables["PYICEBERG_CATALOG__LAKE__URI"] == "http://127.0.0.1:18181"
    assert variables["PGPORT"] == "15432"
    assert f":{variables['PGPASSWORD']}@" in settings.postgres_dsn.get_secret_value()
    assert variables["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"


def test_an_old_shell_points_no_later_command_at_ports_that_have_moved(tmp_path: Path) -> None:
    own = {name for name in exports(local(tmp_path)) if name.startswith("DISCOVER_")}
    # No command reads Trino's port: dbt's profile for it does.
    assert own == {"DISCOVER_HOME", "DISCOVER_PROFILE", "DISCOVER_TRINO_PORT"}


def test_on_aws_no_endpoint_and_no_key_is_exported(tmp_path: Path) -> None:
    variables = exports(Settings(profile="aws", home=tmp_path, kafka_bootstrap="broker:9092"))
    assert not [name for name in variables if "ENDPOINT" in name or "KEY" in name]


def test_athenas_endpoints_are_exported_while_its_gateway_runs(tmp_path: Path) -> None:
    settings = local(tmp_path)
    names = {f"AWS_ENDPOINT_URL_{service}" for service in ("ATHENA", "GLUE", "STS")}
    assert not names & set(exports(settings))
    registry.update(tmp_path, "athena", pid=1, ports={"http": 18182})
    variables = exports(settings)
    assert {variables[name] for name in names} == {"http://127.0.0.1:18182"}
    registry.update(tmp_path, "athena", pid=None)
    assert not names & set(exports(settings))
