"""Two small runs on the tiny problem."""

from pathlib import Path

import pytest

from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit

SMALL = {"hidden_units": (16, 8), "tower_units": (8,), "number_bins": 0}  # bins want smaller rates than these


@pytest.fixture(scope="session")
def tiny_runs(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a run of two epochs that looked for conflicts, and of one that learned nothing; may be evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    good = TrainOptions(
        "mmoe",
        SMALL,
        epochs=2,
        batch_size=64,
        learning_rate=0.02,
        schedule="constant",
        id_dropout=0.0,  # two epochs of few rows, in which every id counts
        monitor_conflicts=True,
    )
    poor = TrainOptions("shared_bottom", SMALL, epochs=1, batch_size=512, learning_rate=1e-6)
    fit(tiny_data, folder / "good", good, verbose=0)
    fit(tiny_data, folder / "poor", poor, verbose=0)
    return folder / "good", folder / "poor"
