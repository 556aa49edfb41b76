"""The audit of any recording: evidence of every episode, judged together; of a LeRobot dataset the files as well."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import Finding, Recording, Spec, splits_of
from roboscale.dataset.audit.content import judge_cameras, judge_lengths, judge_numbers
from roboscale.dataset.audit.duplicates import judge_duplicates, judge_leaks
from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine, examine_episode, links
from roboscale.dataset.audit.files import Spread, audit_files
from roboscale.dataset.audit.motion import delays, judge_grippers, judge_motion, judge_units
from roboscale.dataset.audit.report import AuditReport
from roboscale.dataset.audit.statistics import judge_images
from roboscale.dataset.audit.texts import judge_texts
from roboscale.dataset.checks import CHECKS, FILES, PICTURES, SEVERITIES, finding, many, means_nothing, with_repairs
from roboscale.dataset.lerobot import LeRobotRecording, lerobot_format, load_folder, open_lerobot
from roboscale.dataset.lerobot.licence import licence_of

__all__ = ["audit", "audit_folder", "judge", "options_for"]

Opener = Callable[[], Recording]

_PICTURES = tuple(check.name for check in PICTURES)
_FILES = frozenset(check.name for check in FILES) - {"video-surplus", "missing-video"}


def options_for(episodes: int, cameras: int, images: bool = True) -> Options:
    """24 pictures a camera and episode, fewer where there are many: about 50,000 in all, but at least 6 each."""
    samples = 24 if episodes * cameras <= 2000 else max(6, 48_000 // (episodes * cameras))
    return Options(images=images, samples=samples)


def audit(
    recording: Recording,
    *,
    against: Sequence[Recording] = (),
    images: bool = True,
    progress: Callable[[int, int], None] | None = None,
    opener: Opener | None = None,
    run: Spread = map,
) -> AuditReport:
    """Recomputes what a recording claims and looks at what it holds.

    Args:
        recording: of any format. Of a LeRobot dataset the files are checked as well.
        against: other datasets whose episodes must not be in this one.
        images: whether to decode pictures.
        progress: called with (episodes done, of how many).
        opener: opens the same recording in a worker process; picklable. Needed where `run` uses other processes.
        run: like `map`, in order.

    Returns:
        What was found; a broken recording is reported, not raised.
    """
    options = options_for(len(recording.keys), len(recording.spec.images), images)
    evidence = _gather(recording, options, opener, run, progress)
    others = {str(o.root): _gather(o, Options(images=False), None, map, None) for o in against}
    judged = [*judge(evidence, recording.spec, others, splits_of(recording)), *_licence(recording, evidence)]
    if isinstance(recording, LeRobotRecording):
        found = audit_files(recording.folder, run)
        found += [f for f in judged if f.check not in _FILES]  # of the files everything is said already
        found += judge_images(recording.root, evidence) if images else ()
    else:
        found = [*recording.findings, *_missing(recording), *judged]
    return _report(recording, evidence, _settled(found), images, bool(others))


def audit_folder(root: Path, **options: Any) -> AuditReport:
    """The audit of a LeRobot dataset; one that no reader can open is reported, too."""
    folder, problems = load_folder(Path(root))
    if folder is not None:
        return audit(open_lerobot(root, lenient=True), **options)
    checked = tuple(sorted({f.check for f in problems.findings}))
    skipped = {"content": "the metadata cannot be read"}
    format = "lerobot-v3" if (Path(root) / "meta/episodes").is_dir() else lerobot_format(Path(root), "v2.1")
    findings = tuple(with_repairs(_settled(problems.findings), Path(root), format))
    return AuditReport(
        root=str(root),
        format=format,
        episodes=0,
        frames=0,
        pictures=0,
        rate_hz=0.0,
        checked=checked,
        skipped=skipped,
        facts={},
        findings=findings,
    )


def _gather(
    recording: Recording,
    options: Options,
    opener: Opener | None,
    run: Spread,
    progress: Callable[[int, int], None] | None,
) -> list[EpisodeEvidence]:
    items = list(enumerate(recording.keys))
    results: Iterable[EpisodeEvidence]
    if opener is None:
        results = (examine_episode(recording, item, options) for item in items)
    else:
        results = run(functools.partial(_examine, opener, options), items)
    found = []
    for one in results:
        found.append(one)
        if progress is not None:
            progress(len(found), len(items))
    return found


def _examine(opener: Opener, options: Options, item: tuple[int, str]) -> EpisodeEvidence:
    return examine(opener, item, options)


def judge(
    evidence: Sequence[EpisodeEvidence],
    spec: Spec,
    others: Mapping[str, Sequence[EpisodeEvidence]] | None = None,
    splits: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Finding]:
    """Everything that evidence shows; pure."""
    yield from judge_lengths(evidence, spec.rate_hz)
    yield from judge_texts(evidence)
    yield from judge_numbers(evidence, spec)
    yield from judge_motion(evidence, spec)
    yield from judge_grippers(evidence, spec)
    yield from judge_units(evidence, spec)
    yield from judge_duplicates(evidence, spec, splits)
    yield from judge_leaks(evidence, others or {}, spec)
    yield from judge_cameras(evidence, spec, spec.rate_hz)
    for one in evidence:
        yield from one.findings


def _missing(recording: Recording) -> Iterator[Finding]:
    places = {key: i for i, key in enumerate(recording.keys)}
    for camera, keys in recording.missing.items():
        if keys:
            text = f"the video of {camera} is not there for {len(keys)} of {len(recording.keys)} episodes"
            yield finding("missing-video", text, field=camera, episodes=[places[k] for k in keys if k in places])


def _licence(recording: Recording, evidence: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    good = [e for e in evidence if not e.error]
    root = recording.root if recording.root.is_dir() else recording.root.parent
    if recording.licence or licence_of(root, {}) or (good and all(e.licence for e in good)):
        return
    yield finding("licence-missing", "no licence is given: nobody may say whether this data may be used")


_CAUSES = {
    "episode-unreadable": (
        "file-broken",
        "file-missing",
        "column-missing",
        "column-type",
        "null-values",
        "orphan-rows",
        "episode-location",
    ),
    "unreadable-pictures": ("file-broken", "video-frames", "video-timestamps", "video-fps", "missing-video"),
}


def _settled(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each thing once, without what follows from something else that was found; errors first."""
    checks = {f.check for f in found}
    empty = {f.field for f in found if f.check == "placeholder-camera"}
    kept: dict[tuple[Any, ...], list[Finding]] = {}
    for one in found:
        if any(cause in checks for cause in _CAUSES.get(one.check, ())):
            continue
        if one.check == "black-camera" and one.field in empty:
            continue
        known = CHECKS.get(one.check)
        ours = known is not None and one.check not in ("names-nested", "missing-quantiles", "missing-video")
        kept.setdefault((one.check, one.field, one.text if ours else ""), []).append(one)
    order = {name: i for i, name in enumerate(CHECKS)}
    merged = [_together(same) for same in kept.values()]
    ranked = sorted(merged, key=lambda f: (SEVERITIES.index(f.severity), order.get(f.check, len(order))))
    return tuple(ranked)


