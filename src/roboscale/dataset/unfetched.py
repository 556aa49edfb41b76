"""Files whose content is not here: pointers of Git LFS, Xet and git-annex, half downloads, pages saved in their place.

Looks at names and at the first bytes of small files only. Knows no format of data.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roboscale.core.errors import BadData
from roboscale.dataset.remote import RemotePath

__all__ = ["Unfetched", "find_unfetched", "is_here", "lance_tables", "require_fetched", "unfetched"]

_POINTER_BYTES = 4096  # no pointer is larger
_LOOKED = 20_000  # files of a folder that are looked at
_PARTIAL = (".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".filepart")
_WEB = re.compile(rb"\s*(<!doctype html|<html|<\?xml[^>]*>\s*<(html|error))", re.IGNORECASE)
_REPLY = re.compile(
    rb"\s*(Entry not found|Repository not found|Invalid (username or password|credentials)|Access to (model|dataset) |"
    rb"AccessDenied|NoSuchKey|404(: Not Found| page not found)|\{\s*\"(error|message)\"\s*:)",
    re.IGNORECASE,
)
_TEXTS = (".json", ".jsonl", ".md", ".txt", ".html", ".xml", ".csv", ".yaml", ".yml", ".toml", ".py", "")


@dataclass(frozen=True, slots=True)
class Unfetched:
    """Why the content of a file is not here.

    Args:
        kind: what lies there instead.
        size: bytes of the content; `None` where nothing says.
        advice: what brings it.
    """

    kind: str
    size: int | None
    advice: str

    def __str__(self) -> str:
        size = "" if self.size is None else f", {_readable(self.size)} not fetched"
        return f"{self.kind}{size}: {self.advice}"


def _readable(size: int) -> str:
    """`12.3 MB`, in powers of ten as the Hub counts."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.4g} {unit}"
        value /= 1000
    return f"{value:.4g} TB"


def unfetched(path: Path | RemotePath) -> Unfetched | None:
    """What lies at `path` instead of its content; `None` where it seems to be the content, or nothing is there."""
    if isinstance(path, RemotePath):
        return None  # whoever serves it has the content
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        if ".git/annex" in target:
            return Unfetched("a git-annex link", _annex_size(target), "git annex get .")
        if "blobs" in Path(target).parts:
            return Unfetched("a link into a Hub cache whose file is gone", None, "hf download fetches it again")
        return Unfetched(f"a link to {target}, where nothing is", None, "fetch or copy that file")
    if not path.is_file():
        return None
    if path.name.endswith(_PARTIAL):
        return Unfetched("the first part of a download", None, "finish that download")
    head = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(_POINTER_BYTES)
    return _by_content(head, path)


def _by_content(head: bytes, path: Path) -> Unfetched | None:
    if head.startswith((b"version https://git-lfs", b"version https://hawser")):
        size = re.search(rb"^size (\d{1,18})\s*$", head, re.MULTILINE)
        return Unfetched("a Git LFS pointer", int(size[1]) if size else None, "git lfs pull")
    if head.startswith(b"# xet version"):
        size = re.search(rb"^filesize = (\d{1,18})\s*$", head, re.MULTILINE)
        return Unfetched("a Xet pointer", int(size[1]) if size else None, "git xet pull, or hf download")
    if head.startswith(b"/annex/objects/"):
        return Unfetched("a git-annex pointer", _annex_size(head.decode("ascii", "replace")), "git annex get .")
    if path.suffix.lower() in _TEXTS:
        return None
    if _WEB.match(head):
        return Unfetched("a web page that was saved in its place", None, "download the file itself")
    if _REPLY.match(head):
        reply = head.split(b"\n")[0][:60].decode("utf-8", "replace").strip()
        return Unfetched(f"a server's reply ({reply!r}) that was saved in its place", None, "download it again")
    return None


def _annex_size(key: str) -> int | None:
    size = re.search(r"-s(\d{1,18})-", key)
    return int(size[1]) if size else None


def is_here(path: Path) -> bool:
    """Whether there is a file with its content; a pointer to it is none."""
    try:
        small = path.stat().st_size <= _POINTER_BYTES
    except OSError:
        return False
    return path.is_file() and not (small and unfetched(path) is not None)


def require_fetched(path: Path | RemotePath) -> None:
    """BadData when what lies at `path` is not its content."""
    why = unfetched(path)
    if why is not None:
        raise BadData(path, "file", "its content", why)


def find_unfetched(root: Path) -> Iterator[tuple[Path, Unfetched]]:
    """The files below `root` whose content is not here, in the order of their names; of 20,000 files at most."""
    looked = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", "node_modules"))
        for name in sorted(files):
            looked += 1
            if looked > _LOOKED:
                return
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                small = path.is_symlink() or name.endswith(_PARTIAL) or path.stat().st_size <= 2**16
                why = unfetched(path) if small else None
                if why is not None:
                    yield path, why


def lance_tables(root: Path) -> list[str]:
    """Folders of Lance tables within `root`, up to three levels down, relative to it and sorted."""
    folders = (path for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}*.lance"))
    return sorted(str(path.relative_to(root)) for path in folders if path.is_dir())
