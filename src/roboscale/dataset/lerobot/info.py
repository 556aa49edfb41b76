"""What `meta/info.json` of a LeRobot dataset says, of v2.0, v2.1, v3 or GR00T's flavour, however broken.

What is wrong becomes a finding, and where nothing can be read LeRobot's own default stands in, so that the rest can be
looked at. What only a guess would fill is also an error, which `Problems.require` raises for those who must not guess.

Knows JSON and path templates. Does not know parquet, video or episodes.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData, Finding
from roboscale.dataset.checks import finding
from roboscale.dataset.layout import (
    DATA_PATH,
    FORMAT_SPEC,
    INDEX_FEATURES,
    OPAQUE,
    UNREAD,
    VIDEO_PATH,
    confined,
    is_varying,
)
from roboscale.dataset.remote import is_remote
from roboscale.dataset.unfetched import require_fetched

__all__ = [
    "IMAGE_DTYPES",
    "InfoHead",
    "Problems",
    "Template",
    "as_whole",
    "flat_names",
    "numeric_dtype",
    "plain_name",
    "read_head",
    "read_lines",
    "read_object",
    "version_of",
    "with_v",
]

IMAGE_DTYPES = ("video", "image")

_KNOWN = ("v2.0", "v2.1", "v3.0")
_MAX_BYTES = 2**30  # no metadata file of a sane dataset is larger
_MAX_ELEMENTS = 2**26  # of one feature at one time step
_V2_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_V2_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"

Feature = Mapping[str, Any]


@dataclass(slots=True)
class Problems:
    """What is wrong with the metadata.

    Args:
        fatal: the errors among them over which only a guess leads, each with its check.
        lenient: those in whose place something else says what was meant.
    """

    findings: list[Finding] = field(default_factory=list)
    fatal: list[tuple[str, BadData]] = field(default_factory=list)
    lenient: list[tuple[str, BadData]] = field(default_factory=list)

    def refuse(self, check: str, error: BadData, place: str = "", **about: Any) -> None:
        """Something that nobody can read; a stand-in takes its place for those who only look."""
        self.fatal.append((check, error))
        self.findings.append(finding(check, str(error), field=place, evidence={"refused": True}, **about))

    def note(self, check: str, text: str, place: str = "", **about: Any) -> None:
        self.findings.append(finding(check, text, field=place, **about))

    def take(self, check: str, error: BadData, instead: str, place: str) -> None:
        """Something that is wrong, and what is taken instead, for something else says it."""
        self.lenient.append((check, error))
        self.findings.append(finding(check, f"{error}; {instead}", field=place, evidence={"mendable": True}))

    def require(self, but: Collection[str] = (), *, strict: bool = False) -> None:
        """BadData: the first thing that only a guess would fill, checks in `but` aside.

        Args:
            strict: also the first for which something else had to stand in.
        """
        for check, error in [*self.fatal, *(self.lenient if strict else ())]:
            if check not in but:
                raise error


def _read_text(path: Path) -> str:
    try:
        size = 0 if is_remote(path) else path.stat().st_size
        if size > _MAX_BYTES:
            raise BadData(path, "file", f"at most {_MAX_BYTES} bytes", size)
        require_fetched(path)
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        require_fetched(path)
        again = "; fetch or copy it again: nothing else says what the others mean" if path.name == "info.json" else ""
        raise BadData(path, "file", "to exist", f"nothing{again}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(path, "file", "UTF-8 text", error) from error


def _object(text: str, path: Path, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of thousands of digits
        why = str(error)[:120] if text.strip() else "nothing: the file is empty"
        raise BadData(path, where, "JSON", why) from error
    if not isinstance(data, dict):
        raise BadData(path, where, "a JSON object", type(data).__name__)
    return data


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file; BadData when it is missing, broken or only a pointer to one."""
    return _object(_read_text(path), path, "file")


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects of a .jsonl file, each with its place, `line 12`; BadData names a line that is broken."""
    for number, line in enumerate(_read_text(path).split("\n"), 1):  # splitlines() knows more ends than JSON does
        if line.strip():
            yield f"line {number}", _object(line, path, f"line {number}")


def with_v(version: Any) -> Any:
    """`3.0` as `v3.0`: LeRobot's reader takes both."""
    return f"v{version}" if isinstance(version, str) and re.fullmatch(r"[23]\.\d+(\.\d+)?", version) else version


