"""Do methods of curation help? Defects planted into demonstrations of two Meta-World tasks, judged by success alone.

Half of the episodes of each mixture are spoilt. The built-in policy learns both tasks at once, from everything, from
the clean half (the oracle), from what each method keeps at the same number of frames, and from a draw; several
trainings each, with equal steps, tried on the same held-out cases. Intervals count training runs. Finished trainings
and trials stay in the folder: the same command goes on.

    python -m benchmarks.curation out --mixtures mirrored noise-high --methods information progress length
    python -m benchmarks.curation out --mixtures mirrored --runs 5 --trials 10 --steps 400 --workers 1

Defects are planted into what was recorded, not into how it was driven: states stay those of a success. Gripper defects
(early release, missed grasp) are wrong labels, and no object falls.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Provenance, RoboscaleError, generator
from roboscale.curate.choose import choose, method_named
from roboscale.curate.selection import Chosen, Left, Selection, episode_contents
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.jobs.events import ignore
from roboscale.jobs.files import write_json
from roboscale.jobs.filling import Filling, recorded
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes

TASKS = ("push-v3", "drawer-open-v3")
OTHER = "reach-v3"  # what somebody recorded under the name of the first
SENTENCES = "instruction"
GRIPPER = 3  # element of Meta-World's action: its effort, 1 closes

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Raw:
    """One episode in memory."""

    arrays: Arrays
    instruction: str

    def __len__(self) -> int:
        return len(self.arrays["action"])


Defect = Callable[[np.random.Generator, Raw, Sequence[Raw]], Raw]
"""Spoils an episode; the others of its task are there to take from."""


def acting(one: Raw, actions: NDArray[np.float32]) -> Raw:
    return replace(one, arrays={**one.arrays, "action": np.clip(actions, -1, 1).astype(np.float32)})


def noise(size: float) -> Defect:
    return lambda rng, one, _: acting(one, one.arrays["action"] + rng.normal(0, size, one.arrays["action"].shape))


def mirrored(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    actions = one.arrays["action"].copy()
    actions[:, :2] *= -1
    return acting(one, actions)


def delayed(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    """Actions as they were half a second ago."""
    return acting(one, one.arrays["action"][np.maximum(0, np.arange(len(one)) - 5)])


def discarded(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    """A take that was given up half way stays in front."""
    before = others[rng.integers(len(others))]
    half = len(before) // 2
    return replace(one, arrays={n: np.concatenate([before.arrays[n][:half], a]) for n, a in one.arrays.items()})


def released(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    """The gripper opens in the last third."""
    actions = one.arrays["action"].copy()
    actions[2 * len(one) // 3 :, GRIPPER] = -1
    return acting(one, actions)


def missed(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    """The gripper closes only when the first half is over."""
    actions = one.arrays["action"].copy()
    actions[: len(one) // 2, GRIPPER] = -1
    return acting(one, actions)


def repeated(rng: np.random.Generator, one: Raw, others: Sequence[Raw]) -> Raw:
    """The first episode again."""
    return others[0]


MIXTURES: Mapping[str, Defect | str] = {
    "noise-low": noise(0.1),
    "noise-mid": noise(0.3),
    "noise-high": noise(1.0),
    "mirrored": mirrored,
    "delay": delayed,
    "discarded": discarded,
    "duplicates": repeated,
    "early-release": released,
    "missed-grasp": missed,
    "wrong-task": OTHER,
    "wrong-instruction": SENTENCES,
}


def episodes_of(root: Path) -> list[Raw]:
    dataset = Dataset(root)
    names = [f.name for f in dataset.spec if not f.is_image]
    columns = {name: dataset.arrays(name) for name in names}
    rows = [(e, slice(e.from_index, e.from_index + e.length)) for e in dataset.episodes]
    return [Raw({n: a[where] for n, a in columns.items()}, e.instruction) for e, where in rows]


def collect(folder: Path, options: argparse.Namespace) -> None:
    """Clean demonstrations of both tasks, and of the one that is mistaken for the first; what is there is kept."""
    for name, tasks in (("clean", TASKS), ("other", (OTHER,))):
        asked = Filling(
            world="metaworld",
            tasks=tasks,
            per_task=options.demonstrations,
            out=folder / name,
            seed=options.seed,
            workers=options.workers,
            images=False,
        )
        recorded(asked, "expert", ignore)


def planted(folder: Path, mixture: str, seed: int) -> tuple[Path, list[bool]]:
    """A dataset of which every second episode of a task is spoilt, and which are clean; made once."""
    out, rng = folder / "data" / mixture, generator("planted", mixture, seed)
    clean, other = episodes_of(folder / "clean"), episodes_of(folder / "other")
    sentences = list(dict.fromkeys(one.instruction for one in clean))
    listed, truth = list[Raw](), list[bool]()
    for sentence in sentences:
        mine = [one for one in clean if one.instruction == sentence]
        for number, one in enumerate(mine):
            truth.append(number % 2 == 0)
            listed.append(one if truth[-1] else _spoilt(mixture, one, mine, (other[number], sentences), rng))
    if not (out / "meta/info.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        spec = Dataset(folder / "clean").spec
        order = generator("order", mixture, seed).permutation(len(listed))  # the place of an episode must tell nothing
        with DatasetWriter(out, spec) as writer:
            for index in order:
                take = writer.begin(listed[index].instruction, Provenance("benchmark"))
                for frame in range(len(listed[index])):
                    take.add({name: array[frame] for name, array in listed[index].arrays.items()})
                take.save()
        write_json(folder / "data" / f"{mixture}.json", [truth[index] for index in order])
    return out, json.loads((folder / "data" / f"{mixture}.json").read_text("utf-8"))


def _spoilt(
    mixture: str, one: Raw, mine: Sequence[Raw], more: tuple[Raw, Sequence[str]], rng: np.random.Generator
) -> Raw:
    defect, (other, sentences) = MIXTURES[mixture], more
    if defect == SENTENCES:
        return replace(one, instruction=next(text for text in sentences if text != one.instruction))
    if isinstance(defect, str):
        return replace(other, instruction=one.instruction)
    return defect(rng, one, mine)


def oracle(root: Path, clean: Sequence[bool]) -> Selection:
    """Exactly the episodes that nobody spoilt."""
    dataset = Dataset(root)
    contents = episode_contents(dataset)
    kept, dropped = list[Chosen](), list[Left]()
    for e, good in zip(dataset.episodes, clean, strict=True):
        if good:
            kept.append(Chosen(episode=e.id, content=contents[e.id], first=0, last=e.length - 1, reason="clean"))
        else:
            dropped.append(Left(episode=e.id, content=contents[e.id], reason="planted"))
    return Selection(
        method="oracle", asked="the clean ones", seed=0, dataset=root.name, kept=tuple(kept), dropped=tuple(dropped)
    )


def frames_of(selection: Selection) -> set[tuple[str, int, int]]:
    return {(row.episode, row.first, row.last) for row in selection.kept}


def selections(root: Path, clean: Sequence[bool], methods: Sequence[str], seed: int) -> dict[str, Selection]:
    """The oracle, and what each method keeps of as many frames; a method that abstains says so and is left out."""
    dataset, made = Dataset(root), {"oracle": oracle(root, clean)}
    share = made["oracle"].frames / int(dataset.lengths.sum())
    for name in methods:
        try:
            made[name] = choose(dataset, method_named(name), frames=share, asked="as many as are clean", seed=seed)
        except RoboscaleError as error:
            print(f"{name} abstains: {error}")
            continue
        twin = next((n for n in made if n != name and frames_of(made[n]) == frames_of(made[name])), None)
        if twin is not None:
            print(f"{name} keeps exactly what {twin} keeps: its row is that of {twin}")
            del made[name]
    return made


def auroc_at_length(root: Path, clean: Sequence[bool], selection: Selection) -> float | None:
    """P(a clean episode scores above a spoilt one of its instruction whose length differs by at most a tenth).

    `None` where no such pair exists. Never a bar: a detector may rank well and keep what harms.
    """
    dataset = Dataset(root)
    scores = {row.episode: row.score for row in selection.kept if row.score is not None}
    scores |= {row.episode: row.score for row in selection.dropped if row.score is not None}
    good = [e for e, c in zip(dataset.episodes, clean, strict=True) if c and e.id in scores]
    bad = [e for e, c in zip(dataset.episodes, clean, strict=True) if not c and e.id in scores]
    pairs = [
        np.sign(scores[a.id] - scores[b.id])
        for a in good
        for b in bad
        if a.instruction == b.instruction and abs(a.length - b.length) <= 0.1 * max(a.length, b.length)
    ]
    return float(np.mean(pairs) / 2 + 0.5) if pairs else None


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """second - first of training runs' rates, with a 95 % interval (Welch 1947; the runs are the sample)."""
    from scipy.stats import t

    gap = mean(second) - mean(first)
    parts = [stdev(rates) ** 2 / len(rates) for rates in (first, second)]
    error = math.sqrt(sum(parts))
    if not error:  # no spread on either side says nothing of the next training
        return gap, math.nan, math.nan
    freedom = sum(parts) ** 2 / sum(p**2 / (len(r) - 1) for p, r in zip(parts, (first, second), strict=True))
    reach = float(t.ppf(0.975, freedom)) * error
    return gap, gap - reach, gap + reach


