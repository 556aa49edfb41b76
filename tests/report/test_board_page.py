"""The page of a board: claims no more than its rank sets, shows its numbers, escapes, requests nothing."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roboscale.core import Estimate
from roboscale.report.board import BoardData, board_page, board_rates, board_scores, board_tasks, board_text
from roboscale.stats import clopper_pearson
from roboscale.stats.bradley_terry import count_comparisons
from roboscale.stats.letters import letters
from roboscale.stats.rank_sets import Ranking, rank_policies

Read = Callable[[str], Any]
EVIL = "<script>alert(1)</script>\"'&</style>\x1b[31m"
NAMES = ("pi0-FAST", "pi0", "PG-FAST", "PG-diffusion", "DP-small", "binning")
STRENGTHS = (1.0, 0.9, 0.55, 0.5, -0.1, -2.6)
TASKS = (
    "put the mug on the shelf",
    "close drawer",
    "stack cubes",
    "fold towel",
    "pour",
    "open the microwave door",
    "wipe",
    "sort cutlery",
)


def compare(strengths: dict[str, float], each: int, seed: int = 0) -> Ranking:
    """A ranking from `each` simulated comparisons of every pair, one in six a tie."""
    rng = np.random.default_rng(seed)
    first, second, outcome = [], [], []
    for i, a in enumerate(strengths):
        for b in list(strengths)[i + 1 :]:
            for _ in range(each):
                first.append(a)
                second.append(b)
                won = rng.random() < 1 / (1 + np.exp(strengths[b] - strengths[a]))
                outcome.append("tie" if rng.random() < 1 / 6 else "first" if won else "second")
    outcome[3] = "void"
    return rank_policies(count_comparisons(first, second, outcome))


def make_board(names: tuple[str, ...] = NAMES, each: int = 90, seed: int = 1) -> BoardData:
    rng = np.random.default_rng(seed)
    ranking = compare(dict(zip(names, STRENGTHS, strict=False)), each)
    per_task: dict[tuple[str, str], Estimate] = {}
    rates = {}
    for name, strength in zip(names, STRENGTHS, strict=False):
        total, good = 0, 0
        for task in TASKS:
            n = int(rng.choice([3, 10, 50, 200]))
            k = int(rng.binomial(n, 1 / (1 + np.exp(-strength - rng.normal()))))
            per_task[name, task] = clopper_pearson(k, n)
            total, good = total + n, good + k
        rates[name] = clopper_pearson(good, total, void=4)
    del per_task[names[1], "pour"]
    per_task[names[-1], "wipe"] = Estimate(
        value=None, low=None, high=None, level=0.95, n=0, method="Clopper-Pearson", void=3
    )
    apart = [(a, b) for a in names for b in names if ranking.rank_sets[a][1] < ranking.rank_sets[b][0]]
    return BoardData(
        ranking=ranking,
        rates=rates,
        per_task=per_task,
        letters=letters(list(names), apart),
        statements=("To tell pi0 and pi0-FAST apart would take about 900 more comparisons.",),
        method="Rates: Clopper-Pearson 1934.",
        sources=("pairs.csv", "trials.db"),
        command="roboscale rank pairs.csv trials.db --html board.html",
        versions={"roboscale": "0.4.0", "python": "3.11"},
    )


@pytest.fixture(scope="module")
def board() -> BoardData:
    return make_board()


@pytest.fixture(scope="module")
def page(board: BoardData) -> str:
    return board_page(board)


def test_the_numbers_on_the_page_are_those_given(board: BoardData, page: str, page_data: Read, words: Read):
    data, said = page_data(page), words(page)
    assert data["ranking"] == json.loads(json.dumps(board.ranking.to_json()))
    assert {row["policy"]: 1 for row in data["per_task"]} == dict.fromkeys(NAMES, 1)
    for name in NAMES:
        low, high = board.ranking.rank_sets[name]
        ranks = f"{low}–{high}" if high > low else f"{low}"
        score, rate = board.ranking.scores[name], board.rates[name]
        shown = f"{score.value:+.2f} {score.low:+.2f} to {score.high:+.2f}".replace("-", "−")
        assert f" {ranks} {name} {shown} {score.n} {100 * rate.value:.0f} %" in said
        assert f"n = {rate.n}, 4 void: " in said
    assert all(sentence in said for sentence in (board.ranking.sentence, *board.statements))


def test_every_figure_returns_the_table_it_was_drawn_from(board: BoardData):
    scores, rates, tasks = board_scores(board).table, board_rates(board).table, board_tasks(board).table
    assert {row[0]: row[3:6] for row in scores.rows} == {
        name: (score.value, score.low, score.high) for name, score in board.ranking.scores.items()
    }
    assert {row[0]: row[3] for row in rates.rows} == {name: rate.value for name, rate in board.rates.items()}
    assert len(tasks.rows) == len(NAMES) * len(TASKS)
    for row in tasks.rows:
        (policy, task, value), (n, void) = row[:3], row[6:8]
        given = board.per_task.get((policy, task))
        assert (value, n, void) == ((given.value, given.n, given.void) if given else (None, None, None))


def test_a_cell_without_data_is_empty_and_not_zero(board: BoardData):
    figure = board_tasks(board, 1040)
    assert figure.svg.count("no data") == 2, "one task never tried, one with void trials only"
    zeros = sum(estimate.value == 0 for estimate in board.per_task.values())
    assert zeros > 0 and len(re.findall(r">0\u202f%<", figure.svg)) == zeros
    given = [estimate for estimate in board.per_task.values() if estimate.n]
    assert len(re.findall(r">n \d+<", figure.svg)) == len(given), "n stands in every cell"


def test_a_cell_with_fewer_trials_is_fainter():
    few, more = ({("p", "t"): clopper_pearson(n // 2, n)} for n in (4, 100))
    board = make_board()
    opacity = []
    for cells in (few, more):
        svg = board_tasks(BoardData(ranking=board.ranking, per_task=cells), 640).svg
        opacity.append(float(re.findall(r"fill: #c6c9cd; opacity: ([\d.]+)", svg)[-1]))
    assert opacity[0] < 0.3 < 0.7 < opacity[1]


def with_rank_sets(sets: dict[str, tuple[int, int]]) -> BoardData:
    base = make_board(NAMES[: len(sets)], each=2).ranking
    names = tuple(sorted(sets))
    groups = (tuple(names),)
    values = {f: getattr(base, f) for f in Ranking.__dataclass_fields__}
    given = Ranking(
        **{**values, "policies": names, "rank_sets": sets, "tie_groups": groups, "order": (), "scores": {}}
    )
    return BoardData(ranking=given)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"a": (1, 3), "b": (1, 3), "c": (1, 3)}, "No order is shown: any of the 3 policies may be the best."),
        (
            {"a": (1, 2), "b": (1, 2), "c": (3, 3)},
            "a or b may be the best of 3; c is shown worse than another.",
        ),
        ({"a": (1, 1), "b": (2, 3), "c": (2, 3)}, "a is shown better than each of the other 2 policies."),
        ({"a": (1, 2), "b": (2, 3), "c": (2, 3)}, "Only a may be the best of 3 policies."),
        (
            dict.fromkeys("abcde", (1, 6)) | {"f": (2, 6)},
            "5 policies may be the best of 6; f is shown worse than another.",
        ),
        ({"b": (1, 1), "c": (2, 2), "a": (3, 3)}, "The order of all 3 policies is shown"),
    ],
)
def test_the_headline_claims_no_more_than_the_rank_sets(sets: dict[str, tuple[int, int]], said: str, words: Read):
    assert said in words(board_page(with_rank_sets(sets)))


@pytest.mark.parametrize("policies", [(), ("only",)])
def test_nothing_to_rank_reads_well(policies: tuple[str, ...], words: Read):
    ranking = rank_policies(count_comparisons([], [], [], policies=policies))
    said = words(board_page(BoardData(ranking=ranking)))
    assert "nothing to rank" in said and "None" not in said and "nan" not in said
    assert ranking.sentence in board_text(BoardData(ranking=ranking))


def test_policies_without_score_or_trials_say_so(words: Read):
    ranking = rank_policies(count_comparisons(["a"] * 5, ["b"] * 5, ["first"] * 5))
    rates = {
        "a": clopper_pearson(5, 5),
        "z": Estimate(value=None, low=None, high=None, level=0.95, n=0, method="m", void=7),
    }
    board = BoardData(ranking=ranking, rates=rates)
    said = words(board_page(board))
    assert said.count("no score") >= 3 and "7 void: 0–100 %" in said and "With intervals" in said
    assert re.search(r"^– +z +no score +– +no data +0 +7: 0–100.%$", board_text(board), re.MULTILINE)


def test_the_text_is_aligned_and_cannot_steer_a_terminal(board: BoardData):
    lines = board_text(board).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("ranks"))
    column = lines[head].index("policy")
    order = [line[column:].split(" ")[0] for line in lines[head + 1 : head + 1 + len(NAMES)]]
    assert order == list(board.ranking.order)
    assert max(map(len, lines)) <= 100
    evil = rank_policies(count_comparisons([EVIL], ["b"], ["first"]))
    assert "\x1b" not in board_text(BoardData(ranking=evil, title=EVIL, statements=(EVIL,)))


def test_nothing_from_the_data_becomes_markup(page_data: Read):
    ranking = rank_policies(count_comparisons([EVIL, "b"] * 9, ["b", EVIL] * 9, ["first"] * 18))
    rate = {EVIL: Estimate(value=0.5, low=0.2, high=0.8, level=0.95, n=10, method=EVIL)}
    cells = {(EVIL, EVIL): rate[EVIL], (EVIL, "t"): rate[EVIL]}
    said = (EVIL,)
    board = BoardData(
        ranking=ranking,
        rates=rate,
        per_task=cells,
        letters={EVIL: EVIL},
        unverified={EVIL: said},
        statements=said,
        method=EVIL,
        sources=said,
        command=EVIL,
        notes=said,
        created=EVIL,
        versions={EVIL: EVIL},
        title=EVIL,
    )
    page = board_page(board)
    assert "<script>alert" not in page and page.count("<script") == 2 and page.count("</style>") == 1
    assert page_data(page)["title"] == EVIL


def test_an_unverified_policy_is_marked_beside_every_number(board: BoardData, words: Read):
    doubtful = dataclasses.replace(board, unverified={NAMES[1]: ("the server does not say",)})
    said = words(board_page(doubtful))
    mark = "unverified: the server does not say"
    tried = sum(policy == NAMES[1] for policy, _ in board.per_task)
    assert said.count(mark) == 3 + 2 + tried, "headline, score and rate on the board, and the numbers of each figure"
    assert f"{NAMES[1]} is {mark}" in board_text(doubtful).replace("\n", " ")
    assert ", unverified" in board_rates(doubtful, 342).svg and mark not in words(board_page(board))


def test_cells_take_their_colours_from_the_page(page: str):
    assert "fill: var(--h" in page and not re.search(r"fill: #(f0a35e|68a9e8)", page), "dark pages need darker cells"


def test_the_same_board_gives_the_same_bytes(board: BoardData, page: str):
    assert board_page(make_board()) == page
    assert not re.search(r"\b(src|href)=\"(?!#|data:)", page) and "http" not in page.replace("http-equiv", "").replace(
        "http://www.w3.org", ""
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page: str, check_in_browser: Callable[..., None], width: int, scheme: str):
    check_in_browser(page, width, scheme)
