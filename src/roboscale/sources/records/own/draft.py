"""A first mapping of somebody's own layout, drafted from what is there, for a person to correct: `--explain`.

Times are measured; everything else is proposed by names and shapes, and says so. Where the rate is not recorded the
draft leaves it open, for only its user knows it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from roboscale.core import BadData
from roboscale.dataset.lerobot.clock import ClockFacts, clock_facts
from roboscale.dataset.pictures import is_deep
from roboscale.sources.records.own.bundle import find_episodes
from roboscale.sources.records.own.held import Held
from roboscale.sources.records.own.mapping import TimeUnit
from roboscale.sources.records.own.recording import seconds

__all__ = ["explain_arrays"]

_TIME = re.compile(
    r"(^|[/_.])(t|ts|time|times|stamp|stamps|timestamp|timestamps|time_?(s|ms|us|ns)|sec|secs|seconds)$", re.I
)
_ACTION = re.compile(r"action|command|cmd|target|goal|desired|setpoint|leader|control|ctrl", re.IGNORECASE)
_STATE = re.compile(
    r"(^|[/_.])(state|states|qpos|joint|joints|joint_?pos\w*|proprio\w*|position|positions|q|robot_state)", re.I
)
_ENDING = re.compile(r"\.(csv|tsv|jsonl?|npz|npy|h5|hdf5|he5|zarr|mp4|mkv|avi|mov|webm)(?=/|$)")
_RATE = re.compile(r"(^|[/_.])(fps|hz|rate|rate_hz|frequency)$", re.IGNORECASE)
_TEXT = re.compile(r"instruction|task|language|prompt|description|text/goal", re.IGNORECASE)
_INDEX = re.compile(r"(^|[/_.])(frame|frame_index|index|step|idx|episode\w*)$", re.IGNORECASE)


def explain_arrays(path: Path) -> str:
    """The drafted mapping as TOML.

    Raises:
        BadData: no episode is found.
    """
    bundles = list(find_episodes(path))
    if not bundles:
        raise BadData(path, "source", "arrays, tables, pictures or videos", "none")
    first = bundles[0]
    there = first.sources()
    sources = _joined(there)
    clocks = {name: clock for name, one in there.items() if (clock := _clock(one)) is not None}
    main = _main_clock(there, clocks)
    lines = [f"# Drafted from {first.key}, the first of {len(bundles)} episodes. Read every line: names can mislead."]
    whole = first.path == path and path.is_dir() and not first.files
    lines += _head(whole, main, clocks, there)
    rows = there[main].rows if main else _usual_rows(there)
    used: set[str] = set()
    for name, group in sources.items():
        if name in clocks:
            continue
        lines.append(_block(name, group, rows, clocks, there, used))
    return "\n".join(lines).rstrip() + "\n"


def _joined(sources: Mapping[str, Held]) -> dict[str, list[Held]]:
    """Columns `joint_0`, `joint_1`, ... as one entry `joint_*`; everything else by itself."""
    groups: dict[str, list[Held]] = {}
    for name, one in sources.items():
        stem = re.sub(r"\d+$", "*", name) if one.kind == "numbers" and not one.shape else name
        groups.setdefault(stem, []).append(one)
    whole: dict[str, list[Held]] = {}
    for stem, group in groups.items():
        if stem.endswith("*") and len(group) > 1:
            whole[stem] = group
        else:
            whole |= {one.name: [one] for one in group}
    return whole


def _clock(source: Held) -> tuple[TimeUnit, ClockFacts] | None:
    """Unit and facts of an array of times; `None` for what is none."""
    if source.kind != "numbers" or int(np.prod(source.shape, dtype=int)) != 1 or not _TIME.search(source.name):
        return None
    values = np.asarray(source.load()).reshape(-1)
    if len(values) < 3 or values.dtype.kind not in "iuf" or not (np.diff(values) >= 0).all():
        return None
    units: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
    for unit in units:  # the first under which it ran between 1 and 1000 Hz
        facts = clock_facts(seconds(values, unit))
        if facts is not None and 0.5 <= facts.rate_hz <= 1001:
            return unit, facts
    return None


def _main_clock(sources: Mapping[str, Held], clocks: Mapping[str, tuple[TimeUnit, ClockFacts]]) -> str:
    """The clock of most rows of numbers; of several the slowest, so that nothing is made up."""
    counts = Counter(one.rows for name, one in sources.items() if one.kind != "texts" and name not in clocks)
    fitting = [name for name in clocks if counts[sources[name].rows]]
    return min(fitting, key=lambda name: (clocks[name][1].rate_hz, name), default="")


def _usual_rows(sources: Mapping[str, Held]) -> int:
    counts = Counter(one.rows for one in sources.values() if one.kind in ("numbers", "pictures"))
    return counts.most_common(1)[0][0] if counts else next(iter(sources.values())).rows


def _head(
    whole: bool,
    main: str,
    clocks: Mapping[str, tuple[TimeUnit, ClockFacts]],
    sources: Mapping[str, Held],
) -> list[str]:
    lines = ['episodes = "."'] if whole else []
    if main:
        unit, facts = clocks[main]
        rate = (
            round(facts.rate_hz) if abs(facts.rate_hz - round(facts.rate_hz)) < 0.05 * facts.rate_hz else facts.rate_hz
        )
        lines += [f"fps = {rate:g}  # {main}: {facts}", f"time = {_quote(main)}", f"time_unit = {_quote(unit)}"]
    elif said := [name for name, one in sources.items() if one.rows == 1 and _RATE.search(name) and _one(one) > 0]:
        lines.append(f"fps = {_one(sources[said[0]]):g}  # {said[0]} says it")
    else:
        lines.append("# fps =  # frames a second: nothing here says it; uncomment, or pass --fps")
    texts = [name for name, one in sources.items() if one.kind == "texts" and _TEXT.search(name)]
    asked = f"{{ source = {_quote(texts[0])} }}" if texts else '""'
    return [*lines, f"instruction = {asked}  # what was asked", 'robot = ""', 'licence = ""', ""]


def _one(source: Held) -> float:
    """A number that stands alone; 0 for anything else."""
    value = source.load() if source.kind == "numbers" and not source.shape else [0]
    return float(np.asarray(value).reshape(-1)[0])


def _block(
    name: str,
    group: Sequence[Held],
    rows: int,
    clocks: Mapping[str, tuple[TimeUnit, ClockFacts]],
    sources: Mapping[str, Held],
    used: set[str],
) -> str:
    first = group[0]
    shape = [len(group)] if len(group) > 1 else list(first.shape)
    head = f"# {name}: {first.kind}, {first.rows} rows" + (f" of {first.dtype}{shape}" if first.dtype else "")
    if first.kind in ("texts", "objects", "files"):
        return f"{head}; not proposed\n"
    if first.kind == "numbers" and (_INDEX.search(name) or first.dtype == "bool"):
        return f"{head}; a running number or a flag, not proposed\n"
    if first.kind == "pictures" and is_deep(_first_picture(first)):
        return f"{head}; more than 8 bits a pixel, such as depth, which no colour video holds: not proposed\n"
    field = _field_name(name, first, used)
    lines = [f"[fields.{_quote(field)}]", f"source = {_quote(name)}"]
    if first.kind == "numbers" and not _pictures(first):
        lines += ['unit = "unknown"', 'mode = "unknown"  # absolute, or relative to what']
    else:
        lines += ['role = ""  # where it looks from: wrist, front, ...']
    own = next((clock for clock in clocks if sources[clock].rows == first.rows != rows), "")
    if first.rows != rows and own:
        lines.append(f"time = {_quote(own)}  # {clocks[own][1]}; every frame shows what was there by then")
    elif first.rows != rows and not (first.kind == "video" and 0 <= first.rows - rows <= 2):
        return f"{head}; {rows} rows elsewhere and no times of its own: not proposed\n"
    return "\n".join([head, *lines]) + "\n"


def _first_picture(source: Held) -> bytes:
    first = source.load()[0]
    return first if isinstance(first, bytes) else first.read_bytes()


def _pictures(source: Held) -> bool:
    return source.kind != "numbers" or (source.dtype == "uint8" and len(source.shape) == 3)


def _field_name(name: str, source: Held, used: set[str]) -> str:
    plain = _ENDING.sub("", name.replace("*", ""))
    last = plain.rstrip("_/").rsplit("/", 1)[-1]
    slug = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower() or "field"
    if _pictures(source):
        short = re.sub(r"^(images?|rgb|pictures|frames|camera|videos?|observations?|obs)_+", "", slug) or slug
        field = f"observation.images.{short}"
    elif _ACTION.search(plain) and "action" not in used:
        field = "action"
    elif _STATE.search(last) and "observation.state" not in used:
        field = "observation.state"
    else:
        field = f"observation.{slug}"
    number, unique = 2, field
    while unique in used:
        unique, number = f"{field}_{number}", number + 1
    used.add(unique)
    return unique


def _quote(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(text)
