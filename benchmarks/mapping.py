"""How right our own map of a handheld camera's video is: `python -m benchmarks.mapping OUT [--clips 4] [--seconds 4]`.

Clips are rendered with a known truth (a fisheye over a table with a printed sheet, telemetry beside it), mapped as
`collect handheld` maps them, and compared: places after a rigid alignment without scale, and with it; in the frame of
the printed sheet; motion over 1/3 s; scale; errors within two stated standard deviations. Then recordings are
sabotaged: each must end with its scale within 1 %, or refused. Each clip is written to OUT as it is done and not done
again. Rendered is not recorded: no real clip with a known trajectory was at hand.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.capture import kept_or_made
from benchmarks.stats_sequential import markdown
from roboscale.sources.capture.gates import Bars, gates_of
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.track import HandDemonstration
from roboscale.sources.handheld.mapping.clips import HandheldClips, MappingOptions
from tests.samples.fingers import write_lens
from tests.samples.gopro import add_telemetry
from tests.samples.table_scene import (
    Level,
    Swing,
    TableScene,
    camera_lens,
    felt_motion,
    write_clip,
    write_sheets,
)

Array = NDArray[np.float64]
Row = dict[str, Any]

LEVELS = {
    "easy": Level(),
    "middle": Level(contrast=0.35, blur_s=0.012, readout_s=0.005),
    "hard": Level(contrast=0.25, blur_s=0.012, readout_s=0.015, noise=5.0),
}
SABOTAGE = (
    "none",
    "no tags, telemetry",
    "no tags, no telemetry",
    "no tags, stabilised clip",
    "sizes of tags 6 % wrong",
    "whole sheet 6 % larger than said, telemetry",
    "whole sheet 6 % larger than said, no telemetry",
    "focal length 3 % wrong",
    "a tag moved by 10 mm",
    "clocks 30 ms apart",
)
FPS = 30


def one_clip(folder: Path, level: str, seed: int, asked: argparse.Namespace, by: str, sabotage: str = "none") -> Row:
    """Renders a clip, maps it, and compares."""
    lens, motion = camera_lens(asked.width), Swing(seed, pace=1.5)
    moved = {4: (10.0, 0.0)} if "moved" in sabotage else {}
    scene = TableScene(contrast=LEVELS[level].contrast, seed=seed, moved=moved)
    clip = folder / "clips" / "demo.mp4"
    clip.parent.mkdir()
    turns, places = write_clip(
        clip, scene, motion, lens, seconds=asked.seconds, fps=FPS, level=LEVELS[level], seed=seed
    )
    if "no telemetry" not in sabotage:
        late = 0.03 if "30 ms" in sabotage else 0.0
        shake = 0.1 if "stabilised" in sabotage else 0.0
        felt = felt_motion(motion, asked.seconds, late_s=late, shake_rad=shake, seed=seed)
        add_telemetry(clip, *felt, seconds=asked.seconds)
    sheets = write_sheets(folder / "tags.json", line_mm=94.0 if "whole sheet" in sabotage else 100.0)
    if "sizes" in sabotage:
        said = json.loads(sheets.read_text())
        for sheet in said["sheets"]:
            for tag in sheet["tags"]:
                tag["size_mm"] *= 1.06
        sheets.write_text(json.dumps(said))
    factor = 1.03 if "focal" in sabotage else 1.0
    told = replace(lens, fx=lens.fx * factor, fy=lens.fy * factor)
    options = MappingOptions(
        intrinsics=write_lens(folder / "lens.json", told),
        layout=None if "no tags" in sabotage else sheets,
        by="tags" if by == "tags" else "map",
        tip=(0.0, 0.0, 0.0),
        video=False,
    )
    began = time.process_time()
    one = HandheldClips(clip.parent, options).demonstration("demo")
    cost = time.process_time() - began
    turn, origin = scene.world_from_sheet("layout")
    truth = Poses(turn.T @ turns, (places - origin) @ turn)
    missed = [gate.name for gate in gates_of(one, Bars()) if not gate.passed]
    return {"refused": missed, "cpu_s": cost, "scale_by": one.scale, **compared(one, truth)}


def compared(one: HandDemonstration, truth: Poses) -> Row:
    """A trajectory against the truth, in millimetres and degrees; `registered` alone where there is none."""
    (track,) = one.tracks
    valid = track.valid
    made: Row = {"registered": float(valid.mean())}
    if valid.sum() < 10:
        return made
    found, true = track.poses[valid], truth[valid]
    a, b = found.translation - found.translation.mean(axis=0), true.translation - true.translation.mean(axis=0)
    u, values, vt = np.linalg.svd(b.T @ a)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ np.diag(signs) @ vt
    scale = float((values * signs).sum() / (a**2).sum())
    ahead = FPS // 3
    near, far = track.poses.relative(ahead), truth.relative(ahead)
    both = valid[:-ahead] & valid[ahead:]
    shift, angle = (v[both] for v in near.distances(far))
    made |= {
        "ate_mm": 1e3 * rms(np.linalg.norm(b - a @ turn.T, axis=1)),
        "ate_scaled_mm": 1e3 * rms(np.linalg.norm(b - scale * a @ turn.T, axis=1)),
        "scale_off": 1 / scale - 1,
        "relative_mm": 1e3 * rms(shift),
        "relative_deg": float(np.degrees(rms(angle))),
    }
    if one.frame.startswith("sheet") and track.sigma is not None:
        off = np.abs(found.translation - true.translation)
        made["absolute_mm"] = 1e3 * rms(np.linalg.norm(off, axis=1))
        made["within"] = float((off <= 2 * track.sigma.position[valid, None]).mean())
        turned = found.distances(true)[1] / np.sqrt(3)
        made["within_turn"] = float((turned <= 2 * track.sigma.rotation[valid]).mean())
    return made


def rms(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean()))


def measured(file: Path, make: Callable[[Path], Row]) -> Row:
    """The row of a clip, said when it is new."""
    row, new = kept_or_made(file, make)
    if new:
        print(f"{file.stem}: {row}", flush=True)
    return row


def of(rows: Sequence[Row], name: str, digits: int = 2) -> str:
    """Median and 95th percentile of what was kept."""
    values = np.abs([row[name] for row in rows if name in row and not row["refused"]])
    if not len(values):
        return "-"
    return f"{np.median(values):.{digits}f} ({np.percentile(values, 95):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the finished clips")
    parser.add_argument("--clips", type=int, default=4, help="of each level and each way")
    parser.add_argument("--sabotaged", type=int, default=2, help="of each kind")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--width", type=int, default=320)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    size = f"{asked.width}-{asked.seconds:g}"
    lines = []
    for by in ("map", "tags"):
        for level in LEVELS if by == "map" else ("easy",):
            rows = [
                measured(
                    asked.out / f"{by}-{level}-{size}-{seed}.json",
                    lambda folder, level=level, seed=seed, by=by: one_clip(folder, level, seed, asked, by),
                )
                for seed in range(asked.clips)
            ]
            kept = sum(not row["refused"] for row in rows)
            figures = (of(rows, "ate_mm"), of(rows, "ate_scaled_mm"), of(rows, "absolute_mm"), of(rows, "relative_mm"))
            scales = of([{**row, "scale_off": 100 * row.get("scale_off", 0)} for row in rows], "scale_off")
            inside = [row["within"] for row in rows if "within" in row and not row["refused"]]
            turned = [row["within_turn"] for row in rows if "within_turn" in row and not row["refused"]]
            sure = f"{np.mean(inside):.3f}, {np.mean(turned):.3f}" if inside else "-"
            costs = of(rows, "cpu_s", 0)
            kept_ = f"{kept} of {len(rows)}"
            lines.append((by, level, kept_, *figures, of(rows, "relative_deg"), scales, sure, costs))
    heads = ("by", "level", "kept", "ATE SE(3), mm", "ATE Sim(3), mm", "in the sheet's frame, mm", "over 1/3 s, mm")
    print(markdown((*heads, "over 1/3 s, deg", "scale off, %", "within 2 sigma: place, turn", "CPU s"), lines))
    lines = []
    for kind in SABOTAGE:
        name = kind.replace(" ", "-").replace(",", "").replace("%", "pc")
        rows = [
            measured(
                asked.out / f"sabotage-{name}-{size}-{seed}.json",
                lambda folder, kind=kind, seed=seed: one_clip(folder, "easy", 100 + seed, asked, "map", kind),
            )
            for seed in range(asked.sabotaged)
        ]
        good = sum(bool(row["refused"]) or abs(row.get("scale_off", 1)) <= 0.01 for row in rows)
        gates = sorted({gate for row in rows for gate in row["refused"]})
        off = ", ".join(f"{100 * row['scale_off']:+.2f}" for row in rows if not row["refused"])
        refused = sum(bool(row["refused"]) for row in rows)
        lines.append(
            (kind, f"{refused} of {len(rows)}", ", ".join(gates) or "-", off or "-", f"{good} of {len(rows)}")
        )
    print(markdown(("recording", "refused", "by", "scale off where kept, %", "within 1 % or refused"), lines))


if __name__ == "__main__":
    main()
