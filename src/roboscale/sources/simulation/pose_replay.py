"""A policy that replays demonstrated poses where their references are now, turned as they are turned, in closed loop.

Each step of a demonstration is the pose that the tip was sent to. It is moved with the thing that it is relative to
(MimicGen, Mandlekar et al. 2023, section 4.2), and with what is in the hand: where a thing lies otherwise in the hand
than in the demonstration, the thing follows its path, and not the hand. Waits where the arm lags behind. Knows no
task; everything it knows is in the demonstrations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Episode,
    Observation,
    PolicyError,
    Pose,
    Spec,
    SpecMismatch,
    combine,
    require_match,
)
from roboscale.sources.simulation.pose_demonstration import (
    ACTION,
    PROPRIOCEPTION,
    THINGS,
    TIP,
    PoseDemonstration,
)
from roboscale.sources.simulation.pose_segments import ORIGIN, PoseSegment, find_pose_segments
from roboscale.sources.simulation.segments import WORLD
from roboscale.sources.simulation.transform import blend, displacement, transfer_weight

__all__ = ["PoseReplay", "PoseReplaySession"]

Array = NDArray[np.float64]

METHOD = 1  # part of the identity; another one follows the same demonstrations differently
LEAVE_M, ARRIVE_M = 0.02, 0.10  # a path keeps its first reference for this far, and its last one for this far
BEHIND_M, BEHIND_RAD = 0.02, 0.15  # an arm that is further behind is waited for,
MOST_WAIT_STEPS = 10  # but no longer than this at one step, so that nothing waits for ever
ENDED_STEPS = 40  # after the last step, for what is still moving
TURN_M = 0.1  # a radian that a reference is turned by counts as this far
STILL = Pose.identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTrack:
    """What to follow.

    Args:
        source: the demonstration. segments: its segments.
        weights: (T,) how far each step has gone over to its segment's reference.
    """

    source: PoseDemonstration
    segments: tuple[PoseSegment, ...]
    weights: Array


class PoseReplay:
    """Generates demonstrations of one arm from demonstrations.

    Args:
        demonstrations: 1 or more episodes with `observation.state`, `observation.environment_state` and `action`, in
            which the tip is moved and turned relative to where it is.

    Raises:
        SpecMismatch: there is no demonstration, one lacks a field, or they do not agree on what fields mean.
    """

    name = "pose-replay"
    history = 1

    def __init__(self, demonstrations: Sequence[Episode]) -> None:
        if not demonstrations:
            raise SpecMismatch("pose replay needs at least 1 demonstration, found none")
        read = [PoseDemonstration.of(episode) for episode in demonstrations]
        needed = [PROPRIOCEPTION, THINGS, ACTION]
        specs = [episode.spec.select(needed) for episode in demonstrations]
        for episode, spec in zip(demonstrations, specs, strict=True):
            require_match(specs[0], spec, f"demonstration {demonstrations[0].id}", f"demonstration {episode.id}")
        found = [
            PoseTrack(source=one, segments=segments, weights=_weights(one, segments))
            for one, segments in zip(read, find_pose_segments(read), strict=True)
        ]
        usual, count = Counter(map(_kinds, found)).most_common(1)[0]
        self.tracks = tuple(track for track in found if _kinds(track) == usual)
        others = ", ".join(track.source.id for track in found if _kinds(track) != usual)
        self.notes = (
            (f"not followed, their segments are not those of the other {count} demonstrations: {others}",)
            if others
            else ()
        )
        self.observation_spec: Spec | None = specs[0].select(needed[:2])
        self.action_spec: Spec | None = specs[0].select([ACTION])
        shown = [[episode.id, {name: episode.arrays[name] for name in needed}] for episode in demonstrations]
        self.identity = combine(self.name, self.name, METHOD, specs[0].to_json(), shown)

    def start(self, instruction: str, seed: int) -> PoseReplaySession:
        """A session; it draws nothing at random, and the instruction changes nothing."""
        return PoseReplaySession(self.tracks, seed, self.notes)


def _kinds(track: PoseTrack) -> tuple[tuple[str, str], ...]:
    """What is done with what, in order; demonstrations that differ in it show different things."""
    return tuple((segment.kind, segment.front) for segment in track.segments)


def _weights(demonstration: PoseDemonstration, segments: Sequence[PoseSegment]) -> Array:
    weights = np.ones(len(demonstration))
    for segment in segments:
        if segment.kind in ("approach", "carry"):
            path = demonstration.places(segment.front)[segment.start : segment.end]
            weights[segment.start : segment.end] = transfer_weight(path, LEAVE_M if segment.start else 0.0, ARRIVE_M)
    return weights


class PoseReplaySession:
    """One episode of `PoseReplay`; `parents` and `details` say what it did."""

    def __init__(self, tracks: Sequence[PoseTrack], seed: int, notes: Sequence[str] = ()) -> None:
        self._tracks, self._seed, self._notes = tracks, seed, tuple(notes)
        self._track: PoseTrack | None = None
        self._now: Mapping[str, Pose] = {}
        self._told: list[dict[str, Any]] = []
        self._index = self._step = self._waited = self._waits = self._ended = self._steps = 0
        self._before = self._frozen = self._wanted = self._aim = STILL

    @property
    def parents(self) -> tuple[str, ...]:
        """Id of the demonstration that is followed; none before the first step."""
        return () if self._track is None else (self._track.source.id,)

    @property
    def details(self) -> dict[str, Any]:
        """What was done, in JSON types: its segments, how far their references are turned, and steps waited."""
        return {
            "generator": PoseReplay.name,
            "seed": self._seed,
            "waited_steps": self._waits,
            "attempts": [{"source": source, "step": 0, "segments": self._told} for source in self.parents],
            **({"notes": list(self._notes)} if self._notes else {}),
        }

    def __call__(self, observation: Observation) -> ActionChunk:
        state = self._tracks[0].source.state
        self._now = state.read(observation)
        self._steps += 1
        if self._track is None:
            self._track = min(self._tracks, key=self._cost)
            self._before = displacement(self._track.source.paths[TIP][0], self._now[TIP])
            self._enter()
        rows = self._follow(self._track)[None]
        self._advance(self._track)
        return ActionChunk(rows)

    def _cost(self, track: PoseTrack) -> float:
        """How far the references of a demonstration are moved and turned to where they are now."""
        total = 0.0
        for segment in track.segments:
            if segment.kind in ("approach", "move") and segment.reference in self._now:
                then = track.source.paths[segment.reference][segment.start]
                moved = displacement(then, self._now[segment.reference])
                apart = self._now[segment.reference].translation - then.translation
                total += float(np.linalg.norm(apart)) + TURN_M * _angle(moved.rotation)
        return total

    def _enter(self) -> None:
        """Starts the current segment: what its front has been moved by so far, and what it is relative to."""
        assert self._track is not None
        segment, paths = self._track.segments[self._index], self._track.source.paths
        if segment.kind != "leave" and self._index:
            self._before = displacement(paths[segment.front][self._step], self._now[segment.front])
        if segment.reference in self._now:
            self._frozen = displacement(paths[segment.reference][self._step], self._now[segment.reference])
        moved = self._moved(segment, paths)
        self._told.append(
            {
                "step": self._steps - 1,
                "source_steps": [segment.start, segment.end],
                "kind": segment.kind,
                "front": segment.front,
                "reference": segment.reference,
                "turned_rad": round(_angle(moved.rotation), 6),
                "evidence": segment.evidence,
            }
        )

    def _moved(self, segment: PoseSegment, paths: Mapping[str, Sequence[Pose]]) -> Pose:
        """What the segment's reference has been moved by since the demonstration."""
        if segment.reference == WORLD:
            return STILL
        if segment.reference == ORIGIN:
            return self._before
        if segment.kind in ("move", "leave"):  # it moves because the hand moves it, or does not matter any more
            return self._frozen
        return displacement(paths[segment.reference][self._step], self._now[segment.reference])

    def _follow(self, track: PoseTrack) -> NDArray[np.float32]:
        """(D,) one step along the track."""
        source, segment, step = track.source, track.segments[self._index], self._step
        then, tip_then = source.paths[segment.front][step], source.paths[TIP][step]
        moved, following = self._moved(segment, source.paths), min(step + 1, segment.end - 1)
        wanted = blend(then, self._before, moved, float(track.weights[step]))
        ahead = blend(then, self._before, moved, float(track.weights[following]))
        front_from_tip = then.inverse() @ tip_then
        if segment.kind == "carry":  # as it lies in the hand now
            front_from_tip = self._now[segment.front].inverse() @ self._now[TIP]
        self._wanted = wanted @ front_from_tip
        self._aim = ahead @ front_from_tip @ (tip_then.inverse() @ source.aims[step])
        return source.action.towards(self._now[TIP], self._aim, source.others[step])

    def _is_behind(self) -> bool:
        """Whether the tip is short of where it should be by now; one that is past it is not waited for."""
        wanted, aim, now = self._wanted, self._aim, self._now[TIP]
        short_m, on_m = wanted.translation - now.translation, aim.translation - now.translation
        short_rad, on_rad = _rotvec(wanted.rotation @ now.rotation.T), _rotvec(aim.rotation @ now.rotation.T)
        return bool(
            (np.linalg.norm(short_m) > BEHIND_M and short_m @ on_m > 0)
            or (np.linalg.norm(short_rad) > BEHIND_RAD and short_rad @ on_rad > 0)
        )

    def _advance(self, track: PoseTrack) -> None:
        """Goes on to the next step of the demonstration, unless the arm is behind."""
        if self._is_behind() and self._waited < MOST_WAIT_STEPS:
            self._waited += 1
            self._waits += 1
            return
        self._waited = 0
        if self._step + 1 >= len(track.source):
            self._ended += 1
            if self._ended > ENDED_STEPS:
                raise PolicyError(
                    f"{track.source.id}: the demonstration ended {ENDED_STEPS} steps ago, without success"
                )
            return
        self._step += 1
        if self._step >= track.segments[self._index].end:
            self._index += 1
            self._enter()


def _rotvec(rotation: Array) -> Array:
    """(3,) of a rotation matrix."""
    return Pose(rotation, np.zeros(3)).as_layout("rotvec")


def _angle(rotation: Array) -> float:
    """Radians that a rotation turns by."""
    return float(np.linalg.norm(_rotvec(rotation)))
