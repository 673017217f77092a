"""Example requests for the additional signatures of task kinds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfmtl.export.serving_module import SERVE
from tfmtl.export.warmup import request_tensors
from tfmtl.folders import ExportedVersion
from tfmtl.schema import Problem
from tfmtl.tasks.signature import Signature


@dataclass(frozen=True)
class TaskRequest:
    """One request.

    Args:
        signature: str. The signature that it is for.
        tensors: dict of input name to tensor. The inputs.
        known: dict of the signature's output to the output of `serving_default` that it must equal.
    """

    signature: str
    tensors: Mapping[str, tf.Tensor]
    known: Mapping[str, str]


def task_requests(
    problem: Problem,
    own: Mapping[str, tuple[str, Signature]],
    requests: Sequence[Mapping[str, Any]],
    version: ExportedVersion,
) -> Iterator[TaskRequest]:
    """A request for every signature, with the inputs of its example.

    Args:
        problem: `Problem`.
        own: what `task_signatures` returned.
        requests: raw features of real examples.
        version: the export, for what was fitted to the labels.
    """
    if not own:
        return
    fitted = json.loads(version.fitted.statistics.read_text(encoding="utf-8"))["task_state"]
    features = request_tensors(problem, SERVE, requests)
    for name, (task, signature) in own.items():
        given = {key: tf.constant(value) for key, value in signature.example(fitted[task], len(requests)).items()}
        known = {output: problem.task(task).key(suffix) for output, suffix in signature.known.items()}
        yield TaskRequest(name, {**features, **given}, known)
