"""Somebody's own policy, held to the protocol: what it lacks is added, what it raises and returns is read.

Policies of other people's classes may know nothing of identity, history, faults or tensors; runners need all of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np

from roboscale.core import (
    ActionChunk,
    BatchedPolicy,
    Identity,
    InfrastructureError,
    Observation,
    Pending,
    Policy,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    combine,
)
from roboscale.core.faults import faults_of
from roboscale.core.objects import identify
from roboscale.policies.callables.answers import read_answer

__all__ = ["guard", "is_policy", "read_only"]

Answer = ActionChunk | Literal[Pending.PENDING]


def is_policy(thing: object) -> bool:
    """Whether it is an object whose `start(instruction, seed)` begins a session."""
    start = getattr(thing, "start", None)
    if isinstance(thing, type) or not callable(start):
        return False
    try:
        inspect.signature(start).bind("", 0)
    except (TypeError, ValueError):
        return False
    return True


def guard(policy: Policy, name: str, spec: Spec | None) -> Policy:
    """Somebody's own policy, held to the protocol; ours are what they are."""
    if type(policy).__module__.split(".")[0] == "roboscale" and spec is None:
        return policy
    kind = _BatchedGuardedPolicy if isinstance(policy, BatchedPolicy) else _GuardedPolicy
    return kind(policy, name, spec)


class _GuardedPolicy:
    """A policy of somebody's own class."""

    def __init__(self, policy: Policy, name: str, spec: Spec | None) -> None:
        own = getattr(policy, "observation_spec", None)
        self.name = name
        self.identity = _own_identity(policy, name, spec)
        self.observation_spec: Spec | None = own if own is not None else spec
        self.action_spec: Spec | None = getattr(policy, "action_spec", None)
        self.history = _history(policy)
        self.sessions: int | None = getattr(policy, "sessions", None)
        self.notes = tuple(str(note) for note in getattr(policy, "notes", ()))
        self.policy = policy

    def start(self, instruction: str, seed: int) -> Session:
        """A session of the inner policy. Errors that a user can mend pass; any other is raised by its first call."""
        session = _GuardedSession(f"policy {self.name}")
        try:
            with faults_of(session.who, passing=(RoboscaleError,)):
                session.inner = self.policy.start(instruction, seed)
        except (PolicyError, InfrastructureError) as fault:
            session.fault = fault
        return session

    def close(self) -> None:
        """Of the inner policy, where it has one."""
        getattr(self.policy, "close", lambda: None)()


class _BatchedGuardedPolicy(_GuardedPolicy):
    """The same where the inner policy takes batches."""

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[Answer]:
        """One batch of the inner policy.

        Raises:
            PolicyError, InfrastructureError: of the first session that has no answer. The others keep theirs: asked
                one by one with the same observation they return it.
        """
        mine = [cast(_GuardedSession, s) for s in sessions]
        broken = next((s.fault for s in mine if s.fault is not None), None)
        if broken is not None:
            raise broken
        asked = [(s, read_only(o)) for s, o in zip(mine, observations, strict=True) if s.kept is None]
        who = f"policy {self.name}"
        inner = [cast(Session, s.inner) for s, _ in asked]
        with faults_of(who):
            answers = list(cast(BatchedPolicy, self.policy).act_many(inner, [seen for _, seen in asked]))
        if len(answers) != len(asked):
            raise PolicyError(f"{who} returned {len(answers)} answers for {len(asked)} sessions")
        for (session, _), answer in zip(asked, answers, strict=True):
            session.keep(answer)
        first = next((s.kept for s in mine if isinstance(s.kept, PolicyError)), None)
        if first is not None:
            raise first
        return [s.take() for s in mine]


class _GuardedSession:
    """One episode of somebody's own policy; `details` and `parents` are those of its session."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.inner: Session | None = None
        self.fault: PolicyError | InfrastructureError | None = None
        self.kept: Answer | PolicyError | None = None

    def __call__(self, observation: Observation) -> Answer:
        if self.fault is not None:
            raise self.fault
        if self.kept is not None:
            return self.take()
        with faults_of(self.who):
            answer = cast(Session, self.inner)(read_only(observation))
        return read_answer(answer, self.who)

    def keep(self, answer: object) -> None:
        """Reads an answer of a batch; a bad one is kept as its error."""
        try:
            self.kept = read_answer(answer, self.who)
        except PolicyError as error:
            self.kept = error

    def take(self) -> Answer:
        """What was kept, once."""
        kept, self.kept = self.kept, None
        if isinstance(kept, PolicyError):
            raise kept
        assert kept is not None, "an answer is kept before it is taken"
        return kept

    @property
    def details(self) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], getattr(self.inner, "details", {}))

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(getattr(self.inner, "parents", ()))


def read_only(observation: Observation) -> dict[str, Any]:
    """The user's own dictionary of views that cannot be written to."""
    seen = {}
    for key, value in observation.items():
        view = np.asarray(value).view()
        view.flags.writeable = False
        seen[key] = view
    return seen


def _own_identity(policy: Policy, name: str, spec: Spec | None) -> Identity:
    """What it says, or else its content; what it is shown is part of it."""
    own = getattr(policy, "identity", None)
    identity = own if isinstance(own, Identity) else identify(policy, name)
    return identity.renamed(name) if spec is None else combine(name, identity, spec.to_json())


def _history(policy: Policy) -> int:
    """What it says, where that is a number of steps: others keep their observations under that name."""
    history = getattr(policy, "history", 1)
    return history if isinstance(history, int) and not isinstance(history, bool) and history >= 1 else 1
