"""Breaks recordings of every format and sees what their readers make of them.

    python -m tests.fuzz.fuzz_records --count 10000              every format, 10,000 mutants each
    python -m tests.fuzz.fuzz_records --format mcap --only 4711  one mutant again, with all that is known of it

A reader may raise a clear error, give the same data, or give less and say so. It must not crash, hang, raise anything
else, take memory without bound, change a structure without a word, or pass a payload whose checksum fails. Each format
is read in a process of its own, which is watched and replaced. Exit code 1 when anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from roboscale.sources.records.formats import FORMATS
from tests.fuzz.fuzz_mutants import Mutant, mutate
from tests.fuzz.fuzz_samples import SAMPLES, Sample
from tests.fuzz.fuzz_verdicts import FAILURES, VERDICTS, Excuse, judge, read_all

_ROOT = Path(__file__).parents[2]
_WORKER = (sys.executable, "-m", "tests.fuzz.fuzz_records")
_START_S = 120.0
_MAX_GROWTH = 2**30  # bytes that one mutant may add to the reader's memory
_MAX_ADDRESSES = 8 * 2**30


# -- the process that reads ------------------------------------------------------------------------------------------


def work(format: str, folder: Path) -> None:
    """Reads seeds, one a line, from standard input, and answers each with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # libraries print; answers must stay alone
    sample = SAMPLES[format]
    path = sample.write(folder)
    options = sample.options()
    files = sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    sound = read_all(path, format, options)
    if sound.error is not None or any(isinstance(e, Exception) for e in sound.episodes.values()):
        answers.write(json.dumps({"ready": False, "why": str(sound.error or list(sound.episodes.values()))}) + "\n")
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_ADDRESSES, _MAX_ADDRESSES))
    answers.write(json.dumps({"ready": True}) + "\n")
    names = {path.name, *(file.name for file in files)}
    for line in sys.stdin:
        answers.write(json.dumps(_one(int(line), format, path, options, files, sound, names)) + "\n")


def _one(seed: int, format: str, path: Path, options: Any, files: list[Path], sound: Any, names: set[str]) -> Any:
    mutant = mutate(files, seed)
    whole = mutant.file.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mutant.file.unlink()  # a new file: nobody who still holds the old one sees it change
    try:
        if mutant.data is not None:
            mutant.file.write_bytes(mutant.data)
        is_summed = mutant.file.name.endswith(SAMPLES[format].checksummed or ("\0",))
        is_summed = is_summed or any(part in mutant.file.name for part in SAMPLES[format].checksummed)
        broken = read_all(path, format, options)
        excuse = _excuse(mutant, SAMPLES[format])
        verdict, why = judge(
            sound, broken, checksummed=is_summed and mutant.data is not None, excuse=excuse, names=names
        )
    except Exception as error:  # noqa: BLE001 - what a reader lets through is what is looked for
        verdict, why = "other-exception", "".join(traceback.format_exception(error))[-2000:]
    finally:
        mutant.file.unlink(missing_ok=True)
        mutant.file.write_bytes(whole)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > _MAX_GROWTH:
        verdict, why = "memory", f"{grown / 2**20:.0f} MiB more; {verdict}: {why}"
    where = str(mutant.file.relative_to(path.parent))
    return {"seed": seed, "verdict": verdict, "kind": mutant.kind, "file": where, "why": why}


def _excuse(mutant: Mutant, sample: Sample) -> Excuse:
    """Why no reader can tell that a structure changed; empty where one can."""
    if mutant.kind == "claim" and mutant.file.name.endswith(sample.alone or ("\0",)):
        return "dtype"
    if mutant.data is not None and str(mutant.file).endswith(sample.boundaries or ("\0",)):
        return "boundaries"
    return "absent" if mutant.data is None else ""


# -- the process that watches ----------------------------------------------------------------------------------------


