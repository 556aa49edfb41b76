"""What stands before a dataset is given to others: gates, cards, and the list of files that would leave.

A gate passes, blocks, advises, or says that nobody looked. What a person accepts in spite of a gate stays on the card
with their reason: a block is never taken back in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from roboscale.core import Field
from roboscale.core.plain import Plain
from roboscale.curate.log import LOG
from roboscale.curate.naming import Naming
from roboscale.dataset import Dataset
from roboscale.dataset.audit import AuditReport
from roboscale.dataset.lerobot.catalog import load_info
from roboscale.dataset.privacy import Looked

__all__ = [
    "GivingGate",
    "Manifest",
    "accepted",
    "audit_gate",
    "dataset_card",
    "duplicate_gate",
    "embodiment_card",
    "files_to_give",
    "licence_gate",
    "naming_gate",
    "operator_gate",
    "people_gates",
    "sha256_of",
]

State = Literal["passes", "blocks", "advises", "not looked", "accepted"]

_LEFT = ("lock", "transfer/", "undo/", "staging/", "sealing/", "quarantine/", "proof.html", "proof.json")
_PRIVATE = (LOG.as_posix(), *(f"meta/roboscale/{name}" for name in _LEFT))
"""Not given: labels with their authors' names, what runs leave behind, and proofs, which name its folders."""
_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingGate(Plain):
    """One thing that was looked at.

    Args:
        text: what was found, with its numbers.
        lines: one more line each, e.g. findings or proposals.
        repair: the command, or the words, that open it; empty where none would.
        reason: why somebody accepted it.
    """

    name: str
    state: State
    text: str
    lines: tuple[str, ...] = ()
    repair: str = ""
    reason: str = ""


def accepted(gates: Sequence[GivingGate], reasons: Mapping[str, str]) -> list[GivingGate]:
    """The gates, those that block and for which there is a reason as accepted."""
    return [
        replace(gate, state="accepted", reason=reasons[gate.name])
        if gate.state == "blocks" and gate.name in reasons
        else gate
        for gate in gates
    ]


def audit_gate(report: AuditReport) -> GivingGate:
    """Errors block, warnings are advice; a check that was not made is said."""
    errors, warnings = report.count("error"), report.count("warning")
    bad = [f for f in report.findings if f.severity in ("error", "warning")]
    lines = [f"{f.severity}: {f.check}: {f.text}" for f in bad[:_SHOWN]]
    lines += [f"and {len(bad) - _SHOWN} more: roboscale data audit"] if len(bad) > _SHOWN else []
    repair = next((f.repair for f in bad if f.severity == "error" and f.repair), "")
    looked = f"{len(report.checked)} checks made, {len(report.skipped)} could not be"
    state: State = "blocks" if errors else "advises" if warnings else "passes"
    text = f"{errors} errors, {warnings} warnings; {looked}"
    return GivingGate(name="audit", state=state, text=text, lines=tuple(lines), repair=repair)


def licence_gate(there: str, said: str) -> GivingGate:
    """The dataset's licence, and the giver's word; they may not contradict each other."""
    if there and said and there.lower() != said.lower():
        text = f"the dataset says {there}, --licence says {said}: only whoever holds the rights can change that"
        return GivingGate(name="licence", state="blocks", text=text)
    if not there and not said:
        text = "nothing says under which licence others may use it"
        return GivingGate(name="licence", state="blocks", text=text, repair="--licence CC-BY-4.0, or another SPDX id")
    return GivingGate(name="licence", state="passes", text=said or there)


def people_gates(looked: Looked, people: str) -> list[GivingGate]:
    """Faces and screens in what was looked at; `people` is `refuse`, `blur` or `agreed`."""
    said = f"in {looked.pictures} of {looked.of} pictures looked at"
    gates = []
    for what in ("faces", "screens"):
        episodes = looked.episodes(what)
        hits = sum(len(getattr(one, what)) for one in looked.seen)
        lines = tuple(
            f"episode {one.episode}, {one.camera}, frame {one.frame}" for one in looked.seen if getattr(one, what)
        )[:_SHOWN]
        if not hits:
            state: State = "passes"
            text = f"none was seen {said}, which proves nothing"
        elif people == "agreed":
            state, text = (
                "accepted",
                f"{hits} seen in {len(episodes)} episodes {said}; shown with the word of --consent",
            )
        elif people == "blur":
            state, text = (
                "advises",
                f"{hits} seen in {len(episodes)} episodes {said}; hidden in a copy that is looked at again",
            )
        else:
            state, text = "blocks", f"{hits} seen in {len(episodes)} episodes {said}"
        repair = (
            "--people blur, --people agreed, or --accept with a reason where nobody is there"
            if state == "blocks"
            else ""
        )
        gates.append(GivingGate(name=what, state=state, text=text, lines=lines, repair=repair))
    return gates


def operator_gate(names: Sequence[str]) -> GivingGate:
    """Names of people that would leave with the provenance of episodes."""
    people = sorted(name for name in names if name)
    if not people:
        return GivingGate(name="operators", state="passes", text="no episode names who recorded it")
    text = f"{len(people)} operators are named in episodes or attempts and will be read by anybody"
    lines = (", ".join(people[:_SHOWN]) + (", ..." if len(people) > _SHOWN else ""),)
    return GivingGate(name="operators", state="advises", text=text, lines=lines)


