"""A person drives: one page, one robot or scene, one dataset that loses nothing that was saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import RoboscaleError, UsageError
from roboscale.core.errors import UnknownChoice
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.options import Seed
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.driving import DrivingSession
    from roboscale.jobs.driving_plan import DrivingPlan

__all__ = ["Teleoperate", "plan_teleoperation", "teleoperate"]

_LEROBOT = "lerobot:"
_INPUTS = ("browser", "gamepad", "phone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Teleoperate(Request):
    """Asks for demonstrations by a person, with all cameras.

    Args:
        robot: a declaration, see `roboscale robot demo`, or `sim:WORLD/TASK`, tasks separated by commas.
        input: whose motion is taken: of all devices that the page knows, or of one; or `lerobot:TYPE`, a leader arm
            that LeRobot or a plugin of it knows, in the LeRobot guest.
        leader: `name=value` of LeRobot's configuration of that arm.
        practice: successes and failures of practice count alike, discarded ones do not; `attempts.jsonl` has scores.
        driven_hz: below the world's rate, a simulator is driven in slow motion; a robot is not.
        view: where the operator looks, degrees about z from the base's x axis; the page turns it.
        pictures: `webrtc` calls each page with a video; one that cannot be called, or whose line dies, gets JPEGs.
        token: at least 16 letters, digits, `-` or `_`.
    """

    words: ClassVar[tuple[str, ...]] = ("collect", "teleop")

    out: Annotated[Path, Argument("The dataset (LeRobotDataset v3.0); one that exists is added to.")]
    robot: Annotated[str, Option("A robot's TOML declaration, or sim:WORLD/TASK.")] = "sim:metaworld/pick-place-v3"
    input: Annotated[str, Option("browser (whatever the page has), gamepad, phone, or lerobot:TYPE.")] = "browser"
    leader: Annotated[tuple[str, ...], Option("NAME=VALUE of a leader arm's configuration, e.g. port=...")] = ()
    tasks: Annotated[str, Option("Of a robot: task names separated by commas, or `all`.")] = "all"
    episodes: Annotated[int, Option("Successful episodes per task, those that are there included.", min=1)] = 50
    policy: Annotated[str, Option("Drives until you take over, as for `eval --policy`.")] = ""
    operator: Annotated[str, Option("Who drives, for the episodes' provenance.")] = "person"
    practice: Annotated[int, Option("Attempts that everybody makes first, scored and never saved.", min=0)] = 0
    world_ends: Annotated[bool, Option("A simulator's own success ends an episode, as a success.")] = False
    horizon: Annotated[int | None, Option("Control steps of an episode. Default: the world's.", min=1)] = None
    driven_hz: Annotated[
        float | None, Option("Control steps a second. Default: the robot's rate; of a simulator at most 20.", min=1)
    ] = None
    view: Annotated[
        float | None, Option("Degrees that you look along, from the base's x axis.", min=-360.0, max=360.0)
    ] = None
    codec: Annotated[Literal["h264", "av1"], Option("h264 or av1.")] = "h264"
    seed: Seed = 0
    host: Annotated[str, Option("Address to listen on; others need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
    https: Annotated[bool, Option("By a certificate of its own, as browsers want it for poses.")] = False
    pictures: Annotated[
        Literal["jpeg", "webrtc"], Option("How pages get them: jpeg, or webrtc where a page can (extra webrtc).")
    ] = "jpeg"
    token: Annotated[str | None, Option("Secret in the address; made up where one is needed.")] = None

    @property
    def leader_type(self) -> str:
        """LeRobot's type of the leader arm that drives; empty where the page does."""
        return self.input.removeprefix(_LEROBOT) if self.input.startswith(_LEROBOT) else ""

    def check(self) -> None:
        """RoboscaleError for a simulator without a task, or a leader that does not fit; UnknownName for the input."""
        if self.robot.startswith("sim:") and "/" not in self.robot:
            raise RoboscaleError(f"--robot: expected sim:WORLD/TASK, found {self.robot!r}")
        if self.robot.startswith("sim:") and self.tasks != "all":
            raise UsageError(f"--tasks: it is said of a declared robot; of a simulator --robot has them: {self.robot}")
        if not self.leader_type:
            if self.input not in _INPUTS:
                raise UnknownChoice("input", self.input, [*_INPUTS, f"{_LEROBOT}TYPE"])
            if self.leader:
                raise UsageError(f"--leader: it is said of --input {_LEROBOT}TYPE, and the input is {self.input}")
        wrong = [one for one in self.leader if "=" not in one]
        if wrong:
            raise UsageError(f"--leader: expected NAME=VALUE, found {wrong[0]!r}")


def teleoperate(request: Teleoperate, on_event: OnEvent = ignore) -> DrivingSession:
    """Serves the page; `run()` of what it returns records until the total is there or the operator ends it.

    >>> asked = Teleoperate(out=Path("driven"), robot="sim:metaworld/reach-v3", episodes=1)
    >>> with teleoperate(asked) as driving:
    ...     print(driving.url)
    http://127.0.0.1:...

    The same request again goes on: the total counts what is there.

    Raises:
        UnknownName, BadData, SpecMismatch: no such world, robot or task; or nobody knows how a hand drives it.
        SpecMismatch: the dataset was collected with something else; every difference with both sides.
        InfrastructureError: there is no room on the disk, or the address cannot be had.
    """
    from roboscale.jobs.driving import open_driving

    return open_driving(request, on_event)


def plan_teleoperation(request: Teleoperate, on_event: OnEvent = ignore) -> DrivingPlan:
    """What `teleoperate` would do, from the declaration and what is on the disk; nothing is opened, made or moved.

    >>> plan = plan_teleoperation(Teleoperate(out=Path("driven"), robot="sim:metaworld/reach-v3", episodes=1))
    >>> plan.driven_hz, [task.wanted for task in plan.tasks]
    (20.0, [1])

    Raises:
        UnknownName, BadData, SpecMismatch, InfrastructureError: as `teleoperate`, as far as that can be seen.
    """
    from roboscale.jobs.driving_plan import plan_driving

    return plan_driving(request, on_event)
