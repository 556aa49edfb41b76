"""Plain counts of successes: what they say, and what they cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import UsageError
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.options import Level
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.core import Estimate
    from roboscale.stats.judged_counts import CountPair, JudgedCounts, OverallPair

__all__ = ["WeighCounts", "WeighedCounts", "parse_counts", "weigh_counts"]

_MOST_PAIRS = 15
_NUMBERS = re.compile(r"\s*(\d+)\s*/\s*(\d+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighCounts(Request):
    """Asks what counts say.

    Args:
        counts: `12/20`, `NAME=12/20`, `TASK:12/20` or `TASK:NAME=12/20`; without names they are A, B ... by place.
        level: of the intervals; 1 - level is the probability of even one false claim.
    """

    words: ClassVar[tuple[str, ...]] = ("count",)

    counts: Annotated[
        tuple[str, ...],
        Argument("Successes of trials, one for each policy: 12/20, NAME=12/20 or TASK:NAME=12/20."),
    ]
    level: Level = 0.95


@dataclass(frozen=True, slots=True)
class WeighedCounts:
    """What counts say; prints as text."""

    judged: JudgedCounts
    level: float

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """For a terminal: every rate and difference with its interval, the test, and what n would tell."""
        from roboscale.report.terminal import wrapped

        lines = [line for task in self.judged.tasks for line in (*_task_lines(task.task, task.rates, task.pairs), "")]
        if self.judged.overall:
            lines += [line for pair in self.judged.overall[:_MOST_PAIRS] for line in wrapped(_overall_line(pair))]
            hidden = len(self.judged.overall) - _MOST_PAIRS
            lines += [*([f"{hidden} more pairs over all tasks: --json has them."] if hidden > 0 else []), ""]
        return lines + [line for said in self.method for line in wrapped(said)]

    @property
    def unit(self) -> str:
        """What plain counts are about."""
        from roboscale.stats.recipes import unit_of_runs

        return unit_of_runs({name: 1 for task in self.judged.tasks for name in task.rates})

    @property
    def method(self) -> tuple[str, ...]:
        """What all numbers rest on, a sentence each."""
        shown = f"{100 * self.level:g} % intervals"
        pairs = [pair for task in self.judged.tasks for pair in task.pairs]
        if not pairs:
            only = next(iter(self.judged.tasks[0].rates.values())).method
            return f"{shown}: {only}.", f"{self.unit[0].upper()}{self.unit[1:]}."
        used = [*(pair.method for pair in pairs), *(pair.method for pair in self.judged.overall)]
        tests = "; ".join(dict.fromkeys(used))
        count = self.judged.comparisons
        family = f", for all {count} pairs and tasks at once (Holm 1979)" if count > 1 else ""
        return (
            f"Independent trials, two-sided: {tests}; alpha {self.judged.alpha:g}{family}. {shown}: Clopper-Pearson, "
            "of differences Newcombe.",
            f"{self.unit[0].upper()}{self.unit[1:]}.",
        )

    def to_json(self) -> dict[str, Any]:
        """The counts' rates and pairs, task by task, and what holds over all tasks."""
        return {
            "level": self.level,
            "alpha": self.judged.alpha,
            "unit": self.unit,
            "tasks": [
                {"task": task.task, "rates": to_plain(task.rates), "pairs": to_plain(task.pairs)}
                for task in self.judged.tasks
            ],
            "overall": to_plain(self.judged.overall),
        }


def weigh_counts(request: WeighCounts | str, *others: str, on_event: OnEvent = ignore, **asked: Any) -> WeighedCounts:
    """What counts of successes say: every rate, every difference, the exact test, and what n would tell.

    >>> done = weigh_counts("12/20", "17/20")
    >>> done.judged.tasks[0].pairs[0].decision
    'no difference shown'

    Args:
        request, others: a request, or the counts themselves.
        asked: fields of `WeighCounts`, e.g. `level`.

    Raises:
        UsageError: a count cannot be understood or cannot be.
    """
    from roboscale.stats.judged_counts import judge_counts

    if isinstance(request, str):
        request = WeighCounts(counts=(request, *others), **asked)
    counts = parse_counts(request.counts)
    for note in _gaps(counts):
        on_event(Note(note))
    return WeighedCounts(judge_counts(counts, request.level), request.level)


def parse_counts(texts: tuple[str, ...]) -> dict[str, dict[str, tuple[int, int]]]:
    """Task -> policy -> (successes, trials); UsageError names the text and what is wrong with it."""
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for text in texts:
        label, sign, numbers = text.rpartition("=")
        if sign:
            task, colon, name = label.partition(":")
            task, name = (task, name) if colon else ("", label)
            if not name.strip():
                raise UsageError(f"{text!r}: the policy before = has no name")
        else:
            task, _, numbers = text.rpartition(":")
            name = ""
        here = counts.setdefault(task.strip(), {})
        name = name.strip() or _letter(len(here))
        if name in here:
            k, n = here[name]
            where = f" on {task.strip()}" if task.strip() else ""
            raise UsageError(
                f"{text!r}: {name}{where} is {k}/{n} already; give each count a name of its own, or add up"
            )
        here[name] = _numbers(text, numbers)
    return counts


