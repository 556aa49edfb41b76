"""How a dataset is composed: how many episodes each task has, and whether the last third moves as the first did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from roboscale.core import Finding, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.checks import finding, many

__all__ = ["judge_balance", "judge_shift"]

_RARE = 10.0  # times fewer frames than the median task
_THIRD = 6  # episodes of a task that each third needs
_ALPHA = 1e-3
_FAR = 0.25  # of what the element covers

Evidence = Sequence[EpisodeEvidence]


def judge_balance(evidence: Evidence) -> Iterator[Finding]:
    """Tasks that have a tenth, or less, of the median task's frames."""
    frames: dict[str, int] = defaultdict(int)
    members: dict[str, list[int]] = defaultdict(list)
    for one in evidence:
        if not one.error:
            frames[one.instruction] += one.length
            members[one.instruction].append(one.position)
    if len(frames) < 2:
        return
    median = float(np.median(list(frames.values())))
    rare = {task: n for task, n in frames.items() if _RARE * n <= median}
    if rare:
        task = min(rare, key=lambda name: rare[name])
        text = (
            f"{many(len(rare), 'task')} of {len(frames)} with a tenth of the median task's {median:g} frames or less, "
        )
        text += f"such as {task!r} with {rare[task]} in {many(len(members[task]))}"
        episodes = sorted(i for name in rare for i in members[name])
        yield finding("task-imbalance", text, episodes=episodes, evidence={"median": median, "frames": dict(rare)})


def judge_shift(evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Elements whose episodes' means differ between the first and the last third, within each task.

    A rank test on one mean an episode (frames of one episode are no independent witnesses), at .001 over the number of
    elements, and at least a quarter of what the element covers apart: only what a trained policy would feel.
    """
    good = [e for e in evidence if not e.error]
    first, last = good[: len(good) // 3], good[len(good) - len(good) // 3 :]
    for field in spec:
        if not roles.moves(field):
            continue
        far = _moved(first, last, field.name)
        if far:
            names, worst = elements(field), max(far, key=lambda i: abs(far[i][1] - far[i][0]) / far[i][2])
            before, after, span = far[worst]
            text = (
                f"{', '.join(names[i] for i in sorted(far)[:6])} of {field.name} moves elsewhere in the last third of "
            )
            text += (
                f"the episodes than in the first: the mean of {names[worst]} goes from {before:.4g} to {after:.4g}, "
            )
            text += f"{100 * abs(after - before) / span:.0f} % of what it covers"
            means = {names[i]: [round(a, 6), round(b, 6)] for i, (a, b, _) in sorted(far.items())}
            yield finding(
                "distribution-shift",
                text,
                field=field.name,
                episodes=[e.position for e in last],
                evidence={"means of first and last third": means},
            )


def _moved(first: Evidence, last: Evidence, name: str) -> dict[int, tuple[float, float, float]]:
    """Element -> mean of the first third, of the last, and what the element covers in both."""
    shifts: dict[int, tuple[float, float, float]] = {}
    for task in {e.instruction for e in first} & {e.instruction for e in last}:
        sides = [[e for e in side if e.instruction == task and name in e.fields] for side in (first, last)]
        sides = [[e for e in side if len(e.fields[name].low) and not e.fields[name].broken] for side in sides]
        if min(map(len, sides)) < _THIRD:
            continue
        before, after = (np.array([e.fields[name].course.mean(axis=0) for e in side], np.float64) for side in sides)
        fields = [e.fields[name] for side in sides for e in side]
        span = np.max([f.high for f in fields], axis=0) - np.min([f.low for f in fields], axis=0)
        for i in np.flatnonzero(span > 0).tolist():
            a, b = float(np.median(before[:, i])), float(np.median(after[:, i]))
            if abs(b - a) < _FAR * span[i]:
                continue
            from scipy.stats import mannwhitneyu  # half a second, which most sets need not pay

            if mannwhitneyu(before[:, i], after[:, i]).pvalue * before.shape[1] < _ALPHA:
                shifts[i] = (a, b, float(span[i]))
    return shifts
