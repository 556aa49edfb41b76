"""What became of policies in worse worlds: who loses what, who is more robust, which axes decide, how it looks."""

from __future__ import annotations

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Details,
    Films,
    Head,
    Inline,
    Paragraph,
    Phrase,
    Picture,
    Rows,
    num,
    rate_phrase,
)
from roboscale.report.model import FilmStrip, ReportData
from roboscale.report.page import Section, data_uri
from roboscale.report.reels import reel_of
from roboscale.stats.robustness import PerturbedCell, Robustness, RobustnessDuel, with_signs
from roboscale.stats.sensitivity import Sensitivity

__all__ = ["worse_worlds_section"]


def worse_worlds_section(data: ReportData) -> Section:
    """Every cell of every policy against its unperturbed arm; empty where nothing was perturbed."""
    blocks: list[Block] = [Paragraph(text.full_stop(duel.sentence)) for duel in data.duels]
    for name, cells in data.perturbed.items():
        if cells.cells:
            blocks += _of_policy(name, cells)
    for duel in data.duels:
        blocks += _of_pair(duel)
    for name, found in data.swept.items():
        blocks += _of_sweep(name, found)
        blocks += [
            Details(f"{name}: failures at {where}", (Films(tuple(reel_of(data, case) for case in cases)),))
            for where, cases in data.gathered.get(name, {}).items()
        ]
    if blocks and data.worse_pictures:
        blocks.append(Details("What worse worlds look like", tuple(_picture(strip) for strip in data.worse_pictures)))
    return Section(
        anchor="worse-worlds",
        title="In worse worlds",
        nav="Worse worlds",
        lead="The same cases in worse worlds; all other rates on this page are of the unperturbed arm.",
        blocks=tuple(blocks),
    )


def _picture(strip: FilmStrip) -> Picture:
    return Picture(data_uri(strip.png, "image/png"), f"The first moment of a case: {strip.caption}", strip.caption)


def _of_policy(name: str, cells: Robustness) -> list[Block]:
    rows = tuple(_row(cell) for cell in cells.cells)
    columns = ("perturbation", Head("success", "keep"), Head("change", "keep"), num("pairs"), "shown")
    caption = f"{name}: {rate_text(cells.nominal)} unperturbed, and in every cell"
    return [
        Paragraph(text.full_stop(f"{name}: {cells.sentence}")),
        Rows(caption=caption, columns=columns, rows=rows, kind="stack"),
        Paragraph(text.full_stop(cells.method), "fine"),
    ]


def _row(cell: PerturbedCell) -> tuple[Inline, ...]:
    shown = Phrase(text="lower") if cell.lower else "higher" if cell.higher else "no change shown"
    return cell.variation, rate_phrase(cell.success), with_signs(cell.difference), text.count(cell.difference.n), shown


def _of_pair(duel: RobustnessDuel) -> list[Block]:
    first, second = duel.names
    said = {"first": f"{first} loses less", "second": f"{second} loses less", "cannot say": "cannot be said"}
    rows = tuple(
        (
            gap.variation,
            with_signs(gap.difference),
            f"{gap.p_value:.2g}",
            text.count(gap.difference.n),
            said[gap.decision],
        )
        for gap in duel.gaps
    )
    columns = ("perturbation", Head("difference", "keep"), num("p"), num("cases"), "who is more robust")
    return [
        Rows(caption=f"Change of {second} minus change of {first}", columns=columns, rows=rows, kind="stack"),
        Paragraph(text.full_stop(duel.method), "fine"),
    ]


def _of_sweep(name: str, found: Sensitivity) -> list[Block]:
    rows = tuple(
        (one.axis, with_signs(one.first), with_signs(one.total), with_signs(one.together)) for one in found.indices
    )
    columns = ("axis", Head("by itself", "keep"), Head("in all", "keep"), Head("together with others", "keep"))
    caption = f"{name}: shares of the variance of success, all axes drawn at once"
    blocks: list[Block] = [Paragraph(text.full_stop(f"{name}: {rate_text(found.success)}; {found.sentence}"))]
    if rows:
        blocks.append(Rows(caption=caption, columns=columns, rows=rows, kind="stack"))
        blocks.append(Paragraph(text.full_stop(f"{found.indices[0].total.method}; 95 % each"), "fine"))
    if found.clusters:
        gathered = tuple((c.text, rate_phrase(c.failures), with_signs(c.lift).lstrip("+")) for c in found.clusters)
        head = ("where failures gather", Head("failures", "keep"), Head("lift", "keep"))
        blocks.append(Rows(caption=f"{name}: corners with more failures", columns=head, rows=gathered, kind="stack"))
    return blocks


def rate_text(rate: Estimate) -> str:
    """A rate with its interval and number of trials."""
    return f"{text.percent(rate.value)} ({text.interval(rate.low, rate.high)}, {text.count(rate.n)} trials)"
