"""Whether a campaign can be run at all, before anything of it is ordered or written."""

from __future__ import annotations

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.jobs.campaign_file import Campaign

__all__ = ["require_possible"]


def require_possible(campaign: Campaign, file: object) -> None:
    """Opens the world and the policies that would demonstrate in it.

    Raises:
        UnknownName: the world has not one of the tasks, or nobody knows a policy.
        BadData: rollouts are to be trained on, and the world cannot repeat them.
    """
    from roboscale.jobs.filling import opened
    from roboscale.jobs.guests import guest_policies
    from roboscale.policies.resolve import resolve_policy
    from roboscale.trials import records_afterwards

    world = opened(campaign.world, images=False)
    try:
        for task in campaign.tasks:
            world.info.instruction(task)
        if campaign.learn.rollouts != "none" and not records_afterwards(world.info):
            raise BadData(
                file,
                "learn.rollouts",
                "'none': what is tried in this world cannot be repeated, and so not be recorded afterwards",
                repr(campaign.learn.rollouts),
            )
        for place, source in enumerate(campaign.sources):
            if source.kind == "record":
                try:
                    resolve_policy(source.policy, world=world, seed=campaign.seed, guests=guest_policies(world, {}))
                except UnknownName as error:
                    raise RoboscaleError(f"{file}: sources[{place}].policy: {error}") from error
    finally:
        world.close()
