"""Whether a selection helps, by success alone: policies trained on it against random selections of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from roboscale.core import RoboscaleError
from roboscale.curate.choose import choose
from roboscale.curate.controls import RandomChoice
from roboscale.curate.method import Method
from roboscale.dataset import Dataset
from roboscale.jobs.data_curate import CurateDataset, CuratedDataset
from roboscale.jobs.events import OnEvent
from roboscale.jobs.files import write_json
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes

if TYPE_CHECKING:
    from roboscale.curate.selection import Selection
    from roboscale.jobs.data_mix import MixDataset

__all__ = ["claim_against", "rate_of_each_training", "try_selections", "validate_selection"]


def validate_selection(
    request: CurateDataset, done: CuratedDataset, dataset: Dataset, method: Method, on_event: OnEvent
) -> CuratedDataset:
    """Trains on what is kept, on a random selection of its size and on the worst of its size, `runs` times each.

    All policies take equally many steps and are tried on the same cases; claims count training runs. What is finished
    stays in the folder, and the same command goes on.
    """
    share = done.selection.frames / done.frames
    asked = f"as many frames as {method.name} keeps"
    selections = {
        "kept": done.selection,
        "random": choose(dataset, RandomChoice(), frames=share, asked=asked, seed=request.seed),
        "worst": choose(dataset, method, frames=share, asked=asked, seed=request.seed, worst=True),
    }
    descriptions = {name: f"{one.frames} frames, {one.method}" for name, one in selections.items()}
    tried = try_selections(request, selections, descriptions, on_event, inputs=request.inputs)
    return replace(
        done, validation=tried.to_json(), reading=reading_of(tried, method.name), lines=rate_of_each_training(tried)
    )


def try_selections(
    request: CurateDataset | MixDataset,
    selections: Mapping[str, Selection],
    descriptions: Mapping[str, str],
    on_event: OnEvent,
    *,
    inputs: str = "state",
) -> TriedRecipes:
    """Trains on each selection of the request's dataset, and tries all policies on the same cases, in its folder.

    Args:
        selections: recipe -> what of the dataset it learns from.
        descriptions: recipe -> what it is, for the page.
    """
    assert request.validate is not None, "asked for"
    request.validate.mkdir(parents=True, exist_ok=True)
    paths = {name: request.validate / f"{name}.json" for name in selections}
    for name, selection in selections.items():
        write_json(paths[name], selection.to_json())
    asked = RecipeRound(
        datasets=dict.fromkeys(selections, request.dataset),
        selections=paths,
        tasks=tuple(text.strip() for text in request.tasks.split(",")),
        world=request.world,
        runs=request.runs,
        trials=request.trials,
        steps=request.steps,
        inputs=inputs,
        out=request.validate,
        seed=request.seed,
        workers=request.workers,
        descriptions=descriptions,
    )
    train_recipes(asked, on_event)
    return try_recipes(asked, on_event)


def reading_of(tried: TriedRecipes, method: str) -> str:
    """Whether the method beats a draw, in one sentence, with the claim that it rests on."""
    better = f"{method} chooses better than a draw"
    worse = f"{method} loses to a draw of the same size: do not use it here"
    return claim_against(
        tried, ("kept", "random"), (better, worse, f"{method} was not shown to choose better than a draw")
    )


def claim_against(tried: TriedRecipes, recipes: tuple[str, str], words: tuple[str, str, str]) -> str:
    """Which of two recipes is better, in the words for the first, for the second and for neither, and the claim.

    RoboscaleError where no trial was counted.
    """
    overall = tried.ranked.standing.overall
    if overall is None:
        raise RoboscaleError("no claim can be made: no trial was counted")
    (pair,) = [one for one in overall.verdict.pairs if {one.first, one.second} == set(recipes)]
    winner = {"first is better": pair.first, "second is better": pair.second}.get(str(pair.verdict.decision), "")
    said = dict(zip(recipes, words, strict=False)).get(winner, words[2])
    return f"{said}: {pair.verdict.sentence}; {overall.unit}"


def rate_of_each_training(tried: TriedRecipes) -> tuple[str, ...]:
    """A line a recipe."""
    each = {
        name: ", ".join("no trial" if r is None else f"{r:.2f}" for r in rates) for name, rates in tried.runs.items()
    }
    return tuple(f"  {name}, success of each training: {rates}" for name, rates in each.items())
