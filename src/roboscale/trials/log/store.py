"""The log on SQL: one class for SQLite and PostgreSQL. Every method is one short transaction or a few questions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Engine, delete, exc, func, select, update

from roboscale.core import (
    BadData,
    Case,
    Identity,
    InfrastructureError,
    Judgement,
    RoboscaleError,
    RolloutSettings,
    Trial,
    derive_id,
)
from roboscale.trials.log import legacy, sql
from roboscale.trials.log.address import LogAddress
from roboscale.trials.log.engines import SqliteFile, memory_engine, postgres_engine, sqlite_engine
from roboscale.trials.log.migrate import check, create, prepare
from roboscale.trials.log.open import open_log
from roboscale.trials.log.protocol import IdentityKind, Lease, LogEntry, MergeCounts, Run, TrialKey, TrialLog
from roboscale.trials.log.reading import (
    all_entries,
    all_identities,
    all_leases,
    all_notes,
    all_runs,
    judgements_of,
    light_trials,
    matching,
    pieces,
    trial_ids,
    trials_by_id,
)
from roboscale.trials.log.rows import identity_id, title, words
from roboscale.trials.log.writing import (
    insert_entries,
    insert_identities,
    insert_judgements,
    insert_notes,
    insert_runs,
    insert_trials,
    newest_entry,
    require_trial,
)

__all__ = ["SqlLog"]

_PIECE = 100
"""Trials read at a time with everything; ten times as many light ones."""


class SqlLog:
    """A `TrialLog` at an address; see `open_log`."""

    def __init__(self, address: LogAddress, *, read_only: bool) -> None:
        self._where, self._read_only, self._closed = address.shown, read_only, False
        self._secrets: tuple[str, ...] = ()
        self._has_notes = self._has_entries = True  # a log of an earlier version that is only read has no place
        self._known: set[str] = set()  # rows of identities that are committed: a save skips them
        with ExitStack() as resources, self._translated():
            self._engine = self._opened(address, resources)
            self._resources = resources.pop_all()

    def _opened(self, address: LogAddress, resources: ExitStack) -> Engine:
        if address.path is None:
            engine = postgres_engine(address, read_only=self._read_only)
            self._secrets = _secrets(engine)
        else:
            if not self._read_only:
                _make_folder(address.path)
            file = SqliteFile(address.path, read_only=self._read_only)
            resources.callback(file.close)
            engine = sqlite_engine(file)
        resources.callback(engine.dispose)
        if not self._read_only:
            prepare(engine, self._where)
            return engine
        with engine.connect() as connection:
            version = check(connection, self._where)
            self._has_notes, self._has_entries = version >= 3, version >= 4
            if version > 1:
                return engine
            converted = memory_engine()
            resources.callback(converted.dispose)
            with converted.connect() as target:
                create(target)
                legacy.convert_log(connection, target, self._where)
        return converted

    @property
    def where(self) -> str:
        return self._where

    @property
    def read_only(self) -> bool:
        return self._read_only

    def save(self, trial: Trial, judgements: Sequence[Judgement] = ()) -> bool:
        for judgement in judgements:
            if judgement.trial != trial.id:
                raise BadData(self._where, title(trial), f"judgements of trial {trial.id}", judgement.trial)
        new = self._unknown((trial,))
        try:
            with self._writing(title(trial)) as connection:
                for kind, identity in new.values():
                    insert_identities(connection, kind, (identity,))
                added = insert_trials(connection, (trial,), self._where) == 1
                insert_judgements(connection, judgements, self._where)
                connection.execute(sql.LEASE_ENDS, {"its_trial": trial.id})
        except InfrastructureError as error:
            raise InfrastructureError(f"{error}; {self._saved()}") from error
        self._known |= new.keys()
        return added

    def _unknown(self, trials: Iterable[Trial]) -> dict[str, tuple[IdentityKind, Identity]]:
        """Rows of the policies and worlds of these trials that nobody here has committed yet; policies first, always
        in one order, so that no two writers wait in a circle."""
        kinds: tuple[IdentityKind, IdentityKind] = ("policy", "world")
        pairs = [(kind, who) for trial in trials for kind, who in zip(kinds, (trial.policy, trial.world), strict=True)]
        new = {identity_id(kind, identity): (kind, identity) for kind, identity in dict.fromkeys(pairs)}
        return {id_: new[id_] for id_ in sorted(new.keys() - self._known, key=lambda id_: (new[id_][0], id_))}

    def _saved(self) -> str:
        try:
            return f"the {self.count()} trials before are saved"
        except RoboscaleError:
            return "the trials before are saved"

    def judge(self, judgement: Judgement) -> None:
        with self._writing(f"judgement of trial {judgement.trial[:8]}") as connection:
            require_trial(connection, judgement.trial, self._where)
            insert_judgements(connection, (judgement,), self._where)

    def trials(
        self,
        policy: Identity | str | None = None,
        world: Identity | str | None = None,
        case: Case | str | None = None,
        settings: RolloutSettings | str | None = None,
        round: int | None = None,
        *,
        light: bool = False,
    ) -> Iterator[Trial]:
        with self._reading() as connection:
            ids = trial_ids(connection, matching(policy, world, case, settings, round))
        for piece in pieces(ids, _PIECE * 10 if light else _PIECE):
            with self._reading() as connection:
                some = trials_by_id(connection, piece, self._where, light=light)
            yield from some

    def attempts(
        self,
        policies: Sequence[Identity],
        world: Identity,
        settings: RolloutSettings,
        round: int | None = None,
        *,
        cases: Sequence[str] | None = None,
    ) -> dict[tuple[str, str], list[Trial]]:
        conditions = matching(None, world, None, settings, round)
        asked = None if cases is None else list(dict.fromkeys(cases))
        done: dict[tuple[str, str], list[Trial]] = {}
        with self._reading() as connection:
            conditions.append(sql.among(connection, sql.trials.c.policy, [p.digest for p in policies]))
            for trial in light_trials(connection, conditions, asked, self._where):
                done.setdefault((trial.policy.digest, trial.case.id), []).append(trial)
        for group in done.values():
            group.sort(key=lambda t: (t.round, t.attempt))
        return dict(sorted(done.items()))

    def newest_round(
        self,
        policy: Identity | str | None = None,
        world: Identity | str | None = None,
        case: Case | str | None = None,
        settings: RolloutSettings | str | None = None,
    ) -> int | None:
        query = select(func.max(sql.trials.c.round)).where(*matching(policy, world, case, settings))
        with self._reading() as connection:
            newest: int | None = connection.execute(query).scalar_one()
        return newest

    def trial(self, id: str) -> Trial:
        if not re.fullmatch("[0-9a-f]{4,32}", id):
            raise BadData(self._where, "trial", "an id: 32 hex digits, or the first 4 or more of them", repr(id))
        column = sql.trials.c.id
        query = select(column).where(column >= id, column < id + "g").order_by(column).limit(10)
        with self._reading() as connection:
            ids = list(connection.execute(query).scalars())
            if len(ids) == 1:
                return trials_by_id(connection, ids, self._where)[0]
        raise BadData(self._where, f"trial {id}", "the beginning of one id", f"it in {', '.join(ids) or 'none'}")

    def judgements(
        self, trial_ids: Collection[str] | None = None, until_ns: int | None = None
    ) -> dict[str, tuple[Judgement, ...]]:
        with self._reading() as connection:
            return judgements_of(connection, trial_ids, until_ns)

    def identities(self) -> dict[IdentityKind, tuple[Identity, ...]]:
        with self._reading() as connection:
            return all_identities(connection, self._where)

    def count(self) -> int:
        with self._reading() as connection:
            return connection.execute(select(func.count()).select_from(sql.trials)).scalar_one()

    def begin_run(self, run: Run) -> None:
        with self._writing(f"run {run.id}") as connection:
            insert_identities(connection, "policy", run.policies)
            insert_identities(connection, "world", (run.world,))
            insert_runs(connection, (run,), self._where)

    def note(self, run: str, texts: Sequence[str], time_ns: int) -> None:
        with self._writing(f"notes on run {run}") as connection:
            insert_notes(connection, words(run), {words(text): time_ns + k for k, text in enumerate(texts)})

    def notes(self, run: str) -> dict[str, int]:
        if not self._has_notes:
            return {}
        with self._reading() as connection:
            return all_notes(connection, words(run))

    def finish_run(self, id: str, time_ns: int) -> None:
        self._end_run(id, finished_ns=func.coalesce(sql.runs.c.finished_ns, time_ns))

    def stop_run(self, id: str, time_ns: int) -> None:
        self._end_run(id, stopped_ns=time_ns)

    def _end_run(self, id: str, **times: ColumnElement[int] | int) -> None:
        with self._writing(f"run {id}") as connection:
            changed = connection.execute(update(sql.runs).where(sql.runs.c.id == words(id)).values(**times))
            if not changed.rowcount:
                raise BadData(self._where, "run", "the id of a run in this log", id)

    def runs(self) -> tuple[Run, ...]:
        with self._reading() as connection:
            return all_runs(connection, self._where)

    def append(
        self,
        entries: Sequence[LogEntry],
        *,
        after: int | None = None,
        trials: Sequence[Trial] = (),
        judgements: Sequence[Judgement] = (),
    ) -> int | None:
        new = self._unknown(trials)
        with self._writing("entries", alone=True) as connection:
            newest, known = newest_entry(connection, [entry.id for entry in entries])
            if after is not None and newest != after:
                return None
            for kind, identity in new.values():
                insert_identities(connection, kind, (identity,))
            insert_trials(connection, trials, self._where)
            here = {trial.id for trial in trials}
            for id_ in {judgement.trial for judgement in judgements} - here:
                require_trial(connection, id_, self._where)
            insert_judgements(connection, judgements, self._where)
            newest += insert_entries(connection, entries, self._where, newest, known=known > 0)
        self._known |= new.keys()
        return newest

    def entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        if not self._has_entries:
            return ()
        with self._reading() as connection:
            return tuple(all_entries(connection, self._where, after))

    def lease(self, key: TrialKey, worker: str, seconds: float) -> bool:
        id_ = derive_id("trial", *key)
        columns = dict(zip(("policy", "world", "case_id", "settings", "round", "attempt"), key, strict=True))
        with self._writing("leases") as connection:
            if not sql.claim(connection, id_, worker, int(seconds * 1e9), **columns):
                return False
            # Only now: on PostgreSQL a trial may have been saved while the statement above waited for its lease.
            if connection.execute(sql.TRIAL_IS_SAVED, {"its_trial": id_}).first() is None:
                return True
            connection.execute(sql.LEASE_ENDS, {"its_trial": id_})
            return False

    def heartbeat(self, worker: str, seconds: float) -> tuple[TrialKey, ...]:
        with self._writing("leases") as connection:
            expires = sql.clock_ns(connection) + int(seconds * 1e9)
            mine = update(sql.leases).where(sql.leases.c.worker == worker)
            connection.execute(mine.values(expires_ns=expires))
            return tuple(lease.key for lease in all_leases(connection, worker))

    def release(self, key: TrialKey, worker: str) -> None:
        leases = sql.leases.c
        with self._writing("leases") as connection:
            mine = (leases.trial == derive_id("trial", *key), leases.worker == worker)
            connection.execute(delete(sql.leases).where(*mine))

    def leases(self) -> tuple[Lease, ...]:
        with self._reading() as connection:
            return all_leases(connection)

    def expired(self) -> tuple[Lease, ...]:
        return tuple(lease for lease in self.leases() if lease.left_s <= 0)

    def merge(self, others: Sequence[str]) -> MergeCounts:
        with ExitStack() as stack:
            logs = [stack.enter_context(open_log(other, read_only=True)) for other in others]
            with self._writing("merge", alone=True) as connection:
                return _merge(connection, logs, self._where)

    def close(self) -> None:
        self._closed = True
        self._resources.close()

    def __enter__(self) -> SqlLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._closed:
            raise RoboscaleError(f"{self._where}: this log is closed")
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, what: str, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction that is committed unless something is raised."""
        if self._closed or self._read_only:
            state = "closed" if self._closed else "open for reading only"
            raise RoboscaleError(f"{self._where}: {what} cannot be written: this log is {state}")
        with self._translated(what), self._engine.connect() as connection:
            (sql.begin_alone if alone else sql.begin)(connection)
            yield connection
            connection.commit()

    @contextmanager
    def _translated(self, what: str = "") -> Iterator[None]:
        """Errors of the database as ours, in one line, without a password."""
        at = f"{self._where}: {what}" if what else self._where
        try:
            yield
        except exc.DBAPIError as error:
            text = " ".join(str(error.orig).split())
            for secret in self._secrets:
                text = text.replace(secret, "***")
            if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError):
                raise InfrastructureError(f"{at}: {text}") from error
            if isinstance(error, exc.DataError | exc.IntegrityError):
                raise BadData(at, "values", "what its tables can hold", text) from error
            if isinstance(error, exc.ProgrammingError):
                raise RoboscaleError(f"{at}: {text}") from error
            raise BadData(at, "file", "a SQLite file of trials", text) from error
        except OverflowError as error:
            raise BadData(at, "values", "integers of 64 bits", error) from error


