"""Frames in which nothing is asked of the robot are cut, and what is left follows on: see `dataset.audit.rest`.

People who drive with keys rest between two of them, people who think rest longer; a policy that sees the present alone
learns to rest where they did. Where a rest is cut the robot stands where it stood, so what comes after it follows what
came before, and one episode stays one episode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError
from roboscale.curate.method import EpisodeView, Scored
from roboscale.dataset import Dataset
from roboscale.dataset.audit.rest import asked_motion, command_of, resting, typical_motion
from roboscale.dataset.audit.roles import infer_roles
from roboscale.dataset.audit.signals import true_runs

__all__ = ["RestMethod", "moving_frames"]


class RestMethod:
    """See the module."""

    name = "rest"
    paper = "measured on driven episodes in docs/teleoperation.md"
    assumes = "a frame in which nothing is asked of the robot, and no gripper is waited for, teaches nothing"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Minus the share of frames that rest."""
        return [_judge(view.moving) for view in views]


def _judge(moving: NDArray[np.bool_] | None) -> Scored:
    if moving is None:
        raise RoboscaleError("rest: nobody looked which frames move")
    if not moving.any():
        return Scored(score=-1.0, reason="nothing is asked of the robot in any frame", usable=False)
    resting = int((~moving).sum())
    if not resting:
        return Scored(score=0.0, reason="no frame rests")
    reason = f"{resting} of {len(moving)} frames rest"
    return Scored(score=-resting / len(moving), ranges=tuple(true_runs(moving)), reason=reason, joined=True)


def moving_frames(dataset: Dataset) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(N,) whether each frame of a dataset is anything but rest, and what was taken for granted.

    RoboscaleError where it cannot be told what the command means.
    """
    arrays = {f.name: dataset.arrays(f.name) for f in dataset.spec if not f.is_image}
    command = command_of(dataset.spec, infer_roles(dataset.spec, [], {}), arrays)
    if isinstance(command, str):
        raise RoboscaleError(f"{dataset.root}: which frames rest cannot be told: {command}")
    parts = [slice(e.from_index, e.from_index + e.length) for e in dataset.episodes]
    each = [{name: arrays[name][rows] for name in (command.action, command.state) if name} for rows in parts]
    rate_hz = float(dataset.fps)
    asked = [asked_motion(command, one, rate_hz) for one in each]
    typical = typical_motion(command, asked)
    rest = [resting(command, one, mine, typical, rate_hz) for one, mine in zip(each, asked, strict=True)]
    trembling = int(np.isinf(typical).sum())
    said = (f"{trembling} elements tremble and do nothing else: their motion is not looked at",) if trembling else ()
    return ~np.concatenate(rest), (*command.assumed, *said)
