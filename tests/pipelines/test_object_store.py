"""The job on gs://: Beam's client against a storage server on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import storage

from tests.support.engines import write_log
from tests.support.gcs_emulator import gcs_bucket
from tests.support.small_log import SMALL_PROBLEM, contents, run
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.writing.output_folder import OutputFolder

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def bucket() -> Iterator[storage.Bucket]:
    with gcs_bucket("shop") as made:
        yield made


def _contents(bucket: storage.Bucket, folder: str) -> dict[str, bytes]:
    blobs = bucket.client.list_blobs(bucket, prefix=folder + "/")
    return {blob.name.removeprefix(folder + "/"): blob.download_as_bytes() for blob in blobs}


def _write(bucket: storage.Bucket, folder: str, *names: str) -> None:
    for name in names:
        bucket.blob(f"{folder}/{name}").upload_from_string(name)


def test_the_job_reads_and_writes_there(bucket: storage.Bucket, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    for path in log.iterdir():
        bucket.blob(f"log/{path.name}").upload_from_filename(str(path))
    run(tmp_path / "out", log)
    expected = {name: content for name, content in contents(tmp_path / "out").items() if "rejected" not in name}
    for num_shards in (5, 3):  # the second run replaces the first
        preprocess(SMALL_PROBLEM, ["gs://shop/log/*"], "gs://shop/out", num_shards=num_shards)
    written = _contents(bucket, "out")
    manifest = json.loads(written.pop("manifest.json"))
    assert manifest["inputs"] == [f"gs://shop/log/{name}" for name in ("a.csv", "b.parquet", "c.csv.gz")]
    [rejected] = written.pop("rejected/file-00000.jsonl").splitlines()
    assert json.loads(rejected)["file"] == "gs://shop/log/a.csv"
    assert written == expected
    assert _contents(bucket, "out.tfmtl") == {}


def test_an_error_leaves_the_old_output(bucket: storage.Bucket) -> None:
    _write(bucket, "kept", "manifest.json", "train/part-00000-of-00001.tfrecord")
    with pytest.raises(KeyboardInterrupt), OutputFolder("gs://shop/kept") as folder:
        _write(bucket, folder.partial.removeprefix("gs://shop/"), "train/part-00000-of-00002.tfrecord")
        raise KeyboardInterrupt
    assert sorted(_contents(bucket, "kept")) == ["manifest.json", "train/part-00000-of-00001.tfrecord"]
    assert _contents(bucket, "kept.tfmtl") == {}


@pytest.mark.parametrize("stop_at", range(11))
def test_an_exchange_cut_short_is_finished_by_the_next_run(
    bucket: storage.Bucket, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Whenever the process dies: what has a manifest is one whole output, and a later run finds its way."""
    name = f"cut-{stop_at}"
    old, new = "train/part-00000-of-00001.tfrecord", "train/part-00000-of-00002.tfrecord"
    _write(bucket, name, "manifest.json", old, "requests.jsonl")
    folder = OutputFolder(f"gs://shop/{name}")
    folder.prepare()
    _write(bucket, folder.partial.removeprefix("gs://shop/"), "manifest.json", new)
    calls = iter(range(100))
    for function in (files.copy, files.delete):

        def counted(*paths: object, function=function) -> None:  # type: ignore[no-untyped-def]
            if next(calls) == stop_at:
                raise KeyboardInterrupt
            function(*paths)

        monkeypatch.setattr(files, function.__name__, counted)
    whole = ({"manifest.json", old, "requests.jsonl"}, {"manifest.json", new})
    if stop_at < 10:  # as many steps as there are
        with pytest.raises(KeyboardInterrupt):
            folder.put_in_place()
        found = set(_contents(bucket, name))
        assert "manifest.json" not in found or found in whole
    else:
        folder.put_in_place()
        assert next(calls) == 10
    monkeypatch.undo()
    OutputFolder(f"gs://shop/{name}").prepare()
    assert set(_contents(bucket, name)) == whole[1]
    assert set(_contents(bucket, name + ".tfmtl")) == {"owner"}


def test_of_two_jobs_at_once_the_first_stops(bucket: storage.Bucket) -> None:
    first, second = (OutputFolder("gs://shop/twice") for _ in range(2))
    first.prepare()
    second.prepare()
    _write(bucket, second.partial.removeprefix("gs://shop/"), "manifest.json")
    _write(bucket, first.partial.removeprefix("gs://shop/"), "train/part-00000-of-00001.tfrecord")
    with pytest.raises(ValueError, match="`output` must be written by one job at a time"):
        first.put_in_place()
    assert _contents(bucket, "twice") == {}
    second.put_in_place()
    assert set(_contents(bucket, "twice")) == {"manifest.json"}


def test_what_is_no_output_is_never_replaced(bucket: storage.Bucket) -> None:
    _write(bucket, "mine", "thesis.txt")
    with pytest.raises(ValueError, match=r"which holds something else that would be lost: \['thesis\.txt'\]"):
        OutputFolder("gs://shop/mine").prepare()
    assert sorted(_contents(bucket, "mine")) == ["thesis.txt"]
