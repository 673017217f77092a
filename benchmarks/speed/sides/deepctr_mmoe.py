"""DeepCTR's MMOE, trained by `model.fit`; run by the virtual environment that has DeepCTR.

Where the task has histories, the attention of DeepCTR's DIN stands in front of MMOE's experts, both from DeepCTR's
own layers.

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
from deepctr.feature_column import SparseFeat, VarLenSparseFeat, build_input_features
from deepctr.inputs import create_embedding_matrix, embedding_lookup
from deepctr.layers.core import DNN, PredictionLayer
from deepctr.layers.sequence import AttentionSequencePoolingLayer
from deepctr.layers.utils import combined_dnn_input, concat_func
from deepctr.models import MMOE


def _model(task: dict, seed: int) -> tf.keras.Model:
    columns = [
        SparseFeat(name, vocabulary_size=rows, embedding_dim=task["embedding_dim"])
        for name, rows in zip(task["fields"], task["rows"], strict=True)
    ]
    if "history" in task:
        return _din_mmoe(task, columns, seed)
    return MMOE(
        columns,
        num_experts=task["num_experts"],
        expert_dnn_hidden_units=tuple(task["expert_units"]),
        tower_dnn_hidden_units=tuple(task["tower_units"]),
        l2_reg_embedding=0,
        seed=seed,
        task_types=["binary"] * len(task["tasks"]),
        task_names=task["tasks"],
    )


def _din_mmoe(task: dict, columns: list, seed: int) -> tf.keras.Model:
    """`deepctr.models.DIN` up to its attention, then `deepctr.models.MMOE` from its experts on."""
    name, keras = task["history"], tf.keras
    item = columns[task["fields"].index(name)]
    past = SparseFeat(f"hist_{name}", item.vocabulary_size, item.embedding_dim, embedding_name=name)
    past = VarLenSparseFeat(past, maxlen=task["length"])
    features = build_input_features([*columns, past])
    tables = create_embedding_matrix([*columns, past], 0, seed, prefix="")
    query = embedding_lookup(tables, features, columns, [name], [name], to_list=True)
    keys = embedding_lookup(tables, features, [past], [past.name], [past.name], to_list=True)
    fields = embedding_lookup(tables, features, columns, mask_feat_list=[name], to_list=True)
    attention = AttentionSequencePoolingLayer(
        tuple(task["attention_units"]), "relu", weight_normalization=True, supports_masking=True
    )
    seen = attention([concat_func(query, mask=True), concat_func(keys, mask=True)])
    joined = combined_dnn_input([keras.layers.Flatten()(concat_func([concat_func(fields), seen]))], [])
    experts = [DNN(tuple(task["expert_units"]), "relu", seed=seed)(joined) for _ in range(task["num_experts"])]
    experts = keras.layers.Lambda(lambda each: tf.stack(each, axis=1))(experts)
    outputs = []
    for each in task["tasks"]:
        gate = keras.layers.Dense(task["num_experts"], use_bias=False, activation="softmax")(joined)
        mixed = keras.layers.Lambda(lambda x: tf.reduce_sum(x[0] * x[1][..., tf.newaxis], axis=1))([experts, gate])
        logit = keras.layers.Dense(1, use_bias=False)(DNN(tuple(task["tower_units"]), "relu", seed=seed)(mixed))
        outputs.append(PredictionLayer("binary", name=each)(logit))
    return keras.Model(list(features.values()), outputs)


def main(task_file: str, seed: str, output: str, options: str) -> None:
    with open(task_file) as file:
        task = json.load(file)
    arrays = np.load(task["arrays"])
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    tf.keras.utils.set_random_seed(int(seed))
    model = _model(task, int(seed))
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
        if "history" in task:
            past = arrays["train_history"][: batches * batch].reshape(batches, batch, -1)
            inputs[f"hist_{task['history']}"] = past[part]
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
    if "history" in task:
        test[f"hist_{task['history']}"] = arrays["test_history"]
    predictions = model.predict(test, batch_size=4096, verbose=0)
    np.save(output, np.concatenate(predictions, axis=1))
    print(json.dumps({"examples": batches * batch, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
