"""Datasets on the Hugging Face Hub, or a server that speaks its API: which files a revision has, and where they are.

`HF_ENDPOINT` names another server, `HF_TOKEN` opens what is private.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from roboscale.core import BadData
from roboscale.sources.addresses.http import get_json

__all__ = ["HubDataset", "HubFile", "hub_dataset", "parse_hub"]

_ADDRESS = re.compile(
    r"(?:hf:/+datasets/|https?:/+huggingface\.co/datasets/)"
    r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<at>[^/]+))?(?:/(?:tree|resolve|blob)/(?P<tree>[^/]+))?(?:/(?P<below>.*))?"
)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a revision: its path, bytes, and the sha256 of its content where the Hub says it."""

    path: str
    size: int
    sha256: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """One revision of a dataset.

    Args:
        sha: of the commit.
        card: licence, languages and whatever else its card says.
    """

    repo: str
    sha: str
    card: dict[str, Any]
    files: tuple[HubFile, ...]


def parse_hub(address: str) -> tuple[str, str, str] | None:
    """(repository, revision, folder below) of `hf://datasets/OWNER/NAME[@rev][/folder]` or a page of the Hub."""
    match = _ADDRESS.fullmatch(address.rstrip("/"))
    if match is None:
        return None
    return match["repo"], match["at"] or match["tree"] or "main", match["below"] or ""


def token() -> str:
    """What opens private datasets; empty where there is none."""
    return os.environ.get("HF_TOKEN", "")


def hub_dataset(repo: str, revision: str) -> HubDataset:
    """What a revision holds.

    Raises:
        BadData: there is no such dataset or revision, or it is not open to this token.
        InfrastructureError: the server cannot be reached.
    """
    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    rev = urllib.parse.quote(revision, safe="")
    head, _ = get_json(f"{server}/api/datasets/{repo}/revision/{rev}", token())
    if not isinstance(head, dict) or not isinstance(head.get("sha"), str):
        raise BadData(f"{server}/api/datasets/{repo}", "sha", "a commit", str(head)[:80])
    sha, files = head["sha"], list[HubFile]()
    page = f"{server}/api/datasets/{repo}/tree/{sha}?recursive=true&limit=1000"
    while page:
        entries, page = get_json(page, token())
        if page and not page.startswith(f"{server}/"):
            raise BadData(server, "next page", "one of the same server", page[:120])
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("type") == "file":
                path = str(entry["path"])
                lfs = entry.get("lfs") or {}
                url = f"{server}/datasets/{repo}/resolve/{sha}/{urllib.parse.quote(path)}"
                files.append(
                    HubFile(path, int(lfs.get("size") or entry.get("size") or 0), str(lfs.get("oid", "")), url)
                )
    card = head.get("cardData")
    return HubDataset(repo=repo, sha=sha, card=card if isinstance(card, dict) else {}, files=tuple(files))
