"""What the numbers of a recording suggest about their meaning, for a user who has to declare it.

Three readings of an action are tried against the state, each at lags of 0 to 10 frames:

    absolute   action(t)                 ~  state(t + lag)
    delta      sum of actions over w     ~  state(t + lag + w) - state(t + lag)
    velocity   as delta, times the time between frames

with the squared correlation and the slope of each element. A reading is proposed only when it explains the motion and
the next best does not; otherwise it is `ambiguous`, and the user decides. Units are hinted at, since 0.5 may be a
metre as well as a radian.

Knows numbers. Does not know robots; declares nothing by itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, Recording
from roboscale.core.plain import to_plain
from roboscale.sources.records.declaration import Declaration, FieldDeclaration, undeclared

__all__ = ["Confidence", "Explanation", "Reading", "ReadingEvidence", "explain"]

Floats = NDArray[np.float64]
Confidence = Literal["strong", "fair", "hint", "ambiguous"]
"""`strong`: hardly another reading; `fair`: likely; `hint`: one of several; `ambiguous`: the numbers do not say."""

RELATIVE = "relative to state at prediction"
_LAGS = range(11)
_WINDOW = 3  # frames that actions are summed over: long enough to outweigh noise, short enough for 10-frame episodes
_EXPLAINS = 0.5  # squared correlation below which a reading explains nothing
_STRONG = 0.9
_MARGIN = 0.15  # between the best and the next reading
_NEAR = 1.6  # factor within which a slope is taken for 1
_FEWEST = 30  # samples below which nothing is said
_MOST_FRAMES = 50_000
_JOINTS = re.compile(r"joint|shoulder|elbow|wrist|waist|forearm|hip|knee|ankle|torso", re.IGNORECASE)
_GRIPPER = re.compile(r"grip", re.IGNORECASE)
_HAND = re.compile(r"hand|finger|thumb|pinky|index|middle|ring$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingEvidence:
    """One answer that the numbers give.

    Args:
        field: our name of the array.
        question: `range`, `constant`, `unit`, `mode`, `gripper` or `rotation`.
        text: one sentence.
        proposal: empty where nothing is proposed.
        numbers: behind the sentence; JSON types only.
    """

    field: str
    question: str
    text: str
    proposal: str = ""
    confidence: Confidence = "hint"
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How well one reading of an action fits one state.

    Args:
        name: `absolute` or `motion` (delta and velocity differ in the slope only).
        lag: frames, the best of those tried.
        score: median squared correlation over the elements that move.
        slope: median; of the state over the action.
        r2, slopes: of each element that moves.
    """

    name: str
    lag: int
    score: float
    slope: float
    r2: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that was found, and a declaration to start from.

    Args:
        source: path of the recording.
        episodes, frames: how many were looked at.
        open_questions: fields that nobody has declared, `robot_type`, `licence`.
        draft: what is proposed; ambiguous things are comments in `to_toml`.
    """

    source: str
    format: str
    episodes: int
    frames: int
    evidence: tuple[ReadingEvidence, ...]
    open_questions: tuple[str, ...]
    draft: Declaration

    def of(self, field_name: str, question: str) -> tuple[ReadingEvidence, ...]:
        """The answers to one question on one field."""
        return tuple(e for e in self.evidence if e.field == field_name and e.question == question)

    def to_text(self) -> str:
        """For people."""
        lines = [f"{self.source}: {self.format}, {self.episodes} episodes, {self.frames} frames looked at"]
        for name in dict.fromkeys(e.field for e in self.evidence):
            lines += ["", name]
            for e in (e for e in self.evidence if e.field == name):
                proposal = f"  -> {e.proposal}" if e.proposal else ""
                word = "" if e.question in ("range", "constant") else f" [{e.confidence}]"
                lines.append(f"  {e.question}{word}: {e.text}{proposal}")
        if self.open_questions:
            lines += ["", f"to be declared: {', '.join(self.open_questions)}"]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """For machines; the draft as the TOML that a person would edit."""
        return {
            "source": self.source,
            "format": self.format,
            "episodes": self.episodes,
            "frames": self.frames,
            "evidence": to_plain(self.evidence),
            "open_questions": list(self.open_questions),
            "draft": self.to_toml(),
        }

    def to_toml(self) -> str:
        """The draft as a file: proposals as lines, the rest as comments to be answered."""
        notes: dict[str, list[str]] = {}
        for name in self.open_questions:
            if name in ("robot_type", "licence"):
                notes.setdefault("", []).append(f'{name} = ""  # the source does not say')
            else:
                notes[name] = []
        for e in self.evidence:
            if e.question not in ("range", "constant") and e.field in notes:
                notes[e.field].append(f"{e.question}, {e.confidence}: {e.text}")
        return self.draft.to_toml(notes)


Episodes = Sequence[Mapping[str, Floats]]
_Pair = tuple[Floats, Floats]


def explain(recording: Recording, *, episodes: int = 20) -> Explanation:
    """Looks at the numbers of some episodes, evenly spread; no picture is read.

    Args:
        episodes: at most so many.

    Raises:
        BadData: not one of the episodes can be read.
    """
    numeric = [f for f in recording.spec if not f.is_image and np.dtype(f.dtype).kind in "fiu" and len(f.shape) == 1]
    numeric = [f for f in numeric if f.name.split(".")[0] in ("observation", "action") or "action" in f.name]
    data = _read(recording, [f.name for f in numeric], episodes)
    evidence: list[ReadingEvidence] = []
    for f in numeric:
        pooled = np.concatenate([episode[f.name] for episode in data])
        evidence += [_range(f, pooled), *_constant(f, pooled), *_unit(f, pooled), *_rotations(f, data)]
    states = [f for f in numeric if f.name.startswith("observation.")]
    for action in (f for f in numeric if f not in states):
        evidence += _action(action, states, data, recording.spec.rate_hz)
    questions = [*undeclared(recording.spec)]
    questions += [n for n in ("robot_type", "licence") if not getattr(recording, n)]
    frames = sum(len(next(iter(e.values()), ())) for e in data)
    draft = _draft(recording, evidence)
    return Explanation(
        source=str(recording.root),
        format=recording.format,
        episodes=len(data),
        frames=frames,
        evidence=tuple(evidence),
        open_questions=tuple(questions),
        draft=draft,
    )


def _read(recording: Recording, names: Sequence[str], most: int) -> list[dict[str, Floats]]:
    keys = list(recording.keys)
    chosen = [keys[i] for i in np.unique(np.linspace(0, len(keys) - 1, min(most, len(keys))).astype(int))]
    episodes: list[dict[str, Floats]] = []
    frames, last = 0, None
    for key in chosen:
        try:
            episode = recording.read(key, ())
        except BadData as error:
            last = error
            continue
        episodes.append({n: np.asarray(episode.arrays[n], np.float64).reshape(len(episode), -1) for n in names})
        frames += len(episode)
        if frames >= _MOST_FRAMES:
            break
    if not episodes:
        raise last or BadData(recording.root, "episodes", "at least one", "none")
    return episodes


def _label(f: Field, index: int | np.integer[Any]) -> str:
    return f.layout[index] if f.layout else str(index)


def _round(values: Floats | Sequence[float], digits: int = 4) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, np.float64).ravel()]


def _range(f: Field, rows: Floats) -> ReadingEvidence:
    low, high = rows.min(axis=0), rows.max(axis=0)
    q01, q50, q99 = np.quantile(rows, (0.01, 0.5, 0.99), axis=0)
    numbers = {"min": low, "q01": q01, "q50": q50, "q99": q99, "max": high}
    text = f"{low.min():.4g} to {high.max():.4g} over {rows.shape[1]} elements"
    return ReadingEvidence(
        field=f.name, question="range", text=text, numbers={name: _round(value) for name, value in numbers.items()}
    )


def _constant(f: Field, rows: Floats) -> Iterator[ReadingEvidence]:
    still = np.flatnonzero(rows.max(axis=0) == rows.min(axis=0))
    if len(still):
        names = ", ".join(_label(f, i) for i in still)
        yield ReadingEvidence(
            field=f.name, question="constant", text=f"never change: {names}", numbers={"elements": still.tolist()}
        )


def _unit(f: Field, rows: Floats) -> Iterator[ReadingEvidence]:
    """What the size of the numbers allows; a unit is proposed only for elements that are called joints."""
    largest = np.abs(rows).max(axis=0)
    joints = [i for i, name in enumerate(f.layout) if _JOINTS.search(name) and not _HAND.search(name)]
    grippers = [i for i, name in enumerate(f.layout) if _GRIPPER.search(name)]
    others = [i for i in range(rows.shape[1]) if i not in (*joints, *grippers)]
    top = float(largest.max())
    numbers = {"largest": _round(largest)}
    if top <= np.pi:
        text = f"largest {top:.4g}: rad, m or a pure number are plausible, deg is not"
    elif top <= 7:
        text = f"largest {top:.4g}: rad (beyond pi) or m are plausible"
    else:
        over = ", ".join(_label(f, i) for i in np.flatnonzero(largest > 7))
        text = f"largest {top:.4g}: deg, mm or a rate are plausible for {over}"
    # Half a turn is far for a joint in degrees to stay below: a small number there is a radian.
    if joints and not others and not grippers:
        if (
            90 < largest[joints].max() <= 100.5
        ):  # both units end there: joints that reach 100 and never more are shares
            yield ReadingEvidence(
                field=f.name,
                question="unit",
                text=f"{text}; no more than 100: LeRobot's normalised -100..100 is as plausible as deg",
                confidence="ambiguous",
                numbers=numbers,
            )
            return
        if largest[joints].max() > 7:
            yield ReadingEvidence(
                field=f.name, question="unit", text=text, proposal="deg", confidence="fair", numbers=numbers
            )
            return
        if 0.3 < largest[joints].max() <= 2 * np.pi:
            yield ReadingEvidence(
                field=f.name, question="unit", text=text, proposal="rad", confidence="fair", numbers=numbers
            )
            return
    yield ReadingEvidence(field=f.name, question="unit", text=text, numbers=numbers)


def _rotations(f: Field, data: Episodes) -> Iterator[ReadingEvidence]:
    """Runs of elements that behave like a rotation."""
    rows = np.concatenate([episode[f.name] for episode in data])
    width, taken = rows.shape[1], np.zeros(rows.shape[1], bool)
    shapes: list[tuple[str, int, Callable[[Floats], float]]] = [
        ("rotation matrix", 9, lambda r: _orthonormal_error(r.reshape(len(r), 3, 3))),
        ("rot6d (two orthonormal vectors)", 6, lambda r: _orthonormal_error(r.reshape(len(r), 2, 3))),
        ("unit quaternion", 4, lambda r: float(np.abs(np.linalg.norm(r, axis=1) - 1).max())),
    ]
    for name, size, error_of in shapes:
        for first in range(width - size + 1):
            part = slice(first, first + size)
            if taken[part].any() or np.count_nonzero(np.ptp(rows[:, part], axis=0) > 1e-6) < 2:
                continue
            error = error_of(rows[:, part])
            if error < 1e-2:
                taken[part] = True
                text = f"elements {first} to {first + size - 1} are a {name}, off by at most {error:.2g}"
                numbers = {"first": first, "size": size, "error": error}
                note = "; which element comes first is not in the numbers" if size == 4 else ""
                note = "; whether rows or columns is not in the numbers" if size > 4 else note
                yield ReadingEvidence(
                    field=f.name, question="rotation", text=text + note, confidence="fair", numbers=numbers
                )
    yield from _wraps(f, data)


def _orthonormal_error(rows: Floats) -> float:
    """How far (N, k, 3) is from k orthonormal vectors."""
    gram = rows @ rows.transpose(0, 2, 1)
    return float(np.abs(gram - np.eye(rows.shape[1])).max())


def _wraps(f: Field, data: Episodes) -> Iterator[ReadingEvidence]:
    """Angles that jump by a full turn."""
    for turn, unit in ((2 * np.pi, "rad"), (360.0, "deg")):
        steps = np.concatenate([np.abs(np.diff(e[f.name], axis=0)) for e in data])
        largest = np.max([np.abs(e[f.name]).max(axis=0) for e in data], axis=0)
        jumps = (np.abs(steps - turn) < 0.15 * turn).sum(axis=0)
        turns = np.flatnonzero((jumps > 0) & (largest <= 0.51 * turn) & (largest > 0.4 * turn))
        if len(turns):
            names = ", ".join(_label(f, i) for i in turns)
            text = f"{names} jump by a full turn of {turn:.4g}: angles in {unit} on the branch -half to half a turn"
            numbers = {"elements": turns.tolist(), "jumps": jumps[turns].tolist()}
            yield ReadingEvidence(field=f.name, question="rotation", text=text, confidence="fair", numbers=numbers)


def _action(action: Field, states: Sequence[Field], data: Episodes, rate_hz: float) -> Iterator[ReadingEvidence]:
    grippers = _gripper_elements(action, data)
    arms = [i for i in range(action.shape[0]) if i not in grippers]
    best: tuple[Field, Reading, Reading] | None = None
    for state in states:
        pairs = _matched(action, state, arms)
        if len(pairs) < max(1, len(arms) // 2):
            continue
        absolute, motion = _readings(action, state, pairs, data)
        if best is None or max(absolute.score, motion.score) > max(best[1].score, best[2].score):
            best = state, absolute, motion
    if best is None:
        text = "no state has elements that could be its own: nothing to compare it with"
        yield ReadingEvidence(field=action.name, question="mode", text=text, confidence="ambiguous")
    else:
        yield _mode(action, *best, rate_hz)
    for index in grippers:
        yield _polarity(action, index, states, data)


def _gripper_elements(f: Field, data: Episodes) -> list[int]:
    """Elements that are called so, or a last one that is nearly always at one of its two ends."""
    named = [i for i, name in enumerate(f.layout) if _GRIPPER.search(name)]
    if named or f.layout or f.shape[0] < 4:
        return named
    column = np.concatenate([episode[f.name][:, -1] for episode in data])
    low, high = column.min(), column.max()
    if high <= low:
        return []
    place = (column - low) / (high - low)
    at_ends = (place < 0.05) | (place > 0.95)
    return [f.shape[0] - 1] if at_ends.mean() > 0.9 and low in (-1, 0) and 0.9 < high < 1.1 else []


def _matched(action: Field, state: Field, elements: Sequence[int]) -> list[tuple[int, int]]:
    """Elements of the action with those of the state that have the same name, or, without names, the same place."""
    if action.layout and state.layout:
        places = {name: j for j, name in enumerate(state.layout)}
        named = [(i, places[action.layout[i]]) for i in elements if action.layout[i] in places]
        if named:
            return named
    if abs(action.shape[0] - state.shape[0]) <= 1:  # a gripper may be missing on one side
        return [(i, i) for i in elements if i < state.shape[0]]
    return []


def _readings(
    action: Field, state: Field, pairs: Sequence[tuple[int, int]], data: Episodes
) -> tuple[Reading, Reading]:
    own, its = [i for i, _ in pairs], [j for _, j in pairs]
    episodes = [(e[action.name][:, own], e[state.name][:, its]) for e in data]
    acts, moves = np.concatenate([a for a, _ in episodes]), np.concatenate([s for _, s in episodes])
    moving = (np.ptp(acts, axis=0) > 1e-6) & (np.ptp(moves, axis=0) > 1e-6)
    episodes = [(a[:, moving], s[:, moving]) for a, s in episodes]
    turns = np.abs(moves[:, moving]).max(axis=0, initial=0) <= 1.02 * np.pi
    return _best("absolute", episodes, _levels), _best("motion", episodes, lambda a, s, lag: _moves(a, s, lag, turns))


def _levels(a: Floats, s: Floats, lag: int) -> _Pair:
    return a[: len(a) - lag], s[lag:]


def _moves(a: Floats, s: Floats, lag: int, turns: NDArray[np.bool_]) -> _Pair:
    """Actions summed over the window, and how far the state went meanwhile."""
    count = len(a) - lag - _WINDOW
    if count < 1:
        return a[:0], s[:0]
    sums = np.concatenate([np.zeros((1, a.shape[1])), np.cumsum(a, axis=0)])
    step = s[lag + _WINDOW : lag + _WINDOW + count] - s[lag : lag + count]
    step = np.where(turns & (np.abs(step) > np.pi), (step + np.pi) % (2 * np.pi) - np.pi, step)
    return sums[_WINDOW : _WINDOW + count] - sums[:count], step


def _best(name: str, episodes: Sequence[_Pair], pair: Callable[[Floats, Floats, int], _Pair]) -> Reading:
    """The lag that fits best; one for which less than half the samples are left is not tried."""
    best, most = Reading(name=name, lag=0, score=0.0, slope=float("nan")), 0
    for lag in _LAGS:
        parts = [pair(a, s, lag) for a, s in episodes if len(a) > lag]
        if not parts:
            break
        x, y = (np.concatenate(side) for side in zip(*parts, strict=True))
        most = max(most, len(x))
        if len(x) < max(_FEWEST, most / 2) or not x.shape[1]:
            continue
        r2, slopes = _fit(x, y, centred=name == "absolute")
        score = float(np.median(r2))
        if score > best.score + 1e-9:
            best = Reading(
                name=name,
                lag=lag,
                score=score,
                slope=float(np.median(slopes)),
                r2=tuple(_round(r2)),
                slopes=tuple(_round(slopes)),
            )
    return best


def _fit(x: Floats, y: Floats, *, centred: bool) -> tuple[Floats, Floats]:
    """Squared correlation and slope of y over x for each column; through the origin unless centred."""
    if centred:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    xy, xx, yy = (x * y).sum(axis=0), np.square(x).sum(axis=0), np.square(y).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(xx * yy > 0, np.square(xy) / (xx * yy), 0.0)
        slopes = np.where(xx > 0, xy / xx, np.nan)
    return np.where(xy > 0, r2, 0.0), slopes  # an action that goes the other way explains nothing


def _near(value: float, target: float) -> bool:
    return value > 0 and target > 0 and 1 / _NEAR < value / target < _NEAR


def _mode(action: Field, state: Field, absolute: Reading, motion: Reading, rate_hz: float) -> ReadingEvidence:
    numbers = {"state": state.name, "absolute": asdict(absolute), "motion": asdict(motion), "rate_hz": rate_hz}
    text = (
        f"against {state.name}: absolute R2 {absolute.score:.2f} at lag {absolute.lag} (slope {absolute.slope:.3g}), "
        f"motion R2 {motion.score:.2f} at lag {motion.lag} (slope {motion.slope:.3g})"
    )
    best, other = (absolute, motion) if absolute.score >= motion.score else (motion, absolute)
    if best.score < _EXPLAINS or best.score - other.score < _MARGIN:
        return ReadingEvidence(
            field=action.name,
            question="mode",
            text=f"{text}; no reading stands out",
            proposal="",
            confidence="ambiguous",
            numbers=numbers,
        )
    confidence: Confidence = "strong" if best.score >= _STRONG and other.score < best.score - 2 * _MARGIN else "fair"
    if best is absolute:
        factor = "" if _near(best.slope, 1) else f"; the state is {best.slope:.4g} times the action: other units"
        return ReadingEvidence(
            field=action.name,
            question="mode",
            text=text + factor,
            proposal="absolute",
            confidence=confidence,
            numbers=numbers,
        )
    is_delta, is_velocity = _near(best.slope, 1), rate_hz > 0 and _near(best.slope, 1 / rate_hz)
    if is_delta and is_velocity:
        text = f"{text}; at {rate_hz:g} Hz a delta and a velocity look alike"
        return ReadingEvidence(
            field=action.name, question="mode", text=text, proposal="", confidence="ambiguous", numbers=numbers
        )
    if is_velocity:
        text = f"{text}; the slope is the time between frames: unit of the state per second"
        return ReadingEvidence(
            field=action.name, question="mode", text=text, proposal="velocity", confidence=confidence, numbers=numbers
        )
    scale = "" if is_delta else f"; one unit of action moves the state by {best.slope:.4g}"
    return ReadingEvidence(
        field=action.name,
        question="mode",
        text=text + scale,
        proposal=RELATIVE,
        confidence=confidence,
        numbers=numbers,
    )


def _polarity(action: Field, index: int, states: Sequence[Field], data: Episodes) -> ReadingEvidence:
    """Which way the state's gripper goes when the action's is large."""
    label = f"{action.name}[{_label(action, index)}]"
    best: tuple[float, int, Field, int] | None = None
    for state in states:
        for j in _state_grippers(action, index, state):
            for lag in _LAGS:
                parts = [(e[action.name][: -lag or None, index], e[state.name][lag:, j]) for e in data]
                x, y = (np.concatenate(side) for side in zip(*parts, strict=True))
                if len(x) >= _FEWEST and np.ptp(x) > 0 and np.ptp(y) > 0:
                    r = float(np.corrcoef(x, y)[0, 1])
                    if best is None or abs(r) > abs(best[0]) + 1e-9:
                        best = r, lag, state, j
    if best is None:
        text = f"{label}: no gripper in the state moves with it"
        return ReadingEvidence(field=action.name, question="gripper", text=text, confidence="ambiguous")
    r, lag, state, j = best
    starts = float(np.mean([e[action.name][0, index] for e in data]))
    numbers = {"element": index, "state": state.name, "state_element": j, "r": r, "lag": lag, "mean_at_start": starts}
    sense = "with" if r > 0 else "against"
    text = f"{label} moves {sense} {state.name}[{_label(state, j)}], r {r:.2f} at lag {lag}"
    opens = _opens(state, j, data)
    if r**2 < _EXPLAINS or opens is None:
        reason = "too weak" if r**2 < _EXPLAINS else "which end of that is open is not in the numbers"
        return ReadingEvidence(
            field=action.name,
            question="gripper",
            text=f"{text}; {reason}",
            proposal="",
            confidence="ambiguous",
            numbers=numbers,
        )
    proposal = "gripper_openness" if (r > 0) == opens else "gripper_closedness"
    confidence: Confidence = "strong" if r**2 >= _STRONG else "fair"
    return ReadingEvidence(
        field=action.name, question="gripper", text=text, proposal=proposal, confidence=confidence, numbers=numbers
    )


def _state_grippers(action: Field, index: int, state: Field) -> list[int]:
    named = [j for j, name in enumerate(state.layout) if _GRIPPER.search(name)]
    if named:
        own = action.layout[index] if action.layout else ""
        same = [j for j in named if state.layout[j] == own]
        return same or named
    if not state.layout and index == action.shape[0] - 1 and state.shape[0] == action.shape[0]:
        return [index]
    return []


def _opens(state: Field, index: int, data: Episodes) -> bool | None:
    """Whether a large value of the state's gripper is open, as its name says; None where it does not."""
    name = _label(state, index).lower()
    says = [bool(re.search(r"width|open", name)), bool(re.search(r"clos|effort|force", name))]
    return None if says[0] == says[1] else says[0]


def _draft(recording: Recording, evidence: Sequence[ReadingEvidence]) -> Declaration:
    """What is proposed for fields that are still open; a velocity is an absolute number in another unit."""
    open_fields = undeclared(recording.spec)
    fields = {}
    explained = {e.numbers["state"] for e in evidence if e.question == "mode" and e.proposal}
    for name in open_fields:
        field_ = recording.spec[name]
        said = {e.question: e.proposal for e in evidence if e.field == name and e.proposal}
        mode = said.get("mode") or ("absolute" if name in explained else None)
        if mode == "velocity":
            mode = "absolute"
        unit = said.get("unit")
        fields[name] = FieldDeclaration(
            unit=unit if field_.unit in ("", "unknown") else None,
            mode=mode if field_.mode in ("", "unknown") else None,
        )
    return Declaration(fields={name: words for name, words in fields.items() if words.words()})
