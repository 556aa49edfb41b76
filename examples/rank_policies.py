"""Makes a board from a table that somebody else wrote, and asks what to try next."""

from pathlib import Path

from roboscale import PickTrials, Rank, pick_trials, rank

if __name__ == "__main__":
    table = str(Path(__file__).with_name("rank_policies.csv"))
    standing = rank(Rank(sources=(table,))).standing
    print(standing.ranking.sentence)
    for name, (best, worst) in standing.ranking.rank_sets.items():
        print(f"  {name}: rank {best} to {worst}, {standing.rates[name]}")
    for pick in pick_trials(PickTrials(sources=(table,), world=("robot:1",), count=2)).plan.picks:
        print(f"next: {pick.first} and {pick.second} on {pick.case}")
