"""Digests of files by content, remembered from one start to the next.

A checkpoint of 10 GB takes half a minute to read and is rarely edited. What was computed once is kept under
`$XDG_CACHE_HOME/roboscale/digests` (`~/.cache` by default), one small file for each digested one, and holds as long
as path, size, times, inode and device are the same: the second start costs .2 ms. A cache that is missing, broken or
not writable costs time and nothing else: the digest is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from roboscale.core import BadData, combine

__all__ = ["file_digest", "folder_digest"]

_BLOCK = 1 << 22  # bytes read at once
_RACY_S = 2.0  # a file that has just been written may be written again without a trace in its times, as git knows

Facts = dict[str, int]


def file_digest(path: str | Path) -> str:
    """32 hex digits over the bytes of a file (blake2b); links are followed.

    Raises:
        BadData: there is no such file, it is no regular file, or it cannot be read.
    """
    real = os.path.realpath(path)
    started = time.time()
    try:
        before = _facts(real)
        known = _remembered(real, before)
        if known is not None:
            return known
        digest = _read(real)
        unchanged = _facts(real) == before
    except OSError as error:
        raise BadData(path, "file", "a file that can be read", error.strerror or error) from error
    if unchanged and started - before["mtime_ns"] / 1e9 >= _RACY_S:
        _remember(real, before, digest)
    return digest


def folder_digest(path: str | Path, patterns: Sequence[str] = ()) -> str:
    """32 hex digits over the names (relative, with `/`) and contents of files in a folder; its own name is not part.

    Args:
        path: the folder; links are followed.
        patterns: names like `config.json` or `*.safetensors`, which hold in every folder, and paths like
            `meta/*.json`. Without any, all files but those that begin with a dot or lie in a folder that does, and
            compiled Python.

    Raises:
        BadData: there is no such folder, no file in it that is asked for, or one that cannot be read.
    """
    if not Path(path).is_dir():
        raise BadData(path, "folder", "a folder", "a file" if Path(path).exists() else "nothing")
    try:
        names = [name for name in _names(Path(path)) if _asked_for(name, patterns)]
    except OSError as error:
        raise BadData(error.filename or path, "folder", "a folder that can be read", error.strerror) from error
    if not names:
        raise BadData(path, "files", ", ".join(patterns) or "any file", "none")
    return combine("folder", {name: file_digest(Path(path, name)) for name in names}).digest


def _names(folder: Path) -> Iterator[str]:
    """Every file below `folder`, relative; a folder that is linked to from below itself is seen once."""
    stack, seen = [folder], {os.path.realpath(folder)}
    while stack:
        for entry in os.scandir(stack.pop()):
            if not entry.is_dir():
                yield Path(entry.path).relative_to(folder).as_posix()
            elif os.path.realpath(entry.path) not in seen:
                seen.add(os.path.realpath(entry.path))
                stack.append(Path(entry.path))


def _asked_for(name: str, patterns: Sequence[str]) -> bool:
    parts = name.split("/")
    if patterns:
        return any(fnmatchcase(name if "/" in pattern else parts[-1], pattern) for pattern in patterns)
    return not any(part.startswith(".") or part == "__pycache__" for part in parts) and not name.endswith(".pyc")


def _facts(real: str) -> Facts:
    """What says that a file is the one it was. The time of the last change cannot be set back, unlike the other."""
    status = Path(real).stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "no regular file")
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "inode": status.st_ino,
        "device": status.st_dev,
    }


def _read(real: str) -> str:
    digest, block = hashlib.blake2b(digest_size=16), memoryview(bytearray(_BLOCK))
    with Path(real).open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()


def _entry(real: str) -> Path:
    """Where the digest of a file is remembered; OSError where there is no place for it."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        cache = base if base.is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:  # nobody's home
        raise OSError(str(error)) from error
    name = hashlib.blake2b(os.fsencode(real), digest_size=16).hexdigest()
    return cache / "roboscale" / "digests" / f"{name}.json"


def _remembered(real: str, facts: Facts) -> str | None:
    try:
        entry = json.loads(_entry(real).read_bytes())
    except (OSError, ValueError, RecursionError):  # not there, or broken: computed again
        return None
    if not isinstance(entry, dict) or entry.get("path") != real or entry.get("facts") != facts:
        return None
    digest = entry.get("digest")
    is_digest = isinstance(digest, str) and len(digest) == 32 and set(digest) <= set("0123456789abcdef")
    return digest if is_digest else None


def _remember(real: str, facts: Facts, digest: str) -> None:
    """Writes one entry in one step, so that two processes at once leave a whole one."""
    with contextlib.suppress(OSError):  # a full or read-only disk: computed again next time
        entry = _entry(real)
        entry.parent.mkdir(parents=True, exist_ok=True)
        part = entry.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
        try:
            part.write_text(json.dumps({"path": real, "facts": facts, "digest": digest}), "utf-8")
            part.replace(entry)
        finally:
            part.unlink(missing_ok=True)
