"""Tables that somebody changed on the way: one clear error, or the answer of the table as it was.

    python -m tests.fuzz.fuzz_tables --count 5000

Every mutant is made by a seed, by one to three changes of what people do to tables. Changes keep the meaning (columns
are renamed, shuffled and added, cells are spelt in another way, titles and comments appear) or destroy it (a cell is
garbage, a policy is missing), and then only an error will do. Tables are CSV, or JSON of objects in objects.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from roboscale.core import RoboscaleError
from roboscale.results import PREFERENCE_OUTCOMES, Results, read_results

Answer = tuple[dict[tuple[str, str], tuple[int, int, float]], dict[tuple[str, str, str], int]]
"""(policy, task) -> successes, trials, sum of progress; and (first, second, who won) -> how often."""


@dataclass
class Table:
    """A table and what was done to it.

    Args:
        kinds: column -> what it holds.
        broken: no right answer is left.
        names: new name of a policy -> the one it had.
        levels: keys above the objects of policies and of tasks; then the table is a JSON document of objects in
            objects, otherwise CSV.
        beside: what else the document says.
    """

    header: list[str]
    rows: list[list[str]]
    kinds: dict[str, str]
    broken: bool = False
    above: list[str] = field(default_factory=list)
    delimiter: str = ","
    encoding: str = "utf-8"
    end: str = "\n"
    names: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    levels: tuple[str, str] | None = None
    beside: dict[str, object] = field(default_factory=dict)

    def column(self, kind: str) -> int:
        """The place of the column that holds it; -1 where there is none."""
        return next((k for k, name in enumerate(self.header) if self.kinds.get(name) == kind), -1)

    @property
    def file(self) -> str:
        return "table.csv" if self.levels is None else "table.json"

    def data(self) -> bytes:
        if self.levels is not None:
            return _document(self).encode(self.encoding)
        file = io.StringIO()
        writer = csv.writer(file, delimiter=self.delimiter, lineterminator=self.end)
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return ("".join(f"{line}{self.end}" for line in self.above) + file.getvalue()).encode(self.encoding)


def _document(t: Table) -> str:
    """Policies in an object, in each of them tasks, in each of those the other cells; numbers as numbers."""
    outer, inner = t.levels or ("", "")
    policy, task = t.column("policy"), t.column("task")
    rest = [k for k in range(len(t.header)) if k not in (policy, task)]
    whole: dict[str, dict[str, object]] = {}
    for row in t.rows:
        whole.setdefault(row[policy], {})[row[task]] = {t.header[k]: _value(row[k]) for k in rest}
    content = {name: {inner: tasks} if inner else tasks for name, tasks in whole.items()}
    return json.dumps({**t.beside, outer: content}, ensure_ascii=False)


def _value(cell: str) -> object:
    """What a program writes of a cell: a number where it is one."""
    try:
        return json.loads(cell) if cell[:1] in "-0123456789" else cell
    except json.JSONDecodeError:
        return cell


def samples(rng: random.Random) -> dict[str, Table]:
    """One table of each form, with other numbers for every seed."""
    names, tasks = ["act", "diffusion", "pi0"], ["cup", "drawer"]
    trials = [[p, t, str(s), rng.choice("01")] for s in range(1, 6) for t in tasks for p in names]
    scores = [[p, t, f"s{s}", rng.choice(["0", "0.25", "0.5", "1"])] for s in range(4) for t in tasks for p in names]
    counts = [[p, t, str(rng.randint(0, 20)), "20"] for p in names for t in tasks]
    rates = [[p, t, str(round(rng.randint(0, 20) / 20, 2)), "20"] for p in names for t in tasks]
    pairs = [[*rng.sample(names, 2), rng.choice(["left", "right", "tie"])] for _ in range(25)]
    scores[0][3] = "0.25"
    return {
        "trials": Table(["policy", "task", "seed", "success"], trials, _same("policy", "task", "seed", "success")),
        "scores": Table(["policy", "task", "scene", "progress"], scores, _same("policy", "task", "scene", "progress")),
        "counts": Table(
            ["policy", "task", "successes", "trials"], counts, _same("policy", "task", "successes", "trials")
        ),
        "rates": Table(
            ["policy", "task", "success_rate", "trials"], rates, _same("policy", "task", "success_rate", "trials")
        ),
        "pairs": Table(["policy_a", "policy_b", "winner"], pairs, _same("policy_a", "policy_b", "winner")),
    }


def more_samples(rng: random.Random) -> dict[str, Table]:
    """Tables of wins, and JSON of objects in objects."""
    names, tasks = ["act", "diffusion", "pi0"], ["cup", "drawer"]
    two = ["policy_a", "policy_b", "wins_a", "wins_b"]
    won = [[a, b, *(str(rng.randint(0, 20)) for _ in range(3))] for a, b in combinations(names, 2)]
    counts = [[p, t, str(rng.randint(0, 20)), "20"] for p in names for t in tasks]
    rates = [[p, t, str(round(rng.randint(0, 20) / 20, 2)), "20"] for p in names for t in tasks]
    counted, rated = ["policy", "task", "successes", "trials"], ["policy", "task", "success_rate", "trials"]
    summed = [[*row, str(sum(map(int, row[2:])))] for row in won]
    return {
        "wins": Table([*two, "ties"], won, _same(*two, "ties")),
        "wins, no ties": Table(two, [row[:4] for row in won], _same(*two)),
        "wins, added up": Table([*two, "ties", "trials"], summed, _same(*two, "ties", "trials")),
        "nested counts": Table(counted, counts, _same(*counted), levels=("policies", "tasks")),
        "nested rates": Table(rated, rates, _same(*rated), levels=("per_policy", "per_task")),
    }


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


FLAGS = {"1": ["1", "1.0", "true", "Yes", "SUCCESS"], "0": ["0", "0.0", "FALSE", "no", "fail"]}
SYNONYMS = {
    "policy": ["Policy", "policy_name", "Method", "MODEL", " policy ", "Policy Name", "policyName", "Agent"],
    "task": ["Task", "task_name", "env", "Environment", "Task ID"],
    "seed": ["Seed", "env_seed", "eval seed"],
    "scene": ["Scene", "scene_id", "Scenario"],
    "success": ["Success", "is_success", "SUCCESS?", "succeeded", "isSuccess"],
    "progress": ["Progress", "task progress", "Partial Success"],
    "successes": ["Successes", "n_success", "Num_Successes", "numSuccesses"],
    "trials": ["Trials", "n_trials", "rollouts", "num_episodes", "# Trials"],
    "success_rate": ["Success Rate", "successRate", "success_rate"],
    "policy_a": ["Policy A", "model_a", "policyA"],
    "policy_b": ["Policy B", "model_b", "policyB"],
    "winner": ["Winner", "preference"],
    "wins_a": ["Wins A", "a_wins", "winsA"],
    "wins_b": ["Wins B", "b_wins", "winsB"],
    "ties": ["Ties", "n_ties", "draws", "# Ties"],
}


def rename(t: Table, rng: random.Random) -> None:
    """Known names, in other dresses; a pair of sides together."""
    sides = rng.randrange(3)
    for k, name in enumerate(t.header):
        options = SYNONYMS.get(t.kinds.get(name, ""), [])
        if options and (rng.random() < 0.6 or name.startswith("policy_")):
            new = options[sides] if name in ("policy_a", "policy_b") else rng.choice(options)
            t.kinds[new] = t.kinds.pop(name)
            t.header[k] = new


def unknown(t: Table, rng: random.Random) -> None:
    """A name that nobody knows; a case or task that is lost is no wrong answer, so only what must be there."""
    spared = {"task", "seed", "scene", "ties", None} | ({"policy"} if t.levels else set())
    spared |= {"trials"} if t.column("wins_a") >= 0 else set()
    needed = [k for k, n in enumerate(t.header) if t.kinds.get(n) not in spared]
    if not needed:
        return
    k = rng.choice(needed)
    new = rng.choice(["Spalte 1", "ergebniss", "x", "成功", "col"])
    kind = t.kinds.pop(t.header[k])
    t.broken = t.broken or kind != ""
    t.header[k] = new


def shuffle_columns(t: Table, rng: random.Random) -> None:
    order = list(range(len(t.header)))
    rng.shuffle(order)
    t.header = [t.header[k] for k in order]
    t.rows = [[row[k] for k in order] for row in t.rows]


def shuffle_rows(t: Table, rng: random.Random) -> None:
    rng.shuffle(t.rows)


def add_column(t: Table, rng: random.Random) -> None:
    """A column that says nothing of what is asked."""
    name = rng.choice(["notes", "time_s", "operator", "date", "k", "comment (free)", "video", "n_steps", "备注", ""])
    place = rng.randrange(len(t.header) + 1)
    values = rng.choice([["ok", "slipped, twice", ""], ["12.5", "3.25", "8.125"], ["2026-05-01", "2026-05-02"]])
    t.header.insert(place, name)
    for row in t.rows:
        row.insert(place, "" if name == "" else rng.choice(values))


def duplicate_column(t: Table, rng: random.Random) -> None:
    """A header twice, with the same cells, or with others: then either may be meant."""
    k = rng.randrange(len(t.header))
    same = rng.random() < 0.5
    t.header.append(t.header[k])
    cells = [row[k] for row in t.rows]
    if not same:
        cells = cells[1:] + cells[:1]
        t.broken = t.broken or (cells != [row[k] for row in t.rows] and t.header[k] in t.kinds)
    t.rows = [[*row, cell] for row, cell in zip(t.rows, cells, strict=True)]


def spell_cells(t: Table, rng: random.Random) -> None:
    """Mixed types: the same values, written in several ways."""
    for kind, spell in (
        ("success", lambda c: rng.choice(FLAGS[c])),
        ("successes", lambda c: rng.choice([c, f"{c}.0", f" {c} "])),
        ("trials", lambda c: rng.choice([c, f"{c}.0"])),
        *((kind, lambda c: rng.choice([c, f"{c}.0", f" {c} "])) for kind in ("wins_a", "wins_b", "ties")),
        ("seed", lambda c: rng.choice([c, f" {c}"])),
        ("winner", lambda c: rng.choice([c, c.upper(), c.title()])),
        ("progress", lambda c: rng.choice([c, f"{float(c):.2f}", f"{100 * float(c):g}%"])),
    ):  # fmt: skip
        k = t.column(kind)
        if k >= 0:
            for row in t.rows:
                if row[k] in ("0", "1", "left", "right", "tie") or kind not in ("success", "winner"):
                    try:
                        row[k] = spell(row[k])
                    except (KeyError, ValueError):
                        continue


def rename_policies(t: Table, rng: random.Random) -> None:
    """Names of policies in any writing, and such as could be sides, numbers or words."""
    sets = [
        ["π₀", "策略 A", "Größe"],
        ["A", "B", "C"],
        ["1", "2", "3"],
        ["run 1", "run, two", "ACT (ours)"],
        ["#1", "#2", "#3"],
    ]
    chosen = rng.choice(sets)
    columns = [k for k, name in enumerate(t.header) if t.kinds.get(name, "").startswith("policy")]
    known = sorted({row[k] for row in t.rows for k in columns})
    if len(known) > 3 or t.names:
        return
    new = dict(zip(known, chosen, strict=False))
    t.names = {v: k for k, v in new.items()}
    for row in t.rows:
        for k in columns:
            row[k] = new[row[k]]


def title(t: Table, rng: random.Random) -> None:
    t.above += rng.choice([["Results of May"], ["Lab 3" + t.delimiter * (len(t.header) - 1), ""], ["# made by us"]])


def comments(t: Table, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        t.rows.insert(rng.randrange(len(t.rows) + 1), rng.choice([["# a remark"], [""] * len(t.header), []]))


def dress(t: Table, rng: random.Random) -> None:
    """Another delimiter, end of line or encoding."""
    t.delimiter = rng.choice([",", ";", "\t"])
    t.end = rng.choice(["\n", "\r\n"])
    t.encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16"])


def decimal_comma(t: Table, rng: random.Random) -> None:
    t.delimiter = ";"
    for kind in ("success_rate", "progress"):
        k = t.column(kind)
        for row in t.rows if k >= 0 else []:
            if len(row) > k:
                row[k] = row[k].replace(".", ",")


def merge_cells(t: Table, rng: random.Random) -> None:
    """The policy stands in the first of its rows only, as merged cells are saved."""
    k = t.column("policy")
    if k < 0:
        return
    last = ""
    for row in t.rows:
        if len(row) > k:
            row[k], last = ("" if row[k] == last else row[k]), row[k]
            t.broken = t.broken or row[k] == ""


def garbage(t: Table, rng: random.Random) -> None:
    """One cell of those that count becomes something else."""
    kinds = (
        "success", "successes", "trials", "success_rate", "progress", "winner", "policy", "policy_a",
        "wins_a", "wins_b", "ties",
    )  # fmt: skip
    places = [k for k, name in enumerate(t.header) if t.kinds.get(name) in kinds]
    rows = [row for row in t.rows if len(row) == len(t.header) and any(row)]
    if places and rows:
        k = rng.choice(places)
        named = t.kinds[t.header[k]].startswith("policy")
        rng.choice(rows)[k] = "" if named else rng.choice(["maybe", "-3", "1e400", "7.5.1", "?", "{}"])
        t.broken = True


def longer_row(t: Table, rng: random.Random) -> None:
    rows = [row for row in t.rows if len(row) == len(t.header)]
    if rows:
        rng.choice(rows).append("surplus")
        t.broken = True


CHANGES: tuple[Callable[[Table, random.Random], None], ...] = (
    rename, unknown, spell_cells, rename_policies, shuffle_columns, add_column, duplicate_column, shuffle_rows,
    merge_cells, garbage, decimal_comma, dress, title, comments, longer_row,
)  # fmt: skip
"""In the order in which they are made."""


def wrong_total(t: Table, rng: random.Random) -> None:
    """Wins, losses and ties that do not add up to the comparisons that are said."""
    k = t.column("trials")
    rows = [row for row in t.rows if len(row) == len(t.header) and row[k].strip().removesuffix(".0").isdigit()]
    if k >= 0 and rows and t.column("wins_a") >= 0:
        row = rng.choice(rows)
        row[k], t.broken = str(int(float(row[k])) + rng.choice([1, 2, 7])), True


def wrap(t: Table, rng: random.Random) -> None:
    """What somebody's program says beside the results."""
    t.beside |= rng.choice([{"date": "2026-05-01"}, {"version": 2, "notes": "second try"}, {"config": {"lr": 0.1}}])


