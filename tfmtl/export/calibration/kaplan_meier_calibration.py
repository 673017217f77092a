"""Kaplan-Meier calibration: survival curves drawn to what groups of like predictions lived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import tensorflow as tf

from tfmtl.export.calibration.calibrator import Calibrator, Floats, Reliability
from tfmtl.metrics.survival import survival_calibration
from tfmtl.schema import TaskRecord
from tfmtl.schema.checks import error_text
from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.survival import kaplan_meier
from tfmtl.survival.curve_answers import curve_answers
from tfmtl.survival.interpolation import Interpolation
from tfmtl.tasks.survival_report import probability_measures

_GROUPS = 10
_EVENTS_OF_A_GROUP = 20
_FEWEST_EVENTS = 20
_LEAST_HAZARD = 1e-9  # below what float32 can tell from survival 1
_LEAST_SURVIVAL = 1e-38

Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class KaplanMeierCalibration(Calibrator):
    """Survival at every interval's end, made to agree with Kaplan-Meier in groups of like predictions.

    At each end the rows of the validation split are put into ten groups by their predicted survival (fewer where less
    than 200 ended). A group is a knot: its mean prediction, its Kaplan-Meier survival. Groups that are not in order are
    merged, as isotonic regression does. Between knots the function is linear in `log(-log S)`; beyond the outer ones,
    and with a single group everywhere, it is a constant factor of the cumulative hazard, so that 0 stays 0 and 1 stays
    1. At an end that no validation row reaches it is the function of the end before.

    At each end the function rises strictly. So that a curve does not rise in time, each value is bounded by those
    before it: a curve that lies nowhere below another stays so, and the order at one time changes only between curves
    that cross and where the bound is met. No function of single values could promise more: it would have to fall from
    each time to the next, and could not mend a model whose survival is too low.

    Hazards, median, expected lifetime, and the shares of several causes, which stay what they were within each
    interval, follow from the calibrated curve.

    Args:
        task: `SurvivalTask`.
        state: what was fitted to its training labels.
        knots: for each of the K interval's ends, pairs of predicted and calibrated survival in (0, 1), ascending in
            both; of none, nothing changes there.

    Reference:
        Isotonic regression as in Zadrozny and Elkan 2002; Kaplan-Meier in groups of predictions as in the calibration
        curves of Austin, Harrell and van Klaveren 2020, "Graphical calibration curves and the integrated calibration
        index (ICI) for survival models".
    """

    method: ClassVar[str] = "km"

    task: SurvivalTask
    state: Mapping[str, Any]
    knots: tuple[Knots, ...]

    @classmethod
    def of_task(
        cls, task: TaskRecord, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
    ) -> KaplanMeierCalibration:
        survival_task = cast(SurvivalTask, task)
        if survival_task.time_upper is not None:
            rule = f"have exact times, without `time_upper`, for '{cls.method}'"
            advice = "Kaplan-Meier curves do not exist for intervals; leave it as it is."
            raise ValueError(error_text("calibrate", "task", rule, task.name, advice))
        known = ~np.isnan(labels[""])
        times, events = (labels[part][known].astype(np.float64) for part in ("", "event"))
        entries = labels["entry"][known].astype(np.float64) if "entry" in labels else None
        if events.sum() < _FEWEST_EVENTS:
            rule = f"have {_FEWEST_EVENTS} rows that ended in the validation split"
            advice = f"There are {events.sum():.0f}. Leave it as it is, or validate on more."
            raise ValueError(error_text("calibrate", "task", rule, task.name, advice))
        survival = outputs["survival"][known].astype(np.float64)
        knots: list[Knots] = []
        for edge, column in zip(state["edges"], survival.T, strict=True):
            found = _knots(times, events, entries, column, edge)
            knots.append(found if found or not knots else knots[-1])
        return cls(survival_task, state, tuple(knots))

    def of_arrays(self, outputs: Mapping[str, Floats]) -> dict[str, Floats]:
        return self._answers(np, outputs)

    def of_tensors(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        from keras import ops

        # In float64: near 1, float32 has no room for the hazard.
        doubles = {suffix: tf.cast(values, tf.float64) for suffix, values in outputs.items()}
        return {suffix: tf.cast(values, tf.float32) for suffix, values in self._answers(ops, doubles).items()}

    def _answers(self, xp: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """All outputs, of the calibrated curve."""
        survival = self._calibrated(xp, outputs["survival"])
        logs = xp.log(xp.maximum(survival, _LEAST_SURVIVAL))
        interpolation = cast(Interpolation, self.task.interpolation)
        answers = curve_answers(xp, logs, self.state["edges"], interpolation)
        if not self.task.causes:
            return answers
        names = [f"cif_{cause}" for cause in self.task.causes]
        ended = -_steps(xp, answers["survival"], 1.0)  # (B, K), of all rows those that end in each interval
        own = [xp.maximum(_steps(xp, outputs[name], 0.0), 0.0) for name in names]
        whole = sum(own)
        some = xp.where(whole > 0, whole, xp.ones_like(whole))
        shares = [xp.where(whole > 0, part / some, xp.ones_like(whole) / len(names)) for part in own]
        return answers | {name: xp.cumsum(ended * share, axis=1) for name, share in zip(names, shares, strict=True)}

    def _calibrated(self, xp: Any, survival: Any) -> Any:
        """Survival at the ends of the intervals, `(B, K)` to `(B, K)`."""
        hazard = xp.maximum(-xp.log(xp.maximum(survival, _LEAST_SURVIVAL)), _LEAST_HAZARD)
        own = xp.exp(-xp.exp(self._mapped(xp, xp.log(hazard))))
        # The smallest of each value and all before it, in steps that double.
        shift = 1
        while shift < len(self.knots):
            before = xp.concatenate([xp.ones_like(own[:, :shift]), own[:, :-shift]], axis=1)
            own = xp.minimum(own, before)
            shift *= 2
        return own

    def _mapped(self, xp: Any, values: Any) -> Any:
        """The functions on the scale of `log(-log S)`: straight between knots, with slope 1 beyond them."""
        scaled = [np.log(-np.log(np.array(knots[::-1]).reshape(-1, 2))) for knots in self.knots]  # ascending again
        starts, widths, slopes = (np.zeros((max(map(len, scaled)), len(scaled))) for _ in range(3))
        shift = np.zeros(len(scaled))
        for edge, pairs in enumerate(scaled):
            if len(pairs):
                shift[edge] = pairs[0, 1] - pairs[0, 0]
                inner = slice(0, len(pairs) - 1)
                starts[inner, edge], widths[inner, edge] = pairs[:-1, 0], np.diff(pairs[:, 0])
                slopes[inner, edge] = np.diff(pairs[:, 1]) / np.diff(pairs[:, 0])
        total = values + shift
        for start, width, slope in zip(starts, widths, slopes, strict=True):
            if width.any():
                total = total + (slope - 1.0) * (width > 0) * xp.minimum(xp.maximum(values - start, 0.0), width)
        return total

    def parameters(self) -> dict[str, Any]:
        """The knots of each end."""
        return {
            "edges": list(self.state["edges"]),
            "predicted": [[predicted for predicted, _ in knots] for knots in self.knots],
            "calibrated": [[calibrated for _, calibrated in knots] for knots in self.knots],
        }

    def measures(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> dict[str, float]:
        return probability_measures(self.task, self.state, labels, outputs)

    def reliability(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> Reliability:
        """At the end of the middle interval, in ten groups."""
        middle = len(self.knots) // 2
        at = self.state["edges"][middle]
        groups = survival_calibration(labels[""], labels["event"], outputs["survival"][:, middle], at)
        rows = sum(group.rows for group in groups)
        gap = sum(group.rows * abs(group.predicted - group.observed) for group in groups) / max(rows, 1)
        predicted, observed = [group.predicted for group in groups], [group.observed for group in groups]
        return Reliability(predicted, observed, f"off by {gap:.4f} at {at:g}")


def _knots(times: Floats, events: Floats, entries: Floats | None, survival: Floats, edge: float) -> Knots:
    """Mean prediction and Kaplan-Meier survival of the groups at one end, merged until both ascend."""
    number = int(np.clip(events.sum() // _EVENTS_OF_A_GROUP, 1, _GROUPS))
    inner = np.quantile(survival, np.arange(1, number) / number)
    groups = np.searchsorted(inner, survival, side="right")
    merged: list[tuple[float, float, float]] = []  # rows, predicted, observed
    for group in np.unique(groups):
        own = groups == group
        rows = float(own.sum())
        observed = kaplan_meier(times[own], events[own], entries=None if entries is None else entries[own]).at([edge])
        if observed[0] > 0.0 and times[own].max() < edge:
            continue  # nobody of them was seen until then
        bound = 1.0 / (
            rows + 2.0
        )  # as Platt's targets: that none of a few rows ended does not prove that none ever does
        pair = (
            float(np.clip(survival[own].mean(), 1e-30, 1.0 - 1e-6)),
            float(np.clip(observed[0], bound, 1.0 - bound)),
        )
        now = (rows, *pair)
        while merged and (merged[-1][2] >= now[2] or merged[-1][1] >= now[1]):
            last = merged.pop()
            total = last[0] + now[0]
            now = (
                total,
                (last[0] * last[1] + now[0] * now[1]) / total,
                (last[0] * last[2] + now[0] * now[2]) / total,
            )
        merged.append(now)
    return tuple((predicted, observed) for _, predicted, observed in merged)


def _steps(xp: Any, curve: Any, start: float) -> Any:
    """What a curve rises by in each interval, `(B, K)`."""
    return curve - xp.concatenate([xp.ones_like(curve[:, :1]) * start, curve[:, :-1]], axis=1)
