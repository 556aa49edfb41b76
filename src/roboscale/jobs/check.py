"""Whether the newest policy of a folder got better or worse, task by task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.extras import require_packages
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Html
from roboscale.jobs.reading_options import TableRequest
from roboscale.jobs.request import Argument, Option

if TYPE_CHECKING:
    from roboscale.core import Outcomes
    from roboscale.jobs.evaluation_files import Age, FoundFiles
    from roboscale.stats.checkup import TaskCheck, TaskChecks

__all__ = ["CheckResults", "CheckedResults", "check_results"]

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResults(TableRequest):
    """Asks what the newest policy of a folder does better or worse than the one before it.

    Args:
        candidate: another policy than the newest.
    """

    words: ClassVar[tuple[str, ...]] = ("check",)

    folder: Annotated[Path, Argument("Where the evaluation files are; below it, all of them.")] = Path()
    candidate: Annotated[str, Option("The policy in question; default: the newest.")] = ""
    alpha: Annotated[float, Option("Probability of even one false claim.", min=1e-6, max=0.5)] = 0.05
    html: Html = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedResults:
    """What the candidate does, task by task; prints as text.

    Args:
        checks: every task with its verdict.
        outcome: what was compared: success or progress.
        order: policies, oldest first, the candidate last.
        ages: how new each is.
        files: how many files were read, and path -> why others could not be.
        trials, void: how many were counted, and how many were not.
        unseen: what this could not see, a sentence each.
        notes: what was assumed.
    """

    checks: TaskChecks
    outcome: str
    order: tuple[str, ...]
    ages: Mapping[str, Age]
    files: int
    refused: Mapping[Path, str]
    trials: int
    void: int
    alpha: float
    unseen: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def sentence(self) -> str:
        """The candidate, what it is held against, and how many tasks got better or worse."""
        checks = self.checks
        against = Counter(check.before for check in checks.checks)
        names = " and ".join(f"{name} ({count})" if len(against) > 1 else name for name, count in against.items())
        words = [f"{checks.count(verdict)} {verdict}" for verdict in ("worse", "suspect", "held", "improved")]
        tasks = f"{len(checks.checks)} task{'s' if len(checks.checks) != 1 else ''}"
        return f"{checks.candidate} against {names}: {', '.join(words)} of {tasks}"

    @property
    def meanings(self) -> str:
        """What the four words mean, here."""
        return MEANINGS.format(alpha=self.alpha, level=round(100 * (1 - self.alpha), 6))

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        from roboscale.report.terminal import text_table, wrapped

        columns = ("", "task", "before", "now", "difference", "interval", "p", "trials", "cases")
        lines = [*wrapped(self.sentence), ""]
        lines += text_table(columns, [_row(check) for check in self.checks.checks], right=(4, 6, 7))
        lines += ["", *wrapped(self.meanings), "", "What this could not see:"]
        lines += [line for said in self.unseen for line in wrapped(f"- {said}", "  ")]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The table of a nightly check: its policies in order of age, its tasks with their stratum in words."""
        json: dict[str, Any] = to_plain(
            {
                "sentence": self.sentence,
                "candidate": self.checks.candidate,
                "outcome": self.outcome,
                "alpha": self.alpha,
                "order": [{"policy": name, **to_plain(self.ages[name])} for name in self.order if name in self.ages],
                "tasks": [_as_json(check) for check in self.checks.checks],
                "not_seen": self.unseen,
                "files": self.files,
                "refused": self.refused,
                "trials": self.trials,
                "void": self.void,
                "assumed": self.notes,
                "methods_used": ["family-wise error by Holm 1979"],
            }
        )
        return json


MEANINGS = (
    "improved, worse: at a family-wise error of {alpha:g} over all tasks (Holm). suspect: lower, as chance would do "
    "in one of ten; try it more. held: no sign of a fall. Intervals are {level:g} %."
)
"""What the four words mean."""


def check_results(
    request: CheckResults | Path | str = Path(), *, on_event: OnEvent = ignore, **asked: Any
) -> CheckedResults:
    """What the newest policy of a folder does better or worse than the one before it, task by task.

    >>> done = check_results("evaluations")
    >>> print(done.sentence)
    new against old: 1 worse, 0 suspect, 1 held, 0 improved of 2 tasks

    Args:
        request: a request, or the folder.
        asked: further fields of `CheckResults`.

    Raises:
        RoboscaleError: no evaluation was found, or of one policy only.
    """
    from roboscale.jobs.evaluation_files import ages_of, find_evaluations
    from roboscale.stats.checkup import check_candidate

    if not isinstance(request, CheckResults):
        request = CheckResults(folder=Path(request), **asked)
    if not request.folder.exists():
        raise RoboscaleError(f"{request.folder}: there is no such folder")
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        on_event(Note(text))

    if request.html is not None:
        require_packages("a page", "matplotlib")
    files = find_evaluations(request.folder, on_event, request.reading_options())
    ages = ages_of(files, request.folder)
    outcomes = _outcomes(files, note)
    order = _order(request, outcomes, ages, note)
    checks = check_candidate(outcomes, order, request.alpha)
    if not checks.checks:
        raise RoboscaleError(f"{checks.candidate}: no other policy was tried on any of its tasks")
    _, counted, void = outcomes.counts()
    done = CheckedResults(
        checks=checks,
        outcome=outcomes.kind,
        order=tuple(order),
        ages=ages,
        files=len(files.sources),
        refused=files.refused,
        trials=int(counted.sum()),
        void=int(void.sum()),
        alpha=request.alpha,
        unseen=tuple(_unseen(checks, outcomes, files)),
        notes=tuple(notes),
    )
    if request.html is not None:
        from roboscale.jobs.check_page import write_check_page

        write_check_page(done, request)
        on_event(Wrote("page", request.html))
    return done


