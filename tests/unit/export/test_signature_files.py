"""The page, the schema and the ready requests say how the export is asked, and the requests are answered."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from tensorflow_serving.apis import predict_pb2

from tfmtl.serving.local_server import LocalServer

SIGNATURES = ("serving_default", "serve_examples", "rank")


@pytest.fixture(scope="module")
def extra(version: Path) -> Path:
    return version / "assets.extra"


@pytest.fixture(scope="module")
def loaded(version: Path) -> Any:
    return tf.saved_model.load(str(version))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a JSON value fits a schema, of the keywords that the export uses."""
    if "const" in schema:
        return bool(value == schema["const"])
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int}
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if schema["type"] == "array":
        sizes = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return sizes and all(fits(item, schema["items"]) for item in value)
    if schema["type"] == "object":
        names = set(schema["required"]) <= set(value) <= set(schema["properties"])
        return names and all(fits(item, schema["properties"][name]) for name, item in value.items())
    return True


def bodies(extra: Path) -> dict[str, Any]:
    return {name: json.loads((extra / "requests" / f"{name}.json").read_text(encoding="utf-8")) for name in SIGNATURES}


def test_files(extra: Path) -> None:
    assert {path.name for path in (extra / "requests").iterdir()} == {
        f"{name}{ending}" for name in SIGNATURES for ending in (".json", ".grpc.json")
    }


def test_schema_takes_the_requests_and_nothing_else(extra: Path) -> None:
    schema = json.loads((extra / "signature.json").read_text())
    by_title = {body["title"]: body for body in schema["oneOf"]}
    assert set(by_title) == {*SIGNATURES, "serving_default, row by row"}
    for name, body in bodies(extra).items():
        assert [title for title, part in by_title.items() if fits(body, part)] == [name]
        for wrong in (
            {**body, "signature_name": "other"},
            {**body, "inputs": dict(list(body["inputs"].items())[1:])},
            {**body, "inputs": {**body["inputs"], "other": ["x"]}},
            {**body, "inputs": dict.fromkeys(body["inputs"], "x")},
        ):
            assert not any(fits(wrong, part) for part in by_title.values())
    two_users = bodies(extra)["rank"]
    two_users["inputs"]["user"] *= 2
    assert not fits(two_users, by_title["rank"])
    columns = bodies(extra)["serving_default"]["inputs"]
    rows = {"instances": [{name: values[row] for name, values in columns.items()} for row in range(2)]}
    assert fits(rows, by_title["serving_default, row by row"])


@pytest.mark.process
def test_requests_are_answered_over_rest_as_the_graph_answers(version: Path, extra: Path, loaded: Any) -> None:
    schema = json.loads((extra / "signature.json").read_text())
    with LocalServer(version.parent, "tiny", grpc_port=0, rest_port=0) as server:
        for name, body in bodies(extra).items():
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.rest_port}/v1/models/tiny:predict", json.dumps(body).encode()
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
            assert fits(answer, schema["$defs"]["answer"])
            for task, values in grpc_answer(extra, loaded, name).items():
                np.testing.assert_allclose(answer["outputs"][task], values, rtol=1e-6)


def grpc_answer(extra: Path, loaded: Any, name: str) -> dict[str, tf.Tensor]:
    """What the graph says of the request that is ready for gRPC."""
    text = (extra / "requests" / f"{name}.grpc.json").read_text()
    request = json_format.Parse(text, predict_pb2.PredictRequest())
    assert (request.model_spec.name, request.model_spec.signature_name) == ("tiny", name)
    inputs = {key: tf.constant(tf.make_ndarray(proto)) for key, proto in request.inputs.items()}
    answers: dict[str, tf.Tensor] = loaded.signatures[name](**inputs)
    assert all(len(values) == 2 for values in answers.values())
    return answers


def test_descriptors_are_complete(extra: Path) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString((extra / "prediction_service.protoset").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:  # dependencies come first, or this raises
        pool.Add(file)
    service = pool.FindServiceByName("tensorflow.serving.PredictionService")
    assert service.FindMethodByName("Predict").input_type.full_name == "tensorflow.serving.PredictRequest"


def test_page_names_everything(extra: Path, loaded: Any) -> None:
    page = (extra / "signature.md").read_text(encoding="utf-8")
    *sections, methods = page.split("\n## ")
    assert methods.startswith("Classify and Regress\n")
    for name in ("classify_click", "classify_buy", "regress_watch"):
        assert f"| `{name}` |" in methods and name in loaded.signatures
    assert [section.splitlines()[0] for section in sections[1:]] == list(SIGNATURES)
    for section in sections[1:]:
        name = section.splitlines()[0]
        for key, spec in loaded.signatures[name].structured_input_signature[1].items():
            line = next(line for line in section.splitlines() if line.startswith(f"| `{key}` |"))
            sizes = line.split("`")[3].strip("()").rstrip(",").split(", ")
            assert [int(size) if size.isdigit() else None for size in sizes] == spec.shape.as_list()
            assert spec.dtype.name in line
        assert f"curl -d @requests/{name}.json http://localhost:8501/v1/models/tiny:predict" in section
        assert f"tensorflow.serving.PredictionService/Predict < requests/{name}.grpc.json" in section
    for task, kind in {"click": "probability", "buy": "probability", "watch": "value"}.items():
        assert f"| `{task}` | {kind} |" in sections[0]
