"""Which episodes lie in a folder of somebody's own, and which arrays, tables, pictures, videos and texts each has.

An episode is a file, a folder, files of one number, a group of an HDF5 file, or the rows of a table with one number.
Everything in it has a name: the path within the episode, and within a file the array's or column's own. Knows files;
does not know what they mean.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched
from roboscale.dataset.video import probe
from roboscale.sources.records.own.beside import episodes_within, files_beside
from roboscale.sources.records.own.held import Held, Kind
from roboscale.sources.records.own.rows import held_rows, read_rows
from roboscale.sources.records.own.splitting import Cut, cuts_of, part_of

__all__ = ["Bundle", "Held", "by_number", "find_episodes", "names_like"]

PICTURES = (".jpg", ".jpeg", ".png")
HDF5 = (".h5", ".hdf5", ".he5")
TABLES = (".csv", ".tsv")
VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm")
DATA = (*HDF5, *TABLES, ".npz", ".npy")
_READ = (*DATA, *VIDEOS, ".txt")
_EPISODE_COLUMNS = ("episode_index", "episode_id", "episode", "traj_id", "trajectory_id", "demo_id")
_MAX_FILES = 200_000
_OF_ZARR = (".zarray", "zarr.json")
_BROKEN_ARRAYS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    TokenError,
)
"""What numpy and zipfile raise for broken files: one flipped bit claims a password, or a version nobody knows."""


def by_number(text: str) -> list[tuple[int, int | str]]:
    """Sorts `frame_10` after `frame_9`."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text)]


