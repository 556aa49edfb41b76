"""`roboscale count` at the terminal: what it prints, and one clear line for what cannot be."""

import json

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app

runner = CliRunner()


@pytest.mark.parametrize(
    "word, said",
    [
        ("12/0", "'12/0': expected at least one trial, found 0"),
        ("20/12", "'20/12': expected at most as many successes as trials, found 20 of 12"),
        ("a/b", "'a/b': expected SUCCESSES/TRIALS in whole numbers"),
        ("7.5/10", "'7.5/10': expected whole successes; for progress"),
        ("=3/4", "'=3/4': the policy before = has no name"),
        ("12", "'12': expected SUCCESSES/TRIALS"),
    ],
)
def test_what_cannot_be_is_one_line_and_ends_with_2(word: str, said: str):
    result = runner.invoke(app, ["count", "1/2", word])
    assert result.exit_code == 2 and result.stdout == ""
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_a_name_twice_is_an_error():
    result = runner.invoke(app, ["count", "A=1/2", "A=1/3"])
    assert result.exit_code == 2 and "A is 1/2 already" in result.stderr


def test_text_json_and_methods():
    plain = runner.invoke(app, ["count", "12/20", "17/20"])
    assert plain.exit_code == 0 and "+25 points" in plain.stdout
    told = json.loads(runner.invoke(app, ["count", "12/20", "17/20", "--json", "--methods"]).stdout)
    assert told["tasks"][0]["pairs"][0]["decision"] == "no difference shown"
    assert "Clopper-Pearson" in told["methods"]["paragraph"] and "@article{newcombe1998" in told["methods"]["bibtex"]
    assert "methods" not in json.loads(runner.invoke(app, ["count", "12/20", "--json"]).stdout)
