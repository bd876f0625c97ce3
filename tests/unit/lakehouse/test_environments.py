"""Environments are made once from their lock file, and again when it changes."""

from pathlib import Path

import pytest

from lakehouse.errors import DiscoverError
from lakehouse.services import environments


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A repository with one lock file, where uv only notes what it is asked."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "tool.txt").write_text("tool==1 --hash=sha256:00")
    noted: list[list[str]] = []

    def run(arguments: list[str], name: str) -> None:
        noted.append(arguments)
        (environments.folder(name) / "bin").mkdir(parents=True, exist_ok=True)
        (environments.folder(name) / "bin" / "python").touch()

    monkeypatch.setattr(environments, "REPOSITORY", tmp_path)
    monkeypatch.setattr(environments, "_run", run)
    main = tmp_path / ".venv"
    main.mkdir()
    monkeypatch.setattr("sys.prefix", str(main))
    return noted


def test_made_once_with_hashes_checked(calls: list[list[str]]) -> None:
    environments.ensure("tool", megabytes=1)
    environments.ensure("tool", megabytes=1)
    create, sync = calls
    assert create[1] == "venv"
    assert sync[1:3] == ["pip", "sync"]
    assert "--require-hashes" in sync


def test_a_changed_lock_file_is_synchronised_into_the_same_environment(
    calls: list[list[str]], tmp_path: Path
) -> None:
    environments.ensure("tool", megabytes=1)
    (tmp_path / "requirements" / "tool.txt").write_text("tool==2 --hash=sha256:01")
    assert not environments.is_ready("tool")
    environments.ensure("tool", megabytes=1)
    assert [call[1] for call in calls] == ["venv", "pip", "pip"]


def test_two_main_environments_share_no_environment(
    calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One on Python 3.11 and one on 3.12 would else run their services on either."""
    assert environments.ensure("tool", megabytes=1) == tmp_path / ".venv-tool" / "bin"
    other = tmp_path / ".venv-3.12"
    other.mkdir()
    monkeypatch.setattr("sys.prefix", str(other))
    assert not environments.is_ready("tool")
    assert environments.ensure("tool", megabytes=1) == tmp_path / ".venv-3.12-tool" / "bin"


def test_made_again_when_its_python_was_removed(calls: list[list[str]]) -> None:
    environments.ensure("tool", megabytes=1)
    (environments.folder("tool") / "bin" / "python").unlink()
    assert not environments.is_ready("tool")
    environments.ensure("tool", megabytes=1)
    assert [call[1] for call in calls] == ["venv", "pip", "venv", "pip"]


def test_an_interrupted_installation_is_not_ready(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: list[str], name: str) -> None:
        raise DiscoverError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(environments, "_run", broken)
        with pytest.raises(DiscoverError):
            environments.ensure("tool", megabytes=1)
    assert not environments.is_ready("tool")
    environments.ensure("tool", megabytes=1)
    assert environments.is_ready("tool")


def test_a_full_disk_is_told_before_anything_is_downloaded(calls: list[list[str]]) -> None:
    with pytest.raises(DiscoverError, match="needs 999999999 MB"):
        environments.ensure("tool", megabytes=999_999_999)
    assert calls == []


def test_without_its_lock_file(calls: list[list[str]]) -> None:
    with pytest.raises(DiscoverError, match=r"other\.txt is missing"):
        environments.ensure("other", megabytes=1)


def test_a_failure_of_uv_is_one_line() -> None:
    with pytest.raises(DiscoverError) as failure:
        environments._run(["sh", "-c", "echo first >&2; echo the cause >&2; exit 2"], "tool")
    assert failure.value.message == "the environment of tool can't be installed: first the cause"


@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("0", "0")])
def test_uv_trusts_the_certificates_of_the_system_unless_asked_not_to(
    given: str | None, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a company's TLS proxy, uv's own list has no issuer for what it sees."""
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    if given is not None:
        monkeypatch.setenv("UV_SYSTEM_CERTS", given)
    seen = tmp_path / "seen"
    environments._run(["sh", "-c", f'printf %s "$UV_SYSTEM_CERTS" > {seen}'], "tool")
    assert seen.read_text() == used
