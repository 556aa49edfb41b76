"""A robot that takes part in an arena: what its side does between two clicks of its evaluator.

The step loop, the guard and the world are those of every other run; who answers an observation is the arena's server.
"""

from __future__ import annotations

import io
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roboscale.arena.client import ArenaClient
from roboscale.arena.people import Refused
from roboscale.core import (
    ActionChunk,
    Case,
    InfrastructureError,
    Observation,
    PolicyError,
    RoboscaleError,
    RolloutSettings,
    Scene,
    Take,
    World,
)
from roboscale.dataset.video import Encoder
from roboscale.jobs.arena_episodes import ArenaEpisodes
from roboscale.trials import RolloutResult, answered, rollout

__all__ = ["ArenaRobot", "played"]

_PIECE = 1_000_000
_TRIES = 3
_SAMPLES = 12
_FILM_HZ = 10.0

Picture = NDArray[np.uint8]


class ArenaRobot:
    """One robot, its evaluator's token, and what is under way.

    Args:
        client: asks the server as the evaluator.
        world: the robot, or what stands in for one.
        site: where it stands, for the board.
        name: of the robot; by default the world's.
        rubrics: task -> steps in order.
        pace: `wall` where time passes by itself, `simulated` otherwise; by default the world's.
        episodes: where rollouts are kept as data, too; nowhere by default.
    """

    def __init__(
        self,
        client: ArenaClient,
        world: World,
        *,
        site: str,
        name: str = "",
        rubrics: Mapping[str, Sequence[str]] | None = None,
        pace: str = "",
        episodes: ArenaEpisodes | None = None,
    ) -> None:
        self.client, self.world, self.site, self.episodes = client, world, site, episodes
        info = world.info
        if not info.observation_spec.images:
            raise RoboscaleError(f"{info.name} has no camera: an arena shows the scene before it draws who meets")
        self.name = name or info.name
        self.rubrics = {task: list(steps) for task, steps in (rubrics or {}).items()}
        self.settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, pace=pace or info.pace)
        self.camera = info.observation_spec.images[0].name
        self.robot = ""
        self.shown: Picture | None = None  # the newest picture of the scene, for whoever watches
        self.first: Picture | None = None  # of this match, to lay over it

    def register(self) -> str:
        """Tells the server what this robot is, and gives it observations to check policies by; the robot's id."""
        info = self.world.info
        told = {
            "name": self.name,
            "site": self.site,
            "world": info.identity.to_json(),
            "tasks": dict(info.tasks),
            "settings": self.settings.to_json(),
            "rubrics": self.rubrics,
            "action_size": int(np.prod(info.action_spec["action"].shape)),
        }
        self.robot = self.client.post("/api/robots", told)["robot"]
        self.client.send_frame("PUT", f"/api/robots/{self.robot}/samples", self._samples())
        return self.robot

    def _samples(self) -> dict[str, Any]:
        """Observations while the robot holds still, and the limits of its actions."""
        info = self.world.info
        task = next(iter(info.tasks))
        action = info.action_spec["action"]
        scene = self.world.start(Case(task, 0))
        try:
            seen = [dict(scene.observe())]
            hold = np.asarray(action.low if info.hold is None else info.hold, action.dtype).reshape(action.shape)
            for _ in range(_SAMPLES - 1):
                scene.step(_holding(scene, hold))
                seen.append(dict(scene.observe()))
        finally:
            scene.close()
        size = action.shape
        low = np.full(size, -np.inf) if action.low is None else np.reshape(action.low, size)
        high = np.full(size, np.inf) if action.high is None else np.reshape(action.high, size)
        return {"observations": seen, "instruction": info.tasks[task], "low": low, "high": high}

    def look(self, task: str, start: int) -> Picture:
        """The scene of a case as the camera shows it now; the robot holds still."""
        scene = self.world.start(Case(task, start))
        try:
            self.shown = np.asarray(scene.observe([self.camera])[self.camera])
        finally:
            scene.close()
        return self.shown

    def draw(self, task: str, instruction: str, start: int, sides: int = 2, key: str = "") -> dict[str, Any]:
        """Shows the scene to the server and lets it draw who meets; what an evaluator may know of the match."""
        self.first = self.look(task, start)
        picture = self.client.send("POST", "/api/pictures", _jpeg(self.first))["picture"]
        asked = {
            "key": key or uuid.uuid4().hex,
            "robot": self.robot,
            "task": task,
            "instruction": instruction,
            "picture": picture,
            "start": start,
            "sides": sides,
        }
        return dict(self.client.post("/api/matches", asked))

    def play(self, match: str, letter: str, on_film: Callable[[str], None] = lambda text: None) -> RolloutResult:
        """Runs the side that is due until a rollout counts, at most three times; the last result.

        Raises:
            InfrastructureError: every attempt was void, or the server does not answer.
        """
        for _ in range(_TRIES):
            state = self.client.get(f"/api/matches/{match}")
            if letter in state["ran"]:
                raise Refused(409, f"{letter} has its rollout; its score is due")
            attempt = int(state["attempts"][letter])
            case = Case.parse(state["case"])
            result = self._attempt(match, letter, attempt, case, str(state["instruction"]))
            if result.end != "void":
                return result
            on_film(result.reason)
        raise InfrastructureError(f"three attempts were void, the last because: {result.reason}")

    def _attempt(self, match: str, letter: str, attempt: int, case: Case, instruction: str) -> RolloutResult:
        """One rollout, told to the server with its film, and kept as an episode where that is wanted."""
        address = f"/api/matches/{match}/{letter}/rollouts/{attempt}"
        episode, take = "", None
        if self.episodes is not None:
            episode, take = self.episodes.begin(match, letter, attempt, case, instruction)
        try:
            with tempfile.TemporaryDirectory(prefix="roboscale-arena-") as folder:
                film = _Film(Path(folder) / "film.mp4", self.camera, self.settings.rate_hz, self._saw)
                result = played(self.world, case, self.settings, _Asked(self.client, match, letter), film, take)
                started = time.time_ns() - int(result.seconds * 1e9)
                kept = take is not None and result.end != "void" and result.steps > 0
                self.client.send_frame("POST", address, _facts(result, started, episode if kept else ""))
                if self.episodes is not None and take is not None and kept:
                    self.episodes.hold(match, letter, take, result)
                    take = None
                if film.close():
                    self._upload(address + "/film", film.path.read_bytes())
            return result
        finally:
            if take is not None:
                take.discard()

    def _saw(self, picture: Picture) -> None:
        self.shown = picture

    def _upload(self, address: str, blob: bytes) -> None:
        """A film in pieces; goes on where the server has it."""
        at = 0
        while at < len(blob):
            piece = blob[at : at + _PIECE]
            at = int(self.client.send("PUT", f"{address}?offset={at}&size={len(blob)}", piece)["received"])

    def score(self, match: str, letter: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Files progress (0..100), success, damage and text of a side."""
        done = dict(self.client.post(f"/api/matches/{match}/{letter}/score", said))
        if self.episodes is not None:
            self.episodes.scored(match, letter, said)
        return done

    def vote(self, match: str, preference: str, text: str = "", valid: bool = True) -> dict[str, Any]:
        """Ends a match; what comes back tells who the sides were."""
        said = {"preference": preference, "text": text, "valid": valid}
        done = dict(self.client.post(f"/api/matches/{match}/vote", said))
        if self.episodes is not None:
            self.episodes.over(match)
        return done


class _Asked:
    """A session of a policy that nobody here knows: every observation goes to the server."""

    def __init__(self, client: ArenaClient, match: str, letter: str) -> None:
        self._client, self._address = client, f"/api/matches/{match}/{letter}/act"

    def __call__(self, observation: Observation) -> ActionChunk:
        try:
            answer = self._client.exchange(self._address, dict(observation))
        except Refused as error:
            raise InfrastructureError(f"the arena refused: {error}") from error
        if not isinstance(answer, dict) or "actions" not in answer:
            if isinstance(answer, dict) and answer.get("error") == "policy":
                raise PolicyError("the policy answered with what is no action")
            raise InfrastructureError("the policy did not answer")
        return ActionChunk(np.asarray(answer["actions"]))


def played(
    world: World,
    case: Case,
    settings: RolloutSettings,
    session: Callable[[Observation], ActionChunk],
    film: Callable[[Scene], None] | None = None,
    take: Take | None = None,
) -> RolloutResult:
    """One rollout, each observation answered by `session`."""
    return answered(rollout(world, case, settings, film=film, take=take), session)


class _Film:
    """Keeps what one camera shows, some ten times a second of the rollout's own time."""

    def __init__(self, path: Path, camera: str, rate_hz: float, saw: Callable[[Picture], None]) -> None:
        self.path, self._camera, self._saw = path, camera, saw
        self._every = max(1, round(rate_hz / _FILM_HZ))
        self._fps = rate_hz / self._every
        self._calls = 0
        self._encoder: Encoder | None = None

    def __call__(self, scene: Scene) -> None:
        if self._calls % self._every == 0:
            picture = np.asarray(scene.observe([self._camera])[self._camera])
            self._saw(picture)
            even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
            if self._encoder is None:
                self._encoder = Encoder(self.path, even.shape, self._fps, "h264")
            self._encoder.add(even)
        self._calls += 1

    def close(self) -> bool:
        """Whether there is a film."""
        if self._encoder is None:
            return False
        self._encoder.close()
        return True


def _holding(scene: Scene, hold: NDArray[Any]) -> NDArray[Any]:
    own = getattr(scene, "hold_action", None)
    return hold if own is None else np.asarray(own())


def _jpeg(picture: Picture) -> bytes:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=90)
    return written.getvalue()


def _facts(result: RolloutResult, started_ns: int, episode: str) -> dict[str, Any]:
    plain = replace(result, reason=" ".join(result.reason.split())[:4000])
    return {
        **{key: getattr(plain, key) for key in ("end", "reason", "steps", "clipped", "held", "late", "seconds")},
        "actions": result.actions if result.actions.ndim == 2 else result.actions.reshape(len(result.actions), -1),
        "measures": dict(result.measures),
        "thinking_s": result.thinking_s,
        "started_ns": started_ns,
        "episode": episode,
    }
