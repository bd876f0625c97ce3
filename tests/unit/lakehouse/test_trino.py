"""What of Trino is fetched and kept, and what its configuration says. No Java needed."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from lakehouse import jvm, secrets_store
from lakehouse.errors import DiscoverError
from lakehouse.services import trino
from lakehouse.services.trino import Trino
from lakehouse.settings import REPOSITORY


def archive(folder: Path) -> None:
    """What Maven would bring: the two archives, a few files each."""
    with tarfile.open(folder / "trino-server-core-1.tar.gz", "w:gz") as tar:
        for name in ("NOTICE", "bin/launcher", "lib/core.jar", "plugin/geospatial/geo.jar"):
            member = tarfile.TarInfo(f"trino-server-core-1/{name}")
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    with zipfile.ZipFile(folder / "trino-iceberg-1.zip", "w") as plugin:
        for name in ("iceberg-core.jar", "com.linkedin.coral_coral-trino.jar", "com.azure_x.jar"):
            plugin.writestr(f"trino-iceberg-1/{name}", "x")


@pytest.fixture
def fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A repository whose lock names those archives, and a Maven that brings them; its runs."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "trino-pom.xml").write_text("<project/>")
    archives = tmp_path / "archives"
    archives.mkdir()
    archive(archives)
    (requirements / "trino-archives.txt").write_text(jvm.hashes(archives))
    runs: list[Path] = []

    def fetch(pom: Path, folder: Path) -> None:
        runs.append(pom)
        for file in archives.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())

    monkeypatch.setattr(jvm, "REPOSITORY", tmp_path)
    monkeypatch.setattr(jvm, "_JARS", tmp_path / ".jars")
    monkeypatch.setattr(jvm, "fetch", fetch)
    return runs


def test_what_a_rest_catalog_on_s3_needs_is_kept_and_nothing_else(fetches: list[Path]) -> None:
    server = trino.server()
    kept = {str(path.relative_to(server)) for path in server.rglob("*") if path.is_file()}
    assert kept == {
        "NOTICE",
        "lib/core.jar",
        "plugin/iceberg/iceberg-core.jar",
        "plugin/iceberg/com.linkedin.coral_coral-trino.jar",
    }
    assert [path.name for path in server.parent.iterdir() if path.is_dir()] == [server.name]


def test_it_is_fetched_once_and_again_for_another_recipe(
    fetches: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trino.server()
    assert trino.server() == first
    assert len(fetches) == 1
    monkeypatch.setattr(trino, "_LEFT_OUT", ("com.linkedin*",))
    assert trino.server() != first
    assert len(fetches) == 2


def test_an_archive_that_is_not_the_locked_one_is_refused_and_not_unpacked(
    fetches: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "archives" / "trino-iceberg-1.zip").write_bytes(b"something else")
    with pytest.raises(DiscoverError, match=r"trino-iceberg-1\.zip"):
        trino.server()
    assert not [path for path in (tmp_path / ".jars").iterdir() if path.is_dir()]


def test_the_lock_names_the_versions_of_the_pom() -> None:
    module = jvm._ivy_module(REPOSITORY / "requirements" / "trino-pom.xml")
    locked = (REPOSITORY / "requirements" / "trino-archives.txt").read_text()
    assert 'name="trino-server-core" rev="476"' in module
    assert '<artifact name="trino-iceberg" type="zip" ext="zip"/>' in module
    assert "  trino-server-core-476.tar.gz\n" in locked
    assert "  trino-iceberg-476.zip\n" in locked


def test_it_listens_on_loopback_and_no_key_stands_in_a_file_or_an_argument(
    fetches: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jvm, "java_home", lambda *_: Path("/jdk"))
    home = tmp_path / "home"
    secret = secrets_store.ensure(home)["lake_secret_access_key"]
    service = Trino(home)
    left_by_a_killed_one = service.data / "tmp" / "zstd1.tmp"
    left_by_a_killed_one.parent.mkdir(parents=True)
    left_by_a_killed_one.touch()
    service.prepare()
    assert not left_by_a_killed_one.exists()
    assert stat.S_IMODE(left_by_a_killed_one.parent.stat().st_mode) == 0o700
    written = {path.name: path.read_text() for path in service.data.rglob("*.properties")}
    assert {"config.properties", "log.properties", "lake.properties"} <= set(written)
    assert "node.bind-ip=127.0.0.1\n" in written["config.properties"]
    assert f"http-server.http.port={service.ports['http']}\n" in written["config.properties"]
    launch = service.launch()
    assert launch.environment["LAKE_SECRET_ACCESS_KEY"] == secret
    assert secret not in "".join(written.values()) + " ".join(launch.arguments)
