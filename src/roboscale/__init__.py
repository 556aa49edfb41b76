"""roboscale: scale action data, and weigh robot policies on a scale that others can trust.

The nouns of `roboscale.core` and every job, each with the request that it takes. A request knows the command line that
asks the same:

    import roboscale

    request = roboscale.Rank(sources=("trials.csv",))
    print(roboscale.rank(request).text)
    print(request.command)  # roboscale rank trials.csv

Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roboscale.core import (
        UNKNOWN,
        ActionChunk,
        BadData,
        BatchedPolicy,
        Capabilities,
        Case,
        Clip,
        Damage,
        Decision,
        Difference,
        Episode,
        EpisodeSink,
        Estimate,
        Field,
        Finding,
        Frame,
        HasExpert,
        HasPictures,
        InfrastructureError,
        Observation,
        Origin,
        Outcome,
        PairedOutcome,
        Pictures,
        Policy,
        PolicyError,
        Pose,
        Provenance,
        RecordedEpisode,
        Recording,
        RoboscaleError,
        Session,
        Severity,
        Source,
        Span,
        Spec,
        SpecMismatch,
        Step,
        StopRule,
        Stream,
        SuccessRule,
        Take,
        Trial,
        UnknownName,
        Verdict,
        World,
        WorldKind,
        cases,
        check_action,
        compare,
        derive_id,
        derive_seed,
        generator,
        new_episode_id,
        require_match,
        write_episode,
    )
    from roboscale.jobs.data_audit import AuditDataset, audit_dataset
    from roboscale.jobs.data_export import ExportDataset, export_dataset, plan_export
    from roboscale.jobs.data_import import ImportDataset, explain_recording, import_dataset, plan_import
    from roboscale.jobs.data_merge import MergeDatasets, merge_datasets, plan_merge
    from roboscale.jobs.data_repair import RepairDataset, repair_dataset
    from roboscale.jobs.data_show import ShowDataset, show_dataset
    from roboscale.jobs.fuse import FuseResults, fuse_results
    from roboscale.jobs.next import PickTrials, pick_trials
    from roboscale.jobs.rank import Rank, rank
    from roboscale.jobs.validity import CheckValidity, check_validity

__version__ = "0.1.0"
__all__ = [
    "UNKNOWN",
    "ActionChunk",
    "AuditDataset",
    "BadData",
    "BatchedPolicy",
    "Capabilities",
    "Case",
    "CheckValidity",
    "Clip",
    "Damage",
    "Decision",
    "Difference",
    "Episode",
    "EpisodeSink",
    "Estimate",
    "ExportDataset",
    "Field",
    "Finding",
    "Frame",
    "FuseResults",
    "HasExpert",
    "HasPictures",
    "ImportDataset",
    "InfrastructureError",
    "MergeDatasets",
    "Observation",
    "Origin",
    "Outcome",
    "PairedOutcome",
    "PickTrials",
    "Pictures",
    "Policy",
    "PolicyError",
    "Pose",
    "Provenance",
    "Rank",
    "RecordedEpisode",
    "Recording",
    "RepairDataset",
    "RoboscaleError",
    "Session",
    "Severity",
    "ShowDataset",
    "Source",
    "Span",
    "Spec",
    "SpecMismatch",
    "Step",
    "StopRule",
    "Stream",
    "SuccessRule",
    "Take",
    "Trial",
    "UnknownName",
    "Verdict",
    "World",
    "WorldKind",
    "__version__",
    "audit_dataset",
    "cases",
    "check_action",
    "check_validity",
    "compare",
    "derive_id",
    "derive_seed",
    "explain_recording",
    "export_dataset",
    "fuse_results",
    "generator",
    "import_dataset",
    "merge_datasets",
    "new_episode_id",
    "pick_trials",
    "plan_export",
    "plan_import",
    "plan_merge",
    "rank",
    "repair_dataset",
    "require_match",
    "show_dataset",
    "write_episode",
]

_JOBS = {
    "data_audit": ("AuditDataset", "audit_dataset"),
    "data_export": ("ExportDataset", "export_dataset", "plan_export"),
    "data_import": ("ImportDataset", "import_dataset", "plan_import", "explain_recording"),
    "data_merge": ("MergeDatasets", "plan_merge", "merge_datasets"),
    "data_repair": ("RepairDataset", "repair_dataset"),
    "data_show": ("ShowDataset", "show_dataset"),
    "fuse": ("FuseResults", "fuse_results"),
    "next": ("PickTrials", "pick_trials"),
    "rank": ("Rank", "rank"),
    "validity": ("CheckValidity", "check_validity"),
}
"""Module in `roboscale.jobs` -> its request and its job."""


if not TYPE_CHECKING:  # else every misspelt name would be one that may exist

    def __getattr__(name: str) -> Any:
        """Imports a name when it is first asked for."""
        if name not in __all__:
            raise AttributeError(f"module 'roboscale' has no attribute {name!r}")
        homes = (f"roboscale.jobs.{module}" for module, names in _JOBS.items() if name in names)
        value = getattr(import_module(next(homes, "roboscale.core")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
