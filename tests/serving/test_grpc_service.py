"""The gRPC API, asked by the stubs and messages of tensorflow-serving-api."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.toy_models import FEATURES, SIGNATURES, call_directly

TIMEOUT = 60  # seconds; none of these calls is about time


def make_request(features=FEATURES, name="toy", signature_name="", version=None, output_filter=()):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature_name
    if version is not None:
        request.model_spec.version.value = version
    for key, value in features.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def refused(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=TIMEOUT)
    return caught.value.code(), caught.value.details()


def test_predict_equals_the_direct_call(prediction_stub, exported):
    response = prediction_stub.Predict(make_request(), timeout=TIMEOUT)
    direct = call_directly(exported, "serving_default", FEATURES)
    assert set(response.outputs) == {"click", "watch"}
    for name, tensor in response.outputs.items():
        array = tf.make_ndarray(tensor)
        assert array.dtype == direct[name].dtype
        np.testing.assert_array_equal(array, direct[name])
    assert response.model_spec.name == "toy"
    assert response.model_spec.version.value == 3
    assert response.model_spec.signature_name == "serving_default"


def test_values_are_in_the_typed_fields_tf_serving_clients_read(prediction_stub, exported):
    outputs = prediction_stub.Predict(make_request(), timeout=TIMEOUT).outputs
    direct = call_directly(exported, "serving_default", FEATURES)
    assert list(outputs["click"].float_val) == direct["click"].tolist()
    assert list(outputs["watch"].int64_val) == direct["watch"].ravel().tolist()


def test_content_form_of_a_tensor_is_read_too(prediction_stub):
    request = make_request()
    request.inputs["age"].CopyFrom(
        tensor_pb2.TensorProto(
            dtype=tf.float32.as_datatype_enum,
            tensor_shape=tf.TensorShape([3]).as_proto(),
            tensor_content=FEATURES["age"].tobytes(),
        )
    )
    fields = prediction_stub.Predict(make_request(), timeout=TIMEOUT).outputs["click"]
    assert prediction_stub.Predict(request, timeout=TIMEOUT).outputs["click"] == fields


def test_version_can_be_pinned(prediction_stub):
    assert prediction_stub.Predict(make_request(version=3), timeout=TIMEOUT).model_spec.version.value == 3


def test_output_filter_chooses_outputs(prediction_stub):
    response = prediction_stub.Predict(make_request(output_filter=["watch"]), timeout=TIMEOUT)
    assert list(response.outputs) == ["watch"]


def test_an_empty_batch_gets_an_empty_answer(prediction_stub):
    features = {name: value[:0] for name, value in FEATURES.items()}
    outputs = prediction_stub.Predict(make_request(features), timeout=TIMEOUT).outputs
    assert tf.make_ndarray(outputs["watch"]).shape == (0, 2)


def test_inputs_with_a_fixed_first_dimension_need_not_share_the_batch(prediction_stub):
    features = {"user": np.float32([2.0]), "item": np.float32([1.0, 2.0, 4.0])}
    outputs = prediction_stub.Predict(make_request(features, signature_name="rank"), timeout=TIMEOUT).outputs
    assert list(outputs["score"].float_val) == [2.0, 4.0, 8.0]


WITHOUT_AGE = {name: value for name, value in FEATURES.items() if name != "age"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            {"features": {**WITHOUT_AGE, "agee": FEATURES["age"]}},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': 'agee' is not an input. "
            "Known inputs: ['age', 'country', 'item', 'tags']. Did you mean 'age'?",
        ),
        (
            {"features": WITHOUT_AGE},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': input 'age' is missing. Expected: dtype float32, shape (?). "
            "Received inputs: ['country', 'item', 'tags'].",
        ),
        (
            {"features": {**FEATURES, "age": np.array([1, 2, 3])}},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': input 'age' must have dtype float32. Received: dtype int64.",
        ),
        (
            {"features": {**FEATURES, "item": [b"7", b"8", b"9"]}},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': input 'item' must have dtype int64. Received: dtype string.",
        ),
        (
            {"features": {**FEATURES, "tags": FEATURES["country"]}},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': input 'tags' must have shape (?, ?). Received: shape (3).",
        ),
        (
            {"features": {"user": np.float32([1, 2]), "item": np.float32([1, 2])}, "signature_name": "rank"},
            "INVALID_ARGUMENT",
            "Signature 'rank': input 'user' must have shape (1). Received: shape (2).",
        ),
        (
            {"features": {**FEATURES, "item": FEATURES["item"][:2]}},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': inputs must share the batch dimension. "
            "Received: 2 rows of 'item', 3 of ['age', 'country', 'tags'].",
        ),
        (
            {"name": "census"},
            "NOT_FOUND",
            "Servable not found for request: model 'census'. Served models: ['toy'].",
        ),
        (
            {"version": 4},
            "NOT_FOUND",
            "Servable not found for request: version 4 of model 'toy'. Available versions: [3].",
        ),
        (
            {"signature_name": "serving"},
            "FAILED_PRECONDITION",
            f"Serving signature 'serving' not found in version 3. Known signatures: {sorted(SIGNATURES)}.",
        ),
        (
            {"output_filter": ["clik"]},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': 'clik' is not an output. Known outputs: ['click', 'watch'].",
        ),
        (
            {"output_filter": ["click", "click"]},
            "INVALID_ARGUMENT",
            "Signature 'serving_default': output 'click' is asked for 2 times.",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_request_is_refused_by_name(prediction_stub, arguments, code, message):
    assert refused(prediction_stub.Predict, make_request(**arguments)) == (grpc.StatusCode[code], message)


def test_an_error_of_the_graph_keeps_its_code(prediction_stub):
    code, message = refused(prediction_stub.Predict, make_request({"index": np.int32([0, 5])}, signature_name="pick"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith("Signature 'pick': ") and "indices[1] = 5 is not in [0, 2)" in message


def test_an_output_that_does_not_travel_is_named(prediction_stub):
    code, message = refused(prediction_stub.Predict, make_request({"x": np.float32([1])}, signature_name="half"))
    assert code == grpc.StatusCode.UNIMPLEMENTED
    assert message.startswith("Output 'z': ") and "bfloat16" in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: setattr(t.tensor_shape.dim[0], "size", -1), "tensor_shape must be fully known"),
        (lambda t: setattr(t, "dtype", 14), "dtype bfloat16 is not supported"),
        (lambda t: setattr(t, "tensor_content", b"123"), "buffer size must be a multiple"),
        (lambda t: t.float_val.append(1.0), "cannot reshape array of size 4 into shape (3,)"),
    ],
)
def test_a_malformed_tensor_is_refused_by_name(prediction_stub, spoil, message):
    request = make_request()
    age = request.inputs["age"]
    age.CopyFrom(
        tensor_pb2.TensorProto(dtype=1, tensor_shape=tf.TensorShape([3]).as_proto(), float_val=[1.0, 2.0, 3.0])
    )
    spoil(age)
    code, details = refused(prediction_stub.Predict, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("Signature 'serving_default': input 'age': ") and message in details


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff\xff\xff", "The message of /tensorflow.serving.PredictionService/Predict cannot be parsed: "),
        (b"\x0a\x05\x0a\x03toy\x12", "The message of /tensorflow.serving.PredictionService/Predict cannot be parsed: "),
        (b"", "Missing ModelSpec."),
    ],
)
def test_bytes_that_are_no_request_do_no_harm(channel, body, message, caplog):
    method = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, details = refused(method, body)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and details.startswith(message)
    assert caplog.records == []


def test_a_request_without_model_spec_is_refused(prediction_stub):
    request = predict_pb2.PredictRequest()
    assert refused(prediction_stub.Predict, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec.")


def test_session_run_is_unimplemented(channel):
    method = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refused(method, b"")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_above_grpcs_usual_4_mib_passes(server):
    payload = np.array([b"x" * 6_000_000], object)
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(make_request({"payload": payload}, signature_name="echo"), timeout=TIMEOUT)
    assert response.outputs["text"].string_val[0] == payload[0]


@pytest.mark.parametrize(("megabytes", "limit"), [(17, "16777216"), (33, "33554432")], ids=["ours", "the core's"])
def test_a_message_above_16_mib_is_refused(server, megabytes, limit):
    payload = np.array([b"x" * (megabytes << 20)], object)
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = make_request({"payload": payload}, signature_name="echo")
        code, message = refused(stub.Predict, request)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert limit in message


def test_metadata_is_the_exports_signature_def(prediction_stub, exported):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    response = prediction_stub.GetModelMetadata(request, timeout=TIMEOUT)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    meta_graph = tf.compat.v1.saved_model.load(tf.compat.v1.Session(graph=tf.Graph()), ["serve"], str(exported))
    assert dict(signatures.signature_def) == dict(meta_graph.signature_def)
    assert response.model_spec.version.value == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field."),
        (["assets"], "Metadata field 'assets' is not supported. Use 'signature_def'."),
    ],
)
def test_metadata_fields_are_checked(prediction_stub, fields, message):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "toy"
    assert refused(prediction_stub.GetModelMetadata, request) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_status_reports_versions(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "toy"
    (status,) = stub.GetModelStatus(request, timeout=TIMEOUT).model_version_status
    assert (status.version, status.state, status.status.error_code) == (3, status.AVAILABLE, 0)
    request.model_spec.version.value = 8
    assert refused(stub.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find version 8 of model 'toy'. Known versions: [3].",
    )
    request.model_spec.name = "other"
    assert refused(stub.GetModelStatus, request)[0] == grpc.StatusCode.NOT_FOUND
