"""The records of episodes under `meta/roboscale/episodes`, as they are: every line, whole or broken.

The one reader of them: whoever is strict raises what a line says of itself, whoever is lenient passes over it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roboscale.core import BadData
from roboscale.dataset.journal import EpisodeRecord
from roboscale.dataset.layout import Layout

__all__ = ["SidecarLine", "sidecar_files", "sidecar_lines"]


@dataclass(frozen=True, slots=True)
class SidecarLine:
    """One line.

    Args:
        data: the object that it holds; empty where it holds none.
        record: the same as our own noun; `None` where it is none.
        error: why not.
    """

    file: Path
    data: Mapping[str, Any]
    record: EpisodeRecord | None
    error: BadData | None


def sidecar_files(root: Path) -> list[Path]:
    """The files of records, in order."""
    return sorted((Layout(root).own / "episodes").glob("*/*.jsonl"))


def sidecar_lines(root: Path) -> Iterator[SidecarLine]:
    """Every line of every file that is not blank; never raises for what is in it."""
    for file in sidecar_files(root):
        lines = file.read_bytes().split(b"\n")  # splitlines() knows more ends than JSON does
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _line(file, number, line)


def _line(file: Path, number: int, line: bytes) -> SidecarLine:
    where = f"line {number}"
    try:
        data = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return SidecarLine(file, {}, None, BadData(file, "file", "UTF-8", error))
    except (ValueError, RecursionError) as error:
        return SidecarLine(file, {}, None, BadData(file, where, "JSON", error))
    if not isinstance(data, dict):
        return SidecarLine(file, {}, None, BadData(file, where, "a JSON object", type(data).__name__))
    try:
        return SidecarLine(file, data, EpisodeRecord.from_json(data, file), None)
    except BadData as error:
        return SidecarLine(file, data, None, error)
    except (AttributeError, RecursionError) as error:
        return SidecarLine(file, data, None, BadData(file, where, "an episode's record", repr(error)))
