"""Classify, Regress and MultiInference over gRPC, :classify and :regress over REST."""

import json
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tests.serving.test_grpc_service import TIMEOUT, refused
from tests.serving.toy_models import example
from tfmtl.serving.server.limits import Limits

VALUES = [1.0, -2.0, 0.0]
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
POSITIVE = 1.0 / (1.0 + np.exp(-np.float32(VALUES)))


def ask(kind, signature_name, values=VALUES):
    request = kind()
    request.model_spec.name = "toy"
    request.model_spec.signature_name = signature_name
    for value in values:
        request.input.example_list.examples.add().ParseFromString(example(value))
    return request


def test_classify_answers_classes_and_scores(prediction_stub):
    response = prediction_stub.Classify(ask(classification_pb2.ClassificationRequest, "classify"), timeout=TIMEOUT)
    rows = [[(each.label, each.score) for each in row.classes] for row in response.result.classifications]
    assert [[label for label, _ in row] for row in rows] == [["no", "yes"]] * 3
    np.testing.assert_allclose([row[1][1] for row in rows], POSITIVE, rtol=1e-6)
    assert (response.model_spec.version.value, response.model_spec.signature_name) == (3, "classify")


def test_regress_answers_values(prediction_stub):
    response = prediction_stub.Regress(ask(regression_pb2.RegressionRequest, "regress"), timeout=TIMEOUT)
    assert [each.value for each in response.result.regressions] == [2.5, -3.5, 0.5]


def test_the_context_of_a_request_is_in_all_its_examples(prediction_stub):
    request = ask(regression_pb2.RegressionRequest, "regress", [])
    source = request.input.example_list_with_context
    source.context.ParseFromString(example(7.0))
    source.examples.add()
    source.examples.add().ParseFromString(example(1.0))  # its own value comes first
    response = prediction_stub.Regress(request, timeout=TIMEOUT)
    assert [each.value for each in response.result.regressions] == [14.5, 2.5]


def test_multi_inference_asks_several_signatures(prediction_stub):
    request = inference_pb2.MultiInferenceRequest()
    for name, method in (("regress", REGRESS), ("classify", CLASSIFY)):
        task = request.tasks.add(method_name=method)
        task.model_spec.name = "toy"
        task.model_spec.signature_name = name
    request.input.example_list.examples.add().ParseFromString(example(1.0))
    regressed, classified = prediction_stub.MultiInference(request, timeout=TIMEOUT).results
    assert [each.value for each in regressed.regression_result.regressions] == [2.5]
    assert classified.classification_result.classifications[0].classes[1].score == pytest.approx(POSITIVE[0])
    assert classified.model_spec.signature_name == "classify"
    request.tasks[1].method_name = "tensorflow/serving/predict"
    code, message = refused(prediction_stub.MultiInference, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Received: 'tensorflow/serving/predict'" in message
    request.tasks[1].model_spec.name, request.tasks[1].method_name = "other", CLASSIFY
    assert "must name the same model" in refused(prediction_stub.MultiInference, request)[1]
    request = inference_pb2.MultiInferenceRequest()
    assert "at least one task" in refused(prediction_stub.MultiInference, request)[1]


@pytest.mark.parametrize(
    ("method", "kind", "signature_name", "code", "message"),
    [
        (
            "Classify",
            classification_pb2.ClassificationRequest,
            "",
            "INVALID_ARGUMENT",
            "Classify must ask a signature with the string input 'inputs' and the outputs 'classes' or 'scores'. "
            "Received: signature 'serving_default' with inputs ['age', 'country', 'item', 'tags'] and outputs "
            "['click', 'watch']. Signatures for it: ['classify', 'flat'].",
        ),
        (
            "Regress",
            regression_pb2.RegressionRequest,
            "classify",
            "INVALID_ARGUMENT",
            "Signatures for it: ['regress'].",
        ),
        (
            "Regress",
            regression_pb2.RegressionRequest,
            "none",
            "FAILED_PRECONDITION",
            "Serving signature 'none' not found",
        ),
        (
            "Classify",
            classification_pb2.ClassificationRequest,
            "flat",
            "FAILED_PRECONDITION",
            "Output 'scores' must have shape (3, classes). Received: shape (3,).",
        ),
    ],
)
def test_a_signature_that_is_not_for_the_method_is_refused(
    prediction_stub, method, kind, signature_name, code, message
):
    found, details = refused(getattr(prediction_stub, method), ask(kind, signature_name))
    assert (found, message in details) == (grpc.StatusCode[code], True), details


def test_bad_examples_are_refused(prediction_stub):
    request = ask(regression_pb2.RegressionRequest, "regress", [])
    assert refused(prediction_stub.Regress, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Input is empty.")
    request.input.example_list.examples.add()
    code, message = refused(prediction_stub.Regress, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Feature: x" in message


@pytest.fixture
def post(server):
    def send(verb, body):
        connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=TIMEOUT)
        connection.request("POST", f"/v1/models/toy:{verb}", json.dumps(body))
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    return send


def test_rest_answers_as_grpc_does(post):
    examples = [{"x": value} for value in VALUES]
    status, answer = post("regress", {"signature_name": "regress", "examples": examples})
    assert (status, answer) == (200, {"results": [2.5, -3.5, 0.5]})
    status, answer = post("classify", {"signature_name": "classify", "context": {"x": [1.0]}, "examples": [{}]})
    assert status == 200
    ((no, yes),) = answer["results"]
    assert (no[0], yes[0]) == ("no", "yes") and yes[1] == pytest.approx(POSITIVE[0])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"examples": []}, "The body must have the key 'examples' with a list of at least one example."),
        ({"examples": [3]}, "examples[0] must be an object of features. Received: int."),
        ({"examples": [{"x": 1.0}, {"x": [1.0, "a"]}]}, "examples[1]: feature 'x' must hold numbers or text"),
        ({"examples": [{"x": True}]}, "examples[0]: feature 'x' must hold numbers or text"),
        ({"examples": [{"x": {"b64": "?"}}]}, "examples[0]: feature 'x' must be base64."),
        ({"examples": [{"x": 1}]}, "Data types don't match"),
        ({"signature_name": "classify", "examples": [{"x": 1.0}]}, "Signatures for it: ['regress']"),
    ],
)
def test_rest_refuses_by_name(post, body, message):
    status, answer = post("regress", {"signature_name": "regress", **body})
    assert status == 400 and message in answer["error"], answer


def test_kinds_of_values_become_the_kinds_of_features():
    from tfmtl.serving.server.json_examples import json_to_examples

    body = {"examples": [{"i": [1, 2], "f": [1, 2.5], "s": "é", "b": [{"b64": "AP8="}, "a"], "e": []}]}
    feature = tf.train.Example.FromString(json_to_examples(body, Limits())[0]).features.feature
    assert list(feature["i"].int64_list.value) == [1, 2]
    assert list(feature["f"].float_list.value) == [1.0, 2.5]
    assert list(feature["s"].bytes_list.value) == ["é".encode()]
    assert list(feature["b"].bytes_list.value) == [b"\x00\xff", b"a"]
    assert not list(feature["e"].int64_list.value)