def names_like(sources: Mapping[str, Held], pattern: str) -> list[str]:
    """Names that a pattern means, `joint_*` in the order of their numbers; a name without a star is itself."""
    if pattern in sources:
        return [pattern]
    return sorted(fnmatch.filter(sources, pattern), key=by_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One episode.

    Args:
        key: names it within its recording.
        path: its file or folder.
        group: of an HDF5 file.
        rows: of a table, where several episodes share it: (column, value).
        cut: of arrays, where several episodes share them.
        files: name -> file, where those of an episode lie beside those of others.
    """

    key: str
    path: Path
    group: str = ""
    rows: tuple[str, Any] | None = None
    cut: Cut | None = None
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def sources(self) -> Mapping[str, Held]:
        """Everything it holds, by name; BadData when a file of it is broken."""
        held: Iterator[Held]
        if self.files:
            held = (one for name, path in self.files.items() for one in _in_file(path, name, self))
        else:
            held = _in_folder(self) if self.path.is_dir() else _in_file(self.path, "", self)
        whole = {source.name: source for source in held}
        return whole if self.cut is None else part_of(whole, self.cut)


def find_episodes(root: Path, episodes: str = "", groups: str = "", split_by: str = "") -> Iterator[Bundle]:
    """The episodes at a path, in natural order.

    Args:
        episodes: glob of their files or folders; `.` for the whole; found out when empty.
        groups: glob of HDF5 groups; found out when empty.
        split_by: column of tables that numbers the episodes; found out when empty.
    """
    beside = {} if episodes or groups or split_by else _beside(root)
    if beside:
        yield from (Bundle(key=f"{number}", path=root, files=files) for number, files in beside.items())
        return
    whole = False  # whether a first file has shown that each file is one episode
    for path in _paths(root, episodes, split_by):
        name = path.name if path != root or path.is_file() else root.resolve().name
        key = str(path.relative_to(root)) if path != root else name
        suffix = path.suffix.lower()
        inside = _groups(path, groups) if suffix in HDF5 else []
        values = _split(path, split_by) if suffix in TABLES else None
        if inside:
            yield from (Bundle(key=f"{key}/{group}", path=path, group=group) for group in inside)
        elif values is not None:
            column, numbers = values
            yield from (Bundle(key=f"{key}/{number}", path=path, rows=(column, number)) for number in numbers)
        else:
            one = Bundle(key=key, path=path)
            cuts = [] if whole or suffix in (*TABLES, *VIDEOS) else cuts_of(one.sources(), split_by)
            yield from (dataclasses.replace(one, key=f"{key}/{cut[1]}", cut=cut) for cut in cuts)
            if not cuts:
                whole = True
                yield one


def _beside(root: Path) -> dict[int, Mapping[str, Path]]:
    found: list[Path] = []
    for path in root.rglob("*") if root.is_dir() else ():
        if path.suffix.lower() in PICTURES or path.suffix == ".zarr" or path.name in _OF_ZARR:
            return {}
        if path.suffix.lower() in (*DATA, *VIDEOS, ".txt") and path.is_file():
            found.append(path)
        if len(found) > _MAX_FILES:
            return {}
    return files_beside(root, sorted(found, key=lambda p: by_number(str(p))))


def _paths(root: Path, episodes: str, split_by: str = "") -> list[Path]:
    if root.is_file():
        return [root] if root.suffix.lower() in (*DATA, *VIDEOS) else []
    if episodes == ".":
        return [root]
    if episodes:
        return sorted((p for p in root.glob(episodes) if _holds(p)), key=lambda p: by_number(str(p.relative_to(root))))
    children = [p for p in root.iterdir() if not p.name.startswith(".")]
    files = [p for p in children if p.is_file() and p.suffix.lower() in DATA]
    folders = [p for p in children if p.is_dir() and _holds(p)]
    stores = [p for p in folders if p.suffix == ".zarr"]
    if len(files) == 1 and files[0].suffix.lower() in TABLES and _split(files[0], split_by) is not None:
        return files  # one table of all episodes, with pictures beside it
    if _pictures(root) or (folders and files and len(files) < 2) or _is_store(root):
        return [root]
    if stores or (files and not folders):
        return sorted(stores or files, key=lambda p: by_number(p.name))
    if files:
        return [root]
    if len(folders) == 1 and not _pictures(folders[0]):
        return [folders[0]] if any(_is_data(p) for p in folders[0].iterdir()) else _paths(folders[0], "", split_by)
    folders = sorted(folders, key=_by_name)
    files_of = {folder: sorted(filter(_is_data, folder.iterdir()), key=_by_name) for folder in folders}
    return episodes_within(files_of) or folders


def _by_name(path: Path) -> Any:
    return by_number(path.name)


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (*DATA, *VIDEOS)


def _is_store(path: Path) -> bool:
    return (path / ".zgroup").is_file() or (path / "zarr.json").is_file() or path.suffix == ".zarr"


def _pictures(folder: Path) -> list[Path]:
    there = (p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith("."))
    return sorted(there, key=lambda p: by_number(p.name))


def _holds(path: Path) -> bool:
    """Whether anything below is an array, a table, a picture or a video."""
    if path.is_file():
        return path.suffix.lower() in (*DATA, *VIDEOS)
    for number, one in enumerate(path.rglob("*")):
        if one.suffix.lower() in (*DATA, *VIDEOS, *PICTURES) or one.name in _OF_ZARR:
            return True
        if number > _MAX_FILES:
            break
    return False


def _groups(path: Path, pattern: str) -> list[str]:
    """Groups of an HDF5 file that hold the same arrays each: episodes side by side."""
    from roboscale.sources.records.hdf5.common import leaves, open_file

    require_fetched(path)
    with open_file(path) as file:
        names = list(leaves(path, file))
    parents: dict[str, set[str]] = {}
    for name in names:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            parents.setdefault("/".join(parts[:depth]), set()).add("/".join(parts[depth:]))
    if pattern:
        return sorted(fnmatch.filter(parents, pattern), key=by_number)
    for depth in sorted({parent.count("/") for parent in parents}):
        level = [parent for parent in parents if parent.count("/") == depth]
        numbered = [parent for parent in level if re.search(r"\d+$", parent)]
        if len(numbered) == len(level) and len({frozenset(parents[p]) for p in level}) == 1:
            return sorted(level, key=by_number)
    return []


def _split(path: Path, column: str) -> tuple[str, list[Any]] | None:
    table = _table(path)
    names = [column] if column else [name for name in _EPISODE_COLUMNS if name in table]
    if not names:
        return None
    if names[0] not in table:
        raise BadData(path, "columns", names[0], ", ".join(table)[:200])
    values = list(dict.fromkeys(table[names[0]].tolist()))
    return (names[0], values) if column or len(values) > 1 else None


def _table(path: Path) -> Mapping[str, NDArray[Any]]:
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # the episodes of one table are read one after the other
def _parsed(path: Path, changed_ns: int) -> dict[str, NDArray[Any]]:
    """Columns of a CSV or TSV file with a header; numbers where every cell is one, else texts."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.csv as csv

    require_fetched(path)
    try:
        with path.open("r", encoding="utf-8-sig", errors="strict") as file:
            head = file.readline()
            skipped = 0
            while head.startswith("#") and "," not in head[:2]:
                head, skipped = file.readline(), skipped + 1
            row = file.readline()
        separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=head.count)
        comma = separator != "," and "," in row and "." not in row  # as half of Europe writes numbers
        table = csv.read_csv(
            path,
            csv.ReadOptions(skip_rows=skipped),
            csv.ParseOptions(delimiter=separator),
            csv.ConvertOptions(decimal_point="," if comma else "."),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(path, "table", "rows of CSV with a header", str(error).splitlines()[0][:160]) from error
    columns = {}
    for name in dict.fromkeys(table.column_names):
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):  # seconds, as every clock
            column = column.cast(pa.timestamp("ns")).cast(pa.int64()).cast(pa.float64(), safe=False)
            column = pa.compute.divide(column, 1e9)
        if column.null_count and not str(column.type).startswith(("string", "null")):
            column = column.cast(pa.float64())
        columns[str(name).strip().lstrip("\ufeff")] = column.to_numpy(zero_copy_only=False)
    return columns


