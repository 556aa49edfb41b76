"""The page of a conversion: what was kept, changed, dropped and never declared, all of it escaped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from roboscale.core import Finding
from roboscale.report.proof import CameraRow, EpisodeRow, FieldRow, ProofData, proof_page

Read = Callable[[str], Any]
EVIL = "<script>alert(1)</script>\"'&</style>"


def field(name: str, difference: float | None = 0.0, **changes: Any) -> FieldRow:
    row = FieldRow(
        name=name,
        source=f"/{name}",
        dtype="float32",
        shape=(7,),
        unit="rad",
        mode="absolute",
        frame="base",
        layout=("hip", "knee"),
        role="",
        done="copied",
        difference=difference,
    )
    return dataclasses.replace(row, **changes)


def make_proof(**changes: Any) -> ProofData:
    camera = field("observation.images.front", None, dtype="uint8", shape=(96, 128, 3), layout=(), note="worst 41 dB")
    proof = ProofData(
        source="kitchen",
        format="hdf5",
        robot_type="viperx",
        licence="CC-BY-4.0",
        rate_hz=50.0,
        fields=[field("observation.state"), field("action", mode="unknown", unit="unknown"), camera],
        cameras=[CameraRow("front", 0, 3, 41.0)],
        episodes=[
            EpisodeRow(
                index=i,
                key=f"episode_{i}",
                id=f"{i:032x}",
                frames=400,
                duration_s=8.0,
                instruction="put the cup away",
                findings=("a jump",) if i else (),
            )
            for i in range(3)
        ],
        findings=[
            Finding("idle-lead", "info", "still", episodes=(0,)),
            Finding("not-finite", "error", "NaN in qpos", episodes=(2,), repair="roboscale data fix kitchen"),
        ],
        undeclared=["action"],
        unmapped={"/effort": "no place for it"},
        missing={"front": ["episode_7"]},
        dropped=[("episode_9", "two frames long")],
        command="roboscale data import kitchen",
        notes=("the rate was guessed from the time stamps: 50 Hz",),
        versions={"roboscale": "0.1.0"},
    )
    return dataclasses.replace(proof, **changes)


@pytest.fixture(scope="module")
def page() -> str:
    return proof_page(make_proof())


def test_what_was_kept_and_what_was_not_is_said(page: str, words: Read):
    said = words(page)
    assert "every number kept 3 episodes, 1 200 frames, every number as in the source; 1 episode left out." in said
    assert "episode_9 two frames long" in said and "/effort no place for it" in said
    assert "1 episode without a video of front." in said and "worst 41 dB" in said
    assert said.index("NaN in qpos") < said.index("still"), "errors first"
    assert "roboscale data fix kitchen" in said and "role unknown" in said
    assert "the rate was guessed from the time stamps: 50 Hz." in said
    assert "Reproduce this page Copy roboscale data import kitchen" in said and "roboscale 0.1.0" in said


def test_numbers_that_changed_are_no_success(words: Read):
    said = words(proof_page(make_proof(fields=[field("a"), field("b", 0.25)])))
    assert "numbers changed" in said and "1 of 2 numeric fields as in the source" in said and "0.25" in said


def test_many_episodes_are_cut_and_it_says_so(words: Read, page_data: Read):
    one = make_proof().episodes[0]
    page = proof_page(make_proof(episodes=[dataclasses.replace(one, index=i) for i in range(1200)], command=None))
    assert "1 200 episodes, the first 1 000" in words(page).replace("\u202f", " ")
    data = page_data(page)
    assert (len(data["episodes"]), data["episodes in all"]) == (1000, 1200)
    assert "Made from Python" in words(page)


def test_nothing_from_the_data_becomes_markup(page_data: Read):
    bad = Finding(EVIL, "error", EVIL, episodes=(0,), field=EVIL, repair=EVIL)
    row = field(EVIL, source=EVIL, dtype=EVIL, unit=EVIL, mode=EVIL, frame=EVIL, layout=(EVIL,), done=EVIL)
    proof = make_proof(
        source=EVIL,
        format=EVIL,
        robot_type=EVIL,
        licence=EVIL,
        fields=[row],
        findings=[bad],
        unmapped={EVIL: EVIL},
        missing={EVIL: [EVIL]},
        dropped=[(EVIL, EVIL)],
        command=EVIL,
        notes=(EVIL,),
        versions={EVIL: EVIL},
    )
    page = proof_page(proof)
    assert "<script>alert" not in page and page.count("<script") == 2 and page.count("</style>") == 1
    assert page_data(page)["source"] == EVIL


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)
