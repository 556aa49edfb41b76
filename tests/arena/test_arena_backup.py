"""The commands of docs/arena-host.md that back an arena up and restore it, word for word, while matches go on."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roboscale.arena.arena import Arena
from roboscale.trials.log import TrialLog, open_log
from tests.arena.players import RULES, Crew, crew
from tests.trials.postgres import missing, postgres  # noqa: F401

TEXT = (Path(__file__).parents[2] / "docs/arena-host.md").read_text("utf-8")
BLOCKS = re.findall(
    r"```bash\n(.*?)```", TEXT[TEXT.index("## Back up and restore") :].partition("## Publish")[0], re.DOTALL
)
PUBLIC = "postgresql://arena@db.example.org/arena"
TOOLS = {"sqlite": "sqlite3", "postgresql": "pg_dump"}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, list[str]]:
    """Address, folder of films, and the commands for this database."""
    if shutil.which(TOOLS[request.param]) is None:
        missing(f"{TOOLS[request.param]} is not installed")
    (tmp_path / "arena/media").mkdir(parents=True)
    (tmp_path / "films").mkdir()
    if request.param == "sqlite":
        return str(tmp_path / "arena/trials.db"), tmp_path / "arena/media", [BLOCKS[0], BLOCKS[2]]
    url = request.getfixturevalue("postgres").new_database()
    return url, tmp_path / "films", [block.replace(PUBLIC, url) for block in (BLOCKS[1], BLOCKS[3])]


def test_what_was_backed_up_under_load_is_restored_row_by_row(place: tuple[str, Path, list[str]], tmp_path: Path):
    address, films, (back_up, restore) = place
    with open_log(address) as log:
        made = crew(log)
        play(made, films, 2)
        before = made.arena.state.number
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                play(made, films, 1)

        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(load)
            run(back_up, tmp_path)
            stop.set()
            busy.result()
        play(made, films, 1)
        original = rows(log)
    if address.endswith(".db"):
        Path(address).write_bytes(b"a disk that broke" * 400)
        Path(f"{address}-wal").write_bytes(b"what it left behind")
    shutil.rmtree(films)
    films.mkdir()
    run(restore, tmp_path)
    with open_log(address) as log:
        restored = rows(log)
        count = len(restored["entries"])
        assert before <= count < len(original["entries"]), "it was taken while matches went on"
        assert restored["entries"] == original["entries"][:count]
        for table in ("trials", "judgements", "identities"):
            assert restored[table].items() <= original[table].items(), table
        arena = Arena(log, RULES)
        named = [rollout for match in arena.state.matches.values() for rollout in match.rollouts]
        assert {one.trial for one in named} == set(restored["trials"])
        assert {f"{one.video}.mp4" for one in named if one.video} <= {file.name for file in films.iterdir()}
        made.arena = arena
        for match in list(arena.state.open):
            arena.vote(made.evaluators[0], match, "", "the server was restored", False)
        play(made, films, 1)
        assert len(Arena(log, RULES).state.finished) == len(arena.state.finished)


def play(made: Crew, films: Path, matches: int) -> None:
    """Whole matches, each side with a film."""
    by = made.evaluators[0]
    for _ in range(matches):
        match = made.draw()
        made.play(match, {})
        for rollout in list(match.rollouts):
            (films / f"{rollout.trial}.mp4").write_bytes(rollout.trial.encode())
            made.arena.add_film(by, match.id, rollout.letter, rollout.attempt, rollout.trial)
        made.vote(match, "A")


def rows(log: TrialLog) -> dict[str, object]:
    """Everything that a log holds, by what it is called."""
    trials = {t.id: (t.key, t.end, t.steps, t.actions.tobytes(), dict(t.measures), t.started_ns) for t in log.trials()}
    named = {(kind, one): True for kind, some in log.identities().items() for one in some}
    return {"entries": log.entries(), "trials": trials, "judgements": log.judgements(), "identities": named}


def run(commands: str, folder: Path) -> None:
    done = subprocess.run(["bash", "-euc", commands], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