def _numbers(text: str, numbers: str) -> tuple[int, int]:
    match = _NUMBERS.fullmatch(numbers)
    if match is None:
        if re.fullmatch(r"\s*\d*\.?\d+\s*/\s*\d+\s*", numbers):
            raise UsageError(
                f"{text!r}: expected whole successes; for progress give `roboscale rank` a table of trials"
            )
        raise UsageError(f"{text!r}: expected SUCCESSES/TRIALS in whole numbers, e.g. 12/20 or NAME=12/20")
    from roboscale.results.values import MOST_TRIALS

    won, tried = int(match[1]), int(match[2])
    if tried == 0:
        raise UsageError(f"{text!r}: expected at least one trial, found 0")
    if tried > MOST_TRIALS:
        raise UsageError(f"{text!r}: expected at most {MOST_TRIALS:,} trials, found {tried:,}")
    if won > tried:
        raise UsageError(f"{text!r}: expected at most as many successes as trials, found {won} of {tried}")
    return won, tried


def _letter(place: int) -> str:
    return ascii_uppercase[place] if place < len(ascii_uppercase) else f"policy {place + 1}"


def _gaps(counts: Mapping[str, Mapping[str, tuple[int, int]]]) -> list[str]:
    """Which policies are missing on a task that others have."""
    names = list(dict.fromkeys(name for policies in counts.values() for name in policies))
    missing = {task: [name for name in names if name not in policies] for task, policies in counts.items()}
    return [f"{task}: no count of {', '.join(gone)}, not compared there" for task, gone in missing.items() if gone]


def _task_lines(task: str, rates: Mapping[str, Estimate], pairs: tuple[CountPair, ...]) -> list[str]:
    from roboscale.report import text
    from roboscale.report.terminal import text_table

    rows = [
        [
            name,
            f"{round((e.value or 0) * e.n)} of {text.count(e.n)}",
            text.percent(e.value),
            text.interval(e.low, e.high),
        ]
        for name, e in rates.items()
    ]
    lines = text_table((task or "policy", "successes", "rate", "interval"), rows, right=(1, 2))
    if not pairs:
        return [*lines, *(line for rate in rates.values() for line in _narrower(rate))]
    decided = [pair for pair in pairs if "better" in pair.decision]
    shown = pairs if len(pairs) <= _MOST_PAIRS else decided[:_MOST_PAIRS]
    lines.append("")
    for pair in shown:
        lines += _pair_lines(pair)
    if len(shown) < len(pairs):
        lines.append(f"{len(decided)} of {len(pairs)} pairs differ; {len(shown)} are shown, --json has all.")
    return lines


def _pair_lines(pair: CountPair) -> list[str]:
    from roboscale.report import text
    from roboscale.report.terminal import wrapped

    gap = pair.difference
    low, high = (text.signed(100 * (end or 0), 0) for end in (gap.low, gap.high))
    said = f"{pair.second} − {pair.first}: {text.signed(100 * (gap.value or 0), 0)} points [{low}, {high}]"
    p = f"p {text.number(pair.p_value, 2)}"
    p += f", {text.number(pair.adjusted, 2)} adjusted" if pair.adjusted != pair.p_value else ""
    if "better" in pair.decision:
        ahead, behind = (pair.second, pair.first) if pair.decision == "second is better" else (pair.first, pair.second)
        return [f"{said}; {ahead} is better than {behind} ({p})"]
    rise = "no rise" if pair.rise is None else f"only a rise of {text.number(100 * pair.rise, 2)} points or more"
    seen = f"{text.count(gap.n)} trials each show {rise} from the lower rate"
    if pair.needed is None:
        more = "the difference is too small to plan for"
    else:
        more = f"about {text.count(pair.needed)} new trials each would show this difference"
    said = f"{said}; not shown to differ ({p}){_beside_zero(gap)}"
    return [*wrapped(said), *wrapped(f"{more}; {seen} (power .8).".capitalize(), "  ")]


def _beside_zero(gap: Estimate) -> str:
    """A reader would take interval or test for wrong."""
    from roboscale.stats.differences import leaves_zero_out

    if not leaves_zero_out(gap):
        return ""
    return ". The interval leaves 0 out, yet it is approximate and of this pair alone; the exact test decides."


def _overall_line(pair: OverallPair) -> str:
    """What may be said over all tasks; where signs differ by task, nothing."""
    from roboscale.report import text

    over = f"Over {len(pair.tasks)} tasks, {pair.second} − {pair.first}"
    if pair.opposite:
        return (
            f"{over}: better on {', '.join(pair.better_on)}, worse on {', '.join(pair.worse_on)}: no overall statement"
        )
    gap = pair.difference
    low, high = (text.signed(100 * (end or 0), 0) for end in (gap.low, gap.high))
    said = f"{over}: {text.signed(100 * (gap.value or 0), 0)} points [{low}, {high}]"
    p = f"adjusted p {text.number(pair.adjusted, 2)}"
    doubt = "" if pair.unequal is None else f"; it is not the same on every task (p {text.number(pair.unequal, 2)})"
    if "better" not in pair.decision:
        return f"{said}; not shown to differ ({p}){doubt}{_beside_zero(gap)}"
    ahead, behind = (pair.second, pair.first) if pair.decision == "second is better" else (pair.first, pair.second)
    return f"{said}; {ahead} is better than {behind} on these tasks ({p}){doubt}"


def _narrower(rate: Estimate) -> list[str]:
    """How many trials would narrow the interval of a single rate."""
    from roboscale.stats.counts import trials_for_width

    assert rate.value is not None and rate.low is not None and rate.high is not None
    half = (rate.high - rate.low) / 2
    wanted = [width for width in (0.1, 0.05) if width < half] or [half / 2]
    told = [f"{trials_for_width(rate.value, w, rate.level)} trials for ±{100 * w:.2g}" for w in wanted]
    return [f"  The interval is ±{100 * half:.0f} points; at this rate it takes about {', '.join(told)}."]
