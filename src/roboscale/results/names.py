"""Which roles the columns of a table can have, and the names that people give them.

A name counts whatever its case, its signs between words and what stands in brackets: `Num_Successes`, `numSuccesses`
and `num successes` are one. Of several columns for one role the one with the stronger name has it. A number of trials
in a name, `Success (n=20)`, is no part of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache

from roboscale.results.languages import ENGLISH, without_accents

__all__ = [
    "AMOUNTS",
    "COLUMNS",
    "JOINED",
    "ROLES",
    "bare_name",
    "column_table",
    "flag",
    "is_percent",
    "is_sum",
    "is_sum_of",
    "normal_name",
    "place",
    "strength",
    "trials_in_name",
]

ROLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "policy": (
        ("policy", "policy_name", "policy_id"),
        ("method", "method_name", "model", "model_name", "agent", "algorithm", "algo", "approach", "system"),
        ("checkpoint", "checkpoint_path", "ckpt", "policy_path"),
        ("condition", "experiment", "variant", "arm", "name", "config", "group", "label"),
    ),
    "checkpoint": (("epoch", "step", "steps_trained", "training_step", "training_steps", "global_step", "iteration"),),
    "task": (
        (
            "task",
            "task_name",
            "suite",
            "task_suite",
            "benchmark",
            "env",
            "env_name",
            "environment",
            "task_id",
            "env_id",
        ),
        ("panel", "skill", "instruction", "language_instruction", "task_description"),
    ),
    "variation": (
        ("variation", "perturbation", "difficulty", "split", "setting", "metric", "level", "light"),
        ("category", "scenario_type", "test_condition", "ood", "distribution"),
    ),
    "world": (("world", "domain", "simulator", "sim_or_real", "real_or_sim"),),
    "place": (("location", "place", "site", "lab", "institution", "university", "evaluation_location"),),
    "robot": (("robot", "robot_name", "robot_id", "embodiment"),),
    "run": (
        ("training_run", "train_seed", "training_seed", "replicate", "model_seed", "policy_seed"),
        ("run", "run_id"),
    ),
    "case": (
        ("case", "case_id", "case_name"),
        (
            "seed",
            "seeds",
            "env_seed",
            "eval_seed",
            "rollout_seed",
            "episode_seed",
            "random_seed",
            "scene",
            "scene_id",
            "scenario",
            "scenario_id",
            "init",
            "init_id",
            "init_idx",
            "init_index",
            "init_state",
            "init_state_id",
            "init_state_idx",
            "init_state_index",
            "initial_state",
            "initial_state_id",
            "initial_condition",
            "start",
            "start_state",
        ),
        ("session", "session_id", "session8", "pair_id", "item"),
        (
            "trial",
            "trial_id",
            "trial_number",
            "trial_no",
            "trial_num",
            "trial_index",
            "trial_idx",
            "episode",
            "episode_id",
            "episode_index",
            "episode_idx",
            "episode_number",
            "rollout",
            "rollout_id",
            "rollout_index",
            "rollout_idx",
            "rollout_no",
            "rollout_number",
            "repetition",
            "rep",
            "idx",
            "index",
            "id",
            "number",
            "no",
            "nr",
            "test",
        ),
    ),
    "attempt": (("attempt", "retry", "try"),),
    "success": (
        ("success", "successful", "is_success", "succeeded", "success_flag", "task_success"),
        ("binary_success", "success_once", "success_at_end", "outcome"),
        ("solved", "passed", "completed", "result", "results", "erfolg", "ergebnis"),
        ("status",),
    ),
    "failure": (("failure", "failed", "is_failure", "fail"),),
    "progress": (
        ("progress", "task_progress", "partial_success"),
        ("partial", "task_completion", "completion", "completion_rate", "partial_credit", "subtask_completion"),
        ("score", "max_reward", "rubric_score", "normalized_score", "normalised_score", "task_score"),
    ),
    "successes": (
        (
            "successes",
            "n_success",
            "n_successes",
            "num_success",
            "num_successes",
            "success_count",
            "successful_trials",
        ),
        ("correct", "num_correct", "correct_matches", "user_success_count", "wins", "successful_episodes"),
        ("k",),
    ),
    "failures": (("failures", "n_failures", "num_failures", "failure_count", "n_fail"),),
    "trials": (
        (
            "trials",
            "n_trials",
            "num_trials",
            "rollouts",
            "n_rollouts",
            "num_rollouts",
            "n_episodes",
            "num_episodes",
            "n_total",
        ),
        ("episodes", "total_trials", "total_episodes", "attempts", "total_attempts", "total", "num_total"),
        ("total_questions", "samples", "n_samples", "count"),
        ("n",),
    ),
    "rate": (
        ("success_rate", "pc_success", "success_pct", "success_percent", "success_percentage", "mean_success"),
        ("sr", "rate", "accuracy", "acc", "success_ratio", "avg_success", "average_success"),
    ),
    "first": (
        ("policy_a", "policy_1", "model_a", "model_1", "method_a", "method_1", "first_policy", "left_policy"),
        ("policy_a_name", "policy_name_a", "model_a_name", "name_a"),
        ("left", "first", "a_source", "option_a"),
        ("a",),
    ),
    "second": (
        ("policy_b", "policy_2", "model_b", "model_2", "method_b", "method_2", "second_policy", "right_policy"),
        ("policy_b_name", "policy_name_b", "model_b_name", "name_b"),
        ("right", "second", "b_source", "option_b"),
        ("b",),
    ),
    "preference": (
        ("preference", "winner", "preferred_side", "choice", "vote", "verdict", "pref"),
        ("which_is_better", "which_was_better", "who_was_better", "which_one_is_better", "better_side", "best_side"),
        ("preferred", "preferred_policy", "preferred_model", "better", "better_policy", "label", "outcome", "result"),
    ),
    "tie": (("tie", "is_tie", "tied", "draw"),),
    "preferred": (("preferred", "chosen", "winner", "winning_policy", "better"),),
    "non_preferred": (
        ("non_preferred", "nonpreferred", "not_preferred", "rejected", "loser", "losing_policy", "worse"),
    ),
    "times": (
        ("times", "count", "counts", "frequency", "freq"),
        ("votes", "n_votes", "num_votes", "comparisons", "n_comparisons", "num_comparisons", "n"),
    ),
    "wins_first": (
        ("wins_a", "a_wins", "wins_1", "wins_first", "first_wins", "wins_left", "left_wins"),
        ("wins", "n_wins", "num_wins", "won"),
    ),
    "wins_second": (
        ("wins_b", "b_wins", "wins_2", "wins_second", "second_wins", "wins_right", "right_wins"),
        ("losses", "n_losses", "num_losses", "lost"),
    ),
    "ties": (("ties", "n_ties", "num_ties", "draws", "n_draws", "num_draws"),),
    "progress_first": (
        ("partial_a", "progress_a", "score_a", "policy_a_partial_success", "partial_success_a", "policy_a_progress"),
    ),
    "progress_second": (
        ("partial_b", "progress_b", "score_b", "policy_b_partial_success", "partial_success_b", "policy_b_progress"),
    ),
}
"""What a column can be used as -> the names it is known by, the stronger ones first."""

AMOUNTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "source": (("source", "data", "data_source", "collected_by"),),
    "amount": (
        ("amount", "demonstrations", "n_demos", "num_demos", "demos"),
        ("hours", "environments", "objects"),
        ("episodes",),
    ),
}
"""The same of tables of success against the amount of data, which have these besides."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    role: tuple(name for names in tiers for name in names) for role, tiers in {**ROLES, **AMOUNTS}.items()
}
"""Role -> all names of its columns."""

