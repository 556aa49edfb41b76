"""Copies of episodes look otherwise, and are equal in every number."""

from pathlib import Path

import numpy as np
import pytest

import roboscale as rs
from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.dataset import Dataset
from roboscale.jobs.collect_augment import AugmentEpisodes, augment_episodes


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("augment") / "set"
    rs.record_episodes(rs.RecordEpisodes(out=root, tasks="reach-v3", episodes=2, workers=0))
    return root


def test_only_pictures_are_new(recorded: Path, tmp_path: Path):
    out = tmp_path / "copies"
    done = augment_episodes(
        AugmentEpisodes(dataset=recorded, out=out, copies=2, axes="light,camera,texture,distractors")
    )
    assert (done.parents, done.made, done.there) == (2, 4, 0)
    old, new = Dataset(recorded, images="uint8"), Dataset(out, images="uint8")
    assert old.spec == new.spec
    places = {info.id: info.index for info in old.episodes}
    seen = []
    for info in new.episodes:
        assert info.provenance is not None and info.provenance.source == "simulation.augment"
        (parent,) = info.provenance.parents
        before, after = old.episode(places[parent], images=False), new.episode(info.index, images=False)
        for name, array in before.arrays.items():
            assert np.asarray(array).tobytes() == np.asarray(after.arrays[name]).tobytes(), name
        assert after.instruction == before.instruction and after.outcome == before.outcome
        picture = "observation.images.front"
        films = [np.asarray(d.decode(k, picture)) for d, k in ((old, places[parent]), (new, info.index))]
        assert films[0].shape == films[1].shape
        assert np.abs(films[0].astype(int) - films[1]).mean() > 3
        seen.append(films[1][0].tobytes())
    assert len(set(seen)) == 4, "no two copies are alike"


def test_the_same_request_makes_only_what_is_missing(recorded: Path, tmp_path: Path):
    out = tmp_path / "copies"
    augment_episodes(AugmentEpisodes(dataset=recorded, out=out, copies=1))
    again = augment_episodes(AugmentEpisodes(dataset=recorded, out=out, copies=2))
    assert (again.made, again.there) == (2, 2)


def test_the_copies_pass_the_audit_and_merge(recorded: Path, tmp_path: Path, roboscale):
    out = tmp_path / "copies"
    shown = roboscale("collect", "augment", str(recorded), str(out), "--copies", "1", "--axes", "light")
    assert "every action and reading is equal" in shown.stdout
    said = next(line for line in shown.stderr.splitlines() if "roboscale data merge" in line)
    _, *words = said[said.index("roboscale data") :].split()
    both = tmp_path / "both"
    roboscale(*(str(both) if word == "BOTH" else word for word in words))
    assert len(Dataset(both).episodes) == 4


def test_an_episode_of_another_world_is_refused(recorded: Path, tmp_path: Path):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(recorded, other)
    found = False
    for path in (other / "meta" / "roboscale").rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl"):
            text = path.read_text()
            digest = Dataset(recorded).episodes[0].provenance.details["world"]["digest"]  # type: ignore[union-attr]
            if digest in text:
                path.write_text(text.replace(digest, "0" * len(digest)))
                found = True
    if not found:
        pytest.skip("the sidecar is not text")
    with pytest.raises(BadData, match="recorded in this metaworld"):
        augment_episodes(AugmentEpisodes(dataset=other, out=tmp_path / "x"))


def test_an_axis_that_changes_more_than_pictures_is_refused(recorded: Path, tmp_path: Path):
    with pytest.raises(UnknownName, match="changes pictures alone"):
        augment_episodes(AugmentEpisodes(dataset=recorded, out=tmp_path / "x", axes="friction"))
    with pytest.raises(RoboscaleError, match="a dataset of their own"):
        AugmentEpisodes(dataset=recorded, out=recorded)


