"""One self-contained page. No request leaves it, strings are escaped, and the same data give the same bytes.

Knows how things look; what they are stands in `roboscale.report.model`, how they are drawn in `figures`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from roboscale.core.estimate import Estimate, Verdict
from roboscale.report import figures, text
from roboscale.report.figures import Figure
from roboscale.report.model import DamageSummary, PolicyResult, ReportData, Spread
from roboscale.report.parts import asset, csp_hash, environment, inline_svg
from roboscale.report.tables import Table, dataset_table, settings_table, show

__all__ = ["render_report"]

_WIDTHS = {"wide": 1040, "medium": 640, "narrow": 342}
"""CSS pixels. Every figure is drawn at each width, and the page shows the one that fits."""
_TABLE_ROWS = 60


def render_report(data: ReportData) -> str:
    """The report as one HTML document.

    Args:
        data: what to show; absent parts leave no trace. Strings may hold anything: they are escaped.

    Returns:
        HTML that opens from a file, offline; a content security policy in it forbids every request.
    """
    script = asset("report.js")
    return (
        environment(_filters())
        .get_template("report.html")
        .render(
            data=data,
            headline=_headline(data),
            figures=_figures(data),
            settings=settings_table({curve.policy: curve.settings for curve in data.training}),
            dataset_table=dataset_table,
            style=Markup(asset("report.css")),
            script=Markup(script),
            script_hash=Markup(csp_hash(script)),
            rule=_rule(data),
            names=[policy.name for policy in data.policies],
            damage=_damage_rows(data.policies),
            damage_methods=_damage_methods(data.policies),
        )
    )


def _filters() -> dict[str, Callable[..., Any]]:
    return {
        "count": text.count,
        "duration": text.duration,
        "interval": text.interval,
        "number": text.number,
        "percent": text.percent,
        "share": _share,
        "share_of": text.share_of,
        "show": show,
        "thin": _thin,
        "uri": _data_uri,
    }


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A figure at every width, ready for the page."""

    svgs: dict[str, Markup]
    table: Table
    summary: str


def _figures(data: ReportData) -> dict[str, _Drawn]:
    drawn: dict[str, _Drawn] = {}
    if any(policy.tasks for policy in data.policies):
        drawn["success"] = _at_widths("success", lambda width: figures.success_by_task(data.policies, width))
    if data.verdict and data.verdict.evidence:
        names, verdict, voids = _pair_names(data), data.verdict, data.voids
        drawn["evidence"] = _at_widths(
            "evidence", lambda width: figures.running_evidence(verdict, names, voids, width)
        )
    curves = [curve for curve in data.training if curve.steps]
    if curves:
        order = [policy.name for policy in data.policies]
        drawn["loss"] = _at_widths("loss", lambda width: figures.loss_curves(curves, order, width))
    return drawn


def _at_widths(name: str, draw: Callable[[int], Figure]) -> _Drawn:
    drawn = {size: draw(width) for size, width in _WIDTHS.items()}
    svgs = {size: inline_svg(figure.svg, f"{name}-{size}") for size, figure in drawn.items()}
    return _Drawn(svgs, drawn["wide"].table, drawn["wide"].summary)


