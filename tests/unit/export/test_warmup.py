"""The warm-up file holds requests as TensorFlow Serving reads them, for every signature."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2


def test_requests_of_usual_sizes(version: Path, golden: list) -> None:
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    loaded = tf.saved_model.load(str(version))
    sizes: dict[str, list[int]] = {}
    for log in logs:
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        signature = loaded.signatures[request.model_spec.signature_name]
        specs = signature.structured_input_signature[1]
        tensors = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        assert set(tensors) == set(specs)
        for name, spec in specs.items():
            assert spec.is_compatible_with(tensors[name]), name
        answers = signature(**tensors)
        size = len(answers["click"])
        recorded = {name: tf.make_ndarray(proto) for name, proto in log.predict_log.response.outputs.items()}
        assert set(recorded) == set(answers)
        for task, values in answers.items():
            np.testing.assert_allclose(values, recorded[task], rtol=1e-4)
        sizes.setdefault(request.model_spec.signature_name, []).append(size)
        if request.model_spec.signature_name != "rank":  # its rows are made of two requests
            for task, values in answers.items():
                np.testing.assert_allclose(values, [item["response"][task] for item in golden[:size]], rtol=1e-4)
    assert sizes == {name: [1, 16, 64] for name in ("serving_default", "serve_examples", "rank")}
