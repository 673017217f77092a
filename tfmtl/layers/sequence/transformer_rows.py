"""A post-norm Transformer layer of many (task, behavior) pairs, on events as rows."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from tfmtl.core.custom_gradient import custom_gradient
from tfmtl.core.types import Tensor
from tfmtl.layers.sequence.event_rows import EventRows

_EPSILON = 1e-6


@dataclass(frozen=True)
class TransformerWeights:
    """The weights of one layer: of all pairs, or with two axes more in front, `(T, J, ...)`, of each.

    Args:
        projections: `(D, 3 D)`, to queries, keys and values.
        output: `(D, D)`, and its bias `(D,)`.
        expansion: `(D, H)`, and its bias `(H,)`.
        contraction: `(H, D)`, and its bias `(D,)`.
        scale: `(T, J, 2, D)`, of the two norms.
        shift: `(T, J, 2, D)`.
        values: `(T, J, D, D)`, in place of the projections' last part. Defaults to `None`.
    """

    projections: Tensor
    output: Tensor
    output_bias: Tensor
    expansion: Tensor
    expansion_bias: Tensor
    contraction: Tensor
    contraction_bias: Tensor
    scale: Tensor
    shift: Tensor
    values: Tensor | None = None


def transformer_rows(
    events: Tensor,
    rows: EventRows,
    weights: TransformerWeights,
    num_heads: int,
    dropouts: tuple[keras.layers.Dropout, keras.layers.Dropout],
) -> list[Tensor]:
    """Computes the layer up to the last norm's scale and shift, which a mean over events can do without.

    Args:
        events: float `(R, S, D)`; S is 1, all tasks' events, or T.
        rows: `EventRows`.
        weights: `TransformerWeights`.
        num_heads: int.
        dropouts: of attention and of the feed-forward part.

    Returns:
        For every behavior its rows, float32 `(R_j, T, D)`.
    """
    attended = _attended(events, rows, weights, num_heads)
    pairs = zip(rows.by_behavior(events), rows.by_behavior(attended), strict=True)
    return [
        _with_feed_forward(own, seen, _of_behavior(weights, behavior), *dropouts)
        for behavior, (own, seen) in enumerate(pairs)
    ]


def scaled(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Applies a norm's scale and shift, `(T, D)` each, to `(R, T, D)`; they learn from sums over rows, so flat."""
    flat = tf.reshape(rows, (-1, rows.shape[1] * rows.shape[2]))
    result = tf.nn.bias_add(flat * tf.reshape(scale, (-1,)), tf.reshape(shift, (-1,)))
    return tf.reshape(result, tf.shape(rows))


