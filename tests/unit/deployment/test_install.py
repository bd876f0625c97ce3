"""The first command: it finds a Python that works, or says in one line what to install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a clone as the installation reads before uv is there; its name isn't ASCII."""
    folder = tmp_path / "ma banque privée"
    (folder / "requirements").mkdir(parents=True)
    for name in ("find-python.sh", "install.sh", "uv.txt"):
        shutil.copy(ROOT / "requirements" / name, folder / "requirements")
    return folder


def _program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def _python(folder: Path, name: str, version: tuple[int, int], lacks: str = "-") -> Path:
    """A Python that takes itself for ``version``, and has no module called ``lacks``."""
    text = f"""\
#!/bin/sh
case $1 in
  --version) echo "Python {version[0]}.{version[1]}.0"; exit ;;
  -c) exec '{sys.executable}' -c "import sys
class Version(tuple): major, minor = {version}
sys.version_info = Version({(*version, 0, "final", 0)}); sys.executable = '$0'
sys.modules['{lacks}'] = None
$2" ;;
esac
echo "asked for: $*" >&2
exit 9
"""
    return _program(folder, name, text)


def _run(script: str, *arguments: str, clone: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts where ``path`` has all the Python there is."""
    tools = clone / "tools"
    tools.mkdir(exist_ok=True)
    for name in ("sh", "dirname", "awk", "touch"):
        with_links = tools / name
        if not with_links.exists():
            with_links.symlink_to(shutil.which(name) or "")
    path.mkdir(exist_ok=True)
    return subprocess.run(
        ["/bin/sh", str(clone / "requirements" / script), *arguments],
        env={"PATH": f"{path}:{tools}", "HOME": str(clone), "LC_ALL": "C"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _find(minor: int, clone: Path, path: Path) -> str:
    wanted = f"sys.version_info[:2] == (3, {minor})"
    return _run("find-python.sh", wanted, clone=clone, path=path).stdout.strip()


def test_a_name_on_the_path_that_does_not_run_is_passed_over(clone: Path, tmp_path: Path) -> None:
    """pyenv puts python3.12 on the PATH also where that version isn't selected."""
    path = tmp_path / "bin"
    _program(path, "python3.12", "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    assert _find(12, clone, path) == ""
    python = _python(clone / ".pyenv" / "versions" / "3.12.1" / "bin", "python3", (3, 12))
    assert _find(12, clone, path) == str(python)


def test_a_python_is_found_under_any_name_and_behind_another(clone: Path, tmp_path: Path) -> None:
    path = tmp_path / "bin"
    python = _python(path, "python", (3, 12))
    _python(path, "python3", (3, 14))
    assert _find(12, clone, path) == str(python)
    assert _find(11, clone, path) == ""


def _error(clone: Path, path: Path, *chosen: str) -> str:
    done = _run("install.sh", ".venv", *chosen, clone=clone, path=path)
    assert done.returncode == 2, done
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == done.stderr.splitlines()[-1:]
    return errors[0]


def test_without_any_python(clone: Path, tmp_path: Path) -> None:
    assert "no Python 3 was found — install one" in _error(clone, tmp_path / "bin")


def test_a_python_that_is_too_old_for_uv(clone: Path, tmp_path: Path) -> None:
    _python(tmp_path / "bin", "python3", (3, 7))
    said = _error(clone, tmp_path / "bin")
    assert "Python 3.7.0, too old to install uv — install Python 3.8 or newer" in said


@pytest.mark.parametrize("version", [(3, 12), (3, 14)])
def test_debians_python_without_venv(clone: Path, tmp_path: Path, version: tuple[int, int]) -> None:
    _python(tmp_path / "bin", "python3", version, lacks="ensurepip")
    said = _error(clone, tmp_path / "bin")
    assert (
        "has no venv and pip — install them (Debian, Ubuntu: sudo apt install "
        f"python3.{version[1]}-venv)" in said
    )


def test_another_python_may_install_uv(clone: Path, tmp_path: Path) -> None:
    """What gets the environment needs no pip: uv fills it."""
    _python(tmp_path / "bin", "python3.12", (3, 12), lacks="ensurepip")
    _python(tmp_path / "bin", "python3.14", (3, 14))
    done = _run("install.sh", ".venv", clone=clone, path=tmp_path / "bin")
    assert done.stderr == "asked for: -m venv --clear .venv-uv\n"


def test_a_chosen_python_of_another_version_is_refused(clone: Path, tmp_path: Path) -> None:
    chosen = _python(tmp_path / "bin", "python3.13", (3, 13))
    assert f"PYTHON={chosen} is not a Python 3.11 or 3.12" in _error(
        clone, tmp_path / "bin", str(chosen)
    )
    assert "PYTHON=nowhere is not" in _error(clone, tmp_path / "bin", "nowhere")


def _with_uv(clone: Path, text: str) -> None:
    """A uv that is installed already, and is this script."""
    (clone / ".venv-uv" / "bin").mkdir(parents=True)
    _program(clone / ".venv-uv" / "bin", "uv", f"#!/bin/sh\n[ $1 = --version ] && exit 0\n{text}")
    ready = clone / ".venv-uv" / ".ready"
    ready.touch()
    later = (clone / "requirements" / "uv.txt").stat().st_mtime + 10
    os.utime(ready, (later, later))


def test_a_newer_python_alone_lets_uv_fetch_one_and_says_why_it_cannot(
    clone: Path, tmp_path: Path
) -> None:
    _python(tmp_path / "bin", "python3", (3, 14))
    _with_uv(
        clone,
        "printf 'error: no download\\n  cause: no request\\n  cause: no route\\n' >&2; exit 2\n",
    )
    said = _error(clone, tmp_path / "bin")
    assert "uv can't download 3.12: no download: no route — install one" in said
    assert "or: make PYTHON=/path/to/python3.11" in said


def test_a_newer_python_alone_gets_the_python_that_uv_manages(clone: Path, tmp_path: Path) -> None:
    """Not a ``python3.12`` on the PATH: that one doesn't run, or it would have been used."""
    _python(tmp_path / "bin", "python3", (3, 14))
    _with_uv(clone, f'echo "$*" >> {tmp_path}/calls; mkdir -p .venv\n')
    (clone / "tools").mkdir()
    (clone / "tools" / "mkdir").symlink_to(shutil.which("mkdir") or "")
    done = _run("install.sh", ".venv", clone=clone, path=tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    made, synced, ours = (tmp_path / "calls").read_text().splitlines()
    assert made == "venv --quiet --clear --managed-python --python 3.12 .venv"
    assert "--require-hashes requirements/main.txt" in synced
    assert "--no-deps --editable ." in ours
    assert (clone / ".venv" / ".ready").exists()


def _locked(name: str) -> dict[str, list[str]]:
    """The markers of each package that a lock lists."""
    found: dict[str, list[str]] = {}
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    for package, marker in re.findall(r"^([\w.-]+)==\S+ ?(?:; (.*?))? \\$", text, re.MULTILINE):
        found.setdefault(package, []).append(marker)
    return found


def _installed_on(name: str, version: str) -> set[str]:
    environment = {"python_version": version, "python_full_version": f"{version}.1"}
    return {
        package
        for package, markers in _locked(name).items()
        if any(not marker or Marker(marker).evaluate(environment) for marker in markers)
    }


def test_python_3_12_gets_the_distutils_that_pyspark_imports() -> None:
    """It left the standard library; setuptools brings it back."""
    assert "setuptools" in _installed_on("main", "3.12")
    assert "setuptools" not in _installed_on("main", "3.11")


def test_any_python_gets_uv() -> None:
    """The project's limit doesn't apply to it: uv brings the Python that the project needs."""
    for version in ("3.8", "3.11", "3.14"):
        assert _installed_on("uv", version) == {"uv"}


def test_python_starts_where_the_locale_cannot_write_the_path() -> None:
    """Python 3.11 reads path files in the locale's encoding; an import hook needs none."""
    found = list(Path(sys.prefix).glob("lib/python*/site-packages/*bmo_discover*.pth"))
    assert found
    for file in found:
        assert file.read_text().startswith("import "), file
