"""`roboscale data`: keep episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboscale.cli.console import DryRun, Json, count_bar, friendly, one_of, print_json, say, total_bar

if TYPE_CHECKING:
    from roboscale.dataset.audit import AuditReport
    from roboscale.report.proof import ProofData

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Keep episodes: import, export, audit, repair, merge, show.")

SourceArg = Annotated[Path, typer.Argument(help="File or folder of any format that is read; the format is detected.")]
DatasetArg = Annotated[Path, typer.Argument(help="A LeRobotDataset v3.0.")]
FormatOption = Annotated[str, typer.Option("--format", help="Name of the format, where it cannot be detected.")]
Declare = Annotated[Path | None, typer.Option(help="TOML that says what the arrays mean; --explain drafts one.")]
Fps = Annotated[float | None, typer.Option(help="Frames a second, for formats that do not store it.")]
Mapping = Annotated[Path | None, typer.Option(help="TOML that maps a bag's topics; --explain drafts one.")]
EngineOption = Annotated[str, typer.Option(help="processes, or ray for a cluster that shares the folders.")]
DataWorkers = Annotated[int | None, typer.Option(help="Worker processes; 0 uses this one. Default: the cores.")]


@app.callback()
def group() -> None:
    """Keep episodes."""


def reader_options(**values: Any) -> dict[str, Any]:
    """Options of a format's reader: those that were given."""
    return {name: value for name, value in values.items() if value is not None}


@app.command("import")
def import_(
    source: SourceArg,
    out: Annotated[Path | None, typer.Argument(help="A new folder; the same command again goes on.")] = None,
    format: FormatOption = "",
    declare: Declare = None,
    fps: Fps = None,
    mapping: Mapping = None,
    split: Annotated[str | None, typer.Option(help="RLDS: one split instead of all.")] = None,
    action: Annotated[str | None, typer.Option(help="Which of several recorded actions is `action`.")] = None,
    missing_video: Annotated[
        str, typer.Option(help="Where a video is not there: fail, drop-episodes or drop-camera.")
    ] = "fail",
    broken: Annotated[str, typer.Option(help="An episode that cannot be read: fail or drop.")] = "fail",
    codec: Annotated[str, typer.Option(help="For pictures that are not video yet: h264 or av1.")] = "h264",
    proof: Annotated[bool, typer.Option(help="Write the conversion report (HTML and JSON).")] = True,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what the arrays seem to mean, and draft a declaration or mapping.")
    ] = False,
    engine: EngineOption = "processes",
    workers: DataWorkers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Turn a recording of any known format into a LeRobotDataset v3.0, and prove what was done to it."""
    with friendly():
        from roboscale.cli.explaining import explain_source
        from roboscale.cli.importing import Import, announce, run_import, write_proof

        options = reader_options(fps=fps, mapping=mapping, split=split, action=action)
        if explain:
            return explain_source(source, format, declare, options, as_json)
        asked = Import(
            source,
            out if out is not None else _needs_out(),
            format,
            declare,
            options,
            one_of("--missing-video", missing_video, ("fail", "drop-episodes", "drop-camera")),
            one_of("--broken", broken, ("fail", "drop")),
            one_of("--codec", codec, ("h264", "av1")),
            workers,
            one_of("--engine", engine, ("processes", "ray")),
        )
        planned = announce(asked)
        if dry_run:
            return print_json(planned) if as_json else print_plan(planned)
        with count_bar("episodes", planned["episodes"]) as advance:
            done = run_import(asked, advance)
        if proof:
            page, _ = write_proof(asked.out, done)
            say(f"proof: {page}")
        if as_json:
            return print_json(done.to_json())
        print_proof(asked.out, done)


def print_proof(out: Path, done: ProofData) -> None:
    """What an import did, for people."""
    numeric = [row for row in done.fields if row.shape[2:] == () or row.dtype != "uint8"]
    exact = sum(row.difference == 0 for row in numeric)
    print(f"{out}: {len(done.episodes)} episodes, {done.frames} frames from {done.format} {done.source}")
    print(f"  numeric fields equal to the source, read back: {exact} of {len(numeric)}")
    for camera in done.cameras:
        worst = "" if camera.worst_psnr_db is None else f", PSNR at least {camera.worst_psnr_db:.1f} dB"
        print(f"  {camera.name}: {camera.remuxed} episodes remuxed, {camera.encoded} encoded{worst}")
    for name, count in (("left out", len(done.dropped)), ("findings", len(done.findings))):
        print(f"  {name}: {count}")
    if done.undeclared:
        print(f"  not declared: {', '.join(done.undeclared)} (--explain shows evidence, --declare says it)")


def print_plan(planned: dict[str, Any]) -> None:
    """What an import would do, for people."""
    print(
        f"would import {planned['episodes']} episodes of {planned['format']} {planned['source']} to {planned['out']}"
    )
    print(f"  fields at {planned['rate_hz']:g} Hz: {', '.join(planned['fields'])}")
    print(f"  left out: {planned['left_out']} episodes or cameras without video")
    for name, reason in planned["unmapped"].items():
        print(f"  not carried over: {name}: {reason}")
    if planned["undeclared"]:
        print(f"  meaning not declared: {', '.join(planned['undeclared'])}")


def _needs_out() -> Path:
    raise typer.BadParameter("OUT is missing", param_hint="OUT")


@app.command()
def export(
    dataset: DatasetArg,
    out: Annotated[Path, typer.Argument(help="A new file or folder.")],
    to: Annotated[str, typer.Option("--to", help="lerobot-v2.1, gr00t, rlds, hdf5-robomimic or zarr.")],
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write a dataset in somebody else's format, and verify it by reading it back."""
    with friendly():
        from roboscale.cli.exporting import TARGETS, require_nothing
        from roboscale.cli.exporting import export as export_dataset
        from roboscale.dataset import Dataset

        one_of("--to", to, tuple(TARGETS))
        opened = Dataset(dataset)
        require_nothing(out)
        if dry_run:
            planned = {"out": str(out), "format": to, "episodes": len(opened.episodes), "frames": len(opened)}
            text = f"would write {len(opened.episodes)} episodes of {dataset} to {out} as {to}"
            return print_json(planned) if as_json else print(text)
        with total_bar("writing") as progress:
            done = export_dataset(opened, out, to, progress)
        if as_json:
            return print_json(done.to_json())
        print(f"{out}: {done.episodes} episodes, {done.frames} frames as {to}; largest difference after reading back:")
        for name, difference in done.largest_difference.items():
            print(f"  {name}: {difference:g}")
        if done.not_there:
            print(f"  not read back under these names: {', '.join(done.not_there)}")


