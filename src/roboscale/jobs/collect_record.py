"""Records successful episodes of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.options import Seed, Workers
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.filling import Filled

__all__ = ["RecordEpisodes", "record_episodes"]


_METAWORLD = "pick-place-v3,push-v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEpisodes(Request):
    """Asks for successful episodes of a policy, with all cameras."""

    words: ClassVar[tuple[str, ...]] = ("collect", "record")

    out: Annotated[Path, Argument("The dataset (LeRobotDataset v3.0); one that exists is added to.")]
    policy: Annotated[str, Option("Who demonstrates, e.g. expert or noisy:expert:0.1.")] = "expert"
    world: Annotated[str, Option("A world of `roboscale world list`, or a TOML declaration.")] = "metaworld"
    tasks: Annotated[
        str, Option("Task names separated by commas, or `all`; of metaworld pick-place-v3,push-v3, else all.")
    ] = ""
    episodes: Annotated[int, Option("Successful episodes per task.", min=1)] = 10
    codec: Annotated[Literal["h264", "av1"], Option("h264 or av1.")] = "h264"
    seed: Seed = 0
    workers: Workers = None


def record_episodes(request: RecordEpisodes, on_event: OnEvent = ignore) -> Filled:
    """Tries cases until enough succeeded, and records the successes. The same request again adds what is missing.

    >>> from pathlib import Path
    >>> from roboscale import RecordEpisodes, record_episodes
    >>> done = record_episodes(RecordEpisodes(out=Path("set"), tasks="reach-v3", episodes=1))
    >>> done.collected["reach-v3"].successes
    1

    Raises:
        UnknownName: the world has no such task, or no expert.
        RoboscaleError: 40 attempts without one success.
    """
    from roboscale.jobs.filling import Filling, recorded
    from roboscale.jobs.trying import world_and_tasks

    usual = _METAWORLD if request.world == "metaworld" else "all"  # which has fifty of them
    _, tasks = world_and_tasks(request.world, request.tasks or usual)
    filling = Filling(
        world=request.world,
        tasks=tasks,
        per_task=request.episodes,
        out=request.out,
        seed=request.seed,
        codec=request.codec,
        workers=request.workers,
    )
    return recorded(filling, request.policy, on_event)
