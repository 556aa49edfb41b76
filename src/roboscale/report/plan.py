"""What to collect next, as one offline page and as text: curves by source, a back-test, the next hour's value.

Takes finished fits and decisions. Where the data cannot say, it says so and names the experiment that would tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from roboscale.core.plain import OMITTED, Plain
from roboscale.report import text
from roboscale.report.blocks import Block, Drawing, Heading, Inline, Listing, Paragraph, Phrase, Rows, num
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.plan_figures import (
    BackTest,
    Curve,
    back_test_figure,
    curve_figure,
    measured_rate,
    predicted_band,
)
from roboscale.report.terminal import text_table, wrapped
from roboscale.stats.decide import SourceDecision, SourceOption

__all__ = ["PlanAnswer", "PlanData", "answer_more", "plan_page", "plan_text"]


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """One sentence of the answer.

    Args:
        sentence: what may be said.
        experiment: where the data cannot say, what would tell.
        known: whether the data could say.
    """

    sentence: str
    experiment: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanData(Plain):
    """Everything a plan shows.

    Args:
        answers: most important first; the first is the headline.
        curves: one for each task and source.
        decisions: task -> where the budget buys most on it.
        costs: source -> cost of one `unit` of it, in `currency`.
        unit: what an amount of a source is counted in.
        level: of the bands and whiskers.
        method: further sentences on how it was done.
        sources: names of what was read.
        command: the command line that makes this page; `None` where it was made from Python.
        notes: what was dropped, guessed, reused or assumed.
    """

    answers: tuple[PlanAnswer, ...]
    curves: tuple[Curve, ...] = field(default=(), metadata=OMITTED)
    decisions: Mapping[str, SourceDecision] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    unit: str = "hours"
    currency: str = ""
    level: float = 0.9
    method: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    command: str | None = None
    notes: tuple[str, ...] = ()
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    title: str = "What to collect next"

    def to_json(self) -> dict[str, Any]:
        """By its fields, and each curve with its rates at this level."""
        return Plain.to_json(self) | {"curves": [_curve_json(curve, self.level) for curve in self.curves]}


def answer_more(curve: Curve, more: float, level: float = 0.9, trials: int = 50) -> PlanAnswer:
    """What so much more of a curve's source would bring, from the largest measured amount on.

    Args:
        more: additional amount, in the unit of the curve.
        trials: rollouts of the experiment that would tell.
    """
    fit, task = curve.fit, f" of {curve.task}" if curve.task else ""
    now = max(fit.amounts, default=0.0)
    before, after = (fit.predict(now, level), fit.predict(now + more, level)) if now else (None, None)
    if before is None or after is None or before.value is None or after.value is None:
        reason = fit.why_not(now + more) if now + more > 0 else "the data cannot say"
        experiment = fit.what_would_tell(None, trials)[0].sentence
        return PlanAnswer(f"{curve.source}{task}: {reason}.", f"{experiment}.", known=False)
    what = f"Collect {text.number(more)} more {fit.unit}{task} by {curve.source}"
    rise = f"expected success {_rate(before.value)} to {_rate(after.value)} [{_rate(after.low)}, {_rate(after.high)}]"
    return PlanAnswer(f"{what}: {rise} at {text.number(100 * level)} %.")


def plan_page(plan: PlanData) -> str:
    """The plan as one HTML document that makes no request; strings may hold anything, they are escaped."""
    first, rest = _headline(plan)
    claim, stop, more = text.full_stop(first.sentence).partition(". ")
    tell = f"What would tell: {first.experiment}" if first.experiment else ""
    page = Page(
        title=plan.title,
        kind="plan",
        headline=Headline(
            tag="the data say" if first.known else "the data cannot say",
            kind="good" if first.known else "open",
            sentence=claim + stop.strip(),
            small=" ".join(part for part in (more, tell) if part),
            details=tuple(_details(plan)),
        ),
        sections=(_answers(rest), _next(plan, first), _curves(plan), _tested(plan)),
        data=plan.to_json(),
        command=plan.command,
        created=plan.created,
        versions=plan.versions,
        sources=plan.sources,
        notes=plan.notes,
        method=tuple(Paragraph(line, "what") for line in _methods(plan)),
    )
    return render_page(page)


def _answers(answers: Sequence[PlanAnswer]) -> Section:
    items: list[Inline] = []
    for answer in answers:
        small = (f"What would tell: {text.full_stop(answer.experiment)}",) if answer.experiment else ()
        items.append(Phrase(text=text.full_stop(answer.sentence), small=small))
    return Section(anchor="answers", title="Answers", blocks=(Listing(tuple(items)),) if items else ())


def _next(plan: PlanData, first: PlanAnswer) -> Section:
    """What the budget buys from each source, task by task."""
    cost = f"cost each, {plan.currency}" if plan.currency else "cost each"
    columns = ("source", num(cost), num(f"{plan.unit} bought"), "success after", "points each", num("chance best"))
    blocks: list[Block] = []
    for task, decision in plan.decisions.items():
        blocks += [Heading(task)] if task else []
        if decision.sentence not in first.sentence:
            blocks.append(Paragraph(text.full_stop(decision.sentence), "what"))
        rows: list[tuple[Inline, ...]] = [
            (source, price, amount, _with_range(success, limits), _with_range(points, range_), best)
            for source, price, amount, success, limits, points, range_, best in _option_rows(decision, plan)
        ]
        caption = "What the budget buys from each source"
        blocks.append(Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack"))
        experiments = [experiment.sentence for experiment in decision.experiments]
        for title, lines in (("The decision would change", decision.would_change), ("What would tell", experiments)):
            blocks += [Heading(title), Listing(tuple(map(text.full_stop, lines)))] if lines else []
    return Section(anchor="next", title=f"The next {plan.unit}", blocks=tuple(blocks))


def _with_range(value: str, limits: str) -> Phrase:
    return Phrase(text=value, small=(limits,)) if limits else Phrase(text=value, kind="none")


def _curves(plan: PlanData) -> Section:
    """A figure for each task, in the order of first mention."""
    order = list(dict.fromkeys(curve.source for curve in plan.curves))
    caption = _CURVES.format(level=text.number(100 * plan.level))
    blocks: list[Block] = []
    for number, task in enumerate(dict.fromkeys(curve.task for curve in plan.curves)):
        curves = [curve for curve in plan.curves if curve.task == task]
        bands = {curve.source: predicted_band(curve.fit, plan.level) for curve in curves}
        draw = partial(curve_figure, curves, bands, order, plan.level)
        blocks += [Heading(task)] if task else []
        blocks.append(Drawing(draw_at_widths(f"curve-{number}", draw), caption))
    return Section(anchor="curves", title="Success against data", blocks=tuple(blocks))


def _tested(plan: PlanData) -> Section:
    blocks: tuple[Block, ...] = ()
    if any(curve.back_test for curve in plan.curves):
        caption = "Band: interval predicted from the smaller amounts, its middle marked. Dot: then measured."
        drawn = draw_at_widths("back-test", lambda width: back_test_figure(plan.curves, width))
        blocks = (Drawing(drawn, caption),)
    lead = _back_test_sentence(plan.curves)
    return Section(anchor="tested", title="Predicted, then measured", lead=lead, blocks=blocks)


def plan_text(plan: PlanData) -> str:
    """The plan for a terminal: answers, the value of the next hour by source, and the back-test."""
    first, rest = _headline(plan)
    lines = [*wrapped(plan.title), ""]
    for answer in (first, *rest):
        lines += wrapped(text.full_stop(answer.sentence))
        lines += wrapped(text.full_stop(f"What would tell: {answer.experiment}"), "  ") if answer.experiment else []
    for task, decision in plan.decisions.items():
        lines += _decision_lines(task, decision, plan)
    lines += _back_test_lines(plan.curves)
    for line in (*_methods(plan), *map(text.full_stop, plan.notes)):
        lines += ["", *wrapped(line)]
    return "\n".join(lines) + "\n"


def _decision_lines(task: str, decision: SourceDecision, plan: PlanData) -> list[str]:
    columns = ("source", "cost", plan.unit, "success after", "interval", "points each", "interval", "chance best")
    sentence = text.full_stop(f"{task}: {decision.sentence}" if task else decision.sentence)
    lines = ["", *wrapped(sentence), "", *text_table(columns, _option_rows(decision, plan), right=(1, 2, 3, 5, 7))]
    changes = [text.full_stop(change) for change in decision.would_change]
    return [*lines, *(line for change in changes for line in wrapped(change, "  "))]


def _back_test_lines(curves: Sequence[Curve]) -> list[str]:
    tested = [(curve, curve.back_test) for curve in curves if curve.back_test]
    if not tested:
        return []
    rows = [(c.task, c.source, text.number(t.n), *_test_cells(t)) for c, t in tested]
    columns = ("task", "source", "amount", "predicted", "interval", "measured", "held")
    return ["", *wrapped(_back_test_sentence(curves)), "", *text_table(columns, rows, right=(2, 3, 5))]


_CURVES = (
    "Points: measured success with {level} % intervals. Line and band: what the fit expects of a policy trained anew, "
    "with its {level} % interval; dashed in the grey part, where nothing was measured. Sources with the same amount "
    "stand beside each other."
)


def _rate(value: float | None) -> str:
    return "open" if value is None else f"{value:.2f}"


def _headline(plan: PlanData) -> tuple[PlanAnswer, tuple[PlanAnswer, ...]]:
    """The first answer, and the others."""
    if plan.answers:
        return plan.answers[0], plan.answers[1:]
    return PlanAnswer("The data cannot say: there is no curve to read.", known=False), ()


def _details(plan: PlanData) -> list[str]:
    tasks = {curve.task for curve in plan.curves}
    points = sum(len(curve.fit.points) for curve in plan.curves)
    trials = sum(curve.fit.trials for curve in plan.curves)
    return [
        text.plural(len(tasks), "task"),
        text.plural(len({curve.source for curve in plan.curves}), "source"),
        f"{text.count(points)} trained and tried",
        text.plural(trials, "trial"),
    ]


def _option_rows(decision: SourceDecision, plan: PlanData) -> list[list[str]]:
    """Source, cost, amount that the budget buys, success after, its interval, points per unit, interval, best."""
    return [
        [
            option.source,
            text.number(plan.costs.get(option.source)),
            text.number(option.hours),
            text.percent(option.success.value) if option.success.value is not None else "cannot say",
            text.interval(option.success.low, option.success.high) if option.success.value is not None else "",
            *_points_each(option),
            f"{option.probability_best:.2f}" if option.gain.value is not None else text.MISSING,
        ]
        for option in decision.options
    ]


def _points_each(option: SourceOption) -> tuple[str, str]:
    """Points of success that one unit of the source brings on average over the budget, and its interval."""
    gain = option.gain
    if gain.value is None or not option.hours:
        return "cannot say", ""
    low, high = (None if end is None else 100 * end / option.hours for end in (gain.low, gain.high))
    return text.signed(100 * gain.value / option.hours), text.bounds(low, high)


def _test_cells(test: BackTest) -> tuple[str, str, str, str]:
    predicted = test.predicted
    said = "cannot say" if predicted.value is None else text.percent(predicted.value)
    held = {True: "yes", False: "no", None: text.MISSING}[test.held]
    return said, text.interval(predicted.low, predicted.high), text.percent(test.measured.value), held


def _back_test_sentence(curves: Sequence[Curve]) -> str:
    tests = [curve.back_test for curve in curves if curve.back_test]
    held = [test.held for test in tests if test.held is not None]
    pairs = [(test.predicted.value, test.measured.value) for test in tests]
    errors = [abs(p - m) for p, m in pairs if p is not None and m is not None]
    if not held or not errors:
        return "No prediction could be made before the largest amount was measured."
    said = f"{sum(held)} of {len(held)} predicted intervals held what was then measured"
    said += f"; the middle was off by {text.number(100 * sum(errors) / len(errors), 2)} points on average."
    missing = len(tests) - len(held)
    return said + (f" {text.count(missing)} more could not be predicted." if missing else "")


def _methods(plan: PlanData) -> list[str]:
    known = [curve.fit.exponent.method for curve in plan.curves if curve.fit.exponent.value is not None]
    known += [o.gain.method for d in plan.decisions.values() for o in d.options if o.gain.value is not None]
    fits = [f"Fits: {'; '.join(dict.fromkeys(known))}."] if known else []
    return [*fits, *plan.method]


def _curve_json(curve: Curve, level: float) -> dict[str, Any]:
    fit, test = curve.fit, curve.back_test
    return {
        "task": curve.task,
        "source": curve.source,
        "unit": fit.unit,
        "points": [
            {"amount": p.n, "successes": p.k, "trials": p.trials, **measured_rate(p, level).to_json()}
            for p in fit.points
        ],
        "forms": dict(fit.forms),
        "exponent": fit.exponent.to_json(),
        "floor": fit.floor.to_json(),
        "prior": fit.prior.source,
        "back_test": None
        if test is None
        else {"amount": test.n, "predicted": test.predicted.to_json(), "measured": test.measured.to_json()},
    }
