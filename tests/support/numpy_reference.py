"""The networks' equations in NumPy, one loop for every index, importing nothing from the library.

All computations are in float64. Weights come as plain arrays under the names the functions document.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def softmax(scores: Array) -> Array:
    exponentials = np.exp(scores - np.max(scores))
    return exponentials / np.sum(exponentials)


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float = 1e-6) -> Array:
    """`scale * (x - mean) / sqrt(var + epsilon) + shift` for one vector."""
    x = np.asarray(x, np.float64)
    return scale * (x - np.mean(x)) / np.sqrt(np.mean((x - np.mean(x)) ** 2) + epsilon) + shift


def self_attention(events: Array, count: int, heads: int, weights: Weights) -> Array:
    """Attention of `(L, D)` over its first `count` events.

    Weights: `query`, `key`, `value`, `output` of shape (D, D), and `output_bias` (D,).
    """
    length, width = events.shape
    queries, keys, values = (events @ np.asarray(weights[name], np.float64) for name in ("query", "key", "value"))
    joined = np.zeros((length, width))
    size = width // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for position in range(length if count else 0):
            scores = np.array([queries[position, part] @ keys[other, part] for other in range(count)]) / np.sqrt(size)
            joined[position, part] = softmax(scores) @ values[:count, part]
    return joined @ weights["output"] + weights["output_bias"]


def transformer_layer(
    events: Array, count: int, heads: int, weights: Weights, scales: Sequence[Array], shifts: Sequence[Array]
) -> Array:
    """A post-norm Transformer layer on `(L, D)`; `scales` and `shifts` hold one vector for each of the two norms.

    Weights: those of `self_attention`, and `expansion`, `expansion_bias`, `contraction`, `contraction_bias`.
    """
    attended = events + self_attention(events, count, heads, weights)
    hidden = np.stack([layer_norm(row, scales[0], shifts[0]) for row in attended])
    fed = relu(hidden @ weights["expansion"] + weights["expansion_bias"]) @ weights["contraction"]
    outputs = hidden + fed + weights["contraction_bias"]
    return np.stack([layer_norm(row, scales[1], shifts[1]) for row in outputs])


def hypernetwork(weights: Weights, sites: int, width: int) -> tuple[Array, Array]:
    """Scale and shift `(T, J, sites, D)`.

    Weights: `tasks` (T, d_t), `behaviors` (J, d_b), `hidden`, `hidden_bias`, and `conditions`, `conditions_bias`
    whose outputs are all scales, site by site, and then all shifts.
    """
    tasks, behaviors = weights["tasks"], weights["behaviors"]
    scale = np.zeros((len(tasks), len(behaviors), sites, width))
    shift = np.zeros_like(scale)
    for k, task in enumerate(tasks):
        for j, behavior in enumerate(behaviors):
            pair = np.concatenate([task, behavior])
            outputs = relu(pair @ weights["hidden"] + weights["hidden_bias"]) @ weights["conditions"]
            outputs = (outputs + weights["conditions_bias"]).reshape(2, sites, width)
            scale[k, j], shift[k, j] = 1.0 + outputs[0], outputs[1]
    return scale, shift


def interests(
    events: Array,
    counts: Array,
    positions: Array | None,
    heads: int,
    layers: Sequence[Weights],
    scale: Array,
    shift: Array,
) -> Array:
    """DTRN's TIM with mean pooling: `(B, J, L, D)` and the number of events `(B, J)` to `(B, T, J, D)`."""
    batch, behaviors, _, width = events.shape
    result = np.zeros((batch, len(scale), behaviors, width))
    for b in range(batch):
        for j in range(behaviors):
            count = int(counts[b, j])
            if count == 0:
                continue
            for k in range(len(scale)):
                # Only the real events: what is cut away here is what a mask has to hide.
                encoded = np.array(events[b, j, :count], np.float64)
                if positions is not None:
                    encoded = encoded + np.stack([positions[count - 1 - index] for index in range(count)])
                for n, weights in enumerate(layers):
                    scales, shifts = scale[k, j, 2 * n : 2 * n + 2], shift[k, j, 2 * n : 2 * n + 2]
                    encoded = transformer_layer(encoded, count, heads, weights, scales, shifts)
                result[b, k, j] = np.mean(encoded, axis=0)
    return result


def target_attention(events: Array, count: int, query: Array, weights: Weights, normalized: bool) -> Array:
    """DIN's pooling of `(L, D)` with one hidden ReLU layer over `[q, k, q - k, q * k]`.

    Weights: `hidden` (4 D, H), `hidden_bias`, `score` (H,), `score_bias` (a number).
    """
    if count == 0:
        return np.zeros(events.shape[1])
    scores = []
    for key in np.asarray(events[:count], np.float64):
        unit = relu(np.concatenate([query, key, query - key, query * key]) @ weights["hidden"] + weights["hidden_bias"])
        scores.append(unit @ weights["score"] + weights["score_bias"])
    mixing = softmax(np.array(scores)) if normalized else np.array(scores)
    return mixing @ events[:count]


def hashed_attention(events: Array, count: int, query: Array, hyperplanes: Array, normalization: str) -> Array:
    """SDIM's pooling of `(L, D)`; `hyperplanes` are `(bits, D, G)`."""
    num_bits, width, num_hashes = hyperplanes.shape
    sums, shared = [], 0
    for g in range(num_hashes):
        total = np.zeros(width)
        for event in np.asarray(events[:count], np.float64):
            if all((event @ hyperplanes[t, :, g] > 0) == (query @ hyperplanes[t, :, g] > 0) for t in range(num_bits)):
                total += event
                shared += 1
        norm = np.linalg.norm(total)
        sums.append(total / norm if normalization == "l2" and norm > 0.0 else total)
    return np.sum(sums, axis=0) / (max(shared, 1) if normalization == "mean" else num_hashes)


def refinement_weights(fields: Array, weights: Sequence[Weights], squeeze: str) -> Array:
    """Logits of DTRN's TRM, `(B, T, F)`, from the fields of each task, `(B, T, F, D)`.

    Weights, one mapping a task: `reduce`, `reduce_bias`, `excite`, `excite_bias`.
    """
    batch, tasks, count, _ = fields.shape
    logits = np.zeros((batch, tasks, count))
    for b in range(batch):
        for k, own in enumerate(weights):
            squeezed = np.mean(fields[b, k], axis=-1) if squeeze == "mean" else fields[b, k].reshape(-1)
            logits[b, k] = relu(squeezed @ own["reduce"] + own["reduce_bias"]) @ own["excite"] + own["excite_bias"]
    return logits


def mlp(x: Array, layers: Sequence[tuple[Array, Array]]) -> Array:
    """A ReLU network: `x` through `(kernel, bias)` after `(kernel, bias)`."""
    for kernel, bias in layers:
        x = relu(np.asarray(x, np.float64) @ kernel + bias)
    return x


def mixture(x: Array, experts: Sequence[Sequence[tuple[Array, Array]]], gates: Sequence[Array]) -> Array:
    """MMoE: `(B, T, H)`, one input for each task, to `(B, T, H')`; an expert is an `mlp`, a gate a matrix (H, E)."""
    return np.stack(
        [
            [
                softmax(x[b, k] @ gate) @ np.stack([mlp(x[b, k], expert) for expert in experts])
                for k, gate in enumerate(gates)
            ]
            for b in range(len(x))
        ]
    )
