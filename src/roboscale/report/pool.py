"""A pool of datasets on one page: searchable, with what each holds and allows, and how operators did over time.

Takes finished numbers. Knows nothing of how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import Filter, Head, Inline, Paragraph, Phrase, Rows, num, rate_phrase
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, render_page

__all__ = ["Pooled", "Quality", "pool_page"]

_TASKS = 3


class Pooled(Protocol):
    """What the page needs of a dataset's entry; `roboscale.curate.pool.PoolEntry` has it."""

    @property
    def name(self) -> str: ...
    @property
    def root(self) -> str: ...
    @property
    def robot(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def episodes(self) -> int: ...
    @property
    def hours(self) -> float: ...
    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def errors(self) -> int: ...
    @property
    def warnings(self) -> int: ...
    @property
    def checks(self) -> tuple[str, ...]: ...
    @property
    def pictures(self) -> bool: ...
    @property
    def scores(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(Plain):
    """What one operator, or one site, recorded in one month.

    Args:
        kind: `operator` or `site`; `who` is empty where nothing says.
        month: `2026-11`; empty where nothing says.
        found: episodes that an error or a warning of the audit names, as a share.
        succeeded: share of the judged episodes.
    """

    kind: str
    who: str
    month: str
    episodes: int
    hours: float
    found: Estimate
    succeeded: Estimate | None = None


def pool_page(
    entries: Sequence[Pooled],
    quality: Sequence[Quality],
    *,
    title: str,
    command: str | None,
    notes: tuple[str, ...] = (),
    versions: dict[str, Scalar] | None = None,
) -> str:
    """The index as one HTML document: the same entries give the same bytes."""
    hours = sum(entry.hours for entry in entries)
    amount, unit = text.duration(hours)
    clean = sum(entry.errors == 0 for entry in entries)
    page = Page(
        title=title,
        kind="pool",
        headline=Headline(
            sentence=f"{text.plural(len(entries), 'dataset')}, {amount} {unit}." if entries else "No dataset yet.",
            details=(
                f"{text.count(sum(e.episodes for e in entries))} episodes",
                f"{text.count(clean)} without an error",
                text.plural(len({e.robot for e in entries} - {""}), "robot"),
            ),
        ),
        sections=(
            Section(anchor="datasets", title="Datasets", blocks=(Filter("Show datasets with"), _table(entries))),
            *(_section(kind, [q for q in quality if q.kind == kind]) for kind in ("operator", "site")),
        ),
        data={"datasets": [_facts(entry) for entry in entries], "quality": [one.to_json() for one in quality]},
        command=command,
        versions=versions or {},
        notes=notes,
    )
    return render_page(page)


def _table(entries: Sequence[Pooled]) -> Rows:
    columns = (
        "dataset",
        Head("robot", "any"),
        "licence",
        num("episodes"),
        num("hours"),
        Head("action", "any"),
        Head("tasks", "prose"),
        Head("audit", "any"),
        Head("scores", "any"),
    )
    rows = tuple(_cells(entry) for entry in entries)
    return Rows(caption="Datasets of the pool, by name", columns=columns, rows=rows, kind="stack")


def _cells(entry: Pooled) -> tuple[Inline, ...]:
    more = len(entry.tasks) - _TASKS
    tasks = "; ".join(entry.tasks[:_TASKS]) + (f"; {more} more" if more > 0 else "")
    looked = () if entry.pictures else ("pictures were not looked at",)
    audit = f"{text.plural(entry.errors, 'error')}, {text.plural(entry.warnings, 'warning')}"
    return (
        Phrase(text=entry.name, small=(entry.root,)),
        entry.robot or Phrase(text="not said", kind="none"),
        entry.licence or Phrase(text="not said", kind="none"),
        text.count(entry.episodes),
        text.number(entry.hours),
        entry.action,
        tasks or Phrase(text="no sentence", kind="none"),
        Phrase(text=audit, small=(*entry.checks[:3], *looked), kind="bad" if entry.errors else ""),
        "; ".join(f"{method} {score:.3g}" for method, score in entry.scores.items()) or text.MISSING,
    )


def _section(kind: str, quality: Sequence[Quality]) -> Section:
    """Month by month, who is named alphabetically: a table of people is no ranking."""
    said = [one for one in quality if one.who]
    columns = (kind, "month", num("episodes"), num("hours"), Head("named by a finding", "any"), Head("success", "any"))
    rows = tuple(
        (
            one.who,
            one.month or Phrase(text="not said", kind="none"),
            text.count(one.episodes),
            text.number(one.hours),
            rate_phrase(one.found),
            rate_phrase(one.succeeded, none="not judged"),
        )
        for one in said
    )
    silent = sum(one.episodes for one in quality if not one.who)
    left = (Paragraph(f"{text.plural(silent, 'episode')} name no {kind}.", "fine"),) if silent else ()
    table = (Rows(caption=f"By {kind} and month", columns=columns, rows=rows, kind="stack"),) if rows else ()
    lead = f"Month by month, in alphabetical order. Tasks differ, so that this compares nobody's {kind}."
    return Section(anchor=f"{kind}s", title=f"By {kind}", blocks=(*table, *left), lead=lead if rows else "")


def _facts(entry: Pooled) -> dict[str, object]:
    return {"name": entry.name, "robot": entry.robot, "licence": entry.licence, "hours": entry.hours}
