"""The recordings that ROS 2's own tests use: written by rosbag2 itself, by several of its versions."""

import os
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData
from roboscale.sources.records import detect, open_recording
from roboscale.sources.records.mcap import explain_topics, open_path
from roboscale.sources.records.mcap.mapping import load_mapping
from roboscale.testing.recording_checks import check_recording

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "rosbag2"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"no recordings at {DATA}; set ROBOSCALE_TEST_DATA")

STORES = {"mcap": "mcap", "sqlite3": "rosbag-db3"}
PYTHON, TESTS = DATA / "rosbag2_py" / "test" / "resources", DATA / "rosbag2_tests" / "resources"


@pytest.mark.parametrize("store", STORES)
def test_types_that_no_ros_installation_is_asked_for(store: str):
    mapping = {
        "fps": 20,
        "fields": {
            "observation.basic": {"topic": "/test_topic", "element": "int32_value"},
            "observation.many": {"topic": "/array_topic", "element": ["int32_values", "alignment_check"]},
            "observation.flags": {"topic": "/array_topic", "element": "bool_values"},
        },
    }
    recording = open_path(TESTS / store / "cdr_test", STORES[store], mapping=mapping)
    check_recording(recording)
    episode = recording.read("cdr_test")
    assert episode.arrays["observation.basic"].tolist() == [[123], [123]]
    assert episode.arrays["observation.basic"].dtype == np.int32
    assert episode.arrays["observation.flags"].tolist() == [[True, False, True]] * 2
    assert episode.arrays["observation.many"].shape == (2, 4)
    assert "/array_topic.float64_values" in recording.unmapped


@pytest.mark.parametrize("store", STORES)
def test_a_bag_of_words_imports_as_counts_with_its_texts(store: str):
    recording = open_path(PYTHON / store / "talker", STORES[store], fps=10)
    check_recording(recording)
    episode = recording.read("talker")
    counts = episode.arrays["count.topic"][:, 0]
    assert counts[0] == 1 and (np.diff(counts) >= 0).all() and counts[-1] in (9, 10)
    said = episode.provenance.details["messages"]
    assert [m["text"] for m in said] == [f"Hello, world! {i}" for i in range(10)]
    assert recording.unmapped["/rosout"] == "rcl_interfaces/msg/Log, 10 messages: not in the mapping"


@pytest.mark.parametrize("store", STORES)
def test_a_bag_of_several_files_is_one_episode(store: str):
    mapping = {"fps": 10**7, "fields": {"count.a": {"topic": "AAA", "count": True}}}
    recording = open_path(PYTHON / store / "wbag", STORES[store], mapping=mapping)
    assert list(recording.keys) == ["wbag"] and not recording.findings
    assert recording.read("wbag").arrays["count.a"][-1, 0] > 750  # of 804; the grid ends within the last 100 ns
    folder = PYTHON / store / "reindex_test_bags" / "multiple_files"
    assert detect(folder) == STORES[store]
    episode = open_recording(folder, fps=100).read("multiple_files")  # without a metadata.yaml
    assert 3170 <= episode.arrays["count.chatter"][-1, 0] <= 3177


SERVICES = [
    TESTS / "mcap" / "bag_with_topics_and_service_events",
    TESTS / "sqlite3" / "bag_with_topics_and_service_events",
    DATA / "rosbag2_cpp" / "test" / "rosbag2_cpp" / "bags" / "topics_and_services.mcap",
    DATA / "rosbag2_cpp" / "test" / "rosbag2_cpp" / "bags" / "topics_and_services.db3",
]


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: "-".join(p.parts[-2:]))
def test_service_events_are_refused_by_name_and_reason(path: Path):
    mapping = {"fps": 1, "fields": {"count.n": {"topic": "/parameter_events", "count": True}}}
    for options in ({}, {"fps": 20}, {"mapping": mapping}):
        with pytest.raises(BadData, match=r"_service_event.*definition of the service.*cannot be read"):
            open_recording(path, **options)
    assert "Service events cannot be read" in explain_topics(path)


def test_what_the_user_ignores_does_not_stop_the_rest():
    path = SERVICES[2]
    mapping = {
        "fps": 1000,
        "ignore": ["/add_two_ints/_service_event"],
        "fields": {"count.n": {"topic": "/parameter_events", "count": True}},
    }
    recording = open_recording(path, mapping=mapping)
    check_recording(recording)
    assert recording.unmapped["/add_two_ints/_service_event"].endswith("service events cannot be read")


def test_every_draft_is_a_mapping():
    folders = {p.parent for p in DATA.rglob("*") if p.suffix in (".mcap", ".db3") and p.parent.name != "bags"}
    assert len(folders) >= 8
    for folder in folders:
        import tomllib

        assert load_mapping(tomllib.loads(explain_topics(folder))).fields
