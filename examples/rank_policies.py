"""Makes a board from a table that somebody else wrote, and asks what to try next."""

from pathlib import Path

from roboscale.cli.standing import load_results, next_picks, parse_venue, standing_of

if __name__ == "__main__":
    results = load_results([str(Path(__file__).with_name("rank_policies.csv"))])
    standing = standing_of(results)
    print(standing.ranking.sentence)
    for name, (best, worst) in standing.ranking.rank_sets.items():
        print(f"  {name}: rank {best} to {worst}, {standing.rates[name]}")
    plan = next_picks(results, [parse_venue("robot:1")], count=2)
    for pick in plan.picks:
        print(f"next: {pick.first} and {pick.second} on {pick.case}")
