"""Describe the signatures of an export: a page, JSON schemas, and requests that are ready to send."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.export.answers import Answers
from tfmtl.export.serving_messages import service_protoset
from tfmtl.export.serving_module import (
    RANK,
    SERVE,
    SERVE_EXAMPLES,
    method_signatures,
    signature_specs,
    task_signatures,
)
from tfmtl.export.task_requests import task_requests
from tfmtl.export.warmup import predict_request, request_tensors
from tfmtl.folders import ExportedVersion
from tfmtl.schema import Problem
from tfmtl.tasks.signature import Signature

_ROWS = 2
_NAMES = ExportedVersion("")  # for texts, which say the same in every version
_WHAT = {
    SERVE: "Raw features by name, one row per example.",
    SERVE_EXAMPLES: "The same features as serialized `tf.train.Example`s; what is missing is left out.",
    "classify": "From `inputs`, serialized examples, to the classes with their probabilities.",
    "regress": "From `inputs`, serialized examples, to the value of each.",
    RANK: "One user and N candidates: a row for each candidate of the features of side `item`, one row of all others.",
}


def write_signature_files(
    problem: Problem, answers: Answers, requests: Sequence[Mapping[str, Any]], version: ExportedVersion
) -> None:
    """Writes the page, the schema, the messages of the service and the requests that are ready to send.

    Args:
        problem: `Problem`; its name is the model's.
        answers: `Answers`.
        requests: raw features of real examples, at least one.
        version: whose files they are; its folder for them exists.
    """
    inputs = signature_specs(problem)
    own = task_signatures(answers)
    version.schema.write_text(json.dumps(_schema(problem, inputs, answers), indent=1) + "\n")
    page = _page(problem, inputs, answers) + own_signature_page(problem.name, own)
    version.page.write_text(page, encoding="utf-8")
    version.protoset.write_bytes(service_protoset())
    _write_requests(problem, list(inputs), requests, version)
    _write_task_requests(problem, own, requests, version)


def _write_requests(
    problem: Problem, signatures: Sequence[str], requests: Sequence[Mapping[str, Any]], version: ExportedVersion
) -> None:
    version.requests.mkdir()
    chosen = without_nan(requests)[:_ROWS]
    for name in signatures:
        write_request(problem, name, request_tensors(problem, name, chosen), version)


def _write_task_requests(
    problem: Problem,
    own: Mapping[str, tuple[str, Signature]],
    requests: Sequence[Mapping[str, Any]],
    version: ExportedVersion,
) -> None:
    """A request for every signature of a kind's own, with the inputs of its example."""
    for request in task_requests(problem, own, without_nan(requests)[:_ROWS], version):
        write_request(problem, request.signature, request.tensors, version)


def own_signature_page(model: str, own: Mapping[str, tuple[str, Signature]]) -> str:
    """The part of the page on signatures that kinds of tasks have of their own."""
    lines: list[str] = []
    for name, (_, signature) in own.items():
        lines += ["", f"## {name}", "", f"{signature.text} Takes the inputs of `{SERVE}` and these:", ""]
        rows = [
            [f"`{key}`", spec.dtype.name, "`(B,)`" if len(spec.shape) == 1 else "`(B, M)`", signature.texts[key]]
            for key, spec in signature.inputs.items()
        ]
        lines += table(["input", "dtype", "shape", "what it is"], rows)
        lines += ["", *table(["output", "what it is"], [[f"`{key}`", text] for key, text in signature.outputs.items()])]
        lines += ["", *commands(model, name)]
    return "\n".join(lines) + "\n" if lines else ""


