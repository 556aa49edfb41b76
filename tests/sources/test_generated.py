"""Generative augmenters: what a folder asks, and that videos which show something else are not kept."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, InfrastructureError, Outcome, Provenance, RoboscaleError, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.jobs.augmenting_by_worker import parse_worker
from roboscale.jobs.collect_augment import AugmentEpisodes, augment_episodes
from roboscale.sources.generated import (
    AugmentationJob,
    GeneratedVideo,
    ask_worker,
    check_generated,
    fit_inverse_dynamics,
    write_job,
)
from tests.block_world import FRONT, MASK, SIZE, scene

STEPS, EPISODES = 24, 6


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of a block that moves as its actions say."""
    root, rng = tmp_path_factory.mktemp("generated") / "set", np.random.default_rng(0)
    fields = [Field("observation.state", (2,), "float32"), Field("action", (2,), "float32")]
    fields += [Field(name, (SIZE, SIZE, 3), "uint8") for name in (FRONT, MASK)]
    with DatasetWriter(root, Spec(tuple(fields), 10.0), robot_type="block") as writer:
        for _ in range(EPISODES):
            take, place = writer.begin("push the block over the table", Provenance(source="made")), np.full(2, 24.0)
            velocity = np.zeros(2)
            for _ in range(STEPS):
                velocity = np.clip(0.8 * velocity + rng.normal(0, 0.9, 2), -2, 2)
                velocity = np.where((place + velocity < 11) | (place + velocity > 37), -velocity, velocity)
                picture, mask = scene(place)
                numbers = {"observation.state": place.astype(np.float32), "action": velocity.astype(np.float32)}
                take.add({**numbers, FRONT: picture, MASK: mask})
                place = place + velocity
            take.save(Outcome("success"))
    return root


WORKER = """
import json, shutil, sys
from pathlib import Path

file, folder = sys.argv[1], Path(sys.argv[-1])
shutil.copyfile(folder / file, folder / "output.mp4")
(folder / "result.json").write_text(json.dumps({"model": file}))
"""


@pytest.fixture
def asked(moved: Path, tmp_path: Path):
    """Asks a stand-in worker for one copy of every episode: its answer is a file that lies in the folder."""
    (tmp_path / "worker.py").write_text(WORKER)

    def ask(file: str, **more):
        worker = f"{sys.executable} -S {tmp_path / 'worker.py'} {file}"
        request = AugmentEpisodes(dataset=moved, out=tmp_path / "made", axes="generated", worker=worker, **more)
        notes: list[str] = []
        return augment_episodes(request, lambda event: notes.append(getattr(event, "text", ""))), notes

    return ask


def test_what_passes_is_kept_with_its_parents_numbers(moved: Path, tmp_path: Path, asked):
    more = {"copies": 1, "mask": (f"front={MASK}",), "prompt": ("a wooden table", "night"), "seed": 3}
    done, _ = asked("input.mp4", **more)
    assert (done.made, done.refused) == (EPISODES, 0)
    old, new = Dataset(moved, images="uint8"), Dataset(tmp_path / "made", images="uint8")
    info = new.episodes[0]
    assert info.provenance is not None and info.provenance.source == "generated.augment"
    told = info.provenance.details["generated"][FRONT]
    assert told["worker"] == {"model": "input.mp4"} and told["prompt"] == "a wooden table"
    assert told["overlap"] > 0.6 and told["residual"] < 1.5
    (parent,) = info.provenance.parents
    before = old.episode(next(e.index for e in old.episodes if e.id == parent), images=False)
    assert np.asarray(before.arrays["action"]).tobytes() == np.asarray(new.episode(0).arrays["action"]).tobytes()
    folder = next((tmp_path / "made.jobs").iterdir())
    job = json.loads((folder / "job.json").read_text())
    assert set(job["controls"]) == {"edges", "segmentation"} and job["frames"] == STEPS and job["fps"] == 10
    assert (folder / "edges.mp4").stat().st_size and (folder / "segmentation.mp4").stat().st_size
    assert asked("input.mp4", **more)[0].there == EPISODES


def test_an_answer_belongs_to_its_question(tmp_path: Path, asked):
    """Another prompt, into the same folder, is asked for anew; the same one is not, and that is said."""
    for prompt in ("day", "night"):
        with pytest.raises(RoboscaleError, match="no copy was kept"):
            asked("edges.mp4", copies=1, prompt=(prompt,))
    folders = sorted((tmp_path / "made.jobs").iterdir())
    assert len(folders) == 2 * EPISODES
    assert {json.loads((f / "job.json").read_text())["prompt"] for f in folders} == {"day", "night"}
    with pytest.raises(RoboscaleError, match="answers that lay in .* are taken"):
        asked("edges.mp4", copies=1, prompt=("night",))


def test_a_worker_is_a_program_and_its_words():
    with pytest.raises(RoboscaleError, match="found none"):
        parse_worker(" ")
    with pytest.raises(RoboscaleError, match="No closing quotation"):
        parse_worker("make 'it")


def test_a_run_in_which_nothing_passes_is_an_error(asked):
    with pytest.raises(RoboscaleError, match=r"no copy was kept: .*no mask of the robot is given.*residual is"):
        asked("edges.mp4", copies=1)


