"""An arena as it is hosted: server, robots in simulated time, policies that call out; strangers are refused."""

from __future__ import annotations

import json
import math
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import roboscale as rs
from roboscale.arena.client import ArenaClient
from roboscale.arena.people import Refused
from roboscale.core import ActionChunk, PolicyError
from roboscale.dataset import Dataset
from roboscale.jobs.arena_board import arena_board
from roboscale.jobs.arena_episodes import ArenaEpisodes
from roboscale.jobs.arena_hosting import HostedArena
from roboscale.jobs.arena_offering import Offering
from roboscale.jobs.arena_rehearsal import PlantedPolicy, ScriptedEvaluator, _wait_for_checks, stand_in_worlds
from roboscale.jobs.arena_robot import ArenaRobot
from roboscale.web.arena.operations import OPERATIONS
from roboscale.wire import pack

NAMES = ("zebra", "yak", "walrus")


class Hosted:
    """An arena with three policies and two robots, one with an evaluator who plays."""

    def __init__(self, hosted: HostedArena) -> None:
        self.hosted, self.arena = hosted, hosted.arena
        self.url = hosted.serve().url
        self.stop = threading.Event()
        self.tokens: dict[str, str] = {}
        self.heard: list[tuple[str, Any]] = []

    def token(self, role: str, group: str) -> str:
        if group not in self.tokens:
            self.tokens[group] = self.arena.join(self.arena.invite(None, role, group), group)[1]
        return self.tokens[group]

    def get(self, path: str, token: str = "") -> str:
        return httpx.get(f"{self.url}{path}", headers={"authorization": f"Bearer {token}"} if token else {}).text

    def offer(self, policy: Any, group: str) -> Offering:
        offering = Offering(policy, ArenaClient(self.url, self.token("owner", group)), policy.name)
        threading.Thread(target=offering.serve, args=(self.stop,), daemon=True).start()
        return offering

    def evaluator(self, site: str, seed: int) -> ScriptedEvaluator:
        ((_, world),) = stand_in_worlds((site,))
        robot = ArenaRobot(ArenaClient(self.url, self.token("evaluator", site)), world, site=site, pace="simulated")
        robot.register()
        return ScriptedEvaluator(robot=robot, seed=seed)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with HostedArena(str(tmp_path_factory.mktemp("arena"))) as arena:
        made = Hosted(arena)
        made.player = made.evaluator("north", 1)
        for name, mean in zip(NAMES, (0.2, 0.5, 0.9), strict=True):
            made.offer(PlantedPolicy(name, mean), f"team {name}")
        _wait_for_checks(arena, 3, 1)
        for _ in range(4):
            made.player.match()
        yield made
        made.stop.set()


