"""A search whose trials take no time."""

import sys
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.pipelines.tuning.search_space import SearchSpace
from tfmtl.pipelines.tuning.study import Study
from tfmtl.training import TrainOptions

SPACE = {"learning_rate": "{low: 1e-5, high: 1e-1, log: true}", "set.num_experts": "[2, 4, 8]"}


def toy_study(data: Path, output: Path, space: dict[str, str] | None = None, **options: Any) -> Study:
    """A search over the learning rate, best at 0.001."""
    searched = SearchSpace(space or SPACE, TrainOptions("mmoe", epochs=3))
    command = (sys.executable, "-S", str(Path(__file__).with_name("toy_trial.py")))
    return Study(PreparedData(data), output, searched, **{"seed": 1, "command": command, **options})
