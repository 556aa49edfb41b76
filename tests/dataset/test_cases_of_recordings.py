"""What went wrong with real recordings, by number, and the tests that hold each; a test checks that these are there.

Cases that no other file holds have their tests below.
"""

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from roboscale import ImportDataset, import_dataset
from roboscale.core import Field, Provenance, RoboscaleError, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import audit_folder
from tests.samples import lerobot as samples

TESTS = Path(__file__).parents[1]
_HERE = "dataset/test_cases_of_recordings.py::"
_LOSSES = "sources/records/test_lerobot_losses.py::"
_ROLES = "dataset/test_audit_roles.py::"
_NOTHING = "jobs/test_nothing_lost.py::test_it_arrives_or_is_named"
_PLANTED = "cli/test_repair_of_defects.py::test_it_alone_is_found_and_what_the_audit_advises_mends_it"
_MENDED = "cli/test_repair_of_defects.py::test_it_alone_is_found_and_what_the_audit_advises_mends_it"
_CARRIED = "dataset/test_carried.py::"
_ADVICE = "cli/test_advice_on_partial_sets.py::test_every_command_that_is_named_works "
_ADVICE += "cli/test_advice_on_v2_sets.py::test_every_command_that_is_named_works"

CASES = {
    1: f"{_LOSSES}test_splits_survive_import_and_export {_LOSSES}"
    "test_a_split_whose_episodes_would_not_follow_one_another_is_refused",
    2: f"{_ADVICE} {_MENDED} {_LOSSES}test_metadata_are_mended_although_a_video_is_not_there",
    3: f"{_HERE}test_quantiles_of_either_convention_are_right",
    4: f"{_LOSSES}test_every_frame_keeps_its_instruction {_LOSSES}test_cutting_an_episode_moves_its_instructions",
    5: f"{_LOSSES}test_the_recorded_clock_is_kept_and_its_rate_is_said {_LOSSES}test_a_clock_is_measured_despite_gaps",
    6: f"{_ROLES}test_an_action_that_is_a_later_state_tells_its_lag",
    7: f"{_ROLES}test_actions_that_are_the_states_are_found_under_any_name {_ROLES}"
    "test_a_guessed_role_gives_notes_only_and_the_user_says_otherwise",
    8: "dataset/test_unfetched.py::test_every_format_names_the_pointer "
    "sources/records/test_lerobot_absent.py::test_pointers_are_one_finding_and_nothing_else_is_advised",
    9: f"{_ROLES}test_the_flicker_of_a_locked_joint_is_no_spike {_ROLES}test_flips_are_a_finding_and_no_spikes",
    10: _NOTHING,
    11: f"{_HERE}test_a_draft_measures_the_rate_on_the_clock_that_it_names",
    12: "sources/records/test_lerobot_export.py::test_gr00t_keeps_every_annotation_on_the_way_round",
    13: f"{_LOSSES}test_validation_data_that_was_trained_on_is_a_finding_of_its_own",
    14: "sources/records/test_lerobot_absent.py::test_files_elsewhere_are_found_and_the_named_command_imports_them "
    f"sources/records/test_lerobot_absent.py::test_import_names_the_folder_where_they_are {_ROLES}"
    "test_lines_are_short_and_one_for_each_kind",
    15: f"{_LOSSES}test_v2_is_checked_as_v3_is_and_the_advice_works "
    "dataset/test_audit_report.py::test_a_broken_info_is_reported",
    16: f"{_CARRIED}test_a_failed_import_blocks_nothing_once_its_source_is_mended "
    "dataset/test_quantile_recipes.py::test_the_finding_says_what_share_lies_outside "
    "dataset/test_audit_signals.py::test_a_text_that_tells_only_how_it_was_recorded_says_nothing "
    "sources/records/test_lerobot_absent.py::"
    "test_episodes_that_are_not_here_are_one_finding_with_the_command_that_keeps_the_others "
    "jobs/test_data_import.py::test_an_import_that_failed_at_its_first_episode_does_not_block_another "
    "jobs/test_data_import.py::test_an_export_says_its_size_beforehand "
    "sources/records/test_own_layouts.py::test_the_draft_imports_as_it_stands",
    17: f"{_LOSSES}test_no_footer_is_read_twice {_LOSSES}test_many_episodes_open_without_a_look_at_each",
    18: f"{_LOSSES}test_later_episodes_may_decode_further_ahead_than_earlier_ones",
    19: f"{_LOSSES}test_an_episode_table_without_tasks_and_statistics_is_read",
    20: f"{_LOSSES}test_rows_out_of_order_are_put_in_order_and_none_is_lost",
    21: f"{_PLANTED} {_MENDED} {_HERE}test_times_that_drift_are_mended_to_the_pictures_that_were_recorded",
    22: f"{_NOTHING} {_CARRIED}test_texts_language_and_depth_arrive {_CARRIED}test_tactile_pictures_arrive",
    23: f"{_ROLES}test_places_among_picks_are_no_error",
    24: f"{_HERE}test_a_video_that_is_a_little_longer_than_its_rows_is_read",
    25: f"{_LOSSES}test_a_clock_is_measured_despite_gaps {_HERE}test_what_the_refusal_of_a_rate_names_is_taken",
    26: f"{_CARRIED}test_a_set_of_ours_that_another_writer_went_on_with_names_what_heals_it "
    "dataset/test_statistics.py::test_matrices_are_written_over_their_last_axis_as_lerobot_writes_them "
    f"{_MENDED} cli/test_repair_of_defects.py::test_a_mended_dataset_can_be_added_to_and_the_mending_undone",
    27: "sources/records/test_lerobot_readers.py::test_pictures_inside_the_tables_of_a_foreign_v3",
    28: f"{_HERE}test_a_rate_that_differs_says_both_sides_and_which_is_which {_ROLES}"
    "test_lines_are_short_and_one_for_each_kind",
    29: f"{_NOTHING} sources/records/test_zarr_reader.py::test_format_3_holds_the_same",
    30: f"{_PLANTED} dataset/test_audit_policies.py::test_a_task_with_a_tenth_of_the_others_is_named "
    "dataset/test_audit_policies.py::test_the_last_third_is_compared_with_the_first",
    31: f"{_LOSSES}test_depth_of_a_newer_writer_is_not_mended_to_what_our_decoder_sees",
    32: f"{_CARRIED}test_texts_language_and_depth_arrive {_LOSSES}test_what_a_newer_writer_adds_is_named {_NOTHING}",
    33: f"{_LOSSES}test_an_episode_table_without_tasks_and_statistics_is_read",
    34: "dataset/test_quantile_recipes.py::test_means_of_what_the_episodes_say_are_a_convention_and_no_error "
    f"{_HERE}test_quantiles_of_either_convention_are_right "
    "dataset/test_audit_signals.py::test_true_statistics_pass_and_changed_ones_do_not",
}


