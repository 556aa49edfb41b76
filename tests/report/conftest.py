"""A realistic report, made up but consistent. `python tests/report/conftest.py page.html` writes it to look at."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboscale.core.episode import Damage
from roboscale.core.estimate import PairedOutcome, Verdict
from roboscale.report.html import render_report
from roboscale.report.model import (
    Camera,
    Clip,
    DamageSummary,
    DatasetSummary,
    FilmStrip,
    Method,
    PairedVideo,
    PolicyResult,
    ReportData,
    SourceCount,
    TaskCount,
    TaskResult,
    TrainingCurve,
    VoidTrial,
)
from roboscale.report.video import encode_mp4, film_strip
from roboscale.stats import SequentialPaired, clopper_pearson, worst_case_bounds

TASKS = {
    "pick-place-v3": "Pick up the puck and hold it at the goal.",
    "push-v3": "Push the puck across the table to the goal.",
    "drawer-open-v3": "Pull the handle until the drawer is open.",
}
VOID_AFTER = 9
NAMES = ("ten demonstrations", "grown to 120")


def scene(steps: int, reached: float, hue: int, size: int = 160) -> np.ndarray:
    """A block that travels towards a goal: (steps, size, size * 4 / 3, 3) uint8."""
    width = size * 4 // 3
    frames = np.full((steps, size, width, 3), (206, 198, 184), np.uint8)
    frames[:, size * 5 // 8 :] = (150, 126, 98)
    frames[:, size * 5 // 8 : size * 6 // 8, width * 6 // 8 : width * 7 // 8] = (92, 150, 96)
    for t, frame in enumerate(frames):
        x = int((0.1 + 0.66 * reached * min(1.0, 1.15 * t / max(1, steps - 1))) * width)
        frame[size * 4 // 8 : size * 6 // 8, x : x + width // 10] = (200, hue, 60)
        frame[: size * 4 // 8, x + width // 25 : x + width // 17] = (70, 74, 82)
    return frames


def verdict(seed: int = 8, budget: int = 80) -> Verdict:
    """A real test on made-up pairs, one of them void."""
    rng = np.random.default_rng(seed)
    rule = SequentialPaired(budget=budget, names=NAMES)
    for index in range(budget):
        first, second = bool(rng.random() < 0.47), bool(rng.random() < 0.82)
        if rule.update(PairedOutcome("push-v3", first, None if index == VOID_AFTER else second)):
            break
    return rule.verdict()


def policies() -> tuple[PolicyResult, ...]:
    counts = {"pick-place-v3": (2, 10), "push-v3": (5, 9), "drawer-open-v3": (10, 12)}
    forces = ((41.0, 3.2, 0.0, 118.5), (12.0, 1.4, 0.0, 36.25))
    results = []
    for index, name in enumerate(NAMES):
        tasks = tuple(
            TaskResult(
                task, clopper_pearson(counts[task][index], 12, void=index if task == "push-v3" else 0), sentence
            )
            for task, sentence in TASKS.items()
        )
        damage = [
            Damage(force, dropped=force > 40, off_table=False, clipped_steps=int(force)) for force in forces[index]
        ]
        won = sum(pair[index] for pair in counts.values())
        worst = worst_case_bounds(won, 36 - won, index)
        results.append(
            PolicyResult(
                name,
                clopper_pearson(won, 36, void=index),
                description=("10 recorded demonstrations a task", "the same 10, multiplied in physics")[index],
                tasks=tasks,
                damage=DamageSummary.of(damage * 9, clopper_pearson),
                void_as_failures=worst.as_failures,
                void_as_successes=worst.as_successes,
            )
        )
    return tuple(results)


def videos(pairs: int = 4) -> tuple[PairedVideo, ...]:
    made = []
    for index, (task, sentence) in zip(range(pairs), [*TASKS.items()] * pairs, strict=False):
        lost = Clip(NAMES[0], "failure", encode_mp4(scene(45, 0.6, 70 + 30 * index), 15), 500, "horizon reached")
        won = Clip(NAMES[1], "success", encode_mp4(scene(30, 1.0, 70 + 30 * index), 15), 83 + index)
        made.append(PairedVideo(f"{task}/default/{1817341 + index}", task, sentence, (lost, won)))
    return tuple(made)


def datasets() -> tuple[DatasetSummary, ...]:
    cameras = (Camera("front", 128, 128, "h264"), Camera("wrist", 128, 128, "h264"))
    strip = FilmStrip("pick-place-v3, generated from episode 4", film_strip(scene(30, 1.0, 90, 96)))
    common = {"fps": 20.0, "cameras": cameras}
    few = tuple(TaskCount(task, 10, 870) for task in TASKS)
    many = tuple(TaskCount(task, 120, 10_512) for task in TASKS)
    return (
        DatasetSummary(
            "demonstrations",
            30,
            2_610,
            2_610 / 20 / 3600,
            tasks=few,
            sources=(SourceCount("simulation.record", 30),),
            used_by=NAMES[:1],
            film_strips=(strip,),
            **common,
        ),
        DatasetSummary(
            "grown",
            360,
            31_536,
            31_536 / 20 / 3600,
            tasks=many,
            sources=(SourceCount("simulation.record", 30), SourceCount("simulation.generate", 330, parents=30)),
            generation=clopper_pearson(330, 361),
            used_by=NAMES[1:],
            film_strips=(strip,),
            **common,
        ),
    )


def training() -> tuple[TrainingCurve, ...]:
    steps = tuple(range(0, 3001, 25))
    curves = []
    for index, name in enumerate(NAMES):
        rng = np.random.default_rng(index)
        loss = [1.1 * math.exp(-s / 420) + 0.022 * (2 - index) + 0.01 * rng.random() for s in steps]
        held_out = [
            value + 0.04 * (1 - index) * min(1.0, s / 1500) + 0.012 for s, value in zip(steps, loss, strict=True)
        ]
        settings = {"family": "flow matching", "inputs": "images, state, instruction", "steps": 3000, "batch": 64}
        settings |= {"learning rate": 0.001, "chunk": 16, "episodes": (30, 360)[index]}
        curves.append(TrainingCurve(name, steps, tuple(loss), tuple(held_out), settings))
    return tuple(curves)


def build(**changes: object) -> ReportData:
    method = Method(
        world="metaworld 3.1.1 (MuJoCo 3.3.0)",
        success_rule="first",
        horizon=500,
        versions={"roboscale": "0.1.0", "python": "3.11.9", "numpy": "2.4.6", "torch": "2.13.0+cpu"},
        seeds={"cases": 0, "training": 0, "generation": 0},
        settings={"policies in turn": True, "void retries": 2, "execute steps": 8, "budget, pairs": 200},
        command="roboscale compare --first runs/demo/ten --second runs/demo/grown --world metaworld "
        "--tasks pick-place-v3,push-v3,drawer-open-v3 --alpha 0.05 --budget 200 --seed 0",
        notes=("Meta-World's own success condition decides; the trial ends when it first holds.",),
    )
    reason = "policy server closed the connection (code 1011) three times"
    data = ReportData(
        title="Ten demonstrations, or the same ten multiplied?",
        policies=policies(),
        verdict=verdict(),
        videos=videos(),
        voids=(VoidTrial(NAMES[1], "push-v3/default/901733", reason, attempts=3, after_pair=VOID_AFTER),),
        datasets=datasets(),
        training=training(),
        method=method,
        created="2026-11-22",
    )
    return dataclasses.replace(data, **changes)  # type: ignore[arg-type]


def build_single(policy: str = "expert", **changes: object) -> ReportData:
    """What `roboscale eval` hands over: one policy, no verdict, no video."""
    tasks = tuple(
        TaskResult(task, clopper_pearson(4 + (i % 2), 5), sentence) for i, (task, sentence) in enumerate(TASKS.items())
    )
    result = PolicyResult(policy, clopper_pearson(14, 15), tasks=tasks)
    method = Method(
        world="metaworld 3.1.1", success_rule="first", horizon=500, command="roboscale eval --policy expert"
    )
    return dataclasses.replace(ReportData(f"{policy} on metaworld", (result,), method=method), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def full_report() -> ReportData:
    return build()


@pytest.fixture(scope="session")
def single_report() -> ReportData:
    return build_single()


@pytest.fixture(scope="session")
def page_data() -> Callable[[str], Any]:
    """The numbers that a page carries as JSON."""

    def read(page: str) -> Any:
        found = re.search(r'<script id="page-data" type="application/json">(.*?)</script>', page, re.DOTALL)
        assert found is not None
        return json.loads(found[1])

    return read


@pytest.fixture(scope="session")
def words() -> Callable[[str], str]:
    """The words of a page, single spaces between them."""

    def read(page: str) -> str:
        body = re.sub(r"<(script|style).*?</\1>", "", page[page.index("<body>") :], flags=re.DOTALL)
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))

    return read


@pytest.fixture(scope="module")
def check_in_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int, str], None]]:
    """Opens a page at a width in pixels and a colour scheme: no request, no complaint, no scrolling sideways."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(names)})")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)

        def check(page: str, width: int, scheme: str) -> None:
            file = tmp_path_factory.mktemp("page") / "page.html"
            file.write_text(page, "utf-8")
            _look_at(browser, file, width, scheme)

        yield check
        browser.close()


def _look_at(browser: Any, file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, complaints = [], []
    context.on("request", lambda request: requests.append(request.url))
    view = context.new_page()
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.goto(file.as_uri())
    view.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert requests == [file.as_uri()] and complaints == []
    assert view.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    smallest = view.evaluate(
        "Math.min(99, ...[...document.querySelectorAll('.drawing svg')].filter((svg) => svg.clientWidth)"
        ".flatMap((svg) => [...svg.querySelectorAll('text')].map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width)))"
    )
    assert smallest >= 9.5, "text in a figure is too small to read"
    outside = view.evaluate(
        "[...document.querySelectorAll('.drawing svg')].filter((svg) => svg.clientWidth).flatMap((svg) =>"
        " [...svg.querySelectorAll('text')].filter((text) => { const box = text.getBoundingClientRect();"
        " return box.left < -1 || box.right > innerWidth + 1; }).map((text) => text.textContent))"
    )
    assert outside == [], "text of a figure leaves the window"
    for button in view.locator("[data-copies]").all():
        button.click()
        view.locator("[data-copies]", has_text="Copied").first.wait_for()  # no eval: the page's policy forbids it
    context.close()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_report(build()), encoding="utf-8")
