"""Train, check, try: a learned world is asked only when its gates hold, and abstains with a reason when not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Case, RoboscaleError, UnknownName
from roboscale.jobs.compare import compare
from roboscale.jobs.eval import evaluate
from roboscale.jobs.learned import learned_parts, open_learned, read_gates
from roboscale.jobs.report import WriteReport, write_report
from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks
from roboscale.jobs.world_gates import check_gates
from roboscale.jobs.world_train import TrainWorld, train_world
from roboscale.stats.trust import BARS, auroc, calibration_error, gate_number, rank_correlation
from tests.pusher_world import Pusher, PusherWorld, record_pushes

JUDGED = (Pusher("good", noise=0.015), Pusher("middling", aside=0.06), Pusher("poor", aside=0.12, noise=0.02))


@pytest.fixture
def folder(learned_pusher: Path) -> Path:
    """Of a pusher's twin whose gates were checked, and the first frames of other cases."""
    return learned_pusher


def test_the_gates_hold_and_stand_beside_the_world(folder: Path):
    said = json.loads((folder / "twin" / "gates.json").read_text())
    assert {n["gate"][0] for n in said["numbers"]} == set("12345")
    named = {n["name"].partition(" (")[0] for n in said["numbers"]}
    assert named >= set(BARS)
    assert not [n for n in said["numbers"] if n["held"] is False and not n["gate"].startswith("4")]
    used = [n["name"] for n in said["numbers"] if n["gate"].startswith("4") and n["held"]]
    assert [f"trust signal ({name})" for name in said["signals"]] == used


def test_policies_are_ordered_as_the_true_world_orders_them(folder: Path):
    imagined = open_learned(f"learned:{folder / 'twin'}?starts={folder / 'starts'}")
    rates = {}
    for world in (PusherWorld(), imagined):
        done = [evaluate(policy, world=world, seeds="9000:9040") for policy in JUDGED]
        rates[world.info.kind] = [one.success.value for one in done]
        assert all(one.doubts == () for one in done)
    true, cheap = rates["simulated"], rates["learned"]
    assert true[0] > true[1] > true[2] and cheap[0] > cheap[1] > cheap[2]
    assert np.abs(np.subtract(true, cheap)).max() < 0.35


def test_a_policy_outside_of_the_data_is_not_rated(folder: Path):
    """Gate 5: it runs away to a corner where nobody was, and the world says nothing of it."""

    def away(observation: object) -> np.ndarray:
        return np.full(2, -0.05, np.float32)

    imagined = open_learned(f"learned:{folder / 'twin'}?starts={folder / 'starts'}")
    done = evaluate(away, world=imagined, trials=12)
    assert done.success.value is None and done.doubts and "coverage" in done.doubts[0]
    assert "withheld" in done.success.method and any("abstains" in line for line in done.lines)
    with pytest.raises(RoboscaleError, match="abstains"):
        compare(away, JUDGED[0], world=imagined, budget=12)


def test_few_real_trials_recalibrate_what_is_imagined(folder: Path, tmp_path: Path):
    imagined = open_learned(f"learned:{folder / 'twin'}?starts={folder / 'starts'}")
    real = evaluate(JUDGED[1], world=PusherWorld(), seeds="9000:9012", store=str(tmp_path / "real"))
    done = evaluate(JUDGED[1], world=imagined, seeds="9000:9040", calibrate=str(tmp_path / "real"))
    (one,) = done.calibrated
    assert one.real_world == "pusher" and one.fusion.cheap == 28 and one.fusion.mode == "betting"
    assert one.fusion.real_only.n == real.success.n == 12
    assert ("saves" in one.line) == ((one.fusion.saved_trials or 0) > 0)
    with pytest.raises(RoboscaleError, match="at least 8 cases"):
        evaluate(JUDGED[0], world=imagined, seeds="9000:9005", calibrate=str(tmp_path / "real"))
    evaluate(JUDGED[0], world=imagined, seeds="9000:9009", store=str(tmp_path / "dreamt"))
    with pytest.raises(RoboscaleError, match="found 0; 9 of its trials there are imagined themselves"):
        evaluate(JUDGED[0], world=imagined, seeds="9000:9010", calibrate=str(tmp_path / "dreamt"))
    with pytest.raises(BadData, match="expected a log of trials, found no file"):  # before any trial
        evaluate("constant", world=f"learned:{folder / 'twin'}", calibrate=str(tmp_path / "nowhere"))
    with pytest.raises(RoboscaleError, match="no learned world"):
        evaluate(JUDGED[1], world=PusherWorld(), seeds="9000:9003", calibrate=str(tmp_path / "real"))


