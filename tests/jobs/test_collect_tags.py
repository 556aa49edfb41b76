"""Printed tags are found by a detector at the places and in the sizes that their layout says."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import RoboscaleError
from roboscale.jobs.collect_tags import PrintTags, print_tags

cv2 = pytest.importorskip("cv2", reason="tags are an extra: pip install 'roboscale[cameras]'")
DPI = 300


def printed(sheet: dict) -> np.ndarray:
    """The sheet as a printer would draw it, grey pixels."""
    from roboscale.report.tag_sheets import sheet_canvas
    from roboscale.sources.handheld.tag_sheet import tag_bits

    data = io.BytesIO()
    sheet_canvas(sheet, {t["number"]: tag_bits(t["number"]) for t in sheet["tags"]}).savefig(
        data, dpi=DPI, format="png"
    )
    return cv2.imdecode(np.frombuffer(data.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_every_tag_is_where_the_layout_says_and_as_large(tmp_path: Path, paper: str):
    from roboscale.sources.handheld.finger_tags import tag_detector

    print_tags(PrintTags(out=tmp_path / "tags.pdf", paper=paper))
    assert (tmp_path / "tags.pdf").read_bytes().startswith(b"%PDF")
    for sheet in json.loads((tmp_path / "tags.json").read_text())["sheets"]:
        picture = printed(sheet)
        corners, numbers, _ = tag_detector().detectMarkers(picture)
        wanted = sorted((t["number"], t["x_mm"], t["y_mm"], t["size_mm"]) for t in sheet["tags"])
        mm = 25.4 / DPI
        found = []
        for number, four in zip(numbers.reshape(-1).tolist(), corners, strict=True):
            at = four.reshape(4, 2).mean(axis=0) + 0.5
            edge = np.linalg.norm(np.diff(four.reshape(4, 2)[[0, 1, 2, 3, 0]], axis=0), axis=1).mean()
            found.append((number, at[0] * mm, sheet["height_mm"] - at[1] * mm, edge * mm))
        assert np.allclose(sorted(found), wanted, atol=0.25), sheet["name"]


def test_what_the_line_measures_is_the_scale_of_everything(tmp_path: Path):
    exact = print_tags(PrintTags(out=tmp_path / "a.pdf")).sheets
    small = print_tags(PrintTags(out=tmp_path / "b.pdf", line=98.5)).sheets
    for a, b in zip(exact, small, strict=True):
        for one, other in zip(a.tags, b.tags, strict=True):
            assert other.size_mm == pytest.approx(0.985 * one.size_mm) and other.x_mm == pytest.approx(
                0.985 * one.x_mm
            )
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes(), "what is printed does not change"


def test_a_name_that_is_no_pdf_is_refused(tmp_path: Path):
    with pytest.raises(RoboscaleError, match=r"ends in \.pdf, found tags\.png"):
        print_tags(PrintTags(out=tmp_path / "tags.png"))
    with pytest.raises(RoboscaleError, match="no folder"):
        print_tags(PrintTags(out=tmp_path / "none" / "tags.pdf"))
