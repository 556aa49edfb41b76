"""Crashing never pays: whatever is claimed is still so when every void trial had ended against it."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import Case, Counted, Design, Evidence, EvidenceRow, Outcome, Verdict, combine
from roboscale.jobs.standing import standing_of
from roboscale.results import Results
from roboscale.stats.deciding import decide

Table = list[dict[str, float | None]]


@st.composite
def tables(draw: st.DrawFn, policies: int) -> Table:
    """Outcomes of policies on cases of some hardness, whose voids come more often where the case is hard."""
    names = "abcd"[:policies]
    skill = {name: draw(st.sampled_from([0.1, 0.5, 0.9, 1.0])) for name in names}
    crashes = {name: draw(st.sampled_from([0.0, 0.0, 0.3, 0.7])) for name in names}
    luck = draw(st.randoms(use_true_random=False))
    rows: Table = []
    for _ in range(draw(st.integers(6, 50))):
        hardness = luck.random()
        row: dict[str, float | None] = {}
        for name in names:
            won = float(hardness < skill[name])
            row[name] = None if luck.random() < crashes[name] * (1 - won + 0.1) else won
        rows.append(row)
    return rows


def claims(verdict) -> set[tuple[str, str]]:
    """(better, worse) of what is claimed."""
    pairs = (
        [("a", "b", verdict)]
        if isinstance(verdict, Verdict)
        else [(p.first, p.second, p.verdict) for p in verdict.pairs]
    )
    return {
        (first, second) if one.decision == "first is better" else (second, first)
        for first, second, one in pairs
        if one.decision in ("first is better", "second is better")
    }


def against(table: Table, better: str, worse: str) -> Table:
    """The trials of two policies, with every void one of the better a failure and of the worse a success."""
    ended = {better: 0.0, worse: 1.0}
    return [{p: ended[p] if row[p] is None else row[p] for p in (better, worse) if p in row} for row in table]


def evidence(table: Table, design: Design) -> Evidence:
    rows = tuple(EvidenceRow(Case("t", seed), row) for seed, row in enumerate(table))
    return Evidence(policies=tuple(table[0]), rows=rows, design=design)


def wins(table: Table, better: str, worse: str) -> int:
    both = [(row[better], row[worse]) for row in table if better in row and worse in row]
    return sum(a > b for a, b in both) - sum(a < b for a, b in both)


@settings(deadline=None, max_examples=150)
@given(st.integers(2, 4).flatmap(tables), st.booleans(), st.sampled_from(["success", "progress"]))
def test_no_claim_that_the_void_trials_could_overturn(table: Table, sequential: bool, outcome):
    design = Design(budget=len(table), alpha=0.05, sequential=sequential, outcome=outcome)
    decided = decide(evidence(table, design))
    used = table[: decided.used]
    policies = len(table[0])
    for better, worse in claims(decided.verdict):
        worst = against(used, better, worse)
        assert wins(worst, better, worse) > 0, "it leads even so"
        shown = replace(design, alpha=0.05 / (policies * (policies - 1) / 2), min_cases=len(worst))
        ordered = [{"a": row[better], "b": row[worse]} for row in worst]
        assert claims(decide(evidence(ordered, shown)).verdict) == {("a", "b")}
    if not any(value is None for row in used for value in row.values()):
        assert decided.withdrawn == (), "where nothing is void, nothing is withdrawn"


def results(table: Table, paired: bool = True) -> Results:
    trials = []
    for seed, row in enumerate(table):
        for name, value in row.items():
            status = "void" if value is None else "success" if value else "failure"
            world, policy = combine("w", 1), combine(name, name)
            trials.append(Counted(policy=policy, world=world, case=Case("t", seed), outcome=Outcome(status, "")))
    return Results.of_objects("table", trials, paired=paired)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4).flatmap(tables), st.sampled_from(["holm", "anytime", "independent"]))
def test_no_rank_that_the_void_trials_could_overturn(table: Table, sets):
    """Of two policies whose ranks are shown apart, the better leads even against its voids."""
    paired = sets != "independent"
    sets = sets if paired else None
    standing = standing_of(results(table, paired), sets=sets)
    ranks = standing.ranking.rank_sets
    full = standing_of(results([{p: v or 0.0 for p, v in row.items()} for row in table], paired), sets=sets)
    assert not full.withdrawn
    for one, two in combinations(table[0], 2):
        for better, worse in ((one, two), (two, one)):
            if len(table[0]) == 2 and ranks[better][1] < ranks[worse][0]:
                assert wins(against(table, better, worse), better, worse) > 0
    assert standing.verdict is None or claims(standing.verdict) == set(standing.ranking.claims)
    for better, worse in standing.ranking.claims:
        assert wins(against(table, better, worse), better, worse) > 0


def test_a_claim_that_rests_on_voids_is_withdrawn_from_a_board_and_said():
    """One crashes where it is hard, the other fails where it is easy: counted alone, the crashing one never loses."""
    table: Table = [{"a": None, "b": 1.0} if n % 2 else {"a": 1.0, "b": 0.0} for n in range(60)]
    standing = standing_of(results(table))
    assert standing.ranking.rank_sets == {"a": (1, 2), "b": (1, 2)} and standing.verdict is not None
    assert claims(standing.verdict) == set() and set(standing.letters.values()) == {"a"}
    assert len(standing.withdrawn) == 1 and "30 void trials of a and 0 of b" in standing.withdrawn[0]
    alone = standing_of(results(table, paired=False))
    assert alone.ranking.rank_sets == {"a": (1, 2), "b": (1, 2)} and len(alone.withdrawn) == 1
    few = standing_of(results([*table[:40:2], {"a": None, "b": 1.0}]))
    assert few.ranking.rank_sets == {"a": (1, 1), "b": (2, 2)} and not few.withdrawn
