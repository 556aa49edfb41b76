"""What lies behind an address, as a local folder: metadata first, everything else when it is asked for.

Files stay in a cache (`ROBOSCALE_CACHE`, else `~/.cache/roboscale`) under the digest of address and commit, so that
the same address is fetched once and another commit is another folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roboscale.core import BadData, InfrastructureError
from roboscale.sources.addresses.archives import is_archive, unpacked
from roboscale.sources.addresses.http import download
from roboscale.sources.addresses.hub import HubFile, hub_dataset, parse_hub, token

__all__ = ["Fetched", "address_of", "fetch"]

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):/+(?P<rest>.+)", re.DOTALL)
_FIRST = re.compile(r"(meta/|README|LICEN[CS]E|.*\.json$|.*\.jsonl$|.*\.yaml$)", re.IGNORECASE)

Tell = Callable[[int, int], None]
"""Called with bytes that are here, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What lies behind an address.

    Args:
        root: the local folder or file.
        address: as it was given, with the commit where there is one.
        card: licence, languages and the like, where the server says.
        sizes: path -> bytes, of everything that is there, fetched or not.
    """

    root: Path
    address: str
    card: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


def address_of(source: Path | str) -> str:
    """The address that a source is (`pathlib` writes `hf://x` as `hf:/x`); empty for a local path."""
    match = _SCHEME.fullmatch(str(source))
    if match is None or Path(source).exists():
        return ""
    return f"{match['scheme']}://{match['rest']}"


def cache_folder() -> Path:
    """Where fetched and unpacked sources are kept."""
    said = os.environ.get("ROBOSCALE_CACHE", "")
    return (Path(said) if said else Path.home() / ".cache" / "roboscale") / "sources"


def fetch(address: str, *, metadata_only: bool = False, tell: Tell = lambda done, total: None) -> Fetched:
    """Brings what lies behind an address here; archives are unpacked.

    Args:
        metadata_only: of a dataset with files of its own only those that say what the others are.
        tell: is told how many bytes have arrived, of how many.

    Raises:
        BadData: there is nothing, it is not open, or it is not what the server said.
        InfrastructureError: the server cannot be reached, or the connection broke; the same call goes on.
    """
    hub = parse_hub(address)
    if hub is not None:
        return _from_hub(address, *hub, metadata_only=metadata_only, tell=tell)
    if address.startswith(("http://", "https://")):
        return _from_web(address, tell)
    return _by_fsspec(address, tell)


def _folder(*facts: str, name: str) -> Path:
    digest = hashlib.blake2b("\0".join(facts).encode(), digest_size=12).hexdigest()
    return cache_folder() / digest / name


def _from_hub(address: str, repo: str, revision: str, below: str, *, metadata_only: bool, tell: Tell) -> Fetched:
    dataset = hub_dataset(repo, revision)
    prefix = f"{below.rstrip('/')}/" if below else ""
    files = [f for f in dataset.files if f.path == below or f.path.startswith(prefix)]
    if not files:
        raise BadData(address, "files", f"some below {below or '/'}", f"none of {len(dataset.files)}")
    base = _folder("hub", repo, dataset.sha, name=repo.rsplit("/", 1)[-1])
    wanted = [f for f in files if not metadata_only or _FIRST.match(f.path.removeprefix(prefix))]
    _download_all(sorted(wanted, key=lambda f: not _FIRST.match(f.path.removeprefix(prefix))), base, tell)
    root = base / below if below else base
    sizes = {f.path.removeprefix(prefix): f.size for f in files}
    if not metadata_only and is_archive(root):
        root = unpacked(root, cache_folder())
    return Fetched(root=root, address=f"hf://datasets/{repo}@{dataset.sha}", card=dataset.card, sizes=sizes)


def _download_all(files: list[HubFile], base: Path, tell: Tell) -> None:
    total, done = sum(f.size for f in files), 0
    for file in files:
        target = base / file.path
        if not target.resolve().is_relative_to(base.resolve()):
            raise BadData(file.url, "path", "one within the dataset", file.path[:120])
        if target.is_file() and target.stat().st_size == file.size:
            done += file.size
            continue
        arrived = done

        def more(count: int) -> None:
            nonlocal arrived
            arrived += count
            tell(arrived, total)

        download(file.url, target, size=file.size, sha256=file.sha256, token=token(), tell=more)
        done += file.size
    tell(total, total)


def _from_web(address: str, tell: Tell) -> Fetched:
    name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rsplit("/", 1)[-1])
    if not re.search(r"\.\w+$", name) or name in (".", ".."):
        raise BadData(
            address, "address", "a file, such as an archive, or hf://datasets/OWNER/NAME", name or "a folder"
        )
    target = _folder("web", address, name=name)
    if not target.exists():
        arrived = 0

        def more(count: int) -> None:
            nonlocal arrived
            arrived += count
            tell(arrived, 0)

        download(address, target, tell=more)
    root = unpacked(target, cache_folder()) if is_archive(target) else target
    return Fetched(root=root, address=address, sizes={name: target.stat().st_size})


def _by_fsspec(address: str, tell: Tell) -> Fetched:
    """Buckets and whatever else fsspec opens."""
    try:
        import fsspec
    except ImportError:
        raise BadData(address, "address", "fsspec: pip install 'roboscale[remote]'", "not installed") from None
    try:
        system, path = fsspec.core.url_to_fs(address)
        entries = {path: system.info(path)} if system.isfile(path) else system.find(path, detail=True)
    except FileNotFoundError:
        entries = {}
    except (ImportError, ValueError) as error:
        raise BadData(address, "address", "a protocol that fsspec can open", error) from None
    except OSError as error:
        raise InfrastructureError(f"{address}: cannot be reached: {error}") from error
    if not entries:
        raise BadData(address, "address", "files", "none")
    sizes = {name.removeprefix(path).lstrip("/") or Path(name).name: int(one["size"]) for name, one in entries.items()}
    stamp = repr(
        sorted((name, one["size"], str(one.get("ETag") or one.get("mtime") or "")) for name, one in entries.items())
    )
    base = _folder("fsspec", address, stamp, name=path.rstrip("/").rsplit("/", 1)[-1])
    total, done = sum(sizes.values()), 0
    for name, size in zip(entries, sizes.values(), strict=True):
        target = base / name.removeprefix(path).lstrip("/") if name != path else base
        if not (target.is_file() and target.stat().st_size == size):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.incomplete")
            system.get_file(name, str(part))
            part.replace(target)
        done += size
        tell(done, total)
    root = unpacked(base, cache_folder()) if is_archive(base) else base
    return Fetched(root=root, address=address, sizes=sizes)