def version_of(root: Path, version: Any) -> Any:
    """The version that `info.json` says, or that of the files where only the other's are here."""
    said = with_v(version)
    if is_remote(root):
        return said
    old, new = (root / "meta/episodes.jsonl").is_file(), (root / "meta/episodes").is_dir()
    if not isinstance(said, str) or old == new:
        return said
    if said.startswith("v3.") and old:
        return "v2.1"
    return "v3.0" if said.startswith("v2.") and new else said


def as_whole(path: Path, where: str, value: Any, low: int) -> int:
    """`value`, when it is a whole number of at least `low` that fits into 31 bits; else BadData."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
        raise BadData(
            path, where, f"an integer >= {low}", (repr(value) if isinstance(value, str) else str(value))[:60]
        )
    return value


@dataclass(frozen=True, slots=True)
class Template:
    """A path of `info.json` with blanks, e.g. `data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet`."""

    root: Path
    text: str

    def fill(self, **values: int | str) -> Path:
        """The path under the root; `blanks` have been checked when the template was read."""
        return self.root / self.text.format(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoHead:
    """`meta/info.json`, with LeRobot's defaults for what is broken in it.

    Args:
        raw: as it was written.
        version: `v3.0` and the like.
        fps: frames a second; 29.97 is a rate, too.
        features: those that are usable, LeRobot's index columns included.
    """

    root: Path
    raw: Mapping[str, Any]
    version: str
    fps: float
    chunks_size: int
    features: Mapping[str, Feature]
    data_path: Template
    video_path: Template

    @property
    def file(self) -> Path:
        return self.root / "meta/info.json"

    @property
    def is_v3(self) -> bool:
        return self.version.startswith("v3.")

    @property
    def robot_type(self) -> str:
        robot = self.raw.get("robot_type")
        return robot if isinstance(robot, str) else ""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Features that are video files."""
        return tuple(name for name, feature in self.features.items() if feature["dtype"] == "video")

    @property
    def numeric(self) -> dict[str, Feature]:
        """Features that are numbers in the tables, LeRobot's index columns included."""
        return {n: f for n, f in self.features.items() if f["dtype"] not in UNREAD and not is_varying(f)}

    @property
    def named(self) -> frozenset[str]:
        """Every feature that is named, usable or not."""
        features = self.raw.get("features")
        return frozenset(features if isinstance(features, dict) else ())


def read_head(root: Path, problems: Problems, templates: Mapping[str, str] | None = None) -> InfoHead | None:
    """`meta/info.json`; `None` where nothing can be made of it. What is wrong goes to `problems`.

    Args:
        templates: what the user says instead of its `data_path` and `video_path`.
    """
    path = root / "meta/info.json"
    try:
        raw = {**read_object(path), **(templates or {})}
        version = raw.get("codebase_version")
        written, version = version, version_of(root, version)
        if not isinstance(version, str) or not version.startswith(("v2.", "v3.")):
            expected = "v2.0, v2.1 or v3.0 (LeRobot converts older ones)"
            other = "none, so it is no LeRobot dataset; --format own-layout reads arrays and videos by a mapping"
            raise BadData(path, "codebase_version", expected, other if version is None else str(version)[:60])
    except BadData as error:
        problems.refuse("info-broken", error, "meta/info.json")
        return None
    is_v3 = version.startswith("v3.")
    if version != with_v(written):
        wrong = BadData(path, "codebase_version", f"{version}, whose files are here", written)
        problems.take("codebase-version", wrong, f"it is read as {version}", "codebase_version")
    _check_writing(root, version, problems)
    features = _features(path, raw, problems)
    fps = _rate(path, raw, features, problems)
    chunks = _limit(path, raw, problems)
    cameras = tuple(name for name, feature in features.items() if feature["dtype"] == "video")
    _check_totals(path, raw, problems, is_v3)
    data = _template(root, raw, "data_path", DATA_PATH if is_v3 else _V2_DATA, ("",), problems)
    video = Template(root, VIDEO_PATH if is_v3 else _V2_VIDEO)
    if cameras:
        video = _template(root, raw, "video_path", video.text, cameras, problems)
    return InfoHead(
        root=root,
        raw=raw,
        version=version,
        fps=fps,
        chunks_size=chunks,
        features=features,
        data_path=data,
        video_path=video,
    )