class Reader:
    """A reading process: asked one seed at a time, replaced when it dies or is silent for too long."""

    def __init__(self, format: str, timeout_s: float) -> None:
        self._format, self._timeout_s = format, timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """RuntimeError when the format's sample cannot be written or read."""
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        command = [*_WORKER, "--worker", self._format, "--folder", self._folder.name]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `stop`
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        answer = self._answer(_START_S)
        if answer is None or not answer["ready"]:
            why = self._last_words() if answer is None else answer["why"]
            self.stop()
            raise RuntimeError(f"no sample of {self._format}: {why}")

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:].strip()

    def _answer(self, timeout_s: float) -> dict[str, Any] | None:
        """The next line; None when there is none in time, or the process died."""
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                return None
        line = self._process.stdout.readline()
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found

    def ask(self, seed: int) -> dict[str, Any]:
        """The verdict on one mutant."""
        if self._process is None:
            self.start()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        answer = self._answer(self._timeout_s)
        if answer is not None:
            return answer
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.poll()
        verdict = "hang" if code is None else "crash"
        why = f"no answer in {self._timeout_s:g} s" if code is None else f"exit code {code}: {self._last_words()}"
        self.stop()
        return {"seed": seed, "verdict": verdict, "kind": "", "file": "", "why": why}

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            self._log.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._process = self._folder = None


def fuzz(format: str, seeds: Sequence[int], timeout_s: float) -> Iterator[dict[str, Any]]:
    """One verdict after the other for a format; RuntimeError when there is no sample of it."""
    reader = Reader(format, timeout_s)
    try:
        for seed in seeds:
            yield reader.ask(seed)
    finally:
        reader.stop()


def _run(format: str, seeds: Sequence[int], timeout_s: float) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    failures, begin, shown = [], time.monotonic(), 0.0
    try:
        for number, answer in enumerate(fuzz(format, seeds, timeout_s), 1):
            counts[answer["verdict"]] += 1
            if answer["verdict"] in FAILURES:
                failures.append(answer)
            if time.monotonic() - shown > 2 or number == len(seeds):
                shown = time.monotonic()
                rate = number / (shown - begin)
                line = f"\r{format}: {number}/{len(seeds)}, {rate:.0f}/s, {len(failures)} failures"
                print(line, end="", file=sys.stderr, flush=True)
    except RuntimeError as error:
        counts["crash"] += 1
        failures.append({"seed": None, "verdict": "no-sample", "kind": "", "file": "", "why": str(error)})
    print(file=sys.stderr)
    return {"counts": dict(counts), "failures": failures, "seconds": time.monotonic() - begin}


def _table(results: dict[str, dict[str, Any]]) -> str:
    columns = [v for v in VERDICTS if any(r["counts"].get(v) for r in results.values())]
    width = max(len(name) for name in results)
    lines = [" ".join([" " * width, *columns, "failures"])]
    for name, result in results.items():
        cells = [f"{result['counts'].get(column, 0):>{len(column)}}" for column in columns]
        lines.append(" ".join([f"{name:{width}}", *cells, f"{len(result['failures']):>8}"]))
    return "\n".join(lines)


def _report(results: dict[str, dict[str, Any]]) -> None:
    print(_table(results))
    for name, result in results.items():
        for failure in result["failures"][:20]:
            last = failure["why"].strip().splitlines()[-1][:200] if failure["why"].strip() else ""
            again = f"--format {name} --only {failure['seed']}"
            print(f"{again}: {failure['verdict']} ({failure['kind']} {failure['file']}): {last}")
        if len(result["failures"]) > 20:
            print(f"... and {len(result['failures']) - 20} more of {name}: see --json")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="mutants of each format")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="this format only; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--only", type=int, help="this seed only, with all that is known of it")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds after which a reader hangs")
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        work(given.worker, given.folder)
        return 0
    names = given.format or list(FORMATS)
    seeds = range(given.seed, given.seed + given.count) if given.only is None else [given.only]
    if given.only is not None:
        for name in names:
            answer = next(iter(fuzz(name, seeds, given.timeout)))
            print(json.dumps({"format": name, **answer}, indent=2).replace("\\n", "\n"))
        return int(answer["verdict"] in FAILURES)
    results = {name: _run(name, seeds, given.timeout) for name in names}
    if given.json:
        print(json.dumps(results, indent=2))
    else:
        _report(results)
    return int(any(result["failures"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
