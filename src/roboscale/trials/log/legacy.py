"""Logs of the earlier store, which filed results under names: read, marked, and never mixed with anything new.

A name does not say what was tried. Every policy and world of such a log gets an identity that follows from its name,
is unverified and says why, and equals no identity by content. Its outcomes become judgements by a referee of their
own, and as nothing says how its episodes ran, its settings are ones that no rollout has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Connection

from roboscale.core import (
    NOMINAL,
    BadData,
    Case,
    Design,
    End,
    Identity,
    Judgement,
    Outcome,
    RolloutSettings,
    Trial,
    cases,
    derive_id,
)
from roboscale.trials.log.protocol import IdentityKind, Run
from roboscale.trials.log.writing import insert_identities, insert_judgements, insert_runs, insert_trials

__all__ = ["LEGACY_TABLES", "REFEREE", "SETTINGS", "convert_log", "identity_of_name", "set_aside"]

LEGACY_TABLES = ("run", "trial")
"""The earlier store's tables."""

REFEREE = "success rule of an earlier version"
"""Who judged its trials."""

SETTINGS = RolloutSettings(horizon=0, rate_hz=0.0, pace="unknown", watch=REFEREE)
"""How its episodes ran, as far as it says."""

_WHY = "filed under a name by an earlier version"
_TRIAL = (
    "policy, world, task, scene, seed, attempt, outcome, episode, actions, actions_shape, seconds, versions, details, "
    "finished_ns"
)


def identity_of_name(kind: IdentityKind, name: str) -> Identity:
    """The marked identity of a policy or world that was filed under its name."""
    return Identity(name, derive_id("legacy", kind, name), (_WHY,))


def set_aside(connection: Connection) -> None:
    """Renames the earlier store's tables to `legacy_*`; nothing in them is changed."""
    for name in LEGACY_TABLES:
        connection.exec_driver_sql(f"alter table {name} rename to legacy_{name}")


def convert_log(source: Connection, target: Connection, where: str, prefix: str = "") -> None:
    """Reads the earlier store's tables, named with a prefix, and adds what they say to a log's tables.

    Raises:
        BadData: a row that cannot be understood; names it.
    """
    rows = source.exec_driver_sql(f"select {_TRIAL} from {prefix}trial order by 1, 2, 3, 4, 5, 6")
    worlds: dict[str, Identity] = {}
    while some := rows.fetchmany(200):
        pairs = [_trial(tuple(row), where) for row in some]
        trials = [trial for trial, _ in pairs]
        worlds |= {t.world.name: t.world for t in trials}
        insert_identities(target, "policy", (t.policy for t in trials))
        insert_identities(target, "world", (t.world for t in trials))
        insert_trials(target, trials, where)
        insert_judgements(target, [j for _, j in pairs if j is not None], where)
    records = source.exec_driver_sql(f"select id, plan, versions, created_ns from {prefix}run").fetchall()
    runs = [_run(tuple(row), worlds, where) for row in records]
    insert_identities(target, "policy", (p for run in runs for p in run.policies))
    insert_identities(target, "world", (run.world for run in runs))
    insert_runs(target, runs, where)


def _trial(row: tuple[Any, ...], where: str) -> tuple[Trial, Judgement | None]:
    """Facts and judgement of one row; a void trial has no judgement, as it is no statement on the policy."""
    policy, world, task, scene, seed, attempt, text, episode, actions, shape, seconds, versions, details, time = row
    try:
        outcome = Outcome.from_json(json.loads(text))
        trial = Trial(
            policy=identity_of_name("policy", policy),
            world=identity_of_name("world", world),
            case=Case(task, seed, NOMINAL if scene == "default" else scene),
            settings=SETTINGS,
            attempt=attempt,
            end=_end(outcome),
            reason=outcome.reason,
            steps=outcome.steps,
            clipped=int(outcome.measures.get("clipped_steps") or 0),
            actions=None if actions is None else np.frombuffer(actions, np.float32).reshape(json.loads(shape)),
            measures=outcome.measures,
            episode=episode,
            started_ns=time - int(seconds * 1e9),
            seconds=seconds,
            versions=json.loads(versions),
            details=json.loads(details),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        name = f"trial {task}/{scene}/{seed} of {policy} in {world}, attempt {attempt}"
        raise BadData(where, name, "a readable row of an earlier version", error) from error
    if trial.void:
        return trial, None
    return trial, Judgement(
        trial=trial.id,
        referee=REFEREE,
        time_ns=time,
        state="decided",
        success=outcome.success,
        progress=outcome.progress,
        reason=outcome.reason,
    )


def _end(outcome: Outcome) -> End:
    if outcome.status == "void":
        return "void"
    if outcome.terminated:
        return "terminated"
    if outcome.truncated:
        return "truncated"
    if outcome.success:
        return "decided"  # by the rule, before the world itself came to an end
    return "policy error" if outcome.reason else "truncated"


def _run(row: tuple[Any, ...], worlds: dict[str, Identity], where: str) -> Run:
    """What was asked. Its world is the one its name begins with where there is one such, otherwise its bare name."""
    id_, plan_text, versions, created_ns = row
    try:
        plan = json.loads(plan_text)
        name = str(plan.get("world", ""))
        same = [identity for text, identity in worlds.items() if text == name or text.startswith(f"{name} (")]
        return Run(
            id=id_,
            request=plan,
            policies=tuple(identity_of_name("policy", n) for n in plan.get("names", plan.get("policies", ()))),
            world=same[0] if len(same) == 1 else identity_of_name("world", name),
            settings=SETTINGS,
            cases=tuple(_case_ids(plan)),
            design=_design(plan),
            versions=json.loads(versions),
            created_ns=created_ns,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadData(where, f"run {id_}", "a readable row of an earlier version", error) from error


def _case_ids(plan: dict[str, Any]) -> Iterator[str]:
    """Its schedule: the cases of all tasks in turn, and of these its shard."""
    if not plan.get("tasks") or "trials" not in plan:
        return
    per_task = [cases(task, plan["trials"], plan["seed"], "eval") for task in plan["tasks"]]
    shard, of = plan.get("shard", (0, 1))
    in_turn = [case.id for turn in zip(*per_task, strict=True) for case in turn][shard::of]
    rules = plan.get("stopping") or {}
    yield from in_turn[: rules["budget"] if rules.get("many") else len(in_turn)]


def _design(plan: dict[str, Any]) -> Design | None:
    rules = plan.get("stopping")
    if not rules:
        return None
    least = rules.get("min_cases", rules.get("min_pairs", 1))
    return Design(
        budget=rules["budget"], alpha=rules["alpha"], min_cases=least, sequential=rules.get("sequential", True)
    )
