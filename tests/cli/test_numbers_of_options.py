"""What is typed for numbers and choices: an error says what was found, and words that make no sense end with 2."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app, parse
from roboscale.jobs.check import CheckResults, check_results
from roboscale.jobs.power import SizeComparison, size_comparison


def outcome(*words: str) -> tuple[int, str]:
    """Exit code and all that was said, as one line without frames."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("power", "--from", "x", "--to", ".7"), "'--from': expected a number of at least 0 and at most 1, found 'x'"),
        (("power", "--from", "nan", "--to", ".7"), "'--from': expected a number .* found 'nan'"),
        (("power", "--from", "1,5", "--to", ".7"), "found '1,5'"),
        (("power", "--from", ".6", "--to", ".7", "--trials", "1e3"), "'--trials': expected a whole .* found '1e3'"),
        (("count", "1/2", "2/2", "--level", "95"), "'--level': expected .* found '95' .percent is written 95%."),
        (("count", "-3/20", "17/20"), "expected counts of at least 0 such as 3/20, found '-3/20'"),
        (("count", "A=-3/20", "17/20"), "'A=-3/20': expected SUCCESSES/TRIALS"),
        (("rank", "a.csv", "--by", "foo"), "unknown --by 'foo'; valid: auto, preference"),
        (("rank", "a.csv", "--paired", "--independent"), "--paired and --independent contradict each other"),
        (("rank", "a.csv", "--column", "scene=x"), "scene is a name of case columns"),
        (
            ("rank", "a.csv", "--column", "success=x", "--column", "success=y"),
            "expected one column, found 'x' and 'y'",
        ),
        (("rank", "A="), "expected PATH or NAME=PATH, found 'A='"),
        (("check", "--column", "scene=x"), "unknown role of --column 'scene'"),
    ],
)
def test_words_that_make_no_sense_are_named_and_end_with_2(words: tuple[str, ...], said: str):
    code, text = outcome(*words)
    assert code == 2 and re.search(said, text), text


@pytest.mark.parametrize(("typed", "value"), [("60%", 0.6), ("0,6", 0.6), (".6", 0.6), ("60 %", 0.6), ("1", 1.0)])
def test_a_share_may_be_percent_or_have_a_comma(typed: str, value: float):
    asked = parse(["power", "--from", typed, "--to", "0,75"])
    assert isinstance(asked, SizeComparison) and asked.first == value and asked.second == 0.75
    assert parse(asked.to_args()) == asked


def test_percent_is_no_number_of_what_is_no_share():
    code, text = outcome("plan", "a.csv", "--budget", "60%")
    assert code == 2 and "found '60%'" in text


def test_rates_that_hardly_differ_are_told_apart():
    assert size_comparison(0.6, 0.60001).lines[0].startswith("From 0.6 to 0.60001, ")
    assert size_comparison(0.6, 0.75).lines[0].startswith("From 0.6 to 0.75, ")


def test_counts_beside_paired_trials_say_which_file_keeps_which_from_pairs(tmp_path: Path):
    (tmp_path / "counts.csv").write_text("policy,task,successes,trials\nold,x,12,20\nnew,x,17,20\n")
    rows = "".join(f"{p},y,{k},{int(k < n)}\n" for p, n in (("old", 13), ("new", 16)) for k in range(11, 19))
    (tmp_path / "paired.csv").write_text(f"policy,task,seed,success\n{rows}")
    done = check_results(CheckResults(folder=tmp_path))
    words = "counts.csv has counts, of which no trial is known by itself; so paired.csv, which would say it, is not"
    assert any(words in note for note in done.notes), done.notes
