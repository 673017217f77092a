"""The chief, a worker or a server of a cluster. Arguments: data folder, output folder."""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, load
from tfmtl.training import TrainOptions, evaluate, fit, get_strategy

EPOCHS, BATCH = 8, 20
OPTIONS = TrainOptions(
    "shared_bottom",
    {
        "hidden_units": (16, 8),
        "tower_units": (8,),
        "number_bins": 0,
    },  # bins want smaller rates
    epochs=EPOCHS,
    batch_size=BATCH,
    learning_rate=0.01,
    schedule="constant",
    id_dropout=0.0,  # few rows, of which every id counts
    patience=EPOCHS,
)


class AskForAKill(keras.callbacks.Callback):
    """In the second epoch, says so and waits until a worker has been killed; counts the steps that Keras asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._epoch = 0
        self.steps = 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps += 1
        if (self._epoch, batch) == (1, 3):
            (self._folder / "kill").touch()
            while not (self._folder / "killed").exists():
                time.sleep(0.05)


def main(data: PreparedData, output: Path) -> None:
    """What the chief does; the others serve it."""
    strategy = get_strategy("parameter_server")
    with strategy.scope():
        taken = tf.Variable(0)  # counted on a server, where no two workers can count at a time
        model = tiny_model(data.inputs, "shared_bottom", number_bins=0)
        model.compile()
        model.build()
    train_step = MultiTaskModel.train_step

    def counted(self: MultiTaskModel, batch: Any) -> Any:
        taken.assign_add(1)
        return train_step(self, batch)

    tables = model.embedding.tables
    start = {width: table.numpy() for width, table in tables.items()}
    devices = {variable.path: variable.value.device for variable in model.variables}
    counter = AskForAKill(output)
    features, labels = ({name: values[:BATCH] for name, values in part.items()} for part in whole_split(data, "train"))
    read = {width: ids.numpy() for width, ids in model.embedding.row_ids(features).items()}
    model.fit(tf.data.Dataset.from_tensors((features, labels)).repeat(3), verbose=0)
    moved = {width: np.any(table.numpy() != start[width], axis=1) for width, table in tables.items()}
    MultiTaskModel.train_step = counted
    options = dataclasses.replace(OPTIONS, strategy="parameter_server")
    trained = fit(data, output / "run", options, callbacks=[counter], verbose=2)
    found = {
        "devices": devices,
        "table_shapes": [list(table.shape) for table in tables.values()],
        "whole_reads": whole_reads(model),
        "moved_unread": {width: int(np.sum(np.delete(rows, np.unique(read[width])))) for width, rows in moved.items()},
        "moved_read": {width: int(np.sum(rows[np.unique(read[width])])) for width, rows in moved.items()},
        "steps": counter.steps,
        "taken": int(taken.numpy()),
        "run": str(output / "run"),
        "loss": training_loss(trained, data),
        "trained": evaluate(trained, data),
        "saved": evaluate(load(output / "run" / "model.keras"), data),
    }
    (output / "found.json").write_text(json.dumps(found))


def training_loss(model: MultiTaskModel, data: PreparedData) -> float:
    """The sum of the tasks' losses over the training split, of the weights as they stand."""
    features, labels = whole_split(data, "train")
    losses = model.task_losses(model.raw_outputs(features), labels)
    return float(sum(task.weight * losses[task.name] for task in data.problem.tasks))


def whole_reads(model: keras.Model) -> list[list[int]]:
    """Shapes of what a step reads whole."""
    graphs = [function.graph for function in model.train_function._on_worker._list_all_concrete_functions()]
    reads = [op for graph in graphs for op in graph.get_operations() if op.type == "ReadVariableOp"]
    return [op.outputs[0].shape.as_list() for op in reads]


if __name__ == "__main__":
    main(PreparedData(sys.argv[1]), Path(sys.argv[2]))
