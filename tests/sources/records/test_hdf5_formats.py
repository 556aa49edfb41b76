"""The HDF5 formats: every dataset accounted for, numbers untouched, pictures in true colours, defects named."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil

import h5py
import numpy as np
import pytest

from roboscale import DescribeDataset, describe_dataset
from roboscale.core import UNKNOWN, BadData, Clip, RoboscaleError, UnknownName
from roboscale.sources.records import hdf5
from roboscale.testing.recording_checks import check_recording
from tests.samples import hdf5 as samples

CASES = {
    "robomimic": (samples.write_robomimic, {}, {}),
    "isaac-mimic": (samples.write_isaac_mimic, {}, {}),
    "aloha": (samples.write_aloha, {}, {}),
    "aloha compressed": (samples.write_aloha, {"compressed": True}, {}),
    "robomind": (samples.write_robomind, {}, {"fps": 30}),
    "robomind tienkung": (samples.write_robomind, {"embodiment": "tienkung_gello_1rgb"}, {"fps": 30}),
    "agibot": (samples.write_agibot, {}, {}),
    "droid-raw": (samples.write_droid, {}, {}),
    "droid-raw 60": (samples.write_droid, {"video_fps": 60}, {}),
}


def make(name, folder):
    write, how, options = CASES[name]
    return write(folder, **how), name.split()[0], options


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    return make(request.param, tmp_path)


def datasets(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None)
    return found


def test_a_recording_keeps_its_promises(case):
    path, name, options = case
    assert hdf5.detect(path) == name
    check_recording(hdf5.open_path(path, name, **options))


@pytest.mark.parametrize("name", CASES)
def test_every_dataset_is_carried_over_or_named_with_a_reason(name, tmp_path):
    path, form, options = make(name, tmp_path)
    recording = hdf5.open_path(path, form, **options)
    known = {part for origin in recording.origins for part in origin.source.split(" + ")} | set(recording.unmapped)
    key = recording.keys[-1]
    place = recording._layout.place(key)
    for dataset in datasets(place.file):
        if place.group and dataset.startswith(place.group + "/"):
            dataset = dataset.removeprefix(place.group + "/")
        elif place.group:  # another demo, or the masks
            assert dataset.startswith(("data/", "mask/"))
            continue
        for role, serial in recording._layout.roles(key).items():
            dataset = dataset.replace(serial, "{" + role + "}")
        assert dataset in known, f"{dataset} is neither carried over nor named"


@pytest.mark.parametrize("name", CASES)
def test_a_pickled_recording_reads_the_same_in_another_process(name, tmp_path):
    path, form, options = make(name, tmp_path)
    recording = hdf5.open_path(path, form, **options)
    here = recording.read(recording.keys[0], ())
    again = pickle.loads(pickle.dumps(recording)).read(recording.keys[0], ())
    assert again.instruction == here.instruction and again.provenance == here.provenance
    assert all(np.array_equal(values, again.arrays[key]) for key, values in here.arrays.items())


def _sum_in_child(recording, pipe):
    pipe.send(float(recording.read(recording.keys[0], ()).arrays["action"].sum()))


def test_a_forked_worker_reads_what_its_parent_has_open(tmp_path):
    recording = hdf5.open_path(samples.write_robomimic(tmp_path), "robomimic")
    here = float(recording.read(recording.keys[0], ()).arrays["action"].sum())
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_sum_in_child, args=(recording, theirs))
    worker.start()
    assert ours.poll(10) and ours.recv() == here
    worker.join(10)


def test_robomimic_numbers_are_those_of_the_file(tmp_path):
    path = samples.write_robomimic(tmp_path)
    recording = hdf5.open_path(path, "robomimic")
    episode = recording.read("demo_1")
    with h5py.File(path) as file:
        demo = file["data/demo_1"]
        pairs = {"action": "actions", "simulator.state": "states", "observation.robot0_eef_pos": "obs/robot0_eef_pos"}
        for ours, theirs in pairs.items():
            assert np.array_equal(episode.arrays[ours], demo[theirs][()])
        assert np.array_equal(episode.arrays["next.done"][:, 0], demo["dones"][()])
        images = np.stack(list(episode.pictures["observation.images.agentview_image"]))
        assert np.array_equal(images, demo["obs/agentview_image"][()])
    assert recording.spec.rate_hz == 20 and recording.robot_type == "Panda"
    assert recording.spec["action"].unit == recording.spec["action"].mode == UNKNOWN
    assert recording.unmapped["next_obs/robot0_eef_pos"] == "the next row of obs"
    assert (
        episode.provenance.details["masks"] == ["valid"] and len(episode.provenance.details["model_file_sha256"]) == 64
    )


def test_demos_are_in_their_own_order_and_a_folder_of_files_is_one_recording(tmp_path):
    samples.write_robomimic(tmp_path, episodes=11, frames=2)
    assert hdf5.open_path(tmp_path, "robomimic").keys[2:] == tuple(f"demo_{i}" for i in range(2, 11))
    shutil.copy(tmp_path / "image.hdf5", tmp_path / "task_2.hdf5")
    keys = hdf5.open_path(tmp_path, "robomimic").keys
    assert len(keys) == 22 and keys[0] == "image/demo_0" and keys[-1] == "task_2/demo_10"


def test_simulator_states_that_differ_in_size_are_left_out(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["data/demo_1/states"]
        file["data/demo_1/states"] = np.zeros((12, 40))
    recording = hdf5.open_path(path, "robomimic")
    assert "simulator.state" not in recording.spec and "differs" in recording.unmapped["states"]
    check_recording(recording)


def test_a_single_vector_is_the_state(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        for demo in file["data"].values():
            del demo["obs/robot0_eef_quat"], demo["obs/robot0_gripper_qpos"]
    assert "observation.state" in hdf5.open_path(path, "robomimic").spec


def test_a_rate_that_nobody_knows_is_asked_for(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {}})
    with pytest.raises(RoboscaleError, match="--fps"):
        hdf5.open_path(path, "robomimic")
    told = describe_dataset(DescribeDataset(dataset=path))
    assert told.rate_hz is None and told.episodes and "action" in told.fields
    assert hdf5.open_path(path, "robomimic", fps=15).spec.rate_hz == 15
    with pytest.raises(RoboscaleError, match="speed"):
        hdf5.open_path(path, "robomimic", speed=3)


def test_samples_that_do_not_add_up_are_an_error(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        file["data/demo_0"].attrs["num_samples"] = 13
        del file["data/demo_1/rewards"]
        file["data/demo_1/rewards"] = np.zeros(9)
    recording = hdf5.open_path(path, "robomimic")
    with pytest.raises(BadData, match=r"num_samples 13, found 12 rows"):
        recording.read("demo_0")
    with pytest.raises(BadData, match=r"rewards: expected 12 frames as in action, found 9"):
        recording.read("demo_1")


def test_isaac_says_seed_success_and_its_nested_observations(tmp_path):
    recording = hdf5.open_path(samples.write_isaac_mimic(tmp_path), "isaac-mimic")
    first, second = (recording.read(key, ()) for key in recording.keys)
    assert (first.outcome.success, second.outcome.success, second.provenance.seed) == (True, False, 1)
    assert recording.spec["observation.datagen_info.eef_pose.franka"].shape == (4, 4)
    assert "one value per episode" in recording.unmapped["initial_state/articulation/robot/joint_position"]


@pytest.mark.parametrize("compressed", [False, True])
def test_aloha_is_fifty_hertz_absolute_and_in_true_colours(tmp_path, compressed):
    recording = hdf5.open_path(samples.write_aloha(tmp_path, compressed=compressed), "aloha")
    field = recording.spec["action"]
    assert (recording.spec.rate_hz, field.mode, field.unit) == (50, "absolute", "mixed")
    assert field.layout[6] == "left_gripper_openness" and field.layout[7] == "right_waist_rad"
    assert recording.findings[0].check == "assumed-rate" and "0.02" in recording.findings[0].text
    images = list(recording.read("episode_1").pictures["observation.images.cam_left_wrist"])
    for number, image in enumerate(images):
        off = np.abs(image.astype(int) - samples.picture(27 + number)).mean()
        assert off <= (5 if compressed else 0), "red and blue are exchanged"


@pytest.mark.parametrize(
    ("attributes", "times", "rate", "check"),
    [
        ({"fps": 15}, None, 15, ""),
        ({"control_dt": 0.02}, np.arange(12) / 50 + 1.7e9, 50, ""),
        ({"fps": 15}, np.arange(12) / 20, 15, "recorded-clock"),
        ({"task": "fold"}, np.arange(12) * 40_000_000 + 1_700_000_000_000_000_000, 25, "recorded-clock"),
    ],
)
def test_aloha_runs_at_the_rate_that_its_files_say(tmp_path, attributes, times, rate, check):
    """An attribute is believed, and held against recorded times; without one the times say it."""
    folder = samples.write_aloha(tmp_path, compressed=False)
    for path in folder.glob("*.hdf5"):
        with h5py.File(path, "r+") as file:
            file.attrs.update(attributes)
            if times is not None:
                file["timestamps"] = times
    recording = hdf5.open_path(folder, "aloha")
    assert recording.spec.rate_hz == pytest.approx(rate)
    assert [one.check for one in recording.findings] == ([check] if check else [])
    assert f"attributes {next(iter(attributes))}" in recording.unmapped
    details = recording.read(recording.keys[0]).provenance.details
    assert details[f"attribute {next(iter(attributes))}"] == str(next(iter(attributes.values())))


def test_demos_without_actions_are_an_own_layout(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        for demo in file["data"].values():
            del demo["actions"]
    assert hdf5.detect(path) is None
    with pytest.raises(BadData, match=f"{path}: actions: expected a numeric dataset"):
        hdf5.open_path(path, "robomimic")


def test_a_padded_picture_of_another_length_than_the_file_says_is_an_error(tmp_path):
    folder = samples.write_aloha(tmp_path, compressed=True)
    with h5py.File(folder / "episode_0.hdf5", "r+") as file:
        file["compress_len"][:, 3] = 7
    pictures = hdf5.open_path(folder, "aloha").read("episode_0").pictures["observation.images.cam_high"]
    with pytest.raises(BadData, match=r"cam_high\[3\]: expected a blob of \[7.0\] bytes"):
        list(pictures)


@pytest.mark.parametrize("embodiment", ["franka_3rgb", "tienkung_gello_1rgb"])
def test_robomind_pictures_end_in_true_colours_however_they_were_written(tmp_path, embodiment):
    root = samples.write_robomind(tmp_path, embodiment=embodiment)
    recording = hdf5.open_path(root, "robomind", fps=30)
    episode = recording.read(recording.keys[0])
    image = next(iter(episode.pictures["observation.images.camera_top"]))
    assert np.abs(image.astype(int) - samples.picture(0)).mean() < 3
    assert episode.instruction == "put the bread into the basket" and episode.provenance.task == "bread_in_basket"
    assert recording.robot_type == embodiment


def test_robomind_without_rate_or_embodiment_asks(tmp_path):
    root = samples.write_robomind(tmp_path)
    with pytest.raises(RoboscaleError, match="--fps"):
        hdf5.open_path(root, "robomind")
    with pytest.raises(RoboscaleError, match="option embodiment"):
        hdf5.open_path(root.rename(tmp_path / "some_folder"), "robomind", fps=30)


def test_robomind_joints_have_names_only_where_the_project_gives_them(tmp_path):
    (tmp_path / "a").mkdir()
    known = hdf5.open_path(samples.write_robomind(tmp_path / "a", embodiment="franka_3rgb"), "robomind", fps=30)
    other = hdf5.open_path(samples.write_robomind(tmp_path, embodiment="new_robot"), "robomind", fps=30)
    assert known.spec["action"].layout[-1] == "gripper" and known.spec["action"].mode == "absolute"
    assert (other.spec["action"].layout, other.spec["action"].unit) == ((), UNKNOWN)


def test_a_trajectory_without_one_camera_is_listed(tmp_path):
    root = samples.write_robomind(tmp_path)
    first = sorted(root.rglob("trajectory.hdf5"))[0]
    with h5py.File(first, "r+") as file:
        del file["observations/rgb_images/camera_top"]
    recording = hdf5.open_path(root, "robomind", fps=30)
    assert recording.missing == {"observation.images.camera_top": (recording.keys[0],)}
    check_recording(recording)
    with pytest.raises(BadData, match="camera_top"):
        recording.read(recording.keys[0])


def test_agibot_names_what_its_documents_fix(tmp_path):
    recording = hdf5.open_path(samples.write_agibot(tmp_path), "agibot")
    episode = recording.read("327/648643")
    assert recording.spec.rate_hz == 30 and episode.instruction == "Picking items in Supermarket"
    assert recording.spec["action"].layout[-1] == "right_gripper_closedness"
    assert recording.spec["observation.state"].layout[-1] == "right_gripper_width_mm"
    assert isinstance(episode.pictures["observation.images.head"], Clip)
    origins = {origin.field: origin for origin in recording.origins}
    assert origins["action"].done == "stacked from 2 arrays"
    with h5py.File(tmp_path / "proprio_stats" / "327" / "648643" / "proprio_stats.h5") as file:
        parts = [file["action/joint/position"][()], file["action/effector/position"][()]]
    assert np.array_equal(episode.arrays["action"], np.concatenate(parts, axis=1))


def test_agibot_actions_longer_than_states_are_named_with_both_lengths(tmp_path):
    root = samples.write_agibot(tmp_path)
    with h5py.File(root / "proprio_stats" / "327" / "648642" / "proprio_stats.h5", "r+") as file:
        for part in ("joint", "effector"):
            values = file[f"action/{part}/position"][()]
            del file[f"action/{part}/position"]
            file[f"action/{part}/position"] = np.concatenate([values, values[:3]])
    recording = hdf5.open_path(root, "agibot")
    with pytest.raises(BadData, match="15 .*12"):
        recording.read("327/648642", ())
    assert len(recording.read("327/648643")) == 12


@pytest.mark.parametrize("left", [0, 100, 1500])
def test_agibot_videos_of_zero_bytes_or_cut_off_are_named(tmp_path, left):
    root = samples.write_agibot(tmp_path)
    video = root / "observations" / "327" / "648642" / "videos" / "head_color.mp4"
    video.write_bytes(video.read_bytes()[:left])
    recording = hdf5.open_path(root, "agibot")
    with pytest.raises(BadData, match=r"head_color\.mp4"):
        recording.read("327/648642", ["observation.images.head"])
    assert len(recording.read("327/648642", ())) == 12
    video.unlink()
    assert hdf5.open_path(root, "agibot").missing == {"observation.images.head": ("327/648642",)}


def test_an_agibot_video_is_missing_where_it_is_missing_whatever_its_name(tmp_path):
    root = samples.write_agibot(tmp_path)
    videos = [video.rename(video.with_name("head{0}_color.mp4")) for video in sorted(root.rglob("head_color.mp4"))]
    recording = hdf5.open_path(root, "agibot")
    assert len(videos) == 2 and not recording.missing and "observation.images.head{0}" in recording.spec
    videos[1].unlink()
    recording = hdf5.open_path(root, "agibot")
    assert recording.missing == {"observation.images.head{0}": (recording.keys[1],)}
    assert "observation.images.head{0}" in recording.spec


def test_agibot_tasks_with_different_robots_are_not_mixed(tmp_path):
    root = samples.write_agibot(tmp_path)
    shutil.copytree(root / "proprio_stats" / "327", root / "proprio_stats" / "400")
    for path in (root / "proprio_stats" / "400").rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            for top in ("state", "action"):
                del file[f"{top}/effector/position"]
                file[f"{top}/effector/position"] = np.zeros((12, 12), np.float32)
    with pytest.raises(RoboscaleError, match="option task"):
        hdf5.open_path(root, "agibot")
    assert len(hdf5.open_path(root, "agibot", task=327).keys) == 2


def test_droid_takes_one_action_and_keeps_the_others(tmp_path):
    root = samples.write_droid(tmp_path)
    recording = hdf5.open_path(root, "droid-raw")
    assert recording.spec.rate_hz == 15 and recording.spec["action"].layout[-1] == "gripper_closedness"
    assert {"commanded.cartesian_position", "commanded.joint_velocity"} <= set(recording.spec.names)
    assert recording.spec["observation.images.ext1"].role == "external"
    episode = recording.read(recording.keys[0])
    assert episode.outcome.success and episode.instruction == "Put the marker in the pot"
    other = hdf5.open_path(root, "droid-raw", action="cartesian_velocity")
    assert other.spec["action"].mode == UNKNOWN and "commanded.joint_position" in other.spec
    with pytest.raises(UnknownName, match="joint_position"):
        hdf5.open_path(root, "droid-raw", action="joint_torque")


def test_droid_cameras_are_named_by_what_they_see_whatever_their_serial(tmp_path):
    root = samples.write_droid(tmp_path)
    recording = hdf5.open_path(root, "droid-raw")
    for number, key in enumerate(recording.keys):
        episode = recording.read(key, ["observation.images.wrist"])
        place = root / key
        with h5py.File(place / "trajectory.h5") as file:
            wrist = file[f"observation/camera_extrinsics/{16787047 + 1000 * number}_left"][()]
        assert np.array_equal(episode.arrays["recorded.camera_extrinsics.wrist_left"], wrist)
        assert episode.pictures["observation.images.wrist"].path.parent == place / "recordings" / "MP4"
        assert not episode.findings


def test_droid_videos_at_another_rate_are_decoded_picture_by_picture(tmp_path):
    recording = hdf5.open_path(samples.write_droid(tmp_path, video_fps=60), "droid-raw")
    pictures = recording.read(recording.keys[0]).pictures["observation.images.wrist"]
    images = list(pictures)
    assert not isinstance(pictures, Clip) and len(images) == 12
    assert all(np.abs(im.astype(int) - samples.picture(i)).mean() < 6 for i, im in enumerate(images))


def test_droid_videos_of_another_length_are_named_with_both(tmp_path):
    root = samples.write_droid(tmp_path)
    longer = samples.write_droid(tmp_path / "longer", frames=14)
    video, other = (sorted(folder.rglob("*.mp4"))[0] for folder in (root / "success", longer))
    video.write_bytes(other.read_bytes())
    recording = hdf5.open_path(root / "success", "droid-raw")
    with pytest.raises(BadData, match=r"expected 12, .* found 14"):
        recording.read(recording.keys[0])


def test_droid_without_metadata_is_incomplete(tmp_path):
    root = samples.write_droid(tmp_path)
    next(iter(root.rglob("metadata_*.json"))).unlink()
    recording = hdf5.open_path(root, "droid-raw")
    broken = [key for key in recording.keys if not list((root / key).glob("metadata_*.json"))]
    with pytest.raises(BadData, match="metadata"):
        recording.read(broken[0])


def test_what_only_some_episodes_have_is_named(tmp_path):
    root = samples.write_droid(tmp_path, episodes=3)
    with h5py.File(sorted(root.rglob("trajectory.h5"))[1], "r+") as file:
        file["observation/robot_state/extra"] = np.zeros(12)
    recording = hdf5.open_path(root, "droid-raw")
    assert recording.unmapped["observation/robot_state/extra"] == "only in 1 of 3 episodes looked into"
    path = samples.write_robomimic(tmp_path)
    late = hdf5.open_path(path, "robomimic")
    with h5py.File(path, "r+") as file:
        file["data/demo_1/obs/late"] = np.zeros(12)
    found = late.read("demo_1", ()).findings
    assert found[0].check == "unmapped-field" and "obs/late" in found[0].text


@pytest.mark.parametrize("kind", ["link", "external", "virtual"])
def test_data_in_other_files_is_refused(tmp_path, kind):
    path = samples.write_robomimic(tmp_path)
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.zeros((12, 7))
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_0"]
        del demo["actions"]
        if kind == "link":
            demo["actions"] = h5py.ExternalLink(str(outside), "secret")
        elif kind == "external":
            demo.create_dataset("actions", (12, 7), float, external=[(str(outside), 0, 12 * 7 * 8)])
        else:
            layout = h5py.VirtualLayout((12, 7), float)
            layout[:] = h5py.VirtualSource(str(outside), "secret", (12, 7))
            demo.create_virtual_dataset("actions", layout)
    with pytest.raises(BadData, match="another file"):
        hdf5.open_path(path, "robomimic").read("demo_0")


def test_a_shape_that_was_never_written_is_no_zeros(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_0"]
        del demo["actions"], demo["rewards"]
        demo.create_dataset("rewards", (12,), float, chunks=(4,))[:4] = 1
        demo.create_dataset("actions", (2**40, 7), float, chunks=(16, 7))
    recording = hdf5.open_path(path, "robomimic")
    with pytest.raises(BadData, match="chunks"):
        recording.read("demo_0")


def test_nothing_else_is_taken_for_one_of_the_formats(tmp_path):
    assert hdf5.detect(tmp_path) is None
    (tmp_path / "a.hdf5").write_bytes(b"no HDF5")
    assert hdf5.detect(tmp_path) is None and hdf5.detect(tmp_path / "a.hdf5") is None
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["numbers"] = np.zeros(3)
    assert hdf5.detect(tmp_path / "b.hdf5") is None
    with pytest.raises(BadData, match="nothing"):
        hdf5.open_path(tmp_path / "c", "aloha")


def test_text_records_and_empty_datasets_are_named_and_in_nobodys_way(tmp_path):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        for demo in file["data"].values():
            demo.create_dataset("notes", data=["a", "b"], dtype=h5py.string_dtype())
            demo.create_dataset("pairs", data=np.zeros(12, [("a", "f4"), ("b", "i4")]))
            demo.create_dataset("obs/none", data=np.zeros((0, 7)))
            demo.create_dataset("obs/agentview_depth", data=np.zeros((12, 48, 64, 1), np.uint16))
            grown = demo.create_dataset("obs/grown", (1, 2), ">f4", maxshape=(None, 2))  # as DROID's recorder writes
            grown.resize((12, 2))
            grown[:] = 1.5
    recording = hdf5.open_path(path, "robomimic")
    assert {"notes", "pairs", "obs/none", "obs/agentview_depth"} <= set(recording.unmapped)
    check_recording(recording)
    grown = hdf5.open_path(path, "robomimic").read("demo_0", ()).arrays["observation.grown"]
    assert grown.dtype == np.float32 and (grown == 1.5).all()


def test_a_demo_that_has_gone_from_the_file_is_told_by_its_total(tmp_path):
    source = samples.write_isaac_mimic(tmp_path, episodes=3)
    with h5py.File(source, "a") as file:
        del file["data/demo_1"]
    recording = hdf5.open_path(source, "isaac-mimic")
    assert list(recording.keys) == ["demo_0", "demo_2"]
    found = [f for f in recording.findings if f.check == "wrong-totals"]
    assert len(found) == 1 and "claims 36 frames" in found[0].text and "2 demos have 24" in found[0].text