def test_every_case_has_its_tests():
    assert list(CASES) == list(range(1, 35))
    for case, named in CASES.items():
        for one in named.split():
            file, _, test = one.partition("::")
            tree = ast.parse((TESTS / file).read_text())
            assert test in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, f"{case}: {one}"


def checks(root: Path) -> dict[str, str]:
    return {one.check: one.text for one in audit_folder(root, images=False).findings}


@pytest.mark.parametrize(("q01", "right"), [(-10.0, True), (-0.1, True), (4.0, False)])
def test_quantiles_of_either_convention_are_right(tmp_path: Path, q01: float, right: bool):
    """-10 and 0..10 in 98 steps: numpy's 1 % quantile lies between two samples, LeRobot's is the lower of the two."""
    root = tmp_path / "set"
    with DatasetWriter(root, Spec((Field("action", (1,), "float32"),), 10)) as writer:
        take = writer.begin("Push the red block onto the mat.", Provenance("test", licence="Apache-2.0"))
        for value in (-10.0, *np.linspace(0, 10, 99)):
            take.add({"action": np.array([value], np.float32)})
        take.save()
    stats = json.loads((root / "meta/stats.json").read_text())
    stats["action"]["q01"] = [q01]
    (root / "meta/stats.json").write_text(json.dumps(stats))
    shutil.rmtree(root / "meta/roboscale")  # as somebody else's
    found = checks(root)
    assert ("quantiles-wrong" not in found) == right, found
    if not right:
        assert "q01 is 4, the data's -0.098" in found["quantiles-wrong"]


