"""An export under a batching server: lists filled up and rows put together change no answer."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import inference_pb2, prediction_service_pb2_grpc

from tfmtl.data import PreparedData
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.export.serving_module import method_signatures
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import ServerMetrics


@pytest.fixture(scope="module")
def served(version: Path) -> ServedModel:
    return ServedModel(version, 1)


@pytest.fixture(scope="module")
def requests(version: Path, golden: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """One row each, with lists of all lengths down to none, for the golden requests' signature."""
    signature = tf.saved_model.load(str(version)).signatures["serving_default"].structured_input_signature[1]
    asked = []
    for number, item in enumerate(golden[:12]):
        features = {
            name: value[: number % (len(value) + 1)] if isinstance(value, list) else value
            for name, value in item["features"].items()
        }
        asked.append({name: tensor.numpy() for name, tensor in to_tensors([features], signature).items()})
    return asked


def test_a_list_filled_up_is_the_list(served: ServedModel, requests: list[dict[str, np.ndarray]]) -> None:
    """Exactly: the padded row alone, so that nothing but the padding differs."""
    missing = {"O": b"", "f": np.nan, "i": 0}
    lengths = set()
    for inputs in requests:
        padded = {}
        for name, array in inputs.items():
            padded[name] = array
            if array.ndim == 2:
                lengths.add(array.shape[1])
                padded[name] = np.full((1, array.shape[1] + 7), missing[array.dtype.kind], array.dtype)
                padded[name][:, : array.shape[1]] = array
        alone, filled = served.predict("", inputs), served.predict("", padded)
        for name in alone:
            np.testing.assert_array_equal(alone[name], filled[name])
    assert 0 in lengths and len(lengths) > 2


def test_batched_answers_are_those_of_the_rows_alone(
    served: ServedModel, requests: list[dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [served.predict("", inputs) for inputs in requests]
    sizes, gate = [], threading.Event()
    predict = ServedModel.predict

    def record(self: ServedModel, name: str, inputs: Any, output_filter: Any = ()) -> Any:
        assert gate.wait(60)
        sizes.append(len(next(iter(inputs.values()))))
        return predict(self, name, inputs, output_filter)

    monkeypatch.setattr(ServedModel, "predict", record)

    async def ask_all() -> list[dict[str, np.ndarray]]:
        with RequestBatcher(BatchingOptions(num_batch_threads=1), ServerMetrics()) as batcher:
            asked = [asyncio.ensure_future(batcher.predict(served, "", inputs)) for inputs in requests]
            await asyncio.sleep(0.05)  # the thread is busy with the first of them, or waits for the gate with all
            gate.set()
            return await asyncio.gather(*asked)

    batched = asyncio.run(ask_all())
    assert sum(sizes) == len(requests) and sizes[-1] >= len(requests) - 3
    for one, other in zip(alone, batched, strict=True):
        for name in one:  # sums of other matrix sizes round differently in the last bits
            np.testing.assert_allclose(other[name], one[name], rtol=2e-6, atol=1e-7)
    assert len({float(answer[name][0]) for answer in alone for name in answer}) > len(requests)


@pytest.mark.process
def test_tf_servings_classify_and_regress_answer_the_tasks(
    version: Path, golden: list[dict[str, Any]], tiny_data: PreparedData
) -> None:
    signature = tf.saved_model.load(str(version)).signatures["serving_default"].structured_input_signature[1]
    request = inference_pb2.MultiInferenceRequest()
    for example in to_examples([item["features"] for item in golden], signature):
        request.input.example_list.examples.add().ParseFromString(example)
    tasks = method_signatures(tiny_data.problem, list(golden[0]["response"]))
    for name in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{name.partition('_')[0]}")
        task.model_spec.name, task.model_spec.signature_name = "tiny", name
    with (
        LocalServer(version.parent, "tiny", grpc_port=0, rest_port=0) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        results = stub.MultiInference(request, timeout=60).results
    for (name, task), result in zip(tasks.items(), results, strict=True):
        if name.startswith("classify_"):
            rows = result.classification_result.classifications
            assert {tuple(each.label for each in row.classes) for row in rows} == {("0", "1")}
            values = [row.classes[1].score for row in rows]
        else:
            values = [each.value for each in result.regression_result.regressions]
        np.testing.assert_allclose(values, [item["response"][task] for item in golden], rtol=1e-5, atol=1e-6)
