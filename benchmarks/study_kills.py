"""A whole locked study on the stand-in arm, with video, while its processes are killed again and again. In real time.

    python -m benchmarks.study_kills [--kills 10] [--cases 20] [--seed 0] [--out FOLDER]

Killed (SIGKILL), each so many times, in drawn order and at drawn instants: the command that serves the page and steps
(`server`), the guard, the policy's server of either arm, and the operator's page, which is a script here. Each is
started again by this script, as a person would. Then it is looked at whether anything is lost or counted twice: every
score and click that was acknowledged, every trial, its judgement and its episode, and the order that the lock drew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.stand_in_bench import PolicyServer, make_bench, stop_process
from roboscale.core import Case
from roboscale.dataset import Dataset
from roboscale.jobs.report import WriteReport, write_report
from roboscale.jobs.study_lock import LockStudy, lock_study
from roboscale.jobs.study_unblind import UnblindStudy, unblind_study
from roboscale.trials import Schedule, count_trials
from roboscale.trials.log import open_log
from roboscale.trials.study import StudyLock

Victim = Literal["server", "guard", "policy", "page"]
VICTIMS: tuple[Victim, ...] = ("server", "guard", "policy", "page")
LIMIT_S = 3600.0


class Script:
    """The operator: does whatever the page asks for, and writes down what was acknowledged."""

    def __init__(self, folder: Path) -> None:
        import httpx

        self._folder, self._client = folder, httpx.Client(timeout=10)
        self._errors = (httpx.TransportError, KeyError, ValueError)

    def run(self) -> None:
        """Until nobody serves a page any longer for good; this process is killed before."""
        while True:
            with contextlib.suppress(*self._errors):
                self._look()
            time.sleep(0.05)

    def _look(self) -> None:
        url = (self._folder / "url.txt").read_text().strip()
        state = self._client.get(f"{url}api/state").json()
        phase, number = state["phase"], state["number"]
        if phase == "set up":
            self._click(url, state, "ready")
        elif phase == "stopped":
            self._click(url, state, "release")
        elif phase == "score":
            good = number % 3 != 0
            self._click(url, state, "score", number=number, success=good, stage=2 if good else 1)

    def _click(self, url: str, state: dict[str, Any], action: str, **values: Any) -> None:
        token = uuid.uuid4().hex[:12]
        said = {"action": action, "notes": token, **values}
        answer = self._client.post(f"{url}api/act", json=said, headers={"x-roboscale-session": state["session"]})
        with (self._folder / "clicks.jsonl").open("a") as file:
            file.write(json.dumps({**said, "status": answer.status_code}) + "\n")


class Bench:
    """All processes of a study, and who is killed."""

    def __init__(self, folder: Path, cases: int, horizon: int) -> None:
        self.folder = folder / "bench"
        make_bench(self.folder, horizon=horizon)
        self.servers = {arm: PolicyServer(self.folder, f"policies.py:{arm}") for arm in ("old", "new")}
        self.study = self.folder / "study.toml"
        text = self.study.read_text()
        for arm, server in self.servers.items():
            text = text.replace(f'"policies.py:{arm}"', f'"{server.url}"')
        text = re.sub(r"cases = \d+.*", f"cases = {cases}", text).replace("min_cases = 4", "sequential = false")
        self.study.write_text(text)
        lock_study(LockStudy(study=self.study))
        self.command: subprocess.Popen[str] | None = None
        self.operator: subprocess.Popen[str] | None = None
        self.starts = 0

    def keep_alive(self) -> bool:
        """Starts whatever has ended; false once the study is over."""
        for server in self.servers.values():
            if server.process is None or server.process.poll() is not None:
                server.start()
        if self.command is not None and self.command.poll() == 0:
            return False
        if self.command is None or self.command.poll() is not None:
            self._start_command()
        if self.operator is None or self.operator.poll() is not None:
            words = [sys.executable, "-m", "benchmarks.study_kills", "--operate", str(self.folder)]
            self.operator = subprocess.Popen(words, text=True)
        return True

    def _start_command(self) -> None:
        self.starts += 1
        if self.starts > 200:
            raise SystemExit(f"the command ends again and again; see {self.folder / 'command.txt'}")
        log = self.folder / "command.txt"
        begun = log.stat().st_size if log.exists() else 0
        asked = ["compare", "study.toml", "--retries", "4"]  # a trial may be void by two kills
        words = [sys.executable, "-m", "roboscale.cli", *asked]
        with log.open("a") as file:
            self.command = subprocess.Popen(words, cwd=self.folder, stdout=file, stderr=file, text=True)
        until = time.monotonic() + 120
        while time.monotonic() < until and self.command.poll() is None:
            said = re.search(r"open (http://\S+)", log.read_text()[begun:])
            if said:
                (self.folder / "url.part").write_text(said[1])
                (self.folder / "url.part").replace(self.folder / "url.txt")
                return
            time.sleep(0.05)

    def kill(self, victim: Victim, draw: np.random.Generator) -> bool:
        """Kills one; false where it is not there now."""
        if victim == "policy":
            self.servers[str(draw.choice(["old", "new"]))].kill()
            return True
        if victim == "guard":
            return self._kill_guard()
        process = self.command if victim == "server" else self.operator
        if process is None or process.poll() is not None:
            return False
        process.kill()
        process.wait()
        return True

    def _kill_guard(self) -> bool:
        """Whoever talks to the motors: they write it down."""
        file = self.folder / "flange.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        words = lines[-1].split() if lines else []
        if len(words) != 5 or words[4] == "0":
            return False
        try:
            os.kill(int(words[4]), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        """Ends all; the motors end by themselves when nobody asks."""
        for process in (self.operator, self.command, *(server.process for server in self.servers.values())):
            stop_process(process)


def run(folder: Path, cases: int, kills: int, seed: int, horizon: int = 60) -> tuple[Bench, Counter[str]]:
    """The study with all its kills; how often each was killed."""
    draw = np.random.default_rng(seed)
    bench = Bench(folder, cases, horizon)
    left = [victim for victim in VICTIMS for _ in range(kills)]
    draw.shuffle(left)
    killed: Counter[str] = Counter()
    begun = time.monotonic()
    following = begun + 5
    try:
        while bench.keep_alive():
            if time.monotonic() - begun > LIMIT_S:
                raise SystemExit(f"not over within {LIMIT_S:g} s; see {folder}")
            if left and time.monotonic() >= following:
                if bench.kill(left[-1], draw):
                    killed[left.pop()] += 1
                following = time.monotonic() + float(draw.uniform(1.0, 6.0))
            time.sleep(0.05)
    finally:
        bench.close()
    return bench, killed


def problems(bench: Bench) -> tuple[list[str], list[str]]:
    """What was lost, counted twice or not audited; and what was found in all."""
    wrong: list[str] = []
    store = bench.study.with_suffix(".trials")
    clicks = [json.loads(line) for line in (bench.folder / "clicks.jsonl").read_text().splitlines()]
    taken = [one for one in clicks if one["status"] == 200]
    audit = [json.loads(line) for line in (store / "bench.jsonl").read_text().splitlines()]
    audited = {one.get("notes") for one in audit if one["what"] == "click"}
    wrong += [f"a click ({one['action']}) is not audited" for one in taken if one["notes"] not in audited]
    with open_log(str(store), read_only=True) as log:
        run_ = log.runs()[-1]
        attempts = log.attempts(run_.policies, run_.world, run_.settings, run_.round)
        trials = [trial for group in attempts.values() for trial in group]
        judgements = log.judgements([trial.id for trial in trials])
        runs = len(log.runs())
    cases = [Case.parse(text) for text in run_.cases]
    if runs != 1:
        wrong.append(f"{runs} runs in the store: the study went on as another one")
    wrong += _scores(taken, judgements)
    counted = count_trials(trials, judgements, run_.policies, cases)
    good = [one for one in counted if one.outcome.success is not None and not one.pending]
    if len(counted) != len(cases) * len(run_.policies) or len(good) != len(counted):
        wrong.append(f"{len(good)} of {len(cases) * len(run_.policies)} trials are scored")
    for key, group in attempts.items():
        whole = [trial for trial in group if not trial.void]
        if len(whole) > 1:
            wrong.append(f"case {key[1]} has {len(whole)} trials that are not void under one arm")
    wrong += _episodes(bench, [trial for trial in trials if not trial.void])
    wrong += _order(bench, run_, trials, cases)
    void = sum(trial.void for trial in trials)
    said = f"{len(trials)} trials, {void} of them void, {len(good)} scored; {len(taken)} clicks acknowledged"
    return wrong, [said, f"the command was started {bench.starts} times"]


def _scores(taken: list[dict[str, Any]], judgements: Any) -> list[str]:
    """Every acknowledged score is in the log, once, as it was said; and no trial has two."""
    wrong = []
    filed = {
        one["notes"]: [j for said in judgements.values() for j in said if one["notes"] in j.reason]
        for one in taken
        if one["action"] == "score"
    }
    for one in taken:
        if one["action"] == "score":
            mine = filed[one["notes"]]
            if len(mine) != 1 or mine[0].success != one["success"]:
                wrong.append(f"a score that was acknowledged is in the log {len(mine)} times")
    for said in judgements.values():
        if sum(j.state == "decided" for j in said) > 1:
            wrong.append("a trial was scored twice")
    return wrong


def _episodes(bench: Bench, whole: list[Any]) -> list[str]:
    """Every trial that is not void is an episode with video, and no episode is another's or nobody's."""
    dataset = Dataset(bench.study.with_suffix(".episodes"), images="uint8")
    there = Counter(str(info.id) for info in dataset.episodes)
    wanted = Counter(str(trial.episode) for trial in whole)
    wrong = [f"{count} trials are one episode" for count in wanted.values() if count > 1]
    lost, nobodys = wanted - there, there - wanted
    wrong += [f"{sum(lost.values())} trials have no episode"] if lost else []
    wrong += [f"{sum(nobodys.values())} episodes are no trial's"] if nobodys else []
    lengths = {str(info.id): info.length for info in dataset.episodes}
    short = sum(lengths.get(str(trial.episode)) != trial.steps for trial in whole if str(trial.episode) in lengths)
    wrong += [f"{short} episodes are not as long as their trials"] if short else []
    for index, info in enumerate(dataset.episodes):
        pictures = dataset.decode(index, "observation.images.top")
        if len(pictures) != info.length or not pictures.any():
            wrong.append(f"episode {index} has {len(pictures)} pictures of {info.length}")
    return wrong


def _order(bench: Bench, run_: Any, trials: list[Any], cases: list[Case]) -> list[str]:
    """The arms came in the order that the lock drew: of each case, whoever was first was to be first."""
    schedule = Schedule(
        policies=run_.policies, cases=cases, round=run_.round, order=StudyLock.load(bench.study).order(bench.study)
    )
    planned: dict[str, list[str]] = {}
    for case, policy in schedule.pairs():
        planned.setdefault(case.id, []).append(policy.digest)
    made: dict[str, list[str]] = {}
    for trial in sorted(trials, key=lambda t: t.started_ns):
        mine = made.setdefault(trial.case.id, [])
        if trial.policy.digest not in mine:
            mine.append(trial.policy.digest)
    wrong = sum(planned[case] != order for case, order in made.items())
    return [f"{wrong} cases were tried in another order than was drawn"] if wrong else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each process")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder that is kept; by default one that is removed")
    parser.add_argument("--operate", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.operate:
        Script(asked.operate).run()
        return
    with tempfile.TemporaryDirectory() as folder:
        bench, killed = run(asked.out or Path(folder), asked.cases, asked.kills, asked.seed)
        wrong, found = problems(bench)
        told = unblind_study(UnblindStudy(study=bench.study, by="the benchmark"))
        write_report(WriteReport(store=told.store))
    times = ", ".join(f"{victim} {killed[victim]}" for victim in VICTIMS)
    print(f"killed: {times}")
    for line in [*found, *(wrong or ["nothing lost, nothing counted twice, every click audited, in the order drawn"])]:
        print(line)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
