"""Files to a place of others: the Hub by its own client, s3 by Arrow's, other buckets by fsspec, a folder.

What arrived is not sent again. The files that make a dataset readable come last, so that nobody opens half of one,
and a place that holds other files is never written to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from roboscale.core import BadData, InfrastructureError
from roboscale.core.extras import require_packages
from roboscale.sources.addresses.fetching import address_of, cache_folder
from roboscale.sources.addresses.hub import parse_hub, token

__all__ = ["Payload", "destination_of", "require_free", "send"]

Payload = Mapping[str, Path | bytes]
"""Path below the destination -> a file, or its bytes."""

Tell = Callable[[int, int], None]
"""Called with bytes that are there, and of how many."""

_LAST = ("meta/info.json", "README.md", "meta/roboscale/contribution.json")  # in this order
_SAID = "meta/roboscale/contribution.json"  # its `files` are the digests of what was given; cards may change
_BLOCK = 2**23  # bytes that are read at once
_BATCH = 20  # files of the Hub that are sent before progress is told


class _Place(Protocol):
    """What `send` writes to, file by file."""

    def sizes(self) -> dict[str, int]:
        """Path -> bytes, of everything that is there."""

    def put(self, name: str, source: Path | bytes) -> None: ...

    def get(self, name: str) -> bytes: ...


def destination_of(to: str) -> str:
    """The address in its full form; a local path as it is.

    >>> destination_of("hf://datasets/me/cups"), destination_of("cups")
    ('hf://datasets/me/cups', 'cups')

    BadData where a revision or a folder of the Hub is named: a contribution is a dataset of its own; and where a part
    of the address is missing, or a file lies there.
    """
    if not to.strip():
        raise BadData("--to", "address", "hf://datasets/OWNER/NAME, s3://BUCKET/FOLDER, or a folder", "nothing")
    if Path(to).is_file():
        raise BadData(to, "--to", "a folder, new or one that this command began", "a file")
    address = address_of(to)
    if to.startswith("s3:") and "/" not in address.removeprefix("s3://").strip("/"):
        raise BadData(to, "--to", "s3://BUCKET/FOLDER", to)
    hub = parse_hub(address) if address else None
    if address.startswith(("hf://", "https://", "http://")) and (
        hub is None or hub[1:] != ("main", "") or "/" not in hub[0]
    ):
        raise BadData(to, "--to", "hf://datasets/OWNER/NAME", address)
    return f"hf://datasets/{hub[0]}" if hub is not None else address or to


def send(payload: Payload, to: str, *, public: bool = False, message: str = "", tell: Tell = lambda d, t: None) -> str:
    """Sends the files, or goes on where an earlier call was stopped.

    Args:
        to: `hf://datasets/OWNER/NAME`, an address that fsspec writes to, or a folder.
        public: of a new dataset on the Hub; one that is there keeps what it is.

    Returns:
        Where it is now; on the Hub, the commit.

    Raises:
        BadData: something else is there.
        InfrastructureError: the connection broke; the same call goes on.
    """
    address = destination_of(to)
    hub = parse_hub(address) if address.startswith("hf://") else None
    if hub is not None:
        return _to_hub(payload, hub[0], public=public, message=message, tell=tell)
    try:
        _put_all(payload, _place_of(address), address, tell)
    except OSError as error:
        raise InfrastructureError(f"{address}: {error}; the same command goes on") from error
    return address


def _place_of(address: str) -> _Place:
    if not address_of(address):
        return _Folder(Path(address))
    return _S3(address) if address.startswith("s3://") else _Bucket(address)


def require_free(names: Iterable[str], to: str) -> None:
    """BadData where a local folder holds other files than these; no other place is asked before something is sent."""
    address = destination_of(to)
    if not address_of(address):
        _no_strangers(_Folder(Path(address)).sizes(), {*names, _SAID}, address)


def _no_strangers(there: Iterable[str], names: Collection[str], address: str) -> None:
    strangers = sorted(set(there) - set(names))
    if strangers:
        raise BadData(address, "files", "nothing, or a part of this contribution", ", ".join(strangers[:5]))


def _no_other_contribution(place: _Place, payload: Payload, address: str) -> None:
    """BadData where a finished contribution has other files under these names: what was given stays."""
    try:
        given = json.loads(place.get(_SAID))["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(address, _SAID, "what `data contribute` wrote", error) from error
    for name, source in payload.items():
        if name in given and given[name] != _sha256(source):
            raise BadData(address, name, "nothing, or this contribution", "a finished contribution of another content")


def _put_all(payload: Payload, place: _Place, address: str, tell: Tell) -> None:
    there = place.sizes()
    journal = _Journal(address if address_of(address) else str(Path(address).resolve()))
    _no_strangers(there, payload, address)
    if _SAID in there:
        _no_other_contribution(place, payload, address)
    total, done = sum(map(_size, payload.values())), 0
    ordered = [*(name for name in payload if name not in _LAST), *(name for name in _LAST if name in payload)]
    for name in ordered:
        source = payload[name]
        digest = _sha256(source)
        arrived = journal.sent.get(name) == digest and there.get(name) == _size(source)
        if not arrived:
            if name in there and name not in journal.sent and there[name] != _size(source):
                raise BadData(address, name, f"nothing, or {_size(source)} bytes", f"{there[name]} bytes")
            place.put(name, source)
            journal.add(name, digest)
        done += _size(source)
        tell(done, total)


class _Journal:
    """What arrived at an address, by content: a line a file in the cache of this machine."""

    def __init__(self, address: str) -> None:
        digest = hashlib.blake2b(address.encode(), digest_size=12).hexdigest()
        self._file = cache_folder().parent / "sent" / f"{digest}.jsonl"
        self.sent: dict[str, str] = {}
        with suppress(FileNotFoundError):
            for line in self._file.read_text("utf-8").splitlines():
                with suppress(ValueError):  # the last line of a call that was killed
                    said = json.loads(line)
                    self.sent[said["path"]] = said["sha256"]

    def add(self, path: str, sha256: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"path": path, "sha256": sha256}))
        self.sent[path] = sha256


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def sizes(self) -> dict[str, int]:
        files = (p for p in self._root.rglob("*") if p.is_file() and p.suffix != ".part")
        return {p.relative_to(self._root).as_posix(): p.stat().st_size for p in files}

    def put(self, name: str, source: Path | bytes) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        if isinstance(source, bytes):
            part.write_bytes(source)
        else:
            shutil.copyfile(source, part)
        part.replace(target)

    def get(self, name: str) -> bytes:
        return (self._root / name).read_bytes()


class _S3:
    """Objects of s3, by Arrow's client: each is there as a whole or not at all.

    Key, region and server are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...), as everywhere.
    """

    def __init__(self, address: str) -> None:
        from pyarrow import fs

        server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        scheme, _, host = server.rpartition("://")
        elsewhere = {"endpoint_override": host, "scheme": scheme or "https"} if server else {}
        self._system = fs.S3FileSystem(**elsewhere)
        self._base = address.removeprefix("s3://").strip("/")
        self._selector, self._kind = fs.FileSelector, fs.FileType.File

    def sizes(self) -> dict[str, int]:
        listed = self._system.get_file_info(self._selector(self._base, allow_not_found=True, recursive=True))
        return {one.path.removeprefix(f"{self._base}/"): one.size for one in listed if one.type == self._kind}

    def put(self, name: str, source: Path | bytes) -> None:
        with self._system.open_output_stream(f"{self._base}/{name}") as stream:
            if isinstance(source, bytes):
                stream.write(source)
                return
            with source.open("rb") as file:
                while block := file.read(_BLOCK):
                    stream.write(block)

    def get(self, name: str) -> bytes:
        with self._system.open_input_stream(f"{self._base}/{name}") as stream:
            data: bytes = stream.read()
        return data


class _Bucket:
    """Whatever else fsspec writes to."""

    def __init__(self, address: str) -> None:
        import fsspec

        try:
            self._system, self._base = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise BadData(address, "--to", "a protocol that fsspec can open", error) from None

    def sizes(self) -> dict[str, int]:
        self._system.invalidate_cache()
        try:
            entries: dict[str, Any] = self._system.find(self._base, detail=True)
        except FileNotFoundError:
            return {}
        base = self._base.strip("/") + "/"
        return {name.lstrip("/").removeprefix(base): int(one["size"] or 0) for name, one in entries.items()}

    def put(self, name: str, source: Path | bytes) -> None:
        target = f"{self._base.rstrip('/')}/{name}"
        if isinstance(source, bytes):
            self._system.pipe_file(target, source)
        else:
            self._system.put_file(str(source), target)

    def get(self, name: str) -> bytes:
        data: bytes = self._system.cat_file(f"{self._base.rstrip('/')}/{name}")
        return data


def _to_hub(payload: Payload, repo: str, *, public: bool, message: str, tell: Tell) -> str:
    """One commit. Large files go first and are not sent again once the server has them."""
    require_packages("sending to the Hub", "huggingface_hub")
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token() or None)
    total = sum(map(_size, payload.values()))
    done = 0
    try:
        api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        strangers = sorted(set(api.list_repo_files(repo, repo_type="dataset")) - set(payload) - {".gitattributes"})
        if strangers:
            raise BadData(repo, "files", "nothing, or this contribution", ", ".join(strangers[:5]))
        adds = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=s if isinstance(s, bytes) else str(s))
            for name, s in payload.items()
        ]
        for first in range(0, len(adds), _BATCH):
            batch = adds[first : first + _BATCH]
            api.preupload_lfs_files(repo, batch, repo_type="dataset")
            done += sum(_size(payload[add.path_in_repo]) for add in batch)
            tell(done, total)
        commit = api.create_commit(repo, adds, commit_message=message or "A contribution", repo_type="dataset")
    except (HfHubHTTPError, RuntimeError) as error:  # the latter from a transfer that failed
        raise InfrastructureError(f"{repo}: {error}; the same command goes on") from error
    except OSError as error:
        raise InfrastructureError(f"{repo}: {error}; the same command goes on") from error
    return f"hf://datasets/{repo}@{commit.oid}"


def _size(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _sha256(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
