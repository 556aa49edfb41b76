"""What every command asks that tries policies in a world: `eval` and `compare` share these fields."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from roboscale.core import (
    Policy,
    RoboscaleError,
    SuccessRule,
    UnknownName,
    World,
    WorldInfo,
)
from roboscale.jobs.options import Device, Seed, StartTimeout, Workers
from roboscale.jobs.request import Option, Request

__all__ = [
    "API_KEY_VARIABLE",
    "AnyPolicy",
    "AnyWorld",
    "Trying",
    "expand_tasks",
    "from_keywords",
    "kept_or_not",
    "parse_rule",
    "parse_seeds",
    "parse_shard",
    "to_fields",
    "world_and_tasks",
]

AnyPolicy = Policy | Callable[..., Any] | str
"""A text as for `--policy`, a `Policy`, a function of (observation, instruction) or of the observation alone, an
object with `reset()`, or a model with `predict`."""

AnyWorld = World | type | str
"""A text as for `--world`, a `World` or `Robot`, or a class that makes one."""

API_KEY_VARIABLE = "ROBOSCALE_API_KEY"
"""Environment variable with the token of a policy server; a token on the command line is seen by all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying(Request):
    """What every command asks that tries policies.

    Args:
        tasks: names separated by commas, or `all`.
        seeds: a simulator's own seeds, `FROM:TO` or separated by commas; by default seeds that nothing trained on.
        cases: a file of cases, see `roboscale cases make`.
        rule: when success counts: `first`, `end` or `hold K`; by default what the world declares.
        store: folder, file or database of the trials; the same one resumes.
    """

    words: ClassVar[tuple[str, ...]] = ("try",)

    world: Annotated[
        str, Option("A world of `roboscale world list`, a TOML declaration, or a class as file.py:Name.")
    ] = "metaworld"
    tasks: Annotated[str, Option("Task names separated by commas, or `all`.")] = "all"
    seed: Seed = 0
    seeds: Annotated[str, Option("The simulator's own seeds: 1000:1050, or separated by commas.")] = ""
    cases: Annotated[Path | None, Option("File of cases, made by `roboscale cases make`.")] = None
    rule: Annotated[str, Option("When success counts: first, end or 'hold K'. Default: the world's.")] = ""
    horizon: Annotated[int | None, Option("Control steps of an episode. Default: the world's.", min=1)] = None
    execute: Annotated[int | None, Option("Rows executed of every chunk. Default: the policy's.", min=1)] = None
    latency: Annotated[bool, Option("Charge thinking time: the world holds still while a policy computes.")] = False
    asynchronous: Annotated[
        int | None, Option("Ask for the next chunk while so many rows of the last are left.", min=0)
    ] = None
    delay: Annotated[
        int | None, Option("With --asynchronous, in simulated time: steps that an answer takes.", min=0)
    ] = None
    render: Annotated[bool, Option("Render all cameras at every decision, whoever looks.")] = False
    record: Annotated[Path | None, Option("Also keep every trial as an episode of this dataset.")] = None
    policy_profile: Annotated[
        tuple[str, ...], Option("TOML file that maps a server's keys and actions; POLICY=FILE for one of several.")
    ] = ()
    retries: Annotated[int, Option("Further attempts for a trial that was void.", min=0)] = 1
    shard: Annotated[str, Option("i/n: only every n-th case, from the i-th (counted from 0).")] = "0/1"
    again: Annotated[bool, Option("Try all cases anew, in the next round, instead of what is there.")] = False
    device: Device = "auto"
    workers: Workers = None
    worlds: Annotated[int, Option("Scenes side by side in each process, asked together.", min=1)] = 1
    world_timeout: Annotated[float, Option("Seconds that a world may take for one step.", min=0.1)] = 300.0
    start_timeout: StartTimeout = 300.0
    reply_timeout: Annotated[float, Option("Seconds that a policy server may take to answer.", min=0.01)] = 10.0
    warmup_timeout: Annotated[float, Option("The same for its first answer.", min=0.01)] = 120.0
    store: Annotated[
        str | None,
        Option("Folder, FILE.db or postgresql://... of the trials; the same one resumes.", flag="--store/--out/-o"),
    ] = None

    def check(self) -> None:
        """RoboscaleError for a shard, rule or list of seeds that is none."""
        parse_shard(self.shard)
        parse_rule(self.rule)
        parse_seeds(self.seeds)
        if self.delay is not None and self.asynchronous is None:
            raise RoboscaleError("--delay says how late an answer comes; --asynchronous says when it is asked for")
        if self.seeds and self.cases is not None:
            raise RoboscaleError("--seeds and --cases both say which cases to try: give one")


