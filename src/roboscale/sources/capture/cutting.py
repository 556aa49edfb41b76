"""Demonstrations cut into stretches in which every sample has a pose; nothing is filled in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding
from roboscale.sources.capture.card import DemonstrationCard, TrackCard
from roboscale.sources.capture.gates import Gate
from roboscale.sources.capture.motion import HELD_S, held_samples, interpolated_samples, longest_run_s, stretches
from roboscale.sources.capture.pinch import Pinch, closed_samples
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, Sigma

__all__ = ["Piece", "demonstration_card", "hand_closed", "pieces_of", "thinned"]

_PATH = 200  # samples of a path that a page draws


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One episode: samples `first` to `last - 1` of a demonstration.

    Args:
        held, interpolated: (N,) of the demonstration, one for each end effector.
        findings: what is to be said of it.
    """

    demonstration: HandDemonstration
    first: int
    last: int
    held: tuple[NDArray[np.bool_], ...]
    interpolated: tuple[NDArray[np.bool_], ...]
    findings: tuple[Finding, ...]


def thinned(one: HandDemonstration, rate_hz: float | None, recorded_hz: float) -> HandDemonstration:
    """At a lower rate (Hz): of each time on its grid the nearest sample, never the same twice; none is made up."""
    if rate_hz is None or rate_hz >= 0.99 * recorded_hz or not len(one.time_ns):
        return one
    step = 1e9 / rate_hz
    wanted = np.arange(one.time_ns[0], one.time_ns[-1] + 1, step)
    after = np.searchsorted(one.time_ns, wanted).clip(1, len(one.time_ns) - 1)
    before_is_nearer = wanted - one.time_ns[after - 1] < one.time_ns[after] - wanted
    rows = np.unique(np.where(before_is_nearer, after - 1, after))
    return replace(
        one,
        time_ns=one.time_ns[rows],
        tracks=tuple(_rows_of(track, rows) for track in one.tracks),
        cameras={name: _frames_of(camera, rows) for name, camera in one.cameras.items()},
    )


def _rows_of(track: PoseTrack, rows: NDArray[np.int64]) -> PoseTrack:
    sigma = track.sigma
    return replace(
        track,
        poses=track.poses[rows],
        valid=track.valid[rows],
        effector=track.effector[rows],
        points=None if track.points is None else track.points[rows],
        sigma=sigma and Sigma(position=sigma.position[rows], rotation=sigma.rotation[rows], how=sigma.how),
    )


def _frames_of(camera: CapturedView, rows: NDArray[np.int64]) -> CapturedView:
    poses = None if camera.poses is None else camera.poses[rows]
    return replace(camera, frames=camera.frames[rows], poses=poses)


def pieces_of(one: HandDemonstration, ahead: int, seconds: float) -> list[Piece]:
    """Every stretch in which all end effectors have poses, of at least so many seconds; the last `ahead` samples
    have nothing to look ahead to and end it."""
    valid = np.logical_and.reduce([track.valid for track in one.tracks])
    gap = np.diff(one.time_ns) > 1.5 * np.median(np.diff(one.time_ns)) + 1e6 if len(one.time_ns) > 2 else []
    held = tuple(held_samples(track.poses, track.valid) for track in one.tracks)
    told = [interpolated_samples(track.poses, one.time_ns, track.valid) for track in one.tracks]
    between = tuple(np.zeros(len(one.time_ns), bool) if mask is None else mask for mask in told)
    pieces = []
    for begin, end in stretches(valid):
        cuts = [begin, *(int(i) + 1 for i in np.flatnonzero(gap) if begin < i + 1 < end), end]
        for first, stop in pairwise(cuts):
            last = stop - ahead
            if last - first < 2 or (one.time_ns[stop - 1] - one.time_ns[first]) * 1e-9 < seconds - 1e-6:
                continue
            findings = (*_said(one, first, stop, held, "held"), *_said(one, first, stop, between, "interpolated"))
            pieces.append(
                Piece(demonstration=one, first=first, last=last, held=held, interpolated=between, findings=findings)
            )
    return pieces


