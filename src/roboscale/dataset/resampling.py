"""A recording on another grid of frames: each new frame is the whole recorded frame that is nearest in time.

    new frame k lies at t_0 + k / rate        shows recorded frame argmin_i |t_i - (t_0 + k / rate)|

Nothing is interpolated, and a state stays beside the action and the pictures that it was recorded with. `t` is the
recorded clock where there is one, else frame number over rate. The times at which the shown frames were recorded stay,
in the column `time.source_ns`.

By hand, 5 frames at 30 Hz become 3 at 15, and 9 at 60:

>>> times = np.array([0, 33_333_333, 66_666_667, 100_000_000, 133_333_333])
>>> nearest_frames(times, 15, 30).tolist(), nearest_frames(times, 60, 30).tolist()
([0, 2, 4], [0, 0, 1, 1, 2, 2, 3, 3, 4])
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.core.recording import (
    Clip,
    Extras,
    Finding,
    Origin,
    Pictures,
    RecordedEpisode,
    Recording,
    extras_of,
    splits_of,
)
from roboscale.core.spec import Field, Spec
from roboscale.dataset.lerobot.clock import clock_facts
from roboscale.dataset.packets import decode_in_order
from roboscale.dataset.rates import exact_rate, is_rate
from roboscale.dataset.streams import FRAME_TIMES, SOURCE_TIMES

__all__ = ["PickedPictures", "ResampledRecording", "nearest_frames", "open_resampled"]

_MOST = 100  # times as many frames as the nominal rate gives: a clock that jumps by years is no clock


def nearest_frames(time_ns: NDArray[np.int64], rate_hz: float, source_hz: float) -> NDArray[np.int64]:
    """(K,) which of the recorded frames is shown at each time of the new grid; of two equally near the earlier.

    Args:
        time_ns: (T,) when each frame was recorded, ns; T at least 1.
        rate_hz: of the new grid.
        source_hz: declared rate of the recorded frames.

    Raises:
        BadData: the times go backwards, or jump so far that the grid would hold mostly repetitions.
    """
    if (np.diff(time_ns) < 0).any():
        frame = int(np.argmax(np.diff(time_ns) < 0)) + 1
        raise BadData(FRAME_TIMES, f"frame {frame}", "times that do not go backwards", int(time_ns[frame]))
    rate, since = exact_rate(rate_hz), time_ns - time_ns[0]
    count = int(int(since[-1]) * rate / 10**9 + 1e-6) + 1
    expected = len(time_ns) * max(1.0, rate_hz / source_hz)
    if count > _MOST * expected:
        raise BadData(FRAME_TIMES, "times", f"about {len(time_ns) / source_hz:g} s", f"{since[-1] / 1e9:g} s")
    grid = _grid_ns(count, rate_hz)
    after = np.clip(np.searchsorted(since, grid), 0, len(since) - 1)
    before = np.maximum(after - 1, 0)
    slack = 2  # ns: what rounding of either side leaves of a tie
    return np.asarray(np.where(grid - since[before] <= since[after] - grid + slack, before, after), np.int64)


def _grid_ns(count: int, rate_hz: float) -> NDArray[np.int64]:
    """(count,) ns after the first frame of a recording at a rate, Hz."""
    return np.asarray(np.rint(np.arange(count) * (1e9 / float(exact_rate(rate_hz)))), np.int64)


class PickedPictures:
    """One camera of one episode, of which `picks`, rising, are shown; each picture is decoded once."""

    def __init__(self, pictures: Clip | Pictures, picks: NDArray[np.int64]) -> None:
        self._pictures, self._picks = pictures, picks

    def __len__(self) -> int:
        return len(self._picks)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        source, image, number = self._pictures, None, -1
        if isinstance(source, Clip):
            images = decode_in_order(source.path, source.first, source.length)
        else:
            images = iter(source)
        for pick in self._picks.tolist():
            while number < pick:
                image, number = next(images, None), number + 1
            if image is None:
                return  # whoever counts the pictures says so
            yield image


class ResampledRecording:
    """A `Recording` whose episodes have another rate. SpecMismatch where steps of other length mean other motions."""

    def __init__(self, recording: Recording, rate_hz: float) -> None:
        if not is_rate(rate_hz):
            raise SpecMismatch(f"resample: expected frames a second, from 1/60, found {rate_hz:g}")
        if not is_rate(recording.spec.rate_hz):
            raise BadData(recording.root, "fps", "the rate that it was recorded at: --fps", recording.spec.rate_hz)
        for field in recording.spec:
            if field.mode.startswith("relative"):
                text = f"{field.name} is {field.mode}: steps of another length would be other motions"
                raise SpecMismatch(f"{recording.root}: cannot be resampled: {text}")
        self._recording = recording
        self.format, self.root, self.keys = recording.format, recording.root, recording.keys
        self.robot_type, self.licence = recording.robot_type, recording.licence
        videos = [n for n, said in extras_of(recording).features.items() if said["dtype"] == "video"]
        lost = dict.fromkeys(videos, "packets of a video that is carried as it is cannot be picked frame by frame")
        self.unmapped: Mapping[str, str] = {**recording.unmapped, **lost}
        self.extras: Extras = extras_of(recording).without(videos)
        self.spec = self._spec(recording.spec, rate_hz)
        self.origins: Sequence[Origin] = self._origins()

    @staticmethod
    def _spec(spec: Spec, rate_hz: float) -> Spec:
        clock = Field(SOURCE_TIMES, (1,), "int64", unit="ns")
        return Spec((*spec, *([] if SOURCE_TIMES in spec else [clock])), rate_hz)

    def _origins(self) -> list[Origin]:
        how = f"the frame nearest in time, at {self.spec.rate_hz:g} Hz"
        changed = [Origin(o.field, o.source, f"{o.done}; {how}") for o in self._recording.origins]
        if SOURCE_TIMES not in self._recording.spec:
            clock = FRAME_TIMES if FRAME_TIMES in self._recording.spec else "frame number over rate"
            changed.append(Origin(SOURCE_TIMES, clock, "when the frame that is shown was recorded"))
        return changed

    @property
    def missing(self) -> Mapping[str, Sequence[str]]:
        return self._recording.missing

    @property
    def findings(self) -> Sequence[Finding]:
        return self._recording.findings

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        return splits_of(self._recording)

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """See `Recording.read`; an event (a true value) that no new frame shows is a finding."""
        episode, rate = self._recording.read(key, cameras), self.spec.rate_hz
        if not len(episode):
            return episode
        times = self._times(episode)
        try:
            picks = nearest_frames(times, rate, self._recording.spec.rate_hz)
        except BadData as error:
            raise BadData(self.root, f"episode {key}: {error.field}", error.expected, error.found) from error
        arrays = {name: array[picks] for name, array in episode.arrays.items()}
        if FRAME_TIMES in arrays:
            grid = times[0] + _grid_ns(len(picks), rate)
            arrays[FRAME_TIMES] = grid.reshape(arrays[FRAME_TIMES].shape)
        arrays.setdefault(SOURCE_TIMES, times[picks].reshape(-1, 1))
        same = len(picks) == len(episode) and (picks == np.arange(len(picks))).all()
        pictures = episode.pictures if same else {n: PickedPictures(p, picks) for n, p in episode.pictures.items()}
        texts = {int(np.searchsorted(picks, first)): text for first, text in episode.instructions}
        return replace(
            episode,
            arrays=arrays,
            pictures=pictures,
            instructions=tuple((first, text) for first, text in texts.items() if first < len(picks)),
            carried={
                name: replace(one, rows=one.rows.take(picks))
                for name, one in episode.carried.items()
                if not isinstance(one.rows, Clip)
            },
            findings=(*episode.findings, *self._findings(episode, times, picks)),
        )

    def _times(self, episode: RecordedEpisode) -> NDArray[np.int64]:
        """(T,) ns."""
        if FRAME_TIMES in episode.arrays:
            return np.asarray(episode.arrays[FRAME_TIMES].reshape(-1), np.int64)
        return _grid_ns(len(episode), self._recording.spec.rate_hz)

    def _findings(
        self, episode: RecordedEpisode, times: NDArray[np.int64], picks: NDArray[np.int64]
    ) -> Iterator[Finding]:
        shown = len(np.unique(picks))
        facts = clock_facts((times - times[0]) / 1e9)
        numbers: dict[str, Any] = {
            "recorded": len(episode),
            "frames": len(picks),
            "repeated": len(picks) - shown,
            "dropped": len(episode) - shown,
            "measured_hz": None if facts is None else round(facts.mean_hz, 4),
        }
        text = (
            f"resampled from {self._recording.spec.rate_hz:g} to {self.spec.rate_hz:g} Hz: {len(episode)} frames "
            f"became {len(picks)}, {numbers['repeated']} repeated, {numbers['dropped']} dropped"
        )
        yield Finding("resampled", "info", text, evidence=numbers)
        for name, array in episode.arrays.items():
            if array.dtype.kind == "b" and array.any() and not array[picks].any():
                lost = f"{name} is true in {int(array.reshape(len(array), -1).any(axis=1).sum())} frames, all dropped"
                yield Finding("event-dropped", "warning", f"{lost} by resampling", field=name)

    def close(self) -> None:
        self._recording.close()


def open_resampled(open_source: Callable[[], Recording], rate_hz: float) -> ResampledRecording:
    """As the class, of a recording yet to be opened: a `functools.partial` of this can be sent to workers."""
    return ResampledRecording(open_source(), rate_hz)
