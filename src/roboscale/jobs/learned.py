"""Learned worlds by name: `learned:FOLDER`, what its gates said, and whether it abstains.

learned:twin                      refused unless all gates held
learned:twin?starts=DATASET       begins where the episodes of that dataset began
learned:twin?gates=off            tried anyway; every page says that no order may be read from it
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from roboscale.core import BadData, Estimate, RoboscaleError, UnknownName
from roboscale.core.plain import Plain

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.stats.trust import GateNumber
    from roboscale.worlds.learned import LearnedWorld, LoggedEpisodes

__all__ = [
    "LEARNED",
    "CheckedGates",
    "asked_anyway",
    "content_of",
    "coverage_doubts",
    "doubts_or_abstain",
    "imagined_doubts",
    "learned_folder",
    "learned_parts",
    "open_learned",
    "read_gates",
    "withheld",
    "write_gates",
]

LEARNED = "learned:"
"""What a learned world's name begins with."""

_OPTIONS = ("starts", "gates")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedGates(Plain):
    """What the gates of a learned world said.

    Args:
        world: digest of the weights and the judge that were checked.
        numbers: every number of every gate, in order.
        horizon: steps over which action following was measured.
        signals: trust signals that predicted the error and may be used.
    """

    world: str
    numbers: tuple[GateNumber, ...]
    horizon: int
    signals: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[GateNumber, ...]:
        """Numbers that miss their bar; a trust signal that predicts nothing is dropped instead."""
        return tuple(n for n in self.numbers if n.held is False and not n.gate.startswith("4"))

    @property
    def sentence(self) -> str:
        """What follows: the world may be asked, or it abstains and why."""
        if not self.failed:
            return f"all gates hold; trust signals in use: {', '.join(self.signals) or 'none'}"
        return f"abstains: {'; '.join(number.text for number in self.failed)}"

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        return [*(number.text for number in self.numbers), self.sentence]


def learned_folder(text: str) -> tuple[Path, dict[str, str]] | None:
    """The folder and the options in `learned:FOLDER?...` or of a plain folder that holds a learned world; else `None`.

    UnknownName for an option that is none.
    """
    if not text.startswith(LEARNED):
        return (Path(text), {}) if text and (Path(text) / "world.json").is_file() else None
    name, _, query = text.removeprefix(LEARNED).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in _OPTIONS:
            raise UnknownName("option of a learned world", option, _OPTIONS)
    if options.get("gates", "on") not in ("on", "off"):
        raise UnknownName("gates", options["gates"], ("on", "off"))
    return Path(name), options


def learned_parts(folder: Path, starts: str = "") -> tuple[LearnedWorld, LoggedEpisodes]:
    """A learned world whatever its gates say, and the episodes that it was not trained on.

    Raises:
        BadData: the folder holds none, or a file is broken.
    """
    from roboscale.referees.state_judge import JudgeInputs, StateJudge
    from roboscale.worlds.learned import LearnedWorld, RecordedStarts, load_world

    manifest, twin, nets, held_out = load_world(folder)
    try:
        judge = StateJudge(JudgeInputs.from_json(manifest.judge), nets)
    except (KeyError, TypeError) as error:
        raise BadData(folder, "judge", "the inputs of a judge", f"{type(error).__name__}: {error}") from error
    fields = manifest.observed.fields
    if starts:
        begin = RecordedStarts.of_dataset(fields, Path(starts), manifest.tasks)
    else:
        begin = RecordedStarts.of_held_out(fields, held_out, tuple(manifest.tasks))
    said = [f"{folder}: {line}" for line in manifest.data.get("notes", ())]
    return LearnedWorld(f"learned:{folder.name}", manifest, twin, judge, begin, notes=said), held_out


def open_learned(text: str) -> LearnedWorld:
    """The learned world that a text names.

    Raises:
        RoboscaleError: its gates were not checked, or one failed: it abstains, and says why.
        BadData: the folder holds no learned world, or the starts do not fit.
    """
    from roboscale.worlds.learned import LearnedWorld

    asked = learned_folder(text)
    assert asked is not None, "asked where it begins with learned:"
    folder, options = asked
    world, _ = learned_parts(folder, options.get("starts", ""))
    checked = read_gates(folder, content_of(world))
    doubt = ""
    if checked is None:
        doubt = f"its gates have not been checked: `roboscale world check {folder}`"
    elif checked.failed:
        doubt = checked.sentence
    if doubt and options.get("gates") != "off":
        raise RoboscaleError(f"{text}: {doubt} (?gates=off tries it anyway, and says so on every page)")
    told = f"no order of policies may be read from this: {doubt}" if doubt else "all gates hold"
    used = "" if checked is None or doubt else f"; trust signals in use: {', '.join(checked.signals) or 'none'}"
    kind = "imagined by a state twin (system identification, no model of pictures)"
    notes = (*world.notes, f"{text}: {kind}; {told}{used}")
    return LearnedWorld(f"learned:{folder.name}", world.manifest, world.twin, world.judge, world.starts, notes=notes)


