"""Kinds of what went wrong when people evaluated policies: a property for each, beside the recipes.

`CASES` says where the tests of every case stand; a test checks that they are there.
"""

import ast
import builtins
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roboscale as rs
from roboscale.cli.app import parse
from roboscale.core import RoboscaleError
from roboscale.core.faults import is_infrastructure
from tests.toy_world import ToyWorld

TESTS = Path(__file__).parents[1]
CASES = {
    "A1": "jobs/test_every_case.py::test_numbers_are_of_the_edited_policy jobs/test_identity_of_results.py::"
    "test_an_edited_function_is_another_policy core/test_objects_identity.py::test_an_edit_that_cannot_does_not "
    "policies/remote/test_profile.py::test_an_edited_profile_is_another_one policies/test_recorded.py::"
    "test_another_recording_under_the_same_name_is_another_policy worlds/test_declarations.py::"
    "test_another_value_of_any_key_is_another_world worlds/test_metaworld.py::"
    "test_what_changes_a_result_changes_the_identity",
    "A2": "worlds/test_truth_values.py::test_only_truth_values_are_success "
    "worlds/test_gymnasium_worlds.py::test_everything_else_is_no_success_and_stops_the_run",
    "A3": "jobs/test_every_case.py::test_what_is_no_action_is_no_number jobs/test_every_case.py::"
    "test_who_never_acted_is_not_ranked jobs/test_mistakes.py::test_a_policy_that_never_acts_stops_with_the_reason",
    "A4": "jobs/test_every_case.py::test_every_exception_is_told jobs/test_mistakes.py::"
    "test_objects_that_cannot_act_are_refused_before_the_first_trial",
    "A5": "jobs/test_every_case.py::test_state_makes_no_difference_between_one_scene_and_several "
    "jobs/test_mistakes.py::test_state_in_an_object_does_not_run_into_the_next_episode",
    "A6": "trials/test_kinds_of_rollouts.py::test_hold_is_what_was_seen_to_hold worlds/test_gymnasium_worlds.py::"
    "test_the_example_can_be_solved_by_a_block_that_stays_on_its_outline",
    "A7": "worlds/test_truth_values.py::test_no_value_of_another_kind_passes worlds/test_truth_values.py::"
    "test_no_misspelt_key_passes worlds/test_declarations.py::test_a_mistake_is_one_line_with_file_and_key",
    "A8": "trials/test_kinds_of_rollouts.py::test_a_replay_is_the_trial_or_says_what_differs "
    "jobs/test_films.py::test_a_world_that_does_not_is_not_filmed_as_if_it_did",
    "A9": "trials/test_kinds_of_rollouts.py::test_nothing_that_a_policy_writes_is_recorded "
    "trials/test_kinds_of_rollouts.py::test_a_world_that_shows_its_own_memory_is_seen_and_recorded_as_it_was "
    "jobs/test_mistakes.py::test_observations_cannot_be_changed_by_a_policy",
    "A10": "stats/test_void_claims.py::test_no_claim_that_the_void_trials_could_overturn "
    "stats/test_void_claims.py::test_no_rank_that_the_void_trials_could_overturn "
    "jobs/test_mistakes.py::test_out_of_memory_is_void_and_the_bounds_stand_beside_the_rate",
    "A11": "policies/remote/test_profile_keys.py::test_every_key_is_sent_or_the_profile_is_refused "
    "policies/remote/test_profile.py::test_keys_that_cannot_stand_beside_each_other",
    "A12": "jobs/test_every_case.py::test_the_page_of_a_run_says_how_it_was_made jobs/test_every_case.py::"
    "test_a_budget_is_kept jobs/test_pages.py::test_a_page_carries_its_command "
    "jobs/test_cases.py::test_three_policies_are_recorded_and_kept_to_the_budget_like_two",
    "A13": "jobs/test_every_case.py::test_a_prediction_never_changes jobs/test_prediction.py::"
    "test_the_first_prediction_stays",
    "B1": "jobs/test_mistakes.py::test_a_voided_run_is_tried_again_by_the_same_command",
    "B2": "policies/remote/test_client.py::test_a_server_that_does_not_answer_voids_the_trial_and_says_why "
    "policies/test_resolve.py::test_timeouts_reach_the_server",
    "B3": "jobs/test_mistakes.py::test_a_world_that_dies_does_not_take_the_command_with_it",
    "B4": "jobs/test_mistakes.py::test_a_run_without_any_result_fails jobs/test_mistakes.py::"
    "test_a_comparison_without_a_counted_case_fails",
    "B5": "policies/callables/test_answers.py::test_tensors_of_any_kind",
    "B6": "trials/test_log_processes.py::test_four_processes_make_one_log_at_once",
    "B7": "trials/test_log_files.py::test_results_on_a_read_only_disk_can_be_read_and_merged",
    "B8": "jobs/test_many_workers.py::test_a_verdict_is_the_same_in_run_report_and_merged_shards",
    "B9": "jobs/test_films.py::test_episodes_are_recorded_from_trials_that_were_made_before",
    "B10": "jobs/test_mistakes.py::test_a_script_without_a_main_guard_gets_one_clear_line "
    "jobs/test_mistakes.py::test_films_of_a_script_without_a_main_guard_end",
    "B11": "worlds/test_declarations.py::test_a_mistake_is_one_line_with_file_and_key "
    "worlds/test_gymnasium_worlds.py::test_a_fault_of_the_environment_is_one_line",
    "B12": "worlds/test_gymnasium_worlds.py::test_pictures_that_would_be_black_or_striped_are_refused",
    "B13": "worlds/test_gymnasium_worlds.py::test_an_action_is_a_row_of_numbers",
    "B14": "jobs/test_mistakes.py::test_a_world_that_prints_does_not_break_json",
    "B15": "core/test_loading.py::test_files_modules_and_packages_of_the_current_folder worlds/test_own_worlds.py::"
    "test_a_missing_extra_is_named_with_the_command_that_brings_it",
    "B16": "policies/test_resolve.py::test_an_address_without_the_protocol_is_told_which_one "
    "policies/test_resolve.py::test_a_folder_that_is_something_else_is_told_what_it_is",
    "B17": "worlds/test_gymnasium_worlds.py::test_tuples_and_nested_dictionaries",
    "B18": "jobs/test_mistakes.py::test_no_trials_are_no_evaluation",
    "B19": "report/test_browser_limits.py::test_a_renderer_that_crashes_ends_its_test_and_says_why",
    "C1": "worlds/test_own_worlds.py::test_a_class_in_a_file_is_a_world",
    "C2": "worlds/test_gymnasium_worlds.py::test_success_is_declared_in_many_ways worlds/test_gymnasium_worlds.py::"
    "test_registered_environments_work_in_ten_lines",
    "C3": "policies/remote/test_profile.py::test_several_fields_become_one_key_and_a_quaternion_an_axis_angle "
    "policies/remote/test_profile.py::test_every_server_may_have_a_profile_of_its_own",
    "C4": "trials/test_rollout.py::test_rows_executed_can_be_set_for_any_policy",
    "C5": "docs/test_docs.py::test_python_blocks_compile_and_import_what_exists",
    "C6": "policies/remote/test_serve.py::test_whoever_serves_is_told_how_episodes_are_told_apart",
    "C7": "worlds/test_gymnasium_worlds.py::test_what_is_converted_or_left_out_is_said",
}

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)


