"""What is asked of columns, and what wide tables have besides policies: remarks, stages, counts side by side."""

import os
import threading
from pathlib import Path

import pytest

from roboscale.core import BadData, UsageError
from roboscale.jobs.events import Note
from roboscale.jobs.plan import PlanCollection
from roboscale.jobs.rank import Rank
from roboscale.jobs.result_files import load_results
from roboscale.results import ReadOptions, Results, read_results
from roboscale.results.trained import read_trained


def read(tmp_path: Path, text: str, *asked: str) -> Results:
    """A table as `rank FILE --column ASKED ...` reads it."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    return read_results(path, "", Rank(sources=(str(path),), column=asked).reading_options())


def counts(results: Results) -> dict[tuple[str, str], tuple[int, int]]:
    """(policy, task) -> successes and trials."""
    c = results.columns
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in range(len(c)):
        key = c.policies[c.policy[row]], c.strata[c.stratum[row]].task
        won, tried = found.get(key, (0, 0))
        found[key] = won + int(c.success[row] * c.weight[row]), tried + int(c.weight[row])
    return found


def said(results: Results) -> str:
    return "\n".join(results.reading.lines())


LONG = "algo,size,run_no,take,ok,good,Datum,Bemerkung\nACT,s,1,1,1,0,x,y\nACT,l,1,2,0,0,z,y\nDP,s,1,1,1,1,x,u\n"


def test_a_role_that_is_said_twice_has_both_columns(tmp_path: Path):
    """The last one won, and the first was dropped in silence."""
    for asked in (("policy=algo", "policy=size"), ("policy=algo+size",)):
        assert read(tmp_path, LONG, *asked, "success=ok").columns.policies == ("ACT, s", "ACT, l", "DP, s")
    for asked in (("case=run_no", "case=take"), ("case=run_no+take",)):
        found = said(read(tmp_path, LONG.replace("algo", "policy"), *asked, "success=ok"))
        assert "used 'policy' as policy, 'run_no' as case (as asked), 'take' as case (as asked)" in found
    tasks = read(tmp_path, LONG, "policy=algo", "task=size", "task=good", "success=ok")
    assert ("DP", "s, 1") in counts(tasks)
    ignored = said(read(tmp_path, LONG, "policy=algo", "success=ok", "ignore=Datum", "ignore=Bemerkung"))
    assert "'Datum' (as asked), 'Bemerkung' (as asked)" in ignored
    both = Rank(sources=("a",), column=("case=take",), case="run_no").reading_options()
    assert both.columns == {"case": "take+run_no"}


@pytest.mark.parametrize("asked", [("success=ok", "success=good"), ("success=ok+good",), ("trials=ok", "trials=take")])
def test_a_role_of_one_column_is_not_said_twice(tmp_path: Path, asked: tuple[str, ...]):
    with pytest.raises(UsageError, match="expected one column, found .*ok.*(good|take)"):
        read(tmp_path, LONG, "policy=algo", *asked)
    assert counts(read(tmp_path, LONG, "policy=algo", "success=ok", "success=ok"))["DP", "all"] == (1, 1)


def test_a_sign_in_the_name_of_a_column_joins_nothing(tmp_path: Path):
    text = "policy,success,Datum+Zeit,Rest\nACT,1,a,b\nDP,0,c,d\n"
    assert "'Datum+Zeit' (as asked), 'Rest' (as asked)" in said(
        read(tmp_path, text, "ignore=Datum+Zeit", "ignore=rest")
    )


def test_columns_for_one_role_are_joined_in_success_against_data_and_preferences(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b,demos,successes,rollouts\ncup,red,10,4,20\ncup,blue,20,9,20\n")
    options = PlanCollection(sources=(tmp_path / "a.csv",), column=("task=a", "task=b")).reading_options()
    assert {point.task for point in read_trained(tmp_path / "a.csv", options)} == {"cup, red", "cup, blue"}
    pairs = "policy_a,policy_b,winner,room,take,score_a,score_b\n"
    pairs += "x,y,a,1,1,1,0\nx,y,b,1,2,0,1\nx,y,a,2,1,.5,.2\n"
    found = read(tmp_path, pairs, "case=room", "case=take")
    assert "'room' as case (as asked)" in said(found) and "'take' as case (as asked)" in said(found)
    assert sorted(set(found.columns.cases)) == ["1/1", "1/2", "2/1"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("scene=init_id", "scene is a name of case columns: --column case=init_id; roles: policy, .*, ignore"),
        ("sucess=ok", "did you mean success.*roles: policy, "),
        ("xyz=ok", "unknown role of --column 'xyz'; roles: policy, "),
        ("success=", "expected ROLE=COLUMN such as success=Erfolg, found 'success='"),
    ],
)
def test_a_role_that_there_is_not_lists_those_that_there_are(tmp_path: Path, asked: str, words: str):
    with pytest.raises(UsageError, match=words):
        read(tmp_path, "policy,init_id,success\nA,1,1\n", asked)


@pytest.mark.parametrize("name", ["init_id", "init_state_id", "Init State", "initial_state_id"])
def test_initial_states_are_cases(tmp_path: Path, name: str):
    assert read(tmp_path, f"policy,{name},success\nA,7,1\nA,9,0\nB,7,1\nB,9,1\n").reading.paired


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Szene;ACT;DP;Bemerkung\n1;1;0;\n2;0;1;Griff schlecht\n3;1;1;\n4;0;1;lose\n", "Bemerkung"),
        ("timestamp,scene,ACT,DP\n2026-01-01,1,1,0\n2026-01-02,2,0,1\n", "timestamp"),
        ("operator,scene,ACT,DP\nAnn,1,1,0\nBob,2,0,1\n", "operator"),
        ("Datum;Szene;ACT;DP\n1.11.;1;1;0\n2.11.;2;0;1\n", "Datum"),
        ("Kommentar;Szene;ACT;DP\na;1;1;0\nb;2;0;1\n", "Kommentar"),
        ("scene,ACT,DP,video_url\n1,1,0,a\n2,0,1,b\n", "video_url"),
        ("scene,ACT,DP,evaluator\n1,1,0,1\n2,0,1,2\n", "evaluator"),
    ],
)
def test_a_remark_beside_policies_is_ignored_by_its_name(tmp_path: Path, text: str, name: str):
    """It was asked whether it is a policy; dates were ranked where somebody said so as was printed."""
    found = read(tmp_path, text)
    assert found.columns.policies == ("ACT", "DP") and found.reading.paired
    assert f"ignored '{name}' (its name says a time, a person, a remark or a file)" in said(found)
    asked = read(tmp_path, text, f"task={name}") if name == "operator" else None
    assert asked is None or len(asked.columns.strata) == 2


def test_another_text_beside_policies_is_asked_for_with_ways_that_work(tmp_path: Path):
    text = "scene,object,ACT,DP\n1,cup,1,0\n2,bin,0,1\n1,bin,0,1\n"
    ways = ("ignore=object", "task=object", "case=scene+object", "policy=object")
    with pytest.raises(BadData) as error:
        read(tmp_path, text)
    assert all(f"--column {way} " in str(error.value) for way in ways)
    assert read(tmp_path, text, "task=object").columns.strata[0].task == "cup"
    assert len(read(tmp_path, text, "case=scene+object").columns) == 6
    assert read(tmp_path, text, "policy=object").columns.policies == ("cup", "bin")
    assert read(tmp_path, text.replace("\n1,bin", "\n3,bin"), "ignore=object").reading.paired
    dates = "scene,Termin,ACT,DP\n1,2026-01-01,1,0\n2,2026-01-02,0,1\n"
    with pytest.raises(BadData) as error:
        read(tmp_path, dates)
    assert "policy=" not in str(error.value) and "ignore=Termin" in str(error.value)


def test_stages_of_few_trials_are_known_by_their_names(tmp_path: Path):
    few = "policy,scene,reach,grasp,lift,place\nA,1,1,1,0,0\nA,2,1,0,0,0\nB,1,1,1,1,1\nB,2,1,1,1,0\n"
    with pytest.raises(BadData, match=r"success=place\), or tasks .* \(--column task=reach.grasp.lift.place"):
        read(tmp_path, few)
    assert counts(read(tmp_path, few, "success=place")) == {("A", "all"): (0, 2), ("B", "all"): (1, 2)}
    assert counts(read(tmp_path, few, "task=reach+grasp+lift+place"))["B", "lift"] == (2, 2)
    other = few.replace("reach,grasp,lift,place", "red,green,blue,black")
    assert len(counts(read(tmp_path, other))) == 8, "four rows are in order by chance"


def test_counts_of_stages_are_asked_for_and_tasks_are_not(tmp_path: Path):
    text = "policy,reach,grasp,place\nA,18/20,12/20,3/20\nB,19/20,15/20,9/20\n"
    with pytest.raises(BadData, match="--column successes=place"):
        read(tmp_path, text)
    assert counts(read(tmp_path, text, "successes=place")) == {("A", "all"): (3, 20), ("B", "all"): (9, 20)}
    assert len(counts(read(tmp_path, text, "task=reach+grasp+place"))) == 6
    assert len(counts(read(tmp_path, text.replace("3/20", "13/20")))) == 6
    assert len(counts(read(tmp_path, text.replace("3/20", "3/10")))) == 6, "other trials are no stages of these"


BOTH = {("ACT", "stack"): (12, 20), ("ACT", "pour"): (0, 20), ("DP", "stack"): (17, 20), ("DP", "pour"): (1, 20)}


@pytest.mark.parametrize(
    "header",
    [
        "task,ACT successes,ACT trials,DP successes,DP trials",
        "task,ACT success,ACT trials,DP success,DP trials",
        "task,successes_ACT,trials_ACT,successes_DP,trials_DP",
        "Aufgabe,ACT Erfolge,ACT Versuche,DP Erfolge,DP Versuche",
        "task,ACT (successes),ACT (n),DP (successes),DP (n)",
        "task,ACT.success,ACT.trials,DP.success,DP.trials",
    ],
)
def test_counts_of_policies_side_by_side(tmp_path: Path, header: str):
    """Each column was taken for a policy, and what was advised did not end."""
    found = read(tmp_path, f"{header}\nstack,12,20,17,20\npour,0,20,1,20\n")
    assert counts(found) == BOTH and "of each policy stand side by side: ACT, DP" in said(found)


def test_other_outcomes_side_by_side(tmp_path: Path):
    rates = "task,ACT success rate (%),ACT n,DP success rate (%),DP n\nstack,60,20,85,20\npour,0,20,5,20\n"
    assert counts(read(tmp_path, rates)) == BOTH
    lost = "task,ACT_success,ACT_fail,DP_success,DP_fail\nstack,12,8,17,3\npour,0,20,1,19\n"
    assert counts(read(tmp_path, lost)) == BOTH
    tasks = "policy,stack successes,stack trials,pour successes,pour trials,Total successes,Total trials\n"
    found = read(tmp_path, f"{tasks}ACT,12,20,0,20,12,40\nDP,17,20,1,20,18,40\n")
    assert counts(found) == BOTH and "add others up: Total successes, Total trials" in said(found)
    worlds = "policy,task,real successes,real trials,sim successes,sim trials\nACT,stack,1,2,3,4\nDP,stack,1,2,4,4\n"
    assert {s.world for s in read(tmp_path, worlds).columns.strata} == {"real", "sim"}
    own = "policy,demo_success,demo_trials,other_success,other_trials,success\nA,1,2,1,2,1\n"
    assert counts(read(tmp_path, own)) == {("A", "all"): (1, 1)}, "the row has an outcome of its own"


def test_two_rows_of_headers_over_a_column_without_a_name(tmp_path: Path):
    """The first column was lost, and the policies with it."""
    text = ",stack,stack,pour,pour\n,successes,trials,successes,trials\nACT,12,20,0,20\nDP,17,20,1,20\n"
    with pytest.raises(BadData, match="two rows of headers.*'policy=column 1' --column 'task=upper header' where"):
        read(tmp_path, text)
    assert counts(read(tmp_path, text, "policy=column 1", "task=upper header")) == BOTH
    assert set(counts(read(tmp_path, text, "task=column 1", "policy=upper header"))) == {(t, p) for p, t in BOTH}
    assert counts(read(tmp_path, f"policy{text}")) == BOTH


def test_advice_to_ignore_a_column_is_given_only_where_it_helps(tmp_path: Path):
    text = "Aufgabe;ACT;DP\nstack;60,0;85,0\npour;30,0;55,0\n"
    with pytest.raises(BadData, match="percent with a sign") as error:
        read(tmp_path, text)
    assert "ignore=" not in str(error.value)
    with pytest.raises(BadData, match="at least two columns of outcomes.* ACT alone, for DP is ignored"):
        read(tmp_path, text, "ignore=DP")
    with pytest.raises(BadData, match="or --column ignore=x"):
        read(tmp_path, "scene,ACT,DP,x\n1,1,0,7.5\n2,0,1,3.5\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scene,ACT,DP\n1,1,0\n2,0,1\n3,x,1\n", "ACT of row 3: .*found 'x'"),
        ("scene,ACT,DP\n1,1,y\n2,0,1\n3,x,1\n", "ACT of row 3: .*found 'x'"),
        ("policy,stack,pour\nA,1,0\nA,0,1\nB,x,1\n", "stack of row 3: .*found 'x'"),
        ("task,ACT,DP\na,12/20,17/20\nb,12/20,oops\n", "DP of row 2: .*such as 12/20.*found 'oops'"),
        ("policy,Trial 1,Trial 2,Trial 3\nA,1,0,1\nB,0,y?,1\n", "Trial 2 of row 2: .*found 'y\\?'"),
        ("task,ACT,DP\na,.5,.6\nb,.5,.6.1\n", "DP of row 2: expected a number.*found '.6.1'"),
    ],
)
def test_one_bad_cell_of_a_wide_table_is_named(tmp_path: Path, text: str, words: str):
    """The column was none of outcomes for it: it was dropped, or the table had no policy."""
    with pytest.raises(BadData, match=words):
        read(tmp_path, text)


def test_a_text_column_beside_tasks_is_no_bad_column_of_outcomes(tmp_path: Path):
    found = read(tmp_path, "policy,thing,stack,pour\nA,cup,1,0\nA,1,0,1\nB,bin,0,1\n")
    assert "ignored 'thing'" in said(found) and len(found.columns) == 6


def test_options_without_a_command_are_read_the_same(tmp_path: Path):
    (tmp_path / "a.csv").write_text(LONG)
    found = read_results(tmp_path / "a.csv", "", ReadOptions(columns={"policy": "algo+size", "success": "ok"}))
    assert found.columns.policies == ("ACT, s", "ACT, l", "DP, s")


def test_rows_that_add_others_up_are_named(tmp_path: Path):
    text = "policy,task,successes,trials\nA,x,1,2\nB,x,2,2\nA,Total,1,2\nB,mean,2,2\n"
    assert "2 rows left out: they add the others up (Total, mean)" in said(read(tmp_path, text))


@pytest.mark.parametrize("line", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;;;;\n"])
def test_the_line_that_tells_excel_what_separates_cells_is_known(tmp_path: Path, line: str):
    found = read(tmp_path, f"{line}policy;successes;trials\nA;1;2\nB;2;2\n")
    assert counts(found) == {("A", "all"): (1, 2), ("B", "all"): (2, 2)}
    assert "says what separates cells" in said(found) and "above the header" not in said(found)


def test_a_direction_that_means_nothing_is_said(tmp_path: Path):
    """`--lower-is-better` was accepted beside counts, and did nothing."""

    def notes(text: str, **asked: bool) -> str:
        (tmp_path / "a.csv").write_text(text)
        heard: list[Note] = []
        options = Rank(sources=("a",), **asked).reading_options()
        load_results([str(tmp_path / "a.csv")], options, heard.append)  # type: ignore[arg-type]
        return "\n".join(note.text for note in heard)

    words = "is for a column of progress, and a.csv has none"
    counted = "policy,successes,trials\nA,1,2\nB,2,2\n"
    assert f"--lower-is-better {words}: nothing was turned round" in notes(counted, lower_is_better=True)
    assert f"--higher-is-better {words}" in notes(counted, higher_is_better=True)
    assert words not in notes(counted)
    progress = "policy,progress\nA,.5\nB,.25\n"
    assert words not in notes(progress, lower_is_better=True)
    pairs = "policy_a,policy_b,preference\nA,B,1\nB,A,0\n"
    assert words not in notes(pairs, lower_is_better=True)
    assert words in notes(pairs.replace(",1", ",A").replace(",0", ",B"), lower_is_better=True)


@pytest.mark.parametrize("source", ["A=", "", " ", "=a.csv"])
def test_an_empty_source_is_not_the_folder_one_is_in(source: str):
    with pytest.raises(UsageError, match="expected PATH or NAME=PATH, found"):
        load_results([source])


def test_a_pipe_is_read_as_standard_input_is(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("policy,success\nA,1\nB,0\n",))
    writer.start()
    found = load_results([str(tmp_path / "pipe")])
    writer.join()
    assert counts(found) == {("A", "all"): (1, 1), ("B", "all"): (0, 1)} and found.source == str(tmp_path / "pipe")


def test_metadata_of_a_robot_log_is_no_session(tmp_path: Path):
    """`rank /` stopped at the first metadata.yaml of somebody else's."""
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  version: 5\n")
    with pytest.raises(BadData, match=r"none of them \(bag/metadata.yaml speaks of no policies\)"):
        read_results(tmp_path)
    (tmp_path / "sessions" / "u1").mkdir(parents=True)
    session = "policies:\n  A: {policy_name: x, binary_success: 1}\n  B: {policy_name: y, binary_success: 0}\n"
    (tmp_path / "sessions" / "u1" / "metadata.yaml").write_text(f"{session}preference: A\n")
    found = read_results(tmp_path)
    assert len(found.preferences) == 1 and "not read, for no policies are in them: bag/metadata.yaml" in said(found)
    deep = tmp_path / "a/b/c/d/e"
    deep.mkdir(parents=True)
    (tmp_path / "sessions").rename(deep / "sessions")
    with pytest.raises(BadData, match="none of them"):
        read_results(tmp_path)
