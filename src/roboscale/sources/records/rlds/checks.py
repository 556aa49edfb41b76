"""What an episode says of itself, held against what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from roboscale.core import Finding
from roboscale.sources.records.rlds.features import FeatureLeaf
from roboscale.sources.records.rlds.mapping import Mapped
from roboscale.sources.records.rlds.record import Record

__all__ = ["check_cameras", "check_discount", "check_flags", "check_tasks", "text_runs"]


def text_runs(texts: Sequence[str]) -> list[list[int | str]]:
    """[first step, text] of every stretch of one text."""
    return [[i, text] for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]


def check_flags(record: Record, mapped: Mapped, position: int) -> Iterator[Finding]:
    """`is_first` at the first step only, `is_last` at the last, `is_terminal` there or nowhere."""
    for leaf in mapped.flags:
        at, last = np.flatnonzero(record.numbers(leaf)).tolist(), record.length - 1
        allowed: tuple[list[int], ...] = {"is_first": ([0],), "is_last": ([last],)}.get(
            leaf.name.rpartition("/")[2], ([], [last])
        )
        if at not in allowed:
            wanted = " or ".join(map(str, allowed))
            text = f"{record.where}: {leaf.name} is true at {at[:5]} of {last + 1} steps, expected {wanted}"
            yield Finding(
                "step-flags", "warning", text, episodes=(position,), field=leaf.name, evidence={"steps": at[:100]}
            )


def check_cameras(
    record: Record, cameras: Mapping[str, FeatureLeaf], metadata: Mapping[str, Any], position: int
) -> Iterator[Finding]:
    """Where `has_<picture>` says that there is none: is there one, or the black placeholder?"""
    for name, leaf in cameras.items():
        claim = f"has_{leaf.name.rpartition('/')[2]}"
        if metadata.get(claim, True):
            continue
        brightest = int(next(iter(record.pictures(leaf))).max())
        evidence = {claim: metadata[claim], "brightest_of_first_picture": brightest}
        if brightest:
            check, found = "has-image-contradicts", "there is one"
        else:
            check, found = "placeholder-camera", "what is kept is black"
        text = f"{record.where}: {claim} says that there is no picture, and {found}"
        yield Finding(check, "warning", text, episodes=(position,), field=name, evidence=evidence)


def check_discount(record: Record, discount: FeatureLeaf | None, position: int) -> Iterator[Finding]:
    """Discounts other than the 1 for which the field was left out."""
    if discount is None:
        return
    array = record.numbers(discount)
    if (array != 1).any():
        low, high = float(array.min()), float(array.max())
        text = f"{record.where}: discounts from {low:g} to {high:g} are left out: another episode has 1 only"
        yield Finding(
            "discount-varies",
            "warning",
            text,
            episodes=(position,),
            field=discount.name,
            evidence={"low": low, "high": high},
        )


def check_tasks(record: Record, runs: Sequence[Sequence[int | str]], position: int) -> Iterator[Finding]:
    """An instruction that changes within the episode."""
    if len(runs) > 1:
        text = (
            f"{record.where}: the instruction changes {len(runs) - 1} times; the first is kept, the provenance has all"
        )
        evidence = {"instructions": [list(run) for run in runs[:20]]}
        yield Finding(
            "several-tasks", "warning", text, episodes=(position,), field="language_instruction", evidence=evidence
        )
