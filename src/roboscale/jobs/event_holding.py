"""What an event does, step by step: seal, gate, trials, board, archive. Interrupted, it goes on."""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roboscale.core import Counted, InfrastructureError, RoboscaleError, UnknownName
from roboscale.jobs.event import EventPrize, EventStanding, HeldEvent, HoldEvent
from roboscale.jobs.event_file import EventFile, EventTeam, EventWorld
from roboscale.jobs.events import Note, OnEvent
from roboscale.jobs.files import write_json, write_text

__all__ = ["Holding", "prizes_of", "require_worlds"]

_OUT_OF = "its trials could not be counted"
_OVER = "event.json"  # is there when everything else is
_UNPACKED = ("lock", _OVER)


class Holding:
    """One event and its folder.

    Args:
        request: what was asked; teams' paths are beside its file.

    Raises:
        RoboscaleError: the event is over, or another declaration began in this folder.
    """

    def __init__(self, declared: EventFile, request: HoldEvent, on_event: OnEvent) -> None:
        self.declared, self.on_event = declared, on_event
        file, folder = request.file, request.folder
        self.file, self.folder, self.workers, self.command = file, folder, request.workers, request.command
        if (folder / _OVER).exists():
            raise RoboscaleError(
                f"{folder}: this event is over and its conditions are told; count it again with "
                f"`roboscale rank {folder / 'results.csv'} --by {declared.by}`, or hold another with another --out"
            )
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        kept = folder / "conditions.json"
        if kept.exists():
            told = json.loads(kept.read_text("utf-8"))
            if told["file"] != digest and (folder / "trials").exists():
                raise RoboscaleError(f"{file} was changed since its first trial: another event takes another --out")
        else:
            told = {"seed": secrets.randbits(31), "nonce": secrets.token_hex(16)}
        write_json(kept, {**told, "file": digest})
        self.seed, self.nonce = int(told["seed"]), str(told["nonce"])
        self.seal = hashlib.sha256(f"{self.seed}:{self.nonce}".encode()).hexdigest()
        self._rows: dict[str, list[tuple[EventWorld, Counted]]] = {}

    def admit(self, team: EventTeam, *, left_out: bool = False) -> EventStanding:
        """Its data at the gate, and where nothing blocks into the archive."""
        from roboscale.jobs.contributing import looked_at, prepared, send_contribution
        from roboscale.jobs.data_contribute import ContributeDataset

        if left_out:
            return EventStanding(team=team.name, out="left out by whoever held the event (--without)")
        asked = ContributeDataset(
            dataset=self.file.parent / team.dataset,
            to=str(self.folder / "datasets" / team.name),
            licence=team.licence or self.declared.licence,
            consent=team.consent,
            people=team.people,
            accept=(*self.declared.accept, *team.accept),
            upload=True,
            workers=self.workers,
        )
        try:
            state = looked_at(asked, self.on_event)
            done = prepared(asked, state)
            if not done.blocked:
                send_contribution(asked, state, done, self.on_event)
        except RoboscaleError as error:
            return EventStanding(team=team.name, out=f"its dataset: {error}")
        blocks = [gate for gate in done.gates if gate.state == "blocks"]
        blocking = tuple(": ".join((gate.name, gate.text, *gate.lines[:1])) for gate in blocks)
        why = f"its dataset does not pass the gate: {'; '.join(blocking)}" if blocking else ""
        return EventStanding(team=team.name, gates=blocking, out=why)

    def tried(self, one: EventStanding) -> EventStanding:
        """Its policy on every hidden condition of every simulated world; trials that are there are not made again."""
        from roboscale.jobs.eval import Evaluate, evaluate

        folder, rows = self.file.parent, []
        for world in self.declared.worlds:
            if world.at_robot:
                continue
            asked = Evaluate(
                policy=self._policy(one.team),
                world=self.declared.world_of(world, folder),
                tasks=",".join(world.tasks) or "all",
                trials=self.declared.trials,
                horizon=world.horizon,
                seed=self.seed,
                store=str(self.folder / "trials"),
                workers=self.workers,
            )
            try:
                done = evaluate(asked, self.on_event)
            except InfrastructureError as error:
                raise _away(one, error) from error
            except RoboscaleError as error:
                return replace(one, out=f"{_OUT_OF}: {error}")
            if done.value is None:
                return replace(one, out=f"{_OUT_OF}: {done}")
            rows += [(world, counted) for counted in done.judged.used]
        return self._with(one, rows)

    def _with(self, one: EventStanding, rows: Sequence[tuple[EventWorld, Counted]]) -> EventStanding:
        """The team with further trials."""
        if not rows:
            return one
        self._rows.setdefault(one.team, []).extend(rows)
        policy = rows[0][1].policy
        return replace(one, policy=one.policy or policy.digest, unverified=one.unverified or policy.unverified)

    def _policy(self, name: str) -> str:
        team = next(team for team in self.declared.teams if team.name == name)
        return self.declared.policy_of(team, self.file.parent)

    def tried_at(self, world: EventWorld, teams: Sequence[EventStanding]) -> list[EventStanding]:
        """Every policy at a robot, case by case in an order that nobody is told, scored by whoever sits there."""
        from roboscale.jobs.bench import BenchPlan
        from roboscale.jobs.compare import Compare
        from roboscale.jobs.running import run_trials
        from roboscale.jobs.trying import world_and_tasks

        standing = [one if one.out else self._opens(one, world) for one in teams]
        still = [one for one in standing if not one.out]
        if len(still) < 2:
            return standing
        text = self.declared.world_of(world, self.file.parent)
        tasks = world_and_tasks(text, ",".join(world.tasks) or "all")[1]
        asked = Compare(
            policies=tuple(self._policy(one.team) for one in still),
            world=text,
            tasks=",".join(tasks),
            budget=self.declared.trials * len(tasks),
            sequential=False,
            horizon=world.horizon,
            seed=self.seed,
            store=str(self.folder / "trials"),
        )
        order = int.from_bytes(hashlib.sha256(f"{self.nonce}:{world.world}".encode()).digest()[:7])
        plan = BenchPlan(title=self.declared.title, stages=world.stages, order=order)
        try:
            judged = run_trials(
                asked, asked.policies, count=asked.budget, design=asked.design, on_event=self.on_event, bench=plan
            )
        except InfrastructureError as error:
            raise InfrastructureError(f"{error}; the same command goes on") from error
        except RoboscaleError as error:  # two teams with one policy, or nothing that counts
            raise RoboscaleError(f"at {world.world}: {error}; --without TEAM leaves a team out") from error
        for policy, one in zip(judged.run.policies, still, strict=True):
            rows = [(world, counted) for counted in judged.used if counted.policy == policy]
            standing[standing.index(one)] = self._with(one, rows)
        return standing

    def _opens(self, one: EventStanding, world: EventWorld) -> EventStanding:
        """The team, which is out where its policy cannot be opened: before anybody sits down at the robot."""
        try:
            self._open(one.team, world)
        except InfrastructureError as error:
            raise _away(one, error) from error
        except RoboscaleError as error:
            return replace(one, out=f"{_OUT_OF}: {error}")
        return one

    def _open(self, team: str, world: EventWorld) -> None:
        """Opens a team's policy for a world, and tries nothing. Raises what keeps it from being tried."""
        from roboscale.jobs.eval import Evaluate
        from roboscale.jobs.running import planned

        asked = Evaluate(
            policy=self._policy(team),
            world=self.declared.world_of(world, self.file.parent),
            tasks=",".join(world.tasks) or "all",
            store=str(self.folder / "trials"),
        )
        planned(asked, (asked.policy,), asked.trials)

    def require_all(self, request: HoldEvent) -> None:
        """Looks whether what every team brought is there, before the first trial; of all teams at once.

        Raises:
            RoboscaleError: names each team, what is wrong, and the command that leaves them out. InfrastructureError
                where it is a server that is away.
        """
        if (self.folder / "trials").exists():
            return
        teams = [team for team in self.declared.teams if team.name not in request.without]
        wrong = {team.name: error for team in teams if (error := self._wrong(team)) is not None}
        if not wrong:
            return
        said = "; ".join(f"{name}: {' '.join(str(error).split())}" for name, error in wrong.items())
        away = any(isinstance(error, InfrastructureError) for error in wrong.values())
        without = replace(request, without=(*request.without, *wrong))
        raise (InfrastructureError if away else RoboscaleError)(
            f"{self.file}: {said}; nothing was tried yet: once that is mended the same command goes on, and "
            f"`{without.command}` leaves out whom it cannot try"
        )

    def _wrong(self, team: EventTeam) -> RoboscaleError | None:
        """Why a team cannot take part as its part of the file stands; `None` where it can."""
        if not (self.file.parent / team.dataset).exists():
            return RoboscaleError(f"dataset: expected a LeRobotDataset, found nothing at {team.dataset}")
        for world in self.declared.worlds:
            try:
                self._open(team.name, world)
            except RoboscaleError as error:
                return error
        return None

    def finish(self, teams: Sequence[EventStanding]) -> HeldEvent:
        """Results, board and archive."""
        from roboscale.jobs.rank import Rank, rank
        from roboscale.report.board import board_page

        results = self.folder / "results.csv"
        ranked_teams = [one for one in teams if not one.out]
        policies = {one.team: one.policy for one in ranked_teams}
        data = {one.team: self._data_of(one.team) for one in ranked_teams}
        notes = [
            *self._write(results),
            *(
                f"{names} brought the same policy: its trials were made once and count for each"
                for names in _same(policies)
            ),
            *(f"{names} brought the same data" for names in _same(data)),
        ]
        for note in notes:
            self.on_event(Note(note))
        by, level = self.declared.by, self.declared.level
        ranked = rank(Rank(sources=(str(results),), by=by, level=level))
        prizes = prizes_of(self.declared.prizes, ranked.standing.ranking.rank_sets)
        page, archive = self.folder / "board.html", self.folder.with_name(self.folder.name + ".zip")
        done = HeldEvent(
            title=self.declared.title,
            by=by,
            teams=tuple(teams),
            prizes=prizes,
            ranked=ranked,
            seal=self.seal,
            seed=self.seed,
            nonce=self.nonce,
            page=page,
            archive=archive,
        )
        again = Rank(sources=(results.name,), by=by, level=level, html=Path("again.html"))
        board = replace(
            ranked.board,
            title=self.declared.title,
            unverified={one.team: one.unverified for one in ranked_teams if one.unverified},
            first=(*(prize.sentence for prize in prizes), *_said(teams)),
            statements=(*ranked.board.statements, *self.declared.sentences, self._conditions()),
            notes=tuple(notes),
            command=again.command,
        )
        write_text(page, board_page(board))
        self._pack(archive, done.to_json())
        return done

    def _pack(self, archive: Path, told: Mapping[str, Any]) -> None:
        """The archive, and then the file that says that the event is over: whatever comes between, it goes on."""
        partial = archive.with_name(archive.name + ".part")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(one for one in self.folder.rglob("*") if one.is_file()):
                name = str(file.relative_to(self.folder))
                if name not in _UNPACKED:
                    packed.write(file, name)
            packed.writestr(_OVER, json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        partial.replace(archive)
        write_json(self.folder / _OVER, told)

    def show(self, teams: Sequence[EventStanding], doing: str) -> None:
        """The page while the event runs: how far everybody is, and no number."""
        from roboscale.jobs.event_page import running_page

        admitted = {one.team: one for one in teams}
        rows = [(team.name, admitted.get(team.name), team.name in self._rows) for team in self.declared.teams]
        write_text(self.folder / "board.html", running_page(self.declared.title, self.seal, doing, rows, self.command))

    def _data_of(self, team: str) -> str:
        """The digests of the files in its `data`, as they are in the archive."""
        told = json.loads((self.folder / "datasets" / team / "meta/roboscale/contribution.json").read_text("utf-8"))
        return json.dumps({name: digest for name, digest in told["files"].items() if name.startswith("data/")})

    def _conditions(self) -> str:
        return (
            f"Conditions were drawn before the first trial and told after the last: seed {self.seed}, nonce "
            f"{self.nonce}; sha256 of `seed:nonce` is {self.seal}, which was told first"
        )

    def _write(self, file: Path) -> list[str]:
        """One row a trial, and what is not in it."""
        rows = [(team, world, c) for team, tried in self._rows.items() for world, c in tried]
        counted = [one for one in rows if one[2].outcome.status != "void"]
        came = [_progress(world, c) for _, world, c in counted]
        unknown = sum(value is None for value in came)
        if unknown and self.declared.by == "progress":
            raise RoboscaleError(
                f"{self.file}: by = progress, and of {unknown} of {len(came)} trials nobody knows how far they came: "
                f"give their tasks rubrics, or rank by success"
            )
        with file.open("w", encoding="utf-8", newline="") as out:
            table = csv.writer(out)
            table.writerow(["policy", "world", "task", "case", "success", *["progress"] * (not unknown)])
            for (team, world, c), value in zip(counted, came, strict=True):
                known = [] if unknown else [value]
                success = int(c.outcome.status == "success")
                table.writerow([team, world.world, c.case.task, c.case.start, success, *known])
        void = len(rows) - len(counted)
        return [
            *([f"{void} of {len(rows)} trials are void: nothing is said of them"] if void else []),
            *(
                [f"how far {unknown} of {len(came)} trials came is not known: results.csv has no progress"]
                if unknown
                else []
            ),
        ]


def _away(one: EventStanding, error: InfrastructureError) -> InfrastructureError:
    """What stops an event, and how it goes on."""
    return InfrastructureError(
        f"{one.team}: {error}; the same command goes on, --without {shlex.quote(one.team)} leaves it out"
    )


def _progress(world: EventWorld, counted: Counted) -> float | None:
    """How far a trial came; nowhere where its policy broke."""
    if counted.trial is not None and counted.trial.end == "policy error":
        return 0.0
    return world.progress(counted.case.task, counted.outcome)


def require_worlds(declared: EventFile, folder: Path) -> None:
    """UnknownName, BadData or SpecMismatch for a world, task or measure that is not there: no team's mistake."""
    from roboscale.jobs.trying import world_and_tasks

    for world in declared.worlds:
        info, tasks = world_and_tasks(declared.world_of(world, folder), ",".join(world.tasks) or "all")
        measured = [measure.name for measure in info.measures]
        for task, steps in world.rubrics.items():
            if task not in tasks:
                raise UnknownName(f"task with a rubric in {world.world}", task, tasks)
            for step in steps:
                if step.measure not in measured:
                    raise UnknownName(f"measure in the rubric of {task}", step.measure, measured)


def prizes_of(prizes: Sequence[str], ranks: Mapping[str, tuple[int, int]]) -> tuple[EventPrize, ...]:
    """Each prize for the one team whose only possible rank is its place.

    >>> prizes_of(["cup"], {"ash": (1, 2), "birch": (1, 2), "cedar": (3, 3)})[0].among
    ('ash', 'birch')
    """
    made = []
    for place, prize in enumerate(prizes, 1):
        among = tuple(sorted(team for team, (low, high) in ranks.items() if low <= place <= high))
        shown = [team for team in among if ranks[team] == (place, place)]
        made.append(EventPrize(prize=prize, place=place, team=shown[0] if len(shown) == 1 else "", among=among))
    return tuple(made)


def _said(teams: Sequence[EventStanding]) -> list[str]:
    return [f"{one.team} is not ranked: {one.out}" for one in teams if one.out]


def _same(brought: Mapping[str, str]) -> list[str]:
    """Names of teams that brought the same, joined."""
    teams: dict[str, list[str]] = {}
    for team, thing in brought.items():
        teams.setdefault(thing, []).append(team)
    return [" and ".join(names) for names in teams.values() if len(names) > 1]
