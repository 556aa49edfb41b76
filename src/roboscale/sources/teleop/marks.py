"""What a driven episode holds beside every other one: who acted, how old the operator's word was, and when.

`is_intervention` marks frames that a person drove while a policy had the episode (DAgger); `policy.action` is what the
policy would have done there, beside `action` (commanded) and `applied.action` (sent).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Frame, Outcome, Spec, Take
from roboscale.sources.teleop.lags import LagMeter

__all__ = ["MARKS", "MarkedTake", "marked_spec"]

MARKS = (
    Field("time.step_ns", (1,), "int64", unit="ns"),
    Field("operator.age_s", (1,), "float32", unit="s"),
)
"""Of every frame: when the action was chosen, on a monotonic clock from the start of the episode, so that a frame that
came late or was left out shows as a gap; and how old the newest word of the operator's page was."""

_INTERVENTION = Field("is_intervention", (1,), "bool")


def marked_spec(spec: Spec, policy: bool) -> Spec:
    """What is recorded: a rollout's own fields, the marks, and with a policy its action and who acted."""
    own = (_INTERVENTION, replace(spec["action"], name="policy.action")) if policy else ()
    return Spec((*spec.fields, *MARKS, *own), spec.rate_hz)


class MarkedTake:
    """A take that adds to every frame what is marked at that moment.

    Args:
        marks: field -> its value now.

    Attributes:
        lags: what the lags of arm and cameras are measured from.
        frames: how many there are.
    """

    def __init__(self, take: Take, marks: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
        self._take, self._marks = take, marks
        self.frames, self.lags = 0, LagMeter()
        self._rows: dict[str, list[NDArray[Any]]] = {}

    def add(self, frame: Frame) -> None:
        """Appends one time step with its marks."""
        self._take.add({**frame, **self._marks()})
        self.lags.add(frame)
        self.frames += 1
        for name, value in frame.items():
            if name == "action" or (name.startswith("observation.") and np.ndim(value) == 1):
                self._rows.setdefault(name, []).append(np.array(value))

    @property
    def numbers(self) -> dict[str, NDArray[Any]]:
        """Field -> (T, D) of the command and of what was observed beside pictures."""
        return {name: np.stack(rows) for name, rows in self._rows.items()}

    def save(self, outcome: Outcome | None = None) -> str:
        return self._take.save(outcome)

    def discard(self) -> None:
        self._take.discard()
