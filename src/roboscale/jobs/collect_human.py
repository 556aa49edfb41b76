"""From hands that a headset, glasses or an estimator have tracked to a dataset whose every sample states its error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.jobs import options
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.capturing import Captured, Capturing
    from roboscale.sources.capture.pinch import Pinch

__all__ = ["CollectHuman", "collect_human", "plan_human"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectHuman(Request):
    """Asks for a dataset of tracked hands.

    Args:
        hands: `seen` takes both where both are seen together in a quarter of the samples, else the one seen more.
        declare: TOML that says which arrays are which hand, and in which order the joints are.
        video: pictures show whoever was there, and faces in them are not looked for.
    """

    words: ClassVar[tuple[str, ...]] = ("collect", "human")
    approach: ClassVar[str] = "x"

    source: Annotated[Path, Argument("Aria's services, EgoDex, or any file of key points; the format is detected.")]
    out: Annotated[Path, Argument("A new folder; the same command again goes on.")]
    format: Annotated[str, Option("aria-mps, egodex, video or key-points; else detected.")] = ""
    hands: Annotated[Literal["seen", "left", "right", "both"], Option("Which: seen, left, right or both.")] = "seen"
    declare: Annotated[Path | None, Option("TOML that says which arrays are which hand, and the order of joints.")] = (
        None
    )
    models: Annotated[
        Path | None, Option("What finds hands in a video: the wheel of mediapipe 0.10.21, or a folder of its models.")
    ] = None
    lens: Annotated[str, Option("Of a video: fx,fy,cx,cy in pixels; else a field of view of 60 degrees.")] = ""
    pinch: Annotated[
        str, Option("Metres between thumb and index below which a hand closes, and above which it opens: two numbers.")
    ] = "0.03,0.05"
    resample: options.CaptureRate = None
    ahead: options.Ahead = 1
    sigma_position: options.SigmaPosition = None
    sigma_rotation: options.SigmaRotation = None
    pretrain_only: options.PretrainOnly = False
    registered: Annotated[
        float, Option("Share of samples with a hand, at least; gaps are cut out, never filled.", min=0, max=1)
    ] = 0.0
    jump: options.LargestJump = 0.1
    held: options.HeldFor = 1.0
    seconds: options.LeastSeconds = 0.3
    video: Annotated[bool, Option("Take pictures of people as they are; faces in them are not looked for.")] = False
    arm: options.Arm = ""
    arm_tip: options.ArmTip = ""
    arm_base: options.ArmBase = ""
    joint_speed: options.JointSpeed = None
    instruction: options.CaptureInstruction = ""
    codec: Annotated[Literal["h264", "av1"], Option("For pictures that are not video yet: h264 or av1.")] = "h264"
    workers: options.DataWorkers = None

    def check(self) -> None:
        """An arm's base has four numbers; a hand opens at no less than it closes."""
        from roboscale.jobs.capturing import arm_of

        arm_of(self)
        _pinch(self.pinch)
        _lens(self.lens)


def collect_human(request: CollectHuman, on_event: OnEvent = ignore) -> Captured:
    """Makes the dataset, or goes on with a killed run. A hand that is out of view ends an episode.

    >>> import numpy as np
    >>> from roboscale.sources.human.joints import ORDERS
    >>> hand = np.array([[0.02 * i, 0.01 * (j - 2), 0.002 * i * i] for j in range(5) for i in range(1, 5)])
    >>> points = np.vstack([[0, 0, 0], hand]) + np.linspace(0, 1, 60)[:, None, None] ** 2
    >>> np.savez("hand.npz", right=points, t=np.arange(60) / 30)
    >>> said = 'time = "t"\\n[hand.right]\\npoints = "right"\\norder = "mediapipe"\\nsigma = 0.01\\n'
    >>> _ = Path("hand.toml").write_text(said)
    >>> done = collect_human(CollectHuman(source=Path("hand.npz"), out=Path("hands"), declare=Path("hand.toml")))
    >>> done.episodes, done.card.pretrain_only, done.card.demonstrations[0].tracks[0].sigma_position_m
    (1, '', 0.01)

    Raises:
        BadData: the source is broken or not known, files of other recordings are among it, or nothing passes.
        RoboscaleError: only one of the two errors is declared.
    """
    from roboscale.jobs.capturing import capture

    return capture(_asked(request), on_event)


def plan_human(request: CollectHuman) -> dict[str, Any]:
    """What would be made, from the poses alone; JSON types only. Errors are those of `collect_human`."""
    from roboscale.jobs.capturing import plan_capture

    return plan_capture(_asked(request))


def _asked(request: CollectHuman) -> Capturing:
    from roboscale.jobs.capturing import Capturing, model_of, options_of
    from roboscale.jobs.recordings import apart, identity
    from roboscale.sources.human.opening import open_human

    apart(request.source, request.out)
    made = replace(options_of(request), pinch=_pinch(request.pinch))
    given: dict[str, Any] = {
        "format": request.format,
        "hands": request.hands,
        "declare": request.declare,
        "video": request.video,
        "models": request.models,
        "lens": _lens(request.lens),
    }
    told = {**given, "declare": None, "models": str(request.models), "options": repr(made), "model": model_of(made)}
    return Capturing(
        open=partial(open_human, request.source, **given),
        options=made,
        out=request.out,
        identity=identity(request.source, request.declare, told),
        command=request.command,
        codec=request.codec,
        workers=request.workers,
    )


def _pinch(text: str) -> Pinch:
    """Two thresholds, the lower first. UsageError otherwise."""
    from roboscale.core import UsageError
    from roboscale.jobs.capturing import listed_numbers
    from roboscale.sources.capture.pinch import Pinch

    numbers = listed_numbers(text, 2, "--pinch", "two distances in metres, e.g. 0.03,0.05")
    if not numbers or not 0 < numbers[0] <= numbers[1]:
        raise UsageError(f"--pinch: expected two distances above 0, the one that closes first, found {text!r}")
    return Pinch(*numbers)


def _lens(text: str) -> tuple[float, ...]:
    """Four numbers, or none. UsageError otherwise."""
    from roboscale.core import UsageError
    from roboscale.jobs.capturing import listed_numbers

    lens = listed_numbers(text, 4, "--lens", "fx,fy,cx,cy in pixels")
    if lens and min(lens[:2]) <= 0:
        raise UsageError(f"--lens: expected focal lengths above 0, found {text!r}")
    return lens
