"""What a run leaves beside its trials for other programs, and whether it came to anything."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from roboscale.core import RoboscaleError
from roboscale.core.plain import to_plain
from roboscale.jobs.judged import Judged, reasons, run_summary, whole
from roboscale.jobs.perturbing import robustness_of
from roboscale.jobs.sweeping import sensitivity_of

if TYPE_CHECKING:
    from roboscale.trials.log import TrialLog

__all__ = ["require_result", "write_run_files"]


def write_run_files(judged: Judged, log: TrialLog, store: str) -> None:
    """LeRobot's `eval_info.json`, or the verdict with all that was said of the run; nothing beside a database."""
    from roboscale.jobs.files import write_json
    from roboscale.jobs.stores import folder_of
    from roboscale.stats import clopper_pearson
    from roboscale.trials import to_eval_info

    folder = folder_of(store)
    if folder is None:
        return
    if judged.perturbed:
        found = sensitivity_of(judged) if judged.swept else robustness_of(judged)
        write_json(folder / ("sensitivity.json" if judged.swept else "robustness.json"), to_plain(found))
    if judged.decided is None:
        write_json(folder / "eval_info.json", to_eval_info(whole(log, judged.plain), clopper_pearson, judged.notes))
        return
    said = {"verdict": judged.decided.verdict.to_json(), "notes": list(judged.notes)}
    write_json(folder / "verdict.json", {**run_summary(judged), **said})


def require_result(judged: Judged) -> None:
    """RoboscaleError when nothing could be counted: a run without any result is no success.

    A comparison needs a case that was counted under two policies.
    """
    counted = Counter(c.case for c in judged.counted if c.outcome.success is not None)
    needed = 1 if judged.run.design is None or judged.run.design.kind == "one arm" else 2
    if judged.pending or any(times >= needed for times in counted.values()):
        return
    why = "; ".join(reasons(judged.counted, judged.labels)[:3]) or "no trial was made"
    what = "no trial could be counted" if not counted else "no case could be counted under two policies"
    raise RoboscaleError(f"{what}: {why}")
