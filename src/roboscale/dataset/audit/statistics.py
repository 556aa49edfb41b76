"""Statistics that somebody wrote down against those of the data, and two known ways to get quantiles wrong."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.dataset.audit.checks import finding, many
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.folder import Folder
from roboscale.dataset.audit.tables import TableEvidence, as_numbers, wrong_statistics
from roboscale.dataset.layout import load_json
from roboscale.dataset.statistics import QUANTILES, Statistics

__all__ = ["judge_images", "judge_statistics", "recipe"]

_BASIC = ("count", "min", "max", "mean", "std")
Quantiles = Mapping[str, NDArray[np.float64]]


def judge_statistics(folder: Folder, tables: Sequence[TableEvidence]) -> Iterator[Finding]:
    """`meta/stats.json` and the statistics of every episode against the data."""
    path = folder.root / "meta/stats.json"
    try:
        stats = load_json(path)
    except BadData as error:
        yield finding("stats-missing", str(error), field="meta/stats.json")
        stats = None
    truth = _merged(tables)
    if stats is not None:
        yield from _whole(folder, stats, truth, tables)
    yield from _of_episodes(folder, tables)


def _merged(tables: Sequence[TableEvidence]) -> dict[str, Statistics]:
    names = {name for table in tables for name in table.statistics}
    complete = [n for n in names if all(n in t.statistics for t in tables if t.episodes)]
    parts = {n: [t.statistics[n] for t in tables if n in t.statistics] for n in sorted(complete)}
    return {n: functools.reduce(Statistics.merge, found) for n, found in parts.items()}


def _whole(
    folder: Folder, stats: Mapping[str, Any], truth: Mapping[str, Statistics], tables: Sequence[TableEvidence]
) -> Iterator[Finding]:
    cameras = [c for c in folder.info.cameras if c not in stats]
    missing = [name for name in truth if name not in stats] + cameras
    if missing:
        text = f"stats.json has no statistics of {', '.join(missing)}"
        yield finding("stats-missing", text, field="meta/stats.json", evidence={"features": missing})
    bare = []
    for name, whole in truth.items():
        claim = stats.get(name)
        if not isinstance(claim, dict):
            continue
        lacking = [s for s in _BASIC if s not in claim]
        if lacking:
            text = f"stats.json has no {', '.join(lacking)} of {name}"
            yield finding("stats-missing", text, field=name, evidence={"features": [name]})
        if any(q not in claim for q in QUANTILES):
            bare.append(name)
        yield from _feature(name, claim, whole, tables)
    if bare:
        text = f"stats.json has no quantiles of {', '.join(bare)}"
        yield finding("missing-quantiles", text, field="meta/stats.json", evidence={"features": bare})


def _feature(
    name: str, claim: Mapping[str, Any], whole: Statistics, tables: Sequence[TableEvidence]
) -> Iterator[Finding]:
    entry = whole.to_lerobot()
    known = {key: value for key, value in claim.items() if key in entry}
    wrong = list(wrong_statistics(known, entry))
    basic, quantiles = [w for w in wrong if w in _BASIC], [w for w in wrong if w in QUANTILES]
    if basic:
        text = f"{', '.join(basic)} of {name} in stats.json are not those of the data"
        yield finding("stats-wrong", text, field=name, evidence=_sides(known, entry, basic))
    if quantiles:
        check = recipe(name, known, whole, tables)
        how = {"quantiles-averaged": "the mean of", "quantiles-envelope": "the extremes of"}.get(check)
        rest = f"are {how} the episodes' quantiles, not those of the data" if how else "are not those of the data"
        evidence = _sides(known, entry, quantiles) | {"plot": _bars(known, entry)}
        yield finding(check, f"{', '.join(quantiles)} of {name} {rest}", field=name, evidence=evidence)


def _sides(claim: Mapping[str, Any], truth: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    range_ = np.maximum(np.ravel(truth["max"]) - np.ravel(truth["min"]), 1e-12)
    worst: dict[str, float | str] = {}
    for name in names:
        said, right = as_numbers(claim[name]), np.ravel(truth[name])
        if said is None or said.shape != right.shape:
            worst[name] = "another shape"
            continue
        worst[name] = round(float((np.abs(said - right) / (1 if name == "count" else range_)).max()), 6)
    return {"off by, as a share of the range": worst}


def _bars(claim: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    """Claimed and true q01..q99 of every dimension, as shares of its range."""
    low, high = np.ravel(truth["min"]), np.ravel(truth["max"])
    range_ = np.where(high > low, high - low, 1.0)
    rows = {}
    for label, side in (("stats.json", claim), ("data", truth)):
        ends = [as_numbers(side.get(q)) for q in ("q01", "q99")]
        fit = [e for e in ends if e is not None and e.shape == low.shape and np.isfinite(e).all()]
        if len(fit) == 2:
            rows[label] = [((e - low) / range_)[:32].round(4).tolist() for e in fit]
    return {"kind": "ranges", "rows": rows, "x": "share of the true range", "y": "dimension"}


def recipe(name: str, claim: Mapping[str, Any], whole: Statistics, tables: Sequence[TableEvidence]) -> str:
    """The check that names how wrong quantiles were made, where that can be told."""
    parts = [(e[name], n) for t in tables for e, n in zip(t.quantiles, t.lengths, strict=True) if name in e]
    if not parts:
        return "quantiles-wrong"
    weights = np.array([n for _, n in parts], np.float64)
    range_ = np.maximum(np.ravel(whole.high - whole.low), 1e-12)
    fits = {"quantiles-averaged": True, "quantiles-envelope": True}
    for q, level in QUANTILES.items():
        if q not in claim:
            continue
        each = np.stack([np.ravel(entry[q]) for entry, _ in parts])
        extreme = each.min(axis=0) if level <= 0.5 else each.max(axis=0)
        mean = (each * weights[:, None]).sum(axis=0) / weights.sum()
        for check, value in (("quantiles-averaged", mean), ("quantiles-envelope", extreme)):
            said = as_numbers(claim[q])
            same = said is not None and said.shape == value.shape
            fits[check] &= same and bool((np.abs(said - value) <= 5e-3 * range_).all())
    return next((check for check, fit in fits.items() if fit), "quantiles-wrong")


def _of_episodes(folder: Folder, tables: Sequence[TableEvidence]) -> Iterator[Finding]:
    positions = {number: i for i, number in enumerate(folder.numbers)}
    fields: dict[str, dict[int, tuple[str, ...]]] = {}
    for table in tables:
        for number, rows in table.episodes.items():
            for name, names in rows.wrong.items():
                fields.setdefault(name, {})[positions[number]] = names
    for name, wrong in fields.items():
        i, names = next(iter(sorted(wrong.items())))
        text = f"{', '.join(names)} of {name} in meta/episodes are not those of the rows, in {many(len(wrong))}"
        yield finding("episode-stats-wrong", text, field=name, episodes=sorted(wrong), evidence={"first": i})


_COLOUR = 0.1  # of the full scale: sampled pictures against all of them


def judge_images(root: Path, evidence: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    """The mean colour of every camera in `stats.json` against that of the pictures looked at."""
    try:
        stats = load_json(root / "meta/stats.json")
    except BadData:
        return
    for camera in sorted({name for e in evidence for name in e.cameras}):
        looked = [(e.cameras[camera].colour, e.length) for e in evidence if camera in e.cameras]
        seen = [(c, n) for c, n in looked if c]
        claim = stats.get(camera)
        if not seen or len(seen) < len(evidence) or not isinstance(claim, dict) or "mean" not in claim:
            continue
        mean = np.average([c for c, _ in seen], axis=0, weights=[n for _, n in seen]) / 255
        said = np.asarray(claim["mean"], np.float64).ravel()
        if said.shape != mean.shape or not (np.abs(said - mean) <= _COLOUR).all():
            text = (
                f"stats.json gives {camera} the mean {said.round(3).tolist()}, its pictures {mean.round(3).tolist()}"
            )
            yield finding("image-stats-wrong", text, field=camera)
