"""Bags that are written here, so that every number that must come out is known."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.sources.records.mcap import detect, explain_topics, open_path
from roboscale.sources.records.mcap import grid as grids
from roboscale.testing.recording_checks import check_recording
from tests.samples import mcap as sample

FORMATS = {"mcap": "mcap", "db3": "rosbag-db3"}
NS = 10**9


@pytest.fixture(scope="module", params=FORMATS)
def bags(request, tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp(request.param)
    return sample.write(folder / "bags", storage=request.param), FORMATS[request.param]


@pytest.fixture(scope="module")
def arm(tmp_path_factory) -> Path:
    return sample.write(tmp_path_factory.mktemp("arm") / "bags", episodes=1) / "episode_a" / "episode_a.mcap"


def truth(topic: str, episode: int = 0) -> list:
    messages = sample._messages(np.random.default_rng([0, episode]))
    return [(log_ns, message) for log_ns, name, message in messages if name == topic]


def stamp(message) -> int:
    return message.header.stamp.sec * NS + message.header.stamp.nanosec


def with_field(**changes) -> dict:
    return {**sample.MAPPING, "fields": {**sample.MAPPING["fields"], **changes}}


def test_it_keeps_what_a_recording_promises(bags):
    folder, name = bags
    assert detect(folder) == name and detect(folder / "episode_a") == name
    recording = open_path(folder, name, mapping=sample.MAPPING)
    assert list(recording.keys) == ["episode_a", "episode_b"] and not recording.findings
    check_recording(recording)


def test_each_frame_shows_the_last_message_before_it(bags):
    folder, name = bags
    episode = open_path(folder, name, mapping=sample.MAPPING).read("episode_a")
    frame_ns = episode.arrays["time.frame_ns"]
    assert np.allclose(np.diff(frame_ns), NS / 20, atol=1)
    for k, now in enumerate(frame_ns):
        _, joints = [m for m in truth("/joint_states") if stamp(m[1]) <= now][-1]
        assert np.array_equal(episode.arrays["observation.state"][k], joints.position)
        _, command = [m for m in truth("/command") if m[0] <= now][-1]
        assert np.array_equal(episode.arrays["action"][k], command.data)
        _, picture = [m for m in truth("/camera/image/compressed") if stamp(m[1]) <= now][-1]
        assert episode.arrays["time.front_ns"][k] == stamp(picture)


def test_a_stream_keeps_every_value_and_its_own_time(bags):
    folder, name = bags
    stream = open_path(folder, name, mapping=sample.MAPPING).read("episode_b").streams["wrench"]
    sent = sorted(((stamp(m), m.wrench.force.x, m.wrench.torque.z) for _, m in truth("/wrench", 1)))
    assert stream.time_ns.tolist() == [s[0] for s in sent]
    assert stream.values[:, [0, 5]].tolist() == [list(s[1:]) for s in sent]
    assert stream.unit == "mixed" and stream.layout[0] == "wrench.force.x"


def test_everything_in_the_bag_is_named(bags):
    folder, name = bags
    recording = open_path(folder, name, mapping=sample.MAPPING)
    named = " ".join([*recording.unmapped, *(o.source for o in recording.origins)])
    assert all(topic in named for topic in sample._TYPES)
    assert recording.unmapped["/tf"] == "tf2_msgs/msg/TFMessage, 50 messages: not in the mapping"
    assert "/joint_states.effort" in recording.unmapped and "/joint_states.position" not in recording.unmapped


def test_only_what_the_definition_fixes_has_a_unit(arm):
    mapping = with_field(
        force={"topic": "/wrench", "element": "wrench.force"},
        speed={"topic": "/joint_states", "element": "velocity"},
        angle={"topic": "/joint_states", "element": "position"},
    )
    spec = open_path(arm, "mcap", mapping=mapping).spec
    assert (spec["force"].unit, spec["speed"].unit, spec["angle"].unit) == ("N", "unknown", "unknown")
    assert spec["observation.state"].unit == "rad" and spec["angle"].mode == "unknown"


def test_joints_are_taken_by_name(arm):
    mapping = with_field(turned={"topic": "/joint_states", "names": ["wrist", "shoulder"]})
    episode = open_path(arm, "mcap", mapping=mapping).read(arm.name)
    assert np.array_equal(episode.arrays["turned"], episode.arrays["observation.state"][:, [2, 0]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topic": "/nothing"}, r"topic /nothing.*no such topic; there are /joint_states"),
        ({"topic": "/joint_states", "element": "angle"}, r"element 'angle'.*one of header, name, position"),
        ({"topic": "/joint_states", "element": "header.frame_id"}, r"numbers.*no number"),
        ({"topic": "/joint_states", "names": ["thumb"]}, r"name: expected joints thumb, found no thumb"),
        ({"topic": "/wrench", "names": ["x"]}, r"names: expected 6 names.*found 1"),
        ({"topic": "/camera/image/compressed", "resample": "linear"}, r"not blended"),
        ({"element": "data"}, r"fields.new.topic: expected text that is not empty, found nothing"),
    ],
)
def test_a_wrong_mapping_says_what_is_there(arm, change: dict, said: str):
    with pytest.raises(BadData, match=said):
        open_path(arm, "mcap", mapping=with_field(new=change))


def test_keys_that_no_mapping_has_are_named(arm, tmp_path):
    with pytest.raises(UnknownName, match="did you mean element"):
        open_path(arm, "mcap", mapping=with_field(new={"topic": "/wrench", "elment": "wrench"}))
    (tmp_path / "m.toml").write_text("fps = 0\n[fields.a]\ntopic='x'\n")
    with pytest.raises(BadData, match=r"m.toml: fps: expected frames a second, greater than 0, found 0"):
        open_path(arm, "mcap", mapping=tmp_path / "m.toml")
    (tmp_path / "m.toml").write_text("fps = = 0")
    with pytest.raises(BadData, match=r"m.toml: file: expected TOML"):
        open_path(arm, "mcap", mapping=tmp_path / "m.toml")


def test_without_a_mapping_the_action_is_not_guessed(arm):
    for options in ({}, {"fps": 20}):
        with pytest.raises(BadData, match=r"only you know what /command is: .*--explain"):
            open_path(arm, "mcap", **options)


def test_the_draft_measures_and_leaves_the_action_open(arm):
    text = explain_topics(arm)
    assert "# /joint_states: sensor_msgs/msg/JointState, 100 messages, 10" in text
    assert '# [fields."action"]' in text and '\n[fields."action"]' not in text
    assert '[fields."observation.images.camera"]' in text and "# stream = true  # keeps its 2" in text


def write_bag(path: Path, topics: dict, messages: list, **writer_options) -> Path:
    """messages: (log ns, topic, message); as a bare .mcap."""
    from mcap.writer import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    with path.open("wb") as file:
        writer = Writer(file, **writer_options)
        writer.start("ros2", "test")
        links = {}
        for topic, kind in topics.items():
            text = store.generate_msgdef(kind, ros_version=2)[0].encode()
            links[topic] = writer.register_channel(topic, "cdr", writer.register_schema(kind, "ros2msg", text))
        for log_ns, topic, message in messages:
            writer.add_message(links[topic], log_ns, bytes(store.serialize_cdr(message, topics[topic])), log_ns)
        writer.finish()
    return path


def numbers(path: Path, times_ms: list[int], **options) -> Path:
    from rosbags.typesys import Stores, get_typestore

    kind = get_typestore(Stores.ROS2_JAZZY).types["std_msgs/msg/Float32"]
    messages = [(t * 10**6, "/x", kind(float(i))) for i, t in enumerate(times_ms)]
    return write_bag(path, {"/x": "std_msgs/msg/Float32"}, messages, **options)


def x_mapping(**changes) -> dict:
    return {"fps": 10, "fields": {"observation.x": {"topic": "/x", **changes}}}


def test_messages_out_of_order_are_sorted_and_the_last_of_a_stamp_is_kept(tmp_path):
    path = numbers(tmp_path / "a.mcap", [0, 100, 300, 200, 400, 400, 500])
    episode = open_path(path, "mcap", mapping=x_mapping()).read("a.mcap")
    assert episode.arrays["observation.x"][:, 0].tolist() == [0, 1, 3, 2, 5, 6]
    assert episode.arrays["observation.x"].dtype == np.float32
    assert {f.check for f in episode.findings} == {"out-of-order", "doubled-stamp"}


def test_a_silence_is_found_where_it_is(tmp_path):
    path = numbers(tmp_path / "a.mcap", [*range(0, 1000, 100), *range(2000, 3000, 100)])
    episode = open_path(path, "mcap", mapping=x_mapping()).read("a.mcap")
    (gap,) = [f for f in episode.findings if f.check == "gap"]
    assert [(s.first, s.last) for s in gap.spans] == [(10, 19)] and gap.evidence["longest_s"] == pytest.approx(1.1)


def test_linear_lies_on_the_line_and_nearest_takes_the_nearer(tmp_path):
    path = numbers(tmp_path / "a.mcap", [0, 130, 200, 300])
    read = {
        how: open_path(path, "mcap", mapping=x_mapping(resample=how)).read("a.mcap").arrays["observation.x"][:, 0]
        for how in ("previous", "nearest", "linear")
    }
    assert read["previous"].tolist() == [0, 0, 2, 3] and read["nearest"].tolist() == [0, 1, 2, 3]
    assert np.allclose(read["linear"], [0, 100 / 130, 2, 3])


def test_topics_that_never_meet_are_refused(tmp_path):
    from rosbags.typesys import Stores, get_typestore

    kind = get_typestore(Stores.ROS2_JAZZY).types["std_msgs/msg/Int64"]
    messages = [(0, "/a", kind(1)), (NS, "/a", kind(2)), (3 * NS, "/b", kind(3))]
    path = write_bag(tmp_path / "a.mcap", dict.fromkeys(("/a", "/b"), "std_msgs/msg/Int64"), messages)
    mapping = {"fps": 10, "fields": {"a": {"topic": "/a"}, "b": {"topic": "/b"}}}
    with pytest.raises(BadData, match=r"overlap in time, found one that ends 2.000 s before"):
        open_path(path, "mcap", mapping=mapping).read("a.mcap")


def test_raw_pictures_of_every_order_become_rgb(tmp_path):
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_JAZZY).types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](5, 0), "")
    red = {"rgb8": (255, 0, 0), "bgr8": (0, 0, 255), "bgra8": (0, 0, 255, 9), "16UC1": (1, 1)}
    kind = types["sensor_msgs/msg/Image"]
    for encoding, pixel in red.items():
        row = np.pad(np.tile(np.array(pixel, np.uint8), 4), (0, 3))  # rows padded, as drivers do
        message = kind(header, 2, 4, encoding, 0, len(row), np.tile(row, 2))
        path = write_bag(tmp_path / f"{encoding}.mcap", {"/c": "sensor_msgs/msg/Image"}, [(5 * NS, "/c", message)])
        mapping = {"fps": 10, "fields": {"observation.images.c": {"topic": "/c"}}}
        if encoding == "16UC1":
            with pytest.raises(BadData, match=r"an encoding of rgb8.*found '16UC1'"):
                open_path(path, "mcap", mapping=mapping)
            continue
        episode = open_path(path, "mcap", mapping=mapping).read(path.name)
        (picture,) = episode.pictures["observation.images.c"]
        assert picture.shape == (2, 4, 3) and (picture == (255, 0, 0)).all(), encoding


def test_the_instruction_may_come_from_a_topic(tmp_path):
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_JAZZY).types
    text, number = types["std_msgs/msg/String"], types["std_msgs/msg/Float64"]
    messages = [(0, "/task", text("Fold the towel")), (0, "/x", number(1.0)), (NS, "/x", number(2.0))]
    path = write_bag(tmp_path / "a.mcap", {"/task": "std_msgs/msg/String", "/x": "std_msgs/msg/Float64"}, messages)
    mapping = {**x_mapping(), "instruction": {"topic": "/task"}}
    assert open_path(path, "mcap", mapping=mapping).read("a.mcap").instruction == "Fold the towel"


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
)
def test_resampling_laws(times: list[int], frames: list[int]):
    ordered = grids.in_order(np.array(times, np.int64))
    assert (np.diff(ordered.time_ns) > 0).all() and set(ordered.time_ns) == set(times)
    assert ordered.doubled == len(times) - len(set(times))
    grid_ns = np.sort(np.array(frames, np.int64))
    previous = grids.pick(ordered.time_ns, grid_ns, "previous")
    for now, i in zip(grid_ns, previous, strict=True):
        assert i == -1 if now < min(times) else ordered.time_ns[i] == max(t for t in times if t <= now)
    nearest = ordered.time_ns[grids.pick(ordered.time_ns, grid_ns, "nearest")]
    assert all(abs(n - now) == min(abs(t - now) for t in times) for n, now in zip(nearest, grid_ns, strict=True))


# -- damage ---------------------------------------------------------------------------------------------------------


def test_a_bag_that_was_never_finished_gives_what_was_written(arm, tmp_path):
    whole = open_path(arm, "mcap", mapping=sample.MAPPING).read(arm.name)
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(arm.read_bytes()[: int(arm.stat().st_size * 0.6)])
    recording = open_path(cut, "mcap", mapping=sample.MAPPING)
    check_recording(recording)
    episode = recording.read("cut.mcap")
    (lost,) = [f for f in episode.findings if f.check == "truncated"]
    assert lost.severity == "error" and lost.evidence["size"] == cut.stat().st_size
    assert 0 < len(episode) < len(whole)
    for name in ("observation.state", "action"):
        assert np.array_equal(episode.arrays[name], whole.arrays[name][: len(episode)])


def test_a_flipped_bit_in_a_chunk_is_never_believed(arm, tmp_path):
    whole = open_path(arm, "mcap", mapping=sample.MAPPING).read(arm.name)
    data = arm.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(8, int(len(data) * 0.9), 12):
        broken = bytearray(data)
        broken[position] ^= 1 << int(rng.integers(8))
        path = tmp_path / "flip.mcap"
        path.write_bytes(broken)
        try:
            episode = open_path(path, "mcap", mapping=sample.MAPPING).read("flip.mcap")
        except RoboscaleError as error:
            assert "flip.mcap" in str(error)
            continue
        same = np.array_equal(episode.arrays["action"], whole.arrays["action"][: len(episode)])
        assert same and (len(episode) == len(whole) or episode.findings), position


def test_a_wrong_checksum_is_damage_even_where_the_bytes_unpack(tmp_path):
    path = numbers(tmp_path / "a.mcap", list(range(0, 5000, 100)), chunk_size=300, compression=0)
    data = bytearray(path.read_bytes())
    middle = data.find(struct.pack("<f", 25.0))
    data[middle : middle + 4] = struct.pack("<f", 99.0)
    path.write_bytes(data)
    episode = open_path(path, "mcap", mapping=x_mapping()).read("a.mcap")
    (lost,) = [f for f in episode.findings if f.check == "truncated"]
    assert "checksum" in lost.text and lost.evidence["claimed"] == 50
    assert episode.arrays["observation.x"][:, 0].tolist() == list(range(len(episode))) and 0 < len(episode) < 26


def test_messages_outside_of_chunks_are_vouched_for_by_the_whole_files_checksum(tmp_path):
    path = numbers(tmp_path / "a.mcap", [0, 100, 200], use_chunking=False, enable_data_crcs=True)
    assert not open_path(path, "mcap", mapping=x_mapping()).read("a.mcap").findings
    data = bytearray(path.read_bytes())
    at = data.find(struct.pack("<f", 2.0))
    data[at : at + 4] = struct.pack("<f", 9.0)
    path.write_bytes(data)
    with pytest.raises(BadData, match="data checksum"):
        open_path(path, "mcap", mapping=x_mapping()).read("a.mcap")


def test_without_checksums_the_proof_says_so(tmp_path):
    path = numbers(tmp_path / "a.mcap", [0, 100, 200], enable_crcs=False)
    episode = open_path(path, "mcap", mapping=x_mapping()).read("a.mcap")
    assert [f.check for f in episode.findings] == ["no-checksum"]


def test_a_chunk_that_claims_gigabytes_takes_none(tmp_path):
    path = numbers(tmp_path / "a.mcap", [0, 100, 200])
    data = bytearray(path.read_bytes())
    at = data.index(b"\x04\x00\x00\x00zstd") - 12  # size, checksum, name of the compression
    struct.pack_into("<Q", data, at, 2**40)
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"topic /x.*1099511627776 bytes"):
        open_path(path, "mcap", mapping=x_mapping())


@pytest.mark.parametrize("storage", FORMATS)
def test_metadata_is_checked_and_not_trusted(storage: str, tmp_path):
    folder = sample.write(tmp_path / "bags", episodes=1, storage=storage)
    metadata = folder / "episode_a" / "metadata.yaml"
    text = metadata.read_text()
    metadata.write_text(
        text.replace(f"- episode_a.{storage}", "- ../../../etc/passwd").replace("count: 20", "count: 21")
    )
    recording = open_path(folder, FORMATS[storage], mapping=sample.MAPPING)
    assert {f.check for f in recording.findings} == {"missing-file", "count", "metadata"}
    metadata.write_text("]: broken")
    recording = open_path(folder, FORMATS[storage], mapping=sample.MAPPING)
    assert [f.check for f in recording.findings] == ["metadata"] and len(recording.read("episode_a")) == 19


def test_a_broken_bag_among_others_leaves_them_readable(tmp_path):
    folder = sample.write(tmp_path / "bags", episodes=3)
    (folder / "episode_a" / "episode_a.mcap").write_bytes(b"no bag")
    recording = open_path(folder, "mcap", mapping=sample.MAPPING)
    assert recording.findings[0].check == "unreadable" and recording.findings[0].episodes == (0,)
    with pytest.raises(BadData, match=r"episode_a.mcap: magic"):
        recording.read("episode_a")
    assert len(recording.read("episode_b")) == 19


def test_a_camera_that_one_bag_lacks_is_missing_there(tmp_path):
    folder = sample.write(tmp_path / "bags", episodes=1)
    joints = [(log_ns, "/joint_states", m) for log_ns, m in truth("/joint_states")]
    commands = [(log_ns, "/command", m) for log_ns, m in truth("/command")]
    forces = [(log_ns, "/wrench", m) for log_ns, m in truth("/wrench")]
    kinds = {t: k for t, k in sample._TYPES.items() if t in ("/joint_states", "/command", "/wrench")}
    write_bag(folder / "blind.mcap", kinds, sorted((joints + commands + forces), key=lambda m: m[0]))
    recording = open_path(folder, "mcap", mapping=sample.MAPPING)
    assert recording.missing == {"observation.images.front": ["blind.mcap"]}
    check_recording(recording)
    assert (recording.read("blind.mcap", ()).arrays["time.front_ns"] == -1).all()


def test_a_database_with_a_broken_page_is_refused(tmp_path):
    folder = sample.write(tmp_path / "bags", episodes=1, storage="db3") / "episode_a"
    path = folder / "episode_a.db3"
    data = bytearray(path.read_bytes())
    data[12 * 4096 : 14 * 4096] = bytes(2 * 4096)
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"episode_a.db3: "):
        open_path(path, "rosbag-db3", mapping=sample.MAPPING).read("episode_a.db3")
    path.write_bytes(data[:5000])
    with pytest.raises(BadData, match=r"a readable SQLite database"):
        open_path(path, "rosbag-db3", mapping=sample.MAPPING)