def test_every_case_has_its_tests():
    kinds = [("A", 13), ("B", 19), ("C", 7)]
    assert list(CASES) == [f"{kind}{n}" for kind, last in kinds for n in range(1, last + 1)]
    for case, named in CASES.items():
        for one in named.split():
            file, _, test = one.partition("::")
            tree = ast.parse((TESTS / file).read_text())
            assert test in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, f"{case}: {one}"


def towards(o):
    x, goal = o["observation.state"]
    return [goal - x]


def tried(policy: Any, **more: Any):
    return rs.evaluate(policy, **{"world": ToyWorld(horizon=12), "task": "near", "trials": 3, "workers": 0, **more})


# ---- A1

SOURCE = """
import helper

{comment}
GAIN = {gain}

class Scale:
    by = {shared}
    def __init__(self, own):
        self.own = own
    def __call__(self, x, power={default}):
        return x * power * self.own * self.by

def make(factor):
    def act(o):
        x, goal = o["observation.state"]
        return [scale(goal - x) * factor * GAIN * helper.sign()]
    return act

scale = Scale({own})
act = make({cell})
"""
PARTS = ("gain", "shared", "default", "own", "cell", "helper")


def test_numbers_are_of_the_edited_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Globals, class and instance attributes, defaults, closures, neighbours: any of them, in any order."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(1)
    values: dict[str, Any] = dict.fromkeys(PARTS, 1.0)
    before: dict[tuple[float, ...], tuple[str, float | None]] = {}
    for step in range(24):
        if step % 3:
            values[rng.choice(PARTS)] *= -1
        comment = f"# version {step}" + "\n" * rng.randrange(3)  # what cannot change a result
        Path("helper.py").write_text(f"def sign():\n    return {values['helper']}\n")
        Path("mine.py").write_text(SOURCE.format(**values, comment=comment))
        done = tried("mine.py:act", trials=2, store="x")
        digest = done.judged.run.policies[0].digest
        key = tuple(values.values())
        assert done.value == (1.0 if np.prod(key) > 0 else 0.0), "the number is of what was tried now"
        assert any("found 2 of 2" in note for note in done.notes) == (key in before)
        assert before.setdefault(key, (digest, done.value)) == (digest, done.value)
    assert len({digest for digest, _ in before.values()}) == len(before) > 8


