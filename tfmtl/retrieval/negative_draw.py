"""Draw, for rows of a log, items that retrieval finds and their users did not take."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import tensorflow as tf

from tfmtl.data.example_spec import candidate_features, candidate_tensors, parse_encoded_examples
from tfmtl.data.raw_transform import RawTransform
from tfmtl.folders import ExportedVersion
from tfmtl.preprocessing.writing.encode import examples_in_order
from tfmtl.retrieval.negative_options import NegativeOptions
from tfmtl.retrieval.taken_items import Ints, TakenItems
from tfmtl.schema import Problem

_SEARCHED = 2048  # rows at a time
_TRIES = 4  # random items looked at for each that is wanted


class NegativeDraw:
    """Draws the negatives of a bucket of users.

    Args:
        problem: `Problem` of the log and of retrieval.
        retrieval: a version that `fit_retrieval` wrote.
        options: `NegativeOptions`.
    """

    def __init__(self, problem: Problem, retrieval: Path, options: NegativeOptions) -> None:
        version = ExportedVersion(retrieval)
        self._problem, self._options = problem, options
        self._item = str(json.loads(version.retrieval.read_text())["item"])
        self._of_item = candidate_tensors(problem)
        self._items = parquet.read_table(version.items).combine_chunks()
        self._loaded: Any = tf.saved_model.load(str(version.path))
        self._search = getattr(self._loaded, "search_encoded_unseen", self._loaded.search_encoded)

    def draw(self, table: pa.Table, transform: RawTransform, seed: tuple[int, int]) -> pa.Table:
        """Some rows once for each of their negatives, with the negative's features of side `item`.

        Args:
            table: canonical rows of a bucket with their split, all rows of every user in it, in any order.
            transform: `RawTransform`.
            seed: of the draw.
        """
        random = np.random.default_rng(seed)
        table, examples, encode = examples_in_order(self._problem, transform, table)
        own = pc.fill_null(pc.index_in(table[self._item], self._items[self._item]), -1).to_numpy().astype(np.int64)
        taken = TakenItems(table, own, self._items.num_rows)
        chosen = np.sort(random.permutation(len(examples))[: round(self._options.share * len(examples))])
        of_rows, of_items = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for positions, records in encode(chosen):
            for start in range(0, len(positions), _SEARCHED):
                rows = examples[positions[start : start + _SEARCHED]]
                for items in self._drawn(rows, own[rows], records.slice(start, _SEARCHED), taken, random):
                    places, columns = np.nonzero(items >= 0)
                    of_rows.append(rows[places])
                    of_items.append(items[places, columns])
        return self._with_items(table.take(pa.array(np.concatenate(of_rows))), np.concatenate(of_items))

    def _drawn(
        self, rows: Ints, own: Ints, records: pa.Array, taken: TakenItems, random: np.random.Generator
    ) -> list[Ints]:
        """For each row its negatives, those of retrieval and those of all items: `(B, n)`, -1 where there are fewer."""
        options = self._options
        anywhere = round(options.random * options.count)
        serialized = tf.constant(records.to_numpy(zero_copy_only=False))
        features, _, _ = parse_encoded_examples(self._problem, serialized)
        user = {name: values for name, values in features.items() if name not in self._of_item}
        nearest = self._search(user, tf.constant(options.candidates))
        found = nearest.rows.numpy().astype(np.int64)
        usable = nearest.is_item.numpy() & (found != own[:, np.newaxis])
        if not options.keep_later:
            usable &= ~taken.since(rows, found)
        near = _picked(found, usable, options.count - anywhere, random)
        pool = np.sort(random.integers(self._items.num_rows, size=(len(rows), _TRIES * anywhere)), axis=1)
        usable = (pool != own[:, np.newaxis]) & ~taken.ever(rows, pool)
        usable[:, 1:] &= pool[:, 1:] != pool[:, :-1]
        usable &= ~(pool[:, :, np.newaxis] == near[:, np.newaxis, :]).any(axis=2)
        return [near, _picked(pool, usable, anywhere, random)]

    def _with_items(self, rows: pa.Table, items: Ints) -> pa.Table:
        for name in candidate_features(self._problem):
            values = self._items[name].take(pa.array(items)).cast(rows.schema.field(name).type)
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        return rows


def _picked(items: Ints, usable: npt.NDArray[np.bool_], count: int, random: np.random.Generator) -> Ints:
    """`count` usable items of every row, each equally often; -1 where there are fewer."""
    keys = np.where(usable, random.random(items.shape), np.inf)
    best = np.argsort(keys, axis=1)[:, :count]
    picked, key = (np.take_along_axis(values, best, axis=1) for values in (items, keys))
    return np.where(np.isfinite(key), picked, -1)
