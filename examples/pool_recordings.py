"""Pools two recordings of different formats and robots: imports both, audits one, reads them as one collection.

The recordings are small made-up ones; put your folders where `sample_sources` is.
"""

import tempfile
from pathlib import Path

import numpy as np

from roboscale import AuditDataset, ImportDataset, audit_dataset, import_dataset
from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.collection import Collection, NewMember, write_collection
from roboscale.sources.records.lerobot.export import export_v21
from roboscale.sources.records.rlds.export import export_rlds

RATE_HZ = 10


def record(folder: Path, robot: str, joints: int) -> Dataset:
    """Two episodes of a made-up robot: its joints follow their commands one step later, nearly."""
    state = Field("observation.state", (joints,), "float32", unit="rad", frame="joint")
    action = Field("action", (joints,), "float32", unit="rad", frame="joint")
    picture = Field("observation.images.front", (32, 32, 3), "uint8")
    rng = np.random.default_rng(joints)
    with DatasetWriter(folder, Spec((state, picture, action), RATE_HZ), robot_type=robot) as writer:
        for _ in range(2):
            take = writer.begin("Push the red block onto the mat.", Provenance("example", embodiment=robot))
            seen = np.zeros(joints, np.float32)
            for _ in range(30):
                told = seen + rng.normal(0, 0.1, joints).astype(np.float32)
                pixels = np.full((32, 32, 3), 40, np.uint8)
                pixels[:, int(16 + 10 * np.sin(9 * seen.sum()))] = 220  # a bright bar that goes with the joints
                take.add({"observation.state": seen, "observation.images.front": pixels, "action": told})
                seen = told + rng.normal(0, 0.005, joints).astype(np.float32)
            take.save(Outcome("success"))
    return Dataset(folder)


def sample_sources(folder: Path) -> dict[str, ImportDataset]:
    """One recording as LeRobot v2.1 of an arm of six joints, one as RLDS of an arm of seven."""
    export_v21(record(folder / "six", "arm", 6), folder / "v21")
    export_rlds(record(folder / "seven", "widowx", 7), folder / "rlds")
    return {
        "arm": ImportDataset(source=folder / "v21", out=folder / "arm", workers=0),
        "widowx": ImportDataset(source=folder / "rlds", out=folder / "widowx", fps=RATE_HZ, workers=0),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = sample_sources(folder)
        for robot, request in sources.items():
            proof = import_dataset(request).proof
            numbers = [row for row in proof.fields if row.role == "" and row.difference is not None]
            worst = max(row.difference for row in numbers)
            print(f"{robot}: {len(proof.episodes)} episodes from {proof.format}, largest difference {worst:g}")
        report = audit_dataset(AuditDataset(dataset=folder / "arm", workers=0)).report
        print(f"audit of arm: {report.count('error')} errors, {report.count('warning')} warnings")
        members = [NewMember(root=folder / robot, robot_type=robot) for robot in sources]
        write_collection(folder / "pool", members)
        pool = Collection(folder / "pool")
        print(f"pool: {len(pool.episodes)} episodes of {', '.join(pool.embodiments)}")


if __name__ == "__main__":
    main()
