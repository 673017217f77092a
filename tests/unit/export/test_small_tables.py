"""Tables stored as float16 or int8: the rows bit for bit, the size, the answers, and what is refused."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.cpp_replay import Replay
from tests.support.saved_model_operations import foreign_operations
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export, verify
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.replay import replay
from tfmtl.export.small_tables import report_text, small_tables, table_report
from tfmtl.export.stored_table import ByteTable, HalfTable, stored_table
from tfmtl.models import MultiTaskModel

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(scale=0.05, size=(7, 5)).astype("float32")
TABLE[1] = 0.0
TABLE[2] = 0.3  # a constant
TABLE[3] = -1e-37  # whose scale would be below the smallest normal number
TABLE[4] = [1e30, -1.0, 1.0, 0.0, 3e38]


def int8_reference(row: np.ndarray) -> np.ndarray:
    """One row as it is read, in plain float32 arithmetic."""
    scale = np.float32(max(abs(value) for value in row)) / np.float32(127.0)
    if scale < 1.2e-38:
        return np.zeros_like(row)
    return np.array([np.float32(round(float(value / scale))) * scale for value in row], np.float32)


def test_int8_rows_are_the_references_bit_for_bit() -> None:
    stored = ByteTable(TABLE)
    found = tf.function(stored.rows)(tf.constant([[0, 1, 2], [3, 4, 6]])).numpy()
    expected = np.stack([int8_reference(TABLE[row]) for row in (0, 1, 2, 3, 4, 6)]).reshape(2, 3, 5)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(stored.restored(), np.stack([int8_reference(row) for row in TABLE]))
    np.testing.assert_array_equal(stored.restored()[1], 0.0)
    np.testing.assert_allclose(stored.restored()[2], 0.3, rtol=2e-7)
    errors = np.abs(stored.restored()[[0, 5, 6]] - TABLE[[0, 5, 6]])
    assert np.all(errors <= 0.5001 * np.max(np.abs(TABLE[[0, 5, 6]]), axis=1, keepdims=True) / 127.0)
    assert stored.values.dtype == tf.int8


def test_fp16_rows_are_the_references_bit_for_bit() -> None:
    table = TABLE[[0, 1, 2, 3, 5, 6]]
    table[3] = [1e-6, -3e-6, 6e-8, 1e-9, 65504.0]  # some below the smallest normal number of float16
    stored = HalfTable(table)
    expected = table.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(tf.function(stored.rows)(tf.constant([5, 0, 1, 2, 3])), expected[[5, 0, 1, 2, 3]])
    np.testing.assert_array_equal(stored.restored(), expected)
    np.testing.assert_allclose(expected[[0, 2, 4, 5]], table[[0, 2, 4, 5]], rtol=2**-11)


@pytest.mark.parametrize(
    ("form", "table", "message"),
    [
        ("fp16", TABLE, "export: `tables` must store numbers up to 65504, and a table has 3e+38. Received: "),
        ("int8", np.float32([[np.nan, 1.0]]), "and a table has nan"),
        ("fp16", np.float32([[np.inf, 1.0]]), "and a table has inf"),
        ("int4", TABLE, "export: `tables` must be one of ['fp16', 'int8']. Received: tables='int4'."),
    ],
)
def test_what_cannot_be_stored_is_refused(form: str, table: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        stored_table(form, table)
    assert message in str(caught.value)


# === In an export ===


@pytest.fixture(scope="module")
def plain(tiny_data: PreparedData) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    return tiny_model(tiny_data.inputs, "mmoe", pooling="target")


@pytest.fixture(scope="module", params=["fp16", "int8"])
def small(
    request: pytest.FixtureRequest,
    plain: MultiTaskModel,
    tiny_data: PreparedData,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    options = ExportOptions(scores={"value": "click*buy"}, calibrate={"click": "negatives:0.25"}, tables=request.param)
    before = [weight.numpy() for weight in plain.weights]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfmtl.export.small_tables.MOST_AUC", 0.02)  # on sixty rows two exchanged pairs are .0006
        path = export(plain, tiny_data, tmp_path_factory.mktemp("small"), options=options)
    for old, weight in zip(before, plain.weights, strict=True):
        np.testing.assert_array_equal(weight, old)  # the model itself stays as it was
    return path


def test_every_signature_answers_as_the_training_graph_with_these_tables(small: Path) -> None:
    found = replay(small)
    assert {"serving_default", "serve_examples", "rank"} <= set(found.differences)
    assert found.largest <= 1e-5
    assert foreign_operations(small) == set()


@pytest.mark.process
def test_a_fresh_process_finds_the_same(small: Path) -> None:
    assert verify(small).largest <= 1e-5


@pytest.mark.slow
def test_the_cpp_runtime_finds_the_same(cpp_replay: Replay, small: Path) -> None:
    result = cpp_replay(small)
    assert result.code == 0, result.err
    assert max(result.gaps.values()) <= 1e-5


def test_the_report_says_what_was_saved_and_what_it_costs(
    small: Path, plain: MultiTaskModel, tiny_data: PreparedData
) -> None:
    report = json.loads((small / "assets.extra" / "tables.json").read_text())
    widths = [tuple(table.shape) for table in plain.embedding.tables.values()]
    full = sum(rows * width for rows, width in widths)
    expected = 2 * full if report["form"] == "fp16" else full + 4 * sum(rows for rows, _ in widths)
    assert (report["bytes"], report["bytes_float32"]) == (expected, 4 * full)
    assert report["examples"] == len(next(iter(tiny_data.split("valid", 4096)))[2])
    loaded = tf.saved_model.load(str(small)).signatures["serving_default"]
    requests = [request["features"] for request in tiny_data.requests()]
    tensors = to_tensors(requests, loaded.structured_input_signature[1])
    own = plain(tiny_data.transform()(tensors), training=False)["watch"].numpy()
    gap = np.max(np.abs(loaded(**tensors)["watch"] - own) / np.maximum(1.0, np.abs(own)))
    assert 0.0 < gap < 10.0 * report["largest_difference"] < 0.05
    for each in report["auc"].values():
        assert abs(each["after"] - each["before"]) <= 0.02
    assert set(report["auc"]) == {"click", "buy"}
    assert report_text(report).startswith(f"Tables as {report['form']}: ")


def test_no_table_is_stored_as_float32(small: Path, plain: MultiTaskModel) -> None:
    report = json.loads((small / "assets.extra" / "tables.json").read_text())
    reader = tf.train.load_checkpoint(str(small / "variables" / "variables"))
    kinds, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    sizes = {key: kind.size * int(np.prod(shapes[key])) for key, kind in kinds.items() if kind != tf.string}
    held = {kinds[key] for key in sizes if key.startswith("_tables/") and "/values/" in key}
    assert held == {tf.float16 if report["form"] == "fp16" else tf.int8}
    all_weights = sum(weight.numpy().nbytes for weight in plain.weights)
    assert sum(sizes.values()) == all_weights - report["bytes_float32"] + report["bytes"]


def test_large_tables_take_half_and_a_third_of_the_disk(tmp_path: Path) -> None:
    """Rows of 32 numbers: a scale of 4 bytes adds an eighth to int8's quarter."""
    table = RANDOM.normal(size=(20_000, 32)).astype("float32")
    for form, share in (("fp16", 0.5), ("int8", 0.25 + 1 / 32)):
        tf.saved_model.save(stored_table(form, table), str(tmp_path / form))
        size = sum(file.stat().st_size for file in (tmp_path / form).rglob("*") if file.is_file())
        assert size == pytest.approx(share * table.nbytes, abs=20_000)  # and the graph