def naming_gate(namings: Sequence[Naming]) -> GivingGate:
    """Advice only: nothing is renamed."""
    if not namings:
        return GivingGate(name="names", state="passes", text="cameras and tasks say what they are")
    lines = [
        f"{n.what} {n.name!r}: {n.reason}" + (f"; perhaps {', '.join(n.proposals)}" if n.proposals else "")
        for n in namings[: 2 * _SHOWN]
    ]
    text = f"{len(namings)} names could say more; nothing is renamed"
    repair = "roboscale data show (tasks), roboscale data import --declare (roles of cameras)"
    return GivingGate(name="names", state="advises", text=text, lines=tuple(lines), repair=repair)


def duplicate_gate(again: Mapping[str, str], episodes: int, pool: Path | None) -> GivingGate:
    """Episodes that the pool has already block: the same hour counted twice is a wrong number in every mixture."""
    if pool is None:
        return GivingGate(name="duplicates", state="not looked", text="no --pool was given to compare with")
    if not again:
        return GivingGate(name="duplicates", state="passes", text=f"none of {episodes} episodes is in {pool}")
    lines = tuple(f"episode {id_}: {where}" for id_, where in list(again.items())[:_SHOWN])
    text = f"{len(again)} of {episodes} episodes are in {pool} already"
    return GivingGate(name="duplicates", state="blocks", text=text, lines=lines)


def embodiment_card(root: Path) -> list[str]:
    """Lines of Markdown: what the robot senses and does, as far as it is declared."""
    dataset, raw = Dataset(root), load_info(root).raw
    lines = [
        f"- robot: {raw.get('robot_type') or 'not said'}",
        f"- rate: {dataset.fps:g} Hz",
        "",
        "| field | shape | unit | mode | frame | elements |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(f) for f in dataset.spec if not f.is_image]
    lines += [
        f"| {_cell(f.name)} | {list(f.shape)} | picture | | {_cell(f.role or 'role not said')} | |"
        for f in dataset.spec.images
    ]
    return lines


def _row(f: Field) -> str:
    elements = ", ".join(f.layout[:12]) + (", ..." if len(f.layout) > 12 else "")
    said = (f.name, str(list(f.shape)), f.unit, f.mode, f.frame or "not said", elements)
    return f"| {' | '.join(map(_cell, said))} |"


def _cell(text: str) -> str:
    """One cell of a table in Markdown: texts of others must not break out of it."""
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def dataset_card(
    root: Path, gates: Sequence[GivingGate], *, licence: str, consent: str, not_looked_for: Sequence[str]
) -> str:
    """The dataset's `README.md` as the Hub reads it; what an earlier one said stays below."""
    dataset = Dataset(root)
    tasks = list(dict.fromkeys(e.instruction for e in dataset.episodes))
    head = [
        "---",
        f"license: {licence.lower()}",
        "task_categories:",
        "- robotics",
        "tags:",
        "- LeRobot",
        "- roboscale",
        "---",
    ]
    hours = float(dataset.lengths.sum()) / dataset.fps / 3600
    lines = [
        *head,
        f"# {_cell(Path(root).absolute().name)}",
        "",
        f"{len(dataset.episodes)} episodes, {hours:.3g} hours; LeRobotDataset v3.0.",
        "",
        "## Tasks",
        "",
        *(f"- {_cell(task) or 'no sentence'}" for task in tasks[:50]),
        *([f"- and {len(tasks) - 50} more"] if len(tasks) > 50 else []),
        "",
        "## Embodiment",
        "",
        *embodiment_card(root),
        "",
        "## Licence and consent",
        "",
        f"- licence: {licence}",
        f"- consent, in the words of whoever gave it: {_cell(consent)}",
        "",
        "## What was checked before it was given",
        "",
        *(f"- {g.name}: {g.state}: {_cell(g.text)}" + (f" ({_cell(g.reason)})" if g.reason else "") for g in gates),
        "",
        "Nobody looked for: " + "; ".join(not_looked_for) + ".",
        "",
    ]
    return "\n".join([*lines, *_earlier(Path(root) / "README.md")])


def _earlier(card: Path) -> list[str]:
    """The body of the card that is there, without its head."""
    if not card.is_file():
        return []
    text = card.read_text("utf-8", "replace")
    body = text.split("\n---", 1)[-1].lstrip("-\n") if text.startswith("---") else text
    return ["## What the card said before", "", body.strip(), ""] if body.strip() else []


def files_to_give(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Path -> file of all that would leave; and what stays behind: private, hidden, or a link."""
    given: dict[str, Path] = {}
    stay: list[str] = []
    for file in sorted(p for p in Path(root).rglob("*") if not p.is_dir()):
        name = file.relative_to(root).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or file.is_symlink() or name.startswith(_PRIVATE):
            stay.append(name)
        else:
            given[name] = file
    return given, stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Plain):
    """`meta/roboscale/contribution.json`: what was said when the dataset was given, and of which files.

    Args:
        files: path -> sha256.
    """

    licence: str
    consent: str
    gates: tuple[GivingGate, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    not_looked_for: tuple[str, ...] = ()


def sha256_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Path -> digest of the file's bytes."""
    digests: dict[str, Any] = {}
    for name, file in files.items():
        with file.open("rb") as opened:
            digests[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return digests