def test_a_draft_measures_the_rate_on_the_clock_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Simulated time runs at half the wall's: the draft's rate must be that of the stamps which its mapping uses."""
    from roboscale.sources.records.mcap.draft import explain_topics
    from tests.samples import mcap

    plain = explain_topics(mcap.write(tmp_path / "bag", episodes=1, seed=0))
    messages = mcap._messages
    slow = lambda rng: ((mcap._START_NS + 2 * (at - mcap._START_NS), *rest) for at, *rest in messages(rng))  # noqa: E731
    monkeypatch.setattr(mcap, "_messages", slow)
    simulated = explain_topics(mcap.write(tmp_path / "simulated", episodes=1, seed=0))
    (fps,) = {next(line for line in text.splitlines() if line.startswith("fps = ")) for text in (plain, simulated)}
    assert 'clock = "header"' in simulated and fps.startswith("fps = ")
    assert "simulated time?" in simulated and "simulated time?" not in plain


def test_times_that_drift_are_mended_to_the_pictures_that_were_recorded(tmp_path: Path):
    from roboscale import FixDataset, fix_dataset
    from tests.defects.planted import DEFECTS, clean

    root = clean(tmp_path / "set", "joint")
    before = [Dataset(root).decode(i, "observation.images.front") for i in range(8)]
    DEFECTS["video-times-drift"].plant(root, np.random.default_rng(0))
    assert "video-timestamps" in checks(root)
    fix_dataset(FixDataset(dataset=root, metadata=True))
    assert "video-timestamps" not in checks(root)
    assert all(np.array_equal(Dataset(root).decode(i, "observation.images.front"), before[i]) for i in range(8))


@pytest.mark.parametrize("more", [1, 2])
def test_a_video_that_is_a_little_longer_than_its_rows_is_read(tmp_path: Path, more: int):
    root = samples.write_v21(tmp_path / "set", episodes=2, frames=12)
    longer = samples.write_v21(tmp_path / "longer", episodes=2, frames=12 + more)
    for path in sorted((longer / "videos").rglob("*.mp4")):
        shutil.copy(path, root / path.relative_to(longer))
    found = audit_folder(root, images=False).findings
    assert not [one for one in found if one.severity == "error" and one.check != "licence-missing"], found
    import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    assert [e.length for e in Dataset(tmp_path / "out").episodes] == [12, 12]


def test_what_the_refusal_of_a_rate_names_is_taken(tmp_path: Path):
    root = samples.write_v21(tmp_path / "set", episodes=1, frames=12)
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, "fps": 29.97}))
    try:
        import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    except RoboscaleError as error:
        assert "29.97" in str(error)
    else:
        assert len(Dataset(tmp_path / "out").episodes) == 1


def test_a_rate_that_differs_says_both_sides_and_which_is_which(tmp_path: Path):
    root = samples.write_v21(tmp_path / "set", episodes=1, frames=12)
    info = json.loads((root / "meta/info.json").read_text())
    info["features"][samples.CAMERA]["info"] = {**info["features"][samples.CAMERA].get("info", {}), "video.fps": 25}
    (root / "meta/info.json").write_text(json.dumps(info))
    (found,) = [one for one in audit_folder(root, images=False).findings if one.check == "video-fps"]
    assert "25" in found.text and "10" in found.text and found.evidence, found
