"""Programs that start processes in every way there is, each really run: all work, or say why not in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CALL = "print(sorted(run(abs, [-1, -2, -3], workers=2)))"
IMPORT = "from roboscale.dataset.engine import run\n"
GUARDED = f'{IMPORT}if __name__ == "__main__":\n    {CALL}\n'


def python(*words: str, cwd: Path, text: str | None = None) -> tuple[str, str]:
    done = subprocess.run([sys.executable, *words], cwd=cwd, input=text, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stdout, done.stderr


WORKING = {
    "guarded": GUARDED,
    "in a function": f'{IMPORT}def main():\n    {CALL}\n\nif "__main__" == __name__:\n    main()\n',
}


@pytest.mark.parametrize("how", [*WORKING, "module", "notebook"])
def test_it_works(how: str, tmp_path: Path):
    (tmp_path / "script.py").write_text(WORKING.get(how, GUARDED))
    words = {"module": ("-m", "script"), "notebook": ("-c", IMPORT + CALL)}.get(how, ("script.py",))
    assert python(*words, cwd=tmp_path) == ("[1, 2, 3]\n", "")


BROKEN = {
    "unguarded": f"{IMPORT}{CALL}\n",
    "below the guard": f'{IMPORT}if __name__ == "__main__":\n    pass\n{CALL}\n',
    "in a function": f"{IMPORT}def main():\n    {CALL}\n\nmain()\n",
    "left early": f'{IMPORT}if __name__ != "__main__":\n    raise SystemExit\n{CALL}\n',  # workers would leave, too
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_script_without_a_guard_is_told_where(how: str, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(BROKEN[how])
    said, error = python("script.py", cwd=tmp_path)
    line = BROKEN[how].count("\n")
    assert said == "" and error.count("\n") == 1
    assert error.startswith(f"{script}, line {line}: worker processes import the script: put what it does under ")
    assert 'if __name__ == "__main__":' in error


def test_a_program_from_standard_input_is_told_to_be_saved(tmp_path: Path):
    said, error = python("-", cwd=tmp_path, text=IMPORT + CALL + "\n")
    assert said == "" and error.count("\n") == 1 and "is no file that worker processes could import" in error
