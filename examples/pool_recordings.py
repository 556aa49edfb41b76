"""Pools two recordings of different formats and robots: imports both, audits one, reads them as one collection.

The recordings are small made-up ones; put your folders where `sample_sources` is.
"""

import tempfile
from pathlib import Path

from roboscale import AuditDataset, ImportDataset, audit_dataset, import_dataset
from roboscale.dataset.collection import Collection, NewMember, write_collection
from roboscale.testing.samples import lerobot, rlds


def sample_sources(folder: Path) -> dict[str, ImportDataset]:
    v21, bridge = lerobot.write_v21(folder / "v21"), rlds.write(folder / "rlds")
    return {
        "arm": ImportDataset(source=v21, out=folder / "arm", workers=0),
        "widowx": ImportDataset(source=bridge, out=folder / "widowx", fps=10, workers=0),
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
        members = [NewMember(folder / robot, robot) for robot in sources]
        write_collection(folder / "pool", members)
        pool = Collection(folder / "pool")
        print(f"pool: {len(pool.episodes)} episodes of {', '.join(pool.embodiments)}")


if __name__ == "__main__":
    main()