def row(name: str, runs: Mapping[str, Sequence[float]], auroc: float | None) -> str:
    """One line of the table; a difference needs at least two runs a side."""
    rates = runs[name]
    said = [name, f"{mean(rates):.2f}", " ".join(f"{rate:.2f}" for rate in rates)]
    for other in ("random", "all"):
        if name == other or other not in runs or len(rates) < 2:
            said.append("")
            continue
        gap, low, high = welch(runs[other], rates)
        said.append(f"{gap:+.2f} " + ("(no spread)" if math.isnan(low) else f"[{low:+.2f}, {high:+.2f}]"))
    whole = mean(runs["oracle"]) - mean(runs["all"])
    closed = (mean(rates) - mean(runs["all"])) / whole if whole > 0 and name not in ("all", "oracle") else None
    said.append("" if closed is None else f"{closed:.0%}")
    said.append("" if auroc is None else f"{auroc:.2f}")
    return f"| {' | '.join(said)} |"


def table(tried: TriedRecipes, aurocs: Mapping[str, float | None]) -> str:
    runs = {name: [rate for rate in rates if rate is not None] for name, rates in tried.runs.items()}
    head = (
        "learned from",
        "success",
        "of each training",
        "minus random",
        "minus all",
        "gap closed",
        "AUROC at length",
    )
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(row(name, runs, aurocs.get(name)) for name in runs)])


