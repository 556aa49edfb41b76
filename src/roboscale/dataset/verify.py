"""Is a dataset what was read? Compares every number and every video packet with the digests taken at the source."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roboscale.core.errors import BadData
from roboscale.core.recording import Clip
from roboscale.dataset.ingest import EpisodeProof, array_digest, rows_digest
from roboscale.dataset.lerobot import open_lerobot
from roboscale.dataset.lerobot.catalog import Catalog, EpisodeInfo, load_catalog
from roboscale.dataset.packets import packet_digests
from roboscale.dataset.reader import Dataset

__all__ = ["verify"]


def verify(root: Path, proofs: Sequence[EpisodeProof]) -> tuple[EpisodeProof, ...]:
    """The proofs with their largest differences, read back from the sealed files.

    Equal digests are equal bytes, so a difference that is not 0 cannot be reported here: it is an error.

    Raises:
        BadData: an episode is missing, or a field or camera is not what was read; names both digests.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cameras that are not shown here, and are carried as they are
        dataset, catalog = Dataset(root), load_catalog(root)
    episodes = {episode.id: episode for episode in dataset.episodes}
    for proof in proofs:
        if proof.id not in episodes:
            raise BadData(root, "episodes", f"{proof.id} ({proof.key})", f"{len(episodes)} others")
        _compare_numbers(dataset, episodes[proof.id], proof)
    if any(proof.carried for proof in proofs):
        _compare_carried(root, {episode.id: episode for episode in dataset.episodes}, proofs)
    _compare_videos(catalog, {proof.id: proof for proof in proofs})
    return tuple(replace(proof, largest_difference=dict.fromkeys(proof.digests, 0.0)) for proof in proofs)


def _compare_numbers(dataset: Dataset, episode: EpisodeInfo, proof: EpisodeProof) -> None:
    where = f"{dataset.root}: episode {episode.index}"
    if (episode.length, episode.instruction) != (proof.frames, proof.instruction):
        expected = f"{proof.frames} frames, {proof.instruction!r}"
        raise BadData(where, "episode", expected, f"{episode.length} frames, {episode.instruction!r}")
    rows = slice(episode.from_index, episode.from_index + episode.length)
    for name, digest in proof.digests.items():
        written = array_digest(dataset.arrays(name)[rows])
        if written != digest:
            raise BadData(where, name, f"digest {digest} as read from {proof.part}", written)


def _compare_carried(root: Path, episodes: dict[str, EpisodeInfo], proofs: Sequence[EpisodeProof]) -> None:
    with contextlib.closing(open_lerobot(root)) as recording:
        for proof in proofs:
            carried = recording.read(recording.keys[episodes[proof.id].index], ()).carried
            for name, digest in proof.carried.items():
                rows = carried[name].rows if name in carried else None
                written = rows_digest(rows.read()) if rows is not None and not isinstance(rows, Clip) else "nothing"
                if written != digest:
                    where = f"{root}: episode {episodes[proof.id].index}"
                    raise BadData(where, name, f"digest {digest} as read from {proof.part}", written)


def _compare_videos(catalog: Catalog, proofs: dict[str, EpisodeProof]) -> None:
    for camera in catalog.info.cameras:
        files: dict[Path, list[EpisodeInfo]] = {}
        for episode, location in zip(catalog.episodes, catalog.locations, strict=True):
            files.setdefault(location.videos[camera][0], []).append(episode)
        for path, episodes in files.items():
            digests = packet_digests(path, [episode.length for episode in episodes])
            for episode, written in zip(episodes, digests, strict=True):
                if episode.id in proofs and proofs[episode.id].cameras[camera].digest != written:
                    expected = f"packets {proofs[episode.id].cameras[camera].digest}"
                    raise BadData(path, f"episode {episode.index}", expected, written)
