"""Failures beside what the policies were trained on: the nearest episodes, and the error without the loop.

A trial that fails far from all training episodes asks for such a start. One that fails near them is asked further:
does the policy repeat what the demonstrations did there, shown their own observations? Where it does not, it did not
learn them; where it does, its errors add up in the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Counted, Policy, RoboscaleError
from roboscale.report.why import FailureBesideTraining

if TYPE_CHECKING:
    from roboscale.dataset import Dataset

__all__ = ["TrainingStarts", "beside_training", "open_loop_errors"]

MOST_EPISODES = 1000
NEAREST = 3
FAR = 0.95  # a start is far that is farther from training than this share of training episodes are from each other
LEARNT = 0.5  # an error above is nearer to that of a constant than to none
FEW = 20  # frames of an episode that the policy is asked about
_ROWS, _COLUMNS = 6, 8  # a picture, made so small that noise and small shifts vanish


class TrainingStarts:
    """How the episodes of datasets begin, so that a trial's start can be laid beside them.

    A start is what was first observed: numbers, and a tiny picture of each camera. Each value is divided by its
    spread, over all frames for numbers and over the starts for pictures; fields weigh alike. Distances are divided by
    the median distance of a training episode to its nearest neighbour.

    Raises:
        RoboscaleError: fewer than three episodes, or they share no field with the trials.
    """

    def __init__(self, roots: Sequence[Path], recorded: Path) -> None:
        from roboscale.dataset import Dataset

        self.recorded = Dataset(recorded, images="uint8")
        self.sets = [Dataset(root, images="uint8") for root in roots]
        shared = set(self.recorded.spec.names).intersection(*(one.spec.names for one in self.sets))
        spec = self.recorded.spec
        self.states = [
            f.name for f in spec if f.name in shared and f.name.startswith("observation.") and not f.is_image
        ]
        self.cameras = [f.name for f in spec.images if f.name in shared]
        if not self.states and not self.cameras:
            raise RoboscaleError(f"{', '.join(map(str, roots))} and {recorded}: no observation of one name")
        self.names: list[tuple[int, int]] = []  # number of the dataset, of the episode
        for number, dataset in enumerate(self.sets):
            self.names += [(number, k) for k in range(len(dataset.episodes))]
        self.left_out = max(0, len(self.names) - MOST_EPISODES)
        self.names = self.names[:: -(-len(self.names) // MOST_EPISODES)] if self.left_out else self.names
        if len(self.names) < 3:
            raise RoboscaleError(f"{', '.join(map(str, roots))}: expected three training episodes or more")
        raw = [self._start(self.sets[number], episode) for number, episode in self.names]
        self._spread = self._spreads(raw)
        self._starts = np.array([self._scaled(start) for start in raw])
        between = np.linalg.norm(self._starts[:, None] - self._starts[None], axis=2)
        np.fill_diagonal(between, np.inf)
        apart = between.min(axis=1)
        self._usual = max(float(np.median(apart)), 1e-9)
        self.edge = float(np.quantile(apart, FAR)) / self._usual
        self._places = {info.id: info.index for info in self.recorded.episodes}

    def _start(self, dataset: Dataset, episode: int) -> dict[str, NDArray[np.float64]]:
        first = dataset.raw_item(int(dataset.lengths[:episode].sum()))
        start = {name: np.asarray(first[name], float).ravel() for name in self.states}
        return start | {name: _tiny(first[name]) for name in self.cameras}

    def _spreads(self, raw: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
        spreads = {}
        for name in self.states:
            frames = np.concatenate([np.asarray(one.arrays(name), float).reshape(len(one), -1) for one in self.sets])
            spreads[name] = np.maximum(frames.std(axis=0), 1e-6)
        for name in self.cameras:
            seen = np.array([start[name] for start in raw])
            spreads[name] = np.maximum(seen.std(axis=0), 4.0)  # less than a sensor's noise tells nothing
        return spreads

    def _scaled(self, start: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([start[n] / self._spread[n] / np.sqrt(len(start[n])) for n in self._spread])

    def of(self, trial: Counted) -> tuple[float, tuple[int, ...]] | None:
        """Distance of a trial's start to the nearest training episode, and the nearest ones; `None` if unrecorded."""
        from roboscale.trials import episode_id

        place = None if trial.trial is None else self._places.get(trial.trial.episode or episode_id(trial.trial))
        if place is None:
            return None
        far = np.linalg.norm(self._starts - self._scaled(self._start(self.recorded, place)), axis=1) / self._usual
        order = np.argsort(far, kind="stable")[:NEAREST]
        return float(far[order[0]]), tuple(int(k) for k in order)

    def called(self, k: int) -> str:
        """A training episode for people, as `roboscale data show` counts them."""
        number, episode = self.names[k]
        return f"{self.sets[number].root.name} {episode}"