@pytest.fixture(scope="module")
def judged(moved: Path):
    """Checks what somebody made of the first episode."""
    dataset = Dataset(moved, images="uint8")
    videos = [dataset.decode(k, FRONT) for k in range(EPISODES)]
    actions = [np.asarray(dataset.episode(k, images=False).arrays["action"]) for k in range(EPISODES)]
    mask = dataset.decode(0, MASK)[..., 0] > 127
    dynamics = fit_inverse_dynamics(videos, actions)
    job = AugmentationJob(name="x", prompt="", seed=0, frames=STEPS, fps=10.0, width=SIZE, height=SIZE)

    def check(change, fps: float = 10.0, **more):
        made = GeneratedVideo(pictures=change(videos[0].astype(float)).astype(np.uint8), fps=fps, about={})
        return check_generated(job, made, videos[0], actions[0], dynamics, **{"mask": mask, **more})

    return check


def tint(video: np.ndarray) -> np.ndarray:
    return np.clip(video * [1.1, 0.8, 0.6] + [10, 0, 20], 0, 255)


def test_other_colours_show_the_same(judged):
    found = judged(tint)
    assert found.kept and found.overlap > 0.6 and found.residual < 1.5 and not found.unchecked


@pytest.mark.parametrize(
    ("change", "more", "why"),
    [
        (lambda video: tint(video)[::-1], {"mask": None}, "residual is"),
        (lambda video: np.roll(tint(video), 9, axis=2), {}, "robot's edges are where they were"),
        (lambda video: tint(video)[:-1], {}, "expected 24 frames of 48 x 48, found 23"),
        (tint, {"fps": 20.0}, "expected 10 frames a second, found 20"),
    ],
)
def test_a_video_that_shows_something_else_is_refused(judged, change, more, why: str):
    found = judged(change, **more)
    assert not found.kept and why in " ".join(found.faults)


def test_dynamics_that_know_nothing_let_nothing_pass(moved: Path):
    dataset, rng = Dataset(moved, images="uint8"), np.random.default_rng(1)
    videos = [dataset.decode(k, FRONT) for k in range(EPISODES)]
    blind = fit_inverse_dynamics(videos, [rng.normal(size=(STEPS, 2)) for _ in videos])
    job = AugmentationJob(name="x", prompt="", seed=0, frames=STEPS, fps=10.0, width=SIZE, height=SIZE)
    made = GeneratedVideo(pictures=videos[0], fps=10.0, about={})
    found = check_generated(job, made, videos[0], np.zeros((STEPS, 2)), blind)
    assert not found.kept and "cannot be said" in found.faults[0] and "no mask" in found.unchecked[0]


def test_inverse_dynamics_know_what_they_know(moved: Path):
    dataset = Dataset(moved, images="uint8")
    videos = [dataset.decode(k, FRONT) for k in range(EPISODES)]
    actions = [np.asarray(dataset.episode(k, images=False).arrays["action"]) for k in range(EPISODES)]
    assert fit_inverse_dynamics(videos, actions).skill > 0.3
    rng = np.random.default_rng(1)
    assert fit_inverse_dynamics(videos, [rng.normal(size=a.shape) for a in actions]).skill < 0.1
    with pytest.raises(RoboscaleError, match="2 episodes or more"):
        fit_inverse_dynamics(videos[:1], actions[:1])


def test_a_worker_that_fails_is_one_line(tmp_path: Path):
    job = write_job(tmp_path / "job", np.zeros((3, 16, 16, 3), np.uint8), 10.0, prompt="", seed=0)
    assert job.frames == 3
    with pytest.raises(InfrastructureError, match="ended with 3: no memory"):
        ask_worker(tmp_path / "job", [sys.executable, "-c", "import sys; print('no memory'); sys.exit(3)"], 60)
    with pytest.raises(BadData, match=r"output\.mp4: expected a video"):
        ask_worker(tmp_path / "job", [sys.executable, "-c", ""], 60)
    with pytest.raises(InfrastructureError, match="nowhere"):
        ask_worker(tmp_path / "job", ["nowhere"], 60)


COSMOS = """
import argparse, json, shutil
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("-i", required=True); parser.add_argument("-o", required=True)
parser.add_argument("--checkpoint-path"); parser.add_argument("--seed")
asked = parser.parse_args()
spec = json.loads(Path(asked.i).read_text())
controls = {k: v for k, v in spec.items() if k in ("edge", "depth", "seg", "vis", "blur")}
assert spec["name"] and "prompt" in spec and all(Path(c["control_path"]).is_file() for c in controls.values())
if asked.checkpoint_path:
    assert len(controls) == 1 and spec["num_frames"] == 3 and asked.seed == "7"
    source, made = spec["vision_path"], Path(asked.o) / spec["name"] / "vision.mp4"
else:
    assert len(controls) == 2 and spec["seed"] == 7
    source, made = spec["video_path"], Path(asked.o) / (spec["name"] + ".mp4")
made.parent.mkdir(parents=True)
shutil.copyfile(source, made)
"""


@pytest.mark.parametrize("kind", ["transfer2.5", "3"])
def test_cosmos_is_asked_as_its_documentation_says(tmp_path: Path, kind: str):
    """A stand-in program with the same command line and the same files; no weights are run."""
    checkout = tmp_path / "checkout"
    place = checkout / ("examples/inference.py" if kind == "transfer2.5" else "cosmos_framework/scripts/inference.py")
    place.parent.mkdir(parents=True)
    place.write_text(COSMOS)
    video = np.full((3, 16, 16, 3), 80, np.uint8)
    write_job(tmp_path / "job", video, 10.0, prompt="at night", seed=7, controls={"depth": video})
    made = ask_worker(tmp_path / "job", parse_worker(f"cosmos:{kind}:{checkout}"), 60)
    assert made.pictures.shape == video.shape and made.about["model"] == f"cosmos {kind}"
    with pytest.raises(RoboscaleError, match="expected cosmos:"):
        parse_worker("cosmos:4:x")
