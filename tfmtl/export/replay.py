"""Replay the golden requests of an exported version; `verify` runs this file in a separate process."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.export.answers import Answers
from tfmtl.export.raw_batch import to_examples, to_rank_tensors, to_tensors
from tfmtl.export.serving_module import task_signatures
from tfmtl.export.task_requests import task_requests
from tfmtl.export.verify import Verification
from tfmtl.folders import ExportedVersion
from tfmtl.schema import TaskRecord
from tfmtl.tasks import behavior_of


def replay(version: Path) -> Verification:
    """Sends the golden requests through every signature and compares with the golden answers.

    Raises:
        ValueError: there are no golden requests.
    """
    exported = ExportedVersion(version)
    golden = _read(exported.golden)
    if not golden:
        raise ValueError(f"'{exported.golden}' holds no request")
    requests = [item["features"] for item in golden]
    expected = {name: [item["response"][name] for item in golden] for name in golden[0]["response"]}
    problem = exported.read_problem()
    loaded = tf.saved_model.load(str(version))
    serve, serve_examples = loaded.signatures["serving_default"], loaded.signatures["serve_examples"]
    signature: dict[str, Any] = serve.structured_input_signature[1]
    examples = tf.constant(to_examples(requests, signature))
    differences = {
        "serving_default": _difference(serve(**to_tensors(requests, signature)), expected),
        "serve_examples": _difference(serve_examples(examples=examples), expected),
    }
    for name, function in loaded.signatures.items():
        method, _, task = name.partition("_")
        if method in ("classify", "regress"):
            outputs = function(inputs=examples)
            differences[name] = _method_difference(outputs, problem.task(task), expected)
    records = [task for task in problem.tasks if task.name in expected]
    own = task_signatures(Answers(tuple(records)))
    for request in task_requests(problem, own, requests, exported):
        known = {output: expected[name] for output, name in request.known.items() if name in expected}
        outputs = loaded.signatures[request.signature](**request.tensors)
        differences[request.signature] = _difference(outputs, known)
    if "rank" in loaded.signatures:
        rank = loaded.signatures["rank"]
        signature = rank.structured_input_signature[1]
        differences["rank"] = float(
            np.max(
                [
                    _difference(rank(**to_rank_tensors(item["user"], item["candidates"], signature)), item["response"])
                    for item in _read(exported.golden_rank)
                ]
            )
        )
    if "recommend" in loaded.signatures:
        lists = _read(exported.golden_recommend)
        differences["recommend"] = _list_difference(loaded.signatures["recommend"], lists)
    return Verification(len(golden), differences)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def _list_difference(recommend: Any, lists: Sequence[Mapping[str, Any]]) -> float:
    """The largest over all users, whose lists are asked for one by one and all at once; infinity if an item lacks.

    Items are compared by their ids: two whose order differs in the last digit only may change places.
    """
    signature = dict(recommend.structured_input_signature[1])
    k = tf.constant(lists[0]["k"], signature.pop("k").dtype)
    users = [item["user"] for item in lists]
    together = recommend(**to_tensors(users, signature), k=k)
    gaps = []
    for row, item in enumerate(lists):
        expected = item["response"]
        for outputs in (
            {name: values[row].numpy() for name, values in together.items()},
            {
                name: values[0].numpy()
                for name, values in recommend(**to_tensors([item["user"]], signature), k=k).items()
            },
        ):
            [ids] = [name for name, values in outputs.items() if values.dtype == object]
            places = {value.decode(): place for place, value in enumerate(outputs[ids])}
            if not set(expected[ids]) <= set(places):
                return float("inf")
            order = [places[value] for value in expected[ids]]
            scores = {name: tf.constant(values[order]) for name, values in outputs.items() if name != ids}
            gaps.append(_difference(scores, {name: values for name, values in expected.items() if name != ids}))
    return float(np.max(gaps))


def _method_difference(outputs: Mapping[str, tf.Tensor], task: TaskRecord, expected: Mapping[str, Any]) -> float:
    """Of an answer to Classify or Regress."""
    if task.serving_method == "regress":
        return _difference({task.name: outputs["outputs"]}, {task.name: expected[task.name]})
    answers = {output.suffix: np.asarray(expected[task.key(output.suffix)]) for output in task.outputs}
    return _difference(outputs, {"scores": behavior_of(task).class_scores(answers)})


def _difference(outputs: Mapping[str, tf.Tensor], expected: Mapping[str, Any]) -> float:
    """The largest over all outputs and rows; of values above 1 relative, since float32 has seven digits."""
    gaps = []
    for name, values in expected.items():
        wanted = np.asarray(values)
        gaps.append(np.max(np.abs(outputs[name].numpy() - wanted) / np.maximum(1.0, np.abs(wanted))))
    return float(np.max(gaps))


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(replay(Path(sys.argv[1])))))
    except Exception as error:  # whatever it is, the caller reports it in one line
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else error!r}")
