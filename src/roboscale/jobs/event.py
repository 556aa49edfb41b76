"""A hackathon or a course in one command: data at the gate, policies on the same hidden conditions, one board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import RoboscaleError, UnknownName
from roboscale.core.plain import Plain, to_plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.rank import Ranked

__all__ = ["EventPrize", "EventStanding", "HeldEvent", "HoldEvent", "hold_event"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEvent(Request):
    """Asks for an event, or to go on with one that was interrupted.

    Args:
        file: see `roboscale.jobs.event_file`; it does not change while the event runs.
        without: teams that are left out, e.g. one whose policy's server stays away; the board says so.
        out: folder of everything; the same one goes on. Beside it comes the archive, OUT.zip.
    """

    words: ClassVar[tuple[str, ...]] = ("event",)

    file: Annotated[Path, Argument("TOML: teams with dataset and policy, worlds with tasks, prizes.")]
    out: Annotated[
        Path | None,
        Option("Folder of everything; the same one goes on. Default: FILE without its ending.", flag="--out/-o"),
    ] = None
    without: Annotated[tuple[str, ...], Option("Leave this team out, and say so; may repeat.")] = ()
    workers: Workers = None

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.out or self.file.with_suffix("")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStanding(Plain):
    """How a team came through.

    Args:
        gates: of its dataset that block; empty where it may be given away.
        policy: digest of what was tried; empty where nothing was.
        out: why it is not ranked; empty where it is.
    """

    team: str
    gates: tuple[str, ...] = ()
    policy: str = ""
    unverified: tuple[str, ...] = ()
    out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPrize(Plain):
    """Who gets a prize.

    Args:
        team: empty where the evidence does not separate one team at this place.
        among: who may hold the place.
    """

    prize: str
    place: int
    team: str
    among: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For the board."""
        if self.team:
            return f"{self.prize}: {self.team}, shown to be at place {self.place}"
        return f"{self.prize}: not awarded by these trials; place {self.place} is open among {', '.join(self.among)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvent:
    """An event that is over.

    Args:
        by: what the board ranks by.
        seal: digest of the hidden conditions, told before the first trial.
        seed, nonce: what the seal is of.
    """

    title: str
    by: str
    teams: tuple[EventStanding, ...]
    prizes: tuple[EventPrize, ...]
    ranked: Ranked
    seal: str
    seed: int
    nonce: str
    page: Path
    archive: Path

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        return [
            *self.ranked.text.splitlines(),
            *(prize.sentence for prize in self.prizes),
            *(f"not ranked: {one.team}: {one.out}" for one in self.teams if one.out),
            f"everything is in {self.archive}; count it again, unpacked: roboscale rank results.csv --by {self.by}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Teams, prizes, conditions and the board."""
        return {
            "title": self.title,
            "by": self.by,
            "teams": [to_plain(one) for one in self.teams],
            "prizes": [to_plain(one) for one in self.prizes],
            "conditions": {"seal": self.seal, "seed": self.seed, "nonce": self.nonce},
            **self.ranked.to_json(),
        }


def hold_event(request: HoldEvent, on_event: OnEvent = ignore) -> HeldEvent:
    """Looks at every team's data, tries their policies on the same hidden conditions, and writes board and archive.

    >>> done = hold_event(HoldEvent(file=Path("event.toml"), workers=0))
    >>> done.prizes[0].sentence
    'a book: not awarded by these trials; place 1 is open among ash, birch'

    Raises:
        BadData, UnknownName: the file is not understood, or names a world or task that is not there.
        RoboscaleError: what teams brought cannot be opened, fewer than two could be ranked, the event is over
            already, or its file was changed.
        InfrastructureError: another process works on it, or a policy's server is away; the same request goes on.
    """
    from roboscale.core.declared import read_declared
    from roboscale.core.extras import require_packages
    from roboscale.jobs.campaign_journal import only_one
    from roboscale.jobs.event_file import EventFile
    from roboscale.jobs.event_holding import Holding, require_worlds

    require_packages("a page", "matplotlib")
    declared = read_declared(request.file, EventFile)
    for name in request.without:
        if name not in (names := [team.name for team in declared.teams]):
            raise UnknownName("team", name, names)
    require_worlds(declared, request.file.parent)
    with only_one(request.folder):
        holding = Holding(declared, request, on_event)
        holding.require_all(request)
        on_event(Note(f"the conditions are drawn and sealed: sha256 {holding.seal}"))
        teams: list[EventStanding] = []
        for team in declared.teams:
            holding.show(teams, f"the data of {team.name} are at the gate")
            teams.append(holding.admit(team, left_out=team.name in request.without))
        _require_two(request.file, teams, on_event)  # before the first trial: until then the file may be changed
        admitted = [one.team for one in teams if not one.out]
        for k, one in enumerate(teams):
            if not one.out:
                holding.show(teams, f"the policy of {one.team} is tried")
                teams[k] = holding.tried(one)
        for world in declared.worlds:
            if world.at_robot:
                holding.show(teams, f"every policy is tried at {world.world}, in an order that nobody is told")
                teams = holding.tried_at(world, teams)
        _require_two(request.file, [one for one in teams if one.team in admitted], on_event)
        done = holding.finish(teams)
    on_event(Wrote("page", done.page))
    on_event(Wrote("archive", done.archive))
    return done


def _require_two(file: Path, teams: Sequence[EventStanding], on_event: OnEvent) -> None:
    """Says who is out and why; RoboscaleError where fewer than two are left."""
    for one in teams:
        if one.out:
            on_event(Note(f"{one.team} is not ranked: {one.out}"))
    if sum(not one.out for one in teams) < 2:
        raise RoboscaleError(f"{file}: fewer than two teams can be ranked; the notes say why")