JOINED = ("policy", "checkpoint", "task", "variation", "world", "place", "robot", "case", "ignore")
"""Roles that several columns may have together; any other is that of one column."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BRACKETS = re.compile(r"[(\[].*?[)\]]")
_SIGNS = re.compile(r"[\W_]+")
_PERCENT = re.compile(r"%|\bpct\b|percent|_pct", re.IGNORECASE)


def flag(role: str, column: str) -> str:
    """What to type to give a column a role, as a shell takes it.

    >>> flag("rate", "success rate (%)")
    "--column 'rate=success rate (%)'"
    """
    return f"--column {shlex.quote(f'{role}={column}')}"


@lru_cache(maxsize=4096)  # the same few names are asked for again with every file
def normal_name(name: str) -> str:
    """How a column's name is looked up: `Success Rate (%)` is `success_rate`, and `#` is `number`."""
    if name.strip() in ("#", "№"):
        return "number"
    plain = _BRACKETS.sub(" ", bare_name(name)).replace("#", " ").replace("%", " ")
    short = _SIGNS.sub("_", _CAMEL.sub("_", plain).lower()).strip("_")
    return ENGLISH.get(without_accents(short), short)


_TRIALS = re.compile(
    r"[\s_]*[(\[]?\s*(?:\bn\s*=\s*(\d+)(?:\s*(?:trials|rollouts|episodes))?"
    r"|(?:\bout of|\bvon|\bsur|\bde|/)\s*(\d+)(?:\s*(?:trials|rollouts|episodes|runs))?"
    r"|(?<![\d.])(\d+)\s*(?:trials|rollouts|episodes|attempts|versuche|essais|ensayos))\s*[)\]]?$",
    re.IGNORECASE,
)


def trials_in_name(name: str) -> int | None:
    """How many trials a column's name says: 20 for `Success (n=20)`, `Lift /20`, `SR, 20 trials`."""
    match = _TRIALS.search(name)
    return int(next(number for number in match.groups() if number)) if match else None


