"""How right captures are that others have computed: `python -m benchmarks.capture OUT [--hands 40] [--data FOLDER]`.

Layouts with a known truth are written, read, and compared: poses, joints by name, times; held and interpolated
samples; stated errors against those that were made; pinches; hands under the other one's name; what an arm can follow.
Each row is written to OUT as it is done and not done again. `--data` adds Project Aria's public samples. What is not
built, such as a map of a video, is named as not measured; so is what needs a real recording.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats_sequential import markdown
from roboscale.kinematics.arm_model import load_arm
from roboscale.kinematics.following import ArmStand, follow_path, turns_about_z
from roboscale.sources.capture.motion import held_samples, interpolated_samples
from roboscale.sources.capture.pinch import Pinch, closed_samples
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.recording import CaptureOptions
from roboscale.sources.capture.track import CaptureSource
from roboscale.sources.handheld.opening import open_handheld
from roboscale.sources.human.aria import AriaMps
from roboscale.sources.human.egodex import EgoDex
from roboscale.sources.human.hand import hand_track, mirrored
from roboscale.sources.human.joints import EGODEX_JOINTS, ORDERS
from roboscale.sources.human.keypoints import KeyPoints
from tests.samples import capture as samples
from tests.samples.arm import write_arm_mjcf

Array = NDArray[np.float64]
Row = dict[str, str]

NOT_MEASURED = {
    "kept, ATE, scale of handheld clips": "python -m benchmarks.mapping does",
    "hands from pictures: midpoint, stated sigma": "landmarks are computed, and held against no truth",
    "recordings of UMI, Grabette, FastUMI, EgoDex": "none real was at hand; tests write their layouts",
    "policies from hands against teleoperation": "not run",
}
_FRAMES = 60


def close(found: Poses, place: Array, turn: Array) -> bool:
    """Whether poses are those of the truth to a hundredth of a millimetre and a hundredth of a milliradian."""
    metres, radians = found.distances(Poses(turn, place))
    return bool(metres.max() < 1e-5 and radians.max() < 1e-5)


def handheld_readers(folder: Path, hands: int) -> Row:
    """Poses and times of every layout of `collect handheld`."""
    made = {
        "umi-session": (samples.write_umi_session(folder / "session", video=False), 30.0, {}),
        "umi-zarr": (samples.write_umi_zarr(folder / "set.zarr.zip"), 60_000 / 1001, {}),
        "grabette": (samples.write_grabette(folder / "grabette"), 30.0, {}),
        "fastumi": (samples.write_fastumi(folder / "fastumi"), 20.0, {"video": False}),
        "pose-log": (samples.write_pose_log(folder / "log.csv"), 30.0, {"axes": "as-recorded"}),
    }
    right = []
    for name, (path, rate, options) in made.items():
        recording = open_handheld(path, CaptureOptions(), **options)
        episode = recording.read(recording.keys[0], ())
        place, turn = samples.motion(_FRAMES, rate)
        rows = episode.arrays["pretrain.pose"].astype(np.float64)
        two = rows[:, 3:9].reshape(-1, 2, 3)
        turned = np.concatenate([two, np.cross(two[:, 0], two[:, 1])[:, None]], axis=1)
        times = episode.arrays["time.frame_ns"][:, 0].astype(np.float64)
        even = np.abs(np.diff(times) * 1e-9 - 1 / rate).max() < 1e-6
        right.append((name, close(Poses(turned, rows[:, :3]), place[:-1], turn[:-1]) and bool(even)))
    return counted("handheld layouts: poses to 10 um and 10 urad, times to 1 us", right, "all")


def hand_readers(folder: Path, hands: int) -> Row:
    """Joints by name, order and frame of EgoDex and of every known order of key points, either hand."""
    right = []
    for side in ("left", "right"):
        for order, names in ORDERS.items():
            if order == "mano16":  # it has no tips, and no pinch
                continue
            points, _, _ = samples.hand_in_motion(names, _FRAMES, side)
            np.savez(folder / f"{order}.npz", xyz=points)
            said = folder / f"{order}-{side}.toml"
            said.write_text(f'rate_hz = 30\n[hand.{side}]\npoints = "xyz"\norder = "{order}"\n')
            right.append((f"{order} {side}", joints_right(KeyPoints(folder / f"{order}.npz", said), {side: points})))
    ego = EgoDex(samples.write_egodex(folder / "ego"), hands="both")
    truth = {
        side: samples.hand_in_motion(tuple(EGODEX_JOINTS.values()), _FRAMES, side, seed=i)[0]
        for i, side in enumerate(("left", "right"))
    }
    right.append(("egodex", joints_right(ego, truth)))
    return counted("hand layouts: every joint by name to 10 um", right, "all")


def joints_right(source: CaptureSource, truth: dict[str, Array]) -> bool:
    """Whether the tracks of a source's first demonstration have the points that were written."""
    one = source.demonstration(source.keys[0])
    pairs = zip(one.tracks, truth.values(), strict=True)
    return all(t.points is not None and float(np.abs(t.points - points).max()) < 1e-5 for t, points in pairs)


