"""tfmtl's `mmoe` preset, trained by `model.fit`; with target attention where the task has histories.

    python tfmtl_mmoe.py <task.json> <seed> <predictions.npy> <options as JSON>

Options: `policy`, a Keras dtype policy; all others are arguments of `compile`.
"""

import json
import sys
import time

import numpy as np

from tfmtl.pipelines.cli.quiet_start import start_tensorflow


def main(task_file: str, seed: str, output: str, options: str) -> None:
    start_tensorflow()
    import keras
    import tensorflow as tf

    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, ModelInputs, Problem, SequenceFeature

    with open(task_file) as file:
        task = json.load(file)
    arrays = np.load(task["arrays"])
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    keras.utils.set_random_seed(int(seed))
    arguments = json.loads(options)
    keras.config.set_dtype_policy(arguments.pop("policy", "float32"))
    history = task.get("history")
    sequences = ()
    if history:
        sequences = (SequenceFeature("seen", (history,), max_length=task["length"], time_gap_buckets=0),)
    problem = Problem(
        name="census",
        keys=Keys(user="person", time="time"),
        features=tuple(CategoricalFeature(name, dim=task["embedding_dim"]) for name in task["fields"]),
        sequences=sequences,
        tasks=tuple(BinaryTask(name) for name in task["tasks"]),
    )
    inputs = ModelInputs(
        problem,
        dict(zip(task["fields"], task["rows"], strict=True)),
        dict(zip(task["tasks"], task["label_means"], strict=True)),
        {},
    )
    model = from_preset(
        "mmoe",
        inputs,
        num_experts=task["num_experts"],
        hidden_units=tuple(task["expert_units"]),
        tower_units=tuple(task["tower_units"]),
        **({"pooling": "target"} if history else {}),
    )
    model.compile(keras.optimizers.Adam(task["learning_rate"]), **arguments)
    ids, labels = arrays["train_ids"], arrays["train_labels"]
    batch, warm_up = task["batch_size"], task["warm_up_steps"]
    batches = len(ids) // batch

    def ready(part: slice) -> tf.data.Dataset:
        """Whole batches, cut beforehand."""
        features = {
            name: ids[: batches * batch, k].reshape(batches, batch)[part] for k, name in enumerate(task["fields"])
        }
        if history:
            past = arrays["train_history"][: batches * batch].reshape(batches, batch, -1)
            features[f"seen__{history}"] = past[part]
        targets = {
            name: labels[: batches * batch, k].reshape(batches, batch)[part] for k, name in enumerate(task["tasks"])
        }
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread may miss the end, and the epoch then seems twice as long
        return tf.data.Dataset.from_tensor_slices((features, targets)).with_options(options).prefetch(2)

    model.fit(ready(slice(warm_up)), verbose=0)
    everything = ready(slice(None))
    started = time.perf_counter(), time.process_time()
    model.fit(everything, verbose=0)
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    test = {name: arrays["test_ids"][:, k] for k, name in enumerate(task["fields"])}
    if history:
        test[f"seen__{history}"] = arrays["test_history"]
    predictions = model.predict(test, batch_size=4096, verbose=0)
    np.save(output, np.stack([predictions[name] for name in task["tasks"]], axis=1))
    print(json.dumps({"examples": batches * batch, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
