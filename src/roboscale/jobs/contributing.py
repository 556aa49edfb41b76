"""The way of a dataset to others: looked at, where asked for hidden in part, described, sent."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.data_contribute import ContributeDataset, ContributedDataset
from roboscale.jobs.events import Note, OnEvent, Progress, Wrote, counting

if TYPE_CHECKING:
    from roboscale.curate.contribution import GivingGate
    from roboscale.dataset.privacy import Looked

__all__ = ["looked_at", "prepared", "send_contribution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What was seen.

    Args:
        root: the dataset, or the copy in which people are hidden.
        gates: all of them.
        looked: at pictures; `None` where there are none.
    """

    root: Path
    gates: tuple[GivingGate, ...]
    licence: str
    looked: Looked | None

    def write_page(self, request: ContributeDataset, done: ContributedDataset, on_event: OnEvent) -> None:
        from roboscale.jobs.files import write_text
        from roboscale.jobs.versions import versions
        from roboscale.report.contribution import contribution_page

        assert request.html is not None, "asked for"
        page = contribution_page(
            done.gates,
            title=f"{request.dataset.absolute().name}, to {request.to}",
            card=done.card,
            amounts=(len(done.files), sum(done.files.values())),
            stay=done.stay,
            pictures=_examples(self.root, self.looked) if self.looked is not None else (),
            command=request.command,
            versions=dict(versions()),
        )
        write_text(request.html, page)
        on_event(Wrote("page", request.html))


def looked_at(request: ContributeDataset, on_event: OnEvent) -> State:
    """Every gate; with `people="blur"` of a copy, which is made first and looked at again."""
    from roboscale.curate.contribution import accepted, audit_gate, licence_gate, naming_gate, operator_gate
    from roboscale.curate.naming import camera_namings, task_namings
    from roboscale.dataset import AttemptLog, Dataset
    from roboscale.dataset.lerobot.catalog import load_info
    from roboscale.dataset.lerobot.licence import licence_of
    from roboscale.jobs.data_audit import AuditDataset, audit_dataset
    from roboscale.jobs.recordings import apart
    from roboscale.sources.addresses.fetching import address_of
    from roboscale.sources.addresses.sending import destination_of

    destination = destination_of(request.to)
    _require_v3(request.dataset)
    if not address_of(destination):
        apart(request.dataset, Path(destination))
    if request.public and not destination.startswith("hf://"):
        on_event(Note(f"not used: --public, since {request.to} is not on the Hub"))
    dataset = Dataset(request.dataset)
    there = licence_of(request.dataset, load_info(request.dataset).raw)
    report = audit_dataset(AuditDataset(dataset=request.dataset, workers=request.workers), on_event).report
    root, people, looked = _people(request, on_event)
    tried = {one.operator for one in AttemptLog(request.dataset).attempts}
    tasks = list(dict.fromkeys(e.instruction for e in dataset.episodes))
    gates = [
        audit_gate(report),
        licence_gate(there, request.licence),
        _consent_gate(request),
        *people,
        _duplicates(request, report),
        naming_gate([*camera_namings(dataset.spec.images), *task_namings(tasks)]),
        operator_gate(sorted({e.provenance.operator for e in dataset.episodes} | tried)),
    ]
    done = tuple(accepted(gates, request.reasons))
    for gate in done:
        if gate.name in request.reasons and gate.state != "accepted":
            on_event(Note(f"not used: --accept {gate.name}, since it does not block"))
        if gate.state == "accepted" and gate.reason:
            on_event(Note(f"{gate.name}: blocked, and accepted: {gate.reason}"))
    return State(root=root, gates=done, licence=request.licence or there, looked=looked)


def _require_v3(root: Path) -> None:
    from roboscale.sources.records import detect
    from roboscale.sources.records.lerobot import FORMATS

    if not root.exists():
        raise BadData(root, "dataset", "a LeRobotDataset v3.0", "nothing there")
    format = detect(root)
    if format not in FORMATS or format != "lerobot-v3":
        first = shlex.join(["roboscale", "data", "import", str(root), f"{root.absolute().name}-v3"])
        raise RoboscaleError(f"{root}: expected a LeRobotDataset v3.0, found {format}; first: {first}")
    waiting = sorted((root / "meta/roboscale/pending").glob("*"))
    if waiting:
        first = shlex.join(["roboscale", "data", "fix", str(root)])
        raise RoboscaleError(f"{root}: {len(waiting)} episodes wait, as a writer left them; first: {first}")


def _consent_gate(request: ContributeDataset) -> GivingGate:
    from roboscale.curate.contribution import GivingGate

    if request.consent.strip():
        return GivingGate(name="consent", state="passes", text=request.consent.strip())
    text = "nothing says who was recorded and that they agreed"
    repair = '--consent "Two operators, who agreed in writing; nobody else is in the pictures."'
    return GivingGate(name="consent", state="blocks", text=text, repair=repair)


def _people(request: ContributeDataset, on_event: OnEvent) -> tuple[Path, list[GivingGate], Looked | None]:
    """Where the pictures are that would leave, and what the gates say of them."""
    from roboscale.curate.contribution import GivingGate, people_gates
    from roboscale.dataset import Dataset
    from roboscale.dataset.privacy import look_for_people

    if not Dataset(request.dataset).spec.images:
        gates = [GivingGate(name=name, state="passes", text="there is no camera") for name in ("faces", "screens")]
        return request.dataset, gates, None
    looked = look_for_people(request.dataset)
    if request.people != "blur" or not looked.seen:
        return request.dataset, people_gates(looked, request.people), looked
    copy = hidden_copy(request, on_event)
    again = look_for_people(copy)
    gates = [
        replace(
            gate, text=f"{gate.text}; before, {len(looked.episodes(gate.name))} episodes had some, hidden in {copy}"
        )
        for gate in people_gates(again, "refuse")
    ]
    return copy, gates, again


