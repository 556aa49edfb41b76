"""What a text or a cell may be that is not understood, and what to do about it: the last words of an error."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

__all__ = ["OTHER_KINDS", "hint_of_cell", "hint_of_text", "row_in_words"]

_DATE = re.compile(
    r"\d{1,2}[-. ](?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*\.?(?:[-. ]\d{2,4})?"
    r"|(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*[-. ]\d{1,2}"
    r"|\d{4}-\d\d-\d\d(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"\s*[-*•]?\s*(?P<name>[^:=|,;\t]{1,60}?)\s*[:=]\s*(?P<counts>\d+\s*/\s*\d+)\b.*")
_KINDS = (
    (re.compile(r"version https://git-lfs\.github\.com"), "a pointer of Git LFS: git lfs pull fetches the file"),
    (re.compile(r"%PDF"), "a PDF: copy its table into a CSV"),
    (re.compile(r"\s*<(?:!doctype|html|\?xml|head|table)", re.IGNORECASE), "a web page: save the table as CSV"),
    (
        re.compile(r"(?s).{0,4000}\\begin\{(?:table|tabular|array)"),
        "LaTeX: copy its rows into a CSV or Markdown",
    ),
)
_LOG = re.compile(r"(?:Success: (?:True|False)|# successes:.*)\s*$", re.MULTILINE)
OTHER_KINDS = tuple(said for _, said in _KINDS)
"""How hints begin for files that are no tables, whatever separates their words."""


def hint_of_text(text: str) -> str:
    """What a file is that has no columns, in its first lines; with what to do where that is clear.

    >>> hint_of_text("ACT: 12/20\\nDP: 17/20\\n")
    "lines such as 'ACT: 12/20', for which there is: roboscale count ACT=12/20 DP=17/20"
    """
    for known, said in _KINDS:
        if known.match(text):
            return f"{said} ({_first(text)!r})"
    if _LOG.search(text):
        return f"a program's log: write a row a trial, with policy, task, seed and success ({_first(text)!r})"
    lines = [line for line in text.splitlines() if line.strip()]
    counts = [match for line in lines[:20] if (match := _COUNTS.fullmatch(line))]
    if counts and len(counts) == len(lines):
        words = shlex.join(f"{m['name'].strip()}={''.join(m['counts'].split())}" for m in counts)
        return f"lines such as {lines[0].strip()[:60]!r}, for which there is: roboscale count {words}"
    blanks = [re.split(r"\s{2,}|\t| ", line.strip()) for line in lines[:20]]
    if len(lines) > 1 and len(blanks[0]) > 1 and len({len(cells) for cells in blanks}) == 1:
        return f"cells separated by blanks: save them with commas or tabs ({_first(text)!r})"
    if re.match(r"[\w .\"'-]+:\s*(?:\n|$)", text.lstrip()) and "\n  " in text:
        return f"what looks like YAML: write it as JSON or CSV ({_first(text)!r})"
    return repr(_first(text))


def hint_of_cell(text: str) -> str:
    """What a cell may be that is no outcome; empty where nothing is known of it.

    >>> hint_of_cell("12-Nov")
    'a date, which a spreadsheet makes of 12/20: format the column as text and type it again'
    """
    if _DATE.fullmatch(text):
        return "a date, which a spreadsheet makes of 12/20: format the column as text and type it again"
    if text.startswith("="):
        return "a formula: save the values"
    if "±" in text or "+-" in text or "+/-" in text:
        return "a mean with its spread: give a column of rates and one of trials, or cells such as 12/20"
    if text.startswith("#") and text.rstrip("!?").isupper():
        return "an error of a spreadsheet"
    if re.fullmatch(r"\d+\s*/\s*\d+\s*[^\w\s]+", text):
        return "counts with a mark behind them: take it away"
    if re.fullmatch(r"\d+[.,]\d+\s*/\s*\d+", text):
        return "points, not successes: one row a trial, with a column progress"
    return ""


def row_in_words(names: Sequence[str], cells: Sequence[str]) -> str:
    """Names of columns and their first row, with a word on the first cell of which something is known."""
    known = next(((n, c, hint) for n, c in zip(names, cells, strict=True) if (hint := hint_of_cell(c))), None)
    said = f"; {known[0]} {known[1]!r} is {known[2]}" if known else ""
    if not said and cells:
        said = f"; the first row: {', '.join(cells)[:80]}"
    return f"{', '.join(names)}{said}"


def _first(text: str) -> str:
    return next((line.strip()[:60] for line in text.splitlines() if line.strip()), "")
