"""Archives as sources: tar, tar.gz and others, zip, split into parts or many in a folder. Unpacked once, into a cache.

Nothing is unpacked outside of its folder, no link and no device is made, and an archive that claims to unpack to more
than a thousand times its size is refused.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched

__all__ = ["is_archive", "unpacked"]

_TAR = re.compile(r"\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_PART = re.compile(
    r"(?P<stem>.+\.(?:tar|tgz|zip|tar\.gz|tar\.xz|tar\.bz2))[._-]?(?:part[._-]?)?(?P<part>[a-z]{2,3}|\d{1,4})$", re.I
)
_BLOCK = 512  # bytes of tar; one of zeros is its end
_FAULTS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)
_RATIO = 1000


def is_archive(path: Path) -> bool:
    """Whether a file, or everything in a folder but texts, is an archive that is no format by itself."""
    return bool(_archives(path))


def _archives(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _is_one(path) else []
    if not path.is_dir():
        return []
    files = [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
    archives = sorted((p for p in files if _is_one(p)), key=lambda p: p.name)
    others = [p for p in files if p not in archives and p.suffix.lower() not in (".md", ".txt", ".json", ".yaml")]
    folders = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return archives if not others and not folders else []


def _is_one(path: Path) -> bool:
    if path.name.endswith(".zarr.zip"):
        return False  # a store that is read as it is
    if _TAR.search(path.name) or _part(path.name):
        return True
    return path.suffix.lower() == ".zip" and not _is_store(path)


def _part(name: str) -> re.Match[str] | None:
    """What a part of an archive is called; `x.tar.gz` is a whole one."""
    return None if _TAR.search(name) else _PART.fullmatch(name)


def _is_store(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return any(name.endswith((".zarray", ".zgroup", "zarr.json")) for name in file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _sets(archives: Sequence[Path]) -> list[list[Path]]:
    """Parts of one archive together, in their order; BadData when one is missing in between."""
    groups: dict[str, list[Path]] = {}
    for path in archives:
        match = _part(path.name)
        groups.setdefault(match["stem"] if match else path.name, []).append(path)
    whole = []
    for stem, parts in groups.items():
        numbered = sorted((_number(part.name), part) for part in parts)
        there = [number for number, _ in numbered]
        if len(there) > 1 and (there != list(range(there[0], there[0] + len(there))) or there[0] > 1):
            named = ", ".join(part.name for _, part in numbered)[:300]
            raise BadData(parts[0].parent / stem, "parts", "all, from the first on without a gap", named)
        whole.append([part for _, part in numbered])
    return whole


def _number(name: str) -> int:
    """Of a part: `.001` is 1, `.part-ab` is 1 as well, for `aa` is the first."""
    match = _part(name)
    if match is None:
        return 0
    number = 0
    for letter in match["part"].lower() if not match["part"].isdecimal() else "":
        number = 26 * number + ord(letter) - ord("a")
    return int(match["part"]) if match["part"].isdecimal() else number


def unpacked(path: Path, cache: Path) -> Path:
    """The folder with what an archive, its parts, or a folder of archives holds.

    Args:
        cache: folder under which it is kept; the same archive is unpacked once.

    Raises:
        BadData: an archive is broken, a part is missing, or a member leads outside.
    """
    archives = _archives(path)
    facts = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in archives]
    target = cache / hashlib.blake2b(repr(facts).encode(), digest_size=12).hexdigest()
    if not target.is_dir():
        part = target.with_name(f"{target.name}.incomplete")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for parts in _sets(archives):
            _unpack(parts, part)
        part.rename(target)
    return _inner(target)


def _inner(folder: Path) -> Path:
    """The one folder in it, where there is nothing else."""
    inside = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    return _inner(inside[0]) if len(inside) == 1 and inside[0].is_dir() and inside[0].suffix != ".zarr" else folder


class _Joined(io.RawIOBase):
    """Parts of a file, one after the other, as one that can be read and sought."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = [(part, part.stat().st_size) for part in parts]
        self._at, self._size = 0, sum(size for _, size in self._parts)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        view, begin = memoryview(buffer), 0  # type: ignore[arg-type]
        for part, size in self._parts:
            if begin <= self._at < begin + size:
                with part.open("rb") as file:
                    file.seek(self._at - begin)
                    data = file.read(min(len(view), begin + size - self._at))
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
            begin += size
        return 0


def _unpack(parts: Sequence[Path], target: Path) -> None:
    for part in parts:
        require_fetched(part)
    limit = _RATIO * sum(part.stat().st_size for part in parts) + 2**30
    try:
        with io.BufferedReader(cast(Any, _Joined(parts)), 2**20) as file:
            if zipfile.is_zipfile(file):
                _unpack_zip(parts[0], file, target, limit)
            else:
                file.seek(0)
                _unpack_tar(parts[0], file, target, limit)
    except _FAULTS as error:
        alone = len(parts) == 1 and _part(parts[0].name) is not None
        hint = f" (one part of several: name the folder, {parts[0].parent})" if alone else ""
        found = _short(error) + hint
        raise BadData(parts[0], "archive", "one that is whole and stays in its folder", found) from error


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")[:160]


def _unpack_tar(path: Path, file: Any, target: Path, limit: int) -> None:
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        size = 0
        for member in archive:
            size += member.size
            if size > limit:
                raise BadData(path, "archive", f"at most {limit} bytes", "more")
            if member.isfile() or member.isdir():
                archive.extract(member, target, filter="data")
        _require_end(path, archive)


def _require_end(path: Path, archive: tarfile.TarFile) -> None:
    """BadData where members are followed by something else than the end: `tarfile` takes any such thing for one.

    What follows is read, too, for the checksum of a compressed file stands at its end.
    """
    rest: Any = archive.fileobj
    rest.seek(archive.offset)
    block = rest.read(_BLOCK)
    if len(block) < _BLOCK or block.strip(b"\0"):
        found = f"{'other bytes' if len(block) == _BLOCK else 'the end of the file'} after {archive.offset} bytes"
        raise BadData(path, "archive", "a block of zeros after its last member", found)
    while rest.read(2**20):
        pass


def _unpack_zip(path: Path, file: Any, target: Path, limit: int) -> None:
    with zipfile.ZipFile(file) as archive:
        if sum(member.file_size for member in archive.infolist()) > limit:
            raise BadData(path, "archive", f"at most {limit} bytes", "more")
        for member in archive.infolist():
            inside = (target / member.filename).resolve()
            if not inside.is_relative_to(target.resolve()):
                raise BadData(path, "member", "a path within the archive", member.filename[:120])
            archive.extract(member, target)
