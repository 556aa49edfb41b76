"""The trajectory of a handheld camera in metres: by a map of its pictures, or by printed tags alone.

    look -> keyframes -> map (or tags) -> every frame -> metres and table (tags, else an accelerometer) -> figures

Nothing is taken for metric that nothing measured: without tags or a usable accelerometer a clip is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.track import Sigma, SourceFigure
from roboscale.sources.handheld.inertial import Inertial, read_inertial
from roboscale.sources.handheld.lens import Lens
from roboscale.sources.handheld.mapping.imu_scale import InertialScale, scale_by_imu
from roboscale.sources.handheld.mapping.layout import TagLayout
from roboscale.sources.handheld.mapping.looking import Look, keyframes_of
from roboscale.sources.handheld.mapping.metric import Metric, edge_ratio, metric_by_tags
from roboscale.sources.handheld.mapping.smooth import EveryFrame, every_frame
from roboscale.sources.handheld.mapping.solving import CameraMap, Keyframes, solve_map
from roboscale.sources.handheld.mapping.tag_poses import focal_by_tags, poses_by_tags

__all__ = ["CameraPath", "path_by_map", "path_by_tags"]

Array = NDArray[np.float64]

_SPREAD = 0.02
_FOCAL = 0.02  # a map tells a focal length to a thousandth, but for a rolling shutter, which moves it by 1 %
_FOCAL_BY_TAGS = 0.03  # one sheet of tags tells it to 1.5 %
_MISPLACED_M = 0.003
_EDGES = 0.02
_DISAGREE = 0.03  # between tags and accelerometer
_WIDEST = 2.5  # steps between two keyframes
_TOGETHER = 3.0  # features of a keyframe do not err alone: how much more than their number says
_PRINTED = 2.0  # nor do tags, which are all seen from one side
_FOCAL_TRUST = 0.005  # error of a focal length that tags alone cannot see


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPath:
    """A camera over the N frames of a clip.

    Args:
        poses: `frame_from_camera`, OpenCV axes, metres.
        valid: (N,) where they are known.
        scale: what makes them metric; `drop`: why they are not, or not known at all.
    """

    poses: Poses
    valid: NDArray[np.bool_]
    sigma: Sigma
    frame: str
    scale: str
    figures: tuple[SourceFigure, ...] = ()
    findings: tuple[Finding, ...] = ()
    drop: str = ""
    inertial: Inertial = field(default_factory=Inertial)


def path_by_map(
    looks: Sequence[Look],
    lens: Lens,
    layout: TagLayout | None,
    *,
    keyframes_hz: float,
    mask: NDArray[np.bool_] | None = None,
    fingers: Sequence[int] = (),
) -> CameraPath:
    """The first of several clips, in one map with the others.

    Args:
        looks: the clip, then those that only help, such as a mapping clip.
        lens: at the size of the pictures.
        fingers: numbers of tags that move with the camera.

    Raises:
        RoboscaleError: pycolmap is not installed.
    """
    clips = [_keyframes(look, keyframes_hz, fingers) for look in looks]
    made, count = solve_map(clips, lens, mask), len(looks[0].tags)
    if made is None or made.of(0).sum() < 4:
        found = 0 if made is None else int(made.of(0).sum())
        return _nothing(count, f"no map: {found} of {len(clips[0].frames)} keyframes found their place")
    paths = [_path_of(made, i, look, keyframes_hz) for i, look in enumerate(looks)]
    own, figures = paths[0], [_focal(made.focal_share, _FOCAL, "map", lens)]
    time_ns = np.round(np.arange(count) * 1e9 / looks[0].rate_hz).astype(np.int64)
    inertial = read_inertial(looks[0].video, time_ns, own.poses, own.valid)
    felt = _felt(time_ns, own, inertial)
    rows = [
        (p.poses[p.valid], [look.tags[i] for i in np.flatnonzero(p.valid)])
        for p, look in zip(paths, looks, strict=True)
    ]
    all_poses = Poses(*(np.concatenate([getattr(p, what) for p, _ in rows]) for what in ("rotation", "translation")))
    seen = [tags for _, some in rows for tags in some]
    metric = None if layout is None else metric_by_tags(all_poses, seen, lens, layout)
    features = _features(made, own, count)
    if metric is not None and layout is not None:
        figures += _tag_figures(metric, all_poses, seen, lens, layout, felt)
        return _on_sheet(own, metric, features, figures, inertial, lens.fx, len(looks) > 1)
    why = "no --layout" if layout is None else "no printed tag of --layout is placed in the map"
    if felt is None or not felt.believed:
        return replace(_nothing(count, _refused(why, inertial, felt)), figures=tuple(figures), inertial=inertial)
    return _level(own, felt, features, figures, inertial, why)


def path_by_tags(look: Look, lens: Lens, layout: TagLayout) -> CameraPath:
    """A clip by the tags of one sheet, the one that most frames see, without a map."""
    count = len(look.tags)
    views = {s.name: sum(bool(tags.keys() & s.sizes.keys()) for tags in look.tags) for s in layout.sheets}
    sheet = max(layout.sheets, key=lambda s: views[s.name])
    made = poses_by_tags(look.tags, lens, sheet)
    if not made.valid.any():
        return _nothing(count, f"no frame shows a tag of {', '.join(views)} well enough for a pose")
    time_ns = np.round(np.arange(count) * 1e9 / look.rate_hz).astype(np.int64)
    inertial = read_inertial(look.video, time_ns, made.poses, made.valid)
    away = np.linalg.norm(made.poses.translation, axis=1)
    sigma = Sigma(
        position=np.hypot(made.sigma_m, _FOCAL_TRUST * away),
        rotation=made.sigma_rad,
        how=f"measured: what {made.residual_px:.2f} pixels of the tags' corners leave, and .5 % of the focal length",
    )
    share, figures = focal_by_tags(look.tags, lens, sheet), list[SourceFigure]()
    if share is not None:
        figures.append(_focal(share, _FOCAL_BY_TAGS, "tags", lens))
    rows = np.flatnonzero(made.valid)
    figures += _edges(made.poses[rows], [look.tags[i] for i in rows], lens, layout, sheet.name)
    seen = np.mean([len(look.tags[i].keys() & sheet.sizes.keys()) for i in rows])
    return CameraPath(
        poses=made.poses,
        valid=made.valid,
        sigma=sigma,
        frame=_sheet_frame(sheet.name),
        scale=f"printed tags of sheet {sheet.name}, {seen:.1f} a frame, their sizes and distances taken on trust",
        figures=tuple(figures),
        findings=inertial.findings,
        inertial=inertial,
    )


def _sheet_frame(name: str) -> str:
    return f"sheet {name} (z out of the paper)"


def _nothing(count: int, why: str) -> CameraPath:
    none = np.zeros(count)
    sigma = Sigma(position=none, rotation=none, how="")
    poses, valid = Poses.identity(count), np.zeros(count, bool)
    return CameraPath(poses=poses, valid=valid, sigma=sigma, frame="none", scale="", drop=why)


def _keyframes(look: Look, wanted_hz: float, fingers: Sequence[int]) -> Keyframes:
    frames = keyframes_of(look.sharpness, look.rate_hz, wanted_hz)
    hidden = [[_box(look.tags[k][n]) for n in fingers if n in look.tags[k]] for k in frames.tolist()]
    return Keyframes(video=look.video, frames=frames, shape=look.shape, hidden=hidden)


def _box(corners: Array) -> tuple[int, int, int, int]:
    """Around a tag with its white margin."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    slack = 0.3 * (high - low)
    (x0, y0), (x1, y1) = np.floor(low - slack).astype(int).tolist(), np.ceil(high + slack).astype(int).tolist()
    return x0, y0, x1, y1


