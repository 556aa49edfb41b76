"""Policies made of other policies, of numbers or of recordings: a ladder of known quality.

Knows the policy protocol and arrays. Does not know worlds; what is out of range is clipped there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class _Wrapped(Protocol):
    """A session around another one: changes what it answers."""

    inner: Session

    def change(self, chunk: ActionChunk) -> ActionChunk: ...


class _Wrapper:
    """What all wrappers share: the specs of the inner policy, and batches passed on to it."""

    def __init__(self, inner: Policy, name: str) -> None:
        self.name = name
        self._inner = inner

    @property
    def observation_spec(self) -> Spec | None:
        return self._inner.observation_spec

    @property
    def action_spec(self) -> Spec | None:
        return self._inner.action_spec

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """One batch of the inner policy where it takes batches, else one call per session."""
        wrapped = [cast(_Wrapped, s) for s in sessions]
        if isinstance(self._inner, BatchedPolicy):
            chunks = self._inner.act_many([w.inner for w in wrapped], observations)
        else:
            chunks = [w.inner(o) for w, o in zip(wrapped, observations, strict=True)]
        return [w.change(c) for w, c in zip(wrapped, chunks, strict=True)]


class _NoisySession:
    def __init__(self, inner: Session, sigma: float, rng: np.random.Generator) -> None:
        self.inner, self._sigma, self._rng = inner, sigma, rng

    def __call__(self, observation: Observation) -> ActionChunk:
        return self.change(self.inner(observation))

    def change(self, chunk: ActionChunk) -> ActionChunk:
        actions = np.asarray(chunk.actions)
        noise = self._rng.normal(0.0, self._sigma, actions.shape)
        dtype = actions.dtype if actions.dtype.kind == "f" else np.dtype(np.float64)
        return ActionChunk((actions + noise).astype(dtype), chunk.execute)


class _NoisyPolicy(_Wrapper):
    def __init__(self, inner: Policy, sigma: float) -> None:
        super().__init__(inner, f"noisy:{inner.name}:{sigma:g}")
        self._sigma = sigma

    def start(self, instruction: str, seed: int) -> Session:
        """The inner policy gets the same seed; the noise comes from a stream of its own."""
        return _NoisySession(self._inner.start(instruction, seed), self._sigma, generator("noisy", seed))


def noisy(policy: Policy, sigma: float) -> Policy:
    """`policy` with independent Gaussian noise of standard deviation `sigma` on every element of every action.

    `sigma` is in the unit of the action. The session's seed fixes the noise; batches are passed on.

    Raises:
        SpecMismatch: `sigma` is negative or not finite.
    """
    if not (np.isfinite(sigma) and sigma >= 0):
        raise SpecMismatch(f"noisy: sigma: expected a finite number >= 0, found {sigma}")
    return _NoisyPolicy(policy, sigma)


class _TruncatedSession:
    def __init__(self, inner: Session, execute: int) -> None:
        self.inner, self._execute = inner, execute

    def __call__(self, observation: Observation) -> ActionChunk:
        return self.change(self.inner(observation))

    def change(self, chunk: ActionChunk) -> ActionChunk:
        return ActionChunk(chunk.actions, min(len(chunk.rows), self._execute))


class _TruncatedPolicy(_Wrapper):
    def __init__(self, inner: Policy, execute: int) -> None:
        super().__init__(inner, f"{inner.name}/execute={execute}")
        self._execute = execute

    def start(self, instruction: str, seed: int) -> Session:
        """A session that is asked again after at most `execute` actions."""
        return _TruncatedSession(self._inner.start(instruction, seed), self._execute)


def truncated(policy: Policy, execute: int) -> Policy:
    """`policy`, asked again after at most `execute` actions of each chunk. SpecMismatch unless `execute` >= 1."""
    if execute < 1:
        raise SpecMismatch(f"truncated: execute: expected 1 or more, found {execute}")
    return _TruncatedPolicy(policy, execute)


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
    if action.ndim != 1 or not np.isfinite(action).all():
        raise SpecMismatch(f"{name}: expected finite numbers of shape (D,), found {action.tolist()}")
    return _ConstantPolicy(action, name, action_spec)


class Recordings(Protocol):
    """What `replay` needs of a dataset."""

    spec: Spec

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
    def __init__(self, dataset: Recordings, name: str) -> None:
        self.name = name
        self.action_spec: Spec | None = dataset.spec.select(["action"])
        self.observation_spec = _nothing(self.action_spec)
        self._dataset = dataset
        self._by_instruction: Mapping[str, list[int]] = _by_instruction(dataset)

    def start(self, instruction: str, seed: int) -> Session:
        """An episode of this instruction, chosen by `seed`; UnknownName when none was recorded."""
        if instruction not in self._by_instruction:
            raise UnknownName(f"instruction in {self.name}", instruction, self._by_instruction)
        indices = self._by_instruction[instruction]
        index = indices[int(generator("replay", seed).integers(len(indices)))]
        actions = np.asarray(self._dataset.episode(index, images=False).arrays["action"])
        if len(actions) == 0:
            raise BadData(self.name, f"episode {index}: action", "at least one action", "none")
        return _ReplaySession(actions)


def replay(dataset: Recordings, name: str = "replay") -> Policy:
    """Plays recorded actions whatever it sees: an episode of the same instruction, chosen by the session's seed.

    After the last action it holds that one.
    """
    return _ReplayPolicy(dataset, name)


def _by_instruction(dataset: Recordings) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for episode in dataset.episodes:
        found.setdefault(str(episode.instruction), []).append(int(episode.index))
    return found


def _nothing(action_spec: Spec | None) -> Spec | None:
    """The observation spec of a policy that looks at nothing, so that nobody renders a picture for it."""
    return None if action_spec is None else Spec((), action_spec.rate_hz)
