"""What a named class of policy would trip over: LeRobot's own configurations, read from its source, not from papers.

A dataset is not wrong because a class cannot take it; nothing here is said unless somebody names the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Finding, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.checks import finding, many

__all__ = ["POLICIES", "PolicyClass", "judge_policy"]

STATE, ACTION, ENVIRONMENT = "observation.state", "action", "observation.environment_state"
_CHARACTERS_A_TOKEN = 4.0
_TAILS = 20.0
"""How many times the middle 98 % of an element its whole range may be, before min and max squeeze what matters."""

Evidence = Sequence[EpisodeEvidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyClass:
    """What one class of LeRobot 0.4 to 0.6 asks of a dataset, with its default configuration.

    Args:
        title: how people call it.
        chunk: actions that it learns to predict from one frame.
        scales: by what it normalises states and actions.
        most: elements that a state or an action may have; 0 where any number will do.
        same_size: whether all cameras must have one size.
        least: pixels that a picture needs at least on each side.
        tokens: of an instruction that it reads; 0 where it reads none.
        dropped: last frames of each episode that training leaves out.
    """

    title: str
    chunk: int
    scales: Literal["mean and std", "min and max"]
    most: int = 0
    same_size: bool = False
    least: int = 1
    tokens: int = 0
    dropped: int = 0


POLICIES: Mapping[str, PolicyClass] = MappingProxyType(
    {
        "act": PolicyClass(title="ACT", chunk=100, scales="mean and std"),
        "diffusion": PolicyClass(
            title="Diffusion Policy", chunk=16, scales="min and max", same_size=True, least=84, dropped=7
        ),
        "smolvla": PolicyClass(title="SmolVLA", chunk=50, scales="mean and std", most=32, tokens=48),
        "pi0": PolicyClass(title="pi0", chunk=50, scales="mean and std", most=32, tokens=48),
    }
)
"""Name -> class. Of Diffusion Policy, `chunk` is the horizon of 0.4 (64 in 0.6) and `least` the crop of 0.4."""


def judge_policy(name: str, evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Inputs, sizes, normalisation, chunk, texts and rate, as the class named `name` would meet them."""
    policy = POLICIES[name]
    good = [e for e in evidence if not e.error]
    yield from _inputs(policy, spec, roles)
    yield from _sizes(policy, spec)
    for field in (STATE, ACTION):
        if field in spec:
            yield from _normalised(policy, good, spec[field])
    yield from _chunks(policy, good, spec.rate_hz)
    if policy.tokens:
        yield from _texts(policy, good)


