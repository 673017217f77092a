"""A Keras model that trains with balanced tasks or sharpness-aware minimization."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.balancing import Balancer, get_balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_positive_int, error_text
from tfmtl.sharpness import Sharpness, get_sharpness


class BalancedModel(keras.Model):
    """A model all of whose weights are shared by its tasks, each sample of one of them.

    Args:
        **kwargs: Passed to `keras.Model`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.balancing: Any = None
        self.sharpness: Any = None
        self.num_tasks: int | None = None
        self.sample_loss: Any = None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        balancing: Any = None,
        sharpness: Any = None,
        num_tasks: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: any Keras optimizer or its name. Defaults to `"adam"`.
            loss: a Keras loss with one value per sample, such as `RelativeL2Loss()`.
            balancing: loss weighting or gradient aggregation: a `tfmtl.balancing.Balancer` or its name. All weights
                are shared by the tasks. Defaults to `None`: the mean over the batch.
            sharpness: `"sam"`, `"asam"` or a `tfmtl.sharpness.Sharpness`, not decomposed. Defaults to `None`.
            num_tasks: int or None. How many tasks the input `task` counts, for a balancer. Defaults to `None`.
            **kwargs: Passed to `keras.Model.compile` (`metrics`, `jit_compile`, `steps_per_execution`, ...).

        Raises:
            ValueError: a balancer without `num_tasks`, or decomposed sharpness.
        """
        self.balancing = None if balancing is None else get_balancer(balancing)
        self.sharpness = None if sharpness is None else get_sharpness(sharpness)
        self.num_tasks = num_tasks
        self.sample_loss = None if loss is None else keras.losses.get(loss)
        _check_balancing(type(self).__name__, self.balancing, self.sharpness, num_tasks)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        return {
            **super().get_compile_config(),
            "balancing": keras.saving.serialize_keras_object(self.balancing),
            "sharpness": keras.saving.serialize_keras_object(self.sharpness),
            "num_tasks": self.num_tasks,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def sample_losses(self, targets: Tensor, predictions: Tensor) -> Tensor:
        """The compiled loss of every sample, float32 `(B,)`."""
        loss = self.sample_loss
        values = loss.call(targets, predictions) if isinstance(loss, keras.Loss) else loss(targets, predictions)
        return ops.mean(ops.reshape(ops.cast(values, "float32"), (ops.shape(targets)[0], -1)), axis=1)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        if self.balancing is None and self.sharpness is None:
            plain: dict[str, Tensor] = super().train_step(data)
            return plain
        return _balanced_step(self, data)


def _check_balancing(owner: str, balancer: Balancer | None, sharpness: Sharpness | None, num_tasks: int | None) -> None:
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


def _balanced_step(model: BalancedModel, data: Any) -> dict[str, Tensor]:
    """Forward, backward, balance, update: one batch.

    A task's loss is the sum over its samples divided by the size of the batch, so weights that are all 1 give the step
    that Keras makes. All weights are shared by the tasks. With a perturbation the second pass's gradients are balanced,
    and its direction is that of the losses weighted as a balancer of losses says, or of their plain sum.

    Args:
        model: a compiled one.
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


def _shares(model: BalancedModel, features: Mapping[str, Tensor], targets: Tensor, sample_weight: Any) -> Tensor:
    """By how much each sample's loss counts in each task's, `(B, T)`; without a balancer there is one task."""
    rows = tf.shape(targets)[0]
    weight = tf.ones((rows,)) if sample_weight is None else tf.cast(sample_weight, tf.float32)
    share = weight / tf.cast(rows, tf.float32)
    if model.balancing is None:
        return share[:, None]
    return share[:, None] * tf.one_hot(features["task"], model.num_tasks)
