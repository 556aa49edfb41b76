"""What a driven session would be, before one is opened: everything is read, nothing is connected or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import require_match
from roboscale.core.plain import Plain
from roboscale.jobs.driving import KeptEpisodes, require_disk, spec_of
from roboscale.jobs.driving_setup import configured, driver_of, leader_of, steps_a_second, world_to_drive
from roboscale.jobs.events import OnEvent
from roboscale.jobs.trying import expand_tasks

if TYPE_CHECKING:
    from roboscale.core import WorldInfo
    from roboscale.jobs.collect_teleop import Teleoperate

__all__ = ["DrivingPlan", "PlannedTask", "plan_driving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask(Plain):
    """A task, its sentence, and its successful episodes: those that are there, and those that there are to be."""

    task: str
    sentence: str
    have: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivingPlan(Plain):
    """What would be done.

    Args:
        recorded: episodes that the dataset has, of anybody.
        cameras: name -> (height, width). fields: what is recorded of each step, pictures included.
        rate_hz: of the data. driven_hz: control steps in a second of the operator's time.
        horizon: control steps of an episode.
        moved: what the operator moves: hands, or joints one by one, or a leader arm.
        address: where the page would be; a port of 0 is a free one.
        room: on the disk.
        not_looked_at: what only a session finds out.
    """

    out: str
    robot: str
    kind: str
    tasks: tuple[PlannedTask, ...]
    recorded: int
    cameras: dict[str, tuple[int, int]]
    fields: tuple[str, ...]
    rate_hz: float
    driven_hz: float
    horizon: int
    input: str
    moved: str
    policy: str
    address: str
    pictures: str
    room: str
    not_looked_at: tuple[str, ...]

    @property
    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield f"would open a page at {self.address} to drive {self.robot} ({self.kind}), and record into {self.out}"
        for one in self.tasks:
            yield f"  {one.task}: {one.have} of {one.wanted} successful episodes are there; {one.sentence!r}"
        cameras = ", ".join(f"{name} {height} x {width}" for name, (height, width) in self.cameras.items())
        yield f"  cameras (height x width): {cameras or 'none'}; pictures to the page by {self.pictures}"
        yield f"  fields: {', '.join(self.fields)}"
        yield f"  {self.driven_hz:g} control steps a second, data of {self.rate_hz:g} Hz, at most {self.horizon} steps"
        policy = f"; until you take over, {self.policy} drives" if self.policy else ""
        yield f"  {self.input} moves {self.moved}{policy}"
        yield f"  {self.recorded} episodes are there; {self.room}"
        for what in self.not_looked_at:
            yield f"  not looked at: {what}"


def plan_driving(request: Teleoperate, on_event: OnEvent) -> DrivingPlan:
    """Reads what there is to read; errors are those of a session."""
    from roboscale.dataset import Dataset
    from roboscale.dataset.layout import Layout
    from roboscale.sources.teleop import collected_before

    world, arm, forward, speeds, names = world_to_drive(request)
    with closing(world):
        info = world.info
        leader_of(request, info, None if arm is None else arm.units)
        tasks = expand_tasks(info, names)
        driven_hz = steps_a_second(request, info, on_event)
        driving, policy = driver_of(request, world, driven_hz, forward, speeds)
        horizon, spec = request.horizon or info.horizon, spec_of(info, policy)
        there = Dataset(request.out) if Layout(request.out).info.exists() else None
        recorded = 0 if there is None else len(there.episodes)
        kept = KeptEpisodes.of(request.out)
        collected_before(request.out, configured(info, tasks, driven_hz, horizon, policy), recorded)
        if there is not None and recorded:
            require_match(there.spec, spec, f"dataset {request.out}", "recording", subset=False)
        room = require_disk(request, tasks, kept, recorded)[1]
        planned = [
            PlannedTask(task=t, sentence=info.instruction(t), have=kept.successes[t], wanted=request.episodes)
            for t in tasks
        ]
    scheme = "https" if request.https else "http"
    return DrivingPlan(
        out=str(request.out),
        robot=info.name,
        kind=info.kind,
        tasks=tuple(planned),
        recorded=recorded,
        cameras={f.name.rpartition(".")[2]: (f.shape[0], f.shape[1]) for f in info.observation_spec.images},
        fields=spec.names,
        rate_hz=info.rate_hz,
        driven_hz=driven_hz,
        horizon=horizon,
        input=request.input,
        moved=_moved(driving, request),
        policy="" if policy is None else policy.identity.name,
        address=f"{scheme}://{request.host}:{request.port}/",
        pictures=request.pictures,
        room=room,
        not_looked_at=tuple(_not_looked_at(request, info, there is not None)),
    )


def _moved(driving: Any, request: Teleoperate) -> str:
    if request.leader_type:
        return "all joints"
    if driving.joints:
        return f"{len(driving.joints)} joints, one by one: {', '.join(driving.joints)}"
    return "one hand" if driving.hands == 1 else f"{driving.hands} hands"


def _not_looked_at(request: Teleoperate, info: WorldInfo, there: bool) -> Iterator[str]:
    """What was taken on trust."""
    if info.kind == "real":
        yield "the arm, its guard and its cameras: none was connected, so nothing was homed or compared with last time"
    else:
        yield "the scene: none was begun, and no picture was drawn"
    if request.leader_type:
        arm = request.leader_type
        yield f"the leader arm: the LeRobot guest was not started, so {arm} may be unknown to it, or uncalibrated"
    if there and (pending := _waiting(request.out)):
        yield f"{pending} that no process has sealed yet: a session counts them first"
    yield f"the page: whether port {request.port} is free" if request.port else "the page: no port was taken"
    if request.https:
        yield "the certificate: it is made, or read, when the page is"
    if request.pictures == "webrtc":
        yield "WebRTC: whether a page can be called is seen when it is"


def _waiting(root: Path) -> str:
    """Saved takes that wait; empty where none does."""
    from roboscale.dataset.layout import Layout

    pending = Layout(root).pending
    count = len(list(pending.iterdir())) if pending.exists() else 0
    return "" if not count else f"{count} saved episode{'' if count == 1 else 's'}"
