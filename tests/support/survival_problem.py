"""A small log of things that end, for survival tasks of every model beside a click and a watch time."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.tiny_problem import prepare
from tfmtl.data import PreparedData
from tfmtl.schema import BinaryTask, CategoricalFeature, NumericFeature, Problem, RegressionTask, Split, SurvivalTask

ROWS = 600
CUTS = (3.0, 5.0, 7.0, 10.0)


def survival_problem(*tasks: Any, **changes: Any) -> Problem:
    """Two features that tell how soon a row ends; click, watch time and the tasks given, or one of hazards."""
    own = tasks or (SurvivalTask("lifetime", time="days", event="stopped", intervals=CUTS),)
    parts: dict[str, Any] = {
        "name": "lives",
        "features": (
            CategoricalFeature("genre", dim=4),
            NumericFeature("quality", transform="z_score", dim=4),
        ),
        "tasks": (BinaryTask("click"), RegressionTask("watch"), *own),
        "split": Split(by="column", column="part"),
    }
    return Problem(**{**parts, **changes})


def every_model() -> tuple[SurvivalTask, ...]:
    """A task of each model, and one each with smooth shapes, with entries, with intervals of time, and with causes."""
    models = ("hazard", "piecewise_hazard", "pmf", "mtlr", "deephit", "cox", "aft")
    plain = [SurvivalTask(f"by_{name}", time="days", event="stopped", intervals=CUTS, model=name) for name in models]
    return (
        *plain,
        SurvivalTask("smooth", time="days", event="stopped", intervals=CUTS, shapes=2),
        SurvivalTask("late", time="days", event="stopped", survival_quantiles=4, entry="seen_at"),
        SurvivalTask("between", time="days", event="stopped", quantiles=4, time_upper="days_to"),
        SurvivalTask("why", time="days", event="stopped", equal=4, cause="reason", causes=("cut_out", "wear_out")),
    )


def survival_log(seed: int = 0, rows: int = ROWS) -> pa.Table:
    """Lives with known hazards, of which a third is censored; some labels are missing."""
    generator = np.random.default_rng(seed)
    genre, quality = generator.integers(0, 3, rows), generator.normal(size=rows)
    mean = np.exp(1.6 + 0.8 * quality + 0.5 * (genre - 1))
    life, seen = generator.exponential(mean), generator.exponential(12, rows)
    days, stopped = np.minimum(life, seen), life <= seen
    missing = generator.random(rows) < 0.05
    upper = np.where(stopped & (generator.random(rows) < 0.3), days + 2.0, np.nan)
    return pa.table(
        {
            "genre": [f"g{number}" for number in genre],
            "quality": quality,
            "click": (quality + generator.normal(size=rows) > 0).astype(float),
            "watch": 10 + quality + generator.normal(size=rows),
            "days": pa.array(days, mask=missing),
            "stopped": pa.array(stopped.astype(float), mask=missing),
            "seen_at": days * generator.choice([0.0, 0.4], rows),
            "days_to": pa.array(upper, from_pandas=True),
            "reason": np.where(generator.random(rows) < 0.5, "cut_out", "wear_out"),
            "part": np.where(np.arange(rows) % 3 == 0, np.where(np.arange(rows) % 2, "valid", "test"), "train"),
        }
    )


def prepare_lives(folder: Path, problem: Problem | None = None, log: pa.Table | None = None) -> PreparedData:
    """The log above, preprocessed below `folder`."""
    return prepare(folder, problem or survival_problem(), log=survival_log() if log is None else log)