def test_tables_that_cost_too_much_are_refused(plain: MultiTaskModel, tiny_data: PreparedData) -> None:
    labels = {"click": np.array([0.0, 1.0, 0.0, 1.0]), "buy": np.full(4, np.nan), "watch": np.ones(4)}
    good = {"click": np.array([0.1, 0.9, 0.2, 0.8]), "buy": np.full(4, 0.5), "watch": np.ones(4)}
    bad = {**good, "click": np.array([0.1, 0.9, 0.85, 0.8])}
    before, after = (
        {"groups": np.array([b"a", b"a", b"b", b"b"]), "labels": labels, "predictions": predictions}
        for predictions in (good, bad)
    )
    with small_tables(plain, "int8") as stored:
        assert table_report("int8", stored, tiny_data, before, before)["largest_difference"] == 0.0
        with pytest.raises(ValueError, match=r"`tables` must cost at most 0.0005 .* changes 'click' by -0.25000"):
            table_report("int8", stored, tiny_data, before, after)


def test_a_wrong_form_is_refused_before_anything_is_computed(
    plain: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"export: `tables` must be one of \['fp16', 'int8'\]"):
        export(plain, tiny_data, tmp_path / "model", options=ExportOptions(tables="bf16"))
    assert not (tmp_path / "model").exists()