def other_levels(t: Table, rng: random.Random) -> None:
    """Other keys above the objects, or none above those of tasks: then the reader knows what is left."""
    if t.levels is not None:
        outer = rng.choice(["policies", "per_policy", "models", "by_model", "methods", "Policies"])
        t.levels = outer, rng.choice(["tasks", "per_task", "envs", ""])


def odd_levels(t: Table, rng: random.Random) -> None:
    """Keys that say nothing of policies and tasks."""
    if t.levels is not None:
        t.levels, t.broken = rng.choice([("a", ""), ("x", ""), ("output", "")]), True


WINS_CHANGES = (*CHANGES, wrong_total)
NESTED_CHANGES: tuple[Callable[[Table, random.Random], None], ...] = (
    rename, unknown, spell_cells, rename_policies, shuffle_columns, add_column, shuffle_rows, garbage, wrap,
    other_levels, odd_levels,
)  # fmt: skip


def changes_of(form: str) -> tuple[Callable[[Table, random.Random], None], ...]:
    """What may happen to a table of a form."""
    return NESTED_CHANGES if form.startswith("nested") else WINS_CHANGES if form.startswith("wins") else CHANGES


def answer(results: Results, names: dict[str, str]) -> Answer:
    c, p = results.columns, results.preferences
    sums: dict[tuple[str, str], list[float]] = {}
    for row in range(len(c)):
        policy = c.policies[c.policy[row]]
        total = sums.setdefault((names.get(policy, policy), c.strata[c.stratum[row]].task), [0, 0, 0.0])
        weight = int(c.weight[row])
        counted = c.success[row] == c.success[row] or c.progress[row] == c.progress[row]
        total[0] += weight * (c.success[row] == 1)
        total[1] += weight * counted
        total[2] += 0 if c.progress[row] != c.progress[row] else float(c.progress[row])
    said: Counter[tuple[str, str, str]] = Counter()
    for row in range(len(p)):
        sides = [names.get(p.policies[k], p.policies[k]) for k in (p.first[row], p.second[row])]
        said[sides[0], sides[1], PREFERENCE_OUTCOMES[p.outcome[row]]] += int(p.weight[row])
    return {key: (int(a), int(b), round(s, 6)) for key, (a, b, s) in sums.items()}, dict(said)


