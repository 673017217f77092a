"""Requests that a server replays on loading a version, so that the first user does not wait."""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

WARMUP_FILE = "tf_serving_warmup_requests"
_BATCH_SIZES = (1, 16, 64)


def write_warmup(model_name: str, signature: str, features: Mapping[str, tf.Tensor], directory: Path) -> None:
    """Writes one Predict request per usual batch size, cut out of `features`, as TF Serving reads them."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    rows = int(next(iter(features.values())).shape[0])
    with tf.io.TFRecordWriter(str(directory / WARMUP_FILE)) as writer:
        for size in sorted({min(size, rows) for size in _BATCH_SIZES}):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, tensor in features.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor[:size]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