def _said(
    one: HandDemonstration, first: int, last: int, masks: Sequence[NDArray[np.bool_]], what: str
) -> list[Finding]:
    """What is to be said of held or interpolated samples within one stretch."""
    found = []
    for track, mask in zip(one.tracks, masks, strict=True):
        count = int(mask[first:last].sum())
        seconds = longest_run_s(mask[first:last], one.time_ns[first:last])
        if not count or (what == "held" and seconds < HELD_S):
            continue
        which = track.name or "the end effector"
        how = "repeats the pose before to the last bit" if what == "held" else "lies on a straight line between others"
        text = (
            f"{count} of {last - first} poses of {which} were not measured: each {how}, for up to {seconds:.2f} s "
            f"(from sample {first + int(np.argmax(mask[first:last]))} of {one.key})"
        )
        evidence = {"samples": count, "of": last - first, "longest_s": seconds}
        found.append(Finding(f"{what}-poses", "warning", text, field=f"pose.{what}", evidence=evidence))
    return found


def hand_closed(track: PoseTrack, pinch: Pinch) -> NDArray[np.bool_] | None:
    """(N,) where a track's hand is closed; `None` where it is no hand with a distance of its tips."""
    if track.points is None or "gripper_width" not in track.effector_names:
        return None
    return closed_samples(track.effector[:, track.effector_names.index("gripper_width")], track.valid, pinch)


def demonstration_card(
    one: HandDemonstration,
    gates: Sequence[Gate],
    episodes: tuple[str, ...],
    note: str,
    *,
    full: HandDemonstration,
    pinch: Pinch,
) -> DemonstrationCard:
    """What is to be said of a demonstration, kept or dropped; gates were taken of it in `full`, at its own rate."""
    first = one.tracks[0]
    some = np.unique(np.linspace(0, len(one.time_ns) - 1, min(_PATH, len(one.time_ns))).astype(int))
    at = first.poses.translation.round(5)
    path = tuple((float(at[i, 0]), float(at[i, 1]), float(at[i, 2]), bool(first.valid[i])) for i in some.tolist())
    every = full.tracks[0].poses.translation.round(5)
    missed = [g.sample for g in gates if not g.passed and g.name != "registered" and 0 <= g.sample < len(every)]
    return DemonstrationCard(
        key=one.key,
        kept=bool(episodes),
        seconds=float(one.time_ns[-1] - one.time_ns[0]) * 1e-9 if len(one.time_ns) else 0.0,
        gates=tuple(gates),
        tracks=tuple(_track_card(track, one, pinch) for track in one.tracks),
        episodes=episodes,
        scale=one.scale,
        path_m=path,
        marks_m=tuple((float(every[i, 0]), float(every[i, 1]), float(every[i, 2])) for i in missed),
        note=note,
    )


def _track_card(track: PoseTrack, one: HandDemonstration, pinch: Pinch) -> TrackCard:
    closed = hand_closed(track, pinch)
    held = held_samples(track.poses, track.valid)
    between = interpolated_samples(track.poses, one.time_ns, track.valid)
    sigma = track.sigma
    known = track.valid if track.valid.any() else np.ones(len(track.valid), bool)
    return TrackCard(
        name=track.name,
        samples=len(track.valid),
        missing=int((~track.valid).sum()),
        held=int(held.sum()),
        held_longest_s=longest_run_s(held, one.time_ns),
        interpolated=None if between is None else int((between & ~held).sum()),
        sigma_position_m=None if sigma is None else float(np.median(sigma.position[known])),
        sigma_rotation_rad=None if sigma is None else float(np.median(sigma.rotation[known])),
        sigma_how="" if sigma is None else sigma.how,
        effector=track.effector_names,
        closed=None if closed is None else int(closed.sum()),
        pinches=None if closed is None else len(stretches(closed)),
    )