def _held(values: Any) -> Any:
    return values


def _rows_of(array: Any) -> Any:
    return array[0 : len(array)]


def _in_folder(bundle: Bundle) -> Iterator[Held]:
    root = bundle.path
    if _is_store(root):
        yield from _in_zarr(root, "")
        return
    folders = [root, *sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: by_number(str(p)))]
    told = [one for path in sorted(root.iterdir()) if path.is_file() for one in _in_rows(path)]
    yield from told
    as_rows = {one.path for one in told}
    of_rows = {file.parent for one in told if one.kind == "pictures" for file in one.load()}
    for folder in folders:
        name = "" if folder == root else str(folder.relative_to(root))
        if any(_is_store(parent) for parent in folder.parents if parent.is_relative_to(root)):
            continue
        if _is_store(folder):
            yield from _in_zarr(folder, f"{name}/")
            continue
        pictures = _pictures(folder)
        if pictures and folder not in of_rows:
            yield Held(
                name=name or ".", kind="pictures", path=folder, rows=len(pictures), load=partial(_held, pictures)
            )
        others: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir(), key=lambda p: by_number(p.name)):
            if path.name.startswith(".") or not path.is_file():
                continue
            if path.suffix.lower() in _READ:
                yield from _in_file(path, f"{path.relative_to(root)}", bundle)
            elif path.suffix.lower() not in PICTURES and path.name != "Thumbs.db" and path not in as_rows:
                others.setdefault(path.suffix.lower(), []).append(path)
        for suffix, files in others.items():
            yield _unread(f"{name}/" if name else "", suffix, files)


def _in_rows(path: Path) -> list[Held]:
    """The columns of a file of JSON in an episode's folder that has an object for each frame."""
    read = read_rows(path) if not path.name.startswith(".") else None
    return [] if read is None else list(held_rows(path, f"{path.name}/", *read))


def _in_file(path: Path, name: str, bundle: Bundle) -> Iterator[Held]:
    """What one file holds; names begin with that of the file where it lies in a folder."""
    suffix, start = path.suffix.lower(), f"{name}/" if name else ""
    if suffix in HDF5:
        yield from _in_hdf5(path, start, bundle.group)
    elif suffix in TABLES:
        yield from _in_table(path, start, bundle.rows)
    elif suffix == ".npz":
        yield from _in_npz(path, start)
    elif suffix == ".npy":
        array = _numpy(path, lambda: np.load(path, mmap_mode="r", allow_pickle=False))
        yield _numbers(
            name.removesuffix(path.suffix) or path.stem, path, array.shape, array.dtype, lambda: np.asarray(array)
        )
    elif suffix in VIDEOS:
        yield Held(name=name or path.name, kind="video", path=path, rows=probe(path).frames, load=lambda: path)
    elif suffix == ".txt" and path.stat().st_size < 2**16:
        yield Held(name=name, kind="texts", path=path, rows=1, load=lambda: [_text(path)])


def _unread(start: str, suffix: str, files: list[Path]) -> Held:
    """Files that nobody here reads, by one name."""
    name = f"{start}*{suffix}" if len(files) > 1 else f"{start}{files[0].name}"
    refuse = partial(_refuse, files[0], files[0].name, f"a file of {', '.join((*_READ, *PICTURES))}", suffix)
    return Held(name=name, kind="files", path=files[0], rows=len(files), load=refuse)


