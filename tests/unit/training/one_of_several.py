"""One worker of several. Arguments: data folder, output folder, cases with commas between."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.support.distributed_cases import RUN, found_alone, small_model
from tests.support.tiny_problem import whole_split
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.training import StopOnNaN, TrainingError, evaluate, fit, get_strategy, predict


def main(data: PreparedData, output: Path, everything: bool) -> None:
    """Writes what this worker found to a file of its own."""
    strategy = get_strategy("multi_worker")  # before TensorFlow computes anything
    name = f"worker_{json.loads(os.environ['TF_CONFIG'])['task']['index']}"
    found = found_alone(data, strategy, everything)
    if everything:
        model = fit(data, output / "run", RUN, verbose=2)
        (output / f"{name}.json").write_text(json.dumps({"report": evaluate(model, data), **faults(data, strategy)}))
        found |= {f"run/{task}": values for task, values in predict(model, data, "test")["predictions"].items()}
    np.savez(output / f"{name}.npz", **found)


def faults(data: PreparedData, strategy: tf.distribute.Strategy) -> dict[str, str]:
    """What is raised where one worker's rows hold a label that is infinite."""
    features, labels = whole_split(data, "train")
    labels["watch"] = tf.where(np.arange(360) % 60 == 59, np.inf, labels["watch"])
    model: MultiTaskModel = small_model(data, strategy, "shared_bottom", {})
    batches = tf.data.Dataset.from_tensor_slices((features, labels)).batch(60)
    try:
        model.fit(batches, callbacks=[StopOnNaN()], verbose=0)
    except TrainingError as error:
        return {"error": str(error)}
    return {}


if __name__ == "__main__":
    main(PreparedData(sys.argv[1]), Path(sys.argv[2]), everything=sys.argv[3] == "everything")
