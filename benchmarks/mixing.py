"""Do shares of the draws help? Two sources of two Meta-World tasks, weighed by `data mix`, judged by success alone.

A few clean demonstrations stand beside many of another source: of noise in the actions, or of a third task. The
built-in policy learns all of it at once with the shares of `robust`, with equal shares, and as often as there are
frames; several trainings each, with equal steps, tried on the same held-out cases. Intervals count training runs.
Finished trainings and trials stay in the folder: the same command goes on.

    python -m benchmarks.mixing out
    python -m benchmarks.mixing out --mixtures noise --runs 5 --trials 10 --steps 400 --workers 1
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.curation import MIXTURES, OTHER, TASKS, Raw, add_training_options, collect, episodes_of
from roboscale.core import Provenance, generator
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.jobs.data_mix import MixDataset, mix_dataset
from roboscale.jobs.events import Note, ignore

BESIDE = ("noise", "other-task")
FEW = 5  # one clean demonstration stands beside four others


def planted(folder: Path, beside: str, seed: int) -> Path:
    """A dataset of a fifth of the clean demonstrations, and the other source; made once."""
    root = folder / "data" / beside
    if (root / "meta/info.json").exists():
        return root
    clean, rng = episodes_of(folder / "clean"), generator("mixing", beside, seed)
    few = [one for index, one in enumerate(clean) if index % FEW == 0]
    many: Sequence[Raw] = [one for index, one in enumerate(clean) if index % FEW]
    if beside == "noise":
        defect = MIXTURES["noise-high"]
        assert not isinstance(defect, str), "a function that spoils one"
        many = [defect(rng, one, many) for one in many]
    else:
        many = episodes_of(folder / "other")
    with DatasetWriter(root, Dataset(folder / "clean").spec) as writer:
        for source, listed in (("few", few), ("many", many)):
            for one in listed:
                take = writer.begin(one.instruction, Provenance(source))
                for frame in range(len(one)):
                    take.add({name: array[frame] for name, array in one.arrays.items()})
                take.save()
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of everything; the same one resumes")
    parser.add_argument("--mixtures", nargs="+", default=list(BESIDE), choices=BESIDE)
    parser.add_argument("--demonstrations", type=int, default=40, help="per task, of which a fifth stays clean")
    add_training_options(parser)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    collect(options.out, options)
    for beside in options.mixtures:
        root = planted(options.out, beside, options.seed)
        request = MixDataset(
            dataset=root,
            out=options.out / f"{beside}.json",
            method="robust",
            validate=options.out / beside,
            tasks=",".join(TASKS),
            runs=options.runs,
            trials=options.trials,
            steps=options.steps,
            seed=options.seed,
            workers=options.workers,
        )
        done = mix_dataset(request, lambda event: print(event.text) if isinstance(event, Note) else ignore(event))
        shares = ", ".join(f"{name} {share:.2f} ({done.frames[name]:.2f})" for name, share in done.shares.items())
        words = f"demonstrations of {OTHER}" if beside == "other-task" else "noise of size 1 in the actions"
        print(f"\nfew clean ones beside {words}; shares of the draws (of the frames): {shares}")
        print("\n".join(done.reading), flush=True)


if __name__ == "__main__":
    main()
