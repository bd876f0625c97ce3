"""What Apache Kafka is pinned by, and what its configuration says. No Java needed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lakehouse import jvm
from lakehouse.errors import DiscoverError
from lakehouse.services import apache_kafka
from lakehouse.services.apache_kafka import ApacheKafka
from lakehouse.settings import REPOSITORY


@pytest.fixture
def formattings(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A Java that formats a folder as Kafka's tool does; the commands that it got."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_: Any) -> Any:
        commands.append(command)
        (cwd / "log").mkdir(exist_ok=True)
        (cwd / "log" / "meta.properties").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(jvm, "java_home", lambda *_: Path("/jdk"))
    monkeypatch.setattr(jvm, "jars", lambda name: [Path(f"/{name}/one.jar")])
    monkeypatch.setattr(apache_kafka.subprocess, "run", run)
    return commands


def test_the_lock_names_the_version_of_the_pom() -> None:
    module = jvm._ivy_module(REPOSITORY / "requirements" / "kafka-pom.xml")
    locked = (REPOSITORY / "requirements" / "kafka-jars.txt").read_text()
    assert 'name="kafka_2.13" rev="4.3.1"' in module
    assert "  kafka_2.13-4.3.1.jar\n" in locked
    assert "  kafka-clients-4.3.1.jar\n" in locked


def test_every_listener_is_on_loopback(tmp_path: Path, formattings: list[list[str]]) -> None:
    service = ApacheKafka(tmp_path)
    service.prepare()
    lines = (service.data / "server.properties").read_text().splitlines()
    config = dict(line.split("=", 1) for line in lines if "=" in line)
    numbers = service.ports
    assert config["listeners"] == (
        f"PLAINTEXT://127.0.0.1:{numbers['kafka']},CONTROLLER://127.0.0.1:{numbers['controller']}"
    )
    assert config["advertised.listeners"] == f"PLAINTEXT://{service.url()}"
    assert config["auto.create.topics.enable"] == "false"


def test_a_folder_gets_its_clusters_identity_once(
    tmp_path: Path, formattings: list[list[str]]
) -> None:
    for home in (tmp_path / "one", tmp_path / "one", tmp_path / "two"):
        ApacheKafka(home).prepare()
    identities = [command[command.index("--cluster-id") + 1] for command in formattings]
    assert len(identities) == len(set(identities)) == 2
    assert not any(identity.startswith("-") for identity in identities)


def test_a_folder_that_cannot_be_formatted_says_why(
    tmp_path: Path, formattings: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: list[str], **_: Any) -> Any:
        return subprocess.CompletedProcess(command, 1, "", "Exception\nno space left")

    monkeypatch.setattr(apache_kafka.subprocess, "run", fails)
    with pytest.raises(DiscoverError, match="no space left"):
        ApacheKafka(tmp_path).prepare()
