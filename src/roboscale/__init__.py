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
        LAYOUTS,
        NOMINAL,
        PENDING,
        UNKNOWN,
        ActionChunk,
        BadData,
        BatchedPolicy,
        BatchedWorld,
        Carried,
        CarriedRows,
        Case,
        Clip,
        Clock,
        Counted,
        Decision,
        Design,
        DesignKind,
        Difference,
        End,
        Episode,
        EpisodeSink,
        Estimate,
        Evidence,
        EvidenceRow,
        Extras,
        Field,
        Finding,
        Frame,
        HasExpert,
        HasHold,
        HasPictures,
        HasSuccessTerms,
        Identity,
        InfrastructureError,
        Judgement,
        Measure,
        Measures,
        Observation,
        Origin,
        Outcome,
        OutcomeKind,
        Outcomes,
        PairedOutcome,
        Pending,
        Pictures,
        Policy,
        PolicyError,
        Pose,
        Provenance,
        RecordedEpisode,
        Recording,
        Referee,
        RoboscaleError,
        Robot,
        RolloutSettings,
        Scene,
        Session,
        Severity,
        SharedSink,
        SimulatedClock,
        Source,
        Span,
        Spec,
        SpecMismatch,
        Step,
        StopRule,
        Stratum,
        Stream,
        SuccessRule,
        Take,
        Trial,
        UnknownName,
        UsageError,
        Verdict,
        WallClock,
        Watch,
        World,
        WorldInfo,
        WorldKind,
        canonical_quat_wxyz,
        cases,
        check_action,
        combine,
        convert_rotation,
        derive_id,
        derive_seed,
        extras_of,
        generator,
        identify,
        identity_labels,
        new_episode_id,
        require_match,
        rotation_matrix,
        spec_differences,
        splits_of,
        write_episode,
    )
    from roboscale.jobs.arena_demo import DemoArena, demo_arena
    from roboscale.jobs.arena_evaluate import EvaluateForArena, evaluate_for_arena
    from roboscale.jobs.arena_export import ExportArena, export_arena
    from roboscale.jobs.arena_import import ImportToArena, import_to_arena
    from roboscale.jobs.arena_invite import InviteToArena, invite_to_arena
    from roboscale.jobs.arena_join import JoinArena, join_arena
    from roboscale.jobs.arena_offer import OfferPolicy, offer_policy
    from roboscale.jobs.arena_publish import PublishArena, publish_arena
    from roboscale.jobs.arena_serve import ServeArena, serve_arena
    from roboscale.jobs.campaign import RunCampaign, run_campaign
    from roboscale.jobs.cases_check import CheckCases, check_cases
    from roboscale.jobs.cases_make import MakeCases, make_cases
    from roboscale.jobs.cases_show import ShowCases, show_cases
    from roboscale.jobs.check import CheckResults, check_results
    from roboscale.jobs.collect_augment import AugmentEpisodes, augment_episodes
    from roboscale.jobs.collect_calibrate import CalibrateCamera, calibrate_camera
    from roboscale.jobs.collect_dream import DreamEpisodes, dream_episodes
    from roboscale.jobs.collect_generate import GenerateEpisodes, generate_episodes
    from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld
    from roboscale.jobs.collect_human import CollectHuman, collect_human
    from roboscale.jobs.collect_record import RecordEpisodes, record_episodes
    from roboscale.jobs.collect_tags import PrintTags, print_tags
    from roboscale.jobs.collect_teleop import Teleoperate, plan_teleoperation, teleoperate
    from roboscale.jobs.compare import Compare, compare
    from roboscale.jobs.count import WeighCounts, weigh_counts
    from roboscale.jobs.data_align import AlignDatasets, align_datasets
    from roboscale.jobs.data_audit import AuditDataset, audit_dataset
    from roboscale.jobs.data_contribute import ContributeDataset, contribute_dataset
    from roboscale.jobs.data_curate import CurateDataset, curate_dataset
    from roboscale.jobs.data_export import ExportDataset, export_dataset
    from roboscale.jobs.data_fix import FixDataset, fix_dataset
    from roboscale.jobs.data_import import ImportDataset, import_dataset
    from roboscale.jobs.data_info import DescribeDataset, describe_dataset
    from roboscale.jobs.data_merge import MergeDatasets, merge_datasets
    from roboscale.jobs.data_mix import MixDataset, mix_dataset
    from roboscale.jobs.data_pool import PoolDatasets, pool_datasets
    from roboscale.jobs.data_show import ShowDataset, show_dataset, write_for_viewers
    from roboscale.jobs.demo import RunDemo, run_demo
    from roboscale.jobs.eval import Evaluate, evaluate
    from roboscale.jobs.event import HoldEvent, hold_event
    from roboscale.jobs.fuse import FuseResults, fuse_results
    from roboscale.jobs.guest_check import CheckInstalledGuest, check_installed_guest
    from roboscale.jobs.guest_clean import CleanGuests, clean_guests
    from roboscale.jobs.guest_install import InstallGuest, install_guest
    from roboscale.jobs.guest_list import ListGuests, list_guests
    from roboscale.jobs.guest_remove import RemoveGuest, remove_guest
    from roboscale.jobs.methods import Methods, methods_of
    from roboscale.jobs.next import PickTrials, pick_trials
    from roboscale.jobs.plan import PlanCollection, plan_collection
    from roboscale.jobs.policy_check import CheckPolicyInWorld, check_policy_in_world
    from roboscale.jobs.policy_serve import ServeAnyPolicy, serve_any_policy
    from roboscale.jobs.policy_train import TrainPolicy, train_policy
    from roboscale.jobs.power import SizeComparison, size_comparison
    from roboscale.jobs.rank import Rank, rank
    from roboscale.jobs.report import WriteReport, write_report
    from roboscale.jobs.robot_demo import DemoRobot, demo_robot
    from roboscale.jobs.runs import ListRuns, list_runs
    from roboscale.jobs.study_amend import AmendStudy, amend_study
    from roboscale.jobs.study_init import InitStudy, init_study
    from roboscale.jobs.study_lock import LockStudy, lock_study
    from roboscale.jobs.study_unblind import UnblindStudy, unblind_study
    from roboscale.jobs.trials_export import ExportTrials, export_trials
    from roboscale.jobs.trials_judge import JudgeTrial, judge_trial
    from roboscale.jobs.trials_list import ListTrials, list_trials
    from roboscale.jobs.trials_merge import MergeTrials, merge_trials
    from roboscale.jobs.trials_replay import ReplayTrial, replay_trial
    from roboscale.jobs.trials_work import WorkTrials, work_trials
    from roboscale.jobs.validity import CheckValidity, check_validity
    from roboscale.jobs.watch import WatchFolder, watch_folder
    from roboscale.jobs.why import ExplainFailures, explain_failures
    from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks
    from roboscale.jobs.world_list import ListWorlds, list_worlds
    from roboscale.jobs.world_play import PlaySession, PlayWorld, play_world
    from roboscale.jobs.world_train import TrainWorld, train_world

