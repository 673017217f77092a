"""Trains and exports a retrieval model; `fit_retrieval` runs this file in a process of its own.

TFRS imports under Keras 2 alone, which `TF_USE_LEGACY_KERAS=1` chooses for a whole process.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from tfmtl.data import PreparedData
from tfmtl.retrieval.items import read_items
from tfmtl.retrieval.nearest import nearest
from tfmtl.retrieval.popularity import positive_counts, sampling_probabilities
from tfmtl.retrieval.recall import Search, recall
from tfmtl.retrieval.retrieval_module import RetrievalModule
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.retrieval.sides import item_features
from tfmtl.retrieval.two_tower import TwoTower

_READ_BATCH = 4096
_WATCHED = "recall@50"


def train(
    data: PreparedData,
    items_file: Path,
    output: Path,
    options: RetrievalOptions,
    on_epoch: Callable[[dict[str, Any]], object],
) -> None:
    """Trains, keeps the best epoch, and writes the SavedModel.

    Args:
        data: `PreparedData`.
        items_file: as `read_items` reads it.
        output: folder of the SavedModel.
        options: `RetrievalOptions`, resolved.
        on_epoch: called with what an epoch gave.
    """
    tf_keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    task, item = str(options.task), str(options.item)
    transform = data.transform()
    raw_items = read_items(data.problem, items_file)
    encoded_items = transform.encode_parts(raw_items, item_features(data.problem))
    item_ids: npt.NDArray[np.int32] = encoded_items[item].numpy()
    counts = positive_counts(data, task, item)
    probabilities = sampling_probabilities(counts, item_ids)
    model = TwoTower(data.inputs, options, tf.constant(probabilities, tf.float32))
    model.compile(optimizer=tf_keras.optimizers.Adagrad(options.learning_rate))
    best: tuple[float, Any] = (-1.0, None)

    def measure(epoch: int, logs: dict[str, Any]) -> None:
        nonlocal best
        found = recall(data, "valid", task, item, item_ids, _search(model, model.item(encoded_items), item_ids))
        on_epoch({"epoch": epoch + 1, "loss": float(logs["loss"]), **found})
        watched = found[_WATCHED] or 0.0  # without validation positives the last epoch is kept
        if watched >= best[0]:
            best = (watched, model.get_weights())

    batch_size = min(options.batch_size, int(counts.sum()))  # so that no row is in a batch twice
    model.fit(
        _positives(data, task, batch_size, options.seed),
        epochs=options.epochs,
        steps_per_epoch=-(-int(counts.sum()) // batch_size),
        callbacks=[tf_keras.callbacks.LambdaCallback(on_epoch_end=measure)],
        verbose=0,
    )
    model.set_weights(best[1])
    index = tfrs.layers.factorized_top_k.BruteForce()
    index.index(model.item(encoded_items))
    module = RetrievalModule(
        data.problem,
        item,
        transform,
        lambda encoded: model.user(encoded) / options.temperature,
        model.item,
        lambda queries, k: index(queries, k=k),
        [*model.user.variables, *model.item.variables, *index.variables],
        raw_items,
    )
    tf.saved_model.save(module, str(output), signatures=module.signatures())


def _search(model: TwoTower, vectors: tf.Tensor, item_ids: npt.NDArray[np.int32]) -> Search:
    """An exact search among items of these vectors."""

    def index(queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        scores, rows = tf.math.top_k(tf.matmul(queries, vectors, transpose_b=True), k)
        return scores, rows

    return lambda user, k: nearest(index, model.user(user), k, tf.constant(item_ids))


def _positives(data: PreparedData, task: str, batch_size: int, seed: int) -> tf.data.Dataset:
    """The positive rows of one epoch after the other, in batches; their order follows from the seed."""

    def keep(features: dict[str, tf.Tensor], labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        is_positive = labels[task] == 1.0
        return {name: tf.boolean_mask(values, is_positive) for name, values in features.items()}

    return data.train_epochs(_READ_BATCH, seed).map(keep).rebatch(batch_size).prefetch(tf.data.AUTOTUNE)


def _main(job: str) -> None:
    facts = json.loads(job)
    options = RetrievalOptions(**{**facts["options"], "hidden_units": tuple(facts["options"]["hidden_units"])})
    data = PreparedData(facts["data"])
    train(
        data, Path(facts["items"]), Path(facts["output"]), options, lambda epoch: print(json.dumps(epoch), flush=True)
    )


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except Exception as error:  # whatever it is, the caller reports it in one line
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else error!r}")
