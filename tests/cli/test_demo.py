"""The whole job in one command, small: state inputs, few demonstrations, a short comparison; then again."""

import json
from pathlib import Path

from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.dataset import Dataset


def test_demo_from_demonstrations_to_report_and_again(tmp_path: Path):
    words = ["demo", "--out", str(tmp_path / "demo"), "--tasks", "push-v3,reach-v3", "--demonstrations", "2"]
    words += ["--grown", "4", "--inputs", "state", "--steps", "40", "--budget", "6", "--json"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout)
    assert result["verdict"]["n"] >= 1 and "A" in result["verdict"]["sentence"]

    recorded, grown = Dataset(tmp_path / "demo" / "recorded"), Dataset(tmp_path / "demo" / "grown")
    assert (len(recorded.episodes), len(grown.episodes)) == (4, 8)
    parents = {e.id for e in recorded.episodes}
    assert all(set(e.provenance.parents) <= parents and e.provenance.parents for e in grown.episodes)
    assert all(e.outcome.status == "success" for e in grown.episodes)
    seeds = {e.provenance.seed for e in [*recorded.episodes, *grown.episodes]}
    assert len(seeds) == 12

    page = (tmp_path / "demo" / "report.html").read_text()
    assert "data:video/mp4" in page and "roboscale demo --out" in page.replace("<span>", "").replace("</span>", "")
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page.split("<body")[0]

    again = CliRunner().invoke(app, words)
    assert json.loads(again.stdout)["verdict"] == result["verdict"]
    assert len(Dataset(tmp_path / "demo" / "grown").episodes) == 8
