"""Two worlds in one interval: the same cases, the same mix of tasks, one scale; or a word on what is missing."""

from pathlib import Path

import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.events import Event, Note
from roboscale.jobs.fuse import Fused, FuseResults, fuse_results


def fuse(folder: Path, real: str, cheap: str, notes: list[str] | None = None, **options: object) -> Fused:
    (folder / "real.csv").write_text(real)
    (folder / "cheap.csv").write_text(cheap)

    def hear(event: Event) -> None:
        if isinstance(event, Note) and notes is not None:
            notes.append(event.text)

    request = FuseResults(real=str(folder / "real.csv"), cheap=str(folder / "cheap.csv"), **options)
    return fuse_results(request, hear)


def trials(task: str, cases: range, won: int, case: str = "") -> str:
    return "".join(f"A,{task},{case}{k},{int(i < won)}\n" for i, k in enumerate(cases))


HEAD = "policy,task,case,success\n"


def test_counts_cannot_be_fused(tmp_path: Path):
    head = "policy,task,successes,trials\n"
    with pytest.raises(RoboscaleError, match=r"real\.csv has counts, .* a row for each trial"):
        fuse(tmp_path, f"{head}A,t,20,40\n", f"{head}A,t,25,200\n")


def test_rows_without_a_case_cannot_be_fused(tmp_path: Path):
    text = "policy,success\n" + "A,1\nA,0\n" * 5
    with pytest.raises(RoboscaleError, match="no column that says the case"):
        fuse(tmp_path, text, text + "A,1\n")


def test_numbers_of_trials_are_shared_only_where_somebody_says_so(tmp_path: Path):
    head = HEAD.replace("case", "trial")
    real, cheap = head + trials("t", range(1, 21), 10), head + trials("t", range(1, 61), 30)
    with pytest.raises(BadData, match="--case-across-files if equal ones are the same case"):
        fuse(tmp_path, real, cheap)
    assert fuse(tmp_path, real, cheap, case_across_files=True).policies["A"].estimate.n == 20


def test_further_trials_have_the_mix_of_the_real_ones(tmp_path: Path):
    real = HEAD + trials("easy", range(20), 18) + trials("hard", range(20), 2)
    both = HEAD + trials("easy", range(20), 18) + trials("hard", range(20), 2)
    notes: list[str] = []
    only_easy = fuse(tmp_path, real, both + trials("easy", range(100, 500), 360), notes)
    assert only_easy.policies["A"].estimate.value == pytest.approx(0.5, abs=0.01)
    assert any("left out 400 further cheap trials" in note for note in notes)
    mixed = fuse(tmp_path, real, both + trials("easy", range(100, 300), 180) + trials("hard", range(100, 300), 20))
    assert mixed.policies["A"].cheap == 400


def test_tasks_of_one_side_are_left_out_and_said(tmp_path: Path):
    notes: list[str] = []
    real = HEAD + trials("t", range(20), 10) + trials("u", range(5), 5)
    done = fuse(tmp_path, real, HEAD + trials("t", range(20), 10) + trials("v", range(30), 30), notes)
    assert done.policies["A"].estimate.n == 20
    assert any("left out 5 real trials" in note for note in notes) and any(
        "30 cheap trials of tasks" in n for n in notes
    )


def test_progress_is_fused_as_progress(tmp_path: Path):
    rows = "".join(f"A,{k},{(0, 0.25, 0.5, 0.75)[k % 4]}\n" for k in range(40))
    done = fuse(tmp_path, f"policy,case,progress\n{rows}", f"policy,case,progress\n{rows}")
    assert done.kind == "progress" and done.policies["A"].estimate.value == pytest.approx(0.375)
    with pytest.raises(RoboscaleError, match="one scale on both sides"):
        fuse(tmp_path, f"policy,case,progress\n{rows}", HEAD + trials("all", range(20), 10))
