"""Layouts of one's own: HDF5, npz, npy, zarr, CSV, folders of pictures and videos, mapped by a small TOML file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording
from roboscale.sources.records.own.bundle import find_episodes
from roboscale.sources.records.own.draft import explain_arrays
from roboscale.sources.records.own.mapping import load_own_mapping
from roboscale.sources.records.own.recording import OwnRecording

__all__ = ["FORMATS", "detect", "explain_arrays", "held_arrays", "open_path"]

FORMATS = ("own-layout",)


def detect(path: Path) -> str | None:
    """`own-layout` for a file or folder that holds arrays, tables, pictures or videos in no known layout."""
    return "own-layout" if next(iter(find_episodes(path)), None) is not None else None


def held_arrays(path: Path) -> tuple[int, dict[str, str]]:
    """How many episodes lie there, and what the first holds: name -> kind, rows, dtype and shape.

    Raises:
        BadData: no episode is found, or it cannot be read.
    """
    bundles = list(find_episodes(path))
    if not bundles:
        raise BadData(path, "source", "arrays, tables, pictures or videos", "none")
    there = bundles[0].sources()
    return len(bundles), {
        name: f"{one.kind}, {one.rows} rows" + (f" of {one.dtype}{list(one.shape)}" if one.dtype else "")
        for name, one in there.items()
    }


def open_path(
    path: Path, format: str, *, mapping: Path | Mapping[str, Any] | None = None, fps: float | None = None
) -> Recording:
    """Opens recordings by what a mapping says of them.

    Args:
        mapping: what the arrays mean: a TOML file or its content; see `mapping.py`.
        fps: of the frames (Hz), instead of the mapping's.

    Raises:
        BadData: no mapping, or the files do not fit it; names file, array and both sides.
    """
    if mapping is None:
        first = next(iter(find_episodes(path)), None)
        found = ", ".join(list(first.sources())[:12]) if first is not None else "nothing"
        # What looks like a known format and is read as one's own is detected as that format without the flag.
        draft = f"roboscale data import {shlex.quote(str(path))} --explain --format own-layout"
        expected = f"a TOML file that says what the arrays mean: `{draft}` drafts it"
        raise BadData(path, "mapping", expected, f"none for {found}")
    return OwnRecording(path, load_own_mapping(mapping, fps))