@app.command()
def audit(
    dataset: Annotated[Path, typer.Argument(help="A dataset, or a recording of any format that is read.")],
    against: Annotated[list[Path] | None, typer.Option(help="Dataset whose episodes must not be here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the findings as one offline page.")] = None,
    fail_on: Annotated[str, typer.Option(help="Exit code 2 on findings as bad as: error, warning, info.")] = "error",
    images: Annotated[bool, typer.Option(help="Decode some pictures of every episode.")] = True,
    declare: Declare = None,
    fps: Fps = None,
    mapping: Mapping = None,
    engine: EngineOption = "processes",
    workers: DataWorkers = None,
    as_json: Json = False,
) -> None:
    """Recompute what a dataset claims, and look for what training would trip over."""
    with friendly():
        from roboscale.cli.auditing import audit_source, write_page

        severity = one_of("--fail-on", fail_on, ("error", "warning", "info"))
        with total_bar("episodes") as progress:
            report = audit_source(
                dataset,
                against=against or (),
                images=images,
                declaration=declare,
                options=reader_options(fps=fps, mapping=mapping),
                workers=workers,
                engine=one_of("--engine", engine, ("processes", "ray")),
                progress=progress,
            )
        if html is not None:
            write_page(dataset, report, html)
            say(f"page: {html}")
        if as_json:
            print_json(report.to_json())
        else:
            print_audit(dataset, report)
    if report.fails(severity):
        raise typer.Exit(2)


def print_audit(dataset: Path, report: AuditReport) -> None:
    """Findings for people, errors first."""
    counts = ", ".join(f"{report.count(s)} {s}s" for s in ("error", "warning", "info"))
    print(f"{dataset}: {report.episodes} episodes, {report.frames} frames, {len(report.checked)} checks: {counts}")
    for finding in report.findings:
        print(f"  {finding.severity:7} {finding.check}: {finding.text}")
        if finding.repair:
            print(f"          repair: {finding.repair}")
    for reason in dict.fromkeys(report.skipped.values()):
        checks = [check for check, why in report.skipped.items() if why == reason]
        print(f"  not checked: {checks[0] if len(checks) == 1 else f'{len(checks)} checks'}: {reason}")