def _secrets(engine: Engine) -> tuple[str, ...]:
    """What no message may hold, in either spelling."""
    secrets = (engine.url.password, engine.url.query.get("password"))
    plain = [s for s in secrets if isinstance(s, str) and s]
    return (*plain, *(quote(s, safe="") for s in plain))


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadData(path, "folder", "one that can be made and written", error) from error


def _merge(connection: Connection, logs: Sequence[TrialLog], where: str) -> MergeCounts:
    """Adds what the logs hold, in the order in which rows refer to each other."""
    trials = judgements = runs = identities = seen = entries = 0
    for log in logs:
        at = f"{where}, from {log.where}"
        for kind, some in log.identities().items():
            identities += insert_identities(connection, kind, some)
        asked = log.runs()
        runs += insert_runs(connection, asked, at)
        for run in asked:
            insert_notes(connection, run.id, log.notes(run.id))
        stream = log.trials()
        while batch := tuple(islice(stream, _PIECE)):
            seen += len(batch)
            trials += insert_trials(connection, batch, at)
            said = log.judgements([t.id for t in batch]).values()
            judgements += insert_judgements(connection, [j for some in said for j in some], at)
        entries += insert_entries(connection, log.entries(), at, newest_entry(connection)[0])
    return MergeCounts(
        trials=trials, judgements=judgements, runs=runs, identities=identities, known=seen - trials, entries=entries
    )