WHOLE, FRONT, MASK = (24, 32), "observation.images.front", "observation.images.front_mask"
LENS = np.array([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of a white square that moves over grey, with its mask, depth and the camera's intrinsics."""
    from roboscale.core import Field, Outcome, Provenance, Spec
    from roboscale.dataset import DatasetWriter

    root = tmp_path_factory.mktemp("filmed") / "set"
    fields = [
        Field("observation.state", (2,), "float32", unit="m"),
        Field("action", (2,), "float32", unit="m"),
        Field("observation.depth.front", WHOLE, "float32", unit="m"),
        Field("observation.intrinsics.front", (3, 3), "float32", unit="mixed"),
        *(Field(name, (*WHOLE, 3), "uint8") for name in (FRONT, MASK)),
    ]
    with DatasetWriter(root, Spec(tuple(fields), 10.0), robot_type="toy") as writer:
        for number in range(2):
            take = writer.begin("push the square over the table", Provenance(source="made"))
            for k in range(6):
                mask = np.zeros((*WHOLE, 3), np.uint8)
                mask[8:16, 2 * k + number : 2 * k + number + 8] = 255
                place = np.array([k, number], np.float32)
                depth = np.where(mask[..., 0] > 0, 0.5, 2.0).astype(np.float32)
                picture = np.where(mask > 0, np.uint8(230), np.uint8(90))
                frame = {"observation.state": place, "action": place, "observation.depth.front": depth}
                take.add({**frame, "observation.intrinsics.front": LENS, FRONT: picture, MASK: mask})
            take.save(Outcome("success"))
    return root


def test_recorded_pictures_are_changed_without_a_world(filmed: Path, tmp_path: Path):
    out, told = tmp_path / "copies", []
    asked = AugmentEpisodes(dataset=filmed, out=out, copies=2, axes="colour,blur,crop", strongest=3.0)
    done = augment_episodes(asked, lambda event: told.append(str(event)))
    assert (done.parents, done.made, done.frames) == (2, 4, 24)
    old, new = Dataset(filmed, images="uint8"), Dataset(out, images="uint8")
    places = {info.id: info.index for info in old.episodes}
    seen = set()
    for info in new.episodes:
        assert info.provenance is not None and info.provenance.source == "pictures.augment"
        (parent,) = info.provenance.parents
        before, after = old.episode(places[parent]), new.episode(info.index)
        for name in ("observation.state", "action", "observation.depth.front"):
            assert np.asarray(before.arrays[name]).tobytes() == np.asarray(after.arrays[name]).tobytes()
        moved = np.array(info.provenance.details["picture_from_parent"][FRONT])
        np.testing.assert_allclose(after.arrays["observation.intrinsics.front"][0], moved @ LENS, rtol=1e-6)
        pictures = np.asarray(after.arrays[FRONT])
        assert np.abs(pictures.astype(int) - np.asarray(before.arrays[FRONT])).mean() > 3
        seen.add(pictures.tobytes())
    assert len(seen) == 4
    assert "pictures are new, and observation.intrinsics.front with them" in done.lines[1]
    assert any("not cropped with the pictures" in text and "observation.depth.front" in text for text in told)
    again = augment_episodes(asked)
    assert (again.made, again.there) == (0, 4)
    assert len(again.lines) == 1  # nothing was compared, and nothing is said to be equal


def test_a_point_lies_where_the_changed_intrinsics_say(filmed: Path):
    """The corner of a square, found in the cropped picture, is where the parent's corner was moved to."""
    from roboscale.sources.pictures import Repaint, changed_intrinsics

    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:60] = 255
    change = Repaint(values={"crop.lost": 0.25}, places={"front": (0.2, 0.8)})
    moved = change.picture_from_parent("front", 80, 60)
    rows, columns = np.nonzero(change.apply("front", picture)[..., 0] > 127)
    found = np.array([[columns.min() - 0.5, rows.min() - 0.5], [columns.max() + 0.5, rows.max() + 0.5]])
    corners = np.array([[29.5, 19.5, 1.0], [59.5, 39.5, 1.0]])
    np.testing.assert_allclose((corners @ moved.T)[:, :2], found, atol=1.0)
    lens = np.array([70.0, 72.0, 39.5, 29.5])
    assert changed_intrinsics(lens, moved, "front")[2] == pytest.approx((moved @ [39.5, 29.5, 1])[0])
    with pytest.raises(BadData, match="fx, fy, cx, cy"):
        changed_intrinsics(np.zeros(5), moved, "front")


@pytest.mark.parametrize("mask", [f"front={MASK}", "front=observation.depth.front<1"])
def test_the_background_is_replaced_behind_a_mask(filmed: Path, tmp_path: Path, mask: str):
    from PIL import Image

    (tmp_path / "walls").mkdir()
    Image.fromarray(np.full((8, 8, 3), (200, 30, 30), np.uint8)).save(tmp_path / "walls" / "red.png")
    out = tmp_path / "copies"
    augment_episodes(
        AugmentEpisodes(
            dataset=filmed, out=out, copies=1, axes="background", mask=(mask,), backgrounds=tmp_path / "walls"
        )
    )
    new = Dataset(out, images="uint8").episode(0)
    picture = np.asarray(new.arrays[FRONT][0]).astype(int)
    assert np.abs(picture[11, 4] - 230).max() < 25, "the square is kept"
    assert np.abs(picture[3, 25] - (200, 30, 30)).max() < 40, "the table is red"
    assert np.abs(np.asarray(new.arrays[MASK][0]).astype(int)[11, 4] - 255).max() < 25


def test_changes_of_pictures_say_what_they_need(filmed: Path, recorded: Path, tmp_path: Path):
    def asked(**more):
        return AugmentEpisodes(dataset=filmed, out=tmp_path / "x", **more)

    with pytest.raises(RoboscaleError, match="one kind at a time"):
        asked(axes="light,colour")
    with pytest.raises(RoboscaleError, match="needs --mask"):
        augment_episodes(asked(axes="background"))
    with pytest.raises(RoboscaleError, match="needs --worker"):
        augment_episodes(asked(axes="generated"))
    with pytest.raises(RoboscaleError, match="generated is asked of a worker by itself"):
        asked(axes="generated,colour")
    with pytest.raises(UnknownName, match="generated"):
        asked(axes="glitter")
    with pytest.raises(RoboscaleError, match="asks no world"):
        augment_episodes(asked(axes="colour", world="metaworld"))
    with pytest.raises(UnknownName, match="field of the mask"):
        augment_episodes(asked(axes="background", mask=("front=nothing",)))
    with pytest.raises(RoboscaleError, match="expected a number of metres"):
        augment_episodes(asked(axes="background", mask=("front=observation.depth.front<near",)))
    with pytest.raises(RoboscaleError, match=r"is \(2,\)"):
        augment_episodes(asked(axes="background", mask=("front=observation.state",)))
