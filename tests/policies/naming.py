"""Names of tests that are the same in every process."""

import re


def no_address(thing: object) -> str:
    """The text of a thing without where it lies in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(thing))
