"""What `--sweep sobol` asks: all axes of a worse world drawn at once, and which of them decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.core import NOMINAL, Case, Counted, Identity, RoboscaleError, World
from roboscale.jobs.perturbing import Excluded, perturb_of, perturbed_cases

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.jobs.trying import Trying
    from roboscale.stats.sensitivity import FailureCluster, Sensitivity

__all__ = ["all_cases", "failures_in", "sensitivity_lines", "sensitivity_of", "swept_cases"]


def all_cases(
    request: Trying, cases: Sequence[Case], world: World, say: Callable[[str], None], excluded: Excluded | None
) -> tuple[Case, ...]:
    """The cases of a request: as they are, in cells (`--perturb`), or with all axes drawn at once (`--sweep`)."""
    if getattr(request, "sweep", ""):
        return swept_cases(cases, perturb_of(request), getattr(request, "points", 0), request.seed, world, say)
    return perturbed_cases(cases, perturb_of(request), world, say, excluded)


def swept_cases(
    cases: Sequence[Case], text: str, points: int, seed: int, world: World, say: Callable[[str], None]
) -> tuple[Case, ...]:
    """The cases as they are, then the rows of a Sobol design over them, row by row.

    Args:
        text: of `--perturb`: which axes.
        points: rows.

    Raises:
        RoboscaleError: rows that are no power of 2, fewer than two axes, or a level that is asked for.
    """
    from roboscale.stats.sensitivity import sobol_design

    axes = axes_swept(cases, text, world, say)
    if points < 2 or points & (points - 1):
        raise RoboscaleError(f"--points {points}: a Sobol design has 2, 4, 8, 16, ... rows")
    design = sobol_design(axes, points, seed)
    rows = []
    for row, strengths in enumerate(design):
        own, other = cases[2 * row % len(cases)], cases[(2 * row + 1) % len(cases)]
        starts = [own, other, *(own for _ in axes), other]
        rows += [replace(case, variation=_variation(axes, one)) for case, one in zip(starts, strengths, strict=True)]
    if len(set(rows)) < len(rows):
        raise RoboscaleError(f"--points {points}: two rows are the same case; take another --seed")
    say(
        f"--sweep sobol: {points} rows of {len(axes) + 3} trials over {', '.join(axes)}, "
        f"{len(cases) + len(rows)} trials of each policy instead of {len(cases)}"
    )
    if len(cases) < 2 * points:
        say(f"--sweep sobol: {len(cases)} cases stand for {2 * points} draws of a case; --trials gives more")
    return (*cases, *rows)


def axes_swept(cases: Sequence[Case], text: str, world: World, say: Callable[[str], None]) -> tuple[str, ...]:
    """The axes that change something in every task."""
    from roboscale.jobs.perturbing import cells_by_task
    from roboscale.worlds.perturbed import AXES

    if ":" in text:
        raise RoboscaleError(f"--perturb {text}: --sweep draws the strength of every axis; name axes without a level")
    by_task = [
        {cell.partition(":")[0]: None for cell in cells} for cells in cells_by_task(cases, text, world, say).values()
    ]
    axes = tuple(axis for axis in AXES if all(axis in of_task for of_task in by_task))
    if len(axes) < 2:
        raise RoboscaleError(f"--sweep draws several axes at once; found {', '.join(axes) or 'none'}")
    return axes


def _variation(axes: Sequence[str], strengths: NDArray[np.float64]) -> str:
    """Canonical text of a row: strengths to three places, those that round to 0 left out."""
    parts = [f"{axis}:{text}" for axis, s in zip(axes, strengths, strict=True) if (text := f"{s:.3f}") != "0.000"]
    return ",".join(parts) or NOMINAL


def sensitivity_of(judged: Judged) -> dict[str, Sensitivity]:
    """Label of a policy -> what the design says of it; empty for any other run."""
    from roboscale.stats.sensitivity import failure_clusters, sensitivity
    from roboscale.worlds.perturbed import AXES

    if not judged.swept:
        return {}
    rows = [case for text in judged.run.cases if (case := Case.parse(text)).variation != NOMINAL]
    strengths = [_strengths(case) for case in rows]
    axes = tuple(axis for axis in AXES if any(axis in one for one in strengths))
    matrix = np.array([[one.get(axis, 0.0) for axis in axes] for one in strengths])
    made = {}
    for policy, label in judged.labels.items():
        success = {c.case.id: c.outcome.success for c in judged.used if c.policy == policy and not c.pending}
        went = [success.get(case.id) for case in rows]
        values = np.array([np.nan if one is None else float(one) for one in went])
        count = len(values) // (len(axes) + 3) * (len(axes) + 3)
        found = sensitivity(values[:count].reshape(-1, len(axes) + 3), axes)
        tried = ~np.isnan(values)
        made[label] = replace(found, clusters=failure_clusters(matrix[tried], values[tried] == 0, axes))
    return made


def failures_in(judged: Judged, policy: Identity, cluster: FailureCluster) -> list[Counted]:
    """The failures of a policy in one corner of the design, in schedule order."""
    mine = [c for c in judged.used if c.policy == policy and c.outcome.success is False]
    return [c for c in mine if c.case.variation != NOMINAL and _inside(_strengths(c.case), cluster.where)]


def _inside(strengths: Mapping[str, float], where: Mapping[str, float]) -> bool:
    return all(strengths.get(axis, 0.0) >= least for axis, least in where.items())


def _strengths(case: Case) -> dict[str, float]:
    pairs = (part.partition(":") for part in case.variation.split(","))
    return {axis: float(strength) for axis, _, strength in pairs}


def sensitivity_lines(judged: Judged) -> list[str]:
    """For a terminal: the sentence, a line an axis, and where failures gather."""
    from roboscale.stats.robustness import with_signs

    lines = []
    for label, found in sensitivity_of(judged).items():
        lines.append(f"{label} with all axes drawn at once: success {found.success}; {found.sentence}")
        for index in found.indices:
            named = (("first", index.first), ("total", index.total), ("together", index.together))
            lines.append(f"  {index.axis:20}{', '.join(f'{name} {with_signs(one)}' for name, one in named)}")
        for cluster in found.clusters:
            lines.append(f"  failures gather at {cluster.text}: {cluster.failures}; lift {cluster.lift.value:.2f}")
        if found.indices:
            lines.append(f"  {found.indices[0].total.method}; 95 % each")
    return lines
