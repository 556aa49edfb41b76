"""The log in a file: addresses, other people's files, full disks, and disks that cannot be written."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, InfrastructureError, RoboscaleError
from roboscale.trials.log import LogAddress, engines, open_log
from tests.trials.log_samples import assert_same, judgement, run, trial

NOBODY = 65534


def test_nothing_heavy_is_loaded_before_a_log_is_opened():
    code = "import sys, roboscale.trials.log; sys.exit('sqlalchemy' in sys.modules or 'psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("{}", "{}/trials.db"),
        ("{}/new folder", "{}/new folder/trials.db"),
        ("{}/löffel 匙 %41 #1?.db", "{}/löffel 匙 %41 #1?.db"),
        ("{}/deep/er/x.sqlite", "{}/deep/er/x.sqlite"),
        ("sqlite:///{}/y.db", "{}/y.db"),
    ],
)
def test_a_folder_or_a_file_is_an_address(tmp_path: Path, text: str, file: str):
    path = Path(file.format(tmp_path))
    with open_log(text.format(tmp_path)) as log:
        log.save(trial())
        assert log.where == str(path) and path.is_file()
    with open_log(path, read_only=True) as log:
        assert_same(log.trial(trial().id), trial())
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no -wal, no -shm"


def test_what_exists_counts_for_more_than_its_name(tmp_path: Path):
    (tmp_path / "odd.db").mkdir()
    assert LogAddress.parse(tmp_path / "odd.db").path == tmp_path / "odd.db" / "trials.db"
    open_log(tmp_path / "a.db").close()
    (tmp_path / "a.db").rename(tmp_path / "a.backup")
    with open_log(tmp_path / "a.backup", read_only=True) as log:
        assert log.count() == 0


@pytest.mark.parametrize("text", ["mysql://me:secret@host/db", "http://host/trials.db", ""])
def test_other_addresses_are_refused_with_the_forms_there_are(text: str):
    with pytest.raises(RoboscaleError, match=r"FOLDER, FILE\.db or postgresql://") as caught:
        open_log(text)
    assert "secret" not in str(caught.value)


def test_reading_what_is_not_there_makes_nothing(tmp_path: Path):
    with pytest.raises(BadData, match=r"none/trials\.db"):
        open_log(tmp_path / "none", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_log_is_named_and_left_alone(tmp_path: Path, read_only: bool):
    (tmp_path / "t.db").write_text("these are not trials, but long enough to be read as a header of something" * 9)
    with pytest.raises(BadData, match=r"t\.db.*SQLite"):
        open_log(tmp_path / "t.db", read_only=read_only)
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("create table photos (id)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(BadData, match=r"other\.db: tables: expected a log of trials .*, found photos"):
        open_log(tmp_path / "other.db", read_only=read_only)
    db.close()
    assert sqlite3.connect(tmp_path / "other.db").execute("select name from sqlite_master").fetchall() == [("photos",)]
    if read_only:
        assert (tmp_path / "other.db").read_bytes() == before


def test_an_empty_file_becomes_a_log(tmp_path: Path):
    (tmp_path / "t.db").touch()
    with open_log(tmp_path / "t.db") as log:
        assert log.save(trial())
    (tmp_path / "u.db").touch()
    with pytest.raises(BadData, match="found none"):
        open_log(tmp_path / "u.db", read_only=True)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_says_it_has_tables_and_has_none_is_refused(tmp_path: Path, version: int, read_only: bool):
    """A copy that broke off, or another program's number: it is not made a log of."""
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as db:
        db.execute(f"pragma user_version={version}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(BadData, match=r"t\.db: (tables: expected a log of trials|version of its tables)"):
        open_log(path, read_only=read_only)
    again = sqlite3.connect(path)
    assert again.execute("select name from sqlite_master").fetchall() == []
    assert again.execute("pragma user_version").fetchone() == (version,)
    again.close()
    assert not read_only or path.read_bytes() == before


def test_it_writes_ahead_and_checks_references(tmp_path: Path):
    with open_log(tmp_path) as log, log._engine.connect() as connection:
        settings = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert settings == ["wal", 1]
        assert connection.exec_driver_sql("pragma foreign_keys").scalar() == 1


@pytest.mark.parametrize("begun", [1.0, 5000.0])
@pytest.mark.parametrize("busy_s", [0.0, 3.0, 29.0, 31.0, 1e9])
def test_a_writer_waits_half_a_minute_for_others_that_make_the_same_file(
    monkeypatch: pytest.MonkeyPatch, begun: float, busy_s: float
):
    now = [begun]

    class Busy:
        def execute(self, statement: str) -> None:
            if now[0] < begun + busy_s:
                raise sqlite3.OperationalError("database is locked")

    def sleep(seconds: float) -> None:
        assert seconds > 0
        now[0] += 0.5

    monkeypatch.setattr(engines.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(engines.time, "sleep", sleep)
    if busy_s < 30:
        engines._write_ahead(Busy())
    else:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            engines._write_ahead(Busy())
    assert now[0] - begun == pytest.approx(min(busy_s, 30.5), abs=0.5), "no longer than that, and not given up before"


def test_a_writer_does_not_wait_for_what_will_not_change(monkeypatch: pytest.MonkeyPatch):
    class Broken:
        def execute(self, statement: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(engines.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        engines._write_ahead(Broken())


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path):
    with open_log(tmp_path / "t.db") as log:
        log.save(trial())
        with log._engine.connect() as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar()
            connection.exec_driver_sql(f"pragma max_page_count={pages}")
        large = trial(1, details={"words": "x" * 100_000})
        with pytest.raises(InfrastructureError) as caught:
            log.save(large, [judgement(large)])
        assert str(caught.value).startswith(f"{tmp_path}/t.db: trial reach/nominal/1 of anna@")
        assert str(caught.value).endswith("full; the 1 trials before are saved")
        with log._engine.connect() as connection:
            connection.exec_driver_sql("pragma max_page_count=100000")
        assert log.save(large), "the same log goes on when there is room again"
    with open_log(tmp_path / "t.db") as log:
        assert log.count() == 2


def test_saving_costs_little(tmp_path: Path):
    rng = np.random.default_rng(0)
    series = {name: rng.random(500, np.float32) for name in ("success", "progress", "reward")}
    trials = [trial(seed, actions=rng.random((500, 4), np.float32), series=series) for seed in range(50)]
    with open_log(tmp_path) as log:
        log.save(trial(99))
        start = time.process_time()
        for one in trials:
            log.save(one, [judgement(one)])
        assert (time.process_time() - start) / len(trials) < 0.005


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BadData, match="file/sub/trials.db: folder"):
        open_log(tmp_path / "file" / "sub")


# --- disks that cannot be written -----------------------------------------------------------------------------------


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder that this process cannot write. Root can write everything, so root becomes nobody for a while."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        with pytest.raises(OSError):
            (folder / "probe").touch()
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that everybody can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_results_on_a_read_only_disk_can_be_read_and_merged(disk: Path, tmp_path: Path):
    with open_log(disk / "löffel ?#.db") as log:
        log.save(trial(), [judgement(trial())])
        log.begin_run(run())
    before = files(disk)
    assert list(before) == ["löffel ?#.db"]
    with open_log(tmp_path / "all.db") as whole:
        with unwritable(disk), open_log(disk / "löffel ?#.db", read_only=True) as log:
            assert_same(log.trial(trial().id), trial())
            assert log.judgements()[trial().id] == (judgement(trial()),) and log.runs() == (run(),)
            assert log.newest_round() == 0
        assert whole.merge([str(disk / "löffel ?#.db")]).trials == 1
    assert files(disk) == before


@pytest.mark.parametrize("left", [("-wal", "-shm"), ("-wal",)])
def test_what_a_killed_process_left_is_read_on_a_read_only_disk_too(disk: Path, tmp_path: Path, left: tuple[str, ...]):
    with open_log(tmp_path / "trials.db") as log:
        log.save(trial(0))
        for suffix in ("", *left):
            shutil.copyfile(tmp_path / f"trials.db{suffix}", disk / f"trials.db{suffix}")
    with sqlite3.connect(f"file:{disk}/trials.db?immutable=1", uri=True) as db:
        assert db.execute("select count(*) from sqlite_master").fetchone() == (0,), "all of it is in the -wal file"
    db.close()
    before = files(disk)
    with unwritable(disk), open_log(disk, read_only=True) as log:
        assert_same(log.trial(trial(0).id), trial(0))
        assert log.count() == 1
    assert files(disk) == before


def test_another_user_reads_while_a_run_writes(disk: Path):
    with open_log(disk) as log:
        log.save(trial(0))
        log.save(trial(1))
        with unwritable(disk), open_log(disk, read_only=True) as reading:
            assert reading.count() == 2
            if os.geteuid() == NOBODY:
                os.seteuid(0)
                log.save(trial(2))
                os.seteuid(NOBODY)
                assert reading.count() == 3


def test_a_run_that_begins_while_another_user_reads_is_seen(disk: Path):
    with open_log(disk) as log:
        log.save(trial(0))
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    with unwritable(disk), open_log(disk, read_only=True) as reading:
        assert reading.count() == 1
        os.seteuid(0)
        with open_log(disk) as log:
            log.save(trial(1))
            os.seteuid(NOBODY)
            assert reading.count() == 2
            os.seteuid(0)
        os.seteuid(NOBODY)
        assert reading.count() == 2


def test_writing_to_a_read_only_disk_is_one_clear_error(disk: Path):
    open_log(disk / "a.db").close()
    with unwritable(disk):
        with (
            pytest.raises(RoboscaleError, match=r"a\.db: attempt to write a readonly database"),
            open_log(disk / "a.db") as log,
        ):
            log.save(trial())
        with pytest.raises(RoboscaleError, match=r"sub/trials\.db: folder"):
            open_log(disk / "sub")
        with pytest.raises(RoboscaleError, match=r"b\.db: unable to open database file"):
            open_log(disk / "b.db")


def test_reading_where_one_could_write_leaves_nothing_either(tmp_path: Path):
    with open_log(tmp_path) as log:
        log.save(trial())
    before = files(tmp_path)
    with open_log(tmp_path, read_only=True) as log:
        assert list(log.trials())
    assert files(tmp_path) == before


def test_a_folder_of_logs_says_which_there_are(tmp_path: Path):
    for name in ("first", "second"):
        open_log(tmp_path / name).close()
    with pytest.raises(BadData, match="no file; there are logs in .*first, .*second"):
        open_log(tmp_path, read_only=True)
    with pytest.raises(BadData, match="no file$"):
        open_log(tmp_path / "elsewhere", read_only=True)
