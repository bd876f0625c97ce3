"""Which files a path, glob, folder or URL names: what is taken, and what is passed over and why."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lakehouse.catalog import SOURCES
from lakehouse.clients import lake_store
from lakehouse.errors import InputRejected, UsageError
from lakehouse.landing import object_name, require_lake
from lakehouse.settings import Settings

_STDIN = ("-", "/dev/stdin")
_OPEN_FILE = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_TAKEN = (".csv", ".json", ".jsonl")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_TEMPORARY = ("~", "#", ".tmp", ".temp", ".part", ".filepart", ".crdownload", ".swp", ".bak")


@dataclass(frozen=True)
class Delivered:
    """One file on local disk under the name it was delivered by."""

    name: str
    path: Path


@dataclass(frozen=True)
class PassedOver:
    """Something that was named or found beside the deliveries and isn't taken."""

    file: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Its part of a command's document."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """Paths or object keys that are taken, and what isn't."""

    taken: list[str]
    passed_over: list[PassedOver]


def deliver(
    settings: Settings, paths: Sequence[str], folder: Path
) -> tuple[list[Delivered], list[PassedOver]]:
    """The files that ``paths`` name, each once; objects and pipes as copies in ``folder``.

    Raises:
        UsageError: a path that names no file.

    """
    delivered: dict[str, Delivered] = {}
    passed_over: list[PassedOver] = []
    for path in paths:
        if path.startswith("s3://"):
            bucket, found = _objects(settings, path)
            files = [_download(settings, bucket, key, folder) for key in found.taken]
        else:
            found = _local(path)
            files = [as_file(name, folder) for name in found.taken]
        delivered |= {file.name: file for file in files if file.name not in delivered}
        passed_over += found.passed_over
    return list(delivered.values()), passed_over


def require_files(settings: Settings, paths: Iterable[str]) -> None:
    """Make sure that every path names a file or an object, without reading any.

    Raises:
        UsageError: a path that names none, or a file that can't be read.
        ServiceUnavailable: the lake doesn't answer where a path is an ``s3://`` URL.

    """
    for path in paths:
        if path.startswith("s3://"):
            _objects(settings, path)
        else:
            _local(path)


def in_folder(folder: Path) -> tuple[dict[str, list[str]], list[PassedOver]]:
    """Files by source in ``folder/<source>/``, and everything else that is in there.

    Raises:
        UsageError: there is no such folder, or it can't be read.
        InputRejected: it has no file of any source.

    """
    taken: dict[str, list[str]] = {}
    passed_over: list[PassedOver] = []
    for entry in _entries(folder):
        source = entry.name.lower()
        if source not in SOURCES or not entry.is_dir():
            reason = _not_a_source(entry)
            passed_over.append(PassedOver(_as_text(entry), reason))
            continue
        files = _entries(entry)
        if not files:
            passed_over.append(PassedOver(_as_text(entry), "an empty folder"))
        for file in files:
            if reason := _why_not(file):
                passed_over.append(PassedOver(_as_text(file), reason))
            else:
                taken.setdefault(source, []).append(str(file))
    if not taken:
        seen = "".join(f"; {item.file}: {item.reason}" for item in passed_over[:3])
        raise InputRejected(
            f"{folder} has no files of any source{seen}",
            f"expected folders {', '.join(SOURCES)} with .csv, .json or .jsonl files",
        )
    return taken, passed_over


def as_file(path: str, folder: Path) -> Delivered:
    """One file; a pipe is read to its end into ``folder``.

    Raises:
        UsageError: there is no such file, or it can't be read.

    """
    _require_file(path)
    if path not in _STDIN and Path(path).is_file():
        return Delivered(_as_text(path), Path(path))
    name = "stdin" if path in _STDIN else path
    if match := _OPEN_FILE.fullmatch(path):
        name = f"pipe-{match[1]}"
    copy = Path(tempfile.mkdtemp(dir=folder)) / object_name(name)
    # The command's own standard input may be something that can't be opened a second time.
    is_ours = path in _STDIN
    with open(0 if is_ours else path, "rb", closefd=not is_ours) as pipe, copy.open("wb") as stream:
        shutil.copyfileobj(pipe, stream)
    return Delivered(_as_text(name), copy)


def _require_file(path: str) -> None:
    if path in _STDIN:
        return
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder", f"name its files: '{path}/*'")
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise UsageError(f"no file {path} ({error.strerror})", "check the path") from None
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise UsageError(f"{path} is neither a file nor a pipe", "check the path")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{path} can't be read", "change its permissions")


def _local(path: str) -> Found:
    if path in _STDIN or Path(path).exists() or not glob.has_magic(path):
        _require_file(path)
        return Found([path], [])
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    taken, passed_over = [], []
    for match in matches:
        if Path(match).is_dir():
            # Folders that ** goes through are what it is for.
            if "**" not in path:
                passed_over.append(PassedOver(_as_text(match), "a folder"))
        elif not Path(match).exists():
            passed_over.append(PassedOver(_as_text(match), "a link to nothing"))
        else:
            _require_file(match)
            taken.append(match)
    _require_any(path, taken, passed_over)
    return Found(taken, passed_over)


def _objects(settings: Settings, url: str) -> tuple[str, Found]:
    """The bucket of a URL, and the keys in it that the URL names."""
    require_lake(settings)
    bucket, _, pattern = url.removeprefix("s3://").partition("/")
    fixed = pattern.split("*")[0].split("?")[0].split("[")[0]
    from obstore.exceptions import BaseError

    store = lake_store(settings, bucket)
    prefix = fixed.rpartition("/")[0]
    try:
        listed = [found["path"] for page in store.list(prefix or None) for found in page]
    except BaseError as error:
        raise UsageError(
            f"{url} can't be listed ({type(error).__name__})", "check the URL"
        ) from None
    if pattern in listed:
        return bucket, Found([pattern], [])
    taken, folders = match_keys(listed, pattern)
    passed_over = [PassedOver(f"s3://{bucket}/{key}", "a folder") for key in folders]
    _require_any(url, taken, passed_over)
    return bucket, Found(taken, passed_over)


def match_keys(keys: Iterable[str], pattern: str) -> tuple[list[str], list[str]]:
    """Keys that a glob names, as it would name files on disk, and the folders that it names."""
    wanted = pattern.split("/")
    taken, folders = [], set()
    for key in sorted(keys):
        parts = key.split("/")
        if _fits(parts, wanted):
            taken.append(key)
        elif "**" not in wanted:
            ancestors = (parts[:length] for length in range(1, len(parts)))
            folders |= {"/".join(part) for part in ancestors if _fits(part, wanted)}
    return taken, sorted(folders)


def _fits(parts: list[str], wanted: list[str]) -> bool:
    """Whether a path fits a pattern: * stays in a folder, ** crosses, neither names dotfiles."""
    if not wanted:
        return not parts
    if wanted[0] == "**" and _fits(parts, wanted[1:]):
        return True
    if not parts or (parts[0].startswith(".") and not wanted[0].startswith(".")):
        return False
    if wanted[0] == "**":
        return _fits(parts[1:], wanted)
    return fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _require_any(path: str, taken: list[str], passed_over: list[PassedOver]) -> None:
    if not taken:
        seen = "".join(f"; {item.file} is {item.reason}" for item in passed_over[:3])
        raise UsageError(f"no file {path}{seen}", "check the path; a glob has to match a file")


def _download(settings: Settings, bucket: str, key: str, folder: Path) -> Delivered:
    return download(settings, bucket, key, f"s3://{bucket}/{key}", folder)


def download(settings: Settings, bucket: str, key: str, name: str, folder: Path) -> Delivered:
    """A copy of one object in ``folder``."""
    # In a folder of its own: two prefixes can hold objects of one name.
    path = Path(tempfile.mkdtemp(dir=folder)) / object_name(key)
    with path.open("wb") as stream:
        for block in lake_store(settings, bucket).get(key).stream():
            stream.write(block)
    return Delivered(name, path)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f"folder {folder} can't be read ({error.strerror})", "check --inputs"
        ) from None


def _not_a_source(entry: Path) -> str:
    if entry.is_dir():
        return f"not a source's folder: {', '.join(SOURCES)}"
    return "not in a source's folder"


def _why_not(file: Path) -> str:
    """Why a file in a source's folder isn't taken, or ''."""
    name = file.name.lower()
    if file.is_dir():
        return "a folder: name its files with --source"
    if not file.exists():
        return "a link to nothing"
    if name.startswith("."):
        return "a hidden file"
    if name.startswith(("~$", "#")) or name.endswith(_TEMPORARY):
        return "a temporary file"
    if name.endswith(_COMPRESSED):
        return "compressed: unpack it"
    if name.endswith(".sql"):
        return "a psql script: load it with discover bank load"
    if not name.endswith(_TAKEN):
        return f"not a {', '.join(_TAKEN[:-1])} or {_TAKEN[-1]} file"
    return "" if file.is_file() else "not a regular file"


def _as_text(name: str | Path) -> str:
    """A file's name as text; bytes in it that aren't UTF-8 appear as hexadecimal."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
