"""`validity` on tables: the same tasks on both sides, progress as progress, cells as points."""

from pathlib import Path

import numpy as np
import pytest

from roboscale import CheckValidity, RoboscaleError, check_validity


def write(path: Path, rows: list[str], columns: str = "policy,task,case,success") -> str:
    path.write_text("\n".join([columns, *rows]) + "\n")
    return str(path)


def trials(policy: str, task: str, won: int, n: int) -> list[str]:
    return [f"{policy},{task},{case},{int(case < won)}" for case in range(n)]


def test_only_tasks_of_both_worlds_count_and_the_others_are_named(tmp_path: Path):
    """A simulator with a further, easy task once moved its rates by fourteen points."""
    real = [row for k in range(5) for task in ("easy", "hard") for row in trials(f"p{k}", task, 4 * k + 2, 20)]
    cheap = real + [row for k in range(5) for row in trials(f"p{k}", "extra", 50, 50)]
    notes: list[str] = []
    done = check_validity(
        CheckValidity(real=write(tmp_path / "r.csv", real), cheap=write(tmp_path / "c.csv", cheap)),
        lambda event: notes.append(event.text),
    )
    assert done.tasks == ("easy", "hard") and done.real == done.cheap
    assert "left out of the cheap world, not tried with every shared policy in both: extra" in notes
    assert done.card.optimism.value == 0


