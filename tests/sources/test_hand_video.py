"""Hands in videos: squares, anchors, points in metres, hands followed and named. The models are stood in for."""

import os
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData
from roboscale.jobs.collect_human import CollectHuman, collect_human
from roboscale.sources.human import hand_video, landmarks
from roboscale.sources.human.hand import chirality
from roboscale.sources.human.hand_video import HandVideo, follow_hands
from roboscale.sources.human.joints import ORDERS
from roboscale.sources.human.landmarks import HandModels, SeenHand, load_hand_models, metric_points
from tests.samples import capture as samples

NAMES = ORDERS["mediapipe"]
DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
MODELS = os.environ.get("ROBOSCALE_HAND_MODELS", "")


def seen(points: np.ndarray, right: float = 0.9, presence: float = 0.9, focal: float = 60.0) -> SeenHand:
    """What a perfect model says of a hand (21, 3) in a camera's frame, in pictures of 64 pixels."""
    pixels = focal * points[:, :2] / points[:, 2:] + 32
    return SeenHand(pixels=pixels, points=points - points.mean(axis=0), presence=presence, right=right)


def before_a_camera(frames: int, side: str = "right", aside: float = 0.0) -> np.ndarray:
    points, _, _ = samples.hand_in_motion(NAMES, frames, side)
    return 0.5 * (points - points.mean(axis=(0, 1))) + points.mean(axis=(0, 1)) * 0 + [aside, 0.0, 0.5]


def test_points_come_to_where_their_pixels_are():
    points = before_a_camera(1)[0]
    assert np.abs(metric_points(seen(points), 60, 60, 32, 32) - points).max() < 1e-9


def test_a_square_is_cut_upright_whatever_way_the_hand_points():
    picture = np.zeros((200, 300, 3), np.uint8)
    wrist, knuckle = np.array([120.0, 100.0]), np.array([180.0, 100.0])  # fingers to the right
    picture[95:106, 170:191, 0] = 255
    x, y, side, angle = landmarks._square(np.array([150.0, 100.0]), 60.0, wrist, knuckle, scale=2.0, shift=0.0)
    cut = landmarks._cut(picture, np.array([x, y]), side, angle, 96)
    rows, columns = np.nonzero(cut[:, :, 0] > 0.5)
    assert side == 120 and rows.max() < 40 and abs(columns.mean() - 47.5) < 2, "the bright tip is on top"


def test_the_next_square_lies_about_the_points_and_turns_with_them():
    hand = seen(before_a_camera(1)[0])
    x, y, side, angle = landmarks._square_of_points(hand.pixels)
    assert np.abs(hand.pixels - [x, y]).max() < side
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    turned = landmarks._square_of_points(hand.pixels @ turn.T)
    assert np.allclose(turned[:2], turn @ [x, y]) and turned[2] == pytest.approx(side)
    assert np.cos(turned[3] - angle) == pytest.approx(0, abs=1e-9)


def test_there_are_as_many_anchors_as_the_model_has():
    anchors = landmarks._anchors()
    assert (
        anchors.shape == (2016, 2)
        and anchors[0].tolist() == [0.5 / 24] * 2
        and anchors[-1].tolist() == [11.5 / 12] * 2
    )


def test_hands_are_followed_and_each_is_one_side_throughout():
    left, right = before_a_camera(30, "left", -0.12), before_a_camera(30, "right", 0.12)
    pictures = []
    for k in range(30):
        hands = [seen(right[k], right=0.4 if k == 7 else 0.9), seen(left[k], right=0.1)]
        pictures.append(hands[:: -1 if k % 2 else 1] if k != 12 else hands[:1])
    made = sorted(follow_hands(iter([*pictures, [seen(right[0] + [0.3, 0, 0])]])), key=lambda one: one.side)
    assert [one.side for one in made] == ["left", "right"], (
        "one doubtful picture, and one hand seen once, change nothing"
    )
    assert len(made[1].seen) == 30 and 12 not in made[0].seen


class Stand:
    """Says what a perfect model would; the hand is away in five pictures."""

    def __init__(self, points: np.ndarray) -> None:
        self.points, self.at = points, -1

    def find(self, picture: np.ndarray) -> list[SeenHand]:
        self.at += 1
        return [] if 15 <= self.at < 20 else [seen(self.points[self.at])]


def test_a_video_becomes_auxiliary_targets_and_a_hand_that_is_away_is_missing(tmp_path: Path, monkeypatch):
    file = samples.write_video(tmp_path / "clip.mp4", 40)
    points = before_a_camera(40)
    monkeypatch.setattr(hand_video, "load_hand_models", lambda path: HandModels(b"", b""))
    monkeypatch.setattr(HandVideo, "finder", lambda self: Stand(points))
    asked = CollectHuman(source=file, out=tmp_path / "out", models=tmp_path, lens="60,60,32,32", workers=0)
    done = collect_human(asked)
    assert done.card.format == "video" and "nobody says how accurate" in done.card.pretrain_only
    (track,) = done.card.demonstrations[0].tracks
    assert (track.samples, track.missing) == (40, 5) and done.episodes == 2
    one = HandVideo(file, tmp_path, lens=(60, 60, 32, 32)).demonstration("clip")
    assert np.abs(one.tracks[0].points[:15] - points[:15]).max() < 1e-9 and one.findings == ()
    assert any(f.check == "assumed-lens" for f in HandVideo(file, tmp_path).demonstration("clip").findings)


def test_models_that_are_others_or_not_there_are_one_clear_line(tmp_path: Path):
    with pytest.raises(BadData, match="pip download --no-deps mediapipe==0.10.21"):
        load_hand_models(tmp_path)
    wheel = tmp_path / "mediapipe.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("mediapipe/modules/palm_detection/palm_detection_full.tflite", b"other")
    with pytest.raises(BadData, match="sha256 1b14e9422c6ad006, of mediapipe 0.10.21"):
        load_hand_models(wheel)
    wheel.write_bytes(b"no zip")
    with pytest.raises(BadData, match="wheel of mediapipe"):
        load_hand_models(wheel)
    with pytest.raises(BadData, match="--models names the models"):
        file = samples.write_video(tmp_path / "clip.mp4", 3)
        collect_human(CollectHuman(source=file, out=tmp_path / "out", workers=0))


def test_a_real_right_hand_is_found_in_every_picture():
    if not MODELS or find_spec("ai_edge_litert") is None or not (DATA / "human_hand_video").exists():
        pytest.skip("ROBOSCALE_HAND_MODELS names no wheel of mediapipe 0.10.21, or LiteRT is not installed")
    source = HandVideo(DATA / "human_hand_video/human_hand_video.mp4", Path(MODELS))
    one = source.demonstration(source.keys[0])
    (track,) = one.tracks
    assert track.valid.mean() > 0.99 and track.points is not None
    assert chirality(track.points, track.point_names) > 0.5 and not any(
        f.check == "mirrored-hand" for f in one.findings
    )
