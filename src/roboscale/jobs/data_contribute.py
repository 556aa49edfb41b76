"""Gives a dataset to others, after it was looked at: a dry run unless `upload` says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import RoboscaleError, UsageError
from roboscale.core.errors import UnknownChoice
from roboscale.jobs import options
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.curate.contribution import GivingGate

__all__ = ["ContributeDataset", "ContributedDataset", "contribute_dataset"]

_LICENCE = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
"""An SPDX id, or an expression of several; which ids there are is not looked up."""
_OVERRULED = ("audit", "faces", "screens", "duplicates")
"""Gates that a person may overrule with a reason; licence and consent have to be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributeDataset(Request):
    """Asks to give a dataset to others.

    Args:
        to: `hf://datasets/OWNER/NAME`, `s3://BUCKET/FOLDER` or anything else that fsspec writes to, or a folder.
        consent: who was recorded and that they agreed, in a sentence for the card.
        people: what becomes of faces and screens: refuse, blur in a copy, or show with the word of `consent`.
        accept: gates that block, overruled with a reason that goes onto the card.
        pool: index of `data pool`, in which the episodes must not be yet.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "contribute")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0; it is only read.")]
    to: Annotated[str, Option("hf://datasets/OWNER/NAME, s3://BUCKET/FOLDER, or a folder.")]
    licence: Annotated[str, Option("SPDX id, e.g. CC-BY-4.0, where the dataset does not say.")] = ""
    consent: Annotated[str, Option("Who was recorded and that they agreed, in a sentence for the card.")] = ""
    people: Annotated[
        Literal["refuse", "blur", "agreed"],
        Option("Faces and screens: refuse, blur them in a copy, or agreed: shown with the word of --consent."),
    ] = "refuse"
    accept: Annotated[tuple[str, ...], Option("GATE=REASON: overrule a gate; the reason goes onto the card.")] = ()
    pool: Annotated[Path | None, Option("Index of `data pool`, in which the episodes must not be yet.")] = None
    public: Annotated[bool, Option("A new dataset on the Hub is open to all. Default: private.")] = False
    upload: Annotated[bool, Option("Send it. Without, nothing leaves this machine.")] = False
    html: options.Html = None
    workers: options.DataWorkers = None

    def check(self) -> None:
        if self.licence and not _LICENCE.fullmatch(self.licence):
            raise UsageError(f"--licence: expected an SPDX id, such as CC-BY-4.0, found {self.licence!r}")
        for text in self.accept:
            gate, equals, reason = text.partition("=")
            if not equals or not reason.strip():
                raise UsageError(f"--accept: expected GATE=REASON, found {text!r}")
            if gate not in _OVERRULED:
                raise UnknownChoice("--accept", gate, _OVERRULED)

    @property
    def reasons(self) -> dict[str, str]:
        """GivingGate -> why it is accepted."""
        return {gate: reason.strip() for gate, _, reason in (text.partition("=") for text in self.accept)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributedDataset:
    """What was looked at, and what left.

    Args:
        files: path -> bytes of what would leave, or did.
        stay: what stays behind: hidden, private, or a link.
        card: the dataset's card, Markdown.
        sent: where it is now; empty where nothing left.
    """

    to: str
    gates: tuple[GivingGate, ...]
    files: Mapping[str, int] = field(default_factory=dict)
    stay: tuple[str, ...] = ()
    card: str = ""
    sent: str = ""

    @property
    def blocked(self) -> bool:
        """Whether a gate does not let it pass."""
        return any(gate.state == "blocks" for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        return {
            "to": self.to,
            "blocked": self.blocked,
            "gates": [gate.to_json() for gate in self.gates],
            "files": len(self.files),
            "bytes": sum(self.files.values()),
            "stay": list(self.stay),
            "card": self.card,
            "sent": self.sent,
        }


def contribute_dataset(request: ContributeDataset, on_event: OnEvent = ignore) -> ContributedDataset:
    """Looks at a dataset as a stranger would, writes its cards, and sends it where `upload` is given.

    >>> consent = "There is no camera."
    >>> done = contribute_dataset(ContributeDataset(dataset=Path("recorded"), to="given", consent=consent, workers=0))
    >>> done.blocked, done.sent, done.gates[1].text
    (False, '', 'MIT')

    Raises:
        RoboscaleError: a gate blocks and `upload` was asked for.
        BadData: the dataset is none of v3.0, or `to` holds something else.
        InfrastructureError: the connection broke; the same request goes on.
    """
    from roboscale.jobs.contributing import looked_at, prepared, send_contribution
    from roboscale.sources.addresses.sending import require_free

    state = looked_at(request, on_event)
    done = prepared(request, state)
    require_free(done.files, request.to)
    if request.html is not None:
        state.write_page(request, done, on_event)
    if not request.upload:
        return done
    if done.blocked:
        blocking = ", ".join(gate.name for gate in done.gates if gate.state == "blocks")
        raise RoboscaleError(
            f"{request.dataset}: nothing was sent: {blocking} block; the same without --upload says why"
        )
    return send_contribution(request, state, done, on_event)
