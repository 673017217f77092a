"""The exported graph of two stages: a user's raw features in, a list of items with every task's score out."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfmtl.data.example_spec import candidate_features
from tfmtl.export.score import Score
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.schema import Problem

RECOMMEND = "recommend"
ORDER = "order"

_Function = Callable[..., Mapping[str, tf.Tensor]]


def score_names(rank: Any) -> list[str]:
    """The outputs of a ranking that are one number a candidate: what a list can show and be ordered by."""
    return [name for name, spec in rank.structured_outputs.items() if spec.shape.rank == 1]


class RecommendModule(tf.Module):
    """A retrieval index and a ranking model in one graph.

    `recommend` takes the raw features of B users and `k`, int32 scalar, and answers with the n = min(k, items) best of
    the candidates that retrieval finds, which are `max(candidates, k)` or all there are: the id under the item
    feature's name, string `(B, n)`, and float32 `(B, n)` the ranking's outputs, `retrieval` (the softmax of the
    candidates' logits) and `order`, which the list is ordered by, highest first. Where retrieval leaves out what a user
    has seen and too little is left, the last entries have the id `""` and zeros.

    Args:
        problem: `Problem`.
        item: str. The feature that identifies an item.
        retrieval: loaded SavedModel of `fit_retrieval`.
        retrieve: name of its signature to use.
        ranking: loaded SavedModel of `export`, with the signature `rank`.
        order_by: `Score` over the ranking's outputs and `retrieval`.
        candidates: int.
    """

    def __init__(
        self, problem: Problem, item: str, retrieval: Any, retrieve: str, ranking: Any, order_by: Score, candidates: int
    ) -> None:
        super().__init__(name="two_stages")
        # Tracked: their variables, tables and assets become this model's.
        self.retrieval, self.ranking = retrieval, ranking
        self._retrieve: _Function = retrieval.signatures[retrieve]
        self._rank: _Function = ranking.signatures["rank"]
        self._outputs = tuple(score_names(self._rank))
        self._features = candidate_features(problem)
        self._item, self._order_by, self._candidates = item, order_by, candidates

    def signatures(self) -> dict[str, Any]:
        """Signature name -> concrete function, for `tf.saved_model.save`: `recommend`, and all that the ranking has."""
        specs = self._retrieve.structured_input_signature[1]  # type: ignore[attr-defined]
        recommend = tf.function(self._recommend, autograph=False).get_concrete_function(**specs)
        return {**{name: _again(function) for name, function in self.ranking.signatures.items()}, RECOMMEND: recommend}

    def _recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        user = {name: value for name, value in inputs.items() if name != "k"}
        k = inputs["k"]
        found = self._retrieve(**user, k=tf.where(k > 0, tf.maximum(k, self._candidates), k))
        ids = found[self._item]
        is_item = ids != ""
        items = {name: found[name] for name in self._features}
        signature = dict.fromkeys(self._outputs, _SCORES)
        scores = tf.cond(  # a loop without a first turn would not know how many candidates its outputs have
            tf.shape(ids)[0] > 0,
            lambda: tf.map_fn(self._rank_for_one, (user, items), fn_output_signature=signature),
            lambda: dict.fromkeys(self._outputs, tf.zeros_like(found[SCORE])),
        )  # each (B, candidates)
        logits = tf.where(is_item, found[SCORE], found[SCORE].dtype.min)
        outputs = {**scores, SCORE: tf.nn.softmax(logits, axis=1)}
        order = tf.cast(self._order_by.value(outputs), tf.float32)
        # What has no order (infinity minus infinity) comes after what has one, and no item comes last.
        sortable = tf.where(tf.math.is_nan(order), order.dtype.min, tf.maximum(order, order.dtype.min))
        _, best = tf.math.top_k(tf.where(is_item, sortable, -float("inf")), tf.minimum(k, tf.shape(ids)[1]))
        listed = {name: tf.where(is_item, values, 0.0) for name, values in {**outputs, ORDER: order}.items()}
        return {name: tf.gather(values, best, batch_dims=1) for name, values in {self._item: ids, **listed}.items()}

    def _rank_for_one(self, parts: tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        user, items = parts
        scores = self._rank(**{name: value[tf.newaxis] for name, value in user.items()}, **items)
        return {name: scores[name] for name in self._outputs}


_SCORES = tf.TensorSpec((None,), tf.float32)


def _again(function: Any) -> Any:
    """A signature of a loaded model as one of another."""

    def call(**inputs: tf.Tensor) -> Mapping[str, tf.Tensor]:
        outputs: Mapping[str, tf.Tensor] = function(**inputs)
        return outputs

    return tf.function(call, autograph=False).get_concrete_function(**function.structured_input_signature[1])