def bare_name(name: str) -> str:
    """A column's name without the number of trials in it."""
    return _TRIALS.sub("", name).rstrip(" ,;:-") or name


_SUM = re.compile(
    r"(?:grand |sub|over)?(?:total|totals|average|avg|mean|sum|overall|std|median|gesamt|summe|mittelwert|durchschnitt"
    r"|moyenne|promedio|media|média|合计|总计|平均|平均值|合計|all tasks|all)(?:[ ._:-]|$)"
    r"(?:\(.*\)|\[.*\]|success.*|sr|rate|score|all.*|tasks?|over .*|of .*|across .*|[ .:%-]*)*"
)


def is_sum(text: str) -> bool:
    """Whether a row or a column of this name adds others up: `Total (2 tasks)`, `Avg. success`."""
    return bool(_SUM.fullmatch(text.strip().strip("*").casefold()))


def is_sum_of(text: str, others: Iterable[str]) -> bool:
    """Whether a row adds up those of one other: `TOTAL ACT` below `ACT (50 demos)`.

    >>> is_sum_of("TOTAL ACT", ["ACT (50 demos)", "Diffusion"]), is_sum_of("Total Recall", ["ACT"])
    (True, False)
    """
    word, _, rest = text.strip().strip("*").casefold().partition(" ")
    rest = rest.lstrip(":-–( ").rstrip(") ")
    plain = word.rstrip(":") not in ("all", "media", "std", "median") and is_sum(word.rstrip(":"))
    return bool(rest) and plain and any(other.casefold().startswith(rest) for other in others if other != text)


def is_percent(name: str) -> bool:
    """Whether a column's name says that it is in percent."""
    return bool(_PERCENT.search(name)) or normal_name(name).startswith("pc_")


_STRENGTH: Mapping[str, Mapping[str, int]] = {
    role: {name: tier for tier, names in enumerate(tiers) for name in names}
    for role, tiers in {**ROLES, **AMOUNTS}.items()
}


def strength(role: str, name: str) -> int | None:
    """How well a column's name fits a role, 0 the best; `None` where it does not.

    `metrics.success` is `success`, but `task.name` is a task whose name it is, and no `name`.
    """
    known = _STRENGTH[role]
    short = normal_name(name)
    if short in known:
        return known[short]
    last = _last_part(name)
    if not last or any(short in names for names in _STRENGTH.values()):
        return None
    return known.get(normal_name(last))


_LOGGED = re.compile(r"(?:eval|evaluation|val|test|rollouts?|metrics|summary|results?)/(?:.*/)?([^/]+)", re.IGNORECASE)


def _last_part(name: str) -> str:
    """What stands behind the last point, or behind `eval/` as loggers write it; empty where there is neither.

    `successes/trials` is a ratio, and no such name.
    """
    if match := _LOGGED.fullmatch(name.strip()):
        return match[1]
    return name.rpartition(".")[2] if "." in name else ""


def place(role: str, name: str) -> int:
    """Where a column's name stands among those of a role: of two that are equally strong, the first one speaks."""
    for short in (normal_name(name), normal_name(_last_part(name))):
        if short in COLUMNS[role]:
            return COLUMNS[role].index(short)
    return len(COLUMNS[role])


def column_table() -> str:
    """The roles and names as a table in Markdown, for the documentation."""
    meanings = {
        "policy": "who was tried",
        "checkpoint": "which checkpoint of it; a part of its name",
        "task": "what was asked; several columns together",
        "variation": "under which condition; trials are pooled within one only",
        "world": "simulated or real, or which",
        "place": "where; a part of the world",
        "robot": "which robot; a part of the world",
        "run": "which training run the checkpoint comes from",
        "case": "which rows of two policies belong together",
        "attempt": "the last one of a case counts",
        "success": "1 or 0, yes or no, success or failure; empty is void; cells such as 12/20 are counts",
        "failure": "the same turned round",
        "progress": "0 to 1, or percent",
        "successes": "how many succeeded",
        "failures": "how many failed",
        "trials": "how many were tried",
        "rate": "share that succeeded, 0 to 1 or percent; needs how many were tried",
        "first": "of two that were compared",
        "second": "of two that were compared",
        "preference": "a side, a name, a tie, or 0, 0.5 and 1",
        "preferred": "the better of two",
        "non_preferred": "the other one",
        "times": "how often a comparison went so",
        "wins_first": "how often the first of two was the better one",
        "wins_second": "how often the second was",
        "ties": "how often neither was",
        "tie": "beside the better and the other one: yes where neither was better",
        "progress_first": "how far the first came",
        "progress_second": "how far the second came",
        "source": "where the training data is from (plan)",
        "amount": "how much of it (plan)",
    }
    rows = [
        f"| `{role}` | {meanings[role]} | {', '.join(f'`{name}`' for name in names)} |"
        for role, names in COLUMNS.items()
    ]
    return "\n".join(["| role | what it says | names that are known |", "| --- | --- | --- |", *rows])
