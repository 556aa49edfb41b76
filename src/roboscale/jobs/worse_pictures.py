"""What worse worlds look like: the first moment of the first case, unperturbed and at each level, an axis a strip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.core import NOMINAL, Case, RoboscaleError, World

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.report import FilmStrip

__all__ = ["worse_pictures"]


def worse_pictures(judged: Judged) -> tuple[tuple[FilmStrip, ...], str]:
    """A strip of each axis that a still picture shows, and why there is none, where there is none.

    The world is opened again; what cannot be, or shows no pictures, is said and nothing is guessed.
    """
    from roboscale.jobs.rollouts import open_again
    from roboscale.worlds.perturbed import AXES

    if not judged.perturbed:
        return (), ""
    cases = [Case.parse(text) for text in judged.run.cases]
    first = next(case for case in cases if case.variation == NOMINAL)
    used = {part.partition(":")[0] for case in cases if case.task == first.task for part in case.variation.split(",")}
    axes = [name for name, axis in AXES.items() if axis.seen and name in used]
    if not axes:
        return (), ""
    try:
        world = open_again(judged.run)
    except RoboscaleError as error:
        return (), f"no pictures of worse worlds: {error}"
    try:
        cameras = [field.name for field in world.info.observation_spec.images]
        if not cameras:
            return (), f"no pictures of worse worlds: {world.info.name} shows none"
        return tuple(_strip(world, first, axis, cameras[0]) for axis in axes), ""
    except RoboscaleError as error:
        return (), f"no pictures of worse worlds: {error}"
    finally:
        world.close()


def _strip(world: World, case: Case, axis: str, camera: str) -> FilmStrip:
    from roboscale.report import FilmStrip
    from roboscale.report.video import encode_png, side_by_side
    from roboscale.worlds.perturbed import AXES, LEVELS

    shown = [_seen(world, case, camera)]
    shown += [_seen(world, replace(case, variation=f"{axis}:{level}"), camera) for level in LEVELS]
    sizes = "; ".join(f"{level}: {AXES[axis].size_text(level)}" for level in LEVELS)
    caption = f"{axis}: unperturbed, then level 1, 2 and 3 ({sizes}); {case.task}, case {case.start}"
    return FilmStrip(caption, encode_png(side_by_side(shown)))


def _seen(world: World, case: Case, camera: str) -> NDArray[np.uint8]:
    scene = world.start(case)
    try:
        return np.array(scene.observe([camera])[camera])
    finally:
        scene.close()
