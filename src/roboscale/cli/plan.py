"""`roboscale plan`: where the next hour of data buys most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboscale.cli.console import DryRun, Json, Seed, Workers, count_bar, friendly, print_json, say, write_json

if TYPE_CHECKING:
    from roboscale.cli.planning import Planned

__all__ = ["plan"]


def plan(
    sources: Annotated[
        list[Path] | None, typer.Argument(help="Tables with source, demonstrations, successes, rollouts and task.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Run the experiment in a simulated world first.")] = False,
    cost: Annotated[list[str] | None, typer.Option(help="SOURCE=COST of one unit of data; default 1.")] = None,
    budget: Annotated[
        float, typer.Option(min=1e-9, help="What may be spent on a task, in the unit of the costs.")
    ] = 100,
    have: Annotated[list[str] | None, typer.Option(help="SOURCE=AMOUNT there is; default: the best measured.")] = None,
    target: Annotated[float, typer.Option(min=0.01, max=0.999, help="Success rate to reach.")] = 0.9,
    world: Annotated[str, typer.Option(help="--measure: a simulated world with an expert.")] = "metaworld",
    tasks: Annotated[str, typer.Option(help="--measure: tasks, with commas.")] = "push-v3,pick-place-v3",
    kinds: Annotated[str, typer.Option("--sources", help="--measure: expert, generated, noisy.")] = (
        "expert,generated,noisy"
    ),
    sizes: Annotated[str, typer.Option(help="--measure: demonstrations per task, ascending.")] = "1,2,3,5,8",
    trials: Annotated[int, typer.Option(min=1, help="--measure: rollouts per task and policy.")] = 40,
    steps: Annotated[int, typer.Option(min=1, help="--measure: optimiser steps per policy.")] = 1500,
    out: Annotated[Path, typer.Option("--out", "-o", help="--measure: folder; the same one resumes.")] = Path("plan"),
    html: Annotated[Path | None, typer.Option(help="Write the plan as one offline page.")] = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Say where the next hour of data buys most, from success at several amounts of several sources."""
    with friendly():
        from roboscale.cli.planning import Planning, load_points, parse_amounts, plan_of, read_predictions

        asked = Planning(parse_amounts(cost or (), "--cost"), budget, parse_amounts(have or (), "--have"), target)
        if measure:
            from roboscale.cli.measuring import Measuring
            from roboscale.cli.measuring import measure as run_measurement

            experiment = Measuring(
                world, _words(tasks), _words(kinds), _numbers(sizes), trials, steps, out, seed, workers
            )
            if dry_run:
                return print(f"would train and try {experiment.policies} policies into {out}")
            with count_bar("policies", 2 * experiment.policies) as advance:
                run_measurement(experiment, say, advance)
            sources = [*(sources or ()), out]
        points = load_points(sources or ())
        checks = [check for path in sources or () if path.is_dir() for check in read_predictions(path, points)]
        planned = plan_of(points, asked, checks)
        if measure:
            write_json(out / "plan.json", planned.to_json())
        page = html or (out / "plan.html" if measure else None)
        _show(planned, page, as_json)


def _show(planned: Planned, page: Path | None, as_json: bool) -> None:
    if page is not None:
        from roboscale.cli.plan_page import write_plan_page

        write_plan_page(planned, page)
        say(f"page: {page}")
    if as_json:
        return print_json(planned.to_json())
    for sentence in planned.sentences():
        print(sentence)
    for check in planned.checks:
        verdict = {True: "inside", False: "outside", None: "nothing was predicted"}[check.inside]
        print(f"  {check.task}, {check.source}, {check.amount:g} {planned.unit}: {verdict}")
        print(f"    predicted {check.predicted}")
        print(f"    measured  {check.measured}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        raise typer.BadParameter(f"expected numbers with commas, found {text!r}", param_hint="--sizes") from None
