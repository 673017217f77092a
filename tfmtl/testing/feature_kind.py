"""Whether a kind of feature does what preprocessing, model and export rely on."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.data.example_spec import (
    candidate_tensors,
    encoded_signature,
    parse_encoded_examples,
    parse_raw_examples,
    raw_signature,
)
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.features import FeatureBehavior, behavior_of
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.analyze import build_statistics, count_values, merge_counts
from tfmtl.preprocessing.fitting.reused_statistics import extend_statistics
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.writing.column_values import plain_values
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.schema import SPLITS, Problem
from tfmtl.schema.problem_file import PROBLEM_FILE
from tfmtl.schema.reserved import OUT_OF_VOCABULARY
from tfmtl.testing._layer import demand
from tfmtl.values.arrow_text import to_numbers, to_text
from tfmtl.values.plain_arrow import plain

_ORDERS = 50
_LEAST_ROWS = 8

Tensors = Mapping[str, tf.Tensor]


def check_feature_kind(problem: Problem, name: str, log: pa.Table, fresh_process: bool = True) -> None:
    """Raises unless a registered kind of feature keeps what preprocessing, model and export rely on.

    - A value is encoded alike in a column, by itself and under any leading axes, bit for bit.
    - What is fitted does not depend on the order and the cuts in which rows are counted (50 random ones), and is the
      same after it was written and read.
    - A record and a request of the same row give the same tensors, bit for bit, also in a graph, through JSON and
      through serialized examples, and in a fresh process.
    - Missing values everywhere give finite numbers; views have a row for each.
    - One user and many candidates give the fields that each candidate gives with the user repeated.
    - Another day's values leave ids as they are.

    Args:
        problem: `Problem` with the feature, and with whatever it needs beside it. Where it splits by a column, the rows
            of the log must be of the training split.
        name: str. The feature.
        log: a table with the problem's columns, as it would be read from Parquet; 8 rows at least that are not
            rejected, with missing and odd values among them.
        fresh_process: bool. Whether to try in another process, too, which takes as long as TensorFlow to start; the
            kind's modules must be importable there. Defaults to `True`.

    Raises:
        AssertionError: a rule is broken; the text says which, and what to do.

    Example:

    >>> from tfmtl.schema import BinaryTask, CategoricalFeature, Problem, Split
    >>> problem = Problem("shop", (CategoricalFeature("item"),), (BinaryTask("buy"),), split=Split(by="row"))
    >>> log = pa.table({"item": ["a", "b", None, "c"] * 4, "buy": [0, 1, 1, 0] * 4})
    >>> check_feature_kind(problem, "item", log, fresh_process=False)
    """
    behavior = behavior_of(problem.feature(name), problem)
    rows = _canonical(problem, log, [0])
    demand(
        rows[0].num_rows >= _LEAST_ROWS,
        behavior,
        f"give a log of which {_LEAST_ROWS} rows at least can be read. Received: {rows[0].num_rows}.",
    )
    statistics = _fitted(problem, rows)
    _check_order(behavior, rows[0])
    with tempfile.TemporaryDirectory(prefix="tfmtl-check-") as folder:
        transform = _written(behavior, problem, statistics, Path(folder))
        _check_columns(behavior, transform, rows[0])
        _check_client(behavior, transform, rows[0], log)
        _check_missing(behavior, problem, transform)
        requests = _check_records(behavior, problem, transform, rows[0])
        encoded = transform(to_tensors(requests, raw_signature(problem)))
        _check_looks(behavior, encoded, len(requests))
        _check_model(behavior, problem, statistics, encoded)
        _check_extended(behavior, problem, log, Path(folder))
        if fresh_process:
            _check_fresh(behavior, problem, requests, encoded, Path(folder))


# === What is fitted ===


def _canonical(problem: Problem, log: pa.Table, starts: Sequence[int]) -> list[pa.RecordBatch]:
    """The log's rows as the job sees them, all of the training split, in batches that begin at `starts`."""
    whole = log.select(columns.raw_columns(problem)).combine_chunks().to_batches()[0]
    ends = [*starts[1:], whole.num_rows]
    batches = []
    for start, end in zip(starts, ends, strict=True):
        batch, _ = canonicalize(problem, whole.slice(start, end - start), 0, np.arange(start, end))
        train = pa.array(np.full(batch.num_rows, SPLITS.index("train"), np.int8))
        place = batch.schema.get_field_index(columns.SPLIT)
        batches.append(
            batch.append_column(columns.SPLIT, train) if place < 0 else batch.set_column(place, columns.SPLIT, train)
        )
    return batches