def one_mixture(folder: Path, mixture: str, options: argparse.Namespace) -> None:
    root, clean = planted(folder, mixture, options.seed)
    made = selections(root, clean, [*dict.fromkeys(["random", *options.methods])], options.seed)
    out = folder / mixture
    out.mkdir(parents=True, exist_ok=True)
    paths = {name: out / f"{name}.json" for name in made}
    for name, selection in made.items():
        write_json(paths[name], selection.to_json())
    asked = RecipeRound(
        datasets=dict.fromkeys(["all", *made], root),
        selections=paths,
        tasks=TASKS,
        runs=options.runs,
        trials=options.trials,
        steps=options.steps,
        out=out,
        seed=options.seed,
        workers=options.workers,
        descriptions={name: f"{one.frames} frames" for name, one in made.items()},
    )
    train_recipes(asked)
    tried = try_recipes(asked)
    aurocs = {name: auroc_at_length(root, clean, one) for name, one in made.items() if name != "oracle"}
    print(
        f"\n{mixture}: {len(clean)} episodes, half spoilt; {options.runs} trainings a side of {options.steps} steps, "
        f"{options.trials} trials a task and training; intervals: Welch, of training runs\n{table(tried, aurocs)}",
        flush=True,
    )


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """How often and how long everything is trained and tried."""
    parser.add_argument("--runs", type=int, default=5, help="trainings a side")
    parser.add_argument("--trials", type=int, default=20, help="per task and training")
    parser.add_argument("--steps", type=int, default=1000, help="of the optimiser, for every training")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--workers", type=int, default=None, help="processes; default: the cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of everything; the same one resumes")
    parser.add_argument("--mixtures", nargs="+", default=list(MIXTURES), choices=list(MIXTURES))
    parser.add_argument("--methods", nargs="+", default=["information", "progress", "consequence", "length"])
    parser.add_argument("--demonstrations", type=int, default=20, help="per task")
    add_training_options(parser)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    collect(options.out, options)
    for mixture in options.mixtures:
        one_mixture(options.out, mixture, options)


if __name__ == "__main__":
    main()