# ---- A3 and A4

small = st.floats(-1, 1, width=32)
arrays = st.one_of(
    st.builds(np.zeros, st.sampled_from([(2,), (3,), (1, 2), (1, 1, 1), (2, 1, 1), (0,), (0, 1), (1, 0)])),
    st.builds(lambda x, n: np.full((n, 1), x), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(1, 3)),
    st.builds(lambda x: np.array([x], dtype=object), st.text()),
    st.builds(lambda x: np.array([x]), st.text(min_size=1)),
    st.builds(lambda x: np.array([x + 0j]), small),
)
no_actions = st.one_of(
    st.none(),
    st.text(),
    st.binary(),
    st.dictionaries(st.text(), small),
    st.tuples(st.lists(small, min_size=1, max_size=1), st.none()),
    st.tuples(st.lists(small, min_size=1, max_size=1), st.dictionaries(st.text(), small)),
    st.sampled_from([object(), len, ToyWorld, 0.05, 3, True, [], (), [[0.1], [0.1, 0.2]], [["a"]], {1, 2}]),
    arrays,
)


class Says:
    """Answers always the same."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, observation):
        return self.answer


@SLOW
@given(no_actions)
def test_what_is_no_action_is_no_number(answer: Any):
    with pytest.raises(
        RoboscaleError, match=r"never acted: .* no action in all of .* such as: (policy Says|action:) "
    ):
        tried(Says(answer))
    with pytest.raises(RoboscaleError, match="never acted"):
        rs.compare(towards, Says(answer), world=ToyWorld(horizon=12), task="near", budget=6, workers=0)


def test_who_never_acted_is_not_ranked(tmp_path: Path):
    store = str(tmp_path / "x")
    with pytest.raises(RoboscaleError, match="never acted"):
        tried(Says(None), store=store, trials=8)
    told: list[Any] = []
    with pytest.raises(RoboscaleError, match="at least one trial"):
        rs.rank(rs.Rank(sources=(store,)), told.append)
    listed = rs.list_runs(rs.ListRuns(folder=tmp_path))
    assert [p.never_acted for row in listed.rows for p in row.policies] == [True] and "never acted" in listed.text
    assert {row.store for row in listed.rows} == {"x"} and " x" in listed.text
    tried(towards, store=store, trials=8)
    board = rs.rank(rs.Rank(sources=(store,)), told.append)
    assert list(board.standing.rates) == ["towards"]
    assert sum("Says never acted in 3 trials" in event.text for event in told) == 2


EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, (UnicodeError, ExceptionGroup))
]


@SLOW
@given(st.sampled_from(EXCEPTIONS), st.floats(0, 1), st.integers(0, 10**6))
def test_every_exception_is_told(kind: type[Exception], share: float, salt: int):
    """All of them broken: raises, with the reason. Some: a rate with the reason. None: no word."""

    def breaks(o):
        if random.Random(f"{salt}/{o['observation.state'][1]}").random() < share:
            raise kind("what broke it")
        return towards(o)

    try:
        done = tried(breaks, trials=5, retries=0)
    except RoboscaleError as error:
        assert kind.__name__ in str(error) and "what broke it" in str(error)
        return
    broken = [c for c in done.judged.counted if c.trial is not None and not c.trial.steps]
    said = [note for note in done.notes if kind.__name__ in note]
    assert len(said) == bool(broken) and all(f"{len(broken)} " in note for note in said)
    if is_infrastructure(kind("x")):
        assert done.value == 1.0 and done.success.void == len(broken)
    else:
        assert done.success.void == 0 and done.value == pytest.approx(1 - len(broken) / 5)
    assert json.dumps(done.to_json()["reasons"]) == json.dumps([n for n in done.notes if n in said])


# ---- A5

STATEFUL = """
from collections import deque

