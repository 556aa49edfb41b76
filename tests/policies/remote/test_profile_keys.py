"""Every key of a profile is sent, or the profile is refused: no table is silently not used."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboscale.core import BadData
from roboscale.policies.remote import PolicyProfile

keys = st.lists(st.sampled_from(["state", "goal", "a/b", "prompt", "observation"]), min_size=1, max_size=3)


def clash(paths: list[list[str]]) -> bool:
    """Whether two of the paths cannot stand in one message: one is the other, or leads through it."""
    both = combinations([*paths, ["prompt"]], 2)
    return any(one[: len(two)] == two or two[: len(one)] == one for one, two in both)


def at(message: Any, path: list[str]) -> Any:
    for key in path:
        message = message[key]
    return message


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(keys, min_size=1, max_size=4))
def test_every_key_is_sent_or_the_profile_is_refused(tmp_path: Path, paths: list[list[str]]):
    tables = "".join(
        f"[[observation]]\nkey = {json.dumps(path if len(path) > 1 else path[0])}\nfield = 'observation.f{n}'\n"
        for n, path in enumerate(paths)
    )
    file = tmp_path / "profile.toml"
    file.write_text(f'name = "p"\n{tables}[action]\ndimension = 2\nmode = "absolute"\n')
    try:
        profile = PolicyProfile.load(file)
    except BadData as error:
        assert clash(paths), error
        assert "profile.toml" in str(error) and any(repr(path[-1]) in str(error) for path in paths)
        return
    assert not clash(paths)
    seen = {f"observation.f{n}": np.full(2, n, np.float32) for n in range(len(paths))}
    message = profile.encode(seen, "do it")
    assert message["prompt"] == "do it"
    for n, path in enumerate(paths):
        assert np.array_equal(at(message, path), [n, n]), "each table's own field stands under its own key"
