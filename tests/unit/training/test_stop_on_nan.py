"""The first task whose loss is no number is named, with the step."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.training import TrainingError
from tfmtl.training.stop_on_nan import StopOnNaN


@pytest.mark.parametrize(("task", "label"), [("watch", 1e30), ("click", math.inf)])
def test_names_the_task_and_the_step(tiny_data: PreparedData, task: str, label: float) -> None:
    features, labels = whole_split(tiny_data, "train")
    values = labels[task].numpy()
    values[130] = label
    model = tiny_model(tiny_data.inputs)
    model.compile()
    batches = tf.data.Dataset.from_tensor_slices((features, {**labels, task: values})).batch(60)
    with pytest.raises(TrainingError) as caught:
        model.fit(batches, epochs=2, verbose=0, callbacks=[StopOnNaN()])
    assert str(caught.value).startswith(f"fit: the loss of ['{task}'] must be finite. Received: {{")
    assert f"'{task}/loss': " in str(caught.value)
    assert str(caught.value).endswith(
        "at step 3 of epoch 1. Lower `learning_rate`, set `clip_norm`, or look for extreme labels and features."
    )


def test_validation_counts_too() -> None:
    callback = StopOnNaN()
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, {"loss": 1.0, "buy/auc": np.nan, "val_loss": 2.0})
    callback.on_epoch_begin(1)
    with pytest.raises(TrainingError) as caught:
        callback.on_epoch_end(1, {"loss": 1.0, "val_buy/loss": np.nan, "val_loss": np.nan})
    assert str(caught.value).startswith(
        "fit: the loss of ['buy'] must be finite. Received: {'val_buy/loss': nan, 'val_loss': nan} "
        "at the validation after epoch 2."
    )


def test_a_loss_that_layers_added_has_no_task() -> None:
    callback = StopOnNaN()
    callback.on_epoch_begin(0)
    with pytest.raises(TrainingError, match=r"fit: the loss of the layers must be finite. Received: {'loss': inf} at"):
        callback.on_train_batch_end(0, {"loss": np.inf, "buy/loss": 1.0})
