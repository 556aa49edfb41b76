"""Trains the built-in policy, or several at once, one process a core, with their progress in this one."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roboscale.core import RoboscaleError

__all__ = ["Training", "run_training", "train_all", "training_config"]

OnProgress = Callable[[int, int, int, float], None]
"""Called with (which training, steps done, steps in all, recent loss)."""


@dataclass(frozen=True, slots=True)
class Training:
    """One policy to train: dataset, folder of the policy, and the fields of a `TrainConfig`."""

    dataset: Path
    out: Path
    config: dict[str, Any]


def run_training(training: Training, progress: Callable[[int, int, float], None]) -> None:
    """Trains in this process, with one thread: the weights must not depend on the cores."""
    import torch

    from roboscale.policies.builtin.config import TrainConfig
    from roboscale.policies.builtin.train import train

    torch.set_num_threads(1)
    train(training.dataset, training.out, TrainConfig.from_json(training.config), progress=progress)


def _worker(index: int, training: Training, messages: Any) -> None:
    try:
        run_training(training, lambda done, total, loss: messages.put((index, done, total, loss)))
    except RoboscaleError as error:
        messages.put((index, str(error), 0, 0.0))


def train_all(trainings: Sequence[Training], on_progress: OnProgress, at_once: int | None = None) -> None:
    """Trains all of them, so many at once; finished ones return at once, interrupted ones resume.

    Args:
        at_once: processes side by side; default: the cores.

    Raises:
        RoboscaleError: a training failed, or its process died; the others are stopped, their checkpoints stay.
    """
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    workers = [context.Process(target=_worker, args=(i, t, messages), daemon=True) for i, t in enumerate(trainings)]
    most = max(1, len(os.sched_getaffinity(0)) if at_once is None else at_once)
    waiting, started = list(workers), list(workers[:0])
    try:
        while waiting or any(w.is_alive() for w in started) or not messages.empty():
            while waiting and sum(w.is_alive() for w in started) < most:
                started.append(waiting.pop(0))
                started[-1].start()
            try:
                index, done, total, loss = messages.get(timeout=0.2)
            except queue.Empty:
                _check(trainings, started)
                continue
            if isinstance(done, str):
                raise RoboscaleError(f"training of {trainings[index].out}: {done}")
            on_progress(index, done, total, loss)
        for worker in started:
            worker.join()
        _check(trainings, started)
    finally:
        for worker in started:
            worker.kill()


def _check(trainings: Sequence[Training], workers: Sequence[Any]) -> None:
    for training, worker in zip(trainings, workers, strict=False):  # those that have begun, in their order
        if worker.exitcode not in (None, 0):
            raise RoboscaleError(
                f"training of {training.out}: the process died (exit code {worker.exitcode}); the same command resumes"
            )


def training_config(inputs: str, head: str, steps: int, seed: int, settings: Sequence[str] = ()) -> dict[str, object]:
    """Fields of a `TrainConfig` from the command line; the defaults of the inputs where nothing is said."""
    from roboscale.policies.builtin.config import TrainConfig

    chosen: dict[str, object] = {**TrainConfig(inputs=inputs).to_json(), "seed": seed}
    if head:
        chosen["head"] = head
    if steps:
        chosen["steps"] = steps
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise RoboscaleError(f"--set: expected name=value, found {text!r}")
        try:
            chosen[name] = json.loads(value)
        except json.JSONDecodeError:
            chosen[name] = value
    return chosen