def judge(seed: int, folder: Path, more: bool = False) -> tuple[str, str]:
    """(verdict, why) of the mutant of a seed: `same`, `error`, or a failure; `more`: of `more_samples`."""
    rng = random.Random(seed)
    form, table = rng.choice(list((more_samples if more else samples)(rng).items()))
    path = folder / table.file
    path.write_bytes(table.data())
    right = answer(read_results(path), {})
    changes = changes_of(form)
    for k in sorted(rng.sample(range(len(changes)), rng.randint(1, 3))):
        change = changes[k]
        change(table, rng)
        table.done.append(change.__name__)
    path.write_bytes(table.data())
    what = f"{form}: {', '.join(table.done)}"
    try:
        given = answer(read_results(path), table.names)
    except RoboscaleError as error:
        clear = table.file in str(error) and 20 < len(str(error)) < 1200
        return ("error", what) if clear else ("vague", f"{what}: {error}")
    except Exception as error:  # noqa: BLE001 -- whatever else comes is a failure, and named
        return "traceback", f"{what}: {type(error).__name__}: {error}"
    if given == right:
        return "same", what
    return ("silent" if table.broken else "wrong"), f"{what}: {table.data()[:300]!r}"


FAILURES = ("vague", "traceback", "silent", "wrong")


def run(count: int, first: int = 0, more: bool = False) -> dict[str, list[tuple[int, str]]]:
    """Verdict -> the seeds that gave it, and why."""
    verdicts: dict[str, list[tuple[int, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            verdict, why = judge(seed, Path(folder), more)
            verdicts.setdefault(verdict, []).append((seed, why))
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--more", action="store_true", help="tables of wins and JSON of objects in objects instead")
    asked = parser.parse_args()
    verdicts = run(asked.count, asked.first, asked.more)
    print(json.dumps({verdict: len(seeds) for verdict, seeds in sorted(verdicts.items())}))
    for verdict in FAILURES:
        for seed, why in verdicts.get(verdict, [])[:8]:
            print(f"{verdict} {seed}: {why}", file=sys.stderr)
    return int(any(verdict in verdicts for verdict in FAILURES))


if __name__ == "__main__":
    sys.exit(main())
