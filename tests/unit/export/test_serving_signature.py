"""An exported graph answers as the training graph, whatever the request, and needs nothing but TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.models import MultiTaskModel

NAN = float("nan")


@pytest.fixture(scope="module")
def loaded(version: Path) -> Any:
    return tf.saved_model.load(str(version))


@pytest.fixture(scope="module")
def signature(tiny_data: PreparedData) -> dict[str, tf.TensorSpec]:
    return raw_signature(tiny_data.problem)


@pytest.fixture(scope="module")
def request_template(golden: list) -> dict[str, Any]:
    """A request with something in every history."""
    names = ("clicked__item", "seen__topic", "bought__item", "tags")
    return next(item["features"] for item in golden if all(item["features"][name] for name in names))


def answers(loaded: Any, requests: list[dict], signature: dict) -> dict[str, dict[str, np.ndarray]]:
    """What both signatures say, which must be the same."""
    served = loaded.signatures["serving_default"](**to_tensors(requests, signature))
    parsed = loaded.signatures["serve_examples"](examples=tf.constant(to_examples(requests, signature)))
    for task, values in served.items():
        np.testing.assert_allclose(parsed[task], values, rtol=1e-6)
    return {task: values.numpy() for task, values in served.items()}


@pytest.mark.parametrize("size", [1, 2, 33, 64])
def test_any_batch_size(loaded: Any, golden: list, signature: dict, size: int) -> None:
    found = answers(loaded, [item["features"] for item in golden[:size]], signature)
    for task, values in found.items():
        assert values.shape == (size,)
        np.testing.assert_allclose(values, [item["response"][task] for item in golden[:size]], rtol=1e-5, atol=1e-6)


def test_empty_batch(loaded: Any, signature: dict) -> None:
    served = loaded.signatures["serving_default"](**to_tensors([], signature))
    assert {task: values.shape.as_list() for task, values in served.items()} == {"click": [0], "buy": [0], "watch": [0]}


def test_unusual_requests_equal_the_training_graph(
    loaded: Any, signature: dict, request_template: dict, tiny_data: PreparedData, model: MultiTaskModel
) -> None:
    """Missing and unknown values, histories that are empty, too long, or hold unknown items."""
    now = request_template["time"]
    empty = {name: [] for name, spec in signature.items() if spec.shape.rank == 2}
    missing = {name: "" if spec.dtype == tf.string else NAN for name, spec in signature.items() if spec.shape.rank == 1}
    long = {
        "clicked__item": [f"i{n % 7}" for n in range(40)],
        "clicked__topic": [f"t{n % 3}" for n in range(40)],
        "clicked__time": [now - 100 + n for n in range(40)],
    }
    requests = [
        request_template,
        {**request_template, **empty},
        {**request_template, **missing, "time": now},
        {**request_template, **missing, **empty, "time": now},
        {**request_template, **long},
        {**request_template, "user": "nobody", "item": "nothing", "tags": ["tag0", "no tag", "tag1", "tag2", "tag0"]},
        {**request_template, "clicked__item": ["no item"], "clicked__topic": [""], "clicked__time": [now - 1]},
        {**request_template, "price": 1e30, "age": -1e30, "views": 1e30},
        {**request_template, "user": "ü" * 1000},
    ]
    encoded = tiny_data.transform()(to_tensors(requests, signature))
    expected = model(encoded, training=False)
    found = answers(loaded, requests, signature)
    for task, values in found.items():
        assert np.all(np.isfinite(values))
        np.testing.assert_allclose(values, expected[task], rtol=1e-5)
        assert len(set(values.tolist())) > len(requests) - 3, "the requests differ, so must the answers"


def test_only_the_last_events_of_a_long_history_count(loaded: Any, signature: dict, request_template: dict) -> None:
    now = request_template["time"]

    def request(events: int) -> dict[str, Any]:
        kept = range(40 - events, 40)
        return {
            **request_template,
            "clicked__item": [f"i{n % 7}" for n in kept],
            "clicked__topic": [f"t{n % 3}" for n in kept],
            "clicked__time": [now - 100 + n for n in kept],
        }

    found = answers(loaded, [request(40), request(6), request(5), request(4)], signature)["click"]
    assert found[0] == found[1] == found[2]
    assert found[3] != found[2]


def test_absent_features_of_an_example_are_missing(loaded: Any, signature: dict, request_template: dict) -> None:
    missing = {name: "" if spec.dtype == tf.string else NAN for name, spec in signature.items() if spec.shape.rank == 1}
    empty = {name: [] for name, spec in signature.items() if spec.shape.rank == 2}
    nothing = {**missing, **empty, "time": request_template["time"]}
    [serialized] = to_examples([nothing], signature)
    assert set(tf.train.Example.FromString(serialized).features.feature) == {"time"}
    answers(loaded, [nothing], signature)
    with pytest.raises(tf.errors.InvalidArgumentError, match="time"):
        loaded.signatures["serve_examples"](examples=tf.constant([tf.train.Example().SerializeToString()]))


ALONE = """
import json, sys

for name in ("keras", "tfmtl", "tests"):
    sys.modules[name] = None  # an import of it fails
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

loaded = tf.saved_model.load(sys.argv[1])
serve = loaded.signatures["serving_default"]
requests = json.load(sys.stdin)
outputs = serve(**{
    name: tf.constant([request[name] for request in requests], spec.dtype)
    for name, spec in serve.structured_input_signature[1].items()
})
model = saved_model_pb2.SavedModel.FromString(open(sys.argv[1] + "/saved_model.pb", "rb").read())
[graph] = [meta.graph_def for meta in model.meta_graphs]
nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
functions = {function.signature.name for function in graph.library.function}
print(json.dumps({
    "answers": {task: values.numpy().tolist() for task, values in outputs.items()},
    "operations": sorted({node.op for node in nodes} - functions),
    "unknown": sorted({node.op for node in nodes if not hasattr(tf.raw_ops, node.op)} - functions),
}))
"""


@pytest.mark.process
def test_needs_nothing_but_tensorflow(version: Path, golden: list) -> None:
    """In a process that can import neither Keras nor this library; also: TensorFlow's own operations only."""
    chosen = golden[0]
    result = subprocess.run(
        [sys.executable, "-c", ALONE, str(version)],
        input=json.dumps([chosen["features"]]),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    for task, value in chosen["response"].items():
        assert report["answers"][task] == pytest.approx([value], rel=1e-5)
    assert report["unknown"] == []
    operations = set(report["operations"])
    assert {"LookupTableFindV2", "ResourceGather", "Bucketize", "ParseExampleV2"} <= operations
    assert not {name for name in operations if "Py" in name or name.startswith("Xla")}