def content_of(world: LearnedWorld) -> str:
    """Digest of weights and judge, without where episodes begin: what gates are about."""
    from roboscale.core import combine

    weights = {**world.twin.nets.arrays("dynamics"), **world.twin.inverse.arrays("inverse")}
    return combine("content", world.manifest.decides, weights, world.twin.support, world.judge.identity).digest


def write_gates(folder: Path, checked: CheckedGates) -> Path:
    """Keeps what the gates said beside the world."""
    from roboscale.jobs.files import write_json
    from roboscale.worlds.learned import GATES_FILE

    write_json(folder / GATES_FILE, checked.to_json())
    return folder / GATES_FILE


def read_gates(folder: Path, content: str) -> CheckedGates | None:
    """What the gates said of this very content; `None` where they were not checked, or of other weights.

    Raises:
        BadData: the file is broken.
    """
    from roboscale.stats.trust import BARS, GateNumber
    from roboscale.worlds.learned import GATES_FILE

    file = folder / GATES_FILE
    if not file.is_file():
        return None
    try:
        said: dict[str, Any] = json.loads(file.read_text("utf-8"))
        numbers = tuple(GateNumber(**number) for number in said["numbers"])
        checked = CheckedGates(
            world=said["world"], numbers=numbers, horizon=said["horizon"], signals=tuple(said["signals"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            file, "gates", "what `roboscale world check` wrote", f"{type(error).__name__}: {error}"
        ) from error
    measured = {number.name.partition(" (")[0] for number in numbers}
    # no signal is measured where gate 2 had no episode long enough, which fails that gate
    if missing := [name for name in BARS if name not in measured and name != "trust signal"]:
        raise BadData(file, "numbers", "one for every bar", f"none for {', '.join(missing)}")
    return checked if checked.world == content else None


def coverage_doubts(judged: Judged) -> list[str]:
    """Gate 5 of each policy that was tried in a learned world: why nothing may be said of it; empty where it holds."""
    from roboscale.stats.trust import gate_number

    if judged.run.world_info.get("kind") != "learned":
        return []
    doubts = []
    for identity, label in judged.labels.items():
        tried = [c.trial for c in judged.used if c.policy == identity and c.trial is not None and not c.trial.void]
        outside = [(t.measures["outside_data"], t.steps) for t in tried if t.measures.get("outside_data") is not None]
        steps = sum(n for _, n in outside)
        share = 1 - sum((o or 0.0) * n for o, n in outside) / steps if steps else None
        number = gate_number("coverage", share, steps)
        if not number.held:
            doubts.append(f"{label}: abstains: {number.text}")
    return doubts


def doubts_or_abstain(judged: Judged) -> list[str]:
    """The doubts of gate 5 where gates are off; RoboscaleError where they are on and it fails for any policy."""
    doubts = coverage_doubts(judged)
    if doubts and not asked_anyway(judged):
        raise RoboscaleError("; ".join(doubts))
    return doubts


def asked_anyway(judged: Judged) -> bool:
    """Whether a learned world was tried with its gates off."""
    opened = str(judged.run.world_info.get("opened", ""))
    asked = learned_folder(opened) if opened.startswith(LEARNED) else None
    return asked is not None and asked[1].get("gates") == "off"


def imagined_doubts(judged: Judged) -> list[str]:
    """Why no order may be read from trials in a learned world: its gates were off, or gate 5 of a policy fails."""
    off = f"imagined in {judged.run.world.name} with its gates off: no order may be read from it"
    return [*([off] if asked_anyway(judged) else []), *coverage_doubts(judged)]


def withheld(rate: Estimate) -> Estimate:
    """A rate that is not said."""
    return replace(rate, value=None, low=None, high=None, method="withheld: a gate of the learned world failed")
