"""The table of known datasets: every fact has a source, and nothing contradicts itself."""

from __future__ import annotations

import pytest

from roboscale.core import Field
from roboscale.sources.records.known import KNOWN, KnownField, find_known


def test_the_datasets_that_the_field_trains_on_are_there():
    named = """
    bridge_dataset bridge fractal20220817_data kuka droid taco_play jaco_play berkeley_cable_routing roboturk
    viola berkeley_autolab_ur5 toto language_table austin_buds_dataset_converted_externally_to_rlds bc_z
    fmb_dataset stanford_hydra_dataset_converted_externally_to_rlds
    nyu_franka_play_dataset_converted_externally_to_rlds dobbe
    furniture_bench_dataset_converted_externally_to_rlds ucsd_kitchen_dataset_converted_externally_to_rlds
    roboset austin_sailor_dataset_converted_externally_to_rlds
    austin_sirius_dataset_converted_externally_to_rlds rh20t
    dlr_edan_shared_control_converted_externally_to_rlds iamlab_cmu_pickup_insert_converted_externally_to_rlds
    utaustin_mutex berkeley_fanuc_manipulation cmu_stretch aloha pusht
    """
    assert [name for name in named.split() if name not in KNOWN] == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_fact_has_a_source_and_makes_a_valid_field(name: str):
    known = KNOWN[name]
    assert known.name == name and known.robot_type
    for fact in ("robot_type", "licence", "rate_hz"):
        assert (getattr(known, fact) is None) == (fact not in known.sources), fact
    assert known.rate_hz is None or 0 < known.rate_hz <= 100
    assert all(part in known.fields for part in known.action)
    for key, field in known.fields.items():
        assert len(field.source) > 10, key
        assert field.mode is None or field.mode == "absolute" or field.mode.startswith("relative to "), key
        if field.layout is not None:
            assert len(set(field.layout)) == len(field.layout), key
            Field(key, (len(field.layout),), "float32", layout=field.layout)
    roles = [(f.role, key.split("/")[0]) for key, f in known.fields.items() if f.role and "/" in key]
    assert len(set(roles)) == len(roles), "two cameras with one role"


def test_names_and_aliases_lead_to_one_dataset_each():
    names = [n for known in KNOWN.values() for n in (known.name, *known.aliases)]
    assert len(set(names)) == len(names)
    assert find_known("bridge_orig") is KNOWN["bridge_dataset"]
    assert find_known("no such thing") is None


def test_published_facts_that_others_have_checked():
    """Rates of the Open X-Embodiment overview, grippers as the standardisation transforms turn them."""
    rates = {"fractal20220817_data": 3, "bridge_dataset": 5, "droid": 15, "viola": 20, "toto": 30, "aloha": 50}
    assert {name: KNOWN[name].rate_hz for name in rates} == rates
    opens = {
        ("bridge_dataset", "action"): "open",
        ("droid", "action_dict/gripper_position"): "closed",
        ("berkeley_autolab_ur5", "observation/robot_state"): "closed",
        ("stanford_hydra_dataset_converted_externally_to_rlds", "action"): "closed",
        ("toto", "action/open_gripper"): "open",
        ("viola", "action/gripper_closedness_action"): "closed",
        ("aloha", "action"): "open",
        ("taco_play", "action/rel_actions_world"): None,  # the sources contradict each other
    }
    assert {(n, f): KNOWN[n].fields[f].gripper for n, f in opens} == opens
    assert KNOWN["viola"].fields["observation/eye_in_hand_rgb"].role == "wrist"


def test_what_nobody_publishes_stays_unknown():
    assert KNOWN["bridge_dataset"].fields["action"].unit is None
    assert not KNOWN["bridge_dataset"].complete
    assert [name for name, known in KNOWN.items() if known.complete] == ["aloha", "aloha_sim", "pusht"]


def test_arrays_stacked_to_one_action_are_read_together():
    fractal = KNOWN["fractal20220817_data"]
    stacked = fractal.field(", ".join(f"steps/{part}" for part in fractal.action))
    assert stacked is not None and stacked.layout is not None
    assert stacked.layout == ("x", "y", "z", "roll", "pitch", "yaw", "gripper_closedness_change")
    assert (stacked.mode, stacked.frame) == ("relative to state at prediction", "base")
    assert stacked.unit is None, "one of the parts has none"
    assert fractal.field("steps/action/world_vector, steps/action/no_such") is None


def test_a_field_of_two_grippers_that_disagree_has_no_polarity():
    assert KnownField(source="somebody", layout=("gripper_openness", "gripper_closedness")).gripper is None
