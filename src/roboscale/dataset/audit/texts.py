"""Instructions: empty, placeholders, a single word, or the same but for case and spaces."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from roboscale.core import Finding
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.checks import finding, many

__all__ = ["PLACEHOLDERS", "judge_texts"]

_WORDS = (
    "task test testing todo default none null n/a na tbd unknown placeholder dummy example foo bar asdf untitled",
    "string instruction description episode demo demonstration sample debug trial record recording xxx single_task",
)
PLACEHOLDERS = frozenset(word for line in _WORDS for word in line.split())
"""What stands where nobody wrote an instruction; numbers behind them do not help."""

_HOW = (
    "teleop teleoperation teleoperated teleoperate demos demonstrations data dataset collection collected collect",
    "robot robotic robots arm arms bimanual dual single mobile humanoid leader follower session real sim",
    "vr gello spacemouse joystick gamepad keyboard policy eval evaluation training train rollout lerobot",
)
_ROBOTS = (
    "so koch aloha unitree franka emika panda fr ur robotiq kuka iiwa sawyer baxter tiago agilex piper",
    "cobot xarm ufactory kinova jaco trossen widowx viperx agibot fourier gr lekiwi hopejr",
)
_FILLERS = "a an the of with on in for and by from using via at"
_HOW_WORDS = frozenset(word for line in (*_HOW, *_ROBOTS) for word in line.split()) | PLACEHOLDERS
_NOTHING = _HOW_WORDS | frozenset(_FILLERS.split())


def _says_nothing(text: str) -> bool:
    """Whether a text tells how or with what was recorded, and not what to do, e.g. `Unitree G1 teleoperation`."""
    words = re.findall(r"[^\W_]+", text.lower())
    known = [word for word in words if word in _NOTHING or any(c.isdigit() for c in word)]
    return len(known) == len(words) and any(word in _HOW_WORDS for word in words)


def judge_texts(evidence: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    """Findings about the instructions of readable episodes."""
    episodes: dict[str, list[int]] = defaultdict(list)
    for one in evidence:
        if not one.error:
            episodes[one.instruction].append(one.position)
    for text, positions in sorted(episodes.items()):
        words = re.findall(r"\w+", text)
        check = None
        if not words:
            check, sentence = "task-empty", f"{many(len(positions))} without an instruction"
        elif _bare(text) in PLACEHOLDERS or text.lower().strip() in PLACEHOLDERS or _says_nothing(text):
            check, sentence = "task-placeholder", f"the instruction is {text!r} in {many(len(positions))}"
        elif len(words) == 1 and text.isascii():  # other scripts do not put spaces between words
            check, sentence = "task-one-word", f"the instruction is only {text!r} in {many(len(positions))}"
        if check is not None:
            yield finding(check, sentence, episodes=positions, field="task", evidence={"instruction": text})
    yield from _variants(episodes)


def _bare(text: str) -> str:
    """Letters only: `Task_1.` becomes `task`."""
    return re.sub(r"[\W\d_]+", "", text.lower())


def _variants(episodes: dict[str, list[int]]) -> Iterator[Finding]:
    same: dict[str, list[str]] = defaultdict(list)
    for text in episodes:
        folded = " ".join(text.lower().split()).rstrip(" .!")
        if folded:
            same[folded].append(text)
    for texts in same.values():
        if len(texts) > 1:
            positions = sorted(i for text in texts for i in episodes[text])
            sentence = f"{len(texts)} instructions differ by case, spaces or full stops: {', '.join(map(repr, texts))}"
            yield finding("task-duplicate", sentence, episodes=positions, field="task", evidence={"texts": texts})
