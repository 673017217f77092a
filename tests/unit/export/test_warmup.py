"""The warm-up file holds requests as TensorFlow Serving reads them."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature


def test_requests_of_usual_sizes(version: Path, tiny_data: PreparedData, golden: list) -> None:
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    signature = raw_signature(tiny_data.problem)
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    sizes = []
    for log in logs:
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("tiny", "serving_default")
        assert set(request.inputs) == set(signature)
        tensors = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        for name, spec in signature.items():
            assert spec.is_compatible_with(tensors[name]), name
        answers = serve(**tensors)
        sizes.append(len(tensors["user"]))
        for task, values in answers.items():
            np.testing.assert_allclose(values, [item["response"][task] for item in golden[: sizes[-1]]], rtol=1e-4)
    assert sizes == [1, 16, 64]
