"""A page that steers an imagined scene by the keyboard, beside the simulator's truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import UnknownName
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.playing import SteeredScenes
    from roboscale.web.show import Served

__all__ = ["PlaySession", "PlayWorld", "play_world"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayWorld(Request):
    """Asks for the page of a learned world, whatever its gates say; the page says what they do.

    Args:
        truth: a world that can begin from the seeds that the recorded starts have.
        token: at least 16 letters, digits, `-` or `_`.
    """

    words: ClassVar[tuple[str, ...]] = ("world", "play")

    world: Annotated[str, Argument("Folder of a learned world, or learned:FOLDER?starts=DATASET.")]
    truth: Annotated[str, Option("A world that runs beside it under the same actions, as for `eval --world`.")] = ""
    task: Annotated[str, Option("One of its tasks; the first without.")] = ""
    host: Annotated[str, Option("Address to listen on; others need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
    token: Annotated[str | None, Option("Secret in the address; made up where one is needed.")] = None


class PlaySession:
    """The page while it is served. A context manager.

    Args:
        page: what serves. scenes: what it steers.
    """

    def __init__(self, page: Served, scenes: SteeredScenes) -> None:
        self.url, self.scenes = page.url, scenes
        self._page = page

    def wait(self) -> None:
        """Returns when the page is closed; Ctrl-C closes it."""
        self._page.wait()

    def close(self) -> None:
        """Ends the page, then the scenes."""
        self._page.close()
        self.scenes.close()

    def __enter__(self) -> PlaySession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def play_world(request: PlayWorld, on_event: OnEvent = ignore) -> PlaySession:
    """Serves the page in a thread.

    >>> from pathlib import Path
    >>> from roboscale import PlayWorld, TrainWorld, play_world, train_world
    >>> _ = train_world(TrainWorld(dataset=Path("pushes"), out=Path("twin"), steps=60, members=1))
    >>> with play_world(PlayWorld(world="twin")) as page:
    ...     print(page.url)
    http://127.0.0.1:...

    Raises:
        UnknownName: it is no learned world, or has no such task.
        BadData: a file is broken, or nothing was recorded to begin from.
        InfrastructureError: the address cannot be had.
    """
    from roboscale.jobs.learned import content_of, learned_folder, learned_parts, read_gates
    from roboscale.jobs.opening import open_any_world
    from roboscale.jobs.playing import SteeredScenes
    from roboscale.web.play import serve_play

    asked = learned_folder(request.world)
    if asked is None:
        raise UnknownName("learned world", request.world, ["a folder that `roboscale world train` wrote"])
    folder, options = asked
    world, _ = learned_parts(folder, options.get("starts", ""))
    task = request.task or next(iter(world.info.tasks))
    world.info.instruction(task)
    checked = read_gates(folder, content_of(world))
    doubt = "its gates have not been checked" if checked is None else checked.sentence
    doubt = f"a state twin drawn from above; {doubt}"
    on_event(Note(f"{request.world}: {doubt}"))
    truth = open_any_world(request.truth) if request.truth else None
    try:
        scenes = SteeredScenes(world, truth, task, doubt)
        return PlaySession(serve_play(scenes, host=request.host, port=request.port, token=request.token), scenes)
    except BaseException:
        if truth is not None:
            truth.close()
        raise
