"""Replay the warm-up requests of an exported version; `verify` runs this file in a separate process.

For exports whose requests are tensors: the recorded requests hold the right answers too.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmtl.export.serving_messages import message_class
from tfmtl.export.verify import Verification
from tfmtl.folders import ExportedVersion


def replay_recorded(version: Path) -> Verification:
    """Sends every recorded request through its signature and compares with the recorded answer.

    Raises:
        ValueError: there is no recorded request.
    """
    prediction_log = message_class("PredictionLog")
    loaded = tf.saved_model.load(str(version))
    path = ExportedVersion(version).warmup
    differences: dict[str, float] = {}
    count = 0
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log.FromString(record.numpy()).predict_log
        name = log.request.model_spec.signature_name
        outputs = loaded.signatures[name](**{key: tf.make_ndarray(value) for key, value in log.request.inputs.items()})
        for key, value in log.response.outputs.items():
            expected = tf.make_ndarray(value)
            gap = np.abs(outputs[key].numpy() - expected) / np.maximum(1.0, np.abs(expected))
            differences[name] = float(np.maximum(differences.get(name, 0.0), np.max(gap)))  # NaN stays
        count += 1
    if not count:
        raise ValueError(f"'{path}' holds no request")
    return Verification(count, differences)


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(replay_recorded(Path(sys.argv[1])))))
    except Exception as error:  # whatever it is, the caller reports it in one line
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else error!r}")
