"""Captures that an arm is asked to follow: counts on the card, columns for every sample, findings of the audit."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from roboscale.cli.app import parse
from roboscale.core import BadData, UsageError
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld
from roboscale.jobs.collect_human import CollectHuman, collect_human
from roboscale.kinematics.arm_model import load_arm
from roboscale.sources.capture.card import CARD
from roboscale.sources.capture.gates import Bars
from roboscale.sources.capture.reachability import ArmAsked
from roboscale.sources.capture.recording import CaptureOptions
from roboscale.sources.handheld.opening import open_handheld
from tests.samples import capture as samples
from tests.samples.arm import write_arm_mjcf

DATA = {"sigma_position": 0.004, "sigma_rotation": 0.02, "workers": 0, "instruction": "Put the cup on the saucer."}
LIMITS = ("unreachable", "too_fast", "self_colliding")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object, list[str]]:
    """A log of what a small arm did, but for ten samples in which the hand was elsewhere, followed by that arm."""
    place = tmp_path_factory.mktemp("arm")
    arm = write_arm_mjcf(place / "arm.xml")
    model = load_arm(str(arm))
    home, swing = np.array([0.2, 0.5, 0.9, 0.1, 0.6, -0.2]), np.array([0.4, 0.2, -0.2, 0.3, 0.2, 0.4])
    rows = ["timestamp_ns,tx,ty,tz,qx,qy,qz,qw"]
    for k in range(40):
        at, turn = model.forward(home + np.sin(0.05 * k) * swing)
        at[2] += 3.0 * (20 <= k < 30)
        numbers = ",".join(f"{v:.9f}" for v in (*at, *Rotation.from_matrix(turn).as_quat()))
        rows.append(f"{100_000_000 * k},{numbers}")
    log = place / "log.csv"
    log.write_text("\n".join(rows))
    asked = CollectHandheld(
        recordings=log,
        out=place / "out",
        axes="as-recorded",
        arm=str(arm),
        arm_base="0,0,0,0",
        jump=9,
        joint_speed=20,
        **DATA,
    )
    done = collect_handheld(asked)
    return place, done, list(done.notes)


def test_poses_out_of_reach_are_counted_on_the_card_and_marked_in_the_columns(made):
    place, done, _ = made
    card = json.loads((place / "out" / CARD).read_text())
    (track,) = card["demonstrations"][0]["tracks"]
    assert track["arm"]["samples"] == 40 and track["arm"]["unreachable"] == 10
    assert track["arm"]["metres"] < 0.002 and len(card["arm"]["digest"]) == 64
    assert any("10 unreachable" in line for line in done.lines)
    dataset = Dataset(place / "out")
    assert np.flatnonzero(dataset.arrays("pose.unreachable")[:, 0]).tolist() == list(range(20, 30))
    for what in LIMITS[1:]:
        assert dataset.arrays(f"pose.{what}").sum() <= track["arm"][what]
    assert dataset.arrays("arm.joints").shape == (39, 6)
    left = dataset.arrays("arm.residual")
    assert left.shape == (39, 2) and left[20:30, 0].min() > 0.5 and left[:20, 0].max() < 0.005


def test_the_audit_and_the_page_say_what_the_arm_cannot_do(made):
    place, _, _ = made
    found = {f.check: f for f in audit_folder(place / "out").findings}
    assert found["unreachable-poses"].severity == "warning" and "10 of 39" in found["unreachable-poses"].text
    page = (place / "out" / "meta/roboscale/capture.html").read_text()
    assert "Could an arm follow?" in page and "unreachable" in page


def test_where_the_arm_was_put_is_said_with_the_option_that_puts_it_there_again(made, tmp_path: Path):
    place, _, notes = made
    assert not any("where the arm stands" in note for note in notes)
    words = ["collect", "handheld", str(place / "log.csv"), "--axes", "as-recorded", "--arm", str(place / "arm.xml")]
    words += ["--jump", "9", "--joint-speed", "20", "--workers", "0", "--sigma-position", "1", "--sigma-rotation", "1"]
    asked = ArmAsked(arm=str(place / "arm.xml"), speed=20)
    first = open_handheld(place / "log.csv", CaptureOptions(arm=asked, bars=Bars(jump_m=9)), axes="as-recorded").card
    (advice,) = [note for note in first.assumed if "nothing says where the arm stands" in note]
    again = collect_handheld(parse([*words, str(tmp_path / "again"), advice.split(": ")[-1]]))
    assert not any("where the arm stands" in note for note in again.notes)
    for what in ("followed", *LIMITS):
        assert again.card.arm_count(what) == first.arm_count(what)
    assert first.arm_count("followed") >= 15


def test_two_hands_are_two_arms_and_a_palm_is_approached_along_its_fingers(tmp_path: Path):
    source = samples.write_egodex(tmp_path / "ego", frames=12)
    arm = str(write_arm_mjcf(tmp_path / "arm.xml"))
    asked = CollectHuman(source=source, out=tmp_path / "out", arm=arm, arm_base="0,0,0,0", joint_speed=30, **DATA)
    done = collect_human(asked)
    assert done.card.arm.approach == "x" and len(done.card.arm.bases) == 2
    assert any("each arm is looked at alone" in note for note in done.notes)
    assert Dataset(tmp_path / "out").arrays("pose.too_fast").shape == (11, 2)
    with pytest.raises(BadData, match="4 numbers, or 4 for each of 2 end effectors, found 12"):
        base = ",".join(["0"] * 12)
        collect_human(CollectHuman(source=source, out=tmp_path / "o", arm=arm, arm_base=base, **DATA))


def test_options_of_an_arm_without_an_arm_or_with_a_wrong_base_are_refused(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv")
    given = {"recordings": log, "out": tmp_path / "out", "axes": "as-recorded", **DATA}
    with pytest.raises(UsageError, match="--arm names it"):
        CollectHandheld(joint_speed=2.0, **given)
    with pytest.raises(UsageError, match="--arm-base: expected x,y,z"):
        CollectHandheld(arm="panda", arm_base="1,2,3", **given)
