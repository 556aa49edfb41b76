"""Several sources become one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from roboscale.core import Counted, Stratum, UnknownName, identity_labels
from roboscale.results.cases import joined_trials
from roboscale.results.conditions import conditioned
from roboscale.results.nouns import Preferences, Results, TablePart, TrialColumns, by_name
from roboscale.results.reading import AS_THEY_ARE, LeftOut, Pairing, ReadOptions, ResultsReading

__all__ = ["join_results"]

_SIGNS = re.compile(r"[\s_\-–]+")
BETWEEN = " · "
"""Stands between world, place and robot in a stratum's world."""


def join_results(parts: Sequence[Results], options: ReadOptions = AS_THEY_ARE) -> Results:
    """All sources as one; a policy of ours and one of the same name in somebody's file stay two.

    Raises:
        BadData: equal case numbers may or may not be the same case, or a policy has two trials of one.
        UnknownName: a task or a world is asked for that nobody tried.
    """
    own = tuple(trial for part in parts for trial in part.own)
    tables = [table for part in parts for table in part.parts]
    if own:
        tables = _told_apart(tables, own)
    for kind, wanted, fits in (
        ("task", options.task, lambda s: options.task in (s.task, *s.task.split(", "))),
        ("world", options.world, lambda s: options.world in (s.world, *s.world.split(BETWEEN))),
    ):
        if wanted:
            tables = _only(tables, kind, wanted, fits)
    trials = joined_trials(tables, options)
    if not trials.paired and (apart := conditioned(tables)) is not None:
        trials = joined_trials(apart, options)
    preferences = Preferences.joined([table.preferences for table in trials.parts])
    pairing: Pairing = "preferences" if len(preferences) else "paired" if trials.paired else "independent"
    text = trials.text
    if len(preferences):
        text = f"who was preferred, {int(preferences.weight.sum()):,} times" + (
            f"; {text}" if len(trials.columns) else ""
        )
    return Results(
        source=", ".join(part.source for part in parts),
        columns=trials.columns,
        preferences=preferences,
        own=own,
        reading=ResultsReading(
            tables=tuple(table.reading for table in trials.parts),
            pairing=pairing,
            case=text,
            paired=trials.paired,
            notes=_nearly_the_same(trials.columns, preferences),
        ),
        adaptive=any(part.adaptive for part in parts),
        parts=tuple(tables),
    )


def _nearly_the_same(trials: TrialColumns, preferences: Preferences) -> tuple[str, ...]:
    """Lines about names that may be one: they differ in capitals, blanks, dashes or the width of their signs alone."""
    strata = [*trials.strata, *preferences.strata]
    lines = []
    for kind, names in (
        ("policies", [*trials.policies, *preferences.policies]),
        ("tasks", [stratum.task for stratum in strata]),
        ("worlds", [stratum.world for stratum in strata]),
    ):
        alike: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            alike.setdefault(_SIGNS.sub("", unicodedata.normalize("NFKC", name).casefold()), []).append(name)
        lines += [
            f"{kind} {' and '.join(map(repr, group))} differ in capitals, blanks or signs alone and are not taken for "
            "one: write them alike in the table if they are"
            for group in alike.values()
            if len(group) > 1
        ]
    return tuple(lines)


def _only(tables: Sequence[TablePart], kind: str, wanted: str, fits: Callable[[Stratum], bool]) -> list[TablePart]:
    """Rows of some strata."""
    if not any(fits(s) for table in tables for s in (*table.columns.strata, *table.preferences.strata)):
        tables = conditioned(tables) or tables
    strata = [s for table in tables for s in (*table.columns.strata, *table.preferences.strata)]
    if not any(fits(stratum) for stratum in strata):
        names = (
            {s.task for s in strata} if kind == "task" else {w for s in strata for w in s.world.split(BETWEEN) if w}
        )
        raise UnknownName(kind, wanted, names)
    made = []
    for table in tables:
        right = np.array([fits(s) for s in table.columns.strata], np.bool_)
        keep = right[table.columns.stratum] if len(right) else np.zeros(0, np.bool_)
        chosen = np.array([fits(s) for s in table.preferences.strata], np.bool_)
        also = chosen[table.preferences.stratum] if len(chosen) else np.zeros(0, np.bool_)
        left = int((~keep).sum() + (~also).sum())
        reading = table.reading
        if left:
            reading = replace(reading, left_out=(*reading.left_out, LeftOut(left, f"not of {kind} {wanted}")))
        made.append(
            replace(
                table,
                reading=reading,
                columns=table.columns.where(keep),
                preferences=table.preferences.where(also),
                row=table.row[keep] if len(table.row) else table.row,
                attempt=None if table.attempt is None else table.attempt[keep],
                unknown=tuple((name, column.where(keep)) for name, column in table.unknown),
            )
        )
    return made


def _told_apart(tables: Sequence[TablePart], own: Sequence[Counted]) -> list[TablePart]:
    """The tables under names of policies that are unique among all policies of ours and of files."""
    told = [by_name("policy", name) for table in tables if not table.own for name in table.columns.policies]
    labels = identity_labels([*(trial.policy for trial in own), *told])
    made = []
    for table in tables:
        if table.own:
            made.append(replace(table, columns=TrialColumns.of_counted(table.own, labels)))
            continue
        names = {name: labels[by_name("policy", name)] for name in table.columns.policies}
        runs = tuple(names.get(run, run) for run in table.columns.runs)
        made.append(replace(table, columns=replace(table.columns, policies=tuple(names.values()), runs=runs)))
    return made
