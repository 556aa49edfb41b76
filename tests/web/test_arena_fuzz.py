"""Whatever is sent to any operation of the arena's OpenAPI document, the answer is no 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from roboscale.jobs.arena_hosting import HostedArena
from roboscale.web.arena import make_arena_app
from roboscale.web.arena.operations import OPERATIONS, Operation, openapi
from roboscale.wire import WireError, pack

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DOCUMENT = openapi()
NO_WAIT = [one for one in OPERATIONS if one.name != "pull"]  # which waits for its own policy's observations


def fitting(schema: dict[str, Any]) -> st.SearchStrategy:
    """Values of a schema, mostly: what its words ask besides (lengths, ranges) they may break."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(map(fitting, schema["anyOf"]))
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        fields = {k: fitting(v) | ANYTHING if k == "start" else fitting(v) for k, v in schema["properties"].items()}
        return st.fixed_dictionaries(fields)
    if kind == "object":
        return st.dictionaries(st.text(max_size=5), fitting(schema["additionalProperties"]), max_size=2)
    if kind == "array":
        return st.lists(fitting(schema["items"]), max_size=2)
    ids = st.sampled_from(["0" * 32, "a" * 32])
    return {
        "string": st.text(max_size=12) | ids,
        "integer": st.integers(-2, 10**12),
        "number": st.floats(),
        "boolean": st.booleans(),
        "null": st.none(),
    }[kind]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    with HostedArena(str(tmp_path_factory.mktemp("fuzz")), rate_hz=1e9) as hosted:
        tokens = {}
        for role in ("organiser", "evaluator", "owner"):
            tokens[role] = hosted.arena.join(hosted.arena.invite(None, role, role), role)[1]
        hosted.server.allows = lambda asker: True  # type: ignore[method-assign]
        with TestClient(make_arena_app(hosted.server), base_url="http://localhost") as client:
            yield client, tokens


def bodies(one: Operation) -> st.SearchStrategy:
    if one.body is None:
        return st.just(b"")
    if one.body is bytes:
        frames = st.dictionaries(st.text(max_size=8), ANYTHING, max_size=4).map(_frame)
        return frames | st.binary(max_size=40)
    schema = DOCUMENT["paths"][one.path][one.method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    return (fitting(schema) | ANYTHING).map(lambda value: json.dumps(value).encode())


def _frame(value: dict[str, Any]) -> bytes:
    try:
        return pack(value)
    except WireError:  # numbers that msgpack has no place for
        return b"\xff"


PARTS = st.sampled_from(
    ["0" * 32, "a" * 32, "A", "0", "99999999999999999999", "-1", "%00", "%F0%9F%A6%93", "..%2f", "x"]
)


@pytest.mark.parametrize("one", NO_WAIT, ids=lambda one: one.name)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_operation_breaks(one: Operation, asked: tuple[TestClient, dict[str, str]], data: st.DataObject):
    client, tokens = asked
    path = "/".join(data.draw(PARTS) if part.startswith("{") else part for part in one.path.split("/"))
    if one.name == "revoke":
        path = path.replace(path.split("/")[3], "x")  # nobody of ours
    query = {name: data.draw(st.sampled_from(["0", "7", "x", "-3", "9" * 30])) for name in one.query}
    role = one.role if one.role in tokens else "organiser"
    headers = {"authorization": f"Bearer {tokens[role]}", "content-type": "application/json"}
    body = data.draw(bodies(one))
    answer = client.request(one.method, path, params=query, headers=headers, content=body)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert isinstance(answer.json()["error"], str)


def test_the_document_names_every_operation_and_who_may():
    named = {said["operationId"] for path in DOCUMENT["paths"].values() for said in path.values()}
    assert named == {one.name for one in OPERATIONS}
    assert DOCUMENT["paths"]["/api/matches"]["post"]["security"] == [{"token": []}]
