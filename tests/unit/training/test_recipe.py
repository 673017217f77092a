"""The options against memorizing: each does what it says, and a run that was cut off ends with the same bits."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import load
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.training import TrainOptions, fit
from tfmtl.training.make_optimizers import make_optimizers, without_decay
from tfmtl.training.relative_loss import ConstantLosses, constant_losses, worse_than_a_constant
from tfmtl.training.run_folder import RunFolder

SMALL = {"hidden_units": (16, 8), "tower_units": (8,)}


def options(**changes: Any) -> TrainOptions:
    given = {"epochs": 2, "batch_size": 60, "learning_rate": 0.02, "checkpoint_every": 1, **changes}
    return TrainOptions("shared_bottom", SMALL, **given)


class CutOff(keras.callbacks.Callback):
    """Ends the process's call of `fit` in the middle, as a kill does."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1


RECIPES = {
    "schedule": {"schedule": "cosine", "warm_up": 3, "weight_decay": 0.1, "optimizer": "adam_adagrad"},
    "dropout": {"id_dropout": 0.2, "field_dropout": 0.1, "label_smoothing": 0.1, "embedding_l2": 1e-3},
    "evaluation": {
        "evaluate_every": 4,
        "ema_momentum": 0.9,
        "monitor": "val_mean_auc",
        "sharpness": "sam",
        "id_dropout": 0.2,
    },
}


