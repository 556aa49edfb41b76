"""Poses of hands and handheld tools: held and interpolated samples, errors that are none, what an arm cannot follow.

Knows the columns that `sources.capture` writes by their names and layouts; any dataset that has them is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from roboscale.core import Field, Finding, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.checks import finding, many

__all__ = ["judge_captures"]

_MARKS = {
    "pose.held": ("held-poses", "repeats the one before to the last bit"),
    "pose.interpolated": ("interpolated-poses", "lies on a straight line between others"),
}
_ARM = {
    "pose.unreachable": ("unreachable-poses", "are out of reach of the arm that was asked to follow"),
    "pose.too_fast": ("too-fast-poses", "ask more speed of a joint than the arm that was asked to follow has"),
    "pose.self_colliding": ("self-colliding-poses", "let the arm that was asked to follow touch itself"),
}
_PRETRAIN = "pretrain."
_TOO_MANY = 0.02  # of an episode's poses; a sample that repeats once is no finding


def judge_captures(evidence: Sequence[EpisodeEvidence], spec: Spec) -> Iterator[Finding]:
    """Targets that are no actions, poses that nobody measured, errors that are none."""
    targets = [name for name in spec.names if name.startswith(_PRETRAIN)]
    if targets and "action" not in spec:
        text = f"there is no action: {', '.join(targets)} are auxiliary targets, for nobody states their error"
        yield finding("pretrain-only", text, field=targets[0], evidence={"targets": targets})
    good = [one for one in evidence if not one.error]
    for name, (check, how) in _MARKS.items():
        if name in spec:
            yield from _marked(good, spec[name], check, f"were not measured: each {how}")
    for name, (check, how) in _ARM.items():
        if name in spec:
            yield from _marked(good, spec[name], check, how)
    if "sigma" in spec:
        broken = [e.position for e in good if "sigma" in e.fields and (e.fields["sigma"].low <= 0).any()]
        if broken:
            text = f"an error of 0 or less is stated in {many(len(broken))}: no measurement has one"
            yield finding("sigma-not-positive", text, episodes=broken, field="sigma")


def _marked(evidence: Sequence[EpisodeEvidence], field: Field, check: str, how: str) -> Iterator[Finding]:
    shares = {e.position: (e.fields[field.name].square, e.length) for e in evidence if field.name in e.fields}
    counts = {i: np.round(share * length).astype(int) for i, (share, length) in shares.items() if length}
    many_ = {i: int(n.max()) for i, n in counts.items() if (shares[i][0] > _TOO_MANY).any()}
    if many_:
        frames = sum(shares[i][1] for i in many_)
        worst = max(many_, key=lambda i: many_[i])
        text = (
            f"{sum(many_.values())} of {frames} poses in {many(len(many_))} {how}; "
            f"most in episode {worst} ({many_[worst]} of {shares[worst][1]})"
        )
        about = {"poses": {str(i): n for i, n in sorted(many_.items())[:50]}}
        yield finding(check, text, episodes=sorted(many_), field=field.name, evidence=about)
