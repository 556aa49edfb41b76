"""One file over http or https, whole or not at all, with its digest. Standard library only."""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roboscale.core import BadData, InfrastructureError

__all__ = ["download", "get_json"]

_TIMEOUT_S = 30.0
_BLOCK = 2**20
_MAX_JSON = 2**28


def _opened(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "roboscale"})
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # not to where the server sends us on
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        why = (
            "; it is private, gated or not there: HF_TOKEN opens what is yours"
            if error.code in (401, 403, 404)
            else ""
        )
        raise BadData(url, "address", "something to fetch", f"HTTP {error.code} {error.reason}{why}") from error
    except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
        raise InfrastructureError(f"{url}: cannot be fetched: {getattr(error, 'reason', None) or error}") from error


def get_json(url: str, token: str = "") -> tuple[Any, str]:
    """What an address answers, and the address of the next page; empty where there is none.

    Raises:
        BadData: the server refuses, or answers something else.
        InfrastructureError: there is no answer.
    """
    with _opened(url, token) as reply:
        text, link = reply.read(_MAX_JSON), reply.headers.get("Link", "")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BadData(url, "answer", "JSON", text[:60]) from error
    following = link.split(";")[0].strip().strip("<>") if 'rel="next"' in link else ""
    return data, following


def download(
    url: str, target: Path, *, size: int | None = None, sha256: str = "", token: str = "", tell: Callable[[int], None]
) -> None:
    """Writes the file at `target`, which is not there until all of it is.

    Args:
        size, sha256: what it must have, where somebody says.
        tell: is called with every number of bytes that arrived.

    Raises:
        BadData: the server refuses, or sent something else than it said.
        InfrastructureError: the connection broke; calling again begins this file anew.
    """
    part = target.with_name(f"{target.name}.incomplete")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, got = hashlib.sha256(), 0
    with _opened(url, token) as reply, part.open("wb") as file:
        try:
            while block := reply.read(_BLOCK):
                file.write(block)
                digest.update(block)
                got += len(block)
                tell(len(block))
        except (OSError, http.client.HTTPException) as error:
            raise InfrastructureError(f"{url}: the connection broke after {got} bytes: {error}") from error
        length = reply.headers.get("Content-Length")
    expected = size if size is not None else int(length) if length and length.isdecimal() else None
    if expected is not None and got != expected:
        raise InfrastructureError(f"{url}: {expected} bytes were announced, {got} arrived")
    if sha256 and digest.hexdigest() != sha256:
        raise BadData(url, "sha256", sha256, digest.hexdigest())
    part.replace(target)
