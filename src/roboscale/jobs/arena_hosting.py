"""An arena that is being hosted: its log opened, its folder of films beside it, and everything that serves it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core.extras import require_packages
from roboscale.jobs.stores import folder_of

if TYPE_CHECKING:
    from roboscale.arena.arena import Arena, ArenaRules
    from roboscale.jobs.arena_desk import ArenaServer
    from roboscale.web.show.server import Served

__all__ = ["HostedArena", "media_folder"]


def media_folder(store: str, media: Path | None) -> Path:
    """Where pictures and films are kept: beside the store, unless it is said."""
    return media or (folder_of(store) or Path("arena")) / "media"


class HostedArena:
    """An arena and its server, until it is closed. A context manager.

    Args:
        store: as for `open_log`; made where there is none.
        media: folder of pictures and films; beside the store by default.
        answer_s: most seconds that a policy may take for an answer.
        pace_s: answers are handed on no sooner than this, so that policies look alike in time up to there.
        rate_hz: requests a second that an account may make.
    """

    def __init__(
        self,
        store: str,
        media: Path | None = None,
        rules: ArenaRules | None = None,
        *,
        answer_s: float = 10.0,
        pace_s: float = 0.0,
        rate_hz: float = 200.0,
    ) -> None:
        require_packages("an arena", "starlette", "uvicorn", "av", "PIL")
        from roboscale.arena.arena import Arena
        from roboscale.arena.media import MediaStore
        from roboscale.arena.relay import Relay
        from roboscale.jobs.arena_desk import ArenaServer
        from roboscale.trials.log import open_log

        with ExitStack() as stack:
            log = stack.enter_context(open_log(store))
            self.arena: Arena = Arena(log, rules)
            kept = MediaStore(media_folder(store, media))
            self._relay = Relay(answer_s, pace_s)
            self.server: ArenaServer = ArenaServer(self.arena, kept, self._relay, rate_hz=rate_hz)
            self._stack = stack.pop_all()
        self.page: Served | None = None

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        names: Sequence[str] = (),
        open_board: bool = False,
    ) -> Served:
        """Serves it in a thread. SpecMismatch, InfrastructureError as `web.arena.serve_arena_app`."""
        from roboscale.web.arena import serve_arena_app

        page = serve_arena_app(self.server, host=host, port=port, token=token, names=names, open_board=open_board)
        self._stack.callback(page.close)
        self._stack.callback(self._relay.close)
        # Whoever opens a large board first does not wait for all of it.
        threading.Thread(target=self.server.make_board, daemon=True).start()
        self.page = page
        return page

    def close(self) -> None:
        """Ends the serving and closes the log."""
        self._stack.close()

    def __enter__(self) -> HostedArena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
