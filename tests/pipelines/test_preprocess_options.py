"""Arguments of the job: wrong ones are refused before any work, and errors of workers are readable."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_log import SMALL_PROBLEM, run, small_log, write_csv
from tfmtl.data import TransformStatistics
from tfmtl.pipelines.preprocess.beam.options import split_options
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.preprocessing.writing.manifest import build_manifest
from tfmtl.schema import ProblemError

ROWS = small_log(60)


def test_a_new_problem_is_held_to_the_rules_of_problem_files(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    later = tuple(replace(task, known_at_event=False) for task in SMALL_PROBLEM.tasks)
    with pytest.raises(ProblemError, match="the condition of sequence 'bought' reads column 'buy'"):
        run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, tasks=later))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"compression": "zip"}, r"`compression` must be one of \['none', 'gzip'\]. Received: compression='zip'"),
        ({"num_shards": 0}, "`num_shards` must be a positive int. Received: num_shards=0"),
        ({"seed": -1}, "`seed` must be an int of at least 0. Received: seed=-1"),
        ({"engine": "flink"}, r"`engine` must be one of \['local', 'beam', 'spark'\]. Received: engine='flink'"),
        ({"engine": "beam", "spark_master": "yarn"}, "`engine` must be 'spark' where Spark's master or settings are"),
        ({"engine": "beam", "spark_conf": {"a": "b"}}, "`engine` must be 'spark' where Spark's master or settings are"),
        (
            {"engine": "spark", "beam_options": ["--runner=x"]},
            "option '--runner=x' is not an option of tfmtl, and the engine is",
        ),
        (
            {"engine": "local", "beam_options": ["--runner=x"]},
            "option '--runner=x' is not an option of tfmtl, and the engine is local, not Beam.$",
        ),
        ({"workers": 0}, "`workers` must be a positive int. Received: workers=0. Use 1, or as many as the machine has"),
        ({"engine": "beam", "workers": 2}, "`workers` must be left out with the engine 'beam', which has its own"),
        ({"beam_options": ["--runner=DaskRunner"]}, "runner must not be DaskRunner: of several outputs it computes"),
        (
            {"beam_options": ["--runner", "apache_beam.runners.dask.dask_runner.DaskRunner"]},
            "runner must not be DaskRunner",
        ),
        (
            {"beam_options": ["--direct_runing_mode=multi_processing"]},
            "option '--direct_runing_mode' is neither an option of tfmtl nor of Beam. Did you mean '--direct_running",
        ),
        (
            {"beam_options": ["--direct_running_mode=threads"]},
            "Beam refuses its options: argument --direct_running_mode: invalid choice: 'threads'",
        ),
        (
            {"beam_options": ["--runner"]},
            "Beam refuses its options: argument --runner: expected one argument. Received",
        ),
        (
            {"beam_options": ["-x"]},
            "option '-x' is neither an option of tfmtl nor of Beam. See `tfmtl preprocess --help`;",
        ),
    ],
)
def test_wrong_arguments(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    with pytest.raises(ValueError, match=f"preprocess: {text}"):
        run(tmp_path / "out", log, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (InputError("preprocess: file 'a' is cut off. [while running 'read rows/ParDo']"), InputError,
         "preprocess: file 'a' is cut off."),
        (RuntimeError(
            'Traceback:\n  raise InputError(f"preprocess: {path}") from error\n'
            "tfmtl.preprocessing.reading.read.InputError: "
            "preprocess: file 'a' is cut off.\n\nDuring handling:\ntfmtl.preprocessing.reading.read.InputError: "
            "preprocess: file 'a' is cut off. [while running 'read rows/ParDo']\n"), InputError,
         "preprocess: file 'a' is cut off."),
        (RuntimeError("worker died"), RuntimeError, "worker died"),
    ],
)  # fmt: skip
def test_errors_of_workers_become_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception], text: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("tfmtl.pipelines.preprocess.beam.pipeline.build", fail)
    with pytest.raises(expected) as caught:
        run(tmp_path / "out", write_csv(tmp_path / "log.csv", ROWS), engine="beam")
    assert str(caught.value) == text


def test_the_number_of_shards_follows_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    run(tmp_path / "small", log, num_shards=None)
    monkeypatch.setattr("tfmtl.preprocessing.job._BYTES_PER_SHARD", log.stat().st_size // 10)
    run(tmp_path / "large", log, num_shards=None)
    for name, shards in {"small": 8, "large": 11}.items():  # a bucket without users has no file
        files = list((tmp_path / name / "train").iterdir())
        assert {path.name.partition("-of-")[2] for path in files} == {f"{shards:05d}.tfrecord"}


def _manifest(rows_in: Sequence[int], examples: int, history: int, rejected: Sequence[int]) -> dict[str, Any]:
    statistics = TransformStatistics(
        {"user": (), "item": (), "tags": ()}, {"user": (), "item": (), "tags": ()}, {"age": ()}, {}, {}, {}, {}
    )
    counts = {"train/examples": examples, "history_only": history}
    shard = {"bucket": 0, "counts": counts, "files": {}, "checksums": {}}
    read, bad = [{"rows": count} for count in rows_in], [{"bad": count} for count in rejected]
    return build_manifest(SMALL_PROBLEM, statistics, read, bad, [shard], 0, ["log.csv"])


def test_every_row_is_accounted_for() -> None:
    manifest = _manifest([5, 6], 7, 1, [1, 2])
    assert (manifest["rows_in"], manifest["rows_written"], manifest["rows_history_only"]) == (11, 7, 1)
    assert manifest["rows_rejected"] == {"bad": 3}
    assert manifest["splits"]["valid"]["tasks"]["click"] == {"labels": 0, "mean": None}


@pytest.mark.parametrize("counts", [([5, 7], 7, 1, [1, 2]), ([5, 6], 7, 0, [1, 2]), ([5, 6], 7, 1, [1])])
def test_lost_rows_are_an_error(counts: tuple[Any, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"preprocess: rows were lost\. Read: 1[12], written: 7, history only: "):
        _manifest(*counts)


def test_options_of_beam_as_they_may_be_written() -> None:
    written = (
        "a.csv --runner DataflowRunner b.csv --dry_run --save_main_session c.csv --region=x --dry_run false -x d.csv"
    )
    files, options = split_options(written.split())
    assert files == ["a.csv", "b.csv", "c.csv", "d.csv"]
    assert options == [
        "--runner=DataflowRunner", "--dry_run=True", "--save_main_session", "--region=x", "--dry_run=false", "-x"
    ]  # fmt: skip
