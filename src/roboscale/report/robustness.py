"""What became of policies in worse worlds: a drawing of every loss, and a table of all cells."""

from __future__ import annotations

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.blocks import Block, Head, Inline, Paragraph, Phrase, Rows, num, rate_phrase
from roboscale.report.model import ReportData
from roboscale.report.page import Section
from roboscale.stats.robustness import PerturbedCell, Robustness, with_signs

__all__ = ["worse_worlds_section"]


def worse_worlds_section(data: ReportData) -> Section:
    """Every cell of every policy against its unperturbed arm; empty where nothing was perturbed."""
    blocks: list[Block] = []
    for name, cells in data.perturbed.items():
        if cells.cells:
            blocks += _of_policy(data, name, cells)
    return Section(
        anchor="worse-worlds",
        title="In worse worlds",
        nav="Worse worlds",
        lead="The same cases, late, noisy or in pieces; all other rates on this page are of the unperturbed arm.",
        blocks=tuple(blocks),
    )


def _of_policy(data: ReportData, name: str, cells: Robustness) -> list[Block]:
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


def rate_text(rate: Estimate) -> str:
    """A rate with its interval and number of trials."""
    return f"{text.percent(rate.value)} ({text.interval(rate.low, rate.high)}, {text.count(rate.n)} trials)"
