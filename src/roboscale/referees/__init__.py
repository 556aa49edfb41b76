"""Referees: who says how a trial went. Rules watch while it runs; people and models judge afterwards."""

from roboscale.referees.person import Person
from roboscale.referees.rules import Settled, SuccessReferee, referee_for, referee_named

__all__ = ["Person", "Settled", "SuccessReferee", "referee_for", "referee_named"]
