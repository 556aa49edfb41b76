"""A policy that replays demonstrated segments where their references are now, in closed loop.

At each step it knows how far along a demonstration it is and where the hand or the carried object should be by the
demonstration moved to this scene, and corrects the demonstrated command by the error. It waits where the hand lags or
the gripper still closes, and starts over, with another demonstration, when the end is reached without success or an
object is lost. Knows no task; everything it knows is in the demonstrations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

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
    generator,
    require_match,
)
from roboscale.sources.simulation.demonstration import ACTION, CONTACT, HAND, STATE, Demonstration
from roboscale.sources.simulation.segments import WORLD, Segment
from roboscale.sources.simulation.track import Track, make_track
from roboscale.sources.simulation.transform import blend, displacement, nearest_order

__all__ = ["ReplaySession", "SegmentReplay"]

Array = NDArray[np.float64]
Selection = Literal["nearest", "random"]

METHOD = 3  # part of the identity; another one follows the same demonstrations differently
GAIN = 0.15  # share of the error that is corrected per step
NEAR_M, FAR_M = 0.01, 0.04  # below the first the demonstration goes on at its pace, above the second it waits
SLOWEST = 0.1  # of the demonstrated pace, so that nothing waits for ever
LOST_M, LOST_STEPS = 0.05, 5  # an object this far from its place in the hand, for this long, has been lost
BLOCKED_M = 0.02  # a free hand this far off its path, for as long, is held by something that was not in its way
AHEAD = 0.03  # a gripper that is this much further closed than demonstrated waits for the hand,
CLOSED = 0.15  # and one that is this much further closed holds something
STILL, DWELL_STEPS = 0.01, 20  # a gripper has closed when its opening changes by less than this in a step
LONG_M = 0.1  # a demonstration that takes twice the median time counts as this much further away
RELEASE_STEPS, RETURN_STEPS, RETURNED_M, RETURN_GAIN = 20, 80, 0.03, 0.05

NOWHERE = np.zeros(3)
NO_ROTATION = np.eye(3)


class SegmentReplay:
    """Generates demonstrations from demonstrations.

    Args:
        demonstrations: 1 or more episodes with `observation.environment_state`, `action` and `contact.gripper_n`.
        selection: which one is followed: the one with the nearest references, or any.
        noise: standard deviation of Gaussian noise on the translation commands, in units of the action.
        retries: whether to start over when an attempt fails. Without, a session ends with PolicyError where something
            holds its hand off the path: such an attempt may succeed, but shows what no demonstrator did.

    Raises:
        SpecMismatch: there is no demonstration, one lacks a field, or they do not agree on what fields mean.
    """

    name = "segment-replay"
    history = 1

    def __init__(
        self,
        demonstrations: Sequence[Episode],
        *,
        selection: Selection = "nearest",
        noise: float = 0.0,
        retries: bool = True,
    ) -> None:
        if not demonstrations:
            raise SpecMismatch("segment replay needs at least 1 demonstration, found none")
        self.tracks = tuple(make_track(Demonstration.of(episode)) for episode in demonstrations)
        specs = [episode.spec.select([STATE, ACTION]) for episode in demonstrations]
        for episode, spec in zip(demonstrations, specs, strict=True):
            require_match(specs[0], spec, f"demonstration {demonstrations[0].id}", f"demonstration {episode.id}")
        self.observation_spec: Spec | None = specs[0].select([STATE])
        self.action_spec: Spec | None = specs[0].select([ACTION])
        self.selection, self.noise, self.retries = selection, noise, retries
        shown = [[e.id, {n: e.arrays[n] for n in (STATE, ACTION, CONTACT)}] for e in demonstrations]
        self.identity = combine(
            self.name, self.name, METHOD, specs[0].to_json(), shown, selection, float(noise), retries
        )

    def start(self, instruction: str, seed: int) -> ReplaySession:
        """A session; the same demonstrations and seed give the same behaviour. The instruction changes nothing."""
        return ReplaySession(self.tracks, self.selection, self.noise, self.retries, seed)


class ReplaySession:
    """One episode of `SegmentReplay`; `parents` and `details` say what it did."""

    def __init__(self, tracks: Sequence[Track], selection: Selection, noise: float, retries: bool, seed: int) -> None:
        self._tracks, self._selection, self._noise, self._retries = tracks, selection, noise, retries
        self._lag = float(np.median([track.lag_steps for track in tracks]))
        self._seed, self._rng = seed, generator("segment-replay", seed)
        self._state, self._action = tracks[0].source.state, tracks[0].source.action
        self._attempts: list[dict[str, Any]] = []
        self._unused: list[int] = []
        self._steps = self._returning = self._dwelt = self._lost = self._blocked = 0
        self._places: Mapping[str, Array] = {}
        self._opening = self._closing = 0.0

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the demonstrations followed, in order of first use."""
        return tuple(dict.fromkeys(a["source"] for a in self._attempts))

    @property
    def details(self) -> dict[str, Any]:
        """What was done, in JSON types: seed, noise and, per attempt, source, segments and their displacements."""
        return {"generator": SegmentReplay.name, "seed": self._seed, "noise": self._noise, "attempts": self._attempts}

    def __call__(self, observation: Observation) -> ActionChunk:
        self._look(observation)
        self._steps += 1
        if self._steps == 1:  # an object's first pose may be from before the scene was set up
            return self._chunk(NOWHERE, self._tracks[0].others[0])
        if self._steps == 2:
            self._begin()
        return self._return() if self._returning else self._follow()

    def _look(self, observation: Observation) -> None:
        state = np.asarray(observation[STATE], np.float64)
        if not np.isfinite(state).all():
            raise PolicyError(f"{STATE}: expected finite values, found {state.tolist()}")
        self._places = {thing: self._state.position(state, thing) for thing in self._state.places}
        opening = float(state[self._state.opening])
        self._closing, self._opening = self._opening - opening, opening

    # Choosing what to follow

    def _begin(self) -> None:
        """Chooses a demonstration for what is left to do and starts at its start."""
        self._unused = self._unused or list(range(len(self._tracks)))
        choice = self._choose()
        self._unused.remove(choice)
        self._track, self._phase, self._index = self._tracks[choice], 0.0, 0
        self._attempts.append({"source": self._track.source.id, "step": self._steps - 1, "segments": []})
        self._enter()

    def _choose(self) -> int:
        if self._selection == "random":
            return int(self._rng.choice(self._unused))
        median = float(np.median([len(track) for track in self._tracks]))
        candidates = [self._tracks[i] for i in self._unused]
        tedious_m = [LONG_M * max(0.0, len(track) / median - 1) for track in candidates]
        return self._unused[nearest_order([t.references for t in candidates], self._places, tedious_m)[0]]

    @property
    def _segment(self) -> Segment:
        return self._track.segments[self._index]

    def _enter(self) -> None:
        """Starts the current segment from where its front is."""
        segment, self._dwelt, self._lost = self._segment, 0, 0
        if self._index == 0 or segment.front != HAND:
            then = Pose(NO_ROTATION, self._at(self._track.paths[segment.front]))
            self._before = displacement(then, Pose(NO_ROTATION, self._places[segment.front]))
            self._moved_m = self._places[segment.front] - then.translation
        self._attempts[-1]["segments"].append(
            {
                "step": self._steps - 1,
                "source_steps": [segment.start, segment.end],
                "kind": segment.kind,
                "front": segment.front,
                "reference": segment.reference,
                "displacement_m": [round(float(v), 6) for v in self._displacement().translation],
                "evidence": segment.evidence,
            }
        )

    # Following it

    def _at(self, values: Array, ahead: float = 0.0) -> Array:
        """A track's values at the current phase, linearly interpolated."""
        phase = min(self._phase + ahead, len(values) - 1.0)
        i = min(int(phase), len(values) - 2)
        return np.asarray(values[i] + (phase - i) * (values[i + 1] - values[i]))

    def _weight(self, ahead: float = 0.0) -> float:
        """How far the path has gone over to the segment's reference; the next segment's weights start anew."""
        return float(self._at(self._track.weights, min(ahead, self._segment.end - 1 - self._phase)))

    def _displacement(self) -> Pose:
        """How far the segment's reference is from where it was at this step of the demonstration."""
        reference = self._segment.reference
        if reference == WORLD:
            return Pose(NO_ROTATION, NOWHERE)
        then = Pose(NO_ROTATION, self._at(self._track.paths[reference]))
        return displacement(then, Pose(NO_ROTATION, self._places[reference]))

    def _follow(self) -> ActionChunk:
        """One step along the track."""
        track, segment, step = self._track, self._segment, int(self._phase)
        then, after = Pose(NO_ROTATION, self._at(track.paths[segment.front])), self._displacement()
        target = blend(then, self._before, after, self._weight())
        ahead = blend(then, self._before, after, self._weight(1.0))
        forward = target.rotation @ track.motion[step]
        forward = forward + (ahead.translation - target.translation) / self._action.metres
        # the demonstrated path holds the hand's lag, what it is moved by does not
        self._moved_m = self._moved_m + (target.translation - then.translation - self._moved_m) / (1 + self._lag)
        error_m = then.translation + self._moved_m - self._places[segment.front]
        apart_m = float(np.linalg.norm(error_m))
        self._require_free(apart_m)
        pace = 0.0 if self._is_grasping() else self._pace(forward, apart_m)
        others = track.others[step]
        if segment.kind == "approach" and not track.touched[step] and self._phase < segment.end - 1:
            others = self._keep_opening(step)
        self._advance(pace)
        return self._chunk(pace * forward + GAIN * error_m / self._action.metres, others)

    def _pace(self, forward: Array, error_m: float) -> float:
        """Share of the demonstrated pace that the bounds of the action and the lag of the hand allow."""
        motion = list(self._action.motion)
        bound = np.where(forward > 0, self._action.high[motion], -self._action.low[motion])
        reach = float(np.max(np.abs(forward) / bound))
        lag = float(np.clip((FAR_M - error_m) / (FAR_M - NEAR_M), 0.0, 1.0))
        return max(SLOWEST, lag / max(1.0, reach))

    def _advance(self, pace: float) -> None:
        """Moves on in the demonstration, to its next segment or to another attempt."""
        self._phase += pace
        if self._phase >= self._segment.end and self._index + 1 < len(self._track.segments):
            self._before = self._displacement()
            self._index += 1
            self._enter()
        elif self._retries and (self._phase >= len(self._track) - 1 or self._is_lost()):
            self._begin()
            self._returning = 1
        self._phase = min(self._phase, len(self._track) - 1.0)

    def _is_grasping(self) -> bool:
        """Whether the gripper still closes on what the next segment carries, and was further closed by then."""
        segment = self._segment
        following = self._track.segments[self._index + 1 : self._index + 2]
        if self._phase < segment.end - 1 or all(s.holds in ("", segment.holds) for s in following):
            return False
        self._dwelt += 1
        # no longer than in the demonstration: a policy that sees one moment cannot tell a wait from its end
        behind = self._opening > float(self._track.opening[int(self._phase)]) + AHEAD
        return behind and self._closing > STILL and self._dwelt <= DWELL_STEPS

    def _is_lost(self) -> bool:
        """Whether what should be carried has not been where it should be in the hand for a while."""
        holds, paths = self._segment.holds, self._track.paths
        if not holds:
            return False
        in_hand = self._at(paths[holds]) - self._at(paths[HAND])
        apart_m = float(np.linalg.norm(self._places[holds] - self._places[HAND] - in_hand))
        self._lost = self._lost + 1 if apart_m > LOST_M else 0
        return self._lost > LOST_STEPS

    def _require_free(self, error_m: float) -> None:
        """Ends an only attempt whose hand, with nothing in it, has been held off its path for a while."""
        held = self._segment.kind in ("approach", "reach") and error_m > BLOCKED_M
        self._blocked = self._blocked + 1 if held else 0
        if self._blocked > LOST_STEPS and not self._retries:
            raise PolicyError(
                f"{self._track.source.id}: the hand has been {100 * error_m:.1f} cm off its path for {LOST_STEPS + 1} "
                f"steps (at most {100 * BLOCKED_M:g} cm): something holds it, and the attempt is no demonstration"
            )

    def _keep_opening(self, step: int) -> Array:
        """The demonstrated gripper command, or opening where it is further closed than it should be by now."""
        others = self._track.others[step]
        ahead = self._opening < float(self._track.opening[step]) - AHEAD
        return np.where(ahead & np.isfinite(self._action.opens), self._action.opens, others)

    def _return(self) -> ActionChunk:
        """Lets go and goes back to where the demonstration starts."""
        self._returning += 1
        others = self._keep_opening(0)
        if self._opening < float(self._track.opening[0]) - CLOSED and self._returning <= RELEASE_STEPS:
            return self._chunk(NOWHERE, others)
        error_m = self._track.paths[HAND][0] - self._places[HAND]
        if float(np.linalg.norm(error_m)) < RETURNED_M or self._returning > RETURN_STEPS:
            self._returning = 0
            self._attempts[-1]["segments"].clear()
            self._enter()
        return self._chunk(RETURN_GAIN * error_m / self._action.metres, others)

    def _chunk(self, motion: Array, others: Array) -> ActionChunk:
        action = np.zeros(len(self._action.low))
        noise = self._rng.normal(0.0, self._noise, 3) if self._noise else NOWHERE
        action[list(self._action.motion)] = motion + noise
        action[list(self._action.others)] = others
        return ActionChunk(np.clip(action, self._action.low, self._action.high).astype(np.float32)[None])