T = TypeVar("T", bound=Trying)
_ALSO = {"task": "tasks", "out": "store"}  # names that calls from Python may use


def from_keywords(kind: type[T], fixed: dict[str, Any], world: AnyWorld | None, asked: dict[str, Any]) -> T:
    """The request that a call from Python stands for. UnknownName for a keyword that it does not have."""
    valid = [f.name for f in fields(kind)]
    named = {_ALSO.get(name, name): value for name, value in asked.items()}
    for name in named:
        if name not in valid:
            raise UnknownName(f"field of {kind.__name__}", name, [*valid, *_ALSO])
    if isinstance(named.get("store"), Path):
        named["store"] = str(named["store"])
    if world is not None:
        named["world"] = world if isinstance(world, str) else "(object)"
    return kind(**fixed, **named)


@contextmanager
def kept_or_not(request: T, *, asked: bool) -> Iterator[T]:
    """The request itself; a call from Python that names no store keeps its trials only as long as it runs."""
    if asked or request.store is not None:
        yield request
        return
    with tempfile.TemporaryDirectory() as folder:
        yield replace(request, store=folder)


def to_fields(request: Trying) -> dict[str, Any]:
    """A request in JSON types, as a run keeps it; `from_fields` of the same kind makes it again."""
    plain = {f.name: getattr(request, f.name) for f in fields(request)}
    values = {
        name: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v for name, v in plain.items()
    }
    return {"command": " ".join(request.words), "fields": values}


def parse_shard(text: str) -> tuple[int, int]:
    """`i/n` as two numbers; RoboscaleError otherwise."""
    left, _, right = text.partition("/")
    if not (left.isdigit() and right.isdigit() and int(left) < int(right)):
        raise RoboscaleError(f"--shard: expected i/n with i below n, such as 0/4, found {text!r}")
    return int(left), int(right)


def parse_rule(text: str) -> SuccessRule | None:
    """`first`, `end` or `hold K`; `None` for the empty text, UnknownName otherwise."""
    return SuccessRule.parse(text) if text.strip() else None


def parse_seeds(text: str) -> tuple[int, ...]:
    """`1000:1050` (without the last) or `3,1,4`; empty for the empty text, RoboscaleError otherwise."""
    if not text:
        return ()
    first, colon, last = text.partition(":")
    try:
        seeds = tuple(range(int(first), int(last))) if colon else tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise RoboscaleError(f"--seeds: expected different numbers as 1000:1050 or 3,1,4, found {text!r}")
    return seeds


def expand_tasks(info: WorldInfo, text: str) -> tuple[str, ...]:
    """`all`, or names separated by commas, each once; UnknownName for one that the world lacks."""
    if text == "all":
        return tuple(info.tasks)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        info.instruction(name)
    if not names:
        raise RoboscaleError(f"--tasks is empty; world {info.name} has {', '.join(info.tasks)}")
    return names


def world_and_tasks(text: str, tasks: str) -> tuple[WorldInfo, tuple[str, ...]]:
    """What is known of a world without starting it, and the named tasks."""
    from roboscale.jobs.opening import open_any_world

    opened = open_any_world(text)
    try:
        return opened.info, expand_tasks(opened.info, tasks)
    finally:
        opened.close()
