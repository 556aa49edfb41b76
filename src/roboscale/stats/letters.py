"""The compact letter display: policies that share a letter were not shown to differ.

Knows nothing of tests; it is told which pairs differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_letters

__all__ = ["letters"]


def letters(names: Sequence[str], significant: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters such that two policies share one exactly when no difference between them was shown.

    Starts with one group of all; each pair that differs splits the groups holding both, and groups inside others are
    dropped. The order in which pairs are given changes nothing.

    Args:
        names: the policies, best first; the best has the letter a.
        significant: pairs that differ, in either order.

    Returns:
        Letters by name, in the order of `names`; `a` for a single policy. A 53rd letter and later ones are written
        as (53), (54) ...

    Source: Piepho, J. Comput. Graph. Stat. 13 (2004), insert and absorb.

    Raises:
        ValueError: a name given twice, a pair of an unknown name or of a name with itself.
    """
    place = {name: at for at, name in enumerate(names)}
    if len(place) != len(names):
        raise ValueError("a policy is named twice")
    groups = [frozenset(place.values())]
    for first, second in sorted(_pairs(significant, place)):
        split = [part for group in groups for part in _without_both(group, first, second)]
        groups = _absorb(split)
    groups = sorted(groups, key=sorted)
    return {name: "".join(_letter(at) for at, group in enumerate(groups) if place[name] in group) for name in names}


def _pairs(significant: Iterable[tuple[str, str]], place: dict[str, int]) -> set[tuple[int, int]]:
    pairs = set()
    for first, second in significant:
        if first not in place or second not in place or first == second:
            raise ValueError(f"{first!r} and {second!r} are not two of the policies {', '.join(place)}")
        at = sorted((place[first], place[second]))
        pairs.add((at[0], at[1]))
    return pairs


def _without_both(group: frozenset[int], first: int, second: int) -> tuple[frozenset[int], ...]:
    return (group - {first}, group - {second}) if first in group and second in group else (group,)


def _absorb(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """The groups that are inside no other, each once."""
    distinct = set(groups)
    return [group for group in distinct if not any(group < other for other in distinct)]


def _letter(at: int) -> str:
    return ascii_letters[at] if at < len(ascii_letters) else f"({at + 1})"
