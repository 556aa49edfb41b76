"""Detectors: what they propose of what was seen, and when they say that they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from roboscale.core import UnknownName
from roboscale.referees import PictureClassifier, Proposal, SeenTrial, SightDetector, ThresholdDetector


def seen(distances=(), states=((0.0, 0.0),)) -> SeenTrial:
    return SeenTrial(
        states=np.array(states, np.float32), layout=("x", "y"), measures={"distance": np.array(distances, np.float64)}
    )


@pytest.mark.parametrize(
    ("limit", "values", "success", "said"),
    [
        ({"below": 0.05}, [0.3, 0.04, 0.2], False, "distance is 0.2 at the end, not below 0.05"),
        ({"below": 0.05, "when": "ever"}, [0.3, 0.04, 0.2], True, "distance is 0.04 at its least, below 0.05"),
        ({"above": 0.25, "when": "ever"}, [0.3, 0.04, 0.2], True, "distance is 0.3 at its most, above 0.25"),
        ({"above": 0.2}, [0.3, 0.2], False, "distance is 0.2 at the end, not above 0.2"),
        ({"below": 0.05}, [0.3, np.nan], None, "distance was not measured"),
        ({"below": 0.05, "when": "ever"}, [0.01, np.nan], True, "distance is 0.01 at its least, below 0.05"),
        ({"below": 0.05}, [], None, "distance was not measured"),
    ],
)
def test_a_number_against_a_limit(limit, values, success, said: str):
    detector = ThresholdDetector(name="near", of="measure", element="distance", **limit)
    assert detector.propose(seen(values)) == Proposal(success, said)


def test_a_rule_on_states_reads_the_element_that_it_names():
    left = ThresholdDetector(name="left", of="state", element="y", above=0.5)
    assert left.propose(seen(states=[(9.0, 0.0), (0.0, 0.6)])).success is True
    with pytest.raises(UnknownName, match=r"element of observation.state 'z'"):
        ThresholdDetector(name="up", of="state", element="z", above=0.5).propose(seen())
    with pytest.raises(UnknownName, match="measure 'height'"):
        ThresholdDetector(name="up", of="measure", element="height", above=0.5).propose(seen())


def picture(success: bool, rng: np.random.Generator) -> np.ndarray:
    """A scene with noise; where it succeeded the thing lies in the right half."""
    shown = rng.integers(60, 120, (48, 64, 3)).astype(np.uint8)
    row, column = rng.integers(8, 36), rng.integers(36, 56) if success else rng.integers(6, 26)
    shown[row : row + 6, column : column + 6] = (220, 40, 40)
    return shown


def trial(success: bool, rng: np.random.Generator) -> SeenTrial:
    return SeenTrial(first={"top": picture(False, rng)}, last={"top": picture(success, rng)})


def test_a_classifier_learns_from_scored_trials_and_says_how_well():
    rng = np.random.default_rng(0)
    truth = [k % 2 == 0 for k in range(60)]
    detector = PictureClassifier("eyes", after=10)
    known = [(PictureClassifier.features(trial(success, rng)), success) for success in truth]
    detector.learn(known)
    right = [detector.propose(trial(success, rng)).success == success for success in truth]
    assert np.mean(right) > 0.8
    reason = detector.propose(trial(True, rng)).reason
    assert reason.startswith("learned from 60 scored trials, ") and reason.endswith("told right by the rest of them")


def test_a_classifier_that_saw_too_little_or_nothing_says_so():
    rng = np.random.default_rng(1)
    detector = PictureClassifier("eyes", after=6)
    known = [(PictureClassifier.features(trial(True, rng)), True) for _ in range(8)]
    detector.learn(known)
    assert detector.propose(trial(True, rng)) == Proposal(
        None, "8 successes and 0 failures are scored: too few to learn"
    )
    assert detector.propose(SeenTrial()).success is None
    assert PictureClassifier.features(SeenTrial(last={"tiny": np.zeros((5, 7, 3), np.uint8)})).shape == (
        2 * 12 * 16 * 3,
    )


def test_a_classifier_whose_pictures_tell_nothing_is_no_better_than_chance_and_says_that():
    rng = np.random.default_rng(2)
    noise = [SeenTrial(last={"top": rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)}) for _ in range(40)]
    truth = rng.random(40) < 0.5
    detector = PictureClassifier("eyes", after=10)
    detector.learn([(PictureClassifier.features(one), bool(t)) for one, t in zip(noise, truth, strict=True)])
    share = int(detector.propose(noise[0]).reason.split(", ")[1].split(" of ")[0])
    assert share <= 30, "of 40 by chance, with the best of four ridges"


def test_a_model_that_sees_is_asked_with_pictures_and_may_not_know():
    asked = []

    def ask(text, pictures):
        asked.append((text, len(pictures)))
        return answers.pop(0)

    answers = [{"success": True, "reason": "it lies in the box"}, {"success": None}, {"success": "maybe"}, {}]
    detector = SightDetector("sight", ask)
    whole = SeenTrial(
        task="put it in the box",
        first={"top": np.zeros((4, 4, 3), np.uint8)},
        last={"top": np.ones((4, 4, 3), np.uint8)},
    )
    assert detector.propose(whole) == Proposal(True, "it lies in the box")
    assert [detector.propose(whole).success for _ in range(3)] == [None, None, None]
    assert "Was this done: put it in the box?" in asked[0][0] and asked[0][1] == 2
    assert SightDetector("sight", ask).propose(SeenTrial()).success is None and len(asked) == 4
