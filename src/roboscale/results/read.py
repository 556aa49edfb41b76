"""Any file or folder of results, recognised by what it is."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

from roboscale.core import BadData
from roboscale.results.files import STANDARD_INPUT, load_grids
from roboscale.results.joining import join_results
from roboscale.results.nouns import Results
from roboscale.results.reading import AS_THEY_ARE, ReadOptions
from roboscale.results.roboarena import is_session, results_of_sessions
from roboscale.results.tables import part_of_grid

__all__ = ["read_results"]

_DEPTH = 3
"""Folders below the one that is asked for in which results are looked for."""


def read_results(path: Path, policy: str = "", options: ReadOptions = AS_THEY_ARE) -> Results:
    """Reads what others wrote: a table (CSV, spreadsheet, JSON, JSON lines, Parquet), a log, or sessions.

    Args:
        path: a file, a folder with `eval_info.json` or with sessions, a pipe such as `<(...)`, or `-`
            for standard input.
        policy: name for files that do not say whose results they are.
        options: what need not be guessed.

    Raises:
        BadData: nothing is there, it is not understood, or it can be read in two ways; names the flag that decides.
    """
    path = Path(path)
    if str(path) != STANDARD_INPUT and path.is_dir():
        return _folder(path, policy, options)
    grids = load_grids(path, options, policy)
    parts = tuple(part_of_grid(path, grid, policy, options) for grid in grids)
    source = path.name if path.is_file() else grids[0].source
    alone = replace(options, task="", world="")
    return join_results([Results(source=source, parts=parts)], alone)


def _folder(path: Path, policy: str, options: ReadOptions) -> Results:
    if (path / "eval_info.json").is_file():
        return read_results(path / "eval_info.json", policy or path.name, options)
    logs = _below(path, "metadata.yaml")
    sessions = [file for file in logs if is_session(file)]
    if sessions:
        others = [str(file.relative_to(path)) for file in logs if file not in sessions]
        shown = f"{', '.join(others[:3])}{f' and {len(others) - 3} more' if len(others) > 3 else ''}"
        return results_of_sessions(
            path, sessions, (f"not read, for no policies are in them: {shown}",) if others else ()
        )
    expected = "trials.db, eval_info.json, or sessions with metadata.yaml"
    below = [file.relative_to(path) for file in _below(path, "eval_info.json")]
    if below:
        expected += f" (for all evaluations below a folder: roboscale check {shlex.quote(str(path))}, or name each)"
        more = f" and {len(below) - 3} more" if len(below) > 3 else ""
        raise BadData(path, "results", expected, f"{', '.join(map(str, below[:3]))}{more}")
    files = sorted(file.name for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if files:
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        expected += f" (for all evaluations in a folder: roboscale check {shlex.quote(str(path))})"
        raise BadData(path, "results", expected, f"{', '.join(files[:3])}{more}")
    found = f"none of them ({logs[0].relative_to(path)} speaks of no policies)" if logs else "none of them"
    raise BadData(path, "results", expected, found)


def _below(folder: Path, name: str) -> list[Path]:
    """Files of these names, not deeper than anybody keeps results: `rank /` is not to walk through all of a disk."""
    found = []
    for root, folders, files in os.walk(folder):  # what may not be looked into is passed over
        found += [Path(root, name)] if name in files else []
        if len(Path(root).relative_to(folder).parts) >= _DEPTH:
            folders.clear()
    return sorted(found)