def _path_of(made: CameraMap, clip: int, look: Look, wanted_hz: float) -> EveryFrame:
    rows = made.of(clip)
    widest = _WIDEST * max(look.rate_hz / wanted_hz, 1.0)
    return every_frame(made.frames[rows], made.poses[rows], len(look.tags), widest)


def _features(made: CameraMap, own: EveryFrame, count: int) -> tuple[Array, Array]:
    """(N,) what features and spline leave of each frame: units of the map, and radians."""
    rows = made.of(0)
    turn = np.interp(np.arange(count), made.frames[rows], made.blur[rows]) * _TOGETHER
    depth = np.interp(np.arange(count), made.frames[rows], made.depth[rows])
    return np.hypot(turn * depth, own.missed_m), np.hypot(turn, own.missed_rad)


def _felt(time_ns: NDArray[np.int64], own: EveryFrame, inertial: Inertial) -> InertialScale | None:
    """Scale by the accelerometer, where the gyroscope says that it belongs to the pictures."""
    fit = inertial.fit
    if fit is None or not fit.usable or inertial.felt is None:
        return None
    rows = np.flatnonzero(own.valid)
    rows = max(np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1), key=len)
    time_s = time_ns[rows].astype(np.float64) * 1e-9 + fit.offset_s
    return scale_by_imu(time_s, own.poses[rows], *inertial.felt, np.array(fit.camera_from_imu))


