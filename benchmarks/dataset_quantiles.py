"""How far quantiles of a whole dataset are off when they are put together from its episodes.

    python benchmarks/dataset_quantiles.py [--data FOLDER]

Three ways, each from per-episode statistics alone, against numpy on all rows at once:
    weighted mean   mean of the episodes' quantiles by length (LeRobot 0.4 to 0.6)
    envelope        least of the lower, largest of the upper quantiles (LeRobot after its pull request 3804)
    dyadic          roboscale: histograms that merge exactly
Errors are in percent of each element's range, worst element and mean; `outside` is the share of all values outside
the merged q01..q99, nominally 2 %. Data: episodes that each keep to a corner of the workspace, episodes that are all
alike, and with --data (or ROBOSCALE_TEST_DATA) every LeRobot parquet file found there.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.dataset.statistics import QUANTILES, Statistics

BAR_PERCENT = 0.5
Episodes = list[NDArray[Any]]
Quantiles = Mapping[str, NDArray[Any]]


def exact(episodes: Episodes) -> Quantiles:
    rows = np.concatenate(episodes)
    return {name: np.quantile(rows, q, axis=0) for name, q in QUANTILES.items()}


def weighted_mean(episodes: Episodes) -> Quantiles:
    lengths = [len(e) for e in episodes]
    each = {name: [np.quantile(e, q, axis=0) for e in episodes] for name, q in QUANTILES.items()}
    return {name: np.average(values, axis=0, weights=lengths) for name, values in each.items()}


def envelope(episodes: Episodes) -> Quantiles:
    found = {}
    for name, q in QUANTILES.items():
        values = np.array([np.quantile(e, q, axis=0) for e in episodes])
        found[name] = values.min(0) if q <= 0.5 else values.max(0)
    return found


def dyadic(episodes: Episodes) -> Quantiles:
    merged = functools.reduce(Statistics.merge, map(Statistics.of, episodes))
    return {name: merged.quantile(q) for name, q in QUANTILES.items()}


METHODS: Mapping[str, Callable[[Episodes], Quantiles]] = {
    "weighted mean": weighted_mean,
    "envelope": envelope,
    "dyadic": dyadic,
}


def corners(rng: np.random.Generator) -> Episodes:
    return [rng.uniform(-1, 1, 6) + rng.normal(0, 0.15, (int(rng.integers(50, 400)), 6)) for _ in range(100)]


def alike(rng: np.random.Generator) -> Episodes:
    return [rng.normal(0, 1, (200, 6)) for _ in range(100)]


def real(folder: Path) -> Iterator[tuple[str, Episodes]]:
    """Every float column of every LeRobot dataset below a folder, by dataset, cut into its episodes."""
    for meta in sorted(folder.rglob("meta/info.json")):
        tables = [pq.read_table(path) for path in sorted(meta.parents[1].glob("data/*/*.parquet"))]
        for name in ("observation.state", "action"):
            episodes = []
            for table in tables:
                if name not in table.column_names:
                    continue
                rows = np.stack(table[name].to_numpy())
                ends = np.flatnonzero(np.diff(np.asarray(table["episode_index"]))) + 1
                episodes += np.split(rows, ends)
            if len(episodes) > 1:
                yield f"{meta.parents[1].name} {name}", episodes


def report(title: str, episodes: Episodes) -> float:
    """Prints a row for each method; returns the worst error of ours."""
    rows, truth = np.concatenate(episodes), exact(episodes)
    moving = np.ptp(rows, axis=0) > 0
    spread = np.ptp(rows, axis=0)[moving]
    print(f"\n{title}: {len(episodes)} episodes, {len(rows)} rows, {moving.sum()} moving elements")
    worst = 0.0
    for method, compute in METHODS.items():
        found = compute(episodes)
        errors = {name: 100 * np.abs(found[name] - truth[name])[moving] / spread for name in QUANTILES}
        outside = 100 * np.mean((rows < found["q01"])[:, moving] | (rows > found["q99"])[:, moving])
        tails = np.concatenate([errors["q01"], errors["q99"]])
        worst = max(max(e.max() for e in errors.values()), 0.0)
        print(
            f"  {method:14} q01/q99 worst {tails.max():8.4f} mean {tails.mean():8.4f} | "
            f"q50 worst {errors['q50'].max():8.4f} | outside {outside:5.1f} %"
        )
    return float(worst)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    worst = [report("corners", corners(rng)), report("alike", alike(rng))]
    worst += [report(title, episodes) for title, episodes in real(options.data)]
    verdict = "kept" if max(worst) < BAR_PERCENT else "MISSED"
    print(f"\nbar: {BAR_PERCENT} % of range: {verdict} at {max(worst):.4f} %")


if __name__ == "__main__":
    main()