ROWS = {rows}

def plan(o):
    x, goal = o["observation.state"]
    return [[(goal - x) / ROWS]] * ROWS

LEFT = []

def in_a_global(o):
    if not LEFT: LEFT.extend(plan(o))
    return LEFT.pop()

def in_an_attribute(o):
    if not getattr(in_an_attribute, "left", None): in_an_attribute.left = plan(o)
    return in_an_attribute.left.pop()

def rebound(o):
    global QUEUE
    QUEUE = QUEUE or plan(o)
    return QUEUE.pop()

QUEUE = []

def make():
    left = deque()
    def act(o):
        if not left: left.extend(plan(o))
        return left.popleft()
    return act

in_a_closure = make()

def in_a_default(o, left=[]):
    if not left: left.extend(plan(o))
    return left.pop()

class InTheClass:
    left = []
    def __call__(self, o):
        if not self.left: self.left.extend(plan(o))
        return self.left.pop()

class InTheObject:
    def __init__(self): self.left = []
    def __call__(self, o):
        if not self.left: self.left.extend(plan(o))
        return self.left.pop()

class Reset(InTheObject):
    def reset(self): self.left = []

class Selecting:
    def __init__(self): self.queue = []
    def reset(self): self.queue = []
    def select_action(self, o):
        if not self.queue: self.queue = plan(o)
        return self.queue.pop()

an_object, reset, selecting = InTheObject(), Reset(), Selecting()
"""
LEAKING = ("in_a_global", "in_an_attribute", "rebound", "make", "in_a_closure", "in_a_default", "InTheClass")
CLEAN = ("InTheObject", "Reset", "Selecting", "an_object", "reset", "selecting")


@pytest.mark.parametrize("name", LEAKING + CLEAN)
def test_state_makes_no_difference_between_one_scene_and_several(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What runs into the next episode is said, and never into one beside it; what is made anew, reset or copied is
    not even said."""
    monkeypatch.chdir(tmp_path)
    for rows in (3, 5, 7):
        came = {}
        for side_by_side in (1, 3):
            folder = tmp_path / f"{rows}-{side_by_side}"
            folder.mkdir()
            (folder / "queue_policies.py").write_text(STATEFUL.format(rows=rows))
            monkeypatch.chdir(folder)
            done = tried(f"queue_policies.py:{name}", trials=7, worlds=side_by_side)
            steps = {c.case.seed: c.trial.steps for c in done.judged.counted if c.trial is not None}
            came[side_by_side] = (done.value, steps)
            said = [note for note in done.notes if "outside itself" in note and "runs into the next episode" in note]
            assert bool(said) == (name in LEAKING)
        assert came[1] == came[3]
        assert name in LEAKING or came[1][0] == 1.0


