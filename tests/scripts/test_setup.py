"""Set-up says what it will cost, keeps what fits, mends what does not, and gives one answer where it cannot go on.

Python, pip, apt-get, df and id are played by small programs on a PATH of their own, so nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTRAS_OF_TESTS = (
    "cameras,hands,mapping,pages,sim,train,records,tables,web,webrtc,https,hub,postgres,gym,ray,rerun,slurm,zmq,"
    "test,docs"
)
REAL = "awk bash cat chmod cp dirname du env grep mkdir rm sed sha256sum tee timeout uname"

PYTHON = f"""#!{shutil.which("bash")}
# Plays Python VERSION: what it evaluates itself runs in the Python of the tests, without that one's packages.
fake=VERSION
case "$1 $2" in
  --version*) echo "Python $fake.9" ;;
  -c*) code=$2 && shift 2
    exec {sys.executable} -I -S -c "import sys; sys.version_info = (*map(int, '$fake'.split('.')), 9)
code = sys.argv.pop(1)
exec(code)" "$code" "$@" ;;
  "-m venv") echo "venv $fake" >>"$CALLS"
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "command = $0 -m venv $PWD/$3" >"$3/pyvenv.cfg" ;;
  "-m pip") shift 2 && echo "pip $* TMPDIR=${{TMPDIR:-}} $(cd "${{TMPDIR:-/}}" && pwd)" >>"$CALLS"
    case "$*" in
      *"index versions"*) echo "Available versions: ${{TORCH_FOUND:-}}" ;;
      *install*) [ -z "${{PIP_FAILS:-}}" ] || exit 1
        echo "#!{shutil.which("bash")}" >.venv/bin/roboscale && chmod +x .venv/bin/roboscale ;;
    esac ;;
