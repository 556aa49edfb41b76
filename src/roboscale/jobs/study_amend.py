"""Takes a change of a locked study on record."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["AmendStudy", "AmendedStudy", "amend_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendStudy(Request):
    """Asks to file an amendment."""

    words: ClassVar[tuple[str, ...]] = ("study", "amend")

    study: Annotated[Path, Argument("The study's file, changed.")]
    reason: Annotated[str, Option("Why; the report shows it.")] = ""
    by: Annotated[str, Option("Who.")] = ""

    def check(self) -> None:
        """RoboscaleError without a reason."""
        if not self.reason.strip():
            raise RoboscaleError("--reason says why; the report shows it")


@dataclass(frozen=True, slots=True)
class AmendedStudy(Plain):
    """What changed, with both sides."""

    study: str
    digest: str
    changes: tuple[str, ...]

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        return [f"amended {self.study}, digest {self.digest[:16]}:", *(f"  {change}" for change in self.changes)]


def amend_study(request: AmendStudy) -> AmendedStudy:
    """Files what changed in a locked study, and why; the report lists it. Trials that were made stay.

    >>> from roboscale import AmendStudy, InitStudy, LockStudy, amend_study, init_study, lock_study
    >>> file = Path("amended.toml")
    >>> _ = init_study(InitStudy(study=file))
    >>> _ = file.write_text(file.read_text().replace('"TASK"', '"reach"'))
    >>> _ = lock_study(LockStudy(study=file))
    >>> _ = file.write_text(file.read_text().replace("cases = 20", "cases = 30"))
    >>> amend_study(AmendStudy(study=file, reason="more time at the bench")).changes
    ('cases: 20 -> 30',)

    Raises:
        RoboscaleError: it is not locked, nothing changed, or there are trials and the arms are others.
        BadData: the file or its lock is broken.
    """
    from roboscale.jobs.studies import store_of_study
    from roboscale.trials.study import Amendment, Study, StudyLock

    study, lock = Study.load(request.study), StudyLock.load(request.study)
    changes = lock.changes(study)
    if not changes:
        raise RoboscaleError(f"nothing in {request.study} differs from what was locked")
    arms = [[one["policy"] for one in said["arms"]] for said in (lock.content, study.content)]
    if arms[0] != arms[1] and Path(store_of_study(request.study)).exists():
        raise RoboscaleError(
            f"{request.study}: arms: expected {', '.join(arms[0])}, in that order, of which there are trials, found "
            f"{', '.join(arms[1])}: other arms are another study, in a file of its own"
        )
    one = Amendment(time_ns=time.time_ns(), digest=study.digest, reason=request.reason, by=request.by, changes=changes)
    replace(lock, content=study.content, amendments=(*lock.amendments, one)).save(request.study)
    return AmendedStudy(str(request.study), study.digest, changes)
