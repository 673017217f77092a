"""Derive features of many examples at a time: as one graph, and with windows of about equal lengths together."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfmtl.data.raw_transform import RawTransform
from tfmtl.features import FeatureBehavior, RequestView
from tfmtl.preprocessing.writing.window_views import WindowViews
from tfmtl.schema import Problem

_FEW = 1024  # examples, for which tracing a graph costs more than it saves
_WIDTHS = (17, 65)  # of windows, between which examples are derived apart


class Derivation:
    """Derives the features that have no input of their own.

    One after the other, some hundred small operations a slice cost several times what a graph of them costs.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
    """

    def __init__(self, problem: Problem, transform: RawTransform) -> None:
        sequences = {sequence.name for sequence in problem.sequences}
        self._behaviors: dict[frozenset[str], list[FeatureBehavior]] = {}
        for feature in problem.features:
            if not feature.inputs():
                read = frozenset(sequences.intersection(feature.sources))
                self._behaviors.setdefault(read, []).append(transform.behaviors[feature.name])
        self._graphs: dict[tuple[frozenset[str], bool], Any] = {}

    @classmethod
    def of(cls, problem: Problem, transform: RawTransform) -> "Derivation":
        """The one of a transformation, whose graphs are traced once for all buckets."""
        if transform not in _KNOWN:
            _KNOWN[transform] = cls(problem, transform)
        return _KNOWN[transform]

    def derive(self, views: WindowViews, chosen: np.ndarray, as_served: bool) -> dict[str, np.ndarray]:
        """Encoded key -> `(N,)`; the arguments are those of `WindowViews.of`."""
        found: dict[str, np.ndarray] = {}
        for sequences in self._behaviors:
            # Padding all windows to the longest one would cost as much as everything else.
            longest = views.longest(chosen, sequences)
            order = np.argsort(longest, kind="stable")
            few = len(chosen) < _FEW
            ends = [0, *([] if few else np.searchsorted(longest[order], _WIDTHS)), len(chosen)]
            parts = [
                self._derived(sequences, views.of(chosen[order[start:end]], sequences, as_served), few)
                for start, end in pairwise(ends)
                if end > start or not len(chosen)
            ]
            back = np.argsort(order, kind="stable")
            found |= {key: np.concatenate([part[key] for part in parts])[back] for key in parts[0]}
        return found

    def _derived(self, sequences: frozenset[str], view: RequestView, few: bool) -> Mapping[str, np.ndarray]:
        behaviors = self._behaviors[sequences]
        if few:
            return {key: values.numpy() for own in behaviors for key, values in own.derive(view).items()}
        given = {name: part for name, part in vars(view).items() if part is not None}
        key = sequences, "as_of" in given  # another graph for examples as they are served
        if key not in self._graphs:

            @tf.function(autograph=False, reduce_retracing=True)
            def graph(given: dict[str, Any]) -> dict[str, tf.Tensor]:
                asked = RequestView(**{"now": None, **given})
                return {name: each for own in behaviors for name, each in own.derive(asked).items()}

            spec = tf.nest.map_structure(lambda each: tf.TensorSpec([None] * each.shape.rank, each.dtype), given)
            self._graphs[key] = graph.get_concrete_function(spec)
        return {name: values.numpy() for name, values in self._graphs[key](given).items()}


_KNOWN: WeakKeyDictionary[RawTransform, Derivation] = WeakKeyDictionary()
