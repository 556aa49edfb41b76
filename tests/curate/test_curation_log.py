"""The curation log: what counts, what survives a crash, and who may write at once."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, InfrastructureError, RoboscaleError, SpecMismatch, UnknownName
from roboscale.curate.log import CurationLog, Label

SAID = st.tuples(
    st.sampled_from("ab"),
    st.one_of(
        st.tuples(st.sampled_from(["keep", "drop", "success", "failure", "undo"]), st.just("")),
        st.tuples(st.just("task"), st.text("aé€😀\u2028 ", min_size=1, max_size=5).filter(lambda text: text.strip())),
    ),
)


def expected(said: list[tuple[str, tuple[str, str]]]) -> dict[str, tuple[str | None, str | None, str | None]]:
    """The same law, written another way: replays everything that was not taken back."""
    standing: list[tuple[str, tuple[str, str]]] = []
    for episode, (action, value) in said:
        if action != "undo":
            standing.append((episode, (action, value)))
            continue
        last = max(i for i, (other, _) in enumerate(standing) if other == episode)
        del standing[last]
    found: dict[str, list[str | None]] = {}
    for episode, (action, value) in standing:
        label = found.setdefault(episode, [None, None, None])
        kind = {"keep": 0, "drop": 0, "success": 1, "failure": 1, "task": 2}[action]
        label[kind] = value if action == "task" else action
    return {episode: (a, b, c) for episode, (a, b, c) in found.items()}


def plain(log: CurationLog) -> dict[str, tuple[str | None, str | None, str | None]]:
    return {id_: (label.decision, label.outcome, label.task) for id_, label in log.state().items()}


@settings(max_examples=40, deadline=None)
@given(st.lists(SAID, max_size=10))
def test_the_last_word_counts_and_undo_takes_it_back(tmp_path_factory: pytest.TempPathFactory, said):
    path = tmp_path_factory.mktemp("log") / "curation.jsonl"
    log, accepted = CurationLog(path), []
    for episode, (action, value) in said:
        try:
            log.append(episode, action, value, "ada")
        except RoboscaleError:
            assert action == "undo" and episode not in expected(accepted)
        else:
            accepted.append((episode, (action, value)))
    assert plain(log) == expected(accepted)
    assert plain(CurationLog(path)) == expected(accepted)


def test_a_line_says_who_said_what_when(tmp_path: Path):
    path = tmp_path / "meta/roboscale/curation.jsonl"
    entry = CurationLog(path).append("a", "task", "Öffne die Tür", "ada")
    line = json.loads(path.read_text("utf-8"))
    assert line == {
        "time": entry.time,
        "episode": "a",
        "action": "task",
        "value": "Öffne die Tür",
        "author": "ada",
    }
    assert entry.time.endswith("+00:00")
    assert CurationLog(path).state() == {"a": Label(task="Öffne die Tür", time=entry.time, author="ada")}


def test_a_log_that_is_not_there_is_empty(tmp_path: Path):
    assert CurationLog(tmp_path / "none.jsonl").state() == {}
    assert not list(tmp_path.iterdir())


def test_a_last_line_torn_anywhere_is_ignored_and_overwritten(tmp_path: Path):
    path = tmp_path / "curation.jsonl"
    log = CurationLog(path)
    log.append("a", "keep")
    whole = path.stat().st_size
    log.append("b", "task", "pick up the cup é")
    content = path.read_bytes()
    for cut in range(whole, len(content) - 1):
        path.write_bytes(content[:cut])
        torn = CurationLog(path)
        assert plain(torn) == {"a": ("keep", None, None)}, cut
        torn.append("c", "drop")
        assert plain(torn) == plain(CurationLog(path)) == {"a": ("keep", None, None), "c": ("drop", None, None)}
        assert path.read_bytes().startswith(content[:whole])
        assert all(json.loads(line) for line in path.read_text("utf-8").splitlines())


def test_a_complete_last_line_without_its_newline_counts(tmp_path: Path):
    path = tmp_path / "curation.jsonl"
    CurationLog(path).append("a", "keep")
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    log = CurationLog(path)
    assert plain(log) == {"a": ("keep", None, None)}
    log.append("a", "success")
    assert plain(log) == plain(CurationLog(path)) == {"a": ("keep", "success", None)}
    assert path.read_text().count("\n") == 2


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        '{"action": "keep"}',
        '{"episode": "a", "action": "shred"}',
        '{"episode": 3, "action": "keep"}',
        '{"episode": "a", "action": "keep", "value": "x"}',
        '{"episode": "a", "action": "task", "value": " "}',
        "\xff",
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: str):
    path = tmp_path / "curation.jsonl"
    CurationLog(path).append("a", "keep")
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n" + path.read_bytes())
    with pytest.raises(BadData, match=r"curation\.jsonl: line 2"):
        CurationLog(path).state()


@pytest.mark.parametrize(
    ("action", "value", "error"),
    [
        ("shred", "", UnknownName),
        ("keep", "why", SpecMismatch),
        ("task", "", SpecMismatch),
        ("task", "  ", SpecMismatch),
        ("task", "a\nb", SpecMismatch),
        ("task", "a\ud800", SpecMismatch),
        ("task", "x" * 2001, SpecMismatch),
        ("undo", "", RoboscaleError),
    ],
)
def test_what_makes_no_sense_is_not_written(tmp_path: Path, action: str, value: str, error: type[Exception]):
    log = CurationLog(tmp_path / "curation.jsonl")
    log.append("b", "keep")
    before = log.path.read_bytes()
    with pytest.raises(error):
        log.append("a", action, value)  # type: ignore[arg-type]
    assert log.path.read_bytes() == before


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = CurationLog(tmp_path / "curation.jsonl")
    log.append("a", "keep")
    before = log.path.read_bytes()

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        log.append("a", "drop")
    assert log.path.read_bytes() == before and plain(log) == {"a": ("keep", None, None)}


def test_two_writers_lose_nothing_and_see_each_other(tmp_path: Path):
    path = tmp_path / "curation.jsonl"
    logs = [CurationLog(path), CurationLog(path)]

    def write(k: int) -> None:
        for i in range(25):
            logs[k].append(f"{k}-{i}", "keep" if k else "drop")

    threads = [threading.Thread(target=write, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(logs[0].state()) == 50 and logs[0].state() == logs[1].state() == CurationLog(path).state()


def test_the_version_changes_with_the_state_only(tmp_path: Path):
    log, other = CurationLog(tmp_path / "log.jsonl"), CurationLog(tmp_path / "log.jsonl")
    first = log.version
    assert log.version == first
    other.append("a", "keep")
    assert log.version != first
