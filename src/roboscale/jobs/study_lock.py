"""Locks a study: what is asked is fixed before the first trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Request

__all__ = ["LockStudy", "LockedStudy", "lock_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockStudy(Request):
    """Asks to lock a study."""

    words: ClassVar[tuple[str, ...]] = ("study", "lock")

    study: Annotated[Path, Argument("The study's file.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedStudy(Plain):
    """A study that is fixed.

    Args:
        digest: of its values.
        commitment: SHA-256 of the secret that the order is drawn from.
        unchecked: the robot's file, where it is not here, so that nobody compared its tasks with the study's.
        unopened: arms that nobody has opened yet: they are in no Python file that is here.
    """

    study: str
    digest: str
    commitment: str
    unchecked: str = ""
    unopened: tuple[str, ...] = ()

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        unseen = f"{self.unchecked} is not there: whether it has the study's tasks was not checked"
        closed = (
            f"not opened yet: {', '.join(self.unopened)}; roboscale compare {self.study} --dry-run opens every arm"
        )
        return [
            *([unseen] if self.unchecked else []),
            *([closed] if self.unopened else []),
            f"locked {self.study}, digest {self.digest[:16]}",
            f"the order of arms is drawn, commitment {self.commitment[:16]}",
            f"run it: roboscale compare {self.study}",
        ]


def lock_study(request: LockStudy) -> LockedStudy:
    """Files the study's digest beside it, and draws the seed of the order of arms, which nobody is shown.

    >>> from roboscale import InitStudy, LockStudy, init_study, lock_study
    >>> file = Path("locked.toml")
    >>> _ = init_study(InitStudy(study=file))
    >>> _ = file.write_text(file.read_text().replace('"TASK"', '"reach"'))
    >>> len(lock_study(LockStudy(study=file)).digest)
    64

    Raises:
        BadData: the study is broken; lists every mistake.
        UnknownName: a task that the robot beside it does not have, or an arm that its file does not have.
        RoboscaleError: it is locked already, has the task that nobody has filled in, or two arms are one policy.
    """
    from roboscale.core import RoboscaleError, UnknownName
    from roboscale.jobs.studies import check_arms
    from roboscale.jobs.study_init import UNFILLED
    from roboscale.trials.study import Study, StudyLock
    from roboscale.worlds.real.benches import declared_tasks

    study = Study.load(request.study)
    if study.tasks == (UNFILLED,):
        raise RoboscaleError(f"{request.study}: tasks: expected tasks of {study.robot}, found {UNFILLED}")
    robot = request.study.parent / study.robot
    known = declared_tasks(robot) if robot.is_file() else ()
    for task in study.tasks if known else ():
        if task not in known and study.tasks != ("all",):
            raise UnknownName(f"task of {robot} in {request.study}", task, known)
    unopened = check_arms(study, request.study.parent)
    lock = StudyLock.make(request.study)
    return LockedStudy(
        study=str(request.study),
        digest=lock.digest,
        commitment=lock.commitment,
        unchecked="" if known else str(robot),
        unopened=unopened,
    )
