"""`roboscale collect calibrate`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_calibrate import CalibrateCamera, calibrate_camera

__all__ = ["command"]


def run(request: CalibrateCamera, terminal: Terminal) -> None:
    """Fit the lens of a handheld camera to a clip of a board, and measure how late its gyroscope is."""
    done = calibrate_camera(request, terminal.event)
    fit = done.fit
    late = "not measured" if fit.latency_s is None else f"{1e3 * fit.latency_s:+.1f} ms"
    lines = [
        f"{done.out}: focal length {fit.lens[0]:.2f} px at {fit.width} x {fit.height}, by {fit.views} views",
        f"  {fit.residual_px:.2f} px rms, {fit.left_out_px:.2f} px in views that were left out",
        f"  two halves of the views differ by {100 * fit.focal_halves:.2f} % of the focal length",
        f"  gyroscope against pictures: {late}",
    ]
    return terminal.show(done.to_json(), lines)


command = Command(CalibrateCamera, run)
