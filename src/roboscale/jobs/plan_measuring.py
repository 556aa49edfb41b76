"""Success against the amount of data, measured: trains the built-in policy on several amounts and sources."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roboscale.cli.collecting import Filling, generate, record
from roboscale.cli.judging import Request, judge
from roboscale.core import RoboscaleError, UnknownName
from roboscale.dataset.engine import run
from roboscale.jobs.events import OnEvent, Stage, counting, ignore
from roboscale.jobs.files import write_json
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
    _predict(asked, points)
    on_event(Stage(3, 3, f"training and trying {len(asked.sources)} policies on {most} per task"))
    points += _try(asked, asked.sizes[-1:], advance)
    _write_points(asked.out / "points.csv", points)
    return points


def _require_same(asked: Measuring) -> None:
    """RoboscaleError when the folder holds another experiment."""
    path = asked.out / "experiment.json"
    plan = json.loads(json.dumps({**asdict(asked), "out": "", "workers": None}, default=str))
    if path.exists():
        found = json.loads(path.read_text())
        differs = [key for key in plan if found.get(key) != plan[key]]
        if differs:
            both = "; ".join(f"{key}: there {found.get(key)}, asked {plan[key]}" for key in differs)
            raise RoboscaleError(f"{asked.out} holds another experiment: {both}")
    write_json(path, plan)


def _collect(asked: Measuring, source: str) -> None:
    folder, most = asked.out / "data", asked.sizes[-1]

    def filling(count: int, name: str) -> Filling:
        out = folder / name
        return Filling(asked.world, asked.tasks, count, out, asked.seed, workers=asked.workers, images=False)

    if source == "generated":
        record(filling(_SEEDS, "ten"), "expert")
        generate(filling(most, source), folder / "ten")
    else:
        record(filling(most, source), "expert" if source == "expert" else _NOISY)


def _try(asked: Measuring, sizes: Sequence[int], advance: Advance) -> list[Trained]:
    """Trains in worker processes, one policy each; then tries each on the same held-out cases."""
    lessons = [_lesson(asked, source, size) for size in sizes for source in asked.sources]
    for lesson, _ in zip(lessons, run(_train, lessons, workers=asked.workers), strict=True):
        advance(1, f"trained {lesson.out.name}")
    points = []
    for lesson in lessons:
        request = Request((str(lesson.out),), asked.world, asked.tasks, asked.trials, asked.seed)
        judged = judge(request, asked.out / "trials", workers=asked.workers)
        for task in asked.tasks:
            won = [t.outcome.success for t in judged.of(judged.names[0], task) if t.outcome.success is not None]
            points.append(Trained(task, lesson.dataset.name, float(lesson.size), sum(won), len(won)))
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


def _predict(asked: Measuring, points: Sequence[Trained]) -> None:
    """What the smaller sizes say of the largest, written down before it is tried."""
    target, rows = asked.sizes[-1], []
    for task in asked.tasks:
        for source in asked.sources:
            mine = [Point(p.amount, p.successes, p.trials) for p in points if (p.task, p.source) == (task, source)]
            estimate = fit_curve(mine).predict(target, trials=asked.trials)
            rows.append({"task": task, "source": source, "amount": target, "predicted": estimate.to_json()})
    write_json(asked.out / "prediction.json", {"from": list(asked.sizes[:-1]), "predictions": rows})


def _write_points(path: Path, points: Sequence[Trained]) -> None:
    with path.with_suffix(".part").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "source", "demonstrations", "successes", "rollouts"])
        writer.writerows([p.task, p.source, f"{p.amount:g}", p.successes, p.trials] for p in points)
    path.with_suffix(".part").replace(path)
