"""The inertial sensor of a camera beside its trajectory: kept at its own rate, and held against the pictures.

The gyroscope and the rotation of the pictures are the same motion seen twice. Where they agree, their delay is the
error of the clocks; where they do not, the camera has turned its own pictures, or the telemetry is of another clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding, SpecMismatch, Stream
from roboscale.sources.capture.motion import stretches
from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.gpmf import Telemetry, TelemetryStream, read_telemetry
from roboscale.sources.handheld.mp4 import metadata_chunks
from roboscale.sources.handheld.stabilised import RESIDUAL_BAR, GyroFit, fit_gyro

__all__ = ["Inertial", "read_inertial"]

_VIDEOS = (".mp4", ".mov")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inertial:
    """What the telemetry of a clip gives.

    Args:
        streams: `imu.accl`, `imu.gyro`, on the clock of the video.
        fit: how the gyroscope and the pictures agree; `None` where that cannot be told.
        felt: the accelerometer about x, y, z: (M,) seconds and (M, 3) m/s2; `None` where there is none.
    """

    streams: Mapping[str, Stream] = field(default_factory=dict)
    fit: GyroFit | None = None
    felt: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def sync_s(self) -> float | None:
        """Seconds between both clocks, where they see the same motion."""
        return self.fit.offset_s if self.fit is not None and self.fit.usable else None


def read_inertial(video: Path, time_ns: NDArray[np.int64], camera: Poses, valid: NDArray[np.bool_]) -> Inertial:
    """The inertial sensor in a clip; empty for a clip that has none.

    Args:
        time_ns: (N,) of the trajectory, from the begin of the clip.
        camera: (N) `world_from_camera`; `valid` where the map knows it.

    Raises:
        BadData: the clip is cut off.
    """
    if not video.exists() or video.suffix.lower() not in _VIDEOS or not metadata_chunks(video, b"gpmd"):
        return Inertial()
    try:
        telemetry = read_telemetry(video)
    except BadData as error:
        return Inertial(
            findings=(Finding("telemetry-broken", "warning", f"the inertial sensor is left out: {error}"),)
        )
    streams = {f"imu.{key.lower()}": s.as_stream() for key, s in telemetry.streams.items() if key in ("ACCL", "GYRO")}
    fit, findings = _held_against(telemetry, time_ns, camera, valid)
    accelerometer = telemetry.streams.get("ACCL")
    felt = None if accelerometer is None else (accelerometer.time_s, _right_handed(accelerometer))
    return Inertial(streams=streams, fit=fit, felt=felt, findings=tuple(findings))


def _held_against(
    telemetry: Telemetry, time_ns: NDArray[np.int64], camera: Poses, valid: NDArray[np.bool_]
) -> tuple[GyroFit | None, list[Finding]]:
    if "GYRO" not in telemetry.streams:
        return None, [Finding("no-gyroscope", "warning", "the telemetry has no gyroscope: clocks cannot be compared")]
    gyro = telemetry.streams["GYRO"]
    first, last = max(stretches(valid), key=lambda s: s[1] - s[0], default=(0, 0))
    try:
        picture_s = time_ns[first:last].astype(np.float64) * 1e-9
        fit = fit_gyro(picture_s, camera.rotation[first:last], gyro.time_s, _right_handed(gyro))
    except SpecMismatch as error:
        return None, [Finding("gyroscope-not-compared", "info", str(error))]
    evidence = fit.to_json()
    if not fit.usable:
        text = (
            f"{100 * fit.residual_ratio:.0f} % of the gyroscope's rotation is not in the pictures (bar "
            f"{100 * RESIDUAL_BAR:.0f} %): the camera stabilised them, or the telemetry is of another clip; "
            "nothing is taken from the inertial sensor"
        )
        return fit, [Finding("stabilised-clip", "warning", text, evidence=evidence)]
    text = f"gyroscope and pictures agree but for {100 * fit.residual_ratio:.1f} %, {1e3 * fit.offset_s:.1f} ms apart"
    return fit, [Finding("gyroscope-agrees", "info", text, evidence=evidence)]


def _right_handed(gyro: TelemetryStream) -> NDArray[np.float64]:
    """(N, 3) rates about x, y, z where the camera says which column is which; else as they are."""
    if sorted(gyro.axes.upper()) != ["X", "Y", "Z"]:
        return gyro.values
    made = np.empty_like(gyro.values)
    for column, letter in enumerate(gyro.axes):
        made[:, "XYZ".index(letter.upper())] = gyro.values[:, column] * (1 if letter.isupper() else -1)
    return made