def planted(folder: Path, hands: int) -> Row:
    """Held and interpolated samples that were planted into measured motion."""
    hit = false = planted_ = clean = 0
    for seed in range(hands):
        rng = np.random.default_rng(seed)
        place, turn = samples.motion(120, seed=seed)
        place = place + rng.normal(0, 1e-4, place.shape)
        wanted = np.zeros((2, 120), bool)
        at, length = int(rng.integers(5, 40)), int(rng.integers(4, 12))
        place[at + 1 : at + length], turn[at + 1 : at + length] = place[at], turn[at]
        wanted[0, at + 1 : at + length] = True
        first, last = int(rng.integers(60, 90)), int(rng.integers(97, 110))
        share = np.linspace(0, 1, last - first + 1)[:, None]
        place[first : last + 1] = place[first] + share * (place[last] - place[first])
        wanted[1, first + 1 : last] = True
        poses, known = Poses(turn, place), np.ones(120, bool)
        time_ns = np.round(np.arange(120) * 1e9 / 30).astype(np.int64)
        between = interpolated_samples(poses, time_ns, known)
        found = np.stack([held_samples(poses, known), np.zeros(120, bool) if between is None else between])
        hit += int((found & wanted).sum())
        planted_ += int(wanted.sum())
        false += int((found & ~wanted).sum())
        clean += int((~wanted).sum())
    value = f"{hit} of {planted_} found; {false} of {clean} measured samples called so"
    return row("held and interpolated samples", value, "all, none", hit >= 0.99 * planted_ and false <= 0.001 * clean)


def coverage(folder: Path, hands: int) -> Row:
    """Errors of the pinch midpoint within two stated sigmas, where key points err together in depth and alone."""
    shares = {}
    names = ORDERS["mediapipe"]
    for name, together in (("alone", 0.0), ("half together", 0.5), ("together", 1.0)):
        inside = total = 0
        for seed in range(hands):
            rng = np.random.default_rng(1000 + seed)
            sigma = float(rng.uniform(0.003, 0.015))
            points, _, _ = samples.hand_in_motion(names, _FRAMES, ("left", "right")[seed % 2], seed=seed)
            common = rng.normal(0, sigma * np.sqrt(together), (_FRAMES, 1, 3))
            noisy = points + common + rng.normal(0, sigma * np.sqrt(1 - together) + 1e-12, points.shape)
            side = "left" if seed % 2 == 0 else "right"
            track = hand_track(noisy, names, side, sigma_m=np.full(_FRAMES, sigma), how="made")
            true = hand_track(points, names, side)
            assert track.sigma is not None
            off = np.abs(track.poses.translation - true.poses.translation) / track.sigma.position[:, None]
            inside += int((off <= 2).sum())
            total += off.size
        shares[name] = inside / total
    value = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
    return row(
        "stated sigma: errors of an axis within 2, by how key points err",
        value,
        ".85 to .99",
        all(0.85 <= share <= 0.99 for share in shares.values()),
    )


def pinches(folder: Path, hands: int) -> Row:
    """Open or closed outside of transitions, with noise of 4 mm on each key point."""
    right = total = 0
    names, pinch = ORDERS["mediapipe"], Pinch()
    for seed in range(hands):
        points, _, _ = samples.hand_in_motion(names, 150, "right", seed=seed)
        truth = hand_track(points, names, "right")
        noisy = points + np.random.default_rng(seed).normal(0, 0.004, points.shape)
        seen = hand_track(noisy, names, "right")
        wanted = closed_samples(truth.effector[:, 0], truth.valid, pinch)
        found = closed_samples(seen.effector[:, 0], seen.valid, pinch)
        steady = ~np.convolve(np.abs(np.diff(wanted.astype(int), prepend=wanted[0])), np.ones(7), "same").astype(bool)
        right += int((found == wanted)[steady].sum())
        total += int(steady.sum())
    return row(
        "open or closed, 4 mm noise, outside .1 s of a change", f"{right / total:.3f}", ">= .97", right >= 0.97 * total
    )


