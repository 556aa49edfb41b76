"""Trains a learned world from a recorded dataset, on the processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import SuccessRule
from roboscale.core.extras import require_packages
from roboscale.core.plain import Plain, called
from roboscale.jobs.events import Note, OnEvent, Progress, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.learned_data import LearnableData
    from roboscale.referees.state_judge import StateJudge
    from roboscale.worlds.learned import StateTwin, WorldManifest

__all__ = ["TrainWorld", "TrainedWorld", "require_places", "train_world"]

_JUDGE_STEPS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainWorld(Request):
    """Asks for a learned world: a state twin, and a judge beside it.

    Args:
        labels: store of the trials that the episodes were recorded from; outcomes label the frames without.
        steps: of the optimiser.
        horizon: control steps of an imagined episode; 0 takes the longest recorded one.
        rule: when success counts, as with `eval`.
    """

    words: ClassVar[tuple[str, ...]] = ("world", "train")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0 with outcomes.")]
    out: Annotated[Path, Argument("Folder of the world.")]
    labels: Annotated[str, Option("Store of the trials that it was recorded from: success frame by frame.")] = ""
    steps: Annotated[int, Option("Optimiser steps.", min=50)] = 4000
    members: Annotated[int, Option("Networks of the ensemble.", min=1, max=16)] = 3
    horizon: Annotated[int, Option("Control steps of an episode; 0 takes the longest recorded one.", min=0)] = 0
    rule: Annotated[str, Option("When success counts: first, end or 'hold K'.")] = "first"
    leave_out: Annotated[tuple[str, ...], Option("A field that is not learned, repeated.")] = ()
    held_out: Annotated[float, Option("Share of the episodes that the gates are checked on.", min=0.05, max=0.5)] = 0.2
    seed: Annotated[int, Option("Seed of weights, batches and of what is held out.", min=0)] = 0

    def check(self) -> None:
        """UnknownName for a rule that is none."""
        SuccessRule.parse(self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedWorld(Plain):
    """Where the world lies, what it predicts, and what training took."""

    out: Path = field(metadata=called("world"))
    roles: tuple[str, ...]
    training: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        took = self.training
        return [
            f"trained {self.out} in {took['cpu_s']:.0f} s of processor on {took['transitions']} steps",
            *(f"  {role}" for role in self.roles),
            f"next: roboscale world check {self.out}",
        ]


def train_world(request: TrainWorld, on_event: OnEvent = ignore) -> TrainedWorld:
    """Trains dynamics and judge; the same request gives the same weights.

    >>> request = TrainWorld(dataset=Path("pushes"), out=Path("twin"), steps=60, members=1)
    >>> train_world(request).training["steps"]
    60

    Raises:
        BadData: the dataset is broken, or no frame in it is a success, or none is not; or something else than a
            learned world lies where it would be written.
        UnknownName: a field to leave out that is none of the state.
        SpecMismatch: nothing moves in it.
    """
    require_packages("training a world", "torch")
    require_places(request)
    from roboscale.jobs.learned_data import load_learnable
    from roboscale.worlds.learned import element_names, save_world
    from roboscale.worlds.learned.fitting import FitSettings, Recorded, fit_twin

    data = load_learnable(
        request.dataset,
        labels=request.labels,
        share=request.held_out,
        seed=request.seed,
        leave_out=request.leave_out,
    )
    for note in data.notes:
        on_event(Note(f"{request.dataset}: {note}"))
    settings = FitSettings(steps=request.steps, members=request.members, seed=request.seed)

    def progress(step: int, total: int, loss: float) -> None:
        on_event(Progress(str(request.out), step, total, f"loss {loss:.4f}"))

    recorded = Recorded(
        names=element_names(data.fields),
        states=data.train.states,
        actions=data.train.actions,
        tasks=data.train.tasks,
        task_names=tuple(data.tasks),
        action=data.action,
    )
    twin, summary = fit_twin(recorded, data.held_out.states, settings, progress)
    judge, judge_s = _judge_of(data, twin, settings)
    took = {**settings.to_json(), **summary.to_json(), "judge_cpu_s": judge_s}
    save_world(request.out, _manifest(request, data, twin, judge, took), twin, judge.nets, data.held_out)
    on_event(Wrote("world", request.out))
    spent = {**took, "cpu_s": summary.cpu_s + judge_s}
    return TrainedWorld(out=request.out, roles=tuple(twin.frame.elements.lines), training=spent, notes=data.notes)


def require_places(request: TrainWorld) -> None:
    """BadData for no dataset, or for a folder of something else where the world would be written."""
    from roboscale.dataset import Dataset
    from roboscale.worlds.learned import require_world_folder

    Dataset(request.dataset)
    require_world_folder(request.out)


def _manifest(
    request: TrainWorld, data: LearnableData, twin: StateTwin, judge: StateJudge, took: Mapping[str, Any]
) -> WorldManifest:
    from roboscale.worlds.learned import WorldManifest

    return WorldManifest(
        observed=data.spec.select([f.name for f in data.fields]),
        acted=data.spec.select(["action"]),
        tasks=data.tasks,
        embodiment=data.embodiment,
        horizon=request.horizon or data.longest,
        rule=request.rule,
        frame=twin.frame,
        judge=judge.inputs.to_json(),
        radius=twin.radius,
        limit=_residual_limit(data, twin),
        data={
            "name": data.name,
            "fingerprint": data.fingerprint,
            "episodes": len(data.train.ids),
            "held_out": len(data.held_out.ids),
            "operators": sorted({*data.train.operators, *data.held_out.operators}),
            "trained": data.train.contents,
            "notes": list(data.notes),
        },
        training=took,
    )


def _judge_of(data: LearnableData, twin: StateTwin, settings: Any) -> tuple[StateJudge, float]:
    """A judge trained on the labelled frames, and the processor seconds that took."""
    import time
    from dataclasses import replace

    import numpy as np
    import torch

    from roboscale.core.ensembles import SmallNets
    from roboscale.referees.state_judge import JudgeInputs, LabelledFrames, StateJudge
    from roboscale.worlds.learned.fitting import fit_nets

    begun = time.process_time()
    parts = data.train
    task = np.concatenate([np.full(len(s), k, np.intp) for s, k in zip(parts.states, parts.tasks, strict=True)])
    frames = LabelledFrames(
        states=np.concatenate(parts.states),
        task=task,
        success=np.concatenate(parts.success),
        progress=np.concatenate(parts.progress),
    )
    small = replace(settings, members=2, width=64, steps=_JUDGE_STEPS, noise=0.0)

    def fits(inputs: Any, wanted: Any) -> SmallNets:
        usable = np.flatnonzero(np.isfinite(wanted).any(axis=1))
        x, y = torch.from_numpy(inputs[usable]), torch.from_numpy(wanted[usable])

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            rows = torch.from_numpy(rng.integers(len(x), size=(small.members, small.batch)))
            return x[rows], y[rows]

        def lost(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
            told = torch.isfinite(wanted)
            each = torch.nn.functional.binary_cross_entropy_with_logits(
                said, torch.where(told, wanted, 0.0).clamp(0, 1), reduction="none"
            )
            return (each * told).sum() / told.sum().clamp(min=1)

        return fit_nets(draw, lost, (x.shape[1], 2), small)[0]

    places = (*twin.frame.elements.predicted, *twin.frame.varied)
    inputs = JudgeInputs.fit(twin.frame.elements.names, frames.states, places, tuple(data.tasks))
    return StateJudge.fit(inputs, frames, fits), time.process_time() - begun


def _residual_limit(data: LearnableData, twin: StateTwin) -> float:
    """The largest residual of the action read back from recorded steps, over a window, and a quarter more."""
    import numpy as np

    from roboscale.worlds.learned.world import WINDOW

    worst = 0.0
    for states, actions in zip(data.held_out.states, data.held_out.actions, strict=True):
        before = np.concatenate([states[:1], states[:-2]])
        residual = twin.residual(states[:-1], before, states[1:], actions[: len(states) - 1])
        smooth = np.convolve(residual, np.ones(WINDOW) / WINDOW, "valid") if len(residual) >= WINDOW else residual
        worst = max(worst, float(smooth.max()))
    return 1.25 * worst
