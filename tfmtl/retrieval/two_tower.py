"""The two-tower model of TFRS: imported by the training process alone."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.retrieval.sides import item_features, user_features
from tfmtl.retrieval.tower import EmbeddingTables, Tower
from tfmtl.schema import ModelInputs


class TwoTower(tfrs.Model):
    """User and item tower, trained so that a user's vector is near those of the items that were positives.

    A batch's other items are the negatives. How often an item is among them follows its frequency, which the loss
    corrects for (logQ); the same item in another row of the batch is no negative.

    Args:
        inputs: `ModelInputs`.
        options: `RetrievalOptions`, resolved.
        probabilities: float32 `(ids,)`. Encoded id of an item -> its share of the training positives, as
            `sampling_probabilities` says.
    """

    def __init__(self, inputs: ModelInputs, options: RetrievalOptions, probabilities: tf.Tensor) -> None:
        super().__init__(name="two_tower")
        problem = inputs.problem
        tables = EmbeddingTables(inputs, options.dim)
        units = (*options.hidden_units, options.dim)
        self.user = Tower("user", inputs, tables, user_features(problem), problem.sequences, units)
        self.item = Tower("item", inputs, tables, item_features(problem), (), units)
        self._item_id = str(options.item)
        self._probabilities = probabilities
        self._task = tfrs.tasks.Retrieval(
            loss=tf_keras.losses.CategoricalCrossentropy(from_logits=True),
            temperature=options.temperature,
            remove_accidental_hits=True,
        )

    def compute_loss(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The loss of a batch of positives, encoded features of both sides."""
        ids = inputs[self._item_id]
        return self._task(
            self.user(inputs),
            self.item(inputs),
            candidate_sampling_probability=tf.gather(self._probabilities, ids),
            candidate_ids=ids,
            compute_metrics=False,
        )
