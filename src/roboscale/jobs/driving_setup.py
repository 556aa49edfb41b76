"""What a driven session is made of, read and checked: nothing is connected, started or written here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import BadData, Policy, RoboscaleError, SpecMismatch, World, WorldInfo
from roboscale.core.extras import require_packages
from roboscale.jobs.events import Note, OnEvent

if TYPE_CHECKING:
    from roboscale.jobs.collect_teleop import Teleoperate
    from roboscale.sources.teleop import Configuration, Driving, LeaderReader

__all__ = ["configured", "driver_of", "leader_of", "steps_a_second", "world_to_drive"]

_SLOWEST_HZ = 20.0  # at which a simulator is driven unless somebody says otherwise


def world_to_drive(request: Teleoperate) -> tuple[World, Any, Callable[..., Any] | None, Any, str]:
    """The world, its arm, its forward function, its joints' speeds, and the tasks that were asked for."""
    from roboscale.jobs.opening import open_any_world

    if request.pictures == "webrtc":
        require_packages("--pictures webrtc", "aiortc")
    if request.robot.startswith("sim:"):
        name, _, tasks = request.robot.removeprefix("sim:").rpartition("/")
        return open_any_world(name), None, None, None, tasks
    from roboscale.worlds.real.benches import names_benches
    from roboscale.worlds.real.declaration import RobotDeclaration
    from roboscale.worlds.real.guarded import GuardedRobot
    from roboscale.worlds.real.robot_world import RobotWorld

    path = Path(request.robot.removeprefix("robot:"))
    if names_benches(path):
        raise BadData(
            path, "--robot", "the declaration of one arm, which a person drives", "a file of several benches"
        )
    declared, arm = RobotDeclaration.load(path), GuardedRobot(path)
    forward = getattr(declared.make(path.parent), "flange", None)
    return RobotWorld(arm), arm, forward, declared.column("velocity"), request.tasks


def steps_a_second(request: Teleoperate, info: WorldInfo, on_event: OnEvent) -> float:
    """Control steps in a second of the operator's time."""
    if info.kind == "real":
        if request.driven_hz not in (None, info.rate_hz):
            raise RoboscaleError(
                f"--driven-hz: {info.name} is driven at its own rate, {info.rate_hz:g} Hz, asked {request.driven_hz:g}"
            )
        return info.rate_hz
    driven = min(info.rate_hz, _SLOWEST_HZ) if request.driven_hz is None else request.driven_hz
    if driven != info.rate_hz:
        share = driven / info.rate_hz
        text = f"{info.name} is driven at {driven:g} of its {info.rate_hz:g} control steps a second"
        on_event(Note(f"{text}: {share:.2g} of its own time passes; time.step_ns has the operator's"))
    return driven


def driver_of(
    request: Teleoperate, world: World, driven_hz: float, forward: Callable[..., Any] | None, speeds: Any
) -> tuple[Driving, Policy | None]:
    """How a hand drives this world, and the policy that does so until somebody takes over."""
    from roboscale.sources.teleop import driving_for

    info = world.info
    leader = bool(request.leader_type)
    driving = driving_for(info.observation_spec, info.action_spec["action"], driven_hz, forward, speeds, leader=leader)
    if not request.policy:
        return driving, None
    from roboscale.jobs.guests import guest_policies
    from roboscale.policies.resolve import resolve_policy

    guests = guest_policies(world, {})
    return driving, resolve_policy(request.policy, world=world, seed=request.seed, guests=guests)


def leader_of(request: Teleoperate, info: WorldInfo, units: Mapping[str, str] | None) -> LeaderReader | None:
    """The leader arm that was asked for; `None` where the page drives.

    Args:
        units: joint -> unit, of a declared arm; `None` of a simulator, whose action has one.
    """
    if not request.leader_type:
        return None
    from roboscale.guests.leader import GuestLeader
    from roboscale.guests.robot import PER_UNIT
    from roboscale.sources.teleop import LeaderReader

    action = info.action_spec["action"]
    if units is None and action.unit not in PER_UNIT:
        gives, takes = (
            f"positions of joints in {', '.join(PER_UNIT)}",
            f"{', '.join(action.layout)} in {action.unit!r}",
        )
        raise SpecMismatch(f"--input {request.input}: a leader arm gives {gives}, and {info.name} takes {takes}")
    config = {name: _value(text) for name, _, text in (one.partition("=") for one in request.leader)}
    joints = dict.fromkeys(action.layout, action.unit) if units is None else units
    return LeaderReader(GuestLeader(request.leader_type, joints, config))


def configured(
    info: WorldInfo, tasks: tuple[str, ...], driven_hz: float, horizon: int, policy: Policy | None
) -> Configuration:
    """What a later session has to have in common with this one."""
    from roboscale.sources.teleop import Configuration

    return Configuration(
        robot=info.name,
        digest=info.identity.digest,
        tasks={task: info.instruction(task) for task in tasks},
        rate_hz=info.rate_hz,
        driven_hz=driven_hz,
        horizon=horizon,
        policy="" if policy is None else policy.identity.digest,
    )


def _value(text: str) -> Any:
    """A number, truth value or list as JSON has it; else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
