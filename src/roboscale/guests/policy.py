"""A policy that a guest computes: an ordinary `Policy` here, a process of its own there.

Knows names and shapes of features, and sessions. Does not know what computes, nor worlds.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Identity,
    InfrastructureError,
    Observation,
    PolicyError,
    Session,
    Spec,
    SpecMismatch,
    combine,
)
from roboscale.core.errors import near_names
from roboscale.guests.process import GuestProcess

__all__ = ["FeatureMap", "GuestPolicy", "PolicyFeatures"]

Fault = PolicyError | InfrastructureError


class FeatureMap(Protocol):
    """How our fields become a policy's features, and its rows our actions; a policy profile is one."""

    @property
    def identity(self) -> Identity: ...

    @property
    def fields(self) -> tuple[str, ...]:
        """Our fields that it reads."""

    @property
    def prompt(self) -> str:
        """Key of the instruction in what `encode` makes; empty where it takes none."""

    def encode(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """One step of an observation as the policy's features."""

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """SpecMismatch with all in which it does not fit a world, or nothing."""

    def chunk(self, rows: NDArray[Any], observation: Observation | None = None) -> ActionChunk:
        """(H, D) of the policy, which answers an observation -> our actions."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What a policy takes under one key: `picture` (H, W, C) uint8, or numbers."""

    shape: tuple[int, ...]
    picture: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFeatures:
    """What a policy takes and gives, as it says itself; a `FeatureMap` for worlds that call things as it does.

    Args:
        kind: of policy, e.g. `act`.
        takes: key -> feature.
        action: D.
        history: steps that it reads. rows: rows of a chunk that are executed.
        notes: what people should know of it.
        versions: package -> version that computes it.
        statistics: key -> `mean`, `std`, `min`, `max` by which the checkpoint normalises, lists of D numbers.
    """

    kind: str
    takes: Mapping[str, Feature]
    action: int
    history: int
    rows: int
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    prompt = ""

    @classmethod
    def from_reply(cls, said: Any) -> PolicyFeatures:
        """From what the guest's side says; InfrastructureError names what is wrong with it."""
        try:
            takes = {
                str(key): Feature(_height_first(value["shape"], value["kind"] == "VISUAL"), value["kind"] == "VISUAL")
                for key, value in said["takes"].items()
            }
            return cls(
                kind=str(said["kind"]),
                takes=takes,
                action=int(np.prod(said["action"])),
                history=int(said["history"]),
                rows=int(said["rows"]),
                notes=tuple(map(str, said["notes"])),
                versions=dict(said["versions"]),
                statistics=dict(said.get("statistics", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InfrastructureError(f"a guest described its policy as {str(said)[:200]}: {error!r}") from error

    @property
    def identity(self) -> Identity:
        return combine("as named")

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.takes)

    def encode(self, observation: Observation, instruction: str) -> dict[str, Any]:
        return {key: observation[key] for key in self.takes}

    def chunk(self, rows: NDArray[Any], observation: Observation | None = None) -> ActionChunk:
        return ActionChunk(rows)

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        problems = [*self._problems(observation_spec), *self._action_problems(action_spec)]
        if problems:
            draft = "\n".join(self.draft(observation_spec, action_spec))
            raise SpecMismatch(
                "\n  ".join(["the policy does not fit the world:", *problems])
                + f"\na profile says what is what: edit this one, and give it by --policy-profile FILE\n{draft}"
            )

    def _problems(self, world: Spec) -> Iterator[str]:
        for key, feature in self.takes.items():
            if key not in world:
                yield f"{key}: the world has none{_near(key, world.names)}"
            elif feature.picture != world[key].is_image or feature.shape != world[key].shape:
                found = world[key]
                yield f"{key}: the policy takes {_say(feature)}, the world has {found.dtype}{list(found.shape)}"

    def _action_problems(self, world: Spec) -> Iterator[str]:
        if "action" not in world:
            yield f"action: the world has no field 'action', only {', '.join(world.names)}"
        elif world["action"].shape != (self.action,):
            yield f"action: the policy gives {self.action} values, the world takes {list(world['action'].shape)}"

    def draft(self, observation_spec: Spec, action_spec: Spec) -> Iterator[str]:
        """Lines of a profile for a world, with what may be meant filled in."""
        yield f"name = {json.dumps(self.kind)}"
        yield 'prompt = "task"'
        for key, feature in self.takes.items():
            likely = _likely(key, feature, observation_spec)
            yield ""
            yield "[[observation]]"
            yield f"key = {json.dumps(key)}  # takes {_say(feature)}"
            choice = "" if likely else f"  # one of {', '.join(observation_spec.names)}"
            yield f"field = {json.dumps(likely)}{choice}"
            if feature.picture and likely and observation_spec[likely].shape != feature.shape:
                yield f"resize = [{feature.shape[0]}, {feature.shape[1]}]"
        action = next((f for f in action_spec if f.name == "action"), None)
        yield ""
        yield "[action]"
        yield f"dimension = {self.action}"
        yield f"mode = {json.dumps(action.mode if action else 'absolute')}"


class GuestPolicy:
    """A policy in a guest's process. Its identity is its content, the guest's lock, our side of it, what was
    overridden, and the map.

    Args:
        name: what results call it.
        process: where it is opened; started already.
        features: what it says of itself.
        mapping: how it is connected to the world.
        content: digest of its files.
        overrides: what was asked to be otherwise than the files say.
        specs: of the world: observation and action; `None` where there is no world yet.
    """

    def __init__(
        self,
        name: str,
        process: GuestProcess,
        features: PolicyFeatures,
        mapping: FeatureMap,
        *,
        content: str,
        overrides: Mapping[str, Any],
        specs: tuple[Spec, Spec] | None,
    ) -> None:
        self.name, self.features, self.mapping = name, features, mapping
        parts = (content, process.guest.identity, process.code, dict(overrides), mapping.identity)
        self.identity = combine(name, "guest policy", *parts)
        self.history = features.history
        self.notes = features.notes
        self._process = process
        self._specs = specs

    @property
    def observation_spec(self) -> Spec | None:
        return None if self._specs is None else self._specs[0].select(self.mapping.fields)

    @property
    def action_spec(self) -> Spec | None:
        return None if self._specs is None else self._specs[1]

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; its process is asked with its first observation."""
        return _GuestSession(self, instruction, seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """Asks for all sessions in one message.

        Raises:
            PolicyError, InfrastructureError: of the first session that has no answer; the others keep theirs.
        """
        mine = [cast(_GuestSession, s) for s in sessions]
        asked = [(s, o) for s, o in zip(mine, observations, strict=True) if s.kept is None]
        lost = self._lost(s for s, _ in asked)
        asked = [(s, o) for s, o in asked if s not in lost]
        if asked:
            self._ask(asked)
        for session in mine:
            if isinstance(session.kept, (PolicyError, InfrastructureError)):
                raise session.kept
        return [s.take() for s in mine]

    def _lost(self, sessions: Iterable[_GuestSession]) -> set[_GuestSession]:
        """Those that began in a process that is gone, with what they remembered."""
        lost = {s for s in sessions if s.step and s.process != self._process.number}
        for session in lost:
            session.kept = InfrastructureError(
                f"{self.name}: its process was started anew in the middle of the episode"
            )
        return lost

    def _ask(self, asked: Sequence[tuple[_GuestSession, Observation]]) -> None:
        message = [session.question(observation) for session, observation in asked]
        try:
            answers = self._process.ask("act", {"asked": message})
        except InfrastructureError as error:
            for session, _ in asked:
                session.kept = error
            return
        for (session, observation), rows in zip(asked, answers, strict=True):
            session.process = self._process.number
            newest = observation if self.history == 1 else {name: array[-1] for name, array in observation.items()}
            session.kept = PolicyError(rows) if isinstance(rows, str) else self.mapping.chunk(rows, newest)

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


class _GuestSession:
    """One episode of a guest's policy."""

    def __init__(self, policy: GuestPolicy, instruction: str, seed: int) -> None:
        self.id, self.step, self.process = uuid.uuid4().hex, 0, -1
        self.kept: ActionChunk | Fault | None = None
        self._policy, self._instruction, self._seed = policy, instruction, seed

    def __call__(self, observation: Observation) -> ActionChunk:
        return self._policy.act_many([self], [observation])[0]

    def question(self, observation: Observation) -> dict[str, Any]:
        """What its process is asked."""
        mapping, history = self._policy.mapping, self._policy.history
        steps: list[Mapping[str, Any]] = [observation]
        if history > 1:
            steps = [{name: array[k] for name, array in observation.items()} for k in range(history)]
        made = [mapping.encode(step, self._instruction) for step in steps]
        instruction = [one.pop(mapping.prompt, self._instruction) for one in made][-1]
        features = {key: np.stack([one[key] for one in made]) if history > 1 else made[0][key] for key in made[0]}
        return {
            "session": self.id,
            "step": self.step,
            "seed": self._seed,
            "instruction": instruction,
            "observation": features,
        }

    def take(self) -> ActionChunk:
        """The answer, once."""
        answer, self.kept = self.kept, None
        assert isinstance(answer, ActionChunk)
        self.step += 1
        return answer


def _height_first(shape: Sequence[int], picture: bool) -> tuple[int, ...]:
    """LeRobot's pictures are said channels first."""
    sizes = tuple(int(n) for n in shape)
    return (*sizes[1:], sizes[0]) if picture else sizes


def _say(feature: Feature) -> str:
    return (
        f"pictures of {feature.shape[0]} x {feature.shape[1]}" if feature.picture else f"numbers {list(feature.shape)}"
    )


def _near(name: str, names: Iterable[str]) -> str:
    options = list(names)
    likely = near_names(name, options)
    return f" (near: {', '.join(likely)})" if likely else f" (it has {', '.join(options)})"


def _likely(key: str, feature: Feature, world: Spec) -> str:
    """The field that may be meant: of that name, or the only one of that kind and shape; else empty."""
    fits = [f.name for f in world if f.is_image == feature.picture and (feature.picture or f.shape == feature.shape)]
    if key in fits:
        return key
    return fits[0] if len(fits) == 1 else ""
