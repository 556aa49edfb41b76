"""Success against the amount of data, measured: trains the built-in policy on several amounts and sources."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roboscale.core import RoboscaleError, UnknownName
from roboscale.dataset.engine import run
from roboscale.jobs.eval import Evaluate, evaluate
from roboscale.jobs.events import Note, OnEvent, Stage, counting, ignore
from roboscale.jobs.files import write_json
from roboscale.jobs.filling import Filling, generated, recorded
from roboscale.results import Trained
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_forms import Point

__all__ = ["SOURCES", "Measuring", "measure"]

SOURCES = ("expert", "generated", "noisy")
"""What can be collected in a simulated world: demonstrations of the expert, episodes generated from ten of them, and
demonstrations of an expert whose actions are disturbed."""

_SEEDS = 10  # demonstrations that `generated` starts from
_NOISY = "noisy:expert:0.3"

Advance = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """An experiment on how success grows with data.

    Args:
        sizes: demonstrations per task, ascending; the largest is predicted from the others before it is measured.
        trials: rollouts per task and policy.
        steps: optimiser steps for each policy.
    """

    world: str
    tasks: tuple[str, ...]
    sources: tuple[str, ...]
    sizes: tuple[int, ...]
    trials: int
    steps: int
    out: Path
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        for source in self.sources:
            if source not in SOURCES:
                raise UnknownName("source", source, SOURCES)
        if len(set(self.sizes)) < 3 or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 1:
            raise RoboscaleError(f"--sizes: at least three ascending numbers, found {self.sizes}")

    @property
    def policies(self) -> int:
        return len(self.sources) * len(self.sizes)


@dataclass(frozen=True, slots=True)
class _Lesson:
    """One policy to train: the first `size` episodes of each task of a dataset."""

    dataset: Path
    size: int
    out: Path
    config: dict[str, Any]


def measure(asked: Measuring, on_event: OnEvent = ignore) -> list[Trained]:
    """Collects, trains and tries; every finished piece is kept, so the same call goes on where it stopped.

    Writes `points.csv`, and `prediction.json` with what the smaller sizes say of the largest one before it is tried.
    """
    asked.out.mkdir(parents=True, exist_ok=True)
    _require_same(asked)
    advance, most = counting(on_event, "policies", 2 * asked.policies), asked.sizes[-1]
    on_event(Stage(1, 3, f"collecting {most} episodes per task from {', '.join(asked.sources)}"))
    for source in asked.sources:
        _collect(asked, source)
        advance(0, f"collected {source}")
    first = asked.policies - len(asked.sources)
    on_event(Stage(2, 3, f"training and trying {first} policies on up to {asked.sizes[-2]} per task"))
    points = _try(asked, asked.sizes[:-1], advance)
    _predict(asked, points, on_event)
    on_event(Stage(3, 3, f"training and trying {len(asked.sources)} policies on {most} per task"))
    points += _try(asked, asked.sizes[-1:], advance)
    _write_points(asked.out / "points.csv", points)
    return points


def _require_same(asked: Measuring) -> None:
    """RoboscaleError when the folder holds another experiment."""
    path = asked.out / "experiment.json"
    plan = json.loads(json.dumps({**asdict(asked), "out": "", "workers": None}, default=str))
    if path.exists():
        written = json.loads(path.read_text())
        differs = [key for key in plan if written.get(key) != plan[key]]
        if differs:
            both = "; ".join(f"{key}: there {written.get(key)}, asked {plan[key]}" for key in differs)
            raise RoboscaleError(f"{asked.out} holds another experiment: {both}")
    write_json(path, plan)


def _collect(asked: Measuring, source: str) -> None:
    folder, most = asked.out / "data", asked.sizes[-1]

    def filling(count: int, name: str) -> Filling:
        out = folder / name
        return Filling(
            world=asked.world,
            tasks=asked.tasks,
            per_task=count,
            out=out,
            seed=asked.seed,
            workers=asked.workers,
            images=False,
        )

    if source == "generated":
        recorded(filling(_SEEDS, "ten"), "expert", ignore)
        generated(filling(most, source), folder / "ten", ignore)
    else:
        recorded(filling(most, source), "expert" if source == "expert" else _NOISY, ignore)


def _try(asked: Measuring, sizes: Sequence[int], advance: Advance) -> list[Trained]:
    """Trains in worker processes, one policy each; then tries each on the same held-out cases."""
    lessons = [_lesson(asked, source, size) for size in sizes for source in asked.sources]
    for lesson, _ in zip(lessons, run(_train, lessons, workers=asked.workers), strict=True):
        advance(1, f"trained {lesson.out.name}")
    points = []
    for lesson in lessons:
        judged = evaluate(
            Evaluate(
                policy=str(lesson.out),
                world=asked.world,
                tasks=",".join(asked.tasks),
                trials=asked.trials,
                seed=asked.seed,
                workers=asked.workers,
                store=str(asked.out / "trials"),
            )
        ).judged
        for task in asked.tasks:
            mine = judged.of(judged.run.policies[0], task)
            won = [c.outcome.success for c in mine if c.outcome.success is not None]
            points.append(
                Trained(
                    task=task,
                    source=lesson.dataset.name,
                    amount=float(lesson.size),
                    successes=sum(won),
                    trials=len(won),
                )
            )
        advance(1, f"tried {lesson.out.name}")
    return points


def _lesson(asked: Measuring, source: str, size: int) -> _Lesson:
    config = {"inputs": "state", "steps": asked.steps, "seed": asked.seed}
    folder = asked.out / "policies" / f"{source}-{size:04d}"
    return _Lesson(asked.out / "data" / source, size, folder, config)


def _train(lesson: _Lesson) -> str:
    import torch

    from roboscale.policies.builtin.config import TrainConfig
    from roboscale.policies.builtin.data import first_episodes, load_training_data
    from roboscale.policies.builtin.train import train

    torch.set_num_threads(1)  # the weights must not depend on the cores
    config = TrainConfig.from_json(lesson.config)
    data = first_episodes(load_training_data(lesson.dataset, config), lesson.size)
    train(data, lesson.out, config)
    return str(lesson.out)


def _predict(asked: Measuring, points: Sequence[Trained], on_event: OnEvent) -> None:
    """What the smaller sizes say of the largest, written down once, before it is tried.

    Raises:
        RoboscaleError: the largest was tried already: whoever predicts what is known predicts nothing.
    """
    path, target = asked.out / "prediction.json", asked.sizes[-1]
    if path.exists():
        return on_event(Note(f"{path}: the prediction that was written before is kept"))
    known = [s for s in asked.sources if _lesson(asked, s, target).out.exists()]
    if known:
        raise RoboscaleError(
            f"{path} is gone, and {target} demonstrations of {', '.join(known)} were tried already: a prediction made "
            f"now would know the answer; measure into another folder"
        )
    rows = []
    for task in asked.tasks:
        for source in asked.sources:
            mine = [Point(p.amount, p.successes, p.trials) for p in points if (p.task, p.source) == (task, source)]
            estimate = fit_curve(mine).predict(target, trials=asked.trials)
            rows.append({"task": task, "source": source, "amount": target, "predicted": estimate.to_json()})
    write_json(path, {"from": list(asked.sizes[:-1]), "predictions": rows})


def _write_points(path: Path, points: Sequence[Trained]) -> None:
    with path.with_suffix(".part").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "source", "demonstrations", "successes", "rollouts"])
        writer.writerows([p.task, p.source, f"{p.amount:g}", p.successes, p.trials] for p in points)
    path.with_suffix(".part").replace(path)
