"""A policy that replays demonstrated segments where their references are now, in closed loop.

At each step it knows how far along a demonstration it is, where the hand or the carried object should be by the
demonstration moved to this scene, and corrects the demonstrated command by the error. It waits where the hand lags
and starts over, with another demonstration, when the end is reached without success or an object is lost. Knows no
task; everything it knows is in the demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Episode, Observation, Spec, SpecMismatch, generator
from roboscale.sources.simulation.demonstration import ACTION, HAND, STATE, Demonstration
from roboscale.sources.simulation.segments import WORLD
from roboscale.sources.simulation.track import Track, make_track
from roboscale.sources.simulation.transform import nearest_order

__all__ = ["ReplaySession", "SegmentReplay"]

Array = NDArray[np.float64]
Selection = Literal["nearest", "random"]

GAIN = 0.1  # share of the error that is corrected per step
NEAR_M, FAR_M = 0.015, 0.035  # below the first the demonstration goes on at its pace, above the second it waits
SLOWEST = 0.1  # of the demonstrated pace, so that nothing waits for ever
LOST_M, LOST_STEPS = 0.05, 5  # an object this far from its place in the hand, for this long, has been lost
OPENING = 0.15  # difference of the gripper's opening that matters
STILL, DWELL_STEPS = 0.01, 20  # a gripper has closed when its opening changes by less than this in a step
LONG_M = 0.1  # a demonstration that takes twice the median time counts as this much further away
RELEASE_STEPS, RETURN_STEPS, RETURNED_M = 20, 80, 0.03


class SegmentReplay:
    """Generates demonstrations from demonstrations.

    Args:
        demonstrations: 1 or more episodes with `observation.environment_state`, `action` and `contact.gripper_n`.
        selection: which one is followed: the one with the nearest references, or any.
        noise: standard deviation of Gaussian noise on the translation commands, in units of the action.
        retries: whether to start over when an attempt fails.

    Raises:
        SpecMismatch: there is no demonstration, one lacks a field, or they do not agree on what fields mean.
    """

    name = "segment-replay"

    def __init__(
        self,
        demonstrations: Sequence[Episode],
        *,
        selection: Selection = "nearest",
        noise: float = 0.0,
        retries: bool = True,
    ) -> None:
        if not demonstrations:
            raise SpecMismatch("segment replay: needs at least 1 demonstration, found none")
        self.tracks = tuple(make_track(Demonstration.of(episode)) for episode in demonstrations)
        spec = demonstrations[0].spec
        self.observation_spec: Spec | None = spec.select([STATE])
        self.action_spec: Spec | None = spec.select([ACTION])
        self.selection, self.noise, self.retries = selection, noise, retries

    def start(self, instruction: str, seed: int) -> ReplaySession:
        """A session; the same demonstrations and seed give the same behaviour. The instruction changes nothing."""
        return ReplaySession(self.tracks, self.selection, self.noise, self.retries, seed)


class ReplaySession:
    """One episode of `SegmentReplay`; `details` and `parents` say what it did."""

    def __init__(self, tracks: Sequence[Track], selection: Selection, noise: float, retries: bool, seed: int) -> None:
        self._tracks, self._selection, self._noise, self._retries = tracks, selection, noise, retries
        self._seed, self._rng = seed, generator("segment-replay", seed)
        self._layout, self._action = tracks[0].source.state, tracks[0].source.action
        self._attempts: list[dict[str, Any]] = []
        self._unused: list[int] = []
        self._steps = 0
        self._track: Track | None = None
        self._returning = self._dwelling = 0
        self._opening = np.nan

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the demonstrations followed, in order of first use."""
        return tuple(dict.fromkeys(a["source"] for a in self._attempts))

    @property
    def details(self) -> dict[str, Any]:
        """What was done, in JSON types: seed, noise and, per attempt, source, segments and their displacements."""
        return {"generator": SegmentReplay.name, "seed": self._seed, "noise": self._noise, "attempts": self._attempts}

    def __call__(self, observation: Observation) -> ActionChunk:
        state = np.asarray(observation[STATE], np.float64)
        now = {thing: self._layout.position(state, thing) for thing in self._layout.places}
        opening = float(state[self._layout.opening])
        self._closing, self._opening = self._opening - opening, opening
        self._steps += 1
        if self._steps == 1:  # an object's first pose may be from before the scene was set up
            return self._chunk(np.zeros(3), self._tracks[0].others[0])
        if self._track is None:
            self._begin(now)
        if self._returning:
            return self._return(now, opening)
        return self._follow(now, opening)

    def _begin(self, now: dict[str, Array]) -> None:
        """Chooses a demonstration for what is left to do and starts to follow it."""
        self._unused = self._unused or list(range(len(self._tracks)))
        choice = self._unused[0] if len(self._unused) == 1 else self._choose(now)
        self._unused.remove(choice)
        self._track, self._phase, self._segment, self._lost = self._tracks[choice], 0.0, 0, 0
        self._attempts.append({"source": self._track.source.id, "step": self._steps - 1, "segments": []})
        self._enter(now)

    def _choose(self, now: dict[str, Array]) -> int:
        if self._selection == "random":
            return int(self._rng.choice(self._unused))
        candidates = []
        for i in self._unused:
            track = self._tracks[i]
            references = {s.reference: s.end - 1 for s in reversed(track.segments) if s.reference != WORLD}
            candidates.append({name: track.paths[name][step] for name, step in references.items()})
        median = float(np.median([len(track) for track in self._tracks]))
        extra = [LONG_M * max(0.0, len(self._tracks[i]) / median - 1) for i in self._unused]
        return self._unused[nearest_order(candidates, now, extra)[0]]

    def _enter(self, now: dict[str, Array]) -> None:
        """Starts the current segment from where its front is."""
        assert self._track is not None
        segment = self._track.segments[self._segment]
        self._dwelling = 0
        self._offset_before = now[segment.front] - self._at(self._track.paths[segment.front])
        self._attempts[-1]["segments"].append(
            {
                "step": self._steps - 1,
                "source_steps": [segment.start, segment.end],
                "kind": segment.kind,
                "front": segment.front,
                "reference": segment.reference,
                "displacement": [round(float(v), 6) for v in self._displacement(now)],
                "evidence": segment.evidence,
            }
        )

    def _displacement(self, now: dict[str, Array]) -> Array:
        """How far the current segment's reference is from where it was at this step of the demonstration, (3,)."""
        assert self._track is not None
        segment = self._track.segments[self._segment]
        if segment.reference == WORLD:
            return np.zeros(3)
        return now[segment.reference] - self._at(self._track.paths[segment.reference])

    def _at(self, values: Array, ahead: float = 0.0) -> Array:
        """A track's values at the current phase, linearly interpolated."""
        phase = min(self._phase + ahead, len(values) - 1.0)
        i = min(int(phase), len(values) - 2)
        return np.asarray(values[i] + (phase - i) * (values[i + 1] - values[i]))

    def _follow(self, now: dict[str, Array], opening: float) -> ActionChunk:
        """One step along the track."""
        track = self._track
        assert track is not None
        segment = track.segments[self._segment]
        before, after = self._offset_before, self._displacement(now)
        weight = float(self._at(track.weights))
        front = self._at(track.paths[segment.front])
        error = front + (1 - weight) * before + weight * after - now[segment.front]
        step = int(self._phase)
        extra = (float(self._at(track.weights, 1.0)) - weight) * (after - before) / self._action.metres
        if step + 1 >= segment.end:
            extra = np.zeros(3)
        forward = track.motion[step] + extra
        pace = 0.0 if self._grasping() else self._pace(forward, float(np.linalg.norm(error)))
        command = pace * forward + GAIN * error / self._action.metres
        others = track.others[step]
        if segment.kind == "approach" and not track.touched[step]:
            others = self._keep_opening(others, opening, float(track.opening[step]))
        self._advance(pace, now)
        return self._chunk(command, others)

    def _keep_opening(self, others: Array, opening: float, wanted: float) -> Array:
        """The gripper's command, or full opening where it is further closed than it should be by now."""
        return self._action.low[list(self._action.gripper)] if opening < wanted - OPENING else others

    def _pace(self, forward: Array, error_m: float) -> float:
        """Share of the demonstrated pace that the bounds of the action and the lag of the hand allow."""
        motion = list(self._action.motion)
        bound = np.where(forward > 0, self._action.high[motion], -self._action.low[motion])
        reach = float(np.max(np.abs(forward) / bound))
        lag = float(np.clip((FAR_M - error_m) / (FAR_M - NEAR_M), 0.0, 1.0))
        return max(SLOWEST, min(1.0, 1.0 / reach if reach > 1 else 1.0) * lag)

    def _advance(self, pace: float, now: dict[str, Array]) -> None:
        """Moves on in the demonstration, to its next segment or to another attempt."""
        track = self._track
        assert track is not None
        self._phase += pace
        segment = track.segments[self._segment]
        if self._phase >= segment.end and self._segment + 1 < len(track.segments):
            self._segment += 1
            self._enter(now)
        elif self._retries and (self._phase >= len(track) - 1 or self._is_lost(now)):
            self._begin(now)
            self._returning = 1
        self._phase = min(self._phase, len(track) - 1.0)

    def _grasping(self) -> bool:
        """Whether the gripper is still closing on what the next segment carries."""
        track = self._track
        assert track is not None
        segment = track.segments[self._segment]
        following = track.segments[self._segment + 1 : self._segment + 2]
        if self._phase < segment.end - 1 or all(s.holds in ("", segment.holds) for s in following):
            return False
        self._dwelling += 1
        return self._closing > STILL and self._dwelling <= DWELL_STEPS

    def _is_lost(self, now: dict[str, Array]) -> bool:
        """Whether what should be carried has not been where it should be in the hand for a while."""
        track = self._track
        assert track is not None
        holds = track.segments[self._segment].holds
        if not holds:
            return False
        in_hand = self._at(track.paths[holds]) - self._at(track.paths[HAND])
        apart = float(np.linalg.norm(now[holds] - now[HAND] - in_hand))
        self._lost = self._lost + 1 if apart > LOST_M else 0
        return self._lost > LOST_STEPS

    def _return(self, now: dict[str, Array], opening: float) -> ActionChunk:
        """Lets go and goes back to where the demonstration starts."""
        track = self._track
        assert track is not None
        self._returning += 1
        others = self._keep_opening(track.others[0], opening, float(track.opening[0]))
        if opening < float(track.opening[0]) - OPENING and self._returning <= RELEASE_STEPS:
            return self._chunk(np.zeros(3), others)
        error = track.paths[HAND][0] - now[HAND]
        if float(np.linalg.norm(error)) < RETURNED_M or self._returning > RETURN_STEPS:
            self._returning = 0
            self._attempts[-1]["segments"].clear()
            self._enter(now)
        return self._chunk(0.5 * GAIN * error / self._action.metres, others)

    def _chunk(self, motion: Array, others: Array) -> ActionChunk:
        action = np.zeros(len(self._action.low))
        if self._noise:
            motion = motion + self._rng.normal(0.0, self._noise, 3)
        action[list(self._action.motion)] = motion
        action[list(self._action.gripper)] = others
        return ActionChunk(np.clip(action, self._action.low, self._action.high).astype(np.float32)[None])
