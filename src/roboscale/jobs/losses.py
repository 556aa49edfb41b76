"""What a conversion loses: each thing by name with the reason, for the terminal, the JSON and the page.

Two views: what a reader says that it leaves out, and what two recordings of the same episodes do not both hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from roboscale.core import UNKNOWN, Extras, Field, RecordedEpisode, Recording, extras_of, splits_of
from roboscale.jobs.events import Note, OnEvent

__all__ = ["common_extras", "lost_between", "lost_by_merging", "lost_by_reading", "lost_of_episode", "tell_lost"]

Lost = dict[str, str]

_NO_PLACE = "the format has no place for it"


def tell_lost(lost: Mapping[str, str], on_event: OnEvent) -> None:
    """One line for each thing."""
    for name, reason in lost.items():
        on_event(Note(f"not carried over: {name}: {reason}"))


def lost_by_reading(recording: Recording) -> Lost:
    """What the reader leaves out, but for columns that are made anew."""
    return {name: why for name, why in recording.unmapped.items() if not why.startswith("regenerated")}


def common_extras(recordings: Mapping[str, Recording]) -> Extras:
    """What all members say alike; the rest would be said of other members' episodes."""
    return reduce(Extras.shared, [extras_of(one) for one in recordings.values()])


def lost_by_merging(recording: Recording, shared: Extras) -> Lost:
    """What of one member the merged dataset will not hold."""
    lost = lost_by_reading(recording)
    splits = splits_of(recording)
    if _divides(splits, recording):
        lost[f"splits {', '.join(splits)}"] = "members are pooled"
    apart = [name for name in extras_of(recording).names if name not in shared.names]
    return lost | dict.fromkeys(apart, "the members do not say the same")


def lost_between(before: Recording, after: Recording, counts: Mapping[str, int]) -> Lost:
    """What the first recording holds and the second, of the same episodes in the same order, does not.

    Args:
        counts: what episodes hold and their counterparts do not (`lost_of_episode`) -> in how many.
    """
    lost = lost_by_reading(before) | _of_fields(before, after) | _of_whole(before, after)
    total = len(before.keys)
    return lost | {name: f"of {count} of {total} episodes: {_NO_PLACE}" for name, count in counts.items()}


def _divides(splits: Mapping[str, Sequence[str]], recording: Recording) -> bool:
    """Whether they say more than that all episodes are one split."""
    return len(splits) > 1 or any(len(keys) < len(recording.keys) for keys in splits.values())


def _of_whole(before: Recording, after: Recording) -> Lost:
    lost: Lost = {}
    said, kept = splits_of(before), splits_of(after)
    if _divides(said, before) and [len(keys) for keys in said.values()] != [len(keys) for keys in kept.values()]:
        lost[f"splits {', '.join(said)}"] = _NO_PLACE
    if before.robot_type and after.robot_type != before.robot_type:
        lost[f"robot_type {before.robot_type}"] = _NO_PLACE
    there, files = extras_of(after).names, extras_of(after).files
    for name, data in extras_of(before).files.items():
        if files.get(name, data) != data:
            lost[name] = "written anew: it named what is not there, or not all that is"
    return lost | {name: _NO_PLACE for name in extras_of(before).names if name not in there}


_WORDS: Mapping[str, Callable[[Field], Any]] = {
    "units": lambda field: "" if field.unit == UNKNOWN else field.unit,
    "modes": lambda field: "" if field.mode == UNKNOWN else field.mode,
    "frames of reference": lambda field: field.frame,
    "roles of cameras": lambda field: field.role,
    "names of elements": lambda field: () if field.is_image else field.layout,
    "shapes": lambda field: field.shape or (1,),
    "bounds": lambda field: (field.low, field.high) if field.low or field.high else (),
}


def _of_fields(before: Recording, after: Recording) -> Lost:
    lost = {field.name: "not read back under this name" for field in before.spec if field.name not in after.spec}
    both = [(field, after.spec[field.name]) for field in before.spec if field.name in after.spec]
    for what, word in _WORDS.items():
        gone = [mine.name for mine, its in both if word(mine) and word(mine) != word(its)]
        if gone:
            lost[f"{what} ({', '.join(gone)})"] = _NO_PLACE
    return lost


def lost_of_episode(mine: RecordedEpisode, its: RecordedEpisode) -> Iterator[str]:
    """Names of what one episode holds and the other does not."""
    if mine.instructions and mine.instructions != its.instructions:
        yield "instructions after the first"
    elif mine.instruction != its.instruction:
        yield "instruction"
    if mine.outcome is not None and mine.outcome != its.outcome:
        same = its.outcome is not None and its.outcome.status == mine.outcome.status
        yield "reason and steps of the outcome" if same else "outcome"
    if mine.id and mine.id != its.id:
        yield "ids of episodes"
    yield from (f"stream {name}" for name in mine.streams if name not in its.streams)
    said, kept = dict(mine.provenance.details), dict(its.provenance.details)
    texts, there = (one.pop("annotations", None) or {} for one in (said, kept))
    yield from (name for name in texts if texts[name] != there.get(name))
    gone = [key for key in sorted(said) if key not in kept]
    if gone or mine.provenance.source != its.provenance.source:
        yield f"provenance {', '.join(['source', *gone])}"
