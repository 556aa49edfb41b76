"""A table with printed sheets of tags, boxes and walls as a moving camera sees it, by asking every ray what it hits.

Everything is a flat picture in space, so that a ray's hit is one product with a 3 x 3 matrix and the truth is exact. A
lens is `Lens` (fisheye); blur is the mean over an exposure, a rolling shutter another pose for every row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from roboscale.sources.handheld.lens import Lens
from roboscale.sources.handheld.tag_sheet import TagSheet, tag_bits, tag_sheets

__all__ = [
    "SMALL",
    "BoardScene",
    "Level",
    "Nodding",
    "Swing",
    "TableScene",
    "camera_lens",
    "felt_motion",
    "write_clip",
    "write_sheets",
]

Array = NDArray[np.float64]

_PX_MM = 2  # texture of a sheet


def camera_lens(width: int = 320) -> Lens:
    """A fisheye of 3:4, about 105 degrees wide."""
    return Lens(
        width=width,
        height=width * 3 // 4,
        fx=0.53 * width,
        fy=0.53 * width,
        cx=0.497 * width,
        cy=0.378 * width,
        k=(0.03, -0.008, 0.004, -0.001),
    )


SMALL = camera_lens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How hard a clip is.

    Args:
        contrast: of everything but the sheets, 1 for a rich texture.
        blur_s: exposure; readout_s: from the first row to the last.
        noise: standard deviation in levels of 255.
    """

    contrast: float = 1.0
    blur_s: float = 0.0
    readout_s: float = 0.0
    noise: float = 2.0