def _outcomes(files: FoundFiles, note: Any) -> Outcomes:
    results = files.results
    kind = results.kinds[0]
    if kind == "progress":
        note("nobody noted success, so means of progress are compared")
    many = "1 file" if len(files.sources) == 1 else f"{len(files.sources):,} files"
    note(f"{many} read; {results.reading.pairing}: {results.reading.case}")
    return results.outcomes(kind)


def _order(request: CheckResults, outcomes: Outcomes, ages: Mapping[str, Age], note: Any) -> list[str]:
    """Policies with counted trials, oldest first, the candidate last; says how the candidate was found."""
    from roboscale.core import UnknownName
    from roboscale.jobs.evaluation_files import natural_order

    tried = outcomes.counts()[1].sum(axis=1) > 0
    names = [name for name, any_ in zip(outcomes.policies, tried, strict=True) if any_]
    # equal times (one table, or a copied folder) leave the order in which they came, or of numbers: step-9, step-10
    numbered = len({re.sub(r"\d+", "#", name) for name in names}) == 1
    names = natural_order(names) if numbered else names
    names.sort(key=lambda name: round(ages[name].time_s) if name in ages else 0.0)
    if request.candidate:
        if request.candidate not in names:
            raise UnknownName("policy", request.candidate, names)
        names.remove(request.candidate)
        return [*names, request.candidate]
    newest = names[-1]
    age = ages.get(newest)
    note(f"candidate: {newest}, the newest policy ({age.text if age else 'by its name'})")
    same = [name for name in names[:-1] if age and name in ages and round(ages[name].time_s) == round(age.time_s)]
    if same:
        verb = "is" if len(same) == 1 else "are"
        how = "by number" if numbered else "in order"
        note(f"{_some(same)} {verb} as new; took the last {how} (--candidate names another)")
    return names


def _unseen(checks: TaskChecks, outcomes: Outcomes, files: FoundFiles) -> list[str]:
    """What the comparison could not see, a sentence each."""
    from roboscale.stats.overall import unit_of

    said = []
    falls = [check.fall for check in checks.checks if check.fall is not None]
    trained = [check for check in checks.checks if check.design == "training runs"]
    blind = [
        check.stratum.text
        for check in checks.checks
        if check.fall is None and outcomes.kind == "success" and check not in trained
    ]
    if falls:
        span = " to ".join(dict.fromkeys(f"{100 * fall:.0f}" for fall in (min(falls), max(falls))))
        said.append(f"Falls of fewer than {span} points, by task: so few trials seldom show them (power .8).")
    if blind:
        said.append(f"Any fall at all on {_some(blind)}: too few trials, or too few successes to lose.")
    if trained:
        said.append("Small falls: training runs are counted, and more trials of the same runs would not show them.")
    if not trained:
        said.append(f"How they were trained: {unit_of(outcomes)}.")
    if checks.first_seen:
        said.append(f"Tasks without an earlier policy: {_some([s.text for s in checks.first_seen])}.")
    if checks.not_tried:
        said.append(f"Tasks that {checks.candidate} was not tried on: {_some([s.text for s in checks.not_tried])}.")
    if checks.others:
        said.append(f"Other policies, which nothing was held against: {_some(list(checks.others))}.")
    void = int(outcomes.counts()[2].sum())
    if void:
        said.append(f"{void} void trials, which are not counted.")
    if files.results.adaptive:
        said.append("That some trials were chosen, or stopped, by what was seen: these tests assume that none was.")
    if files.refused:
        reasons = [f"{path.name} ({reason.splitlines()[0][:80]})" for path, reason in files.refused.items()]
        said.append(f"{len(files.refused)} files that are no evaluation or could not be read: {_some(reasons, 3)}.")
    return said


def _some(names: list[str], most: int = _NAMED) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _row(check: TaskCheck) -> list[str]:
    from roboscale.report import text

    gap = check.difference
    ends = "no interval" if gap.low is None else text.bounds(100 * gap.low, 100 * (gap.high or 0.0), 0)
    return [
        check.verdict,
        check.stratum.text,
        text.percent(check.old.value),
        text.percent(check.new.value),
        text.signed(100 * (gap.value or 0.0), 0),
        ends,
        text.number(check.p_value, 2),
        f"{text.count(check.old.n)}, {text.count(check.new.n)}",
        check.design,
    ]


def _as_json(check: TaskCheck) -> dict[str, Any]:
    return {**to_plain(check), "stratum": {"world": check.stratum.world, "task": check.stratum.task}}
