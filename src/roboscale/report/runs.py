"""All runs of a folder on one page: searchable, newest first, with the state each had when the page was written.

A page that is served asks `runs.json` beside it for newer states; one that is opened as a file shows what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import Filter, Head, Inline, Phrase, Rows
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, render_page
from roboscale.report.terminal import text_table

__all__ = ["RUNS_FILE", "RunPolicy", "RunRow", "runs_page", "runs_state", "runs_text"]

RUNS_FILE = "runs.json"
"""What a served page asks for: `runs_state` of the same rows, as JSON."""

RunState = Literal["finished", "running", "unfinished"]
"""`unfinished`: nobody is at it, and not all that was asked for was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """A policy of a run.

    Args:
        name: its label; `unverified` says why its rate may be somebody else's.
        rate: success or mean progress so far; `None` where nothing was tried yet.
        never_acted: its first answer was no action in any trial, so that its rate says how it was used.
    """

    name: str
    rate: Estimate | None = None
    never_acted: bool = False
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow(Plain):
    """One run.

    Args:
        id: unique among the rows.
        started_ns: when, nanoseconds since 1970; rows are ordered by it.
        command: what was typed; `None` where it was asked for in Python.
        world: its label; `unverified` says why it may be another one.
        verdict: what may be claimed, a sentence; empty where nothing was compared.
        done, of: trials finished, and asked for; `None` where it depends on the results.
        report: path of its page, relative to the index; empty where there is none.
        store: path of its trials, relative to the index: what `roboscale report` takes.
    """

    id: str
    started_ns: int
    state: RunState
    world: str
    policies: tuple[RunPolicy, ...]
    command: str | None = None
    verdict: str = ""
    done: int = 0
    of: int | None = None
    report: str = ""
    store: str = ""
    unverified: tuple[str, ...] = ()


def runs_page(
    rows: Sequence[RunRow],
    *,
    title: str = "Runs",
    command: str | None = None,
    notes: tuple[str, ...] = (),
    created: str = "",
    versions: dict[str, Scalar] | None = None,
) -> str:
    """The index as one HTML document.

    Args:
        rows: in any order.
        title: e.g. the folder.
        command: the command line that makes this page; `None` where it was made from Python.
        notes: what was dropped, guessed, reused or assumed, e.g. folders that could not be read.
    """
    ordered = _newest_first(rows)
    columns = ("run", "state", "world", Head("policies", "any"), Head("verdict", "any"), "report")
    table = Rows(caption="Runs, newest first", columns=columns, rows=tuple(map(_cells, ordered)), kind="stack")
    states = {state: sum(row.state == state for row in rows) for state in ("finished", "running", "unfinished")}
    page = Page(
        title=title,
        kind="runs",
        headline=Headline(
            sentence=f"{text.plural(len(rows), 'run')}." if rows else "No runs yet.",
            details=tuple(f"{text.count(n)} {state}" for state, n in states.items() if n),
        ),
        sections=(Section(anchor="runs", title="Runs", blocks=(Filter("Show runs with"), table) if rows else ()),),
        data={"runs": [row.to_json() for row in ordered]},
        command=command,
        created=created,
        versions=versions or {},
        notes=notes,
        live=RUNS_FILE,
    )
    return render_page(page)


def runs_state(rows: Sequence[RunRow]) -> dict[str, str]:
    """The texts of the page that change while runs go on, by the key under which the page knows them."""
    cells = [cell for row in _newest_first(rows) for cell in _cells(row)]
    return {cell.live: cell.text for cell in cells if isinstance(cell, Phrase) and cell.live}


def runs_text(rows: Sequence[RunRow]) -> str:
    """The index for a terminal, one line a run and policy."""
    lines = []
    for row in _newest_first(rows):
        for policy in row.policies or (RunPolicy(name=text.MISSING),):
            marks = text.mark((*policy.unverified, *(f"world: {reason}" for reason in row.unverified)))
            rate = _rate(policy)
            begun = text.moment(row.started_ns)
            lines.append([begun, row.id, _state(row), row.world, policy.name, rate, row.store, marks])
    columns = ("begun", "run", "state", "world", "policy", "rate", "trials in", "")
    return "\n".join(text_table(columns, lines)) + "\n"


def _newest_first(rows: Sequence[RunRow]) -> list[RunRow]:
    return sorted(rows, key=lambda row: (-row.started_ns, row.id))


def _state(row: RunRow) -> str:
    if row.state == "running":
        return f"running, {text.count(row.done)}{'' if row.of is None else f' of {text.count(row.of)}'}"
    if row.state == "unfinished":
        return f"unfinished, {text.count(row.done)}{'' if row.of is None else f' of {text.count(row.of)}'}"
    return f"finished, {text.count(row.done)}"


def _rate(policy: RunPolicy) -> str:
    """`74 % (56–86 %), n = 34, 2 void: 70–76 %` in one line; "never acted" where that is no rate of the policy."""
    rate = policy.rate
    if policy.never_acted:
        return "never acted"
    if rate is None or rate.value is None:
        return "no data"
    worst = text.void_range(rate)
    void = f", {text.count(rate.void)} void: {text.interval(*worst)}" if worst else ""
    return f"{text.percent(rate.value)} ({text.interval(rate.low, rate.high)}), n = {text.count(rate.n)}{void}"


def _cells(row: RunRow) -> tuple[Inline, ...]:
    command = row.command or "made from Python"
    world_mark = (text.mark(row.unverified),) if row.unverified else ()
    kind = {"finished": "good", "running": "", "unfinished": "bad"}[row.state]
    return (
        Phrase(text=text.moment(row.started_ns), small=(command, *([f"trials in {row.store}"] if row.store else []))),
        Phrase(text=_state(row), kind=kind, live=f"{row.id}/state"),
        Phrase(text=row.world, small=world_mark),
        Phrase(text=_policies(row), kind="pre", live=f"{row.id}/policies"),
        Phrase(text=row.verdict or text.MISSING, live=f"{row.id}/verdict"),
        Phrase(text="report", href=quote(row.report.lstrip("/"))) if row.report else text.MISSING,
    )


def _policies(row: RunRow) -> str:
    """Every policy with its rate and its doubts, in one text that a served page can replace."""
    world = tuple(f"world: {reason}" for reason in row.unverified)
    said = []
    for policy in row.policies:
        marks = text.mark((*policy.unverified, *world))
        said.append(f"{policy.name} {_rate(policy)}{f', {marks}' if marks else ''}")
    return "\n".join(said) or "none"
