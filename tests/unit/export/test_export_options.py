"""Some tasks, scores and calibration in the exported graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.saved_model_operations import foreign_operations
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.replay import replay
from tfmtl.models import MultiTaskModel

OPTIONS = ExportOptions(
    tasks=("buy", "watch"),
    scores={"value": "click*0.3 + click*buy*5 - watch/1000", "twice": "2*click"},
    calibrate={"click": "isotonic", "buy": "negatives:0.25"},
)


@pytest.fixture(scope="module")
def small(tiny_data: PreparedData) -> MultiTaskModel:
    model = tiny_model(tiny_data.inputs, "shared_bottom")
    randomize_weights(model)
    for weight in model.trainable_weights:
        weight.assign(0.3 * weight)
    return model


@pytest.fixture(scope="module")
def chosen(small: MultiTaskModel, tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(small, tiny_data, tmp_path_factory.mktemp("chosen"), options=OPTIONS)


def test_outputs_are_those_asked_for(chosen: Path, small: MultiTaskModel, tiny_data: PreparedData) -> None:
    signatures = tf.saved_model.load(str(chosen)).signatures
    for name in ("serving_default", "serve_examples", "rank"):
        assert set(signatures[name].structured_outputs) == {"buy", "watch", "value", "twice"}
    requests = [request["features"] for request in tiny_data.requests()]
    tensors = to_tensors(requests, signatures["serving_default"].structured_input_signature[1])
    plain = {task: values.numpy() for task, values in small(tiny_data.transform()(tensors)).items()}
    found = signatures["serving_default"](**tensors)
    report = json.loads((chosen / "assets.extra" / "calibration.json").read_text())
    knots = report["click"]["parameters"]
    click = np.interp(plain["click"], knots["inputs"], knots["outputs"])
    buy = plain["buy"] / (plain["buy"] + (1.0 - plain["buy"]) / 0.25)
    np.testing.assert_allclose(found["buy"], buy, rtol=1e-5)
    np.testing.assert_allclose(found["watch"], plain["watch"], rtol=1e-5)
    np.testing.assert_allclose(found["twice"], 2.0 * click, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["value"], 0.3 * click + 5.0 * click * buy - plain["watch"] / 1000, atol=1e-5)


def test_verified_against_the_training_graph_and_numpy(chosen: Path) -> None:
    assert replay(chosen).largest <= 1e-5
    assert foreign_operations(chosen) == set()
    golden = json.loads((chosen / "assets.extra" / "golden.jsonl").read_text().splitlines()[0])
    assert set(golden["response"]) == {"buy", "watch", "value", "twice"}


def test_report_and_figure(chosen: Path, tiny_data: PreparedData) -> None:
    report = json.loads((chosen / "assets.extra" / "calibration.json").read_text())
    assert {task: facts["method"] for task, facts in report.items()} == {"click": "isotonic", "buy": "negatives"}
    for split in ("valid", "test"):
        assert report["click"][split]["examples"] == tiny_data.num_labels(split, "click")
    assert report["click"]["valid"]["ece_calibrated"] < report["click"]["valid"]["ece"]
    assert (chosen / "assets.extra" / "reliability.png").stat().st_size > 10_000


def test_page_says_what_outputs_are(chosen: Path) -> None:
    page = (chosen / "assets.extra" / "signature.md").read_text()
    assert "| `buy` | probability, calibrated (negatives) |" in page
    assert "| `twice` | score: `2*click` |" in page
    assert "`click` |" not in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ("clik",)}, "`tasks` must be one of ['click', 'buy', 'watch']. Received: tasks='clik'."),
        ({"tasks": ("buy", "buy")}, "`tasks` must be distinct."),
        ({"tasks": ()}, "`tasks` must leave an output."),
        (
            {"scores": {"buy": "click"}},
            "`scores` must have a name of letters, digits and underscores that is no",
        ),
        ({"scores": {"a b": "click"}}, "`scores` must have a name of letters"),
        ({"scores": {"value": "click*bye"}}, "no task is called 'bye' at character 7 of 'click*bye'."),
        ({"calibrate": {"watch": "platt"}}, "`task` must be a task that can be calibrated, which"),
    ],
)
def test_errors(
    small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        export(small, tiny_data, tmp_path, options=ExportOptions(**options))
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())
