"""The page of a validity card: the card's own words, both worlds' numbers, and no claim from too few policies."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from roboscale.report.validity import ValidityData, validity_page
from roboscale.report.validity_figures import agreement_figure, residual_figure, scatter_figure
from roboscale.stats.validity import Score, validity

Read = Callable[[str], Any]
EVIL = "<script>alert(1)</script>\"'&</style>"
MOVE_NEAR = {"RT-1 58k": (0.6333, 0.5), "RT-1 400k": (0.583, 0.63), "RT-1-X": (0.45, 0.5), "Octo": (0.35, 0.19)}
"""Made up around SIMPLER's table for move-near: four policies, real and simulated."""


def make_data(k: int = 9, seed: int = 4, real_trials: int = 30, cheap_trials: int = 400) -> ValidityData:
    rng = np.random.default_rng(seed)
    real: dict[str, Score] = {}
    cheap: dict[str, Score] = {}
    for number in range(k):
        true = rng.uniform(0.1, 0.95)
        name = f"{('diffusion', 'pi0', 'act', 'octo')[number % 4]}-{100 * (number + 1)}k"
        real[name] = (int(rng.binomial(real_trials, true)), real_trials)
        biased = float(np.clip(true + 0.08 + rng.normal(0, 0.1), 0.01, 0.99))
        cheap[name] = (int(rng.binomial(cheap_trials, biased)), cheap_trials)
    cheap["never-on-the-robot"] = (7, 10)
    card = validity(real, cheap)
    command = "roboscale validity --real lab.db --cheap sim.db"
    return ValidityData.of(card, real, cheap, sources=("lab.db", "sim.db"), command=command, versions={"numpy": "2.1"})


def few(scores: Mapping[str, tuple[float, float]]) -> ValidityData:
    real = {name: pair[0] for name, pair in scores.items()}
    cheap = {name: pair[1] for name, pair in scores.items()}
    return ValidityData.of(validity(real, cheap), real, cheap)


@pytest.fixture(scope="module")
def data() -> ValidityData:
    return make_data()


@pytest.fixture(scope="module")
def page(data: ValidityData) -> str:
    return validity_page(data)


def test_the_cards_own_words_and_numbers_are_on_the_page(data: ValidityData, page: str, page_data: Read, words: Read):
    card, said = data.card, words(page)
    assert page_data(page)["card"] == json.loads(json.dumps(card.to_json()))
    headline = re.search(r'class="sentence">(.*?)</p>', page)
    assert headline is not None and card.claims[0] in words("<body>" + headline[1])
    assert all(claim in said for claim in card.claims)
    assert f"Pearson correlation {card.pearson.value:+.2f} {card.pearson.low:+.2f} to" in said.replace("−", "-")
    for name in card.policies:
        assert f"{name} {100 * data.real[name].value:.0f} %" in said
    assert "never-on-the-robot" in said and "k = 9 policies" in said


def test_mmrv_names_its_orientation(data: ValidityData, page: str, words: Read):
    said = words(page)
    assert (
        f"MMRV, weighed by real {data.card.mmrv:.3g} each wrong order costs the real difference: mmrv(real, c" in said
    )
    assert f"MMRV, weighed by cheap {data.card.mmrv_swapped:.3g} each wrong order costs the cheap difference" in said


def test_every_figure_returns_the_table_it_was_drawn_from(data: ValidityData):
    card = data.card
    scatter = scatter_figure(card.policies, data.real, data.cheap).table
    assert {row[0]: (row[1], row[11]) for row in scatter.rows} == {
        name: (data.real[name].value, data.cheap[name].value) for name in card.policies
    }
    residuals = residual_figure(card.calibration).table
    assert {row[0]: row[1:4] for row in residuals.rows} == {
        n: (e.value, e.low, e.high) for n, e in card.calibration.items()
    }
    pearson, spearman = agreement_figure(card).table.rows
    assert pearson[1:4] == (card.pearson.value, card.pearson.low, card.pearson.high)
    assert pearson[8:] == (*card.pearson_drop_one, card.permutation.chance)
    assert spearman[8:10] == card.spearman_drop_one


def test_too_few_policies_claim_nothing(words: Read):
    three = dict(list(MOVE_NEAR.items())[:3])
    page = validity_page(few(three))
    headline = re.search(r'class="sentence">(.*?)</p>', page)
    assert headline is not None and "too few for any claim" in headline[1]
    assert "no interval" in words(page) and "too few policies to leave one out" in words(page)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_almost_nothing_reads_well(count: int, words: Read):
    said = words(validity_page(few(dict(list(MOVE_NEAR.items())[:count]))))
    assert not re.search(r"\b(None|nan|inf)\b", said)
    assert "The data cannot say" in said or "too few" in said


def test_worlds_that_cannot_tell_policies_apart(words: Read):
    said = words(validity_page(few({"a": (0.5, 0.1), "b": (0.5, 0.2), "c": (0.5, 0.3), "d": (0.5, 0.4)})))
    assert "The data cannot say" in said and "Pearson correlation no value" in said


def test_scores_without_counts_have_no_whiskers():
    data = few(MOVE_NEAR)
    with_counts = make_data(4)
    bare = scatter_figure(data.card.policies, data.real, data.cheap).svg.count("<path")
    assert (
        scatter_figure(with_counts.card.policies, with_counts.real, with_counts.cheap).svg.count("<path") == bare + 8
    )


def test_nothing_from_the_data_becomes_markup(page_data: Read):
    scores: dict[str, Score] = {EVIL: (5, 10), "b": (3, 10), "c": (1, 10)}
    data = ValidityData.of(validity(scores, {**scores, f"{EVIL}2": (1, 2)}), scores, scores)
    names = {"real_name": EVIL, "cheap_name": EVIL, "title": EVIL, "command": EVIL}
    lists = {"sources": (EVIL,), "notes": (EVIL,), "unverified": {EVIL: (EVIL,)}, "versions": {EVIL: EVIL}}
    page = validity_page(dataclasses.replace(data, **names, **lists))
    assert "<script>alert" not in page and page.count("<script") == 2 and page.count("</style>") == 1
    assert page_data(page)["title"] == EVIL


def test_the_same_card_gives_the_same_bytes(page: str):
    assert validity_page(make_data()) == page
    assert not re.search(r"\b(src|href)=\"(?!#|data:)", page)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)
