"""Several sources become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roboscale.core import Counted, identity_labels
from roboscale.results.nouns import Preferences, Results, TrialColumns, by_name
from roboscale.results.reading import Pairing, ResultsReading

__all__ = ["join_results"]


def join_results(parts: Sequence[Results]) -> Results:
    """All sources as one; a policy of ours and one of the same name in somebody's file stay two."""
    if len(parts) == 1:
        return parts[0]
    own = tuple(trial for part in parts for trial in part.own)
    columns = TrialColumns.joined(_told_apart(parts, own) if own else [part.columns for part in parts])
    preferences = Preferences.joined([part.preferences for part in parts])
    paired = bool(parts) and all(part.paired for part in parts if len(part.columns))
    pairing: Pairing = "preferences" if len(preferences) else "paired" if paired else "independent"
    return Results(
        source=", ".join(part.source for part in parts),
        columns=columns,
        preferences=preferences,
        own=own,
        reading=ResultsReading(
            tables=tuple(table for part in parts for table in part.reading.tables),
            pairing=pairing,
            case="; ".join(dict.fromkeys(part.reading.case for part in parts)),
            paired=paired,
            notes=tuple(note for part in parts for note in part.reading.notes),
        ),
        adaptive=any(part.adaptive for part in parts),
    )


def _told_apart(parts: Sequence[Results], own: Sequence[Counted]) -> list[TrialColumns]:
    """The columns of each part under names that are unique among all policies of ours and of files."""
    told = [by_name("policy", name) for part in parts if not part.own for name in part.columns.policies]
    labels = identity_labels([*(trial.policy for trial in own), *told])
    columns = []
    for part in parts:
        if part.own:
            columns.append(TrialColumns.of_counted(part.own, labels))
        else:
            names = {name: labels[by_name("policy", name)] for name in part.columns.policies}
            runs = tuple(names.get(run, run) for run in part.columns.runs)
            columns.append(replace(part.columns, policies=tuple(names.values()), runs=runs))
    return columns
