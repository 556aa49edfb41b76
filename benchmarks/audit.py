"""How many frames a second `roboscale data audit` goes through, with pictures and without.

python -m benchmarks.audit [--episodes 40] [--frames 300]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.import_video import make_source
from roboscale import AuditDataset, audit_dataset

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--frames", type=int, default=300)
    chosen = parser.parse_args()
    total = chosen.episodes * chosen.frames
    with tempfile.TemporaryDirectory() as folder:
        make_source(Path(folder), chosen.episodes, chosen.frames)
        print(f"{chosen.episodes} episodes, {total} frames of 480x640 AV1; one process, medians of {ROUNDS}")
        for name, images in (("numbers and files", False), ("and pictures", True)):
            spent = []
            for _ in range(ROUNDS):
                begin = time.process_time()
                report = audit_dataset(AuditDataset(dataset=Path(folder) / "v3", images=images, workers=0)).report
                spent.append(time.process_time() - begin)
            cost = statistics.median(spent)
            what = f"{report.pictures} decoded" if images else "none decoded"
            print(f"  {name:18} {total / cost:9.0f} frames per processor second ({what})")


if __name__ == "__main__":
    main()
