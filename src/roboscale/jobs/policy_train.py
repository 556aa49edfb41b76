"""Trains the built-in policy, on the processor or a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from roboscale.core.plain import Plain, called
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, Progress, ignore
from roboscale.jobs.options import Device
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["TrainPolicy", "TrainedPolicy", "plan_training", "train_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPolicy(Request):
    """Asks for a policy that was trained on a dataset.

    Args:
        inputs: what it sees: `images`, which means cameras and proprioception, or `state`.
        steps: of the optimiser; 0 takes the default of the inputs.
        selection: what `data curate` chose of the dataset; all of it is learned from without.
        setting: `name=value` of any other field of a `TrainConfig`.
    """

    words: ClassVar[tuple[str, ...]] = ("policy", "train")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0, or a collection of such that mean the same.")]
    out: Annotated[Path, Argument("Folder of the policy; one that is half trained is resumed.")]
    inputs: Annotated[str, Option("images (cameras and proprioception) or state (fast).")] = "images"
    head: Annotated[str, Option("flow or regression.")] = ""
    steps: Annotated[int, Option("Optimiser steps; 0 takes the default of the inputs.", min=0)] = 0
    setting: Annotated[tuple[str, ...], Option("Any other setting as name=value, repeated.", flag="--set")] = ()
    selection: options.SelectionFile = None
    device: Device = "auto"
    seed: Annotated[int, Option("Seed of weights and batches.")] = 0


@dataclass(frozen=True, slots=True)
class TrainedPolicy(Plain):
    """Where the policy lies, and the whole configuration that it was trained with."""

    out: Path = field(metadata=called("policy"))
    config: Mapping[str, Any]


def train_policy(request: TrainPolicy, on_event: OnEvent = ignore) -> TrainedPolicy:
    """Trains, or goes on with a training that was interrupted.

    >>> request = TrainPolicy(dataset=Path("recorded"), out=Path("policy"), inputs="state", steps=2)
    >>> train_policy(request).config["steps"]
    2

    Raises:
        RoboscaleError: a setting is unknown, or the folder holds a policy of other settings.
        BadData: the dataset is broken.
    """
    from roboscale.jobs.training import Training, run_training, said_of_selection

    config = plan_training(request)

    def progress(step: int, total: int, loss: float) -> None:
        on_event(Progress(str(request.out), step, total, f"loss {loss:.4f}"))

    if request.selection is not None:
        on_event(Note(said_of_selection(request.dataset, request.selection)))
    run_training(
        Training(request.dataset, request.out, config, device=request.device, selection=request.selection), progress
    )
    return TrainedPolicy(request.out, config)


def plan_training(request: TrainPolicy) -> dict[str, Any]:
    """The whole configuration that would be trained with. RoboscaleError when a setting is unknown."""
    from roboscale.jobs.training import training_config
    from roboscale.policies.builtin.config import TrainConfig

    asked = training_config(request.inputs, request.head, request.steps, request.seed, request.setting)
    return TrainConfig.from_json(asked).to_json()
