"""JSON of objects in objects that somebody changed on the way: one clear error, or the answer as it was.

    python -m tests.fuzz.fuzz_nested --count 1500

As with tables, changes keep the meaning (keys are renamed and shuffled, counts are spelt in another way, wrappers and
remarks stand around) or destroy it (a level without a name, a leaf at another depth, a count that is none).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roboscale.core import RoboscaleError
from roboscale.results import read_results
from tests.fuzz.fuzz_tables import FAILURES, answer

LEVELS = ("policies", "tasks")
Cells = dict[tuple[str, str], dict[str, Any]]
"""(policy, task) -> what is said of it."""


@dataclass
class Document:
    """Results and how they are written.

    Args:
        wrappers: keys around everything.
        levels: keys that name the two levels; "" leaves one unnamed.
        turned: tasks stand outside, policies inside.
        beside: what else stands in the outermost object.
        broken: no right answer is left.
    """

    cells: Cells
    wrappers: list[str] = field(default_factory=list)
    levels: tuple[str, str] = LEVELS
    turned: bool = False
    beside: dict[str, Any] = field(default_factory=dict)
    odd: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    done: list[str] = field(default_factory=list)

    def data(self) -> Any:
        outer: dict[str, dict[str, Any]] = {}
        for (policy, task), leaf in self.cells.items():
            first, second = (task, policy) if self.turned else (policy, task)
            outer.setdefault(first, {})[second] = leaf
        names = self.levels[::-1] if self.turned else self.levels
        inner = {key: {names[1]: value} if names[1] else value for key, value in outer.items()} | self.odd
        made: Any = {names[0]: inner} if names[0] else inner
        for key in self.wrappers:
            made = {key: made}
        return {**self.beside, **made}


def sample(rng: random.Random) -> Document:
    """Counts or successes of three policies on two tasks."""
    pairs = [(p, t) for p in ("act", "diffusion", "pi0") for t in ("cup", "drawer")]
    if rng.random() < 0.5:
        return Document({pair: {"successes": rng.randint(0, 20), "trials": 20} for pair in pairs})
    return Document({pair: {"success_rate": rng.randint(0, 20) / 20, "n_trials": 20} for pair in pairs})


def rename(d: Document, rng: random.Random) -> None:
    """Other words for the same things."""
    words = {
        "successes": ["successes", "n_success", "numSuccesses", "Successes"],
        "trials": ["trials", "n_trials", "rollouts", "num_episodes"],
        "success_rate": ["success_rate", "successRate", "Success Rate"],
        "n_trials": ["n_trials", "episodes", "num_rollouts"],
    }
    chosen = {key: rng.choice(options) for key, options in words.items()}
    d.cells = {pair: {chosen.get(k, k): v for k, v in leaf.items()} for pair, leaf in d.cells.items()}
    policies, tasks = ["policies", "per_policy", "models", "methods"], ["tasks", "per_task", "envs", "per_env"]
    d.levels = (d.levels[0] and rng.choice(policies), d.levels[1] and rng.choice(tasks))


def one_level_named(d: Document, rng: random.Random) -> None:
    """Only the outer level says what it is; the other can be nothing else."""
    d.levels = ("", LEVELS[1]) if d.turned else (LEVELS[0], "")


def no_level_named(d: Document, rng: random.Random) -> None:
    d.levels, d.broken = ("", ""), True


def turn(d: Document, rng: random.Random) -> None:
    d.turned = not d.turned
    if "" in d.levels and any(d.levels):
        d.levels = d.levels[::-1] and (LEVELS[0] if d.levels[0] == "" else "", LEVELS[1] if d.levels[1] == "" else "")


def shuffle(d: Document, rng: random.Random) -> None:
    pairs = list(d.cells.items())
    rng.shuffle(pairs)
    d.cells = {pair: dict(sorted(leaf.items(), key=lambda _: rng.random())) for pair, leaf in pairs}


def spell(d: Document, rng: random.Random) -> None:
    """Numbers as texts and as floats."""
    for leaf in d.cells.values():
        for key, value in leaf.items():
            leaf[key] = rng.choice([value, str(value), float(value)])


def rename_policies(d: Document, rng: random.Random) -> None:
    """Names in any writing, and such as could be numbers or words."""
    sets = [["π₀", "策略 A", "Größe"], ["1", "2", "3"], ["run 1", "run, two", "ACT (ours)"], ["success", "task", "n"]]
    if not d.names:
        known = sorted({policy for policy, _ in d.cells})
        new = dict(zip(known, rng.choice(sets), strict=True))
        d.names = {v: k for k, v in new.items()}
        d.cells = {(new[policy], task): leaf for (policy, task), leaf in d.cells.items()}


def beside(d: Document, rng: random.Random) -> None:
    """What says nothing of what is asked."""
    for _ in range(rng.randint(1, 3)):
        key, value = rng.choice(
            [("date", "2026-05-01"), ("notes", ["slipped", "twice"]), ("config", {"lr": 0.1}), ("version", 3)]
        )
        d.beside[key] = value


def more_cells(d: Document, rng: random.Random) -> None:
    for leaf in d.cells.values():
        leaf[rng.choice(["mean_length", "video"])] = rng.choice([12.5, "a.mp4", None])


def wrap(d: Document, rng: random.Random) -> None:
    d.wrappers.append(rng.choice(["results", "evaluation", "data"]))


def garbage(d: Document, rng: random.Random) -> None:
    """One number becomes something else."""
    leaf = rng.choice(list(d.cells.values()))
    key = rng.choice([k for k in leaf if "len" not in k and k != "video"])
    leaf[key], d.broken = rng.choice(["maybe", -3, "1e400", "7.5.1", [], {}]), True


def another_depth(d: Document, rng: random.Random) -> None:
    """One policy without tasks."""
    d.odd, d.broken = {"octo": {"successes": 3, "trials": 20}}, True


CHANGES: tuple[Callable[[Document, random.Random], None], ...] = (
    rename, turn, one_level_named, no_level_named, spell, rename_policies, beside, more_cells, wrap, garbage,
    another_depth, shuffle,
)  # fmt: skip
"""In the order in which they are made."""


def judge(seed: int, folder: Path) -> tuple[str, str]:
    """(verdict, why) of the mutant of a seed: `same`, `error`, or a failure."""
    rng = random.Random(seed)
    document, path = sample(rng), folder / "results.json"
    path.write_text(json.dumps(document.data()), "utf-8")
    right = answer(read_results(path), {})
    for k in sorted(rng.sample(range(len(CHANGES)), rng.randint(1, 3))):
        CHANGES[k](document, rng)
        document.done.append(CHANGES[k].__name__)
    text = json.dumps(document.data(), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
    path.write_text(text, "utf-8")
    what = ", ".join(document.done)
    try:
        given = answer(read_results(path), document.names)
    except RoboscaleError as error:
        clear = "results.json" in str(error) and 20 < len(str(error)) < 1200
        return ("error" if clear else "vague"), f"{what}: {error}"
    except Exception as error:  # noqa: BLE001 -- whatever else comes is a failure, and named
        return "traceback", f"{what}: {type(error).__name__}: {error}"
    if given == right:
        return "same", what
    return ("silent" if document.broken else "wrong"), f"{what}: {text[:400]}"


def run(count: int, first: int = 0) -> dict[str, list[tuple[int, str]]]:
    """Verdict -> the seeds that gave it, and why."""
    verdicts: dict[str, list[tuple[int, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            verdict, why = judge(seed, Path(folder))
            verdicts.setdefault(verdict, []).append((seed, why))
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    verdicts = run(asked.count, asked.first)
    print(json.dumps({verdict: len(seeds) for verdict, seeds in sorted(verdicts.items())}))
    for verdict in FAILURES:
        for seed, why in verdicts.get(verdict, [])[:8]:
            print(f"{verdict} {seed}: {why}", file=sys.stderr)
    return int(any(verdict in verdicts for verdict in FAILURES))


if __name__ == "__main__":
    sys.exit(main())
