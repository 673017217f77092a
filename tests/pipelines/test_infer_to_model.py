"""`tfmtl schema infer`: its guess goes all the way, to prepared data or a trained model."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.support.csv_columns import write_csv
from tests.support.infer_command import infer, infer_refused
from tests.support.shop_columns import shop_columns
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.proposal.sample import read_sample


def test_columns_that_cannot_be_names_go_all_the_way(tmp_path: Path) -> None:
    """A history of them too; only the time has to be called plainly, as requests name it."""
    shop = shop_columns()
    renamed = {"user_id": "User ID", "viewItemID": "Item ID", "click": "Click?", "price": "Unit price"}
    log = {renamed.get(name, name): values for name, values in shop.items()}
    problem, _ = infer(tmp_path, write_csv(tmp_path / "log.csv", log), "--label", "Click?", "--item", "Item ID")
    assert problem.keys.user == "User ID"
    assert problem.sequences[0].columns[0] == "Item_ID"
    assert all("Click" not in (sequence.when or "") for sequence in problem.sequences)  # no condition can name it
    again, _ = infer(tmp_path, write_csv(tmp_path / "plain.csv", shop), "--label", "click", "--item", "viewItemID")
    outputs = []
    for name, each in (("log", problem), ("plain", again)):
        preprocess(each, [str(tmp_path / f"{name}.csv")], str(tmp_path / name), num_shards=1)
        data = PreparedData(tmp_path / name)
        features, labels = next(iter(data.valid(64)))
        read = [
            feature.name
            for feature in each.features
            if feature.name in ("price", "Unit_price", "Item_ID", "viewItemID")
        ]
        outputs.append([*(features[name] for name in read), *labels.values()])
    assert len(outputs[0]) == 3
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_array_equal(one, other)
    times = write_csv(tmp_path / "times.csv", {"a time": shop["ts"], "x": shop["age"], "y": shop["click"]})
    (tmp_path / "problem.yaml").unlink()
    assert "Received: 'a time'. Rename it in the log, such as to 'a_time'." in infer_refused(
        tmp_path, times, "--label", "y"
    )


def test_lists_that_are_equally_long_are_a_history_of_the_row(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 9, 200)
    items = [[f"i{k}" for k in generator.integers(0, 20, length)] for length in lengths]
    columns = {
        "user_id": [f"u{n % 40}" for n in range(200)],
        "item_id": [f"i{k}" for k in generator.integers(0, 20, 200)],
        "topic": [f"t{k}" for k in generator.integers(0, 4, 200)],
        "time": 1_600_000_000 + 60 * np.arange(200),
        "click": generator.integers(0, 2, 200),
        "read": items,
        "read_topics": [[f"t{int(item[1:]) % 4}" for item in row] for row in items],
        "read_at": [[1_599_000_000 + k for k in range(len(row))] for row in items],
        "words": [[f"w{k}" for k in range(n % 3)] for n in range(200)],  # of another length: no part of it
    }
    parquet.write_table(pa.table(columns), tmp_path / "log.parquet")
    problem, text = infer(tmp_path, tmp_path / "log.parquet", "--label", "click")
    [sequence] = problem.sequences
    assert (sequence.source, sequence.columns) == ("row", ("item_id", "topic"))
    assert (sequence.lists, sequence.times) == (("read", "read_topics"), "read_at")
    assert "read, read_topics, read_at are lists, equally long in every row" in text
    names = {feature.name for feature in problem.features}
    assert "words" in names and not {"read", "read_topics", "read_at"} & names
    manifest = preprocess(problem, [str(tmp_path / "log.parquet")], str(tmp_path / "data"), num_shards=1)
    assert (manifest["rows_written"], manifest["rows_rejected"], manifest["warnings"]) == (200, {}, [])


# === Real files ===

needs_data = pytest.mark.skipif("TFMTL_DATA" not in os.environ, reason="TFMTL_DATA names no folder with the files")


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("survival/survset_hdfail.csv.gz", ["event"]),
        ("kuairand_explicit/kuairand27k_like_or_hate_kcore15.csv.gz", ["is_click", "play_time_ms"]),
    ],
)
def test_a_real_file_to_a_trained_model(tmp_path: Path, name: str, labels: list[str]) -> None:
    file = Path(os.environ["TFMTL_DATA"]) / name
    problem, _ = infer(tmp_path, file, *(text for label in labels for text in ("--label", label)))
    manifest = preprocess(problem, [str(file)], str(tmp_path / "data"), num_shards=2)
    assert manifest["warnings"] == []
    assert manifest["rows_rejected"] == {}
    data = PreparedData(tmp_path / "data")
    model = tiny_model(data.inputs, "shared_bottom")
    model.compile()
    history = model.fit(data.train(512).take(20), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.data
@needs_data
def test_every_real_file_with_a_header_loads(tmp_path: Path) -> None:
    folder = Path(os.environ["TFMTL_DATA"])
    files = [*folder.glob("survival/*_*.csv.gz"), *folder.glob("*_mb/events.csv.gz")]
    assert files
    for file in files:
        sample = read_sample([str(file)], 5_000)
        label = next(name for name in ("event", "timestamp") if name in sample.rows.column_names)
        problem, _ = infer(tmp_path, file, "--label", label, "--rows", "5000")
        assert problem.features
