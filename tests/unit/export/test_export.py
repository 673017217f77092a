"""What an export consists of, its version numbers, and exports that fail."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.prepared_folder import write_anew
from tests.support.tiny_problem import prepare, tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.export import VerificationError, export, saved_model
from tfmtl.export.serving_module import method_signatures
from tfmtl.export.versions import existing_versions
from tfmtl.models import MultiTaskModel
from tfmtl.schema import Problem


@pytest.fixture(scope="module")
def small(tiny_data: PreparedData) -> MultiTaskModel:
    """A model that is quickly exported."""
    return tiny_model(tiny_data.inputs, "shared_bottom")


def numbers(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.name.isdigit()}


# === Contents ===


def test_layout(version: Path, tiny_data: PreparedData) -> None:
    assert version.name == "1"
    assert {path.name for path in version.parent.iterdir()} == {"1"}
    assert {path.name for path in version.iterdir()} == {
        "saved_model.pb",
        "fingerprint.pb",
        "variables",
        "assets",
        "assets.extra",
    }
    assert {path.name for path in (version / "assets").iterdir()} == {"user.txt", "item.txt", "topic.txt", "tags.txt"}
    extra = version / "assets.extra"
    assert {path.name for path in extra.iterdir()} == {
        "problem.yaml",
        "transform.json",
        "statistics.json",
        "training_profile.json",
        "golden.jsonl",
        "golden_rank.jsonl",
        "tf_serving_warmup_requests",
        "signature.md",
        "signature.json",
        "prediction_service.protoset",
        "requests",
        "times.json",
        "format.json",
    }
    assert Problem.load(extra / "problem.yaml") == tiny_data.problem
    for path in (version / "assets").iterdir():
        stored = tiny_data.directory / "transform" / "vocabularies" / path.name
        assert path.read_bytes() == stored.read_bytes()


def test_signatures(version: Path, tiny_data: PreparedData) -> None:
    signatures = tf.saved_model.load(str(version)).signatures
    methods = method_signatures(tiny_data.problem, [task.name for task in tiny_data.problem.tasks])
    assert {name.partition("_")[0] for name in methods} == {"classify", "regress"}
    assert set(signatures) == {"serving_default", "serve_examples", "rank", *methods}
    expected = raw_signature(tiny_data.problem)
    assert signatures["serving_default"].structured_input_signature == ((), expected)
    examples = {"examples": tf.TensorSpec((None,), tf.string, "examples")}
    assert signatures["serve_examples"].structured_input_signature == ((), examples)
    inputs = signatures["rank"].structured_input_signature[1]
    assert {name for name, spec in inputs.items() if spec.shape[0] is None} == {
        *("item", "topic", "tags", "price", "views"),
    }
    assert {name: spec.dtype for name, spec in inputs.items()} == {name: spec.dtype for name, spec in expected.items()}
    assert {spec.shape[0] for spec in inputs.values()} == {1, None}
    for name in set(signatures) - set(methods):
        outputs = signatures[name].structured_outputs
        assert set(outputs) == {"click", "buy", "watch"}
        for spec in outputs.values():
            assert (spec.shape.as_list(), spec.dtype) == ([None], tf.float32)
    for name in methods:
        assert signatures[name].structured_input_signature[1] == {"inputs": tf.TensorSpec((None,), tf.string, "inputs")}
        wanted = {"classes", "scores"} if name.startswith("classify") else {"outputs"}
        assert set(signatures[name].structured_outputs) == wanted


def test_holds_the_weights_and_nothing_of_training(version: Path, model: MultiTaskModel) -> None:
    checkpoint = str(version / "variables" / "variables")
    found = {name: shape for name, shape in tf.train.list_variables(checkpoint) if "OBJECT_GRAPH" not in name}
    assert sorted(found.values()) == sorted(list(weight.shape) for weight in model.weights)
    stored = sorted(float(np.sum(tf.train.load_variable(checkpoint, name))) for name in found)
    np.testing.assert_allclose(stored, sorted(float(np.sum(weight)) for weight in model.weights), rtol=1e-6)


def test_golden_answers_are_the_training_graphs(golden: list, tiny_data: PreparedData, model: MultiTaskModel) -> None:
    requests = [request["features"] for request in tiny_data.requests()]
    assert len(golden) == len(requests) > 16
    known = {}
    for split in ("train", "valid", "test"):
        features, _ = whole_split(tiny_data, split)
        for task, values in model.predict(features, verbose=0).items():
            known.setdefault(task, []).extend(values)
    for item, request in zip(golden, requests, strict=True):
        assert str(item["features"]) == str(request)  # as text: NaN equals nothing
        for task, value in item["response"].items():
            assert np.min(np.abs(np.array(known[task]) - value)) < 1e-5


# === Versions ===


def test_versions_count_up(small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "99").write_text("a file is no version")
    assert export(small, tiny_data, tmp_path, version=7) == tmp_path / "7"
    assert export(small, tiny_data, str(tmp_path)) == tmp_path / "8"
    assert existing_versions(tmp_path) == [7, 8]
    with pytest.raises(ValueError) as caught:
        export(small, tiny_data, tmp_path, version=7)
    assert str(caught.value) == (
        f"export: `version` must not exist yet. Received: version=7. Remove '{tmp_path / '7'}' or take another."
    )
    assert numbers(tmp_path) == {"7", "8", "99"}


@pytest.mark.parametrize(("version", "error"), [(0, ValueError), (-3, ValueError), ("2", TypeError), (True, TypeError)])
def test_version_is_checked(
    small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path, version: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"export: `version` must be a positive int. Received: version="):
        export(small, tiny_data, tmp_path, version)
    assert not list(tmp_path.iterdir())


def test_what_fails_its_check_never_gets_its_name(
    small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path
) -> None:
    seen: list[Path] = []

    def check(folder: Path) -> None:
        assert (folder / "saved_model.pb").is_file()
        assert numbers(tmp_path) == set()
        seen.append(folder)

    def refuse(folder: Path) -> None:
        raise VerificationError("it answers otherwise")

    with pytest.raises(VerificationError, match="it answers otherwise"):
        export(small, tiny_data, tmp_path, check=refuse)
    assert numbers(tmp_path) == set()
    assert export(small, tiny_data, tmp_path, check=check) == tmp_path / "1"
    assert len(seen) == 1


# === Failures ===


def test_another_steps_folder_is_refused(small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="export: `directory` must be a separate folder, but it holds prepared data"):
        export(small, tiny_data, tiny_data.directory)
    (tmp_path / "run.json").touch()
    with pytest.raises(ValueError, match="but it holds a training run"):
        export(small, tiny_data, tmp_path)
    assert numbers(tiny_data.directory) == numbers(tmp_path) == set()


def test_model_of_other_data_is_refused(small: MultiTaskModel, tmp_path: Path) -> None:
    other = prepare(tmp_path / "other", seed=1)
    assert other.problem == small.inputs.problem, "only what was learnt from the data differs"
    with pytest.raises(ValueError) as caught:
        export(small, other, tmp_path / "model")
    assert str(caught.value) == (
        "export: `data` must be what the model was trained on. Received: "
        f"data='{other.directory}' with other tables or another problem. Give the folder named in run.json."
    )
    assert not (tmp_path / "model").exists()


def test_model_of_data_with_other_names_but_the_same_counts_is_refused(
    small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_data.directory, tmp_path / "renamed"))
    name = "transform/vocabularies/item.txt"
    write_anew(folder, name, "".join(reversed((folder / name).read_text().splitlines(keepends=True))))
    renamed = PreparedData(folder)
    assert renamed.inputs.table_rows == tiny_data.inputs.table_rows
    with pytest.raises(ValueError, match="`data` must be what the model was trained on"):
        export(small, renamed, tmp_path / "model")


def test_failed_export_leaves_no_version(
    small: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="the disk is full"):
        patched.setattr(saved_model, "write_warmup", fail)  # the last thing before the rename
        export(small, tiny_data, tmp_path)
    assert numbers(tmp_path) == set()
    [leftover] = tmp_path.iterdir()
    assert leftover.name.startswith(".")
    (leftover / "stray").write_text("of the export that failed")
    version = export(small, tiny_data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert not (version / "stray").exists()
