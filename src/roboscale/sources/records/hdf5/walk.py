"""Finds the files of a recording below a folder, in one order everywhere, without leaving the folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from roboscale.sources.records.hdf5.common import natural

__all__ = ["first_file", "walk_files"]

_DEPTH = 8
_LOOKED_AT = 5000  # folders that detection looks into before it gives up


def _walk(root: Path, endings: Collection[str]) -> Iterator[Path | None]:
    """Files by name ending, sorted; None after each folder. Links to folders are not followed."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders.sort(key=natural)
        if len(here.relative_to(root).parts) >= _DEPTH:
            folders.clear()
        for name in sorted(files, key=natural):
            if name.endswith(tuple(endings)):
                yield here / name
        yield None


def walk_files(root: Path, endings: Collection[str]) -> list[Path]:
    """Every file below `root` whose name has one of the endings."""
    return [file for file in _walk(root, endings) if file is not None]


def first_file(root: Path, endings: Collection[str]) -> Path | None:
    """The first of them, or None; looks into a bounded number of folders."""
    for folders, file in enumerate(_walk(root, endings)):
        if file is not None:
            return file
        if folders > _LOOKED_AT:
            return None
    return None
