"""The sizes of a comparison as a page: power against the number of trials, by design."""

from __future__ import annotations

from pathlib import Path

from roboscale.jobs.files import write_text
from roboscale.jobs.power import SizedComparison
from roboscale.jobs.versions import versions
from roboscale.report.power import PowerCurve, PowerData, power_page
from roboscale.stats.sample_size import independent_power, paired_power

__all__ = ["write_power_page"]

_PLACES = 40


def write_power_page(sized: SizedComparison, path: Path) -> None:
    """Writes the page in one step."""
    asked = sized.request
    known = [d.trials for d in sized.designs.values() if d.trials is not None]
    most = max(20, int(1.6 * max(known, default=100)))
    places = sorted({max(2, round(most * (k + 1) / _PLACES)) for k in range(_PLACES)})
    p, q, alpha = asked.first, asked.second, asked.alpha
    curves = [PowerCurve("independent trials", tuple((n, independent_power(p, q, n, alpha)) for n in places))]
    for name, agreement in sized.designs:
        if name == "paired" and agreement is not None:
            points = tuple((n, paired_power(p, q, agreement, n, alpha)) for n in places)
            curves.append(PowerCurve(f"same cases, {100 * agreement:.0f} % alike", points))
    data = PowerData(
        first=asked.first,
        second=asked.second,
        alpha=asked.alpha,
        power=asked.power,
        rows=tuple(sized.rows),
        curves=tuple(curves),
        sentences=tuple(sized.sentences),
        run_sd=sized.run_sd,
        runs=tuple((r.runs, r.trials, r.best_power) for r in sized.runs),
        json=sized.to_json(),
        command=asked.command,
        versions=versions(),
    )
    write_text(path, power_page(data))
