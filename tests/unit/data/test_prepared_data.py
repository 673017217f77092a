"""Reading prepared data: every example once, a seeded order, missing labels as NaN, and clear errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.small_log import SMALL_PROBLEM, records, run, small_log, values, write_csv
from tfmtl.data import DataError, PreparedData
from tfmtl.data.example_spec import encoded_signature
from tfmtl.schema import ProblemError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    run(folder / "out", write_csv(folder / "log.csv", small_log(400)))
    return folder / "out"


def _rows(batches: tf.data.Dataset) -> list[tuple[float, ...]]:
    """A batch's examples, told apart by their price and first label."""
    prices = np.concatenate([features["price"] for features, *_ in batches.as_numpy_iterator()])
    watch = np.concatenate([labels["watch"] for _, labels, *_ in batches.as_numpy_iterator()])
    assert len(prices) == len(watch)
    return prices.tolist()


def _written(folder: Path, split: str) -> list[float]:
    return [values(record)["price"][0] for record in records(folder, split)]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_example_exactly_once_and_right(folder: Path, split: str) -> None:
    data = PreparedData(folder)
    expected = {row["key:group"][0]: row for row in map(values, records(folder, split))}
    seen = []
    for features, labels, groups in data.split(split, 32).as_numpy_iterator():
        signature = encoded_signature(SMALL_PROBLEM)
        assert set(features) == set(signature)
        assert set(labels) == {"click", "buy", "watch"}
        for name, spec in signature.items():
            assert features[name].dtype == spec.dtype.as_numpy_dtype
            assert features[name].shape == (len(groups), *spec.shape[1:])
        for position, row in enumerate(groups.tolist()):
            example = expected[row]
            for name, value in features.items():
                held = example[name] + [0] * ((value.shape[1] if value.ndim == 2 else 1) - len(example[name]))
                assert value[position].tolist() == (held if value.ndim == 2 else held[0])
            for task, label in labels.items():
                held = example.get(f"label:{task}", [np.nan])
                np.testing.assert_array_equal(label[position], np.float32(held[0]))
        seen += groups.tolist()
    assert sorted(seen) == sorted(expected)
    assert len(seen) == data.num_examples(split) > 0


def test_missing_labels_are_nan(folder: Path) -> None:
    [(_, labels, _)] = PreparedData(folder).split("train", 1000).as_numpy_iterator()
    assert 0 < np.isnan(labels["watch"]).sum() < len(labels["watch"])
    assert np.isnan(labels["watch"])[labels["click"] == 0].all()
    assert not np.isnan(labels["click"]).any()


def test_evaluation_keeps_the_files_order(folder: Path) -> None:
    data = PreparedData(folder)
    for split, batches in {"valid": data.valid(16), "test": data.test(16)}.items():
        assert _rows(batches) == _rows(data.split(split, 16)) == _rows(batches)
        assert sorted(_rows(batches)) == sorted(_written(folder, split))


def test_training_is_shuffled_by_its_seed(folder: Path) -> None:
    data = PreparedData(folder)
    batches = data.train(16, seed=3)
    first, second = _rows(batches), _rows(batches)
    assert sorted(first) == sorted(second) == sorted(_written(folder, "train"))
    assert first != second  # another order every epoch
    assert first not in (_written(folder, "train"), _rows(data.split("train", 16)))
    again = data.train(16, seed=3)
    assert [_rows(again), _rows(again)] == [first, second]
    assert _rows(data.train(16, seed=4)) != first


def test_the_order_does_not_depend_on_the_batch_size(folder: Path) -> None:
    data = PreparedData(folder)
    assert _rows(data.train(7, seed=1)) == _rows(data.train(64, seed=1))


