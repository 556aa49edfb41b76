"""`roboscale collect`: make episodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboscale.cli.console import DryRun, Json, Seed, Workers, WorldName, count_bar, friendly, print_json

if TYPE_CHECKING:
    from roboscale.cli.collecting import Filling
    from roboscale.trials import Collected

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make episodes: record, generate.")

Out = Annotated[Path, typer.Argument(help="The dataset (LeRobotDataset v3.0); one that exists is added to.")]
Tasks = Annotated[str, typer.Option(help="Task names separated by commas, or `all`.")]
Codec = Annotated[str, typer.Option(help="h264 or av1.")]


@app.command()
def record(
    out: Out,
    policy: Annotated[str, typer.Option(help="Who demonstrates, e.g. expert or noisy:expert:0.1.")] = "expert",
    world: WorldName = "metaworld",
    tasks: Tasks = "pick-place-v3,push-v3",
    episodes: Annotated[int, typer.Option(min=1, help="Successful episodes per task.")] = 10,
    codec: Codec = "h264",
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Record successful episodes of a policy, with all cameras."""
    with friendly():
        from roboscale.cli.collecting import Filling, record
        from roboscale.cli.judging import tasks_of

        filling = Filling(world, tasks_of(world, tasks), episodes, out, seed, codec, workers)
        if dry_run:
            return _announce(filling, f"of {policy}", as_json)
        _report(filling, lambda saved: record(filling, policy, saved), as_json)


@app.command()
def generate(
    sources: Annotated[Path, typer.Argument(help="Dataset with 1 to 10 demonstrations per task.")],
    out: Out,
    world: WorldName = "metaworld",
    tasks: Tasks = "pick-place-v3,push-v3",
    episodes: Annotated[int, typer.Option(min=1, help="Successful episodes per task.")] = 100,
    codec: Codec = "h264",
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Multiply demonstrations: move their segments to new scenes, replay in physics, keep the successes."""
    with friendly():
        from roboscale.cli.collecting import Filling, generate
        from roboscale.cli.judging import tasks_of

        filling = Filling(world, tasks_of(world, tasks), episodes, out, seed, codec, workers)
        if dry_run:
            return _announce(filling, f"generated from {sources}", as_json)
        _report(filling, lambda saved: generate(filling, sources, saved), as_json)


def _announce(filling: Filling, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"out": str(filling.out), "tasks": filling.tasks, "episodes_per_task": filling.per_task})
    else:
        print(f"would save {filling.per_task} successful episodes {what} per task into {filling.out}:")
        print("\n".join(f"  {task}" for task in filling.tasks))


def _report(filling: Filling, run: Callable[[Callable[[str], None]], dict[str, Collected]], as_json: bool) -> None:
    from roboscale.stats import clopper_pearson

    with count_bar("episodes", filling.per_task * len(filling.tasks)) as advance:
        collected = run(lambda episode_id: advance(1))
    rows = {task: clopper_pearson(c.successes, c.attempts) for task, c in collected.items()}
    if as_json:
        print_json({"out": str(filling.out), "tasks": {task: rate.to_json() for task, rate in rows.items()}})
    else:
        for task, rate in rows.items():
            print(f"{task:32} {collected[task].successes} episodes; an attempt succeeds: {rate}")
