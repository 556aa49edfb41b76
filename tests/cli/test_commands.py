"""Commands as people run them: in a process of their own, with what they print and how they end."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import RoboscaleError
from roboscale.trials.log import open_log

ROBOSCALE = [sys.executable, "-c", "from roboscale.cli.__main__ import main; main()"]


def run(*words: object, ok: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*ROBOSCALE, *map(str, words)], capture_output=True, text=True, timeout=240, cwd=cwd)
    assert (done.returncode == 0) is ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def here(*words: object) -> Any:
    """The same in this process, where a process of its own is not what is looked at."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, f"{words}: {done.exit_code}\n{done.stdout}\n{done.stderr}\n{done.exception}"
    return done


def statuses(database: Path) -> list[tuple]:
    with open_log(database, read_only=True) as log:
        judged = log.judgements()
        return sorted(
            (t.policy.name, t.case.id, t.attempt, t.end, t.steps, [j.success for j in judged.get(t.id, ())])
            for t in log.trials()
        )


def test_eval_prints_json_and_writes_lerobots_file(tmp_path: Path):
    found = json.loads(
        run(
            "eval", "--policy", "expert", "--tasks", "reach-v3,push-v3", "--trials", 3, "--json", "-o", tmp_path
        ).stdout
    )
    policy = found["policies"]["expert"]
    assert policy["mean_success"]["n"] == 6 and policy["mean_success"]["low"] > 0.5
    assert set(policy["tasks"]) == {"reach-v3", "push-v3"} and found["success_rule"] == "success (first)"
    info = json.loads((tmp_path / "eval_info.json").read_text())
    assert info["overall"]["n_episodes"] == 6 and len(info["per_task"]) == 2
    assert {"python", "metaworld", "mujoco", "roboscale"} <= set(found["versions"])


def test_the_same_command_again_runs_nothing(tmp_path: Path):
    words = ("eval", "--policy", "expert", "--tasks", "reach-v3", "--trials", 3, "--json", "-o", tmp_path)
    first = here(*words)
    before = statuses(tmp_path / "trials.db")
    again, before_that = json.loads(here(*words).stdout), json.loads(first.stdout)
    assert any("found 3 of 3 trials" in note for note in again.pop("notes"))
    ignored = {"run"}
    assert {k: v for k, v in again.items() if k not in ignored} == {
        k: v for k, v in before_that.items() if k not in ignored
    }
    assert statuses(tmp_path / "trials.db") == before


