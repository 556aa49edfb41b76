"""Trains the built-in policy, or several at once, one process a core, with their progress in this one."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import BadData, RoboscaleError
from roboscale.core.processes import end_with_parent, require_main

if TYPE_CHECKING:
    from roboscale.dataset import Excerpt

__all__ = ["Training", "run_training", "said_of_selection", "selected_parts", "train_all", "training_config"]

OnProgress = Callable[[int, int, int, float], None]
"""Called with (which training, steps done, steps in all, recent loss)."""


@dataclass(frozen=True, slots=True)
class Training:
    """One policy to train: dataset, folder of the policy, the fields of a `TrainConfig`, and where it computes.

    With a `selection` what that file keeps of the dataset is learned from, else all of it.
    """

    dataset: Path
    out: Path
    config: dict[str, Any]
    _: KW_ONLY
    device: str = "cpu"
    selection: Path | None = None


def selected_parts(dataset: Path, selection: Path | None) -> list[Excerpt]:
    """What of a dataset a selection keeps; nothing, which means everything, without one.

    Raises:
        BadData: the selection is broken, or was made from other episodes than the dataset has.
    """
    from roboscale.curate.selection import read_selection
    from roboscale.dataset import Dataset

    return [] if selection is None else read_selection(selection).of(Dataset(dataset))


def said_of_selection(dataset: Path, selection: Path) -> str:
    """How much of a dataset a selection leaves, and what it does not mention: one line for people."""
    from roboscale.curate.selection import read_selection
    from roboscale.dataset import Dataset
    from roboscale.dataset.collection import MANIFEST

    if (dataset / MANIFEST).is_file():
        raise BadData(dataset, "selection", "of one dataset; merge the members with theirs first", "a collection")
    chosen, there = read_selection(selection), Dataset(dataset)
    unmentioned = len(chosen.unmentioned(there))
    later = f"; {unmentioned} episodes that it does not mention are not used" if unmentioned else ""
    joined = len({row.episode for row in chosen.kept if row.follows})
    over = f"; of {joined} episodes the pieces follow one another, without the rests between them" if joined else ""
    return f"{selection}: {chosen.frames} of {int(there.lengths.sum())} frames are learned from{over}{later}"


def run_training(training: Training, progress: Callable[[int, int, float], None]) -> None:
    """Trains in this process, with one thread: the weights must not depend on the cores."""
    import torch

    from roboscale.policies.builtin.config import TrainConfig
    from roboscale.policies.builtin.train import train

    torch.set_num_threads(1)
    train(
        training.dataset,
        training.out,
        TrainConfig.from_json(training.config),
        progress=progress,
        device=training.device,
        parts=selected_parts(training.dataset, training.selection),
    )


def _worker(mine: Sequence[tuple[int, Training]], messages: Any) -> None:
    end_with_parent()
    for index, training in mine:
        try:
            run_training(training, partial(_tell, messages, index))
        except RoboscaleError as error:
            messages.put((index, str(error), 0, 0.0))
            return


def _tell(messages: Any, index: int, done: int, total: int, loss: float) -> None:
    messages.put((index, done, total, loss))


def train_all(trainings: Sequence[Training], on_progress: OnProgress, at_once: int | None = None) -> None:
    """Trains all of them, so many at once; finished ones return at once, interrupted ones resume.

    Args:
        at_once: processes side by side, which share the trainings; default: the cores.

    Raises:
        RoboscaleError: a training failed, or its process died; the others are stopped, their checkpoints stay.
    """
    require_main()
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    most = max(1, len(os.sched_getaffinity(0)) if at_once is None else at_once)
    shares = [list(enumerate(trainings))[first::most] for first in range(min(most, len(trainings)))]
    workers = [context.Process(target=_worker, args=(share, messages), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    try:
        while any(w.is_alive() for w in workers) or not messages.empty():
            try:
                index, done, total, loss = messages.get(timeout=0.2)
            except queue.Empty:
                _check(shares, workers)
                continue
            if isinstance(done, str):
                raise RoboscaleError(f"training of {trainings[index].out}: {done}")
            on_progress(index, done, total, loss)
        for worker in workers:
            worker.join()
        _check(shares, workers)
    finally:
        for worker in workers:
            worker.kill()


def _check(shares: Sequence[Sequence[tuple[int, Training]]], workers: Sequence[Any]) -> None:
    for share, worker in zip(shares, workers, strict=True):
        if worker.exitcode not in (None, 0):
            raise RoboscaleError(
                f"training of {', '.join(str(training.out) for _, training in share)}: the process died (exit code "
                f"{worker.exitcode}); the same command resumes"
            )


def training_config(inputs: str, head: str, steps: int, seed: int, settings: Sequence[str] = ()) -> dict[str, object]:
    """Fields of a `TrainConfig` from the command line; the defaults of the inputs where nothing is said."""
    from roboscale.policies.builtin.config import TrainConfig

    chosen: dict[str, object] = {**TrainConfig(inputs=inputs).to_json(), "seed": seed}
    said: set[str] = set()
    if head:
        chosen["head"] = head
    if steps:
        chosen["steps"] = steps
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise RoboscaleError(f"--set: expected name=value, found {text!r}")
        if name in said:
            raise RoboscaleError(f"--set: expected each setting once, found {name} twice")
        said.add(name)
        try:
            chosen[name] = json.loads(value)
        except json.JSONDecodeError:
            chosen[name] = value
    return chosen