class Swing:
    """A hand's motion above the table: `pose(t)` is `world_from_camera`, smooth, and differs by `seed`.

    Args:
        pace: of all of it; 1 is about .3 m/s.
    """

    def __init__(self, seed: int = 0, pace: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self._phase = rng.uniform(0, 2 * np.pi, (3, 6))
        self._rate = rng.uniform(0.25, 0.6, (3, 6)) * 2 * np.pi * pace
        self._size = np.array([0.1, 0.1, 0.06, 0.12, 0.12, 0.3])

    def pose(self, t: float) -> tuple[Array, Array]:
        x, y, z, pitch, roll, yaw = (self._size * np.sin(self._rate * t + self._phase)).mean(axis=0) * 1.7
        at = np.array([x, y - 0.22, 0.4 + z])
        base = Rotation.from_euler("x", np.pi + 0.5)  # down, and a little ahead
        turn = Rotation.from_euler("z", yaw) * base * Rotation.from_euler("xy", [pitch, roll])
        return turn.as_matrix(), at


@dataclass(frozen=True, slots=True)
class _Flat:
    """A picture in space: corner, two unit axes, metres each, texture (rows along the second axis)."""

    corner: Array
    along: Array
    up: Array
    size: tuple[float, float]
    texture: NDArray[np.float32]


def _speckle(rng: np.random.Generator, rows: int, columns: int, contrast: float) -> NDArray[np.float32]:
    """Blotches of several sizes."""
    import cv2

    made = np.zeros((rows, columns), np.float32)
    for cell in (3, 6, 14, 40, 110):
        grid = rng.normal(0, 1, (max(rows // cell, 2), max(columns // cell, 2))).astype(np.float32)
        made += cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return (128 + contrast * 32 * made).clip(5, 250)


def _sheet_texture(sheet: TagSheet) -> NDArray[np.float32]:
    """The paper, its first row at y = 0."""
    paper = np.full((round(sheet.height_mm * _PX_MM), round(sheet.width_mm * _PX_MM)), 235, np.float32)
    for tag in sheet.tags:
        edge = round(tag.size_mm * _PX_MM / 6)
        bits = np.kron(np.where(tag_bits(tag.number), 15, 235), np.ones((edge, edge)))[::-1]
        row, column = (round(v * _PX_MM - len(bits) / 2) for v in (tag.y_mm, tag.x_mm))
        paper[row : row + len(bits), column : column + len(bits)] = bits
    return paper


class TableScene:
    """See the module.

    Args:
        sheets: printed sheets by name on the table: centre (x, y) in metres and its turn in radians.
        moved: number of a tag on the sheet `layout` -> (x, y) mm by which it lies elsewhere than printed.
    """

    def __init__(
        self,
        *,
        contrast: float = 1.0,
        seed: int = 0,
        sheets: dict[str, tuple[float, float, float]] | None = None,
        moved: dict[int, tuple[float, float]] | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        x, y, z = np.eye(3)
        flats = [_Flat(np.array([-0.9, -0.9, 0.0]), x, y, (1.8, 1.8), _speckle(rng, 900, 900, contrast))]
        for corner, along in (([-0.9, 0.9, 0.0], x), ([-0.9, -0.9, 0.0], y), ([0.9, -0.9, 0.0], y)):
            flats.append(_Flat(np.array(corner), along, z, (1.8, 0.8), _speckle(rng, 400, 900, contrast)))
        for left, near, height in ((-0.3, 0.05, 0.06), (0.2, 0.12, 0.1), (0.18, -0.2, 0.05), (-0.34, -0.22, 0.08)):
            side, tall = 0.12, np.array([left, near, height])
            flats.append(_Flat(tall, x, y, (side, side), _speckle(rng, 80, 80, contrast)))
            flats.append(_Flat(tall - height * z, x, z, (side, height), _speckle(rng, 50, 80, contrast)))
        self.sheets = {s.name: s for s in tag_sheets("a4")}
        self.places = sheets if sheets is not None else {"layout": (0.0, 0.0, 0.0)}
        for name, (cx, cy, turn) in self.places.items():
            sheet = self.sheets[name]
            along, up = (np.array([np.cos(turn + a), np.sin(turn + a), 0.0]) for a in (0, np.pi / 2))
            width, height = sheet.width_mm / 1e3, sheet.height_mm / 1e3
            corner = np.array([cx, cy, 0.0005]) - along * width / 2 - up * height / 2
            printed = self._printed(sheet, moved or {})
            flats.append(_Flat(corner, along, up, (width, height), _sheet_texture(printed)))
        self._flats = flats

    def _printed(self, sheet: TagSheet, moved: dict[int, tuple[float, float]]) -> TagSheet:
        from dataclasses import replace

        tags = tuple(
            replace(t, x_mm=t.x_mm + moved[t.number][0], y_mm=t.y_mm + moved[t.number][1]) if t.number in moved else t
            for t in sheet.tags
        )
        return replace(sheet, tags=tags)

    def world_from_sheet(self, name: str) -> tuple[Array, Array]:
        """Rotation and middle of the tags of a sheet, as the mapping defines its frame."""
        cx, cy, turn = self.places[name]
        sheet = self.sheets[name]
        middle = np.mean([[t.x_mm - sheet.width_mm / 2, t.y_mm - sheet.height_mm / 2, 0] for t in sheet.tags], axis=0)
        rotation = Rotation.from_euler("z", turn).as_matrix()
        return rotation, np.array([cx, cy, 0.0005]) + rotation @ middle / 1e3

    def picture(self, rays: NDArray[np.float32], turn: Array, at: Array, fine: int) -> NDArray[np.float32]:
        """(H, W) shades of rays (3, H fine, W fine) of a camera; `turn` may be one for each row, (H fine, 3, 3)."""
        import cv2

        rows, columns = rays.shape[1:]
        near = np.full((rows, columns), np.inf, np.float32)
        shade = np.full((rows, columns), 60, np.float32)
        for flat in self._flats:
            box = _box(flat, rays, turn, at)
            if box is None:
                continue
            part = rays[:, box[0], box[1]]
            turn_at, place = (turn, at) if turn.ndim == 2 else (turn[box[0]], at[box[0]])
            normal = np.cross(flat.along, flat.up)
            offset = np.atleast_2d(place - flat.corner)
            # a ray c + t d meets the plane at t = -rise / (n d); places on it are offset + t d
            local = (np.stack([flat.along, flat.up, normal]) @ turn_at).astype(np.float32)
            if local.ndim == 2:
                a, b, n = (local @ part.reshape(3, -1)).reshape(part.shape)
            else:
                a, b, n = np.moveaxis(local @ np.moveaxis(part, 1, 0), 1, 0)
            t = (offset @ -normal).astype(np.float32)[:, None] / np.where(np.abs(n) < 1e-6, np.float32(1e-6), n)
            px = (offset @ flat.along).astype(np.float32)[:, None] + t * a
            py = (offset @ flat.up).astype(np.float32)[:, None] + t * b
            inside = (t > 0.01) & (t < near[box]) & (px >= 0) & (px < flat.size[0]) & (py >= 0) & (py < flat.size[1])
            sx, sy = flat.texture.shape[1] / flat.size[0], flat.texture.shape[0] / flat.size[1]
            seen = cv2.remap(flat.texture, px * sx - 0.5, py * sy - 0.5, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            near[box][inside], shade[box][inside] = t[inside], seen[inside]
        return cv2.resize(shade, (columns // fine, rows // fine), interpolation=cv2.INTER_AREA)


class BoardScene(TableScene):
    """A ChArUco board of 7 x 5 squares of 30 mm alone on grey, its middle at the origin."""

    def __init__(self) -> None:
        import cv2

        dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
        board = cv2.aruco.CharucoBoard((7, 5), 0.03, 0.022, dictionary)
        texture = np.pad(board.generateImage((840, 600)), 40, constant_values=235).astype(np.float32)
        corner = np.array([-0.105 - 0.01, 0.075 + 0.01, 0.0])
        self._flats = [_Flat(corner, np.eye(3)[0], -np.eye(3)[1], (0.23, 0.17), texture)]


class Nodding:
    """A camera over a board that looks at it from all sides, so that it comes to every part of the picture."""

    def pose(self, t: float) -> tuple[Array, Array]:
        a = 2.4 * t
        at = np.array([0.1 * np.sin(a), 0.1 * np.cos(1.3 * a), 0.19 + 0.03 * np.sin(0.7 * a)])
        aim = np.array([0.11 * np.sin(1.7 * a), 0.09 * np.cos(0.9 * a), 0.0])
        ahead = (aim - at) / np.linalg.norm(aim - at)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right = right / np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead], axis=1)
        return turn @ Rotation.from_euler("z", 0.5 * np.sin(0.6 * a)).as_matrix(), at


def _box(flat: _Flat, rays: NDArray[np.float32], turn: Array, at: Array) -> tuple[slice, slice] | None:
    """Rows and columns in which a flat may be seen; `None` where it is behind or aside."""
    middle = (turn, at) if turn.ndim == 2 else (turn[len(turn) // 2], at[len(at) // 2])
    steps = np.linspace(0, 1, 9)
    a, b = (v.reshape(-1, 1) for v in np.meshgrid(steps * flat.size[0], steps * flat.size[1]))
    seen = (flat.corner + a * flat.along + b * flat.up - middle[1]) @ middle[0]
    if (seen[:, 2] <= 0).all():
        return None
    rows, columns = rays.shape[1:]
    if (seen[:, 2] < 0.05).any():
        return slice(0, rows), slice(0, columns)
    ways, extent = seen[:, :2] / seen[:, 2:], []
    for axis, line in ((1, rays[1, :, columns // 2]), (0, rays[0, rows // 2])):
        low, high = ways[:, axis].min(), ways[:, axis].max()
        slack = 0.1 + 0.25 * max(abs(low), abs(high))  # lines bend in a fisheye, and rows have poses of their own
        first, last = np.searchsorted(line, [low - slack, high + slack])
        if first == last:
            return None
        extent.append(slice(int(first), int(last)))
    return extent[0], extent[1]


def _rays(lens: Lens, fine: int) -> NDArray[np.float32]:
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    rows, columns = ((np.arange(n)[:, None] + steps).reshape(-1) for n in (lens.height, lens.width))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1)
    plane = lens.directions(grid.reshape(-1, 2)).reshape(*grid.shape)
    return np.stack([plane[..., 0], plane[..., 1], np.ones(plane.shape[:2])]).astype(np.float32)


def write_clip(
    file: Path,
    scene: TableScene,
    motion: Swing | Nodding,
    lens: Lens,
    *,
    seconds: float = 2.0,
    fps: int = 30,
    level: Level | None = None,
    seed: int = 0,
    fine: int = 2,
    without: Sequence[int] = (),
) -> tuple[Array, Array]:
    """Writes a video and gives the true `world_from_camera` of its frames: rotations (N, 3, 3), places (N, 3).

    A frame's pose is that of its middle row in the middle of the exposure.

    Args:
        without: frames that show nothing but grey.
    """
    import av

    level, rng, rays = level or Level(), np.random.default_rng(seed), _rays(lens, fine)
    turns, places = [], []
    lines = (np.arange(lens.height * fine) + 0.5) / (lens.height * fine) - 0.5
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "g": "10", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = lens.width, lens.height, "yuv420p"
        for k in range(round(seconds * fps)):
            t = k / fps
            turn, at = motion.pose(t)
            turns.append(turn)
            places.append(at)
            parts = []
            for moment in np.linspace(-0.5, 0.5, 3) if level.blur_s else np.zeros(1):
                when = t + moment * level.blur_s
                if level.readout_s:
                    few = [motion.pose(when + s * level.readout_s) for s in np.linspace(-0.5, 0.5, 9)]
                    turns_at, places_at = _between(few, lines)
                    parts.append(scene.picture(rays, turns_at, places_at, fine))
                else:
                    parts.append(scene.picture(rays, *motion.pose(when), fine))
            shade = np.full(parts[0].shape, 128.0) if k in without else np.mean(parts, axis=0)
            noisy = (shade + rng.normal(0, level.noise, shade.shape)).clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(noisy[:, :, None], 3, axis=2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return np.stack(turns), np.stack(places)


def _between(few: list[tuple[Array, Array]], lines: Array) -> tuple[Array, Array]:
    """Poses of every row between nine of them."""
    from scipy.spatial.transform import Slerp

    at = np.linspace(-0.5, 0.5, len(few))
    turns = Slerp(at, Rotation.from_matrix([turn for turn, _ in few]))(lines).as_matrix()
    places = np.stack([np.interp(lines, at, [p[i] for _, p in few]) for i in range(3)], axis=1)
    return turns, places


def felt_motion(
    motion: Swing | Nodding,
    seconds: float,
    *,
    rate_hz: float = 200.0,
    late_s: float = 0.0,
    shake_rad: float = 0.0,
    noise: float = 0.1,
    seed: int = 0,
) -> tuple[Array, Array]:
    """What an accelerometer (m/s2) and a gyroscope (rad/s) beside the camera feel, (N, 3) each.

    Args:
        late_s: by which the sensor's clock is behind that of the pictures.
        shake_rad: of a tremor that the pictures do not show, for the camera turned it away.
        noise: m/s2; the bias is as large.
    """
    rng, step = np.random.default_rng(seed), 1e-3
    camera_from_imu = Rotation.from_euler("zyx", [0.4, -0.3, 0.2]).as_matrix()
    lever = np.array([0.01, -0.02, -0.015])

    def pose(t: float) -> tuple[Array, Array]:
        turn, at = motion.pose(t)
        tremor = Rotation.from_rotvec(shake_rad * np.sin(np.array([37.0, 43.0, 51.0]) * t)).as_matrix()
        return turn @ tremor, at + turn @ lever

    felt, turned = [], []
    for t in np.arange(0, seconds, 1 / rate_hz) + late_s:
        (before, a), (turn, b), (after, c) = (pose(t + s) for s in (-step, 0, step))
        felt.append(camera_from_imu.T @ turn.T @ ((a - 2 * b + c) / step**2 + [0, 0, 9.81]))
        turned.append(camera_from_imu.T @ Rotation.from_matrix(before.T @ after).as_rotvec() / (2 * step))
    size = (len(felt), 3)
    accelerations = np.array(felt) + noise * rng.normal(size=3) + rng.normal(0, noise, size)
    return accelerations, np.array(turned) + 0.01 * rng.normal(size=3) + rng.normal(0, 0.01, size)


def write_sheets(file: Path, *, line_mm: float = 100.0) -> Path:
    """`tags.json` as `collect tags` writes it. Gives `file` back."""
    sheets = [sheet.as_printed(line_mm).to_json() for sheet in tag_sheets("a4")]
    file.write_text(json.dumps({"version": 1, "sheets": sheets}))
    return file
