"""Statistics that somebody wrote down against those of the data, and two known ways to get quantiles wrong."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.tables import (
    OVER_LAST_AXIS,
    TableEvidence,
    as_numbers,
    worst_statistic,
    wrong_statistics,
)
from roboscale.dataset.checks import finding, many
from roboscale.dataset.layout import is_colour
from roboscale.dataset.lerobot.check import bare_text, check_version, relative_path, statistics_file, without_quantiles
from roboscale.dataset.lerobot.folder import Folder
from roboscale.dataset.lerobot.info import read_lines, read_object
from roboscale.dataset.statistics import QUANTILES, Statistics, shape_of

__all__ = ["judge_images", "judge_statistics", "recipe"]

_RECIPE = 0.02  # of the range: LeRobot takes the episodes' quantiles from a histogram
_FAR = 0.25  # of the range: what normalises by such a quantile loses a part of its scale
_BASIC = ("count", "min", "max", "mean", "std")


def judge_statistics(folder: Folder, tables: Sequence[TableEvidence]) -> Iterator[Finding]:
    """The statistics of the whole, and those of every episode, against the data."""
    path, of_each = statistics_file(folder)
    where = relative_path(folder, path)
    yield from check_version(folder)
    truth = _merged(tables)
    try:
        if of_each:
            yield from _lines(folder, path, truth)
        else:
            yield from _whole(folder, read_object(path), truth, tables)
    except BadData as error:
        yield finding("stats-missing", str(error), field=where)
    yield from _of_episodes(folder, tables, "episodes_stats.jsonl" if of_each else "meta/episodes")


def _lines(folder: Folder, path: Path, truth: Mapping[str, Statistics]) -> Iterator[Finding]:
    """v2.1: a line for each episode; their numbers are compared with the rows of each."""
    lines = [row for _, row in read_lines(path)]
    there = {row.get("episode_index") for row in lines if isinstance(row.get("stats"), dict)}
    lost = [i for i, number in enumerate(folder.numbers) if number not in there]
    if lost:
        text = f"{path.name} has no statistics of {many(len(lost))}"
        yield finding("stats-missing", text, field=relative_path(folder, path), episodes=lost)
    stats = next((row["stats"] for row in lines if isinstance(row.get("stats"), dict)), None)
    if stats is None:
        return
    own = [name for name in truth if not name.endswith(OVER_LAST_AXIS)]
    yield from _missing(folder, path, stats, own)
    yield from _judge_shapes(folder, path.name, stats)
    yield from _bare(path.name, stats, [name for name in own if name in stats])


def _missing(folder: Folder, path: Path, stats: Mapping[str, Any], own: Sequence[str]) -> Iterator[Finding]:
    """Features without statistics; those of depth are their writer's, and nobody here makes them."""
    missing = [name for name in (*own, *folder.head.cameras) if name not in stats]
    kept = [name for name in missing if name in folder.head.cameras and not is_colour(folder.head.features[name])]
    for names, about in (([n for n in missing if n not in kept], {}), (kept, {"kept": True})):
        if names:
            text = f"{path.name} has no statistics of {', '.join(names)}"
            evidence = {"features": names, **about}
            yield finding("stats-missing", text, field=relative_path(folder, path), evidence=evidence)


def _judge_shapes(folder: Folder, file: str, stats: Mapping[str, Any]) -> Iterator[Finding]:
    """Statistics of colour cameras have the shape (3, 1, 1): LeRobot refuses any other when it puts sets together."""
    for camera in folder.head.cameras:
        claim = stats.get(camera)
        if not isinstance(claim, dict) or not is_colour(folder.head.features[camera]):
            continue
        shapes = {name: shape_of(claim[name]) for name in ("min", "max", "mean", "std") if name in claim}
        wrong = {name: shape for name, shape in shapes.items() if shape != (3, 1, 1)}
        if wrong:
            name, shape = next(iter(wrong.items()))
            text = f"{name} of {camera} in {file} has the shape {list(shape)}, LeRobot takes [3, 1, 1] and no other"
            yield finding("image-stats-wrong", text, field=camera, evidence={"shape": list(shape)})


def _bare(file: str, stats: Mapping[str, Any], names: list[str]) -> Iterator[Finding]:
    bare = without_quantiles(stats, names)
    if bare:
        yield finding("missing-quantiles", f"{file} {bare_text(bare)}", field=file, evidence={"lacking": bare})


def _merged(tables: Sequence[TableEvidence]) -> dict[str, Statistics]:
    names = {name for table in tables for name in table.statistics}
    complete = [n for n in names if all(n in t.statistics for t in tables if t.episodes)]
    parts = {n: [t.statistics[n] for t in tables if n in t.statistics] for n in sorted(complete)}
    return {n: functools.reduce(Statistics.merge, per_episode) for n, per_episode in parts.items()}


