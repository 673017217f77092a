"""How much a row counts: read, rejected, in loss and balancing always, in metrics where it is asked for."""

import json
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest

from tests.support.tiny_problem import prepare, tiny_log, tiny_model, tiny_problem, whole_split
from tfmtl.core.row_weights import metric_weights, row_weights
from tfmtl.data import PreparedData
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.schema import BinaryTask, Keys, Problem, ProblemError, RegressionTask
from tfmtl.training import evaluate

TASKS = (
    BinaryTask("click", known_at_event=True),
    BinaryTask(
        "buy",
        parent="click",
        weight_column="price_paid",
        weight_offset=1.0,
        weighted_metrics=True,
        known_at_event=True,
    ),
    RegressionTask("watch", label="seconds", sample_space="click == 1", weight_column="price_paid"),
)


def weighted_problem(**changes: object) -> Problem:
    parts = {"keys": Keys(user="user", time="time", weight="importance"), "tasks": TASKS}
    return tiny_problem(**{**parts, **changes})


def weighted_log() -> pa.Table:
    log = tiny_log()
    generator = np.random.default_rng(5)
    paid = np.round(generator.exponential(2.0, log.num_rows), 2)
    importance = generator.integers(0, 4, log.num_rows).astype(np.float64)
    return log.append_column("price_paid", pa.array(paid)).append_column("importance", pa.array(importance))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("weighted"), weighted_problem(), log=weighted_log())


def test_the_weight_is_the_rows_times_offset_and_value(data: PreparedData) -> None:
    _, labels = whole_split(data, "train")
    labels = {name: values.numpy() for name, values in labels.items()}
    assert set(labels) == {"click", "buy", "watch", "buy__weight", "watch__weight", "__weight"}
    weights = row_weights(data.problem, labels)
    np.testing.assert_array_equal(weights["click"], labels["__weight"])
    np.testing.assert_allclose(weights["buy"], labels["__weight"] * (1.0 + labels["buy__weight"]))
    np.testing.assert_allclose(weights["watch"], labels["__weight"] * labels["watch__weight"])
    for task, values in weights.items():
        assert np.isfinite(values).all(), task
    assert len(set(labels["__weight"])) == 4
    assert {task: value is None for task, value in metric_weights(data.problem, labels).items()} == {
        "click": True,
        "buy": False,
        "watch": True,
    }
    assert row_weights(tiny_problem(), labels) == {"click": None, "buy": None, "watch": None}


def test_loss_is_that_of_rows_that_occur_so_often(data: PreparedData) -> None:
    features, labels = whole_split(data, "train")
    model = tiny_model(data.inputs)
    keep = labels["__weight"].numpy().astype(int)
    once = {name: values.numpy() for name, values in labels.items()}
    repeated = {name: np.repeat(values, keep, axis=0) for name, values in once.items()}
    repeated["__weight"] = np.ones_like(repeated["__weight"])
    features_repeated = {name: np.repeat(values.numpy(), keep, axis=0) for name, values in features.items()}
    losses, again = (
        BatchLosses(model, inputs, target, None).of(model.raw_outputs(inputs), [])
        for inputs, target in ((features, once), (features_repeated, repeated))
    )
    np.testing.assert_allclose(losses[0], again[0], rtol=1e-5)


def test_given_weights_come_on_top_and_balancing_sees_both(data: PreparedData) -> None:
    features, labels = whole_split(data, "train")
    model = tiny_model(data.inputs)
    model.compile(keras.optimizers.SGD(0.0), balancing="uncertainty")
    rows = len(labels["click"])
    half = np.where(np.arange(rows) < rows // 2, 1.0, 0.0).astype("float32")
    first = {name: values[: rows // 2] for name, values in features.items()}
    of_first = {name: values[: rows // 2] for name, values in labels.items()}
    whole = model.evaluate(features, labels, sample_weight=half, batch_size=rows, verbose=0, return_dict=True)
    part = model.evaluate(first, of_first, batch_size=rows, verbose=0, return_dict=True)
    for task in data.inputs.task_names:
        assert whole[f"{task}/loss"] == pytest.approx(part[f"{task}/loss"], rel=1e-5)


def test_metrics_count_rows_by_weight_where_asked(data: PreparedData) -> None:
    model = tiny_model(data.inputs)
    report = evaluate(model, data)
    plain = PreparedData(data.directory)
    changed = weighted_problem(tasks=(*TASKS[:1], BinaryTask("buy", parent="click", weight_column="price_paid")))
    assert not changed.task("buy").weighted_metrics
    features, labels = whole_split(plain, "test")
    predicted = model.predict(features, verbose=0)["buy"].astype(np.float64)
    known = labels["buy"].numpy()
    weights = row_weights(data.problem, {name: values.numpy() for name, values in labels.items()})["buy"]
    rows = ~np.isnan(known)
    terms = -(known * np.log(predicted) + (1 - known) * np.log1p(-predicted))[rows]
    assert report["buy"]["log_loss"] == pytest.approx(np.average(terms, weights=weights[rows]), rel=1e-5)
    assert report["buy"]["log_loss"] != pytest.approx(terms.mean(), rel=1e-3)
    known = labels["click"].numpy()
    assert report["click"]["mean_label"] == pytest.approx(known[~np.isnan(known)].mean())


def test_a_missing_or_negative_weight_is_rejected(tmp_path: Path) -> None:
    log = weighted_log().to_pydict()
    log["importance"][3], log["importance"][4], log["importance"][5] = None, -1.0, float("inf")
    known = [row for row, value in enumerate(log["buy"]) if value is not None and not np.isnan(value)]
    log["price_paid"][known[20]], log["price_paid"][known[21]] = None, -0.5
    data = prepare(tmp_path, weighted_problem(), log=pa.table(log))
    assert data.manifest["rows_rejected"] == {
        "weight 'importance' is missing": 1,
        "weight 'importance' is not a number of at least 0": 2,
        "weight 'price_paid' is missing": 1,
        "weight 'price_paid' is not a number of at least 0": 1,
    }
    reasons = [
        json.loads(line)["reason"]
        for path in (data.directory / "rejected").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert "weight 'importance' is not a number of at least 0: -1.0" in reasons


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weight_offset": 1.0}, "`weight_offset` must be at least 0 and finite, and stands beside a `weight_column`"),
        ({"weight_column": "w", "weight_offset": -1.0}, "Received: weight_offset=-1.0, weight_column='w'."),
        ({"weight_column": ""}, "`weight_column` must not be empty"),
    ],
)
def test_wrong_keys(changes: dict, text: str) -> None:
    with pytest.raises(ProblemError, match="BinaryTask 'click'") as caught:
        BinaryTask("click", **changes)
    assert text in str(caught.value)
