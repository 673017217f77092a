"""The first calls of a version, made before a client's."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfmtl.folders import ExportedVersion
from tfmtl.serving.protocol.tensor_proto import tensor_to_array
from tfmtl.serving.server.served_model import ServedModel

_MAX_REQUESTS = 1000  # TF Serving's limit


def warm_up(model: ServedModel, directory: Path) -> int:
    """Replays the recorded requests of an export, so that no client waits for a first call.

    Args:
        model: ServedModel. The loaded version.
        directory: Path. Its export. Its warm-up requests are a TFRecord file of `PredictionLog`; only Predict requests
            are replayed.

    Returns:
        The number of requests replayed; 0 if there is no such file.

    Raises:
        ServingError: if the model rejects a request. As in TF Serving, the version then fails to load.
        ValueError: if a request holds a malformed tensor.
    """
    path = ExportedVersion(directory).warmup
    if not path.is_file():
        return 0
    num_requests = 0
    for record in tf.data.TFRecordDataset(str(path)).take(_MAX_REQUESTS):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        if log.HasField("predict_log"):
            request = log.predict_log.request
            inputs = {name: tensor_to_array(tensor) for name, tensor in request.inputs.items()}
            model.predict(request.model_spec.signature_name, inputs, request.output_filter)
            num_requests += 1
    return num_requests
