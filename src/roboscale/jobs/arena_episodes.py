"""The rollouts of an arena as episodes at their robot: what was judged becomes data, and nobody learns whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roboscale.core import Case, Outcome, Provenance, Take, WorldInfo, derive_id
from roboscale.dataset import DatasetWriter
from roboscale.trials import RolloutResult, recording_spec

__all__ = ["ArenaEpisodes"]


class ArenaEpisodes:
    """A dataset that rollouts go into, each with its score as the outcome. One rollout at a time.

    An episode is saved when its side has its score; one that a session left without is saved without an outcome.

    Args:
        root: of the dataset; made when it is not there, or gone on with.
        info: of the robot.

    Raises:
        SpecMismatch: the dataset there has another spec.
        DatasetInUse: another process writes it.
    """

    def __init__(self, root: Path, info: WorldInfo, site: str) -> None:
        self._info, self._site = info, site
        self._writer = DatasetWriter(root, recording_spec(info), robot_type=info.embodiment)
        self._held: dict[tuple[str, str], tuple[Take, RolloutResult]] = {}

    def begin(self, match: str, letter: str, attempt: int, case: Case, instruction: str) -> tuple[str, Take]:
        """The id that the next rollout's episode will have, and what takes its frames."""
        id_ = derive_id("arena episode", match, letter, attempt)
        known = Provenance(
            source="eval",
            embodiment=self._info.embodiment,
            world=self._info.name,
            task=case.task,
            details={
                "match": match,
                "side": letter,
                "attempt": attempt,
                "site": self._site,
                "case": case.id,
                "world": self._info.identity.to_json(),
                "policy": "blind: the arena's assignment log says it, by match and side",
            },
        )
        return id_, self._writer.begin(instruction, known, episode_id=id_)

    def hold(self, match: str, letter: str, take: Take, result: RolloutResult) -> None:
        """Keeps a rollout that counts until it has its score."""
        self._held[match, letter] = take, result

    def scored(self, match: str, letter: str, said: Mapping[str, Any]) -> None:
        """Saves it with what the evaluator said; nothing happens for a rollout that was not recorded here."""
        if (match, letter) not in self._held:
            return
        take, result = self._held.pop((match, letter))
        words = " ".join([*(f"[{one}]" for one in said["damage"]), said["text"]]).strip()
        take.save(
            Outcome(
                "success" if said["success"] else "failure",
                "" if said["success"] else words,
                progress=said["progress"] / 100,
                steps=result.steps,
                terminated=result.end == "terminated",
                truncated=result.end == "truncated",
                measures=result.measures,
            )
        )

    def over(self, match: str) -> None:
        """Saves what is left of a match, without an outcome."""
        for key in [key for key in self._held if key[0] == match]:
            self._held.pop(key)[0].save()

    def close(self) -> None:
        """Saves what is left, and seals the dataset."""
        for match in {match for match, _ in self._held}:
            self.over(match)
        self._writer.finalize()
