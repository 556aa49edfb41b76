"""Policies made of other policies, of numbers or of recordings: a ladder of known quality.

Knows the policy protocol and arrays. Does not know worlds; what is out of range is clipped there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    BadData,
    BatchedPolicy,
    Observation,
    Policy,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
    generator,
)

__all__ = ["Recordings", "constant", "noisy", "replay", "truncated"]


Change = Callable[[ActionChunk], ActionChunk]


class _WrappedSession:
    """A session whose answers are changed."""

    def __init__(self, inner: Session, change: Change) -> None:
        self.inner, self.change = inner, change

    def __call__(self, observation: Observation) -> ActionChunk:
        return self.change(self.inner(observation))


class _WrappedPolicy:
    """Another policy whose answers are changed; `make_change(seed)` makes the change of one session."""

    def __init__(self, inner: Policy, name: str, make_change: Callable[[int], Change]) -> None:
        self.name = name
        self._inner, self._make_change = inner, make_change

    @property
    def observation_spec(self) -> Spec | None:
        return self._inner.observation_spec

    @property
    def action_spec(self) -> Spec | None:
        return self._inner.action_spec

    def start(self, instruction: str, seed: int) -> Session:
        """The inner policy gets the same instruction and seed."""
        return _WrappedSession(self._inner.start(instruction, seed), self._make_change(seed))


class _BatchedWrappedPolicy(_WrappedPolicy):
    """The same where the inner policy takes batches."""

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """One batch of the inner policy."""
        mine = [cast(_WrappedSession, s) for s in sessions]
        chunks = cast(BatchedPolicy, self._inner).act_many([s.inner for s in mine], observations)
        return [s.change(chunk) for s, chunk in zip(mine, chunks, strict=True)]


def _wrap(inner: Policy, name: str, make_change: Callable[[int], Change]) -> Policy:
    kind = _BatchedWrappedPolicy if isinstance(inner, BatchedPolicy) else _WrappedPolicy
    return kind(inner, name, make_change)


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

    def make_change(session_seed: int) -> Change:
        rng = generator("noisy", policy.name, seed, session_seed)

        def disturb(chunk: ActionChunk) -> ActionChunk:
            actions = np.asarray(chunk.actions)
            dtype = actions.dtype if actions.dtype.kind == "f" else np.dtype(np.float64)
            return ActionChunk((actions + sigma * rng.standard_normal(actions.shape)).astype(dtype), chunk.execute)

        return disturb

    return _wrap(policy, f"noisy:{policy.name}:{sigma:g}", make_change)


def truncated(policy: Policy, execute: int) -> Policy:
    """`policy`, asked again after at most `execute` actions of each chunk. SpecMismatch unless `execute` >= 1."""
    if execute < 1:
        raise SpecMismatch(f"truncated: execute: expected 1 or more, found {execute}")

    def shorten(chunk: ActionChunk) -> ActionChunk:
        return ActionChunk(chunk.actions, min(len(chunk.rows), execute))

    return _wrap(policy, f"{policy.name}/execute={execute}", lambda seed: shorten)


class _ConstantPolicy:
    def __init__(self, action: NDArray[Any], name: str, action_spec: Spec | None) -> None:
        self.name, self.action_spec = name, action_spec
        self.observation_spec = _nothing(action_spec)
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


class Recordings(Protocol):
    """What `replay` needs of a dataset."""

    @property
    def spec(self) -> Spec: ...

    @property
    def episodes(self) -> Sequence[Any]:
        """Each has `instruction` and `index`."""

    def episode(self, index: int, images: bool = ...) -> Any:
        """Its `arrays["action"]` is (T, D)."""


class _ReplaySession:
    """All actions as one chunk, then the last one for as long as it is asked."""

    def __init__(self, actions: NDArray[Any]) -> None:
        self._next = actions

    def __call__(self, observation: Observation) -> ActionChunk:
        chunk = ActionChunk(self._next)
        self._next = self._next[-1:]
        return chunk


class _ReplayPolicy:
    def __init__(self, dataset: Recordings, name: str, seed: int) -> None:
        self.name = name
        self.action_spec: Spec | None = dataset.spec.select(["action"])
        self.observation_spec = _nothing(self.action_spec)
        self._dataset, self._seed = dataset, seed
        self._by_instruction: Mapping[str, list[int]] = _by_instruction(dataset)

    def start(self, instruction: str, seed: int) -> Session:
        """An episode of this instruction, chosen by `seed`; UnknownName when none was recorded."""
        if instruction not in self._by_instruction:
            raise UnknownName(f"instruction in {self.name}", instruction, self._by_instruction)
        indices = self._by_instruction[instruction]
        index = indices[int(generator("replay", self._seed, seed).integers(len(indices)))]
        actions = np.asarray(self._dataset.episode(index, images=False).arrays["action"])
        if len(actions) == 0:
            raise BadData(self.name, f"episode {index}: action", "at least one action", "none")
        return _ReplaySession(actions)


def replay(dataset: Recordings, name: str = "replay", seed: int = 0) -> Policy:
    """Plays recorded actions whatever it sees, then holds the last one.

    The episode is one of the same instruction, chosen by the session's seed; another `seed` chooses others.
    """
    return _ReplayPolicy(dataset, name, seed)


def _by_instruction(dataset: Recordings) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for episode in dataset.episodes:
        found.setdefault(str(episode.instruction), []).append(int(episode.index))
    return found


def _nothing(action_spec: Spec | None) -> Spec | None:
    """The observation spec of a policy that looks at nothing, so that nobody renders a picture for it."""
    return None if action_spec is None else Spec((), action_spec.rate_hz)
