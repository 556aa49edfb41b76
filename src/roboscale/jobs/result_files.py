"""Results for a job: what others wrote, and our own trials, which are read from their store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roboscale.core import NOMINAL, BadData, Counted, UsageError, identity_labels
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.judged import Judged, judged_run
from roboscale.results import AS_THEY_ARE, ReadOptions, Results, by_name, join_results, read_results
from roboscale.trials.log import TrialLog, open_log

__all__ = ["direction_unused", "doubts", "labelled", "load_results", "never_acted", "trials_by_policy"]


def load_results(
    sources: Sequence[str], options: ReadOptions = AS_THEY_ARE, on_event: OnEvent = ignore, *, arm: str = ""
) -> Results:
    """Reads `PATH` or `NAME=PATH` for each; NAME names the policy where a file does not. Notes say how each was read.

    Args:
        arm: of our own trials those in this worse world, `light:2`, as if it were the world itself; by default those
            of the unperturbed arm.

    Raises:
        BadData: a file is not there or not understood, or all together hold no trial and no comparison.
        UsageError: a source is empty.
    """
    named = [_named(text) for text in sources]
    _no_source_twice([path for _, path in named])
    parts = [_read(path, name, options, on_event, arm) for name, path in named]
    joined = join_results(labelled(parts, [path for _, path in named]), options)
    if not (len(joined.columns) or len(joined.preferences)):
        raise BadData(", ".join(sources), "results", "at least one trial or comparison", "none")
    for line in (*joined.reading.lines(), *direction_unused(joined, options)):
        on_event(Note(line))
    return joined


def direction_unused(results: Results, options: ReadOptions) -> list[str]:
    """A word on tables in which --lower-is-better (or --higher-is-better) means nothing, where it was asked for."""
    if options.higher_is_better is None:
        return []
    readings = [part.reading for part in results.parts]
    unused = [
        one.source
        for one in readings
        if not any(column.role == "progress" for column in one.columns)
        and not any("is the first" in note and "as asked" in note for note in one.notes)
    ]
    asked = "--higher-is-better" if options.higher_is_better else "--lower-is-better"
    what = "nothing was changed by it" if options.higher_is_better else "nothing was turned round"
    return [f"{asked} is for a column of progress, and {', '.join(unused)} has none: {what}"] if unused else []


def _named(text: str) -> tuple[str, str]:
    """(name, path) of `NAME=PATH` or `PATH`. UsageError where either is empty: `A=` is not the folder one is in."""
    name, sign, path = text.partition("=")
    if text.strip() and (not sign or Path(text).exists()):
        return "", text
    if not (name.strip() and path.strip()):
        raise UsageError(f"expected PATH or NAME=PATH, found {text!r}")
    return name, path


def _no_source_twice(paths: Sequence[str]) -> None:
    """BadData where one file is given twice: its trials would count twice, or stand against themselves."""
    known: dict[object, str] = {}
    for text in paths:
        place = text if "://" in text or text == "-" else Path(text).resolve()
        if place in known:
            raise BadData(f"{known[place]}, {text}", "files", "each file once", "the same file twice")
        known[place] = text


def labelled(parts: Sequence[Results], paths: Sequence[str]) -> list[Results]:
    """Sources of one name, `run1/results.csv` and `run2/results.csv`, are told apart by their folders."""
    called = [part.source for part in parts]
    made = []
    for part, text in zip(parts, paths, strict=True):
        label = part.source
        if called.count(part.source) > 1 and "://" not in text:
            rivals = [Path(p).resolve().parts for p, c in zip(paths, called, strict=True) if c == part.source]
            mine = Path(text).resolve().parts
            size = next(k for k in range(1, len(mine) + 1) if sum(r[-k:] == mine[-k:] for r in rivals) == 1)
            label = "/".join(mine[-size:])
        made.append(part if label == part.source else _called(part, label))
    return made


def _called(results: Results, label: str) -> Results:
    """The same results under another name of their file."""
    parts = tuple(
        replace(one, reading=replace(one.reading, source=label + one.reading.source.removeprefix(results.source)))
        for one in results.parts
    )
    return replace(results, source=label, parts=parts)


def _read(text: str, policy: str, options: ReadOptions, on_event: OnEvent, arm: str) -> Results:
    if text.startswith(("http://", "https://", "s3://", "gs://", "hf://", "ftp://")):
        raise BadData(text, "results", "a file on this machine (download it first)", "an address")
    if "://" in text:
        return _read_store(text, on_event, arm)
    path = Path(text)
    store = path / "trials.db" if path.is_dir() else path
    if store.suffix == ".db" and store.is_file():
        return _read_store(str(store), on_event, arm)
    if arm:
        raise BadData(text, "arm", f"our own trials, some of them in {arm}", "a table of others")
    return read_results(path, policy, options)


def _read_store(store: str, on_event: OnEvent, arm: str = "") -> Results:
    """Our own trials as every run counts them; adaptive when any run could stop by what it had seen.

    A policy whose first answer was no action in all of its trials was used wrongly, and nothing is known of it: its
    trials are left out, and a note says so.
    """
    from roboscale.jobs.learned import imagined_doubts
    from roboscale.jobs.studies import require_unblinded

    with open_log(store, read_only=True) as log:
        runs = log.runs()
        if not runs and log.entries():
            return _of_arena(log)
        for run in runs:
            require_unblinded(run)
        whole = [judged_run(log, run) for run in runs]
    for reason in dict.fromkeys(reason for one in whole for reason in imagined_doubts(one)):
        on_event(Note(f"{store}: {reason}"))
    judged = _in_arm(store, whole, arm) if arm else _unperturbed(whole, on_event)
    adaptive = any(run.design is not None and run.design.sequential for run in runs)
    own = list({(c.policy, c.world, c.case): c for c in judged}.values())
    for policy, label in identity_labels(c.policy for c in own).items():
        mine = [c for c in own if c.policy == policy]
        if never_acted(mine):
            own = [c for c in own if c.policy != policy]
            on_event(Note(f"left out: {label} never acted in {len(mine)} trials: {mine[-1].outcome.reason}"))
    return Results.of_objects(Path(store).name, own, form="our own trials", own=True, adaptive=adaptive)


def _of_arena(log: TrialLog) -> Results:
    """The matches of an arena, as its board counts them; no match is no result."""
    from roboscale.arena.arena import Arena
    from roboscale.jobs.arena_board import arena_results

    return arena_results(Arena(log).state)


def _unperturbed(whole: Sequence[Judged], on_event: OnEvent) -> list[Counted]:
    """What rates are of; a note says how much is not."""
    if worse := {(c.policy, c.world, c.case) for one in whole for c in one.counted if not one.is_plain(c)}:
        on_event(Note(f"left out: {len(worse)} trials in worse worlds (--perturb); `roboscale report` shows them"))
    return [c for one in whole for c in one.counted if not c.pending and one.is_plain(c)]


def _in_arm(store: str, whole: Sequence[Judged], arm: str) -> list[Counted]:
    """The trials in one worse world, under the cases that they are variations of; BadData where there is none."""
    wanted = sorted(part.strip() for part in arm.split(","))
    tried = [c for one in whole for c in one.counted if not c.pending]
    inside = [c for c in tried if sorted(c.case.variation.split(",")) == wanted]
    if not inside:
        found = ", ".join(dict.fromkeys(c.case.variation for c in tried)) or "no trial"
        raise BadData(store, "arm", f"trials in {arm}", found)
    return [replace(c, case=replace(c.case, variation=NOMINAL)) for c in inside]


def never_acted(counted: Sequence[Counted]) -> bool:
    """Whether the first answer was no action in every trial that is not void."""
    tried = [c.trial for c in counted if c.trial is not None and not c.trial.void]
    return bool(tried) and all(trial.end == "policy error" and not trial.steps for trial in tried)


def trials_by_policy(results: Results) -> dict[str, list[Counted]]:
    """Policy -> its trials, policies in the order of their names; two of one name have their digests behind it."""
    labels = identity_labels(trial.policy for trial in results.trials)
    grouped: dict[str, list[Counted]] = defaultdict(list)
    for trial in results.trials:
        grouped[labels[trial.policy]].append(trial)
    return dict(sorted(grouped.items()))


def doubts(results: Results) -> dict[str, tuple[str, ...]]:
    """Policy -> why our own numbers of it may be somebody else's; others' files name policies, and nothing more."""
    told = [by_name("policy", name) for part in results.parts if not part.own for name in part.columns.policies]
    labels = identity_labels([*(trial.policy for trial in results.own), *told])
    return {
        labels[trial.policy]: trial.policy.unverified
        for trial in results.own
        if trial.trial is not None and trial.policy.unverified
    }
