"""A command that has nothing to do loads only what it needs; `benchmarks/start_up.py` says what that saves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roboscale import Compare, Evaluate, compare, evaluate

RUN = """
import sys
from roboscale.cli.__main__ import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""

SIMULATORS = {"mujoco", "metaworld", "gymnasium", "pygame"}
NEEDLESS = {
    *("scipy.stats", "scipy.optimize", "pandas", "pyarrow", "av", "matplotlib", "torch", "websockets", "psycopg"),
    *("roboscale.dataset", "roboscale.report", "hypothesis", "PIL"),
}


def loaded(words: list[str], folder: Path) -> set[str]:
    """Modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("metaworld", reason="an extra: pip install 'roboscale[sim]'")
    return tmp_path


def test_an_evaluation_that_is_done_starts_no_simulator(folder: Path):
    words = ["eval", "--policy", "constant", "--tasks", "reach-v3", "--trials", "2", "--out", "runs/a"]
    done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, horizon=4, store="runs/a", workers=0))
    assert done.success.n == 2
    modules = loaded([*words, "--horizon", "4", "--workers", "0"], folder)
    assert modules & (SIMULATORS | NEEDLESS) == set()
    assert "roboscale.worlds.simulated.metaworld" in modules, "the world says who it is without being started"


def test_a_comparison_that_is_done_starts_no_simulator(folder: Path):
    policies = ("constant", "constant:0,0,1,0")
    compare(Compare(policies=policies, tasks="reach-v3", budget=3, horizon=4, store="runs/b", workers=0))
    words = ["compare", *policies, "--tasks", "reach-v3", "--budget", "3", "--horizon", "4", "--store", "runs/b"]
    assert loaded([*words, "--workers", "0"], folder) & (SIMULATORS | NEEDLESS) == set()


def test_listing_trials_and_worlds_loads_little(folder: Path):
    evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, horizon=4, store="runs/a", workers=0))
    assert loaded(["trials", "list", "runs/a"], folder) & (SIMULATORS | NEEDLESS) == set()
    assert loaded(["world", "list"], folder) & (SIMULATORS | NEEDLESS | {"sqlalchemy", "scipy"}) == set()


def test_waiting_threads_do_not_spin(folder: Path):
    """NumPy's threads read it when they start, so it must be there before NumPy is."""
    code = (
        "import os, sys; from roboscale.cli.__main__ import main; assert 'numpy' not in sys.modules; "
        "sys.argv[1:] = ['--version']\ntry: main()\nfinally: print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    )
    for given, expected in ((None, "20"), ("7", "7")):
        environment = {n: v for n, v in os.environ.items() if n != "OPENBLAS_THREAD_TIMEOUT"}
        environment |= {} if given is None else {"OPENBLAS_THREAD_TIMEOUT": given}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout.split()[-1] == expected


def test_texts_of_boards_and_runs_draw_nothing(folder: Path):
    evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, horizon=4, store="runs/a", workers=0))
    Path("some.csv").write_text("policy,case,success\n" + "".join(f"{p},{k},1\n" for p in "AB" for k in range(4)))
    needless = SIMULATORS | {"matplotlib", "pandas", "av", "torch", "PIL"}
    assert loaded(["runs", "."], folder) & needless == set()
    assert loaded(["rank", "some.csv"], folder) & needless == set()


@pytest.mark.parametrize("module", ["roboscale", "roboscale.cli"])
def test_it_is_a_module_that_can_be_run(module: str):
    done = subprocess.run([sys.executable, "-m", module, "count", "12/20"], capture_output=True, text=True)
    assert done.returncode == 0 and "12" in done.stdout


def test_an_interrupt_while_it_loads_is_no_traceback():
    """Loading takes a second of a busy machine, and somebody who mistyped presses Ctrl-C in it."""
    interrupted = (
        "import sys, importlib.abc\n"
        "class Interrupt(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'roboscale.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from roboscale.cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