def _epochs(data: PreparedData, epochs: int, batch_size: int = 16, **start: int) -> list[list[float]]:
    """Prices of every batch of so many epochs."""
    steps = -(-data.num_examples("train") // batch_size)
    batches = data.train_epochs(batch_size, **start).take(steps * epochs - start.get("step", 0))
    return [features["price"].tolist() for features, _ in batches.as_numpy_iterator()]


def test_an_epochs_order_follows_from_seed_and_number(folder: Path) -> None:
    data = PreparedData(folder)
    tf.random.set_seed(0)
    batches = _epochs(data, 3, seed=3)
    steps = len(batches) // 3
    epochs = [[price for batch in batches[n * steps : (n + 1) * steps] for price in batch] for n in range(3)]
    for prices in epochs:
        assert sorted(prices) == sorted(_written(folder, "train"))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    tf.random.set_seed(7)  # what the program draws does not matter
    assert _epochs(data, 3, seed=3) == batches
    assert _epochs(data, 2, seed=3, epoch=1, step=4) == batches[steps + 4 :]
    assert _epochs(data, 1, seed=4)[0] != batches[0]


def test_the_digest_knows_the_data_not_the_place(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    data = PreparedData(tmp_path / "copy")
    assert data.digest == PreparedData(folder).digest
    _change(tmp_path / "copy" / "manifest.json", '"rows_in": 400', '"rows_in": 401')
    assert PreparedData(tmp_path / "copy").digest != data.digest


def test_batches(folder: Path) -> None:
    data = PreparedData(folder)
    sizes = [len(labels["click"]) for _, labels in data.train(50).as_numpy_iterator()]
    assert sizes[:-1] == [50] * (len(sizes) - 1)
    assert sum(sizes) == data.num_examples("train")
    assert int(data.train(50).cardinality()) == len(sizes)


def test_packed_records(tmp_path: Path, folder: Path) -> None:
    run(tmp_path / "out", write_csv(tmp_path / "log.csv", small_log(400)), compression="gzip")
    assert _rows(PreparedData(tmp_path / "out").valid(16)) == _rows(PreparedData(folder).valid(16))


def test_what_a_model_needs(folder: Path) -> None:
    data = PreparedData(folder)
    assert data.problem == SMALL_PROBLEM
    assert data.inputs.problem == SMALL_PROBLEM
    assert data.inputs.table_rows == data.manifest["tables"]
    [(_, labels, _)] = data.split("train", 1000).as_numpy_iterator()
    for task, mean in data.inputs.label_means.items():
        assert mean == pytest.approx(np.nanmean(labels[task].astype(np.float64)), rel=1e-4)
        assert data.inputs.label_deviations[task] == pytest.approx(np.nanstd(labels[task].astype(np.float64)), rel=1e-3)


# === Errors ===


def _shorten(folder: Path) -> None:
    file = folder / "train" / "part-00001-of-00003.tfrecord"
    file.write_bytes(file.read_bytes()[:-1])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        r"`directory` must be the output of `tfmtl preprocess`\. Received: directory='.*', which has no manifest\.json",
    ),
    "no folder": (lambda folder: shutil.rmtree(folder), r"which has no manifest\.json"),
    "cut manifest": (
        lambda folder: (folder / "manifest.json").write_text('{"format": 1,'),
        r"manifest\.json' is not readable: .*Run the preprocessing again",
    ),
    "a file is cut off": (
        _shorten,
        r"part-00001-of-00003\.tfrecord' must have \d+ bytes but has \d+ bytes\. Run the ",
    ),
    "a file is missing": (
        lambda folder: (folder / "test" / "part-00002-of-00003.tfrecord").unlink(),
        r"part-00002-of-00003\.tfrecord' must have \d+ bytes but is missing\. Run the ",
    ),
    "another problem": (
        lambda folder: _change(folder / "transform" / "problem.yaml", "max_length: 4", "max_length: 5"),
        r"was written for another problem than its problem\.yaml says\. Run the ",
    ),
    "another vocabulary": (
        lambda folder: _change(folder / "transform" / "vocabularies" / "tags.txt", "t", "u"),
        r"vocabularies/tags\.txt' is damaged: its content has changed since it was written\. Run the ",
    ),
    "another boundary": (
        lambda folder: _change(folder / "transform" / "statistics.json", "0", "1"),
        r"statistics\.json' is damaged: its content has changed since it was written\.",
    ),
    "no requests": (lambda folder: (folder / "requests.jsonl").unlink(), r"requests\.jsonl' is damaged"),
    "a file elsewhere": (
        lambda folder: _change(folder / "manifest.json", '"test/part-00000', '"test/../../part-00000'),
        r"must name files inside it only\. Received: 'test/\.\./\.\./part-00000",
    ),
}


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folders(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert PreparedData(tmp_path / "copy").num_examples("train")
    breaks, text = BROKEN[name]
    breaks(tmp_path / "copy")
    with pytest.raises(DataError, match=f"PreparedData: .*{text}"):
        PreparedData(tmp_path / "copy")


def test_a_missing_problem_file(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "transform" / "problem.yaml").unlink()
    with pytest.raises(ProblemError, match=r"Problem: no problem file at '.*problem\.yaml'"):
        PreparedData(tmp_path / "copy")


@pytest.mark.parametrize("has_checksums", [True, False])
def test_a_damaged_shard_is_named_when_it_is_read(folder: Path, tmp_path: Path, has_checksums: bool) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    file = tmp_path / "copy" / "valid" / "part-00001-of-00003.tfrecord"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    if not has_checksums:
        _forget_checksums(tmp_path / "copy")
    data = PreparedData(tmp_path / "copy")
    with pytest.raises(DataError, match=rf"PreparedData: '{file}' is damaged: .*corrupted record"), data.damage_named():
        _rows(data.valid(16))
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        _rows(data.valid(16))


def _forget_checksums(folder: Path) -> None:
    """Makes a folder one of the versions before checksums."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["checksums"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_folder_without_checksums_is_the_same_data(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    _forget_checksums(tmp_path / "copy")
    assert PreparedData(tmp_path / "copy").digest == PreparedData(folder).digest


@pytest.mark.parametrize(
    ("split", "batch_size", "text"),
    [
        ("dev", 8, r"`split` must be one of \['train', 'valid', 'test'\]\. Received: split='dev'\."),
        ("train", 0, r"`batch_size` must be a positive int\. Received: batch_size=0\."),
    ],
)
def test_wrong_arguments(folder: Path, split: str, batch_size: int, text: str) -> None:
    with pytest.raises(ValueError, match=f"PreparedData: {text}"):
        PreparedData(folder).split(split, batch_size)
