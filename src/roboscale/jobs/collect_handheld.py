"""From what a handheld gripper, a phone or a headset recorded to a dataset whose every sample states its error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.jobs import options
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.capturing import Captured, Capturing

__all__ = ["CollectHandheld", "collect_handheld", "plan_handheld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectHandheld(Request):
    """Asks for a dataset of what was recorded by hand.

    Args:
        axes: which way a pose log's axes point; nothing in the numbers says it.
        declare: TOML that says which fields of any other recording hold the poses.
        tip: metres from a camera to the tip of the tool, in the camera's axes: three numbers separated by commas.
    """

    words: ClassVar[tuple[str, ...]] = ("collect", "handheld")
    approach: ClassVar[str] = "z"

    recordings: Annotated[Path, Argument("Videos, a session, a dataset or poses; the format is detected.")]
    out: Annotated[Path, Argument("A new folder; the same command again goes on.")]
    format: Annotated[
        str, Option("clips, umi-session, umi-zarr, grabette, fastumi, pose-log or fields; else detected.")
    ] = ""
    axes: Annotated[
        Literal["", "arkit", "arcore", "openxr", "webxr", "unity", "opencv", "as-recorded"],
        Option("Of a pose log: arkit, arcore, openxr, webxr, unity, opencv or as-recorded."),
    ] = ""
    declare: Annotated[Path | None, Option("TOML that says which fields hold the poses of any other recording.")] = (
        None
    )
    tip: Annotated[str, Option("Metres from the camera to the tool's tip in the camera's axes: x,y,z.")] = ""
    intrinsics: Annotated[
        Path | None, Option("Calibration of the camera (JSON): to map videos, and to measure widths of a session.")
    ] = None
    layout: Annotated[Path | None, Option("Of videos: where the printed tags are; tags.json of collect tags.")] = None
    by: Annotated[Literal["map", "tags"], Option("Of videos: a map of the pictures, or printed tags alone.")] = "map"
    keyframes: Annotated[float, Option("Of videos: pictures a second that are mapped.", min=2, max=30)] = 10.0
    mask: Annotated[
        Path | None, Option("Of videos: a picture, black where every frame shows what moves with the camera.")
    ] = None
    opens: Annotated[float, Option("Metres that the gripper truly opens to, for the scale of its widths.", min=0)] = (
        0.0
    )
    fps: options.Fps = None
    resample: options.CaptureRate = None
    ahead: options.Ahead = 1
    sigma_position: options.SigmaPosition = None
    sigma_rotation: options.SigmaRotation = None
    pretrain_only: options.PretrainOnly = False
    registered: Annotated[float, Option("Share of samples with a pose, at least.", min=0, max=1)] = 0.95
    jump: options.LargestJump = 0.03
    held: options.HeldFor = 1.0
    seconds: options.LeastSeconds = 0.4
    video: Annotated[bool, Option("Take the pictures.")] = True
    arm: options.Arm = ""
    arm_tip: options.ArmTip = ""
    arm_base: options.ArmBase = ""
    joint_speed: options.JointSpeed = None
    instruction: options.CaptureInstruction = ""
    codec: Annotated[Literal["h264", "av1"], Option("For pictures that are not video yet: h264 or av1.")] = "h264"
    workers: options.DataWorkers = None

    def check(self) -> None:
        """A tip has three numbers, an arm's base four."""
        from roboscale.jobs.capturing import arm_of, listed_numbers

        listed_numbers(self.tip, 3, "--tip", "x,y,z in metres")
        arm_of(self)


def collect_handheld(request: CollectHandheld, on_event: OnEvent = ignore) -> Captured:
    """Makes the dataset, or goes on with a killed run. Actions are relative poses, absolute ones stand beside them.

    >>> rows = [f"{k / 30},{0.2 * k / 30},{0.1 * (k / 30) ** 2},0,0,0,0,1" for k in range(60)]
    >>> _ = Path("phone.csv").write_text("\\n".join(["time_s,x,y,z,qx,qy,qz,qw", *rows]))
    >>> asked = CollectHandheld(
    ...     recordings=Path("phone.csv"), out=Path("by-hand"), axes="arkit", sigma_position=0.005, sigma_rotation=0.01
    ... )
    >>> done = collect_handheld(asked)
    >>> done.episodes, done.frames, done.card.count("measured")
    (1, 59, 60)

    Raises:
        BadData: the recordings are broken or not known, or no demonstration passes its gates.
        RoboscaleError: only one of the two errors is declared.
    """
    from roboscale.jobs.capturing import capture

    return capture(_asked(request), on_event)


def plan_handheld(request: CollectHandheld) -> dict[str, Any]:
    """What would be made, from the poses alone; JSON types only. Errors are those of `collect_handheld`."""
    from roboscale.jobs.capturing import plan_capture

    return plan_capture(_asked(request))


def _asked(request: CollectHandheld) -> Capturing:
    from roboscale.jobs.capturing import Capturing, listed_numbers, model_of, options_of
    from roboscale.jobs.recordings import apart, identity
    from roboscale.sources.handheld.mapping.clips import MappingOptions
    from roboscale.sources.handheld.opening import open_handheld

    apart(request.recordings, request.out)
    made = options_of(request)
    given: dict[str, Any] = {
        "format": request.format,
        "axes": request.axes,
        "declare": request.declare,
        "tip": listed_numbers(request.tip, 3, "--tip", "x,y,z in metres"),
        "fps": request.fps,
        "video": request.video,
        "intrinsics": request.intrinsics,
        "opens": request.opens,
    }
    mapping = MappingOptions(
        intrinsics=request.intrinsics,
        layout=request.layout,
        by=request.by,
        keyframes_hz=request.keyframes,
        mask=request.mask,
        folder=request.out.with_name(f"{request.out.name}.maps"),
        tip=given["tip"],
        opens=request.opens,
        video=request.video,
    )
    told = {
        **given,
        "declare": None,
        "intrinsics": _text(request.intrinsics),
        "layout": _text(request.layout),
        "mapping": [request.by, request.keyframes, _text(request.mask)],
        "options": repr(made),
        "model": model_of(made),
    }
    return Capturing(
        open=partial(open_handheld, request.recordings, **given, mapping=mapping),
        options=made,
        out=request.out,
        identity=identity(request.recordings, request.declare, told),
        command=request.command,
        codec=request.codec,
        workers=request.workers,
    )


def _text(path: Path | None) -> str:
    """Of a file that tells one reading of a source from another; a missing one is an error of its reader."""
    return path.read_text("utf-8", "replace") if path is not None and path.is_file() else str(path)
