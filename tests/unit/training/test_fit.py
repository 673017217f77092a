"""One training run: what it writes, which epoch it keeps, and what happens when it cannot."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from tests.support.tiny_problem import keyless_problem, plain_problem, prepare, small_problem, tiny_problem
from tfmtl.core.folder_lock import locked_folder
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, load
from tfmtl.schema import BinaryTask
from tfmtl.training import TrainingError, TrainOptions, evaluate, fit
from tfmtl.training.training_state import read_progress

RUN_FILES = {"model.keras", "history.csv", "run.json", "tensorboard"}
SMALL = {"hidden_units": (16, 8), "tower_units": (8,)}


def options(**changes) -> TrainOptions:
    """A run of seconds."""
    defaults = {"preset": "shared_bottom", "preset_options": SMALL, "epochs": 1, "batch_size": 120}
    return TrainOptions(**{**defaults, **changes})


def assert_same_weights(one: MultiTaskModel, other: MultiTaskModel) -> None:
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


class Run:
    """A run long enough to get worse again on the validation split."""

    def __init__(self, data: PreparedData, folder: Path) -> None:
        self.options = options(epochs=30, learning_rate=0.05, monitor="val_loss", patience=2, seed=3, batch_size=60)
        self.folder = folder
        self.model = fit(data, folder, self.options, verbose=0)
        self.record = json.loads((folder / "run.json").read_text())
        self.history = self.record["history"]


@pytest.fixture(scope="module")
def run(small_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(small_data, tmp_path_factory.mktemp("run") / "new" / "folder")


# === What a run leaves ===


def test_run_folder(run: Run) -> None:
    assert {path.name for path in run.folder.iterdir()} == RUN_FILES


def test_record(run: Run, small_data: PreparedData) -> None:
    record = run.record
    assert record["model"] == "shared_bottom"
    assert TrainOptions(**{**record["options"], "preset_options": SMALL}) == run.options
    assert (record["monitor"], record["data"]) == ("val_loss", str(small_data.directory))
    assert record["fingerprint"] == small_data.problem.fingerprint
    assert record["parameters"] == run.model.count_params()
    assert record["seconds"] > 0
    epochs = len(run.history["loss"])
    # A whole number: of a slow machine's few examples, the rounding is a larger part.
    assert record["examples_per_second"] == pytest.approx(360 * epochs / record["seconds"], rel=0.05, abs=0.5)
    assert record["versions"]["keras"] == keras.__version__
    assert {"loss", "click/auc", "val_watch/rmse", "val_mean_auc"} <= set(run.history)


def test_history_file(run: Run) -> None:
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(len(run.history["loss"])))
    for name, values in run.history.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)


@pytest.mark.parametrize(("split", "prefix"), [("train", ""), ("validation", "val_")])
def test_tensorboard(run: Run, split: str, prefix: str) -> None:
    [path] = (run.folder / "tensorboard" / split).glob("events*")
    found: dict[str, list[float]] = {}
    for record in tf.data.TFRecordDataset(str(path)):
        for value in event_pb2.Event.FromString(record.numpy()).summary.value:
            found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    for name in ("loss", "click/auc", "watch/rmse"):
        np.testing.assert_allclose(found[f"epoch_{name}"], run.history[prefix + name], rtol=1e-6)


# === Which epoch counts ===


def test_stops_early_and_keeps_the_best_epoch(run: Run, small_data: PreparedData) -> None:
    losses = run.history["val_loss"]
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1, "or the test shows nothing"
    assert len(losses) == best + 1 + run.options.patience < run.options.epochs
    saved = load(run.folder / "model.keras")
    assert_same_weights(saved, run.model)
    measured = saved.evaluate(small_data.valid(4096), verbose=0, return_dict=True)
    for name, value in measured.items():
        assert value == pytest.approx(run.history[f"val_{name}"][best], rel=1e-5), name
    assert int(saved.optimizer.iterations) == (best + 1) * 6


def test_a_metric_that_rises_may_decide(small_data: PreparedData, tmp_path: Path) -> None:
    model = fit(small_data, tmp_path, options(epochs=3, learning_rate=0.02, monitor="val_mean_auc"), verbose=0)
    record = json.loads((tmp_path / "run.json").read_text())
    aucs = record["history"]["val_mean_auc"]
    assert record["monitor"] == "val_mean_auc"
    assert max(aucs) != min(aucs)
    measured = model.evaluate(small_data.valid(4096), verbose=0, return_dict=True)
    assert measured["mean_auc"] == pytest.approx(max(aucs), abs=1e-6)


@pytest.mark.parametrize("tasks", [("watch",), ("click", "buy", "watch")])
def test_all_tasks_losses_relative_to_a_constants_decide(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    data = prepare(tmp_path, replace(small_problem(), tasks=tuple(tiny_problem().task(name) for name in tasks)))
    model = fit(data, tmp_path / "run", options(epochs=3, learning_rate=0.05), verbose=0)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["monitor"] == "val_mean_relative_loss"
    assert set(record["constant_losses"]) == set(tasks)
    values = record["history"]["val_mean_relative_loss"]
    assert max(values) != min(values)
    measured = model.evaluate(data.valid(4096), verbose=0, return_dict=True)
    by_task = [measured[f"{name}/loss"] / record["constant_losses"][name] for name in tasks]
    assert np.mean(by_task) == pytest.approx(min(values), rel=1e-5)


def test_without_validation_the_last_epoch_counts(tmp_path: Path) -> None:
    data = prepare(tmp_path, keyless_problem())
    model = fit(data, tmp_path / "run", options(epochs=2), verbose=0)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["monitor"] is None
    assert len(record["history"]["loss"]) == 2
    assert not any(name.startswith("val_") for name in record["history"])
    assert_same_weights(load(tmp_path / "run" / "model.keras"), model)
    with pytest.raises(
        ValueError, match=r"fit: `monitor` must be None without validation examples. Received: monitor="
    ):
        fit(data, tmp_path / "other", options(monitor="val_loss"), verbose=0)


# === Seeds ===


def test_xla_gives_the_same_bits_every_time(small_data: PreparedData, tmp_path: Path) -> None:
    chosen = options(preset="mmoe", jit_compile=True)
    one, other = (fit(small_data, tmp_path / name, chosen, verbose=0) for name in "ab")
    assert one.compiles_with_xla  # which Keras would switch off
    assert_same_weights(one, other)


def test_seed_decides_the_model(small_data: PreparedData, tmp_path: Path, run: Run) -> None:
    keras.utils.set_random_seed(99)  # what was drawn before must not matter
    again = fit(small_data, tmp_path / "again", run.options, verbose=0)
    assert_same_weights(again, run.model)
    other = fit(small_data, tmp_path / "other", options(seed=4), verbose=0)
    assert any(np.any(one != two) for one, two in zip(other.get_weights(), run.model.get_weights(), strict=True))


# === When it cannot go on ===


@pytest.mark.parametrize(("monitor", "hint"), [("val_click/auk", "val_click/auc"), ("loss", "val_loss")])
def test_unknown_monitor_stops_before_training(
    small_data: PreparedData, tmp_path: Path, monitor: str, hint: str
) -> None:
    with pytest.raises(ValueError) as caught:
        fit(small_data, tmp_path, options(monitor=monitor), verbose=0)
    assert str(caught.value).startswith("fit: `monitor` must be one of ['val_loss', 'val_click/loss', ")
    assert str(caught.value).endswith(f"Received: monitor={monitor!r}. Use one of these. Did you mean {hint!r}?")
    assert not list(tmp_path.iterdir())


def test_unknown_preset_option_stops_before_training(small_data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="from_preset: `options` must be among"):
        fit(small_data, tmp_path, options(preset_options={"units": 3}), verbose=0)
    assert not list(tmp_path.iterdir())


class Stumble(keras.callbacks.Callback):
    """Fails at the end of the second epoch, when the first has been kept."""

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch == 1:
            raise OSError("the disk is full")


def test_an_older_model_survives_a_run_that_dies(plain_data: PreparedData, tmp_path: Path) -> None:
    fit(plain_data, tmp_path, options(), verbose=0)
    before = {name: (tmp_path / name).read_bytes() for name in ("model.keras", "run.json")}
    with pytest.raises(OSError, match="the disk is full"):
        fit(plain_data, tmp_path, options(epochs=3, seed=1), callbacks=[Stumble()], verbose=0)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    fit(plain_data, tmp_path, options(epochs=1, seed=1), verbose=0)
    assert (tmp_path / "model.keras").read_bytes() != before["model.keras"]
    assert not list(tmp_path.glob("*partial*"))


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the second epoch, when the first has been kept."""

    def on_epoch_begin(self, epoch, logs=None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_run_leaves_no_half_model_and_goes_on(
    plain_data: PreparedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(plain_data, tmp_path, options(epochs=2), callbacks=[Interrupt()], verbose=0)
    [unfinished] = tmp_path.glob("unfinished_*")
    assert {path.name for path in tmp_path.iterdir()} == {"history.csv", "tensorboard", unfinished.name}
    assert {path.name for path in unfinished.iterdir()} == {"facts.json", "best.keras", "state.zip"}
    model = fit(plain_data, tmp_path, options(epochs=2), verbose=2)
    screen = capsys.readouterr().out
    assert "Resumed at epoch 2, step 0 of 3.\n" in screen
    history = json.loads((tmp_path / "run.json").read_text())["history"]
    values, aucs = history["val_mean_relative_loss"], history["val_mean_auc"]
    best = values.index(min(values))
    assert f"Kept epoch {best + 1} of 2: val_mean_relative_loss {values[best]:.4f} is the best.\n" in screen
    assert f"Beside it: val_mean_auc {aucs[best]:.4f}." in screen
    assert not unfinished.exists()
    again = fit(plain_data, tmp_path, options(epochs=2), verbose=2)
    assert "Nothing to do: " in capsys.readouterr().out
    assert_same_weights(again, model)


def test_two_runs_at_once_and_what_is_no_runs(plain_data: PreparedData, tmp_path: Path) -> None:
    with (
        locked_folder("fit", "output", tmp_path),
        pytest.raises(ValueError, match="fit: `output` must be a folder that no other job is writing to"),
    ):
        fit(plain_data, tmp_path, options(), verbose=0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "unfinished_thesis").mkdir()
    (tmp_path / "model.keras").write_text("the user's")
    with pytest.raises(ValueError, match=r"but its model\.keras is no run's and would be lost"):
        fit(plain_data, tmp_path, options(), verbose=0)
    assert (tmp_path / "model.keras").read_text() == "the user's"
    (tmp_path / "model.keras").unlink()
    fit(plain_data, tmp_path, options(epochs=1), verbose=0)
    assert (tmp_path / "unfinished_thesis").is_dir()


def test_other_options_train_anew_and_say_why(
    plain_data: PreparedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(plain_data, tmp_path, options(epochs=2), callbacks=[Interrupt()], verbose=0)
    [old] = tmp_path.glob("unfinished_*")
    fit(plain_data, tmp_path, options(epochs=1, learning_rate=0.01, checkpoint_every=1), verbose=2)
    screen = capsys.readouterr().out
    assert "Starting again, because of changes: epochs (2, now 1), learning_rate (0.002, now 0.01).\n" in screen
    assert not old.exists()
    before = (tmp_path / "model.keras").read_bytes()
    fit(plain_data, tmp_path, options(epochs=1, learning_rate=0.01), verbose=2, fresh=True)
    assert "Nothing to do" not in capsys.readouterr().out
    assert (tmp_path / "model.keras").read_bytes() != before, "the archive holds the time of its writing"


def test_a_used_folder_tells_of_the_new_run_only(plain_data: PreparedData, tmp_path: Path) -> None:
    fit(plain_data, tmp_path, options(), verbose=0)
    (tmp_path / "evaluation_test.json").write_text("of the first model")
    (tmp_path / "notes.txt").write_text("the user's")
    old = set(tmp_path.glob("tensorboard/*/*"))
    fit(plain_data, tmp_path, options(seed=1), verbose=0)
    assert len(old) == 2
    assert len(set(tmp_path.glob("tensorboard/*/*")) - old) == 2
    assert not old & set(tmp_path.glob("tensorboard/*/*"))
    assert not (tmp_path / "evaluation_test.json").exists()
    assert (tmp_path / "notes.txt").exists()


def test_a_run_that_dies_leaves_the_older_models_evaluation(plain_data: PreparedData, tmp_path: Path) -> None:
    fit(plain_data, tmp_path, options(), verbose=0)
    (tmp_path / "evaluation_test.json").write_text("of the first model")
    with pytest.raises(KeyboardInterrupt):
        fit(plain_data, tmp_path, options(epochs=2), callbacks=[Interrupt()], verbose=0)
    assert (tmp_path / "evaluation_test.json").exists()


def test_another_steps_folder_is_refused(small_data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fit: `output` must be a separate folder, but it holds prepared data"):
        fit(small_data, small_data.directory, options(), verbose=0)
    assert not (small_data.directory / "tensorboard").exists()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="but it holds exported models"):
        fit(small_data, tmp_path, options(), verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_the_record_names_the_data_from_anywhere(
    plain_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plain_data.directory.parent)
    fit(PreparedData(plain_data.directory.name), tmp_path, options(), verbose=0)
    assert json.loads((tmp_path / "run.json").read_text())["data"] == str(plain_data.directory)


def test_divergence_is_an_error_that_names_tasks(plain_data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"fit: the loss of \[.*'watch'.*\] must be finite\. Received: .* at step"):
        fit(plain_data, tmp_path, options(learning_rate=1e30), verbose=0)
    assert not (tmp_path / "model.keras").exists()
    assert not list(tmp_path.glob("unfinished_*/state.zip")), "no good step, no checkpoint"


def test_the_value_at_fault_is_named_and_the_last_good_checkpoint_stays(
    plain_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = PreparedData.train_epochs

    def spoilt(data: PreparedData, size: int, seed: int = 0, epoch: int = 0, step: int = 0) -> tf.data.Dataset:
        def spoil(n, batch):
            features, labels = batch
            age = tf.where(n + 3 * epoch + step == 4, np.inf, features["age"])  # the second step of the second epoch
            return {**features, "age": age}, labels

        return batches(data, size, seed, epoch, step).enumerate().map(spoil)

    monkeypatch.setattr(PreparedData, "train_epochs", spoilt)
    with pytest.raises(TrainingError, match=r"at step 2 of epoch 2\. At fault: feature 'age' is inf in row 0 \(120 of"):
        fit(plain_data, tmp_path, options(epochs=3, checkpoint_every=1), verbose=0)
    [state] = tmp_path.glob("unfinished_*/state.zip")
    assert (read_progress(state).epoch, read_progress(state).step) == (1, 1)
    good = load(state.with_name("best.keras"))
    assert all(np.isfinite(weight).all() for weight in good.get_weights())


class Spoil(keras.callbacks.Callback):
    """A weight becomes NaN that the loss has not met yet."""

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch == 1:
            self.weight = self.model.trainable_variables[0]
            self.weight.assign(self.weight * np.nan)


def test_weights_that_are_nan_are_no_checkpoint(plain_data: PreparedData, tmp_path: Path) -> None:
    spoil = Spoil()
    with pytest.raises(TrainingError) as caught:
        fit(plain_data, tmp_path, options(epochs=3, ema_momentum=0.0), callbacks=[spoil], verbose=0)
    assert str(caught.value).startswith(f"fit: the weights '{spoil.weight.path}' must be finite. Received: NaN after")
    [state] = tmp_path.glob("unfinished_*/state.zip")
    assert read_progress(state).epoch == 1


def test_gradients_are_clipped(plain_data: PreparedData, tmp_path: Path) -> None:
    model = fit(plain_data, tmp_path, options(clip_norm=0.5), verbose=0)
    for trained in (model, load(tmp_path / "model.keras")):
        assert (trained.optimizer.tables.global_clipnorm, trained.optimizer.rest.global_clipnorm) == (0.5, 0.5)


# === Tasks without labels ===


def test_a_task_without_any_label_is_trained_beside_and_named_once(tmp_path: Path) -> None:
    silent = BinaryTask("silent", label="buy", sample_space="click == 7", known_at_event=True)
    data = prepare(tmp_path, replace(plain_problem(), tasks=(*tiny_problem().tasks[:1], silent)))
    with pytest.warns(UserWarning) as caught:
        model = fit(data, tmp_path / "run", options(epochs=2), verbose=0)
    texts = [str(warning.message) for warning in caught if "silent" in str(warning.message)]
    assert texts == ["fit: task 'silent' has no label in the training split: nothing is learned about it."]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["history"]["silent/loss"] == [0.0, 0.0]
    assert record["history"]["val_mean_auc"] == record["history"]["val_click/auc"]
    assert evaluate(model, data)["silent"]["auc"] is None
    with pytest.raises(ValueError, match=r"`monitor` must be a metric that the validation split has the labels for"):
        fit(data, tmp_path / "run", options(monitor="val_silent/auc"), verbose=0)
