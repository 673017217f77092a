"""The client's own messages against those of tensorflow-serving-api: the same bytes."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from tfmtl.serving.protocol.messages import DECLARATIONS, MESSAGES

ORIGINALS = {
    message.DESCRIPTOR.name: message
    for message in (
        tensor_shape_pb2.TensorShapeProto.Dim,
        tensor_shape_pb2.TensorShapeProto,
        tensor_pb2.TensorProto,
        wrappers_pb2.Int64Value,
        model_pb2.ModelSpec,
        predict_pb2.PredictRequest,
        predict_pb2.PredictResponse,
        status_pb2.StatusProto,
        get_model_status_pb2.ModelVersionStatus,
        get_model_status_pb2.GetModelStatusRequest,
        get_model_status_pb2.GetModelStatusResponse,
        meta_graph_pb2.TensorInfo,
        meta_graph_pb2.SignatureDef,
        get_model_metadata_pb2.SignatureDefMap,
        feature_pb2.BytesList,
        feature_pb2.FloatList,
        feature_pb2.Int64List,
        feature_pb2.Feature,
        feature_pb2.Features,
        example_pb2.Example,
        any_pb2.Any,
        get_model_metadata_pb2.GetModelMetadataRequest,
        get_model_metadata_pb2.GetModelMetadataResponse,
    )
}


def wire_form(field):
    """What a field is on the wire: its number, type, whether it repeats, and what message it holds."""
    kind = FieldDescriptor.TYPE_INT32 if field.type == FieldDescriptor.TYPE_ENUM else field.type
    holds = field.message_type
    is_map = holds is not None and holds.GetOptions().map_entry
    entry = tuple(wire_form(holds.fields_by_name[part]) for part in ("key", "value")) if is_map else None
    return field.number, kind, field.is_repeated, holds.name if holds and not is_map else entry


def test_every_declared_message_is_compared():
    assert set(ORIGINALS) == set(DECLARATIONS)


@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_fields_are_those_of_the_original(name):
    original = ORIGINALS[name].DESCRIPTOR.fields_by_name
    for field in MESSAGES[name].DESCRIPTOR.fields:
        assert wire_form(field) == wire_form(original[field.name]), field.name


def test_the_comparison_sees_a_wrong_number():
    ours, theirs = (messages["TensorProto"].DESCRIPTOR.fields_by_name for messages in (MESSAGES, ORIGINALS))
    assert wire_form(ours["float_val"]) != wire_form(theirs["double_val"])
    assert wire_form(ours["dtype"]) != wire_form(theirs["version_number"])


def test_a_request_goes_over_and_back_byte_for_byte():
    request = predict_pb2.PredictRequest(output_filter=["click"])
    request.model_spec.name = "toy"
    request.model_spec.version.value = 3
    for name, value in {"a": np.float32([[1.5, 2.5]]), "b": [b"x", b""], "c": np.int64([-1])}.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    ours = MESSAGES["PredictRequest"].FromString(request.SerializeToString())
    assert ours.inputs["a"].dtype == 1 and ours.model_spec.version.value == 3
    assert predict_pb2.PredictRequest.FromString(ours.SerializeToString()) == request
