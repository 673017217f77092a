"""The survival curve of each kind of raw output, at the right edges of its intervals.

Always as a logarithm, added up: products of many small numbers underflow in float32.

Shapes: B batch, K intervals, C causes.
"""

import math
from typing import Any, Literal, TypeAlias

import tensorflow as tf
from keras import ops

from tfmtl.core.types import Tensor

Distribution: TypeAlias = Literal["normal", "logistic", "extreme"]
DISTRIBUTIONS = ("normal", "logistic", "extreme")
LEAST_TIME = 1e-6
"""What a time of 0 counts as where its logarithm is taken."""
_LEAST_SCALE = 1e-3
_LARGE = 15.0


def log_survival_of_hazards(logits: Tensor) -> Tensor:
    """Returns `log S_k = -sum_{l <= k} softplus(logit_l)`, float32 `(B, K)`, for `logits` `(B, K)`.

    It is the same formula for two models: with hazards `sigmoid(logit)`, log(1 - h) is -softplus; with piecewise
    constant rates, softplus is what the rate adds up to over an interval.

    Example:

    >>> [round(float(value), 3) for value in ops.exp(log_survival_of_hazards([[0.0, 0.0]]))[0]]
    [0.5, 0.25]
    """
    return -ops.cumsum(ops.softplus(ops.cast(logits, "float32")), axis=1)


def log_survival_of_mass(scores: Tensor) -> Tensor:
    """Returns `log S_k = log sum_{l > k} p_l` of `p = softmax([scores, 0])`, float32 `(B, K)`, for `(B, K)`.

    Example:

    >>> [round(float(value), 3) for value in ops.exp(log_survival_of_mass([[0.0, 0.0]]))[0]]
    [0.667, 0.333]
    """
    masses = log_mass(scores)
    tails = [masses[:, -1]]
    for interval in range(masses.shape[1] - 2, 0, -1):  # K is some tens at most
        tails.append(ops.logaddexp(tails[-1], masses[:, interval]))
    return ops.stack(tails[::-1], axis=1)


def log_mass(scores: Tensor) -> Tensor:
    """Returns the log probability of each interval and, last, of what is beyond: float32 `(B, K + 1)`.

    Example:

    >>> ops.convert_to_numpy(ops.exp(log_mass([[0.0]]))).tolist()
    [[0.5, 0.5]]
    """
    scores = ops.cast(scores, "float32")
    return ops.log_softmax(ops.concatenate([scores, ops.zeros_like(scores[:, :1])], axis=1), axis=1)


def mtlr_scores(logits: Tensor) -> Tensor:
    """Returns `z_k = sum_{l >= k} logit_l`, the scores of multi-task logistic regression, `(B, K)`.

    Example:

    >>> ops.convert_to_numpy(mtlr_scores([[1.0, 2.0]])).tolist()
    [[3.0, 2.0]]
    """
    return ops.flip(ops.cumsum(ops.flip(ops.cast(logits, "float32"), axis=1), axis=1), axis=1)


def log_hazards_of_causes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the logs of "lives on", `(B, K)`, and of ending by each cause, `(B, K, C)`, per interval reached.

    They are the softmax over `[0, logits]` of each interval, for `logits` `(B, K, C)`.

    Example:

    >>> alive, hazards = log_hazards_of_causes([[[0.0, 0.0]]])
    >>> round(float(ops.exp(alive)[0, 0]), 3), tuple(hazards.shape)
    (0.333, (1, 1, 2))
    """
    logits = ops.cast(logits, "float32")
    logs = ops.log_softmax(ops.concatenate([ops.zeros_like(logits[..., :1]), logits], axis=-1), axis=-1)
    return logs[..., 0], logs[..., 1:]


def cumulative_incidence(logits: Tensor) -> Tensor:
    """Returns the chance to end by cause c up to each right edge, `CIF_c(k) = sum_{l <= k} h_lc S_{l-1}`, `(B, K, C)`.

    Over all causes, plus the survival that is left, they sum to 1.

    Example:

    >>> [round(float(value), 3) for value in cumulative_incidence([[[0.0, 0.0]]])[0, 0]]
    [0.333, 0.333]
    """
    alive, hazards = log_hazards_of_causes(logits)
    before = ops.cumsum(alive, axis=1) - alive  # log S at the start of each interval
    return ops.cumsum(ops.exp(hazards + before[..., None]), axis=1)


def location_and_scale(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mu and sigma of log time, each float32 `(B,)`, of raw outputs `(B, 2)`.

    Example:

    >>> location, scale = location_and_scale([[1.0, 0.0]])
    >>> round(float(location[0]), 4), round(float(scale[0]), 4)
    (1.0, 0.6941)
    """
    outputs = ops.cast(outputs, "float32")
    return outputs[:, 0], ops.softplus(outputs[:, 1]) + _LEAST_SCALE


def log_survival_of_aft(outputs: Tensor, times: Any, distribution: Distribution) -> Tensor:
    """Returns log S at `times` `(K,)` or `(B, K)`, float32 `(B, K)`, of raw outputs `(B, 2)`.

    Example:

    >>> round(float(log_survival_of_aft([[0.0, 0.0]], [[1.0]], "logistic")[0, 0]), 4)
    -0.6931
    """
    location, scale = location_and_scale(outputs)
    logs = ops.log(ops.maximum(ops.cast(times, "float32"), LEAST_TIME))
    return log_survival_of_deviation((logs - location[:, None]) / scale[:, None], distribution)


def log_survival_of_deviation(deviation: Tensor, distribution: Distribution) -> Tensor:
    """Returns log P(z > deviation), elementwise.

    Example:

    >>> round(float(log_survival_of_deviation(ops.zeros(()), "extreme")), 4)
    -1.0
    """
    if distribution == "logistic":
        return -ops.softplus(deviation)
    if distribution == "extreme":
        return -steep_exp(deviation)
    # Below, the complement of the error function keeps its digits; above, it underflows and a series is exact.
    far = deviation > 8.0
    z = ops.where(far, deviation, 8.0)
    inverse = 1.0 / ops.square(z)
    series = 1.0 - inverse * (1.0 - inverse * (3.0 - 15.0 * inverse))
    tail = -0.5 * ops.square(z) - ops.log(z) - 0.5 * math.log(2.0 * math.pi) + ops.log(series)
    near = ops.log(0.5 * tf.math.erfc(ops.where(far, 0.0, deviation) / math.sqrt(2.0)))
    return ops.where(far, tail, near)


def steep_exp(deviation: Tensor) -> Tensor:
    """Returns e^z, from 15 on its tangent: finite with a gradient, for rows that a young model finds impossible."""
    bounded = ops.minimum(deviation, _LARGE)
    return ops.exp(bounded) * (1.0 + ops.maximum(deviation - _LARGE, 0.0))
