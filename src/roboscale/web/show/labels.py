"""What the page needs of a log of labels; who keeps it, and where, is not the page's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["NOTHING_SAID", "LabelLog", "SaidOfEpisode"]


class SaidOfEpisode(Protocol):
    """What counts of everything that was said of one episode; `None` where nothing was."""

    @property
    def decision(self) -> str | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def task(self) -> str | None: ...
    @property
    def time(self) -> str: ...
    @property
    def author(self) -> str: ...


class LabelLog(Protocol):
    """Is asked what was said and told what is; `roboscale.curate.log.CurationLog` is one."""

    @property
    def version(self) -> object:
        """Changes whenever the state does."""

    def state(self) -> Mapping[str, SaidOfEpisode]:
        """Episode id -> what counts of it. BadData when the log is broken."""

    def append(self, episode: str, action: Any, value: str = "", author: str = "") -> object:
        """Adds one line; RoboscaleError for an action or a value that it does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    decision: str | None = None
    outcome: str | None = None
    task: str | None = None
    time: str = ""
    author: str = ""


NOTHING_SAID: SaidOfEpisode = _Nothing()
