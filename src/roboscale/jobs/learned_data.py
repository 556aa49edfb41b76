"""A dataset as what a learned world is fitted to: states, actions, labels frame by frame, and what is held out.

Labels come from the trials' own series where their store is given, else from outcomes: then the last frame of a
success is taken for one, and every other frame for none, which is what the rule `first` records. What is left out or
assumed is a line of `notes`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, Spec, UnknownName, generator

if TYPE_CHECKING:
    from roboscale.core import Trial
    from roboscale.dataset import Dataset, EpisodeInfo
    from roboscale.worlds.learned import LoggedEpisodes

__all__ = ["LearnableData", "load_learnable"]

Floats = NDArray[np.float64]
FEWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnableData:
    """Episodes to learn from, and those held out, in one shape.

    Args:
        name: of the dataset.
        fields: of the state. action: what is applied. Both of `spec`, at its rate.
        tasks: task -> sentence.
        train, held_out: episodes.
        embodiment: the robot.
        fingerprint: digest of all states, actions and labels.
        notes: what was left out or assumed.
    """

    name: str
    spec: Spec
    fields: tuple[Field, ...]
    action: Field
    tasks: Mapping[str, str]
    train: LoggedEpisodes
    held_out: LoggedEpisodes
    embodiment: str
    fingerprint: str
    notes: tuple[str, ...]

    def failures_for(self, tasks: Sequence[str], observed: Spec) -> LoggedEpisodes:
        """All logged failures of these tasks; SpecMismatch where the states are others."""
        from roboscale.core import require_match
        from roboscale.worlds.learned import LoggedEpisodes

        require_match(observed, self.spec.select([f.name for f in self.fields]), "the world", self.name)
        mine = list(self.tasks)
        chosen: dict[str, list[Any]] = {name: [] for name in LoggedEpisodes.__dataclass_fields__}
        for part in (self.train, self.held_out):
            for i, outcome in enumerate(part.outcomes):
                if outcome is False and mine[part.tasks[i]] in tasks:
                    for name, values in chosen.items():
                        value = getattr(part, name)[i]
                        values.append(tasks.index(mine[value]) if name == "tasks" else value)
        return LoggedEpisodes(**chosen)

    @property
    def longest(self) -> int:
        """Frames of the longest episode."""
        return max(len(s) for s in (*self.train.states, *self.held_out.states))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One episode as it was read."""

    info: EpisodeInfo
    task: str
    states: Floats
    actions: Floats
    success: Floats
    progress: Floats
    outcome: bool | None
    by_frame: bool


def load_learnable(
    root: Path,
    *,
    labels: str = "",
    share: float = 0.2,
    seed: int = 0,
    leave_out: Sequence[str] = (),
    fewest: int = FEWEST,
) -> LearnableData:
    """Reads a dataset and holds a share of its episodes out, of every task, outcome and operator alike.

    Args:
        labels: store of the trials that the episodes were recorded from; empty where there is none.
        share: of the episodes that are held out.
        seed: of the choice.
        leave_out: fields of the state that are not learned.
        fewest: episodes that there must be.

    Raises:
        BadData: no state, no action, too few episodes, a value that is not finite, or labels of none of them.
        UnknownName: a field to leave out that is none of the state.
    """
    from roboscale.dataset import Dataset

    dataset = Dataset(root)
    fields = _learned_fields(dataset, leave_out)
    name = "applied.action" if "applied.action" in dataset.spec else "action"
    if name not in dataset.spec:
        raise BadData(root, "action", "a field action", ", ".join(dataset.spec.names))
    series = _series_of(labels)
    notes: list[str] = []
    episodes = [_read(dataset, info.index, fields, name, series) for info in dataset.episodes]
    short = [e for e in episodes if len(e.states) < 2]
    episodes = [e for e in episodes if len(e.states) >= 2]
    if short:
        notes.append(f"{len(short)} episodes of a single frame are not learned from")
    if len(episodes) < fewest:
        raise BadData(root, "episodes", f"at least {fewest} of two frames or more", len(episodes))
    notes += _label_notes(episodes, labels)
    left = [f.name for f in dataset.spec if f.name.startswith("observation.") and f not in fields]
    left += [f.name for f in dataset.spec if f.name.startswith("contact.")]
    if left:
        notes.append(f"not learned, so that policies that read it cannot be tried: {', '.join(left)}")
    tasks = {e.task: e.info.instruction for e in episodes}
    kept, held = _split(episodes, share, seed)
    action = Field(**{**_fields_of(dataset.spec["action"]), "name": "action"})
    return LearnableData(
        name=root.name,
        spec=Spec((*fields, action), dataset.spec.rate_hz),
        fields=fields,
        action=action,
        tasks=tasks,
        train=_together(kept, list(tasks)),
        held_out=_together(held, list(tasks)),
        embodiment=next((e.info.provenance.embodiment for e in episodes if e.info.provenance), ""),
        fingerprint=_fingerprint(episodes),
        notes=tuple(notes),
    )


