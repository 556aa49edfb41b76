"""Many policies on many tasks: one list of claims, which no mix, order or name can change."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import Outcomes, RoboscaleError, Stratum
from roboscale.stats.letters import letters
from roboscale.stats.overall import compare_policies, sign_flips

NAN = float("nan")


def of_counts(counts) -> Outcomes:
    """(policy, task) -> (successes, trials)."""
    policies = tuple(dict.fromkeys(policy for policy, _ in counts))
    strata = tuple(dict.fromkeys(Stratum("", task) for _, task in counts))
    rows = [
        (policies.index(p), strata.index(Stratum("", t)), value, weight)
        for (p, t), (k, n) in counts.items()
        for value, weight in ((1.0, k), (0.0, n - k))
        if weight
    ]
    policy, stratum, value, weight = (np.array(column) for column in zip(*rows, strict=True))
    return made("success", False, policies, strata, policy, stratum, np.arange(len(rows)), value, weight)


def made(kind, paired, policies, strata, policy, stratum, case, value, weight=None) -> Outcomes:
    return Outcomes(
        kind=kind,
        paired=paired,
        policies=tuple(policies),
        strata=tuple(strata),
        runs=tuple(policies),
        policy=np.asarray(policy, np.int32),
        stratum=np.asarray(stratum, np.int32),
        run=np.asarray(policy, np.int32),
        case=np.asarray(case, np.int64),
        value=np.asarray(value, np.float64),
        weight=np.ones(len(value), np.int64) if weight is None else np.asarray(weight, np.int64),
    )


def of_table(table, tasks, kind="success", paired=True) -> Outcomes:
    """policy -> a value for each case; `tasks` has the task of each case."""
    strata = tuple(Stratum("", task) for task in dict.fromkeys(tasks))
    rows = [
        (k, strata.index(Stratum("", tasks[c])), c, value)
        for k, values in enumerate(table.values())
        for c, value in enumerate(values)
    ]
    policy, stratum, case, value = zip(*rows, strict=True)
    return made(kind, paired, tuple(table), strata, policy, stratum, case, value)


def claims(overall) -> set[tuple[str, str]]:
    pairs = overall.verdict.pairs
    return {
        (p.first, p.second) if p.verdict.decision == "first is better" else (p.second, p.first)
        for p in pairs
        if p.decided
    }


SIMPSON = {
    ("ours", "easy"): (45, 50),
    ("ours", "hard"): (2, 10),
    ("base", "easy"): (10, 10),
    ("base", "hard"): (20, 50),
}


def test_a_better_mix_is_not_a_better_policy():
    """Pooled, ours has 47 of 60 and the baseline 30 of 60; on both tasks the baseline has the higher rate."""
    overall = compare_policies(of_counts(SIMPSON))
    assert claims(overall) == set() and overall.verdict.names[0] == "base"
    (pair,) = overall.pairs
    assert [one.difference.value < 0 for one in pair.tasks] == [True, True], "ours behind on both"
    assert "on these 2 tasks" in overall.verdict.pairs[0].verdict.sentence


def test_better_here_and_worse_there_is_no_overall_statement():
    spoons = {
        ("A", "spoon"): (56, 200),
        ("A", "carrot"): (86, 200),
        ("B", "spoon"): (90, 200),
        ("B", "carrot"): (57, 200),
    }
    overall = compare_policies(of_counts(spoons))
    (pair,) = overall.pairs
    assert pair.opposite and pair.interaction < 0.001 and claims(overall) == set()
    assert pair.headline in overall.notes and "no overall statement" in pair.headline
    assert overall.verdict.letters == {"A": "a", "B": "a"}


def test_who_shares_no_task_is_not_compared():
    overall = compare_policies(of_counts({("A", "x"): (9, 10), ("B", "y"): (1, 10)}))
    assert claims(overall) == set() and "no task in common" in " ".join(overall.notes)
    more = {("A", "x"): (30, 30), ("A", "z"): (5, 10), ("B", "x"): (3, 30), ("B", "y"): (1, 10)}
    overall = compare_policies(of_counts(more))
    assert claims(overall) == {("A", "B")}
    assert any("left out" in note and "z" in note and "y" in note for note in overall.notes)


def test_an_equal_odds_difference_on_unequal_tasks_is_claimed():
    overall = compare_policies(
        of_counts(
            {("A", t): (k, 100) for t, k in (("x", 50), ("y", 20))}
            | {("B", t): (k, 100) for t, k in (("x", 70), ("y", 38))}
        )
    )
    assert claims(overall) == {("B", "A")} and not overall.pairs[0].opposite


counts = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=3).map(
    lambda rows: {(p, f"t{t}"): (k, 12) for t, row in enumerate(rows) for p, k in zip("ABC", row, strict=True)}
)


@settings(max_examples=25, deadline=None)
@given(counts, st.permutations(["one", "two", "three"]), st.randoms())
def test_names_and_order_change_no_claim(drawn, names, random):
    before = claims(compare_policies(of_counts(drawn)))
    other = dict(zip("ABC", names, strict=True))
    items = list(drawn.items())
    random.shuffle(items)
    after = claims(compare_policies(of_counts({(other[p], t): count for (p, t), count in items})))
    assert after == {(other[a], other[b]) for a, b in before}


@settings(max_examples=25, deadline=None)
@given(counts, st.integers(0, 12))
def test_a_task_that_all_share_equally_turns_nothing_round(drawn, k):
    before = claims(compare_policies(of_counts(drawn)))
    after = claims(compare_policies(of_counts(drawn | {(p, "same"): (k, 12) for p in "ABC"})))
    assert not {(b, a) for a, b in before} & after


@settings(max_examples=25, deadline=None)
@given(counts)
def test_letters_come_from_the_claims(drawn):
    verdict = compare_policies(of_counts(drawn)).verdict
    overall = claims(compare_policies(of_counts(drawn)))
    assert verdict.letters == letters(verdict.names, overall)
    assert set(verdict.best) == set(verdict.names) - {loser for _, loser in overall}


@pytest.mark.parametrize("kind", ["counts", "paired"])
def test_false_claims_stay_below_alpha(kind: str):
    """Three equal policies; a third of the tasks is hard, and counts have unequal mixes."""
    rng = np.random.default_rng(8)
    tried = {"A": (30, 10), "B": (10, 30), "C": (20, 20)}
    false = 0
    for _ in range(300):
        if kind == "counts":
            drawn = {
                (p, t): (int(rng.binomial(n, r)), n)
                for p, two in tried.items()
                for t, n, r in zip("xy", two, (0.85, 0.3), strict=True)
            }
            outcomes = of_counts(drawn)
        else:
            hard = np.repeat([0.85, 0.3], 20)
            outcomes = of_table({p: (rng.random(40) < hard).astype(float) for p in "ABC"}, ["x"] * 20 + ["y"] * 20)
        false += bool(claims(compare_policies(outcomes)))
    assert false / 300 <= 0.05


def test_pairs_see_what_counts_do_not():
    rng = np.random.default_rng(9)
    luck = rng.random(60)
    table = {"A": (luck < 0.5).astype(float), "B": (luck < 0.65).astype(float)}
    tasks = ["x"] * 30 + ["y"] * 30
    assert claims(compare_policies(of_table(table, tasks))) == {("B", "A")}
    assert claims(compare_policies(of_table(table, tasks, paired=False))) == set()


def test_an_interval_beside_zero_where_nothing_is_shown_is_explained():
    lost_five = compare_policies(of_table({"A": [1.0] * 20, "B": [0.0] * 5 + [1.0] * 15}, ["x"] * 20))
    assert claims(lost_five) == set() and lost_five.verdict.pairs[0].verdict.estimates["difference"].high < 0
    assert any("the interval leaves 0 out" in note for note in lost_five.notes)
    lost_three = compare_policies(of_table({"A": [1.0] * 20, "B": [0.0] * 3 + [1.0] * 17}, ["x"] * 20))
    assert not any("leaves 0 out" in note for note in lost_three.notes)


@pytest.mark.parametrize("paired", [True, False])
def test_progress_is_progress(paired: bool):
    rng = np.random.default_rng(10)
    table = {p: np.round(np.clip(rng.normal(m, 0.15, 40), 0, 0.9), 2) for p, m in (("A", 0.3), ("B", 0.55))}
    overall = compare_policies(of_table(table, ["x"] * 20 + ["y"] * 20, "progress", paired))
    assert claims(overall) == {("B", "A")}
    assert "makes more progress than" in overall.verdict.pairs[0].verdict.sentence
    assert overall.verdict.estimates["B"].value == pytest.approx(table["B"].mean(), abs=0.01)


@pytest.mark.parametrize("paired", [True, False])
def test_a_claim_that_rests_on_voids_is_withdrawn(paired: bool):
    table = {"A": [1.0] * 14 + [NAN] * 10, "B": [1.0] * 4 + [0.0] * 10 + [1.0] * 10}
    overall = compare_policies(of_table(table, ["x"] * 24, paired=paired))
    whole = compare_policies(of_table({**table, "A": [1.0] * 24}, ["x"] * 24, paired=paired))
    assert claims(whole) == {("A", "B")} and claims(overall) == set()
    if paired:
        assert len(overall.withdrawn) == 1 and "void" in overall.withdrawn[0]


def test_millions_cost_nothing_and_name_their_test():
    outcomes = Outcomes.of_counts({"A": (500_000, 1_000_000), "B": (501_500, 1_000_000)})
    verdict = compare_policies(outcomes).verdict
    assert claims(compare_policies(outcomes)) == {("B", "A")} and "mid-p" in verdict.method


def test_nothing_counted_is_an_error_and_progress_has_no_weights():
    with pytest.raises(RoboscaleError, match="no trial was counted"):
        compare_policies(of_table({"A": [NAN], "B": [NAN]}, ["x"]))
    weighted = made("progress", False, ("A", "B"), (Stratum("", "x"),), [0, 1], [0, 0], [0, 1], [0.5, 0.6], [5, 5])
    with pytest.raises(RoboscaleError, match="trial by trial"):
        compare_policies(weighted)


def test_sign_flips_are_exact_for_few_and_drawn_for_many():
    assert sign_flips(np.array([0.1, 0.2, 0.3])) == 2 / 8
    assert sign_flips(np.array([0.1, -0.1, 0.0])) == 1.0 and sign_flips(np.zeros(4)) == 1.0
    gap = np.random.default_rng(1).normal(0.1, 1, 12)
    many = np.concatenate([gap, np.zeros(5)])
    drawn = sign_flips(np.concatenate([gap, [1e-9, -1e-9]]))
    assert sign_flips(many) == sign_flips(gap) == pytest.approx(drawn, abs=0.02)


@pytest.mark.parametrize("runs, unit", [(2, "not about recipes"), (4, "about recipes, and count training runs")])
def test_training_runs_on_the_same_cases_are_compared(runs, unit):
    """Cases in common, several runs of each policy: the case is their mean, the unit is said."""
    rng = np.random.default_rng(2)
    policy, run, case = (a.ravel() for a in np.meshgrid([0, 1], np.arange(runs), np.arange(40), indexing="ij"))
    trained = Outcomes(
        kind="success",
        paired=True,
        policies=("base", "ours"),
        strata=(Stratum("", "lift"),),
        runs=tuple(f"{name} {k}" for name in ("base", "ours") for k in range(runs)),
        policy=policy.astype(np.int32),
        stratum=np.zeros(len(policy), np.int32),
        run=(policy * runs + run).astype(np.int32),
        case=case.astype(np.int64),
        value=(rng.random(len(policy)) < np.where(policy, 0.8, 0.3)).astype(float),
        weight=np.ones(len(policy), np.int64),
    )
    found = compare_policies(trained)
    assert unit in found.unit
    assert found.verdict.pairs[0].verdict.n == (40 if runs == 2 else 4)  # cases, or training runs: never trials
    assert found.verdict.pairs[0].decided and found.verdict.names[0] == "ours"
    renamed = replace(trained, runs=trained.runs[::-1], run=(2 * runs - 1 - trained.run).astype(np.int32))
    again = compare_policies(renamed).verdict.pairs[0].verdict
    assert again.p_value == pytest.approx(found.verdict.pairs[0].verdict.p_value)
