"""Pools two recordings of different formats and robots: imports both, audits one, reads them as one collection.

The recordings are small made-up ones; put your folders where `sample_sources` is.
"""

import tempfile
from pathlib import Path

from roboscale.cli.auditing import audit_source
from roboscale.cli.importing import Import, run_import
from roboscale.dataset.collection import Collection, NewMember, write_collection
from roboscale.testing.samples import lerobot, rlds


def sample_sources(folder: Path) -> dict[str, Import]:
    v21 = Import(lerobot.write_v21(folder / "v21"), folder / "arm", workers=0)
    bridge = Import(rlds.write(folder / "rlds"), folder / "widowx", options={"fps": 10}, workers=0)
    return {"arm": v21, "widowx": bridge}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = sample_sources(folder)
        for robot, asked in sources.items():
            proof = run_import(asked)
            numbers = [row for row in proof.fields if row.role == "" and row.difference is not None]
            worst = max(row.difference for row in numbers)
            print(f"{robot}: {len(proof.episodes)} episodes from {proof.format}, largest difference {worst:g}")
        report = audit_source(folder / "arm", workers=0)
        print(f"audit of arm: {report.count('error')} errors, {report.count('warning')} warnings")
        members = [NewMember(asked.out, robot) for robot, asked in sources.items()]
        write_collection(folder / "pool", members)
        pool = Collection(folder / "pool")
        print(f"pool: {len(pool.episodes)} episodes of {', '.join(pool.embodiments)}")


if __name__ == "__main__":
    main()