def _learned_fields(dataset: Dataset, leave_out: Sequence[str]) -> tuple[Field, ...]:
    """The fields of the state without those to leave out."""
    from roboscale.worlds.learned import state_fields

    every = state_fields(dataset.spec.fields)
    for name in leave_out:
        if name not in [f.name for f in every]:
            raise UnknownName(f"--leave-out of {dataset.root}", name, [f.name for f in every])
    fields = tuple(f for f in every if f.name not in leave_out)
    if not fields:
        names = ", ".join(dataset.spec.names)
        raise BadData(dataset.root, "state", "a field observation.* of floating numbers", names)
    return fields


def _fields_of(field: Field) -> dict[str, Any]:
    return {name: getattr(field, name) for name in field.__dataclass_fields__}


def _series_of(labels: str) -> dict[str, Trial]:
    """Id of a trial -> the trial with its series."""
    if not labels:
        return {}
    from roboscale.trials.log import open_log

    with open_log(labels, read_only=True) as log:
        return {trial.id: trial for trial in log.trials()}


def _read(dataset: Dataset, index: int, fields: Sequence[Field], action: str, series: Mapping[str, Trial]) -> _Read:
    from roboscale.worlds.learned import flat_state

    info = dataset.episodes[index]
    episode = dataset.episode(index, images=False)
    states = flat_state(fields, episode.arrays)
    actions = episode.arrays[action].reshape(len(states), -1).astype(np.float64)
    for what, values in (("state", states), ("action", actions)):
        if not np.isfinite(values).all():
            raise BadData(dataset.root, f"{what} of episode {info.id}", "finite values", "NaN or infinity")
    known = info.provenance
    outcome = None if info.outcome is None else info.outcome.success
    trial = series.get(str(known.details.get("trial", ""))) if known is not None else None
    by_frame = trial is not None and "success" in trial.series
    success, progress = _labels(len(states), outcome, trial if by_frame else None)
    task = known.task if known is not None and known.task else info.instruction
    return _Read(
        info=info,
        task=task.replace("/", " ") or "task",
        states=states,
        actions=actions,
        success=success,
        progress=progress,
        outcome=outcome,
        by_frame=by_frame,
    )


def _labels(frames: int, outcome: bool | None, trial: Trial | None) -> tuple[Floats, Floats]:
    """(T,) each: what was measured after step t is what frame t + 1 shows; NaN where a trial ended before."""
    success, progress = np.full(frames, np.nan), np.full(frames, np.nan)
    if trial is not None:
        for labels, name in ((success, "success"), (progress, "progress")):
            measured = trial.series.get(name)
            if measured is not None:
                told = np.asarray(measured[: frames - 1], np.float64)
                labels[1 : 1 + len(told)] = told
        return success, progress
    if outcome is not None:
        success[:] = 0.0
        success[-1] = float(outcome)
    return success, progress


def _label_notes(episodes: Sequence[_Read], labels: str) -> list[str]:
    """What the labels are; BadData where a store was named and labels no episode."""
    found = sum(e.by_frame for e in episodes)
    if labels and not found:
        expected = "trials that these episodes were recorded from, with success after every step"
        raise BadData(labels, "labels", expected, f"none for {len(episodes)} episodes")
    unknown = sum(e.outcome is None and not e.by_frame for e in episodes)
    rest = len(episodes) - found - unknown
    notes = []
    if labels:
        notes.append(f"{found} of {len(episodes)} episodes are labelled frame by frame by {labels}")
    if rest > 0:
        notes.append(
            f"{rest} episodes are labelled by their outcome: the last frame of a success counts as one, all others as "
            "none (what ended an episode came a step after its last frame)"
        )
    if unknown:
        notes.append(f"{unknown} episodes were judged by nobody: the judge learns nothing from them")
    return notes


def _split(episodes: Sequence[_Read], share: float, seed: int) -> tuple[list[_Read], list[_Read]]:
    """Those to learn from and those held out, a share of every task, outcome and operator."""
    groups: dict[tuple[str, str, str], list[_Read]] = {}
    for one in episodes:
        operator = one.info.provenance.operator if one.info.provenance is not None else ""
        groups.setdefault((one.task, str(one.outcome), operator), []).append(one)
    kept: list[_Read] = []
    held: list[_Read] = []
    owed = 0.0
    for key in sorted(groups):
        group = groups[key]
        order = generator("held out", seed, *key).permutation(len(group))
        owed += share * len(group)
        count = min(len(group) - 1, max(0, round(owed)))
        owed -= count
        held += [group[i] for i in order[:count]]
        kept += [group[i] for i in order[count:]]
    if not held:
        kept, held = kept[:-1], kept[-1:]
    return kept, held


def _together(episodes: Sequence[_Read], tasks: Sequence[str]) -> LoggedEpisodes:
    from roboscale.worlds.learned import LoggedEpisodes

    provenances = [e.info.provenance for e in episodes]
    return LoggedEpisodes(
        ids=[e.info.id for e in episodes],
        tasks=[tasks.index(e.task) for e in episodes],
        seeds=[None if p is None else p.seed for p in provenances],
        operators=["" if p is None else p.operator for p in provenances],
        states=[e.states for e in episodes],
        actions=[e.actions for e in episodes],
        success=[e.success for e in episodes],
        progress=[e.progress for e in episodes],
        outcomes=[e.outcome for e in episodes],
    )


def _fingerprint(episodes: Sequence[_Read]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for one in episodes:
        digest.update(one.info.id.encode() + one.task.encode())
        for values in (one.states, one.actions, one.success, one.progress):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
