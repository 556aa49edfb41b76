"""Says which arm is which; that somebody was told is on record."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["UnblindStudy", "UnblindedStudy", "unblind_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblindStudy(Request):
    """Asks which arm is which."""

    words: ClassVar[tuple[str, ...]] = ("study", "unblind")

    study: Annotated[Path, Argument("The study's file.")]
    store: Annotated[str, Option("Where its trials are, where that is not beside the study.")] = ""
    reason: Annotated[str, Option("Why, where the study is not over.")] = ""
    by: Annotated[str, Option("Who.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblindedStudy(Plain):
    """A study with its arms named.

    Args:
        early: whether it was not over; then the report says so.
        sentence: the verdict.
        trials: of every trial, in the order in which they were made: the arm.
    """

    study: str
    store: str
    early: bool
    sentence: str
    trials: tuple[str, ...]

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        early = ["unblinded EARLY: the study is not over, and its report says so"] if self.early else []
        order = " ".join(f"{number}:{arm}" for number, arm in enumerate(self.trials, 1))
        return [*early, self.sentence, f"trials: {order}", f"the page: roboscale report {self.store}"]


def unblind_study(request: UnblindStudy) -> UnblindedStudy:
    """Puts the unblinding on record, early or not, and says which trial was which arm's.

    >>> from roboscale import UnblindStudy, unblind_study
    >>> unblind_study(UnblindStudy(study="nothing.toml"))
    Traceback (most recent call last):
    roboscale.core.errors.BadData: nothing.toml: file: expected a TOML file, found No such file or directory

    Raises:
        RoboscaleError: it is not locked, was changed since, or has no trial; the store is another study's.
        BadData: there are no trials, or the lock is broken.
    """
    from roboscale.jobs.compare import recipe_sentence
    from roboscale.jobs.judged import choose_run, judged_run
    from roboscale.jobs.run_files import write_run_files
    from roboscale.jobs.studies import require_own_run, store_of_study
    from roboscale.trials.log import open_log
    from roboscale.trials.study import Study, StudyLock, Unblinding

    study, lock = Study.load(request.study), StudyLock.load(request.study)
    lock.require(study, request.study)  # arms that were exchanged since would be told the wrong way round
    store = request.store or store_of_study(request.study)
    if not request.store and not Path(store).exists():
        raise RoboscaleError(f"{request.study} has no trial yet: roboscale compare {request.study} makes them")
    with open_log(store, read_only=True) as log:
        run = choose_run(log)
        require_own_run(run, lock, store)
        judged = judged_run(log, run)
    early = judged.run.finished_ns is None
    told = Unblinding(time_ns=time.time_ns(), early=early, reason=request.reason, by=request.by)
    replace(lock, unblindings=(*lock.unblindings, told)).save(request.study)
    with open_log(store, read_only=True) as log:
        write_run_files(judged, log, store)
    arms = {policy: arm.name for policy, arm in zip(judged.run.policies, study.arms, strict=True)}
    made = sorted((c.trial for c in judged.all_rounds if c.trial is not None), key=lambda t: t.started_ns)
    verdict = None if judged.decided is None else judged.decided.verdict
    sentence = "" if verdict is None else verdict.sentence
    names = {judged.labels[policy]: arm for policy, arm in arms.items()}
    if judged.of_recipes is not None:
        sentence = f"{recipe_sentence(judged.of_recipes)}; {judged.unit}"
        names = {
            name: f"the recipe of {', '.join(arms[run] for run in runs)}" for name, runs in judged.recipes.items()
        }
    longest_first = "|".join(re.escape(label) for label in sorted(names, key=len, reverse=True))
    sentence = re.sub(longest_first, lambda label: names[label[0]], sentence)  # an arm may be called as a policy
    return UnblindedStudy(
        study=str(request.study),
        store=store,
        early=early,
        sentence=sentence,
        trials=tuple(arms[trial.policy] for trial in made),
    )
