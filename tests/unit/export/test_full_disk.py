"""An export that runs out of room."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.export.saved_model import existing_versions


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """No file can grow beyond `num_bytes`: writes fail as on a full disk, from Python and from TensorFlow alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("num_bytes", [100, 5000])
def test_the_old_version_stays_whole_and_the_next_try_succeeds(
    tiny_data: PreparedData, tmp_path: Path, num_bytes: int
) -> None:
    model = tiny_model(tiny_data.inputs, "shared_bottom")
    old = export(model, tiny_data, tmp_path)
    before = contents(old)
    with room_for(num_bytes), pytest.raises((OSError, tf.errors.OpError)):
        export(model, tiny_data, tmp_path)
    assert existing_versions(tmp_path) == [1]
    assert contents(old) == before
    assert export(model, tiny_data, tmp_path) == tmp_path / "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
