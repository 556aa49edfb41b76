"""Films of trials as a page shows them: who, how it ended, and where the film comes from."""

from __future__ import annotations

from roboscale.report import text
from roboscale.report.blocks import Phrase, Reel, ReelClip
from roboscale.report.model import FilmedCase, FilmedTrial, ReportData
from roboscale.report.page import data_uri

__all__ = ["reel_of"]


def reel_of(data: ReportData, case: FilmedCase) -> Reel:
    """The films of one case, to be played together."""
    clips = tuple(_clip(data, case, film) for film in case.films)
    return Reel(title=case.task, instruction=case.instruction, case=case.case, clips=clips)


def _clip(data: ReportData, case: FilmedCase, film: FilmedTrial) -> ReelClip:
    steps = f"{text.count(film.steps)} steps" if film.steps is not None else ""
    unverified = data.unverified(film.policy)
    shown = film.mp4 and not film.origin.startswith("left out")
    return ReelClip(
        uri=data_uri(film.mp4, "video/mp4") if shown else "",
        label=f"{film.policy} on case {case.case}: {film.status}",
        title=Phrase(text=film.policy, policy=data.names.index(film.policy) if film.policy in data.names else None),
        status=film.status,
        words=tuple(
            part
            for part in (
                " · ".join(said for said in (steps, film.reason) if said),
                film.origin,
                text.mark(unverified),
            )
            if part
        ),
    )
