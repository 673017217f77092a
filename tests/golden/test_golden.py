"""Files of an earlier version are read, and answer as they did there; see README.md."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfmtl.data import PreparedData
from tfmtl.export.answers import Answers
from tfmtl.export.calibration.platt_scaling import PlattScaling
from tfmtl.export.replay import replay
from tfmtl.export.score import Score
from tfmtl.export.signature_files import write_signature_files
from tfmtl.folders import ExportedVersion
from tfmtl.models import PRESETS, load
from tfmtl.models.old_names import with_today_names
from tfmtl.pipelines.cli.run_file import read_run_file
from tfmtl.training import TrainOptions, evaluate

GOLDEN = Path(__file__).parent
ANSWERS = json.loads((GOLDEN / "answers.json").read_text())
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def data() -> PreparedData:
    return PreparedData(GOLDEN / "data")


@pytest.fixture(scope="module")
def features(data: PreparedData) -> Any:
    return next(iter(data.split("test", 16)))[0]


def check(answers: Any, expected: Any) -> None:
    assert set(answers) == set(expected)
    for task, values in expected.items():
        np.testing.assert_allclose(answers[task], values, rtol=TOLERANCE, atol=TOLERANCE, err_msg=task)


@pytest.mark.parametrize("preset", [name for name in ANSWERS if name != "run"])
def test_a_model_answers_as_it_did(features: Any, preset: str) -> None:
    assert preset in PRESETS
    check(load(GOLDEN / "models" / f"{preset}.keras")(features), ANSWERS[preset])


def test_a_run_answers_learns_on_and_is_measured(data: PreparedData, features: Any) -> None:
    model = load(GOLDEN / "run" / "model.keras")
    check(model(features), ANSWERS["run"])
    assert int(model.optimizer.iterations.numpy()) > 0
    assert evaluate(model, data)["watch"]["rmse"] > 0.0
    model.fit(data.train(32), verbose=0)


def test_an_export_answers_as_it_did() -> None:
    result = replay(GOLDEN / "export" / "1")
    assert set(result.differences) == {
        "serving_default",
        "serve_examples",
        "rank",
        "classify_click",
        "regress_watch",
    }
    assert result.largest < TOLERANCE


def test_an_export_says_the_same_of_itself(data: PreparedData, tmp_path: Path) -> None:
    before = ExportedVersion(GOLDEN / "export" / "1")
    fitted = json.loads(before.calibration.read_text())["click"]["parameters"]
    score = Score("click * 0.3 + buy * 5", data.inputs.task_names)
    tasks = (data.problem.task("click"), data.problem.task("watch"))
    answers = Answers(tasks, {"value": score}, {"click": PlattScaling(**fitted)})
    version = ExportedVersion(tmp_path)
    version.extra.mkdir()
    write_signature_files(data.problem, answers, [request["features"] for request in data.requests()], version)
    now, then = (_without_prose(json.loads(file.read_text())) for file in (version.schema, before.schema))
    assert now == then


def _without_prose(schema: Any) -> Any:
    """A JSON schema without its descriptions, whose words may change."""
    if isinstance(schema, list):
        return [_without_prose(item) for item in schema]
    if isinstance(schema, dict):
        return {key: _without_prose(value) for key, value in schema.items() if key != "description"}
    return schema


def test_a_log_is_prepared_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfmtl.pipelines.preprocess.job import preprocess  # Beam takes seconds to import

    monkeypatch.chdir(GOLDEN)
    preprocess(PreparedData("data").problem, ["log.csv"], str(tmp_path / "data"), num_shards=2, compression="gzip")
    before, now = _contents(GOLDEN / "data"), _contents(tmp_path / "data")
    assert list(now) == list(before)
    for name, content in before.items():
        assert now[name] == content, name


def _contents(folder: Path) -> dict[str, Any]:
    """Every file; packed ones unpacked, since their bytes are zlib's affair, and so is their size in the manifest."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes() if path.is_file() else b""
        found[name] = gzip.decompress(content) if path.suffix == ".gz" else content
    manifest = json.loads(found["manifest.json"])
    for name in ("checksums", "spellings", "written_by"):  # which that version did not write
        manifest.pop(name, None)
    manifest["files"] = {name: facts["records"] for name, facts in manifest["files"].items()}
    return {**found, "manifest.json": manifest}


def test_an_old_name_is_an_error_without_the_table(tmp_path: Path) -> None:
    path = GOLDEN / "models" / "dtrn.keras"
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    assert "behaviour_dim" in json.dumps(config)
    assert "behaviour" not in json.dumps(with_today_names(config))
    with pytest.raises((TypeError, ValueError), match="behaviour_dim"):
        keras.saving.load_model(path)


def test_a_class_that_was_renamed_is_found() -> None:
    old = {
        "module": "tfmtl.layers",
        "class_name": "BehaviourHypernetwork",
        "config": {"num_behaviours": 2, "dim": 3},
        "registered_name": "tfmtl>BehaviourHypernetwork",
    }
    assert with_today_names([old]) == [
        {
            "module": "tfmtl.layers",
            "class_name": "BehaviorHypernetwork",
            "config": {"num_behaviors": 2, "dim": 3},
            "registered_name": "tfmtl>BehaviorHypernetwork",
        }
    ]


def test_old_arguments_of_compile_are_found() -> None:
    old = {
        "class_name": "MultiTaskModel",
        "config": {},
        "compile_config": {"shared": "representation", "balancing": None},
    }
    assert with_today_names(old)["compile_config"] == {"balance_at": "representation", "balancing": None}


def test_the_record_of_an_old_run_trains_it_again() -> None:
    options = read_run_file(GOLDEN / "run" / "run.json", "train", ["data", *TrainOptions.__dataclass_fields__])
    assert options["balance_at"] == "parameters"
    assert "shared" not in options
