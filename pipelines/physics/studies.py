"""The problems by name, and the settings that suit them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfmtl.pipelines.physics.darcy_study import DarcyStudy
from tfmtl.pipelines.physics.fisher_study import FisherStudy
from tfmtl.pipelines.physics.plate_study import PlateStudy
from tfmtl.pipelines.physics.study import Setting


@dataclass(frozen=True)
class Problem:
    """A problem of the command.

    Args:
        make: `Setting` -> its study.
        setting: number of steps, seed -> `Setting`.
        steps: int. Steps of a training that takes less than 15 seconds on two idle cores.
        quick: options of a quick study. Defaults to none.
    """

    make: Callable[..., Any]
    setting: Callable[[int, int], Setting]
    steps: int
    quick: Mapping[str, Any] = field(default_factory=dict)


STUDIES = {
    "fisher": Problem(FisherStudy, lambda steps, seed: Setting(steps, seed=seed), 3000),
    "darcy": Problem(DarcyStudy, lambda steps, seed: Setting(steps, 50, 128, 4e-3, seed), 1500, {"cells": 16}),
    "plate": Problem(PlateStudy, lambda steps, seed: Setting(steps, 24, 64, 4e-3, seed), 1500, {"cells": (42, 21, 2)}),
}
