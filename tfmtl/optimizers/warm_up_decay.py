"""A learning rate that warms up, then falls."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_count, check_one_of, check_positive_int, check_positive_number, error_text

DECAYS = ("constant", "exponential", "cosine")


@keras.saving.register_keras_serializable(package="tfmtl")
class WarmUpDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a straight line to the learning rate, then falls to a share of it by the last step.

    With step n from 0, W steps of warm-up, N in all, `p = (n - W) / (N - W)` cut to [0, 1] and the final share f, the
    rate is `learning_rate` times `(n + 1) / W` during the warm-up, then 1 (`"constant"`), `f ** p` (`"exponential"`) or
    `f + (1 - f) (1 + cos(pi p)) / 2` (`"cosine"`). After the last step it stays.

    Args:
        learning_rate: float, above 0. The largest rate.
        decay: str. `"constant"`, `"exponential"` or `"cosine"`.
        steps: int. Steps N of the whole training.
        warm_up: int. Steps W of the warm-up, fewer than N. Defaults to `0`: none.
        final_share: float in (0, 1]. Share f of the rate that is left at the end. Defaults to `0.01`.

    Raises:
        ValueError: If a value is out of its range or `decay` unknown.

    Example:

    >>> import tfmtl
    >>> rate = tfmtl.optimizers.WarmUpDecay(1.0, "cosine", steps=104, warm_up=4, final_share=0.1)
    >>> [round(float(rate(step)), 3) for step in (0, 3, 4, 54, 104)]
    [0.25, 1.0, 1.0, 0.55, 0.1]

    Reference:
        Loshchilov and Hutter 2017 (SGDR), https://arxiv.org/abs/1608.03983, eq. 5 without restarts, for `"cosine"`.
    """

    def __init__(
        self, learning_rate: float, decay: str, steps: int, warm_up: int = 0, final_share: float = 0.01
    ) -> None:
        super().__init__()
        check_positive_number("WarmUpDecay", "learning_rate", learning_rate)
        check_one_of("WarmUpDecay", "decay", decay, DECAYS)
        check_positive_int("WarmUpDecay", "steps", steps)
        check_count("WarmUpDecay", "warm_up", warm_up)
        if warm_up >= steps:
            advice = "Warm up for fewer steps, or train for more epochs."
            raise ValueError(error_text("WarmUpDecay", "warm_up", f"be below the {steps} steps", warm_up, advice))
        check_positive_number("WarmUpDecay", "final_share", final_share)
        if final_share > 1.0:
            raise ValueError(error_text("WarmUpDecay", "final_share", "be at most 1", final_share, "Use 0.01."))
        self.learning_rate = learning_rate
        self.decay = decay
        self.steps = steps
        self.warm_up = warm_up
        self.final_share = final_share

    def __call__(self, step: Any) -> Tensor:
        now = tf.cast(step, tf.float32)
        progress = tf.clip_by_value((now - self.warm_up) / (self.steps - self.warm_up), 0.0, 1.0)
        if self.decay == "exponential":
            factor = tf.exp(math.log(self.final_share) * progress)
        elif self.decay == "cosine":
            factor = self.final_share + (1.0 - self.final_share) * (1.0 + tf.cos(math.pi * progress)) / 2.0
        else:
            factor = tf.ones_like(progress)
        if self.warm_up:
            factor *= tf.minimum((now + 1.0) / self.warm_up, 1.0)
        return self.learning_rate * factor

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "steps": self.steps,
            "warm_up": self.warm_up,
            "final_share": self.final_share,
        }
