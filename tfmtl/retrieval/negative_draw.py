"""Draw, for rows of a log, items that retrieval finds and their users did not take."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
from tfmtl.retrieval.taken_items import Flags, Ints, TakenItems
from tfmtl.schema import Problem

Floats = npt.NDArray[np.float32]
_SEARCHED = 2048  # rows at a time


class Drawn(NamedTuple):
    """What was drawn for a bucket of users.

    Attributes:
        logged: the rows of the bucket, sorted, N of them.
        logits: float32 `(N,)`. Retrieval's logit of a row's own item; NaN where the row was not asked for, or where
            retrieval does not find it.
        negatives: the rows again, once for each of their negatives and with its features of side `item`, M of them.
        negative_logits: float32 `(M,)`.
    """

    logged: pa.Table
    logits: Floats
    negatives: pa.Table
    negative_logits: Floats


class NegativeDraw:
    """Draws the negatives of a bucket of users.

    Args:
        problem: `Problem` of the log and of retrieval.
        retrieval: a version that `fit_retrieval` wrote.
        options: `NegativeOptions`.
        first_times: int64 `(items,)`. When each item of the index came up in the log.
    """

    def __init__(self, problem: Problem, retrieval: Path, options: NegativeOptions, first_times: Ints) -> None:
        self._first_times = first_times
        version = ExportedVersion(retrieval)
        self._problem, self._options = problem, options
        self._item = item_of(version)
        self._items = parquet.read_table(version.items).combine_chunks()
        self._search = Search(problem, version)

    def draw(self, table: pa.Table, transform: RawTransform, seed: tuple[int, int]) -> Drawn:
        """Draws for some of the rows: for `share` of them, as far as retrieval finds their own items.

        Args:
            table: canonical rows of a bucket with their split, all rows of every user in it, in any order.
            transform: `RawTransform`.
            seed: of the draw.
        """
        random = np.random.default_rng(seed)
        table, examples, encode = examples_in_order(self._problem, transform, table)
        own = pc.fill_null(pc.index_in(table[self._item], self._items[self._item]), -1).to_numpy().astype(np.int64)
        taken = TakenItems(table, own, self._items.num_rows)
        times = taken.times
        chosen = np.sort(random.permutation(len(examples))[: round(self._options.share * len(examples))])
        logits = np.full(table.num_rows, np.nan, np.float32)
        places: list[Ints] = [np.empty(0, np.int64)]
        items: list[Ints] = [np.empty(0, np.int64)]
        scores: list[Floats] = [np.empty(0, np.float32)]
        for positions, records in encode(chosen):
            for start in range(0, len(positions), _SEARCHED):
                rows = examples[positions[start : start + _SEARCHED]]
                serialized = tf.constant(records.slice(start, _SEARCHED).to_numpy(zero_copy_only=False))
                features, _, _ = parse_encoded_examples(self._problem, serialized)
                found, found_logits, usable = self._search(features, self._options.candidates)
                is_own = usable & (found == own[rows, np.newaxis])
                is_found = is_own.any(axis=1)
                logits[rows[is_found]] = found_logits[is_own]
                usable &= is_found[:, np.newaxis] & ~is_own & (self._first_times[found] <= times[rows, np.newaxis])
                usable &= ~taken.since(rows, found)
                drawn = _picked(usable, self._options.count, random)
                row, _ = np.nonzero(drawn >= 0)
                column = drawn[drawn >= 0]
                places.append(rows[row])
                items.append(found[row, column])
                scores.append(found_logits[row, column])
        negatives = self._with_items(table.take(pa.array(np.concatenate(places))), np.concatenate(items))
        return Drawn(table, logits, negatives, np.concatenate(scores))

    def _with_items(self, rows: pa.Table, items: Ints) -> pa.Table:
        for name in candidate_features(self._problem):
            values = self._items[name].take(pa.array(items)).cast(rows.schema.field(name).type)
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        return rows


def item_of(version: ExportedVersion) -> str:
    """The feature that identifies an item of a retrieval."""
    return str(json.loads(version.retrieval.read_text())["item"])


class Search:
    """Asks a retrieval for candidates, without those in a row's histories where these hold items.

    Args:
        problem: `Problem`.
        version: `ExportedVersion` that `fit_retrieval` wrote.
    """

    def __init__(self, problem: Problem, version: ExportedVersion) -> None:
        self._of_item = candidate_tensors(problem)
        self._loaded: Any = tf.saved_model.load(str(version.path))
        self._search = getattr(self._loaded, "search_encoded_unseen", self._loaded.search_encoded)

    def __call__(self, features: Mapping[str, tf.Tensor], candidates: int) -> tuple[Ints, Floats, Flags]:
        """Rows of the index, logits, and whether there is an item at all, each `(B, n)`, from encoded features."""
        user = {name: values for name, values in features.items() if name not in self._of_item}
        nearest = self._search(user, tf.constant(candidates))
        return nearest.rows.numpy().astype(np.int64), nearest.scores.numpy(), nearest.is_item.numpy()


def _picked(usable: Flags, count: int, random: np.random.Generator) -> Ints:
    """Places of `count` usable items of every row, each drawn equally often; -1 where there are fewer."""
    keys = np.where(usable, random.random(usable.shape), np.inf)
    best = np.argsort(keys, axis=1)[:, :count]
    return np.where(np.isfinite(np.take_along_axis(keys, best, axis=1)), best, -1)
