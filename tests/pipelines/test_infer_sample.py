"""What `tfmtl schema infer` looks at of large and of many files."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.support.csv_columns import write_csv
from tfmtl.proposal.proposal import propose
from tfmtl.proposal.sample import read_sample


@pytest.mark.parametrize("name", ["big.csv", "big.csv.gz", "big.parquet", "big.jsonl", "big.jsonl.gz"])
def test_a_large_file_is_sampled_all_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("tfmtl.proposal.sample._PART_BYTES", 1 << 10)
    numbers = np.arange(50_000)
    if name.endswith("parquet"):
        parquet.write_table(pa.table({"n": numbers, "m": numbers % 7}), tmp_path / name, row_group_size=1500)
    elif ".jsonl" in name:
        opened = gzip.open if name.endswith(".gz") else open
        with opened(tmp_path / name, "wt") as stream:
            stream.writelines(f'{{"n": {n}, "m": {n % 7}}}\n' for n in numbers.tolist())
    else:
        write_csv(tmp_path / name, {"n": numbers, "m": numbers % 7})
    sample = read_sample([str(tmp_path / name)], 1000)
    seen = np.array([int(value) for value in sample.rows["n"].to_pylist()])
    assert 500 < len(seen) <= 1100
    assert np.all(np.isin(seen, numbers))
    assert len(np.unique(seen)) == len(seen)
    assert len(np.unique(seen // 5_000)) >= 8  # of ten tenths
    assert abs(sample.total_rows - 50_000) < 1_500
    if name.endswith("parquet"):
        assert sample.total_rows == 50_000


def test_many_files_and_files_of_different_tables(tmp_path: Path) -> None:
    for number in range(45):
        write_csv(tmp_path / f"{number:02d}.csv", {"n": [number] * 10, "m": range(10)})
    sample = read_sample([str(tmp_path)], 60)
    assert (sample.num_files, sample.files_read, sample.total_rows) == (45, 20, 450)
    assert len(set(sample.rows["n"].to_pylist())) == 20
    write_csv(tmp_path / "44.csv", {"n": [1], "other": [2]})
    with pytest.raises(ValueError, match=r"44\.csv' must have the columns of"):
        read_sample([str(tmp_path)])


def test_many_values_are_hashed_by_an_estimate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tfmtl.schema.features.categorical._HASH_FROM", 10_000)
    rng = np.random.default_rng(0)
    write_csv(tmp_path / "log.csv", {"item_id": rng.integers(0, 40_000, 30_000), "y": rng.integers(0, 2, 30_000)})
    sample = read_sample([str(tmp_path / "log.csv")], 3_000)
    [feature] = propose(sample, ["y"]).features
    assert feature.values["hash_buckets"] == 1 << 20
    assert "or more in all; hashed" in feature.why
