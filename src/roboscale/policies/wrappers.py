"""Policies made of other policies or of numbers: a ladder of known quality.

Knows the policy protocol and arrays. Does not know worlds; what is out of range is clipped there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    PENDING,
    ActionChunk,
    BatchedPolicy,
    Identity,
    Observation,
    Pending,
    Policy,
    Session,
    Spec,
    SpecMismatch,
    combine,
    generator,
)

__all__ = ["AroundPolicy", "AroundSession", "constant", "noisy", "truncated"]


Answer = ActionChunk | Literal[Pending.PENDING]
Change = Callable[[ActionChunk], ActionChunk]


class AroundSession:
    """A session around another one, whose `details` and `parents` it has."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner

    @property
    def details(self) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], getattr(self.inner, "details", {}))

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(getattr(self.inner, "parents", ()))


class AroundPolicy:
    """A policy around another one, whose specs, history, notes and end it has."""

    def __init__(self, inner: Policy, identity: Identity) -> None:
        self.name, self.identity = identity.name, identity
        self._inner = inner

    @property
    def observation_spec(self) -> Spec | None:
        return self._inner.observation_spec

    @property
    def action_spec(self) -> Spec | None:
        return self._inner.action_spec

    @property
    def history(self) -> int:
        return self._inner.history

    @property
    def sessions(self) -> int | None:
        """How many may run at once; `None` for any number."""
        return cast("int | None", getattr(self._inner, "sessions", None))

    @property
    def reads(self) -> frozenset[str] | None:
        """Names of fields, beside which its code reads none; `None` where that is open."""
        return cast("frozenset[str] | None", getattr(self._inner, "reads", None))

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it."""
        return tuple(getattr(self._inner, "notes", ()))

    def close(self) -> None:
        """Of the inner policy, where it has one."""
        getattr(self._inner, "close", lambda: None)()


class _WrappedSession(AroundSession):
    """A session whose chunks are changed."""

    def __init__(self, inner: Session, change: Change) -> None:
        super().__init__(inner)
        self._change = change

    def __call__(self, observation: Observation) -> Answer:
        return self.changed(self.inner(observation))

    def changed(self, answer: Answer) -> Answer:
        """The answer of the inner session as this one's; who is still thinking is left to think."""
        return answer if answer is PENDING else self._change(answer)


class _WrappedPolicy(AroundPolicy):
    """Another policy whose answers are changed; `make_change(seed)` makes the change of one session."""

    def __init__(self, inner: Policy, identity: Identity, make_change: Callable[[int], Change]) -> None:
        super().__init__(inner, identity)
        self._make_change = make_change

    def start(self, instruction: str, seed: int) -> Session:
        """The inner policy gets the same instruction and seed."""
        return _WrappedSession(self._inner.start(instruction, seed), self._make_change(seed))


class _BatchedWrappedPolicy(_WrappedPolicy):
    """The same where the inner policy takes batches."""

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[Answer]:
        """One batch of the inner policy."""
        mine = [cast(_WrappedSession, s) for s in sessions]
        answers = cast(BatchedPolicy, self._inner).act_many([s.inner for s in mine], observations)
        return [s.changed(answer) for s, answer in zip(mine, answers, strict=True)]


def _wrap(inner: Policy, identity: Identity, make_change: Callable[[int], Change]) -> Policy:
    kind = _BatchedWrappedPolicy if isinstance(inner, BatchedPolicy) else _WrappedPolicy
    return kind(inner, identity, make_change)


def noisy(policy: Policy, sigma: float, seed: int = 0) -> Policy:
    """`policy` with independent Gaussian noise on every element of every action.

    Args:
        policy: what is disturbed; it takes batches afterwards if it did before.
        sigma: standard deviation, in the unit of the action. The world clips what leaves its range.
        seed: another one gives other noise on the same cases. Together with the session's seed it fixes the noise,
            which is the same up to scale for every `sigma`: a ladder of noise levels is compared on equal draws.

    Raises:
        SpecMismatch: `sigma` is negative or not finite.
    """
    if not (np.isfinite(sigma) and sigma >= 0):
        raise SpecMismatch(f"noisy: sigma: expected a finite number >= 0, found {sigma}")

    identity = combine(f"noisy:{policy.name}:{sigma:g}", "noisy", policy.identity, float(sigma), seed)

    def make_change(session_seed: int) -> Change:
        rng = generator("noisy", policy.identity.digest, seed, session_seed)  # by content: a name changes no number

        def disturb(chunk: ActionChunk) -> ActionChunk:
            actions = np.asarray(chunk.actions)
            dtype = actions.dtype if actions.dtype.kind == "f" else np.dtype(np.float64)
            return ActionChunk((actions + sigma * rng.standard_normal(actions.shape)).astype(dtype), chunk.execute)

        return disturb

    return _wrap(policy, identity, make_change)


def truncated(policy: Policy, execute: int) -> Policy:
    """`policy`, asked again after at most `execute` actions of each chunk. SpecMismatch unless `execute` >= 1."""
    if execute < 1:
        raise SpecMismatch(f"truncated: execute: expected 1 or more, found {execute}")

    def shorten(chunk: ActionChunk) -> ActionChunk:
        return ActionChunk(chunk.actions, min(len(chunk.rows), execute))

    identity = combine(f"{policy.name}/execute={execute}", "truncated", policy.identity, execute)
    return _wrap(policy, identity, lambda seed: shorten)


class _ConstantPolicy:
    history = 1

    def __init__(self, action: NDArray[Any], name: str, action_spec: Spec | None) -> None:
        self.name, self.action_spec = name, action_spec
        self.identity = combine(name, "constant", action.astype(np.float64))
        self.observation_spec = None if action_spec is None else Spec((), action_spec.rate_hz)
        self._chunk = ActionChunk(action[None])

    def start(self, instruction: str, seed: int) -> Session:
        """The same session whatever is asked."""
        return self._act

    def _act(self, observation: Observation) -> ActionChunk:
        return self._chunk


def constant(values: Sequence[float] | None = None, action_spec: Spec | None = None) -> Policy:
    """Always the same action: the floor that any policy must beat.

    Args:
        values: (D,) numbers; zeros when `None`.
        action_spec: the world's, which says D; it may be left out when `values` are given.

    Raises:
        SpecMismatch: neither says D, both say it differently, or a value is not finite.
    """
    if values is None and action_spec is None:
        raise SpecMismatch("constant: without values it needs a world, which says how many there are")
    name = "constant" if values is None else "constant:" + ",".join(f"{v:g}" for v in values)
    if action_spec is None:
        action = np.asarray(values, np.float32)
    else:
        field = action_spec["action"]
        action = np.zeros(field.shape, field.dtype) if values is None else np.asarray(values, field.dtype)
        if action.shape != field.shape:
            raise SpecMismatch(f"{name}: {action.size} values, but the world's action has shape {list(field.shape)}")
    if action.ndim != 1 or not action.size or not np.isfinite(action).all():
        raise SpecMismatch(f"{name}: expected finite numbers of shape (D,), found {action.tolist()}")
    return _ConstantPolicy(action, name, action_spec)
