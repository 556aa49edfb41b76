"""Says how far a policy repeats itself, and whether what it is shown and says means what it did in training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from roboscale.core import Observation, Policy, World, cases, check_action, generator
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.guests import guest_of, guest_policies
from roboscale.jobs.options import Seed, StartTimeout
from roboscale.jobs.request import Argument, Option, Request
from roboscale.jobs.strangers import within
from roboscale.jobs.trying import API_KEY_VARIABLE, AnyPolicy

if TYPE_CHECKING:
    from roboscale.policies.remote.pitfalls import Fitting, Pitfall
    from roboscale.testing.policy_checks import PolicyCheck

__all__ = ["CheckPolicyInWorld", "CheckedPolicy", "check_policy_in_world"]

LOOKS, APART = 4, 5  # observations of an episode, and random steps between two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPolicyInWorld(Request):
    """Asks how a policy behaves when it is asked the same again."""

    words: ClassVar[tuple[str, ...]] = ("policy", "check")

    policy: Annotated[str, Argument("Any policy of `roboscale eval --help`.")]
    world: Annotated[str, Option("The world whose observations it is shown.")] = "metaworld"
    task: Annotated[str, Option("A task of the world. Default: its first.")] = ""
    dataset: Annotated[
        Path | None, Option("The dataset that it was trained on: what reaches it is compared with that.")
    ] = None
    feature: Annotated[
        tuple[str, ...], Option("KEY=FEATURE, where a key of the profile is called otherwise in the dataset.")
    ] = ()
    write: Annotated[Path | None, Option("Write the profile with all lines that were named.")] = None
    policy_profile: Annotated[tuple[str, ...], Option("TOML file that maps a server's keys and actions.")] = ()
    seed: Seed = 0
    start_timeout: StartTimeout = 300.0


@dataclass(frozen=True, slots=True)
class CheckedPolicy:
    """What was found.

    Args:
        repeats: how far it says the same again.
        fitting: the pitfalls between it and the world; `None` where nobody says what it takes.
        profile: of the connection: its file, or `None` where it was drafted; whether the policy takes one.
    """

    repeats: PolicyCheck
    fitting: Fitting | None
    profile: tuple[Path | None, bool]

    @property
    def verdicts(self) -> tuple[str, ...]:
        return self.repeats.verdicts

    @property
    def pitfalls(self) -> tuple[Pitfall, ...]:
        return () if self.fitting is None else self.fitting.pitfalls

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        lines = self.repeats.lines
        if self.fitting is None:
            return [*lines, "  not looked for: pitfalls, since nobody says what it takes (a profile or a spec would)"]
        file, own = self.profile
        for pitfall in self.fitting.pitfalls:
            lines.append(f"  pitfall {pitfall.check}: {pitfall.where}: {pitfall.text}")
            where = f"in {file}" if file else "in a profile (--write FILE makes it)"
            for line in pitfall.lines if own else ():
                lines.append(f"    {where}{f', {line.table}' if line.table else ''}: {line.text}")
            if not own:
                lines.append("    this policy takes no profile: train it on what the world shows, or serve it")
        lines += [f"  assumed: {text}" for text in self.fitting.assumed]
        lines += [f"  not looked for: {text}" for text in self.fitting.not_looked_for]
        return lines if self.fitting.pitfalls else [*lines, "  no pitfall found"]

    def to_json(self) -> dict[str, Any]:
        """As the repeats, with `fitting` beside."""
        return self.repeats.to_json() | {"fitting": None if self.fitting is None else self.fitting.to_json()}


def check_policy_in_world(
    request: CheckPolicyInWorld, on_event: OnEvent = ignore, *, policy: AnyPolicy | None = None
) -> CheckedPolicy:
    """Shows a policy observations of a world: one twice, in another order, in batches, after another episode; and
    looks for what reaches it otherwise than in training.

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
        repeats = check_policy(resolved, looks, instruction, action_spec=info.action_spec)
        return _with_pitfalls(request, resolved, world, task, repeats, on_event)
    finally:
        world.close()


def _with_pitfalls(
    request: CheckPolicyInWorld, policy: Policy, world: World, task: str, repeats: PolicyCheck, on_event: OnEvent
) -> CheckedPolicy:
    """What was found between the policy and the world; writes the mended profile where that was asked for."""
    from roboscale.jobs.policy_fit import connection_of, seen_in, trained_on
    from roboscale.policies.remote.pitfalls import find_pitfalls
    from roboscale.policies.remote.profile import PolicyProfile

    connection = connection_of(policy, request.policy_profile, world)
    if connection is None:
        return CheckedPolicy(repeats, None, (None, False))
    trained = trained_on(policy, connection.profile, request.dataset, request.feature)
    needs = PolicyProfile.parse(connection.profile).fields
    seen = seen_in(world, task, request.seed, trained, [n for n in needs if n in world.info.observation_spec])
    fitting = find_pitfalls(connection.profile, seen, trained)
    if request.write is not None:
        request.write.write_text(fitting.profile, encoding="utf-8")
        on_event(Wrote("profile", request.write))
    return CheckedPolicy(repeats, fitting, (connection.file, connection.own))


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
