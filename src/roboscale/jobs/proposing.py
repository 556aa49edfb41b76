"""Detectors at a bench: what they see of a trial, what they propose, and where it is kept. The person decides.

Every trial is looked at while it runs; when it has ended, the detectors of the study propose, in a thread of their
own, so that a slow one keeps nobody waiting. Proposals are judgements of the kind `proposed` in the log.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Judgement, Observation, Trial
from roboscale.referees import Detector, PictureClassifier, Proposal, SeenTrial, SightDetector, ThresholdDetector

if TYPE_CHECKING:
    from roboscale.trials.log import TrialLog
    from roboscale.trials.study import StudyDetector

__all__ = ["DETECTOR", "Proposing", "make_detector"]

DETECTOR = "detector "
"""What the referee of a proposal begins with; its name follows."""

_PICTURES = 2  # looks whose pictures are kept while a trial runs
_ANSWER_S = 60.0


def make_detector(declared: StudyDetector) -> Detector:
    """A detector as a study declares it; connects to nothing."""
    if declared.kind == "pictures":
        return PictureClassifier(declared.name, declared.after)
    if declared.kind == "model":
        return SightDetector(declared.name, _asking(declared.url, declared.model), declared.question)
    return ThresholdDetector(
        name=declared.name,
        of=declared.kind,
        element=declared.element,
        below=declared.below,
        above=declared.above,
        when=declared.when,
    )


def _asking(url: str, model: str) -> Callable[[str, Sequence[NDArray[np.uint8]]], Mapping[str, Any]]:
    """What asks a model at an OpenAI-compatible address; the key is in ROBOSCALE_API_KEY."""
    from base64 import b64encode

    from roboscale.policies.remote.chat import ChatServer, Usage, objects_in
    from roboscale.policies.remote.images import png_of

    server = ChatServer(url, os.environ.get("ROBOSCALE_API_KEY"), 2)

    def ask(text: str, pictures: Sequence[NDArray[np.uint8]]) -> Mapping[str, Any]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        for picture in pictures:
            address = "data:image/png;base64," + b64encode(png_of(picture)).decode()
            parts.append({"type": "image_url", "image_url": {"url": address}})
        body = {"model": model, "messages": [{"role": "user", "content": parts}], "temperature": 0}
        said = server.ask(body, _ANSWER_S, Usage())
        return next(iter(objects_in(said.text)), {"success": None, "reason": f"no JSON: {said.text[:100]}"})

    return ask


class Proposing:
    """The detectors of one run at a bench.

    Args:
        declared: by the study.
        layout: names of the elements of `observation.state`.
        folder: where what a classifier learns from is kept, so that it goes on after a restart.
    """

    def __init__(
        self, declared: Sequence[StudyDetector], log: TrialLog, layout: Sequence[str], folder: Path | None
    ) -> None:
        self._declared = {one.name: one for one in declared}
        self._detectors = [make_detector(one) for one in declared]
        self._log, self._layout = log, tuple(layout)
        self._folder = None if folder is None else folder / "seen"
        self._features: dict[str, NDArray[np.float32]] = {}
        self._said: dict[str, dict[str, Proposal]] = {}
        self._threads = ThreadPoolExecutor(1, "proposing") if declared else None
        self._asked: list[tuple[Trial, Future[None]]] = []
        self._load()
        self.begin("")

    def begin(self, task: str) -> None:
        """A trial begins."""
        self._task = task
        self._states: list[NDArray[np.float32]] = []
        self._measures: list[Mapping[str, float | None]] = []
        self._first: dict[str, NDArray[np.uint8]] = {}
        self._last: deque[dict[str, NDArray[np.uint8]]] = deque(maxlen=_PICTURES)

    def look(self, observation: Observation, measures: Mapping[str, float | None]) -> None:
        """What was read of the robot during a trial."""
        if self._threads is None:
            return
        pictures = {name.rpartition(".")[2]: np.array(v) for name, v in observation.items() if v.ndim == 3}
        self._first = self._first or pictures
        self._last.append(pictures)
        self._states.append(np.array(observation["observation.state"], np.float32))
        self._measures.append(dict(measures))

    def propose(self, trial: Trial) -> None:
        """Asks the detectors about a trial that has ended; their answers come by themselves."""
        if self._threads is not None and trial.id not in self._said:
            self._said[trial.id] = {}
            self._asked.append((trial, self._threads.submit(self._propose, trial, self._seen())))

    def shown(self, trial: str) -> list[dict[str, str]]:
        """What the page may show of a trial: detector, what it proposes, why."""
        return [
            {"name": name, "says": _word(proposal.success), "reason": proposal.reason}
            for name, proposal in self._said.get(trial, {}).items()
            if self._declared[name].shown
        ]

    def close(self) -> None:
        """Waits for detectors that still think, a minute; what nobody was asked by then is on record."""
        if self._threads is None:
            return
        wait([answer for _, answer in self._asked], timeout=_ANSWER_S)
        for trial, answer in self._asked:
            for detector in self._detectors if answer.cancel() else ():
                self._file(trial, detector, Proposal(None, "the run ended before it was asked"))
        self._threads.shutdown(wait=True)

    def _seen(self) -> SeenTrial:
        names = {name for one in self._measures for name in one}
        return SeenTrial(
            task=self._task,
            states=np.stack(self._states) if self._states else np.zeros((0, len(self._layout)), np.float32),
            layout=self._layout,
            measures={
                name: np.array([np.nan if (v := one.get(name)) is None else v for one in self._measures], np.float64)
                for name in names
            },
            first=self._first,
            last=self._last[-1] if self._last else {},
        )

    def _propose(self, trial: Trial, seen: SeenTrial) -> None:
        for detector in self._detectors:
            try:
                if isinstance(detector, PictureClassifier):
                    detector.learn(self._scored(trial.id))
                proposal = detector.propose(seen)
            except Exception as error:  # noqa: BLE001  # one that breaks proposes nothing, and says why
                proposal = Proposal(None, f"{type(error).__name__}: {error}"[:300])
            self._file(trial, detector, proposal)
        self._keep(trial.id, PictureClassifier.features(seen))

    def _file(self, trial: Trial, detector: Detector, proposal: Proposal) -> None:
        self._log.judge(
            Judgement(
                trial=trial.id,
                referee=DETECTOR + detector.name,
                time_ns=time.time_ns(),
                state="proposed",
                success=proposal.success,
                reason=proposal.reason,
            )
        )
        self._said[trial.id][detector.name] = proposal

    def _scored(self, but: str) -> list[tuple[NDArray[np.float32], bool]]:
        """What people said of the trials that were seen, as it counts now."""
        said = self._log.judgements([trial for trial in self._features if trial != but])
        scored = []
        for trial, judgements in said.items():
            decided = [j for j in judgements if j.state == "decided"]
            if decided:
                scored.append((self._features[trial], bool(max(decided, key=lambda j: j.time_ns).success)))
        return scored

    def _keep(self, trial: str, features: NDArray[np.float32]) -> None:
        learns = any(isinstance(detector, PictureClassifier) for detector in self._detectors)
        if not learns or not len(features):
            return
        self._features[trial] = features
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(self._folder / f"{trial}.npy", features, allow_pickle=False)

    def _load(self) -> None:
        if self._folder is None or not self._folder.is_dir():
            return
        for file in sorted(self._folder.glob("*.npy")):
            try:
                self._features[file.stem] = np.load(file, allow_pickle=False)
            except (
                OSError,
                ValueError,
                EOFError,
            ):  # cut off when the command was killed: one trial less to learn from
                continue


def _word(success: bool | None) -> str:
    return "cannot say" if success is None else "success" if success else "failure"
