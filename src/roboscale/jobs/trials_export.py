"""Writes trials for other programs: LeRobot's `eval_info.json`, or a dataset of the rollouts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core import BadData, Identity, RoboscaleError, UnknownName
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request
from roboscale.jobs.stores import RunId, Store

__all__ = ["ExportTrials", "ExportedTrials", "export_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTrials(Request):
    """Asks for the trials of one policy as LeRobot's file, or of all as a dataset."""

    words: ClassVar[tuple[str, ...]] = ("trials", "export")

    store: Store
    out: Annotated[Path | None, Argument("Where LeRobot's eval_info.json is written.")] = None
    dataset: Annotated[Path | None, Option("Dataset that the rollouts are added to, with outcome and origin.")] = None
    policy: Annotated[str, Option("Name of the policy, where the run has several.")] = ""
    run: RunId = ""

    def check(self) -> None:
        """RoboscaleError unless there is something to write."""
        if self.out is None and self.dataset is None:
            raise RoboscaleError("say a FILE for eval_info.json, or --dataset FOLDER for the rollouts as episodes")


@dataclass(frozen=True, slots=True)
class ExportedTrials(Plain):
    """What was written."""

    policy: str
    trials: int
    episodes: int

    @property
    def text(self) -> str:
        """One line for a terminal."""
        return f"{self.trials} trials of {self.policy}" + (f", {self.episodes} episodes" if self.episodes else "")


def export_trials(request: ExportTrials, on_event: OnEvent = ignore) -> ExportedTrials:
    """Writes the trials of a run for other programs.

    >>> from pathlib import Path
    >>> from roboscale import Evaluate, ExportTrials, evaluate, export_trials
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> export_trials(ExportTrials(store="trials", out=Path("eval_info.json"))).trials
    2

    Raises:
        BadData: there is no such store or run.
        UnknownName: no such policy in the run.
        RoboscaleError: there are several policies and none is named; the world cannot repeat its trials, and they
            were not recorded; or the study is blind.
    """
    from roboscale.jobs.files import write_json
    from roboscale.jobs.judged import choose_run, judged_run, other_runs, whole
    from roboscale.jobs.rollouts import record_rollouts
    from roboscale.jobs.studies import require_unblinded
    from roboscale.stats import clopper_pearson
    from roboscale.trials import to_eval_info
    from roboscale.trials.log import open_log

    with open_log(request.store, read_only=True) as log:
        run = choose_run(log, request.run)
        require_unblinded(run)
        judged = judged_run(log, run)
        for line in other_runs(log, run, request.run):
            on_event(Note(line))
        chosen = _choose(judged.labels, request)
        counted = whole(log, [c for c in judged.plain if c.policy in chosen])
    if not counted:
        raise BadData(request.store, "trials", "at least one", "none")
    if request.out is not None:
        write_json(request.out, to_eval_info(counted, clopper_pearson, judged.notes))
        on_event(Wrote("eval_info.json", request.out))
    episodes = 0 if request.dataset is None else record_rollouts(judged.run, counted, request.dataset, on_event)
    return ExportedTrials(", ".join(judged.labels[p] for p in chosen), len(counted), episodes)


def _choose(labels: dict[Identity, str], request: ExportTrials) -> list[Identity]:
    if not request.policy and (request.out is None or len(labels) == 1):
        return list(labels)
    names = list(labels.values())
    if not request.policy:
        raise RoboscaleError(
            f"{request.store}: {request.out} holds the trials of one policy, and {len(names)} were tried "
            f"({', '.join(names)}): --policy names it, as in `{replace(request, policy=names[0]).command}`"
        )
    chosen = [policy for policy, label in labels.items() if label == request.policy]
    if not chosen:
        raise UnknownName("policy of the run", request.policy, names)
    return chosen
