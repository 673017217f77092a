"""Set attention, squeeze-and-excitation and APEM's selection in NumPy, one loop for every index.

Like `numpy_reference`: in float64, from the papers' equations, importing nothing from the library.
"""

import numpy as np

from tests.support.numpy_reference import Array, Weights, layer_norm, relu, sigmoid, softmax


def set_attention(queries: Array, keys: Array, heads: int, weights: Weights) -> Array:
    """Set Transformer's MAB of one example: `(N, D)` attends to `(M, D)`.

    Weights: `query`, `key`, `value`, `output` of shape (D, D), `query_bias`, `value_bias`, `output_bias` (D,), and
    for layer norms `attention_scale`, `attention_shift`, `output_scale`, `output_shift`.
    """
    width = queries.shape[1]
    head_width = width // heads
    q = queries @ np.asarray(weights["query"], np.float64) + weights["query_bias"]
    k = keys @ np.asarray(weights["key"], np.float64)
    v = keys @ np.asarray(weights["value"], np.float64) + weights["value_bias"]
    result = np.zeros((len(queries), width))
    for n in range(len(queries)):
        attended = np.zeros(width)
        for head in range(heads):
            part = slice(head * head_width, (head + 1) * head_width)
            scores = np.array([q[n, part] @ key[part] for key in k]) / np.sqrt(width)
            # With no key at all only the query is left.
            attended[part] = q[n, part] + (softmax(scores) @ v[:, part] if len(k) else 0.0)
        if "attention_scale" in weights:
            attended = layer_norm(attended, weights["attention_scale"], weights["attention_shift"])
        output = attended + relu(attended @ weights["output"] + weights["output_bias"])
        if "output_scale" in weights:
            output = layer_norm(output, weights["output_scale"], weights["output_shift"])
        result[n] = output
    return result


def excitation(vectors: Array, weights: Weights, gate: str, axis: str) -> Array:
    """The weights of squeeze-and-excitation for one example `(M, D)`: `(M,)` over fields, `(D,)` over channels.

    Weights: `reduce`, `excite`, and with biases `reduce_bias`, `excite_bias`.
    """
    size, width = vectors.shape
    if axis == "field":
        squeezed = np.array([np.mean(vectors[m]) for m in range(size)])
    else:
        squeezed = np.array([np.mean(vectors[:, d]) for d in range(width)])
    hidden = relu(squeezed @ np.asarray(weights["reduce"], np.float64) + weights.get("reduce_bias", 0.0))
    logits = hidden @ weights["excite"] + weights.get("excite_bias", 0.0)
    return sigmoid(logits) if gate == "sigmoid" else relu(logits)


def pattern_selection(fields: Array, groups: Array, weights: Weights, selection: str) -> tuple[Array, Array]:
    """APEM's PS for one example: what every task sees, `(T, (F + 1) * D)`, and its selection `(T, M + F)`.

    Weights: `indicators` (T, D), `query`, `key`, `value` (D, D), and `adaptation` (D, D) if indicators are adaptive.
    """
    width = fields.shape[1]
    patterns = np.concatenate([groups, fields]).astype(np.float64)
    seen, selections = [], []
    for indicator in np.asarray(weights["indicators"], np.float64):
        if "adaptation" in weights:
            indicator = indicator + np.mean(fields, axis=0) @ weights["adaptation"]
        query = indicator @ weights["query"]
        scores = np.array([query @ (pattern @ weights["key"]) / np.sqrt(width) for pattern in patterns])
        selected = sigmoid(scores) if selection == "sigmoid" else softmax(scores)
        of_fields = [selected[len(groups) + f] * fields[f] for f in range(len(fields))]
        pooled = sum(a * (p @ weights["value"]) for a, p in zip(selected, patterns, strict=True)) / np.sum(selected)
        seen.append(np.concatenate([*of_fields, pooled]))
        selections.append(selected)
    return np.stack(seen), np.stack(selections)
