"""From an opened capture to a dataset with its card, its proof and its page: what both kinds of capture share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from roboscale.core import Extras, RoboscaleError
from roboscale.core.plain import OMITTED, Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, counting

if TYPE_CHECKING:
    from roboscale.jobs.collect_handheld import CollectHandheld
    from roboscale.jobs.collect_human import CollectHuman
    from roboscale.report.proof import ProofData
    from roboscale.sources.capture.card import CaptureCard
    from roboscale.sources.capture.reachability import ArmAsked
    from roboscale.sources.capture.recording import CaptureOptions, CaptureRecording

__all__ = [
    "Captured",
    "Capturing",
    "arm_of",
    "capture",
    "listed_numbers",
    "model_of",
    "options_of",
    "plan_capture",
    "planned_lines",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capturing:
    """What both commands ask in the same words.

    Args:
        open: opens the capture; picklable, for workers open it again.
        options: how its episodes are made.
        identity: tells this reading of this source from others.
    """

    open: Callable[[CaptureOptions], CaptureRecording]
    options: CaptureOptions
    out: Path
    identity: str
    command: str | None
    codec: Literal["h264", "av1"]
    workers: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured(Plain):
    """The dataset at `out`, what its card counts, and the proof of what was done."""

    out: Path = field(metadata=OMITTED)
    episodes: int
    frames: int
    card: CaptureCard
    dropped: dict[str, str]
    notes: tuple[str, ...]
    proof: ProofData = field(metadata=OMITTED)

    @property
    def lines(self) -> Iterator[str]:
        """The result for a terminal; notes were said before."""
        from roboscale.sources.capture.reachability import UNFOLLOWED

        card = self.card
        every = len(card.demonstrations)
        yield f"{self.out}: {self.episodes} episodes, {self.frames} frames from {card.kept} of {every} demonstrations"
        counts = ", ".join(f"{card.count(what)} {what}" for what in ("measured", "missing", "held", "interpolated"))
        yield f"  poses: {counts}, of {card.count('samples')} in kept demonstrations"
        if card.pretrain_only:
            yield f"  pretrain only, no action: {card.pretrain_only}"
        else:
            sigmas = sorted({t.sigma_how for one in card.demonstrations for t in one.tracks if t.sigma_how})
            yield f"  one standard deviation: {'; '.join(sigmas)}"
        scales = sorted({one.scale for one in card.demonstrations if one.kept and one.scale})
        if scales:
            yield f"  metres come from {'; '.join(scales)}"
        if card.arm is not None:
            counts = ", ".join(f"{card.arm_count(what)} {what.replace('_', ' ')}" for what in UNFOLLOWED)
            yield f"  {card.arm.name}: {card.arm_count('followed')} of {card.arm_count('samples')} poses; {counts}"
        yield f"  dropped: {len(self.dropped)} demonstrations; each gate stands in meta/roboscale/capture.html"


def options_of(request: CollectHandheld | CollectHuman) -> CaptureOptions:
    """What both kinds of capture are asked alike. RoboscaleError when only one of the two errors is declared."""
    from roboscale.sources.capture.gates import Bars
    from roboscale.sources.capture.recording import CaptureOptions

    position, rotation = request.sigma_position, request.sigma_rotation
    if (position is None) != (rotation is None):
        given, wanted = ("position", "rotation") if rotation is None else ("rotation", "position")
        raise RoboscaleError(f"--sigma-{given} is given and --sigma-{wanted} is not: a pose has both errors")
    return CaptureOptions(
        rate_hz=request.resample,
        ahead=request.ahead,
        sigma_position_m=position,
        sigma_rotation_rad=rotation,
        bars=Bars(registered=request.registered, jump_m=request.jump, held_s=request.held, seconds=request.seconds),
        instruction=request.instruction,
        pretrain_only=request.pretrain_only,
        arm=arm_of(request),
    )


def arm_of(request: CollectHandheld | CollectHuman) -> ArmAsked | None:
    """The arm that should follow; `None` where none is asked for. UsageError for what says nothing without one."""
    from roboscale.core import UsageError
    from roboscale.sources.capture.reachability import ArmAsked

    what = "x,y,z in metres and a yaw in degrees, once or for each end effector"
    base = listed_numbers(request.arm_base, 4, "--arm-base", what, several=True)
    if not request.arm:
        given = {"--arm-tip": request.arm_tip, "--arm-base": request.arm_base, "--joint-speed": request.joint_speed}
        alone = [flag for flag, value in given.items() if value]
        if alone:
            raise UsageError(f"{' and '.join(alone)}: of which arm? --arm names it: panda, ur5 or a file")
        return None
    return ArmAsked(
        arm=request.arm, tip=request.arm_tip, base=base, speed=request.joint_speed, approach=request.approach
    )


def model_of(asked: CaptureOptions) -> str:
    """Digest of the arm that follows, for it can change what is written; empty where there is none."""
    from roboscale.kinematics.arm_model import load_arm

    arm = asked.arm
    return load_arm(arm.arm, tip=arm.tip, speed=arm.speed).digest if arm is not None else ""


def listed_numbers(text: str, count: int, flag: str, what: str, *, several: bool = False) -> tuple[float, ...]:
    """So many finite numbers (or a multiple), by commas; none for an empty text. UsageError otherwise."""
    from roboscale.core import UsageError

    if not text:
        return ()
    try:
        listed = tuple(float(part) for part in text.split(","))
    except ValueError:
        listed = ()
    sets = len(listed) / count
    if (sets != 1 and not (several and listed and sets.is_integer())) or not all(map(math.isfinite, listed)):
        raise UsageError(f"{flag}: expected {what}, found {text!r}")
    return listed


def plan_capture(asked: Capturing) -> dict[str, Any]:
    """What a capture would become, from its poses alone; JSON types only."""
    recording = asked.open(asked.options)
    return {
        "out": str(asked.out),
        "format": recording.format,
        "episodes": len(recording.keys),
        "demonstrations": len(recording.card.demonstrations),
        "rate_hz": recording.spec.rate_hz,
        "fields": list(recording.spec.names),
        "dropped": dict(recording.dropped),
        "pretrain_only": recording.why_pretrain,
    }


def planned_lines(planned: dict[str, Any]) -> Iterator[str]:
    """What would be made, for a terminal."""
    what = f"{planned['episodes']} episodes of {planned['demonstrations']} demonstrations ({planned['format']})"
    yield f"would make {what} at {planned['rate_hz']:g} Hz in {planned['out']}: {', '.join(planned['fields'])}"
    for key, why in planned["dropped"].items():
        yield f"  would drop {key}: {why}"
    if planned["pretrain_only"]:
        yield f"  pretrain only, no action: {planned['pretrain_only']}"


def capture(asked: Capturing, on_event: OnEvent) -> Captured:
    """Writes the dataset, or goes on with what a killed call left.

    Raises:
        BadData: the capture is broken, or nothing of it is kept: then a page beside `out` says why, demonstration by
            demonstration.
    """
    from roboscale.dataset.transfer import Part, transfer
    from roboscale.jobs.files import write_text
    from roboscale.jobs.import_proof import proof_of, write_proof
    from roboscale.jobs.versions import versions
    from roboscale.report.capture import capture_page
    from roboscale.sources.capture.card import CARD

    recording = _opened(asked, on_event)
    notes = _notes(recording)
    for note in notes:
        on_event(Note(note))
    card = recording.card
    written_card = json.dumps(card.to_json(), indent=2, ensure_ascii=False).encode()
    result = transfer(
        [
            Part(
                name=card.source,
                open=partial(asked.open, recording.options),
                keys=tuple(recording.keys),
                identity=asked.identity,
            )
        ],
        asked.out,
        recording.spec,
        robot_type=recording.robot_type,
        codec=asked.codec,
        extras=Extras(files={CARD: written_card}),
        workers=asked.workers,
        progress=counting(on_event, "episodes", len(recording.keys)),
    )
    proof = proof_of(recording, recording.spec, result, source=card.source, left_out=(), command=asked.command or "")
    for text in _proof_lines(proof):
        on_event(Note(text))
    proof = replace(proof, dropped=[*proof.dropped, *recording.dropped.items()], notes=tuple(notes))
    written, _ = write_proof(asked.out, proof)
    said = [*notes, *(f.text for f in proof.findings)]
    page = asked.out / "meta" / "roboscale" / "capture.html"
    write_text(page, capture_page(card.to_json(), command=asked.command, versions=versions(), notes=said))
    on_event(Wrote("proof", written))
    on_event(Wrote("page", page))
    return Captured(
        out=asked.out,
        episodes=len(result.episodes),
        frames=result.frames,
        card=card,
        dropped=dict(recording.dropped),
        notes=tuple(said),
        proof=proof,
    )


def _opened(asked: Capturing, on_event: OnEvent) -> CaptureRecording:
    """The capture; where nothing of it is kept, the page that says why is written first."""
    from roboscale.jobs.files import write_text
    from roboscale.jobs.versions import versions
    from roboscale.report.capture import capture_page
    from roboscale.sources.capture.recording import NothingKept

    try:
        return asked.open(asked.options)
    except NothingKept as error:
        page = asked.out.with_name(f"{asked.out.name}.dropped.html")
        write_text(page, capture_page(error.card.to_json(), command=asked.command, versions=versions()))
        on_event(Wrote("page", page))
        raise


def _proof_lines(proof: ProofData) -> Iterator[str]:
    """Every finding of the proof, one line each."""
    for finding in proof.findings:
        where = f" [{finding.field}]" if finding.field else ""
        yield f"{finding.severity}: {finding.check}{where}: {finding.text}"


def _notes(recording: CaptureRecording) -> list[str]:
    """What was dropped, left out or assumed, one sentence each."""
    card = recording.card
    notes = [f"dropped {key}: {why}" for key, why in recording.dropped.items()]
    notes += [f"not carried over: {name}: {why}" for name, why in card.unmapped.items()]
    notes += card.assumed
    if card.pretrain_only:
        notes.append(f"no action is written, poses are auxiliary targets (pretrain.*): {card.pretrain_only}")
    return notes
