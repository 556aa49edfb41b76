"""Bradley-Terry and Davidson fits against published values and other packages, and what has no finite fit."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from roboscale.stats.bradley_terry import (
    bootstrap_fits,
    case_covariance,
    compare_by_case,
    count_comparisons,
    fit_davidson,
    has_finite_fit,
    likelihood_ratio_roots,
    pair_indices,
    strong_components,
)

TABLES = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables"

rows = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from(["first", "second", "tie"])).filter(
        lambda row: row[0] != row[1]
    ),
    max_size=40,
)


def counted(rows, **more):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return count_comparisons(*columns, **more)


def table(name: str) -> Path:
    if not (TABLES / name).exists():
        pytest.skip(f"no reference table at {TABLES / name}; set ROBOSCALE_TEST_DATA")
    return TABLES / name


def roboarena_sessions(policies):
    outcome = {"A": "first", "B": "second", "TIE": "tie"}
    with table("roboarena_pairs_110.csv").open() as file:
        found = [(r["policy_a"], r["policy_b"], outcome[r["preference"]]) for r in csv.DictReader(file)]
    return counted([row for row in found if row[0] in policies and row[1] in policies])


def test_the_110_session_fixture_to_six_digits():
    golden = json.loads(table("roboarena_110_golden_fit.json").read_text())
    compared = roboarena_sessions(golden["policies"])
    assert compared.n == golden["n"]
    order = [compared.policies.index(name) for name in golden["policies"]]
    found = fit_davidson(compared.counts, 8)
    assert found.strengths[order] == pytest.approx(golden["davidson_theta"], abs=1e-6)
    assert np.exp(found.log_nu) == pytest.approx(golden["davidson_nu"], abs=1e-6)
    assert np.sqrt(np.diag(found.covariance))[order] == pytest.approx(golden["davidson_se_centered"], abs=1e-6)
    assert -found.log_likelihood == pytest.approx(golden["davidson_nll"], abs=1e-6)
    half = fit_davidson(compared.counts, 8, ties="half")
    assert half.strengths[order] == pytest.approx(golden["bt_half_ties_theta"], abs=1e-6)
    ridged = fit_davidson(compared.counts, 8, ridge=1e-6)
    elo = np.round(1500 + 200 * ridged.strengths[order])
    assert elo.tolist() == golden["roboarena_elo"]


def test_wikipedia_worked_example():
    wins = {"AB": 2, "BA": 3, "AD": 1, "DA": 4, "BC": 5, "CB": 3, "CD": 1, "DC": 3}
    compared = counted([(a, b, "first") for (a, b), n in wins.items() for _ in range(n)])
    strengths = np.exp(fit_davidson(compared.counts, 4).strengths)
    assert strengths == pytest.approx([0.640, 1.043, 0.660, 2.270], abs=1e-3)
    # the likelihood equations themselves: expected wins equal wins
    p = strengths[:, None] / (strengths[:, None] + strengths[None, :])
    n = compared.wins + compared.wins.T
    assert (n * p).sum(axis=1) == pytest.approx(compared.wins.sum(axis=1), abs=1e-9)


def test_choix_case_2_and_evalica_food():
    compared = counted([("0", "1", "first"), ("0", "1", "first"), ("1", "2", "first"), ("2", "0", "first")])
    assert fit_davidson(compared.counts, 3).strengths == pytest.approx([0.419617624, -0.419617624, 0.0], abs=1e-6)
    outcome = {"left": "first", "right": "second", "tie": "tie"}
    with table("evalica_food.csv").open() as file:
        food = counted([(r["left"], r["right"], outcome[r["winner"]]) for r in csv.DictReader(file)])
    found = np.exp(fit_davidson(food.counts, 5, ties="half").strengths)
    expected = {
        "Tacos": 0.43428982771,
        "Sushi": 0.19060028,
        "Burger": 0.14797665,
        "Pasta": 0.12815341,
        "Pizza": 0.09897983,
    }
    assert dict(zip(food.policies, found / found.sum(), strict=True)) == pytest.approx(expected, abs=1e-6)


def random_counts(seed: int, policies: int = 6, each: int = 30, nu: float = 0.22):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.8, policies)
    first, second = pair_indices(policies)
    half = (truth[first] - truth[second]) / 2
    chance = np.stack([np.exp(half), np.exp(-half), np.full_like(half, 2 * nu)], axis=1)
    return rng.multinomial(each, chance / chance.sum(axis=1, keepdims=True)).astype(float)


def test_choix_and_evalica_agree():
    choix, evalica = pytest.importorskip("choix"), pytest.importorskip("evalica")
    counts = random_counts(1)
    ours = fit_davidson(counts, 6, ties="half").strengths
    first, second = pair_indices(6)
    wins = np.zeros((6, 6))
    wins[first, second] = counts[:, 0] + counts[:, 2] / 2
    wins[second, first] = counts[:, 1] + counts[:, 2] / 2
    assert choix.ilsr_pairwise_dense(wins) == pytest.approx(ours, abs=1e-7)
    winners = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw] * 15
    found = evalica.bradley_terry(
        np.repeat(first, 3).tolist(),
        np.repeat(second, 3).tolist(),
        winners,
        weights=counts.ravel().tolist(),
        limit=1000,
    )
    log = np.log(found.scores.loc[list(range(6))].to_numpy())
    assert log - log.mean() == pytest.approx(ours, abs=1e-5)


def test_davidson_against_a_general_optimiser_and_its_numerical_hessian():
    counts = random_counts(2, policies=4)
    first, second = pair_indices(4)

    def loss(x):
        t, nu = np.append(x[:3], -x[:3].sum()), np.exp(x[3])
        terms = np.stack([np.exp(t[first]), np.exp(t[second]), 2 * nu * np.exp((t[first] + t[second]) / 2)], axis=1)
        return -(counts * np.log(terms / terms.sum(axis=1, keepdims=True))).sum()

    best = minimize(loss, np.zeros(4), tol=1e-12)
    found = fit_davidson(counts, 4)
    assert found.strengths[:3] == pytest.approx(best.x[:3], abs=1e-5)
    assert found.log_nu == pytest.approx(best.x[3], abs=1e-5)
    assert -found.log_likelihood == pytest.approx(best.fun, abs=1e-8)
    at, h = np.append(found.strengths[:3], found.log_nu), 1e-3
    shift = np.eye(4) * h
    hessian = [[(loss(at + a + b) - loss(at + a - b) - loss(at - a + b) + loss(at - a - b)) / (4 * h * h)
                for b in shift] for a in shift]  # fmt: skip
    inverse = np.linalg.inv(hessian)
    assert found.covariance[:3, :3] == pytest.approx(inverse[:3, :3], rel=1e-4, abs=1e-6)
    assert found.log_nu_variance == pytest.approx(inverse[3, 3], rel=1e-4)


def test_half_wins_shrink_and_davidson_does_not():
    truth = np.array([1.0, 0.0, -1.0])
    first, second = pair_indices(3)
    half = (truth[first] - truth[second]) / 2
    chance = np.stack([np.exp(half), np.exp(-half), np.full(3, 0.44)], axis=1)
    counts = 1e4 * chance / chance.sum(axis=1, keepdims=True)
    assert fit_davidson(counts, 3).strengths == pytest.approx(truth, abs=1e-9)
    assert fit_davidson(counts, 3, ties="half").strengths[0] < 0.85


def brute_force_is_finite(counts, policies):
    """Whether a linear programme finds no direction that never lowers and somewhere raises the likelihood."""
    from scipy.optimize import linprog

    first, second = pair_indices(policies)
    lines = []
    for q, (i, j) in enumerate(zip(first, second, strict=True)):
        gap, tie = np.zeros(policies + 1), np.zeros(policies + 1)
        gap[i], gap[j], tie[policies] = 0.5, -0.5, 1.0
        kinds = [gap, -gap, tie]
        for o in range(3):
            if counts[q, o]:
                lines += [kinds[o] - kinds[other] for other in range(3) if other != o]
    if not counts[:, 2].any():  # without ties nu is 0, so only the gap counts
        lines = [line for line in lines if line[policies] == 0]
    a = -np.array(lines).reshape(-1, policies + 1)
    bounds = [(0, 0)] + [(-1, 1)] * policies
    found = linprog(a.sum(axis=0), A_ub=a, b_ub=np.zeros(len(a)), bounds=bounds)
    return found.fun > -1e-9


@settings(max_examples=60, deadline=None)
@given(rows)
def test_has_finite_fit_agrees_with_a_linear_programme(rows):
    compared = counted(rows, policies="abcd")
    connected = len(strong_components((compared.wins > 0) | (compared.ties > 0))) == 1
    expected = connected and brute_force_is_finite(compared.counts, 4)
    assert bool(has_finite_fit(compared.counts, 4)) == expected
    if expected:
        found = fit_davidson(compared.counts, 4)
        assert found.converged and np.abs(found.strengths).max() < 30


@pytest.mark.parametrize(
    ("rows", "finite"),
    [
        ([("a", "b", "first")] * 5, False),
        ([("a", "b", "tie")] * 5, False),
        ([("a", "b", "first")] * 5 + [("a", "b", "tie")], False),  # a win and a tie: one rung apart explains all
        ([("a", "b", "first")] * 5 + [("a", "b", "second")], True),
        ([("a", "b", "first"), ("b", "c", "first"), ("c", "a", "first")], True),
        ([("a", "b", "first"), ("b", "c", "first"), ("c", "a", "tie")], True),  # wins put a two rungs up, the tie one
    ],
)
def test_has_finite_fit_on_known_cases(rows, finite):
    compared = counted(rows)
    assert bool(has_finite_fit(compared.counts, len(compared.policies))) == finite


def test_a_ridge_makes_every_fit_finite():
    for rows in ([("a", "b", "first")] * 5, [("a", "b", "tie")] * 5, []):
        found = fit_davidson(counted(rows, policies="ab").counts, 2, ridge=1.0)
        assert found.converged and np.isfinite(found.strengths).all() and np.abs(found.strengths).max() < 3


@settings(max_examples=30, deadline=None)
@given(rows, st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_labels_sides_and_voids_change_nothing(rows, random, voids):
    base = counted(rows, policies="abcd")
    label = dict(zip("abcd", "dbac", strict=True))
    other = {"first": "second", "second": "first", "tie": "tie"}
    turned = [(label[b], label[a], other[o]) for a, b, o in rows] + [("a", "b", "void")] * voids
    random.shuffle(turned)
    found = counted(turned, policies="abcd")
    assert (found.n, found.void) == (base.n, voids)
    at = [found.policies.index(label[name]) for name in base.policies]
    assert found.wins[np.ix_(at, at)].tolist() == base.wins.tolist()
    assert found.ties[np.ix_(at, at)].tolist() == base.ties.tolist()
    if has_finite_fit(base.counts, 4):
        expected = fit_davidson(base.counts, 4).strengths
        assert fit_davidson(found.counts, 4).strengths[at] == pytest.approx(expected, abs=1e-8)


def test_weights_are_repeats_and_batches_are_single_fits():
    once = counted([("a", "b", "first"), ("a", "b", "second"), ("a", "b", "tie")], weights=[3, 1, 2])
    repeated = counted([("a", "b", "first")] * 3 + [("a", "b", "second")] + [("a", "b", "tie")] * 2)
    assert once.counts.tolist() == repeated.counts.tolist() and (once.n, repeated.n) == (3, 6)
    counts = np.stack([random_counts(seed) for seed in range(4)])
    counts[3, :, 2] = 0
    together = fit_davidson(counts, 6)
    for k in range(4):
        alone = fit_davidson(counts[k], 6)
        assert together.strengths[k] == pytest.approx(alone.strengths, abs=1e-9)
        assert together.covariance[k] == pytest.approx(alone.covariance, abs=1e-9)


def test_bad_columns_are_named():
    with pytest.raises(ValueError, match="'a' was compared with itself"):
        count_comparisons(["a"], ["a"], ["tie"])
    with pytest.raises(ValueError, match="draw"):
        count_comparisons(["a"], ["b"], ["draw"])
    with pytest.raises(ValueError, match="weights"):
        count_comparisons(["a"], ["b"], ["tie"], weights=[-1])
    with pytest.raises(ValueError, match="columns of 1, 2"):
        count_comparisons(["a"], ["b", "c"], ["tie"])


def test_bootstrap_spread_is_the_standard_error_and_is_seeded():
    names = tuple("abcdef")
    counts = random_counts(3, each=300)
    rows = counted([], policies=names)
    compared = replace(rows, counts=counts, per_pair=counts.sum(axis=1).astype(np.int64))
    found = fit_davidson(counts, 6)
    draws, finite = bootstrap_fits(compared, 800, np.random.default_rng(0))
    assert finite.all()
    assert draws.std(axis=0) == pytest.approx(np.sqrt(np.diag(found.covariance)), rel=0.1)
    again, _ = bootstrap_fits(compared, 800, np.random.default_rng(0))
    assert np.array_equal(draws, again)


def test_resamples_without_a_finite_fit_are_marked():
    rare = counted([("a", "b", "first")] * 20 + [("a", "b", "second")])
    draws, finite = bootstrap_fits(rare, 2000, np.random.default_rng(0))
    assert 1 - finite.mean() == pytest.approx((20 / 21) ** 21, abs=0.04)
    assert np.isnan(draws[~finite]).all() and np.isfinite(draws[finite]).all()


def test_cases_are_compared_by_success_and_by_progress():
    scores = {
        "a": {"1": True, "2": True, "3": None, "4": 0.5},
        "b": {"1": False, "2": True, "3": True, "4": 0.45},
    }
    compared = compare_by_case(scores)
    assert compared.wins.tolist() == [[0, 2], [0, 0]] and compared.ties[0, 1] == 1
    assert (compared.n, compared.void) == (3, 1)
    assert compare_by_case(scores, margin=0.1).ties[0, 1] == 2


def test_shared_cases_give_the_spread_that_repeating_the_study_has():
    rng = np.random.default_rng(0)
    rates, cases = np.array([0.3, 0.5, 0.6, 0.75]), 200
    spread, claimed, naive = [], [], []
    for _ in range(150):
        success = rng.random((4, cases)) < rates[:, None]
        compared = compare_by_case({f"p{k}": {str(c): bool(success[k, c]) for c in range(cases)} for k in range(4)})
        found = fit_davidson(compared.counts, 4)
        spread.append(found.strengths)
        claimed.append(np.diag(case_covariance(found, compared.by_case, 4)))
        naive.append(np.diag(found.covariance))
    true = np.var(spread, axis=0)
    assert np.mean(claimed, axis=0) == pytest.approx(true, rel=0.35)
    assert np.mean(np.mean(claimed, axis=0) / np.mean(naive, axis=0)) > 1.3  # what ignoring the cases would hide


def test_likelihood_ratio_roots_against_an_explicit_constraint():
    counts = random_counts(5, policies=4, each=8)
    first, second = pair_indices(4)
    found = fit_davidson(counts, 4)
    roots = likelihood_ratio_roots(found, counts, 4)

    # equality of policies 1 and 3 by a stiff spring is the same constraint
    def loss(x):
        t, nu = np.array([x[0], x[1], -x[0] - 2 * x[1], x[1]]), np.exp(x[2])
        terms = np.stack([np.exp(t[first]), np.exp(t[second]), 2 * nu * np.exp((t[first] + t[second]) / 2)], axis=1)
        return -(counts * np.log(terms / terms.sum(axis=1, keepdims=True))).sum()

    constrained = minimize(loss, np.zeros(3), tol=1e-12).fun
    at = int(np.flatnonzero((first == 1) & (second == 3))[0])
    assert roots[at] ** 2 / 2 == pytest.approx(constrained + found.log_likelihood, abs=1e-6)
    assert np.sign(roots[at]) == np.sign(found.strengths[1] - found.strengths[3])


def test_likelihood_ratio_roots_need_no_direct_comparison():
    counts = np.zeros((3, 3))
    counts[0], counts[2] = (8, 4, 2), (9, 3, 1)  # a-b and b-c met, a-c never
    found = fit_davidson(counts, 3)
    root = likelihood_ratio_roots(found, counts, 3)[1]
    first, second = pair_indices(3)

    def loss(x):
        t, nu = np.array([x[0], -2 * x[0], x[0]]), np.exp(x[1])
        terms = np.stack([np.exp(t[first]), np.exp(t[second]), 2 * nu * np.exp((t[first] + t[second]) / 2)], axis=1)
        return -(counts * np.log(terms / terms.sum(axis=1, keepdims=True))).sum()

    assert root**2 / 2 == pytest.approx(minimize(loss, np.zeros(2), tol=1e-12).fun + found.log_likelihood, abs=1e-5)