def hidden_copy(request: ContributeDataset, on_event: OnEvent) -> Path:
    """A copy beside the dataset in whose pictures faces and screens are hidden; made once, and gone on with."""
    from roboscale.core import extras_of, splits_of
    from roboscale.dataset.privacy import Blurred
    from roboscale.dataset.transfer import Part, transfer
    from roboscale.jobs.losses import lost_by_reading, tell_lost
    from roboscale.jobs.recordings import identity, open_source

    out = request.dataset.absolute().with_name(f"{request.dataset.absolute().name}-hidden")
    opened = open_source(request.dataset, "lerobot-v3")
    tell_lost(lost_by_reading(opened.recording), on_event)
    part = Part(
        name=request.dataset.absolute().name,
        open=opened.open,
        keys=tuple(opened.recording.keys),
        edit=Blurred(),
        identity=identity(request.dataset),
    )
    on_event(Note(f"faces and screens are hidden in a copy, {out}; its pictures are encoded again"))
    transfer(
        [part],
        out,
        opened.recording.spec,
        robot_type=opened.recording.robot_type,
        splits=splits_of(opened.recording),
        extras=extras_of(opened.recording),
        workers=request.workers,
        progress=counting(on_event, "episodes", len(part.keys)),
        command=request.command_anywhere,
    )
    return out


def _duplicates(request: ContributeDataset, report: object) -> GivingGate:
    from roboscale.curate.contribution import duplicate_gate
    from roboscale.curate.pool import Pool, pooled_episodes, repeated_in

    if request.pool is None:
        return duplicate_gate({}, 0, None)
    mine = pooled_episodes(request.dataset, report)  # type: ignore[arg-type]
    own = str(request.dataset.resolve())
    pool = Pool(request.pool)
    if not pool.entries():
        raise BadData(request.pool, "--pool", "an index of `data pool` with datasets", "none")
    others = {entry.name: pool.episodes(entry.name) for entry in pool.entries() if entry.root != own}
    return duplicate_gate(repeated_in(mine, others), len(mine), request.pool)


def prepared(request: ContributeDataset, state: State) -> ContributedDataset:
    """What would leave: files, and the card."""
    from roboscale.curate.contribution import dataset_card, files_to_give
    from roboscale.dataset.privacy import NOT_LOOKED_FOR

    files, stay = files_to_give(state.root)
    card = dataset_card(
        request.dataset,
        state.gates,
        licence=state.licence or "unknown",
        consent=request.consent or "not said",
        not_looked_for=NOT_LOOKED_FOR,
    )
    sizes = {name: file.stat().st_size for name, file in files.items()}
    sizes["README.md"] = len(card.encode())
    return ContributedDataset(to=request.to, gates=state.gates, files=sizes, stay=tuple(stay), card=card)


def send_contribution(
    request: ContributeDataset, state: State, done: ContributedDataset, on_event: OnEvent
) -> ContributedDataset:
    """Sends all of it, or goes on."""
    from roboscale.curate.contribution import Manifest, files_to_give, sha256_of
    from roboscale.dataset.privacy import NOT_LOOKED_FOR
    from roboscale.sources.addresses.sending import send

    files, _ = files_to_give(state.root)
    manifest = Manifest(
        licence=state.licence,
        consent=request.consent,
        gates=done.gates,
        files=sha256_of(files),
        not_looked_for=NOT_LOOKED_FOR,
    )
    said = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False).encode() + b"\n"
    payload: dict[str, Path | bytes] = {
        **files,
        "README.md": done.card.encode(),
        "meta/roboscale/contribution.json": said,
    }
    tell = partial(_tell, on_event)
    sent = send(payload, request.to, public=request.public, message=f"{len(files)} files of roboscale", tell=tell)
    return replace(done, sent=sent)


def _tell(on_event: OnEvent, there: int, total: int) -> None:
    on_event(Progress("bytes", there, total))


def _examples(root: Path, looked: Looked, most: int = 6) -> Sequence[tuple[str, bytes]]:
    """Pictures in which something was seen, what was seen framed: (what it shows, PNG)."""
    import io

    from PIL import Image, ImageDraw

    from roboscale.dataset import Dataset

    dataset, shown = Dataset(root), []
    for one in looked.seen[:most]:
        image = Image.fromarray(dataset.decode(one.episode, one.camera)[one.frame])
        draw = ImageDraw.Draw(image)
        for colour, boxes in (("red", one.faces), ("yellow", one.screens)):
            for box in boxes:
                corner = (box.left + box.width, box.top + box.height)
                draw.rectangle(((box.left, box.top), corner), outline=colour, width=2)
        held = io.BytesIO()
        image.save(held, "PNG")
        faces, screens = len(one.faces), len(one.screens)
        text = (
            f"episode {one.episode}, {one.camera}, frame {one.frame}: {faces} faces (red), {screens} screens (yellow)"
        )
        shown.append((text, held.getvalue()))
    return shown
