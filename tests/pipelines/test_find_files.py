"""Which files a log has: names that look like patterns, names to pass over, folders that name columns."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.support.small_log import records, run, small_log, write_csv, write_parquet
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.find import expand, partition_values
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.read import read_batches

ROWS = small_log(80)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["part-00000-of-00003.csv", "part-00002-of-00003.csv", "other.csv"], [1]),
        (["a-00001-of-00002.csv.gz"], [0]),
        (["a-1-of-3.parquet", "a-3-of-3.parquet"], [2]),
        (["a-0-of-2.csv", "b-1-of-2.csv"], [1]),
        (["a-0-of-999999999999.csv"], list(range(1, 11))),
    ],
)
def test_a_missing_shard_is_named(tmp_path: Path, names: list[str], missing: list[int]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"must be complete\. Missing: {re.escape(str(missing))}\. Give all"):
        expand([str(tmp_path)])


@pytest.mark.parametrize("names", [["a-0-of-2.csv", "a-1-of-2.csv"], ["a-1-of-2.csv", "a-2-of-2.csv", "b-2-of.csv"]])
def test_complete_shards(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert len(expand([str(tmp_path)])) == len(names)


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.csv", "a.tsv.gz", "c.PARQUET", "notes.txt", "d.csv.partial", "e.parquet/part-1.parquet", "f/g.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(*patterns: str) -> list[str]:
        return [str(Path(path).relative_to(tmp_path)) for path in expand([str(tmp_path / p) for p in patterns])]

    assert found(".") == found("./") == ["a.tsv.gz", "b.csv", "c.PARQUET"]
    assert found("*.csv", "a.*") == ["b.csv", "a.tsv.gz"]
    assert found("b.csv", ".", "b.csv") == ["b.csv", "a.tsv.gz", "c.PARQUET"]
    assert found("e.parquet") == ["e.parquet/part-1.parquet"]  # as Spark writes it


@pytest.mark.parametrize("name", ["nothing.csv", "*.parquet", "notes.txt", "folder"])
def test_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    text = f"preprocess: input '{tmp_path / name}' must match at least one .csv, .tsv, .jsonl or .parquet file"
    with pytest.raises(InputError, match=re.escape(text)):
        run(tmp_path / "out", tmp_path / name)


def test_a_name_is_itself_before_it_is_a_pattern(tmp_path: Path) -> None:
    names = ["log [final].csv", "log f.csv", "a*.csv", "what?.csv", "[x]/part.csv", "x/part.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in names:
        assert expand([str(tmp_path / name)]) == [str(tmp_path / name)]
    assert expand([str(tmp_path / "[x]")]) == [str(tmp_path / "[x]" / "part.csv")]
    assert expand([str(tmp_path / "log [f].csv")]) == [str(tmp_path / "log f.csv")]
    assert len(expand([str(tmp_path)])) == 4


def test_hidden_and_unfinished_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.csv", ".b.csv", "_c.csv", "_temporary/d.csv", "day=1/e.csv", "day=1/_f.csv", ".day=2/g.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(pattern: str) -> list[str]:
        return [str(Path(path).relative_to(tmp_path)) for path in expand([str(tmp_path / pattern)])]

    assert found("") == ["a.csv", "day=1/e.csv"]
    assert found("*.csv") == ["a.csv"]
    assert found("**.csv") == ["a.csv", "day=1/e.csv"]
    assert found("_*.csv") == found("_c.csv") == ["_c.csv"]  # asked for


def test_a_file_is_read_once_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log").mkdir()
    Path("log/a.csv").touch()
    Path("link").symlink_to("log")
    Path("log/b.csv").symlink_to("a.csv")
    assert expand(["log/a.csv", "./log/a.csv", "log", f"{tmp_path}/log/*.csv", "link/a.csv"]) == ["log/a.csv"]


def test_what_folders_say_of_a_file() -> None:
    path = "/data/day=2023-11-01/city=S%C3%A3o=Paulo/=x/none=__HIVE_DEFAULT_PARTITION__/a=b.csv"
    assert partition_values(path) == {"day": "2023-11-01", "city": "São=Paulo", "none": None}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_folders_that_name_columns(tmp_path: Path, suffix: str) -> None:
    """The log with a column in its folders gives what the log with the column in its files does."""
    regions = ["eu", "us", None]
    write = {"csv": write_csv, "parquet": write_parquet}[suffix]
    for index, region in enumerate(regions):
        rows = [{**row, "item": region} for row in ROWS[index::3]]
        write(tmp_path / f"whole-{index}.{suffix}", rows)
        folder = tmp_path / "parts" / f"item={region or '__HIVE_DEFAULT_PARTITION__'}"
        folder.mkdir(parents=True)
        if suffix == "csv":
            write_csv(folder / "log.csv", [{name: row[name] for name in row if name != "item"} for row in rows])
        else:
            parquet.write_table(
                parquet.read_table(tmp_path / f"whole-{index}.parquet").drop_columns("item"), folder / "log.parquet"
            )
    manifest = run(tmp_path / "out", tmp_path / "parts")
    assert manifest["rows_in"] == 80
    run(tmp_path / "expected", tmp_path)
    assert sorted(records(tmp_path / "out", "train")) == sorted(records(tmp_path / "expected", "train"))


PATTERNS = r"""
* *.csv **.csv ** ?.csv [ab].csv [!a].csv [!]x.csv []a].csv [].csv [^a].csv [a-c].csv a.csv f/* f/ f*/[a-c].csv */*.csv
[a\\].csv nothing/* a[.csv **/c.csv
""".split()
NAMES = r"a.csv b.csv ].csv ^.csv !x.csv \.csv [].csv a[.csv f/c.csv f/g/c.csv .h".split()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_here_what_they_mean_on_other_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    from apache_beam.io.filesystems import FileSystems

    for name in (
        "a.csv",
        "b.csv",
        "].csv",
        "^.csv",
        "!x.csv",
        "\\.csv",
        "[].csv",
        "a[.csv",
        "f/c.csv",
        "f/g/c.csv",
        ".h",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    if pattern != "f/":  # here a name, there all below it
        whole = f"{tmp_path}/{pattern}"
        expected = {found.path for found in FileSystems.match([whole])[0].metadata_list}
        assert set(files.match([whole])) == expected
        assert bool(expected) != (pattern in ("nothing/*", "[!]x.csv"))
    monkeypatch.chdir(tmp_path)
    assert {f"{tmp_path}/{path}" for path in files.match([pattern])} == set(files.match([f"{tmp_path}/{pattern}"]))


def test_a_files_own_column_comes_first(tmp_path: Path) -> None:
    (tmp_path / "b=folder").mkdir()
    parquet.write_table(pa.table({"a": [1], "b": ["file"]}), tmp_path / "b=folder" / "x.parquet")
    [batch] = read_batches(str(tmp_path / "b=folder" / "x.parquet"), ["a", "b"])
    assert batch.rows.to_pylist() == [{"a": 1, "b": "file"}]
