"""What an arena is made of: people, robots, policies, and the matches in which policies meet in one initial picture.

Values alone: what happened to them is told by entries of the log, in the order in which they were kept (`state`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from roboscale.core import Case, Identity, RolloutSettings
from roboscale.core.plain import Plain

__all__ = [
    "DAMAGES",
    "LETTERS",
    "TIE",
    "Account",
    "AccountRole",
    "Contestant",
    "Invitation",
    "Match",
    "MatchPhase",
    "MatchScore",
    "MatchSide",
    "PlayedRollout",
    "RobotStation",
]

AccountRole = Literal["organiser", "evaluator", "owner"]
"""What a token may do: invite, revoke and see flags; run matches; offer policies."""

MatchPhase = Literal["open", "voted", "invalid", "expired"]
"""`invalid`: the evaluator said that the session does not count; `expired`: nobody went on with it."""

LETTERS = "ABCDEFG"
"""How the policies of one match are called, in the order in which they run."""

TIE = "tie"

DAMAGES = ("dropped", "collision", "broken", "unsafe")
"""What an evaluator can tick beside the progress."""


@dataclass(kw_only=True)
class Invitation(Plain):
    """A code that makes one account. Only its hash is kept."""

    code: str
    role: AccountRole
    group: str
    by: str
    expires_ns: int
    used_by: str = ""


@dataclass(kw_only=True)
class Account(Plain):
    """Somebody who may do something.

    Args:
        group: a lab or a team: nobody evaluates the policies of their own group.
        token: hash of the only secret.
    """

    id: str
    name: str
    role: AccountRole
    group: str
    token: str
    revoked: bool = False


@dataclass(kw_only=True)
class RobotStation(Plain):
    """A robot at a site, run by one evaluator's account.

    Args:
        world: what it is, by content.
        tasks: task -> what is asked of a policy by default.
        rubrics: task -> steps in order; progress may be said as the last that was reached.
        action_size: numbers of one action.
        settings: how every rollout runs.
    """

    id: str
    name: str
    site: str
    account: str
    world: Identity
    tasks: Mapping[str, str]
    settings: RolloutSettings
    rubrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    action_size: int = 0


@dataclass(kw_only=True)
class Contestant(Plain):
    """A policy that may be asked.

    Args:
        id: digest of its content.
        public: whether its weights can be had.
        checked: robot -> why it may not meet it; empty where it may.
    """

    id: str
    name: str
    owner: str
    group: str
    identity: Identity
    public: bool = False
    withdrawn: bool = False
    checked: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MatchSide(Plain):
    """One policy of a match, under the letter that its evaluator sees."""

    letter: str
    policy: str


@dataclass(frozen=True, kw_only=True)
class PlayedRollout(Plain):
    """One attempt of one side.

    Args:
        trial: its id in the log.
        end: as the trial's; a `void` one is tried again.
        video: digest of its film; empty where there is none.
        session: what the policy's server knew the rollout as.
    """

    letter: str
    attempt: int
    trial: str
    end: str
    reason: str = ""
    steps: int = 0
    seconds: float = 0.0
    video: str = ""
    session: str = ""


@dataclass(frozen=True, kw_only=True)
class MatchScore(Plain):
    """What the evaluator said of one side.

    Args:
        progress: 0 to 100.
        success: whether the task was done.
        damage: of `DAMAGES`.
    """

    letter: str
    progress: float
    success: bool
    damage: tuple[str, ...] = ()
    text: str = ""


@dataclass(kw_only=True)
class Match(Plain):
    """A meeting of policies in one initial picture.

    Args:
        key: what the evaluator's program called it: the same again is the same match.
        case: what each of them is asked.
        round: how many matches met in this very case before.
        picture: digest of the scene before anything was drawn.
        sides: in drawn order.
        probability: of this draw, sides and order included, among all that were allowed; `None` where whoever drew it
            did not say.
        seed: of the draw.
        drawn: the candidates with their probabilities and expected gains, and the limits that left others out.
        preference: a letter, or `tie`; empty before the vote, and where more than two met and nobody was named.
    """

    id: str
    key: str
    evaluator: str
    robot: str
    task: str
    instruction: str
    case: Case
    round: int
    picture: str
    sides: tuple[MatchSide, ...]
    probability: float | None
    seed: int
    drawn: Mapping[str, Any]
    created_ns: int
    touched_ns: int = 0
    closed_ns: int = 0
    phase: MatchPhase = "open"
    rollouts: list[PlayedRollout] = field(default_factory=list)
    scores: dict[str, MatchScore] = field(default_factory=dict)
    preference: str = ""
    text: str = ""

    def policy_of(self, letter: str) -> str:
        """The policy's id behind a letter; KeyError for a letter that nobody has."""
        return {side.letter: side.policy for side in self.sides}[letter]

    def attempts(self, letter: str) -> int:
        """How many rollouts of that side there were."""
        return sum(one.letter == letter for one in self.rollouts)

    def counted(self, letter: str) -> PlayedRollout | None:
        """The rollout that counts: the last that was not void."""
        done = [one for one in self.rollouts if one.letter == letter and one.end != "void"]
        return done[-1] if done else None

    def comparisons(self) -> list[tuple[str, str, Literal["first", "second", "tie"]]]:
        """Letters of each pair and who was better: the vote where two met, else who came farther."""
        letters = [side.letter for side in self.sides]
        if len(letters) == 2:
            first, second = letters
            return [(first, second, "tie" if self.preference == TIE else _ahead(self.preference == first))]
        scored = {letter: self.scores[letter].progress for letter in letters if letter in self.scores}
        return [
            (a, b, "tie" if scored[a] == scored[b] else _ahead(scored[a] > scored[b]))
            for a, b in combinations(scored, 2)
        ]

    @property
    def next_letter(self) -> str:
        """Whose rollout, or score, is due; empty when all are there."""
        for side in self.sides:
            if self.counted(side.letter) is None or side.letter not in self.scores:
                return side.letter
        return ""


def _ahead(first: bool) -> Literal["first", "second"]:
    return "first" if first else "second"
