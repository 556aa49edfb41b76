"""`tf.train.Example`, what a record of RLDS holds: names -> lists of bytes, floats or integers.

The message is declared here, from its published field numbers: its usual homes import TensorFlow or PyTorch.
Source: tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from numpy.typing import NDArray

from roboscale.core import BadData

__all__ = ["Values", "parse_example", "serialize_example"]

Values = Sequence[bytes] | NDArray[np.int64] | NDArray[np.float32]
"""Values of one name: encoded things, integers or floats; flat."""

_PACKAGE = "tensorflow"
_LISTS: Mapping[str, int] = {
    "BytesList": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "FloatList": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "Int64List": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
}
_KINDS = ("bytes_list", "float_list", "int64_list")


def _message_field(entry: Any, name: str, number: int, type_name: str, repeated: bool = False) -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    label = proto.LABEL_REPEATED if repeated else proto.LABEL_OPTIONAL
    return entry.field.add(
        name=name, number=number, label=label, type=proto.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{type_name}"
    )


@functools.cache
def _example_class() -> Any:
    """The message class, in a pool of its own so that it cannot clash with TensorFlow's."""
    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package=_PACKAGE, syntax="proto3")
    for name, kind in _LISTS.items():
        file.message_type.add(name=name).field.add(name="value", number=1, label=proto.LABEL_REPEATED, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (one_of, name) in enumerate(zip(_KINDS, _LISTS, strict=True), 1):
        _message_field(feature, one_of, number, name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=proto.LABEL_OPTIONAL, type=proto.TYPE_STRING)
    _message_field(entry, "value", 2, "Feature")
    _message_field(features, "feature", 1, "Features.FeatureEntry", repeated=True)
    _message_field(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def parse_example(payload: bytes, file: object, where: str) -> dict[str, Values]:
    """Every name of a record with its values; a name without values has none of any kind.

    Raises:
        BadData: the payload is no Example; names `file` and `where`.
    """
    try:
        example = _example_class().FromString(payload)
    except message.DecodeError as error:
        raise BadData(file, where, "a tf.train.Example", str(error)[:120]) from error
    values_of: dict[str, Values] = {}
    for name, feature in example.features.feature.items():
        if feature.HasField("float_list"):
            values_of[name] = np.array(feature.float_list.value, np.float32)
        elif feature.HasField("int64_list"):
            values_of[name] = np.array(feature.int64_list.value, np.int64)
        else:
            values_of[name] = list(feature.bytes_list.value)
    return values_of


def serialize_example(values: Mapping[str, Values]) -> bytes:
    """The bytes of a record; the same values give the same bytes."""
    example = _example_class()()
    for name, items in values.items():
        feature = example.features.feature[name]
        if not isinstance(items, np.ndarray):
            feature.bytes_list.value.extend(items)
        elif items.dtype == np.int64:
            feature.int64_list.value.extend(items.tolist())
        else:
            feature.float_list.value.extend(items.tolist())
    payload: bytes = example.SerializeToString(deterministic=True)
    return payload
