"""DEPHN's equations in NumPy, in float64, one loop for every index, importing nothing from the library."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.support.numpy_reference import Array, Weights, sigmoid, softmax

SCALING: Mapping[str, Callable[[float, float], float]] = {
    "multiplicative_cosine": lambda x, y: math.cos(2 * math.pi * x * y) + 1,
    "multiplicative_absolute": lambda x, y: 2 * abs(2 * x * y - 1),
    "multiplicative_square": lambda x, y: 2 * (2 * x * y - 1) ** 2,
    "multiplicative_root": lambda x, y: 2 * math.sqrt(abs(2 * x * y - 1)),
    "additive_cosine": lambda x, y: math.cos(math.pi * x + math.pi * y) + 1,
    "additive_absolute": lambda x, y: 2 * abs(x + y - 1),
    "additive_square": lambda x, y: 2 * (x + y - 1) ** 2,
    "additive_root": lambda x, y: 2 * math.sqrt(abs(x + y - 1)),
}

MAPPINGS: Mapping[str, Callable[[Array], Array]] = {"identity": np.array, "sin": np.sin, "cos": np.cos}


def field_attention(fields: Array, heads: int, weights: Weights) -> Array:
    """Self-attention over the fields `(F, D)`; weights `query`, `key`, `value`, `output`, each (D, D)."""
    count, width = fields.shape
    queries, keys, values = (fields @ np.asarray(weights[name], np.float64) for name in ("query", "key", "value"))
    joined, size = np.zeros((count, width)), width // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for field in range(count):
            scores = np.array([queries[field, part] @ key[part] for key in keys]) / np.sqrt(size)
            joined[field, part] = softmax(scores) @ values[:, part]
    return joined @ weights["output"]


def soft_selection(fields: Array, heads: int, attentions: Sequence[Weights], logits: Array) -> Array:
    """Fields `(B, F, D)` and logits `(N, F)` to `(B, N, F, D)`; one attention for all groups, or one for each."""
    result = np.zeros((len(fields), len(logits), *fields.shape[1:]))
    for b, own in enumerate(fields):
        for n, row in enumerate(logits):
            attended = field_attention(own, heads, attentions[n % len(attentions)])
            for f, logit in enumerate(row):
                opening = sigmoid(logit)
                result[b, n, f] = opening * attended[f] + (1.0 - opening) * own[f]
    return result


def cross(x: Array, layers: Sequence[Weights]) -> Array:
    """Cross interaction of a vector (H,); a layer holds `matrix` Ω, `vector` ω, `bias` and `residual` u."""
    first = current = np.asarray(x, np.float64)
    for layer in layers:
        crossed = first * (layer["matrix"] @ current) + first * np.dot(layer["vector"], current) + layer["bias"]
        current = crossed + layer["residual"] * current
    return current


def field_interaction(fields: Array, layers: Sequence[Weights]) -> Array:
    """Field interaction of `(F, D)`; a layer holds `matrix` Ω (F, F) and `residual` ω (F,)."""
    first = current = np.asarray(fields, np.float64)
    for layer in layers:
        following = np.zeros_like(first)
        for f in range(len(fields)):
            mixed = sum(layer["matrix"][f, g] * current[g] for g in range(len(fields)))
            following[f] = first[f] * mixed + layer["residual"][f] * current[f]
        current = following
    return current


def leaky_network(x: Array, layers: Sequence[tuple[Array, Array]], slope: float = 0.2) -> Array:
    """A network of `(kernel, bias)` layers with LeakyReLU; Keras' slope unless given."""
    for kernel, bias in layers:
        x = np.asarray(x, np.float64) @ kernel + bias
        x = np.where(x > 0.0, x, slope * x)
    return x


def virtual_gradient_scale(gates: Array, correlation: Array, function: str) -> Array:
    """Γ of gates `(T, K, P)` and correlations `(T, T)`, `(T, K, P)`."""
    scale = np.ones(gates.shape)
    for t, k, p in np.ndindex(gates.shape):
        for j in range(len(gates)):
            if j != t:
                distance = min(1.0, abs(float(gates[t, k, p]) - float(gates[j, k, p])))
                scale[t, k, p] *= SCALING[function](float(correlation[t, j]), distance)
    return scale