def _check_writing(root: Path, version: str, problems: Problems) -> None:
    """What our reader passes over and LeRobot's does not: byte order marks, and versions that nobody here knows."""
    here = () if is_remote(root) else sorted((root / "meta").glob("*.json*"))  # behind an address each costs a request
    marked = [path.name for path in here if _has_mark(path)]
    if marked:
        text = f"{', '.join(marked)}: a byte order mark comes before the text, over which LeRobot's reader fails"
        problems.note("info-broken", text, "meta", evidence={"files": marked, "mendable": True})
    if version not in _KNOWN:
        near = "v3.0" if version.startswith("v3.") else "v2.x"
        text = f"info.json says {version}, which nobody here knows; it is read as {near}, and the rest is named"
        problems.note("codebase-version", text, "codebase_version", evidence={"unknown": version})


def _has_mark(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(3) == codecs.BOM_UTF8
    except OSError:
        return False  # whoever reads the file says so


def _rate(path: Path, raw: Mapping[str, Any], features: Mapping[str, Feature], problems: Problems) -> float:
    """fps; where it is no rate, what the text or the cameras say instead. 30 where nothing does."""
    fps = raw.get("fps")
    if not isinstance(fps, bool) and isinstance(fps, (int, float)) and math.isfinite(fps) and 0 < fps < 1e6:
        return float(fps)
    meant = _positive(fps) if isinstance(fps, str) else 0.0
    filmed = {_positive(_of_video(feature, "video.fps")) for feature in features.values()} - {0.0}
    instead, why = (meant, "the text says") if meant else (next(iter(filmed), 0.0), "its cameras' video.fps says")
    error = BadData(path, "fps", "a positive number", repr(fps)[:60])
    if instead and (meant or len(filmed) == 1):
        problems.take("info-broken", error, f"{instead:g} is taken, as {why}", "fps")
        return instead
    problems.refuse("info-broken", error, "fps")
    return 30.0


def _of_video(feature: Feature, key: str) -> Any:
    said = feature.get("info") or feature.get("video_info")
    return said.get(key) if feature["dtype"] == "video" and isinstance(said, dict) else None


def _positive(value: Any) -> float:
    """A positive number below a million; 0 for anything else."""
    try:
        number = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and 0 < number < 1e6 else 0.0


def _meant(value: Any) -> int:
    """The integer that a value of the wrong type says all the same; 0 where there is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0
    return int(value) if isinstance(value, float) and value.is_integer() and 0 < value < 2**53 else 0


def _limit(path: Path, raw: Mapping[str, Any], problems: Problems) -> int:
    try:
        return as_whole(path, "chunks_size", raw.get("chunks_size", 1000), 1)
    except BadData as error:  # a wrong guess leads to files that are not there, which is said
        meant = _meant(raw.get("chunks_size")) or 1000
        problems.take("info-broken", error, f"{meant} is taken", "chunks_size")
        return meant


def _check_totals(path: Path, raw: Mapping[str, Any], problems: Problems, is_v3: bool) -> None:
    """Numbers that nothing of ours needs and loaders do."""
    keys = {"total_episodes": 0, "total_frames": 0, "total_tasks": 0}
    keys |= {"data_files_size_in_mb": 1, "video_files_size_in_mb": 1} if is_v3 else {}
    for key, low in keys.items():
        value = raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            text = f"{key} is {repr(value)[:60]}, expected an integer from {low}"
            evidence = {"claimed": repr(value)[:60], "mendable": True}
            problems.note("info-broken", text, key, evidence=evidence)


def _template(
    root: Path, raw: Mapping[str, Any], key: str, usual: str, cameras: Sequence[str], problems: Problems
) -> Template:
    """A path template that leads to another file for every chunk, file, episode and camera it is asked for."""
    text, path = raw.get(key), root / "meta/info.json"
    blanks = ("chunk_index", "file_index", "episode_chunk", "episode_index", "video_key", "camera")
    if text is None:
        error = BadData(path, key, "a path with blanks", "none")
        problems.take("path-template", error, f"LeRobot's own is taken: {usual}", key)
        return Template(root, usual)
    try:
        if not isinstance(text, str) or len(text) > 1000 or "\0" in text:
            raise BadData(path, key, "a path with blanks", str(text)[:60])
        if _blanks(text, blanks) is None:
            error = BadData(path, key, f"a template of {', '.join(blanks)}", text[:120])
            text = _renamed(text, blanks)
            if text is None:
                raise error
            problems.take("path-template", error, f"it is read as {text}", key)
        places = set()
        for camera in cameras:
            for number in (0, 1):
                names = ("chunk_index", "file_index", "episode_chunk", "episode_index")
                words = {"video_key": camera, "camera": camera.rsplit(".", 1)[-1]}
                filled = text.format(**dict.fromkeys(names, number), **words)
                places.add(confined(root, filled, path, key))
        if len(places) < 2 * len(cameras):
            raise BadData(path, key, "another path for every file", text[:120])
        return Template(root, text)
    except (BadData, ValueError) as error:
        bad = error if isinstance(error, BadData) else BadData(path, key, "a template", error)
        problems.refuse("path-template", bad, key)
        return Template(root, usual)


_SYNONYMS = {
    **dict.fromkeys(("chunk", "chunk_id", "chunk_idx"), "chunk_index"),
    **dict.fromkeys(("file", "file_id", "file_idx"), "file_index"),
    **dict.fromkeys(("episode", "ep", "episode_id", "episode_idx", "episode_number", "ep_index"), "episode_index"),
    **dict.fromkeys(("key", "cam", "camera_key", "camera_name", "image_key", "view"), "video_key"),
}
"""Blanks of other writers, and LeRobot's that mean the same."""


def _renamed(text: str, known: Collection[str]) -> str | None:
    """A template with LeRobot's own blanks; `None` where it has blanks that nobody knows."""
    meant = re.sub(r"\{(\w+)(?=[:}])", lambda found: f"{{{_SYNONYMS.get(found[1], found[1])}", text)
    return meant if _blanks(meant, known) is not None else None


def _blanks(text: str, known: Collection[str]) -> list[str] | None:
    """Names of the blanks; `None` where one is unknown, asks for an attribute, or is formatted in another way."""
    try:
        parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        return None
    fine = all(name in known and FORMAT_SPEC.fullmatch(spec or "") and not how for _, name, spec, how in parts)
    return [str(name) for _, name, _, _ in parts] if fine else None


def _features(path: Path, raw: Mapping[str, Any], problems: Problems) -> dict[str, Feature]:
    given = raw.get("features")
    if not isinstance(given, dict) or not given:
        error = BadData(path, "features", "an object that names the features", str(given)[:60])
        problems.refuse("info-broken", error, "features")
        given = {}
    good: dict[str, Feature] = {}
    for name, feature in given.items():
        try:
            good[name] = _feature(path, name, feature)
        except BadData as error:
            problems.refuse("feature-broken", error, name)
            continue
        _check_names(name, good[name], problems)
        _check_slash(path, name, given, problems)
    return {**good, **{name: dict(usual) for name, usual in INDEX_FEATURES.items() if name not in good}}


def _feature(path: Path, name: str, feature: Any) -> Feature:
    where = f"features.{name}"
    if "\0" in name or "\\" in name or {"", ".", ".."} & {*name.split("/")}:
        raise BadData(path, where, "a name without /", repr(name)[:60])
    if isinstance(feature, dict) and feature.get("dtype") in OPAQUE:
        return feature if isinstance(feature.get("shape"), list) else {**feature, "shape": [1]}
    if not isinstance(feature, dict) or not {"dtype", "shape"} <= feature.keys():
        raise BadData(path, where, "dtype and shape", str(feature)[:60])
    dtype, shape = feature["dtype"], feature["shape"]
    if not isinstance(dtype, str):
        raise BadData(path, f"{where}.dtype", "a name", str(dtype)[:60])
    shape = [shape] if isinstance(shape, int) else shape
    if not isinstance(shape, list) or len(shape) > 5:
        raise BadData(path, f"{where}.shape", "a list of up to 5 sizes", str(shape)[:60])
    if is_varying({"dtype": dtype, "shape": shape}):
        return {**feature, "shape": shape}
    sizes = [as_whole(path, f"{where}.shape", size, 1) for size in shape]
    if math.prod(sizes) > _MAX_ELEMENTS:
        raise BadData(path, f"{where}.shape", f"at most {_MAX_ELEMENTS} elements", shape)
    if dtype not in UNREAD:
        try:
            np.dtype(dtype)
        except (TypeError, ValueError, SyntaxError):
            raise BadData(path, f"{where}.dtype", "a numpy dtype, video, image or string", dtype[:60]) from None
    return {**feature, "shape": sizes} if sizes != feature["shape"] or any(map(_is_float, shape)) else feature


def _is_float(size: Any) -> bool:
    return isinstance(size, float)


def plain_name(name: str) -> str:
    """What a feature is called here: LeRobot refuses a `/` in names, and tables of other writers have it.

    >>> plain_name("observation/state")
    'observation.state'
    """
    return name.replace("/", ".")


def _check_slash(path: Path, name: str, given: Mapping[str, Any], problems: Problems) -> None:
    if "/" not in name:
        return
    plain = plain_name(name)
    if plain in given or plain in INDEX_FEATURES:
        error = BadData(path, f"features.{name}", f"a name without / that no other feature has ({plain} has)", name)
        problems.refuse("feature-broken", error, name)
        return
    error = BadData(path, f"features.{name}", "a name without /, which LeRobot refuses", repr(name)[:60])
    problems.take("feature-broken", error, f"it is read as {plain}", name)


def _check_names(name: str, feature: Feature, problems: Problems) -> None:
    """Other people's names: nested, or more or fewer than elements."""
    shape, (names, nested) = feature["shape"], flat_names(feature.get("names"))
    expected = shape[0] if len(shape) == 1 else max(1, len(shape))
    if nested:
        text = f"names of {name} are a list within a list: [[...]] where LeRobot writes [...]"
        problems.note("names-nested", text, name, evidence={"claimed": "[[...]]", "elements": len(names)})
    elif names and len(names) != expected:
        text = f"{name} has {len(names)} names for {expected} elements or axes"
        problems.note("names-count", text, name, evidence={"names": len(names), "shape": shape})


def flat_names(names: Any) -> tuple[tuple[str, ...], bool]:
    """Names of a feature's elements as one tuple, and whether they were nested one level too deep.

    LeRobot's own recorders write `["x", "y"]` or `{"motors": ["x", "y"]}`; converters write `[["x", "y"]]`, too.
    Empty when they are anything else.
    """
    if isinstance(names, dict):
        values = list(names.values())
        if values and all(isinstance(value, int) for value in values):
            return tuple(sorted(names, key=lambda name: int(names[name]))), False
        names = [item for value in values if isinstance(value, list) for item in value]
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names), False
    if isinstance(names, list) and names and all(isinstance(part, list) for part in names):
        flat = [name for part in names for name in part]
        return (tuple(flat), True) if all(isinstance(name, str) for name in flat) else ((), True)
    return (), False


def numeric_dtype(name: str) -> np.dtype[Any] | None:
    """The numpy dtype, when it is one of numbers."""
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        return None
    return dtype if dtype.kind in "fiub" and dtype.itemsize <= 8 and dtype.subdtype is None else None
