"""What a driven dataset teaches, with its rests and without, beside as many demonstrations of the world's expert.

    python -m benchmarks.teleop_operator --episodes 50 --out driven
    python -m benchmarks.teleop_training driven out [--runs 3] [--trials 40] [--steps 4000]

The expert demonstrates the driven task as often as the dataset has successful episodes of it. `moving` is the driven
dataset by the selection of `data curate --method rest`. Policies of equal steps learn from the state of each, several
runs a side, and all are tried on the same held-out cases. Intervals count training runs. Whatever is finished is kept
in the folder: the same command goes on.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from roboscale import CurateDataset, curate_dataset
from roboscale.dataset import Dataset
from roboscale.jobs.events import ignore
from roboscale.jobs.filling import Filling, recorded
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes


def lines_of(tried: TriedRecipes) -> list[str]:
    """Each side with its interval, and what the two say of each other."""
    standing = tried.ranked.standing
    sides = [f"{recipe}, {task}: {rate}" for (recipe, task), rate in standing.per_task.items()]
    runs = {name: ["no trial" if r is None else f"{r:.2f}" for r in rates] for name, rates in tried.runs.items()}
    each = [f"  {name}, success of each training run: {', '.join(rates)}" for name, rates in runs.items()]
    overall = standing.overall
    assert overall is not None, "the number of trials is fixed, so there are claims"
    return [*sides, *(f"{pair.verdict.sentence}" for pair in overall.verdict.pairs), overall.unit, *each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driven", type=Path, help="a dataset of `collect teleop`, e.g. of benchmarks.teleop_operator")
    parser.add_argument("out", type=Path, help="folder of everything else; the same one resumes")
    parser.add_argument("--runs", type=int, default=3, help="trainings a side")
    parser.add_argument("--trials", type=int, default=40, help="of each training run")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    driven, expert = Dataset(asked.driven), asked.out / "expert"
    kept = Counter(e.provenance.task for e in driven.episodes if e.outcome is not None and e.outcome.success)
    if len(kept) != 1:
        raise SystemExit(f"{asked.driven}: expected successful episodes of one task, found {dict(kept)}")
    ((task, episodes),) = kept.items()
    said = f"{episodes} successful episodes of {task}, {len(driven.episodes) - episodes} others, learned from, too"
    print(f"driven: {said}; expert: {episodes}", flush=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    filling = Filling(
        world="metaworld", tasks=(task,), per_task=episodes, out=expert, seed=asked.seed, workers=0, images=False
    )
    recorded(filling, "expert", ignore)
    rests = asked.out / "rest.json"
    moving = curate_dataset(CurateDataset(dataset=asked.driven, out=rests, method="rest"))
    print(f"moving: {moving.cut.text}", flush=True)
    frames = {"driven": len(driven), "moving": moving.selection.frames, "expert": len(Dataset(expert))}
    print(", ".join(f"{name}: {count} frames" for name, count in frames.items()), flush=True)
    asked_round = RecipeRound(
        datasets={"driven": asked.driven, "moving": asked.driven, "expert": expert},
        selections={"moving": rests},
        tasks=(task,),
        runs=asked.runs,
        trials=asked.trials,
        steps=asked.steps,
        out=asked.out / "round",
        seed=asked.seed,
        workers=asked.workers,
    )
    train_recipes(asked_round)
    print("\n".join(lines_of(try_recipes(asked_round))))
    print("People were not measured: who drove is whoever recorded the dataset, in the benchmark a script.")


if __name__ == "__main__":
    main()