__version__ = "0.1.0"
__all__ = [
    "LAYOUTS",
    "NOMINAL",
    "PENDING",
    "UNKNOWN",
    "ActionChunk",
    "AlignDatasets",
    "AmendStudy",
    "AuditDataset",
    "AugmentEpisodes",
    "BadData",
    "BatchedPolicy",
    "BatchedWorld",
    "CalibrateCamera",
    "Carried",
    "CarriedRows",
    "Case",
    "CheckCases",
    "CheckInstalledGuest",
    "CheckPolicyInWorld",
    "CheckResults",
    "CheckValidity",
    "CheckWorldTasks",
    "CleanGuests",
    "Clip",
    "Clock",
    "CollectHandheld",
    "CollectHuman",
    "Compare",
    "ContributeDataset",
    "Counted",
    "CurateDataset",
    "Decision",
    "DemoArena",
    "DemoRobot",
    "DescribeDataset",
    "Design",
    "DesignKind",
    "Difference",
    "DreamEpisodes",
    "End",
    "Episode",
    "EpisodeSink",
    "Estimate",
    "Evaluate",
    "EvaluateForArena",
    "Evidence",
    "EvidenceRow",
    "ExplainFailures",
    "ExportArena",
    "ExportDataset",
    "ExportTrials",
    "Extras",
    "Field",
    "Finding",
    "FixDataset",
    "Frame",
    "FuseResults",
    "GenerateEpisodes",
    "HasExpert",
    "HasHold",
    "HasPictures",
    "HasSuccessTerms",
    "HoldEvent",
    "Identity",
    "ImportDataset",
    "ImportToArena",
    "InfrastructureError",
    "InitStudy",
    "InstallGuest",
    "InviteToArena",
    "JoinArena",
    "JudgeTrial",
    "Judgement",
    "ListGuests",
    "ListRuns",
    "ListTrials",
    "ListWorlds",
    "LockStudy",
    "MakeCases",
    "Measure",
    "Measures",
    "MergeDatasets",
    "MergeTrials",
    "Methods",
    "MixDataset",
    "Observation",
    "OfferPolicy",
    "Origin",
    "Outcome",
    "OutcomeKind",
    "Outcomes",
    "PairedOutcome",
    "Pending",
    "PickTrials",
    "Pictures",
    "PlanCollection",
    "PlaySession",
    "PlayWorld",
    "Policy",
    "PolicyError",
    "PoolDatasets",
    "Pose",
    "PrintTags",
    "Provenance",
    "PublishArena",
    "Rank",
    "RecordEpisodes",
    "RecordedEpisode",
    "Recording",
    "Referee",
    "RemoveGuest",
    "ReplayTrial",
    "RoboscaleError",
    "Robot",
    "RolloutSettings",
    "RunCampaign",
    "RunDemo",
    "Scene",
    "ServeAnyPolicy",
    "ServeArena",
    "Session",
    "Severity",
    "SharedSink",
    "ShowCases",
    "ShowDataset",
    "SimulatedClock",
    "SizeComparison",
    "Source",
    "Span",
    "Spec",
    "SpecMismatch",
    "Step",
    "StopRule",
    "Stratum",
    "Stream",
    "SuccessRule",
    "Take",
    "Teleoperate",
    "TrainPolicy",
    "TrainWorld",
    "Trial",
    "UnblindStudy",
    "UnknownName",
    "UsageError",
    "Verdict",
    "WallClock",
    "Watch",
    "WatchFolder",
    "WeighCounts",
    "WorkTrials",
    "World",
    "WorldInfo",
    "WorldKind",
    "WriteReport",
    "__version__",
    "align_datasets",
    "amend_study",
    "audit_dataset",
    "augment_episodes",
    "calibrate_camera",
    "canonical_quat_wxyz",
    "cases",
    "check_action",
    "check_cases",
    "check_installed_guest",
    "check_policy_in_world",
    "check_results",
    "check_validity",
    "check_world_tasks",
    "clean_guests",
    "collect_handheld",
    "collect_human",
    "combine",
    "compare",
    "contribute_dataset",
    "convert_rotation",
    "curate_dataset",
    "demo_arena",
    "demo_robot",
    "derive_id",
    "derive_seed",
    "describe_dataset",
    "dream_episodes",
    "evaluate",
    "evaluate_for_arena",
    "explain_failures",
    "export_arena",
    "export_dataset",
    "export_trials",
    "extras_of",
    "fix_dataset",
    "fuse_results",
    "generate_episodes",
    "generator",
    "hold_event",
    "identify",
    "identity_labels",
    "import_dataset",
    "import_to_arena",
    "init_study",
    "install_guest",
    "invite_to_arena",
    "join_arena",
    "judge_trial",
    "list_guests",
    "list_runs",
    "list_trials",
    "list_worlds",
    "lock_study",
    "make_cases",
    "merge_datasets",
    "merge_trials",
    "methods_of",
    "mix_dataset",
    "new_episode_id",
    "offer_policy",
    "pick_trials",
    "plan_collection",
    "plan_teleoperation",
    "play_world",
    "pool_datasets",
    "print_tags",
    "publish_arena",
    "rank",
    "record_episodes",
    "remove_guest",
    "replay_trial",
    "require_match",
    "rotation_matrix",
    "run_campaign",
    "run_demo",
    "serve_any_policy",
    "serve_arena",
    "show_cases",
    "show_dataset",
    "size_comparison",
    "spec_differences",
    "splits_of",
    "teleoperate",
    "train_policy",
    "train_world",
    "unblind_study",
    "watch_folder",
    "weigh_counts",
    "work_trials",
    "write_episode",
    "write_for_viewers",
    "write_report",
]