def _tiny(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, 3) as the means of 6 x 8 fields, flat."""
    height, width = picture.shape[:2]
    rows = np.linspace(0, height, min(_ROWS, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(_COLUMNS, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(picture.astype(float), rows, axis=0), columns, axis=1)
    sizes = np.diff([*rows, height])[:, None] * np.diff([*columns, width])[None]
    return np.asarray((sums / sizes[..., None]).ravel())


def open_loop_errors(policy: Policy, starts: TrainingStarts, episodes: Sequence[int]) -> dict[int, float]:
    """Of each training episode how far the policy's actions are from the recorded ones, shown what was seen then.

    Root of the mean square over frames and values, divided by that of whoever always gives the datasets' mean action:
    0 repeats the demonstration, 1 is no better than a constant.
    """
    actions = np.concatenate([np.asarray(one.arrays("action"), float).reshape(len(one), -1) for one in starts.sets])
    mean, spread, errors = actions.mean(axis=0), np.maximum(actions.std(axis=0), 1e-6), dict[int, float]()
    for k in episodes:
        number, episode = starts.names[k]
        dataset = starts.sets[number]
        first, length = int(dataset.lengths[:episode].sum()), int(dataset.lengths[episode])
        session = policy.start(dataset.episodes[episode].instruction, 0)
        missed, moved = [], []
        for frame in np.unique(np.linspace(0, length - 1, min(FEW, length)).astype(int)):
            item = dataset.raw_item(first + int(frame))
            said = session({name: np.asarray(item[name]) for name in dataset.spec.names if name in item})
            if isinstance(said, ActionChunk):
                done = np.ravel(item["action"])
                missed.append(((np.ravel(said.rows[0]) - done) / spread) ** 2)
                moved.append(((done - mean) / spread) ** 2)
        if missed:
            errors[k] = float(np.sqrt(np.mean(missed) / max(float(np.mean(moved)), 1e-12)))
    return errors


def beside_training(
    starts: TrainingStarts,
    failures: Mapping[tuple[str, str], Sequence[Counted]],
    successes: Mapping[str, Sequence[Counted]],
    policies: Mapping[str, Policy],
) -> list[FailureBesideTraining]:
    """A row of every group of failures of which a trial was recorded.

    Args:
        failures: (policy, reason) -> its trials; successes: of every policy.
        policies: those that can be asked again, by the run's labels.
    """
    rows, asked = [], dict[str, dict[int, float]]()
    for (policy, reason), trials in failures.items():
        mine = [near for near in map(starts.of, trials) if near is not None]
        if not mine:
            continue
        good = [near for near in map(starts.of, successes.get(policy, ())) if near is not None]
        distance = float(np.mean([far for far, _ in mine]))
        open_loop = beside = None
        if policy in policies:
            known = asked.setdefault(policy, {})
            wanted = {k for _, nearest in (*mine, *good) for k in nearest} - known.keys()
            known |= open_loop_errors(policies[policy], starts, sorted(wanted))
            open_loop, beside = _mean_error(known, mine), _mean_error(known, good)
        far = distance > starts.edge
        rows.append(
            FailureBesideTraining(
                policy=policy,
                reason=reason,
                trials=len(mine),
                nearest=tuple(starts.called(k) for k in mine[0][1]),
                distance=distance,
                succeeded=float(np.mean([away for away, _ in good])) if good else None,
                far=far,
                open_loop=open_loop,
                open_loop_succeeded=beside,
                reading=_reading(far, open_loop, beside),
            )
        )
    return rows


def _mean_error(known: Mapping[int, float], near: Sequence[tuple[float, tuple[int, ...]]]) -> float | None:
    errors = [known[k] for _, nearest in near for k in nearest if k in known]
    return float(np.mean(errors)) if errors else None


def _reading(far: bool, error: float | None, beside: float | None) -> str:
    """What distance and error say together; a hint where to look, never a test."""
    if far:
        return "it begins far from all training episodes: such starts are missing"
    if error is None:
        return "training episodes begin alike: see whether the policy repeats them (--policy)"
    if error > LEARNT or (beside is not None and error > 2 * beside and error > LEARNT / 2):
        return "training episodes begin alike, and the policy does not repeat them: they are not learnt"
    return "training episodes begin alike, and the policy repeats them: its errors add up in the loop"
