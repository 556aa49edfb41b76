"""Chooses what of a dataset to learn from, and finds out whether that helps: a selection, never a changed dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.curate.method import Method
    from roboscale.curate.selection import Selection
    from roboscale.dataset import Dataset

__all__ = ["CurateDataset", "CuratedDataset", "CutFrames", "curate_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateDataset(Request):
    """Asks which episodes are worth learning from.

    Args:
        keep: share of the frames of each instruction; for `rest`, which cuts frames, all that moves without it.
        labels: people's decisions stand above the method's; the budget is not filled up again.
        budget: hours to keep, in place of a share.
        learner, rollouts: for `influence`, what was trained on the dataset, and how it did.
        validate: folder of trained policies and trials that say whether the choice helps.
        tasks: of the world, where the policies of `validate` are tried.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "curate")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0; it is only read.")]
    out: Annotated[Path, Argument("The selection, a JSON file.")]
    method: Annotated[
        str,
        Option(
            "information, progress, consequence, rest or influence; random, length or outcome as controls.",
            flag="--method/-m",
        ),
    ]
    keep: Annotated[float | None, Option("Share of the frames to keep, e.g. .5.", min=0.0, max=1.0)] = None
    budget: Annotated[float | None, Option("Hours to keep.", min=0.0)] = None
    labels: Annotated[bool, Option("Keep and drop as people said in `data show`, whatever the method says.")] = False
    learner: Annotated[
        Path | None, Option("influence: a built-in policy that was trained on the dataset.", flag="--policy")
    ] = None
    rollouts: Annotated[
        Path | None, Option("influence: dataset of its rollouts with outcomes, of `trials export --dataset`.")
    ] = None
    validate: Annotated[
        Path | None, Option("Train on what is kept, on the worst and on random halves, in this folder, and compare.")
    ] = None
    tasks: Annotated[str, Option("Tasks to try them on, with commas.")] = ""
    world: Annotated[str, Option("World to try them in.")] = "metaworld"
    runs: Annotated[int, Option("Trainings a side.", min=1)] = 5
    trials: Annotated[int, Option("Per task and training.", min=1)] = 20
    steps: Annotated[int, Option("Optimiser steps of every training.", min=1)] = 1000
    inputs: Annotated[str, Option("state or images.")] = "state"
    seed: Annotated[int, Option("Seed of the method, the draws, and the trainings.")] = 0
    workers: Annotated[int | None, Option("Processes. Default: the cores.", min=0)] = None

    def check(self) -> None:
        needed = self.method == "influence"
        if (self.learner is not None, self.rollouts is not None) != (needed, needed):
            raise RoboscaleError("--method influence needs --policy and --rollouts, and no other method takes them")
        if self.keep is not None and self.budget is not None:
            raise RoboscaleError("--keep and --budget are two ways to say the same: take one of them")
        if self.keep is None and self.budget is None and self.method != "rest":
            raise RoboscaleError("say how much to keep, as --keep SHARE or as --budget HOURS")
        if self.keep == 0.0 or self.budget == 0.0:
            raise RoboscaleError("a selection of nothing teaches nothing: --keep and --budget are above 0")
        if (self.validate is not None) != bool(self.tasks):
            raise RoboscaleError("--validate FOLDER and --tasks NAMES belong together: policies are tried somewhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFrames(Plain):
    """What is left out of the episodes that are kept.

    Args:
        frames, seconds: that are cut. pieces: that are kept.
        episodes: of how many something is cut. shares: the least, median and largest share of a kept episode.
    """

    frames: int
    seconds: float
    pieces: int
    episodes: int
    shares: tuple[float, float, float]

    @classmethod
    def of(cls, selection: Selection, dataset: Dataset) -> CutFrames:
        """Counts them."""
        import numpy as np

        lengths = {episode.id: episode.length for episode in dataset.episodes}
        kept: Counter[str] = Counter()
        for row in selection.kept:
            kept[row.episode] += row.last - row.first + 1
        lost = np.array([1 - count / lengths[id_] for id_, count in kept.items()])
        frames = sum(lengths[id_] - count for id_, count in kept.items())
        least, median, most = (round(float(np.quantile(lost, q)), 4) for q in (0.0, 0.5, 1.0))
        return cls(
            frames=frames,
            seconds=round(frames / dataset.fps, 3),
            pieces=len(selection.kept),
            episodes=int((lost > 0).sum()),
            shares=(least, median, most),
        )

    @property
    def text(self) -> str:
        """One line for people."""
        least, median, most = (f"{100 * share:.0f}" for share in self.shares)
        return (
            f"{self.frames} frames ({self.seconds:.1f} s) of {self.episodes} kept episodes are cut, {least} to "
            f"{most} % of one, {median} % in the median; {self.pieces} pieces are kept"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratedDataset:
    """What was chosen, and with `validate` what it is good for.

    Args:
        cut: frames of kept episodes that are left out, and of how many episodes.
        validation: the claim about kept against random, and the rates of all recipes; `None` where not asked.
        reading: one sentence on the validation.
    """

    out: Path
    selection: Selection
    frames: int
    cut: CutFrames
    validation: Mapping[str, Any] | None = None
    reading: str = ""
    lines: tuple[str, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        kept = {row.episode for row in self.selection.kept}
        return {
            "out": str(self.out),
            "method": self.selection.method,
            "asked": self.selection.asked,
            "episodes": {"kept": len(kept), "dropped": len(self.selection.dropped)},
            "frames": {"kept": self.selection.frames, "all": self.frames},
            "cut": self.cut.to_json(),
            "validation": self.validation,
            "reading": self.reading,
        }


def curate_dataset(request: CurateDataset, on_event: OnEvent = ignore, *, dry_run: bool = False) -> CuratedDataset:
    """Writes the selection; with `validate` trains on it, on its opposite and at random, and compares.

    >>> done = curate_dataset(CurateDataset(dataset=Path("recorded"), out=Path("best.json"), method="length", keep=.5))
    >>> done.to_json()["episodes"]["kept"] < 3
    True

    Args:
        dry_run: choose, and write and train nothing.

    Raises:
        RoboscaleError: the method cannot say anything of this dataset, or the request contradicts itself.
        BadData: the dataset is broken.
    """
    from roboscale.curate.choose import choose, method_named, overruled
    from roboscale.curate.log import LOG, CurationLog
    from roboscale.dataset import Dataset
    from roboscale.jobs.files import write_json
    from roboscale.jobs.recordings import require_ours

    require_ours(request.dataset)
    dataset = Dataset(request.dataset)
    method = _influence(request, on_event) if request.method == "influence" else method_named(request.method)
    total = int(dataset.lengths.sum())
    share, asked = _share(request, dataset)
    selection = choose(dataset, method, frames=share, asked=asked, seed=request.seed)
    if request.labels:
        selection = overruled(selection, dataset, CurationLog(request.dataset / LOG).state())
    if request.method == "influence":
        selection = replace(selection, notes=(*selection.notes, *_doubts(request)))
    for note in selection.notes:
        on_event(Note(note))
    done = CuratedDataset(out=request.out, selection=selection, frames=total, cut=CutFrames.of(selection, dataset))
    if done.cut.frames:
        on_event(Note(done.cut.text))
    if dry_run:
        return done
    write_json(request.out, selection.to_json())
    on_event(Wrote("selection", request.out))
    if request.validate is None:
        return done
    from roboscale.jobs.curating import validate_selection

    return validate_selection(request, done, dataset, method, on_event)


def _influence(request: CurateDataset, on_event: OnEvent) -> Method:
    """The method that looks at rollouts; those that nobody judged are left out, and said."""
    from roboscale.curate.influence import InfluenceMethod, Rollout
    from roboscale.curate.method import gradients_of
    from roboscale.dataset import Dataset
    from roboscale.policies.builtin.checkpoint import load_policy

    assert request.learner is not None and request.rollouts is not None, "check() wants both"
    learner, tried = load_policy(request.learner), Dataset(request.rollouts)
    if learner.trained.config.head == "regression":
        raise RoboscaleError(f"influence: {request.learner} predicts by regression: on its own actions its loss is 0")
    judged = [
        (e, e.outcome.success) for e in tried.episodes if e.outcome is not None and e.outcome.success is not None
    ]
    if len(judged) < len(tried.episodes):
        on_event(Note(f"{len(tried.episodes) - len(judged)} rollouts without an outcome are not used"))
    listed = [Rollout(gradients_of(tried, e, learner, request.seed), success) for e, success in judged]
    return InfluenceMethod(learner, listed)


def _doubts(request: CurateDataset) -> list[str]:
    """What `influence` takes for granted and the files do not bear out: by content, never by name."""
    from roboscale.dataset import Dataset
    from roboscale.policies.builtin.checkpoint import load_policy, read_manifest
    from roboscale.policies.builtin.data import load_training_data

    assert request.learner is not None and request.rollouts is not None, "check() wants both"
    learner = load_policy(request.learner)
    learned = read_manifest(request.learner).get("training", {}).get("fingerprint")
    here = load_training_data(request.dataset, learner.trained.config, images=False).fingerprint
    doubts = []
    if learned != here:
        doubts.append(
            f"{request.learner} did not learn from exactly {request.dataset} (fingerprint there {learned}, of this "
            f"{here}): what is said of episodes that it never saw is a guess"
        )
    tried = Dataset(request.rollouts).episodes
    policies = [e.provenance.details.get("policy") for e in tried]
    digests = [said.get("digest") if isinstance(said, dict) else None for said in policies]
    silent, others = digests.count(None), sum(d not in (None, learner.identity.digest) for d in digests)
    if others:
        doubts.append(
            f"{others} of {len(tried)} rollouts of {request.rollouts} are of other policies by their digests"
        )
    if silent:
        doubts.append(f"{silent} of {len(tried)} rollouts of {request.rollouts} do not say which policy made them")
    return doubts


def _share(request: CurateDataset, dataset: Dataset) -> tuple[float, str]:
    """The budget as a share of the frames, and in words."""
    if request.keep is None and request.budget is None:
        return 1.0, "all that moves"
    if request.keep is not None:
        return request.keep, f"keep {request.keep:g} of the frames of each instruction"
    assert request.budget is not None, "check() wants one of the two"
    hours = float(dataset.lengths.sum()) / dataset.fps / 3600
    if request.budget > hours:
        raise RoboscaleError(f"--budget: {request.dataset} holds {hours:.3g} hours, asked to keep {request.budget:g}")
    share = request.budget / hours
    return share, f"keep {request.budget:g} hours, {share:.3g} of the frames of each instruction"