def _together(same: Sequence[Finding]) -> Finding:
    """What a reader says of every episode by itself, or two sides of the same file, as one finding."""
    first = same[0]
    episodes = tuple(sorted({i for one in same for i in one.episodes}))
    spans = tuple(dict.fromkeys(span for one in same for span in one.spans))
    more = len(episodes) - len(first.episodes)
    text = f"{first.text}; the same in {many(more, 'more episode')}" if more > 0 and len(same) > 1 else first.text
    repairs = {one.repair for one in same} - {""}
    repair = repairs.pop() if len(repairs) == 1 else ""
    return dataclasses.replace(first, text=text, episodes=episodes, spans=spans, repair=repair)


def _report(
    recording: Recording, evidence: Sequence[EpisodeEvidence], found: tuple[Finding, ...], images: bool, pooled: bool
) -> AuditReport:
    spec = recording.spec
    skipped: dict[str, str] = {}
    if not images:
        skipped |= dict.fromkeys(_PICTURES, "pictures were not asked for")
    elif not spec.images:
        skipped |= dict.fromkeys(_PICTURES, "there is no camera")
    skipped |= {name: why for name in CHECKS if (why := means_nothing(name, recording.format))}
    if not links(spec):
        skipped |= dict.fromkeys(("action-ignored", "action-lag"), "no action with a state beside it")
    elif not delays(evidence, spec):
        skipped |= dict.fromkeys(("action-ignored", "action-lag"), "nothing moves long enough")
    if not pooled:
        skipped["leaked-episode"] = "no other dataset was given"
    made = {f.check for f in found}
    skipped = {n: why for n, why in skipped.items() if n not in made}
    return AuditReport(
        root=str(recording.root),
        format=recording.format,
        episodes=len(evidence),
        frames=sum(e.length for e in evidence),
        pictures=sum(e.decoded for e in evidence),
        rate_hz=spec.rate_hz,
        checked=tuple(n for n in CHECKS if n not in skipped),
        skipped=skipped,
        facts={"delay from action to motion": delays(evidence, spec)},
        findings=tuple(with_repairs(found, recording.root, recording.format, len(evidence))),
    )