def _whole(
    folder: Folder, stats: Mapping[str, Any], truth: Mapping[str, Statistics], tables: Sequence[TableEvidence]
) -> Iterator[Finding]:
    own = [name for name in truth if not name.endswith(OVER_LAST_AXIS)]
    yield from _missing(folder, folder.root / "meta/stats.json", stats, own)
    yield from _judge_shapes(folder, "stats.json", stats)
    basic = _BASIC if folder.head.is_v3 else _BASIC[1:]  # v2.0 has no count
    for name in own:
        claim = stats.get(name)
        if not isinstance(claim, dict):
            continue
        lacking = [s for s in basic if s not in claim]
        if lacking:
            text = f"stats.json has no {', '.join(lacking)} of {name}"
            yield finding("stats-missing", text, field=name, evidence={"features": [name]})
        low = as_numbers(claim.get("min"))
        last = truth.get(f"{name}{OVER_LAST_AXIS}")
        if last is not None and low is not None and low.size == last.low.size != truth[name].low.size:
            known = {key: value for key, value in claim.items() if key != "count"}
            yield from _feature(name, known, last, ())
        else:
            yield from _feature(name, claim, truth[name], tables)
    yield from _bare("stats.json", stats, [name for name in own if isinstance(stats.get(name), dict)])


def _bands(whole: Statistics) -> dict[str, list[NDArray[np.float64]]]:
    """Quantile -> values one and a half ranks below and above it."""
    step = 1.5 / max(1, whole.count)
    ends = {q: np.clip([level - step, level + step], 0, 1) for q, level in QUANTILES.items()}
    return {q: [whole.quantile(float(end)) for end in pair] for q, pair in ends.items()}


def _feature(
    name: str, claim: Mapping[str, Any], whole: Statistics, tables: Sequence[TableEvidence]
) -> Iterator[Finding]:
    entry = whole.per_element()
    known = {key: value for key, value in claim.items() if key in entry}
    wrong = list(wrong_statistics(known, entry))
    if any(w in QUANTILES for w in wrong):
        wrong = list(wrong_statistics(known, entry, bands=_bands(whole)))
    basic, quantiles = [w for w in wrong if w in _BASIC], [w for w in wrong if w in QUANTILES]
    if basic:
        worst = worst_statistic(known, entry, basic)
        text = f"{', '.join(basic)} of {name} in stats.json are not those of the data{worst}"
        yield finding("stats-wrong", text, field=name, evidence=_sides(known, entry, basic))
    if quantiles:
        check = recipe(name, known, whole, tables)
        how = {"quantiles-averaged": "the mean of", "quantiles-envelope": "the extremes of"}.get(check)
        rest = f"are {how} the episodes', not the data's" if how else "are not those of the data"
        evidence = _sides(known, entry, quantiles) | {"plot": _bars(known, entry)}
        which = "the quantiles" if len(quantiles) == len(QUANTILES) else ", ".join(quantiles)
        text = f"{which} of {name} {rest}{worst_statistic(known, entry, quantiles)}"
        outside = _outside(known, whole)
        if outside is not None:
            text += f"; {outside:.0%} of values outside q01..q99"
            evidence["share outside q01 to q99"] = round(outside, 4)
        one = finding(check, text, field=name, evidence=evidence)
        far = check == "quantiles-wrong" and _far(known, entry, quantiles)
        yield dataclasses.replace(one, severity="error") if far else one


def _outside(claim: Mapping[str, Any], whole: Statistics) -> float | None:
    """Of the worst element, the share of values that its q01 and q99 leave out, 2 % by rights; `None` without them."""
    low, high = (as_numbers(claim.get(q)) for q in ("q01", "q99"))
    if low is None or high is None or not len(low) == len(high) == len(whole.histograms):
        return None
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    return max(h.share_outside(*ends) for h, *ends in zip(whole.histograms, low.tolist(), high.tolist(), strict=True))


