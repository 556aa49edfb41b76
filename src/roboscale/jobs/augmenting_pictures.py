"""Copies of episodes whose recorded pictures are changed, without the world that they were recorded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, Provenance, RoboscaleError, UnknownName, combine, derive_id, generator

if TYPE_CHECKING:
    from roboscale.dataset import Dataset, DatasetWriter
    from roboscale.sources.pictures import Repaint

__all__ = ["ForegroundMask", "Repainting", "parse_masks", "repaint"]

_BRIGHT = 127  # a mask that is kept as video is white where it is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class ForegroundMask:
    """Which pixels of a camera are no background.

    Args:
        camera: whose. field: a picture that is white there, or numbers (H, W).
        nearer_than: of numbers, such as depth in metres: what is below this; `None` for a picture.
    """

    camera: str
    field: str
    nearer_than: float | None = None

    def kept(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """(H, W), of one frame."""
        if self.nearer_than is not None:
            flat = values.reshape(values.shape[:2])
            return (flat > 0) & (flat < self.nearer_than)
        return values.max(axis=-1) > _BRIGHT if values.ndim == 3 else values > _BRIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Repainting:
    """How the pictures of a dataset are changed.

    Args:
        changes: names of `PICTURE_CHANGES`. strongest: strengths are drawn from 0 to this level.
        masks: by camera; those that `background` acts on.
        behind: pictures that take the background's place; drawn colours where there is none.
        seed: of everything drawn.
    """

    changes: tuple[str, ...]
    strongest: float
    seed: int
    masks: Mapping[str, ForegroundMask]
    behind: tuple[Path, ...] = ()


def parse_masks(texts: Sequence[str], dataset: Dataset) -> dict[str, ForegroundMask]:
    """`CAMERA=FIELD` or `CAMERA=FIELD<METRES` -> masks by the camera's whole name.

    Raises:
        UnknownName: no such camera or field.
        RoboscaleError: another form, or a mask of another size than the camera.
    """
    cameras = {f.name.rsplit(".", 1)[-1]: f for f in dataset.spec.images} | {f.name: f for f in dataset.spec.images}
    made = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        where, less, limit = rest.partition("<")
        if not equals or not where:
            raise RoboscaleError(f"--mask {text}: expected CAMERA=FIELD or CAMERA=FIELD<METRES")
        if name not in cameras:
            raise UnknownName("camera", name, cameras)
        if where not in dataset.spec.names:
            raise UnknownName("field of the mask", where, dataset.spec.names)
        try:
            nearer = float(limit) if less else None
        except ValueError:
            raise RoboscaleError(f"--mask {text}: expected a number of metres behind <, found {limit!r}") from None
        field, camera = dataset.spec[where], cameras[name]
        if field.shape[:2] != camera.shape[:2]:
            raise RoboscaleError(f"--mask {text}: {camera.name} is {camera.shape}, {where} is {field.shape}")
        if nearer is None and not field.is_image and len(field.shape) != 2:
            raise RoboscaleError(f"--mask {text}: {where} is {field.shape} of {field.dtype}, no picture of a mask")
        made[camera.name] = ForegroundMask(camera=camera.name, field=where, nearer_than=nearer)
    return made


def repaint(
    asked: Repainting, dataset: Dataset, copies: int, sink: DatasetWriter, on_copy: Callable[[int, str | None], None]
) -> None:
    """Adds the copies that are missing.

    Args:
        on_copy: told of each its frames and the digest of its numbers; 0 and `None` of one that was there.
    """
    there, behind = set(sink.episode_ids), [_read(path) for path in asked.behind]
    sizes = [asked.changes, asked.strongest, [[m.camera, m.field, m.nearer_than] for m in asked.masks.values()]]
    recipe = combine("repainting", sizes, [picture.tobytes() for picture in behind]).digest
    for index, info in enumerate(dataset.episodes):
        for copy in range(copies):
            id_ = derive_id("repainted", info.id, recipe, asked.seed, copy)
            if id_ in there:
                on_copy(0, None)
                continue
            on_copy(info.length, _copy(asked, dataset, index, copy, behind, (id_, sink)))


def _copy(
    asked: Repainting,
    dataset: Dataset,
    index: int,
    copy: int,
    behind: Sequence[NDArray[np.uint8]],
    into: tuple[str, DatasetWriter],
) -> str:
    from roboscale.sources.pictures import draw_change

    info, spec = dataset.episodes[index], dataset.spec
    rng = generator("repainted", info.id, asked.seed, copy)
    seen = tuple(f.name for f in spec.images if f.name not in {m.field for m in asked.masks.values()})
    change = draw_change(asked.changes, asked.strongest, seen, rng)
    parent = dataset.episode(index)
    numbers = {f.name: np.asarray(parent.arrays[f.name]) for f in spec if not f.is_image}
    geometry = (
        {f.name: change.picture_from_parent(f.name, f.shape[1], f.shape[0]).tolist() for f in spec.images}
        if "crop" in asked.changes
        else {}
    )
    columns = numbers | _moved_intrinsics(spec.images, numbers, change, str(dataset.root))
    equal = {name: array for name, array in numbers.items() if columns[name] is array}
    digest = combine("numbers", equal).digest
    known = info.provenance or Provenance(source="unknown")
    details = {**known.details, "augmented": dict(change.values), "numbers": digest, "picture_from_parent": geometry}
    provenance = replace(known, source="pictures.augment", parents=(info.id,), details=details)
    walls = {f.name: _wall(f, behind, rng) for f in spec.images if f.name in asked.masks}
    id_, sink = into
    take = sink.begin(info.instruction, provenance, episode_id=id_)
    try:
        for k in range(info.length):
            frame = {name: array[k] for name, array in columns.items()}
            for f in spec.images:
                frame[f.name] = _picture(asked, change, f, parent.arrays, k, walls.get(f.name))
            take.add(frame)
        take.save(info.outcome)
    except BaseException:
        take.discard()
        raise
    return digest


def _picture(
    asked: Repainting,
    change: Repaint,
    camera: Field,
    arrays: Mapping[str, Any],
    k: int,
    wall: NDArray[np.uint8] | None,
) -> NDArray[np.uint8]:
    picture = np.asarray(arrays[camera.name][k])
    for mask in asked.masks.values():
        if mask.field == camera.name:  # it stays a mask, and follows its camera
            return change.cropped(mask.camera, picture)
    mask_here = asked.masks.get(camera.name)
    kept = None if mask_here is None else mask_here.kept(np.asarray(arrays[mask_here.field][k]))
    return change.apply(camera.name, picture, kept=kept, behind=wall)


def _moved_intrinsics(
    cameras: Sequence[Field], numbers: Mapping[str, NDArray[Any]], change: Repaint, where: str
) -> dict[str, NDArray[Any]]:
    """The columns of intrinsics as they are after a crop; which camera one belongs to is said by its name.

    Raises:
        BadData: it names no camera, where there are several.
    """
    from roboscale.dataset.sensors import camera_fact_of, words_of
    from roboscale.sources.pictures import changed_intrinsics

    moved = {}
    for name, array in numbers.items() if "crop.lost" in change.values else ():
        if camera_fact_of(Field(name, array.shape[1:], str(array.dtype))) != "intrinsics":
            continue
        named = [f for f in cameras if f.name.rsplit(".", 1)[-1] in words_of(name) | {name.rsplit(".", 1)[-1]}]
        named = named or (list(cameras) if len(cameras) == 1 else [])
        if len(named) != 1:
            raise BadData(where, name, "a name with that of one camera in it", ", ".join(f.name for f in cameras))
        one = named[0]
        moved[name] = changed_intrinsics(array, change.picture_from_parent(one.name, one.shape[1], one.shape[0]), name)
    return moved


def _wall(camera: Field, behind: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What stands behind everything in one copy, (H, W, 3): one of the pictures, or a blend of drawn colours."""
    from PIL import Image

    height, width = camera.shape[:2]
    small = behind[int(rng.integers(len(behind)))] if behind else rng.integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        return np.asarray(Image.open(path).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise BadData(path, "background", "a picture", error) from error
