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
