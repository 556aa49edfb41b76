"""Dreams: videos that a model made up, with no action in them, and what must hold before one becomes an episode.

    NAME.mp4      the video: as large and as quick as the camera whose place it takes
    NAME.json     if there is one: `instruction`; where it begins (`case`, or `task` and `seed`, or `episode`);
                  anything else is kept as what the model says of itself
    NAME.txt      or the instruction alone
    NAME.npy      the actions (T - 1, A), if somebody else's inverse dynamics have read them

Which actions lie in it, inverse dynamics say that were fitted on recorded episodes. Nobody can look whether they are
right, so either a world has to come to a success with them, or two models that saw different episodes have to agree.
Agreement is weak evidence: both may be wrong alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, RoboscaleError
from roboscale.core.plain import Plain
from roboscale.sources.generated.inverse_dynamics import fit_inverse_dynamics, normal_grey

__all__ = ["LEAST_LIKENESS", "MOST_APART", "Dream", "DreamReader", "ReadActions", "likeness", "read_dream"]

LEAST_LIKENESS = 0.5
"""Correlation of what changed in the video and in the world that was played with its actions."""
MOST_APART = 1.5
"""How many times further apart two models may be on a dream than on recorded episodes, and given actions from read
ones."""
_FEWEST = 4  # episodes: two for each of the two models
_FURTHEST = 4.0  # standard deviations of recorded actions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dream:
    """One video.

    Args:
        pictures: (T, H, W, 3).
        start: `case`, or `task` and `seed`, or `episode`, as it was declared; empty where it says nothing.
        about: whatever else stands in its file.
        actions: (T - 1, A) that lay beside it.
    """

    path: Path
    pictures: NDArray[np.uint8]
    instruction: str = ""
    start: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    actions: NDArray[np.float64] | None = None


_START = frozenset({"case", "task", "seed", "episode"})


def read_dream(path: Path, shape: tuple[int, ...], fps: float) -> Dream:
    """A video with what lies beside it.

    Args:
        shape: (H, W, 3) that its pictures must have. fps: that it must have.

    Raises:
        BadData: the video or the file beside it cannot be read, or the video is of another size or rate.
    """
    from roboscale.dataset.video import VideoReader, probe

    found = probe(path)
    if (found.height, found.width) != tuple(shape[:2]):
        raise BadData(path, "size", f"{shape[1]} x {shape[0]} as the camera's", f"{found.width} x {found.height}")
    reader = VideoReader(path, fps)
    try:
        pictures = reader.read(range(found.frames))
    finally:
        reader.close()
    told = _beside(path)
    start = {key: value for key, value in told.items() if key in _START}
    about = {key: value for key, value in told.items() if key not in _START | {"instruction"}}
    instruction = told.get("instruction", "")
    if not isinstance(instruction, str):
        raise BadData(path.with_suffix(".json"), "instruction", "text", repr(instruction))
    return Dream(
        path=path,
        pictures=pictures,
        instruction=instruction.strip(),
        start=start,
        about=about,
        actions=_actions_beside(path, len(pictures)),
    )


def _actions_beside(path: Path, pictures: int) -> NDArray[np.float64] | None:
    file = path.with_suffix(".npy")
    if not file.exists():
        return None
    try:
        actions = np.load(file, allow_pickle=False)
    except ValueError as error:
        raise BadData(file, "file", "an array without objects", error) from error
    if actions.ndim != 2 or len(actions) != pictures - 1 or actions.dtype.kind not in "fiu":
        found = f"{actions.dtype} of shape {actions.shape}"
        raise BadData(file, "actions", f"numbers of shape ({pictures - 1}, A): one between two pictures", found)
    if not np.isfinite(actions).all():
        raise BadData(file, "actions", "finite numbers", "NaN or infinity")
    return np.asarray(actions, np.float64)


def _beside(path: Path) -> Mapping[str, Any]:
    declared, text = path.with_suffix(".json"), path.with_suffix(".txt")
    if not declared.exists():
        return {"instruction": text.read_text("utf-8")} if text.exists() else {}
    try:
        told = json.loads(declared.read_text("utf-8"))
    except ValueError as error:
        raise BadData(declared, "file", "JSON", error) from error
    if not isinstance(told, dict):
        raise BadData(declared, "file", 'an object such as {"instruction": "..."}', type(told).__name__)
    return told


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadActions(Plain):
    """Actions that were read from a dream.

    Args:
        actions: (T - 1, A), float32, within the limits of the field.
        apart: of the two models, over what they are apart on recorded episodes.
        clipped: share of the numbers that lay outside the limits.
        faults: why they are not believed, a sentence each.
    """

    actions: NDArray[np.float32]
    apart: float
    clipped: float
    faults: tuple[str, ...]


class DreamReader:
    """Reads actions from videos of one camera.

    Args:
        videos: (T, H, W, 3) each, of the recorded episodes. actions: (T, A) each.
        low, high: limits of the action, broadcast to (A,).

    Raises:
        RoboscaleError: fewer than four episodes.
    """

    def __init__(
        self, videos: Sequence[NDArray[np.uint8]], actions: Sequence[NDArray[Any]], low: Any = None, high: Any = None
    ) -> None:
        if len(videos) < _FEWEST:
            raise RoboscaleError(
                f"dreams are read by two models of two episodes each, or more: expected {_FEWEST}, found {len(videos)}"
            )
        self._low, self._high = (-np.inf if low is None else low), (np.inf if high is None else high)
        self.whole = fit_inverse_dynamics(videos, actions)
        self._halves = [fit_inverse_dynamics(videos[k::2], actions[k::2]) for k in (0, 1)]
        self._usual = float(np.median([self._apart(video) for video in videos]))
        residuals = [self.whole.residual(video, one) for video, one in zip(videos, actions, strict=True)]
        self._residual = float(np.median(residuals))

    @property
    def skill(self) -> float:
        """Share of the variance of actions that is explained in episodes that were left out."""
        return self.whole.skill

    def read(self, video: NDArray[np.uint8], given: NDArray[np.float64] | None = None) -> ReadActions:
        """The actions between the pictures (T, H, W, 3) of a dream; those that are given (T - 1, A) are looked at.

        Raises:
            BadData: other actions are given than the recorded episodes have.
        """
        if len(video) < 3:
            nothing = np.zeros((0, len(self.whole.mean)), np.float32)
            fault = f"{len(video)} pictures: expected 3 or more"
            return ReadActions(actions=nothing, apart=0.0, clipped=0.0, faults=(fault,))
        said = self.whole.predict(video)
        beside = 0.0
        if given is not None:
            if given.shape != said.shape:
                raise BadData("actions", "shape", f"{said.shape} as of recorded episodes", f"{given.shape}")
            said, beside = given, self.whole.residual(video, given) / max(self._residual, 1e-6)
        actions = np.clip(said, self._low, self._high)
        apart = self._apart(video) / max(self._usual, 1e-6)
        far = float(np.abs((said - self.whole.mean) / self.whole.scale).max())
        faults = []
        if apart > MOST_APART:
            faults.append(
                f"two models that saw different episodes are {apart:.2f} times as far apart as on recorded ones, "
                f"expected {MOST_APART:g} or less"
            )
        if beside > MOST_APART:
            faults.append(
                f"the given actions are {beside:.2f} times as far from what its pictures show as recorded ones, "
                f"expected {MOST_APART:g} or less"
            )
        if far > _FURTHEST:
            faults.append(
                f"an action lies {far:.1f} standard deviations from recorded ones, expected {_FURTHEST:g} or less"
            )
        clipped = float(np.mean(np.abs(actions - said) > 1e-6))
        return ReadActions(actions=actions.astype(np.float32), apart=apart, clipped=clipped, faults=tuple(faults))

    def _apart(self, video: NDArray[np.uint8]) -> float:
        """Root mean square of what two models say differently, in standard deviations of the actions."""
        first, second = (half.predict(video) for half in self._halves)
        return float(np.sqrt(np.mean(((first - second) / self.whole.scale) ** 2)))


def likeness(video: NDArray[np.uint8], seen: NDArray[np.uint8]) -> float:
    """Correlation of what changed since the first picture, over the pictures that both have; 0 where nothing moved.

    Args:
        video, seen: (T, H, W, 3) each.
    """
    steps = min(len(video), len(seen))
    first, second = (normal_grey(one[:steps]) for one in (video, seen))
    a, b = ((one[1:] - one[0]).ravel() for one in (first, second))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-9 else 0.0
