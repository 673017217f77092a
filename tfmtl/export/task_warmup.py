"""Warm-up requests for the additional signatures of task kinds."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.export.answers import Answers
from tfmtl.export.serving_module import SERVE, task_signatures
from tfmtl.export.task_requests import task_requests
from tfmtl.export.warmup import predict_request, prediction_log
from tfmtl.folders import ExportedVersion
from tfmtl.schema import Problem

_ROWS = 16


def write_task_warmup(
    problem: Problem,
    answers: Answers,
    requests: Sequence[Mapping[str, Any]],
    golden: Mapping[str, Mapping[str, Any]],
    version: ExportedVersion,
) -> None:
    """Adds a request for each such signature to the warm-up file, with the right answer. Arguments: see `write_warmup`.

    Args:
        problem: `Problem`; its name is the model's.
        answers: `Answers`.
        requests: raw features of real examples.
        golden: signature -> output name -> the right answers to the requests, `(rows, *inner)`.
        version: whose file it is.
    """
    found = list(task_requests(problem, task_signatures(answers), requests[:_ROWS], version))
    if not found:
        return
    path = version.warmup
    earlier = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:  # it cannot be appended to
        for record in earlier:
            writer.write(record)
        for request in found:
            known = {name: golden[SERVE][output][:_ROWS] for name, output in request.known.items()}
            right = {name: tf.constant(values, tf.float32) for name, values in known.items()}
            writer.write(prediction_log(predict_request(problem.name, request.signature, request.tensors), right))