def test_kill_nine_and_the_same_command_give_the_same_trials(tmp_path: Path):
    same = ("--policy", "noisy:expert:0.3", "--tasks", "reach-v3,push-v3", "--trials", 6)
    here("eval", *same, "--workers", 0, "-o", tmp_path / "whole")
    words = (*same, "--workers", 1)
    command = [*ROBOSCALE, "eval", *map(str, words), "-o", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    database = tmp_path / "killed" / "trials.db"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if database.exists() and len(statuses_or_none(database)) >= 3:
            break
        time.sleep(0.02)  # polls what another process writes
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(statuses(database))
    assert 3 <= done < 12
    run("eval", *words, "-o", tmp_path / "killed")
    assert statuses(database) == statuses(tmp_path / "whole" / "trials.db")


def statuses_or_none(database: Path) -> list[tuple]:
    try:
        return statuses(database)
    except RoboscaleError:
        return []  # the tables are not there yet


def test_ctrl_c_says_how_to_go_on(tmp_path: Path):
    command = [*ROBOSCALE, "eval", "--policy", "expert", "--tasks", "all", "--trials", "9", "-o", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(statuses_or_none(tmp_path / "trials.db")) < 2:
        time.sleep(0.02)  # polls what another process writes
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in errors and "Traceback" not in errors
    assert len(statuses(tmp_path / "trials.db")) >= 2


def test_shards_merge_to_the_whole(tmp_path: Path):
    words = ("--policy", "expert", "--tasks", "reach-v3,push-v3", "--trials", 2, "--workers", 0)
    here("eval", *words, "-o", tmp_path / "whole")
    for i in range(2):
        here("eval", *words, "--shard", f"{i}/2", "-o", tmp_path / str(i))
    shards = [tmp_path / str(i) / "trials.db" for i in range(2)]
    merged = json.loads(here("trials", "merge", tmp_path / "all.db", *shards, "--json").stdout)
    assert (merged["added"], merged["total"], merged["runs"]) == (4, 4, 2)
    assert statuses(tmp_path / "all.db") == statuses(tmp_path / "whole" / "trials.db")
    here("trials", "export", tmp_path / "all.db", tmp_path / "eval_info.json")
    assert json.loads((tmp_path / "eval_info.json").read_text())["overall"]["n_success"] == 4


def test_compare_decides_and_report_shows_it(tmp_path: Path):
    few = ("--tasks", "reach-v3", "--horizon", 100, "--budget", 20, "--workers", 2)
    words = ("compare", "constant", "expert", *few, "-o", tmp_path)
    found = json.loads(here(*words, "--json").stdout)
    verdict = found["verdict"]
    assert verdict["decision"] == "second is better" and verdict["n"] < 20
    assert "expert is better than constant" in verdict["sentence"]
    assert json.loads(here(*words, "--json").stdout)["verdict"] == verdict
    page = Path(here("report", tmp_path, "--videos", 1).stdout.strip()).read_text()
    assert verdict["sentence"].split(" (")[0] in page and page.count("data:video/mp4") == 2
    fixed = json.loads(here(*words[:-4], "--workers", 0, "--no-sequential", "-o", tmp_path / "fixed", "--json").stdout)
    assert fixed["verdict"]["n"] == 20 and "Clopper" in fixed["verdict"]["sentence"]


def test_record_and_generate_and_train_and_eval(tmp_path: Path):
    task = ("--tasks", "push-v3", "--workers", 0)
    here("collect", "record", tmp_path / "d", *task, "--episodes", 2)
    made = json.loads(
        here("collect", "generate", tmp_path / "d", tmp_path / "g", *task, "--episodes", 3, "--json").stdout
    )
    assert made["tasks"]["push-v3"]["value"] > 0.3
    here("policy", "train", tmp_path / "g", tmp_path / "p", "--inputs", "state", "--steps", 30)
    found = json.loads(
        here(
            "eval", "--policy", tmp_path / "p", *task, "--horizon", 50, "--trials", 1, "-o", tmp_path / "e", "--json"
        ).stdout
    )
    assert next(iter(found["policies"])) == "p"
    played = here("eval", "--policy", f"replay:{tmp_path / 'd'}", *task, "--trials", 1, "-o", tmp_path / "r", "--json")
    assert json.loads(played.stdout)["policies"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", "--policy", "expert", "--tasks", "pick-plase-v3"), "did you mean pick-place-v3"),
        (("eval", "--policy", "expret", "--tasks", "reach-v3"), "unknown policy"),
        (("eval", "--policy", "expert", "--world", "metawold"), "unknown world 'metawold'; did you mean metaworld"),
        (("eval", "--policy", "expert", "--tasks", "reach-v3", "--shard", "x"), "expected i/n"),
        (("eval", "--policy", "expert", "--tasks", "reach-v3", "--shard", "3/3"), "i below n"),
        (("compare", "expert", "expert", "--tasks", "reach-v3"), "compare different policies"),
        (("compare", "expert", "--tasks", "reach-v3"), "takes two policies"),
        (("compare", "trials.csv"), "a table of results is compared by: roboscale rank trials.csv"),
        (("report", "nowhere"), "nowhere/trials.db"),
        (("trials", "list", "nowhere"), "nowhere/trials.db"),
        (("trials", "judge", "nowhere"), "nowhere/trials.db"),
        (("collect", "generate", "nowhere", "out"), "nowhere"),
        (("policy", "train", "nowhere", "out"), "nowhere"),
        (("policy", "train", "d", "o", "--set", "stepz=3"), "stepz"),
        (("data", "fix", "nowhere"), "nowhere"),
        (("policy", "serve", "constant:0,0", "--host", "0.0.0.0"), "token"),
    ],
    ids=lambda x: " ".join(map(str, x))[:50] if isinstance(x, tuple) else "",
)
def test_mistakes_get_one_clear_line(words: tuple, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    assert message in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "--policy", "expert", "--tasks", "reach-v3"),
        ("compare", "expert", "constant", "--tasks", "reach-v3"),
        ("collect", "record", "d"),
        ("collect", "generate", "s", "d"),
        ("policy", "train", "d", "p"),
        ("policy", "serve", "constant:0,0"),
        ("world", "check", "metaworld"),
        ("demo",),
        ("report", "r"),
        ("trials", "merge", "a.db", "b.db"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_dry_run_says_what_it_would_do_and_does_nothing(words: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert done.exit_code == 0 and done.output
    assert list(tmp_path.iterdir()) == []


def test_world_list_and_check():
    listed = json.loads(here("world", "list", "metaworld", "--json").stdout)
    assert len(listed["tasks"]) == 50
    checked = here("world", "check", "metaworld", "--tasks", "reach-v3", "--determinism", "--json")
    result = json.loads(checked.stdout)
    assert result["ok"] and [f["check"] for f in result["tasks"]["reach-v3"]] == ["success-rule"]


def test_serve_and_evaluate_over_the_wire(tmp_path: Path):
    command = [*ROBOSCALE, "policy", "serve", "expert", "--world", "metaworld", "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(server.stdout.readline, "")
        text = ""
        for line in lines:
            text += line
            if line.rstrip() == "}":
                break
        port = json.loads(text)["port"]
        policy = f"openpi://127.0.0.1:{port}"
        words = ("--tasks", "reach-v3", "--trials", 2, "--workers", 0, "--json", "-o", tmp_path)
        found = json.loads(run("eval", "--policy", policy, *words).stdout)
        (result,) = found["policies"].values()
        assert result["mean_success"]["n"] == 2 and result["void"] == []
    finally:
        server.kill()
        server.wait()
    refused = run("eval", "--policy", policy, *words[:-1], tmp_path / "x", ok=False)
    assert "refused" in refused.stderr.lower()
