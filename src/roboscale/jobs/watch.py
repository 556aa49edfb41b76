"""Evaluates checkpoints as a training writes them, with claims that hold over all that ever appear."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import Identity, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option
from roboscale.jobs.trying import Trying

if TYPE_CHECKING:
    from roboscale.jobs.eval import Evaluated
    from roboscale.stats.watching import CheckpointCurve

__all__ = ["WatchFolder", "WatchedFolder", "watch_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFolder(Trying):
    """Asks for every checkpoint that appears in a folder."""

    words: ClassVar[tuple[str, ...]] = ("watch",)

    folder: Annotated[Path, Argument("Where a training writes its checkpoints.")]
    pattern: Annotated[str, Option("Which of them, as for a shell: step-*, */checkpoint-*.")] = "*"
    form: Annotated[str, Option("How a checkpoint is named as a policy; {} is its path.")] = "{}"
    trials: Annotated[int, Option("Trials per task of each checkpoint.", min=1)] = 20
    rest: Annotated[float, Option("Seconds for which its files must not change before it is tried.", min=0.0)] = 10.0
    poll: Annotated[float, Option("Seconds between two looks at the folder.", min=0.05)] = 2.0
    patience: Annotated[
        float | None, Option("End when nothing new came for so many seconds. Default: go on until Ctrl-C.", min=0.0)
    ] = None
    alpha: Annotated[float, Option("Probability of even one false claim.", min=1e-6, max=0.5)] = 0.05

    def check(self) -> None:
        """RoboscaleError for a form without a place for the path."""
        Trying.check(self)
        if self.form.count("{}") != 1:
            raise RoboscaleError(f"--form {self.form}: expected one {{}} where the checkpoint's path stands")

    @property
    def place(self) -> str:
        """Where the trials go."""
        return self.store or str(Path("runs") / f"watch-{self.folder.resolve().name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFolder:
    """What became of the checkpoints.

    Args:
        curve: rates and claims, in the order of appearance.
        skipped: path -> why it was not tried.
    """

    curve: CheckpointCurve
    skipped: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        rows = []
        for point in self.curve.points:
            better = f"  better than {', '.join(point.better_than)}" if point.better_than else ""
            worse = f"  worse than {', '.join(point.worse_than)}" if point.worse_than else ""
            rows.append(f"  {point.name:32} {point.success}{better}{worse}")
        left = [f"  not tried: {path}: {why}" for path, why in self.skipped.items()]
        return [self.curve.sentence, *rows, *left, f"  {self.curve.method}"]

    def to_json(self) -> dict[str, Any]:
        """The curve, what may be said of it, and what was not tried."""
        said = {"sentence": self.curve.sentence, "method": self.curve.method}
        return {**self.curve.to_json(), **said, "skipped": dict(self.skipped)}


@dataclass(slots=True)
class _Seen:
    """What is known while the folder is watched."""

    outcomes: dict[str, dict[str, bool | None]] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)
    signatures: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def watch_folder(request: WatchFolder, on_event: OnEvent = ignore) -> WatchedFolder:
    """Tries every checkpoint on the same cases once its files rest and it loads, oldest first.

    The page and the numbers beside the trials are written anew after each. The same command goes on where it ended.

    >>> from pathlib import Path
    >>> from roboscale import WatchFolder, watch_folder
    >>> Path("steps").mkdir()
    >>> _ = Path("steps/first.py").write_text("def act(observation): return [0, 0, 0, 0]")
    >>> asked = {"folder": Path("steps"), "pattern": "*.py", "form": "{}:act", "rest": 0, "patience": 0}
    >>> done = watch_folder(WatchFolder(**asked, tasks="reach-v3", trials=2, horizon=20, store="trials"))
    >>> [point.name for point in done.curve.points]
    ['first.py']

    Raises:
        RoboscaleError: the folder is not there, or nothing in it could be tried before patience ended.
    """
    if not request.folder.is_dir():
        raise RoboscaleError(f"{request.folder}: no such folder to watch")
    seen, last = _Seen(), time.monotonic()
    while True:
        new = [path for path in _resting(request) if _changed(seen, path)]
        for path in new:
            _try(request, path, seen, on_event)
            last = time.monotonic()
            if seen.outcomes:
                _write(request, _result(request, seen), on_event)
        waiting = _waiting(request, seen)
        if request.patience is not None and not waiting and time.monotonic() - last >= request.patience:
            break
        time.sleep(request.poll)
    if not seen.outcomes:
        why = (
            "; ".join(f"{path}: {reason}" for path, reason in seen.skipped.items())
            or f"nothing fits {request.pattern}"
        )
        raise RoboscaleError(f"{request.folder}: no checkpoint was tried: {why}")
    return _result(request, seen)


def _newest(path: Path) -> float:
    """When anything in a checkpoint was last written, seconds since 1970."""
    times = [path.stat().st_mtime]
    if path.is_dir():
        times += [part.stat().st_mtime for part in path.rglob("*") if part.is_file()]
    return max(times)


def _present(request: WatchFolder) -> list[tuple[float, Path]]:
    """Everything that fits the pattern with its time, oldest first; what vanishes meanwhile is left out."""
    found = []
    for path in request.folder.glob(request.pattern):
        if path.name.startswith(".") or path.resolve() == Path(request.place).resolve():
            continue
        try:
            found.append((_newest(path), path))
        except OSError:
            continue
    return sorted(found)


def _resting(request: WatchFolder) -> list[Path]:
    return [path for newest, path in _present(request) if time.time() - newest >= request.rest]


def _waiting(request: WatchFolder, seen: _Seen) -> bool:
    """Whether something is being written that was not tried yet."""
    return any(seen.signatures.get(str(path)) != newest for newest, path in _present(request))


def _changed(seen: _Seen, path: Path) -> bool:
    try:
        newest = _newest(path)
    except OSError:
        return False
    if seen.signatures.get(str(path)) == newest:
        return False
    seen.signatures[str(path)] = newest
    return True


def _try(request: WatchFolder, path: Path, seen: _Seen, on_event: OnEvent) -> None:
    """Evaluates one checkpoint, or remembers why it cannot be."""
    name = str(path.relative_to(request.folder))
    try:
        done = _evaluated(request, path, on_event)
    except RoboscaleError as error:
        seen.skipped[name] = str(error).partition("\n")[0]
        on_event(Note(f"{name}: not tried: {seen.skipped[name]}"))
        return
    seen.skipped.pop(name, None)
    (identity,) = done.judged.run.policies
    same = next((other for other, known in seen.identities.items() if known.digest == identity.digest), None)
    if same is not None:
        seen.skipped[name] = f"the same content as {same}"
        on_event(Note(f"{name}: {seen.skipped[name]}: it counts once"))
        return
    while name in seen.outcomes:
        name = f"{name} (written again)"
    seen.identities[name] = identity
    seen.outcomes[name] = {c.case.id: c.outcome.success for c in done.judged.plain if not c.pending}
    on_event(Note(f"{name}: {done.success}"))


def _evaluated(request: WatchFolder, path: Path, on_event: OnEvent) -> Evaluated:
    from roboscale.jobs.eval import Evaluate, evaluate

    shared = {f.name: getattr(request, f.name) for f in fields(Trying)}
    text = request.form.replace("{}", str(path))
    return evaluate(Evaluate(policy=text, trials=request.trials, **{**shared, "store": request.place}), on_event)


def _result(request: WatchFolder, seen: _Seen) -> WatchedFolder:
    from roboscale.stats.watching import curve_of

    curve = curve_of(seen.outcomes, request.alpha)
    return WatchedFolder(curve=curve, skipped=dict(seen.skipped), command=request.command)


def _write(request: WatchFolder, done: WatchedFolder, on_event: OnEvent) -> None:
    from roboscale.jobs.files import write_json, write_text
    from roboscale.jobs.stores import folder_of
    from roboscale.report.watch import watch_page

    folder = folder_of(request.place)
    if folder is None:
        return
    write_json(folder / "watch.json", done.to_json())
    write_text(folder / "watch.html", watch_page(done.curve, done.skipped, done.to_json(), done.command))
    on_event(Wrote("page", folder / "watch.html"))
