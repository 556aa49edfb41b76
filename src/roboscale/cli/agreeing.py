"""The same policies in a real and in a cheap world: do they agree, and what do both together say?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from roboscale.cli.standing import load_results
from roboscale.core import RoboscaleError, Trial
from roboscale.stats.fusion import Fusion, FusionMode
from roboscale.stats.fusion import fuse as fuse_scores
from roboscale.stats.validity import ValidityCard
from roboscale.stats.validity import validity as validity_card
from roboscale.trials.results import Results

__all__ = ["Judges", "card_of", "fused"]

_MODES: Mapping[str, FusionMode] = {"auto": "auto", "ppi": "ppi++", "betting": "betting"}


def _scores(results: Results, task: str = "") -> dict[str, dict[str, float | None]]:
    """Policy -> case -> success as 0 or 1, `None` where void; the last attempt of each case."""
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    for trial in sorted(results.trials, key=lambda t: t.attempt):
        if task in ("", trial.case.task):
            found[trial.policy][trial.case.id] = _score(trial)
    return dict(found)


def _score(trial: Trial) -> float | None:
    success = trial.outcome.success
    return None if success is None else float(success)


def _shared(real: Mapping[str, object], cheap: Mapping[str, object]) -> list[str]:
    names = [name for name in real if name in cheap]
    if not names:
        sides = f"real has {', '.join(sorted(real)) or 'none'}; cheap has {', '.join(sorted(cheap)) or 'none'}"
        raise RoboscaleError(f"no policy was tried in both worlds: {sides}")
    return names


def _counts(scores: Mapping[str, float | None]) -> tuple[int, int]:
    counted = [score for score in scores.values() if score is not None]
    return int(sum(counted)), len(counted)


@dataclass(frozen=True, slots=True)
class Judges:
    """The validity card of a cheap world, and the counts it was made from."""

    card: ValidityCard
    real: Mapping[str, tuple[int, int]]
    cheap: Mapping[str, tuple[int, int]]


def card_of(real: str, cheap: str, task: str = "", level: float = 0.95) -> Judges:
    """Compares two worlds over the policies that were tried in both; others are listed as left out."""
    a, b = (_scores(load_results([source]), task) for source in (real, cheap))
    _shared(a, b)
    counts = [{name: _counts(scores) for name, scores in world.items()} for world in (a, b)]
    return Judges(validity_card(counts[0], counts[1], level=level), counts[0], counts[1])


def fused(real: str, cheap: str, mode: str = "auto", level: float = 0.95) -> dict[str, Fusion]:
    """Policy -> its real rate from the cases both worlds saw and the further cases of the cheap one."""
    if mode not in _MODES:
        raise RoboscaleError(f"--mode: expected {', '.join(_MODES)}, found {mode!r}")
    a, b = (_scores(load_results([source])) for source in (real, cheap))
    found = {}
    for name in _shared(a, b):
        cases = sorted(case for case in a[name] if case in b[name])
        extra = [s for case, s in sorted(b[name].items()) if case not in a[name] and s is not None]
        if not cases:
            raise RoboscaleError(f"{name}: no case is in both files: the cheap world must see the real cases, too")
        found[name] = fuse_scores([a[name][c] for c in cases], [b[name][c] for c in cases], extra, level, _MODES[mode])
    return found