def _refused(why: str, inertial: Inertial, felt: InertialScale | None) -> str:
    fit = inertial.fit
    if inertial.felt is None or fit is None:
        said = "there is no telemetry to weigh it by" if inertial.felt is None else "its gyroscope cannot be compared"
    elif not fit.usable:
        said = f"{100 * fit.residual_ratio:.0f} % of the gyroscope's rotation is not in the pictures"
    elif felt is None:
        said = "it is too short for the accelerometer, or hardly moves"
    else:
        said = f"the accelerometer finds a gravity of {felt.gravity:.2f} m/s2"
    return f"no metric scale: {why}, and {said}"


def _focal(share: float, bar: float, who: str, lens: Lens) -> SourceFigure:
    verb = "asks" if who == "map" else "ask"
    text = f"the {who} {verb} for a focal length of {share * lens.fx:.1f} pixels, --intrinsics says {lens.fx:.1f}"
    return SourceFigure(name="focal", value=abs(share - 1), bar=bar, unit="", text=text)


def _tag_figures(
    metric: Metric,
    poses: Poses,
    seen: Sequence[Mapping[int, Array]],
    lens: Lens,
    layout: TagLayout,
    felt: InertialScale | None,
) -> list[SourceFigure]:
    said = "one standard deviation of the scale, from what the tags leave"
    made = [SourceFigure(name="scale", value=metric.spread, bar=_SPREAD, unit="", text=said)]
    if not metric.corners:
        said = "the farthest that a tag lies from where --layout has it: one was moved, or it is another layout"
        made.append(SourceFigure(name="layout", value=metric.worst_m, bar=_MISPLACED_M, unit="m", text=said))
    made += _edges(metric.poses(poses), seen, lens, layout, metric.sheet)
    if felt is not None and felt.believed:
        bar = max(_DISAGREE, 4 * felt.spread)
        text = f"the accelerometer finds {felt.scale / metric.scale:.3f} times the size that tags say"
        off = abs(felt.scale / metric.scale - 1)
        made.append(SourceFigure(name="imu-scale", value=off, bar=bar, unit="", text=text))
    return made


def _edges(
    poses: Poses, seen: Sequence[Mapping[int, Array]], lens: Lens, layout: TagLayout, name: str
) -> list[SourceFigure]:
    """Sizes of tags against their distances, which were printed by one printer."""
    sheet = next(s for s in layout.sheets if s.name == name)
    ratio = edge_ratio(poses, seen, lens, sheet)
    if ratio is None:
        return []
    text = f"tags look {ratio[0]:.3f} times as large as their distances and --layout say"
    return [SourceFigure(name="tag-size", value=abs(ratio[0] - 1), bar=_EDGES + ratio[1], unit="", text=text)]


def _on_sheet(
    own: EveryFrame,
    metric: Metric,
    features: tuple[Array, Array],
    figures: Sequence[SourceFigure],
    inertial: Inertial,
    focal_px: float,
    helped: bool,
) -> CameraPath:
    poses, metres = metric.poses(own.poses), np.zeros(len(own.valid))
    metres[own.valid], radians = metric.sigma(poses.translation[own.valid], focal_px)
    sigma = Sigma(
        position=np.hypot(metric.scale * features[0], _PRINTED * metres),
        rotation=np.hypot(features[1], _PRINTED * radians),
        how="measured: what features, the spline between keyframes and the printed tags leave",
    )
    return CameraPath(
        poses=poses,
        valid=own.valid,
        sigma=sigma,
        frame=_sheet_frame(metric.sheet),
        scale=metric.how + (", seen in this clip or the mapping clip" if helped else ""),
        figures=tuple(figures),
        findings=inertial.findings,
        inertial=inertial,
    )


def _level(
    own: EveryFrame,
    felt: InertialScale,
    features: tuple[Array, Array],
    figures: Sequence[SourceFigure],
    inertial: Inertial,
    why: str,
) -> CameraPath:
    """In the frame of gravity, by the accelerometer alone."""
    said = "one standard deviation of the scale, from what the accelerometer leaves"
    spread = SourceFigure(name="scale", value=felt.spread, bar=_SPREAD, unit="", text=said)
    poses = felt.level(own.poses, int(np.argmax(own.valid)))
    away = np.linalg.norm(poses.translation, axis=1)
    sigma = Sigma(
        position=np.hypot(felt.scale * features[0], felt.spread * away),
        rotation=features[1],
        how="measured: what features, the spline between keyframes and the accelerometer leave",
    )
    text = f"metres are those of the accelerometer: {why}"
    return CameraPath(
        poses=poses,
        valid=own.valid,
        sigma=sigma,
        frame="first frame of each clip (z up)",
        scale=f"the accelerometer, {100 * felt.spread:.1f} % one standard deviation, gravity {felt.gravity:.2f} m/s2",
        figures=(*figures, spread),
        findings=(*inertial.findings, Finding("scale-by-imu", "warning", text)),
        inertial=inertial,
    )