def test_a_world_that_saw_no_failure_fails_the_third_gate(tmp_path: Path):
    record_pushes(tmp_path / "pushes", 40, only=True)
    train_world(TrainWorld(dataset=tmp_path / "pushes", out=tmp_path / "twin", steps=60, members=1))
    checked = check_world_tasks(CheckWorldTasks(world=str(tmp_path / "twin")))
    assert checked.gates is not None and not checked.ok
    assert any(n.gate.startswith("3") for n in checked.gates.failed)
    with pytest.raises(RoboscaleError, match="abstains.*nothing shows that it knows a failure"):
        open_learned(f"learned:{tmp_path / 'twin'}")
    record_pushes(tmp_path / "failures", 14, only=False, first=700)
    again = check_world_tasks(CheckWorldTasks(world=str(tmp_path / "twin"), failures=tmp_path / "failures"))
    assert again.gates is not None
    (auc,) = [n for n in again.gates.numbers if n.name == "failure AUROC"]
    assert auc.value is not None and auc.n > 14
    assert "14 failures, 14 of them from --failures" in auc.said
    record_pushes(tmp_path / "three", 3, only=False, first=900)  # a handful is news, too
    three = check_world_tasks(CheckWorldTasks(world=str(tmp_path / "twin"), failures=tmp_path / "three"))
    assert three.gates is not None and any("3 failures, 3 of them" in n.said for n in three.gates.numbers)
    with pytest.raises(BadData, match="logged failures of push that this world does not have, found none"):
        check_world_tasks(CheckWorldTasks(world=str(tmp_path / "twin"), failures=tmp_path / "pushes"))


def test_gates_belong_to_the_weights(folder: Path, tmp_path: Path):
    world, held_out = learned_parts(folder / "twin")
    assert read_gates(folder / "twin", check_gates(world, held_out).world) is not None
    assert read_gates(folder / "twin", "0" * 32) is None


def test_a_world_that_ignores_actions_fails_the_second_gate(folder: Path):
    world, held_out = learned_parts(folder / "twin")
    nets = world.twin.nets
    dead = tuple(np.zeros_like(w) for w in nets.weights)
    from dataclasses import replace

    from roboscale.core.ensembles import SmallNets
    from roboscale.worlds.learned import LearnedWorld

    twin = replace(world.twin, nets=SmallNets(dead, tuple(np.zeros_like(b) for b in nets.biases)))
    still = LearnedWorld("still", world.manifest, twin, world.judge, world.starts)
    failed = {n.name for n in check_gates(still, held_out).failed}
    assert "action error ratio" in failed


def test_the_arithmetic_of_trust():
    assert auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == pytest.approx(0.75)
    assert auroc([1, 2], [1, 1]) is None and auroc([0.5, 0.5], [0, 1]) == 0.5
    assert calibration_error([0.25] * 4, [1, 0, 0, 0]) == 0 and calibration_error([], []) is None
    assert rank_correlation([1, 2, 3], [10, 20, 25]) == pytest.approx(1)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert gate_number("coverage", None, 0).held is False and gate_number("optimism", 0.15, 3).held is True


def test_a_case_names_any_recorded_frame(folder: Path):
    world = open_learned(f"learned:{folder / 'twin'}")
    id_ = json.loads((folder / "twin" / "world.json").read_text())["data"]["held_out"]
    assert id_ == len(world.info.listed["push"])
    assert world.start(Case("push", world.info.listed["push"][0])).measures()["success"] is None


def test_failures_that_a_world_was_trained_on_verify_nothing(folder: Path, tmp_path: Path):
    """By content: under another name the same episodes are no news."""
    twin = str(folder / "twin")
    with pytest.raises(BadData, match=r"found \d+, all of which it has"):
        check_world_tasks(CheckWorldTasks(world=twin, failures=folder / "pushes"))
    with pytest.raises(RoboscaleError, match="no learned world, which alone has gates"):
        check_world_tasks(CheckWorldTasks(world="metaworld", failures=folder / "pushes"))