esac
"""
FAKES = {
    "id": "echo ${UID_HERE:-0}",
    "df": "echo 'Filesystem blocks used free'; echo \"disk 0 0 ${FREE_KB:-90000000} 1% /\"",
    "ldconfig": "echo libEGL.so.1 libOpenGL.so.0 libGL.so.1",
    "chromium": "",
    "sqlite3": "",
    "initdb": "",
    "apt-get": 'echo "apt-get $*" >>"$CALLS"; [ -z "${APT_BRINGS:-}" ] || cp "$APT_BRINGS" "${0%/*}/python3.11"',
}


class Machine:
    """A clone on a machine with the given Pythons."""

    def __init__(self, folder: Path, **pythons: str) -> None:
        self.folder, self.clone, self.bin = folder, folder / "clone", folder / "bin"
        (self.clone / "scripts").mkdir(parents=True)
        for name in ("scripts/setup.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.clone / name)
        self.bin.mkdir()
        for name in REAL.split():
            (self.bin / name).symlink_to(shutil.which(name))
        for name, body in FAKES.items():
            self.program(name, f"#!{shutil.which('bash')}\n{body}\n")
        for name, version in pythons.items():
            self.program(name.replace("_", "."), PYTHON.replace("VERSION", version))
        (folder / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, want: str = "demo", **environment: str) -> tuple[int, str, list[str]]:
        """Exit code, what was said, and what was called."""
        calls = self.folder / "calls"
        calls.write_text("")
        done = subprocess.run(
            ["bash", "scripts/setup.sh", want],
            cwd=self.clone,
            capture_output=True,
            text=True,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.folder),
                "CALLS": str(calls),
                "OS_RELEASE": str(self.folder / "os-release"),
                "TORCH_INDEX": "none",
                **environment,
            },
        )
        return done.returncode, done.stderr, calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, python3="3.12")


def test_it_says_what_it_takes_and_then_is_silent(machine: Machine):
    code, said, calls = machine.run()
    assert code == 0, said
    first = said.splitlines()
    assert "makes" in first[0] and ".venv" in first[0]
    assert "GB there" in first[1] and "GB of downloads" in first[1] and "minutes" in first[1]
    assert "92.2 GB are free" in first[2]
    assert calls[0] == "venv 3.12" and "install -c constraints.txt -e .[pages,sim,train," in calls[-1]
    assert f"TMPDIR={machine.clone}/.venv/tmp {machine.clone}/.venv/tmp" in calls[-1]  # it was there, and set
    assert not (machine.clone / ".venv/tmp").exists()
    assert machine.run() == (0, "", [])


def test_the_tests_need_more_than_the_demo(machine: Machine):
    machine.run("demo")
    code, said, calls = machine.run("test")
    assert code == 0 and "brings .venv up to date" in said
    assert [call for call in calls if f"-e .[{EXTRAS_OF_TESTS}]" in call]
    assert machine.run("demo") == machine.run("test") == (0, "", [])


def test_changed_versions_are_installed_into_what_is_there(machine: Machine):
    machine.run()
    with (machine.clone / "constraints.txt").open("a") as file:
        file.write("zzz==1\n")
    code, said, calls = machine.run()
    assert code == 0 and "brings .venv up to date" in said
    assert not [call for call in calls if call.startswith("venv")] and [call for call in calls if " -e ." in call]


def test_a_clone_that_was_moved_gets_another_environment(machine: Machine):
    machine.run()
    old, machine.clone = machine.clone, machine.folder / "elsewhere"
    old.rename(machine.clone)
    code, said, calls = machine.run()
    assert code == 0 and said.startswith(f"set-up: .venv is made anew: it was made in {old}/.venv\n")
    assert calls[1] == "venv 3.12" or calls[0] == "venv 3.12"
    assert machine.run() == (0, "", [])


def test_an_upgraded_python_gets_another_environment(machine: Machine):
    machine.run()
    newer = PYTHON.replace("VERSION", "3.13").replace(
        '"-m pip")', '"-m pip") [ ! -e .venv/lib/python3.12 ] || exit 1;'
    )
    (machine.clone / ".venv/lib/python3.12").mkdir(parents=True)  # the packages of the Python that was here before
    (machine.clone / ".venv/bin/python").write_text(newer)
    machine.program("python3", newer)
    code, said, calls = machine.run()
    assert code == 0 and "made anew: its Python was upgraded or removed" in said and "venv 3.13" in calls


def test_a_python_that_is_asked_for_is_taken(tmp_path: Path):
    machine = Machine(tmp_path, python3="3.12", python3_11="3.11")
    machine.run()
    assert machine.run(PYTHON="python3") == (0, "", [])
    code, said, calls = machine.run(PYTHON="python3.11")
    assert code == 0 and "made anew: it has Python 3.12, and PYTHON=python3.11 is asked for" in said
    assert "venv 3.11" in calls and machine.run(PYTHON="python3.11") == machine.run() == (0, "", [])


def test_what_was_interrupted_goes_on(machine: Machine):
    code, said, _ = machine.run(PIP_FAILS="1")
    assert code == 1 and said.endswith("what is installed stays; the same command goes on from there\n")
    assert not (machine.clone / ".venv/stamps/demo").exists()
    code, said, calls = machine.run()
    assert code == 0 and "brings .venv up to date" in said and "venv 3.12" not in calls
    shutil.rmtree(machine.clone / ".venv")
    (machine.clone / ".venv/tmp").mkdir(parents=True)  # killed before Python had made it
    code, said, calls = machine.run()
    assert code == 0 and "made anew: it is half made" in said and "venv 3.12" in calls


def test_too_small_a_disk_is_refused_before_anything_is_done(machine: Machine):
    code, said, calls = machine.run(FREE_KB="400000")
    assert code == 1 and calls == [] and not (machine.clone / ".venv").exists()
    assert "GB, but only 0.4 GB are free below" in said.splitlines()[-1]


NO_PYTHON = {
    ("debian", "12"): "python3 python3-venv",
    ("debian", "13"): "python3 python3-venv",
    ("ubuntu", "24.04"): "python3 python3-venv",
    ("ubuntu", "22.04"): "python3.11 python3.11-venv",
}


@pytest.mark.parametrize(("name", "release"), NO_PYTHON)
def test_only_an_old_python_gives_the_command_that_brings_another(tmp_path: Path, name: str, release: str):
    machine = Machine(tmp_path, python3="3.10")
    (tmp_path / "os-release").write_text(f'NAME="x"\nVERSION_ID="{release}"\nID={name}\n')
    code, said, calls = machine.run(UID_HERE="1000")
    assert code == 1 and calls == []
    command = f"apt-get install -y --no-install-recommends {NO_PYTHON[name, release]}"
    assert command in said.splitlines()[-1] and said.splitlines()[-1].startswith("set-up:   sudo apt-get update && ")


def test_root_gets_the_newer_python_at_once(tmp_path: Path):
    machine = Machine(tmp_path, python3="3.10")
    newer = tmp_path / "newer"
    newer.write_text(PYTHON.replace("VERSION", "3.11"))
    newer.chmod(0o755)
    code, said, calls = machine.run(APT_BRINGS=str(newer))
    assert code == 0, said
    assert "venv 3.11" in calls and machine.run() == (0, "", [])


@pytest.mark.parametrize("environment", [{}, {"PYTHON": "python3"}], ids=["unknown system", "a chosen one"])
def test_elsewhere_the_answer_is_uv(tmp_path: Path, environment: dict[str, str]):
    machine = Machine(tmp_path, python3="3.10")
    if not environment:
        (tmp_path / "os-release").write_text("ID=ubuntu\nVERSION_ID=20.04\n")
    code, said, calls = machine.run(**environment)
    assert code == 1 and calls == []
    assert "Python 3.11, 3.12 or 3.13 is needed; python3 is Python 3.10.9" in said
    assert said.splitlines()[-1].endswith("PYTHON=$(python3 -m uv python find 3.12) scripts/setup.sh demo")


@pytest.fixture
def torch_index() -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/torch/" else 404)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_index_with_cpu_builds_is_taken_where_it_answers(machine: Machine, torch_index: str):
    code, said, calls = machine.run(TORCH_INDEX=torch_index)
    assert code == 0 and f"the CPU build from {torch_index}" in said
    (first, last) = [call for call in calls if " install " in call]
    assert f"install --no-deps --index-url {torch_index} torch==" in first and " -e ." in last


def test_cuda_is_said_before_it_comes(machine: Machine):
    code, said, calls = machine.run(TORCH_INDEX="http://127.0.0.1:9")  # nothing listens there
    assert code == 0 and "the build for CUDA, 2.5 GB more to download and 4.0 GB on the disk" in said
    assert said.index("CUDA") < said.index("4/4") and len([call for call in calls if " install " in call]) == 1
    shutil.rmtree(machine.clone / ".venv")
    code, said, calls = machine.run(TORCH_INDEX="http://127.0.0.1:9", FREE_KB="4500000")
    assert code == 1 and "with CUDA takes" in said.splitlines()[-1]
    assert not [call for call in calls if " install " in call]


def test_a_cpu_build_from_elsewhere_is_not_called_cuda(machine: Machine):
    torch = next(line for line in (ROOT / "constraints.txt").read_text().split() if line.startswith("torch=="))
    code, said, calls = machine.run(TORCH_INDEX="http://127.0.0.1:9", TORCH_FOUND=f"9.0, {torch[7:]}+cpu, {torch[7:]}")
    assert code == 0 and "comes as a CPU build from where pip is told to look" in said and "CUDA" not in said
    assert [call for call in calls if f" install --no-deps {torch}+cpu " in call]


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path):
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
