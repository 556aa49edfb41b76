"""Says how far a policy repeats itself: deterministic, seed-dependent, batch-dependent or stateful."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from roboscale.core import Observation, World, cases, check_action, generator
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.guests import guest_of, guest_policies
from roboscale.jobs.options import Seed, StartTimeout
from roboscale.jobs.request import Argument, Option, Request
from roboscale.jobs.strangers import within
from roboscale.jobs.trying import API_KEY_VARIABLE, AnyPolicy

if TYPE_CHECKING:
    from roboscale.testing.policy_checks import PolicyCheck

__all__ = ["CheckPolicyInWorld", "check_policy_in_world"]

LOOKS, APART = 4, 5  # observations of an episode, and random steps between two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPolicyInWorld(Request):
    """Asks how a policy behaves when it is asked the same again."""

    words: ClassVar[tuple[str, ...]] = ("policy", "check")

    policy: Annotated[str, Argument("Any policy of `roboscale eval --help`.")]
    world: Annotated[str, Option("The world whose observations it is shown.")] = "metaworld"
    task: Annotated[str, Option("A task of the world. Default: its first.")] = ""
    policy_profile: Annotated[tuple[str, ...], Option("TOML file that maps a server's keys and actions.")] = ()
    seed: Seed = 0
    start_timeout: StartTimeout = 300.0


def check_policy_in_world(
    request: CheckPolicyInWorld, on_event: OnEvent = ignore, *, policy: AnyPolicy | None = None
) -> PolicyCheck:
    """Shows a policy observations of a world: one twice, in another order, in batches, after another episode.

    >>> from roboscale import CheckPolicyInWorld, check_policy_in_world
    >>> check_policy_in_world(CheckPolicyInWorld(policy="constant", task="reach-v3")).verdicts
    ('deterministic',)

    Args:
        policy: an object, instead of the request's text.

    Raises:
        UnknownName, SpecMismatch: names or specs do not fit.
        PolicyError: the policy gives no action at all.
    """
    from roboscale.jobs.opening import open_any_world
    from roboscale.policies.callables import as_policy
    from roboscale.policies.remote.profile import read_profiles
    from roboscale.policies.resolve import resolve_policy
    from roboscale.testing.policy_checks import check_policy
    from roboscale.trials import check_policy_fits

    def say(text: str) -> None:
        on_event(Note(text))

    profiles = read_profiles(request.policy_profile, [request.policy], lambda text: guest_of(text) is not None)
    with within(request.start_timeout, f"world {request.world}", say):
        world = open_any_world(request.world)
        info = world.info
    try:
        task = request.task or next(iter(info.tasks))
        instruction = info.instruction(task)
        with within(request.start_timeout, f"policy {request.policy}", say):
            resolved = (
                resolve_policy(
                    request.policy,
                    world=world,
                    profile=profiles,
                    seed=request.seed,
                    api_key=os.environ.get(API_KEY_VARIABLE),
                    guests=guest_policies(world, profiles, start_s=request.start_timeout),
                )
                if policy is None
                else as_policy(policy)
            )
        check_policy_fits(resolved, info)
        needs = None if resolved.observation_spec is None else resolved.observation_spec.names
        looks = _looks(world, task, request.seed, needs)
        return check_policy(resolved, looks, instruction, action_spec=info.action_spec)
    finally:
        world.close()


def _looks(world: World, task: str, seed: int, needs: tuple[str, ...] | None) -> list[Observation]:
    """Observations along an episode of random actions."""
    field = world.info.action_spec["action"]
    rng = generator("policy check", task, seed)
    scene = world.start(cases(task, 1, seed, "eval")[0])
    seen: list[Observation] = []
    try:
        for _ in range(LOOKS):
            seen.append({name: np.array(array) for name, array in scene.observe(needs).items()})
            for _ in range(APART):
                low = -1.0 if field.low is None else np.reshape(field.low, field.shape)
                high = 1.0 if field.high is None else np.reshape(field.high, field.shape)
                scene.step(check_action(rng.uniform(low, high, field.shape), field)[0])
    finally:
        scene.close()
    return seen