def _refuse(path: Path, name: str, expected: str, found: object) -> Any:
    raise BadData(path, name, expected, found)


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace").strip()


def _numbers(name: str, path: Path, shape: tuple[int, ...], dtype: Any, load: Callable[[], Any]) -> Held:
    rows, kind = (shape[0] if shape else 1), np.dtype(dtype)
    if kind.kind == "M":  # dates become seconds, as every clock
        load, kind = partial(_seconds, load), np.dtype(np.float64)
    which: Kind = "numbers" if kind.kind in "biuf" else "texts"
    return Held(name=name, kind=which, path=path, rows=rows, shape=tuple(shape[1:]), dtype=kind.name, load=load)


def _seconds(load: Callable[[], Any]) -> NDArray[np.float64]:
    return np.asarray(load()).astype("datetime64[ns]").astype(np.int64) / 1e9


def _numpy(path: Path, load: Callable[[], Any]) -> Any:
    require_fetched(path)
    try:
        return load()
    except _BROKEN_ARRAYS as error:
        raise BadData(path, "file", "arrays of numpy without objects", str(error)[:120]) from error


def _in_npz(path: Path, start: str) -> Iterator[Held]:
    """The arrays of an archive by their headers; what is in them is read when somebody asks."""
    for name, shape, dtype in _numpy(path, lambda: _npz_headers(path)):
        if dtype.hasobject:
            refuse = partial(_refused, path, name)
            yield Held(name=f"{start}{name}", kind="objects", path=path, rows=0, load=refuse)
        else:
            yield _numbers(f"{start}{name}", path, shape, dtype, partial(_npz_array, path, name))


def _npz_headers(path: Path) -> list[tuple[str, tuple[int, ...], Any]]:
    headers = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    first = version == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(file)
                    headers.append((member.removesuffix(".npy"), shape, dtype))
    return headers


def _npz_array(path: Path, name: str) -> Any:
    def load() -> Any:
        with np.load(path, allow_pickle=False) as archive:
            return archive[name]

    return _numpy(path, load)


def _refused(path: Path, name: str) -> Any:
    raise BadData(path, name, "an array of numbers", "objects of pickle, which would run code when they are read")


def _in_hdf5(path: Path, start: str, group: str) -> Iterator[Held]:
    """Everything in a file or group: arrays, texts, compressed pictures; what else there is, by its name."""
    from roboscale.sources.records.own.inside import inside_hdf5

    yield from inside_hdf5(path, start, group)


def _in_zarr(path: Path, start: str) -> Iterator[Held]:
    from roboscale.sources.records.zarr.array import ZarrArray
    from roboscale.sources.records.zarr.store import FolderStore, read_json

    store = FolderStore(path)
    files = sorted(file for name in _OF_ZARR for file in path.rglob(name))
    for file in files:
        name = str(file.parent.relative_to(path))
        if file.name == "zarr.json" and (read_json(store, f"{name}/zarr.json") or {}).get("node_type") != "array":
            continue
        array = ZarrArray(store, name)
        if array.shape:
            load = partial(_rows_of, array)
            yield _numbers(f"{start}{name}", path, array.shape, array.dtype, load)


def _in_table(path: Path, start: str, rows: tuple[str, Any] | None) -> Iterator[Held]:
    table = _table(path)
    if rows is not None:
        mine = table[rows[0]] == rows[1]
        table = {name: values[mine] for name, values in table.items() if name != rows[0]}
    for name, values in table.items():
        if values.dtype.kind in "biuf":
            yield _numbers(f"{start}{name}", path, values.shape, values.dtype, partial(_held, values))
            continue
        texts = [str(value) for value in values.tolist()]
        files = [path.parent / text for text in texts]
        if texts and all(file.suffix.lower() in PICTURES for file in files):
            for file in files:
                if not file.resolve().is_relative_to(path.parent.resolve()):
                    raise BadData(path, name, "pictures beside the table", str(file))
            yield Held(name=f"{start}{name}", kind="pictures", path=path, rows=len(files), load=partial(_held, files))
        else:
            yield Held(name=f"{start}{name}", kind="texts", path=path, rows=len(texts), load=partial(_held, texts))