def test_gates_without_numbers_do_not_hold(folder: Path, tmp_path: Path):
    shutil.copytree(folder / "twin", tmp_path / "twin")
    file = tmp_path / "twin" / "gates.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "numbers": said["numbers"][:1]}))
    with pytest.raises(BadData, match=r"gates\.json: numbers: expected one for every bar, found none for .*coverage"):
        open_learned(f"learned:{tmp_path / 'twin'}")


def test_a_rule_that_is_none_names_its_file(folder: Path, tmp_path: Path):
    shutil.copytree(folder / "twin", tmp_path / "twin")
    file = tmp_path / "twin" / "world.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "rule": "never"}))
    with pytest.raises(BadData, match=r"world\.json: rule: .*'never'"):
        learned_parts(tmp_path / "twin")


def test_what_training_is_asked_for_is_there_before_it_begins(folder: Path, tmp_path: Path):
    pushes = folder / "pushes"

    def asked(out: Path, **more: object) -> TrainWorld:
        return TrainWorld(dataset=pushes, out=out, steps=60, members=1, **more)  # type: ignore[arg-type]

    with pytest.raises(BadData, match="expected a learned world, or nothing, found .*meta"):
        train_world(asked(pushes))
    (tmp_path / "file").touch()
    with pytest.raises(BadData, match="found a file"):
        train_world(asked(tmp_path / "file"))
    with pytest.raises(UnknownName, match=r"--leave-out of .* 'nowhere'; valid: observation\.state"):
        train_world(asked(tmp_path / "twin", leave_out=("nowhere",)))
    evaluate(JUDGED[0], world=PusherWorld(), seeds="100:102", store=str(tmp_path / "others"))
    with pytest.raises(BadData, match="labels: expected trials that these episodes were recorded from"):
        train_world(asked(tmp_path / "twin", labels=str(tmp_path / "others")))
    assert not (tmp_path / "twin").exists() and not (pushes / "world.json").exists()


def test_whoever_reads_a_store_hears_why_it_may_not_be_ranked(folder: Path, tmp_path: Path):
    """Gates off, or a policy outside of the data: rank, and the page, say what eval said."""
    from roboscale.jobs.judged import judged_run
    from roboscale.jobs.report_data import report_data
    from roboscale.jobs.result_files import load_results
    from roboscale.trials.log import open_log

    (tmp_path / "away.py").write_text(
        "import numpy as np\ndef away(observation):\n    return np.full(2, -0.05, np.float32)\n"
    )
    store = str(tmp_path / "trials")
    off = f"learned:{folder / 'twin'}?starts={folder / 'starts'}&gates=off"
    done = evaluate(f"{tmp_path / 'away.py'}:away", world=off, trials=3, workers=0, store=store)
    assert "imagined with gates off: no order may be read from it" in str(done)
    told: list[str] = []
    load_results([store], on_event=lambda event: told.append(getattr(event, "text", "")))
    assert any("with its gates off: no order may be read" in text for text in told)
    assert any("abstains: 5 coverage" in text for text in told)
    with open_log(store, read_only=True) as log:
        page = report_data(judged_run(log, log.runs()[0]), title="t", created="", store=store, command=None)
    assert any("abstains: 5 coverage" in note for note in page.notes)


def test_a_page_shows_recordings_beside_what_was_imagined(folder: Path, tmp_path: Path):
    twin = shutil.copytree(folder / "twin", tmp_path / "twin")
    store = str(tmp_path / "trials")
    evaluate("constant", world=f"learned:{twin}?gates=off", trials=2, workers=0, store=store)
    data = write_report(WriteReport(store=store, videos=1))
    assert data.replays is not None and [s.caption.partition(" by ")[0] for s in data.replays.strips] == [
        "the episode in the middle", "the worst",
    ]  # fmt: skip
    for curve in data.replays.curves:
        assert curve.median[0] == 0 and curve.median[-1] > 0, "it begins where the recording does, and drifts"
        assert all(m <= most for m, most in zip(curve.median, curve.most, strict=True))
    text = (tmp_path / "trials/report.html").read_text()
    assert "Recorded and imagined" in text and "no policy was asked" in text
    shutil.rmtree(twin)
    shutil.copytree(folder / "twin", twin)
    manifest = json.loads((twin / "world.json").read_text())
    (twin / "world.json").write_text(json.dumps({**manifest, "horizon": manifest["horizon"] + 1}))
    other = write_report(WriteReport(store=store, videos=1))
    assert other.replays is None and any("is another world now" in note for note in other.notes)