@app.command()
def repair(
    dataset: Annotated[Path, typer.Argument(help="A dataset, e.g. one whose recording was killed.")],
    out: Annotated[Path | None, typer.Argument(help="A new dataset; without it, metadata is mended in place.")] = None,
    trim_idle: Annotated[bool, typer.Option("--trim-idle", help="Cut idle ends. Needs OUT.")] = False,
    drop: Annotated[str, typer.Option(help="Episodes to leave out: positions or ids, with commas. Needs OUT.")] = "",
    drop_camera: Annotated[
        list[str] | None, typer.Option(help="A camera to leave out; may repeat. Needs OUT.")
    ] = None,
    drop_broken: Annotated[bool, typer.Option("--drop-broken", help="Leave out the unreadable. Needs OUT.")] = False,
    curation: Annotated[bool, typer.Option("--curation", help="Apply the labels of `data show`. Needs OUT.")] = False,
    metadata: Annotated[bool, typer.Option("--metadata", help="Correct metadata and statistics in place.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put back what the last --metadata replaced.")] = False,
    workers: DataWorkers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make a dataset whole: after a kill, where metadata lies, or where episodes should be cut or left out.

    Nothing is deleted: leftovers go to a quarantine, replaced metadata to an undo folder, the rest into a new dataset.
    """
    with friendly():
        from roboscale.cli import repairing

        if out is not None:
            chosen = tuple(text.strip() for text in drop.split(",") if text.strip())
            cameras = tuple(drop_camera or ())
            asked = repairing.Repair(dataset, out, trim_idle, chosen, cameras, curation, drop_broken, workers)
            return repairing.run_into(asked, as_json, dry_run)
        if trim_idle or drop or drop_camera or curation or drop_broken:
            raise typer.BadParameter("this needs OUT: the original is never changed", param_hint="OUT")
        if undo:
            return repairing.run_undo(dataset, as_json, dry_run)
        if metadata:
            return repairing.run_metadata(dataset, as_json, dry_run)
        repairing.run_recovery(dataset, as_json, dry_run)


@app.command()
def merge(
    members: Annotated[list[Path], typer.Argument(help="Two or more datasets, and OUT as the last.")],
    declare: Declare = None,
    same: Annotated[
        bool, typer.Option("--same", help="What no member declares means the same in all of them: your word.")
    ] = False,
    flatten: Annotated[bool, typer.Option("--flatten", help="Pad robots that differ into one dataset.")] = False,
    resize: Annotated[str, typer.Option(help="HEIGHTxWIDTH of flattened pictures, where they differ.")] = "",
    engine: EngineOption = "processes",
    workers: DataWorkers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Pool datasets: one robot becomes one dataset, several robots a collection that is read as one."""
    with friendly():
        from roboscale.cli.merging import Merge, merge_datasets, plan_merge

        if len(members) < 2:
            raise typer.BadParameter("at least one member and OUT", param_hint="MEMBERS")
        asked = Merge(
            tuple(members[:-1]),
            members[-1],
            declare,
            same,
            flatten,
            parse_size(resize) if resize else None,
            workers,
            one_of("--engine", engine, ("processes", "ray")),
        )
        planned, _ = plan_merge(asked)
        if not dry_run:
            with count_bar("episodes", sum(planned.members.values())) as advance:
                planned = merge_datasets(asked, advance)
        if as_json:
            return print_json(planned.to_json())
        did = "would make" if dry_run else "made"
        robots = ", ".join(planned.robots) or "unknown robot"
        print(f"{did} a {planned.kind} of {sum(planned.members.values())} episodes, {robots}: {planned.out}")
        for name, episodes in planned.members.items():
            print(f"  {name}: {episodes}")


def parse_size(text: str) -> tuple[int, int]:
    """`240x320` as (height, width)."""
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise typer.BadParameter(f"expected HEIGHTxWIDTH such as 240x320, found {text!r}", param_hint="--resize")
    return int(height), int(width)


@app.command()
def show(
    dataset: DatasetArg,
    audit: Annotated[Path | None, typer.Option(help="Findings of `data audit --json`, for the timeline.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    token: Annotated[str | None, typer.Option(help="Secret in the address; made up where one is needed.")] = None,
) -> None:
    """Look at episodes in the browser: cameras in step with state and action; label them with single keys."""
    with friendly():
        from roboscale.web.show import serve

        serve(dataset, host=host, port=port, token=token, audit=audit, ready=lambda url: say(f"open {url}"))
