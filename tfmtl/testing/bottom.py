"""Check a bottom against its own hooks."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.testing._layer import BATCH, check_build_and_shape, check_private_weights, check_reload, demand

_LENGTH = 4


def check_bottom_layer(
    make: Callable[[], BottomLayer], num_tasks: int, num_fields: int = 3, dim: int = 4, num_sequences: int = 2
) -> None:
    """Raises unless a bottom keeps what a model relies on.

    It is built, called, saved and loaded; what it puts out for each task is differentiated, which shows the weights
    that the task reads; padding is changed, which must change nothing.

    Args:
        make: makes a new layer, with arguments other than the defaults where that matters.
        num_tasks: int. Number of tasks T, at least 2.
        num_fields: int. Number of fields F of the inputs. Defaults to `3`.
        dim: int. Their width D. Defaults to `4`.
        num_sequences: int. Number of sequences J, 0 for none. Defaults to `2`.

    Raises:
        AssertionError: a rule is broken; the text says which, and what to do.

    Example:

    >>> import tfmtl
    >>> tfmtl.testing.check_bottom_layer(tfmtl.layers.ConcatenationBottom, num_tasks=3)
    """
    demand(isinstance(make(), BottomLayer), make(), "it must derive from tfmtl.layers.BottomLayer.")
    inputs = _inputs(num_fields, dim, num_sequences)
    layer = check_build_and_shape(make, inputs)
    outputs = np.array(layer(inputs))
    streams = (1, num_tasks, num_tasks + 1)
    text = f"the output must be (B, S, H) with S one of {streams}. It is {outputs.shape}."
    demand(outputs.ndim == 3 and outputs.shape[1] in streams, layer, text)
    if outputs.shape[1] == 1:
        text = "`private_weights` must be empty where there is one representation for all tasks."
        demand(not layer.private_weights, layer, text)
    else:
        check_private_weights(layer, inputs, num_tasks, outputs.shape[1])
    if layer.starts_with_fields:
        fields = np.reshape(inputs["fields"], (BATCH, -1))
        text = "`starts_with_fields` must be False: the output does not begin with the fields, or S is not 1."
        same = outputs.shape[1] == 1 and np.array_equal(outputs[:, 0, : fields.shape[1]], fields)
        demand(same, layer, text)
    if num_sequences:
        padding = tf.cast(tf.logical_not(inputs["event_mask"]), tf.float32)[..., None]
        changed = {**inputs, "events": inputs["events"] + 7.0 * padding}
        text = "events where `event_mask` is False must not matter. Changing them changes the output."
        demand(np.allclose(layer(changed), outputs, rtol=1e-5, atol=1e-5), layer, text)
    weights = layer.field_weights(inputs)
    if weights is not None:
        wanted = (BATCH, num_tasks, num_fields + num_sequences)
        text = f"`field_weights` must be {wanted}: batch, tasks, fields and sequences. They are {tuple(weights.shape)}."
        demand(tuple(weights.shape) == wanted, layer, text)
    check_reload(make, inputs)


def _inputs(num_fields: int, dim: int, num_sequences: int) -> dict[str, Tensor]:
    """Random inputs; one example has no event at all."""
    generator = np.random.default_rng(0)
    inputs = {"fields": generator.normal(size=(BATCH, num_fields, dim))}
    found = {name: tf.constant(values, tf.float32) for name, values in inputs.items()}
    if num_sequences:
        lengths = generator.integers(0, _LENGTH + 1, (BATCH, num_sequences))
        lengths[0] = 0
        mask = np.arange(_LENGTH) < lengths[..., None]
        events = generator.normal(size=(BATCH, num_sequences, _LENGTH, dim)) * mask[..., None]
        found["events"] = tf.constant(events, tf.float32)
        found["event_mask"] = tf.constant(mask)
        found["queries"] = tf.constant(generator.normal(size=(BATCH, num_sequences, dim)), tf.float32)
    return found
