"""What the arrays of somebody's own layout mean: a small TOML file, drafted by `--explain` and corrected by a person.

    episodes = "*"                    # glob below the folder: one file or folder an episode; "." is the whole
    groups = "data/*"                 # HDF5: one group an episode
    split_by = "episode_id"           # several episodes in a file: a column of a table; flags, ends or lengths among
                                      # arrays; "number" for action_0, action_1, ...; "first axis" for (E, T, D)
    fps = 20                          # frames a second
    time = "timestamp"                # array with the time of every row; left out: row number over fps
    time_unit = "s"                   # s, ms, us or ns
    instruction = "Pick up the cup."  # or { source = "task.txt" }
    robot = "my-arm"
    licence = "CC-BY-4.0"

    [fields."observation.state"]
    source = ["joint_*", "gripper"]   # one array, or several side by side; * stands for any letters
    slice = [0, 7]                    # some of its elements
    names = ["j1", "j2"]
    unit = "rad"
    mode = "absolute"

    [fields."observation.images.front"]
    source = "cam0"                   # a folder of pictures, an array of pictures, a column of file names, a video
    time = "cam0_time"                # own times: every frame shows what was there by then
    resample = "previous"             # or nearest
    bgr = false                       # true where red and blue are exchanged

Knows no file: whether the arrays are there is found out when an episode is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from roboscale.core import UNKNOWN, BadData
from roboscale.core.declared import Limit, Mistake, Text, as_declared, read_declared

__all__ = ["OwnField", "OwnMap", "TimeUnit", "load_own_mapping"]

_MAX_BYTES = 2**20
_FPS = Limit("frames a second, greater than 0", lambda fps: 0 < fps <= 1e9)

TimeUnit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """A text file, or a column of texts, that says what is to be done."""

    source: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnField:
    """`[fields."name"]`; see the module."""

    source: str | tuple[str, ...]
    slice: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    unit: str = UNKNOWN
    mode: str = UNKNOWN
    frame: str = ""
    role: str = ""
    time: str = ""
    resample: Literal["previous", "nearest"] = "previous"
    bgr: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,) if isinstance(self.source, str) else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMap:
    """The whole file; see the module."""

    fields: Annotated[Mapping[str, OwnField], Limit("a table with at least one field", bool)]
    fps: Annotated[float, _FPS] | None = None
    episodes: str = ""
    groups: str = ""
    split_by: str = ""
    time: str = ""
    time_unit: TimeUnit = "s"
    instruction: str | TextSource = ""
    robot: str = ""
    licence: str = ""

    def mistakes(self) -> Iterator[Mistake]:
        """A field has to be called something, and a slice has two ends."""
        for name, one in self.fields.items():
            if not name.strip():
                yield "fields", "names that are not empty", repr(name)
            if one.slice and not (len(one.slice) == 2 and 0 <= one.slice[0] < one.slice[1]):
                yield f"fields.{name}.slice", "[first, behind the last]", list(one.slice)
            if not all(one.sources):
                yield f"fields.{name}.source", "names of arrays", list(one.sources)


def load_own_mapping(source: Path | str | Mapping[str, Any], fps: float | None = None) -> OwnMap:
    """A mapping from a TOML file, or from what such a file holds.

    Args:
        fps: used instead of the mapping's own (Hz).

    Raises:
        BadData: names file, key and both sides.
        UnknownName: a key that no mapping has.
    """
    if isinstance(source, Mapping):
        where, said = "mapping", as_declared(source, OwnMap, "mapping")
    else:
        where, said = str(source), read_declared(Path(source), OwnMap, limit=_MAX_BYTES)
    rate = said.fps if fps is None else fps
    if rate is None or not _FPS.fits(rate):
        raise BadData(where, "fps", _FPS.expected, "nothing" if rate is None else rate)
    if any(one.time for one in said.fields.values()) and not said.time:
        raise BadData(where, "time", "the times of the rows, where a field has times of its own", "nothing")
    return said if fps is None else _with_rate(said, rate)


def _with_rate(said: OwnMap, fps: float) -> OwnMap:
    import dataclasses

    return dataclasses.replace(said, fps=fps)