def pair_rows(rows: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A dense layer on rows, one for all tasks or one for each.

    Args:
        rows: float `(R, S, in)`; S is 1 or T.
        kernel: float `(in, out)` or `(T, in, out)`.
        bias: float `(out,)` or `(T, out)`. Defaults to `None`.

    Returns:
        float `(R, T, out)`, or `(R, S, out)` if the kernel is one for all.
    """
    kernel = tf.cast(kernel, rows.dtype)
    streams, width, out = rows.shape[1], rows.shape[2], kernel.shape[-1]
    if len(kernel.shape) == 3 and streams > 1:
        result = tf.matmul(tf.transpose(rows, (1, 0, 2)), kernel)  # (T, R, out)
        if bias is not None:
            result += tf.cast(bias, rows.dtype)[..., tf.newaxis, :]
        return tf.transpose(result, (1, 0, 2))
    if len(kernel.shape) == 3:  # what all tasks read is multiplied once, by their kernels side by side
        streams = kernel.shape[0]
        kernel = tf.reshape(tf.transpose(kernel, (1, 0, 2)), (width, streams * out))
        bias = None if bias is None else tf.reshape(tf.broadcast_to(bias, (streams, out)), (-1,))
    result = tf.matmul(tf.reshape(rows, (-1, width)), kernel)
    if bias is not None:
        result = tf.nn.bias_add(result, tf.cast(bias, rows.dtype))
    return tf.reshape(result, (-1, streams, out))


def _of_behavior(weights: TransformerWeights, behavior: int) -> TransformerWeights:
    """The weights of a behavior: `(T, ...)` where each pair has its own."""
    shared = {"projections": 2, "output": 2, "expansion": 2, "contraction": 2}
    shared |= {f"{name}_bias": 1 for name in ("output", "expansion", "contraction")}
    own = {}
    for name, tensor in vars(weights).items():
        is_shared = tensor is None or len(tensor.shape) == shared.get(name)
        own[name] = tensor if is_shared else tensor[:, behavior]
    return TransformerWeights(**own)


def _attended(events: Tensor, rows: EventRows, weights: TransformerWeights, num_heads: int) -> Tensor:
    """What attention gives every event, heads side by side: `(R, S, D)`, or `(R, T, D)` where values are the pair's."""
    width = events.shape[2]
    # The scores' division is done on the kernel, once for all events.
    division = tf.repeat([(width // num_heads) ** -0.5, 1.0, 1.0], width)
    kernel = tf.cast(weights.projections, tf.float32) * division
    projected = _on_pairs(events, rows, kernel)  # (R, S, 3 D)
    streams = projected.shape[1]
    if weights.values is None:
        parts = [projected] if streams == 1 else tf.split(projected, 3, axis=2)
        return tf.reshape(rows.attend(_side_by_side(parts), streams, num_heads, width), (-1, streams, width))
    values = _on_pairs(events, rows, weights.values)
    tasks, head_width = values.shape[1], width // num_heads
    # Where all tasks look at the same events their values are one, wider.
    copies = tasks // streams
    wide = tf.reshape(values, (-1, streams, copies, num_heads, head_width))
    wide = tf.transpose(wide, (0, 1, 3, 2, 4))  # (R, S, heads, copies, d_h)
    queries, keys, _ = tf.split(projected, 3, axis=2)
    attended = rows.attend(_side_by_side([queries, keys, wide]), streams, num_heads, width)
    attended = tf.reshape(attended, (-1, streams, num_heads, copies, head_width))
    return tf.reshape(tf.transpose(attended, (0, 1, 3, 2, 4)), (-1, tasks, width))


def _side_by_side(parts: list[Tensor]) -> Tensor:
    """`(R, ...)` each -> `(R, W)`."""
    flat = [tf.reshape(part, (-1, part.shape[1:].num_elements())) for part in parts]
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=1)


def _on_pairs(events: Tensor, rows: EventRows, kernel: Tensor) -> Tensor:
    """The product with a kernel `(in, out)` of all pairs or `(T, J, in, out)` of each."""
    if len(kernel.shape) == 2:
        return pair_rows(events, kernel)
    parts = enumerate(rows.by_behavior(events))
    return tf.concat([pair_rows(own, kernel[:, behavior]) for behavior, own in parts], axis=0)


def _with_feed_forward(
    events: Tensor,
    attended: Tensor,
    weights: TransformerWeights,
    attention_dropout: keras.layers.Dropout,
    feed_forward_dropout: keras.layers.Dropout,
) -> Tensor:
    """From the heads' results to the last norm, for one behavior.

    The first norm's scale and shift are joined with the kernels that read it, so that tasks part in a product, and
    the last norm's mean is taken off the kernels before it: a mean over D is linear.
    """
    attended = attention_dropout(pair_rows(attended, weights.output, weights.output_bias))
    joined = tf.cast(events, tf.float32) + tf.cast(attended, tf.float32)
    normalized = _unit_variance(_centered(joined))  # (R, S, D)
    scale, shift = tf.cast(weights.scale, tf.float32), tf.cast(weights.shift, tf.float32)
    kernel = tf.cast(weights.expansion, tf.float32)
    moved = tf.matmul(shift[:, 0, tf.newaxis], kernel)[:, 0] + tf.cast(weights.expansion_bias, tf.float32)
    in_type = tf.cast(normalized, events.dtype)
    expanded = tf.nn.relu(pair_rows(in_type, scale[:, 0, :, tf.newaxis] * kernel, moved))  # (R, T, H)
    contraction, bias = (tf.cast(each, tf.float32) for each in (weights.contraction, weights.contraction_bias))
    # In float32, because a scale of 1.003 is 1 in bfloat16.
    if feed_forward_dropout.rate:
        fed = tf.cast(feed_forward_dropout(pair_rows(expanded, contraction, bias)), tf.float32)
        return _unit_variance(_centered(fed + pair_rows(normalized, tf.linalg.diag(scale[:, 0]), shift[:, 0])))
    fed = tf.cast(pair_rows(expanded, _centered(contraction)), tf.float32)
    kept = pair_rows(normalized, _centered(tf.linalg.diag(scale[:, 0])), _centered(shift[:, 0] + bias))
    return _unit_variance(fed + kept)


def _centered(values: Tensor) -> Tensor:
    return values - tf.reduce_mean(values, axis=-1, keepdims=True)


@custom_gradient
def _unit_variance(rows: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Divides rows `(..., D)` of mean 0 by their deviation, in float32; the gradient has mean 0 only if theirs has."""
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(rows), axis=-1, keepdims=True) + _EPSILON)
    normalized = rows * inverse

    def gradient(upstream: Tensor) -> Tensor:
        along = tf.reduce_mean(upstream * normalized, axis=-1, keepdims=True)
        return (upstream - normalized * along) * inverse

    return normalized, gradient
