"""Columns that may be stages of one trial: counted as tasks, each trial would count once for every stage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.results.grid import Texts
from roboscale.results.names import flag, normal_name, trials_in_name
from roboscale.results.roles import Roles
from roboscale.results.values import fraction_of, is_missing, number_of, success_of

__all__ = ["PROPERTIES", "no_stages"]

_VERBS = (
    *("reach", "grasp", "pick", "lift", "place", "touch", "contact", "insert", "approach", "transport", "release"),
    *("greif", "heb", "ableg", "anheb", "erreich"),
)
"""Stages of one trial begin so."""
PROPERTIES = (
    *_VERBS,
    *("collision", "drop", "intervention", "has_", "is_", "was_", "can_", "did_", "n_", "num_"),
)
"""Columns that begin so are stages or properties of a trial, hardly policies."""
_REACHED = re.compile(r"(?:is|has|was|did)_.*|[a-z]+ed(?:_.*)?")
"""Names that say how far one trial came (`grasped`, `placed_in_bin`), where tasks are called `grasp` or `place`."""
_SURPRISE = 3.0
"""Rows that were to be expected to break the order, if columns had nothing to do with each other."""
_OUTCOME = {"success": "success", "counts": "successes", "share": "rate"}


def no_stages(roles: Roles, kinds: Mapping[str, str]) -> None:
    """Where columns beside a policy may be stages of one trial, somebody has to say so.

    They may be where no row has more success in a column than in the one before it, and their names are those of
    stages, or chance would have let at least three rows break that order.

    Args:
        kinds: column -> `success`, `counts` or `share`, in their order.

    Raises:
        BadData: they may be; names the two ways to say what they are.
    """
    reached = [name for name in kinds if _REACHED.fullmatch(normal_name(name))]
    if len(reached) >= 2:
        _refuse(roles, reached, kinds, "what may be stages")
    names = list(kinds)
    if len(names) < 2 or roles.has("task"):
        return
    successes = set(kinds.values()) == {"success"}
    if not successes and not _may_be_counts_of_stages(roles, names):
        return
    table = np.stack([_shares(roles.grid.column(name)) for name in names])
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.size or (table[1:] > table[:-1]).any():
        return
    called = all(normal_name(name).startswith(_VERBS) for name in names)
    if called or (successes and _expected(table) >= _SURPRISE):
        more = "success right of a failure" if successes else "more success further right"
        _refuse(roles, names, kinds, f"what may be stages, since no row has {more}")


def _may_be_counts_of_stages(roles: Roles, names: Sequence[str]) -> bool:
    """Whether counts may be of stages: of the same trials, in too many columns and rows to be in order by chance."""
    columns = [roles.grid.column(name) for name in names]
    tried = [{pair[1] for text in column.used() if (pair := fraction_of(text)) is not None} for column in columns]
    same = all(one == tried[0] for one in tried) and len(set(map(trials_in_name, names))) == 1
    return len(names) > 2 and len(roles.grid) > 1 and same


def _expected(table: NDArray[np.float64]) -> float:
    """How many steps from failure to success were to be expected of columns (rows of `table`) without a connection."""
    return float(((1.0 - table[:-1]).mean(axis=1) * table[1:].mean(axis=1)).sum() * table.shape[1])


def _shares(column: Texts) -> NDArray[np.float64]:
    """How much of each cell succeeded, NaN where it says nothing, shape (n,)."""
    return np.array([_share(text) for text in column.values], np.float64)[column.codes]


def _share(text: str) -> float:
    pair = fraction_of(text)
    if pair is not None:
        return pair[0] / pair[1] if pair[1] else np.nan
    value = np.nan if is_missing(text) else success_of(text)
    number = number_of(text) if value is None else value
    return np.nan if number is None else number


def _refuse(roles: Roles, names: Sequence[str], kinds: Mapping[str, str], found: str) -> None:
    last = flag(_OUTCOME.get(kinds[names[-1]], "success"), names[-1])
    expected = (
        f"to know what these columns are: stages of one trial, of which the last says success ({last}), or tasks of "
        f"their own ({flag('task', '+'.join(names))})"
    )
    raise BadData(roles.path, "columns", expected, f"{found}: {', '.join(names)}")
