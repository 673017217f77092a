"""Derive features of many examples at a time: of all of a bucket, and of the few that are kept as requests."""

from itertools import pairwise

import numpy as np

from tfmtl.data.raw_transform import RawTransform
from tfmtl.features import FeatureBehavior, RequestView
from tfmtl.features.behaviors import derive_together
from tfmtl.preprocessing.writing.window_views import WindowViews
from tfmtl.schema import Problem

_SLICE_EVENTS = 1 << 19  # of padded windows


class Derivation:
    """Derives the features that have no input of their own.

    Kinds that ask `RequestView.events` alone are derived of all examples at once. Others need padded windows: they are
    derived in slices of bounded size, of examples with windows of about equal lengths.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
        only_of_labels: bool. Whether to derive only what reads labels, which is another value as served. Defaults to
            `False`.
    """

    def __init__(self, problem: Problem, transform: RawTransform, only_of_labels: bool = False) -> None:
        sequences = {sequence.name for sequence in problem.sequences}
        self._together: list[FeatureBehavior] = []
        self._padded: dict[frozenset[str], list[FeatureBehavior]] = {}
        for feature in problem.features:
            if not feature.inputs() and (feature.reads_labels or not only_of_labels):
                behavior = transform.behaviors[feature.name]
                read = frozenset(sequences.intersection(feature.sources)) if behavior.needs_windows else frozenset()
                own = self._padded.setdefault(read, []) if read else self._together
                own.append(behavior)

    def derive(self, views: WindowViews, chosen: np.ndarray, as_served: bool = False) -> dict[str, np.ndarray]:
        """Encoded key -> `(N,)`; the arguments are those of `WindowViews.of`."""
        found = _arrays(self._together, views.ranges(chosen, as_served))
        for sequences, behaviors in self._padded.items():
            longest = views.longest(chosen, sequences)
            order = np.argsort(longest, kind="stable")
            parts = [
                _arrays(behaviors, views.of(chosen[order[start:end]], sequences, as_served))
                for start, end in pairwise(_slices(longest[order]))
            ]
            back = np.argsort(order, kind="stable")
            found |= {key: np.concatenate([part[key] for part in parts])[back] for key in parts[0]}
        return found


def _arrays(behaviors: list[FeatureBehavior], view: RequestView) -> dict[str, np.ndarray]:
    return {key: np.asarray(values) for key, values in derive_together(behaviors, view).items()}


def _slices(lengths: np.ndarray) -> list[int]:
    """The places at which rising lengths of windows are cut, so that padded ones are of bounded size."""
    places = [0]
    while places[-1] < len(lengths) or len(places) < 2:
        sizes = lengths[places[-1] :] * np.arange(1, len(lengths) - places[-1] + 1)
        places.append(places[-1] + max(1, int(np.searchsorted(sizes, _SLICE_EVENTS))) if len(sizes) else 0)
    return places
