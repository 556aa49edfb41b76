"""Every error roboscale raises on purpose.

    RoboscaleError
    ├── UnknownName          a name that is not in the list; says the near ones
    ├── SpecMismatch         two sides disagree on what an array means; names both
    ├── BadData              a file that is broken or lies; names file, field and both values
    ├── UsageError           something that was asked makes no sense; names the words
    ├── PolicyError          a policy computed nonsense: the trial is a *failure*
    └── InfrastructureError  a server, robot or process broke: the trial is *void*

The last two decide how a trial is counted, which is why they are types and not messages.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BadData",
    "InfrastructureError",
    "PolicyError",
    "RoboscaleError",
    "SpecMismatch",
    "UnknownChoice",
    "UnknownName",
    "UsageError",
    "near_names",
]


def near_names(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """What may have been meant by a name that is not one of `names`: the nearest first.

    >>> near_names("act", ["act_small", "diffusion"])
    ['act_small']
    """
    return difflib.get_close_matches(name, sorted(names), n=most, cutoff=0.5)


class RoboscaleError(Exception):
    """Base of all errors that a user can mend; the command line prints it without a traceback."""


class UnknownName(RoboscaleError):
    """`name` is not one of `valid`; the message lists the near names, or all when few."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        options = sorted(valid)
        near = near_names(name, options, most=5)
        hint = f"did you mean {', '.join(near)}?" if near else ""
        if len(options) <= 12 or not near:
            hint = f"{hint} valid: {', '.join(options) or 'none'}".strip()
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind, self.name, self.near, self._options = kind, name, near, options

    def __reduce__(self) -> tuple[type[UnknownName], tuple[object, ...]]:
        return type(self), (self.kind, self.name, self._options)  # by its arguments: errors cross processes


class SpecMismatch(RoboscaleError):
    """Two specs that must agree do not; the message has one line per difference."""


class BadData(RoboscaleError):
    """Something on disk is broken.

    Args:
        file: path of the file that is wrong.
        field: the field, column or key in it.
        expected: what it should have been.
        found: what it is.
    """

    def __init__(self, file: object, field: str, expected: object, found: object) -> None:
        super().__init__(f"{file}: {field}: expected {expected}, found {found}")
        self.file, self.field, self.expected, self.found = str(file), field, expected, found

    def __reduce__(self) -> tuple[type[BadData], tuple[object, ...]]:
        return type(self), (self.file, self.field, str(self.expected), str(self.found))


class UsageError(RoboscaleError):
    """What was asked makes no sense, whatever the files say; the command line ends with 2, as for a wrong flag."""


class UnknownChoice(UnknownName, UsageError):
    """What an option was given is not one of its choices."""


class PolicyError(RoboscaleError):
    """The policy itself computed something that is no action (NaN, a wrong shape)."""


class InfrastructureError(RoboscaleError):
    """What carries the trial broke (transport, server, robot, process): no verdict on the policy."""
