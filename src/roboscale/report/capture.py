"""The page of a capture: which demonstrations were kept, why others were dropped, and how much was measured at all.

Made from the card that lies in the dataset, so that it can be made again. Knows JSON and how it looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roboscale.report import text
from roboscale.report.blocks import (
    Beside,
    Block,
    Drawing,
    Head,
    Inline,
    Listing,
    NamedValues,
    Paragraph,
    Phrase,
    Rows,
    Tiles,
    num,
)
from roboscale.report.canvas import LEGEND_LINE, PAPER, add_axes, add_legend, colour, draw, new_canvas
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, draw_once, render_page
from roboscale.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["capture_page", "path_figure"]

_SHOWN = 40  # demonstrations with a picture; dropped ones first
_WIDTH = 340  # CSS pixels: fits a phone
_PANEL = 165  # pixels of a view with its labels
_LOST = 1  # place of the colour for what is missing, and for what decided a gate

Json = Mapping[str, Any]


def capture_page(
    card: Json,
    *,
    command: str | None = None,
    created: str = "",
    versions: Mapping[str, Scalar] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """One HTML document that makes no request. Strings may hold anything: they are escaped.

    Args:
        card: as `sources.capture.Card.to_json` has it.
        notes: what was guessed, dropped or assumed.
    """
    page = Page(
        title=f"{card['source']}: capture",
        kind="capture",
        headline=_headline(card),
        sections=tuple(
            section
            for section in (_measured(card), _arm(card), _demonstrations(card), _pictures(card), _origins(card))
            if section is not None
        ),
        data=dict(card),
        command=command,
        created=created,
        versions=versions or {},
        notes=tuple(notes),
    )
    return render_page(page)


def _total(card: Json, what: str) -> int:
    return sum(track[what] or 0 for one in card["demonstrations"] if one["kept"] for track in one["tracks"])


def _headline(card: Json) -> Headline:
    every = card["demonstrations"]
    kept, dropped = card["kept"], len(every) - card["kept"]
    samples = _total(card, "samples")
    said = f"{kept} of {text.plural(len(every), 'demonstration')} kept, {text.plural(samples, 'pose')}"
    share = f"{100 * _total(card, 'measured') / samples:.1f} %" if samples else text.MISSING
    tiles = (
        (share, "of the poses were measured; the others are missing, held or interpolated"),
        (_sigma(card), "stated error of a position, one standard deviation, median"),
        (text.count(dropped), "demonstrations dropped, each with its gate below"),
        (f"{text.number(card['rate_hz'])} Hz", "samples a second"),
    )
    small = (
        f"Auxiliary targets only, no action: {card['pretrain_only']}."
        if card["pretrain_only"]
        else f"An action is the pose {text.plural(card['ahead'], 'sample')} ahead, as seen from the pose before; "
        "nothing was commanded."
    )
    return Headline(
        tag="pretrain only" if card["pretrain_only"] else "actions with their error",
        kind="bad" if card["pretrain_only"] or not kept else "good",
        sentence=f"{said}.",
        small=small,
        details=tuple(part for part in (card["format"], card["device"], card["frame"]) if part),
        blocks=(Tiles(tiles, boxed=True),),
    )


def _sigma(card: Json) -> str:
    stated = [
        track["sigma_position_m"]
        for one in card["demonstrations"]
        if one["kept"]
        for track in one["tracks"]
        if track["sigma_position_m"] is not None
    ]
    return f"{1e3 * sorted(stated)[len(stated) // 2]:.3g} mm" if stated else "not stated"


def _measured(card: Json) -> Section:
    rows: list[tuple[Inline, ...]] = []
    for one in card["demonstrations"]:
        for track in one["tracks"] if one["kept"] else ():
            between = track["interpolated"]
            sigma, turn = track["sigma_position_m"], track["sigma_rotation_rad"]
            rows.append(
                (
                    Phrase(text=one["key"], code=True),
                    track["name"] or "the one",
                    text.count(track["measured"]),
                    text.count(track["missing"]),
                    f"{text.count(track['held'])} (up to {track['held_longest_s']:.2f} s)",
                    "cannot be told at this rate" if between is None else text.count(between),
                    "not stated" if sigma is None else f"{1e3 * sigma:.3g} mm, {1e3 * turn:.3g} mrad",
                    _joints(track),
                )
            )
    columns = (
        *("demonstration", "end effector", num("measured"), num("missing"), num("held"), num("interpolated")),
        *(Head("one standard deviation", "prose"), Head("joints of the effector", "prose")),
    )
    table = Rows(caption="Samples of every end effector", columns=columns, rows=tuple(rows[:1000]), kind="stack")
    said = {track["sigma_how"] for one in card["demonstrations"] for track in one["tracks"] if track["sigma_how"]}
    blocks: list[Block] = [Paragraph(f"The error is {one}.", "fine") for one in sorted(said)]
    scales = {one["scale"] for one in card["demonstrations"] if one["scale"]}
    blocks += [Paragraph(f"Metres come from {one}.", "fine") for one in sorted(scales)]
    return Section(anchor="measured", title="What was measured", nav="Measured", blocks=(table, *blocks))


def _joints(track: Json) -> str:
    """Joints of an effector, and of a hand how often it pinched."""
    said = ", ".join(track["effector"]) or "nothing measured"
    if track.get("closed") is None:
        return said
    return f"{said}; closed in {text.count(track['closed'])} samples, {text.plural(track['pinches'], 'grasp')}"


def _arm(card: Json) -> Section | None:
    """What the arm made of it; `None` where none was asked."""
    arm = card.get("arm")
    if arm is None:
        return None
    rows: list[tuple[Inline, ...]] = []
    for one in card["demonstrations"]:
        for track in one["tracks"] if one["kept"] else ():
            made = track["arm"]
            left = (
                "none was reached"
                if made["metres"] is None
                else f"{1e3 * made['metres']:.2g} mm, {1e3 * made['radians']:.2g} mrad"
            )
            counts = [text.count(made[what]) for what in ("followed", "unreachable", "too_fast", "self_colliding")]
            rows.append((Phrase(text=one["key"], code=True), track["name"] or "the one", *counts, left))
    columns = (
        *("demonstration", "end effector", num("followed"), num("unreachable"), num("too fast")),
        *(num("self-colliding"), Head("left between pose and tip, median", "prose")),
    )
    table = Rows(caption=f"Poses that {arm['name']} follows", columns=columns, rows=tuple(rows[:1000]), kind="stack")
    stands = "; ".join(
        f"{x:.3g}, {y:.3g}, {z:.3g} m, turned by {yaw:.0f} degrees, its tool by {turn:.0f}"
        for (x, y, z, yaw), turn in zip(arm["bases"], arm["turns"], strict=True)
    )
    speeds = ", ".join(f"{value:.3g}" for value in arm["speeds"])
    said = (
        Paragraph(
            f"Reached is within {1e3 * arm['metres']:g} mm and {1e3 * arm['radians']:g} mrad. Each pose is asked for "
            "from the joints of the one before, so that it is one motion.",
            "fine",
        ),
        Paragraph(f"Model: {arm['origin']}, sha256 {arm['digest'][:16]}; joint speeds {speeds} rad/s.", "fine"),
        Paragraph(f"The base stands at {stands}, in the frame of the poses.", "fine"),
    )
    return Section(anchor="arm", title="Could an arm follow?", nav="Arm", blocks=(table, *said))


def _demonstrations(card: Json) -> Section:
    rows: list[tuple[Inline, ...]] = []
    for one in sorted(card["demonstrations"], key=lambda one: one["kept"]):
        state = Phrase(text="kept", kind="good") if one["kept"] else Phrase(text="dropped", kind="bad")
        gates = [gate for gate in one["gates"] if one["kept"] or not gate["passed"]]
        why = "; ".join(f"{gate['name']} {_figure(gate)}" for gate in gates) if one["kept"] else one["why"]
        rows.append((Phrase(text=one["key"], code=True), state, f"{one['seconds']:.2f}", why))
    columns = ("demonstration", "", num("seconds"), Head("gates", "prose"))
    table = Rows(caption="Demonstrations and their gates", columns=columns, rows=tuple(rows[:1000]), kind="stack")
    more = len(rows) - 1000
    said = (Paragraph(f"And {text.count(more)} more, in the page's data.", "fine"),) if more > 0 else ()
    return Section(anchor="demonstrations", title="Demonstrations", blocks=(table, *said))


def _figure(gate: Json) -> str:
    side = "≥" if gate["name"] in ("registered", "tags") else "≤"
    return f"{gate['value']:.3g} {gate['unit']} (bar {side} {gate['bar']:g})".replace("  ", " ")


def _pictures(card: Json) -> Section:
    drawn = sorted((one for one in card["demonstrations"] if one["path_m"]), key=lambda one: one["kept"])
    groups: list[tuple[str, tuple[Block, ...]]] = []
    for number, one in enumerate(drawn[:_SHOWN]):
        figure = path_figure(f"path-{number}", one)
        state = "kept" if one["kept"] else f"dropped: {one['why']}"
        values = NamedValues((("seconds", f"{one['seconds']:.2f}"), ("state", state)))
        groups.append((one["key"], (Drawing(draw_once(f"path-{number}", figure), ""), values)))
    pairs = [Beside(tuple(groups[i : i + 2])) for i in range(0, len(groups), 2)]
    left = len(drawn) - len(groups)
    said = (Paragraph(f"{text.count(left)} more are in the page's data.", "fine"),) if left else ()
    said_ = (
        "The path of the first end effector from above and from the side. A dot marks the end of a gap, or the sample"
    )
    head = Paragraph(f"{said_} at which a gate was missed.", "fine")
    return Section(anchor="paths", title="Paths", blocks=(head, *pairs, *said))


def _origins(card: Json) -> Section:
    rows = tuple((what, Phrase(text=where, code=True)) for what, where in card["origins"].items() if where)
    table = Rows(caption="Where each part comes from", columns=("part", Head("source", "prose")), rows=rows)
    left = tuple(f"{name}: {why}" for name, why in card["unmapped"].items())
    assumed = tuple(card["assumed"])
    blocks: list[Block] = [table]
    if left:
        blocks += [Paragraph("Not carried over:"), Listing(left[:200])]
    if assumed:
        blocks += [Paragraph("Assumed:"), Listing(assumed)]
    return Section(anchor="origins", title="Sources", blocks=tuple(blocks))


def path_figure(name: str, one: Json) -> Figure:
    """One demonstration's path, from above and from the side, with what is missing marked."""
    rows = tuple((float(x), float(y), float(z), "yes" if known else "no") for x, y, z, known in one["path_m"])
    table = Table(("x, m", "y, m", "z, m", "pose known"), rows)
    lost = sum(row[3] == "no" for row in rows)
    summary = f"Path of {one['key']}: {len(rows)} samples, {lost} of them without a pose."
    return Figure(draw(name, _WIDTH, lambda: _path(one["path_m"], one["marks_m"])), table, summary)