# ---- A12 and A13


def comparisons(rng: random.Random) -> Iterator[rs.Compare]:
    while True:
        yield rs.Compare(
            policies=tuple(
                rng.sample(["policies.py:good", "policies.py:bad", "policies.py:still"], rng.choice([2, 3]))
            ),
            world="point.toml",
            budget=rng.randint(1, 3),
            seed=rng.randint(0, 9),
            sequential=rng.random() < 0.5,
            alpha=rng.choice([0.05, 0.01, 0.1234]),
            min_pairs=rng.randint(1, 3),
            retries=rng.randint(0, 2),
            render=rng.random() < 0.3,
            horizon=rng.choice([None, 3, 17]),
            rule=rng.choice(["", "end", "hold 2"]),
            execute=rng.choice([None, 1]),
            worlds=rng.randint(1, 2),
            workers=0,
            store=f"a store/{rng.random()}",
            reply_timeout=rng.choice([10.0, 0.5]),
            shard="0/1",
        )


def test_the_page_of_a_run_says_how_it_was_made(place: Path):
    import html
    import re
    import shlex

    asks = comparisons(random.Random(4))
    for request in (next(asks) for _ in range(5)):
        rs.compare(request)
        data = rs.write_report(rs.WriteReport(store=str(request.store), videos=0))
        assert data.command is not None and parse(shlex.split(data.command)[1:]) == request
        page = html.unescape(re.sub(r"</?span>", "", (Path(str(request.store)) / "report.html").read_text()))
        assert request.command in page
    listing = rs.ListRuns(folder=Path("a store"), html=Path("an index.html"))
    rs.list_runs(listing)
    page = html.unescape(re.sub(r"</?span>", "", Path("an index.html").read_text()))
    assert listing.command in page and parse(shlex.split(listing.command)[1:]) == listing


@SLOW
@given(st.integers(1, 9), st.booleans(), st.integers(2, 3), st.booleans())
def test_a_budget_is_kept(budget: int, sequential: bool, policies: int, both_tasks: bool):
    """However many policies and tasks: no case beyond the budget is tried, and none is counted."""
    everyone = [towards, lambda o: [-0.1], lambda o: [0.0]][:policies]
    done = rs.compare(
        *everyone,
        world=ToyWorld(horizon=12),
        tasks="all" if both_tasks else "near",
        budget=budget,
        sequential=sequential,
        workers=0,
    )
    assert done.judged.decided is not None and done.judged.decided.used <= budget
    tried_cases = {c.case for c in done.judged.counted}
    assert len(tried_cases) <= budget and len(done.judged.run.cases) == budget
    if not sequential:
        assert done.judged.decided.used == budget and len(done.judged.counted) == budget * policies


def test_a_prediction_never_changes(tmp_path: Path):
    """Whatever is known later, and however often it is asked: the file stays, or there never is one."""
    from roboscale.jobs.events import ignore
    from roboscale.jobs.plan_measuring import _lesson, _predict
    from roboscale.results import Trained
    from tests.jobs.test_prediction import asked

    rng = random.Random(2)
    for round_ in range(12):
        measuring = asked(tmp_path / str(round_))
        measuring.out.mkdir()
        written: bytes | None = None
        known = False
        for _ in range(6):
            if rng.random() < 0.3:
                _lesson(measuring, "expert", 8).out.mkdir(parents=True, exist_ok=True)
                known = True
            points = [
                Trained(task="t", source="expert", amount=size, successes=rng.randint(0, 10), trials=10)
                for size in (1.0, 2.0, 4.0)
            ]
            if known and written is None:
                with pytest.raises(RoboscaleError, match="would know the answer"):
                    _predict(measuring, points, ignore)
                assert not (measuring.out / "prediction.json").exists()
                continue
            _predict(measuring, points, ignore)
            now = (measuring.out / "prediction.json").read_bytes()
            assert written in (None, now)
            written = now
