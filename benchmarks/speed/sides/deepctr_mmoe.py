"""DeepCTR's MMOE, trained by `model.fit`; run by the virtual environment that has DeepCTR.

    python deepctr_mmoe.py <task.json> <seed> <predictions.npy> <options as JSON>

Options: `jit_compile`, which DeepCTR's documentation does not use.
"""

import json
import os
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # DeepCTR knows Keras 2 only
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from deepctr.feature_column import SparseFeat
from deepctr.models import MMOE


def main(task_file: str, seed: str, output: str, options: str) -> None:
    with open(task_file) as file:
        task = json.load(file)
    arrays = np.load(task["arrays"])
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    tf.keras.utils.set_random_seed(int(seed))
    columns = [
        SparseFeat(name, vocabulary_size=rows, embedding_dim=task["embedding_dim"])
        for name, rows in zip(task["fields"], task["rows"], strict=True)
    ]
    model = MMOE(
        columns,
        num_experts=task["num_experts"],
        expert_dnn_hidden_units=tuple(task["expert_units"]),
        tower_dnn_hidden_units=tuple(task["tower_units"]),
        l2_reg_embedding=0,
        seed=int(seed),
        task_types=["binary"] * len(task["tasks"]),
        task_names=task["tasks"],
    )
    model.compile(
        tf.keras.optimizers.Adam(task["learning_rate"]),
        loss=["binary_crossentropy"] * len(task["tasks"]),
        **json.loads(options),
    )
    ids, labels = arrays["train_ids"], arrays["train_labels"]
    batch, warm_up = task["batch_size"], task["warm_up_steps"]
    batches = len(ids) // batch

    def ready(part: slice) -> tf.data.Dataset:
        """Whole batches, cut beforehand."""
        inputs = {
            name: ids[: batches * batch, k].reshape(batches, batch)[part] for k, name in enumerate(task["fields"])
        }
        targets = tuple(
            labels[: batches * batch, k].reshape(batches, batch, 1)[part] for k in range(len(task["tasks"]))
        )
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread may miss the end, and the epoch then seems twice as long
        return tf.data.Dataset.from_tensor_slices((inputs, targets)).with_options(options).prefetch(2)

    model.fit(ready(slice(warm_up)), verbose=0)
    everything = ready(slice(None))
    started = time.perf_counter(), time.process_time()
    model.fit(everything, verbose=0)
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    test = {name: arrays["test_ids"][:, k] for k, name in enumerate(task["fields"])}
    predictions = model.predict(test, batch_size=4096, verbose=0)
    np.save(output, np.concatenate(predictions, axis=1))
    print(json.dumps({"examples": batches * batch, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
