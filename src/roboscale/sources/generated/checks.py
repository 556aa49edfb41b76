"""What must hold before a generated video takes the place of a recorded one. A check that cannot say does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.plain import Plain
from roboscale.sources.generated.folder import AugmentationJob, GeneratedVideo, gradient_of
from roboscale.sources.generated.inverse_dynamics import InverseDynamics

__all__ = ["LEAST_OVERLAP", "LEAST_SKILL", "MOST_RESIDUAL", "GeneratedCheck", "check_generated"]

LEAST_OVERLAP = 0.6
"""Share of the robot's edges that must be found again, within two pixels."""
MOST_RESIDUAL = 1.5
"""How many times the recorded video's residual a generated one may have."""
LEAST_SKILL = 0.2
"""Below this the inverse dynamics know too little of the task to say anything."""

_STRONGEST = 0.2  # share of the pixels of the mask that count as its edges
_NEAR = 2  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCheck(Plain):
    """What was found of one generated video.

    Args:
        overlap: share of the robot's edges found again; `None` without a mask.
        residual: of the actions in the generated video, over that in the recorded one; `None` where nothing can say.
        faults: why it is not kept, a sentence each; empty where it is.
        unchecked: what could not be looked at, a sentence each.
    """

    overlap: float | None
    residual: float | None
    faults: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return not self.faults


def check_generated(
    job: AugmentationJob,
    made: GeneratedVideo,
    recorded: NDArray[np.uint8],
    actions: NDArray[Any],
    dynamics: InverseDynamics,
    mask: NDArray[np.bool_] | None = None,
) -> GeneratedCheck:
    """Holds a generated video against the recorded one.

    Args:
        recorded: (T, H, W, 3). actions: (T, A), as they were executed.
        dynamics: fitted on recorded episodes of the same camera.
        mask: (T, H, W), where the robot is; without it its outline is not checked, and that is said.
    """
    wanted = (job.frames, job.height, job.width, 3)
    if made.pictures.shape != wanted:
        return _refused(f"expected {_words(wanted)}, found {_words(made.pictures.shape)}")
    if abs(made.fps - job.fps) > 0.01 * job.fps:
        return _refused(f"expected {job.fps:g} frames a second, found {made.fps:g}")
    faults, unchecked, overlap, ratio = [], [], None, None
    if mask is None or not mask.any():
        unchecked.append("no mask of the robot is given: whether it looks as before was not checked")
    else:
        overlap = edge_overlap(recorded, made.pictures, mask)
        if overlap < LEAST_OVERLAP:
            faults.append(
                f"{overlap:.2f} of the robot's edges are where they were, expected {LEAST_OVERLAP:g} or more"
            )
    if dynamics.skill < LEAST_SKILL:
        faults.append(
            f"inverse dynamics explain {max(dynamics.skill, 0):.2f} of the actions' variance in recorded episodes, "
            f"expected {LEAST_SKILL:g} or more: whether the actions are still shown cannot be said"
        )
    else:
        ratio = dynamics.residual(made.pictures, actions) / max(dynamics.residual(recorded, actions), 1e-3)
        if ratio > MOST_RESIDUAL:
            faults.append(
                f"the actions' residual is {ratio:.2f} times that of the recording, expected {MOST_RESIDUAL:g} or less"
            )
    return GeneratedCheck(overlap=overlap, residual=ratio, faults=tuple(faults), unchecked=tuple(unchecked))


def edge_overlap(before: NDArray[np.uint8], after: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Share of the strongest edges within a mask that lie near strong ones of the other video."""
    found = total = 0
    for old, new, inside in zip(gradient_of(before), gradient_of(after), mask, strict=True):
        if not inside.any():
            continue
        edges = [strength >= np.quantile(strength[inside], 1 - _STRONGEST) for strength in (old, new)]
        wanted, there = edges[0] & inside, _widened(edges[1])
        found, total = found + int((wanted & there).sum()), total + int(wanted.sum())
    return found / total if total else 0.0


def _widened(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(edges, _NEAR)
    height, width = edges.shape
    around = range(2 * _NEAR + 1)
    return np.any([padded[i : i + height, j : j + width] for i in around for j in around], axis=0)  # type: ignore[no-any-return]


def _refused(fault: str) -> GeneratedCheck:
    return GeneratedCheck(overlap=None, residual=None, faults=(fault,))


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} frames of {' x '.join(map(str, shape[1:3]))}" if len(shape) == 4 else f"shape {shape}"
