"""`as_policy`: the one door through which a user's things become policies.

Whatever their code raises is sorted into the policy's own mistakes and those of the machine (`core.faults`), and what
it returns is read here, so that a trial is counted the same way in this process, behind a server and in a guest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from roboscale.core import (
    ActionChunk,
    BadData,
    Identity,
    InfrastructureError,
    Observation,
    Pending,
    Policy,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    SpecMismatch,
    combine,
)
from roboscale.core.faults import faults_of, in_a_line
from roboscale.core.objects import identify
from roboscale.policies.callables.answers import read_answer
from roboscale.policies.callables.calling import CALLS, METHODS, Ask, DoesNotFit, Way, way_of
from roboscale.policies.callables.guarding import guard, is_policy, read_only
from roboscale.policies.callables.lives import RESETS, Life, life_of, life_of_class
from roboscale.policies.callables.memory import Memory, may_remember

__all__ = ["CallablePolicy", "as_policy", "name_of"]

Answer = ActionChunk | Literal[Pending.PENDING]

_OBSERVATIONS = {"observation", "observations", "obs", "o", "state", "x"}


def as_policy(thing: object, *, name: str = "", spec: Spec | None = None) -> Policy:
    """Makes a policy of whatever can act.

    Args:
        thing: a `Policy`, which may lack `identity` and `history`; a function of `(observation)` or
            `(observation, instruction)`; a class, which is made anew for every session; an object that can be called,
            or has `predict` as stable-baselines3's models have it, or `select_action`, or one of its methods; a
            function without arguments that makes one of these.
        name: what people call it; by default its own name.
        spec: the observation it is shown; `None` means whatever the world has, or what a `Policy` says itself.

    Returns:
        A policy with, beside the protocol, `sessions` (how many may run at once; `None` for any number) and `notes`.

    Raises:
        SpecMismatch: it cannot act, or takes what nobody gives.
        BadData: it is made by a call, which failed.
    """
    name = name or name_of(thing)
    if is_policy(thing):
        return guard(cast(Policy, thing), name, spec)
    if isinstance(thing, type):
        first = _make(thing, name)
        if is_policy(first):
            return guard(first, name, spec)
        way = way_of(first, name)
        content = _content_of_class(thing, first, name, way)
        memory = Memory(lambda: identify(thing, name).digest, suspected=may_remember(thing))
        return CallablePolicy(content, spec, way, life_of_class(thing, first, name), memory, reads=way.reads(thing))
    if _is_factory(thing):
        made = _make(cast(Callable[[], Any], thing), name)
        if not (callable(made) or is_policy(made) or any(hasattr(made, m) for m in METHODS)):
            found = f"a function of no argument, which made {type(made).__name__}"
            raise SpecMismatch(f"policy {name}: expected {CALLS}, found {found}")
        return as_policy(made, name=name, spec=spec)
    owner, method = getattr(thing, "__self__", None), str(getattr(thing, "__name__", ""))
    if owner is not None and not isinstance(owner, type) and getattr(owner, method, None) == thing:
        way, lives = way_of(owner, name, method), owner
    else:
        way, lives = way_of(thing, name), thing
    life = life_of(lives, name, stateless="state" in way.options)
    content = identify(thing, name, calls=_called(way))
    memory = Memory(lambda: identify(thing, name, calls=_called(way)).digest, suspected=may_remember(thing))
    return CallablePolicy(content, spec, way, life, memory, reads=way.reads(lives))


def name_of(thing: object) -> str:
    """What people call a thing: its qualified name without where it was defined; a lambda by its file and line."""
    own = getattr(thing, "name", None)
    if isinstance(own, str) and own and is_policy(thing):
        return own
    owner = getattr(thing, "__self__", None)
    if inspect.ismethod(thing) and not isinstance(owner, type):
        return f"{type(owner).__name__}.{thing.__name__}"
    name = str(getattr(thing, "__qualname__", "") or type(thing).__qualname__).split("<locals>.")[-1]
    code = getattr(thing, "__code__", None)
    if name == "<lambda>" and code is not None:
        return f"lambda at {Path(code.co_filename).name}:{code.co_firstlineno}"
    return name


class CallablePolicy:
    """A user's code that is asked once per observation.

    Args:
        reads: names of fields, beside which its code reads none; `None` where that is open.
    """

    def __init__(
        self,
        content: Identity,
        spec: Spec | None,
        way: Way,
        life: Life,
        memory: Memory,
        *,
        reads: frozenset[str] | None = None,
    ) -> None:
        self.name, self.reads = content.name, reads
        self.identity = content if spec is None else combine(content.name, content, spec.to_json())
        self.observation_spec = spec
        self.action_spec: Spec | None = None
        self.history = 1
        self._way, self._life, self._memory = way, life, memory
        self._current: _CallableSession | None = None

    @property
    def sessions(self) -> int | None:
        """How many may run at once; `None` for any number. It may change while it acts, see `Memory`."""
        return self._life.sessions or self._memory.sessions

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it, one line each; there may be more once it has acted."""
        kept = self._memory.notes if self._life.sessions is None else ()
        return (*self._way.notes, *self._life.notes, *kept)

    def start(self, instruction: str, seed: int) -> Session:
        """A session. What beginning it raises is raised by its first call, where it costs one trial."""
        session = _CallableSession(self, f"policy {self.name}", self._memory)
        self._current = session
        try:
            with faults_of(f"policy {self.name}"):
                session.ask = self._way.ask(self._life.begin(instruction, seed), instruction)
        except (PolicyError, InfrastructureError) as fault:
            session.fault = fault
        return session

    def may_go_on(self, session: _CallableSession) -> bool:
        """Whether the object has not been taken for another episode meanwhile."""
        return self._life.sessions is None or session is self._current


