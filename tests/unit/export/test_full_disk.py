"""An export that runs out of room."""

import errno
import re
import shutil
from pathlib import Path

import pytest

from tests.support.full_disk import contents, room_for
from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.models import MultiTaskModel


@pytest.fixture
def versions(version: Path, tmp_path: Path) -> Path:
    """Holds version 1."""
    shutil.copytree(version, tmp_path / "1")
    return tmp_path


@pytest.mark.parametrize("num_bytes", [100, 50_000])
def test_old_version_stays_whole_and_nothing_is_left(
    model: MultiTaskModel, tiny_data: PreparedData, versions: Path, num_bytes: int
) -> None:
    """The variables have no room, or they do and the graph has none."""
    before = contents(versions)
    message = f"export: cannot write '{versions}/2': File too large. Earlier versions are unchanged: free some space"
    with room_for(num_bytes), pytest.raises(OSError, match=re.escape(message)):
        export(model, tiny_data, versions)
    assert [path.name for path in versions.iterdir()] == ["1"]
    assert contents(versions) == before


def test_full_disk_while_the_check_runs(model: MultiTaskModel, tiny_data: PreparedData, versions: Path) -> None:
    def check(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"export: cannot write '.*/2': No space left on device\. Earlier versions"):
        export(model, tiny_data, versions, check=check)
    assert [path.name for path in versions.iterdir()] == ["1"]
    assert export(model, tiny_data, versions) == versions / "2"
    assert sorted(path.name for path in versions.iterdir()) == ["1", "2"]
