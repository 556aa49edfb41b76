"""Answers a folder of an augmentation job with NVIDIA's Cosmos, run from a checkout of its own.

    python cosmos_worker.py transfer2.5 CHECKOUT FOLDER
    python cosmos_worker.py 3 CHECKOUT[@CHECKPOINT] FOLDER

Runs in whatever Python it is called with, and needs nothing else; Cosmos runs in the `.venv` of the checkout where
there is one. Both command lines and files are those of their documentation (Transfer 2.5 as of 2025, Cosmos 3 as of
2026). No weights were run with this: what was tried is a stand-in program with the same command line.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["answer"]

_CONTROLS = {"edges": "edge", "depth": "depth", "segmentation": "seg"}
_CHECKPOINT = "Cosmos3-Nano-Sim-Transfer"
_STRONGEST = ("segmentation", "depth", "edges")  # Cosmos 3 takes one control; which is taken first


def transfer_spec(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What Transfer 2.5 reads: every control, equally strong."""
    weight = round(1.0 / len(job["controls"]), 3)
    controls = {
        _CONTROLS[kind]: {"control_path": str(folder / file), "control_weight": weight}
        for kind, file in job["controls"].items()
    }
    video = {"video_path": str(folder / job["input"]), "prompt": job["prompt"], "seed": job["seed"]}
    return {"name": job["name"], "max_frames": job["frames"], **video, **controls}


def cosmos3_spec(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What Cosmos 3 reads: one control."""
    kind = next(kind for kind in _STRONGEST if kind in job["controls"])
    video = {"vision_path": str(folder / job["input"]), "num_frames": job["frames"], "prompt": job["prompt"]}
    control = {"control_path": str(folder / job["controls"][kind])}
    return {"name": job["name"], **video, _CONTROLS[kind]: control}


def answer(kind: str, checkout: str, folder: Path) -> None:
    """Writes the file that Cosmos reads, runs it, and puts its video where it is looked for."""
    root, _, checkpoint = checkout.partition("@")
    job, spec, out = json.loads((folder / "job.json").read_text()), folder / "cosmos.json", folder / "cosmos"
    own = Path(root) / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    if kind == "transfer2.5":
        spec.write_text(json.dumps(transfer_spec(job, folder)))
        words = [python, "examples/inference.py", "-i", str(spec), "-o", str(out)]
        made = out / (job["name"] + ".mp4")
    elif kind == "3":
        spec.write_text(json.dumps(cosmos3_spec(job, folder)))
        words = [python, "-m", "cosmos_framework.scripts.inference", "-i", str(spec), "-o", str(out)]
        words += ["--checkpoint-path", checkpoint or _CHECKPOINT, "--seed=" + str(job["seed"])]
        made = out / job["name"] / "vision.mp4"
    else:
        sys.exit("which Cosmos is " + kind + "? transfer2.5 or 3")
    done = subprocess.run(words, cwd=root)
    if done.returncode:
        sys.exit("cosmos " + kind + " ended with " + str(done.returncode))
    if not made.exists():
        sys.exit("cosmos " + kind + " wrote no " + str(made))
    shutil.copyfile(str(made), str(folder / "output.mp4"))
    about = {"model": "cosmos " + kind, "checkpoint": checkpoint, "checkout": _commit(root)}
    (folder / "result.json").write_text(json.dumps(about))


def _commit(root: str) -> str:
    done = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip() if not done.returncode else ""


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    answer(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