class _Shown(dict[str, Any]):
    """What a function is shown whose code tells what it reads; no plain dictionary, which it hands to nobody."""

    def __init__(self, seen: dict[str, Any], who: str, reads: frozenset[str]) -> None:
        super().__init__(seen)
        self._who, self._reads = who, reads

    def __missing__(self, key: object) -> Any:
        if key in self._reads:  # the world has none: the function's own mistake
            raise KeyError(key)
        raise DoesNotFit(f"{self._who} reads {key!r}, which its code did not tell: say all that it reads (observes)")


class _CallableSession:
    """One episode of a user's code."""

    def __init__(self, policy: CallablePolicy, who: str, memory: Memory) -> None:
        self._policy, self._who = policy, who
        self._memory, self._number = memory, memory.begin()
        self.ask: Ask | None = None
        self.fault: PolicyError | InfrastructureError | None = None

    def __call__(self, observation: Observation) -> Answer:
        if self.fault is not None or self.ask is None:
            raise self.fault or InfrastructureError(f"{self._who}: the session has not begun")
        if not self._policy.may_go_on(self):
            raise InfrastructureError(f"{self._who} runs one episode at a time, and another one was started")
        with faults_of(self._who, passing=(DoesNotFit,)):
            answer = self.ask(self._shown(observation))
        self._memory.called(self._number)
        return read_answer(answer, self._who)

    def _shown(self, observation: Observation) -> dict[str, Any]:
        reads, seen = self._policy.reads, read_only(observation)
        return seen if reads is None else _Shown(seen, self._who, reads)


def _is_factory(thing: object) -> bool:
    """Whether it is a function that is to be called without arguments, once, to make what acts."""
    if not inspect.isroutine(thing):
        return False
    try:
        parameters = list(inspect.signature(cast(Callable[..., Any], thing)).parameters.values())
    except (ValueError, TypeError):  # a builtin without signature
        return False
    if any(p.kind is p.VAR_POSITIONAL or p.default is p.empty for p in parameters):
        return False
    return not parameters or parameters[0].name not in _OBSERVATIONS


def _make(factory: Callable[[], Any], name: str) -> Any:
    try:
        return factory()
    except RoboscaleError:
        raise
    except (Exception, SystemExit) as error:
        raise BadData(name, "making it", "a policy", in_a_line(error)) from error


def _called(way: Way) -> tuple[str, ...]:
    """The methods of an object that run while it acts."""
    return (way.method or "__call__", *RESETS)


def _content_of_class(kind: type, first: object, name: str, way: Way) -> Identity:
    """A class by its code; where its making reads something, such as weights, by what the first one was made of."""
    by_code = identify(kind, name, calls=_called(way))
    if by_code.verified:
        return by_code
    by_object = identify(first, name, calls=_called(way))
    return combine(name, by_code.digest, by_object) if by_object.verified else by_code
