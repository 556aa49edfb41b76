"""A world that is seen late, noisily or in pieces is that and nothing else, and the same for whoever acts."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from roboscale.core import Case, HasPictures, RoboscaleError, Scene, UnknownName
from roboscale.testing.world_checks import check_world
from roboscale.worlds.perturbed import AXES, PerturbedWorld, parse_cells
from roboscale.worlds.perturbed import world as perturbed_world
from tests.toy_world import IMAGE, RATE_HZ, STATE, TIME, ToyScene, ToyWorld

ROOMY = {"past_success": True}


def scene_of(variation: str, seed: int = 3, **how: object) -> Scene:
    return PerturbedWorld(ToyWorld(**{**ROOMY, **how})).start(Case("near", seed, variation))  # type: ignore[arg-type]


def walk(scene: Scene, actions: Sequence[float]) -> list[np.ndarray]:
    """What is seen of the state, before the first action and after each."""
    seen = [scene.observe([STATE.name])[STATE.name].copy()]
    for action in actions:
        scene.step(np.array([action], np.float32))
        seen.append(scene.observe([STATE.name])[STATE.name].copy())
    return seen


STEPS = (0.01, 0.02, -0.03, 0.04, 0.05, -0.01, 0.02, 0.03)


def test_the_unperturbed_arm_is_the_inner_worlds_own_scene():
    inner = ToyWorld()
    world = PerturbedWorld(inner)
    assert isinstance(world.start(Case("near", 1)), ToyScene)
    assert inner.started == [Case("near", 1)]
    outside = {name for name, axis in AXES.items() if axis.acts_on != "model"}
    assert set(world.info.variations) == {"light", *outside}
    assert world.expert().name == "expert"


def test_the_inner_world_gets_its_own_variations():
    inner = ToyWorld()
    PerturbedWorld(inner).start(Case("near", 1, "light:2,lost_frames:1"))
    assert inner.started == [Case("near", 1, "light:2")]


@pytest.mark.parametrize(("level", "late"), [(1, 1), (2, 2), (3, 3)])
def test_observations_come_late(level: int, late: int):
    plain = walk(scene_of("nominal"), STEPS)
    seen = walk(scene_of(f"observation_delay:{level}"), STEPS)
    for step, state in enumerate(seen):
        np.testing.assert_array_equal(state, plain[max(0, step - late)])


def test_a_delay_is_a_time_where_the_rate_is_high(monkeypatch: pytest.MonkeyPatch):
    from roboscale.worlds.perturbed.axes import settings_of

    delays = [settings_of(f"action_delay:{level}").delay("action_delay", 50.0) for level in (1, 2, 3)]
    assert delays == [2, 5, 10]  # .05, .1 and .2 s
    assert settings_of("light:2").delay("action_delay", 50.0) == 0


def test_actions_take_effect_late_and_the_world_holds_still_until_then():
    plain = walk(scene_of("nominal"), STEPS)
    seen = walk(scene_of("action_delay:2"), STEPS)
    for step, state in enumerate(seen):
        np.testing.assert_array_equal(state, plain[max(0, step - 2)])


def test_a_lost_observation_is_the_last_one_that_came():
    plain = walk(scene_of("nominal"), [0.001] * 300)
    seen = walk(scene_of("lost_frames:3"), [0.001] * 300)
    lost = 0
    for step, state in enumerate(seen[1:], 1):
        fresh = np.array_equal(state, plain[step])
        assert fresh or np.array_equal(state, seen[step - 1])
        lost += not fresh
    assert 120 < lost < 180  # half of 300, within three and a half standard deviations


def test_noise_has_the_size_that_its_level_says_and_spares_what_has_no_unit_of_it():
    moved, grey = [], []
    for seed in range(40):
        case = Case("near", seed, "sensor_noise:2")
        noisy, plain = (PerturbedWorld(ToyWorld()).start(one).observe() for one in (case, Case("near", seed)))
        moved += list(noisy[STATE.name] - plain[STATE.name])
        grey += list((noisy[IMAGE.name].astype(float) - plain[IMAGE.name])[:4, :4].ravel())
        assert noisy[IMAGE.name].dtype == np.uint8 and noisy[STATE.name].dtype == np.float32
        np.testing.assert_array_equal(noisy[TIME.name], plain[TIME.name])
    assert np.std(moved) == pytest.approx(0.005, rel=0.25)
    assert np.std(grey) == pytest.approx(10.0, rel=0.1)
    notes = PerturbedWorld(ToyWorld()).notes
    assert notes == (), "a time stamp needs no word"


def test_pictures_come_through_jpeg_and_numbers_do_not():
    plain = scene_of("nominal").observe()
    seen = scene_of("compression:3").observe()
    written = io.BytesIO()
    Image.fromarray(plain[IMAGE.name]).save(written, "JPEG", quality=5)
    np.testing.assert_array_equal(seen[IMAGE.name], np.asarray(Image.open(written)))
    np.testing.assert_array_equal(seen[STATE.name], plain[STATE.name])


@pytest.mark.parametrize(
    "variation",
    [
        *(f"{a}:3" for a, axis in AXES.items() if axis.acts_on == "time"),
        "observation_delay:2,lost_frames:2,sensor_noise:1",
    ],
)
def test_what_is_seen_follows_from_case_and_step_however_often_and_in_what_order_one_looks(variation: str):
    once, often = scene_of(variation), scene_of(variation)
    for action in STEPS:
        first = often.observe([IMAGE.name])
        again = often.observe()
        expected = once.observe()
        for name, value in expected.items():
            np.testing.assert_array_equal(again[name], value)
        np.testing.assert_array_equal(first[IMAGE.name], expected[IMAGE.name])
        for scene in (once, often):
            scene.step(np.array([action], np.float32))
    assert isinstance(once, HasPictures)


def test_another_case_has_other_noise():
    seen = [scene_of("sensor_noise:3", seed).observe()[IMAGE.name] for seed in (1, 2)]
    plain = [scene_of("nominal", seed).observe()[IMAGE.name] for seed in (1, 2)]
    assert not np.array_equal(seen[0].astype(int) - plain[0], seen[1].astype(int) - plain[1])


def test_numbers_belong_to_the_sizes_of_the_levels(monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    before = PerturbedWorld(ToyWorld()).info.identity
    assert before == PerturbedWorld(ToyWorld()).info.identity != ToyWorld().info.identity
    other = {**AXES, "lost_frames": replace(AXES["lost_frames"], sizes=(0.1, 0.3, 0.6))}
    monkeypatch.setattr(perturbed_world, "AXES", other)
    assert PerturbedWorld(ToyWorld()).info.identity != before


def test_a_slower_control_rate_holds_the_action_and_the_observation():
    plain, slow = scene_of("nominal"), scene_of("control_rate:1")
    for step, action in enumerate(STEPS):
        held = STEPS[step - step % 2]
        plain.step(np.array([held], np.float32))
        slow.step(np.array([action], np.float32))
        if step % 2:  # two steps are done: it looks again
            np.testing.assert_array_equal(
                slow.observe([STATE.name])[STATE.name], plain.observe([STATE.name])[STATE.name]
            )


def test_a_level_may_lie_between():
    from roboscale.worlds.perturbed.axes import settings_of

    assert settings_of("lost_frames:1.5").size("lost_frames") == pytest.approx(0.2)
    assert settings_of("compression:0.5").size("compression") == pytest.approx(72.5)
    with pytest.raises(UnknownName, match="level of lost_frames '0'"):
        settings_of("lost_frames:0")


def test_a_sentence_is_told_in_other_words_and_the_expert_understands(tmp_path):
    world = PerturbedWorld(ToyWorld())
    said = world.info.instruction("near")
    told = {level: world.info.sentence(Case("near", 4, f"paraphrase:{level}")) for level in (1, 3)}
    assert len({said, *told.values()}) == 3
    assert world.info.sentence(Case("near", 4, "lost_frames:1")) == said
    assert world.info.sentence(Case("near", 4, "paraphrase:1")) == told[1], "the same for whoever is asked"
    for sentence in told.values():
        world.expert().start(sentence, 0)
    own = tmp_path / "own.toml"
    own.write_text('[tasks]\nnear = ["get close to it"]\n')
    other = PerturbedWorld(ToyWorld(), own)
    assert other.info.sentence(Case("near", 4, "paraphrase:2")) == "get close to it"
    assert other.info.identity != world.info.identity
    own.write_text('polite = ["no place for it"]\n')
    with pytest.raises(RoboscaleError, match="one {} where the sentence stands"):
        PerturbedWorld(ToyWorld(), own)


def test_it_is_a_world_like_any_other():
    assert not [finding for finding in check_world(PerturbedWorld(ToyWorld()), "near") if finding.severity == "error"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("lihgt:2", UnknownName, "axis to perturb 'lihgt'"),
        ("lost_frames:4", UnknownName, "level of lost_frames '4'; valid: 1, 2, 3"),
        ("lost_frames:", UnknownName, "level of lost_frames"),
        (" , ", RoboscaleError, "--perturb is empty"),
        ("action_delay", RoboscaleError, "action_delay: world toy cannot: it says no action that holds still"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(text: str, error: type[RoboscaleError], words: str):
    with pytest.raises(error, match=words):
        parse_cells(text, ToyWorld(hold=None))


def test_cells_are_axes_and_levels():
    world = PerturbedWorld(ToyWorld(hold=None))
    assert parse_cells("lost_frames:2, lost_frames,lost_frames:1", world) == (
        "lost_frames:2",
        "lost_frames:1",
        "lost_frames:3",
    )
    outside = {name for name, axis in AXES.items() if axis.acts_on != "model"}
    assert {cell.partition(":")[0] for cell in parse_cells("all", world)} == outside - {"action_delay"}
    assert RATE_HZ == 10.0
