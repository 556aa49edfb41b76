"""Dreams: videos without actions become episodes where a world, or two models, agree with what is read from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from roboscale import DreamEpisodes, dream_episodes
from roboscale.cli.app import app
from roboscale.core import BadData, Case, RoboscaleError, SpecMismatch, UnknownName
from roboscale.dataset import Dataset
from roboscale.dataset.video import Encoder
from roboscale.jobs.events import Note
from tests import block_world
from tests.block_world import FRONT, RATE_HZ, SENTENCE, SIZE, BlockScene, record_blocks

pytest.importorskip("av", reason="videos are an extra: pip install 'roboscale[data]'")
WORLD = f"{block_world.__file__}:BlockWorld"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dreams") / "set"
    record_blocks(root, 8)
    return root


def dream(path: Path, begins: int, velocity: tuple[float, float], steps: int = 20, **beside) -> Path:
    """A video as another model would paint it: the block moves like this, and the light is another."""
    block, encoder = BlockScene(Case("push", begins)), Encoder(path, (SIZE, SIZE, 3), RATE_HZ, "h264")
    places = []
    for _ in range(steps):
        places.append(block.place)
        encoder.add((0.7 * block.observe()[FRONT] + 20).astype(np.uint8))
        block.step(np.array(velocity))
    encoder.close()
    np.save(path.with_suffix(".moved"), np.diff(places, axis=0))
    if beside:
        path.with_suffix(".json").write_text(json.dumps(beside))
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    dream(folder / "right.mp4", 100, (1.2, 0.1), task="push", seed=100, model="painter 2", instruction="to the right")
    dream(folder / "left.mp4", 101, (-0.6, 0.1), task="push", seed=101)
    return folder


def test_what_a_world_comes_to_with_the_actions_decides(recorded: Path, videos: Path, tmp_path: Path):
    dream(videos / "elsewhere.mp4", 100, (1.2, 0.1), episode=0)  # it begins where another episode does
    told: list[object] = []
    asked = DreamEpisodes(dataset=recorded, videos=videos, out=tmp_path / "out", world=WORLD)
    done = dream_episodes(asked, told.append)
    assert (done.kept, done.there) == (1, 0) and set(done.refused) == {"left.mp4", "elsewhere.mp4"}
    assert "do not come to a success" in done.refused["left.mp4"] and "block" in done.refused["left.mp4"]
    assert sum(isinstance(one, Note) and "not kept" in one.text for one in told) == 2
    dataset = Dataset(tmp_path / "out", images="uint8")
    (info,) = dataset.episodes
    episode = dataset.episode(0)
    assert info.instruction == "to the right" and info.outcome is not None and info.outcome.success
    assert info.provenance is not None and info.provenance.source == "generated.dream"
    assert info.provenance.details["model"] == {"model": "painter 2"} and info.provenance.seed == 100
    assert abs(float(np.mean(episode.arrays["action"][:, 0])) - 1.2) < 0.4
    assert np.asarray(episode.arrays[FRONT]).mean() < 110, "its pictures are the video's, not the world's"
    assert episode.arrays["observation.state"][-1, 0] > episode.arrays["observation.state"][0, 0] + 5
    again = dream_episodes(asked)
    assert (again.kept, again.there) == (0, 1)


def test_without_a_world_two_models_have_to_agree(recorded: Path, videos: Path, tmp_path: Path):
    rng, encoder = np.random.default_rng(1), Encoder(videos / "noise.mp4", (SIZE, SIZE, 3), RATE_HZ, "h264")
    for _ in range(20):
        encoder.add(rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8))
    encoder.close()
    (videos / "left.json").unlink()
    words = ["collect", "dream", str(recorded), str(videos), str(tmp_path / "out")]
    said = CliRunner().invoke(app, [*words, "--json"])
    assert said.exit_code == 0, said.output
    result = json.loads(said.stdout)
    assert result["kept"] == 2 and not result["played"] and set(result["refused"]) == {"noise.mp4"}
    assert result["skill"] > 0.2 and "noise.mp4: not kept" in said.stderr
    dataset = Dataset(tmp_path / "out")
    assert set(dataset.spec.names) == {FRONT, "action"} and all(e.outcome is None for e in dataset.episodes)
    assert {e.instruction for e in dataset.episodes} == {"to the right", SENTENCE}
    assert "which may be wrong alike" in CliRunner().invoke(app, words).stdout


def test_actions_that_somebody_else_read_are_held_against_the_pictures(recorded: Path, videos: Path, tmp_path: Path):
    dream(videos / "wrong.mp4", 100, (1.2, 0.1))
    dream(videos / "short.mp4", 100, (1.2, 0.1))
    right = np.load(videos / "right.moved.npy")
    for name, actions in (("right", right), ("wrong", -right[:, ::-1] * 1.6), ("short", right[:5])):
        np.save(videos / f"{name}.npy", actions)
    done = dream_episodes(DreamEpisodes(dataset=recorded, videos=videos, out=tmp_path / "out"))
    assert "times as far from what its pictures show" in done.refused["wrong.mp4"]
    assert "numbers of shape (19, A)" in done.refused["short.mp4"] and done.kept == 2
    dataset = Dataset(tmp_path / "out")
    (episode,) = (e.index for e in dataset.episodes if e.instruction == "to the right")
    assert np.allclose(dataset.episode(episode, images=False).arrays["action"], right, atol=1e-6)
    played = dream_episodes(DreamEpisodes(dataset=recorded, videos=videos, out=tmp_path / "played", world=WORLD))
    assert played.kept == 1 and "right.mp4" not in played.refused


def test_a_wrong_video_costs_only_itself_and_nothing_kept_is_an_error(recorded: Path, tmp_path: Path):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "cut.mp4").write_bytes(dream(tmp_path / "whole.mp4", 1, (1.0, 0.0)).read_bytes()[:200])
    encoder = Encoder(folder / "large.mp4", (64, 64, 3), RATE_HZ, "h264")
    [encoder.add(np.zeros((64, 64, 3), np.uint8)) for _ in range(5)]
    encoder.close()
    encoder = Encoder(folder / "quick.mp4", (SIZE, SIZE, 3), 24, "h264")
    [encoder.add(np.zeros((SIZE, SIZE, 3), np.uint8)) for _ in range(5)]
    encoder.close()
    dream(folder / "nowhere.mp4", 1, (1.2, 0.0), task="push")
    dream(folder / "unreadable.mp4", 1, (1.2, 0.0)).with_suffix(".json").write_text("{")
    dream(folder / "far.mp4", 1, (1.2, 0.0), episode=99)
    dream(folder / "strange.mp4", 1, (1.2, 0.0), task="pull", seed=1)
    told: list[object] = []
    with pytest.raises(RoboscaleError, match=r"nothing was kept: cut\.mp4: "):
        dream_episodes(DreamEpisodes(dataset=recorded, videos=folder, out=tmp_path / "out", world=WORLD), told.append)
    said = " | ".join(one.text for one in told if isinstance(one, Note))
    for part in (
        "large.mp4: not kept: size: expected 48 x 48 as the camera's, found 64 x 64",
        "quick.mp4: not kept: fps: expected 10, found 24",
        "start: expected where the video begins: case, or task and seed, or episode, found task",
        "unreadable.json: file: expected JSON",
        "episode: expected an index below 8, or an id, found 99",
        "strange.mp4: not kept: unknown task of block 'pull'",
    ):
        assert part in said, said


def test_what_cannot_be_known_is_said_before_a_video_is_looked_at(recorded: Path, videos: Path, tmp_path: Path):
    asked = {"videos": videos, "out": tmp_path / "out"}
    with pytest.raises(UnknownName, match="frnt.*did you mean front"):
        dream_episodes(DreamEpisodes(dataset=recorded, camera="frnt", **asked))
    toy = f"{Path(__file__).parents[1] / 'toy_world.py'}:ToyWorld"
    with pytest.raises(SpecMismatch, match="the recorded episodes have shape"):
        dream_episodes(DreamEpisodes(dataset=recorded, world=toy, **asked))
    record_blocks(tmp_path / "blind", 4, shown=False)
    with pytest.raises(RoboscaleError, match="what a video does cannot be said"):
        dream_episodes(DreamEpisodes(dataset=tmp_path / "blind", **asked))
    record_blocks(tmp_path / "few", 3)
    with pytest.raises(RoboscaleError, match="expected 4, found 3"):
        dream_episodes(DreamEpisodes(dataset=tmp_path / "few", **asked))
    with pytest.raises(BadData, match="a folder with NAME.mp4 in it, found none"):
        dream_episodes(DreamEpisodes(dataset=recorded, videos=tmp_path, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