def _fitted(problem: Problem, batches: Sequence[pa.RecordBatch]) -> TransformStatistics:
    """What is learned of the batches."""
    tables: dict[Any, list[pa.Table]] = {}
    for batch in batches:
        for key, table in count_values(problem, batch):
            tables.setdefault(key, []).append(table)
    return build_statistics(problem, {key: merge_counts(parts) for key, parts in tables.items()})


def _check_order(behavior: FeatureBehavior, rows: pa.RecordBatch) -> None:
    """Rows in many orders, cut in many ways, whose tables are merged in many orders and brackets."""
    expected = behavior.fit({key: merge_counts([table]) for key, table in behavior.count(rows).items()})
    generator = np.random.default_rng(0)
    for _ in range(_ORDERS):
        shuffled = rows.take(pa.array(generator.permutation(rows.num_rows)))
        cuts = [0, *np.unique(generator.integers(1, rows.num_rows, 3)).tolist(), rows.num_rows]
        tables: dict[Any, list[pa.Table]] = {}
        for start, end in pairwise(cuts):
            for key, table in behavior.count(shuffled.slice(start, end - start)).items():
                tables.setdefault(key, []).append(table)
        merged = {}
        for key, parts in tables.items():
            order = generator.permutation(len(parts)).tolist()
            cut = int(generator.integers(1, len(parts) + 1))
            halves = [[parts[i] for i in some] for some in (order[:cut], order[cut:]) if some]
            merged[key] = merge_counts([merge_counts(half) for half in halves])
        demand(
            behavior.fit(merged) == expected,
            behavior,
            "what `fit` returns depends on the order or the batches in which rows were counted. Count whole numbers in "
            "columns called `count` or `sum_*`, and sort before you take the first ones.",
        )


def _written(
    behavior: FeatureBehavior, problem: Problem, statistics: TransformStatistics, folder: Path
) -> RawTransform:
    problem.save(folder / PROBLEM_FILE)
    statistics.save(folder)
    demand(
        TransformStatistics.load(folder) == statistics,
        behavior,
        "what `fit` returns differs after it was written and read. Keep plain lists, texts and numbers in `states`.",
    )
    return RawTransform(Problem.load(folder / PROBLEM_FILE), folder)


# === Values ===


def _check_columns(behavior: FeatureBehavior, transform: RawTransform, rows: pa.RecordBatch) -> None:
    """A column, its values one by one, and the column folded."""
    for given in behavior.record.inputs():
        if given.is_list:
            continue  # its values are encoded one by one anyway
        column = rows.column(given.key)
        values = plain_values(given, column)
        whole = _arrays(transform.encode_feature(behavior.name, values))
        half = len(values) // 2
        folded = _arrays(
            transform.encode_feature(behavior.name, values[: 2 * half].reshape(2, half, *values.shape[1:]))
        )
        singles = [_arrays(transform.encode_feature(behavior.name, value)) for value in values]
        for key, found in whole.items():
            one_by_one = np.stack([single[key] for single in singles])
            demand(
                _same(one_by_one, found) and _same(folded[key].reshape(2 * half, *found.shape[1:]), found[: 2 * half]),
                behavior,
                f"what `encode` makes of a value in '{key}' depends on the other values, or on the shape that they "
                "stand in. Work element by element, in float64, and index inner axes from the end.",
            )


