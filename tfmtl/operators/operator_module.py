"""The exported graph of an operator network."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfmtl.operators.operator_network import OperatorNetwork

SERVE, ENCODE, QUERY, SHARED, RANGE = "serving_default", "encode", "query", "serve_shared", "training_range"
VALUES, CODES = "values", "codes"


def operator_specs(network: OperatorNetwork) -> dict[str, dict[str, tf.TensorSpec]]:
    """Signature name -> input name -> its spec."""
    inputs = {name: tf.TensorSpec((None, *shape), tf.float32, name) for name, shape in network.input_shapes.items()}
    width = network.num_outputs * network.trunk.latent_dim
    if network.initial_condition is not None:
        width += network.input_shapes[network.initial_condition.input][0]
    mask = {"mask": tf.TensorSpec((None, None), tf.float32, "mask")} if network.use_mask else {}
    asked = {"points": tf.TensorSpec((None, None, network.point_dim), tf.float32, "points"), **mask}
    # A first axis of 1, not free, is how a signature says that it is not batched.
    shared = {"points": tf.TensorSpec((1, None, network.point_dim), tf.float32, "points"), **mask}
    specs = {
        SERVE: {**inputs, **asked},
        ENCODE: inputs,
        QUERY: {CODES: tf.TensorSpec((None, width), tf.float32, CODES), **asked},
        SHARED: {**inputs, **shared},
    }
    if network.coefficients:
        specs[RANGE] = {"rows": tf.TensorSpec((None,), tf.int64, "rows")}
    return specs


class OperatorModule(tf.Module):
    """A network with the signatures that a server offers, in physical units.

    - `serving_default`: the named inputs, `points` `(B, Q, d)` and, if the network uses one, `mask` `(B, Q)`
      -> `values`.
    - `encode`: the named inputs -> `codes` `(B, K)`; `query`: `codes`, `points` and `mask` -> `values`. To ask for many
      points, one after the other, encode once.
    - `serve_shared`: as `serving_default` with `points` `(1, Q, d)` for all rows, whose functions are computed once. It
      cannot be batched with other requests: their points would have to be the same.
    - `training_range`, if there are coefficients: `rows` `(B,)`, whatever they are, -> `<input>_low` and
      `<input>_high`, `(B, n)`, the range of each coefficient in training.

    Shapes: B batch, Q points of d coordinates, C outputs; `values` are `(B, Q)`, or `(B, Q, C)` with several outputs.

    Args:
        network: a built `OperatorNetwork`.
    """

    def __init__(self, network: OperatorNetwork) -> None:
        super().__init__(name="serving")
        # The weights are tracked, the model is not: a Keras object drags its training graph along.
        self._weights = [weight.value for weight in network.weights]
        self._specs = operator_specs(network)
        self._functions: dict[str, Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]] = {
            SERVE: lambda features: {VALUES: network(features)},
            ENCODE: lambda features: {CODES: network.encode(features)},
            QUERY: lambda f: {VALUES: network.query(f[CODES], f["points"], f.get("mask"))},
            SHARED: lambda features: {VALUES: network({**features, "points": features["points"][0]})},
            RANGE: lambda features: _ranges(network, features["rows"]),
        }

    def signatures(self) -> dict[str, Any]:
        """Signature name -> concrete function, for `tf.saved_model.save`."""
        return {name: self._signature(name).get_concrete_function(**spec) for name, spec in self._specs.items()}

    def _signature(self, name: str) -> Any:
        @tf.function(autograph=False)
        def answer(**features: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._functions[name](features)

        return answer


def _ranges(network: OperatorNetwork, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    answers = {}
    for name, ends in network.ranges.items():
        for end, values in zip(("low", "high"), ends, strict=True):
            answers[f"{name}_{end}"] = tf.repeat(tf.convert_to_tensor(values)[tf.newaxis], tf.size(rows), axis=0)
    return answers
