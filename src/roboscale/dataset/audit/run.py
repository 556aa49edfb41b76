"""The audit of any recording: evidence of every episode, judged together; of a LeRobot dataset the files as well."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import Finding, Recording, RoboscaleError, Spec, extras_of, splits_of
from roboscale.dataset.advice import with_repairs
from roboscale.dataset.attempts import Attempt, AttemptLog
from roboscale.dataset.audit.attempts import attempt_facts, judge_attempts
from roboscale.dataset.audit.balance import judge_balance, judge_shift
from roboscale.dataset.audit.captured import judge_captures
from roboscale.dataset.audit.content import judge_cameras, judge_lengths, judge_numbers
from roboscale.dataset.audit.duplicates import judge_duplicates, judge_leaks
from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine, examine_episode
from roboscale.dataset.audit.files import Spread, audit_files
from roboscale.dataset.audit.motion import delays, judge_grippers, judge_motion, judge_units
from roboscale.dataset.audit.operators import operator_facts
from roboscale.dataset.audit.policies import judge_policy
from roboscale.dataset.audit.report import AuditReport
from roboscale.dataset.audit.roles import FieldRoles, Role, infer_roles, said_roles
from roboscale.dataset.audit.runs import judge_clocks, measured_clocks
from roboscale.dataset.audit.spaces import judge_spaces
from roboscale.dataset.audit.statistics import judge_images
from roboscale.dataset.audit.texts import judge_texts
from roboscale.dataset.audit.touch import judge_touch, touch_facts
from roboscale.dataset.checks import CHECKS, FILES, PICTURES, POLICY, SEVERITIES, finding, many, means_nothing
from roboscale.dataset.lerobot import LeRobotRecording, lerobot_format, load_folder, open_lerobot
from roboscale.dataset.lerobot.absent import pointer_findings
from roboscale.dataset.lerobot.licence import licence_of

__all__ = ["audit", "audit_folder", "judge", "options_for"]

Opener = Callable[[], Recording]

_LISTED = 200  # episodes whose clocks are listed
_SAMPLED = 3  # episodes read to tell roles
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
    roles: Sequence[str] = (),
    policy: str = "",
    progress: Callable[[int, int], None] | None = None,
    opener: Opener | None = None,
    run: Spread = map,
) -> AuditReport:
    """Recomputes what a recording claims and looks at what it holds.

    Args:
        recording: of any format. Of a LeRobot dataset the files are checked as well.
        against: other datasets whose episodes must not be in this one.
        images: whether to decode pictures.
        roles: what fields are for where their names mislead, as `FIELD=KIND`; see `roles.KINDS`.
        policy: a class of `policies.POLICIES` that shall be trained on it.
        progress: called with (episodes done, of how many).
        opener: opens the same recording in a worker process; picklable. Needed where `run` uses other processes.
        run: like `map`, in order.

    Returns:
        What was found; a broken recording is reported, not raised.
    """
    known = _roles(recording, said_roles(recording.spec, roles))
    options = dataclasses.replace(options_for(len(recording.keys), len(recording.spec.images), images), roles=known)
    evidence = _gather(recording, options, opener, run, progress)
    others = {str(o.root): _gather(o, Options(images=False, roles=known), None, map, None) for o in against}
    judged = [*judge(evidence, recording.spec, others, splits_of(recording), known), *_licence(recording, evidence)]
    if isinstance(recording, LeRobotRecording):
        findings = audit_files(recording.folder, run)
        findings += [f for f in judged if f.check not in _FILES]  # of the files everything is said already
        findings += judge_images(recording.root, evidence) if images else ()
    else:
        findings = [*recording.findings, *_missing(recording), *judged]
    findings += judge_policy(policy, evidence, recording.spec, known) if policy else ()
    return _report(recording, evidence, _settled(findings), known, images=images, pooled=bool(others), policy=policy)


def _roles(recording: Recording, said: Mapping[str, Role]) -> FieldRoles:
    """What each field is for; a few episodes are read only where names do not tell."""
    roles = infer_roles(recording.spec, [], said)
    if all(role.kind != "other" or role.confidence == 1 for role in roles.by_name.values()):
        return roles
    samples = []
    for key in list(recording.keys)[:_SAMPLED]:
        try:
            samples.append(recording.read(key, ()).arrays)
        except RoboscaleError:
            continue  # whoever examines the episode says so
    return infer_roles(recording.spec, samples, said)


def audit_folder(root: Path, *, templates: Mapping[str, str] | None = None, **options: Any) -> AuditReport:
    """The audit of a LeRobot dataset; one that no reader can open is reported, too.

    Args:
        templates: `data_path` and `video_path` to use instead of those of `info.json`.
        options: as of `audit`.
    """
    folder, problems = load_folder(Path(root), templates)
    if folder is not None:
        return audit(open_lerobot(root, lenient=True, folder=folder, **(templates or {})), **options)
    problems.findings.extend(pointer_findings(Path(root)))
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
    evidence = []
    for one in results:
        evidence.append(one)
        if progress is not None:
            progress(len(evidence), len(items))
    return evidence


def _examine(opener: Opener, options: Options, item: tuple[int, str]) -> EpisodeEvidence:
    return examine(opener, item, options)


def judge(
    evidence: Sequence[EpisodeEvidence],
    spec: Spec,
    others: Mapping[str, Sequence[EpisodeEvidence]] | None = None,
    splits: Mapping[str, Sequence[str]] | None = None,
    roles: FieldRoles | None = None,
) -> Iterator[Finding]:
    """Everything that evidence shows; pure. What rests on a role that is only guessed is a note."""
    roles = roles or infer_roles(spec, [], {})
    for shown in _of_motion(evidence, spec, others or {}, splits, roles):
        if roles.sure(shown.field):
            yield shown
        else:
            role = roles.by_name[shown.field]
            guess = f"; {shown.field} is taken for {role.kind}, confidence {role.confidence:.1f}: --role says it"
            yield dataclasses.replace(shown, severity="info", text=shown.text + guess)
    yield from judge_lengths(evidence, spec.rate_hz)
    yield from judge_texts(evidence)
    yield from judge_balance(evidence)
    yield from judge_clocks(evidence, spec)
    yield from judge_captures(evidence, spec)
    yield from judge_cameras(evidence, spec, spec.rate_hz)
    yield from judge_touch(evidence)
    yield from judge_attempts(evidence, spec, roles)
    for one in evidence:
        yield from one.findings


def _of_motion(
    evidence: Sequence[EpisodeEvidence],
    spec: Spec,
    others: Mapping[str, Sequence[EpisodeEvidence]],
    splits: Mapping[str, Sequence[str]] | None,
    roles: FieldRoles,
) -> Iterator[Finding]:
    yield from judge_numbers(evidence, spec, roles)
    yield from judge_motion(evidence, spec, roles)
    yield from judge_grippers(evidence, spec, roles)
    yield from judge_units(evidence, spec, roles)
    yield from judge_spaces(evidence, spec)
    yield from judge_shift(evidence, spec, roles)
    yield from judge_duplicates(evidence, spec, roles, splits)
    yield from judge_leaks(evidence, others, spec, roles)


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


_FOLLOWING = ("orphan-rows", "task-unused", "file-unreferenced", "video-timestamps", "episode-location")
"""What files look like whose neighbours were not fetched."""


def _settled(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each thing once, without what follows from something else that was found; errors first."""
    checks = {f.check for f in findings}
    findings = [f for f in findings if not _follows_from_absence(f, findings)]
    empty = {f.field for f in findings if f.check == "placeholder-camera"}
    kept: dict[tuple[Any, ...], list[Finding]] = {}
    for one in findings:
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