def _far(claim: Mapping[str, Any], truth: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a quantile lies outside the data, out of order, or further off than a quarter of the range."""
    low, high = np.ravel(truth["min"]), np.ravel(truth["max"])
    range_, before = np.maximum(high - low, 1e-12), low - 1e-6 * (high - low) - 1e-9
    for name in QUANTILES:
        said = as_numbers(claim[name]) if name in claim else None
        if name in claim and (said is None or said.shape != low.shape or not np.isfinite(said).all()):
            return True
        if said is not None and name in names:
            slack = 1e-5 * np.maximum(np.abs(low), np.abs(high)) + 1e-6 * range_ + 1e-9
            if (said < before - slack).any() or (said > high + slack).any():
                return True
            if (np.abs(said - np.ravel(truth[name])) > _FAR * range_).any():
                return True
        before = said if said is not None else before
    return False


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
    """The check that names how wrong quantiles were made, where that can be told.

    Of the episodes' quantiles as the metadata have them, and as the data have them: few rows have few ranks.
    """
    frames = sum(sum(t.lengths) for t in tables)
    for own in (False, True):
        parts = [
            (e[name], n)
            for t in tables
            for e, n in zip(t.quantiles if own else t.said, t.lengths, strict=True)
            if name in e
        ]
        if sum(n for _, n in parts) == frames and parts:
            check = _made_from(claim, whole, parts)
            if check:
                return check
    return _resumed(name, claim, whole, tables) or "quantiles-wrong"


def _resumed(name: str, claim: Mapping[str, Any], whole: Statistics, tables: Sequence[TableEvidence]) -> str:
    """As `recipe`, where another writer went on with a set: the first files' own quantiles count as one episode's."""
    for count in range(1, len(tables)):
        begun = [t.statistics[name] for t in tables[:count] if name in t.statistics]
        later = [(e[name], n) for t in tables[count:] for e, n in zip(t.said, t.lengths, strict=True) if name in e]
        if len(begun) == count and len(later) == sum(len(t.lengths) for t in tables[count:]):
            first = functools.reduce(Statistics.merge, begun)
            own = {q: first.quantile(level) for q, level in QUANTILES.items()}
            check = _made_from(claim, whole, [(own, first.count), *later])
            if check:
                return check
    return ""


def _made_from(
    claim: Mapping[str, Any],
    whole: Statistics,
    parts: Sequence[tuple[Mapping[str, NDArray[np.float64]], int]],
) -> str:
    """The check whose recipe makes the claim of (quantiles, frames) of every episode; empty where none does."""
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
            fits[check] &= same and bool((np.abs(said - value) <= _RECIPE * range_).all())
    return next((check for check, fit in fits.items() if fit), "")


def _of_episodes(folder: Folder, tables: Sequence[TableEvidence], file: str) -> Iterator[Finding]:
    positions = {number: i for i, number in enumerate(folder.numbers)}
    fields: dict[str, dict[int, tuple[str, ...]]] = {}
    shown: dict[tuple[str, int], str] = {}
    for table in tables:
        for number, rows in table.episodes.items():
            for name, (names, worst) in rows.wrong.items():
                fields.setdefault(name, {})[positions[number]] = names
                shown[name, positions[number]] = worst
    for name, wrong in fields.items():
        i, names = next(iter(sorted(wrong.items())))
        text = f"{', '.join(names)} of {name} in {file} are not those of the rows, in {many(len(wrong))}"
        text += f"; episode {i}{shown[name, i]}"
        one = finding("episode-stats-wrong", text, field=name, episodes=sorted(wrong), evidence={"first": i})
        basic = any(statistic in _BASIC for names in wrong.values() for statistic in names)
        yield one if basic else dataclasses.replace(one, severity="warning")


_COLOUR = 0.1  # of the full scale: sampled pictures against all of them


def judge_images(root: Path, evidence: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    """The mean colour of every camera in the statistics against that of the pictures looked at."""
    whole, each = root / "meta/stats.json", root / "meta/episodes_stats.jsonl"
    for camera in sorted({name for e in evidence for name in e.cameras}):
        seen = [e for e in evidence if camera in e.cameras and e.cameras[camera].colour]
        if not seen or len(seen) < len(evidence):
            continue
        try:
            if whole.is_file():
                yield from _judge_colour(camera, "stats.json", read_object(whole).get(camera), seen)
            else:
                yield from _judge_colours(camera, each, seen)
        except BadData:
            return  # whoever judges the statistics says so


def _judge_colours(camera: str, path: Path, seen: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    """v2.1: episode by episode; the first that is wrong stands for all."""
    if not path.is_file():
        return
    lines = {row.get("episode_index"): row.get("stats") for _, row in read_lines(path)}
    wrong = []
    for one in seen:
        stats = lines.get(int(one.key.rpartition("_")[2])) if one.key.rpartition("_")[2].isdecimal() else None
        found = list(_judge_colour(camera, path.name, stats.get(camera) if isinstance(stats, dict) else None, [one]))
        wrong += [(one.position, shown) for shown in found]
    if wrong:
        place, first = wrong[0]
        text = f"{first.text}, in episode {place}; {many(len(wrong))} in all"
        yield dataclasses.replace(first, text=text, episodes=tuple(position for position, _ in wrong))


def _judge_colour(camera: str, file: str, claim: Any, seen: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    if not isinstance(claim, dict) or "mean" not in claim:
        return
    colours = [e.cameras[camera].colour for e in seen]
    mean = np.average(colours, axis=0, weights=[e.length for e in seen]) / 255
    said = as_numbers(claim["mean"])
    if said is None or said.shape != mean.shape or not (np.abs(said - mean) <= _COLOUR).all():
        shown = claim["mean"] if said is None else said.round(3).tolist()
        text = f"{file} gives {camera} the mean {shown}, its pictures {mean.round(3).tolist()}"
        yield finding("image-stats-wrong", text, field=camera)
