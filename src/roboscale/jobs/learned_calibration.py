"""What a policy imagined is worth on the robot: paired real trials recalibrate it, by content and case.

The same weights on the same cases are looked up in a store of real trials. Where the learned world predicts which of
them succeed, its further cases stand in for real ones (PPI++, or betting below 30 pairs); its bias cancels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roboscale.core import Identity, RoboscaleError
from roboscale.core.plain import Plain

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.stats.fusion import Fusion
    from roboscale.trials.log import TrialLog

__all__ = ["FEWEST_PAIRS", "Calibration", "calibration_of", "require_calibration"]

FEWEST_PAIRS = 8
"""Paired real trials of a policy below which nothing is recalibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Plain):
    """A real rate from few real and many imagined trials.

    Args:
        policy: its label. real_world: where the real trials were.
        fusion: the combined rate, and what it saved.
    """

    policy: str
    real_world: str
    fusion: Fusion

    @property
    def line(self) -> str:
        """For a terminal; what was saved is said only where something was."""
        fusion = self.fusion
        said = f"{self.policy} in {self.real_world}: {fusion.estimate}, with {fusion.cheap} further imagined trials"
        saved = fusion.saved_trials
        return f"{said}; saves {saved} real trials at this width" if saved is not None and saved > 0 else said


def require_calibration(world: str, store: str) -> None:
    """Before any trial: RoboscaleError for a world that is not learned, BadData for no store."""
    from roboscale.jobs.learned import learned_folder
    from roboscale.trials.log import open_log

    if learned_folder(world) is None:
        raise RoboscaleError(f"--calibrate: {world} is no learned world")
    with open_log(store, read_only=True):
        pass


def calibration_of(judged: Judged, store: str, level: float = 0.95) -> tuple[Calibration, ...]:
    """For every policy of a run in a learned world.

    Args:
        store: of the real trials.

    Raises:
        RoboscaleError: the run is not in a learned world; fewer than eight cases of a policy were tried in both; or
            its real trials are from several worlds.
        BadData: there is no such store.
    """
    from roboscale.stats.fusion import fuse
    from roboscale.trials.log import open_log

    if judged.run.world_info.get("kind") != "learned":
        raise RoboscaleError(f"--calibrate: {judged.run.world.name} is no learned world")
    found = []
    with open_log(store, read_only=True) as log:
        for policy, label in judged.labels.items():
            cheap = {c.case.id: c.outcome.success for c in judged.used if c.policy == policy and not c.pending}
            real, world, imagined = _real_outcomes(log, policy, judged.run.world, store)
            pairs = [case for case in cheap if case in real]
            if len(pairs) < FEWEST_PAIRS:
                expected = f"at least {FEWEST_PAIRS} cases that were tried in both"
                left = f"; {imagined} of its trials there are imagined themselves" if imagined else ""
                raise RoboscaleError(f"--calibrate {store}: {label}: expected {expected}, found {len(pairs)}{left}")
            further = [float(v) for case, v in cheap.items() if case not in real and v is not None]
            both = [[side[case] for case in pairs] for side in (real, cheap)]
            fused = fuse(both[0], both[1], further, level)
            found.append(Calibration(policy=label, real_world=world, fusion=fused))
    return tuple(found)


def _real_outcomes(
    log: TrialLog, policy: Identity, learned: Identity, store: str
) -> tuple[Mapping[str, bool | None], str, int]:
    """Case -> how the newest trial of a policy ended, the world's name, and how many trials were in learned worlds."""
    dreamt = {learned, *(run.world for run in log.runs() if run.world_info.get("kind") == "learned")}
    tried = [t for t in log.trials(policy=policy, light=True) if not t.void]
    trials = [t for t in tried if t.world not in dreamt]
    worlds = {t.world for t in trials}
    if len(worlds) > 1:
        named = ", ".join(sorted(f"{w.name} {w.short}" for w in worlds))
        raise RoboscaleError(f"--calibrate {store}: expected real trials in one world, found {named}")
    said = log.judgements([t.id for t in trials])
    outcomes: dict[str, bool | None] = {}
    for trial in sorted(trials, key=lambda one: (one.round, one.attempt)):
        decided = [j for j in said.get(trial.id, ()) if j.state == "decided"]
        if decided:
            outcomes[trial.case.id] = decided[-1].success
    return outcomes, next(iter(worlds)).name if worlds else "no world", len(tried) - len(trials)