def _path(path: Sequence[Sequence[Any]], marks: Sequence[Sequence[float]]) -> Canvas:
    known = [row for row in path if row[3]]
    head = 3 * LEGEND_LINE + 8
    canvas = new_canvas(_WIDTH, head + 2 * _PANEL)
    legend = [("path", {"color": colour(0), "linewidth": 2}), ("begin", _begin()), ("gap or gate", _mark())]
    add_legend(canvas, legend)
    for place, (a, b) in enumerate(((0, 1), (0, 2))):
        axes = add_axes(canvas, 52, head + _PANEL * place, 12, _PANEL * (1 - place) + 46, "y")
        if known:
            for first, last in _stretches(path):
                points = path[first:last]
                axes.plot([p[a] for p in points], [p[b] for p in points], color=colour(0), linewidth=1.8)
                if first:
                    axes.plot([points[0][a]], [points[0][b]], linestyle="none", **_mark())
            axes.plot([known[0][a]], [known[0][b]], linestyle="none", **_begin())
        for mark in marks:
            axes.plot([mark[a]], [mark[b]], linestyle="none", **_mark())
        axes.set(xlabel="x, m", ylabel=f"{'xyz'[b]}, m")
        axes.set_aspect("equal", adjustable="datalim")
        axes.locator_params(nbins=4)
    return canvas


def _mark() -> dict[str, Any]:
    return {"color": colour(_LOST), "marker": "o", "markersize": 6}


def _begin() -> dict[str, Any]:
    return {"color": colour(2), "marker": "s", "markersize": 6, "markerfacecolor": PAPER}


def _stretches(path: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
    """(first, last + 1) of every stretch with poses."""
    found, begin = [], None
    for i, row in enumerate([*path, (0, 0, 0, False)]):
        if row[3] and begin is None:
            begin = i
        elif not row[3] and begin is not None:
            found.append((begin, i))
            begin = None
    return found
