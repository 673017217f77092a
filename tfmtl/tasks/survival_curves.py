"""What training rows and predictions of a survival task are measured as: times, curves, the curve of censoring."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.survival import StepFunction, SurvivalCurves
from tfmtl.tasks.task_behavior import Floats


def times_of(labels: Mapping[str, Floats], kept: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Times and events of some rows, float64: until when each was seen, and whether it ended then.

    Args:
        labels: part -> `(N,)`.
        kept: bool `(N,)`, rows with a label.
    """
    return labels[""][kept].astype(np.float64), labels["event"][kept].astype(np.float64)


def curves_of(task: SurvivalTask, state: Mapping[str, Any], survival: Floats) -> SurvivalCurves:
    """The curves that a model answers, without what rounding adds: they never rise, and stay in [0, 1].

    Args:
        task: the task.
        state: what `fit_survival_state` returned.
        survival: `(N, K)`, at the edges of the intervals.
    """
    falling = np.minimum.accumulate(np.clip(survival.astype(np.float64), 0.0, 1.0), axis=1)
    return SurvivalCurves(np.asarray(state["edges"]), falling, task.interpolation)  # type: ignore[arg-type]


def constant_curves(task: SurvivalTask, state: Mapping[str, Any], rows: int) -> SurvivalCurves:
    """The Kaplan-Meier curve of the training rows, once for each of `rows`.

    Args:
        task: the task.
        state: what `fit_survival_state` returned.
        rows: int.
    """
    survival = np.clip(np.cumprod(1.0 - _hazards(state).sum(axis=1)), 0.0, 1.0)
    return curves_of(task, state, np.broadcast_to(survival, (rows, len(survival))))


def constant_survival(task: SurvivalTask, state: Mapping[str, Any]) -> dict[str, Any]:
    """Suffix -> the output of a model without features: the Kaplan-Meier curve of the training rows.

    Args:
        task: the task.
        state: what `fit_survival_state` returned.
    """
    hazards = _hazards(state)
    curve = constant_curves(task, state, 1)
    survival = curve.survival[0]
    before = np.append(1.0, survival[:-1])
    incidence = np.cumsum(hazards * before[:, None], axis=0)
    return {
        "": float(curve.expected_lifetime()[0]),
        "survival": survival,
        "hazard": hazards.sum(axis=1),
        "median": float(curve.median_lifetime()[0]),
        **{f"cif_{cause}": incidence[:, number] for number, cause in enumerate(task.causes)},
    }


def censoring_of(state: Mapping[str, Any]) -> StepFunction:
    """G of the training rows: the share that is observed for longer than t.

    Args:
        state: what `fit_survival_state` returned.
    """
    return StepFunction(np.asarray(state["censoring"]["times"]), np.asarray(state["censoring"]["values"]), 1.0)


def time_grid(state: Mapping[str, Any], points: int) -> Floats:
    """Equal steps `(points,)` from above 0 to where the curves and nine in ten of the training rows' times end.

    Args:
        state: what `fit_survival_state` returned.
        points: int.
    """
    return np.linspace(0.0, min(float(state["grid_end"]), float(state["edges"][-1])), points + 1)[1:]


def _hazards(state: Mapping[str, Any]) -> Floats:
    """`(K, causes)`, one column without causes."""
    return np.asarray(state["hazards"], np.float64).reshape(len(state["edges"]), -1)
