"""RoboArena's sessions through the arena: import, export, rank, and the golden fit of the shared tables."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import roboscale as rs
from roboscale.arena.arena import Arena
from roboscale.trials.log import open_log

TABLES = Path(os.environ.get("ROBOSCALE_TEST_DATA", "none")) / "tables"


def session(root: Path, id_: str, sides: dict[str, tuple[str, float]], preference: str, **more: object) -> None:
    folder = root / "evaluation_sessions" / id_
    folder.mkdir(parents=True)
    said = {
        "evaluation_location": "lab",
        "evaluator_name": "ada",
        "language_instruction": "wipe the table",
        "longform_feedback": "B was <faster>",
        "policies": {
            letter: {"policy_name": n, "binary_success": p == 1, "partial_success": p, "duration": 40}
            for letter, (n, p) in sides.items()
        },
        "preference": preference,
        "session_creation_timestamp": "2026-02-03 10:00:00",
        "session_completion_timestamp": "2026-02-03T10:05:00+00:00",
        **more,
    }
    (folder / "metadata.yaml").write_text(json.dumps(said))


def test_two_to_seven_policies_and_nothing_twice(tmp_path: Path):
    session(tmp_path, "two", {"A": ("x", 0.2), "B": ("y", 0.9)}, "B")
    session(tmp_path, "unsaid", {"A": ("x", 0.2), "B": ("y", 0.9)}, "")
    session(tmp_path, "seven", {letter: (f"p{letter}", k / 6) for k, letter in enumerate("ABCDEFG")}, "A")
    notes: list[str] = []
    asked = rs.ImportToArena(sessions=tmp_path, store=str(tmp_path / "arena"))
    for _ in range(2):
        done = rs.import_to_arena(asked, lambda event: notes.append(str(event)))
        assert (done.sessions, done.matches, done.policies) == (3, 2, 9)
    assert any("1 of 2 pairs have no preference" in note for note in notes)
    assert any("no assignment probability" in note for note in notes)
    with open_log(tmp_path / "arena", read_only=True) as log:
        state, trials = Arena(log).state, list(log.trials(light=True))
    assert len(trials) == 11 and all(t.policy.unverified and t.world.unverified for t in trials)
    seven = next(m for m in state.matches.values() if m.key == "seven")
    assert len(seven.comparisons()) == 21 and seven.probability is None
    assert all(outcome == "second" for _, _, outcome in seven.comparisons())
    assert seven.closed_ns - seven.created_ns == 300 * 10**9


def test_an_empty_folder_is_an_error(tmp_path: Path):
    with pytest.raises(rs.BadData, match="sessions: expected evaluation_sessions"):
        rs.import_to_arena(rs.ImportToArena(sessions=tmp_path, store=str(tmp_path / "arena")))


def test_the_110_sessions_give_their_golden_fit(tmp_path: Path):
    if not TABLES.is_dir():
        pytest.skip(f"no reference tables at {TABLES}; set ROBOSCALE_TEST_DATA")
    golden = json.loads((TABLES / "roboarena_110_golden_fit.json").read_text())
    rows = list(csv.DictReader((TABLES / "roboarena_pairs_110.csv").open()))
    for row in rows:
        sides = {k: (row[f"policy_{k.lower()}"], float(row[f"partial_{k.lower()}"] or 0)) for k in "AB"}
        session(tmp_path, row["session8"], sides, row["preference"], evaluation_location=row["location"])
    done = rs.import_to_arena(rs.ImportToArena(sessions=tmp_path, store=str(tmp_path / "arena")))
    assert (done.sessions, done.matches) == (110, 110)
    out = tmp_path / "out"
    exported = rs.export_arena(rs.ExportArena(out=out, store=str(tmp_path / "arena")))
    assert exported.comparisons == 110
    table = pq.read_table(out / "comparisons.parquet")
    among = set(golden["policies"])  # the reference leaves a policy of few sessions out
    kept = [
        a in among and b in among
        for a, b in zip(*(table[c].to_pylist() for c in ("policy_a", "policy_b")), strict=True)
    ]
    pq.write_table(table.filter(kept), out / "among.parquet")
    ranking = rs.rank(rs.Rank(sources=(str(out / "among.parquet"),), by="preference", sets="anytime")).standing.ranking
    assert ranking.n == golden["n"]
    for name, theta in zip(golden["policies"], golden["davidson_theta"], strict=True):
        assert ranking.scores[name].value == pytest.approx(theta, abs=1e-6)
    assert ranking.tie_parameter.value == pytest.approx(golden["davidson_nu"], abs=1e-6)


def test_what_is_no_session_is_named_and_a_side_that_is_no_object_is_an_error(tmp_path: Path):
    session(tmp_path, "two", {"A": ("x", 0.2), "B": ("y", 0.9)}, "B")
    (tmp_path / "evaluation_sessions/cut").mkdir()
    (tmp_path / "evaluation_sessions/cut/metadata.yaml").write_text("{cut")
    notes: list[str] = []
    asked = rs.ImportToArena(sessions=tmp_path, store=str(tmp_path / "arena"))
    rs.import_to_arena(asked, lambda event: notes.append(str(event)))
    assert any("1 metadata.yaml speak of no policies" in note and "cut" in note for note in notes)
    assert not any("more than two" in note for note in notes)
    (tmp_path / "evaluation_sessions/cut/metadata.yaml").write_text("policies: {A: pi0, B: pi1}")
    with pytest.raises(rs.BadData, match=r"policies\.A: expected an object with policy_name, found str"):
        rs.import_to_arena(asked)