_JOBS = {
    "arena_demo": ("DemoArena", "demo_arena"),
    "arena_evaluate": ("EvaluateForArena", "evaluate_for_arena"),
    "arena_export": ("ExportArena", "export_arena"),
    "arena_import": ("ImportToArena", "import_to_arena"),
    "arena_invite": ("InviteToArena", "invite_to_arena"),
    "arena_join": ("JoinArena", "join_arena"),
    "arena_offer": ("OfferPolicy", "offer_policy"),
    "arena_publish": ("PublishArena", "publish_arena"),
    "arena_serve": ("ServeArena", "serve_arena"),
    "campaign": ("RunCampaign", "run_campaign"),
    "cases_check": ("CheckCases", "check_cases"),
    "cases_make": ("MakeCases", "make_cases"),
    "cases_show": ("ShowCases", "show_cases"),
    "check": ("CheckResults", "check_results"),
    "collect_augment": ("AugmentEpisodes", "augment_episodes"),
    "collect_calibrate": ("CalibrateCamera", "calibrate_camera"),
    "collect_dream": ("DreamEpisodes", "dream_episodes"),
    "collect_generate": ("GenerateEpisodes", "generate_episodes"),
    "collect_handheld": ("CollectHandheld", "collect_handheld"),
    "collect_human": ("CollectHuman", "collect_human"),
    "collect_record": ("RecordEpisodes", "record_episodes"),
    "collect_tags": ("PrintTags", "print_tags"),
    "collect_teleop": ("Teleoperate", "plan_teleoperation", "teleoperate"),
    "compare": ("Compare", "compare"),
    "count": ("WeighCounts", "weigh_counts"),
    "data_align": ("AlignDatasets", "align_datasets"),
    "data_audit": ("AuditDataset", "audit_dataset"),
    "data_contribute": ("ContributeDataset", "contribute_dataset"),
    "data_curate": ("CurateDataset", "curate_dataset"),
    "data_export": ("ExportDataset", "export_dataset"),
    "data_fix": ("FixDataset", "fix_dataset"),
    "data_import": ("ImportDataset", "import_dataset"),
    "data_info": ("DescribeDataset", "describe_dataset"),
    "data_merge": ("MergeDatasets", "merge_datasets"),
    "data_mix": ("MixDataset", "mix_dataset"),
    "data_pool": ("PoolDatasets", "pool_datasets"),
    "data_show": ("ShowDataset", "show_dataset", "write_for_viewers"),
    "demo": ("RunDemo", "run_demo"),
    "eval": ("Evaluate", "evaluate"),
    "event": ("HoldEvent", "hold_event"),
    "fuse": ("FuseResults", "fuse_results"),
    "guest_check": ("CheckInstalledGuest", "check_installed_guest"),
    "guest_clean": ("CleanGuests", "clean_guests"),
    "guest_install": ("InstallGuest", "install_guest"),
    "guest_list": ("ListGuests", "list_guests"),
    "guest_remove": ("RemoveGuest", "remove_guest"),
    "methods": ("Methods", "methods_of"),
    "next": ("PickTrials", "pick_trials"),
    "plan": ("PlanCollection", "plan_collection"),
    "policy_check": ("CheckPolicyInWorld", "check_policy_in_world"),
    "policy_serve": ("ServeAnyPolicy", "serve_any_policy"),
    "policy_train": ("TrainPolicy", "train_policy"),
    "power": ("SizeComparison", "size_comparison"),
    "rank": ("Rank", "rank"),
    "report": ("WriteReport", "write_report"),
    "robot_demo": ("DemoRobot", "demo_robot"),
    "runs": ("ListRuns", "list_runs"),
    "study_amend": ("AmendStudy", "amend_study"),
    "study_init": ("InitStudy", "init_study"),
    "study_lock": ("LockStudy", "lock_study"),
    "study_unblind": ("UnblindStudy", "unblind_study"),
    "trials_export": ("ExportTrials", "export_trials"),
    "trials_judge": ("JudgeTrial", "judge_trial"),
    "trials_list": ("ListTrials", "list_trials"),
    "trials_merge": ("MergeTrials", "merge_trials"),
    "trials_replay": ("ReplayTrial", "replay_trial"),
    "trials_work": ("WorkTrials", "work_trials"),
    "validity": ("CheckValidity", "check_validity"),
    "watch": ("WatchFolder", "watch_folder"),
    "why": ("ExplainFailures", "explain_failures"),
    "world_check": ("CheckWorldTasks", "check_world_tasks"),
    "world_list": ("ListWorlds", "list_worlds"),
    "world_play": ("PlaySession", "PlayWorld", "play_world"),
    "world_train": ("TrainWorld", "train_world"),
}
"""Module in `roboscale.jobs` -> its request and its job, or what is asked of any result."""


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
