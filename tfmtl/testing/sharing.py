"""Check a sharing layer against its own hooks."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.testing._layer import (
    BATCH,
    check_build_and_shape,
    check_private_weights,
    check_reload,
    demand,
    reads,
)


def check_sharing_layer(
    make: Callable[[], SharingLayer], num_tasks: int, width: int = 6, streams: Sequence[int] | None = None
) -> None:
    """Raises unless a sharing layer keeps what a model relies on.

    It is built, called, saved and loaded; every task's output is differentiated, which shows the weights that the task
    reads; these are compared with `private_weights`, `keeps_tasks_apart` and `representation_shape`.

    Args:
        make: makes a new layer, with arguments other than the defaults where that matters.
        num_tasks: int. For how many tasks, at least 2.
        width: int. Width H of the inputs. Defaults to `6`.
        streams: the numbers S of representations to try. Defaults to `None`: 1 and `num_tasks`.

    Raises:
        AssertionError: a rule is broken; the text says which, and what to do.

    Example:

    >>> import tfmtl
    >>> tfmtl.testing.check_sharing_layer(lambda: tfmtl.layers.MMoE(3, 2, (4,)), num_tasks=3)
    """
    demand(isinstance(make(), SharingLayer), make(), "it must derive from tfmtl.layers.SharingLayer.")
    demand(num_tasks >= 2, make(), "give it two tasks or more, for one shows nothing about sharing.")
    generator = np.random.default_rng(0)
    for count in (1, num_tasks) if streams is None else streams:
        inputs = tf.constant(generator.normal(size=(BATCH, count, width)), tf.float32)
        fresh = make()
        first = np.array(fresh(inputs))
        layer = check_build_and_shape(make, inputs)
        text = f"the output must be (B, {num_tasks}, H'), one representation for each task. It is {first.shape}."
        demand(first.ndim == 3 and first.shape[:2] == (BATCH, num_tasks), layer, text)
        check_private_weights(layer, inputs, num_tasks)
        _check_start(fresh, first, count)
        if count == num_tasks and layer.keeps_tasks_apart:
            [read] = reads(layer, inputs, [inputs], num_tasks)  # (T, B, S, H)
            across = [np.any(read[k][:, j]) for k in range(num_tasks) for j in range(num_tasks) if j != k]
            text = "`keeps_tasks_apart` must be False: a task reads what another task's representation says."
            demand(not any(across), layer, text)
        if count == 1:
            same = np.array_equal(layer(inputs[:, 0]), layer(inputs))
            demand(same, layer, "an input (B, H) must be taken as (B, 1, H).")
        _check_representation(layer, inputs, num_tasks)
        _check_correlation(layer, inputs, num_tasks)
        for weights in layer.gate_weights(inputs):
            text = f"`gate_weights` must be (B, {num_tasks}, E) in each level. One is {tuple(weights.shape)}."
            demand(tuple(weights.shape[:2]) == (BATCH, num_tasks), layer, text)
        check_reload(make, inputs)


def _check_start(layer: SharingLayer, outputs: np.ndarray, streams: int) -> None:
    random = [weight for weight in layer.private_weights if float(np.std(np.array(weight))) > 0.0]
    if streams != 1 or not random:
        return
    for one in range(outputs.shape[1]):
        for other in range(one):
            text = f"tasks {other} and {one} must start different, and answer the same. Draw what tasks own as one "
            advice = "weight, or give every task an initializer of another seed."
            demand(not np.array_equal(outputs[:, one], outputs[:, other]), layer, text + advice)


def _check_representation(layer: SharingLayer, inputs: Tensor, num_tasks: int) -> None:
    try:
        shape = layer.representation_shape((None, *inputs.shape[1:]))
    except NotImplementedError as error:
        raise AssertionError(str(error)) from error
    if shape is None or inputs.shape[1] != 1:
        return
    offset = tf.zeros((BATCH, *shape[1:]))
    try:
        with_offset = layer(inputs, offset=offset)
    except (TypeError, ValueError) as error:
        text = (
            f"{type(layer).__name__}: `call` must take `offset`, for `representation_shape` is {tuple(shape)}. {error}"
        )
        raise AssertionError(text) from error
    demand(np.array_equal(with_offset, layer(inputs)), layer, "an `offset` of zeros must change nothing.")
    [read] = reads(layer, inputs, [offset], num_tasks, offset=offset)
    for task in range(num_tasks):
        text = f"every task must read the representation. Task {task} does not depend on `offset`."
        demand(bool(np.any(read[task])), layer, text)


def _check_correlation(layer: SharingLayer, inputs: Tensor, num_tasks: int) -> None:
    if not layer.uses_label_correlation:
        return
    given = layer(inputs, label_correlation=tf.eye(num_tasks))
    text = "`label_correlation` must change gradients alone, not the output."
    demand(np.allclose(given, layer(inputs), rtol=1e-5, atol=1e-6), layer, text)
