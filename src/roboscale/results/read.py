"""Any file or folder of results, recognised by what it is."""

from __future__ import annotations

from pathlib import Path

from roboscale.core import BadData
from roboscale.results.lerobot import is_eval_info, trials_of_eval_info
from roboscale.results.nouns import Results
from roboscale.results.roboarena import results_of_sessions
from roboscale.results.rows import as_rows, load_rows, read_document
from roboscale.results.tables import results_of_rows

__all__ = ["read_results"]

_LIMIT = 512 * 2**20  # bytes


def read_results(path: Path, policy: str = "") -> Results:
    """Reads what others wrote: a CSV, JSON, JSON lines or Parquet table, `eval_info.json`, or a folder of sessions.

    Args:
        policy: name for files that do not say whose results they are; by default that of the file's folder.

    Raises:
        BadData: nothing is there, or it is not understood; names the columns that would be.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, policy)
    if not path.is_file():
        raise BadData(path, "results", "a file or folder", "nothing")
    if path.stat().st_size > _LIMIT:
        raise BadData(path, "size", f"at most {_LIMIT} bytes", path.stat().st_size)
    if path.suffix == ".json":
        data = read_document(path)
        if is_eval_info(data):
            trials = tuple(trials_of_eval_info(path, data, policy or path.parent.name or path.stem))
            return Results.of_objects(path.name, trials)
        return results_of_rows(path, as_rows(path, data), policy)
    return results_of_rows(path, load_rows(path), policy)


def _folder(path: Path, policy: str) -> Results:
    if (path / "eval_info.json").is_file():
        return read_results(path / "eval_info.json", policy or path.name)
    sessions = sorted(path.glob("**/metadata.yaml"))
    if sessions:
        return results_of_sessions(path, sessions)
    raise BadData(path, "results", "trials.db, eval_info.json, or sessions with metadata.yaml", "none of them")
