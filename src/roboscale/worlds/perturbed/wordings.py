"""The same sentence in other words: by templates in a file, or a user's own list.

Whether two wordings mean the same is for people to say: the templates here were read, sentence by sentence, for the
tasks that come with roboscale, and nothing checks those of a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roboscale.core import BadData, UnknownName
from roboscale.core.declared import Text, read_declared

__all__ = ["Wordings", "read_wordings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """What a file of wordings says.

    Args:
        polite, roundabout: frames with a place `{}` for the sentence.
        words: word -> what may stand for it.
        tasks: task -> its own wordings, which then stand for all levels.
    """

    polite: tuple[Text, ...] = ()
    roundabout: tuple[Text, ...] = ()
    words: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    tasks: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)

    def of(self, task: str, sentence: str) -> dict[int, tuple[str, ...]]:
        """Level -> wordings of one sentence; levels that change nothing are left out."""
        if task in self.tasks:
            return dict.fromkeys((1, 2, 3), tuple(self.tasks[task]))
        plain = sentence.strip().rstrip(".")
        plain = plain[:1].lower() + plain[1:]
        others = self._otherwise(plain)
        levels = {
            1: [frame.replace("{}", plain) for frame in self.polite],
            2: [other for other in others if other != plain],
            3: [frame.replace("{}", other) for frame in self.roundabout for other in others],
        }
        return {level: tuple(made) for level, made in levels.items() if made}

    def _otherwise(self, sentence: str) -> list[str]:
        """The sentence with every known word replaced, by the first of its stand-ins and by the last."""

        def replaced(which: int) -> str:
            def other(match: re.Match[str]) -> str:
                return self.words[match[0]][which] if match[0] in self.words else match[0]

            return re.sub(r"\w+", other, sentence)

        return list(dict.fromkeys((replaced(0), replaced(-1))))


def read_wordings(path: Path | None, tasks: Mapping[str, str]) -> dict[str, dict[int, tuple[str, ...]]]:
    """Task -> level -> wordings, from a file or from the templates that come with roboscale.

    Args:
        tasks: task -> sentence.

    Raises:
        BadData: the file cannot be read, or a frame has no place for the sentence.
        UnknownName: it names a task that there is not.
    """
    file = path or Path(__file__).with_name("wordings.toml")
    said = read_declared(file, Wordings)
    for key, frames in (("polite", said.polite), ("roundabout", said.roundabout)):
        for frame in frames:
            if frame.count("{}") != 1:
                raise BadData(file, key, "frames with one {} where the sentence stands", frame)
    for task in said.tasks:
        if task not in tasks:
            raise UnknownName(f"task in {file}", task, tasks)
    return {task: levels for task, sentence in tasks.items() if (levels := said.of(task, sentence))}
