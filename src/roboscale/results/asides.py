"""Columns that say when a trial was, by whom, where it was filmed, or a remark: nothing of what was tried."""

from __future__ import annotations

from roboscale.results.names import COLUMNS, normal_name, strength

__all__ = ["is_aside"]

_WHEN = "date day time timestamp datetime date_time created created_at started started_at start_time ended ended_at "
_WHEN += "end_time finished finished_at wall_time recorded_at week weekday"
_WHO = "operator operators operator_id evaluator evaluator_id annotator rater experimenter tester observer user "
_WHO += "recorded_by tested_by author initials"
_WORDS = "note notes comment comments remark remarks observation observations failure_note failure_notes memo todo"
_WHERE = "video video_path video_url film url link file filename file_name path commit git_commit git_hash uuid hash"
_ASIDES = frozenset(f"{_WHEN} {_WHO} {_WORDS} {_WHERE}".split())


def is_aside(name: str) -> bool:
    """Whether a column's name says that it is a time, a person, a remark or a file, and gives it no role.

    >>> [is_aside(name) for name in ("Datum", "Bemerkung", "Operator", "object", "success")]
    [True, True, True, False, False]
    """
    return normal_name(name) in _ASIDES and all(strength(role, name) is None for role in COLUMNS)
