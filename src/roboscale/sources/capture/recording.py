"""A capture as a `Recording`: demonstrations cut into episodes, poses as actions on the group, each with its error.

    observation.state   where each end effector is: x, y, z, two rows of its rotation, what its joints do
    action              inv(T_t) T_{t+k}: the pose k samples ahead as seen from this one; joints as they are then
    pose.target         the same pose k samples ahead in the frame of the state
    sigma.<track>       metres and radians of one standard deviation
    pose.held           the pose repeats the one before it; pose.interpolated: it lies on a line between others
    gripper.closed      a hand pinches: thumb and index are near, until they are far apart
    pose.unreachable    and pose.too_fast, pose.self_colliding: what kept an arm from it, where one was asked
    time.frame_ns       when the sample was taken

Nothing was commanded: an action is what the hand did next. Where nobody says how accurate the poses are, they may be
off by any factor: the same columns are then called `pretrain.*` and there is no action (see `PRETRAIN`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Clip,
    Field,
    Finding,
    Origin,
    Pictures,
    Provenance,
    RecordedEpisode,
    RoboscaleError,
    Spec,
    Stream,
    UnknownName,
)
from roboscale.dataset.rates import is_rate, same_rate
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.sources.capture.card import CaptureCard, DemonstrationCard, TrackCard
from roboscale.sources.capture.cutting import Piece, demonstration_card, hand_closed, pieces_of, thinned
from roboscale.sources.capture.gates import Bars, gates_of
from roboscale.sources.capture.pinch import Pinch
from roboscale.sources.capture.poses import ROT6D
from roboscale.sources.capture.reachability import ArmAsked, ArmFollowing
from roboscale.sources.capture.showing import frames_shown
from roboscale.sources.capture.track import CaptureSource, HandDemonstration, PoseTrack, Sigma

__all__ = ["PRETRAIN", "CaptureOptions", "CaptureRecording", "NothingKept"]

PRETRAIN = "pretrain."
"""How the columns of poses begin whose error nobody states: they are no actions and no states."""

_SIGNED = ("x", "y", "z", *ROT6D)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """How episodes are made of a capture.

    Args:
        rate_hz: of the dataset; `None` takes that of the source. A lower one leaves samples out, none is made.
        ahead: k, how many samples an action looks ahead.
        sigma_position_m, sigma_rotation_rad: what the user declares of every sample that says nothing itself.
        bars: of the gates.
        instruction: where the source has none.
        pretrain_only: keep the poses as auxiliary targets, whatever is known of their error.
        arm: which arm should follow; `None` asks none.
        pinch: when a hand counts as closed.
    """

    rate_hz: float | None = None
    ahead: int = 1
    sigma_position_m: float | None = None
    sigma_rotation_rad: float | None = None
    bars: Bars = field(default_factory=Bars)
    instruction: str = ""
    pretrain_only: bool = False
    arm: ArmAsked | None = None
    pinch: Pinch = field(default_factory=Pinch)


class NothingKept(BadData):
    """No demonstration passed its gates; `card` says why of each."""

    def __init__(self, root: object, card: CaptureCard) -> None:
        reasons = "; ".join(f"{one.key}: {one.why}" for one in card.demonstrations[:3])
        found = f"{len(card.demonstrations)} dropped: {reasons}"
        super().__init__(root, "demonstrations", "one that passes every gate", found)
        self.card = card

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.file, self.card)


class CaptureRecording:
    """See the module, and `core.Recording` for what is promised. Opening reads all poses and no picture.

    Args:
        source: what was captured.

    Raises:
        BadData: there is no demonstration, or none of them can be read.
    """

    def __init__(self, source: CaptureSource, options: CaptureOptions) -> None:
        self._source, self._options = source, options
        self.format, self.root, self.licence = source.format, source.root, source.licence
        self.robot_type = source.device
        self._pieces: dict[str, Piece] = {}
        self._findings: list[Finding] = list(source.findings)
        self._assumed: list[str] = []
        if not source.keys:
            raise BadData(source.root, "demonstrations", "at least one", "none")
        first, cards = None, []
        for key in source.keys:
            one, card = self._admit(key, first)
            cards.append(card)
            first = first or (one if card.kept else None)
        self._cards = tuple(cards)
        if first is None:
            raise NothingKept(source.root, self._card("", 0.0, ""))
        self.why_pretrain = self._why_pretrain()
        silent = sum(not p.demonstration.instruction for p in self._pieces.values())
        if silent and not options.instruction:
            text = "no text says what is done, which the audit of a dataset calls an error: --instruction"
            self._assumed.append(f"{silent} of {len(self._pieces)} episodes: {text}")
        self._arm = self._following()
        self.spec = self._spec(first)
        self.keys: Sequence[str] = tuple(self._pieces)
        self.origins: Sequence[Origin] = [Origin(f.name, *self._origin(f.name, first)) for f in self.spec]
        self.unmapped: Mapping[str, str] = dict(source.unmapped)
        self.missing: Mapping[str, Sequence[str]] = {}
        self._frame = first.frame

    def _card(self, frame: str, rate_hz: float, pretrain_only: str) -> CaptureCard:
        return CaptureCard(
            source=self._source.root.absolute().name,
            format=self._source.format,
            device=self._source.device,
            frame=frame,
            rate_hz=rate_hz,
            ahead=self._options.ahead,
            pretrain_only=pretrain_only,
            demonstrations=self._cards,
            origins=dict(self._source.origins),
            unmapped=dict(self._source.unmapped),
            assumed=tuple(self._assumed),
        )

    @cached_property
    def card(self) -> CaptureCard:
        """What all of it is worth. With an arm, every demonstration is followed for it."""
        plain = self._card(self._frame, self.spec.rate_hz, self.why_pretrain)
        if self._arm is None:
            return plain
        kept = {p.demonstration.key: p.demonstration for p in self._pieces.values()}
        cards = tuple(
            replace(card, tracks=self._counted(card, kept[card.key])) if card.kept else card for card in self._cards
        )
        return replace(plain, demonstrations=cards, arm=self._arm.card)

    def _counted(self, card: DemonstrationCard, one: HandDemonstration) -> tuple[TrackCard, ...]:
        assert self._arm is not None
        counts = self._arm.counts(one)
        return tuple(replace(track, arm=count) for track, count in zip(card.tracks, counts, strict=True))

    def _following(self) -> ArmFollowing | None:
        asked = self._options.arm
        if asked is None:
            return None
        kept = {p.demonstration.key: p.demonstration for p in self._pieces.values()}
        arm = ArmFollowing(asked, list(kept.values()), self._source.root)
        self._assumed += arm.notes
        return arm

    @property
    def findings(self) -> Sequence[Finding]:
        return self._findings

    @property
    def dropped(self) -> Mapping[str, str]:
        """HandDemonstration -> why it is not there."""
        return {one.key: one.why for one in self._cards if not one.kept}

    @property
    def options(self) -> CaptureOptions:
        """As they were asked for, with the arm where it was put: opening again with them needs no search."""
        return self._options if self._arm is None else replace(self._options, arm=self._arm.placed)

    def close(self) -> None:
        """Nothing is held open."""

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode. `Recording.read` says what is promised."""
        if key not in self._pieces:
            raise UnknownName("episode", key, self.keys[:1000])
        piece = self._pieces[key]
        one = piece.demonstration
        rows = np.arange(piece.first, piece.last)
        arrays = self._arrays(piece, rows)
        pictures: dict[str, Clip | Pictures] = {}
        for name, camera in one.cameras.items():
            shown = f"observation.images.{name}"
            if cameras is None or shown in cameras:
                pictures[shown] = frames_shown(camera.pictures, camera.frames[rows], camera.shape, self.spec.rate_hz)
        lenses = {name: c.lens.to_json() for name, c in one.cameras.items() if c.lens is not None}
        details: dict[str, Any] = {
            "source_key": key,
            "demonstration": one.key,
            "first_sample": piece.first,
            "scale": one.scale,
        }
        details |= {"lenses": lenses} if lenses else {}
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=one.instruction or self._options.instruction,
            provenance=Provenance(
                f"capture.{self.format}",
                embodiment=self.robot_type,
                licence=one.licence or self.licence,
                details=details,
            ),
            streams={name: _within(stream, one.time_ns[rows]) for name, stream in one.streams.items()},
            findings=(*one.findings, *piece.findings),
        )

    def _admit(self, key: str, first: HandDemonstration | None) -> tuple[HandDemonstration | None, DemonstrationCard]:
        """Reads one demonstration, holds it against its gates, and cuts it into episodes."""
        try:
            full = self._source.demonstration(key)
        except RoboscaleError as error:
            note = str(error)
            return None, DemonstrationCard(
                key=key, kept=False, seconds=0.0, gates=(), tracks=(), episodes=(), scale="", note=note
            )
        gates = gates_of(full, self._options.bars)
        one = self._with_sigma(thinned(full, self._options.rate_hz, self._rate_of(full)))
        note = self._unlike(one, first)
        passed = all(gate.passed for gate in gates) and not note
        pieces = pieces_of(one, self._options.ahead, self._options.bars.seconds) if passed else []
        if passed and not pieces:
            bar = self._options.bars.seconds
            note = f"no stretch with a pose in every sample lasts {bar:g} s (and {self._options.ahead} samples ahead)"
        for number, piece in enumerate(pieces):
            self._pieces[key if len(pieces) == 1 else f"{key}/{number}"] = piece
        names = tuple(k for k, p in self._pieces.items() if p.demonstration is one)
        return one, demonstration_card(one, gates, names, note, full=full, pinch=self._options.pinch)

    def _unlike(self, one: HandDemonstration, first: HandDemonstration | None) -> str:
        """Why a demonstration does not fit into the dataset of the first; empty where it does."""
        if first is None:
            return ""
        for what, a, b in (
            ("end effectors", _shape(one), _shape(first)),
            ("cameras", {n: c.shape for n, c in one.cameras.items()}, {n: c.shape for n, c in first.cameras.items()}),
            ("frame", one.frame, first.frame),
        ):
            if a != b:
                return f"{what}: expected {b} as in {first.key}, found {a}"
        rates = self._rate_of(one), self._rate_of(first)
        if self._options.rate_hz is None and abs(rates[0] - rates[1]) > 0.02 * rates[1]:
            return f"rate: expected {rates[1]:.4g} Hz as in {first.key}, found {rates[0]:.4g} Hz; --fps takes another"
        return ""

    def _with_sigma(self, one: HandDemonstration) -> HandDemonstration:
        """With what the user declares, where the source says nothing."""
        asked = self._options
        if asked.sigma_position_m is None or asked.sigma_rotation_rad is None:
            return one
        count = len(one.time_ns)
        how = f"declared: {asked.sigma_position_m:g} m and {asked.sigma_rotation_rad:g} rad for every sample"
        said = Sigma(
            position=np.full(count, asked.sigma_position_m), rotation=np.full(count, asked.sigma_rotation_rad), how=how
        )
        return replace(one, tracks=tuple(t if t.sigma else replace(t, sigma=said) for t in one.tracks))

    def _why_pretrain(self) -> str:
        if self._options.pretrain_only:
            return "asked for"
        for piece in self._pieces.values():
            for track in piece.demonstration.tracks:
                if track.sigma is None:
                    which = f" of {track.name}" if track.name else ""
                    return (
                        f"nobody says how accurate the poses{which} are: --sigma-position and --sigma-rotation "
                        "declare it, where somebody has measured it"
                    )
        return ""

    def _rate_of(self, one: HandDemonstration) -> float:
        """Samples a second: as the source or its camera says, else one over the median step."""
        if one.rate_hz:
            return one.rate_hz
        for camera in one.cameras.values():
            if camera.rate_hz and len(camera.frames) > 1 and int(np.median(np.diff(camera.frames))) == 1:
                return camera.rate_hz
        steps = np.diff(one.time_ns)
        if not len(steps) or steps.min() <= 0:
            at = int(np.argmin(steps)) if len(steps) else 0
            raise BadData(self.root, f"{one.key}: times", "increasing, at least two", f"a step back at sample {at}")
        measured = 1e9 / float(np.median(steps))
        whole = max(round(measured), 1)
        nearest = min((float(whole), whole * 1000 / 1001), key=lambda rate: abs(rate - measured))
        return nearest if abs(nearest - measured) < 0.003 * measured else measured

    def _spec(self, first: HandDemonstration) -> Spec:
        rate = self._options.rate_hz or self._rate_of(first)
        if not is_rate(rate):
            raise BadData(self.root, "fps", "frames a second, from 1/60: --fps", rate)
        said, pretrain = _elements(first.tracks), bool(self.why_pretrain)
        names = {
            "state": f"{PRETRAIN}pose" if pretrain else "observation.state",
            "action": f"{PRETRAIN}relative" if pretrain else "action",
            "target": f"{PRETRAIN}target" if pretrain else "pose.target",
        }
        size, frame = (len(said),), first.frame
        fields = [
            Field(names["state"], size, "float32", unit="mixed", frame=frame, layout=said),
            Field(
                names["action"],
                size,
                "float32",
                unit="mixed",
                frame="end effector at prediction",
                layout=said,
                mode="relative to the state at prediction",
                side="body",
            ),
            Field(names["target"], size, "float32", unit="mixed", frame=frame, layout=said),
        ]
        if not pretrain:
            pairs = tuple(f"{_prefix(t)}{what}" for t in first.tracks for what in ("position_m", "rotation_rad"))
            fields.append(Field("sigma", (len(pairs),), "float32", unit="mixed", layout=pairs))
        marks = (len(first.tracks),)
        tracks = tuple(t.name or "effector" for t in first.tracks)
        fields += [Field(f"pose.{mark}", marks, "bool", layout=tracks) for mark in ("held", "interpolated")]
        if all(hand_closed(track, self._options.pinch) is not None for track in first.tracks):
            fields.append(Field("gripper.closed", marks, "bool", layout=tracks))
        fields += self._arm.fields() if self._arm is not None else ()
        for track in first.tracks:
            if track.points is not None:
                layout = tuple(f"{name}.{axis}" for name in track.point_names for axis in "xyz")
                name = f"{PRETRAIN if pretrain else 'observation.'}points{'.' + track.name if track.name else ''}"
                fields.append(Field(name, (len(layout),), "float32", unit="m", frame=frame, layout=layout))
                known = f"points.known{'.' + track.name if track.name else ''}"
                fields.append(Field(known, (len(track.point_names),), "bool", layout=track.point_names))
        fields.append(Field(FRAME_TIMES, (1,), "int64", unit="ns"))
        for name, camera in first.cameras.items():
            axes = ("height", "width", "channel")
            fields.append(Field(f"observation.images.{name}", camera.shape, "uint8", layout=axes, role=camera.role))
            if camera.poses is not None:
                fields.append(Field(f"pose.camera.{name}", (9,), "float32", unit="mixed", frame=frame, layout=_SIGNED))
            if not same_rate(camera.rate_hz or rate, rate):
                self._assumed.append(
                    f"{name}: a video of {camera.rate_hz:.4g} Hz is shown at {rate:.4g} Hz, the frame of each sample"
                )
        return Spec(tuple(fields), rate)

    def _origin(self, name: str, first: HandDemonstration) -> tuple[str, str]:
        source = self._source.origins
        ahead = self._options.ahead
        said = {
            "state": ("poses", "x, y, z and two rows of the rotation matrix; effector joints as they are"),
            "pose": ("poses", "x, y, z and two rows of the rotation matrix; effector joints as they are"),
            "action": ("poses", f"inv(T_t) T_t+{ahead}; effector joints {ahead} ahead"),
            "relative": ("poses", f"inv(T_t) T_t+{ahead}; effector joints {ahead} ahead"),
            "target": ("poses", f"the pose {ahead} ahead, in the frame of the state"),
            "sigma": ("sigma", next((t.sigma.how for t in first.tracks if t.sigma), "")),
            "held": ("poses", "equal to the sample before"),
            "interpolated": ("poses", "four or more on the line between their neighbours"),
            "closed": ("points", "thumb and index pinch, with two thresholds"),
            "unreachable": ("poses", "farther from the tip of the arm than its tolerance"),
            "too_fast": ("poses", "a joint of the arm would pass its speed since the sample before"),
            "self_colliding": ("poses", "parts of the arm would overlap"),
            "residual": ("poses", "metres and radians between the pose and the tip of the arm"),
            "joints": ("poses", "joints of the arm that bring its tip there, or as near as it comes"),
            "frame_ns": ("time", "nanoseconds"),
        }
        last = name.rpartition(".")[2]
        if last in said:
            what, done = said[last]
            return source.get(what, what), done
        if name.startswith("pose.camera."):
            return source.get("camera pose", "the camera's poses"), "x, y, z and two rows of its rotation, OpenCV axes"
        if ".images." in name:
            return source.get(f"camera {last}", f"camera {last}"), "the frame of each sample"
        return source.get("points", "key points"), "metres in the frame of the state; 0 where not known"

    def _arrays(self, piece: Piece, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        one, ahead, pretrain = piece.demonstration, self._options.ahead, bool(self.why_pretrain)
        now, then, delta, sigma = [], [], [], []
        for track in one.tracks:
            poses, effector = track.poses[rows], track.effector[rows]
            later, effector_later = track.poses[rows + ahead], track.effector[rows + ahead]
            now.append(np.concatenate([poses.elements(), effector], axis=1))
            then.append(np.concatenate([later.elements(), effector_later], axis=1))
            delta.append(np.concatenate([(poses.inverse() @ later).elements(), effector_later], axis=1))
            if track.sigma is not None:
                sigma += [track.sigma.position[rows], track.sigma.rotation[rows]]
        made = {
            f"{PRETRAIN}pose" if pretrain else "observation.state": np.concatenate(now, axis=1),
            f"{PRETRAIN}relative" if pretrain else "action": np.concatenate(delta, axis=1),
            f"{PRETRAIN}target" if pretrain else "pose.target": np.concatenate(then, axis=1),
        }
        if not pretrain:
            made["sigma"] = np.stack(sigma, axis=1)
        arrays: dict[str, NDArray[Any]] = {name: values.astype(np.float32) for name, values in made.items()}
        arrays["pose.held"] = np.stack([mask[rows] for mask in piece.held], axis=1)
        arrays["pose.interpolated"] = np.stack([mask[rows] for mask in piece.interpolated], axis=1)
        closed = [hand_closed(track, self._options.pinch) for track in one.tracks]
        if "gripper.closed" in self.spec:
            arrays["gripper.closed"] = np.stack([mask[rows] for mask in closed if mask is not None], axis=1)
        if self._arm is not None:
            arrays |= self._arm.arrays(one, rows)
        for track in one.tracks:
            if track.points is not None:
                end, points = f".{track.name}" if track.name else "", track.points[rows]
                known = np.asarray(np.isfinite(points).all(axis=2))
                flat = np.where(known[:, :, None], points, 0.0).reshape(len(rows), -1)
                arrays[f"{PRETRAIN if pretrain else 'observation.'}points{end}"] = flat.astype(np.float32)
                arrays[f"points.known{end}"] = known
        for name, camera in one.cameras.items():
            if camera.poses is not None:
                arrays[f"pose.camera.{name}"] = camera.poses[rows].elements().astype(np.float32)
        arrays[FRAME_TIMES] = one.time_ns[rows][:, None]
        return arrays


def _within(stream: Stream, time_ns: NDArray[np.int64]) -> Stream:
    """The samples of a sensor between the first and the last time."""
    first, last = np.searchsorted(stream.time_ns, [time_ns[0], time_ns[-1] + 1])
    return replace(stream, time_ns=stream.time_ns[first:last], values=stream.values[first:last])


def _prefix(track: PoseTrack) -> str:
    return f"{track.name}." if track.name else ""


def _shape(one: HandDemonstration) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(t.name, t.effector_names, t.point_names) for t in one.tracks]


def _elements(tracks: Sequence[PoseTrack]) -> tuple[str, ...]:
    return tuple(f"{_prefix(t)}{name}" for t in tracks for name in (*_SIGNED, *t.effector_names))
