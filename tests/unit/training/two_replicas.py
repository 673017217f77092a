"""A process with two CPU devices: trains on one and on both.

Arguments: data folder, one of fewer features for steps that have many passes and for a whole run, output folder.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tests.support.distributed_cases import train  # noqa: E402
from tests.support.tiny_problem import tiny_model, whole_split  # noqa: E402
from tfmtl.data import PreparedData  # noqa: E402
from tfmtl.export import export  # noqa: E402
from tfmtl.models import load  # noqa: E402
from tfmtl.models.feature_dropout import FeatureDropout  # noqa: E402
from tfmtl.sharpness import SAM  # noqa: E402
from tfmtl.training import TrainOptions, evaluate, fit, get_strategy  # noqa: E402


def added(data: PreparedData, strategy: str) -> dict[str, np.ndarray]:
    """A step of a model with a loss that a layer adds, on a batch whose halves are alike."""
    keras.utils.set_random_seed(0)
    with get_strategy(strategy).scope():
        model = tiny_model(data.inputs, "mmoe", load_balance_weight=5.0)
        model.compile(keras.optimizers.SGD(0.3))
    half = [{key: value[:30] for key, value in part.items()} for part in whole_split(data, "train")]
    batch = tf.nest.map_structure(lambda value: tf.concat([value, value], axis=0), tuple(half))
    start = model.get_weights()
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    return {f"added/{n}": new - old for n, (old, new) in enumerate(zip(start, model.get_weights(), strict=True))}


def flat(data: PreparedData, strategy: str) -> dict[str, np.ndarray]:
    """A step towards a flat minimum, rows of the tables included, on a batch that the replicas share unevenly."""
    found = {}
    for decomposed in (False, True):
        keras.utils.set_random_seed(0)
        with get_strategy(strategy).scope():
            model = tiny_model(data.inputs, "shared_bottom")
            sharpness = SAM(0.3, decomposed=decomposed, embeddings=True)
            model.compile(keras.optimizers.SGD(0.3), balancing="mgda", sharpness=sharpness)
        start = model.get_weights()
        model.fit(data.train(51).take(1), verbose=0)
        moved = [new - old for old, new in zip(start, model.get_weights(), strict=True)]
        found |= {f"flat {decomposed}/{n}": value for n, value in enumerate(moved)}
    return found


def dropped(data: PreparedData) -> list[list[int]]:
    """The ids that both replicas are left with of the same rows."""
    dropout = FeatureDropout(data.inputs, id_rate=0.4)
    features = whole_split(data, "train")[0]
    strategy = get_strategy("mirrored")
    step = tf.function(lambda: dropout(features, tf.constant(0))["user"])
    return [ids.numpy().tolist() for ids in strategy.experimental_local_results(strategy.run(step))]


def run(data: PreparedData, folder: Path) -> dict[str, object]:
    """`fit` itself on both devices: its model and the saved one, measured; and an export."""
    small = {"hidden_units": (16, 8), "tower_units": (8,)}
    chosen = {
        "strategy": "mirrored",
        "monitor_conflicts": True,
        "ema_momentum": 0.9,
        "id_dropout": 0.1,
        "field_dropout": 0.1,
        "label_smoothing": 0.05,
        "embedding_l2": 1e-5,
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warm_up": 2,
    }
    options = TrainOptions("shared_bottom", small, epochs=2, batch_size=50, **chosen)
    model = fit(data, folder / "run", options, verbose=0)
    saved = load(folder / "run" / "model.keras")
    return {
        "devices": len(get_strategy("mirrored").extended.worker_devices),
        "conflicts": [json.loads(line) for line in (folder / "run" / "conflict.jsonl").read_text().splitlines()],
        "dropped": dropped(data),
        "trained": evaluate(model, data),
        "saved": evaluate(saved, data),
        "version": str(export(model, data, folder / "model")),
    }


if __name__ == "__main__":
    prepared, small, output = PreparedData(sys.argv[1]), PreparedData(sys.argv[2]), Path(sys.argv[3])
    for strategy in ("one_device", "mirrored"):
        chosen = get_strategy(strategy)
        plain = train(prepared, chosen, "mmoe")
        # Its gradient depends on how the labels of the whole batch correlate, and its loss on all rows' parents.
        gates, chain = (
            train(prepared, chosen, preset, f"{preset}: ", all_weighted=True) for preset in ("dephn", "aitm")
        )
        np.savez(
            output / f"{strategy}.npz",
            **plain,
            **gates,
            **chain,
            **added(prepared, strategy),
            **flat(small, strategy),
        )
    (output / "run.json").write_text(json.dumps(run(small, output)))
