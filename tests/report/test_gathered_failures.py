"""Where failures gather is shown with films of some of them, the largest lift first."""

import numpy as np

from roboscale.report.blocks import Details, Films
from roboscale.report.model import FilmedCase, FilmedTrial, ReportData
from roboscale.report.robustness import worse_worlds_section
from roboscale.stats.sensitivity import sensitivity


def test_films_of_a_corner_stand_under_its_words():
    rows = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], float)
    found = sensitivity(np.repeat(rows, 4, axis=0), ("light", "mass"))
    film = FilmedTrial(policy="a", status="failure", origin="replayed, same outcome", mp4=b"film", steps=9)
    case = FilmedCase(case="push/light:2/1", task="push", instruction="push the cup over the table", films=(film,))
    gathered = {"a": {"light of 1.5 or more": (case, case), "mass of 1.5 or more": (case,)}}
    section = worse_worlds_section(ReportData(title="x", swept={"a": found}, gathered=gathered))
    shown = [block for block in section.blocks if isinstance(block, Details)]
    assert [one.summary for one in shown] == [f"a: failures at {where}" for where in gathered["a"]]
    (films,) = shown[0].blocks
    assert isinstance(films, Films) and len(films.reels) == 2
    assert films.reels[0].clips[0].uri.startswith("data:video/mp4") and films.reels[0].case == "push/light:2/1"
