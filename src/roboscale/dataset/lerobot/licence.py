"""Under which licence a dataset is, and in which languages its texts are: by its card, its files or our sidecar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roboscale.dataset.lerobot.sidecar import sidecar_lines

__all__ = ["languages_of", "licence_of"]

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
_LANGUAGE = re.compile(r"^languages?:((?:[ \t]*\S.*)|(?:(?:\n[ \t]*-.*)+))$", re.MULTILINE)
_CARD = re.compile(r"^licen[sc]e:\s*(\S.*)$", re.MULTILINE | re.IGNORECASE)


def licence_of(root: Path, raw: Mapping[str, Any]) -> str:
    """SPDX id where it is known, else the words that are there; empty where nothing says.

    Args:
        raw: `info.json`.
    """
    for key in ("license", "licence"):
        if isinstance(raw.get(key), str) and raw[key].strip():
            return _spdx(raw[key])
    line = _CARD.search(_card(root))
    if line:
        return _spdx(line[1])
    for name in ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE"):
        if (root / name).is_file():
            title = _text(root / name)[:200]
            return next((spdx for words, spdx in _TITLES if words in title), f"see {name}")
    return _sidecar_licence(root)


def languages_of(root: Path) -> tuple[str, ...]:
    """Of the texts, as the card says them, such as `en`; empty where it says none."""
    said = _LANGUAGE.search(_card(root))
    return tuple(re.findall(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]+)?", said[1])) if said else ()


def _card(root: Path) -> str:
    """The head of the dataset's card, which is YAML."""
    heads = (_text(root / name) for name in ("README.md", "readme.md"))
    return next((head.split("\n---", 1)[0] for head in heads if head.startswith("---")), "")


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
