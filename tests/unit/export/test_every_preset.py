"""Every preset leaves as a SavedModel that answers as it did."""

from pathlib import Path

import pytest

from tests.support.saved_model_operations import foreign_operations
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.export.replay import replay
from tfmtl.models import PRESETS

# The fixtures of this folder export mmoe and shared_bottom.
OTHERS = [preset for preset in PRESETS if preset not in ("mmoe", "shared_bottom", "single_task")]


@pytest.mark.parametrize("preset", OTHERS)
def test_export_answers_as_the_model(small_data: PreparedData, preset: str, tmp_path: Path) -> None:
    version = export(tiny_model(small_data.inputs, preset), small_data, tmp_path / preset)
    assert replay(version).largest <= 1e-6
    assert foreign_operations(version) == set()