def _check_client(behavior: FeatureBehavior, transform: RawTransform, rows: pa.RecordBatch, log: pa.Table) -> None:
    """A client that sends the log's own values, one a row."""
    inputs = behavior.record.inputs()
    if len(inputs) != 1 or inputs[0].inner or len(behavior.record.columns) != 1:
        return
    column = plain(log[behavior.record.columns[0]].combine_chunks().take(rows.column(columns.ROW)))
    if inputs[0].is_bytes:
        values = pc.cast(column, pa.binary())
    elif inputs[0].dtype == "string":
        values = to_text(column)
    else:
        values = pc.cast(to_numbers(column), pa.float32(), safe=False)
    sent = _arrays(transform.encode_feature(behavior.name, plain_values(inputs[0], values)))
    held = _arrays(transform.encode_feature(behavior.name, plain_values(inputs[0], rows.column(inputs[0].key))))
    for key, found in held.items():
        demand(
            _same(found, sent[key]),
            behavior,
            f"'{key}' differs where a client sends what the log holds. `read` must not respell a value: do it in "
            "`encode`, which requests go through as well.",
        )


def _check_records(
    behavior: FeatureBehavior, problem: Problem, transform: RawTransform, rows: pa.RecordBatch
) -> list[dict[str, Any]]:
    """Records through the parser, requests through the graph; returns the requests."""
    bucket = encode_bucket(problem, transform, pa.Table.from_batches([rows]), (0, 0), rows.num_rows)
    kept: list[dict[str, Any]] = json.loads(json.dumps([request["features"] for request in bucket.requests]))
    records = tf.io.decode_base64(
        [each["record"].replace("+", "-").replace("/", "_").rstrip("=") for each in bucket.requests]
    )
    features, _, _ = parse_encoded_examples(problem, records)
    signature = raw_signature(problem)
    raw = to_tensors(kept, signature)
    graph = tf.function(transform, input_signature=[signature], autograph=False)
    served = _arrays(graph(raw))
    keys = [key for key in encoded_signature(problem) if key in _own_keys(behavior)]
    for key in keys:
        demand(
            _same(features[key].numpy(), served[key]),
            behavior,
            f"'{key}' of a record differs from that of a request. `read` must leave in the column what a request "
            "brings, and `encode` must make the same of it in eager mode and in a graph.",
        )
    apart = [_arrays(graph(to_tensors([request], signature))) for request in kept]
    for key in keys:
        demand(
            _same(np.concatenate([each[key] for each in apart]), served[key]),
            behavior,
            f"'{key}' of a request depends on the other requests of the batch.",
        )
    parsed = _arrays(graph(parse_raw_examples(problem, tf.constant(to_examples(kept, signature)))))
    for key in keys:
        demand(_same(parsed[key], served[key]), behavior, f"'{key}' differs where a request is a serialized example.")
    return kept


def _check_missing(behavior: FeatureBehavior, problem: Problem, transform: RawTransform) -> None:
    nothing = transform(to_tensors([{each.key: each.missing for each in problem.inputs}] * 2, raw_signature(problem)))
    for key in _own_keys(behavior):
        values = nothing[key].numpy()
        demand(
            bool(np.isfinite(values.astype(np.float64)).all()),
            behavior,
            f"'{key}' of a missing value is not finite. Give it a number, and a tensor of its own that says so.",
        )
    if behavior.record.inputs():  # else there is no value to be missing
        for each in behavior.record.tensors(problem):
            demand(
                bool((nothing[each.key].numpy() == each.missing).all()),
                behavior,
                f"'{each.key}' of a missing value is not {each.missing:g}, which a dropped field holds. Say "
                "what it is in `EncodedTensor(missing=...)`.",
            )


def _check_looks(behavior: FeatureBehavior, encoded: Tensors, rows: int) -> None:
    arrays = _arrays(encoded)
    for name, view in behavior.views(arrays).items():
        demand(
            len(view.values) == rows and view.form in ("ids", "lists", "numbers"),
            behavior,
            f"view '{name}' must have a row for each example, and the form ids, lists or numbers.",
        )


# === In the model ===