def _follows_from_absence(one: Finding, findings: Sequence[Finding]) -> bool:
    """Whether it says again of one file or episode what is said once of all that were not fetched or lie elsewhere."""
    fields = {f.field for f in findings if f.check == "file-elsewhere"}
    absent = {i for f in findings if f.check == "not-fetched" for i in f.episodes}
    pointers = any(f.check == "not-fetched" and not f.episodes for f in findings)
    data = one.check in ("file-missing", "episode-location", "episode-unreadable")
    if (data and "data_path" in fields) or (one.check == "missing-video" and "video_path" in fields):
        return True
    if (data or one.check == "missing-video") and one.episodes and absent >= set(one.episodes):
        return True
    if one.check == "file-unreferenced" and fields:
        return True
    if pointers and one.check in _FOLLOWING:
        return True
    return pointers and (": file: expected its content, found a" in one.text or one.check == "episode-unreadable")


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
    recording: Recording,
    evidence: Sequence[EpisodeEvidence],
    findings: tuple[Finding, ...],
    roles: FieldRoles,
    *,
    images: bool,
    pooled: bool,
    policy: str,
) -> AuditReport:
    spec = recording.spec
    skipped: dict[str, str] = {}
    if not images:
        skipped |= dict.fromkeys(_PICTURES, "pictures were not asked for")
    elif not spec.images:
        skipped |= dict.fromkeys(_PICTURES, "there is no camera")
    skipped |= {name: why for name in CHECKS if (why := means_nothing(name, recording.format))}
    measured = delays(evidence, spec, roles)
    if not roles.links(spec):
        skipped |= dict.fromkeys(("action-ignored", "action-lag"), "no action with a state beside it")
    elif not measured:
        skipped |= dict.fromkeys(("action-ignored", "action-lag"), "nothing moves long enough")
    if not pooled:
        skipped["leaked-episode"] = "no other dataset was given"
    if not policy:
        skipped |= dict.fromkeys((check.name for check in POLICY), "no policy class was named")
    made = {f.check for f in findings}
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
        facts=_facts(recording, evidence, roles, measured),
        findings=tuple(with_repairs(findings, recording.root, recording.format, len(evidence))),
    )


def _facts(
    recording: Recording, evidence: Sequence[EpisodeEvidence], roles: FieldRoles, measured: Mapping[str, Any]
) -> dict[str, Any]:
    clocks = {
        name: {str(i): facts.to_json() for i, facts in sorted(said.items())[:_LISTED]}
        for name, said in measured_clocks(evidence).items()
    }
    unread = {name: why for name, why in recording.unmapped.items() if not why.startswith("regenerated")}
    carried = extras_of(recording).features
    unread |= {name: f"{said['dtype']}, carried as it is" for name, said in carried.items()}
    attempts: list[Attempt] = []
    try:
        attempts = AttemptLog(Path(recording.root)).attempts
    except RoboscaleError as error:
        unread["attempts of operators"] = str(error)
    return {
        "delay from action to motion": measured,
        "roles": roles.to_json(),
        "clocks": clocks,
        "touch and force": touch_facts(evidence, recording.spec),
        "attempts": attempt_facts(evidence),
        "operators": operator_facts(evidence, attempts),
        "not looked at": unread,
    }