def test_a_mean_over_tasks_does_not_follow_the_mix_of_trials(tmp_path: Path):
    real = [row for k in range(4) for row in trials(f"p{k}", "easy", 8 + k // 2, 10) + trials(f"p{k}", "hard", k, 10)]
    cheap = [
        row for k in range(4) for row in trials(f"p{k}", "easy", 80 + 5 * k, 100) + trials(f"p{k}", "hard", k, 10)
    ]
    done = check_validity(CheckValidity(real=write(tmp_path / "r.csv", real), cheap=write(tmp_path / "c.csv", cheap)))
    assert done.cheap["p0"].value == pytest.approx(0.4) and "each with the same weight" in done.basis
    assert done.within is not None and len(done.cells) == 8


def test_progress_is_progress(tmp_path: Path):
    rng = np.random.default_rng(0)
    steps = (0, 0.25, 0.5, 0.75)
    files = []
    for name in ("r.csv", "c.csv"):
        rows = []
        for k in range(8):
            share = np.array([8 - k, 3, 3, 1 + k]) / 15
            rows += [f"p{k},t,{case},{rng.choice(steps, p=share)}" for case in range(60)]
        files.append(write(tmp_path / name, rows, "policy,task,case,progress"))
    notes: list[str] = []
    done = check_validity(CheckValidity(real=files[0], cheap=files[1]), lambda event: notes.append(event.text))
    assert done.outcome == "progress" and done.card.pearson.value > 0.8 and "mean progress" in done.basis
    assert any("means of progress are compared" in note for note in notes)


def test_different_scales_and_different_tasks_are_errors(tmp_path: Path):
    won = write(tmp_path / "s.csv", [row for k in range(3) for row in trials(f"p{k}", "t", k, 5)])
    scored = write(
        tmp_path / "p.csv", [f"p{k},t,{c},{c / 8}" for k in range(3) for c in range(5)], "policy,task,case,progress"
    )
    with pytest.raises(RoboscaleError, match="real has success, cheap has progress"):
        check_validity(CheckValidity(real=won, cheap=scored))
    other = write(tmp_path / "o.csv", [row for k in range(3) for row in trials(f"p{k}", "u", k, 5)])
    with pytest.raises(RoboscaleError, match="no task was tried .* real has t; cheap has u"):
        check_validity(CheckValidity(real=won, cheap=other))


def test_cells_are_drawn_where_asked(tmp_path: Path):
    rows = [row for k in range(6) for task in "uv" for row in trials(f"p{k}", task, 3 * k, 20)]
    source = write(tmp_path / "r.csv", rows)
    pages = {}
    for points in ("policy", "cell"):
        page = tmp_path / f"{points}.html"
        check_validity(CheckValidity(real=source, cheap=source, points=points, html=page))
        pages[points] = page.read_text()
    assert "Every policy on every task" in pages["cell"] and "Every policy on every task" not in pages["policy"]
    assert "Does it rank?" in pages["policy"]


def test_one_table_with_a_column_for_each_world(tmp_path: Path):
    """SIMPLER's own tables have one row a policy and task, and the rates of both worlds beside each other."""
    rows = [f"pick,p{k},{0.1 * k + 0.05},{0.1 * k + 0.1}" for k in range(9)]
    source = write(tmp_path / "both.csv", rows, "task,policy,real,sim")
    notes: list[str] = []
    done = check_validity(CheckValidity(real=source, cheap=source), lambda event: notes.append(event.text))
    assert done.card.optimism.value == pytest.approx(0.05) and done.card.pearson.value == pytest.approx(1)
    assert (
        "real: trials in world real; left out: sim" in notes and "cheap: trials in world sim; left out: real" in notes
    )
    assert done.card.criteria[-1].bar is None  # nobody says how many trials these rates are of


def far(observation):
    return 3 * (observation["observation.environment_state"] - observation["observation.state"])


def near(observation):
    return 0.5 * far(observation)


def away(observation):
    return -far(observation)


def test_a_perturbed_arm_is_held_against_the_real_world(place: Path):
    import roboscale as rs

    done = rs.compare(
        far,
        near,
        away,
        world="point.toml",
        workers=0,
        budget=6,
        perturb="lost_frames:3,observation_delay:1",
        out="sim",
    )
    labels = sorted(done.judged.labels.values())
    rows = [row for k, name in enumerate(labels) for row in trials(name, "reach", 3 * (2 - k), 6)]
    real = write(place / "real.csv", rows)
    checked = check_validity(CheckValidity(real=real, cheap="sim", arm="lost_frames:3", only_task="reach"))
    plain = check_validity(CheckValidity(real=real, cheap="sim", only_task="reach"))
    assert checked.unperturbed == plain.card and plain.unperturbed is None and plain.arm == ""
    arm = {c.policy: 0 for c in done.judged.counted}
    for one in done.judged.counted:
        arm[one.policy] += one.case.variation == "lost_frames:3" and bool(one.outcome.success)
    told = {done.judged.labels[policy]: won / 6 for policy, won in arm.items()}
    assert {name: won / n for name, (won, n) in checked.cheap.items()} == pytest.approx(told)
    assert "those in lost_frames:3: Pearson" in checked.beside and "Unperturbed: Pearson" in checked.beside
    assert " ".join(checked.lines).endswith(checked.beside)
    assert checked.to_json()["arm"] == "lost_frames:3" and checked.to_json()["unperturbed"]["policies"]
    assert not [note for note in checked.notes if "two arms" in note]
    rs.evaluate(far, world="point.toml", workers=0, seeds="50:53", store="sim")  # three more cases, unperturbed alone
    more = check_validity(CheckValidity(real=real, cheap="sim", arm="lost_frames:3", only_task="reach"))
    said = "the two arms are not of the same: cheap trials 18 in lost_frames:3, 21 unperturbed"
    assert said in more.notes
    with pytest.raises(RoboscaleError, match=r"arm: expected trials in light:2, found .*lost_frames:3"):
        check_validity(CheckValidity(real=real, cheap="sim", arm="light:2"))
    with pytest.raises(RoboscaleError, match="a table of others"):
        check_validity(CheckValidity(real=real, cheap=real, arm="light:2"))


@pytest.mark.parametrize("column", ["imagined", "world_model", "WM"])
def test_one_table_of_paired_real_and_imagined_rollouts(tmp_path: Path, column: str):
    """As benchmarks of world models publish them: a row a rollout, its real and its imagined outcome side by side."""
    rates = {"good": 9, "fair": 5, "poor": 1}
    rows = [f"push,{name},{k},{int(k < n)},{int(k < n + 1)}" for name, n in rates.items() for k in range(10)]
    table = tmp_path / "rollouts.csv"
    table.write_text("\n".join([f"task,policy,episode,real,{column}", *rows]) + "\n")
    done = check_validity(CheckValidity(real=str(table), cheap=str(table)))
    assert done.card.pearson.value == pytest.approx(1) and done.card.optimistic == 3
    assert done.card.to_json()["disattenuated"] == done.card.disattenuated
