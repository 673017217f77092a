"""A training step with balanced tasks or sharpness-aware minimization."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_positive_int, error_text
from tfmtl.sharpness import Sharpness

if TYPE_CHECKING:
    from tfmtl.operators.operator_network import OperatorNetwork


def check_balancing(owner: str, balancer: Balancer | None, sharpness: Sharpness | None, num_tasks: int | None) -> None:
    """Raises unless the three go together, and builds the balancer's state."""
    if sharpness is not None and sharpness.decomposed:
        advice = "Every weight is shared: use decomposed=False."
        raise ValueError(error_text(owner, "sharpness", "not be decomposed", "decomposed=True", advice))
    if balancer is None:
        return
    if num_tasks is None:
        advice = "Give len(data.task_names)."
        raise ValueError(error_text(owner, "num_tasks", "be given with `balancing`", num_tasks, advice))
    check_positive_int(owner, "num_tasks", num_tasks)
    balancer.build(num_tasks)


def balanced_step(model: "OperatorNetwork", data: Any) -> dict[str, Tensor]:
    """Forward, backward, balance, update: one batch.

    A task's loss is the sum over its samples divided by the size of the batch, so weights that are all 1 give the step
    that Keras makes. All weights are shared by the tasks. With a perturbation the second pass's gradients are balanced,
    and its direction is that of the losses weighted as a balancer of losses says, or of their plain sum.

    Args:
        model: a compiled `OperatorNetwork`.
        data: `(features, targets)` or `(features, targets, weights)`; features hold `task`, `(B,)`, for a balancer.

    Returns:
        dict: the running metrics.
    """
    features, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    weights = model.trainable_variables
    balancer = model.balancing
    shares = _shares(model, features, targets, sample_weight)  # (B, T)
    present = tf.reduce_any(shares > 0.0, axis=0)

    def record(moves: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor, Callable[[Tensor], list[Tensor]]]:
        """Predictions, the tasks' losses, and what gives the gradient of their sum times factors."""
        with tf.GradientTape(persistent=True) as tape:
            # Under the tape, so that a gradient with respect to a weight is that at the moved weight.
            moved = [(weight, weight.value + move) for weight, move in zip(weights, moves or [], strict=bool(moves))]
            with keras.StatelessScope(moved) if moves else nullcontext():
                prediction = model(features, training=True)
            losses = tf.linalg.matvec(shares, model.sample_losses(targets, prediction), transpose_a=True)
            parts = tf.unstack(losses)

        def pull(factors: Tensor) -> list[Tensor]:
            zero = tf.UnconnectedGradients.ZERO
            gradients = tape.gradient(parts, [weight.value for weight in weights], tf.unstack(factors), zero)
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        return prediction, losses, pull

    prediction, losses, pull = record()
    ones = tf.ones_like(losses)
    reads_gradients = balancer is not None and balancer.uses_gramian
    factors = ones if balancer is None or reads_gradients else balancer.weights(losses, None, present)
    if model.sharpness is not None:
        values = [tf.convert_to_tensor(weight.value) for weight in weights]
        _, _, pull = record(model.sharpness.perturbation(values, pull(factors)))
    gradients = _balanced(balancer, losses, present, pull) if reads_gradients else pull(factors)
    # The optimizer divides by its loss scale, which a balancer must not see.
    scaled = [model.optimizer.scale_loss(gradient) for gradient in gradients]
    model.optimizer.apply_gradients(zip(scaled, weights, strict=True))
    if balancer is not None and balancer.uses_next_losses:
        balancer.update(losses, record()[1])
    model._loss_tracker.update_state(tf.reduce_sum(losses), sample_weight=tf.shape(targets)[0])
    results: dict[str, Tensor] = model.compute_metrics(features, targets, prediction, sample_weight)
    return results


def _balanced(
    balancer: Balancer, losses: Tensor, present: Tensor, pull: Callable[[Tensor], list[Tensor]]
) -> list[Tensor]:
    """One backward pass per task, combined as the balancer says."""
    by_task = [pull(row) for row in tf.unstack(tf.eye(losses.shape[0]))]
    matrices = [tf.stack([tf.reshape(part, (-1,)) for part in parts]) for parts in zip(*by_task, strict=True)]
    products = tf.add_n([tf.matmul(matrix, matrix, transpose_b=True) for matrix in matrices])  # (T, T)
    factors = balancer.weights(losses, products, present)
    combined = [tf.linalg.matvec(matrix, factors, transpose_a=True) for matrix in matrices]
    return [tf.reshape(part, like.shape) for part, like in zip(combined, by_task[0], strict=True)]


def _shares(model: "OperatorNetwork", features: Mapping[str, Tensor], targets: Tensor, sample_weight: Any) -> Tensor:
    """By how much each sample's loss counts in each task's, `(B, T)`; without a balancer there is one task."""
    rows = tf.shape(targets)[0]
    weight = tf.ones((rows,)) if sample_weight is None else tf.cast(sample_weight, tf.float32)
    share = weight / tf.cast(rows, tf.float32)
    if model.balancing is None:
        return share[:, None]
    return share[:, None] * tf.one_hot(features["task"], model.num_tasks)
