"""Multiplies demonstrations: moves their segments to new scenes, replays in physics, keeps the successes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.options import Seed, Workers
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.filling import Filled

__all__ = ["GenerateEpisodes", "generate_episodes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateEpisodes(Request):
    """Asks for more episodes from a few."""

    words: ClassVar[tuple[str, ...]] = ("collect", "generate")

    sources: Annotated[Path, Argument("Dataset with 1 to 10 demonstrations per task.")]
    out: Annotated[Path, Argument("The dataset (LeRobotDataset v3.0); one that exists is added to.")]
    world: Annotated[str, Option("A world of `roboscale world list`, or a TOML declaration.")] = "metaworld"
    tasks: Annotated[str, Option("Task names separated by commas, or `all`.")] = "pick-place-v3,push-v3"
    episodes: Annotated[int, Option("Successful episodes per task.", min=1)] = 100
    codec: Annotated[Literal["h264", "av1"], Option("h264 or av1.")] = "h264"
    seed: Seed = 0
    workers: Workers = None


def generate_episodes(request: GenerateEpisodes, on_event: OnEvent = ignore) -> Filled:
    """Makes new successful episodes from demonstrations. The same request again adds what is missing.

    >>> from pathlib import Path
    >>> from roboscale import GenerateEpisodes, RecordEpisodes, generate_episodes, record_episodes
    >>> few = record_episodes(RecordEpisodes(out=Path("few"), tasks="reach-v3", episodes=1))
    >>> asked = GenerateEpisodes(sources=Path("few"), out=Path("grown"), tasks="reach-v3", episodes=1)
    >>> made = generate_episodes(asked)
    >>> made.collected["reach-v3"].successes
    1

    Raises:
        UnknownName: the world has no such task.
        RoboscaleError: no demonstration of a task, or 40 attempts without one success.
    """
    from roboscale.jobs.filling import Filling, generated
    from roboscale.jobs.trying import world_and_tasks

    _, tasks = world_and_tasks(request.world, request.tasks)
    filling = Filling(
        world=request.world,
        tasks=tasks,
        per_task=request.episodes,
        out=request.out,
        seed=request.seed,
        codec=request.codec,
        workers=request.workers,
    )
    return generated(filling, request.sources, on_event)
