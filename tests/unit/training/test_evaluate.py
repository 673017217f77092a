"""Exact metrics of a split, from predictions in the order of the files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import keyless_problem, prepare, tiny_model
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.tasks import behavior_of
from tfmtl.training import evaluate, predict


@pytest.fixture(scope="module")
def model(tiny_data: PreparedData) -> MultiTaskModel:
    model = tiny_model(tiny_data.inputs)
    randomize_weights(model)
    return model


def stored(data: PreparedData, split: str) -> tuple[dict, dict, list[bytes]]:
    """Features, labels and groups, read one row at a time."""
    features: dict[str, list] = {}
    labels: dict[str, list] = {}
    groups = []
    for batch, batch_labels, batch_groups in data.split(split, 1):
        for found, new in ((features, batch), (labels, batch_labels)):
            for key, value in new.items():
                found.setdefault(key, []).append(value[0].numpy())
        groups.append(batch_groups[0].numpy())
    return (*({key: np.stack(values) for key, values in found.items()} for found in (features, labels)), groups)


@pytest.mark.parametrize("split", ["test", "valid", "train"])
def test_predict_equals_keras(tiny_data: PreparedData, model: MultiTaskModel, split: str) -> None:
    features, labels, groups = stored(tiny_data, split)
    result = predict(model, tiny_data, split)
    assert result["groups"].tolist() == groups
    assert groups[0].startswith(b"u")
    expected = model.predict(features, verbose=0)
    for task, values in expected.items():
        np.testing.assert_array_equal(result["labels"][task], labels[task])
        np.testing.assert_allclose(result["predictions"][task], values, rtol=1e-5)
        assert len(values) == tiny_data.num_examples(split)
    assert np.any(np.isnan(labels["watch"]))


def test_evaluate_equals_the_exact_metrics(tiny_data: PreparedData, model: MultiTaskModel) -> None:
    features, labels, groups = stored(tiny_data, "test")
    predictions = model.predict(features, verbose=0)
    report = evaluate(model, tiny_data)
    assert list(report) == ["click", "buy", "watch"]
    for task in tiny_data.problem.tasks:
        behavior = behavior_of(task)
        expected = behavior.exact_metrics({"": labels[task.name]}, {"": predictions[task.name]}, groups)
        baseline = report[task.name].pop("baseline")
        assert report[task.name] == pytest.approx(expected, rel=1e-5)
        known = labels[task.name][~np.isnan(labels[task.name])].astype(np.float64)
        mean = tiny_data.inputs.label_means[task.name]
        assert baseline["mean_prediction"] == pytest.approx(mean)
        if task.kind == "binary":
            assert baseline["auc"] == 0.5
            assert baseline["log_loss"] == pytest.approx(-np.mean(known * np.log(mean) + (1 - known) * np.log1p(-mean)))
        else:
            assert baseline["rmse"] == pytest.approx(np.sqrt(np.mean((known - mean) ** 2)))
    assert report["click"]["gauc_groups"] > 0
    assert report["buy"]["missing_labels"] + report["buy"]["examples"] == 120
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert evaluate(model, tiny_data, "valid") != report


def test_without_users_there_are_no_groups(tmp_path: Path) -> None:
    data = prepare(tmp_path, keyless_problem())
    report = evaluate(tiny_model(data.inputs), data)
    assert "auc" in report["click"]
    assert "gauc" not in report["click"]
    undefined = dict.fromkeys(
        ("auc", "log_loss", "normalized_entropy", "ece", "mean_prediction", "mean_label"), None
    ) | {"examples": 0, "missing_labels": 0}
    assert evaluate(tiny_model(data.inputs), data, "valid") == {"click": {**undefined, "baseline": undefined}}


@pytest.mark.parametrize("measure", [evaluate, predict])
def test_data_fitted_anew_is_refused(model: MultiTaskModel, tmp_path: Path, measure: Callable) -> None:
    other = prepare(tmp_path, seed=1)
    with pytest.raises(ValueError) as caught:
        measure(model, other, "test")
    assert str(caught.value) == (
        f"{measure.__name__}: `data` must be what the model was trained on. Received: data='{other.directory}' with "
        "other tables or another problem. Give the folder named in run.json."
    )


def test_unknown_split(tiny_data: PreparedData, model: MultiTaskModel) -> None:
    with pytest.raises(ValueError, match=r"`split` must be one of .* Received: split='dev'"):
        evaluate(model, tiny_data, "dev")
