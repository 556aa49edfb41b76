"""What must be said of trials that were counted as they are, because their numbers may mean less than they seem to.

Nothing here is an error. Each line is a fact that the log holds and that a rate with its interval hides: cases that
are the same one again, successes for which nothing had to be done, episodes that the world cut itself, policies whose
actions are in another unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roboscale.core import Counted, Identity, Trial

__all__ = ["oddities", "repeats"]

CLIPPED = 0.95
"""Share of a policy's actions beyond their range from which on, without any success, another unit is likely."""


def repeats(counted: Sequence[Counted], labels: Mapping[Identity, str]) -> dict[str, str]:
    """Label -> how many of its trials are different ones, of each policy with trials that went exactly as another.

    In a world that ignores its seed, or has three initial states, a policy that repeats itself tries three cases
    however many are asked for: an interval from 50 trials is then one from three. The same case in another variation
    may well go the same way, so variations are looked at one by one.
    """
    went: dict[str, list[tuple[str, str, str]]] = {}
    for one in counted:
        if one.trial is not None and one.outcome.success is not None and one.trial.details.get("went"):
            went.setdefault(labels[one.policy], []).append(
                (one.case.task, one.case.variation, str(one.trial.details["went"]))
            )
    return {
        name: f"{len(trials)} trials are "
        + ("one and the same" if len(set(trials)) == 1 else f"{len(set(trials))} different ones")
        for name, trials in went.items()
        if len(set(trials)) < len(trials)
    }


def oddities(counted: Sequence[Counted], labels: Mapping[Identity, str]) -> list[str]:
    """A line for each oddity of each policy."""
    lines = [
        f"{name}: its {how}: the others began and went exactly alike, and intervals and tests take them as further "
        "evidence"
        for name, how in repeats(counted, labels).items()
    ]
    of: dict[str, list[tuple[Trial, bool]]] = {}
    for one in counted:
        if one.trial is not None and one.outcome.success is not None:
            of.setdefault(labels[one.policy], []).append((one.trial, one.outcome.success))
    for name, trials in of.items():
        lines += [line for line in (_at_once(name, trials), _cut(name, trials), _clipped(name, trials)) if line]
    return lines


def _at_once(name: str, trials: Sequence[tuple[Trial, bool]]) -> str:
    """Successes that held after the first step, where they are at least half of all."""
    won = [trial for trial, success in trials if success]
    first = sum(trial.steps == 1 and trial.settings.horizon > 1 for trial in won)
    if not first or 2 * first < len(won):
        return ""
    return f"{name}: {first} of {len(won)} successes held after the first step: they say little of the policy"


def _cut(name: str, trials: Sequence[tuple[Trial, bool]]) -> str:
    """Simulated episodes that the world cut before the horizon that was asked for."""
    early = [
        t for t, _ in trials if t.end == "truncated" and t.steps < t.settings.horizon and t.settings.pace != "wall"
    ]
    if not early:
        return ""
    steps = sorted({t.steps for t in early})
    when = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    return (
        f"{name}: the world itself cut {len(early)} of {len(trials)} trials after {when} steps, before the horizon of "
        f"{early[0].settings.horizon}"
    )


def _clipped(name: str, trials: Sequence[tuple[Trial, bool]]) -> str:
    """Actions that were nearly all outside their range, of a policy that never succeeded."""
    steps, clipped = sum(t.steps for t, _ in trials), sum(t.clipped for t, _ in trials)
    if any(success for _, success in trials) or not steps or clipped < CLIPPED * steps:
        return ""
    return (
        f"{name}: {clipped} of {steps} actions were outside the action's range and clipped, and no trial succeeded: "
        "are they in another unit?"
    )