@pytest.fixture(scope="module")
def plain(small_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """The weights of a run without a recipe."""
    return fit(small_data, tmp_path_factory.mktemp("plain"), options(), verbose=0).get_weights()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_was_cut_off_ends_with_the_same_bits(
    small_data: PreparedData, plain: list[np.ndarray], tmp_path: Path, recipe: str
) -> None:
    chosen = options(**RECIPES[recipe])
    whole = fit(small_data, tmp_path / "whole", chosen, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        fit(small_data, tmp_path / "cut", chosen, [CutOff(7)], verbose=0)
    cut = fit(small_data, tmp_path / "cut", chosen, verbose=0)
    for one, other in zip(whole.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    first, second = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "cut"))
    assert first["history"] == second["history"]
    assert any(np.any(one != other) for one, other in zip(whole.get_weights(), plain, strict=True))
    load(tmp_path / "whole" / "model.keras")


def test_validation_may_come_more_often_and_the_kept_one_is_named(
    small_data: PreparedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = options(evaluate_every=4, patience=9)  # six steps an epoch
    fit(small_data, tmp_path, chosen, verbose=2)
    record = json.loads((tmp_path / "run.json").read_text())
    assert all(len(values) == 3 for values in record["history"].values())
    relative = record["history"]["val_mean_relative_loss"]
    constants = record["constant_losses"]
    assert set(constants) == {"click", "buy", "watch"}
    for n, value in enumerate(relative):
        by_task = [record["history"][f"val_{name}/loss"][n] / loss for name, loss in constants.items()]
        assert value == pytest.approx(np.mean(by_task))
    kept = ("0.67", "1.33", "2")[int(np.argmin(relative))]
    said = capsys.readouterr().out
    assert f"Kept epoch {kept} of 2: val_mean_relative_loss {min(relative):.4f} is the best." in said
    assert f"Beside it: val_mean_auc {record['history']['val_mean_auc'][int(np.argmin(relative))]:.4f}." in said


def test_the_constants_loss_is_that_of_the_training_mean(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs, "shared_bottom")
    found = constant_losses(model, small_data.valid(50)).losses
    labels = whole_split(small_data, "valid")[1]
    for task in ("click", "buy"):
        known = np.asarray(labels[task])
        known, mean = known[~np.isnan(known)], small_data.inputs.label_means[task]
        expected = -np.mean(known * np.log(mean) + (1 - known) * np.log(1 - mean))
        assert found[task] == pytest.approx(expected, rel=1e-4)
    watch = np.asarray(labels["watch"])
    mean, deviation = small_data.inputs.label_means["watch"], small_data.inputs.label_deviations["watch"]
    assert found["watch"] == pytest.approx(np.nanmean(((watch - mean) / deviation) ** 2), rel=1e-4)


def test_densities_and_a_constant_without_loss_are_compared_by_difference() -> None:
    constants = ConstantLosses({"click": 0.5, "amount": -2.0, "age": 0.01, "same": 0.0}, frozenset({"amount", "age"}))
    logs = {"val_click/loss": 0.4, "val_amount/loss": -2.5, "val_age/loss": -0.29, "val_same/loss": 0.2}
    assert constants.relative(logs) == pytest.approx({"click": 0.8, "amount": 0.5, "age": 0.7, "same": 1.2})
    as_good = {f"val_{name}/loss": loss for name, loss in constants.losses.items()}
    assert constants.relative(as_good) == pytest.approx(dict.fromkeys(constants.losses, 1.0))


def test_a_model_worse_than_a_constant_is_said_so_in_one_line() -> None:
    assert worse_than_a_constant({"click": 0.98, "buy": 1.0}) is None
    said = worse_than_a_constant({"click": 0.98, "buy": 1.02, "watch": 1.5})
    assert said is not None
    assert said.endswith("buy 1.0200, watch 1.5000.")
    assert "\n" not in said


def test_labels_are_smoothed_towards_their_mean_in_the_training_loss_alone(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs, "shared_bottom")
    model.compile(label_smoothing=0.2)
    features, labels = whole_split(small_data, "train")
    raw = model.raw_outputs(features)

    def losses(training: bool) -> np.ndarray:
        return BatchLosses(model, features, labels, None, training=training).of(raw, [])[2].numpy()

    for task, value, plain in zip(("click", "buy", "watch"), losses(True), losses(False), strict=True):
        label, logit = np.asarray(labels[task], np.float64), np.asarray(raw[task], np.float64)
        known = ~np.isnan(label)
        if task == "watch":
            assert value == plain
            continue
        smooth = 0.8 * label[known] + 0.2 * small_data.inputs.label_means[task]
        for wanted, given in ((value, smooth), (plain, label[known])):
            expected = np.mean(np.logaddexp(0.0, logit[known]) - given * logit[known])
            assert wanted == pytest.approx(expected, rel=1e-4)


def test_weight_decay_leaves_tables_biases_and_norms_alone(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs, "dtrn")
    dense, tables = make_optimizers(options(weight_decay=0.5, optimizer="sgd", learning_rate=0.1), 10)
    dense.exclude_from_weight_decay(without_decay(model))
    model.compile(dense, tables)
    model.optimizer.build(model.trainable_variables)
    before = [weight.numpy() for weight in model.trainable_variables]
    model.optimizer.apply_gradients([(tf.zeros(weight.shape), weight) for weight in model.trainable_variables])
    spared = {id(weight) for weight in (*without_decay(model), *model.embedding.tables.values())}
    assert spared
    for weight, old in zip(model.trainable_variables, before, strict=True):
        factor = 1.0 if id(weight) in spared else 1.0 - 0.1 * 0.5
        np.testing.assert_allclose(weight.numpy(), factor * old, rtol=1e-5, atol=1e-8, err_msg=weight.path)


@pytest.mark.parametrize("name", ["adam", "adam_adagrad", "adam_row_wise_adagrad", "adagrad", "sgd"])
def test_every_optimizer_is_made(name: str) -> None:
    dense, tables = make_optimizers(options(optimizer=name, embedding_l2=0.1), 10)
    assert type(dense).__name__.lower() == name.partition("_")[0]
    assert tables.l2 == 0.1


def test_a_run_of_before_there_was_an_option_had_its_default(small_data: PreparedData, tmp_path: Path) -> None:
    chosen = options(epochs=1, schedule="constant", id_dropout=0.0)
    fit(small_data, tmp_path, chosen, verbose=0)
    record = json.loads((tmp_path / "run.json").read_text())
    del record["options"]["id_dropout"], record["options"]["schedule"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert RunFolder(tmp_path, chosen, small_data).is_finished()
    assert not RunFolder(tmp_path, options(epochs=1, schedule="constant"), small_data).is_finished()
    assert not RunFolder(tmp_path, options(epochs=1), small_data).is_finished()  # today's default is another


def test_errors() -> None:
    for argument, value, text in (
        ("optimizer", "adamm", "must be one of"),
        ("schedule", "linear", "must be one of"),
        ("warm_up", -1, "must be"),
        ("final_rate", 2.0, "must be at most 1"),
        ("weight_decay", -1.0, "must be"),
        ("id_dropout", 1.0, "must lie in"),
        ("label_smoothing", -0.1, "must lie in"),
        ("evaluate_every", 1.5, "must be a whole number of steps, or at most 1"),
    ):
        with pytest.raises(ValueError, match=f"TrainOptions: `{argument}` {text}"):
            options(**{argument: value})
