"""The nouns. numpy only, no I/O; imports nothing else of roboscale."""

from roboscale.core.episode import (
    Damage,
    Episode,
    EpisodeSink,
    Frame,
    Outcome,
    Provenance,
    Source,
    Take,
    new_episode_id,
    write_episode,
)
from roboscale.core.errors import (
    BadData,
    InfrastructureError,
    PolicyError,
    RoboscaleError,
    SpecMismatch,
    UnknownName,
)
from roboscale.core.estimate import Decision, Estimate, PairedOutcome, StopRule, Verdict
from roboscale.core.policy import ActionChunk, BatchedPolicy, Observation, Policy, Session, check_action
from roboscale.core.pose import Pose
from roboscale.core.seeds import derive_id, derive_seed, generator
from roboscale.core.spec import Difference, Field, Spec, compare, require_match
from roboscale.core.trial import Trial
from roboscale.core.world import Capabilities, Case, HasExpert, HasPictures, Step, SuccessRule, World, WorldKind, cases

__all__ = [
    "ActionChunk",
    "BadData",
    "BatchedPolicy",
    "Capabilities",
    "Case",
    "Damage",
    "Decision",
    "Difference",
    "Episode",
    "EpisodeSink",
    "Estimate",
    "Field",
    "Frame",
    "HasExpert",
    "HasPictures",
    "InfrastructureError",
    "Observation",
    "Outcome",
    "PairedOutcome",
    "Policy",
    "PolicyError",
    "Pose",
    "Provenance",
    "RoboscaleError",
    "Session",
    "Source",
    "Spec",
    "SpecMismatch",
    "Step",
    "StopRule",
    "SuccessRule",
    "Take",
    "Trial",
    "UnknownName",
    "Verdict",
    "World",
    "WorldKind",
    "cases",
    "check_action",
    "compare",
    "derive_id",
    "derive_seed",
    "generator",
    "new_episode_id",
    "require_match",
    "write_episode",
]
