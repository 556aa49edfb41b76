"""Whether a selection helps, by success alone: policies trained on it against random selections of the same size."""

from __future__ import annotations

from dataclasses import replace

from roboscale.core import RoboscaleError
from roboscale.curate.choose import choose
from roboscale.curate.controls import RandomChoice
from roboscale.curate.method import Method
from roboscale.dataset import Dataset
from roboscale.jobs.data_curate import Curated, CurateDataset
from roboscale.jobs.events import OnEvent
from roboscale.jobs.files import write_json
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes

__all__ = ["validate_selection"]


def validate_selection(
    request: CurateDataset, done: Curated, dataset: Dataset, method: Method, on_event: OnEvent
) -> Curated:
    """Trains on what is kept, on a random selection of its size and on the worst of its size, `runs` times each.

    All policies take equally many steps and are tried on the same cases; claims count training runs. What is finished
    stays in the folder, and the same command goes on.
    """
    assert request.validate is not None, "asked for"
    request.validate.mkdir(parents=True, exist_ok=True)
    share = done.selection.frames / done.frames
    asked = f"as many frames as {method.name} keeps"
    selections = {
        "kept": done.selection,
        "random": choose(dataset, RandomChoice(), frames=share, asked=asked, seed=request.seed),
        "worst": choose(dataset, method, frames=share, asked=asked, seed=request.seed, worst=True),
    }
    paths = {name: request.validate / f"{name}.json" for name in selections}
    for name, selection in selections.items():
        write_json(paths[name], selection.to_json())
    asked_for = RecipeRound(
        datasets=dict.fromkeys(selections, request.dataset),
        selections=paths,
        tasks=tuple(text.strip() for text in request.tasks.split(",")),
        world=request.world,
        runs=request.runs,
        trials=request.trials,
        steps=request.steps,
        inputs=request.inputs,
        out=request.validate,
        seed=request.seed,
        workers=request.workers,
        descriptions={name: f"{one.frames} frames, {one.method}" for name, one in selections.items()},
    )
    train_recipes(asked_for, on_event)
    tried = try_recipes(asked_for, on_event)
    reading = reading_of(tried, method.name)
    rates = [f"  {name}, success of each training: {_rates(tried, name)}" for name in selections]
    return replace(done, validation=tried.to_json(), reading=reading, lines=tuple(rates))


def reading_of(tried: TriedRecipes, method: str) -> str:
    """Whether the method beats a draw, in one sentence, with the claim that it rests on."""
    overall = tried.ranked.standing.overall
    if overall is None:
        raise RoboscaleError("no claim can be made: no trial was counted")
    (pair,) = [one for one in overall.verdict.pairs if {one.first, one.second} == {"kept", "random"}]
    winner = {"first is better": pair.first, "second is better": pair.second}.get(str(pair.verdict.decision), "")
    said = {
        "kept": f"{method} chooses better than a draw",
        "random": f"{method} loses to a draw of the same size: do not use it here",
    }.get(winner, f"{method} was not shown to choose better than a draw")
    return f"{said}: {pair.verdict.sentence}; {overall.unit}"


def _rates(tried: TriedRecipes, recipe: str) -> str:
    return ", ".join("no trial" if rate is None else f"{rate:.2f}" for rate in tried.runs[recipe])
