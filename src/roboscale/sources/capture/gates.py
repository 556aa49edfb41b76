"""Whether a demonstration may be learned from: what is measured of it, each beside its bar. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roboscale.core.plain import Plain
from roboscale.sources.capture.motion import held_samples, largest_jump, longest_run_s
from roboscale.sources.capture.track import HandDemonstration, PoseTrack

__all__ = ["Bars", "Gate", "gates_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What a demonstration has to keep to.

    Args:
        registered: share of samples with a pose, at least.
        jump_m: metres between two samples beyond where the motion leads, at most.
        held_s: seconds for which a pose is repeated, at most.
        tags_seen: share of pictures in which a tag of the fingers is seen, at least; only where they are looked for.
        sync_s: seconds between the clocks of camera and inertial sensor, at most; only where both are there.
        seconds: of its longest stretch of samples with poses, at least.
    """

    registered: float = 0.95
    jump_m: float = 0.03
    held_s: float = 1.0
    seconds: float = 0.4
    sync_s: float = 0.02
    tags_seen: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Plain):
    """One figure of a demonstration beside its bar.

    Args:
        name: `registered`, `jump`, `held`, `sync` or `tags`; that of a figure which the source measured; or `source`,
            where the source itself says no.
        unit: of figure and bar.
        sample: the sample that decides, or -1 where there is none.
        text: what it means, for people.
    """

    name: str
    track: str
    value: float
    bar: float
    unit: str
    passed: bool
    sample: int
    text: str

    def __str__(self) -> str:
        where = f" of {self.track}" if self.track else ""
        side = "bar" if self.passed else "dropped at"
        return (
            f"{self.name}{where} {self.value:.3g} {self.unit} ({side} {self.bar:g} {self.unit}): {self.text}".replace(
                "  ", " "
            )
        )


def gates_of(one: HandDemonstration, bars: Bars) -> tuple[Gate, ...]:
    """Every gate of every track of a demonstration, passed or not."""
    gates: list[Gate] = []
    if one.drop:
        gates.append(Gate(name="source", track="", value=0, bar=1, unit="", passed=False, sample=-1, text=one.drop))
    if one.sync_s is not None:
        gates.append(
            Gate(
                name="sync",
                track="",
                value=abs(one.sync_s),
                bar=bars.sync_s,
                unit="s",
                passed=abs(one.sync_s) <= bars.sync_s,
                sample=-1,
                text="between the clocks of pictures and gyroscope, by their rotations",
            )
        )
    if one.tags_seen is not None:
        gates.append(
            Gate(
                name="tags",
                track="",
                value=one.tags_seen,
                bar=bars.tags_seen,
                unit="",
                passed=one.tags_seen >= bars.tags_seen,
                sample=-1,
                text="share of pictures in which a tag of the fingers is seen",
            )
        )
    for said in one.figures:
        gates.append(
            Gate(
                name=said.name,
                track="",
                value=said.value,
                bar=said.bar,
                unit=said.unit,
                passed=said.value <= said.bar,
                sample=-1,
                text=said.text,
            )
        )
    for track in one.tracks:
        gates += _of_track(one, track, bars)
    return tuple(gates)


def _of_track(one: HandDemonstration, track: PoseTrack, bars: Bars) -> list[Gate]:
    gates: list[Gate] = []
    share = float(track.valid.mean()) if len(track.valid) else 0.0
    first = int(np.argmin(track.valid)) if share < 1 and len(track.valid) else -1
    gates.append(
        Gate(
            name="registered",
            track=track.name,
            value=share,
            bar=bars.registered,
            unit="",
            passed=share >= bars.registered,
            sample=first,
            text=f"{int(track.valid.sum())} of {len(track.valid)} samples have a pose",
        )
    )
    jump = largest_jump(track.poses, one.time_ns, track.valid)
    at = float(one.time_ns[jump.sample] - one.time_ns[0]) * 1e-9 if len(one.time_ns) else 0.0
    gates.append(
        Gate(
            name="jump",
            track=track.name,
            value=jump.metres,
            bar=bars.jump_m,
            unit="m",
            passed=jump.metres <= bars.jump_m,
            sample=jump.sample,
            text=f"the largest step beyond where the motion leads, at {at:.2f} s",
        )
    )
    held = held_samples(track.poses, track.valid)
    seconds = longest_run_s(held, one.time_ns)
    gates.append(
        Gate(
            name="held",
            track=track.name,
            value=seconds,
            bar=bars.held_s,
            unit="s",
            passed=seconds <= bars.held_s,
            sample=int(np.argmax(held)) if held.any() else -1,
            text="the longest time for which one pose is repeated to the last bit",
        )
    )
    return gates
