"""A LeRobot checkpoint as something that can be asked: pictures and numbers in, rows of actions out.

Runs with LeRobot 0.4.4 and 0.6. The checkpoint's own processors normalise, rename and tokenise; what is kept from one
question to the next (noise, ensembling) belongs to a session, never to the network that all sessions share.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal

__all__ = ["LeRobotPolicy", "mend_torchvision"]

_KEPT: list[Any] = []  # an operator is undefined again when its library is collected
_STATISTICS = ("mean", "std", "min", "max")
_SESSIONS = 1024  # the longest unused is forgotten first


def mend_torchvision() -> None:
    """Declares the operators that a build of torchvision for another torch misses at import; none is called here."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # what was half imported
        make: Any = torch.library.Library
        library = make("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)


class LeRobotPolicy:
    """A `pretrained_model` folder.

    Args:
        path: the folder.
        device: `cpu`, `cuda`, `mps`.
        rows: rows of every chunk to execute; `None` for the checkpoint's `n_action_steps`.
        threads: of torch.
    """

    def __init__(self, path: str, device: str = "cpu", rows: int | None = None, threads: int = 1) -> None:
        import torch

        mend_torchvision()
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        torch.set_num_threads(threads)
        config = PreTrainedConfig.from_pretrained(path)
        config.device = device
        self._torch, self._config = torch, config
        self._net = get_policy_class(config.type).from_pretrained(path, config=config).eval()
        overrides = {"device_processor": {"device": device}}
        self._pre, self._post = make_pre_post_processors(config, path, preprocessor_overrides=overrides)
        self._most = int(getattr(config, "n_action_steps", 1))
        chunk = int(getattr(config, "chunk_size", self._most))
        if rows is not None and not 1 <= rows <= chunk:
            raise Refusal(f"n_action_steps: expected 1 to {chunk} (the chunk), found {rows}")
        self._coefficient = getattr(config, "temporal_ensemble_coeff", None)
        if self._coefficient is not None and rows not in (None, 1):
            raise Refusal(f"temporal ensembling executes 1 row of every chunk, found {rows}")
        self._rows = rows or self._most
        self._history = int(getattr(config, "n_obs_steps", 1))
        self._sessions: dict[str, _Session] = {}

    def describe(self) -> dict[str, Any]:
        """What it takes and gives, as the checkpoint says."""
        import lerobot

        takes = {
            key: {"shape": [int(n) for n in feature.shape], "kind": feature.type.value}
            for key, feature in self._config.input_features.items()
        }
        notes = []
        if self._coefficient is not None:
            notes.append(f"temporal ensembling with coefficient {self._coefficient:g}")
        return {
            "kind": self._config.type,
            "takes": takes,
            "action": [int(n) for n in self._config.output_features["action"].shape],
            "history": self._history,
            "rows": self._rows,
            "notes": notes,
            "statistics": self._statistics(),
            "versions": {"lerobot": getattr(lerobot, "__version__", ""), "torch": self._torch.__version__},
        }

    def _statistics(self) -> dict[str, Any]:
        """Key -> mean, std, min and max by which the checkpoint's processors normalise numbers, as lists."""
        said: dict[str, Any] = {}
        for step in (*self._pre.steps, *self._post.steps):
            for key, values in (getattr(step, "stats", None) or {}).items():
                arrays = {name: np.asarray(values[name], np.float64) for name in values if name in _STATISTICS}
                said[key] = {name: array.tolist() for name, array in arrays.items() if array.ndim == 1}
        return said

    def on_act(self, message: dict[str, Any]) -> list[Any]:
        """One answer for each session that is asked: its rows (H, D), or a text that says what went wrong.

        Each is computed on its own: what a network answers depends, in its last bits, on how many are asked at once.
        """
        answers: list[Any] = []
        for asked in message["asked"]:
            try:
                answers.append(self._act(asked))
            except Refusal:
                raise
            except Exception as error:  # noqa: BLE001 - the others keep their answers
                answers.append(f"{type(error).__name__}: {error}")
        return answers

    def _act(self, asked: dict[str, Any]) -> Any:
        torch, session = self._torch, self._session(asked)
        torch.random.set_rng_state(session.random)
        with torch.inference_mode():
            steps = [self._with_images(self._batch(asked, step)) for step in range(self._history)]
            self._remember(steps)
            chunk = self._net.predict_action_chunk(dict(steps[-1]))
            if session.ensemble is not None:
                chunk = session.ensemble.update(chunk)[:, None]
            rows = self._post(chunk[:, : self._rows])
        session.random = torch.random.get_rng_state()
        return rows[0].to("cpu", torch.float32).numpy()

    def _session(self, asked: dict[str, Any]) -> _Session:
        name = asked["session"]
        session = self._sessions.pop(name, None)
        if asked["step"] == 0:
            self._torch.manual_seed(asked["seed"] % 2**63)
            session = _Session(self._torch.random.get_rng_state(), self._ensemble())
        if session is None:
            raise RuntimeError("the session is not known any more: the process was started anew in the middle of it")
        self._sessions[name] = session
        while len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def _ensemble(self) -> Any:
        if self._coefficient is None:
            return None
        from lerobot.policies.act.modeling_act import ACTTemporalEnsembler

        return ACTTemporalEnsembler(self._coefficient, self._config.chunk_size)

    def _batch(self, asked: dict[str, Any], step: int) -> dict[str, Any]:
        """One step of the observation, as the checkpoint's own processors make it; a batch of one."""
        torch = self._torch
        batch: dict[str, Any] = {}
        for key, array in asked["observation"].items():
            values = array[step] if self._history > 1 else array
            if values.dtype == np.uint8 and values.ndim == 3:
                scaled = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32) / np.float32(255)
            else:
                scaled = np.array(values, np.float32)
            batch[key] = torch.from_numpy(scaled)[None]
        batch["task"] = [asked["instruction"]]
        prepared: dict[str, Any] = self._pre(batch)
        prepared.pop("action", None)  # the processors' place for it; a queue of that name is no observation
        return prepared

    def _remember(self, steps: list[dict[str, Any]]) -> None:
        """Policies with a memory read it from queues of the network, which hold exactly these steps now."""
        if self._history == 1:
            return
        self._net.reset()
        for name, queue in self._net._queues.items():
            for step in steps:
                if name in step and name != "action":
                    queue.append(step[name])

    def _with_images(self, step: dict[str, Any]) -> dict[str, Any]:
        """Several cameras stand as one array in the queues of Diffusion and VQ-BeT."""
        images = list(getattr(self._config, "image_features", None) or ())
        if not images or self._history == 1:
            return step
        return dict(step, **{"observation.images": self._torch.stack([step[key] for key in images], dim=-4)})


class _Session:
    """What one episode keeps: where its noise stands, and its running mean."""

    def __init__(self, random: Any, ensemble: Any) -> None:
        self.random, self.ensemble = random, ensemble