def _check_model(
    behavior: FeatureBehavior, problem: Problem, statistics: TransformStatistics, encoded: Tensors
) -> None:
    embedding = FeatureEmbedding(statistics.model_inputs(problem))
    embedding.build()
    generator = np.random.default_rng(0)
    for weight in embedding.weights:
        weight.assign(generator.normal(size=weight.shape).astype(np.float32))
    fields = embedding(encoded)["fields"].numpy()
    demand(bool(np.isfinite(fields).all()), behavior, "its field must be finite.")
    candidates = candidate_tensors(problem)
    once = {key: values if key in candidates else values[:1] for key, values in encoded.items()}
    repeated = {
        key: values if key in candidates else tf.repeat(values[:1], len(values), 0) for key, values in encoded.items()
    }
    found, expected = embedding(once)["fields"].numpy(), embedding(repeated)["fields"].numpy()
    demand(
        np.allclose(found, expected, rtol=1e-4, atol=1e-4),
        behavior,
        "one user and many candidates give other fields than the user repeated. Every tensor must say whose `side` it "
        "is of, and a layer must not join what is the user's with what is an item's.",
    )


def _check_extended(behavior: FeatureBehavior, problem: Problem, log: pa.Table, folder: Path) -> None:
    """Fitted to half of the rows and extended by all: the ids of the half stay."""
    half = log.slice(0, log.num_rows // 2)
    before = _fitted(problem, _canonical(problem, half, [0]))
    [rows] = _canonical(problem, log, [0])
    counts: dict[Any, pa.Table] = dict(count_values(problem, rows, is_extending=True))
    after = extend_statistics(problem, before, counts)
    pair = []
    for number, each in enumerate((before, after)):
        own = folder / f"day{number}"
        own.mkdir()
        each.save(own)
        pair.append(RawTransform(problem, own))
    for given in behavior.record.inputs():
        values, single = rows.column(given.key), given
        if given.is_list:
            values, single = pc.list_flatten(values), replace(given, inner=given.inner[1:])
        old, new = (_arrays(each.encode_feature(behavior.name, plain_values(single, values))) for each in pair)
        for tensor in behavior.record.tensors(problem):
            if tensor.holds_ids:
                is_known = old[tensor.key] != OUT_OF_VOCABULARY
                demand(
                    _same(old[tensor.key][is_known], new[tensor.key][is_known]),
                    behavior,
                    f"`extend` changes ids in '{tensor.key}' that the day before gave. New ones go behind the old.",
                )


# === Another process ===

_SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from tfmtl.data.example_spec import raw_signature
from tfmtl.data.raw_transform import RawTransform
from tfmtl.export.raw_batch import to_tensors
from tfmtl.schema import Problem
from tfmtl.schema.problem_file import PROBLEM_FILE

folder = Path(sys.argv[1])
problem = Problem.load(folder / PROBLEM_FILE)
requests = json.loads((folder / "requests.json").read_text())
encoded = RawTransform(problem, folder)(to_tensors(requests, raw_signature(problem)))
np.savez(folder / "encoded.npz", **{key: values.numpy() for key, values in encoded.items()})
"""


def _check_fresh(
    behavior: FeatureBehavior, problem: Problem, requests: Sequence[Any], encoded: Tensors, folder: Path
) -> None:
    (folder / "requests.json").write_text(json.dumps(requests))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    demand(
        done.returncode == 0,
        behavior,
        f"another process cannot encode: name the kind's module in the problem's `plugins`. {done.stderr[-500:]}",
    )
    with np.load(folder / "encoded.npz") as found:
        for key in _own_keys(behavior):
            demand(_same(found[key], encoded[key].numpy()), behavior, f"'{key}' is another in another process.")


def _own_keys(behavior: FeatureBehavior) -> list[str]:
    return [each.key for each in behavior.record.tensors(behavior.problem)]


def _arrays(tensors: Tensors) -> dict[str, Any]:
    return {key: np.asarray(values) for key, values in tensors.items()}


def _same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
