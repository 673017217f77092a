"""One problem with a task of every kind goes the whole way, from the log to what is answered to a request."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.cpp_replay import Replay
from tests.support.tiny_problem import prepare, tiny_inputs, tiny_log, tiny_model, tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export
from tfmtl.export.replay import replay
from tfmtl.models import load
from tfmtl.pipelines.runs.score_requests import score_requests
from tfmtl.schema import (
    BinaryTask,
    MulticlassTask,
    OrdinalTask,
    Problem,
    ProblemError,
    QuantileTask,
    RegressionTask,
    ZeroInflatedTask,
)
from tfmtl.schema.registry import TASKS
from tfmtl.serving.deployment.deploy_files import DeployOptions, write_deploy_files
from tfmtl.training import TrainOptions, evaluate, fit
from tfmtl.training.monitor import monitor_direction

LEVELS = ("bad", "fair", "good")
KINDS = (
    BinaryTask("click"),
    RegressionTask("watch", label="seconds"),
    MulticlassTask("level", classes=LEVELS),
    OrdinalTask("stars", label="level", classes=LEVELS, values=(1.0, 3.0, 5.0)),
    QuantileTask("wait", label="seconds", quantiles=(0.2, 0.5, 0.8)),
    ZeroInflatedTask("spent"),
)
OUTPUTS = {
    "click": (),
    "watch": (),
    "level": (),
    "level__probabilities": (3,),
    "stars": (),
    "stars__probabilities": (3,),
    "wait": (),
    "wait__quantiles": (3,),
    "spent": (),
    "spent__positive": (),
    "spent__amount": (),
}


def problem_of_all_kinds() -> Problem:
    return tiny_problem(tasks=KINDS, sequences=())


def log_of_all_kinds() -> pa.Table:
    log = tiny_log()
    seconds = np.nan_to_num(np.array(log["seconds"].to_pylist(), np.float64), nan=20.0)
    level = [
        None if n % 9 == 0 else LEVELS[int(np.clip((value - 8.0) // 8.0, 0, 2))] for n, value in enumerate(seconds)
    ]
    spent = np.where(seconds > 20.0, np.round(np.exp(seconds / 12.0), 2), 0.0)
    return log.append_column("level", pa.array(level)).append_column("spent", pa.array(spent))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    log = log_of_all_kinds().to_pydict()
    log["level"][11], log["spent"][12] = "superb", -1.0
    return prepare(tmp_path_factory.mktemp("kinds"), problem_of_all_kinds(), log=pa.table(log))


@pytest.fixture(scope="module")
def run(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    folder = tmp_path_factory.mktemp("run")
    small = {"hidden_units": (8,), "tower_units": (4,)}
    # An epoch is three steps; a model that has learned nothing of the clicks cannot be calibrated.
    recipe = {"epochs": 20, "patience": 20, "batch_size": 128, "learning_rate": 0.01}
    options = TrainOptions("shared_bottom", small, monitor="val_level/accuracy", **recipe)
    return fit(data, folder, options, verbose=0), folder


@pytest.fixture(scope="module")
def version(run: Any, data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ExportOptions(scores={"value": "click * spent + stars"}, calibrate={"click": "platt"})
    return export(run[0], data, tmp_path_factory.mktemp("export") / "tiny", options=options)


def test_the_problem_has_every_kind() -> None:
    assert {task.kind for task in KINDS} == set(TASKS.names) - {"survival"}  # which has tests of its own
    assert Problem.from_dict(problem_of_all_kinds().to_dict()) == problem_of_all_kinds()


def test_a_label_that_cannot_be_is_rejected(data: PreparedData) -> None:
    assert data.manifest["rows_rejected"] == {
        "label 'level' is none of the task's classes": 1,
        "label 'spent' is not a finite number of at least 0": 1,
    }
    state = data.inputs.task_state
    assert set(state) == {"level", "stars", "wait", "spent"}
    assert sum(state["level"]["shares"]) == pytest.approx(1.0)
    assert state["wait"]["quantiles"] == sorted(state["wait"]["quantiles"])
    _, labels = whole_split(data, "train")
    assert set(np.unique(labels["level"])[:3]) == {0.0, 1.0, 2.0}
    assert np.isnan(labels["level"]).any()
    assert 0.0 < state["spent"]["share"] < 1.0


def test_it_learns_is_measured_and_kept(run: Any, data: PreparedData, tmp_path: Path) -> None:
    model, folder = run
    record = json.loads((folder / "run.json").read_text())
    history = record["history"]
    for name in ("level/accuracy", "stars/mae", "wait/pinball", "spent/rmse", "watch/rmse", "click/auc"):
        assert np.isfinite(history[name]).all()
    assert record["monitor"] == "val_level/accuracy"
    report = evaluate(model, data)
    for task in KINDS:
        assert set(report[task.name]) - {"baseline"} == set(report[task.name]["baseline"])
    for name, metric in (("level", "macro_auc"), ("spent", "normalized_gini"), ("wait", "coverage_0.5")):
        assert report[name][metric] is not None
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    features, _ = whole_split(data, "test")
    expected = model(features)
    assert {name: tuple(values.shape[1:]) for name, values in expected.items()} == OUTPUTS
    for name, values in load(folder / "model.keras")(features).items():
        np.testing.assert_array_equal(values, expected[name])


def test_the_accuracy_is_kept_for_being_high(run: Any) -> None:
    history = json.loads((run[1] / "run.json").read_text())["history"]["val_level/accuracy"]
    assert len(history) == 20
    problem = problem_of_all_kinds()
    directions = {
        name: monitor_direction(problem, f"val_{name}") for name in ("mean_auc", "loss", "click/auc", "click/loss")
    }
    assert directions == {"mean_auc": "max", "loss": "min", "click/auc": "max", "click/loss": "min"}
    assert monitor_direction(problem, "val_level/accuracy") == "max"
    assert monitor_direction(problem, "val_wait/pinball") == "min"


def test_every_signature_answers_as_the_training_graph(version: Path) -> None:
    result = replay(version)
    assert set(result.differences) == {
        "serving_default",
        "serve_examples",
        "rank",
        "classify_click",
        "classify_level",
        "regress_watch",
        "regress_stars",
        "regress_wait",
        "regress_spent",
    }
    assert result.largest < 1e-5


def test_classify_names_the_classes(version: Path, data: PreparedData) -> None:
    from tfmtl.export.raw_batch import to_examples

    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["serving_default"].structured_input_signature[1]
    requests = [request["features"] for request in data.requests()[:3]]
    found = loaded.signatures["classify_level"](inputs=tf.constant(to_examples(requests, signature)))
    assert found["classes"].numpy().tolist() == [[level.encode() for level in LEVELS]] * 3
    np.testing.assert_allclose(tf.reduce_sum(found["scores"], axis=1), 1.0, rtol=1e-5)


def test_it_says_what_it_answers(version: Path) -> None:
    extra = version / "assets.extra"
    answer = json.loads((extra / "signature.json").read_text())["$defs"]["answer"]["properties"]["outputs"]
    assert list(answer["properties"]) == [*OUTPUTS, "value"]
    row = answer["properties"]["level__probabilities"]["items"]
    assert (row["minItems"], row["maxItems"], row["items"]) == (3, 3, {"type": "number"})
    page = (extra / "signature.md").read_text()
    for text in ("probabilities of bad, fair, good", "quantiles 0.2, 0.5, 0.8, rising", "probability of `good`"):
        assert text in page


def test_predict_writes_lists_as_lists(version: Path, data: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(request["features"]) + "\n" for request in data.requests()[:2]))
    answers = list(score_requests(version.parent, path))
    assert len(answers) == 2
    assert set(answers[0]) == {*OUTPUTS, "value"}
    assert len(answers[0]["wait__quantiles"]) == 3
    json.dumps(answers, allow_nan=False)


@pytest.mark.slow
def test_cpp_answers_the_same(cpp_replay: Replay, version: Path) -> None:
    result = cpp_replay(version)
    assert result.code == 0, result.err
    assert max(result.gaps.values()) <= 1e-5


def test_deploy_files_are_written(version: Path, tmp_path: Path) -> None:
    write_deploy_files(
        {"tiny": version.parent}, tmp_path / "deploy", DeployOptions(budget=10_000.0)
    )  # a busy machine is no error
    assert (tmp_path / "deploy" / "models.config").is_file()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"calibrate": {"level": "platt"}},
            "`task` must be a task that can be calibrated, which kind 'multiclass'",
        ),
        ({"calibrate": {"spent": "isotonic"}}, "which kind 'zero_inflated' cannot. Received: task='spent'."),
        ({"scores": {"level__probabilities": "click"}}, "`scores` must have a name of letters"),
        ({"scores": {"value": "level__probabilities"}}, "no task is called 'level__probabilities'"),
    ],
)
def test_what_a_kind_cannot_give_is_refused(
    run: Any, data: PreparedData, tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as caught:
        export(run[0], data, tmp_path / "refused", options=ExportOptions(**options))
    assert text in str(caught.value)


def test_only_a_yes_no_task_is_a_parent_or_a_step() -> None:
    with pytest.raises(ProblemError, match="names parent 'level', which is not binary"):
        tiny_problem(tasks=(KINDS[2], BinaryTask("click", parent="level")))
    inputs = tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy", parent="click"), *KINDS[2:]))
    with pytest.raises(ValueError) as caught:
        child = MulticlassTask("level", parent="click", classes=LEVELS)
        tiny_model(
            tiny_inputs(tiny_problem(tasks=(BinaryTask("click"), BinaryTask("buy", parent="click"), child))), "esmm"
        )
    assert "`chain` must be 'none' where task 'level' of kind 'multiclass' has a parent" in str(caught.value)
    model = tiny_model(tiny_inputs(inputs), "esmm")
    assert model.chain == "entire_space"
