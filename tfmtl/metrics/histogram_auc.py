"""ROC AUC of one task in constant memory, for training and distributed evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.metrics import _close_scores as close_scores
from tfmtl.schema.checks import check_positive_int, error_text

# Counts stay exact to 2**53 in float64; float32 stops counting at 16.8 million a bin. The logit of a float32
# probability also keeps its order in float64, where float32 rounding could swap neighbors.
_STATE_DTYPE = "float64"

# float32 cannot tell probabilities apart above logit 16.6, and 1e-7 is rare for any event worth ranking.
_MAX_LOGIT = 16.0

# A product or sum of float32 probabilities may leave [0, 1] by rounding; logits given by mistake leave it by more.
_ROUNDING = 1e-6

_COPIES: ContextVar[int] = ContextVar("copies", default=close_scores.COPIES)  # of threads that trace replicas, too


@contextmanager
def rough_auc() -> Iterator[None]:
    """Within it, every `HistogramAUC` counts close scores once instead of three times: a third of the cost.

    It is for training steps, where the AUC is a sign of life and chooses nothing, and takes part in what is traced.
    Until the next `reset_state` all updates of a metric must be within, or all outside.

    Example:

    >>> metric = HistogramAUC()
    >>> with rough_auc():
    ...     metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(metric.result())
    0.75
    """
    token = _COPIES.set(1)
    try:
        yield
    finally:
        _COPIES.reset(token)


@keras.saving.register_keras_serializable(package="tfmtl")
class HistogramAUC(keras.metrics.Metric):
    """Area under the ROC curve of one binary task, from counts in bins of the predicted logit.

    Use it in `compile(metrics=...)` or a training loop; `roc_auc` is its exact counterpart for stored predictions.
    The state is two histograms, of positives and of negatives, and for each class sums that tell apart what falls into
    one bin (1.2 MB together). All are sums, so replicas, workers and shards merge by addition. An update costs O(B)
    and a pass over them.

    Bins are uniform in logit(p) = log(p / (1 - p)) between -16 and 16 (p from 1.1e-7 to 1 - 1.1e-7; what lies beyond
    joins the outermost bins). Uniform bins in p would put all predictions of a rare event into the first few bins;
    in logits, 2048 bins are 1/64 wide, which is 1.6 % of a small probability.

    Every pair of a positive and a negative in different bins is ranked exactly. Pairs in one bin are counted by a
    Count-Sketch over six levels, down to 8^6 cells per bin, which is finer than float32: exactly where the scores of a
    level's bins lie in up to 241 neighboring parents, as those of a model whose predictions lie close together, and
    otherwise with a random error of mean 0. Equal scores count one half. With `P_k` and `N_k` the positives and
    negatives of bin k, and P and N their sums, |result - exact AUC| <= sum_k P_k N_k / (P N) in any case, plus float32
    rounding of the result. On scores of every spread, and on few distinct scores, the error is below 0.01.

    Without a positive or without a negative the AUC is undefined and `result()` is 0.0, as for `keras.metrics.AUC`,
    not NaN: `keras.callbacks.EarlyStopping` and `ModelCheckpoint` take the first value they see as the best so far,
    and nothing is ever greater than NaN, so one epoch without a positive would end the search. Any AUC of
    use improves on 0.0, and 0.0 is not mistaken for a real one, as 0.5 would be. NaN means one thing: the model (or the
    caller) is broken, see `y_pred`.

    Shapes: B batch.

    Args:
        num_bins: int. Memory is two float64 vectors of this length. Defaults to `2048`.
        name: str. Defaults to `"auc"`.
        dtype: Passed to `keras.metrics.Metric`; the result's type. The counts are float64. Defaults to `None`.

    Raises:
        TypeError: `num_bins` is not an int.
        ValueError: `num_bins` is less than 1; on update, labels or predictions are not `(B,)` or `(B, 1)`.

    Example:

    >>> metric = HistogramAUC()
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(metric.result())
    0.75

    Reference:
        Hanley and McNeil 1982 for the area as a count of pairs; Charikar, Chen and Farach-Colton 2002, "Finding
        frequent items in data streams", for the sketch. Its use on the levels of a tree is our own.
    """

    def __init__(self, num_bins: int = 2048, name: str = "auc", dtype: Any = None) -> None:
        check_positive_int("HistogramAUC", "num_bins", num_bins, "Use 2048.")
        super().__init__(name=name, dtype=dtype)
        self.num_bins = num_bins
        self._direction = "up"  # what EarlyStopping(mode="auto") reads
        self.positives = self.add_variable((num_bins,), "zeros", dtype=_STATE_DTYPE, name="positives")
        self.negatives = self.add_variable((num_bins,), "zeros", dtype=_STATE_DTYPE, name="negatives")
        self.close = [
            self.add_variable((close_scores.SIZE,), "zeros", dtype=_STATE_DTYPE, name=f"close_{copy}")
            for copy in range(close_scores.COPIES)
        ]

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Adds a batch to the sums.

        Args:
            y_true: `(B,)` or `(B, 1)`, 0, 1 or NaN. A row whose label is NaN (missing) is ignored, whatever its
                prediction and weight.
            y_pred: `(B,)` or `(B, 1)`, probabilities. A labeled row whose prediction is NaN or outside [0, 1] (a logit
                given by mistake), or whose label is neither 0 nor 1, turns the result into NaN until the next
                `reset_state`: compiled code cannot raise, and a row left out would go unnoticed.
            sample_weight: `(B,)`, `(B, 1)`, a scalar or None, at least 0. Weight 0 is an absent row. Defaults to
                `None`, every row counts once.
        """
        labels = _as_vector("y_true", y_true)
        probabilities = _as_vector("y_pred", y_pred)
        weights = ops.ones_like(labels)
        if sample_weight is not None:
            weights = weights * ops.reshape(ops.cast(sample_weight, _STATE_DTYPE), (-1,))
        positives, negatives, *found = _counted(self.num_bins, _COPIES.get())(labels, probabilities, weights)
        self.positives.assign_add(positives)
        self.negatives.assign_add(negatives)
        for variable, added in zip(self.close, found, strict=False):
            variable.assign_add(added)

    def result(self) -> Tensor:
        """Returns the area as a scalar; 0.0 where it is undefined, NaN after an unusable row."""
        states = (self.positives, self.negatives, *self.close[: _COPIES.get()])
        return ops.cast(_area(*(tf.convert_to_tensor(state.value) for state in states)), self.dtype)

    def is_defined(self) -> Tensor:
        """Returns whether both classes were seen, as a bool scalar; true after an unusable row too."""
        return ops.not_equal(ops.sum(self.positives) * ops.sum(self.negatives), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_bins": self.num_bins}


# What follows is traced once and called by the steps of every model: a tenth of the time in which a step is traced.


@cache
def _counted(num_bins: int, copies: int) -> Callable[..., list[Tensor]]:
    """A function of labels, probabilities and weights, `(B,)`: what they add to the state of a metric."""

    def count(labels: Tensor, probabilities: Tensor, weights: Tensor) -> list[Tensor]:
        present = ops.logical_not(ops.isnan(labels))
        is_binary = ops.logical_or(ops.equal(labels, 0.0), ops.equal(labels, 1.0))
        in_range = ops.logical_and(probabilities >= -_ROUNDING, probabilities <= 1.0 + _ROUNDING)
        usable = ops.logical_and(is_binary, in_range)
        weights = ops.where(usable, weights, float("nan"))
        weights = ops.where(present, weights, 0.0)

        cells = _cells(num_bins, ops.where(in_range, probabilities, 0.0))
        bins = ops.cast(ops.floor_divide(cells, close_scores.CELLS_PER_BIN), "int32")
        is_positive = ops.equal(labels, 1.0)
        by_class = (ops.where(is_positive, weights, 0.0), ops.where(is_positive, 0.0, weights))
        histograms = [ops.segment_sum(own, bins, num_segments=num_bins) for own in by_class]  # each (num_bins,)
        return [*histograms, *close_scores.sums(cells, is_positive, weights, copies)]

    rows = tf.TensorSpec((None,), _STATE_DTYPE)
    traced: Callable[..., list[Tensor]] = tf.function(count, input_signature=(rows, rows, rows), autograph=False)
    return traced


@tf.function(autograph=False)
def _area(positives: Tensor, negatives: Tensor, *close: Tensor) -> Tensor:
    """The area of the sums in a metric's state."""
    negatives_below = ops.cumsum(negatives) - negatives
    pairs_won = ops.sum(positives * (negatives_below + negatives / 2.0))
    undecided = ops.sum(positives * negatives)
    pairs_won += ops.clip(close_scores.pairs_won_less_lost(close), -undecided, undecided) / 2.0
    return ops.divide_no_nan(pairs_won, ops.sum(positives) * ops.sum(negatives))


def _cells(num_bins: int, probabilities: Tensor) -> Tensor:
    """The cell of each row, int64 `(B,)`; a bin is a run of `CELLS_PER_BIN` of them."""
    probabilities = ops.clip(probabilities, 0.0, 1.0)
    logits = ops.log(probabilities) - ops.log1p(-probabilities)  # infinite at 0 and 1, which the clip takes
    logits = ops.clip(logits, -_MAX_LOGIT, _MAX_LOGIT)
    count = num_bins * close_scores.CELLS_PER_BIN
    cells = ops.floor((logits + _MAX_LOGIT) * (count / (2 * _MAX_LOGIT)))
    return ops.minimum(ops.cast(cells, "int64"), count - 1)


def _as_vector(argument: str, values: Tensor) -> Tensor:
    tensor = ops.cast(values, _STATE_DTYPE)
    shape = tuple(tensor.shape)
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        rule = "be (B,) or (B, 1)"
        raise ValueError(error_text("HistogramAUC", f"{argument}.shape", rule, shape, "Use one metric for each task."))
    return ops.reshape(tensor, (-1,))
