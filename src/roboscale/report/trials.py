"""The page of tried policies: what may be claimed, rates, films, evidence, damage, data, training, and every doubt.

Knows what stands where. Numbers arrive finished in `roboscale.report.model`; nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.core import Estimate, Identity, Verdict
from roboscale.report import figures, text
from roboscale.report.blocks import (
    Block,
    Card,
    Cards,
    Details,
    Drawing,
    Films,
    Gauge,
    Head,
    Heading,
    Inline,
    Listing,
    NamedValues,
    Numbers,
    Paragraph,
    Phrase,
    Picture,
    Rows,
    Tiles,
    estimate_phrase,
    num,
    rate_phrase,
)
from roboscale.report.canvas import flagged
from roboscale.report.claims import report_headline
from roboscale.report.doubts import (
    correction_section,
    pending_section,
    reason_section,
    round_section,
    scorer_section,
)
from roboscale.report.imagined import imagined_section
from roboscale.report.model import (
    Behaviour,
    DatasetSummary,
    MeasureSummary,
    PolicyResult,
    ReportData,
    Scalar,
)
from roboscale.report.page import Page, Section, data_uri, draw_at_widths, render_page
from roboscale.report.reels import reel_of
from roboscale.report.robustness import worse_worlds_section
from roboscale.report.tables import dataset_table, settings_table
from roboscale.report.times import time_section

__all__ = ["report_page"]

_ANSWERS: dict[Behaviour, str] = {
    "deterministic": "the same observations always give the same actions",
    "seed-dependent": "its actions also depend on the seed of the session",
    "batch-dependent": "its actions also depend on who else is asked at the same time",
    "stateful": "its actions also depend on what it was asked before",
}


def report_page(data: ReportData) -> str:
    """The report as one HTML document that makes no request.

    Args:
        data: what to show; absent parts leave no trace. Strings may hold anything: they are escaped.
    """
    sections = (
        pending_section(data),
        _rates(data),
        _films(data),
        _evidence(data),
        worse_worlds_section(data),
        imagined_section(data),
        round_section(data),
        correction_section(data),
        scorer_section(data),
        reason_section(data),
        _measures(data),
        _steps(data),
        time_section(data),
        _datasets(data),
        _training(data),
        _next_order(data),
    )
    page = Page(
        title=data.title,
        kind="report",
        headline=report_headline(data, _cards(data)),
        sections=sections,
        data=data.to_json(),
        command=data.command,
        created=data.created,
        versions=data.versions,
        notes=data.notes,
        method=_method(data),
        facts={
            "How trials ran": _rollout(data),
            "How it was decided": _design(data),
            "Seeds": data.seeds,
            "Settings": data.settings,
        },
    )
    return render_page(page)


def _next_order(data: ReportData) -> Section:
    blocks = (Listing(tuple(map(text.full_stop, data.next_order))),) if data.next_order else ()
    return Section(anchor="next", title="What to collect next", nav="Next", blocks=blocks)


def _cards(data: ReportData) -> tuple[Block, ...]:
    return (Cards(tuple(_card(data, i, policy) for i, policy in enumerate(data.policies)), "top"),)


def _card(data: ReportData, index: int, policy: PolicyResult) -> Card:
    rate = policy.rate(data.outcome)
    progress = data.outcome == "progress"
    small = " mean progress" if progress else ""
    blocks: list[Block] = [Paragraph(policy.description, "muted")] if policy.description else []
    blocks.append(Gauge(rate=rate, kind=f"p{index % 6}", small=small))
    if policy.unverified:
        blocks.append(Paragraph(text.mark(policy.unverified), "mark bad"))
    lines = _lines(policy, rate, progress=progress)
    if data.verdict is not None and not isinstance(data.verdict, Verdict):
        letters = data.verdict.letters.get(policy.name, text.MISSING)
        lines += [("not shown to differ from those who share", letters)] if letters else []
    blocks.append(NamedValues(tuple(lines), roomy=True))
    rule = f"; {data.rule}" if data.rule else ""
    blocks.append(Paragraph(f"{rate.method}{rule}", "fine"))
    return Card(title=Phrase(text=policy.name, policy=index), blocks=tuple(blocks), kind=f"p{index % 6}")


def _lines(policy: PolicyResult, rate: Estimate, *, progress: bool) -> list[tuple[Inline, Inline]]:
    """What stands under the rate of a policy."""
    lines: list[tuple[Inline, Inline]] = [
        (f"{text.number(100 * rate.level)} % interval", text.interval(rate.low, rate.high)),
        ("trials counted", text.count(rate.n)),
        ("void, not counted", text.count(rate.void)),
    ]
    worst = text.void_range(rate)
    if worst is not None:
        lines.append(("rate if they failed, or succeeded", ", ".join(map(text.percent, worst))))
    if policy.pending:
        lines.append(("await a judgement, not counted", text.count(policy.pending)))
    mistakes = sum(one.count for one in policy.mistakes)
    if mistakes:
        lines.append(("failed by a mistake of its own", f"{text.count(mistakes)} of {text.count(policy.success.n)}"))
    if progress:
        lines.append(("success rate", rate_phrase(policy.success)))
    elif policy.progress is not None:
        lines.append(("mean progress", rate_phrase(policy.progress)))
    if policy.behaviour:
        lines.append(("its answers", ", ".join(policy.behaviour)))
    return lines


def _rates(data: ReportData) -> Section:
    progress = data.outcome == "progress"
    blocks: list[Block] = []
    if any(policy.tasks for policy in data.policies):
        drawn = draw_at_widths("rates", lambda width: figures.rates_by_task(data.policies, data.outcome, width))
        rule = f" ({data.rule})" if data.rule else ""
        what = "mean progress of counted trials" if progress else "share of counted trials that succeeded"
        said = [f"Dot: {what}{rule}. Bar: its interval. Void trials are not counted"]
        if any(policy.rate(data.outcome).void for policy in data.policies):
            said.append("; pale band: the rate if all of them had failed, and if all had succeeded")
        doubtful = [p for p in data.policies if p.unverified]
        names = "; ".join(f"{p.name}, {text.mark(p.unverified)}" for p in doubtful)
        said.append(f". Hollow dot and question mark: {names}." if doubtful else ".")
        blocks.append(Drawing(drawn, "".join(said)))
    title = "Mean progress by task" if progress else "Success by task"
    return Section(anchor="success", title=title, blocks=tuple(blocks))


def _films(data: ReportData) -> Section:
    several = any(len(case.films) > 1 for case in data.films)
    title = "The same cases, side by side" if several else "What happened"
    blocks = (Films(tuple(reel_of(data, case) for case in data.films)),) if data.films else ()
    return Section(anchor="videos", title=title, nav="Videos", blocks=blocks)


def _evidence(data: ReportData) -> Section:
    if data.verdict is None:
        return Section(anchor="evidence", title="Evidence", blocks=())
    pair = data.names[:2] if len(data.names) > 1 else ["first", "second"]
    if isinstance(data.verdict, Verdict):
        blocks = _walk(data, data.verdict, (pair[0], pair[1]), "evidence") + _quoted(data, data.verdict)
    else:
        blocks = [_pairs(data)]
        for number, one in enumerate(p for p in data.verdict.pairs if p.verdict.evidence):
            walk = _walk(data, one.verdict, (one.first, one.second), f"evidence-{number}")
            blocks.append(Details(f"{one.first} and {one.second}", tuple(walk)))
    title = "Evidence of progress" if data.outcome == "progress" else "Evidence"
    return Section(anchor="evidence", title=title, nav="Evidence", blocks=tuple(blocks))


def _walk(data: ReportData, verdict: Verdict, names: tuple[str, str], anchor: str) -> list[Block]:
    """The running evidence of two policies, with what moves it."""
    if not verdict.evidence:
        return []
    alpha = f"the chance of deciding where there is no difference is at most α = {text.number(verdict.alpha)}"
    if data.outcome == "progress":
        lead = f"Each case moves the line by the difference in progress. Above the dashed line it is decided: {alpha}."
    else:
        lead = (
            "Only cases on which the policies differ move the line. The test decides when the line reaches a coloured "
            f"region; there is none where no lead could decide yet. Over the whole walk, {alpha}."
        )
    labels = (flagged(names[0], data.unverified(names[0])), flagged(names[1], data.unverified(names[1])))
    voids = [void for void in data.voids if void.policy in names]
    drawn = draw_at_widths(anchor, lambda width: figures.running_evidence(verdict, labels, voids, width))
    rule = f" ({data.rule})" if data.rule else ""
    caption = f"{verdict.method}: {verdict.n} paired cases, {verdict.discordant} discordant{rule}."
    return [Paragraph(lead, "lead"), Drawing(drawn, caption)]


def _quoted(data: ReportData, verdict: Verdict) -> list[Block]:
    if not verdict.estimates:
        return []
    marks = {name: data.unverified(name) for name in data.names}
    rows: list[tuple[Inline, ...]] = []
    for name, item in verdict.estimates.items():
        owner = next((policy for policy in marks if name == policy or name.startswith(f"{policy}, void")), None)
        of = [reason for policy in marks if owner in (None, policy) for reason in marks[policy]]
        small = (f"{item.method}, {text.number(100 * item.level)} %", *([text.mark(of)] if of else []))
        known = item.low is not None and item.high is not None
        ends = f"{text.number(item.low)} to {text.number(item.high)}" if known else "no interval"
        value = Phrase(text=text.number(item.value), small=(ends,))
        rows.append((Phrase(text=name, small=small), value, text.count(item.n), text.count(item.void)))
    columns = ("what", num("value"), num("n"), num("void"))
    title = "Numbers the verdict quotes"
    return [Heading(title), Rows(caption=title, columns=columns, rows=tuple(rows), kind="stack")]


def _pairs(data: ReportData) -> Rows:
    """What may be said of every pair of several policies."""
    rows: list[tuple[Inline, ...]] = []
    for one in () if data.verdict is None or isinstance(data.verdict, Verdict) else data.verdict.pairs:
        v = one.verdict
        better = {"first is better": one.first, "second is better": one.second}.get(v.decision)
        marks = tuple(f"{n}: {text.mark(data.unverified(n))}" for n in (one.first, one.second) if data.unverified(n))
        claim = f"{better} is better" if better else v.decision
        rows.append(
            (
                f"{one.first} and {one.second}",
                Phrase(text=claim, small=marks, kind="good" if better else "muted"),
                estimate_phrase(v.estimates.get("difference"), none=text.MISSING),
                text.MISSING if v.p_value is None else text.number(v.p_value, 2),
                text.count(v.n),
                text.count(v.discordant),
                text.MISSING if v.needed is None else text.count(v.needed),
            )
        )
    counts = map(num, ("p", "cases", "discordant", "more to decide"))
    columns: tuple[str | Head, ...] = ("pair", "what may be claimed", "difference", *counts)
    return Rows(caption="Every pair of policies", columns=columns, rows=tuple(rows), kind="stack")


def _measures(data: ReportData) -> Section:
    named = [(policy, policy.measures) for policy in data.policies if policy.measures]
    return Section(
        anchor="damage",
        title="What would have broken",
        nav="Damage",
        lead="Measured in every trial, successful or not. What was not measured says so; it is not "
        f"zero.{_how(named)}",
        blocks=(_measure_rows(named, "Damage by policy"),) if named else (),
    )


def _steps(data: ReportData) -> Section:
    named = [(policy, policy.steps) for policy in data.policies if policy.steps]
    return Section(
        anchor="steps",
        title="Steps that were clipped, held or late",
        nav="Steps",
        lead="Control steps of a trial whose action was clipped to its range, that held still while the policy "
        f"thought, or that came later than the rate allows.{_how(named)}",
        blocks=(_measure_rows(named, "Control steps by policy"),) if named else (),
    )


_Summaries = Sequence[tuple[PolicyResult, Sequence[MeasureSummary]]]


def _how(named: _Summaries) -> str:
    """How the intervals were computed, each method once."""
    estimates = [e for _, summaries in named for s in summaries for e in (s.share, s.median) if e is not None]
    methods = dict.fromkeys(f"{e.method}, {text.number(100 * e.level)} %" for e in estimates)
    return f" Intervals: {'; '.join(methods)}." if methods else ""


def _measure_rows(named: _Summaries, caption: str) -> Rows:
    """One row a measure, one column a policy."""
    order = dict.fromkeys((one.name, one.unit) for _, summaries in named for one in summaries)
    own = [({(s.name, s.unit): s for s in summaries}, policy) for policy, summaries in named]
    rows: list[tuple[Inline, ...]] = [
        (
            Phrase(text=name, small=(_unit(unit),)),
            *(_measured(summaries.get((name, unit)), policy) for summaries, policy in own),
        )
        for name, unit in order
    ]
    return Rows(
        caption=caption, columns=("measure", *(policy.name for policy, _ in named)), rows=tuple(rows), kind="stack"
    )


def _unit(unit: str) -> str:
    return {"bool": "share of trials", "step": "steps per trial", "1": "median of trials"}.get(unit, f"median, {unit}")


def _measured(summary: MeasureSummary | None, policy: PolicyResult) -> Phrase:
    if summary is None or not summary.measured:
        return Phrase(text="not measured", kind="none")
    small: list[str] = []
    unit = {"step": " steps", "1": "", "bool": ""}.get(summary.unit, f" {summary.unit}")
    large = ""
    if summary.median is not None:
        e = summary.median
        large = f"{text.number(e.value)}{unit}"
        ends = "no interval" if e.low is None else f"{text.number(e.low)} to {text.number(e.high)}"
        small += [ends, f"at most {text.number(summary.largest)}"]
    if summary.share is not None and summary.kind == "count":
        small.append(f"any in {text.percent(summary.share.value)} of trials")
    elif summary.share is not None:
        large = text.percent(summary.share.value)
        small.append(text.interval(summary.share.low, summary.share.high))
    small.append(f"n = {text.count(summary.measured)}")
    small += [f"not measured in {text.count(summary.missing)}"] if summary.missing else []
    small += [text.mark(policy.unverified)] if policy.unverified else []
    return Phrase(text=large, small=tuple(small))


def _datasets(data: ReportData) -> Section:
    cards = tuple(_dataset(data, dataset) for dataset in data.datasets)
    blocks = (Cards(cards, "row"),) if cards else ()
    return Section(anchor="data", title="What the data sets hold", nav="Data", blocks=blocks)


def _dataset(data: ReportData, dataset: DatasetSummary) -> Card:
    amount, unit = text.duration(dataset.hours)
    sizes = (
        (text.count(dataset.episodes), "episodes"),
        (text.count(dataset.frames), "frames"),
        (amount, unit),
    )
    lines: list[tuple[Inline, Inline]] = []
    for source in dataset.sources:
        parents = "" if source.parents is None else f" from {text.count(source.parents)} parents"
        lines.append((source.kind, f"{text.count(source.episodes)}{parents}"))
    if dataset.generation is not None:
        how = Phrase(text="generation kept", small=(data.rule or "success rule not given", dataset.generation.method))
        lines.append((how, rate_phrase(dataset.generation)))
    for camera in dataset.cameras:
        rate = f", {text.number(dataset.fps)} Hz" if dataset.fps else ""
        codec = f", {camera.codec}" if camera.codec else ""
        lines.append((f"camera {camera.name}", f"{camera.width} × {camera.height}{rate}{codec}"))
    blocks: list[Block] = [Tiles(sizes), NamedValues(tuple(lines), roomy=True)]
    if dataset.used_by:
        blocks.insert(0, Paragraph(f"trained {', '.join(dataset.used_by)}", "muted"))
    if dataset.tasks:
        table = Numbers(table=dataset_table([dataset]), caption=f"Episodes of {dataset.name} by task")
        blocks.append(Details("Episodes by task", (table,)))
    blocks += [
        Picture(data_uri(strip.png, "image/png"), f"Frames of an episode: {strip.caption}", strip.caption)
        for strip in dataset.film_strips
    ]
    return Card(title=dataset.name, blocks=tuple(blocks))


def _training(data: ReportData) -> Section:
    blocks: list[Block] = []
    curves = [curve for curve in data.training if curve.steps]
    if curves:
        drawn = draw_at_widths("loss", lambda width: figures.loss_curves(curves, data.names, width))
        said = "Training loss of each policy. Losses of policies that saw different data do not rank the policies; "
        blocks.append(Drawing(drawn, f"{said}trials do."))
    settings = settings_table({curve.policy: curve.settings for curve in data.training})
    if settings.rows:
        blocks.append(Heading("Settings"))
        if len(settings.columns) > 2:
            blocks.append(Paragraph("Bold rows differ between the policies.", "muted"))
        blocks.append(Numbers(table=settings, caption="Settings", differ=True, quiet=True))
    return Section(anchor="training", title="Training", blocks=tuple(blocks))


def _method(data: ReportData) -> tuple[Block, ...]:
    """Sentences on how it was done, and who was tried where, by content."""
    rows: list[tuple[Inline, ...]] = []
    for policy in data.policies:
        if policy.identity is not None or policy.behaviour:
            answers = Phrase(text=", ".join(policy.behaviour), small=tuple(_ANSWERS[b] for b in policy.behaviour))
            rows.append((Phrase(text=policy.name), *_content(policy.identity), answers if policy.behaviour else ""))
    for world in dict.fromkeys(policy.world for policy in data.policies if policy.world is not None):
        rows.append((Phrase(text=world.name, small=("world",)), *_content(world), ""))
    table = Rows(
        caption="Who was tried, by content", columns=("who", "content", "answers"), rows=tuple(rows), kind="stack"
    )
    said = tuple(Paragraph(line, "what") for line in data.method)
    return (*said, table) if rows else said


def _content(identity: Identity | None) -> tuple[Phrase]:
    if identity is None:
        return (Phrase(text="not known", kind="none"),)
    marks = (text.mark(identity.unverified),) if identity.unverified else ()
    return (Phrase(text=identity.digest, code=True, small=marks),)


def _rollout(data: ReportData) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {"judged by": data.referee} if data.referee else {}
    if data.rollout is None:
        return facts
    r = data.rollout
    return {
        **facts,
        "may end an episode": r.watch or "nobody",
        "horizon, steps": r.horizon,
        "rate, Hz": r.rate_hz,
        "pace": r.pace,
        "rows executed of a chunk": "all, or as the policy says" if r.execute is None else r.execute,
        "thinking time passes in the world": r.latency,
    }


def _design(data: ReportData) -> dict[str, Scalar]:
    if data.design is None:
        return {}
    d = data.design
    own = {"threshold": d.threshold, "indifference": d.margin}
    return {
        "design": d.kind,
        **{name: value for name, value in own.items() if value is not None},
        "compared": {"success": "successes", "progress": "progress"}[d.outcome],
        "most cases": d.budget,
        "alpha": d.alpha,
        "fewest cases": d.min_cases,
        "stops when decided": d.sequential,
    }
