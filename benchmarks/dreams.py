"""How much of a perfect dream survives `roboscale collect dream`: the videos are recordings of the world itself.

    python -m benchmarks.dreams OUT [--tasks reach-v3,push-v3] [--episodes 20] [--dreams 10]

Records the expert twice, takes the actions away from the second set, and asks for them back. No generative model
paints better than the world's own camera, so what is refused here is refused of any model's videos. Resumable: what
was recorded is found.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from roboscale import DreamEpisodes, RecordEpisodes, RoboscaleError, dream_episodes, record_episodes
from roboscale.dataset import Dataset
from roboscale.dataset.video import Encoder
from roboscale.stats import clopper_pearson


def main() -> None:
    """Prints a line for each task and camera."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", default="reach-v3,push-v3")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--dreams", type=int, default=10)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print("task       camera  skill  kept, played in the world   kept, two models agree")
    for task in asked.tasks.split(","):
        recorded, others = asked.out / f"{task}-recorded", asked.out / f"{task}-others"
        for place, count, seed in ((recorded, asked.episodes, 0), (others, asked.dreams, 1)):
            record_episodes(RecordEpisodes(out=place, tasks=task, episodes=count, seed=seed), lambda event: None)
        for camera in ("front", "wrist"):
            print(f"{task:10} {camera:6} {row(recorded, others, camera, asked.out / f'{task}-{camera}')}", flush=True)


def row(recorded: Path, others: Path, camera: str, out: Path) -> str:
    """Skill of the inverse dynamics, and how many of the videos are kept in either way."""
    videos = out.with_name(f"{out.name}-videos")
    paint(others, camera, videos)
    said, skill = [], ""
    for name, world in (("played", "metaworld"), ("alone", "")):
        request = DreamEpisodes(
            dataset=recorded, videos=videos, out=out.with_name(f"{out.name}-{name}"), camera=camera, world=world
        )
        total = len(list(videos.glob("*.mp4")))
        try:
            done = dream_episodes(request, lambda event: None)
            kept, skill = done.kept + done.there, f"{done.skill:.2f}"
        except RoboscaleError as error:
            kept = 0
            print(f"  {camera}, {name}: {str(error)[:200]}")
        said.append(f"{kept:2} of {total} ({clopper_pearson(kept, total)})")
    return f"{skill or '?':>5}  {said[0]:28} {said[1]}"


def paint(dataset: Path, camera: str, videos: Path) -> None:
    """Every episode's video, and where it begins; no action."""
    videos.mkdir(exist_ok=True)
    there = Dataset(dataset, images="uint8")
    for info in there.episodes:
        path = videos / f"{info.index:03}.mp4"
        if path.exists():
            continue
        pictures = np.asarray(there.decode(info.index, f"observation.images.{camera}"))
        encoder = Encoder(path, pictures.shape[1:], float(there.spec.rate_hz), "h264")
        for picture in pictures:
            encoder.add(picture)
        encoder.close()
        assert info.provenance is not None, "we recorded it"
        path.with_suffix(".json").write_text(json.dumps({"case": info.provenance.details["case"]}))


if __name__ == "__main__":
    main()
