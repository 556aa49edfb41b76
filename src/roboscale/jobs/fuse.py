"""Few real and many cheap trials in one interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import OutcomeKind, RoboscaleError
from roboscale.core.plain import OMITTED, SPREAD, Plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.options import Level
from roboscale.jobs.reading_options import TableRequest
from roboscale.jobs.request import Option

if TYPE_CHECKING:
    from roboscale.stats.fusion import Fusion, FusionMode

__all__ = ["FuseResults", "Fused", "fuse_results"]

_MODES: Mapping[str, FusionMode] = {"auto": "auto", "ppi": "ppi++", "betting": "betting"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseResults(TableRequest):
    """Asks for the real success rate of each policy, from both worlds together."""

    words: ClassVar[tuple[str, ...]] = ("fuse",)

    real: Annotated[str, Option("Results on the real robot; any form that `rank` reads.")]
    cheap: Annotated[
        str, Option("Results in the cheap world: the same cases, and as many more as there are.", flag="--cheap/--sim")
    ]
    mode: Annotated[
        Literal["auto", "ppi", "betting"], Option("auto, ppi or betting (never below its coverage, wider).")
    ] = "auto"
    level: Level = 0.95


@dataclass(frozen=True, slots=True)
class Fused(Plain):
    """Policy -> its real rate from the cases that both worlds saw and the further cases of the cheap one."""

    policies: Mapping[str, Fusion] = field(metadata=SPREAD)
    kind: OutcomeKind = field(default="success", metadata=OMITTED)
    reading: Mapping[str, Any] = field(default_factory=dict, metadata=OMITTED)


def fuse_results(request: FuseResults, on_event: OnEvent = ignore) -> Fused:
    """Combines the trials of both worlds into one interval for each policy, and says what that saved.

    >>> done = fuse_results(FuseResults(real="robot.csv", cheap="simulator.csv"))
    >>> done.policies["good"].estimate.n
    30

    Raises:
        RoboscaleError: no policy, or for one of them no case, is in both.
        BadData: a file is not understood, or nothing is in it.
    """
    from roboscale.jobs.two_worlds import load_two_worlds, same_mix, shared_policies
    from roboscale.stats.fusion import fuse

    worlds = load_two_worlds(request.real, request.cheap, request.reading_options(), on_event)
    fused = {}
    for name in shared_policies(worlds.real, worlds.cheap, on_event):
        real, cheap = worlds.real[name], worlds.cheap[name]
        cases = sorted(case for case in real if case in cheap)
        if not cases:
            raise RoboscaleError(f"{name}: no case is in both files: the cheap world must see the real cases, too")
        if alone := len(real) - len(cases):
            on_event(Note(f"{name}: left out {alone} real trials of cases that the cheap world has not seen"))
        extra = {case: score for case, score in cheap.items() if case not in real and score is not None}
        both = [[scores[case] for case in cases] for scores in (real, cheap)]
        more = same_mix(cases, extra, name, on_event)
        fused[name] = fuse(both[0], both[1], more, request.level, _MODES[request.mode])
    readings = [results.reading.to_json() for results in worlds.readings]
    return Fused(fused, worlds.kind, {"real": readings[0], "cheap": readings[1]})
