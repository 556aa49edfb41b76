"""The page as text: escaping, determinism, what is shown when parts are absent."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from roboscale.core.estimate import Estimate, PairedOutcome
from roboscale.report.html import render_report
from roboscale.report.model import (
    Clip,
    DatasetSummary,
    FilmStrip,
    Method,
    PairedVideo,
    PolicyResult,
    ReportData,
    TaskResult,
    TrainingCurve,
    VoidTrial,
)
from roboscale.stats import clopper_pearson, paired_verdict

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\" onload=\"alert(2)"


class Page(HTMLParser):
    """Collects tags, their attributes, and the text of each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self._open:
            self.text += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(full_report: ReportData) -> Page:
    return Page(render_report(full_report))


def test_same_data_same_page(full_report: ReportData):
    assert render_report(full_report) == render_report(full_report)


def test_nothing_in_the_page_points_outside(page: Page):
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "poster", "srcset", "data"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), (name, target)


def test_the_policy_forbids_requests_and_allows_this_script_alone(page: Page):
    (policy,) = [str(m["content"]) for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    data_block, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}'" in policy
    assert "http" not in policy and json.loads(data_block)["title"]


def test_ids_are_unique_and_references_meet_one(page: Page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {str(link["href"])[1:] for link in page.all("a") + page.all("use") if link.get("href")}
    assert wanted <= set(ids)


def evil_report() -> ReportData:
    estimate = Estimate(0.5, 0.2, 0.8, 0.95, 4, EVIL, 1)
    tasks = (TaskResult(EVIL, estimate, EVIL),)
    clips = (Clip(EVIL, "failure", b"\0\0", 3, EVIL),)
    return ReportData(
        title=EVIL,
        policies=(PolicyResult(EVIL, estimate, EVIL, tasks, None, estimate, estimate),),
        videos=(PairedVideo(EVIL, EVIL, EVIL, clips),),
        voids=(VoidTrial(EVIL, EVIL, EVIL),),
        datasets=(DatasetSummary(EVIL, 1, 1, 1.0, used_by=(EVIL,), film_strips=(FilmStrip(EVIL, b"\0"),)),),
        training=(TrainingCurve(EVIL, (0, 1), (1.0, 0.5), settings={EVIL: EVIL}),),
        method=Method(EVIL, EVIL, 5, {EVIL: EVIL}, {EVIL: EVIL}, {EVIL: EVIL}, EVIL, (EVIL,)),
        created=EVIL,
    )


def test_everything_from_outside_is_escaped():
    page = Page(render_report(evil_report()))
    assert len(page.all("script")) == 2 and len(page.all("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count("</script><script>alert('x')</script>") > 15
    assert json.loads(page.scripts[0])["title"] == EVIL


def test_every_string_of_the_page_is_closed_against_tags():
    assert "<script>alert" not in render_report(evil_report())


def test_all_sections_stand_in_their_order(page: Page):
    anchors = [link["href"] for link in page.all("a") if link["href"] != "#main"]
    assert anchors == ["#success", "#videos", "#evidence", "#damage", "#data", "#training", "#method"]


def test_the_whole_sentence_of_the_verdict_is_there(full_report: ReportData):
    page = render_report(full_report)
    (sentence,) = re.findall(r'<p class="sentence">(.*?)</p>', page)
    assert full_report.verdict
    assert re.sub(r"<[^>]+>", "", sentence) == full_report.verdict.sentence.replace("'", "&#39;")


def test_every_rate_names_the_success_rule(full_report: ReportData):
    method = dataclasses.replace(full_report.method, success_rule="hold 7", horizon=321)
    text = Page(render_report(dataclasses.replace(full_report, method=method))).text
    # two cards, the verdict's details, success figure, evidence, generation, worst case
    assert text.count("success rule: hold 7, horizon 321 steps") == 7


def test_what_was_not_measured_says_so(page: Page):
    assert page.text.count("not measured") == 2 * 2


def test_a_test_without_a_walk_still_shows_its_numbers(full_report: ReportData):
    pairs = [PairedOutcome("t", index < 2, index > 0) for index in range(12)]
    data = dataclasses.replace(full_report, verdict=paired_verdict(pairs, names=("A", "B")))
    page = Page(render_report(data))
    assert "Numbers the verdict quotes" in page.text and "coloured region" not in page.text


def test_void_trials_with_reason_and_bounds(page: Page, full_report: ReportData):
    assert full_report.voids[0].reason in page.text and "3 attempts" in page.text
    assert "Worst-case bounds" in page.text


def test_one_policy_without_verdict_shows_estimates_and_claims_nothing(single_report: ReportData):
    page = Page(render_report(single_report))
    assert "nothing is claimed" in page.text and "is better" not in page.text
    assert not page.all("video") and "Evidence" not in page.text and "Damage" not in page.text
    assert [link["href"] for link in page.all("a")][1:] == ["#success", "#method"]


def test_an_empty_report_is_still_a_page():
    page = Page(render_report(ReportData("Nothing yet")))
    assert "Nothing yet" in page.text and not page.all("article")


def test_voids_without_their_reasons_are_not_called_none():
    broken = PolicyResult("broken", Estimate(None, None, None, 0.95, 0, "none", 12))
    text = Page(render_report(ReportData("t", (broken,)))).text
    assert "12 trials stayed void" in text and "no data" in text and "None." not in text


def test_settings_that_differ_are_marked(full_report: ReportData):
    assert render_report(full_report).count('<tr class="differs">') == 1


def test_long_tables_are_thinned_and_say_so():
    steps = tuple(float(step) for step in range(1000))
    page = Page(render_report(ReportData("t", training=(TrainingCurve("a", steps, steps),))))
    assert "59 of 1\u202f000 rows, evenly chosen" in page.text
    assert len(json.loads(page.scripts[0])["training"][0]["loss"]) == 1000


def test_many_policies_do_not_make_a_long_headline():
    policies = tuple(PolicyResult(f"policy {i}", clopper_pearson(i, 9)) for i in range(9))
    assert "Success rates of 9 policies." in Page(render_report(ReportData("t", policies))).text
