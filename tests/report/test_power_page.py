"""The page on the size of a comparison: complete, offline, the same for the same question."""

import re
from pathlib import Path

from roboscale.jobs.power import SizeComparison, size_comparison


def test_the_page_shows_every_design_and_makes_no_request(tmp_path: Path):
    pages = []
    for name in ("a.html", "b.html"):
        request = SizeComparison(first=0.5, second=0.7, run_sd=0.08, html=tmp_path / name)
        size_comparison(request)
        pages.append((tmp_path / name).read_text())
    page = pages[0]
    assert page.replace("a.html", "b.html") == pages[1]
    for word in ("95 independent trials", "39 to 103 on the same cases", "same cases, 80 % alike", "Training runs"):
        assert word in page, word
    assert "roboscale power --from 0.5 --to 0.7" in re.sub(r"</?span>", "", page)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