def mirrored_trap(folder: Path, hands: int) -> Row:
    """Hands under the right name and under the other one's, with noise of 4 mm."""
    right = []
    names = ORDERS["mediapipe"]
    for seed in range(hands):
        for side in ("left", "right"):
            points, _, _ = samples.hand_in_motion(names, _FRAMES, side, seed=seed)
            noisy = points + np.random.default_rng(seed).normal(0, 0.004, points.shape)
            for said in ("left", "right"):
                right.append((side, bool(mirrored(noisy, names, said, "made")) == (said != side)))
    return counted("handedness in the mirrored trap, 4 mm noise", right, "100 %")


def arm_paths(folder: Path, hands: int) -> Row:
    """Paths that an arm made itself, with a stretch out of its reach."""
    arm = load_arm(str(write_arm_mjcf(folder / "arm.xml")), speed=30)
    stand, right = ArmStand(np.zeros(3), 0.0, turns_about_z("z")[0]), []
    for seed in range(max(hands // 4, 1)):
        rng = np.random.default_rng(seed)
        home, swing = np.array([0.2, 0.5, 0.9, 0.1, 0.6, -0.2]), rng.uniform(-0.4, 0.4, 6)
        tips = [arm.forward(home + np.sin(0.1 * k) * swing) for k in range(40)]
        place, turn = np.stack([at for at, _ in tips]), np.stack([rotation for _, rotation in tips])
        place[20:30, 2] += 3
        known = np.ones(40, bool)
        made = follow_path(arm, place, turn, time_s=np.arange(40) / 10, known=known, base=stand)
        right.append((f"path {seed}", np.flatnonzero(made.unreachable).tolist() == list(range(20, 30))))
    return counted("an arm's own paths: exactly the samples out of reach are called so", right, "all")


def aria(folder: Path, data: Path) -> Row:
    """Project Aria's public sample: missing hands stay missing, and times are whole nanoseconds."""
    right = []
    for file in sorted((data / "aria_gen1/mps_sample/hand_tracking").glob("hand_tracking_results*.csv")):
        one = AriaMps(file).demonstration(file.stem)
        lines = file.read_text().splitlines()
        first = int(lines[1].split(",")[lines[0].split(",").index("tracking_timestamp_us")])
        told = one.time_ns[0] == 1000 * first and len(one.time_ns) == len(lines) - 1
        shapes = all(t.points is None or bool(np.isnan(t.points[~t.valid]).all()) for t in one.tracks)
        right.append((file.name, bool(told and shapes)))
    return counted("Project Aria's hands: times in ns, missing stays missing", right, "all")


def counted(what: str, right: list[tuple[str, bool]], bar: str) -> Row:
    wrong = [name for name, good in right if not good]
    said = f"{len(right) - len(wrong)} of {len(right)}" + (f"; wrong: {', '.join(wrong[:5])}" if wrong else "")
    return row(what, said, bar, not wrong and bool(right))


def row(what: str, value: str, bar: str, kept: bool) -> Row:
    return {"what": what, "found": value, "bar": bar, "kept": "yes" if kept else "no"}


ROWS: dict[str, Callable[[Path, int], Row]] = {
    "handheld": handheld_readers,
    "hands": hand_readers,
    "planted": planted,
    "coverage": coverage,
    "pinches": pinches,
    "mirrored": mirrored_trap,
    "arm": arm_paths,
}


def kept_or_made(file: Path, make: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
    """A row that is kept in a file, made in a folder of its own where it is not there yet; and whether it was made."""
    missing = not file.exists()
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            made = make(Path(folder))
        part = file.with_suffix(".part")
        part.write_text(json.dumps(made))
        part.rename(file)
    return dict(json.loads(file.read_text())), missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the finished rows")
    parser.add_argument("--hands", type=int, default=40)
    parser.add_argument("--data", type=Path, help="folder with aria_gen1/")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = []
    tasks = {name: (lambda folder, make=make: make(folder, asked.hands)) for name, make in ROWS.items()}
    if asked.data is not None:
        tasks["aria"] = lambda folder: aria(folder, asked.data)
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]  # another benchmark does its rows again
    for name, make in tasks.items():
        rows.append(kept_or_made(asked.out / f"{name}-{asked.hands}-{own}.json", make)[0])
    print(markdown(("what", "found", "bar", "kept"), [tuple(r.values()) for r in rows]))
    print("\nnot measured:")
    for what, why in NOT_MEASURED.items():
        print(f"- {what}: {why}")


if __name__ == "__main__":
    main()
