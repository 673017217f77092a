"""The exported graph: raw features in, one named output per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfmtl.data import RawTransform
from tfmtl.data.example_spec import parse_raw_examples, raw_signature
from tfmtl.schema import Problem

if TYPE_CHECKING:  # whoever replays an export must not need the layers
    from tfmtl.models import MultiTaskModel

SERVE = "serving_default"
SERVE_EXAMPLES = "serve_examples"


class ServingModule(tf.Module):
    """A model behind its transformation, with the signatures that a server offers.

    - `serving_default`: named raw features (see `tfmtl.data.example_spec.raw_signature`).
    - `serve_examples`: `examples`, serialised `tf.train.Example`s with the same features.

    Both answer with one float32 `(B,)` per task, under the task's name.

    Args:
        model: `MultiTaskModel`.
        transform: `RawTransform`.
        problem: `Problem`.
    """

    def __init__(self, model: MultiTaskModel, transform: RawTransform, problem: Problem) -> None:
        super().__init__(name="serving")
        self.transform = transform  # tracked: its vocabularies become assets
        # The model's weights are tracked, the model is not: a Keras object in a SavedModel drags its whole
        # training graph along, and the metrics' states with it.
        self._weights = [weight.value for weight in model.weights]
        self._problem = problem

        def predict(raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            predictions: dict[str, tf.Tensor] = model(transform(raw), training=False)
            return predictions

        self._predict = predict

    def signatures(self) -> dict[str, Any]:
        """Signature name -> concrete function, for `tf.saved_model.save`."""
        inputs = raw_signature(self._problem)

        @tf.function(autograph=False)  # nothing here depends on a tensor's value
        def serving_default(**features: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._predict(features)

        @tf.function(autograph=False)  # nothing here depends on a tensor's value
        def serve_examples(examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._predict(parse_raw_examples(self._problem, examples))

        return {
            SERVE: serving_default.get_concrete_function(**inputs),
            SERVE_EXAMPLES: serve_examples.get_concrete_function(
                examples=tf.TensorSpec((None,), tf.string, "examples")
            ),
        }
