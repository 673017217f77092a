"""The head of a survival task."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_one_of, check_positive_int, check_shape, error_text
from tfmtl.survival.curve_answers import curve_answers, remaining_life, survival_at_age
from tfmtl.survival.interpolation import INTERPOLATIONS, Interpolation, median_lifetime
from tfmtl.survival.raw_curves import (
    DISTRIBUTIONS,
    Distribution,
    cumulative_incidence,
    log_hazards_of_causes,
    log_survival_of_aft,
    log_survival_of_hazards,
    log_survival_of_mass,
    mtlr_scores,
)
from tfmtl.survival.smooth_shapes import smooth_shapes

MODELS = ("hazard", "piecewise_hazard", "pmf", "mtlr", "deephit", "cox", "aft")
WITH_SHAPES = ("hazard", "piecewise_hazard")
_RARE = 1e-4
_MOST_RISK = 60.0


@keras.saving.register_keras_serializable(package="tfmtl")
class SurvivalHead(keras.layers.Layer):
    """Computes the raw outputs of a survival model from a task's representation; the curve follows from them.

    Every kind answers with survival at the same right edges; `curves` turns raw outputs into it. The biases start at
    the curve that `hazards` describe, so that training starts where a model without features would end.

    Shapes: B batch, H width, K intervals, C causes, M times.

    Args:
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        hazards: K floats in (0, 1), of several causes K lists of C. Share of the rows that reach an interval and end
            in it. Defaults to `None`: one tenth.
        model: str. `"hazard"`, `"piecewise_hazard"`, `"pmf"`, `"mtlr"`, `"deephit"` (one output an interval), `"cox"`
            (one output) or `"aft"` (two). Defaults to `"hazard"`.
        interpolation: str. `"constant_density"` or `"constant_hazard"`, inside an interval. Defaults to
            `"constant_density"`.
        num_causes: int. Causes C that a row may end by; more than one with `"hazard"` alone. Defaults to `1`.
        distribution: str. Of `"aft"`: `"normal"`, `"logistic"` or `"extreme"`. Defaults to `"normal"`.
        shapes: int or None. With `"hazard"` and `"piecewise_hazard"`: number of smooth curves over the intervals, of
            which a row's difference from the mean curve is made; see `smooth_shapes`. With 1 a row's logits are all
            moved by the same. Defaults to `None`: every interval has an output of its own.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 raw outputs, also under mixed precision: `(B, K)`, of several causes `(B, K, C)`, of Cox `(B,)`, of AFT
        `(B, 2)`.

    Raises:
        ValueError: If an argument is not as described, or at build if the inputs are not `(B, H)`.
        TypeError: If `num_causes` is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SurvivalHead(edges=[1.0, 2.0, 5.0])(keras.ops.ones((8, 4))).shape
    TensorShape([8, 3])
    """

    def __init__(
        self,
        edges: Sequence[float],
        hazards: Sequence[Any] | None = None,
        model: str = "hazard",
        interpolation: Interpolation = "constant_density",
        num_causes: int = 1,
        distribution: Distribution = "normal",
        shapes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_one_of(owner, "model", model, MODELS)
        check_one_of(owner, "interpolation", interpolation, INTERPOLATIONS)
        check_one_of(owner, "distribution", distribution, DISTRIBUTIONS)
        check_positive_int(owner, "num_causes", num_causes)
        right = np.asarray(edges, np.float64)
        if right.ndim != 1 or not right.size or not (np.diff(right, prepend=0.0) > 0).all():
            advice = "List right edges such as [3, 5, 7, 10]."
            raise ValueError(error_text(owner, "edges", "ascend from above 0", list(edges), advice))
        if num_causes > 1 and model != "hazard":
            advice = "Leave out the causes, or use model='hazard'."
            raise ValueError(error_text(owner, "num_causes", f"be 1 with model={model!r}", num_causes, advice))
        prior = np.full((len(right), num_causes), 0.1 / num_causes) if hazards is None else np.asarray(hazards)
        prior = prior.reshape(len(prior), -1)
        is_share = (prior >= 0).all() and (prior.sum(axis=1) <= 1).all()
        if prior.shape != (len(right), num_causes) or not is_share:
            rule, advice = f"be ({len(right)}, {num_causes}) shares", "Give one share for each interval and cause."
            raise ValueError(error_text(owner, "hazards", rule, hazards, advice))
        if shapes is not None:
            check_positive_int(owner, "shapes", shapes)
            if model not in WITH_SHAPES or shapes > len(right):
                rule = f"be at most the {len(right)} intervals, with a model of {list(WITH_SHAPES)}"
                raise ValueError(error_text(owner, "shapes", rule, shapes, f"Leave it out with model={model!r}."))
        self.edges = [float(edge) for edge in right]
        self.hazards = hazards
        self.model = model
        self.interpolation = interpolation
        self.num_causes = num_causes
        self.distribution = distribution
        self.shapes = shapes
        # Kept from 0 and 1, whose logits are infinite.
        self._prior = np.clip(prior, _RARE / num_causes, (1.0 - _RARE) / num_causes)

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, H")
        bias = self._first_bias()
        first = keras.initializers.Constant(bias)
        if self.shapes is None:
            self.output_layer = keras.layers.Dense(len(bias), bias_initializer=first, dtype=self.variable_dtype)
        else:
            width = self.shapes * self.num_causes
            self.output_layer = keras.layers.Dense(width, use_bias=False, dtype=self.variable_dtype)
            self.bias = self.add_weight(name="bias", shape=(len(bias),), initializer=first, autocast=False)
        self.output_layer.build(input_shape)
        if self.model == "cox":
            # Not learned with the rest: `set_baseline` gives it, from all training rows at once.
            first = -np.cumsum(np.log1p(-self._prior.sum(axis=1)))
            self.baseline = self.add_weight(
                name="baseline",
                shape=(len(self.edges),),
                initializer=keras.initializers.Constant(first.tolist()),
                trainable=False,
                dtype="float32",
            )

    def call(self, inputs: Tensor) -> Tensor:
        raw = self.output_layer(inputs)
        if self.shapes is not None:
            raw = ops.reshape(raw, (-1, self.shapes, self.num_causes))
            curves = ops.convert_to_tensor(smooth_shapes(len(self.edges), self.shapes), raw.dtype)
            raw = ops.einsum("bsc,sk->bkc", raw, curves)
            raw = ops.reshape(raw, (-1, len(self.edges) * self.num_causes)) + self.bias
        if self.num_causes > 1:
            return ops.reshape(raw, (-1, len(self.edges), self.num_causes))
        return raw[:, 0] if self.model == "cox" else raw

    def log_survival(self, raw: Tensor) -> Tensor:
        """Returns log S at the right edges, float32 `(B, K)`, of raw outputs."""
        if self.num_causes > 1:
            return ops.cumsum(log_hazards_of_causes(raw)[0], axis=1)
        if self.model == "cox":
            risks = ops.exp(ops.minimum(ops.cast(raw, "float32"), _MOST_RISK))
            return -ops.convert_to_tensor(self.baseline)[None] * risks[:, None]
        if self.model == "aft":
            return log_survival_of_aft(raw, np.asarray(self.edges, np.float32), self.distribution)
        if self.model in ("pmf", "deephit"):
            return log_survival_of_mass(raw)
        if self.model == "mtlr":
            return log_survival_of_mass(mtlr_scores(raw))
        return log_survival_of_hazards(raw)

    def predictions(self, raw: Tensor) -> dict[str, Tensor]:
        """Turns raw outputs into answers, row by row, by suffix, all float32.

        `""` is the expected lifetime up to the horizon, `(B,)`; `"survival"` and `"hazard"` are at and in the
        intervals, `(B, K)`; `"median"` is when survival reaches one half, the horizon where it does not, `(B,)`; of
        several causes `"incidence"` is the chance to have ended by each, `(B, K, C)`.
        """
        answers = curve_answers(ops, self.log_survival(raw), self.edges, self.interpolation)
        return {**answers, "incidence": cumulative_incidence(raw)} if self.num_causes > 1 else answers

    def survival_at(self, raw: Tensor, times: Tensor, ages: Tensor) -> Tensor:
        """Returns the chance to live another `times` `(B, M)` at the ages `(B,)`, `S(age + t) / S(age)`: `(B, M)`."""
        times, ages = ops.cast(times, "float32"), ops.cast(ages, "float32")
        return survival_at_age(ops, self.log_survival(raw), self.edges, times, ages, self.interpolation)

    def remaining_life(self, raw: Tensor, ages: Tensor) -> Tensor:
        """Returns the expected rest of life within the horizon at the ages `(B,)`, `(B,)`; 0 beyond it."""
        return remaining_life(ops, self.log_survival(raw), self.edges, ops.cast(ages, "float32"), self.interpolation)

    def set_baseline(self, cumulative_hazard: Sequence[float]) -> None:
        """Takes the cumulative hazard at the edges of a row of log risk 0 (Cox alone)."""
        self.baseline.assign(np.asarray(cumulative_hazard, np.float32))

    def _first_bias(self) -> list[float]:
        total = self._prior.sum(axis=1)
        survival = np.cumprod(1.0 - total)
        if self.model == "cox":
            bias = np.zeros(1)
        elif self.model == "aft":
            median = median_lifetime(np, np.log(survival)[None], self.edges, self.interpolation)[0]
            bias = np.array([math.log(median), math.log(math.expm1(1.0))])
        elif self.model == "hazard":
            bias = np.log(self._prior / (1.0 - total)[:, None]).reshape(-1)
        elif self.model == "piecewise_hazard":
            bias = np.log(np.expm1(-np.log1p(-total)))
        else:
            mass = -np.diff(survival, prepend=1.0)
            scores = np.log(np.maximum(mass, _RARE**2) / np.maximum(survival[-1], _RARE**2))
            bias = scores - np.append(scores[1:], 0.0) if self.model == "mtlr" else scores
        return [float(value) for value in bias]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        number = len(self.edges)
        if self.num_causes > 1:
            return (input_shape[0], number, self.num_causes)
        return {"cox": (input_shape[0],), "aft": (input_shape[0], 2)}.get(self.model, (input_shape[0], number))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "edges": self.edges,
            "hazards": self.hazards,
            "model": self.model,
            "interpolation": self.interpolation,
            "num_causes": self.num_causes,
            "distribution": self.distribution,
            "shapes": self.shapes,
        }
