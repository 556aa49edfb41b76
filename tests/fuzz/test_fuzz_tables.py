"""A small share of the mutated tables of `make fuzz`."""

from tests.fuzz.fuzz_tables import FAILURES, judge, run


def test_a_mutated_table_is_an_error_or_says_the_same():
    verdicts = run(300, first=100_000)
    assert not any(verdicts.get(name) for name in FAILURES), {name: verdicts.get(name, [])[:3] for name in FAILURES}
    assert len(verdicts["same"]) > 60 and len(verdicts["error"]) > 60, "mutants that nobody minds are no test"


def test_a_mutated_table_of_wins_or_nested_json_is_an_error_or_says_the_same():
    verdicts = run(300, first=100_000, more=True)
    assert not any(verdicts.get(name) for name in FAILURES), {name: verdicts.get(name, [])[:3] for name in FAILURES}
    assert len(verdicts["same"]) > 60 and len(verdicts["error"]) > 60, "mutants that nobody minds are no test"


def test_a_seed_names_one_mutant(tmp_path):
    assert [judge(seed, tmp_path) for seed in range(5)] == [judge(seed, tmp_path) for seed in range(5)]
