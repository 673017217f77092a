"""What the monitor says, against the model's own numbers, and that it changes nothing."""

import json
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from tests.support.tiny_problem import tiny_model
from tfmtl.balancing import Balancer
from tfmtl.data import PreparedData
from tfmtl.layers import PLE
from tfmtl.models import MultiTaskModel
from tfmtl.training import ConflictMonitor, TrainOptions, fit

ROWS = 64
CGC = {"sharing": "ple", "dropout": 0.2}


def train(data: PreparedData, preset: str, callbacks: list, steps: int = 2, **options) -> MultiTaskModel:
    """Two steps, eagerly, from the same seed."""
    keras.utils.set_random_seed(0)
    model = tiny_model(data.inputs, preset, **options)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    model.fit(data.train(120).take(steps), epochs=1, callbacks=callbacks, verbose=0)
    return model


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "conflict.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def refined(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[MultiTaskModel, Path]:
    folder = tmp_path_factory.mktemp("refined")
    model = train(tiny_data, "dtrn", [ConflictMonitor(tiny_data, folder, 1, ROWS)], **CGC)
    return model, folder


def first_rows(data: PreparedData) -> tuple[dict, dict]:
    features, labels, _ = next(iter(data.split("train", ROWS)))
    return features, labels


def test_training_stays_as_it_is(refined: tuple[MultiTaskModel, Path], tiny_data: PreparedData) -> None:
    """Dropout and metrics included."""
    alone = train(tiny_data, "dtrn", [], **CGC)
    for one, other in zip(refined[0].variables, alone.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


class Seen(Balancer):
    uses_gramian = True

    def _weights(self, losses, gramian, present):
        self.gramian = gramian.numpy()
        return tf.ones_like(losses)


def test_cosines(tiny_data: PreparedData, tmp_path: Path) -> None:
    model = train(tiny_data, "mmoe", [ConflictMonitor(tiny_data, tmp_path, None, ROWS)])
    [record] = records(tmp_path)
    assert record["step"] == 2
    seen = Seen()
    model.compile(keras.optimizers.SGD(0.0), balancing=seen, run_eagerly=True)
    model.train_on_batch(*first_rows(tiny_data))
    lengths = np.sqrt(np.diag(seen.gramian))
    expected = (seen.gramian / np.outer(lengths, lengths))[np.triu_indices(3, 1)]
    assert list(record["cosines"]) == ["click, buy", "click, watch", "buy, watch"]
    np.testing.assert_allclose(list(record["cosines"].values()), expected, rtol=1e-3, atol=1e-4)
    assert record["conflicting_pairs"] == pytest.approx(np.mean(expected < 0.0))


def test_gates_fields_and_embeddings(refined: tuple[MultiTaskModel, Path], tiny_data: PreparedData) -> None:
    model, folder = refined
    record = records(folder)[-1]
    embedded = model.embedding(first_rows(tiny_data)[0])
    bottom = model.bottom(embedded)
    for level, weights in enumerate(model.sharing.gate_weights(bottom), start=1):
        use = np.mean(weights, axis=0)
        entropy = np.mean(np.sum(-weights * np.log(weights), axis=-1), axis=0) / np.log(weights.shape[-1])
        for k, task in enumerate(tiny_data.inputs.task_names):
            said = record["gates"][f"level {level}"][task]
            np.testing.assert_allclose(list(said.values()), [entropy[k], *use[k]], rtol=1e-4)
    assert list(record["gates"]) == ["level 1"]
    fields = np.mean(model.bottom.field_weights(embedded), axis=0)
    np.testing.assert_allclose([list(row.values()) for row in record["field_weights"].values()], fields, rtol=1e-4)
    assert {"item", "age", "clicked", "bought"} <= set(record["field_weights"]["buy"])
    # The table of `device` has 5 buckets behind two reserved rows, and `age` has none.
    assert set(record["embeddings"]) == {"user", "item", "previous_item", "topic", "tags", "device", "price"}
    assert record["embeddings"]["item"] == record["embeddings"]["previous_item"]
    assert 0.05 < record["embeddings"]["device"]["mean_norm"] < 0.3
    assert record["embeddings"]["device"]["zero_share"] == 0.0


def test_gates_of_every_level() -> None:
    sharing = PLE(num_tasks=2, num_levels=2, num_specific_experts=2, hidden_units=(4,))
    sharing.build((None, 1, 6))
    inputs = tf.random.stateless_normal((5, 1, 6), (0, 0))
    one, two = sharing.gate_weights(inputs)
    np.testing.assert_allclose(one, sharing.levels[0].task_gate(inputs), rtol=1e-6)
    np.testing.assert_allclose(two, sharing.levels[1].task_gate(sharing.levels[0](inputs)[:, :2]), rtol=1e-6)
    assert one.shape == two.shape == (5, 2, 3)


def test_tensorboard_holds_the_same(refined: tuple[MultiTaskModel, Path]) -> None:
    [path] = (refined[1] / "tensorboard" / "conflict").glob("events*")
    found: dict[str, list[float]] = {}
    for event in tf.data.TFRecordDataset(str(path)):
        for value in event_pb2.Event.FromString(event.numpy()).summary.value:
            found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    said = records(refined[1])
    assert [record["step"] for record in said] == [1, 2]
    np.testing.assert_allclose(found["cosines/click, buy"], [r["cosines"]["click, buy"] for r in said], rtol=1e-6)
    entropies = [record["gates"]["level 1"]["buy"]["entropy"] for record in said]
    np.testing.assert_allclose(found["gates/level 1/buy/entropy"], entropies, rtol=1e-6)
    np.testing.assert_allclose(
        found["embeddings/item/mean_norm"], [r["embeddings"]["item"]["mean_norm"] for r in said], rtol=1e-6
    )


def test_collapse_is_warned_of_once(tiny_data: PreparedData, tmp_path: Path) -> None:
    class Collapse(keras.callbacks.Callback):
        """Lets the first task take expert 0 alone, and no task expert 2; the others mix 0 and 1."""

        def on_train_batch_begin(self, batch, logs=None) -> None:
            self.model.sharing.gate.logits.kernel.assign(tf.zeros_like(self.model.sharing.gate.logits.kernel))
            call = tf.math.log(tf.constant([[1.0, 1e-6, 1e-6], [0.5, 0.5, 1e-6], [0.5, 0.5, 1e-6]]))
            self.model.sharing.gate.logits.call = lambda inputs: tf.tile(call[None], [tf.shape(inputs)[0], 1, 1])

    monitor = ConflictMonitor(tiny_data, tmp_path, 1, ROWS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(tiny_data, "mmoe", [Collapse(), monitor], num_experts=3)
    texts = [str(warning.message) for warning in caught if "ConflictMonitor" in str(warning.message)]
    assert texts == [
        "ConflictMonitor: no task uses expert 2 at level 1 any more (step 1)",
        "ConflictMonitor: the gate of task 'click' at level 1 has settled on one expert (step 1)",
    ]
    assert [len(record["warnings"]) for record in records(tmp_path)] == [2, 2]


def test_rows_of_zero(tiny_data: PreparedData, tmp_path: Path) -> None:
    class Zero(keras.callbacks.Callback):
        """Half of the topics' rows."""

        def on_train_batch_end(self, batch, logs=None) -> None:
            rows = self.model.embedding.plan.feature_rows("topic")
            table = self.model.embedding.tables[str(rows.width)]
            values = table.numpy()
            values[rows.start + 2 : rows.start + rows.count] = 0.0
            values[rows.start + rows.count - 1] = [0.3, 0.4, 0.0, 0.0]
            table.assign(values)

    train(tiny_data, "shared_bottom", [Zero(), ConflictMonitor(tiny_data, tmp_path, None, ROWS)], steps=1)
    [record] = records(tmp_path)
    assert record["gates"] == record["field_weights"] == {}
    topics = tiny_data.inputs.table_rows["topic"] - 2
    assert record["embeddings"]["topic"]["zero_share"] == pytest.approx(1 - 1 / topics)
    assert record["embeddings"]["topic"]["mean_norm"] == pytest.approx(0.5 / topics)


def test_a_run_writes_it_anew(tiny_data: PreparedData, tmp_path: Path) -> None:
    small = {"hidden_units": (16, 8), "tower_units": (8,)}
    options = TrainOptions("shared_bottom", small, epochs=1, batch_size=180, monitor_conflicts=True)
    (tmp_path / "conflict.jsonl").write_text('{"step": 7}\n')
    fit(tiny_data, tmp_path, options, verbose=0)
    assert [record["step"] for record in records(tmp_path)] == [2]


def test_arguments_are_checked(tiny_data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ConflictMonitor: `every` must be a positive int. Received: every=0"):
        ConflictMonitor(tiny_data, tmp_path, 0)
    with pytest.raises(TypeError, match="ConflictMonitor: `num_rows` must be a positive int"):
        ConflictMonitor(tiny_data, tmp_path, num_rows=0.5)
