"""Who takes part: policies from what was typed or handed over."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from roboscale.core import Policy, RoboscaleError, Spec, World
from roboscale.jobs.guests import guest_policies
from roboscale.jobs.trying import API_KEY_VARIABLE, AnyPolicy, Trying

if TYPE_CHECKING:
    from roboscale.policies.remote import Timeouts
    from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["Watched", "not_shown", "participant_of", "profiles_of"]


def profiles_of(request: Trying, policies: Sequence[AnyPolicy]) -> Mapping[str, PolicyProfile]:
    """What `--policy-profile` says of servers; sockets are not loaded where it says nothing."""
    if not request.policy_profile:
        return {}
    from roboscale.jobs.guests import guest_of
    from roboscale.policies.remote.profile import read_profiles

    named = [p for p in policies if isinstance(p, str)]
    return read_profiles(request.policy_profile, named, lambda text: guest_of(text) is not None)


def _timeouts(request: Trying, policy: str) -> Timeouts | None:
    """How long to wait for a server; `None` for a policy that is none."""
    if "://" not in policy:
        return None
    from roboscale.policies.remote import Timeouts

    return Timeouts(reply_s=request.reply_timeout, warmup_s=request.warmup_timeout)


def participant_of(
    policy: AnyPolicy,
    request: Trying,
    world: World,
    observes: Collection[str] | None,
    profiles: Mapping[str, PolicyProfile],
) -> Policy:
    """The policy, which thinks while it acts where that is asked."""
    made = _resolved(policy, request, world, observes, profiles)
    if request.asynchronous is None:
        return made
    from roboscale.policies.asynchronous import Asynchronous

    if request.delay is not None and world.info.pace == "wall":
        raise RoboscaleError(f"--delay is for simulated time: {world.info.name} runs on the wall clock")
    if request.delay is None and world.info.pace != "wall":
        raise RoboscaleError(f"{world.info.name} runs in simulated time: --delay says how many steps an answer takes")
    return Asynchronous(made, request.asynchronous, world.info.rate_hz, request.delay)


def _resolved(
    policy: AnyPolicy,
    request: Trying,
    world: World,
    observes: Collection[str] | None,
    profiles: Mapping[str, PolicyProfile],
) -> Policy:
    from roboscale.policies.callables import as_policy
    from roboscale.policies.resolve import resolve_policy

    if isinstance(policy, str):
        return resolve_policy(
            policy,
            world=world,
            profile=profiles,
            seed=request.seed,
            device=request.device,
            api_key=os.environ.get(API_KEY_VARIABLE),
            timeouts=_timeouts(request, policy),
            guests=guest_policies(world, profiles, start_s=request.start_timeout, answer_s=request.reply_timeout),
        )
    return as_policy(policy, spec=None if observes is None else world.info.observation_spec.select(observes))


def not_shown(policy: Policy, shown: Spec) -> tuple[str, ...]:
    """A line where cameras are not rendered for a policy because its code does not read them."""
    reads = None if policy.observation_spec is not None else getattr(policy, "reads", None)
    if reads is None or not {image.name for image in shown.images} - reads:
        return ()
    read = [name for name in shown.names if name in reads]
    only = f"{', '.join(read)} alone" if read else "no observation"
    return (f"its code reads {only}, so that nothing else is rendered for it",)


class Watched:
    """A policy that is shown everything, cameras included: what `--render` asks for."""

    def __init__(self, policy: Policy) -> None:
        self.name, self.identity, self.history = policy.name, policy.identity, policy.history
        self.observation_spec, self.action_spec = None, policy.action_spec
        self.start, self._inner = policy.start, policy

    @property
    def sessions(self) -> int | None:
        return cast("int | None", getattr(self._inner, "sessions", None))

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(getattr(self._inner, "notes", ()))