def test_matches_leave_trials_judgements_films_and_an_assignment_log(hosted: Hosted, tmp_path: Path):
    state, log = hosted.arena.state, hosted.arena.log
    assert len(state.finished) >= 4
    match = state.matches[state.finished[0]]
    for side in match.sides:
        rollout = match.counted(side.letter)
        trial = log.trial(rollout.trial)
        assert trial.steps == rollout.steps > 0 and trial.actions.shape == (trial.steps, 2)
        assert trial.measures["guard jump"] == 0 and 0 <= trial.measures["progress"] <= 1
        film = hosted.hosted.server.media(f"{rollout.video}.mp4")
        assert film is not None and film.stat().st_size > 500
    assert hosted.hosted.server.media(f"{match.picture}.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert 0 < match.probability <= 0.5 and match.seed > 0 and len(match.drawn["candidates"]) == 3


def test_rollouts_are_episodes_with_their_score_and_do_not_say_whose(hosted: Hosted, tmp_path: Path):
    robot, state, log = hosted.player.robot, hosted.arena.state, hosted.arena.log
    robot.episodes = ArenaEpisodes(tmp_path / "recorded", robot.world.info, robot.site)
    try:
        hosted.player.match()
        drawn = robot.draw("carry", "carry it over", 5)
        robot.play(drawn["match"], "A")
        robot.vote(drawn["match"], "", "somebody ran into the table", valid=False)
        robot.episodes.close()
    finally:
        robot.episodes = None
    match, left = state.matches[state.finished[-1]], state.matches[drawn["match"]]
    dataset = Dataset(tmp_path / "recorded")
    kept = {episode.id: episode for episode in dataset.episodes}
    assert len(kept) == 3 and kept[log.trial(left.rollouts[0].trial).episode].outcome is None, "nobody scored it"
    for side in match.sides:
        trial = log.trial(match.counted(side.letter).trial)
        record, score = kept[trial.episode], match.scores[side.letter]
        assert (record.outcome.success, record.outcome.progress) == (score.success, score.progress / 100)
        episode = dataset.episode(record.index)
        assert np.array_equal(episode.arrays["action"], trial.actions) and len(episode) == trial.steps
        assert episode.arrays["observation.images.top"].shape == (trial.steps, 96, 96, 3)
        assert np.ptp(episode.arrays["observation.state"], axis=0).max() > 0
        said = json.dumps(record.provenance.to_json())
        assert match.id in said and not any(name in said for name in (*NAMES, side.policy))


def test_rank_counts_every_number_of_the_board_again(hosted: Hosted, tmp_path: Path):
    out = tmp_path / "out"
    done = rs.export_arena(rs.ExportArena(out=out, store=hosted.arena.log.where))
    board = arena_board(hosted.arena.state)
    assert json.loads((out / "board.json").read_text())["plain"]["matches"] == board.plain.matches
    by_preference = rs.rank(rs.Rank(sources=(str(out / "comparisons.parquet"),), by="preference", sets="anytime"))
    by_progress = rs.rank(rs.Rank(sources=(str(out / "trials.parquet"),), by="progress", sets="anytime"))
    by_success = rs.rank(rs.Rank(sources=(str(out / "trials.parquet"),), by="success", sets="anytime"))
    for row in board.plain.rows:
        ranking = by_preference.standing.ranking
        assert row.ranks == ranking.rank_sets[row.name] and row.strength == ranking.scores[row.name]
        assert row.progress == by_progress.standing.rates[row.name]
        assert row.success == by_success.standing.rates[row.name]
        (cell,) = [c for c in board.cells if c.policy == row.name and c.axis == "task"]
        assert cell.progress == row.progress
    assert done.commands == tuple(c.replace("comparisons.parquet", f"{out}/comparisons.parquet").replace(
        "trials.parquet", f"{out}/trials.parquet") for c in board.commands)  # fmt: skip
    matches = json.loads((out / "matches.json").read_text())
    assert all(0 < m["probability"] <= 1 and m["drawn"]["candidates"] and "seed" in m for m in matches)


def test_nothing_tells_an_evaluator_who_it_is_before_the_vote(hosted: Hosted, tmp_path: Path):
    """Every byte and header that reaches the evaluator, and what it is told of time, from the draw to the vote."""
    token = hosted.token("evaluator", "north")
    robot = hosted.player.robot
    drawn = robot.draw("carry", "carry it over", 77)
    heard: list[bytes] = []
    with httpx.Client(base_url=hosted.url, headers={"authorization": f"Bearer {token}"}) as client:

        def ask(method: str, path: str, **more: Any) -> httpx.Response:
            answer = client.request(method, path, **more)
            heard.append(answer.content + repr(sorted(answer.headers.items())).encode())
            return answer

        match = drawn["match"]
        seen = {"observation.state": np.array([0.3, 0.3], np.float32)}
        seen["observation.images.top"] = np.zeros((96, 96, 3), np.uint8)
        for letter in "AB":
            assert ask("POST", f"api/matches/{match}/{letter}/act", content=pack(seen)).status_code == 200
            facts = {
                "end": "policy error", "reason": f"I am <b>{NAMES[0]}</b> " + "gnome " * 100,
                "steps": 1, "clipped": 0, "held": 0, "late": 0, "seconds": 1.0, "thinking_s": 0.0, "started_ns": 1,
                "episode": "", "measures": {}, "actions": np.zeros((1, 2), "f4"),
            }  # fmt: skip
            assert ask("POST", f"api/matches/{match}/{letter}/rollouts/0", content=pack(facts)).status_code == 200
            said = {"progress": 10, "success": False}
            assert ask("POST", f"api/matches/{match}/{letter}/score", json=said).status_code == 200
        for path in ("api/board", "api/finished", "api/me", f"api/matches/{match}", f"api/finished/{match}"):
            ask("GET", path)
        policies = [s.policy for s in hosted.arena.state.matches[match].sides]
        before = b"".join([json.dumps(drawn).encode(), *heard[:6], *heard[-2:]])
        named = [n for n in NAMES if n.encode() in before] + [p for p in policies if p.encode() in before]
        assert named == [], "names or ids came before the vote"
        board = json.loads(heard[6][: heard[6].index(b"[('")])
        assert match not in json.dumps(board) and match not in heard[7].decode("latin1"), (
            "an open match is not told of"
        )
        sizes = {len(h) for h in heard[0:6:3]}
        assert len(sizes) == 1, "an answer's size tells nothing"
        answer = ask("POST", f"api/matches/{match}/vote", json={"preference": "tie"}).json()
        assert sorted(answer["policies"]) == ["A", "B"] and set(answer["policies"].values()) <= set(NAMES)
        listed, mine = ask("GET", "api/finished").text, ask("GET", f"api/finished/{match}").text
    one = f"api/finished/{match}"
    public = [listed, mine, hosted.get(one)]
    seen_by_all = [("policy error" in said, "gnome" in said) for said in public]
    assert seen_by_all == [(True, False)] * 3, "a policy's words are a stranger's"
    told = json.loads(hosted.get(one, hosted.token("organiser", "us")))["policy_words"]
    assert sorted(told) == ["A", "B"] and told["A"].startswith("I am <b>") and max(map(len, told.values())) == 500
    (a,) = (side.policy for side in hosted.arena.state.matches[match].sides if side.letter == "A")
    owner = hosted.token("owner", f"team {hosted.arena.state.policies[a].name}")
    assert list(json.loads(hosted.get(one, owner))["policy_words"]) == ["A"]
    notes: list[Any] = []
    rs.export_arena(rs.ExportArena(out=tmp_path / "out", store=hosted.arena.log.where), notes.append)
    files = b"".join(file.read_bytes() for file in (tmp_path / "out").iterdir())
    sessions = [rollout.session.encode() for rollout in hosted.arena.state.matches[match].rollouts]
    assert b"policy error" in files and [one for one in (b"gnome", *sessions) if one in files] == []
    assert any("left out of matches.json: why rollouts ended" in str(note) for note in notes)


def test_a_published_board_is_whole_without_a_server_and_leaves_out_what_is_nobodys(hosted: Hosted, tmp_path: Path):
    out, state = tmp_path / "out", hosted.arena.state
    told: list[Any] = []
    done = rs.publish_arena(rs.PublishArena(out=out, store=hosted.arena.log.where, matches=3), told.append)
    assert (done.listed, done.matches, done.missing) == (3, len(state.finished), 0)
    page = (out / "index.html").read_text()
    match = state.matches[state.finished[-1]]
    secret = [match.evaluator, match.rollouts[0].session, *(a.token for a in state.accounts.values()), *state.accounts]
    assert match.id in page and [one for one in secret if one in page] == []
    assert state.finished[0] not in page and f"Listed are 3 of {len(state.finished)} matches" in page
    assert not re.search(r'(src|href)="(?!data:)', page) and "https:" not in page, "everything is in it"
    films = {f"{r.video}.mp4" for id_ in state.finished[-3:] for r in state.matches[id_].rollouts if r.video}
    assert films <= {file.name for file in (out / "media").iterdir()}
    again = rs.rank(rs.Rank(sources=(str(out / "comparisons.parquet"),), by="preference", sets="anytime"))
    board = arena_board(state)
    assert again.standing.ranking.rank_sets == {row.name: row.ranks for row in board.plain.rows if row.matches}
    (next(iter((out / "media").glob("*.mp4")))).unlink()
    with pytest.raises(rs.RoboscaleError, match="not empty"):
        rs.publish_arena(rs.PublishArena(out=out, store=hosted.arena.log.where))
    lost = rs.publish_arena(
        rs.PublishArena(out=tmp_path / "more", store=hosted.arena.log.where, media=out / "media", matches=3),
        told.append,
    )
    assert lost.missing == 1 and "1 pictures and films are not in" in str(told[-2])


class Odd:
    """A policy that does one thing wrong, once it was checked."""

    observation_spec = action_spec = None
    history = 1

    def __init__(self, name: str, answer: Any) -> None:
        self.name, self._answer, self.asked = name, answer, 0

    @property
    def identity(self) -> rs.Identity:
        return rs.combine(self.name, self.name)

    def start(self, instruction: str, seed: int) -> Any:
        def session(observation: Any) -> ActionChunk:
            self.asked += 1
            if callable(self._answer):
                self._answer()
            return ActionChunk(np.array(self._answer, np.float32))

        return session


def broken() -> None:
    raise ValueError("my walrus broke")


@pytest.mark.parametrize(
    "name, answer, problem",
    [
        ("another space", [[0.1, 0.2, 0.3]], "actions: expected 2 numbers, found 3"),
        ("not finite", [[0.1, math.nan]], "finite"),
        ("no chunk", [0.1, 0.2], "shape (H, D)"),
        ("breaks", broken, "my walrus broke"),
    ],
)
def test_a_policy_that_does_not_fit_never_meets_a_robot(hosted: Hosted, name: str, answer: Any, problem: str):
    group = f"team of {name}"
    offering = hosted.offer(Odd(name, answer), group)
    for _ in range(200):
        if checked := hosted.arena.state.policies[offering.id].checked:
            break
        threading.Event().wait(0.05)
    assert problem in next(iter(checked.values()))
    station = next(iter(hosted.arena.state.robots.values()))
    evaluator = hosted.arena.state.accounts[station.account]
    allowed, left_out = hosted.arena.allowed(station, evaluator, [offering.id])
    assert allowed == [] and left_out[offering.id].startswith("check: ")


def test_what_a_policy_says_of_its_mistake_reaches_the_organisers_and_not_the_evaluator(hosted: Hosted):
    sent = []

    class Client:
        def exchange(self, address: str, message: Any) -> Any:
            sent.append(address)
            return {"error": "policy"}

    from roboscale.jobs.arena_robot import _Asked

    with pytest.raises(PolicyError, match="the policy answered with what is no action"):
        _Asked(Client(), "m", "A")({"observation.state": np.zeros(2)})


# what strangers send


CLIENT = httpx.Client()


def ask(hosted: Hosted, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
    headers = {**({"authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
    return CLIENT.request(method, hosted.url + path, headers=headers, **more)


def test_tokens_decide_what_may_be_asked(hosted: Hosted):
    tokens = {
        "organiser": hosted.token("organiser", "us"),
        "evaluator": hosted.token("evaluator", "north"),
        "owner": hosted.token("owner", "team zebra"),
    }
    for one in OPERATIONS:
        path = one.path[1:].format(
            match="0" * 32, letter="A", attempt="0", policy="0" * 32, ask="x", robot="0" * 32, account="0" * 32
        )
        for role, token in [("", ""), ("nobody", "x" * 43), *tokens.items()]:
            allowed = one.role in ("", "any", role)
            if (one.name, role) == ("revoke", "organiser"):
                continue
            status = ask(hosted, one.method, path, token, content=b"").status_code
            if role == "nobody" or (role == "" and one.role):
                assert status == 401, (one.name, role)
            elif not allowed:
                assert status == 403, (one.name, role)
            else:
                assert status not in (401, 403) and status < 500, (one.name, role, status)


def test_another_site_cannot_ask_and_bodies_are_bounded(hosted: Hosted):
    token = hosted.token("evaluator", "north")
    foreign = {"origin": "http://evil.example", "content-type": "application/json"}
    assert ask(hosted, "POST", "api/matches", token, headers=foreign, content="{}").status_code == 403
    crossed = {"sec-fetch-site": "cross-site", "content-type": "application/json"}
    assert ask(hosted, "POST", "api/matches", token, headers=crossed, content="{}").status_code == 403
    assert ask(hosted, "GET", "api/board", headers={"host": "evil.example"}).status_code == 421
    assert ask(hosted, "DELETE", "api/board", token).status_code == 405
    large = b'{"key": "' + b"x" * 70_000 + b'"}'
    sent = {"content-type": "application/json"}
    assert ask(hosted, "POST", "api/matches", token, headers=sent, content=large).status_code == 413
    assert (
        ask(hosted, "POST", "api/matches", token, headers={"content-type": "text/plain"}, content="{}").status_code
        == 415
    )
    for path in ("media/../trials.db", "media/%2e%2e%2ftrials.db", "media/" + "0" * 32 + ".db", "..%2ftrials.db"):
        assert ask(hosted, "GET", path).status_code == 404
    assert ask(hosted, "POST", "api/pictures", token, content=b"GIF89a...").status_code == 422
    headers = ask(hosted, "GET", "").headers
    assert (
        "default-src 'self'" in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"
    )


def test_a_film_is_uploaded_in_pieces_and_written_anew(hosted: Hosted, tmp_path: Path):
    from roboscale.arena.media import MediaStore
    from roboscale.core import BadData

    state = hosted.arena.state
    match = state.matches[state.finished[0]]
    blob = hosted.hosted.server.media(f"{match.counted('A').video}.mp4").read_bytes()
    store = MediaStore(tmp_path)
    upload = "a" * 32
    half = len(blob) // 2
    assert store.receive(upload, 0, blob[:half]) == half
    assert store.receive(upload, 0, blob[:half]) == half, "the same piece again"
    with pytest.raises(BadData, match="offset"):
        store.receive(upload, half + 5, b"x")
    assert MediaStore(tmp_path).receive(upload, half, blob[half:]) == len(blob), "another process goes on"
    assert store.path(f"{store.keep_film(upload)}.mp4").stat().st_size > 500
    store.receive("b" * 32, 0, b"\0" * 4000)
    with pytest.raises(BadData, match="film"):
        store.keep_film("b" * 32)


def test_beyond_this_machine_an_address_needs_a_token_or_the_board_is_open(tmp_path: Path):
    with HostedArena(str(tmp_path / "closed")) as arena:
        page = arena.serve(host="0.0.0.0")
        port = page.url.split(":")[2].split("/")[0]
        assert httpx.get(f"http://127.0.0.1:{port}/api/board").status_code == 403
        token = page.url.rstrip("/").rpartition("/")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/{token}/api/board").status_code == 200
        assert ArenaClient(f"http://127.0.0.1:{port}/{token}/").get("/api/board")["plain"]["matches"] == 0
    with HostedArena(str(tmp_path / "open")) as arena:
        page = arena.serve(host="0.0.0.0", open_board=True)
        port = page.url.split(":")[2].split("/")[0]
        assert httpx.get(f"http://127.0.0.1:{port}/api/board").status_code == 200
        assert httpx.post(f"http://127.0.0.1:{port}/api/invitations", json={}).status_code == 401


def test_an_owner_sees_and_answers_its_own_policies_alone(hosted: Hosted):
    zebra = next(p.id for p in hosted.arena.state.policies.values() if p.name == "zebra")
    other = ArenaClient(hosted.url, hosted.token("owner", "team yak"), patience_s=1)
    for path in (f"/api/policies/{zebra}/pull", f"/api/policies/{zebra}/withdraw"):
        with pytest.raises(Refused, match="you offer no such policy"):
            other.post(path)
    told = json.dumps(other.get("/api/me"))
    assert "zebra" not in told and '"token"' not in told


# what hosts, owners and evaluators get wrong


def test_rank_takes_the_store_of_an_arena_as_its_export(hosted: Hosted):
    mine = rs.rank(rs.Rank(sources=(hosted.arena.log.where,), by="preference"))
    board = arena_board(hosted.arena.state)
    assert mine.standing.ranking.rank_sets == {row.name: row.ranks for row in board.plain.rows if row.matches}


def test_commands_of_an_export_are_what_a_shell_takes_and_nothing_is_no_export(hosted: Hosted, tmp_path: Path):
    done = rs.export_arena(rs.ExportArena(out=tmp_path / "our lab's", store=hosted.arena.log.where))
    for command in done.commands:
        assert Path(shlex.split(command)[2]).is_file(), command
    with HostedArena(str(tmp_path / "new")), pytest.raises(rs.RoboscaleError, match="no match yet"):
        rs.export_arena(rs.ExportArena(out=tmp_path / "none", store=str(tmp_path / "new")))
    assert not (tmp_path / "none").exists()


def test_an_invitation_into_a_store_that_was_not_there_says_so(tmp_path: Path):
    asked = rs.InviteToArena(role="owner", group="team one", store=str(tmp_path / "tpyo"))
    notes: list[str] = []
    for _ in range(2):
        rs.invite_to_arena(asked, lambda event: notes.append(str(event)))
    assert len(notes) == 1 and "tpyo held no arena" in notes[0]
    with pytest.raises(rs.UsageError, match="--group"):
        rs.InviteToArena(role="owner", group=" ", store=str(tmp_path / "tpyo"))


def test_rubrics_of_a_task_that_the_robot_has_not_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROBOSCALE_ARENA", "x")
    (tmp_path / "rubrics.toml").write_text('[steps]\ncary = ["touches the block"]\n')
    asked = rs.EvaluateForArena(
        arena="http://127.0.0.1:9/", robot="stand-in", site="s", rubrics=tmp_path / "rubrics.toml"
    )
    with pytest.raises(rs.UnknownName, match="cary.*carry"):
        rs.evaluate_for_arena(asked)


def test_an_owner_is_told_how_the_check_went(hosted: Hosted):
    client = ArenaClient(hosted.url, hosted.token("owner", "team zebra"))
    zebra = next(p.id for p in hosted.arena.state.policies.values() if p.name == "zebra")
    offering = Offering(PlantedPolicy("zebra", 0.2), client, "zebra")
    assert offering.id == zebra
    (line,) = offering._checks()
    assert "passed the check" in line and offering._checks() == []
    offering._told.clear()
    hosted.arena.state.policies[zebra].checked = {"0" * 32: "actions: expected 2 numbers, found 3"}
    assert offering._checks() == ["robot 00000000: will not be met: actions: expected 2 numbers, found 3"]


def test_an_offer_outlasts_an_arena_that_is_started_again(tmp_path: Path):
    told: list[str] = []
    heard = threading.Condition()

    def hear(line: str) -> None:
        with heard:
            told.append(line)
            heard.notify_all()

    def until(count: int) -> None:
        with heard:
            assert heard.wait_for(lambda: len(told) >= count, timeout=60), told

    stop = threading.Event()
    with HostedArena(str(tmp_path)) as first:
        url = first.serve().url
        token = first.arena.join(first.arena.invite(None, "owner", "team one"), "ada")[1]
        offering = Offering(PlantedPolicy("oak", 0.5), ArenaClient(url, token, patience_s=0.2), "oak")
        serving = threading.Thread(target=offering.serve, args=(stop, hear), daemon=True)
        serving.start()
    until(1)
    with HostedArena(str(tmp_path)) as second:
        second.serve(port=int(url.split(":")[2].strip("/")))
        until(2)
        stop.set()
    serving.join(60)
    assert "does not answer" in told[0] and "asking on" in told[0]
    assert told[1:] == ["the arena answers again; oak is offered"], "once each, however long it was away"


def test_of_all_who_want_a_new_board_at_once_one_makes_it(hosted: Hosted, monkeypatch: pytest.MonkeyPatch):
    server, made, go = hosted.hosted.server, [], threading.Event()

    def board(state: Any) -> Any:
        go.wait(60)
        assert state is not hosted.arena.state, "of a copy: matches go on meanwhile"
        made.append(state.number)
        return arena_board(state)

    monkeypatch.setattr("roboscale.jobs.arena_desk.arena_board", board)
    monkeypatch.setattr(server, "_board", (-1, b""))
    told: list[Any] = []
    threads = [threading.Thread(target=lambda: told.append(server._do_board(None, None))) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1 and [json.loads(one)["number"] for one in told] == made * 4
