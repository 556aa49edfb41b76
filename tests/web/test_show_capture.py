"""What a person did is drawn over the pictures and in space, with its error and what was not measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboscale.dataset import Dataset
from roboscale.jobs.collect_human import CollectHuman, collect_human
from tests.samples import capture as samples
from tests.web.test_show_browser import visit  # noqa: F401 (a fixture)

pytestmark = pytest.mark.browser

ALPHA = """([name, x, y]) => {
  const canvas = document.querySelector(`[data-camera="${name}"] canvas.over`);
  const scale = canvas.width / 64;
  const side = 9;
  const data = canvas.getContext("2d").getImageData(scale * x - side / 2, scale * y - side / 2, side, side).data;
  return Math.max(...data.filter((_, i) => i % 4 === 3));
}"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("capture")
    source = samples.write_egodex(place / "ego", frames=24, video=True)
    asked = {"sigma_position": 0.02, "sigma_rotation": 0.1, "workers": 0, "video": True}
    collect_human(CollectHuman(source=source, out=place / "out", **asked))
    return place / "out"


@pytest.fixture(scope="module")
def client(serving: Any, captured: Path) -> Iterator[Any]:
    with serving(captured) as client:
        yield client


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hands_are_drawn_where_the_lens_sees_them(visit: Any, client: Any, captured: Path, scheme: str):  # noqa: F811
    seen = visit(client, color_scheme=scheme)
    seen.until_frame(0)
    assert seen.complaints == [] and seen.overflow() == 0
    assert "left: one standard deviation 20 mm" in seen.text("#capture .says")
    dataset = Dataset(captured)
    lens = dataset.episodes[0].provenance.details["lenses"]["head"]
    row = dataset.arrays("pose.camera.head")[0].astype(float)
    turn = np.stack([row[3:6], row[6:9], np.cross(row[3:6], row[6:9])])
    wrist = dataset.arrays("observation.points.right")[0, :3].astype(float)
    x, y, z = turn.T @ (wrist - row[:3])
    at = [lens["cx"] + lens["fx"] * x / z + 0.5, lens["cy"] + lens["fy"] * y / z + 0.5]
    name = "observation.images.head"
    assert seen.page.evaluate(ALPHA, [name, *at]) > 200
    assert seen.page.evaluate(ALPHA, [name, at[0] - 12, at[1] + 20]) == 0


def test_a_dataset_of_no_capture_has_no_such_drawing(visit: Any, serving: Any, recorded: Path):  # noqa: F811
    with serving(recorded) as other:
        seen = visit(other)
        assert seen.page.locator("#capture").is_hidden() and seen.complaints == []
