"""A study's file, its lock and its secret: what is a mistake, what is fixed, and what shows that nobody chose."""

import hashlib
import json
from pathlib import Path

import pytest

from roboscale.core import BadData, RoboscaleError, generator
from roboscale.trials.study import Amendment, Study, StudyLock, Unblinding, lock_file, secret_file

ARMS = (("old", "p.py:old"), ("new", "p.py:new"))


def study(folder: Path, arms=ARMS, **changes: object) -> Path:
    values = {"title": "t", "question": "q", "robot": "arm.toml", "tasks": ["reach"], "cases": 4, **changes}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += [f"[[arms]]\nname = {json.dumps(name)}\npolicy = {json.dumps(policy)}" for name, policy in arms]
    (folder / "s.toml").write_text("\n".join(lines))
    return folder / "s.toml"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stages": ["near", "there"], "tags": ["left", "right", "lost"]},
        {"stages": ["near"], "outcome": "progress"},
        {"min_cases": 3},
        {"min_cases": 4},
        {"alpha": 0.5, "sequential": False, "seed": -3, "notes": "none"},
    ],
)
def test_a_study_without_a_mistake_is_read_as_it_is_written(tmp_path: Path, changes: dict):
    read = Study.load(study(tmp_path, **changes))
    assert {key: read.content[key] for key in changes} == changes
    assert [(arm.name, arm.policy) for arm in read.arms] == list(ARMS)


@pytest.mark.parametrize(
    ("arms", "changes", "said"),
    [
        (ARMS, {"stages": ["near", "there", "near"]}, "stages: expected each once, found near, there, near"),
        (ARMS, {"tags": ["left", "left"]}, "tags: expected each once, found left, left"),
        ((ARMS[0], ("old", "p.py:new")), {}, "arms: expected each name once, found old, old"),
        ((ARMS[0], ("new", "p.py:old")), {}, "arms: expected each policy once, found p.py:old, p.py:old"),
        (ARMS, {"outcome": "progress"}, "stages: expected at least one where progress is compared, found none"),
        (ARMS, {"min_cases": 5}, "min_cases: expected at most cases, 4, found 5"),
        (ARMS[:1], {}, "arms: expected at least two, or design"),
        (ARMS, {"tasks": []}, "at least one task"),
        (ARMS, {"alpha": 1.0}, "between 0 and 1"),
        (ARMS, {"alpha": 0.0}, "between 0 and 1"),
    ],
)
def test_every_mistake_of_a_study_is_named_with_what_was_found(tmp_path: Path, arms, changes: dict, said: str):
    path = study(tmp_path, arms, **changes)
    with pytest.raises(BadData) as caught:
        Study.load(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_several_mistakes_are_listed_together(tmp_path: Path):
    path = study(tmp_path, tags=["a", "a"], stages=["b", "b"], min_cases=9)
    with pytest.raises(BadData, match=r"(?s)3:.*stages.*tags.*min_cases"):
        Study.load(path)


def test_a_lock_holds_as_long_as_no_value_changes_and_then_names_each(tmp_path: Path):
    path = study(tmp_path, tags=["a"])
    made = StudyLock.make(path)
    again = StudyLock.load(path)
    assert again == made
    again.require(Study.load(path), path)
    path.write_text("# a comment, and another order of keys\n" + path.read_text())
    again.require(Study.load(path), path)
    study(tmp_path, tags=["a"], cases=5, notes="more")
    changes = ("cases: 4 -> 5", 'notes: "" -> "more"')
    assert again.changes(Study.load(path)) == changes
    with pytest.raises(RoboscaleError, match=r"cases: 4 -> 5; notes: .*study amend .* --reason"):
        again.require(Study.load(path), path)


def test_amendments_and_unblindings_come_back_and_the_last_amendment_holds(tmp_path: Path):
    path = study(tmp_path)
    first = StudyLock.make(path)
    study(tmp_path, cases=6)
    new = Study.load(path)
    facts = {"digest": new.digest, "reason": "slow", "by": "Ann"}
    earlier = Amendment(time_ns=1, changes=("x",), **{**facts, "digest": "0" * 64})
    amended = StudyLock(
        locked_ns=first.locked_ns,
        first_digest=first.first_digest,
        commitment=first.commitment,
        content=new.content,
        amendments=(earlier, Amendment(time_ns=2, changes=first.changes(new), **facts)),
        unblindings=(Unblinding(time_ns=3, early=True, reason="why", by="Bert"),),
    )
    amended.save(path)
    assert StudyLock.load(path) == amended and amended.digest == new.digest != first.digest
    amended.require(new, path)
    study(tmp_path)
    with pytest.raises(RoboscaleError, match="cases: 6 -> 4"):
        amended.require(Study.load(path), path)
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_a_study_is_locked_once_and_none_runs_unlocked(tmp_path: Path):
    path = study(tmp_path)
    with pytest.raises(RoboscaleError, match="is not locked: roboscale study lock"):
        StudyLock.load(path)
    StudyLock.make(path)
    secret = secret_file(path).read_text()
    with pytest.raises(RoboscaleError, match="locked already"):
        StudyLock.make(path)
    assert secret_file(path).read_text() == secret, "the order that was drawn is the one that holds"


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"amendments": [], "unblindings": []}', '{"amendments": 3}'])
def test_a_broken_lock_is_named(tmp_path: Path, text: str):
    path = study(tmp_path)
    lock_file(path).write_text(text)
    with pytest.raises(BadData, match=r"s\.lock\.json.*what `study lock` wrote"):
        StudyLock.load(path)


def test_the_order_follows_from_a_secret_of_128_bits_that_only_its_owner_reads(tmp_path: Path):
    """Whoever is shown the secret afterwards finds the same order: its number modulo 2**63 seeds the draw."""
    seeds = set()
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = study(folder)
        lock = StudyLock.make(path)
        secret = secret_file(path).read_text()
        assert len(bytes.fromhex(secret)) == 16 and secret_file(path).stat().st_mode & 0o777 == 0o600
        assert secret not in lock_file(path).read_text()
        seeds.add(lock.order(path))
        assert lock.order(path) == int(secret, 16) & (2**63 - 1)
    assert len(seeds) == 20
    assert len({tuple(generator(seed).permutation(9)) for seed in seeds}) > 10


def test_a_secret_that_is_gone_or_another_one_is_refused(tmp_path: Path):
    path = study(tmp_path)
    lock = StudyLock.make(path)
    file = secret_file(path)
    secret = file.read_text()
    file.write_text(secret + "\n")
    assert lock.order(path) == int(secret, 16) % 2**63, "an editor's line end is no other secret"
    file.write_text(hashlib.md5(b"mine").hexdigest())
    with pytest.raises(BadData, match="the one that was drawn at the lock"):
        lock.order(path)
    file.unlink()
    with pytest.raises(BadData, match=r"s\.secret.*the secret of the lock"):
        lock.order(path)
