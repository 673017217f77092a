"""DTRN's encoders on padded tensors, operation by operation: what the packed form has to equal, gradients included."""

import tensorflow as tf

from tfmtl.layers.sequence.counted_pooling import CountedPooling
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder
from tfmtl.layers.sequence.target_attention import TargetAttention

_SITES = ("value", "output", "expansion", "contraction")
_LETTERS = {2: "btjlx,xy->btjly", 4: "btjlx,tjxy->btjly"}  # one kernel for all pairs, or one for each


def layer_norm(values: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """The norm of `(B, T, J, L, D)` with scale and shift `(T, J, D)`."""
    mean, variance = tf.nn.moments(values, axes=-1, keepdims=True)
    return (values - mean) * tf.math.rsqrt(variance + 1e-6) * scale[:, :, None] + shift[:, :, None]


def transformer_layer(events: tf.Tensor, mask: tf.Tensor, heads: int, weights: dict, norms: tuple) -> tf.Tensor:
    """A post-norm layer on `(B, T, J, L, D)`; `mask` is `(B, J, L)`."""

    def dense(values: tf.Tensor, name: str) -> tf.Tensor:
        product = tf.einsum(_LETTERS[len(weights[name].shape)], values, weights[name])
        bias = weights.get(f"{name}_bias")
        if bias is None:
            return product
        return product + (bias if len(bias.shape) == 1 else bias[:, :, None])

    def split(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, (*tf.unstack(tf.shape(values))[:4], heads, values.shape[-1] // heads))

    queries, keys, values = (split(dense(events, name)) for name in ("query", "key", "value"))
    scores = tf.einsum("btjlhx,btjmhx->btjhlm", queries, keys) / queries.shape[-1] ** 0.5
    powers = tf.exp(tf.where(mask[:, None, :, None, None], scores - tf.reduce_max(scores, -1, keepdims=True), -1e9))
    weight = tf.math.divide_no_nan(powers, tf.reduce_sum(powers, axis=-1, keepdims=True))
    attended = tf.reshape(tf.einsum("btjhlm,btjmhx->btjlhx", weight, values), tf.shape(events))
    (first, second), (first_shift, second_shift) = (tf.unstack(each, axis=2) for each in norms)
    hidden = layer_norm(events + dense(attended, "output"), first, first_shift)
    fed = dense(tf.nn.relu(dense(hidden, "expansion")), "contraction")
    return layer_norm(hidden + fed, second, second_shift)


def padded_interests(layer: HyperSequenceEncoder | PairSequenceEncoder, inputs: dict) -> tf.Tensor:
    """What `layer` makes of `inputs`, `(B, T, J, D)`, from its weights."""
    mask = tf.constant(inputs["event_mask"])
    real = tf.cast(mask, tf.int32)
    later = tf.reduce_sum(real, axis=-1, keepdims=True) - tf.cumsum(real, axis=-1)
    positions = tf.gather(layer.positions.position_embeddings.value, later)
    events = tf.where(mask[..., None], inputs["events"] + positions, 0.0)
    events = tf.repeat(events[:, None], layer.num_tasks, axis=1)
    queries = tf.repeat(tf.convert_to_tensor(inputs["queries"])[:, None], layer.num_tasks, axis=1)  # (B, T, J, D)
    if isinstance(layer, PairSequenceEncoder):
        made, scale, shift = [], tf.convert_to_tensor(layer.scale), tf.convert_to_tensor(layer.shift)
    else:
        scale, shift = layer.hypernetwork()
        made = [] if layer.factors is None else layer.factors(layer.hypernetwork.pairs())
    if made and "target" in layer.pooling:
        queries, made = _own_queries(queries, made, layer.conditioning)
    encoded = events
    for index in range(layer.num_layers):
        weights = _weights(layer, index)
        if made and layer.conditioning == "low_rank":
            for place, site in enumerate(_SITES):
                weights[site] = weights[site] + tf.matmul(made[2 * place], made[2 * place + 1])
            made = made[8:]
        norms = tuple(each[:, :, 2 * index : 2 * index + 2] for each in (scale, shift))
        encoded = transformer_layer(encoded, mask, layer.num_heads, weights, norms)
    if made:
        encoded = _adapted(encoded, *made)
    if layer.use_skip:
        encoded = events + layer.skip_scale.value * encoded
    return _pooled(layer, encoded, mask, queries)


def _adapted(values: tf.Tensor, down: tf.Tensor, up: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    hidden = tf.nn.relu(tf.einsum(_LETTERS[4], values, down) + bias[:, :, None])
    return values + 0.3 * tf.einsum(_LETTERS[4], hidden, up)


def _own_queries(queries: tf.Tensor, made: list, conditioning: str) -> tuple[tf.Tensor, list]:
    queries = queries[:, :, :, None]
    if conditioning == "adapter":
        return _adapted(queries, *made[:3])[:, :, :, 0], made[3:]
    return (queries + tf.einsum(_LETTERS[4], queries, tf.matmul(made[0], made[1])))[:, :, :, 0], made[2:]


def _weights(layer: HyperSequenceEncoder | PairSequenceEncoder, index: int) -> dict[str, tf.Tensor]:
    if isinstance(layer, PairSequenceEncoder):
        stacks = {name: getattr(layer, f"{name}s")[index] for name in ("output_projection", "expansion", "contraction")}
        projections = tf.split(layer.projections[index].kernel.value, 3, axis=-1)
        pairs = layer.scale.shape[:2]
    else:
        block = layer.blocks[index]
        stacks = {"output_projection": block.attention.output_projection}
        stacks |= {"expansion": block.expansion, "contraction": block.contraction}
        projections, pairs = tf.unstack(block.attention.projections.kernel.value), None
    weights = dict(zip(("query", "key", "value"), projections, strict=True))
    for name, stack in stacks.items():
        weights[name.removesuffix("_projection")] = stack.kernel.value
        weights[f"{name.removesuffix('_projection')}_bias"] = stack.bias.value
    if pairs is None:
        return weights
    return {name: tf.reshape(value, (*pairs, *value.shape[1:])) for name, value in weights.items()}


def _pooled(layer: HyperSequenceEncoder | PairSequenceEncoder, encoded, mask, queries) -> tf.Tensor:
    own = mask[:, None, :, :, None]
    counts = tf.reduce_sum(tf.cast(own, tf.float32), axis=3)
    counted = isinstance(layer.pool, CountedPooling)
    if "target" in layer.pooling:
        pool = layer.pool.inner if counted else layer.pool
        pooled = padded_attention(pool, encoded, mask[:, None], queries)
    else:
        pooled = tf.reduce_sum(tf.where(own, encoded, 0.0), axis=3) / tf.maximum(counts, 1.0)
    return pooled + tf.math.log1p(counts) * layer.pool.count_kernel.value if counted else pooled


def padded_attention(layer: TargetAttention, events: tf.Tensor, mask: tf.Tensor, queries: tf.Tensor) -> tf.Tensor:
    """Target attention of events `(..., L, D)` with a mask `(..., L)`, by queries `(..., D)`: `(..., D)`."""
    queries, is_event = queries[..., None, :], mask[..., None]
    query, event, difference, product = tf.split(layer.kernel.value, 4)
    hidden = queries @ (query + difference) + events @ (event - difference) + (events * queries) @ product
    hidden = tf.nn.relu(hidden + layer.bias.value)
    for dense in layer.dense_layers:
        hidden = tf.nn.relu(hidden @ dense.kernel.value + dense.bias.value)
    scores = hidden @ layer.score.kernel.value
    if layer.use_softmax:
        weights = tf.nn.softmax(tf.where(is_event, scores, -1e9), axis=-2)
    else:
        weights = scores + layer.score.bias.value
    return tf.reduce_sum(tf.where(is_event, weights * events, 0.0), axis=-2)
