"""Under which licence a dataset is: what its card, its LICENSE file, `info.json` or our sidecar says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roboscale.dataset.lerobot.sidecar import sidecar_lines

__all__ = ["licence_of"]

_SPDX: Mapping[str, str] = MappingProxyType(
    {
        "apache-2.0": "Apache-2.0",
        "bsd-3-clause": "BSD-3-Clause",
        "cc-by-4.0": "CC-BY-4.0",
        "cc-by-nc-4.0": "CC-BY-NC-4.0",
        "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
        "cc-by-sa-4.0": "CC-BY-SA-4.0",
        "cc0-1.0": "CC0-1.0",
        "mit": "MIT",
    }
)
"""The Hub's names of licences -> SPDX ids."""
_TITLES = (("MIT License", "MIT"), ("Apache License", "Apache-2.0"), ("Creative Commons Attribution 4.0", "CC-BY-4.0"))
_CARD = re.compile(r"^licen[sc]e:\s*(\S.*)$", re.MULTILINE | re.IGNORECASE)


def licence_of(root: Path, raw: Mapping[str, Any]) -> str:
    """SPDX id where it is known, else the words that are there; empty where nothing says.

    Args:
        raw: `info.json`.
    """
    for key in ("license", "licence"):
        if isinstance(raw.get(key), str) and raw[key].strip():
            return _spdx(raw[key])
    for name in ("README.md", "readme.md"):
        head = _text(root / name)
        card = head.split("\n---", 1)[0] if head.startswith("---") else ""
        line = _CARD.search(card)
        if line:
            return _spdx(line[1])
    for name in ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE"):
        if (root / name).is_file():
            title = _text(root / name)[:200]
            return next((spdx for words, spdx in _TITLES if words in title), f"see {name}")
    return _sidecar_licence(root)


def _spdx(text: str) -> str:
    text = text.strip().strip("'\"").strip()
    return _SPDX.get(text.lower(), text)


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(20_000).decode("utf-8", "replace")


def _sidecar_licence(root: Path) -> str:
    """The licence that every episode's provenance gives, where they agree."""
    licences = set()
    for line in sidecar_lines(root):
        if line.record is None:
            return ""
        licences.add(line.record.provenance.licence)
    licence = licences.pop() if len(licences) == 1 else ""
    return licence if isinstance(licence, str) else ""