def without_nan(requests: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those without a missing number, which strict JSON cannot say; all, if every one lacks some."""
    return [request for request in requests if not any(map(_is_nan, request.values()))] or requests


def write_request(problem: Problem, signature: str, tensors: Mapping[str, tf.Tensor], version: ExportedVersion) -> None:
    """Writes one request twice: as a body for REST and as a message for gRPC."""
    from google.protobuf import json_format

    columns = {key: _plain(value.numpy().tolist()) for key, value in tensors.items()}
    body = json.dumps({"signature_name": signature, "inputs": columns}, ensure_ascii=False)
    version.rest_request(signature).write_text(body + "\n", encoding="utf-8")
    message = json_format.MessageToJson(predict_request(problem.name, signature, tensors), indent=None)
    version.grpc_request(signature).write_text(message + "\n", encoding="utf-8")


def _is_nan(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_nan, value))
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    """JSON of a tensor's values: text as text, other bytes as TF Serving's `{"b64": ...}`."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


# === The page ===


def _page(problem: Problem, inputs: Mapping[str, Mapping[str, tf.TensorSpec]], answers: Answers) -> str:
    name = problem.name
    is_wide = any(answers.inner(key) for key in answers.names)
    lines = [f"# Requests to `{name}`", ""]
    lines += [
        "All signatures except those for Classify and Regress return one float32 per output and row, `(B,)`, "
        "or `(N,)` for `rank`" + (", and with as many as are said here:" if is_wide else ":"),
        "",
    ]
    outputs = [[f"`{key}`", _output_text(answers, key)] for key in answers.names]
    lines += table(["output", "what it is"], outputs)
    for signature, specs in inputs.items():
        rows = [
            [f"`{key}`", spec.dtype.name, f"`{shape_text(spec, signature)}`", input_text(problem, key)]
            for key, spec in specs.items()
        ]
        lines += ["", f"## {signature}", "", _WHAT[signature], ""]
        lines += table(["input", "dtype", "shape", "what it is"], rows)
        lines += ["", *commands(name, signature)]
    lines += ["", "## Classify and Regress", "", "For clients of TF Serving's `Classify` and `Regress`:", ""]
    methods = [[f"`{key}`", _WHAT[key.partition("_")[0]]] for key in method_signatures(problem, answers.tasks)]
    lines += table(["signature", "what it does"], methods)
    lines += [
        "",
        "Both commands are run in this folder. B, N rows; n the longest list of the request, m the longest list in a "
        'list: fill shorter ones up with `""` (times with `0`). A number that is missing is `NaN`, which TF Serving '
        "reads in JSON too. "
        f"`{_NAMES.beside_page(_NAMES.schema)}` is the JSON schema of the bodies that `curl` sends.",
    ]
    return "\n".join(lines) + "\n"


def commands(model: str, signature: str) -> list[str]:
    """How to send the prepared requests."""
    over_rest = _NAMES.beside_page(_NAMES.rest_request(signature))
    over_grpc = _NAMES.beside_page(_NAMES.grpc_request(signature))
    return [
        "```bash",
        f"curl -d @{over_rest} http://localhost:8501/v1/models/{model}:predict",
        f"grpcurl -plaintext -protoset {_NAMES.beside_page(_NAMES.protoset)} -d @ localhost:8500 "
        f"tensorflow.serving.PredictionService/Predict < {over_grpc}",
        "```",
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def shape_text(spec: tf.TensorSpec, signature: str) -> str:
    """The shape as the page writes it, such as `(B, n)`."""
    letters = ["N" if signature == RANK else "B", "n", "m"]
    sizes = [letter if size is None else str(size) for letter, size in zip(letters, spec.shape, strict=False)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _output_text(answers: Answers, name: str) -> str:
    if name in answers.scores:
        return f"score: `{answers.scores[name].text}`"
    text = answers.outputs[name].text
    method = answers.calibrated_by(name)
    return text if method is None else f"{text}, calibrated ({method})"


def input_text(problem: Problem, key: str) -> str:
    """What an input holds."""
    if key == "examples":
        return "serialized examples"
    return next(each.text for each in problem.inputs if each.key == key)


# === The schema ===


def _schema(problem: Problem, inputs: Mapping[str, Mapping[str, tf.TensorSpec]], answers: Answers) -> dict[str, Any]:
    bodies = []
    for signature, specs in inputs.items():
        body = {"signature_name": {"const": signature}, "inputs": inputs_schema(problem, specs)}
        optional = ("signature_name",) if signature == SERVE else ()
        bodies.append(_object(body, optional) | {"title": signature, "description": _WHAT[signature]})
    rows = {"type": "array", "items": inputs_schema(problem, inputs[SERVE], 1)}
    by_row = _object({"signature_name": {"const": SERVE}, "instances": rows}, optional=("signature_name",))
    bodies.append(by_row | {"title": f"{SERVE}, row by row", "description": "Lists of a feature must be equally long."})
    outputs = {name: _numbers((None, *answers.inner(name))) for name in answers.names}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"POST /v1/models/{problem.name}:predict",
        "oneOf": bodies,
        "$defs": {"answer": _object({"outputs": _object(outputs)})},
    }


def inputs_schema(problem: Problem, specs: Mapping[str, tf.TensorSpec], first_axis: int = 0) -> dict[str, Any]:
    """The schema of named inputs: whole batches, or rows of them with `first_axis=1`."""
    return _object(
        {
            key: _items(spec, spec.shape[first_axis:], _is_bytes(problem, key))
            | {"description": input_text(problem, key)}
            for key, spec in specs.items()
        }
    )


def _object(properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _numbers(shape: Sequence[int | None]) -> dict[str, Any]:
    """The schema of numbers in nested arrays of this shape."""
    if not shape:
        return {"type": "number"}
    array = {"type": "array", "items": _numbers(shape[1:])}
    return array if shape[0] is None else array | {"minItems": shape[0], "maxItems": shape[0]}


def _is_bytes(problem: Problem, key: str) -> bool:
    return key == "examples" or any(each.key == key and each.is_bytes for each in problem.inputs)


def _items(spec: tf.TensorSpec, shape: Sequence[int | None], is_bytes: bool) -> dict[str, Any]:
    """The schema of a tensor of the spec's dtype, as nested arrays of this shape."""
    if not len(shape):
        if is_bytes:
            return _object({"b64": {"type": "string", "contentEncoding": "base64"}})
        return {"type": {"string": "string", "float32": "number", "int64": "integer"}[spec.dtype.name]}
    array = {"type": "array", "items": _items(spec, shape[1:], is_bytes)}
    return array if shape[0] is None else array | {"minItems": shape[0], "maxItems": shape[0]}
