"""Add the signature `recommend` to the pages, schemas and requests of a ranking export."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.data.example_spec import user_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.score import Score
from tfmtl.export.signature_files import (
    commands,
    input_text,
    inputs_schema,
    shape_text,
    table,
    without_nan,
    write_request,
)
from tfmtl.export.warmup import predict_request, prediction_log
from tfmtl.folders import ExportedVersion
from tfmtl.retrieval.compose_options import ComposeOptions
from tfmtl.retrieval.recommend_module import ORDER, RECOMMEND
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.schema import Problem


def add_recommend_page(
    problem: Problem,
    item: str,
    num_items: int,
    order_by: Score,
    options: ComposeOptions,
    users: Sequence[Mapping[str, Any]],
    lists: Sequence[Mapping[str, Any]],
    version: ExportedVersion,
) -> None:
    """Adds `recommend` to the page, the schema, the prepared requests and the warm-up file.

    Args:
        problem: `Problem`.
        item: str. The feature that identifies an item.
        num_items: int. In the index.
        order_by: `Score`.
        options: `ComposeOptions`.
        users: raw features of real users.
        lists: the right answers for them, output name -> values.
        version: whose files they are.
    """
    k = len(lists[0][item])
    signature = user_signature(problem)
    text = version.page.read_text(encoding="utf-8") + _section(problem, item, num_items, order_by, options, lists[0])
    version.page.write_text(text, encoding="utf-8")
    schema = json.loads(version.schema.read_text())
    schema["oneOf"].append(_schema(problem, signature))
    version.schema.write_text(json.dumps(schema, indent=1) + "\n")
    count = tf.constant(k, tf.int32)
    one = to_tensors(without_nan(users)[:1], signature)
    write_request(problem, RECOMMEND, {**one, "k": count}, version)
    earlier = [record.numpy() for record in tf.data.TFRecordDataset(str(version.warmup))]
    with tf.io.TFRecordWriter(str(version.warmup)) as writer:
        for record in earlier:
            writer.write(record)
        for size in sorted({1, len(users)}):
            tensors = {**to_tensors(users[:size], signature), "k": count}
            dtypes = {name: tf.string if name == item else tf.float32 for name in lists[0]}
            answers = {
                name: tf.constant([found[name] for found in lists[:size]], dtype) for name, dtype in dtypes.items()
            }
            writer.write(prediction_log(predict_request(problem.name, RECOMMEND, tensors), answers))


def _section(
    problem: Problem,
    item: str,
    num_items: int,
    order_by: Score,
    options: ComposeOptions,
    outputs: Mapping[str, Any],
) -> str:
    seen = ", without those in the histories of the request" if options.exclude_seen else ""
    inputs = [
        [f"`{name}`", spec.dtype.name, f"`{shape_text(spec, RECOMMEND)}`", input_text(problem, name)]
        for name, spec in user_signature(problem).items()
    ]
    inputs.append(["`k`", "int32", "`()`", "how many items to answer with"])
    what = {
        item: "the items' ids, best first",
        SCORE: "the share that retrieval gives to the item among the candidates",
        ORDER: f"what the list is ordered by: `{order_by.text}`",
    }
    answers = [[f"`{name}`", what.get(name, "as above, of the item for this user")] for name in outputs]
    lines = [
        "",
        f"## {RECOMMEND}",
        "",
        f"The K best items for each of B users: retrieval finds {options.candidates} candidates (or `k`, if that is "
        f"more) among {num_items} items{seen}, the model ranks them. Each output is `(B, K)`; K is `k`, or the "
        'number of items if that is less. Where fewer items are left, the last ids are `""` and their scores 0.',
        "",
        *table(["input", "dtype", "shape", "what it is"], inputs),
        "",
        *table(["output", "what it is"], answers),
        "",
        *commands(problem.name, RECOMMEND),
    ]
    return "\n".join(lines) + "\n"


def _schema(problem: Problem, signature: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    inputs = inputs_schema(problem, signature)
    inputs["properties"]["k"] = {"type": "integer", "minimum": 1, "description": "how many items to answer with"}
    inputs["required"].append("k")
    return {
        "type": "object",
        "properties": {"signature_name": {"const": RECOMMEND}, "inputs": inputs},
        "required": ["signature_name", "inputs"],
        "additionalProperties": False,
        "title": RECOMMEND,
        "description": "The best items for each of B users.",
    }
