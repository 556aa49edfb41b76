"""Results for a job: what others wrote, and our own trials, which are read from their store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from roboscale.core import BadData, Trial
from roboscale.results import Results, read_results
from roboscale.trials import TrialStore

__all__ = ["load_results", "trials_by_policy"]


def load_results(sources: Sequence[str]) -> Results:
    """Reads `PATH` or `NAME=PATH` for each; NAME is the policy of files that do not say.

    Raises:
        BadData: a file is not there or not understood, or all together hold no trial and no comparison.
    """
    merged: Results | None = None
    for text in sources:
        name, sign, path = text.partition("=")
        whole = not sign or Path(text).exists()
        one = _read(Path(text), "") if whole else _read(Path(path), name)
        merged = one if merged is None else merged.merged(one)
    if merged is None or not (merged.trials or merged.comparisons):
        raise BadData(", ".join(sources), "results", "at least one trial or comparison", "none")
    return merged


def _read(path: Path, policy: str) -> Results:
    store = path / "trials.db" if path.is_dir() else path
    if store.suffix == ".db" and store.is_file():
        return _read_store(store)
    return read_results(path, policy)


def _read_store(path: Path) -> Results:
    """Our own trials; adaptive when any run of them could stop by what it had seen."""
    with TrialStore(path) as store:
        rules = [run["plan"].get("stopping") or {} for run in store.runs()]
        return Results(path.name, tuple(store), adaptive=any(rule.get("sequential") for rule in rules))


def trials_by_policy(results: Results) -> dict[str, list[Trial]]:
    """Policy -> its trials, policies in the order of their names."""
    grouped: dict[str, list[Trial]] = defaultdict(list)
    for trial in results.trials:
        grouped[trial.policy].append(trial)
    return dict(sorted(grouped.items()))
