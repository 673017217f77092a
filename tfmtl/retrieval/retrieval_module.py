"""The exported graph of retrieval: a user's raw features in, items with their raw features out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.data import RawTransform
from tfmtl.data.example_spec import (
    candidate_features,
    candidate_tensors,
    encoded_signature,
    raw_signature,
    user_signature,
)
from tfmtl.retrieval.nearest import Index, Nearest, nearest
from tfmtl.retrieval.sides import item_features, user_features
from tfmtl.schema import Problem
from tfmtl.schema.reserved import MISSING_ID, OUT_OF_VOCABULARY

RETRIEVE, RETRIEVE_UNSEEN = "retrieve", "retrieve_unseen"
EMBED_USER, EMBED_ITEM = "embed_user", "embed_item"
SCORE = "retrieval"

_Tower = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]


def history_keys(problem: Problem, item: str) -> list[str]:
    """The inputs that hold the ids of items seen before; the same names raw and encoded."""
    return [sequence.column_key(item) for sequence in problem.sequences if item in sequence.columns]


class RetrievalModule(tf.Module):
    """An index of items behind the user tower, with the signatures that a server offers.

    - `retrieve`: raw features of B users (`user_signature`) and `k`, int32 scalar. Answers with the min(k, items) best
      items: every raw feature of side `item`, `(B, n)` or `(B, n, values)`, and `retrieval`, float32 `(B, n)`: the
      logit by which they are ordered.
    - `retrieve_unseen`: the same without the items in the request's histories. Where fewer than n are left, the last
      entries have the id `""`. Only where histories carry the items' ids.
    - `embed_user`, `embed_item`: raw features of one side -> `embedding`, float32 `(B, D)`.

    For measuring there are `search_encoded` and `search_encoded_unseen`, which take encoded features of users and k and
    answer with rows of the index, scores, and whether there is an item at all.

    Args:
        problem: `Problem`.
        item: str. The feature that identifies an item.
        transform: `RawTransform`.
        user_tower: encoded features -> float32 `(B, D)`, scaled so that its product with an item's is the logit.
        item_tower: encoded features -> float32 `(B, D)`.
        index: `Index` over the items.
        weights: every variable that these three read.
        items: raw features of the indexed items, as `read_items` returns them.
    """

    def __init__(
        self,
        problem: Problem,
        item: str,
        transform: RawTransform,
        user_tower: _Tower,
        item_tower: _Tower,
        index: Index,
        weights: Sequence[tf.Variable],
        items: Mapping[str, tf.Tensor],
    ) -> None:
        super().__init__(name="retrieval")
        self.transform = transform  # tracked: its vocabularies become assets
        self._weights = list(weights)
        self._items = {name: tf.Variable(values, trainable=False) for name, values in items.items()}
        self._encoded_ids = tf.Variable(transform.encode(item, items[item]), trainable=False)
        self._problem, self._item = problem, item
        self._user_tower, self._item_tower, self._index = user_tower, item_tower, index
        of_item = candidate_tensors(problem)
        encoded = {name: spec for name, spec in encoded_signature(problem).items() if name not in of_item}
        count = tf.TensorSpec((), tf.int32)
        self.search_encoded = tf.function(self._search_encoded, [encoded, count], autograph=False)
        if history_keys(problem, item):
            self.search_encoded_unseen = tf.function(self._search_encoded_unseen, [encoded, count], autograph=False)

    def signatures(self) -> dict[str, Any]:
        """Signature name -> concrete function, for `tf.saved_model.save`."""
        raw, items = raw_signature(self._problem), candidate_features(self._problem)
        of_user = user_signature(self._problem)
        asked = {**of_user, "k": tf.TensorSpec((), tf.int32, "k")}
        specs = {RETRIEVE: asked, EMBED_USER: of_user, EMBED_ITEM: {name: raw[name] for name in items}}
        functions = {RETRIEVE: self._retrieve, EMBED_USER: self._embed_user, EMBED_ITEM: self._embed_item}
        if history_keys(self._problem, self._item):
            specs[RETRIEVE_UNSEEN] = asked
            functions[RETRIEVE_UNSEEN] = self._retrieve_unseen
        return {
            name: tf.function(function, autograph=False).get_concrete_function(**specs[name])
            for name, function in functions.items()
        }

    def _retrieve(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        k = inputs.pop("k")
        return self._with_features(self._search(self._encoded_user(inputs), k, self._items[self._item], None))

    def _retrieve_unseen(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        k = inputs.pop("k")
        seen = tf.concat([inputs[key] for key in history_keys(self._problem, self._item)], axis=1)
        return self._with_features(self._search(self._encoded_user(inputs), k, self._items[self._item], seen))

    def _embed_user(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": self._user_tower(self._encoded_user(inputs))}

    def _embed_item(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = self.transform.encode_parts(inputs, item_features(self._problem))
        return {"embedding": self._item_tower(encoded)}

    def _search_encoded(self, encoded: Mapping[str, tf.Tensor], k: tf.Tensor) -> Nearest:
        return self._search(encoded, k, self._encoded_ids, None)

    def _search_encoded_unseen(self, encoded: Mapping[str, tf.Tensor], k: tf.Tensor) -> Nearest:
        seen = tf.concat([encoded[key] for key in history_keys(self._problem, self._item)], axis=1)
        # An id out of the vocabulary may be any item, and none is known to have been seen.
        return self._search(encoded, k, self._encoded_ids, tf.where(seen == OUT_OF_VOCABULARY, MISSING_ID, seen))

    def _search(
        self, encoded: Mapping[str, tf.Tensor], k: tf.Tensor, ids: tf.Tensor, seen: tf.Tensor | None
    ) -> Nearest:
        positive = tf.debugging.assert_positive(k, "Input k must be positive")
        with tf.control_dependencies([positive] if positive is not None else []):
            k = tf.identity(k)
        return nearest(self._index, self._user_tower(encoded), k, ids, seen)

    def _encoded_user(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.transform.encode_parts(raw, user_features(self._problem), self._problem.sequences)

    def _with_features(self, found: Nearest) -> dict[str, tf.Tensor]:
        outputs = {name: tf.gather(values, found.rows) for name, values in self._items.items()}
        outputs[self._item] = tf.where(found.is_item, outputs[self._item], "")
        return {**outputs, SCORE: tf.where(found.is_item, found.scores, 0.0)}