def _inputs(policy: PolicyClass, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    for needed, kind in ((STATE, "state"), (ACTION, "action")):
        if needed not in spec:
            alike = [f.name for f in spec if roles.kind(f.name) == kind]
            there = f"; {', '.join(alike[:4])} may be meant" if alike else ""
            yield finding("policy-input", f"{policy.title} reads {needed}, which is not there{there}", field="")
    if not spec.images and (policy.tokens or ENVIRONMENT not in spec):
        yield finding("policy-input", f"{policy.title} needs a camera, and there is none")
    read = {STATE, ACTION} | (set() if policy.tokens else {ENVIRONMENT})
    unread = [f.name for f in spec if roles.moves(f) and not f.is_image and f.name not in read]
    if unread:
        yield finding("policy-unused", f"{policy.title} does not read {', '.join(unread)}")


def _sizes(policy: PolicyClass, spec: Spec) -> Iterator[Finding]:
    for field in (spec[name] for name in (STATE, ACTION) if name in spec):
        size = int(np.prod(field.shape))
        if len(field.shape) > 1:
            text = f"{field.name} is {list(field.shape)} a frame; {policy.title} takes a row of numbers"
            yield finding("policy-size", text, field=field.name)
        elif policy.most and size > policy.most:
            text = f"{field.name} has {size} elements; {policy.title} takes at most {policy.most}"
            yield finding("policy-size", text, field=field.name)
    sizes = {field.name: field.shape for field in spec.images}
    for name, shape in sizes.items():
        if shape[-1] != 3:
            yield finding("policy-size", f"{name} has {shape[-1]} channels; {policy.title} takes 3", field=name)
        if min(shape[:2]) < policy.least:
            small = (
                f"{name} is {shape[0]}x{shape[1]}; {policy.title} cuts out {policy.least}x{policy.least} by default"
            )
            yield finding("policy-size", small, field=name)
    if policy.same_size and len(set(sizes.values())) > 1:
        said = ", ".join(f"{name} {shape[0]}x{shape[1]}" for name, shape in sizes.items())
        yield finding("policy-size", f"{policy.title} takes cameras of one size only: {said}")


def _normalised(policy: PolicyClass, evidence: Evidence, field: Field) -> Iterator[Finding]:
    """Elements that normalisation turns into noise, or squeezes into a corner."""
    parts = [e.fields[field.name] for e in evidence if field.name in e.fields and len(e.fields[field.name].low)]
    if not parts:
        return
    names = elements(field)
    low, high = np.min([p.low for p in parts], axis=0), np.max([p.high for p in parts], axis=0)
    still = [names[i] for i in np.flatnonzero(low == high).tolist()]
    if still:
        text = f"{', '.join(still[:6])} of {field.name} never changes: {policy.title} divides by its {policy.scales}"
        text += ", so that the smallest change on the robot is blown up 100,000,000 times"
        yield finding("policy-normalisation", text, field=field.name, evidence={"elements": still})
    if policy.scales == "min and max":
        yield from _squeezed(policy, np.concatenate([p.course for p in parts]), low, high, field)


def _squeezed(
    policy: PolicyClass, course: NDArray[Any], low: NDArray[Any], high: NDArray[Any], field: Field
) -> Iterator[Finding]:
    first, last = np.nanquantile(course.astype(np.float64), (0.01, 0.99), axis=0)
    middle, whole = last - first, high - low
    names = elements(field)
    far = [i for i in range(len(whole)) if middle[i] > 0 and whole[i] > _TAILS * middle[i]]
    if far:
        worst = max(far, key=lambda i: whole[i] / middle[i])
        text = f"{names[worst]} of {field.name} spans {low[worst]:.4g}..{high[worst]:.4g}, 98 % of it only "
        text += f"{first[worst]:.4g}..{last[worst]:.4g}: scaled by {policy.scales}, what moves is a thin slice"
        measured = {names[i]: [float(low[i]), float(first[i]), float(last[i]), float(high[i])] for i in far}
        yield finding("policy-normalisation", text, field=field.name, evidence={"min, q01, q99, max": measured})


def _chunks(policy: PolicyClass, evidence: Evidence, rate_hz: float) -> Iterator[Finding]:
    lengths = {e.position: e.length for e in evidence}
    if not lengths:
        return
    unused = [i for i, n in lengths.items() if n <= policy.dropped]
    if unused:
        text = f"{many(len(unused))} of at most {policy.dropped} frames: {policy.title} never trains on them"
        yield finding("policy-chunk", text, episodes=unused)
    padded = sum(sum(max(0, t + policy.chunk - n) for t in range(n)) for n in lengths.values())
    share = padded / (policy.chunk * sum(lengths.values()))
    short = [i for i, n in lengths.items() if n < policy.chunk]
    told = {"chunk": policy.chunk, "seconds": round(policy.chunk / rate_hz, 3), "padded": round(share, 4)}
    covers = f"a chunk of {policy.title} is {policy.chunk} actions, {told['seconds']:g} s at {rate_hz:g} Hz"
    if len(short) > len(lengths) / 2:
        text = (
            f"{covers}: longer than {many(len(short))} of {len(lengths)}; {100 * share:.0f} % of targets are padding"
        )
        yield finding("policy-chunk", text, episodes=short, evidence=told)
    else:
        yield finding("policy-rate", f"{covers}; {100 * share:.0f} % of targets are padding", evidence=told)


def _texts(policy: PolicyClass, evidence: Evidence) -> Iterator[Finding]:
    texts = {e.position: e.instruction.strip() for e in evidence}
    empty = [i for i, text in texts.items() if not text]
    if empty:
        yield finding(
            "policy-text", f"{many(len(empty))} without the instruction that {policy.title} reads", episodes=empty
        )
    limit = policy.tokens * _CHARACTERS_A_TOKEN
    long = [i for i, text in texts.items() if len(text) > limit]
    if long:
        text = f"{many(len(long))} with an instruction of over {limit:.0f} characters, such as {len(texts[long[0]])}: "
        text += f"{policy.title} reads {policy.tokens} tokens and cuts the rest off"
        yield finding("policy-text", text, episodes=long)
    if len(set(texts.values())) == 1 and not empty and len(texts) > 1:
        text = f"all {len(texts)} episodes have one instruction: {policy.title} learns nothing from it"
        yield finding("policy-text", text, evidence={"instruction": next(iter(texts.values()))})
