"""What an HDF5 recording says of its own rate: an attribute, or recorded times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from roboscale.dataset.lerobot.clock import ClockFacts, clock_facts
from roboscale.sources.records.hdf5.common import attribute, leaves, read_array

__all__ = ["recorded_clock", "said_rate"]

_RATES = (
    *("fps", "rate", "rate_hz", "hz", "freq", "frequency", "frequency_hz", "sample_rate", "sampling_rate"),
    *("control_freq", "control_frequency", "control_hz", "camera_fps", "record_fps", "target_fps"),
)
_STEPS = ("dt", "control_dt", "time_step", "timestep", "control_timestep")  # s
_CLOCKS = ("timestamp", "timestamps", "time", "times", "t")
_SCALES = (1.0, 1e-3, 1e-6, 1e-9)  # of s, ms, us, ns
_PLAUSIBLE_HZ = (0.5, 2000.0)


def said_rate(path: Path, nodes: Iterable[h5py.Group]) -> tuple[float, str] | None:
    """The rate, Hz, that an attribute of one of the groups says, and which; `None` where none does."""
    for node in nodes:
        names = {str(name).lower(): str(name) for name in node.attrs}
        for word in (*_RATES, *_STEPS):
            value = _number(attribute(path, node, names[word])) if word in names else 0.0
            if value > 0:
                rate = value if word in _RATES else 1 / value
                if _PLAUSIBLE_HZ[0] <= rate <= _PLAUSIBLE_HZ[1]:
                    return rate, f"{node.name.rstrip('/')}/ attribute {names[word]}".removeprefix("/ ")
    return None


def recorded_clock(path: Path, file: h5py.Group, length: int) -> tuple[ClockFacts, str] | None:
    """What recorded times of `length` frames say, and where they lie; in the unit that gives a rate of a robot."""
    for name, leaf in leaves(path, file).items():
        if name.rpartition("/")[2].lower() in _CLOCKS and math.prod(leaf.shape) == length > 2:
            facts = _in_seconds(read_array(path, file, name).reshape(-1))
            if facts is not None and not facts.backwards:
                return facts, f"/{name}"
    return None


def _in_seconds(times: NDArray[Any]) -> ClockFacts | None:
    if times.dtype.kind not in "iuf" or not np.isfinite(times).all():
        return None
    since = (times - times[0]).astype(np.float64)  # whole nanoseconds since 1970 are more than a float64 holds
    for scale in _SCALES:
        facts = clock_facts(since * scale)
        if facts is not None and _PLAUSIBLE_HZ[0] <= facts.rate_hz <= _PLAUSIBLE_HZ[1]:
            return facts
    return None


def _number(value: Any) -> float:
    """0 for what is no number."""
    try:
        return float(np.asarray(value).reshape(-1)[0]) if np.size(value) == 1 else 0.0
    except (TypeError, ValueError):
        return 0.0
