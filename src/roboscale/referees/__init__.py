"""Referees: who says how a trial went. Rules watch while it runs; people and models judge afterwards."""

from roboscale.referees.person import Person
from roboscale.referees.rules import SuccessReferee, referee_for

__all__ = ["Person", "SuccessReferee", "referee_for"]