def _thin(table: Table) -> Table:
    """At most `_TABLE_ROWS` rows, evenly chosen, the last among them."""
    step = -(-len(table.rows) // _TABLE_ROWS)
    if step <= 1:
        return table
    return Table(table.columns, tuple(row for i, row in enumerate(reversed(table.rows)) if i % step == 0)[::-1])


def _pair_names(data: ReportData) -> tuple[str, str]:
    names = [policy.name for policy in data.policies]
    return (names[0], names[1]) if len(names) > 1 else ("first", "second")


@dataclass(frozen=True, slots=True)
class _Headline:
    """What stands on top: a tag, one sentence, and the line of small print under it."""

    tag: str
    kind: str
    sentence: str
    small_print: str
    details: tuple[str, ...]


def _headline(data: ReportData) -> _Headline | None:
    if data.verdict:
        return _verdict_headline(data.verdict, data)
    if not data.policies:
        return None
    if len(data.policies) > 2:
        sentence = f"Success rates of {len(data.policies)} policies."
    else:
        sentence = " ".join(_success_sentence(policy) for policy in data.policies)
    return _Headline("estimate", "estimate", sentence, "", ("No comparison was made: nothing is claimed.",))


def _success_sentence(policy: PolicyResult) -> str:
    success = policy.success
    if success.value is None:
        return f"{policy.name}: no trial counted."
    bounds = text.interval(success.low, success.high)
    return f"{policy.name} succeeded in {text.percent(success.value)} of {text.count(success.n)} trials ({bounds})."


def _verdict_headline(verdict: Verdict, data: ReportData) -> _Headline:
    first, second = _pair_names(data)
    tag = {"first is better": f"{first} is better", "second is better": f"{second} is better"}
    kind = {"first is better": "p0", "second is better": "p1"}.get(verdict.decision, "open")
    details = [
        f"α = {text.number(verdict.alpha)}",
        verdict.method,
        f"{verdict.n} paired cases, {verdict.discordant} of them told the policies apart",
    ]
    if verdict.p_value is not None:
        details.append(f"p = {text.number(verdict.p_value, 2)}")
    if verdict.needed is not None:
        details.append(f"about {text.count(verdict.needed)} more paired cases would probably decide")
    details += [_rule(data)] if _rule(data) else []
    # The sentence may end in a parenthesis with test and counts; it is set smaller, but never left out.
    claim, opening, rest = verdict.sentence.partition(" (")
    return _Headline(tag.get(verdict.decision, verdict.decision), kind, claim, opening + rest, tuple(details))


def _rule(data: ReportData) -> str:
    """The success rule, as it is named beside every rate."""
    method = data.method
    parts = []
    if method.success_rule:
        parts.append(f"success rule: {method.success_rule}")
    if method.horizon is not None:
        parts.append(f"horizon {text.count(method.horizon)} steps")
    return ", ".join(parts)


_Cell = tuple[str, tuple[str, ...]]
"""What stands large in a cell, and the pieces of small print under it, none of which may be broken."""


def _damage_rows(policies: Sequence[PolicyResult]) -> list[tuple[str, str, list[_Cell]]]:
    """(measure, unit, one cell per policy)."""
    measures: list[tuple[str, str, Callable[[DamageSummary], _Cell]]] = [
        ("Peak unintended contact force", "median of trials", lambda d: _spread(d.peak_force_n, " N")),
        ("Object dropped", "share of trials", lambda d: _share(d.dropped)),
        ("Object off the table", "share of trials", lambda d: _share(d.off_table)),
        ("A joint reached its limit", "share of trials", lambda d: _share(d.joint_limit)),
        ("Steps with a joint at its limit", "median of trials", lambda d: _spread(d.joint_limit_steps)),
        ("An action was clipped", "share of trials", lambda d: _share(d.clipped)),
        ("Steps with a clipped action", "median of trials", lambda d: _spread(d.clipped_steps)),
    ]
    summaries = [policy.damage for policy in policies if policy.damage]
    return [(name, unit, [form(summary) for summary in summaries]) for name, unit, form in measures if summaries]


def _spread(spread: Spread | None, unit: str = "") -> _Cell:
    if spread is None:
        return ("not measured", ())
    most = f"at most {text.number(spread.max)}{unit}"
    return (f"{text.number(spread.median)}{unit}", (most, f"n = {text.count(spread.n)}"))


def _share(share: Estimate | None) -> _Cell:
    if share is None or share.value is None:
        return ("not measured" if share is None else "no data", ())
    return (text.percent(share.value), (text.interval(share.low, share.high), f"n = {text.count(share.n)}"))


def _damage_methods(policies: Sequence[PolicyResult]) -> str:
    """How the shares' intervals were computed, each method once."""
    summaries = [policy.damage for policy in policies if policy.damage]
    shares = [s for d in summaries for s in (d.dropped, d.off_table, d.joint_limit, d.clipped) if s is not None]
    return "; ".join(dict.fromkeys(f"{share.method}, {text.number(100 * share.level)} %" for share in shares))
