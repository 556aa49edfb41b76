"""The page of tried policies as text: escaping, determinism, what is shown when parts are absent."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from report.samples import NAMES, SECRETIVE, films, study
from roboscale.core import Estimate, Identity, PairedOutcome, Verdict
from roboscale.report.model import (
    CorrectedJudgement,
    DatasetSummary,
    FilmedCase,
    FilmedTrial,
    FilmStrip,
    MeasureSummary,
    PolicyResult,
    ReasonCount,
    ReportData,
    RoundResult,
    TaskResult,
    TrainingCurve,
    VoidOverlap,
    VoidTrial,
)
from roboscale.report.summaries import policy_result
from roboscale.report.trials import report_page
from roboscale.stats import WorstCase, clopper_pearson, paired_verdict

Words = Callable[[str], str]
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
    return Page(report_page(full_report))


def test_same_data_same_page(full_report: ReportData):
    assert report_page(full_report) == report_page(full_report)


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
    estimate = Estimate(value=0.5, low=0.2, high=0.8, level=0.95, n=4, method=EVIL, void=1)
    who = Identity(EVIL, "e" * 32, (EVIL,))
    measure = MeasureSummary(name=EVIL, unit=EVIL, kind="number", measured=4, missing=1, median=estimate, largest=9.0)
    policy = PolicyResult(
        name=EVIL,
        success=estimate,
        worst=WorstCase(estimate, estimate),
        identity=who,
        world=who,
        description=EVIL,
        tasks=(TaskResult(EVIL, estimate, EVIL),),
        measures=(measure,),
        mistakes=(ReasonCount(EVIL, 1, EVIL),),
        voids=(ReasonCount(EVIL, 1, EVIL),),
        pending=1,
    )
    verdict = Verdict(decision="undecided", sentence=EVIL, alpha=0.05, n=1, discordant=0, p_value=None, method=EVIL)
    film = FilmedTrial(policy=EVIL, status="failure", origin="recorded while tried", mp4=b"\0\0", reason=EVIL)
    dataset = DatasetSummary(
        name=EVIL, episodes=1, frames=1, hours=1.0, used_by=(EVIL,), film_strips=(FilmStrip(EVIL, b"\0"),)
    )
    overlap = VoidOverlap(policy=EVIL, other=EVIL, voids=1, on_failed=1, rest=1, rest_failed=1, p_value=0.01)
    return ReportData(
        title=EVIL,
        policies=(policy,),
        verdict=verdict,
        extremes={EVIL: verdict},
        before_corrections=verdict,
        corrections=(
            CorrectedJudgement(policy=EVIL, case=EVIL, before=EVIL, after=EVIL, by=EVIL, time_ns=1, reason=EVIL),
        ),
        rounds=(RoundResult(policy=EVIL, round=1, success=estimate),),
        films=(FilmedCase(case=EVIL, task=EVIL, instruction=EVIL, films=(film,)),),
        voids=(VoidTrial(policy=EVIL, case=EVIL, reason=EVIL),),
        overlaps=(overlap,),
        judge_command=EVIL,
        datasets=(dataset,),
        training=(TrainingCurve(policy=EVIL, steps=(0, 1), loss=(1.0, 0.5), settings={EVIL: EVIL}),),
        referee=EVIL,
        seeds={EVIL: EVIL},
        settings={EVIL: EVIL},
        method=(EVIL,),
        notes=(EVIL,),
        command=EVIL,
        created=EVIL,
        versions={EVIL: EVIL},
    )


def test_everything_from_outside_is_escaped():
    page = Page(report_page(evil_report()))
    assert len(page.all("script")) == 2 and len(page.all("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count("</script><script>alert('x')</script>") > 60
    assert json.loads(page.scripts[0])["title"] == EVIL


def test_every_string_of_the_page_is_closed_against_tags():
    assert "<script>alert" not in report_page(evil_report())


def test_all_sections_stand_in_their_order(page: Page):
    anchors = [link["href"] for link in page.all("a") if link["href"] != "#main"]
    sections = ["success", "videos", "evidence", "reasons", "damage", "steps", "data", "training", "method"]
    assert anchors == [f"#{section}" for section in sections]


def test_the_whole_sentence_of_the_verdict_is_there(full_report: ReportData):
    page = report_page(full_report)
    (sentence,) = re.findall(r'<p class="sentence">(.*?)</p>', page)
    assert isinstance(full_report.verdict, Verdict)
    assert re.sub(r"<[^>]+>", "", sentence) == full_report.verdict.sentence.replace("'", "&#39;")


def test_every_rate_names_who_judged_and_the_horizon(full_report: ReportData):
    rollout = dataclasses.replace(full_report.rollout, horizon=321)
    text = Page(report_page(dataclasses.replace(full_report, referee="hold 7", rollout=rollout))).text
    # two cards, the verdict's details, success figure, evidence, generation, worst case
    assert text.count("judged by hold 7, horizon 321 steps") == 7


def test_what_was_not_measured_says_so(page: Page):
    assert page.text.count("not measured") == 1 + 2, "the lead, and a measure that the world declares and never gave"


def test_a_test_without_a_walk_still_shows_its_numbers(full_report: ReportData):
    pairs = [PairedOutcome("t", index < 2, index > 0) for index in range(12)]
    data = dataclasses.replace(full_report, verdict=paired_verdict(pairs, names=("A", "B")))
    page = Page(report_page(data))
    assert "Numbers the verdict quotes" in page.text and "coloured region" not in page.text


def test_void_trials_with_reason_and_bounds(page: Page, full_report: ReportData):
    assert full_report.voids[0].reason in page.text
    assert "Worst-case bounds" in page.text and "1 void: 81–88\u202f%" in page.text


def test_one_policy_without_verdict_shows_estimates_and_claims_nothing(single_report: ReportData):
    page = Page(report_page(single_report))
    assert "nothing is claimed" in page.text and "is better" not in page.text
    assert not page.all("video") and "Evidence" not in page.text and "Damage" not in page.text
    assert [link["href"] for link in page.all("a")][1:] == ["#success", "#steps", "#method"]


def test_an_empty_report_is_still_a_page():
    page = Page(report_page(ReportData(title="Nothing yet")))
    assert "Nothing yet" in page.text and not page.all("article")


def test_voids_without_their_reasons_are_not_called_none():
    broken = PolicyResult(
        name="broken", success=Estimate(value=None, low=None, high=None, level=0.95, n=0, method="none", void=12)
    )
    text = Page(report_page(ReportData(title="t", policies=(broken,)))).text
    assert "12 trials stayed void" in text and "no data" in text and "None" not in text


def test_settings_that_differ_are_marked(full_report: ReportData):
    assert report_page(full_report).count('<tr class="differs">') == 1


def test_long_tables_are_thinned_and_say_so():
    steps = tuple(float(step) for step in range(1000))
    page = Page(report_page(ReportData(title="t", training=(TrainingCurve(policy="a", steps=steps, loss=steps),))))
    assert "59 of 1\u202f000 rows, evenly chosen" in page.text
    assert len(json.loads(page.scripts[0])["training"][0]["loss"]) == 1000


def test_losses_that_are_no_numbers_leave_the_data_readable():
    curve = TrainingCurve(policy="a", steps=(0.0, 1.0), loss=(1.0, float("nan")))
    data = Page(report_page(ReportData(title="t", training=(curve,)))).scripts[0]
    strict = json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert strict["training"][0]["loss"] == [1.0, None]


def test_many_policies_do_not_make_a_long_headline():
    policies = tuple(PolicyResult(name=f"policy {i}", success=clopper_pearson(i, 9)) for i in range(9))
    text = Page(report_page(ReportData(title="t", policies=policies))).text
    assert "Success rates of 9 policies." in text


def test_a_name_with_a_parenthesis_stays_whole_in_the_headline():
    verdict = Verdict(
        decision="first is better",
        sentence="pi0 (fast) is better than pi0: 0.9 [0.8, 1.0] against 0.1 on 9 cases (8 to 0 (exact); alpha 0.05)",
        alpha=0.05,
        n=9,
        discordant=8,
        p_value=0.01,
        method="m",
    )
    page = report_page(ReportData(title="t", verdict=verdict))
    assert 'class="sentence">pi0 (fast) is better than pi0: 0.9 [0.8, 1.0] against 0.1 on 9 cases<' in page
    assert "(8 to 0 (exact); alpha 0.05)" in page


def test_the_command_or_that_there_is_none(full_report: ReportData, doubtful_report: ReportData, words: Words):
    assert f"Reproduce this page Copy {full_report.command}" in words(report_page(full_report))
    said = words(report_page(doubtful_report))
    assert "Made from Python: there is no command line" in said and "Reproduce" not in said


def test_how_trials_ran_is_on_the_page(full_report: ReportData, words: Words):
    said = words(report_page(full_report))
    for line in (
        "horizon, steps 500",
        "rate, Hz 80",
        "rows executed of a chunk 8",
        "may end an episode success (first)",
    ):
        assert line in said
    for line in ("alpha 0.05", "most cases 200", "generation 0", "void retries 2"):
        assert line in said
    for policy in full_report.policies:
        assert policy.identity is not None and policy.identity.digest in said


def test_an_unverified_policy_is_marked_beside_every_number(doubtful_report: ReportData, words: Words):
    page = report_page(doubtful_report)
    mark = f"unverified: {SECRETIVE}"
    for cell in re.findall(r"<td.*?</td>", page, re.DOTALL):
        shown = words(f"<body>{cell}")
        if re.search(r"\d+.%.*n = (32|27)\b", shown):
            assert mark in shown, shown
    certain = report_page(dataclasses.replace(doubtful_report, extremes={}))
    assert 'class="tag p1">served elsewhere is better, unverified<' in certain
    assert f"served elsewhere is {mark}." in words(page)
    assert f"Hollow dot and question mark: served elsewhere, {mark}" in words(page)


def test_an_unverified_world_marks_every_policy(words: Words):
    results = study(count=6)
    strange = Identity("lab", "0" * 32, ("its camera was not calibrated",))
    policies = tuple(
        policy_result(name, [dataclasses.replace(c, world=strange) for c in own]) for name, own in results.items()
    )
    said = words(report_page(ReportData(title="t", policies=policies)))
    for name in NAMES:
        assert f"{name} is unverified: world: its camera was not calibrated." in said


def test_notes_stand_on_the_page(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "Notes on these numbers 5 of 40 trials were found and not tried again" in said
    assert "The world's rate was guessed from its render_fps: 80 Hz." in said


def test_trials_that_await_a_judgement_are_counted_with_the_command(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "10 trials await a judgement" in said and "5 of ours, 5 of served elsewhere" in said
    assert "Judge them Copy roboscale judge runs/served" in said
    assert "await a judgement, not counted 5" in said


def test_corrections_stand_beside_the_verdict_that_they_changed(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    before = said.index("Before the corrections No difference shown between ours and served elsewhere")
    assert before < said.index("After them served elsewhere is better than ours")
    assert "failure success Ada 2025-11-25 13:00 UTC the cup stood beside the saucer" in said


def test_each_round_says_what_it_gave(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "The same was tried in 2 rounds" in said
    assert "ours 1 of 2 37 %" in said and "ours 2 of 2 counts 43 %" in said


def test_mistakes_of_a_policy_are_grouped_with_their_reason(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "ours 3 an action chunk has shape (H, D) with H >= 1, found [1, 16, 7]" in said
    assert "failed by a mistake of its own 3 of 35" in said


def test_a_policy_that_never_acted_is_called_out(words: Words):
    policy = PolicyResult(
        name="predict()", success=clopper_pearson(0, 6), mistakes=(ReasonCount("a tuple is no action", 6),)
    )
    mistake = "Every counted trial of predict() ended by its own mistake: a tuple is no action."
    assert mistake in words(report_page(ReportData(title="t", policies=(policy,))))
    other = PolicyResult(name="honest", success=clopper_pearson(6, 6))
    pairs = [PairedOutcome("t", True, False)] * 6
    verdict = paired_verdict(pairs, names=("honest", "predict()"))
    said = words(report_page(ReportData(title="t", policies=(other, policy), verdict=verdict)))
    assert "one side never acted" in said and mistake in said


def test_void_trials_on_hard_cases_are_called_out(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "Void trials of served elsewhere: 7 of 8 fall on cases that ours failed; of the other 27 cases" in said
    sure = dataclasses.replace(doubtful_report.overlaps[0], p_value=0.001)
    again = words(report_page(dataclasses.replace(doubtful_report, overlaps=(sure,))))
    assert again.count("They fall on hard cases.") == 2 and "They fall on hard cases." not in said


def test_a_claim_that_depends_on_void_trials_says_so_on_top(doubtful_report: ReportData, words: Words):
    warning = "What is claimed depends on how the void trials would have ended."
    said = words(report_page(doubtful_report))
    assert said.count(warning) == 2 and said.index(warning) < said.index("Notes on these numbers 5")
    assert "depends on the void trials, unverified served elsewhere" in said, "no claim in the tag"
    same = dict.fromkeys(doubtful_report.extremes, doubtful_report.verdict)
    said = words(report_page(dataclasses.replace(doubtful_report, extremes=same)))
    assert warning not in said and "What is claimed would be the same either way." in said


def test_films_say_where_they_come_from(doubtful_report: ReportData):
    page = Page(report_page(doubtful_report))
    assert len(page.all("video")) == 3 and page.text.count("no film") == 1
    origins = [film.origin for case in doubtful_report.films for film in case.films]
    assert all(page.text.count(origin) == origins.count(origin) for origin in set(origins))


def test_four_policies_stand_side_by_side(many_report: ReportData):
    page = Page(report_page(many_report))
    assert len(page.all("video")) == 8 and page.text.count("Play together") == 2
    assert "4 of 6 pairs" in page.text and page.text.count("is better") >= 4
    pairs = [f"{one.first} and {one.second}" for one in many_report.verdict.pairs]
    assert len(pairs) == 6 and all(pair in page.text for pair in pairs)


def test_progress_is_named_and_drawn(progress_report: ReportData):
    page = Page(report_page(progress_report))
    assert "Mean progress by task" in page.text and "Evidence of progress" in page.text
    assert "makes more progress" in page.text and "log e-value" in page.text
    assert page.text.count("% mean progress") == 2 and "success rate" in page.text
    for policy in progress_report.policies:
        assert f"{100 * policy.progress.value:.0f}" in page.text


def test_what_answers_depend_on_is_said(doubtful_report: ReportData, words: Words):
    said = words(report_page(doubtful_report))
    assert "its answers seed-dependent, batch-dependent" in said
    assert "its actions also depend on who else is asked at the same time" in said


def test_one_film_a_case_is_enough():
    page = Page(report_page(ReportData(title="t", films=films(NAMES[:1], 1))))
    assert "What happened" in page.text and "Play both" not in page.text and "pick-place-v3" in page.text
