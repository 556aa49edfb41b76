"""Looks for the public pitfalls between a policy and a world, and mends the profile line by line.

Every piece of advice was tried: a line is named only where the profile with it fits better, and the same look with it
finds nothing there any more.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.policies.remote.maps import Normalisation, ObservationMap
from roboscale.policies.remote.pitfalls.answers import answer_tables, degree_change, mode_change, turned_elements
from roboscale.policies.remote.pitfalls.evidence import Array, Seen, TrainedNumbers, TrainedOn
from roboscale.policies.remote.pitfalls.lines import Line, apply_lines, toml_value
from roboscale.policies.remote.pitfalls.numbers import NumberChange, element_distance, number_changes
from roboscale.policies.remote.pitfalls.pictures import (
    LOUD,
    RATIO,
    PictureChange,
    alike,
    looks_the_same,
    picture_changes,
    picture_distance,
)
from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["Fitting", "Pitfall", "find_pitfalls"]

FAR, LEFT = 1.0, 0.35  # spreads that numbers must be away from training, and what a change may leave of that
ROUNDS = 4  # faults that one key may have
STRANGE = 45.0  # grey levels beyond which pictures look like none of the training data


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitfall(Plain):
    """Something that a policy was trained on otherwise.

    Args:
        check: e.g. `bgr`, `turned`, `degrees`, `gripper-sign`.
        where: the policy's key, or `action`.
        text: what is wrong, with the numbers of both sides.
        lines: of the profile, that mend it; none where no line can.
    """

    check: str
    where: str
    text: str
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting(Plain):
    """What was found between a policy and a world.

    Args:
        pitfalls: found. not_looked_for: and why not. assumed: what nobody says.
        profile: its text with all lines applied.
    """

    pitfalls: tuple[Pitfall, ...]
    not_looked_for: tuple[str, ...]
    assumed: tuple[str, ...]
    profile: str


def find_pitfalls(text: str, seen: Seen, trained: TrainedOn) -> Fitting:
    """Looks through a profile (its TOML text) for what does not reach the policy as in training.

    Raises:
        BadData, UnknownName: the text is no profile.
    """
    search = _Search(text, seen, trained)
    search.rate()
    search.prompt()
    for number in range(len(PolicyProfile.parse(text).observations)):
        search.observation(number)
    search.action()
    return Fitting(
        pitfalls=tuple(search.pitfalls),
        not_looked_for=tuple(dict.fromkeys(search.missing)),
        assumed=tuple(dict.fromkeys(search.assumed)),
        profile=search.text,
    )


class _Search:
    def __init__(self, text: str, seen: Seen, trained: TrainedOn) -> None:
        self.text, self.seen, self.trained = text, seen, trained
        self.pitfalls: list[Pitfall] = []
        self.missing: list[str] = []
        self.assumed: list[str] = []

    @property
    def profile(self) -> PolicyProfile:
        """As it is mended so far."""
        return PolicyProfile.parse(self.text)

    def found(self, check: str, where: str, text: str, *lines: Line) -> None:
        self.pitfalls.append(Pitfall(check=check, where=where, text=text, lines=lines))
        self.text = apply_lines(self.text, lines)

    # ---- the whole

    def rate(self) -> None:
        theirs, ours, profile = self.trained.rate_hz, self.seen.action_spec.rate_hz, self.profile
        if theirs is None:
            self.missing.append("control rate: nobody says at what rate it was trained")
        elif abs((theirs if profile.resample_hz is not None else profile.rate_hz or ours) - theirs) > 1e-6 or (
            profile.resample_hz is None and abs(theirs - ours) > 1e-6
        ):
            lines = [Line("", "rate_hz", toml_value(float(theirs))), Line("", "resample_hz", toml_value(float(ours)))]
            self.found(
                "control-rate", "action", f"it was trained at {theirs:g} Hz, and the world runs at {ours:g} Hz", *lines
            )

    def prompt(self) -> None:
        sentences = self.trained.sentences
        if sentences is None:
            self.missing.append("missing prompt: nobody says whether it was trained on instructions")
            return
        if not self.profile.prompt and len(sentences) > 1:
            text = f"it was trained on {len(sentences)} instructions, and is told none"
            self.found("prompt", "prompt", text, Line("", "prompt", '"prompt"'))
        if self.seen.instruction not in sentences and sentences:
            self.assumed.append(f"{self.seen.instruction!r} means what one of its {len(sentences)} instructions does")

    # ---- what it is shown

    def observation(self, number: int) -> None:
        entry = self.profile.observations[number]
        key, fields = ".".join(entry.key), [part.field for part in entry.parts]
        if any(name not in self.seen.starts[0] for name in fields):
            self.missing.append(f"{key}: the world does not show {', '.join(fields)}")
        elif self.seen.observation_spec[fields[0]].is_image:
            self._pictures(number, key)
        else:
            self._numbers(number, key)

    def _pictures(self, number: int, key: str) -> None:
        shown = self.trained.pictures.get(key)
        if shown is None or not len(shown):
            self.missing.append(
                f"{key}: bgr, channels first, range, turned and mirrored pictures: no training pictures"
            )
            return
        trained = alike(shown)
        self.missing += [f"{key}: {what}" for what in looks_the_same(trained)]
        self.assumed.append(
            f"the policy takes {key} as the dataset holds it: height, width, red, green, blue in 0..255"
        )
        for _ in range(ROUNDS):
            entry = self.profile.observations[number]
            pictures = [np.asarray(start[entry.parts[0].field]) for start in self.seen.starts]
            now = picture_distance(entry, pictures, trained)
            best = self._best_picture(number, entry, pictures, trained, now)
            if best is None:
                break
            reached, changes = best
            for check, words, line in changes:
                text = f"{words}: {now:.0f} grey levels from the nearest training picture, {reached:.0f} with the line"
                self.found(check, key, text, line)
        if now > STRANGE:
            self.missing.append(
                f"{key}: looks like no training picture ({now:.0f} grey levels): another camera or scene"
            )

    def _best_picture(
        self,
        number: int,
        entry: ObservationMap,
        pictures: Sequence[NDArray[np.uint8]],
        trained: Sequence[NDArray[np.float32]],
        now: float,
    ) -> tuple[float, tuple[PictureChange, ...]] | None:
        """The one change, or else the two together, after which pictures clearly look like those of training."""
        single = list(picture_changes(f"observation[{number}]", entry))
        pairs = [(a, b) for a, b in combinations(single, 2) if a[2].key != b[2].key]
        for several in ([(one,) for one in single], pairs):
            tried = []
            for changes in several:
                text = apply_lines(self.text, [line for _, _, line in changes])
                other = PolicyProfile.parse(text).observations[number]
                tried.append((picture_distance(other, pictures, trained), changes))
            best = min(tried, key=lambda one: one[0])
            if best[0] <= RATIO * now and now - best[0] >= LOUD:
                return best
        return None

    def _numbers(self, number: int, key: str) -> None:
        trained = self.trained.numbers.get(key)
        self._normalise(number, key)
        if trained is None:
            self.missing.append(f"{key}: degrees, gripper sign, quaternion order, statistics: no training numbers")
            return
        if trained.starts is None:
            self.missing.append(
                f"{key}: gripper sign and quaternion order, where statistics alone cannot tell: no --dataset"
            )
        checkpoint = self.trained.checkpoint.get(key)
        expected = trained if checkpoint is None else trained.through(checkpoint)
        for _ in range(ROUNDS):
            entry = self.profile.observations[number]
            raw = self._raw(entry)
            if raw.shape[1] != len(expected.mean):
                said = f"{raw.shape[1]} numbers are sent, and it was trained on {len(expected.mean)}"
                self.pitfalls.append(Pitfall(check="size", where=key, text=said))
                return
            best = self._best_change(number, entry, raw, trained, checkpoint, expected)
            if best is None:
                return
            change, before, after = best
            text = f"{change.text}: {before:.1f} spreads from training, {after:.1f} with the line"
            self.found(change.check, key, text, *change.lines)

    def _best_change(
        self,
        number: int,
        entry: ObservationMap,
        raw: Array,
        trained: TrainedNumbers,
        checkpoint: TrainedNumbers | None,
        expected: TrainedNumbers,
    ) -> tuple[NumberChange, float, float] | None:
        """The change that brings numbers nearest to training, where one does so clearly."""
        now, claimed = element_distance(raw, expected), []
        spec = self.seen.observation_spec
        for change in number_changes(self._tables(number, entry), entry, spec, trained, checkpoint, raw):
            other = self._raw(PolicyProfile.parse(apply_lines(self.text, change.lines)).observations[number])
            moved = np.abs(other - raw).max(axis=0) > 0.3 * expected.spread
            about = [j for j in change.elements if moved[j]]
            if not about:
                continue
            before, after = now[about].mean(), element_distance(other, expected)[about].mean()
            if before > FAR and after < LEFT * before and after < FAR:
                claimed.append((now.sum() - element_distance(other, expected).sum(), change, before, after))
        if not claimed:
            return None
        _, change, before, after = max(claimed, key=lambda one: one[0])
        return change, float(before), float(after)

    def _raw(self, entry: ObservationMap) -> Array:
        """(n, D) of the world's first observations, before the profile normalises them."""
        return np.stack([entry.raw([np.asarray(s[part.field]) for part in entry.parts]) for s in self.seen.starts])

    def _tables(self, number: int, entry: ObservationMap) -> list[str]:
        place = f"observation[{number}]"
        apart = "part" in tomllib.loads(self.text)["observation"][number]
        return [f"{place}.part[{j}]" for j in range(len(entry.parts))] if apart else [place]

    def _normalise(self, number: int, key: str) -> None:
        """A profile that normalises does so by the numbers of the training data."""
        made = self.profile.observations[number].normalise
        self._same_statistics(made, self.trained.numbers.get(key), f"observation[{number}]", key)

    def _same_statistics(self, made: Normalisation, trained: TrainedNumbers | None, table: str, where: str) -> None:
        if made.kind == "none" or trained is None or len(made.low) != len(trained.mean):
            return
        low, high = np.array(made.low), np.array(made.high)
        centre, spread = (low, high) if made.kind == "mean_std" else ((low + high) / 2, (high - low) / 4)
        off = np.abs(centre - trained.mean) / trained.spread
        ratio = np.abs(np.log(np.maximum(spread, 1e-9) / trained.spread))
        if max(off.max(), ratio.max()) < (1.0 if made.kind == "mean_std" else 2.5):
            return
        mean, std = ([float(v) for v in values] for values in (trained.mean, np.maximum(trained.std, 1e-6)))
        value = f'{{ kind = "mean_std", mean = {toml_value(mean)}, std = {toml_value(std)} }}'
        text = f"the profile normalises by the statistics of another dataset (off by {off.max():.1f} spreads)"
        line = Line(table, "normalise", value)
        if f"[{table.partition('[')[0]}.normalise]" in self.text or made.kind != "mean_std":
            self.missing.append(f"{where}: {text}; mend it by hand: {line.text}")
            self.pitfalls.append(Pitfall(check="statistics", where=where, text=text, lines=(line,)))
            return
        self.found("statistics", where, text, line)

    # ---- what it answers

    def action(self) -> None:
        action = self.trained.action
        self._same_statistics(self.profile.action.normalise, action, "action", "action")
        if action is None:
            self.missing.append("action: gripper sign, degrees, delta for absolute: no training actions")
            return
        changed = mode_change(self.profile, self.seen, self.trained)
        if changed is not None:
            text, line = changed
            if line is None:
                self.pitfalls.append(Pitfall(check="delta-for-absolute", where="action", text=text))
            else:
                self.found("delta-for-absolute", "action", text, line)
        tables = answer_tables(self.profile, "part" in tomllib.loads(self.text)["action"])
        degrees = degree_change(self.profile, tables, self.seen, self.trained)
        relative = self.profile.action.relative
        if relative is not None and relative.make == "absolute":
            self.missing.append("action: degrees: the policy says differences, and how large they may be nobody says")
        if degrees is not None:
            self.found(degrees.check, "action", degrees.text, *degrees.lines)
        for change in self._turned(tables, action):
            self.found(change.check, "action", change.text, *change.lines)

    def _turned(self, tables: list[str], action: TrainedNumbers) -> Iterator[NumberChange]:
        moves = self.trained.moves
        if moves is None or self.seen.respond is None:
            self.missing.append("action: gripper sign: no rows of training to replay")
            return
        try:
            world = self.seen.respond(self.profile)
        except RoboscaleError as error:
            self.missing.append(f"action: gripper sign: replaying training actions failed: {error}")
            return
        if world is None:
            self.missing.append("action: gripper sign: the policy is not shown the state that its actions move")
            return
        changes, unclear = turned_elements(self.profile, tables, action, moves[1], world, self.seen.action_spec)
        if unclear:
            said = ", ".join(unclear)
            self.missing.append(f"action: sign of {said}: what was replayed does not clearly move the state")
        yield from changes
