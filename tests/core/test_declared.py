"""Files that users write: what is wrong in them is said with file, key and both sides, all at once."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.core.declared import Count, Key, Limit, Mistake, Positive, Text, as_declared, read_declared


@dataclass(frozen=True, kw_only=True)
class Lens:
    kind: Literal["wide", "tele"]
    span: tuple[float, float] = (0.1, 10.0)


@dataclass(frozen=True, kw_only=True)
class Camera:
    name: Text
    rate_hz: Positive
    rows: Count = 480
    source: Annotated[str | tuple[str, ...], Key("from")] = "rgb"
    even: Annotated[int, Limit("an even number", lambda n: n % 2 == 0)] = 2
    lens: Text | Lens = "wide"
    flip: bool = False
    notes: Mapping[str, Any] | None = None
    spare: tuple[Lens, ...] = ()
    named: Mapping[str, Lens] = ()  # type: ignore[assignment]
    low: float | None = None
    high: float | None = None

    def mistakes(self) -> Iterator[Mistake]:
        if self.low is not None and self.high is not None and self.low >= self.high:
            yield "high", f"more than low, {self.low:g}", f"{self.high:g}"


FINE = {"name": "front", "rate_hz": 30}


def read(**values: Any) -> Camera:
    return as_declared({**FINE, **values}, Camera, "camera.toml")


def test_values_come_as_their_types_have_them():
    made = read(**{"from": ["a", "b"], "lens": {"kind": "tele"}, "spare": [{"kind": "wide", "span": [1, 2]}]})
    assert made == Camera(
        name="front", rate_hz=30.0, source=("a", "b"), lens=Lens(kind="tele"), spare=(Lens(kind="wide", span=(1, 2)),)
    )
    assert type(made.rate_hz) is float and type(made.spare[0].span[0]) is float
    assert read(notes={"any": [1, "b", None]}, named={"x": {"kind": "tele"}}).named["x"] == Lens(kind="tele")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": 5}, "camera.toml: name: expected text that is not empty, found 5"),
        ({"name": " "}, "name: expected text that is not empty, found ' '"),
        ({"rate_hz": "ten"}, "rate_hz: expected a number above 0, found 'ten'"),
        ({"rate_hz": 0}, "rate_hz: expected a number above 0, found 0"),
        ({"rate_hz": float("inf")}, "rate_hz: expected a number above 0, found inf"),
        ({"rate_hz": True}, "rate_hz: expected a number above 0, found True"),
        ({"rows": 0}, "rows: expected an integer of 1 or more, found 0"),
        ({"rows": 4.0}, "rows: expected an integer of 1 or more, found 4.0"),
        ({"rows": True}, "rows: expected an integer of 1 or more, found True"),
        ({"even": 3}, "even: expected an even number, found 3"),
        ({"flip": 1}, "flip: expected true or false, found 1"),
        ({"lens": 5}, "lens: expected text that is not empty or a table, found 5"),
        ({"lens": {"kind": "fish"}}, "lens.kind: expected one of wide, tele, found 'fish'"),
        ({"lens": {}}, "lens.kind: expected one of wide, tele, found nothing"),
        ({"from": 5}, "from: expected text or a list of texts, found 5"),
        ({"from": ["a", 5]}, r"from\[1\]: expected text, found 5"),
        ({"spare": {"kind": "wide"}}, "spare: expected a list of tables, found {"),
        ({"spare": [{"kind": "wide", "span": [1]}]}, r"spare\[0\].span: expected a list of 2: a finite number, "),
        ({"named": {"x": {"kind": 1}}}, r"named.x.kind: expected one of wide, tele, found 1"),
        ({"low": 2, "high": 1.0}, "high: expected more than low, 2, found 1"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_both_sides(values: dict[str, Any], says: str):
    with pytest.raises(BadData, match=says) as error:
        read(**values)
    assert str(error.value).startswith("camera.toml: ") and "\n" not in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"raws": 4}, "unknown key in camera.toml: top level: 'raws'; did you mean rows"),
        ({"lens": {"kind": "wide", "spam": []}}, "camera.toml: lens: 'spam'; did you mean span"),
        ({"spare": [{"kind": "wide", "spam": []}]}, r"camera.toml: spare\[0\]: 'spam'; did you mean span"),
        ({"source": "rgb"}, "top level: 'source'"),  # its key in the file is another
    ],
)
def test_an_unknown_key_is_refused_and_near_ones_are_named(values: dict[str, Any], says: str):
    with pytest.raises(UnknownName, match=says):
        read(**values)


def test_a_misspelt_key_is_one_mistake_and_not_also_a_missing_one():
    with pytest.raises(UnknownName, match="did you mean rate_hz"):
        as_declared({"name": "a", "rat_hz": 3}, Camera, "camera.toml")


def test_several_mistakes_are_told_at_once():
    with pytest.raises(BadData) as error:
        read(name=5, rows=0, lens={"kind": "fish", "spam": 1}, raws=1)
    head, *lines = str(error.value).splitlines()
    assert head == "camera.toml: declaration: expected no mistakes, found 5:"
    assert [line.split(":")[0].strip() for line in lines] == [
        "unknown key in top level",
        "name",
        "rows",
        "unknown key in lens",
        "lens.kind",
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", "name =", "file: expected TOML, found Invalid value"),
        ("a.toml", 'name = "a"\nname = "b"', "file: expected TOML, found Cannot overwrite"),
        ("a.json", '{"name": "a", "name": "b"}', "file: expected JSON, found the key 'name' is there twice"),
        ("a.json", "[1]", "file: expected a table, found"),
        ("a.json", '{"name": "a", "rate_hz": NaN}', "rate_hz: expected a number above 0, found nan"),
        ("a.json", '{"name": "a", "rate_hz": 3, "low": null}', ""),
        ("a.toml", '\ufeffname = "a"\nrate_hz = 3', ""),
    ],
)
def test_files(tmp_path: Path, name: str, text: str, says: str):
    (tmp_path / name).write_text(text, encoding="utf-8")
    if not says:
        assert read_declared(tmp_path / name, Camera).name == "a"
        return
    with pytest.raises(BadData, match=says) as error:
        read_declared(tmp_path / name, Camera)
    assert name in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(BadData, match=r"none\.toml: file: expected a TOML file, found No such file"):
        read_declared(tmp_path / "none.toml", Camera)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first draw compiles the strategy
@given(st.dictionaries(st.sampled_from(["name", "rate_hz", "rows", "from", "lens", "spare", "named", "x"]), values))
def test_whatever_stands_in_a_file_is_understood_or_refused(given_values: dict[str, Any]):
    try:
        made = as_declared(given_values, Camera, "any.toml")
    except RoboscaleError as error:
        assert "any.toml" in str(error)
    else:
        assert made.rate_hz > 0 and made.rows >= 1 and made.name.strip()
