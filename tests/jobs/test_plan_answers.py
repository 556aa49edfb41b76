"""What a plan says: advice where more helps, a plain word where it does not, the target, mixtures and policies."""

from pathlib import Path

import pytest

from roboscale import BadData, PlanCollection, plan_collection

FALLING = "demonstrations,successes,rollouts\n30,51,96\n106,20,96\n517,2,96\n"
RISING = "demonstrations,successes,rollouts\n10,8,40\n20,14,40\n40,22,40\n"


def plan(tmp_path: Path, text: str, **asked):
    path = tmp_path / "points.csv"
    path.write_text(text)
    notes: list[str] = []
    planned = plan_collection(PlanCollection(sources=(path,), **asked), lambda e: notes.append(getattr(e, "text", "")))
    return planned, planned.sentences()[0], notes


def test_success_that_falls_with_data_is_no_reason_to_collect(tmp_path: Path):
    planned, said, _ = plan(tmp_path, FALLING, html=tmp_path / "plan.html")
    assert (
        "this data does not behave like more is better" in said and "collect" not in said.split("before collecting")[0]
    )
    assert "success falls from 0.53 with 30 to 0.02 with 517" in said
    assert not planned.decisions and planned.to_json()["curves"][0]["check"]["verdict"] == "falls"
    assert "the data cannot say" in (tmp_path / "plan.html").read_text()


def test_flat_success_is_no_reason_either(tmp_path: Path):
    _, said, _ = plan(tmp_path, "demonstrations,successes,rollouts\n10,20,40\n20,21,40\n40,20,40\n")
    assert "more data is not shown to help" in said and "Train on" in said


def test_a_source_that_harms_is_taken_off_the_offer(tmp_path: Path):
    rows = ["source,demonstrations,successes,rollouts"]
    rows += [f"good,{n},{k},40" for n, k in ((10, 8), (20, 14), (40, 22))]
    rows += [f"bad,{n},{k},96" for n, k in ((30, 51), (106, 20), (517, 2))]
    planned, said, _ = plan(tmp_path, "\n".join(rows))
    assert "collect 100 more demonstrations by good" in said and "By bad, success falls" in said
    assert [option.source for option in planned.decisions["all"].options] == ["good"]


@pytest.mark.parametrize(
    "target, said",
    [(0.7, "70 % needs about 1"), (0.4, "which you have"), (0.95, "95 % is out of reach with data")],
)
def test_the_target_is_answered(tmp_path: Path, target: float, said: str):
    assert said in plan(tmp_path, RISING, target=target)[1]


@pytest.mark.parametrize(
    ("rows", "target", "said"),
    [
        (
            "10,38,50\n20,32,50\n40,24,50\n80,15,50\n",
            0.9,
            "90 % is out of reach with data, as far as was measured: at",
        ),
        (
            "10,34,50\n20,35,50\n40,34,50\n80,36,50\n",
            0.8,
            "80 % is not reached, as far as was measured: at best 0.72 [",
        ),
        ("10,50,50\n20,50,50\n", 0.9, "90 % is reached: 1.00 [0.9"),
        ("10,50,50\n20,50,50\n", 0.98, "98 % may be reached, which these trials do not show: 1.00 [0.9"),
        ("10,4,20\n", 0.9, "90 % is out of reach with data, as far as was measured: at best 0.20 ["),
    ],
)
def test_the_target_is_answered_where_no_curve_can_be_trusted(tmp_path: Path, rows: str, target: float, said: str):
    """Falling, flat, full and single points left `--target` without a word."""
    text = plan(tmp_path, f"demonstrations,successes,rollouts\n{rows}", target=target)[1]
    assert said in text and text.count(said) == 1 and "trials" in text


def test_mixtures_in_a_cell_and_in_columns_are_the_same(tmp_path: Path):
    cells = "source,demos,k,n\nteleop,10,8,40\nteleop,40,22,40\n"
    cells += "teleop+generated,10+40,14,40\nteleop+generated,40+40,26,40\n"
    wide = "demos_teleop,demos_generated,k,n\n10,0,8,40\n40,0,22,40\n10,40,14,40\n40,40,26,40\n"
    one, two = plan(tmp_path, cells)[0], plan(tmp_path, wide)[0]
    assert one.sentences() == two.sentences()
    assert {option.source for option in one.decisions["all"].options} == {"teleop", "generated"}
    with pytest.raises(BadData, match="as many amounts as sources"):
        plan(tmp_path, "source,demos,k,n\na+b,10,8,40\n")


def test_policies_are_recipes_where_each_has_several_amounts(tmp_path: Path):
    rows = [
        "policy,demos,k,n",
        "act,10,8,40",
        "act,20,14,40",
        "act,40,22,40",
        "dp,10,18,40",
        "dp,20,24,40",
        "dp,40,30,40",
    ]
    planned, _, notes = plan(tmp_path, "\n".join(rows))
    assert list(planned.answers) == ["all, act", "all, dp"] and "planned one by one" in notes[0]
    rows = ["policy,demos,k,n", "p10,10,8,40", "p20,20,14,40", "p40,40,22,40"]
    planned, _, notes = plan(tmp_path, "\n".join(rows))
    assert list(planned.answers) == ["all"] and "checkpoints of one recipe" in notes[0]


def test_runs_are_kept_apart_and_their_deviation_is_said(tmp_path: Path):
    rows = ["demos,run,k,n"] + [
        f"{n},{run},{k},100" for n, ks in ((10, (10, 40)), (40, (40, 80))) for run, k in enumerate(ks)
    ]
    planned, said, notes = plan(tmp_path, "\n".join(rows))
    assert len(planned.fits["all", "data"].points) == 4 and "Training runs of data differ by" in said
    assert not any("trained once" in note for note in notes)
    assert any("trained once" in note for note in plan(tmp_path, RISING)[2])


def test_progress_stands_for_successes_and_says_so(tmp_path: Path):
    rows = ["demos,progress"] + [
        f"{n},{p}" for n, ps in ((10, (0, 0.25, 0.5)), (40, (0.5, 0.75, 0.75))) for p in ps * 10
    ]
    planned, _, notes = plan(tmp_path, "\n".join(rows))
    assert [p.k for p in planned.fits["all", "data"].points] == [7.5, 20]
    assert "sum of progress stands for them" in notes[0]
