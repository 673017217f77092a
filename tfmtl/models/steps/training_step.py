"""One step of training."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.replicas import mean_over_replicas, sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.metrics.histogram_auc import rough_auc
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.models.steps.flat_gradients import decomposed_gradients, flat_gradients
from tfmtl.models.steps.forward_pass import ForwardPass
from tfmtl.models.steps.step_gradients import StepGradients, summed_gradients
from tfmtl.models.steps.task_gradients import representation_gradients, task_gradients
from tfmtl.models.trainable_network import TrainableNetwork


def training_step(model: TrainableNetwork, data: Any) -> dict[str, Tensor]:
    """Forward, backward, balance, update: one batch on one replica.

    Args:
        model: a compiled `MultiTaskModel`.
        data: `(features, labels)` or `(features, labels, weights)`.

    Returns:
        dict: the running metrics, averaged over the replicas.
    """
    features, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    if model.feature_dropout is not None:  # once a step, so that all passes of it read the same
        features = model.feature_dropout(features, model.optimizer.iterations)
    losses = BatchLosses(model, features, labels, weights, training=True)
    forward = ForwardPass(model, features, losses, model.compiles_with_xla)
    balancer, sharpness = model.balancing, model.sharpness
    if sharpness is None:
        gradients = _gradients(forward)
    elif sharpness.decomposed:
        gradients = decomposed_gradients(forward, sharpness, balancer, model.flat_balancing)
    else:
        gradients = flat_gradients(forward, sharpness, balancer, _gradients)
    _apply(forward, gradients)
    with rough_auc():
        losses.record(gradients.raw, gradients.loss, gradients.means)
    if balancer is not None and balancer.uses_next_losses:
        after = forward.run(forward.vectors()).contributions
        balancer.update(*tf.unstack(sum_over_replicas(tf.stack([gradients.contributions, after]))))
    with rough_auc():
        return mean_over_replicas(model.get_metrics_result())


def _gradients(forward: ForwardPass) -> StepGradients:
    """The gradients of a step, computed as the model's balancer needs them."""
    balancer = forward.model.balancing
    if balancer is None or not balancer.uses_gramian:
        return summed_gradients(forward, balancer)
    if forward.model.balance_at == "representation":
        return representation_gradients(forward, balancer)
    return task_gradients(forward, balancer)


def _apply(forward: ForwardPass, gradients: StepGradients) -> None:
    """Gives the optimizer a dense gradient for each dense weight, and for each table those of its looked-up rows."""
    pairs = list(zip(gradients.dense, forward.dense, strict=True))
    for width, table in forward.model.embedding.tables.items():
        gradient = gradients.rows[width]
        if gradient is not None and not isinstance(gradient, tf.IndexedSlices):
            values = tf.reshape(gradient, (-1, int(width)))
            ids = tf.cast(tf.reshape(forward.row_ids[width], (-1,)), tf.int64)
            gradient = tf.IndexedSlices(values, ids, tf.constant(tuple(table.shape), tf.int64))
        pairs.append((gradient, table))
    forward.model.optimizer.apply_gradients(pairs)
