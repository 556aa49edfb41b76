"""Takes a robot to an arena: its evaluator's page, and everything between two clicks on it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import UnknownName
from roboscale.core.declared import Text
from roboscale.jobs.arena_join import ArenaUrl
from roboscale.jobs.arena_offer import ArenaToken, token_of
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.core import World
    from roboscale.web.show.server import Served

__all__ = ["EvaluateForArena", "EvaluatorPage", "evaluate_for_arena"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateForArena(Request):
    """Asks for the evaluator's page of a robot.

    Args:
        robot: `robot:FILE.toml`, `stand-in` for a table in simulated time, or any world with a camera.
        rubrics: TOML with a list of steps for each task, under `[steps]`.
        record: a dataset that every rollout goes into, too, with its score as the outcome.
    """

    words: ClassVar[tuple[str, ...]] = ("arena", "evaluate")

    arena: ArenaUrl
    robot: Annotated[str, Option("robot:FILE.toml, stand-in, or any world of `roboscale world list`.")]
    site: Annotated[str, Option("Where it stands, for the board.")]
    name: Annotated[str, Option("What the board calls the robot; by default its own name.")] = ""
    rubrics: Annotated[Path | None, Option("TOML: under [steps], a list of steps in order for a task.")] = None
    record: Annotated[Path | None, Option("Also keep every rollout as an episode of this dataset.")] = None
    token_variable: ArenaToken = "ROBOSCALE_ARENA"
    host: Annotated[str, Option("Address to listen on; others than loopback need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
    token: Annotated[str | None, Option("Secret in the page's address; made up where one is needed.")] = None


class EvaluatorPage:
    """An evaluator's page that is being served, until it is closed; then its robot is given back, too.

    Args:
        served: the page.
        closing: what belongs to it.
    """

    def __init__(self, served: Served, closing: ExitStack) -> None:
        self.url = served.url
        self._served, self._closing = served, closing

    def wait(self) -> None:
        """Returns when the page is closed, by whomever; Ctrl-C closes it, too."""
        self._served.wait()
        self.close()

    def close(self) -> None:
        """Ends the serving, seals what was recorded, and lets go of the robot."""
        self._closing.close()

    def __enter__(self) -> EvaluatorPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class _Rubrics:
    steps: dict[str, tuple[Text, ...]]


def evaluate_for_arena(request: EvaluateForArena, on_event: OnEvent = ignore) -> EvaluatorPage:
    """Registers a robot and serves its evaluator's page in a thread, on this machine.

    >>> import os
    >>> from roboscale import ServeArena, serve_arena
    >>> with serve_arena(ServeArena(store="arena", port=0)) as hosted:
    ...     code = hosted.arena.invite(None, "evaluator", "lab one")
    ...     os.environ["ROBOSCALE_ARENA"] = hosted.arena.join(code, "ada")[1]
    ...     asked = EvaluateForArena(arena=hosted.page.url, robot="stand-in", site="lab one")
    ...     with evaluate_for_arena(asked) as page:
    ...         print(page.url)
    http://127.0.0.1:...

    Raises:
        UnknownName, BadData: no such robot, its file is broken, or rubrics are of a task that it has not.
        RoboscaleError: no token, or one that is no evaluator's; a robot without a camera; `record` is another dataset.
        InfrastructureError: the robot or the arena does not answer.
    """
    from roboscale.arena.client import ArenaClient
    from roboscale.core.declared import read_declared
    from roboscale.jobs.arena_episodes import ArenaEpisodes
    from roboscale.jobs.arena_evaluating import EvaluatorDesk
    from roboscale.jobs.arena_robot import ArenaRobot
    from roboscale.web.bench import serve_bench

    rubrics = {} if request.rubrics is None else read_declared(request.rubrics, _Rubrics).steps
    client = ArenaClient(request.arena, token_of(request.token_variable))
    with ExitStack() as stack:
        world, pace = _robot(request.robot)
        stack.callback(world.close)
        for task in rubrics:
            if task not in world.info.tasks:
                raise UnknownName(f"{request.rubrics}: task", task, list(world.info.tasks))
        episodes = None
        if request.record is not None:
            episodes = ArenaEpisodes(request.record, world.info, request.site)
            stack.callback(episodes.close)
        more = {"site": request.site, "name": request.name, "pace": pace}
        robot = ArenaRobot(client, world, rubrics=rubrics, episodes=episodes, **more)
        on_event(Note(f"{robot.name} at {robot.site} is asked for observations, by which policies are checked"))
        robot.register()
        for reason in world.info.identity.unverified:
            on_event(Note(f"what the robot is, is not verified: {reason}"))
        desk = EvaluatorDesk(robot, secrets.randbits(31))
        page = serve_bench(desk, host=request.host, port=request.port, token=request.token, shown="arena")
        stack.callback(page.close)
        return EvaluatorPage(page, stack.pop_all())


def _robot(text: str) -> tuple[World, str]:
    """The world, and its pace where it is not its own word."""
    if text == "stand-in":
        from roboscale.jobs.arena_rehearsal import stand_in_worlds

        ((_, world),) = stand_in_worlds(("stand-in",))
        return world, "simulated"
    from roboscale.jobs.opening import open_any_world

    return open_any_world(text), ""
