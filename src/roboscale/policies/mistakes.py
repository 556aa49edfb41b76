"""What is typed after `--policy` and is nothing that can act: what it is, and what to type instead.

Knows names, addresses and folders, and reads a few small files. Never loads or runs anything.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from pathlib import Path
from typing import NoReturn, cast

from roboscale.core import BadData, UnknownName

__all__ = ["is_address", "is_repository", "refuse_address", "refuse_file", "refuse_folder", "refuse_name"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(?:(?:openpi|wss?|https?|tcp|grpc|zmq):/?)?((?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d+(?:/.*)?)")
_REPOSITORY = re.compile(r"(?:hf://|https?://huggingface\.co/)?[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w.-]+|/)?")

_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")

WORKS_TODAY = "serve it, or write a class with reset() and __call__(observation) around it (see docs/policies.md)"


def is_address(text: str) -> bool:
    """Whether it looks like the address of a server."""
    return bool(_SCHEME.match(text) or _HOST_AND_PORT.fullmatch(text)) and not is_repository(text)


def is_repository(text: str) -> bool:
    """Whether it looks like a repository of the Hugging Face Hub, or a folder in a folder."""
    return _REPOSITORY.fullmatch(text) is not None


def refuse_address(text: str) -> NoReturn:
    """An address that does not say that a policy server is there."""
    host = _HOST_AND_PORT.fullmatch(text)
    if host is not None:
        raise UnknownName("policy", text, [f"openpi://{host[1]}"])
    name, rest = cast("re.Match[str]", _SCHEME.match(text)).groups()
    ours = {"http": "openpi", "https": "wss"}.get(name.lower(), "openpi")
    raise UnknownName("policy", text, [f"{ours}://{rest.rstrip('/')}"])


def refuse_folder(path: Path) -> NoReturn:
    """A folder that holds no policy of ours."""
    expected = "a policy of `roboscale policy train` (policy.json)"
    if (path / "training.safetensors").is_file():
        raise BadData(path, "folder", expected, "one that is half trained: train it with the same command to the end")
    if (path / "meta" / "info.json").is_file():
        raise BadData(path, "folder", expected, f"a dataset, which replay:{path} plays")
    for inner in (path, path / "pretrained_model", path / "checkpoints" / "last" / "pretrained_model"):
        config = inner / "config.json"
        if config.is_file() and any(inner.glob("*.safetensors")):
            where = "" if inner == path else f" in {inner.relative_to(path)}"
            raise BadData(path, "folder", expected, f"{_checkpoint(config)}{where}: {WORKS_TODAY}")
    raise BadData(path, "policy.json", "a policy of `roboscale policy train`", "no such file")


def refuse_file(path: Path) -> NoReturn:
    """A file without the name of what is in it."""
    if path.suffix in _PICKLES or (path.suffix == ".zip" and _holds_pickles(path)):
        kind = "a model of stable-baselines3" if path.suffix == ".zip" else "a pickle"
        why = "opening a pickle runs whatever code its writer put in: load it in a Python file that you trust"
        raise BadData(
            path, "policy", "file.py:callable or the folder of a policy", f"{kind}; {why}, and name file.py:model"
        )
    if path.suffix != ".py":
        raise BadData(path, "policy", "file.py:callable or the folder of a policy", f"a file; {WORKS_TODAY}")
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise BadData(path, "import", "a Python file", error) from error
    names = [n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"]
    raise UnknownName("policy", str(path), [f"{path}:{name}" for name in names or ["callable"]])


def _holds_pickles(path: Path) -> bool:
    """Whether a zip is one of stable-baselines3's, whose weights and settings are pickles."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as opened:
        return any(name.endswith((".pth", ".pkl")) for name in opened.namelist())


def refuse_name(text: str, forms: tuple[str, ...]) -> NoReturn:
    """Anything else."""
    if is_repository(text):
        said = f"{text} (no such folder; from the Hugging Face Hub nothing is downloaded: {WORKS_TODAY})"
        raise UnknownName("policy", said, forms)
    raise UnknownName("policy", text, forms)


def _checkpoint(config: Path) -> str:
    """What a folder of weights says that it is."""
    try:
        said = json.loads(config.read_bytes())
    except ValueError:
        said = {}
    kind = said.get("type") if isinstance(said, dict) else None
    if kind and "input_features" in said:
        return f"a LeRobot checkpoint ({kind})"
    return "weights of another library"
