"""Check a kind of task."""

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.schema import ModelInputs, TaskRecord
from tfmtl.tasks import behavior_of
from tfmtl.testing._layer import demand

_WIDTH = 5


def check_task_kind(task: TaskRecord, inputs: ModelInputs, labels: Mapping[str, npt.ArrayLike]) -> None:
    """Raises unless a registered kind of task keeps what model, step, export and evaluation rely on.

    Its head puts out float32 under mixed precision and is restored from its config; outputs have the names and shapes
    of the record; rows without a label or with weight 0 have no gradient; XLA gives the same; a batch answers as its
    rows one by one; metrics and baseline have the same keys and are plain JSON.

    Args:
        task: `TaskRecord` of a kind that is registered (`tfmtl.schema.register_task`).
        inputs: `ModelInputs` of a problem with this task.
        labels: part of the label -> `(B,)`; the primary part, `""`, with at least one NaN and two labels.

    Raises:
        AssertionError: a rule is broken; the text says which, and what to do.

    Example:

    >>> from tfmtl.schema import CategoricalFeature, ModelInputs, Problem, QuantileTask, Split
    >>> task = QuantileTask("wait")
    >>> problem = Problem("shop", (CategoricalFeature("item"),), (task,), split=Split(by="row"))
    >>> inputs = ModelInputs(problem, {"item": 4}, {"wait": 2.0}, {"wait": 1.0})
    >>> check_task_kind(task, inputs, {"": [1.0, float("nan"), 4.0]})
    """
    behavior = behavior_of(task).fitted(inputs)
    known = {part: np.asarray(values, np.float32) for part, values in labels.items()}
    rows = len(known[""])
    missing = np.isnan(known[""])
    demand(bool(missing.any() and (~missing).sum() >= 2), behavior, "give labels of which one is NaN and two are not.")
    hidden = tf.constant(np.random.default_rng(0).normal(size=(rows, _WIDTH)), tf.float32)
    head = behavior.head(inputs, inputs.label_means[task.name], keras.DTypePolicy("mixed_bfloat16"))
    head.build((None, _WIDTH))
    demand(head(hidden).dtype == "float32", behavior, "its head must put out float32, also under mixed precision.")
    head = behavior.head(inputs, inputs.label_means[task.name], keras.DTypePolicy("float32"))
    head.build((None, _WIDTH))
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(head))))
    demand(again.get_config() == head.get_config(), behavior, "its head's `get_config` must hold every argument.")
    outputs = behavior.predict(head, head(hidden))
    _check_outputs(task, behavior, outputs, rows)
    one_by_one = [behavior.predict(head, head(hidden[row : row + 1])) for row in range(rows)]
    for suffix, values in outputs.items():
        apart = np.concatenate([found[suffix].numpy() for found in one_by_one])
        demand(np.allclose(values, apart, rtol=1e-5, atol=1e-6), behavior, "a row's answer must depend on it alone.")
    _check_loss(behavior, head, known, head(hidden))
    arrays = {suffix: values.numpy() for suffix, values in outputs.items()}
    report = behavior.exact_metrics(known, arrays)
    baseline = behavior.baseline(inputs, known)
    demand(set(report) == set(baseline), behavior, "`exact_metrics` of `constant` must have the metrics of any answer.")
    ends = behavior.metric_ends(known, arrays)
    demand(set(ends) <= set(report), behavior, "`metric_ends` must be of metrics of `exact_metrics`.")
    json.dumps([report, baseline, ends], allow_nan=False)
    name, direction = task.monitor
    demand(direction in ("max", "min"), behavior, '`monitor` must say "max" or "min".')
    metric = behavior.running_metric()
    demand(metric.name == name, behavior, f"its running metric must be called '{name}', as `monitor` says.")
    behavior.update_metric(metric, known, outputs, None)
    demand(bool(np.isfinite(metric.result())), behavior, "its running metric must be finite.")


def _check_outputs(task: TaskRecord, behavior: Any, outputs: Mapping[str, Any], rows: int) -> None:
    wanted = {output.suffix: (rows, *output.inner) for output in task.outputs}
    found = {suffix: tuple(values.shape) for suffix, values in outputs.items()}
    demand(found == wanted, behavior, f"`predict` must answer {wanted}, as the record says. It answers {found}.")
    demand(wanted.get("") == (rows,), behavior, "one output must be the score: suffix '' and one number per row.")
    is_float = all(values.dtype == tf.float32 for values in outputs.values())
    demand(is_float, behavior, "its outputs must be float32.")


def _check_loss(behavior: Any, head: Any, labels: Mapping[str, npt.NDArray[np.float32]], raw: Any) -> None:
    weights = np.ones(len(labels[""]), np.float32)
    first = int(np.flatnonzero(~np.isnan(labels[""]))[0])
    weights[first] = 0.0

    def loss_and_gradient(raw: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(raw)
            loss = behavior.loss(head, {part: tf.constant(values) for part, values in labels.items()}, raw, weights)
        return loss, tape.gradient(loss, raw)

    raw = tf.constant(raw)
    loss, gradient = loss_and_gradient(raw)
    if not behavior.loss_is_density:
        demand(float(loss) >= 0.0, behavior, "its loss must be at least 0, or its `loss_is_density` True.")
    left_out = np.isnan(labels[""]) | (weights == 0.0)
    demand(bool(np.isfinite(gradient).all()), behavior, "its gradient must be finite beside missing labels.")
    demand(not np.any(gradient.numpy()[left_out]), behavior, "rows without label or weight must have no gradient.")
    compiled = tf.function(loss_and_gradient, jit_compile=True, autograph=False)(raw)
    same = np.allclose(compiled[0], loss, rtol=1e-4) and np.allclose(compiled[1], gradient, rtol=1e-3, atol=1e-5)
    demand(same, behavior, "its loss must be the same under XLA.")
